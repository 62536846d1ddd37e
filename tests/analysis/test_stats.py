"""Statistics of error rates, against hand sums, textbook values, brute force and simulation."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from seran_lib.analysis import ratios, stats


def test_wilson_matches_the_formula():
    # Centre (p + z^2/2n) / (1 + z^2/n) and half-width by hand for 10 errors of 100, z = 1.959964
    low, high = stats.wilson(10, 100)
    assert (low, high) == pytest.approx((0.0552291, 0.1743657), abs=1e-6)


def test_wilson_stays_inside_zero_and_one_and_widens_with_confidence():
    assert stats.wilson(0, 20)[0] == 0 and stats.wilson(20, 20)[1] == 1
    assert stats.wilson(0, 20)[1] > 0.1
    narrow, wide = stats.wilson(5, 50, confidence=0.8), stats.wilson(5, 50, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_wilson_takes_arrays():
    low, high = stats.wilson(np.array([1, 10]), 100)
    assert low.shape == (2,) and (low < [0.01, 0.10]).all() and (high > [0.01, 0.10]).all()


@pytest.mark.parametrize(("errors", "n"), [(0, 0), (5, 4), (-1, 10), (np.array([1, 11]), 10)])
def test_wilson_refuses_what_is_no_rate(errors, n):
    with pytest.raises(ValueError, match="not a rate"):
        stats.wilson(errors, n)


def test_two_proportion_test_by_hand():
    # pooled p = 0.25, s = sqrt(0.25 * 0.75 * 2 / 100) = 0.0612372, z = 0.1 / s
    test = stats.two_proportion_test(30, 100, 20, 100)
    assert test.difference == pytest.approx(0.1)
    assert test.z == pytest.approx(1.6329932) and test.p == pytest.approx(0.1024704, abs=1e-6)


def test_two_proportion_test_turns_sign_with_the_order():
    a, b = stats.two_proportion_test(695, 5118, 682, 5118), stats.two_proportion_test(682, 5118, 695, 5118)
    assert a.z == pytest.approx(-b.z) and a.p == pytest.approx(b.p) and a.z == pytest.approx(0.3766, abs=1e-4)


def test_resolvable_difference_of_separate_sets_has_the_power_it_claims():
    rng = np.random.default_rng(0)
    n, p = 2000, 0.2
    d = stats.resolvable_difference(n, p)
    a, b = rng.binomial(n, p, 20_000), rng.binomial(n, p - d, 20_000)
    pooled = (a + b) / (2 * n)
    found = np.abs(a - b) / n > 1.959964 * np.sqrt(2 * pooled * (1 - pooled) / n)
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_resolvable_difference_of_paired_answers_has_the_power_it_claims():
    rng = np.random.default_rng(0)
    n, p, discordance = 5000, 0.15, 0.08
    d = stats.resolvable_difference(n, p, discordance)
    # images only the first gets wrong, only the second, the rest
    only = rng.multinomial(n, [(discordance + d) / 2, (discordance - d) / 2, 1 - discordance], size=20_000)
    found = np.abs(only[:, 0] - only[:, 1]) > 1.959964 * np.sqrt(only[:, 0] + only[:, 1])
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_more_images_less_discordance_and_less_power_resolve_more():
    base = stats.resolvable_difference(5000, 0.15, 0.10)
    assert stats.resolvable_difference(20_000, 0.15, 0.10) < base
    assert stats.resolvable_difference(5000, 0.15, 0.05) < base
    assert stats.resolvable_difference(5000, 0.15, 0.10, power=0.5) < base
    assert base < stats.resolvable_difference(5000, 0.15)


def test_resolvable_difference_says_when_there_is_none():
    with pytest.raises(ValueError, match="too few"):
        stats.resolvable_difference(20, 0.05)
    with pytest.raises(ValueError, match="too few"):
        stats.resolvable_difference(50, 0.15, 0.05)
    for discordance in (0.0, 0.31):
        with pytest.raises(ValueError, match="discordance"):
            stats.resolvable_difference(5000, 0.15, discordance)


def test_mcnemar_by_hand():
    # 8 images: 3 only the first got wrong, 1 only the second. Exact two-sided p of 1 of 4: 2 (1 + 4) / 16
    first = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    second = np.array([0, 0, 0, 1, 1, 0, 0, 0], dtype=bool)
    test = stats.mcnemar(first, second)
    assert (test.n, test.only_first, test.only_second) == (8, 3, 1) and test.points == 25
    assert test.p == pytest.approx(10 / 16)
    swapped = stats.mcnemar(second, first)
    assert swapped.points == -25 and swapped.p == pytest.approx(test.p)
    assert stats.mcnemar(first, first).p == 1 and stats.mcnemar(first, first).sampling_sd == 0


def test_mcnemar_knows_how_far_a_difference_moves_from_sample_to_sample():
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(2000):
        which = rng.random(400)
        draws.append(stats.mcnemar(which < 0.15, (which > 0.05) & (which < 0.2)))
    assert np.mean([test.sampling_sd for test in draws]) == pytest.approx(np.std([t.points for t in draws]), rel=0.05)


@pytest.mark.parametrize("second", [np.zeros(3), np.zeros(0)])
def test_mcnemar_refuses_answers_to_other_images(second):
    with pytest.raises(ValueError, match="same images"):
        stats.mcnemar(np.zeros(len(second) and 4), second)


def test_macro_bootstrap_keeps_groups_together():
    labels = np.repeat(["ant", "bee"], 40)
    wrong = np.tile([True] * 4 + [False] * 4, 10)
    alone = stats.bootstrap_macro_error(wrong, labels, np.arange(80))
    together = stats.bootstrap_macro_error(wrong, labels, np.arange(80) // 4)  # four pictures that fail as one
    assert alone.mean() == pytest.approx(0.5, abs=0.01) == together.mean()
    assert together.std() == pytest.approx(2 * alone.std(), rel=0.1)  # a quarter of the independent units
    few = stats.bootstrap_macro_error(wrong[:8], np.repeat("ant", 8), np.arange(8), draws=20_000)
    assert few.std() == pytest.approx(wrong[:8].std(ddof=1) / 8**0.5, rel=0.05), "of the mean of few"
    rare = stats.bootstrap_macro_error(np.append(wrong, True), np.append(labels, "rare"), np.arange(81))
    assert rare.mean() == pytest.approx(2 / 3, abs=0.01), "a species with one image counts like the others"


def test_half_an_interval_of_a_mean():
    assert stats.half_interval([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert stats.half_interval([1.0]) == math.inf


def test_overdispersion_is_one_for_independent_answers_and_grows_with_what_runs_share():
    rng = np.random.default_rng(3)
    rates, n = rng.uniform(0.1, 0.6, size=(200, 1)), np.full((200, 3), 30)
    of = np.repeat(np.arange(200), 3)
    alone = stats.overdispersion(rng.binomial(n, rates).ravel(), n.ravel(), of)
    assert alone == pytest.approx(1, abs=0.15) and alone >= 1
    shared = np.clip(rates + rng.normal(0, 0.15, size=n.shape), 0, 1)  # variance added: 0.15^2 n / (p (1 - p)) and more
    assert stats.overdispersion(rng.binomial(n, shared).ravel(), n.ravel(), of) > 2.5
    assert stats.overdispersion([0, 3, 5, 5], [3, 3, 5, 5], ["a", "a", "b", "b"]) == pytest.approx(6)
    assert stats.overdispersion([0, 0], [4, 4], ["a", "a"]) == 1, "no error at all says nothing"


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for tests, family in ((0, 3), (1, 1), (5, 5), (8, 12)):
        p = rng.random(tests) ** 3
        wanted = multipletests([*p, *[1.0] * (family - tests)], method="holm")[1][:tests] if tests else []
        assert ratios.holm(p.tolist(), family) == pytest.approx(wanted)
