"""What a test set of n images can say: intervals, tests of two error rates, and which n a printed rate allows.

An error rate is `errors / n`, a binomial proportion. All of this speaks of the sampling of *images*. It knows nothing
of how much a network's rate moves from one training seed to the next, which only repeated training can show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt
from statistics import NormalDist

import numpy as np
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize, proportions_ztest


def wilson(errors: int | np.ndarray, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of an error rate, as shares from 0 to 1 (arrays in, arrays out).

    Wilson, J. Am. Stat. Assoc. 22, 1927. Holds its level for the small rates of a top-5 error, where the textbook
    interval p +- 1.96 s does not. Raises ValueError when there are no images or more errors than images.
    """
    if n < 1 or np.any(np.asarray(errors) > n) or np.any(np.asarray(errors) < 0):
        raise ValueError(f"{errors} errors among {n} images is not a rate: need 0 <= errors <= n and n >= 1")
    low, high = proportion_confint(errors, n, alpha=1 - confidence, method="wilson")
    return low, high


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
