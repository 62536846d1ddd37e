"""What a test set of n images can say, and what runs with several seeds can say.

An error rate is `errors / n`, a binomial proportion. The first half of this module speaks of the sampling of *images*:
intervals, tests of two rates, which n a printed rate allows. It knows nothing of how much a network's rate moves from
one training seed to the next, which only repeated training can show: the second half, from `BlockDesign` on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf, sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from scipy.stats import t as student
from statsmodels.formula.api import ols
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
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


def possible_counts(rate_percent: float | str, n: int, decimals: int = 2) -> range:
    """Every number of errors k for which 100 k / n, rounded to `decimals`, is the rate; empty when there is none.

    Whole-number arithmetic throughout. A value that lies exactly half-way counts for both neighbours, since printed
    tables use either rule. Raises ValueError for a rate outside 0..100 or with more decimals than `decimals`.
    """
    units = Decimal(str(rate_percent)).scaleb(decimals)
    if not 0 <= units <= 100 * 10**decimals or units != int(units):
        raise ValueError(f"{rate_percent} is not a percentage from 0 to 100 with at most {decimals} decimals")
    # |100 k/n - r| <= half a unit, times 2 n 10^decimals:  (2u - 1) n <= 200 k 10^decimals <= (2u + 1) n
    scale = 200 * 10**decimals
    low = -((1 - 2 * int(units)) * n // scale)
    high = (2 * int(units) + 1) * n // scale
    return range(max(low, 0), min(high, n) + 1)


def impossible_rates(rates_percent: Iterable[float | str], n: int, decimals: int = 2) -> list[float | str]:
    """The rates that no whole number of errors among n images rounds to, in the order given."""
    return [rate for rate in rates_percent if not possible_counts(rate, n, decimals)]


def possible_test_sizes(rates_percent: Sequence[float | str], sizes: Iterable[int], decimals: int = 2) -> list[int]:
    """The sizes n that could have produced every one of the printed rates.

    The GRIM test of Brown and Heathers, Soc. Psychol. Personal. Sci. 8, 2017, with n as the unknown. Meaningful while
    a step of one image, 100 / n, is not much finer than the last printed digit.
    """
    return [n for n in sizes if not impossible_rates(rates_percent, n, decimals)]


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
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"wrong": np.asarray(wrong, dtype=float), "label": labels, "group": groups})
    per_species = []
    for _, images in frame.groupby("label"):
        units = images.groupby("group")["wrong"].agg(["sum", "size"]).to_numpy()
        times = rng.multinomial(max(len(units) - 1, 1), np.full(len(units), 1 / len(units)), size=draws)
        failed, shown = (times @ units).T
        per_species.append(failed / shown)
    return np.mean(per_species, axis=0)


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean over images and its 95 % interval (percentile bootstrap, the same resamples on every call)."""
    mean = float(np.mean(values))
    if np.ptp(values) == 0:
        return mean, mean, mean
    rng = np.random.default_rng(0)
    found = bootstrap((values,), np.mean, n_resamples=2000, method="percentile", rng=rng, batch=200)
    return mean, float(found.confidence_interval.low), float(found.confidence_interval.high)


@dataclass(frozen=True)
class Ratio:
    """The ratio of two errors with its 95 % interval, its 90 % interval, and the p-value of a ratio of 1."""

    ratio: float
    low: float
    high: float
    low90: float
    high90: float
    p: float

    def within(self, margin: float) -> bool:
        """Whether the errors are alike: two one-sided tests at 5 % against 1 / margin and margin (Schuirmann 1987)."""
        return 1 / margin < self.low90 and self.high90 < margin


class BlockDesign:
    """log error = model + seed + rest, by least squares over runs: a randomised block design, seeds as blocks.

    `runs` has a row per run with model, seed, wrong (images) and n. All models of a seed share the split, so what a
    split makes hard for all of them cancels; the rest is what training and test images do to a difference between
    models, pooled over all models. A contrast is the mean over the seeds that its models share, so that runs of other
    models move its interval, through the noise, and not its middle; where all have the same seeds, that is what least
    squares give. The logarithm is of (wrong + 1/2) / (n + 1). Raises ValueError where no two models share two seeds,
    since then there is no rest to measure noise by.
    """

    def __init__(self, runs: pd.DataFrame):
        table = runs.assign(log_error=np.log((runs["wrong"] + 0.5) / (runs["n"] + 1)))
        self._log_errors = table.pivot(index="seed", columns="model", values="log_error")
        self._fit = ols("log_error ~ 0 + C(model) + C(seed)", table).fit()
        if self._fit.df_resid < 1:
            raise ValueError("too few runs share a seed with others: noise can not be told, run more seeds")

    @property
    def degrees_of_freedom(self) -> int:
        """Of the rest."""
        return int(self._fit.df_resid)

    @property
    def noise(self) -> float:
        """Standard deviation of the rest: about the relative error of one run's error, 0.1 being 10 %."""
        return float(np.sqrt(self._fit.mse_resid))

    def ratio(self, first: str, second: str, *, least_sd: float = 0.0) -> Ratio:
        """Error of the first model over that of the second; `least_sd` as in `contrast`."""
        return self.contrast({first: 1, second: -1}, least_sd=least_sd)

    def contrast(self, weights: Mapping[str, int], *, least_sd: float = 0.0) -> Ratio:
        """The product of the models' errors to the powers given: {a: 1, b: -1, c: -1, d: 1} is (a / b) / (c / d).

        `least_sd` is the standard deviation that its logarithm is known to have at least, as from the choice of test
        images: models of few errors have more of it than the noise of all. Raises ValueError where the models share no
        seed.
        """
        logs = (self._log_errors[list(weights)] * pd.Series(weights)).sum(axis=1, skipna=False).dropna()
        if logs.empty:
            raise ValueError(f"{', '.join(weights)} share no seed")
        sd = max(self.noise * sqrt(sum(weight**2 for weight in weights.values()) / len(logs)), least_sd)
        known = student(self.degrees_of_freedom, loc=logs.mean(), scale=sd)
        bounds = np.exp(known.ppf([0.025, 0.975, 0.05, 0.95]))
        return Ratio(float(np.exp(logs.mean())), *map(float, bounds), float(2 * min(known.cdf(0), known.sf(0))))

    def ratio_by_own_seeds(self, first: str, second: str) -> tuple[float, float, float]:
        """The same ratio with its 95 % interval by the noise of its own seeds, NaN where they share one only."""
        logs = (self._log_errors[first] - self._log_errors[second]).dropna()
        half = student.ppf(0.975, len(logs) - 1) * logs.sem()
        return tuple(np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist())

    def smallest_ratio(self, seeds: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
        """The smallest ratio above 1 that a design of these models with so many seeds, two or more, finds with that
        power, at the noise measured here."""
        quantiles = student.ppf([1 - alpha / 2, power], (len(self._log_errors.columns) - 1) * (seeds - 1)).sum()
        return float(np.exp(quantiles * self.noise * sqrt(2 / seeds)))


def holm(p: Sequence[float], family: int) -> np.ndarray:
    """Holm's p over a family of so many tests of which these were made; the others count as 1, so that a verdict does
    not depend on what has not been run yet. Raises ValueError where there are more than the family has."""
    if len(p) > family:
        raise ValueError(f"{len(p)} tests are more than the {family} of their family")
    return multipletests([*p, *[1.0] * (family - len(p))], method="holm")[1][: len(p)] if len(p) else np.array([])


def shared_seeds(runs: pd.DataFrame, models: Iterable[str]) -> int:
    """How many seeds all of these models were run with."""
    return len(set.intersection(*(set(runs.loc[runs["model"] == model, "seed"]) for model in models)))


def block_design(runs: pd.DataFrame) -> BlockDesign | None:
    """The block design of runs, or None where they are too few to tell the noise."""
    try:
        return BlockDesign(runs)
    except ValueError:
        return None


def ratio_of_rates(errors_a: int, n_a: int, errors_b: int, n_b: int, *, noise: float = 0.0) -> Ratio:
    """The ratio of two error rates of one run each, on unrelated images, by the normal distribution of its logarithm.

    `noise` is the standard deviation that training adds to the logarithm of one run's error (0: images alone count).
    """
    log_ratio = np.log((errors_a / n_a) / (errors_b / n_b))
    sd = sqrt(1 / errors_a - 1 / n_a + 1 / errors_b - 1 / n_b + 2 * noise**2)
    normal = NormalDist()
    bounds = [log_ratio + sign * normal.inv_cdf(level) * sd for level in (0.975, 0.95) for sign in (-1, 1)]
    p = 2 * (1 - normal.cdf(abs(log_ratio) / sd))
    return Ratio(float(np.exp(log_ratio)), *(float(np.exp(bound)) for bound in bounds), p)


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error, a share: the mean gap between the probability of a prediction and how often it is
    right, over `bins` bins of equally many images. Both arrays (n,).

    Nguyen and O'Connor, EMNLP 2015, for bins of equal mass.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(np.mean(probabilities[part]) - np.mean(right[part])) * len(part) for part in parts]
    return float(np.sum(gaps) / len(order))


def calibration_by_chance(probabilities: np.ndarray, *, draws: int = 100, seed: int = 0) -> tuple[float, float]:
    """The calibration error that a network with exactly these probabilities (n,) has on so many images, shares: mean
    and standard deviation over `draws` in which each prediction is right as often as its probability says."""
    chance = np.random.default_rng(seed)
    right = chance.random((draws, len(probabilities))) < probabilities
    errors = [calibration_error(probabilities, drawn) for drawn in right]
    return float(np.mean(errors)), float(np.std(errors))


def risk_by_coverage(probabilities: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """The error among the images a network is surest of: columns coverage and risk, shares, a row per image answered.

    Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017.
    """
    order = np.argsort(-np.asarray(probabilities), kind="stable")
    answered = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~np.asarray(right, dtype=bool)[order])
    return pd.DataFrame({"coverage": answered / len(order), "risk": wrong / answered})
