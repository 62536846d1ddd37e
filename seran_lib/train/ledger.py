"""Everything that runs leave in one folder of results: `Results` reads and writes it, and nothing else does.

`ledger.csv` has one row a run, appended by the code that ran it and never edited. A run that was done on other images
has two rows, and the later one is read. A run that was done again on the same images keeps its row, as long as its
curve and predictions are there, too; `repeats.csv` has a row for each such repetition. Beside them lie the files of
`FILES`, one a run. Errors are in percent, as in the paper's tables.
"""

import csv
import errno
import gzip
import importlib.metadata
import io
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd
from filelock import FileLock

from seran_lib.errors import DataError
from seran_lib.files import replacing
from seran_lib.paths import ROOT

LEDGER, REPEATS = "ledger.csv", "repeats.csv"
# by kind: what a run measured of every epoch, of every test image, its scores (`train.scores`), what it looks at, and
# what it answered to every image of none of its classes
FILES = {"curves": ".csv", "predictions": ".csv.gz", "scores": ".npz", "looks": ".csv", "unknowns": ".csv.gz"}
# of "looks": which run, and what was measured (`explain.measure`)
RUN_COLUMNS = ("run_id", "data_name", "model", "seed", "epochs")
LOOK_COLUMNS = ("kind", "subject", "variant", "measure", "value", "low", "high", "images")


@dataclass(frozen=True)
class Row:
    """A row of `ledger.csv`, its columns in their order. None is written as an empty cell."""

    run_id: str  # `Settings.run_id`
    utc: str  # when it was recorded, ISO 8601
    git_commit: str  # empty outside a git clone
    dirty: bool | None  # whether files of seran_lib differed from the commit
    profile: str
    data: str  # name of the data set, `Settings.data_name`
    data_fingerprint: str  # of images, labels and split, `data.split.fingerprint`
    classes: int
    train: int  # images
    valid: int  # images
    test: int  # images
    model: str
    width: float  # of the paper's number of channels
    size: int  # pixels a side
    wiring: str  # of the attention masks: paper or port
    pool: str  # in front of the classifier: max or avg
    init: str  # how residual branches start: plain, zero or pretrained
    recipe: str  # a name of `recipes.RECIPES`
    images_per_class: int  # training images at most; 0: all
    seed: int
    epochs: int
    batch: int  # images a step
    micro_batch: int  # images in memory at once
    lr: float  # the highest learning rate
    precision: str  # fp32, bf16 or fp16
    valid_top1_error: float  # %
    valid_top5_error: float  # %
    test_top1_error: float  # %
    test_top5_error: float  # %
    test_macro_error: float  # %, on average over classes
    valid_loss: float  # nats
    test_loss: float  # nats
    temperature: float  # fitted on validation images; empty in rows from before it was
    parameters: int
    seconds: float  # of training
    images_per_second: float  # of training
    gpu_memory_mb: int | None  # MiB at the peak; empty on a CPU
    device: str
    versions: str  # Python and libraries
    weights_sha256: str


@dataclass(frozen=True)
class Repeat:
    """A row of `repeats.csv`: what a run of the ledger gave when it was done again."""

    run_id: str
    utc: str
    git_commit: str
    dirty: bool | None
    precision: str
    test_top1_error: float  # %
    other_answers: int  # test images that are named otherwise than by the run of the ledger
    device: str
    versions: str
    weights_sha256: str


TABLES = {LEDGER: Row, REPEATS: Repeat}


@dataclass(frozen=True)
class Results:
    """The results in one folder."""

    folder: Path

    def rows(self) -> pd.DataFrame:
        """The ledger, the later row of a run that has two; an empty table with the columns where there is no ledger.

        Raises ValueError where the file is damaged or has other columns, so that a run finds out before it trains.
        """
        return _read_table(self.folder / LEDGER).drop_duplicates("run_id", keep="last", ignore_index=True)

    def written(self) -> list[dict[str, str]]:
        """Every row of the ledger as text, oldest first. Raises ValueError where the file has other columns."""
        path = self.folder / LEDGER
        _columns(path)
        if _is_empty(path):
            return []
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def repeats(self) -> pd.DataFrame:
        """All repetitions of runs, oldest first. Raises ValueError where the file has other columns."""
        return _read_table(self.folder / REPEATS)

    def append(self, row: Row) -> None:
        """Add a run to the ledger with a single write, one process at a time.

        Raises ValueError where the file has other columns, and OSError where the disk is full; the file is then as it
        was.
        """
        _append(self.folder / LEDGER, row)

    def append_repeat(self, row: Repeat) -> None:
        """Add a repetition, in the way of `append`."""
        _append(self.folder / REPEATS, row)

    def file(self, kind: str, run_id: str) -> Path:
        """Where a run's file of a kind of `FILES` is kept."""
        return self.folder / kind / f"{run_id}{FILES[kind]}"

    def save(self, kind: str, run_id: str, table: pd.DataFrame) -> None:
        """Keep a table of a run as CSV of six significant digits. Raises WriteError where the disk is full."""
        content = table.to_csv(index=False, lineterminator="\n", float_format="%.6g").encode()
        path = self.file(kind, run_id)
        if path.suffix == ".gz":
            content = _gzipped(content)
        with replacing(path) as stream:
            stream.write(content)

    def predictions(self, run_id: str) -> pd.DataFrame:
        """The answers of a run to every test image, in the order of image_id: the columns of
        `evaluate.prediction_table`, and `right`.

        Runs from before groups were kept have each image for a group of its own. Raises DataError where the file is
        missing.
        """
        return _answers(*self._kept("predictions", run_id))

    def unknowns(self, run_id: str) -> pd.DataFrame:
        """The answers of a run to images of none of its classes, as `explain.unknowns` writes them. Raises DataError
        where the file is missing."""
        return _read_answers(self._kept("unknowns", run_id)[0])

    def curve(self, run_id: str) -> pd.DataFrame:
        """Losses and errors of a run, a row an epoch. Raises DataError where the file is missing."""
        return pd.read_csv(self._kept("curves", run_id)[0])

    def looks(self) -> pd.DataFrame:
        """What `explain.measure` found of all runs, one table; no row where nobody looked."""
        tables = [pd.read_csv(path).fillna({"variant": ""}) for path in sorted((self.folder / "looks").glob("*.csv"))]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=[*RUN_COLUMNS, *LOOK_COLUMNS])

    def _kept(self, kind: str, run_id: str) -> tuple[Path, int]:
        """A run's file, and when it was changed last, in nanoseconds."""
        path = self.file(kind, run_id)
        try:
            return path, path.stat().st_mtime_ns
        except FileNotFoundError:
            text = f"{path} is missing, and the ledger has its run"
            raise DataError(text, "Restore it, or delete the row and run again") from None


def git_state() -> tuple[str, bool | None]:
    """Commit, and whether files of `seran_lib` differ from it; ("", None) outside a git clone."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "seran_lib"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "", None
    return commit, bool(changes.strip())


def versions() -> str:
    """Python and the libraries that decide a result."""
    names = ("torch", "torchvision", "fastai", "timm", "numpy", "pillow")
    return " ".join([f"python={platform.python_version()}"] + [f"{n}={importlib.metadata.version(n)}" for n in names])


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _columns(path: Path) -> list[str]:
    """The columns of a table of that name. Raises ValueError where the file has others."""
    expected = [field.name for field in fields(TABLES[path.name])]
    if not _is_empty(path):
        with path.open(newline="", encoding="utf-8") as stream:
            if next(csv.reader(stream)) != expected:
                raise ValueError(
                    f"{path} has other columns than this version writes: move it away, and run the command again"
                )
    return expected


def _append(path: Path, row: Row | Repeat) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.parent / ".ledger.lock"):
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, _columns(path), lineterminator="\n")
        if _is_empty(path):
            writer.writeheader()
        writer.writerow(asdict(row))
        with path.open("a+b", buffering=0) as stream:
            before = stream.seek(0, os.SEEK_END)
            stream.seek(max(before - 1, 0))
            torn = stream.read(1) not in (b"", b"\n")  # some editors leave no end of line behind the last row
            content = (b"\n" if torn else b"") + buffer.getvalue().encode()
            if stream.write(content) != len(content):  # a full disk takes a part and says so only here
                stream.truncate(before)
                raise OSError(errno.ENOSPC, "no room for another row", str(path))
            os.fsync(stream.fileno())


def _read_table(path: Path) -> pd.DataFrame:
    columns = _columns(path)
    if _is_empty(path):
        return pd.DataFrame(columns=columns)
    types = {field.name: field.type for field in fields(TABLES[path.name]) if field.type in (str, float)}
    blank = {column: [""] for column in columns if types.get(column) is not str}  # a set may be called NA
    read = {"dtype": types, "keep_default_na": False, "na_values": blank, "converters": {"dirty": "True".__eq__}}
    try:
        return pd.read_csv(path, **read)
    except (pd.errors.ParserError, ValueError) as error:
        raise ValueError(f"{path} is damaged, {error}: fix that line, or restore the file") from error


def _read_answers(path: Path) -> pd.DataFrame:
    """Ids and labels are text, whatever they look like ("0011", "NA")."""
    text = dict.fromkeys(("image_id", "group", "label", "predicted"), str)
    return pd.read_csv(path, dtype=text, keep_default_na=False)


@cache
def _answers(path: Path, changed: int) -> pd.DataFrame:
    table = _read_answers(path).sort_values("image_id", ignore_index=True)
    return table.assign(right=table["label"] == table["predicted"], group=table.get("group", table["image_id"]))


def _gzipped(content: bytes) -> bytes:
    """The same bytes whenever and under whatever name they are written."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as stream:
        stream.write(content)
    return buffer.getvalue()
