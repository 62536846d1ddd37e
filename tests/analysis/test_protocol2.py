"""The rules of protocol 2 against scipy and statsmodels, and its tables of verdicts and of power."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols

from seran_lib.analysis import protocol2 as rules
from seran_lib.analysis.ratios import Ratio
from seran_lib.nets import list_models

SHARE = 1785 / 8639  # of butterfly100-grouped
rng = np.random.default_rng(0)
LOGS = rng.normal(-1, 0.3, (4, 1)) + rng.normal(0, 0.1, 5) + rng.normal(0, 0.05, (4, 5))


def ragged():
    logs = LOGS.copy()
    logs[2:, 3:] = np.nan
    return logs


def test_without_a_share_of_test_images_the_interval_is_students():
    d = LOGS[0] - LOGS[1]
    found = rules.interval(d, 0.0)
    theirs = stats.ttest_1samp(d, 0)
    assert found.p == pytest.approx(theirs.pvalue)
    for level, bounds in ((0.95, (found.low, found.high)), (0.9, (found.low90, found.high90))):
        assert np.log(bounds) == pytest.approx(list(theirs.confidence_interval(level)))
    assert np.log(found.ratio) == pytest.approx(d.mean())


def test_the_corrected_interval_is_wider_by_the_factor_of_nadeau_and_bengio():
    d = LOGS[0] - LOGS[1]
    plain, corrected = rules.interval(d, 0.0), rules.interval(d, SHARE)
    widths = [np.log(one.high / one.low) for one in (plain, corrected)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt((1 / 5 + SHARE) / (1 / 5)))
    floor = rules.interval(d, SHARE, least_sd=9.0)
    assert np.log(floor.high / floor.ratio) == pytest.approx(stats.t.ppf(0.975, 4) * 9)
    with pytest.raises(ValueError, match="a single seed"):
        rules.interval(d[:1], SHARE)


@pytest.mark.parametrize("logs", [LOGS, ragged()])
def test_pooled_noise_is_that_of_least_squares_and_bartletts_test_is_of_its_residuals(logs):
    table = pd.DataFrame(logs).stack().rename_axis(["network", "seed"]).rename("value").dropna().reset_index()
    fit = ols("value ~ C(network) + C(seed)", table).fit()
    found = rules.pooled_noise(logs)
    assert (found.sd, found.freedom) == (pytest.approx(np.sqrt(fit.mse_resid)), fit.df_resid)
    residuals = [fit.resid[table["network"] == network] for network in range(4)]
    assert found.p == pytest.approx(stats.bartlett(*residuals).pvalue)
    assert found.pooled == (found.p >= 0.1)


def test_unequal_noise_is_not_pooled():
    noise = np.random.default_rng(1).normal(0, 1, (4, 6)) * [[0.01], [0.01], [0.01], [0.5]]
    assert not rules.pooled_noise(noise).pooled


def test_the_interaction_is_the_ratio_of_two_ratios_over_shared_seeds():
    names = ("seran_d_no_se", "seran_d", "seran_d_plain", "seran_d_no_attention")
    (contrast,) = [one for one in rules.CONTRASTS if one.claim == "C1" and one.kind == rules.REPORTED]
    logs = dict(zip(names, ragged(), strict=True))
    d = rules.differences(logs, contrast.weights)
    by_hand = (LOGS[0] - LOGS[1]) - (LOGS[2] - LOGS[3])
    assert d == pytest.approx(by_hand[:3])
    table = pd.DataFrame(
        {"value": np.concatenate([row[:3] for row in LOGS]), "se": 3 * [0] + 3 * [1] + 3 * [0] + 3 * [1]}
    )
    table["attention"], table["seed"] = 6 * [1] + 6 * [0], 4 * [0, 1, 2]
    fit = ols("value ~ se * attention + C(seed)", table).fit()
    assert np.log(rules.interval(d, SHARE).ratio) == pytest.approx(-fit.params["se:attention"])


def ratio(low, high, low90, high90):
    return Ratio(1.0, low, high, low90, high90, 0.5)


@pytest.mark.parametrize(
    ("kind", "bounds", "holm", "verdict"),
    [
        (rules.MORE, (1.02, 1.4, 1.05, 1.35), 0.04, "supported"),
        (rules.MORE, (1.02, 1.4, 1.05, 1.35), 0.06, "underpowered"),
        (rules.MORE, (1.01, 1.1, 1.02, 1.09), 0.04, "supported"),
        (rules.MORE, (1.01, 1.1, 1.02, 1.09), 0.06, "refuted"),
        (rules.MORE, (0.7, 0.98, 0.72, 0.96), 0.04, "refuted"),
        (rules.MORE, (0.7, 0.98, 0.72, 0.96), 0.06, "underpowered"),
        (rules.MORE, (0.9, 1.12, 0.92, 1.1), 1.0, "refuted"),
        (rules.MORE, (0.9, 1.3, 0.92, 1.2), 1.0, "underpowered"),
        (rules.ALIKE, (0.8, 1.2, 0.88, 1.14), np.nan, "supported"),
        (rules.ALIKE, (1.16, 1.5, 1.2, 1.4), np.nan, "refuted"),
        (rules.ALIKE, (1.1, 1.5, 1.2, 1.4), np.nan, "underpowered"),
        (rules.REPORTED, (1.1, 1.5, 1.2, 1.4), 0.01, ""),
    ],
)
def test_the_table_of_verdicts(kind, bounds, holm, verdict):
    assert rules.decide(kind, ratio(*bounds), holm) == verdict


def test_a_wider_margin_refutes_more_differences_and_supports_more_likeness():
    near = ratio(0.9, 1.2, 0.92, 1.18)
    assert list(rules.by_margin(rules.MORE, near, 1.0).values()) == 3 * ["underpowered"] + 3 * ["refuted"]
    assert list(rules.by_margin(rules.ALIKE, near, 1.0).values()) == 3 * ["underpowered"] + 3 * ["supported"]


def test_a_claim_is_supported_where_all_its_contrasts_are():
    assert rules.of_claim(["supported", "", "supported"]) == "supported"
    assert rules.of_claim(["supported", "underpowered"]) == "underpowered"
    assert rules.of_claim(["supported", "underpowered", "not run"]) == "not run"
    assert rules.of_claim(["not run", "refuted", "supported"]) == "refuted"
    assert rules.of_claim(["not testable here"]) == "not testable here"


@pytest.mark.parametrize(
    ("without", "alone", "verdict"),
    [
        ((1.05, 1.2, 1.1), (1.0, 1.04, 1.0), "supported"),
        ((1.05, 1.2, 1.04), (1.0, 1.04, 1.0), "underpowered"),
        ((1.0, 1.0, 1.04), (1.0, 1.04, 1.0), "refuted"),
        ((1.1, 1.2, 1.3), (1.06, 1.07, 1.08), "refuted"),
        ((1.1, 1.2), (1.0, 1.0), "not run"),
    ],
)
def test_over_fitting(without, alone, verdict):
    assert rules.decide_overfitting(without, alone) == verdict


def test_localisation_asks_every_seed():
    assert rules.decide_localisation([0.1, 0.2, 0.01], [0.3, 0.3, 0.3]) == "supported"
    assert rules.decide_localisation([-0.1, 0.2, 0.01], [0.3, 0.3, 0.3]) == "underpowered"
    assert rules.decide_localisation([-0.5, -0.4, -0.3], [-0.2, -0.1, -0.01]) == "refuted"
    assert rules.decide_localisation([0.1, 0.2], [0.3, 0.3]) == "not run"


def test_the_power_before_the_runs_is_that_of_the_protocol():
    """Section 7: twelve networks of which five have five seeds leave 30 degrees of freedom, three of three leave 4."""
    field, pinned = 0.036 * np.sqrt(2), 0.2277 * np.sqrt(2)
    logs = np.full((12, 5), np.nan)
    logs[:, :3], logs[:5, 3:] = rng.normal(size=(12, 3)), rng.normal(size=(5, 2))
    freedom = rules.pooled_noise(logs).freedom
    assert freedom == 30
    found = [rules.smallest_ratio(3, field, SHARE, freedom=freedom), rules.smallest_ratio(5, field, SHARE, freedom=30)]
    found += [rules.smallest_ratio(seeds, field, SHARE) for seeds in (3, 5)]
    assert [f"{one:.2f}" for one in found] == ["1.11", "1.10", "1.22", "1.13"]
    found = [rules.smallest_ratio(3, pinned, 477 / 2277, freedom=freedom) for freedom in (4, None)]
    assert found == pytest.approx([2.42, 3.57], abs=0.02)


def test_power_is_what_simulated_studies_find():
    """Of seeds that share no training images, so that the t-test is exact."""
    effect = np.log(rules.smallest_ratio(8, 0.1, 0.0))
    found = stats.ttest_1samp(rng.normal(effect, 0.1, (4000, 8)), 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.04)


def test_seeds_needed_are_the_fewest_and_may_not_exist():
    sd = 0.05
    few = rules.seeds_needed(1.13, sd, SHARE)
    assert rules.smallest_ratio(few, sd, SHARE) <= 1.13 < rules.smallest_ratio(few - 1, sd, SHARE)
    assert rules.seeds_needed(1 / 1.13, sd, SHARE) == few
    assert rules.seeds_needed(1.01, sd, SHARE) is None


def test_the_contrasts_are_those_of_the_protocol():
    names = {name.split("@")[0].split("|")[0] for one in rules.CONTRASTS for name in one.weights}
    assert names <= set(list_models())
    assert all(sum(one.weights.values()) == 0 for one in rules.CONTRASTS)
    assert (len(rules.CONTRASTS), rules.FAMILY) == (20, 16)
