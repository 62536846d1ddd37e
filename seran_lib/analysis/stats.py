"""What a test set of n images can say: intervals and tests of error rates, `errors / n`, binomial proportions.

They speak of the choice of *images*, and know nothing of how much a network's rate moves from one training seed to the
next; for that see `ratios`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from scipy.stats import t as student
from statsmodels.stats import contingency_tables
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize, proportions_ztest


def wilson(errors: float | np.ndarray, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of an error rate, as shares from 0 to 1 (arrays in, arrays out).

    Wilson, J. Am. Stat. Assoc. 22, 1927. Holds its level for the small rates of a top-5 error, where the textbook
    interval p +- 1.96 s does not. Counts that were divided by an `overdispersion` need not be whole. Raises ValueError
    when there are no images or more errors than images.
    """
    if n <= 0 or np.any(np.asarray(errors) > n) or np.any(np.asarray(errors) < 0):
        raise ValueError(f"{errors} errors among {n} images is not a rate: need 0 <= errors <= n and n > 0")
    low, high = proportion_confint(errors, n, alpha=1 - confidence, method="wilson")
    return low, high


def half_interval(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half the length of Student's interval of the mean of `values`; infinite for a single one."""
    if len(values) < 2:
        return inf
    return float(student.ppf((1 + confidence) / 2, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values)))


def overdispersion(errors: Sequence[int], n: Sequence[int], of: Sequence[str]) -> float:
    """How many times as much the error rates of several runs scatter, within each group `of`, as independent answers
    would: Pearson's statistic over its degrees of freedom, at least 1 (McCullagh and Nelder 1989, section 4.5)."""
    table = pd.DataFrame({"wrong": np.asarray(errors), "n": np.asarray(n), "of": np.asarray(of)})
    whole = table.groupby("of")[["wrong", "n"]].transform("sum")
    rate = whole["wrong"] / whole["n"]
    varied = (rate > 0) & (rate < 1)
    freedom = varied.sum() - table.loc[varied, "of"].nunique()
    if not freedom:
        return 1.0
    pearson = (table["wrong"] - table["n"] * rate)[varied] ** 2 / (table["n"] * rate * (1 - rate))[varied]
    return max(float(pearson.sum() / freedom), 1.0)


@dataclass(frozen=True)
class TwoProportions:
    """Difference of two error rates (share, first minus second), its z and its two-sided p-value."""

    difference: float
    z: float
    p: float


def two_proportion_test(errors_a: int, n_a: int, errors_b: int, n_b: int) -> TwoProportions:
    """Pooled z-test of two error rates measured on unrelated images.

    For two networks on the *same* images the paired test is McNemar's, and it needs the per-image answers. Without
    them this test is the cautious stand-in, as long as the networks tend to fail on the same images.
    """
    z, p = proportions_ztest([errors_a, errors_b], [n_a, n_b])
    return TwoProportions(errors_a / n_a - errors_b / n_b, float(z), float(p))


def resolvable_difference(
    n: int, p: float, discordance: float | None = None, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """The smallest fall in error, as a share, that a test on n images finds with probability `power`.

    Without `discordance`: two separate sets of n images, starting from error p (arcsine approximation). With it:
    McNemar's test on the same n images, where the two networks differ in being right on that share of them (Connor,
    Biometrics 43, 1987); p then only bounds what is possible. `power=0.5` asks what is just significant. Raises
    ValueError when two networks cannot disagree so often, or when even never failing would not be enough.
    """
    if discordance is None:
        effect = NormalIndPower().solve_power(nobs1=n, alpha=alpha, power=power, ratio=1, alternative="two-sided")
        if effect > proportion_effectsize(p, 0):
            raise ValueError(f"{n} images are too few to tell an error of {p} from an error of 0")
        return p - float(np.sin(np.arcsin(sqrt(p)) - effect / 2) ** 2)
    if not 0 < discordance <= 2 * p:
        raise ValueError(f"discordance {discordance} must be above 0 and at most twice the error {p}")
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    # Connor's n = (z_alpha sqrt(D) + z_power sqrt(D - d^2))^2 / d^2, solved for d
    root = z_alpha * sqrt(n) + z_power * sqrt(max(n - z_alpha**2 + z_power**2, 0))
    difference = sqrt(discordance) * root / (n + z_power**2)
    if difference > discordance:
        raise ValueError(f"{n} images are too few: a discordance of {discordance} leaves too few that decide")
    return difference


@dataclass(frozen=True)
class Paired:
    """Two networks on the same images: how many both got wrong, only the first, and only the second, and McNemar's p.

    `points` is the first error less the second in percentage points.
    """

    n: int
    both: int
    only_first: int
    only_second: int
    p: float

    @property
    def points(self) -> float:
        return 100 * (self.only_first - self.only_second) / self.n

    @property
    def sampling_sd(self) -> float:
        """How far `points` would move from one set of n such images to another: its standard deviation, in points."""
        disagree, difference = self.only_first + self.only_second, self.only_first - self.only_second
        return 100 * sqrt(max(disagree - difference**2 / self.n, 0)) / self.n

    @property
    def log_sd(self) -> float:
        """The same of the logarithm of the ratio of both errors, each with half an image more: a standard deviation."""
        first, second = self.both + self.only_first + 0.5, self.both + self.only_second + 0.5
        return sqrt((self.only_first + self.only_second) / (first * second))


def mcnemar(wrong_first: np.ndarray, wrong_second: np.ndarray) -> Paired:
    """McNemar's exact test on two arrays (n,) that say which of the same images each network got wrong.

    McNemar, Psychometrika 12, 1947. Raises ValueError for arrays of different lengths or without images.
    """
    first, second = np.asarray(wrong_first, dtype=bool), np.asarray(wrong_second, dtype=bool)
    if first.shape != second.shape or not first.size:
        raise ValueError(f"{first.size} and {second.size} answers: both networks must have answered the same images")
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    p = contingency_tables.mcnemar(table, exact=True).pvalue
    return Paired(first.size, int(table[0][0]), int(table[0][1]), int(table[1][0]), float(p))


def bootstrap_macro_error(
    wrong: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> np.ndarray:
    """The macro error (mean over species of the share that is wrong) in `draws` samples of groups, (draws,) shares.

    Efron's bootstrap by cluster: what is drawn again, species by species, are the groups (animals, occurrences,
    near-duplicate clusters), whose images stay together, because they fail together: of k groups k - 1, so that the
    spread is not too small where they are few (Rao and Wu, JASA 1988). All arrays are (n,).
    """
    frame = pd.DataFrame({"wrong": np.asarray(wrong, dtype=float), "label": labels, "group": groups})
    units = [
        images.groupby("group")["wrong"].agg(["sum", "size"]).to_numpy(float) for _, images in frame.groupby("label")
    ]
    times = _times_drawn(tuple(map(len, units)), draws, seed)
    failed, shown = np.transpose([drawn @ mine for drawn, mine in zip(times, units, strict=True)], (2, 0, 1))
    return np.mean(failed / shown, axis=0)


@lru_cache(maxsize=4)
def _times_drawn(groups: tuple[int, ...], draws: int, seed: int) -> list[np.ndarray]:
    """For each species how often each of its groups is drawn in each sample, (draws, groups); the same for every run on
    the same test images. Of floats, which are multiplied far faster."""
    rng = np.random.default_rng(seed)
    return [rng.multinomial(max(k - 1, 1), np.full(k, 1 / k), size=draws).astype(float) for k in groups]


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over images and its 95 % interval (percentile bootstrap, the same resamples on every call)."""
    mean = float(np.mean(values))
    if np.ptp(values) == 0:
        return mean, mean, mean
    rng = np.random.default_rng(0)
    found = bootstrap((values,), np.mean, n_resamples=2000, method="percentile", rng=rng, batch=200)
    return mean, float(found.confidence_interval.low), float(found.confidence_interval.high)
