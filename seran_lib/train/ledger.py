"""The ledger: one row a run, appended by the code that ran it, never edited.

Errors are in percent, as in the paper's tables. A run that was done on other images has two rows; tables read the later
one. A run that was done again on the same images keeps its row, as long as its curve and predictions are there, too,
and has another one among the repetitions beside it.
"""

import csv
import errno
import importlib.metadata
import io
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from seran_lib.paths import ROOT

LEDGER, REPEATS = "ledger.csv", "repeats.csv"
COLUMNS = (
    "run_id utc git_commit dirty profile data data_fingerprint classes train valid test model width size wiring pool "
    "init recipe images_per_class seed epochs batch micro_batch lr precision valid_top1_error valid_top5_error "
    "test_top1_error test_top5_error test_macro_error valid_loss test_loss temperature parameters seconds "
    "images_per_second gpu_memory_mb device versions weights_sha256"
).split()
# other_answers: the number of test images that are named otherwise than by the run of the ledger
REPEAT_COLUMNS = (
    "run_id utc git_commit dirty precision test_top1_error other_answers device versions weights_sha256"
).split()
TABLES = {LEDGER: COLUMNS, REPEATS: REPEAT_COLUMNS}
FILES = {"curves": ".csv", "predictions": ".csv.gz", "looks": ".csv", "unknowns": ".csv.gz"}


def file_of(folder: Path, kind: str, run_id: str) -> Path:
    """Where a run's `kind` of `FILES` is kept beside a ledger: what it measured of every epoch, every test image, the
    places it looks at, every image of none of its classes."""
    return folder / kind / f"{run_id}{FILES[kind]}"


def git_state() -> tuple[str, bool | str]:
    """Commit, and whether files of `seran_lib` differ from it; ("", "") outside a git clone."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "seran_lib"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "", ""
    return commit, bool(changes.strip())


def versions() -> str:
    """Python and the libraries that decide a result."""
    names = ("torch", "torchvision", "fastai", "timm", "numpy", "pillow")
    return " ".join([f"python={platform.python_version()}"] + [f"{n}={importlib.metadata.version(n)}" for n in names])


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_header(path: Path) -> None:
    """Raises ValueError where the file holds other columns than this version writes."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open(newline="", encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    if header != TABLES[path.name]:
        raise ValueError(f"{path} has other columns than this version writes: move it away, and run the command again")


def append(folder: Path, row: dict[str, object], name: str = LEDGER) -> None:
    """Add one row to the ledger in `folder`, or to its repetitions, with a single write, one process at a time.

    Raises ValueError where a column is missing or unknown, or where the file has other columns, and OSError where the
    disk is full; the file is then as it was.
    """
    columns = TABLES[name]
    if set(row) != set(columns):
        raise ValueError(f"row of {name}: missing {set(columns) - set(row)}, unknown {set(row) - set(columns)}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with FileLock(folder / ".ledger.lock"):
        check_header(path)
        fresh = not path.exists() or path.stat().st_size == 0
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)
        with path.open("a+b", buffering=0) as stream:
            before = stream.seek(0, os.SEEK_END)
            stream.seek(max(before - 1, 0))
            torn = stream.read(1) not in (b"", b"\n")  # some editors leave no end of line behind the last row
            content = (b"\n" if torn else b"") + buffer.getvalue().encode()
            if stream.write(content) != len(content):  # a full disk takes a part and says so only here
                stream.truncate(before)
                raise OSError(errno.ENOSPC, "no room for another row", str(path))
            os.fsync(stream.fileno())


def read(folder: Path) -> pd.DataFrame:
    """All rows of a ledger, the later row of a repeated run; an empty frame with the columns where there is none.

    Raises ValueError where the file is damaged or has other columns, so that a run finds out before it trains.
    """
    return _rows(folder / LEDGER).drop_duplicates("run_id", keep="last").reset_index(drop=True)


def read_repeats(folder: Path) -> pd.DataFrame:
    """All repetitions of runs, oldest first. Raises ValueError where the file has other columns."""
    return _rows(folder / REPEATS)


def _rows(path: Path) -> pd.DataFrame:
    check_header(path)
    if not path.exists() or path.stat().st_size == 0:
        return pd.DataFrame(columns=TABLES[path.name])
    text = dict.fromkeys(("run_id", "git_commit", "data"), str)  # a set may be called 2019, or NA
    blank = {column: [""] for column in TABLES[path.name] if column not in text}
    read = {"dtype": text, "keep_default_na": False, "na_values": blank, "converters": {"dirty": "True".__eq__}}
    try:
        return pd.read_csv(path, **read)
    except pd.errors.ParserError as error:
        raise ValueError(f"{path} is damaged, {error}: mend that line, or restore the file") from error
