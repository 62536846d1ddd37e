"""What every notebook of the book calls: show source, show a table of text, and say that the end was reached."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from IPython.display import display

from seran_lib.paths import ROOT


def show_source(thing: type | Callable) -> None:
    """Displays the source of a class or function of the library, so that text and code cannot drift apart.

    Markdown rather than HTML, because it is highlighted on GitHub, in JupyterLab and in Colab alike.
    """
    where = Path(inspect.getsourcefile(thing)).resolve()
    place = where.relative_to(ROOT).as_posix() if where.is_relative_to(ROOT) else where.name
    source = inspect.getsource(thing).rstrip()
    _markdown(f"`{place}`\n\n````python\n{source}\n````", plain=source)


def show_table(frame: pd.DataFrame) -> None:
    """Displays a table that is mostly text: left-aligned, nothing cut off, the index as first column.

    Whole numbers get thousands separators, missing values stay blank. Tables of numbers are better left to pandas.
    """
    table = frame.rename_axis(frame.index.name or "").reset_index()
    lines = ["| " + " | ".join(table.columns) + " |", "|" + ":--|" * len(table.columns)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.itertuples(index=False)]
    _markdown("\n".join(lines), plain=table.to_string(index=False))


def finish(name: str) -> None:
    """The last call of a notebook. papermill can report a dead kernel as completed; this line cannot come from one."""
    print(f"finished: {name}")


def _cell(value: object) -> str:
    if not isinstance(value, str) and pd.isna(value):
        return ""
    if isinstance(value, int | float):
        return f"{value:,.10g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _markdown(text: str, plain: str) -> None:
    # The plain form is what a viewer without Markdown shows; IPython's own would name an object.
    display({"text/markdown": text, "text/plain": plain}, raw=True)
