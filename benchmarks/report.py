"""Where the figures of a benchmark go: a line on the terminal, and a row of results.csv in place of the older one.

The README's table of speed is made from that file (`make table`). A ratio is ours by theirs, so above 1 is faster.
"""

import csv
import os
import platform
import sys
from pathlib import Path

from seran_lib.lab import ledger

RESULTS = Path(__file__).with_name("results.csv")
COLUMNS = ("benchmark", "what", "instead_of", "unit", "ours", "theirs", "ratio", "machine", "utc", "git_commit")


def report(what: str, instead_of: str, unit: str, ours: float, theirs: float) -> None:
    """Keep that `what` runs at `ours`, where `instead_of` runs at `theirs`, both in `unit`."""
    row = {
        "benchmark": Path(sys.argv[0]).stem,
        "what": what,
        "instead_of": instead_of,
        "unit": unit,
        "ours": f"{ours:.4g}",
        "theirs": f"{theirs:.4g}",
        "ratio": f"{ours / theirs:.3g}",
        "machine": f"CPU, {os.cpu_count()} cores, {platform.machine()}",
        "utc": ledger.now(),
        "git_commit": ledger.git_state()[0],
    }
    print(f"{what}: {row['ours']} {unit}, {instead_of}: {row['theirs']}, ratio {row['ratio']}", flush=True)
    rows = {}
    if RESULTS.exists():
        with RESULTS.open(encoding="utf-8", newline="") as file:
            rows = {(old["benchmark"], old["what"]): old for old in csv.DictReader(file)}
    rows[row["benchmark"], what] = row
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
