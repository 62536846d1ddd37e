"""Which counts and sizes a printed rate allows, against brute force and hand sums."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seran_lib.paper import grim


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
    assert list(grim.possible_counts(str(rate), n, decimals)) == found


def test_half_way_values_count_for_both_neighbours():
    # 1 of 800 is 0.125 %
    assert list(grim.possible_counts("0.12", 800)) == [1] == list(grim.possible_counts("0.13", 800))
    assert not grim.possible_counts("0.14", 800)


@pytest.mark.parametrize("rate", ["-0.01", "100.01", "1.234"])
def test_possible_counts_refuses_what_is_no_printed_rate(rate):
    with pytest.raises(ValueError, match=rate):
        grim.possible_counts(rate, 100)


def test_counts_of_the_headline_rates():
    assert list(grim.possible_counts(13.58, 5118)) == [695]
    assert list(grim.possible_counts(13.33, 5118)) == [682]
    assert list(grim.possible_counts(28.7, 5118)) == list(grim.possible_counts("28.70", 5118)) == [1469]


def test_neighbours_of_the_rates_that_5119_rules_out():
    assert [round(100 * k / 5119, 2) for k in (1261, 1262)] == [24.63, 24.65]
    assert grim.impossible_rates(["24.63", "24.64", "24.65"], 5119) == ["24.64"]


@given(n=st.integers(50, 3000), shares=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_true_size_always_passes(n, shares):
    rates = [f"{100 * round(share * n) / n:.2f}" for share in shares]
    assert grim.possible_test_sizes(rates, [n]) == [n]


def test_enough_rates_leave_few_other_sizes():
    rng = np.random.default_rng(0)
    rates = [f"{100 * k / 1009:.2f}" for k in rng.integers(0, 400, 12)]
    assert grim.possible_test_sizes(rates, range(900, 1100)) == [1009]
