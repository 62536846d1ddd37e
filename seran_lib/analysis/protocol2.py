"""The rules of protocol 2 (docs/protocol/2.md, sections 4 to 6) on plain arrays: interval, verdict, power.

Errors enter as `log_error`, one number a run. A contrast is a weighted sum of them at each seed: +1 and -1 for a ratio
of two networks, +1, -1, -1 and +1 for a ratio of ratios.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import bartlett
from scipy.stats import t as student

from seran_lib.analysis.protocol import LEVEL, NOT_RUN, SEEDS_NEEDED
from seran_lib.analysis.ratios import Ratio

SUPPORTED, REFUTED, UNDERPOWERED, NOT_TESTABLE = "supported", "refuted", "underpowered", "not testable here"
MARGINS = (1.05, 1.10, 1.15, 1.20, 1.25, 1.30)
HEADLINE = 1.15  # the margin of headlines
EQUAL = 0.10  # from this p of Bartlett's test on, noise is pooled
RISE = 1.05  # a last validation loss so many times the lowest is over-fitting
POWER = 0.8
MORE, ALIKE, REPORTED = "errs more", "alike", "two-sided, reported"  # kinds of contrasts


@dataclass(frozen=True)
class Contrast:
    """One row of section 5: `weights` of the log errors of networks, and what is claimed of their ratio."""

    claim: str
    weights: Mapping[str, int]
    kind: str = MORE


def _ratio(claim: str, first: str, second: str, kind: str = MORE) -> Contrast:
    return Contrast(claim, {first: 1, second: -1}, kind)


# "@24" is a run of so many epochs instead of 8, "|mimics" and "|others" are the errors within mimics and elsewhere.
CONTRASTS = (
    _ratio("C1", "seran_d_no_se", "seran_d"),
    _ratio("C1", "seran_d_no_attention", "seran_d"),
    _ratio("C1", "seran_d_plain", "seran_d_no_attention"),
    _ratio("C1", "seran_d_plain", "seran_d_no_se"),
    Contrast(
        "C1", {"seran_d_no_se": 1, "seran_d": -1, "seran_d_plain": -1, "seran_d_no_attention": 1}, REPORTED
    ),
    _ratio("C1", "seran_d_no_mask", "seran_d"),
    _ratio("C2", "seran_d_avg_pool", "seran_d"),
    _ratio("C3", "seran", "seran_d", ALIKE),
    _ratio("C4", "seran_d", "senet154", ALIKE),
    *(_ratio("T1", rival, ours) for ours in ("seran_d", "seran") for rival in ("attention92", "se_resnet101")),
    *(_ratio("T1", "resnet101", better) for better in ("attention92", "se_resnet101", "seran_d")),
    _ratio("T1", "resnet152", "seran_d"),
    _ratio("T1", "resnet101", "seran_d_plain", REPORTED),
    Contrast("C5", {"resnet101": 1, "seran_d": -1, "resnet101@24": -1, "seran_d@24": 1}),
    Contrast(
        "C8",
        {"seran_d_no_se|mimics": 1, "seran_d|mimics": -1, "seran_d_no_se|others": -1, "seran_d|others": 1},
    ),
)  # fmt: skip
FAMILY = sum(contrast.kind == MORE for contrast in CONTRASTS)  # Holm's, over both sets, run or not


def log_error(wrong: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The logarithm of an error rate that is defined without errors, too."""
    return np.log((np.asarray(wrong) + 0.5) / (np.asarray(n) + 1))


def differences(log_errors: Mapping[str, np.ndarray], weights: Mapping[str, int]) -> np.ndarray:
    """d_j of the seeds that all networks of a contrast have; `log_errors` are (seeds,) each, NaN where not run."""
    found = sum(weight * np.asarray(log_errors[name], dtype=float) for name, weight in weights.items())
    return found[~np.isnan(found)]


@dataclass(frozen=True)
class Noise:
    """What one run's log error has of it: a standard deviation, its degrees of freedom, and p of Bartlett's test of
    equal variances of all networks."""

    sd: float
    freedom: int
    p: float

    @property
    def pooled(self) -> bool:
        """Whether every contrast of the set stands on it, rather than on its own seeds."""
        return self.p >= EQUAL


def pooled_noise(log_errors: np.ndarray) -> Noise:
    """The rest of log error = network + seed by least squares, (networks, seeds) with NaN where not run."""
    networks, seeds = np.nonzero(~np.isnan(log_errors))
    design = np.hstack([networks[:, None] == np.unique(networks), seeds[:, None] == np.unique(seeds)[1:]]).astype(float)
    values = log_errors[networks, seeds]
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    freedom = len(values) - np.linalg.matrix_rank(design)
    groups = [rest[networks == network] for network in np.unique(networks) if (networks == network).sum() > 1]
    return Noise(float(sqrt(rest @ rest / freedom)), int(freedom), float(bartlett(*groups).pvalue))


def interval(
    d: np.ndarray, test_share: float, *, sd: float | None = None, freedom: int | None = None, least_sd: float = 0.0
) -> Ratio:
    """exp(mean(d) +- t s sqrt(1/J + n_test/n_train)), the corrected resampled t-test of Nadeau and Bengio (2003).

    `test_share` is n_test/n_train. `sd` of d and its degrees of freedom are those of its own J seeds unless they are
    given: of pooled `Noise` of runs that is sd times the root of the sum of squared weights. `least_sd` is the standard
    deviation of mean(d) that the choice of test images alone makes. Raises ValueError for a single seed without `sd`.
    """
    d = np.asarray(d, dtype=float)
    if sd is None or freedom is None:
        if len(d) < 2:
            raise ValueError("a single seed has no noise of its own: give sd and freedom, or run more seeds")
        sd, freedom = float(d.std(ddof=1)), len(d) - 1
    scale = max(sd * sqrt(1 / len(d) + test_share), least_sd)
    known = student(freedom, loc=d.mean(), scale=scale)
    bounds = np.exp(known.ppf([0.025, 0.975, 0.05, 0.95]))
    return Ratio(float(np.exp(d.mean())), *map(float, bounds), float(2 * min(known.cdf(0), known.sf(0))))


def decide(kind: str, ratio: Ratio, holm: float, margin: float = HEADLINE) -> str:
    """The verdict on one contrast by section 6; Holm's p is not asked for errors that are claimed to be alike."""
    apart = ratio.low > margin or ratio.high < 1 / margin
    if kind == ALIKE:
        return SUPPORTED if ratio.within(margin) else REFUTED if apart else UNDERPOWERED
    if kind == REPORTED:
        return ""
    if ratio.low > 1 and holm < LEVEL:
        return SUPPORTED
    contrary = ratio.high < 1 and holm < LEVEL
    return REFUTED if contrary or ratio.within(margin) else UNDERPOWERED


def by_margin(kind: str, ratio: Ratio, holm: float) -> dict[float, str]:
    """The verdict for each of `MARGINS`."""
    return {margin: decide(kind, ratio, holm, margin) for margin in MARGINS}


def of_claim(verdicts: Collection[str]) -> str:
    """The verdict on a claim with several contrasts: supported where all are, refuted where one is."""
    said = {verdict for verdict in verdicts if verdict}  # of those that are reported only, nothing is said
    if len(said) == 1:
        return said.pop()
    return next(verdict for verdict in (REFUTED, NOT_TESTABLE, NOT_RUN, UNDERPOWERED) if verdict in said)


def decide_overfitting(without: Sequence[float], alone: Sequence[float]) -> str:
    """C6, from the last validation loss over the lowest of each seed, without attention and with attention alone."""
    if min(len(without), len(alone)) < SEEDS_NEEDED:
        return NOT_RUN
    first, second = ([rise >= RISE for rise in rises] for rises in (without, alone))
    if all(first) and not any(second):
        return SUPPORTED
    return REFUTED if not any(first) or all(second) else UNDERPOWERED


def decide_localisation(low: Sequence[float], high: Sequence[float]) -> str:
    """C7 for one reading of attention, from the interval of each seed's gain over random weights."""
    if len(low) < SEEDS_NEEDED:
        return NOT_RUN
    if min(low) > 0:
        return SUPPORTED
    return REFUTED if max(high) < 0 else UNDERPOWERED


def smallest_ratio(seeds: int, sd: float, test_share: float, *, freedom: int | None = None) -> float:
    """The smallest ratio above 1 that so many seeds find in four of five studies at level 0.05, without Holm.

    `sd` is of d; its degrees of freedom are seeds - 1 unless `freedom` says those of pooled noise.
    """
    quantiles = student.ppf([1 - LEVEL / 2, POWER], seeds - 1 if freedom is None else freedom).sum()
    return float(np.exp(quantiles * sd * sqrt(1 / seeds + test_share)))


def seeds_needed(
    ratio: float, sd: float, test_share: float, *, freedom: int | None = None, most: int = 1000
) -> int | None:
    """The fewest seeds that find a ratio, above or below 1, in four of five studies; None where `most` do not suffice,
    as seeds that share training images never tell everything."""
    asked = max(ratio, 1 / ratio)
    enough = (k for k in range(2, most + 1) if smallest_ratio(k, sd, test_share, freedom=freedom) <= asked)
    return next(enough, None)
