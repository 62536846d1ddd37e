"""Where things lie in the repository, whatever the working folder of the caller is."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "runs"
RESULTS = ROOT / "results"
FIGURES = ROOT / "figures"
CACHE = ROOT / "data" / "cache"
