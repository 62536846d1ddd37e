"""What a download knows of each image of its plan, in ``state.sqlite``: nothing is lost when the process is killed.

SQLite rather than a log of our own: a record is whole or absent at any moment, a million rows need little memory, and
the rows still due are found by an index. The write-ahead log with ``synchronous=NORMAL`` costs no wait per image. Only
a power cut can undo the last records then, and an image whose record is gone is simply fetched again. The image is
forced to disk before it is recorded; if its name is lost all the same, the next run sees that and fetches it again.
"""

import datetime
import os
import sqlite3
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from seran_lib.collect.plan import PLAN
from seran_lib.data.tables import read_rows
from seran_lib.errors import DataError
from seran_lib.files import file_sha256

STATE = "state.sqlite"
REQUIRED = ("image_id", "label", "source_url")
FAILURE_COLUMNS = ("image_id", "label", "source_url", "reason", "attempts")

_VERSION = 1
# `line` is that of the row in plan.csv, NULL for an image that is planned no longer. `status` is planned, ok or failed;
# `due` says whether this run still has to try. `sha256` stays when the file is lost or damaged: it is what the source
# delivered first.
_SCHEMA = f"""
CREATE TABLE images (
    image_id TEXT PRIMARY KEY, line INTEGER, label TEXT NOT NULL, source_url TEXT NOT NULL, source_md5 TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'planned', due INTEGER NOT NULL DEFAULT 1, attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '', file TEXT NOT NULL DEFAULT '', sha256 TEXT NOT NULL DEFAULT '',
    bytes INTEGER, width INTEGER, height INTEGER, format TEXT, fetched_at TEXT);
CREATE INDEX by_line ON images (line);
CREATE INDEX by_line_due ON images (line) WHERE due;
CREATE TABLE merged (plan_sha256 TEXT NOT NULL);
PRAGMA user_version = {_VERSION};
"""
# An image of the old plan keeps its record unless its source changed. Under another label it belongs into another
# folder and is fetched again, and must be what it was.
_MERGE = """
INSERT INTO images (image_id, line, label, source_url, source_md5) VALUES (:image_id, :line, :label, :url, :md5)
ON CONFLICT (image_id) DO UPDATE SET
    sha256 = iif(source_url = :url AND source_md5 = :md5, sha256, ''),
    status = iif(source_url = :url AND source_md5 = :md5 AND label = :label, status, 'planned'),
    due = iif(source_url = :url AND source_md5 = :md5 AND label = :label, due, 1),
    line = :line, label = :label, source_url = :url, source_md5 = :md5
WHERE line IS NULL
"""


@dataclass(frozen=True)
class Task:
    """An image to fetch; `file` and `sha256` are of an earlier success, empty if there was none."""

    image_id: str
    label: str
    source_url: str
    source_md5: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Picture:
    """A picture that was fetched, checked and stored under `file`, a path inside the collection."""

    file: str
    sha256: str
    bytes: int
    width: int
    height: int
    format: str


class State:
    """The records of the collection in `folder`, for one thread. Raises `DataError` if they cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / STATE
        self._db = sqlite3.connect(self._path, isolation_level=None)
        try:
            # Exclusive: no memory shared between processes, which network drives lack; we hold a lock anyway.
            for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
                self._db.execute(f"PRAGMA {setting}")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"format {version}")
        except sqlite3.DatabaseError as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError):
                raise  # disk full, no permission: nothing is wrong with the file
            cure = "Move it away; the next fetch then gets every image again."
            raise DataError(f"{self._path} cannot be read ({error})", cure) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._db.close()

    def merge_plan(self) -> None:
        """Take over ``plan.csv`` where it changed: all of it or, raising `DataError` with every bad row, nothing."""
        path = self._folder / PLAN
        if not path.is_file():
            raise DataError(f"{self._folder} holds no {PLAN}", "Make a plan first: it names the images to fetch.")
        content = file_sha256(path)
        if self._db.execute("SELECT 1 FROM merged WHERE plan_sha256 = ?", (content,)).fetchone():
            return
        problems: list[str] = []
        self._db.execute("BEGIN")
        try:
            self._db.execute("UPDATE images SET line = NULL")
            for line, row in read_rows(path, REQUIRED):
                problems += self._merge_row(line, row)
            if problems:
                raise DataError(problems, f"Fix or delete these rows of {path}.")
            self._db.execute("DELETE FROM merged")
            self._db.execute("INSERT INTO merged VALUES (?)", (content,))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk ends it by itself
                self._db.execute("ROLLBACK")
            raise

    def _merge_row(self, line: int, row: dict[str, str]) -> list[str]:
        image_id = row["image_id"]
        # The manifest reader would refuse these when all images are fetched.
        problems = [
            f"line {line}: {column} {row[column]!r} begins or ends with white space"
            for column in ("image_id", "label")
            if row[column] != row[column].strip()
        ]
        if not image_id:
            problems.append(f"line {line}: image_id is empty")
        values = {"image_id": image_id, "line": line, "label": row["label"]}
        values |= {"url": row["source_url"].strip(), "md5": row.get("source_md5", "").strip().lower()}
        if image_id and self._db.execute(_MERGE, values).rowcount == 0:
            (earlier,) = self._db.execute("SELECT line FROM images WHERE image_id = ?", (image_id,)).fetchone()
            problems.append(f"line {line}: image_id {image_id!r} stands on line {earlier} already")
        return problems

    def make_due(self) -> None:
        """Have this run try what failed before and what is no longer on disk as it was."""

        def whole(file: str, size: int) -> bool:
            try:
                return os.stat(self._folder / file).st_size == size
            except OSError:
                return False

        self._db.execute("UPDATE images SET due = 1 WHERE status = 'failed' AND NOT due")
        self._db.create_function("whole", 2, whole)
        condition = "status = 'ok' AND line NOT NULL AND NOT whole(file, bytes)"
        self._db.execute(f"UPDATE images SET status = 'planned', due = 1 WHERE {condition}")

    def due(self) -> Iterator[Task]:
        """What is to be fetched: first what never failed, then the rest; what was tried least often before others.

        Results may be recorded meanwhile; what fails again does not come twice.
        """
        found = self._db.execute(
            "SELECT line FROM images WHERE due AND line > 0 ORDER BY status = 'failed', attempts, line"
        )
        query = "SELECT image_id, label, source_url, source_md5, file, sha256 FROM images WHERE line = ?"
        for line in array("q", (line for (line,) in found)):  # eight bytes an image, however many there are
            yield Task(*self._db.execute(query, (line,)).fetchone())

    def succeeded(self, task: Task, picture: Picture) -> None:
        """Record that the picture of a task is on disk."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._db.execute(
            "UPDATE images SET status = 'ok', due = 0, reason = '', attempts = attempts + 1, file = :file, "
            "sha256 = :sha256, bytes = :bytes, width = :width, height = :height, format = :format, fetched_at = :now "
            "WHERE image_id = :image_id",
            vars(picture) | {"now": now, "image_id": task.image_id},
        )

    def failed(self, task: Task, reason: str, *, again: bool) -> None:
        """Record why a task failed, and whether this run shall try it again. What is known of the picture stays."""
        self._db.execute(
            "UPDATE images SET status = 'failed', due = ?, reason = ?, attempts = attempts + 1 WHERE image_id = ?",
            (int(again), reason, task.image_id),
        )

    def damaged(self, image_id: str) -> None:
        """Have the next run fetch an image again whose file is not what it was."""
        self._db.execute("UPDATE images SET status = 'planned', due = 1 WHERE image_id = ?", (image_id,))

    def count(self, status: str = "%") -> int:
        """Number of planned images, or of those with a status."""
        query = "SELECT count(*) FROM images WHERE line NOT NULL AND status LIKE ?"
        return self._db.execute(query, (status,)).fetchone()[0]

    def count_due(self) -> int:
        """Number of images this run has to try."""
        return self._db.execute("SELECT count(*) FROM images WHERE due AND line NOT NULL").fetchone()[0]

    def mean_bytes(self) -> float:
        """Mean size of the pictures that are here, 0 if there are none."""
        return self._db.execute("SELECT avg(bytes) FROM images WHERE status = 'ok'").fetchone()[0] or 0.0

    def manifest(self) -> Iterator[dict[str, object]]:
        """The plan's rows whose picture is here, in order, with the columns the download adds."""
        query = "SELECT line, image_id, file, sha256, width, height, bytes FROM images WHERE status = 'ok' AND line > 0"
        pictures = self._db.execute(f"{query} ORDER BY line")
        picture = pictures.fetchone()
        for line, row in read_rows(self._folder / PLAN, REQUIRED):
            if picture is None:
                return
            if line == picture[0]:
                if row["image_id"] != picture[1]:
                    problem = f"{self._folder / PLAN} was changed while its images were fetched"
                    raise DataError(problem, "Fetch again: what is here is kept.")
                found = dict(zip(("file", "sha256", "width", "height", "bytes"), picture[2:], strict=True))
                group = row.get("group") or row.get("occurrence") or row["image_id"]
                yield row | found | {"group": group}
                picture = pictures.fetchone()

    def files(self) -> Iterator[str]:
        """Every file that was ever fetched and not replaced, those of earlier plans included."""
        return (file for (file,) in self._db.execute("SELECT file FROM images WHERE file != ''"))

    def failures(self) -> Iterator[dict[str, object]]:
        """The planned images that could not be fetched, in order, with the reason."""
        query = f"SELECT {', '.join(FAILURE_COLUMNS)} FROM images WHERE status = 'failed' AND line > 0 ORDER BY line"
        for row in self._db.execute(query):
            yield dict(zip(FAILURE_COLUMNS, row, strict=True))
