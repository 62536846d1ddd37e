"""`seran predict`: photographs are named by a bundle, on the terminal or into a table that survives interruptions."""

import argparse
import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from seran_lib.errors import DataError
from seran_lib.files import replacing
from seran_lib.predict import Answer, load
from seran_lib.predict import predict as answers
from seran_lib.predict.answer import COLUMNS, UNREADABLE
from seran_lib.progress import progress_bar

SUFFIXES = "jpg jpeg jpe jfif mpo png webp gif bmp tif tiff heic heif avif".split()
FEW = 50  # answers that are shown on the terminal
NAMES = {"encoding": "utf-8", "errors": "surrogateescape"}  # of files may be no UTF-8
ROW = (*COLUMNS, "risk", "model")


def predict(options: argparse.Namespace) -> int:
    """Name every photograph; 0 where each has its row, also those that cannot be read."""
    if options.out is not None and options.out.suffix.lower() not in (".csv", ".json"):
        raise ValueError(f"--out {options.out}: give it a name that ends in .csv or .json")
    bundle = load(options.model)
    bundle.thresholds(options.risk)  # a wrong risk stops here
    files = [str(file) for named in options.photographs for file in _photographs(named)]
    table = Table(options.out, {"risk": options.risk, "model": bundle.about["run"]["weights_sha256"][:16]})
    left = [file for file in dict.fromkeys(files) if file not in table.done]
    if table.done:
        print(f"{len(files) - len(left)} of {len(files)} are in {options.out} already")
    shown = []
    with table, progress_bar(total=len(left), unit="picture") as bar:
        for answer in answers(bundle, left, risk=options.risk):
            table.add(answer.row())
            shown.append(answer)
            bar.update()
    _show(shown, options.out)
    if options.out is not None:
        unread = sum(row["level"] == UNREADABLE for row in table.rows)
        print(f"{options.out}: {len(table.rows)} pictures, {unread} of them could not be read")
    return 0


def _photographs(named: Path) -> Iterable[Path]:
    """The file itself, or all pictures in a folder and below it, by their names."""
    if named.is_dir():
        inside = sorted(path for path in named.rglob("*") if path.suffix[1:].lower() in SUFFIXES and path.is_file())
        if not inside:
            raise DataError(f"{named} holds no photographs", f"Their names end in {', '.join(SUFFIXES)}.")
        return inside
    if not named.is_file():
        raise ValueError(f"{named} is neither a file nor a folder")
    return [named]


def _show(shown: list[Answer], out: Path | None) -> None:
    for answer in shown if out is None or len(shown) <= FEW else ():
        print(f"{answer.file}  {_words(answer)}".encode(**NAMES).decode(errors="replace"))


def _words(answer: Answer) -> str:
    if answer.level == UNREADABLE:
        return f"unreadable: {answer.why}"
    said = answer.answer if answer.level == answer.answer else f"{answer.answer} ({answer.level})"
    if answer.expected and answer.expected["of"]:
        count, of, low, high = (answer.expected[name] for name in ("count", "of", "low", "high"))
        said += f", right for {count} of {of} test pictures so named ({100 * low:.0f} to {100 * high:.0f} %)"
    tops = ", ".join(f"{name} {100 * share:.1f} %" for name, share in answer.top)
    return f"{said}\n    {tops}" + (f"\n    why: {answer.why}" if answer.why else "")


class Table:
    """A table of answers in a file, CSV or (by its name) JSON with a row a line; nowhere without a file.

    Rows are written as they come. What an interrupted command left is read, a torn row at its end dropped, and `done`
    are the files in it. `same` is what all rows have in common. Raises DataError where `path` holds something else.
    """

    def __init__(self, path: Path | None, same: dict[str, Any]):
        self.path, self.same, self.is_json = path, same, path is not None and path.suffix.lower() == ".json"
        self.rows = self._read() if path is not None and path.exists() else []
        if any(str(row[name]) != str(value) for row in self.rows for name, value in same.items()):
            raise DataError(f"{path} was made by another network or at another risk", "Name another file for --out.")
        self.done = {row["file"] for row in self.rows}

    def __enter__(self) -> Self:
        if self.path is not None:
            with replacing(self.path) as stream:
                stream.write(b"[\n" if self.is_json else _csv(dict(zip(ROW, ROW, strict=True))).encode())
                stream.write("".join(map(self._text, range(len(self.rows)), self.rows)).encode(**NAMES))
            self.stream = self.path.open("a", newline="", **NAMES)
        return self

    def __exit__(self, *_: object) -> None:
        if self.path is not None:
            with self.stream:
                self.stream.write("]\n" if self.is_json else "")

    def add(self, row: dict[str, Any]) -> None:
        """Write one answer."""
        if self.path is not None:
            self.rows.append(row | self.same)
            self.stream.write(self._text(len(self.rows) - 1, self.rows[-1]))
            self.stream.flush()

    def _text(self, number: int, row: dict[str, Any]) -> str:
        return ("," if number else "") + json.dumps(row, ensure_ascii=False) + "\n" if self.is_json else _csv(row)

    def _read(self) -> list[dict[str, Any]]:
        text = self.path.read_text(**NAMES)
        whole = text[: text.rfind("\n") + 1]
        try:
            if self.is_json:
                rows = [json.loads(line.lstrip(",")) for line in whole.split("\n") if line not in ("", "[", "]")]
                if all(isinstance(row, dict) and tuple(row) == ROW for row in rows):
                    return rows
                whole = "something else"
            header, *lines = csv.reader(io.StringIO(whole, newline="")) if whole else [list(ROW)]
            if tuple(header) == ROW:
                return [dict(zip(ROW, line, strict=True)) for line in lines if len(line) == len(ROW)]
        except ValueError:
            pass
        raise DataError(f"{self.path} is there, and is no table of answers", "Name another file for --out.")


def _csv(row: dict[str, Any]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, ROW, lineterminator="\n").writerow(row)
    return text.getvalue()
