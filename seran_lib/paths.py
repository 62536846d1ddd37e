"""Where things lie, asked at the moment of use and the same for every process.

In the environment, `SERAN_RUNS` moves the folder of checkpoints, caches and executed notebooks, and `SERAN_DATA` that
of collected photographs, to a mounted drive for example. A relative path is below the clone of this repository; where
the library was installed without one, below the folder in which it is used.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ROOT / "figures"
BENCHMARKS = ROOT / "benchmarks" / "results.csv"
NO_CLONE = (
    "this needs the book itself: clone its repository, run `make book` there once, and give the command in that folder"
)
ALA = "ala"  # said instead of a folder: what chapters 01 and 02 collect from the live atlas


def in_clone() -> bool:
    """Whether the library is used from a clone of the repository, which has notebooks, figures and results."""
    return NOTEBOOKS.is_dir()


def runs() -> Path:
    """Checkpoints, executed notebooks, and everything else that may be deleted."""
    return _below("SERAN_RUNS", "runs")


def collections() -> Path:
    """Collected photographs."""
    return _below("SERAN_DATA", "data")


def cache() -> Path:
    """Decoded photographs and drawn insects, made again where they are missing."""
    return runs() / "cache"


def results() -> Path:
    """Ledger, curves, predictions: those of the repository or, without a clone, of the folder of use."""
    return _base() / "results"


def _base() -> Path:
    return ROOT if in_clone() else Path.cwd()


def _below(variable: str, usual: str) -> Path:
    return (_base() / (os.environ.get(variable) or usual)).resolve()
