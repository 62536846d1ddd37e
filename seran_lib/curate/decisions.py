"""What a reviewer decided: `decisions.csv`, one row a picture, safe after every single decision.

A review of thousands of pictures takes days, and must survive a killed kernel, a full disk, and a second notebook that
has the same file open. So each decision rewrites the file whole, and a file that somebody else changed since it was
read is never written over.

``decision`` is keep, drop, crop or label. ``value`` is the box of a "crop" ("x0 y0 x1 y1", whole pixels of the upright
picture, x1 and y1 exclusive), the new label of a "label", and empty otherwise. ``sha256`` is that of the picture as it
was judged (empty: not known). Every value is text of one line.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock

from seran_lib.data.pictures import SHORTEST_SIDE, Box, is_box
from seran_lib.data.tables import parse
from seran_lib.errors import DataError
from seran_lib.files import replacing

DECISIONS = "decisions.csv"  # in a collection's folder
WORDS = ("keep", "drop", "crop", "label")
PATIENCE = 10.0  # seconds to wait for another writer, who needs milliseconds

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Decision(NamedTuple):
    """One row of `decisions.csv`."""

    image_id: str
    decision: str
    value: str = ""
    reason: str = ""
    sha256: str = ""

    def problem(self) -> str:
        """What is wrong with this row; empty where nothing is."""
        for column, text in self._asdict().items():
            if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
                return f"{column} {text!r} holds a line break or another control character"
        for column in ("image_id", "value"):
            if getattr(self, column) != getattr(self, column).strip():
                return f"{column} {getattr(self, column)!r} begins or ends with white space"
        if not self.image_id:
            return "image_id is empty"
        if self.decision not in WORDS:
            return f"decision {self.decision!r} is not one of {', '.join(WORDS)}"
        if self.decision == "crop" and not is_box(self.value):
            return f"value {self.value!r} is not a crop box: x0 y0 x1 y1 in whole pixels, x0 < x1 and y0 < y1"
        if self.decision == "label" and not self.value:
            return 'value is empty: the decision "label" needs the new label'
        if self.decision in ("keep", "drop") and self.value:
            return f'value {self.value!r}: the decision "{self.decision}" takes none'
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            return f"sha256 {self.sha256!r} is not 64 hexadecimal digits in lower case"
        return ""


COLUMNS = Decision._fields


class Decisions:
    """The decisions in the file `path`; where there is no file yet, none.

    Raises `DataError` where the file cannot be read as decisions, with the line number of every bad row.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.reload()

    def reload(self) -> None:
        """Read the file again, such as after somebody else wrote it. Steps before that cannot be undone."""
        try:
            content = _content(self.path)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror})", "Name a file that can be.") from error
        self._rows, self._content = _parse(self.path, content), content
        self._steps: list[tuple[str, Decision | None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._rows.values())

    def get(self, image_id: str) -> Decision | None:
        """The current decision about a picture, None where there is none."""
        return self._rows.get(image_id)

    @property
    def frame(self) -> pd.DataFrame:
        """The table as in the file: one row a picture, in the order they were first judged, every value text."""
        return pd.DataFrame(list(self), columns=list(COLUMNS), dtype=str)

    def set(self, image_id: str, decision: str, value: str = "", reason: str = "", sha256: str = "") -> None:
        """Decide about a picture, in place of what was decided before, and save.

        Raises `ValueError` for a row that could not be read back, and `DataError` where it cannot be saved; nothing
        changed then.
        """
        row = Decision(image_id, decision, value, reason, sha256)
        if problem := row.problem():
            raise ValueError(problem)
        before = self._rows.get(image_id)
        self._save(self._rows | {image_id: row})
        self._steps.append((image_id, before))

    def undo(self) -> str | None:
        """Take back the last step since the file was read, and save. Returns the picture it was about, None where there
        is no step. Raises `DataError` as `set` does."""
        if not self._steps:
            return None
        image_id, before = self._steps[-1]
        rows = self._rows | {image_id: before}
        self._save({key: row for key, row in rows.items() if row})
        self._steps.pop()
        return image_id

    def _save(self, rows: dict[str, Decision]) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows.values())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(self.path.name + ".lock"), timeout=PATIENCE):
                if _content(self.path) != self._content:
                    raise DataError(
                        f"{self.path} was changed by someone else since it was read; this decision was not saved",
                        "Reload the decisions, look at what changed, and decide again.",
                    )
                with replacing(self.path, "w") as file:
                    file.write(text.getvalue())
        except OSError as error:  # a lock held for too long is one too
            raise DataError(
                f"{self.path} could not be saved ({error.strerror or error}); this decision was not saved",
                "The decisions made before are whole. Free disk space, or look at the folder's permissions; try again.",
            ) from error
        self._rows, self._content = rows, text.getvalue().encode()


def check_box(box: Box, size: tuple[int, int]) -> None:
    """Raises `ValueError` for a box that leaves a picture of `size` (width, height), or is too narrow to be used."""
    x0, y0, x1, y1 = box
    if x1 > size[0] or y1 > size[1]:
        raise ValueError(f"the crop box {x0} {y0} {x1} {y1} leaves the picture of {size[0]} x {size[1]} pixels")
    if min(x1 - x0, y1 - y0) < SHORTEST_SIDE:
        raise ValueError(f"the crop box {x0} {y0} {x1} {y1} is narrower than {SHORTEST_SIDE} pixels")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parse(path: Path, content: bytes | None) -> dict[str, Decision]:
    if content is None:
        return {}
    cure = f"Fix these lines of {path}, or restore an earlier version of it; nothing was changed."
    header, found, problems = parse(path, content)
    if header and tuple(header) != COLUMNS:
        raise DataError(f"line 1 of {path} is not the header {','.join(COLUMNS)}", cure)
    if not header and not problems:
        raise DataError(f"{path} is empty: not even the header {','.join(COLUMNS)} is there", cure)
    rows: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    for line, values in found:
        row = Decision(*values)
        if problem := row.problem():
            problems.append((line, problem))
        elif row.image_id in rows:
            problems.append((line, f"{row.image_id!r} stands on line {lines[row.image_id]} already"))
        else:
            rows[row.image_id], lines[row.image_id] = row, line
    if problems:
        raise DataError([f"line {line}: {text}" for line, text in sorted(problems)], cure)
    return rows
