"""From scores to an answer: the species where the network is sure enough, else its group, else unknown.

Only numpy is needed: the same few lines set the promise when a bundle is made, and keep it when pictures are named.
"""

import numpy as np

SPECIES, GROUP, UNKNOWN = range(3)
NEVER = np.inf  # a threshold that no probability reaches


def probabilities(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities (n, classes) of scores (n, classes): softmax of the scores over the temperature."""
    shifted = scores.astype(float) / temperature
    shifted -= shifted.max(axis=1, keepdims=True)
    shares = np.exp(shifted)
    return shares / shares.sum(axis=1, keepdims=True)


def group_sums(shares: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Probability of each group, (n, number of groups), of probabilities (n, classes) and the group number of each
    class (classes,), -1 where it has none."""
    members = groups[:, None] == np.arange(groups.max(initial=-1) + 1)
    return shares @ members


def decide(
    shares: np.ndarray, groups: np.ndarray, species_least: np.ndarray, group_least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The level of each answer (n,), and the number of its species or group (n,), -1 for unknown.

    `shares` are calibrated probabilities (n, classes), `species_least` the least probability (classes,) at which each
    species is named, `group_least` the same for any group; `NEVER` where it is not to be named.
    """
    rows = np.arange(len(shares))
    levels, chosen = np.full(len(shares), UNKNOWN), np.full(len(shares), -1)
    sums = group_sums(shares, groups)
    if sums.shape[1]:
        best = sums.argmax(axis=1)
        grouped = sums[rows, best] >= group_least
        levels[grouped], chosen[grouped] = GROUP, best[grouped]
    best = shares.argmax(axis=1)
    named = shares[rows, best] >= species_least[best]
    levels[named], chosen[named] = SPECIES, best[named]
    return levels, chosen
