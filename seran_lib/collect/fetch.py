"""Fetch the images of a plan, politely, and so that nothing is ever lost or false.

`fetch` may be called again at any time: after Ctrl-C, a crash or a full disk it goes on where it stopped. What it
writes depends on the plan and the pictures alone: however often it was broken off, the files are the same to the byte.
"""

import contextlib
import hashlib
import itertools
import logging
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from requests import Session

from seran_lib.collect.credits import manifest_rows, write_credits, write_croissant
from seran_lib.collect.download import IMAGES, Failure, Workers
from seran_lib.collect.plan import PLAN, read_question
from seran_lib.collect.state import FAILURE_COLUMNS, STATE, Picture, State, Task
from seran_lib.data.manifest import MANIFEST
from seran_lib.data.pictures import WORKERS, UnfitError, check_whole, strict_pillow
from seran_lib.data.tables import Row, read_rows, write_rows
from seran_lib.errors import DataError
from seran_lib.files import NO_ROOM, remove_partial_files
from seran_lib.progress import progress_bar

FAILURES, LOCK = "failures.csv", "fetch.lock"
ROUNDS = 3  # passes over what failed for a reason that may have gone by then
LOST = 10  # failures a connection, one after another and none by a fault of the picture: nothing gets through any more

_MEGABYTE = 1_000_000
_ADDED = ("file", "sha256", "width", "height", "bytes")  # columns of the manifest that the plan lacks


@dataclass(frozen=True)
class Report:
    """How a fetch ended: images planned, here and failed; of this call the images, bytes and seconds."""

    planned: int
    fetched: int
    present: int
    failed: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        now = f"{self.fetched:,} fetched now, {self.bytes / _MEGABYTE:,.1f} MB in {self.seconds:,.0f} s"
        failed = f"; {self.failed:,} failed, see {FAILURES}" if self.failed else ""
        return f"{self.present:,} of {self.planned:,} images are here ({now}){failed}"


def fetch(folder: str | Path, *, session: Session, connections: int = 4, progress: bool = True) -> Report:
    """Fetch every image of ``folder/plan.csv`` that is not here yet and write the manifest of all that are.

    `session` sets pace and patience (`polite_session`); `connections` images are under way at a time. An image that
    cannot be had stops nothing: ``failures.csv`` says why, and the next call tries it again. One whose bytes are no
    longer those fetched first is a failure too, and what was recorded of it stays. With `progress` a bar is drawn on a
    terminal or in a notebook. Raises `DataError` for what stops everything: no plan or a wrong one, another process at
    work on the folder, no room on the disk, and, while images wait that never failed, a network that is down or a
    service that refuses everything. After Ctrl-C what is finished is recorded, and KeyboardInterrupt goes on.
    """
    folder = Path(folder)
    if connections < 1:
        raise ValueError(f"connections is {connections}: must be positive")
    if not (folder / PLAN).is_file():
        raise DataError(f"{folder} holds no {PLAN}", "Make a plan first: it names the images to fetch.")
    query = read_question(folder)
    run, began = _Run(), time.monotonic()
    try:
        with _alone(folder), _quiet(), State(folder) as state:
            state.merge_plan()
            for place in (folder, *(folder / IMAGES).glob("*")):
                remove_partial_files(place)  # we hold the lock, so the writer is dead
            state.make_due()
            run.mean_bytes = state.mean_bytes()
            try:
                lost = _fetch_due(folder, state, run, session, connections, progress)
            except KeyboardInterrupt:
                here, planned = state.count("ok"), state.count()
                print(f"stopped: {here:,} of {planned:,} images are here; fetch again to go on", file=sys.stderr)
                raise
            _write_results(folder, state, query)
            # Pictures that failed before may be lost for good: to list them among the failures is enough.
            if lost and state.count("planned"):
                raise _cut_off(lost, LOST * connections)
            planned, present, failed = state.count(), state.count("ok"), state.count("failed")
    except (OSError, sqlite3.OperationalError) as error:
        raise _unwritable(folder, run, error) from error
    return Report(planned, run.fetched, present, failed, run.bytes, time.monotonic() - began)


def verify(folder: str | Path, *, progress: bool = True) -> list[str]:
    """Compare every picture of the manifest with its checksum, decode it, and look for files nobody knows.

    Returns the problems, none if the set is whole; pictures of an earlier plan are kept, and are no problem. What is
    missing or damaged is fetched again by the next `fetch`, where the folder has a plan. Raises `DataError` if there is
    no manifest, or while a fetch is at work.
    """
    folder = Path(folder)
    problems: list[str] = []
    known: set[str] = set()
    has_state = (folder / STATE).is_file()  # a set that came from elsewhere has none, and may be read-only
    with contextlib.ExitStack() as stack:
        if has_state:
            stack.enter_context(_alone(folder))
            state = stack.enter_context(State(folder))
        stack.enter_context(strict_pillow())
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))
        bar = stack.enter_context(progress_bar(desc="verifying", unit="image", show=progress))
        rows = (row for _, row in read_rows(folder / MANIFEST, ("image_id", "file")))
        while batch := list(itertools.islice(rows, 16 * WORKERS)):  # the results of map are not held back otherwise
            for row, problem in zip(batch, pool.map(lambda row: _damage(folder, row), batch), strict=True):
                bar.update()
                known.add(row["file"])
                if problem:
                    problems.append(f"{row['file']}: {problem}")
                    if has_state:
                        state.damaged(row["image_id"])
        if has_state:
            known |= set(state.files())
    for parent, _, names in sorted(os.walk(folder / IMAGES)):
        files = [(Path(parent) / name).relative_to(folder).as_posix() for name in sorted(names)]
        problems += [f"{file}: not in the manifest" for file in files if file not in known]
    return problems


# ---- the run --------------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    """What this call has done so far; `mean_bytes` of a picture is of earlier ones."""

    fetched: int = 0
    bytes: int = 0
    failed: int = 0
    left: int = 0
    mean_bytes: float = 0.0


def _fetch_due(
    folder: Path, state: State, run: _Run, session: Session, connections: int, progress: bool
) -> Failure | None:
    """Try all that is due, up to `ROUNDS` times. Returns the last failure where nothing got through any more."""
    run.left, lost = state.count_due(), 0
    workers = Workers(folder, session, connections)
    bar = progress_bar(total=run.left, desc="fetching", unit="image", show=progress)
    with bar, strict_pillow():
        try:
            for remaining in reversed(range(ROUNDS)):
                for task, outcome in workers.outcomes(state.due()):
                    _record(folder, state, run, task, outcome)
                    failed = isinstance(outcome, Failure)
                    passing = failed and outcome.transient
                    lost = lost + 1 if passing or (failed and outcome.refused) else 0
                    if lost == LOST * connections:
                        return outcome
                    if not (remaining and passing):
                        run.left -= 1
                        run.failed += failed
                        bar.set_postfix(failed=run.failed, refresh=False)
                        bar.update()
        finally:
            for task, outcome in workers.stop():
                if isinstance(outcome, Picture):
                    _record(folder, state, run, task, outcome)
    return None


def _record(folder: Path, state: State, run: _Run, task: Task, outcome: Picture | BaseException) -> None:
    if isinstance(outcome, Picture):
        state.succeeded(task, outcome)
        run.fetched += 1
        run.bytes += outcome.bytes
        if task.file and task.file != outcome.file:  # its label or its format is another one now
            (folder / task.file).unlink(missing_ok=True)
    elif isinstance(outcome, Failure):
        state.failed(task, str(outcome), again=outcome.transient)
    else:
        raise outcome


def _damage(folder: Path, row: Row) -> str:
    """What is wrong with the file of a manifest's row, or nothing."""
    path = (folder / row["file"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        return "leads outside the folder"
    if not path.is_file():
        return "missing"
    try:
        body = path.read_bytes()
        if row.get("sha256") and hashlib.sha256(body).hexdigest() != row["sha256"].lower():
            return "its content is not that of the sha256 in the manifest"
        check_whole(body)
    except (OSError, UnfitError) as error:
        return str(error)
    return ""


# ---- around the run -------------------------------------------------------------------------------------------------


def _write_results(folder: Path, state: State, query: dict[str, object]) -> None:
    """The manifest, the failures, the credits and the Croissant description."""
    _, header = next(read_rows(folder / PLAN), (0, {}))
    columns = [column for column in header if column not in (*_ADDED, "group")] + [*_ADDED, "group"]
    write_rows(folder / MANIFEST, columns, state.manifest())
    if state.count("failed"):
        write_rows(folder / FAILURES, FAILURE_COLUMNS, state.failures())
    else:
        (folder / FAILURES).unlink(missing_ok=True)
    write_credits(folder, manifest_rows(folder))
    write_croissant(folder, manifest_rows(folder), query)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time in a folder; the system frees the lock of one that was killed."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        raise DataError(f"another process is at work in {folder}", "Wait for its end, or end it.") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """urllib3 warns of every retry with the address it failed at, signed ones too."""
    logger = logging.getLogger("urllib3")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _cut_off(last: Failure, failures: int) -> DataError:
    cure = "Look at the network, or wait for the service; then fetch again: it goes on."
    if last.refused:
        cure = "The service refuses us: wait some hours, then fetch again at a lower pace: it goes on."
    problem = f"nothing gets through any more: {failures} pictures after another failed, the last because {last}"
    return DataError(problem, cure)


def _unwritable(folder: Path, run: _Run, error: OSError | sqlite3.OperationalError) -> DataError:
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in NO_ROOM
    if not full:
        text = getattr(error, "strerror", None) or error
        return DataError(f"{folder} cannot be read or written ({text})", "Fix this, then fetch again: it goes on.")
    mean = run.bytes / run.fetched if run.fetched else run.mean_bytes
    needed = f", about {mean * run.left / _MEGABYTE:,.0f} MB" if mean else ""
    free = shutil.disk_usage(folder).free / _MEGABYTE
    return DataError(
        f"no room left in {folder}: {run.left:,} images are still to fetch{needed}; {free:,.0f} MB are free",
        "Free disk space (look at quotas and file size limits too), then fetch again: what is here stays.",
    )
