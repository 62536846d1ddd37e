"""Where the figures of a benchmark go: a line on the terminal, and a row of a CSV in place of the older one.

`results.csv` has comparisons. Its ratio says how many times better ours is, so above 1 is better for us: ours by theirs
for a rate, theirs by ours for a time or for memory. `growth.csv` has how a quantity grows with another. The README's
table of speed and `figures/benchmarks.svg` are made from both. `SERAN_BENCHMARKS` names another folder for them, to try
something out.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from seran_lib.data.tables import write_table
from seran_lib.train import ledger
from seran_lib.train.device import device_name

FOLDER = Path(os.environ.get("SERAN_BENCHMARKS") or Path(__file__).parent)
RESULTS, GROWTH = "results.csv", "growth.csv"
LESS_IS_BETTER = ("ms", "MB")
SOURCE = ("machine", "utc", "git_commit")
RESULT_COLUMNS = ("benchmark", "what", "instead_of", "unit", "ours", "theirs", "ratio", *SOURCE)
GROWTH_COLUMNS = ("benchmark", "what", "by", "x", "unit", "value", *SOURCE)


CPU = torch.device("cpu")


def report(what: str, instead_of: str, unit: str, ours: float, theirs: float, device: torch.device = CPU) -> None:
    """Keep that `what` comes to `ours` on `device`, and `instead_of` to `theirs`, both in `unit`."""
    ratio = theirs / ours if unit in LESS_IS_BETTER else ours / theirs
    row = {"what": what, "instead_of": instead_of, "unit": unit}
    row |= {"ours": f"{ours:.4g}", "theirs": f"{theirs:.4g}", "ratio": f"{ratio:.3g}"}
    print(f"{what}: {row['ours']} {unit}, {instead_of}: {row['theirs']}, ratio {row['ratio']}", flush=True)
    _keep(FOLDER / RESULTS, RESULT_COLUMNS, ("benchmark", "what", "instead_of"), row, device)


def report_growth(what: str, by: str, x: int, unit: str, value: float) -> None:
    """Keep that `what` comes to `value`, in `unit`, where there are `x` of what `by` counts."""
    row = {"what": what, "by": by, "x": str(x), "unit": unit, "value": f"{value:.4g}"}
    print(f"{what}: {row['value']} {unit} at {x:,} {by}", flush=True)
    _keep(FOLDER / GROWTH, GROWTH_COLUMNS, ("benchmark", "what", "by", "x"), row, CPU)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the power law that fits points best: 1 is in proportion, 0 is no growth."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def _keep(path: Path, columns: Sequence[str], keys: Sequence[str], row: dict[str, str], device: torch.device) -> None:
    """Put a row where the one with the same keys was, or at the end."""
    row = {"benchmark": Path(sys.argv[0]).stem} | row
    row |= {"machine": device_name(device), "utc": ledger.now(), "git_commit": ledger.git_state()[0]}
    old = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame(columns=columns)
    same = (old[list(keys)] == [row[key] for key in keys]).all(axis=1)
    place = same.idxmax() if same.any() else len(old)
    old.loc[place] = [row[column] for column in columns]
    write_table(path, old)
