"""Which numbers of images could have given a printed error rate? The GRIM test, with the size as the unknown.

Brown and Heathers, Soc. Psychol. Personal. Sci. 8, 2017. Meaningful while a step of one image, 100 / n, is not much
finer than the last printed digit.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal


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
    """The sizes n that could have produced every one of the printed rates."""
    return [n for n in sizes if not impossible_rates(rates_percent, n, decimals)]
