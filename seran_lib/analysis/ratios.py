"""Ratios of errors with intervals, from runs with several seeds: a block design, and Holm's p over many tests."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.formula.api import ols


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

    `runs` has a row per run with the columns `by` (what is compared: models, or models under conditions), seed, wrong
    (images) and n. All models of a seed share the split, so what a split makes hard for all of them cancels; the
    rest is what training and test images do to a difference between models, pooled over all models. A contrast is the
    mean over the seeds that its models share, so that runs of other models move its interval, through the noise, and
    not its middle; where all have the same seeds, that is what least squares give. The logarithm is of
    (wrong + 1/2) / (n + 1). Raises ValueError where no two models share two seeds, since then there is no rest to
    measure noise by.
    """

    def __init__(self, runs: pd.DataFrame, by: str | list[str] = "model"):
        table = runs.assign(log_error=np.log((runs["wrong"] + 0.5) / (runs["n"] + 1)), arm=runs.groupby(by).ngroup())
        self._log_errors = table.pivot(index="seed", columns=by, values="log_error")
        self._fit = ols("log_error ~ 0 + C(arm) + C(seed)", table).fit()
        if self._fit.df_resid < 1:
            raise ValueError("too few runs share a seed with others: the noise is unknown, run more seeds")

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

    def contrast(self, weights: Mapping[Hashable, int], *, least_sd: float = 0.0) -> Ratio:
        """The product of the models' errors to the powers given: {a: 1, b: -1, c: -1, d: 1} is (a / b) / (c / d). With
        several columns `by`, each of a to d is a tuple of their values.

        `least_sd` is the standard deviation that its logarithm is known to have at least, as from the choice of test
        images: models of few errors have more of it than the noise of all. Raises ValueError where the models share no
        seed.
        """
        logs = (self._log_errors[list(weights)] * pd.Series(weights)).sum(axis=1, skipna=False).dropna()
        if logs.empty:
            raise ValueError(f"{', '.join(map(str, weights))} share no seed")
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


def block_design(runs: pd.DataFrame) -> BlockDesign | None:
    """The block design of runs, or None where they are too few to tell the noise."""
    try:
        return BlockDesign(runs)
    except ValueError:
        return None


def shared_seeds(runs: pd.DataFrame, models: Iterable[Hashable], by: str | list[str] = "model") -> int:
    """How many seeds all of these models were run with; `models` and `by` as in `BlockDesign`."""
    seeds = {model: set(mine) for model, mine in runs.groupby(by)["seed"]}
    return len(set.intersection(*(seeds.get(model, set()) for model in models)))


def holm(p: Sequence[float], family: int) -> np.ndarray:
    """Holm's p over a family of so many tests of which these were made; the others count as 1, so that a verdict does
    not depend on what has not been run yet. Raises ValueError where there are more than the family has."""
    if len(p) > family:
        raise ValueError(f"{len(p)} tests are more than the {family} of their family")
    # In place of statsmodels' multipletests, which collects all garbage at every call: 0.3 s beside torch.
    rising = np.argsort(p, kind="stable")
    corrected = np.maximum.accumulate(np.asarray(p, dtype=float)[rising] * np.arange(family, family - len(p), -1))
    return np.minimum(corrected, 1)[np.argsort(rising)]


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
