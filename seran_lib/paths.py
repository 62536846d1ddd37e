"""Where things lie in the repository, whatever the working folder of the caller is.

`SERAN_RUNS` in the environment moves the folder of checkpoints and executed notebooks, to a mounted drive for example.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
RUNS = Path(os.environ.get("SERAN_RUNS") or ROOT / "runs").resolve()
RESULTS = ROOT / "results"
FIGURES = ROOT / "figures"
CACHE = ROOT / "data" / "cache"
