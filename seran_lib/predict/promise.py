"""The promise: of the pictures that get a name, at most the asked share is named wrongly, with 95 % confidence.

A threshold is chosen on validation images by fixed-sequence testing (Angelopoulos, Bates, Candès, Jordan and Lei,
"Learn then Test", 2021, arXiv:2110.01052, algorithm 1): thresholds are tried from the surest down, each by the exact
binomial test whose limit is that of Clopper and Pearson (1934), until one fails; the search has `STARTS` beginnings,
and each test its share of the 5 %. The list of thresholds is fixed before any picture is seen. A species that the
network named often enough on validation images has a threshold of its own where one is found, the others share one;
what stays without a species may get a group, by one more threshold. Each of these promises holds by itself.
"""

import numpy as np
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from seran_lib.predict.rules import GROUP, NEVER, SPECIES, decide, group_sums

RISKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)  # that a bundle has thresholds for
CONFIDENCE = 0.95
STARTS = 3
STEPS = 8  # thresholds between doubt x and doubt 2x
LOOK_ALIKE = 0.05  # of the pictures of two species: confused so often, they are look-alikes


def grid(risk: float) -> np.ndarray:
    """The probabilities tried for a risk, falling to 0: from a doubt (1 - probability) of a quarter of the risk on."""
    doubts = risk * 2 ** np.arange(-(STARTS - 1), np.log2(1 / risk), 1 / STEPS)
    return 1 - np.append(doubts, 1.0)


def lowest_threshold(sure: np.ndarray, right: np.ndarray, risk: float) -> float:
    """The lowest probability of `grid` above which at most a share `risk` is wrong, with 95 % confidence.

    `sure` (n,) are the probabilities of the answers, `right` (n,) bool whether they are right. `NEVER` where nothing is
    shown: one needs at least 80 pictures without an error for a risk of 5 %.
    """
    tried = grid(risk)
    answered = sure[:, None] >= tried
    wrong = (answered & ~right[:, None]).sum(axis=0)
    passed = binom.cdf(wrong, answered.sum(axis=0), risk) <= (1 - CONFIDENCE) / STARTS
    found = NEVER
    for start in range(0, STARTS * STEPS, STEPS):
        failing = np.flatnonzero(~passed[start:])
        end = start + (failing[0] if len(failing) else len(tried) - start)
        if end > start:
            found = min(found, tried[end - 1])
    return float(found)


def fit_thresholds(
    shares: np.ndarray, targets: np.ndarray, groups: np.ndarray, risk: float
) -> tuple[np.ndarray, float]:
    """Least probabilities for a species (classes,) and for a group, as `rules.decide` takes them.

    Of validation images: calibrated probabilities (n, classes), class numbers (n,), and the group number of each class
    (classes,), -1 where it has none.
    """
    named, sure = shares.argmax(axis=1), shares.max(axis=1)
    right, classes = named == targets, shares.shape[1]

    def search(members: np.ndarray) -> float:
        mine = np.isin(named, members)
        return lowest_threshold(sure[mine], right[mine], risk)

    enough = 2 * np.log((1 - CONFIDENCE) / STARTS) / np.log(1 - risk)  # twice what suffices without an error
    many = np.bincount(named, minlength=classes) >= enough
    species_least = np.array([search(k) if many[k] else NEVER for k in range(classes)])
    others = np.flatnonzero(species_least == NEVER)
    species_least[others] = search(others)
    group_least = NEVER
    if groups.max(initial=-1) >= 0:
        left = decide(shares, groups, species_least, NEVER)[0] != SPECIES
        sums = group_sums(shares, groups)[left]
        group_least = lowest_threshold(sums.max(axis=1), sums.argmax(axis=1) == groups[targets[left]], risk)
    return species_least, group_least


def look_alikes(shares: np.ndarray, targets: np.ndarray, classes: list[str]) -> list[str]:
    """For every class the name of its group of look-alikes, empty where it has none.

    Two species are look-alikes where validation images (probabilities (n, classes), class numbers (n,)) are confused at
    least twice, and at least one in twenty of theirs; so are the look-alikes of look-alikes.
    """
    count = len(classes)
    confused = np.zeros((count, count), dtype=int)
    np.add.at(confused, (targets, shares.argmax(axis=1)), 1)
    images = np.bincount(targets, minlength=count)
    both = np.triu(confused + confused.T, 1)
    group = np.arange(count)
    for one, other in np.argwhere((both >= 2) & (both >= LOOK_ALIKE * (images[:, None] + images))):
        group[group == group[other]] = group[one]
    members = [[name for name, mine in zip(classes, group, strict=True) if mine == own] for own in group]
    return [" / ".join(names) if len(names) > 1 else "" for names in members]


def share_with_interval(count: int, of: int) -> dict[str, object]:
    """A share with Wilson's interval of 95 %: share, low, high, count, of; None where there is nothing to count."""
    low, high = proportion_confint(count, of, method="wilson") if of else (None, None)
    rounded = [None if value is None else round(float(value), 4) for value in (count / of if of else None, low, high)]
    return dict(zip(("share", "low", "high"), rounded, strict=True)) | {"count": int(count), "of": int(of)}


def kept_promises(
    shares: np.ndarray, targets: np.ndarray, groups: np.ndarray, thresholds: dict[float, tuple[np.ndarray, float]]
) -> list[dict[str, object]]:
    """What became of the promises on test images, a row for each risk and level: how many pictures were answered, how
    many of these answers are wrong, both with interval, and a verdict.

    "kept" where at most the risk is wrong, "broken" where the interval lies above it, and "above, within chance"
    between the two. `shares` (n, classes) are calibrated probabilities, `targets` (n,) class numbers.
    """
    rows = []
    for risk, (species_least, group_least) in thresholds.items():
        levels, chosen = decide(shares, groups, species_least, group_least)
        for level, truth in ((SPECIES, targets), (GROUP, groups[targets])):
            mine = levels == level
            if level == GROUP and groups.max(initial=-1) < 0:
                continue
            wrong = share_with_interval((chosen != truth)[mine].sum(), mine.sum())
            verdict = "nothing promised"
            if mine.any():
                verdict = "kept" if wrong["share"] <= risk else "above, within chance"
                verdict = "broken" if wrong["low"] > risk else verdict
            answered = share_with_interval(mine.sum(), len(mine))
            rows.append({"risk": risk, "level": level, "answered": answered, "wrong": wrong, "verdict": verdict})
    return rows
