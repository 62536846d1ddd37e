"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

import pandas as pd


def table(header: Sequence[str], rows: Iterable[Sequence[object]], rules: str | Sequence[str] = "---") -> str:
    """A table without a line break at its end. `rules` align the columns ("---", ":--", "--:"), one for each or one for
    all. Numbers get thousands separators, missing values stay blank."""
    rules = [rules] * len(header) if isinstance(rules, str) else rules
    head, *body = ("| " + " | ".join(map(cell, line)) + " |" for line in (header, *rows))
    return "\n".join([head, "|" + "|".join(rules) + "|", *body])


def cell(value: object) -> str:
    """One cell: in a single line, with nothing in it that would end the cell."""
    if isinstance(value, str):
        return " ".join(value.replace("|", "\\|").split("\n"))
    if pd.isna(value):
        return ""
    return f"{value:,.10g}" if isinstance(value, int | float) else cell(str(value))
