"""What every notebook of the book calls: show source, show a table of text, and say that the end was reached."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from seran_lib.data.markdown import table
from seran_lib.paths import NOTEBOOKS, ROOT
from seran_lib.train.profiles import PROFILES

CHAPTERS = {
    "00_start_here": "What is in this book, and does it run here?",
    "01_collect_from_ala": "How is a data set collected so that every image is checked and credited?",
    "02_curate_and_split": "What must be cleaned, and which images may learn from which?",
    "03_read_the_paper": "Which of the paper's numbers can its own test set support?",
    "04_squeeze_and_excitation": "What does an SE block do to a feature map, and what does it cost?",
    "05_residual_attention": "How does the attention module look, and why are the ports that we read another network?",
    "06_seran": "What is SERAN, when the paper prints no layout?",
    "07_baselines": "What is SERAN compared with, and what does each network cost?",
    "08_train_one": "How is one network trained so that its error can be believed?",
    "09_table1": "Do the models rank as the paper says?",
    "10_table2_ablations": "Which part of SERAN-D does the work?",
    "11_what_it_looks_at": "Does the network read the insect or the background?",
    "12_beyond_the_paper": "What do better recipes and pretrained weights change?",
    "13_your_own_taxon": "How do I do this for my own group of species?",
}


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

    Whole numbers get thousands separators, missing values stay blank. A table without rows is "not run". Tables of
    numbers are better left to pandas.
    """
    if frame.empty:
        return _markdown("*not run*", plain="not run")
    shown = frame.rename_axis(frame.index.name or "").reset_index()
    _markdown(table(list(shown), shown.itertuples(index=False), ":--"), plain=shown.to_string(index=False))


def chapters() -> pd.DataFrame:
    """The book's chapters with their questions, and which of them are written."""
    written = ["yes" if (NOTEBOOKS / f"{name}.ipynb").exists() else "to come" for name in CHAPTERS]
    return pd.Series(CHAPTERS, name="question").rename_axis("chapter").to_frame().assign(written=written)


def profiles() -> pd.DataFrame:
    """The profiles, one row each."""
    rows = {
        name: {
            "for": p.purpose,
            "data": p.source,
            "width": "x1" if p.width == 1 else f"x1/{round(1 / p.width)}",
            "size": f"{p.size} px",
            "epochs": p.epochs,
            "learning rate": f"{p.lr:g}",
            "start": p.init,
            "takes": p.budget,
        }
        for name, p in PROFILES.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("profile")


def finish(name: str) -> None:
    """The last call of a notebook. papermill can report a dead kernel as completed; this line cannot come from one."""
    print(f"finished: {name}")


def _markdown(text: str, plain: str) -> None:
    from IPython.display import display  # which only notebooks need

    # The plain form is what a viewer without Markdown shows; IPython's own would name an object.
    display({"text/markdown": text, "text/plain": plain}, raw=True)
