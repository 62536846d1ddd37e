"""Statistics of error rates, against hand sums, textbook values, brute force and simulation."""

import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.formula.api import ols

from seran_lib.analysis import stats


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


@given(n=st.integers(1, 400), rate=st.integers(0, 1000), decimals=st.integers(0, 1))
def test_possible_counts_is_what_brute_force_finds(n, rate, decimals):
    rate = Decimal(rate % (100 * 10**decimals + 1)).scaleb(-decimals)
    unit = Decimal(1).scaleb(-decimals)
    exact = [Decimal(100 * k) / n for k in range(n + 1)]
    found = [
        k
        for k, value in enumerate(exact)
        if rate in (value.quantize(unit, ROUND_HALF_UP), value.quantize(unit, ROUND_HALF_EVEN))
        or value == rate + unit / 2  # a half-way value that is rounded down to an odd digit
    ]
    assert list(stats.possible_counts(str(rate), n, decimals)) == found


def test_half_way_values_count_for_both_neighbours():
    # 1 of 800 is 0.125 %
    assert list(stats.possible_counts("0.12", 800)) == [1] == list(stats.possible_counts("0.13", 800))
    assert not stats.possible_counts("0.14", 800)


@pytest.mark.parametrize("rate", ["-0.01", "100.01", "1.234"])
def test_possible_counts_refuses_what_is_no_printed_rate(rate):
    with pytest.raises(ValueError, match=rate):
        stats.possible_counts(rate, 100)


def test_counts_of_the_headline_rates():
    assert list(stats.possible_counts(13.58, 5118)) == [695]
    assert list(stats.possible_counts(13.33, 5118)) == [682]
    assert list(stats.possible_counts(28.7, 5118)) == list(stats.possible_counts("28.70", 5118)) == [1469]


def test_neighbours_of_the_rates_that_5119_rules_out():
    assert [round(100 * k / 5119, 2) for k in (1261, 1262)] == [24.63, 24.65]
    assert stats.impossible_rates(["24.63", "24.64", "24.65"], 5119) == ["24.64"]


@given(n=st.integers(50, 3000), shares=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_true_size_always_passes(n, shares):
    rates = [f"{100 * round(share * n) / n:.2f}" for share in shares]
    assert stats.possible_test_sizes(rates, [n]) == [n]


def test_enough_rates_leave_few_other_sizes():
    rng = np.random.default_rng(0)
    rates = [f"{100 * k / 1009:.2f}" for k in rng.integers(0, 400, 12)]
    assert stats.possible_test_sizes(rates, range(900, 1100)) == [1009]


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


def _runs(truth, *, seeds, noise, split_noise=0.3, n=100_000, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for run_seed in range(seeds):
        split = split_noise * rng.normal()
        for model, error in truth.items():
            rows.append((model, run_seed, round(n * error * np.exp(split + noise * rng.normal())), n))
    return pd.DataFrame(rows, columns=["model", "seed", "wrong", "n"])


TRUTH = {"a": 0.10, "b": 0.12, "c": 0.20, "d": 0.10}


def test_block_design_takes_the_split_out_and_finds_ratios_and_noise():
    design = stats.BlockDesign(_runs(TRUTH, seeds=40, noise=0.05))
    assert design.ratio("b", "a").ratio == pytest.approx(1.2, rel=0.03)
    assert design.noise == pytest.approx(0.05, rel=0.15), "the splits' noise of 30 % is none of it"
    assert design.ratio("a", "b").ratio == pytest.approx(1 / design.ratio("b", "a").ratio)
    double = design.contrast({"c": 1, "a": -1, "d": -1, "b": 1})  # (c / a) / (d / b)
    assert double.ratio == pytest.approx(2 * 1.2, rel=0.05)


def test_block_design_holds_its_level_with_three_seeds():
    found = [stats.BlockDesign(_runs(TRUTH, seeds=3, noise=0.1, seed=k)).ratio("a", "d") for k in range(200)]
    assert 0.015 < np.mean([ratio.p < 0.05 for ratio in found]) < 0.09
    assert np.mean([ratio.low < 1 < ratio.high for ratio in found]) == pytest.approx(0.95, abs=0.035)


def test_the_smallest_ratio_is_found_as_often_as_promised():
    smallest = stats.BlockDesign(_runs(TRUTH, seeds=60, noise=0.1)).smallest_ratio(3)
    truth = TRUTH | {"b": 0.10 * smallest}
    found = [stats.BlockDesign(_runs(truth, seeds=3, noise=0.1, seed=k)).ratio("b", "a").p < 0.05 for k in range(200)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


def test_block_design_takes_models_with_more_seeds_and_refuses_single_ones():
    runs = _runs(TRUTH, seeds=5, noise=0.05)
    uneven = runs[(runs["seed"] < 3) | runs["model"].isin(["a", "b"])]
    design = stats.BlockDesign(uneven)
    narrow, wide = design.ratio("b", "a"), design.ratio("c", "d")
    assert narrow.high / narrow.low < wide.high / wide.low, "five seeds say more than three"
    with pytest.raises(ValueError, match="too few runs share a seed"):
        stats.BlockDesign(runs[runs["seed"] == 0])
    apart = uneven.assign(seed=uneven["seed"].where(uneven["model"] != "d", uneven["seed"] + 2))
    assert [stats.shared_seeds(apart, pair) for pair in ("ab", "ad", "cd", "abcd")] == [5, 3, 1, 1]


def test_a_contrast_moves_by_its_own_runs_alone():
    """As least squares say where all models have the same seeds; a seed of others is no news of these."""
    runs = _runs(TRUTH, seeds=3, noise=0.05)
    more = pd.DataFrame([("a", 3, 90_000, 100_000), ("b", 3, 1000, 100_000)], columns=runs.columns)
    few, many = stats.BlockDesign(runs), stats.BlockDesign(pd.concat([runs, more]))
    assert many.ratio("c", "a").ratio == pytest.approx(few.ratio("c", "a").ratio)
    assert many.ratio("b", "a").ratio < few.ratio("b", "a").ratio / 2
    table = runs.assign(log_error=np.log((runs["wrong"] + 0.5) / (runs["n"] + 1)))
    fit = ols("log_error ~ 0 + C(model) + C(seed)", table).fit().t_test("C(model)[c] - C(model)[a]")
    ratio = few.ratio("c", "a")
    assert np.log([ratio.ratio, ratio.low, ratio.high]) == pytest.approx([fit.effect[0], *fit.conf_int(0.05)[0]])
    assert ratio.p == pytest.approx(float(fit.pvalue))
    runs = _runs(TRUTH, seeds=6, noise=0.05)
    first, last = runs["seed"] < 3, runs["model"].isin(["c", "d"])  # c has all seeds, a and b the first, d the last
    alone = stats.BlockDesign(runs[(first & (runs["model"] != "d")) | (~first & last)])
    with pytest.raises(ValueError, match="a, d share no seed"):
        alone.ratio("a", "d")


def test_within_a_margin_needs_the_whole_interval():
    assert stats.Ratio(1.02, 0.9, 1.2, 0.95, 1.10, 0.5).within(1.15)
    assert not stats.Ratio(1.02, 0.8, 1.3, 0.84, 1.26, 0.9).within(1.15)


def test_ratio_of_rates_by_hand_and_with_the_noise_of_training():
    # log(0.2 / 0.1) +- 1.96 sqrt(1/200 - 1/1000 + 1/100 - 1/1000)
    ratio = stats.ratio_of_rates(200, 1000, 100, 1000)
    half = 1.959964 * np.sqrt(0.013)
    assert (ratio.ratio, ratio.low, ratio.high) == pytest.approx((2, 2 / np.exp(half), 2 * np.exp(half)))
    assert stats.ratio_of_rates(200, 1000, 100, 1000, noise=0.2).low < ratio.low
    assert stats.ratio_of_rates(100, 1000, 100, 1000).p == 1


def test_calibration_error_by_hand():
    sure = np.array([0.9] * 10 + [0.6] * 10)
    right = np.array([True] * 7 + [False] * 3 + [True] * 6 + [False] * 4)
    assert stats.calibration_error(sure, right, bins=2) == pytest.approx((0.2 + 0) / 2)
    assert stats.calibration_error(np.ones(5), np.ones(5, dtype=bool)) == 0


def test_calibration_by_chance_of_coins_thrown_twice_a_bin():
    """Two throws are half a throw off as often as not, and else not at all."""
    mean, sd = stats.calibration_by_chance(np.full(30, 0.5), draws=2000)
    assert mean == pytest.approx(0.25, abs=0.005) and sd == pytest.approx(0.25 / math.sqrt(15), rel=0.1)
    assert stats.calibration_by_chance(np.ones(30)) == (0, 0)


def test_risk_by_coverage_answers_the_surest_first():
    table = stats.risk_by_coverage(np.array([0.9, 0.2, 0.8, 0.5]), np.array([True, False, False, True]))
    assert table["coverage"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["risk"].tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])


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


def test_half_an_interval_of_a_mean():
    assert stats.half_interval([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert stats.half_interval([1.0]) == math.inf
