"""Numbers as the cells of tables print them."""

import pandas as pd

from seran_lib.analysis.ratios import Ratio
from seran_lib.nets.specs import label
from seran_lib.paper import facts


def interval(middle: float, low: float, high: float) -> str:
    """A number with its interval, where it has one, as tables print it; empty where there is no number."""
    return " ".join(filter(None, ["" if pd.isna(middle) else f"{middle:.2f}", bounds(low, high)]))


def bounds(low: float, high: float) -> str:
    """An interval alone as tables print it; empty where there is none."""
    return "" if pd.isna(low) else f"[{low:.2f}, {high:.2f}]"


def p_text(p: float) -> str:
    """A p as tables print it; empty where there is none."""
    return "" if pd.isna(p) else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def ratio_text(ratio: Ratio) -> str:
    """A ratio of errors with its 95 % interval as tables print it."""
    return interval(ratio.ratio, ratio.low, ratio.high)


def error_cell(row: pd.Series) -> str:
    """The error of `errors.mean_errors` in percent, mean and standard deviation over seeds; one seed has none."""
    return f"{row['error']:.1f}" + (f" ± {row['sd']:.1f}" if row["seeds"] > 1 else "")


def quoted_error(model: str) -> str:
    """The paper's own top-1 error in percent: on its test set; for the variants of Table 2, on its validation set."""
    tested, validated = facts.table1(), facts.table2()
    if model in tested.index:
        return f"{tested.loc[model, 'test_top1']:.2f}"
    return f"{validated.loc[model, 'valid_top1']:.2f} (validation)"


def ratio_name(worse: str, better: str) -> str:
    """The ratio of two models' errors in words."""
    return f"{label(worse)} / {label(better)}"
