"""Ratios of errors over seeds, against hand sums, least squares and simulation."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols

from seran_lib.analysis import ratios


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
    design = ratios.BlockDesign(_runs(TRUTH, seeds=40, noise=0.05))
    assert design.ratio("b", "a").ratio == pytest.approx(1.2, rel=0.03)
    assert design.noise == pytest.approx(0.05, rel=0.15), "the splits' noise of 30 % is none of it"
    assert design.ratio("a", "b").ratio == pytest.approx(1 / design.ratio("b", "a").ratio)
    double = design.contrast({"c": 1, "a": -1, "d": -1, "b": 1})  # (c / a) / (d / b)
    assert double.ratio == pytest.approx(2 * 1.2, rel=0.05)


def test_block_design_holds_its_level_with_three_seeds():
    found = [ratios.BlockDesign(_runs(TRUTH, seeds=3, noise=0.1, seed=k)).ratio("a", "d") for k in range(200)]
    assert 0.015 < np.mean([ratio.p < 0.05 for ratio in found]) < 0.09
    assert np.mean([ratio.low < 1 < ratio.high for ratio in found]) == pytest.approx(0.95, abs=0.035)


def test_the_smallest_ratio_is_found_as_often_as_promised():
    smallest = ratios.BlockDesign(_runs(TRUTH, seeds=60, noise=0.1)).smallest_ratio(3)
    truth = TRUTH | {"b": 0.10 * smallest}
    found = [ratios.BlockDesign(_runs(truth, seeds=3, noise=0.1, seed=k)).ratio("b", "a").p < 0.05 for k in range(200)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


def test_block_design_takes_models_with_more_seeds_and_refuses_single_ones():
    runs = _runs(TRUTH, seeds=5, noise=0.05)
    uneven = runs[(runs["seed"] < 3) | runs["model"].isin(["a", "b"])]
    design = ratios.BlockDesign(uneven)
    narrow, wide = design.ratio("b", "a"), design.ratio("c", "d")
    assert narrow.high / narrow.low < wide.high / wide.low, "five seeds say more than three"
    with pytest.raises(ValueError, match="too few runs share a seed"):
        ratios.BlockDesign(runs[runs["seed"] == 0])
    apart = uneven.assign(seed=uneven["seed"].where(uneven["model"] != "d", uneven["seed"] + 2))
    assert [ratios.shared_seeds(apart, pair) for pair in ("ab", "ad", "cd", "abcd")] == [5, 3, 1, 1]


def test_a_contrast_moves_by_its_own_runs_alone():
    """As least squares say where all models have the same seeds; a seed of others is no news of these."""
    runs = _runs(TRUTH, seeds=3, noise=0.05)
    more = pd.DataFrame([("a", 3, 90_000, 100_000), ("b", 3, 1000, 100_000)], columns=runs.columns)
    few, many = ratios.BlockDesign(runs), ratios.BlockDesign(pd.concat([runs, more]))
    assert many.ratio("c", "a").ratio == pytest.approx(few.ratio("c", "a").ratio)
    assert many.ratio("b", "a").ratio < few.ratio("b", "a").ratio / 2
    table = runs.assign(log_error=np.log((runs["wrong"] + 0.5) / (runs["n"] + 1)))
    fit = ols("log_error ~ 0 + C(model) + C(seed)", table).fit().t_test("C(model)[c] - C(model)[a]")
    ratio = few.ratio("c", "a")
    assert np.log([ratio.ratio, ratio.low, ratio.high]) == pytest.approx([fit.effect[0], *fit.conf_int(0.05)[0]])
    assert ratio.p == pytest.approx(float(fit.pvalue))
    runs = _runs(TRUTH, seeds=6, noise=0.05)
    first, last = runs["seed"] < 3, runs["model"].isin(["c", "d"])  # c has all seeds, a and b the first, d the last
    alone = ratios.BlockDesign(runs[(first & (runs["model"] != "d")) | (~first & last)])
    with pytest.raises(ValueError, match="a, d share no seed"):
        alone.ratio("a", "d")


def test_within_a_margin_needs_the_whole_interval():
    assert ratios.Ratio(1.02, 0.9, 1.2, 0.95, 1.10, 0.5).within(1.15)
    assert not ratios.Ratio(1.02, 0.8, 1.3, 0.84, 1.26, 0.9).within(1.15)


def test_ratio_of_rates_by_hand_and_with_the_noise_of_training():
    # log(0.2 / 0.1) +- 1.96 sqrt(1/200 - 1/1000 + 1/100 - 1/1000)
    ratio = ratios.ratio_of_rates(200, 1000, 100, 1000)
    half = 1.959964 * np.sqrt(0.013)
    assert (ratio.ratio, ratio.low, ratio.high) == pytest.approx((2, 2 / np.exp(half), 2 * np.exp(half)))
    assert ratios.ratio_of_rates(200, 1000, 100, 1000, noise=0.2).low < ratio.low
    assert ratios.ratio_of_rates(100, 1000, 100, 1000).p == 1
