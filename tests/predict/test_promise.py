"""The promise holds on simulated networks whose true risk is known, and says so where it does not."""

import numpy as np
import pytest

from seran_lib.predict.promise import fit_thresholds, kept_promises, look_alikes, lowest_threshold
from seran_lib.predict.rules import GROUP, NEVER, SPECIES, UNKNOWN, decide, group_sums, probabilities

NO_GROUPS = np.array([-1, -1, -1])


def calibrated(sure):
    return sure


def too_sure(sure):
    return sure**3


def always_above(sure):
    """As bad as can be: whatever the threshold, a little more than one in ten is wrong."""
    return np.full_like(sure, 0.899)


@pytest.mark.parametrize("chance_right", [calibrated, too_sure, always_above])
@pytest.mark.parametrize("images", [100, 600])
def test_the_risk_is_at_most_the_asked_one_in_95_of_100_draws(chance_right, images):
    rng = np.random.default_rng(5)
    many = rng.beta(4, 0.5, size=200_000)
    draws, broken, answers = 400, 0, 0
    for _ in range(draws):
        sure = rng.beta(4, 0.5, size=images)
        least = lowest_threshold(sure, rng.random(images) < chance_right(sure), 0.1)
        if least < NEVER:
            answers += 1
            broken += 1 - chance_right(many[many >= least]).mean() > 0.1
    assert broken <= 0.05 * draws
    if images == 600 and chance_right is calibrated:
        assert answers > 0.9 * draws


def test_more_pictures_answer_more():
    """Calibrated as above, one in five pictures is wrong; the best threshold for 10 % names about three in four."""
    rng = np.random.default_rng(0)
    coverage = []
    for images in (300, 3_000, 30_000):
        sure = rng.beta(4, 1, size=images)
        coverage.append(np.mean(sure >= lowest_threshold(sure, rng.random(images) < sure, 0.1)))
    assert coverage == sorted(coverage) and coverage[-1] > 0.5


def test_too_few_pictures_promise_nothing():
    """0.95^79 > 0.05 / 3 >= 0.95^80: without an error 80 pictures are needed for 5 %."""
    assert lowest_threshold(np.full(79, 0.999), np.full(79, True), 0.05) == NEVER
    assert lowest_threshold(np.full(80, 0.999), np.full(80, True), 0.05) == 0
    assert lowest_threshold(np.array([]), np.array([], dtype=bool), 0.05) == NEVER


def simulated(images, seed=0):
    """Three species of which the last two are often taken for each other: probabilities (n, 3) and the truth (n,)."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(3, size=images)
    scores = rng.normal(scale=0.7, size=(images, 3))
    scores[np.arange(images), targets] += 2
    scores[:, 1:] += np.where(targets > 0, 3, 0)[:, None]
    return probabilities(scores, 0.5), targets


def test_a_species_with_many_pictures_has_a_threshold_of_its_own_and_doubt_becomes_a_group():
    shares, targets = simulated(20_000)
    groups = np.array([-1, 0, 0])
    species_least, group_least = fit_thresholds(shares, targets, groups, 0.02)
    assert species_least[0] < min(species_least[1:]) and group_least < NEVER
    levels, chosen = decide(shares, groups, species_least, group_least)
    assert (levels == GROUP).any() and (chosen[levels == GROUP] == 0).all()
    pooled, _ = fit_thresholds(shares[:300], targets[:300], groups, 0.05)
    assert len(set(pooled)) == 1


@pytest.mark.parametrize("risk", [0.03, 0.1])
def test_species_and_groups_keep_the_risk_together(risk):
    """Thresholds of 300 pictures, judged by 50,000 others, 200 times over."""
    groups, (many, truth) = np.array([-1, 0, 0]), simulated(50_000, seed=99)
    broken = {SPECIES: 0, GROUP: 0}
    for draw in range(200):
        levels, chosen = decide(many, groups, *fit_thresholds(*simulated(300, seed=draw), groups, risk))
        for level, right in ((SPECIES, chosen == truth), (GROUP, chosen == groups[truth])):
            mine = levels == level
            broken[level] += mine.any() and np.mean(~right[mine]) > risk
    assert max(broken.values()) <= 10


def test_what_became_of_the_promise_is_reported():
    shares, targets = simulated(3_000)
    fresh, truth = simulated(3_000, seed=1)
    fitted = {risk: fit_thresholds(shares, targets, np.array([-1, 0, 0]), risk) for risk in (0.05, 0.1)}
    rows = kept_promises(fresh, truth, np.array([-1, 0, 0]), fitted)
    assert [(row["risk"], row["level"]) for row in rows] == [
        (0.05, SPECIES), (0.05, GROUP), (0.1, SPECIES), (0.1, GROUP)
    ]  # fmt: skip
    assert {row["verdict"] for row in rows} <= {"kept", "above, within chance", "nothing promised"}
    named = decide(fresh, np.array([-1, 0, 0]), *fitted[0.05])[0] == SPECIES
    assert rows[0]["answered"]["count"] == named.sum()
    assert rows[0]["wrong"]["count"] == (fresh.argmax(axis=1) != truth)[named].sum()
    others = np.random.default_rng(0).permutation(truth)  # pictures of which nothing is known
    assert {row["verdict"] for row in kept_promises(fresh, others, NO_GROUPS, fitted)} == {"broken"}
    never = {0.05: (np.full(3, NEVER), NEVER)}
    assert [row["verdict"] for row in kept_promises(fresh, truth, NO_GROUPS, never)] == ["nothing promised"]


def test_look_alikes_are_what_is_confused():
    targets = np.repeat([0, 1, 2, 3], 20)
    said = targets.copy()
    said[[20, 21, 40]] = [2, 2, 1]  # three of 40
    said[60] = 0  # a single picture is no rule
    assert look_alikes(np.eye(4)[said], targets, list("abcd")) == ["", "b / c", "b / c", ""]


def test_decisions_by_hand():
    shares = np.array([[0.9, 0.05, 0.05], [0.1, 0.5, 0.4], [0.4, 0.3, 0.3], [0.2, 0.8, 0.0]])
    groups = np.array([-1, 0, 0])
    assert group_sums(shares, groups)[:, 0] == pytest.approx([0.1, 0.9, 0.6, 0.8])
    levels, chosen = decide(shares, groups, np.array([0.9, 0.8, NEVER]), 0.7)
    assert levels.tolist() == [SPECIES, GROUP, UNKNOWN, SPECIES] and chosen.tolist() == [0, 0, -1, 1]
    assert decide(shares, NO_GROUPS, np.zeros(3), NEVER)[0].tolist() == [SPECIES] * 4
