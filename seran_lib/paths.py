"""Where things lie in the repository, whatever the working folder of the caller is.

In the environment, `SERAN_RUNS` moves the folder of checkpoints and executed notebooks, and `SERAN_DATA` that of
collected photographs, to a mounted drive for example.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
RUNS = Path(os.environ.get("SERAN_RUNS") or ROOT / "runs").resolve()
RESULTS = ROOT / "results"
FIGURES = ROOT / "figures"
BENCHMARKS = ROOT / "benchmarks" / "results.csv"
COLLECTIONS = Path(os.environ.get("SERAN_DATA") or ROOT / "data").resolve()
CACHE = ROOT / "data" / "cache"
ALA = "ala"  # said instead of a folder: what chapters 01 and 02 collect from the live atlas
