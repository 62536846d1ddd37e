"""Statistics of error rates, against hand sums, textbook values, brute force and simulation."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seran_lib.lab import stats


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
