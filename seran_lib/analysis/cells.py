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


def quoted_errors(model: str) -> dict[str, str]:
    """The paper's own top-1 errors in percent, on its test and its validation images, empty where it has none. Its
    Table 2 is of validation images, so the two must not stand in one column."""
    tested, validated = facts.table1()["test_top1"], pd.concat([facts.table1(), facts.table2()])["valid_top1"]
    found = {"paper, test": tested.get(model), "paper, validation": validated.groupby(level=0).first().get(model)}
    return {name: "" if pd.isna(value) else f"{value:.2f}" for name, value in found.items()}


def ratio_name(worse: str, better: str) -> str:
    """The ratio of two models' errors in words."""
    return f"{label(worse)} / {label(better)}"
