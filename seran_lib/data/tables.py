"""CSV tables row by row: read without holding them in memory, written whole or not at all."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import pandas as pd

from seran_lib.errors import DataError
from seran_lib.files import replacing

Row = dict[str, str]
_BREAK = re.compile(r"\r\n?")  # csv leaves a lone carriage return unquoted, and cannot read it back


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write the `columns` of `rows` as CSV; a column that a row lacks is empty, others are left out.

    Line breaks inside a value become line feeds.
    """
    with replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = (row.get(column, "") for column in columns)
            writer.writerow([_BREAK.sub("\n", value) if isinstance(value, str) else value for value in values])


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a frame without its index as CSV. Line breaks inside a value become line feeds."""
    with replacing(path, "w") as file:
        table.replace(_BREAK, "\n", regex=True).to_csv(file, index=False, lineterminator="\n")


def read_rows(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
    """Yield each row of `path` with the line it starts on.

    Raises `DataError` naming the line: no such file, not UTF-8, not CSV, a `required` column missing, a column that
    occurs twice, a row wider or narrower than the header.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} holds no {path.name}", "Name the folder that has one.")
    cure = f"Fix {path}, or make it again."
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = _numbered(file)
            _, header = next(rows, (1, []))
            if found := header_problems(header, required):
                raise DataError([f"{path}: {text}" for text in found], cure)
            for line, values in rows:
                if len(values) != len(header):
                    raise DataError(f"{path}, line {line}: {_ragged(values, header)}", cure)
                yield line, dict(zip(header, values, strict=True))
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 (near line {line})", "Save it again as CSV in UTF-8.") from None
    except _Broken as broken:
        raise DataError(f"{path}, line {broken.line}: {broken}", cure) from None


def parse(path: Path, content: bytes) -> tuple[list[str], list[tuple[int, list[str]]], list[tuple[int, str]]]:
    """Header, rows as wide as the header with the line each starts on, and (line, problem) of all others.

    For tables that are checked as a whole. Raises `DataError` where the `content` of `path` is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a byte order mark in front
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} is not UTF-8 (line {line})", "Save it again as CSV in UTF-8.") from None
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    problems: list[tuple[int, str]] = []
    try:
        for line, values in _numbered(io.StringIO(text, newline="")):
            if not header:
                header = values
            elif len(values) == len(header):
                rows.append((line, values))
            else:
                problems.append((line, _ragged(values, header)))
    except _Broken as broken:
        problems.append((broken.line, str(broken)))
    return header, rows, problems


def header_problems(header: Sequence[str], required: Sequence[str]) -> list[str]:
    """Which `required` columns are missing, and which columns occur twice."""
    found = [f"missing column: {column} (found: {','.join(header)})" for column in required if column not in header]
    return found + [f"column occurs twice: {column}" for column in sorted({c for c in header if header.count(c) > 1})]


class _Broken(Exception):
    """What is no CSV from `line` on."""

    def __init__(self, line: int, error: csv.Error) -> None:
        super().__init__(f"not readable as CSV from here on ({error})")
        self.line = line


def _numbered(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows with the line that each starts on; blank lines are no rows."""
    reader = csv.reader(file, strict=True)  # strict: an unclosed quote must not swallow the rest
    line = 1
    try:
        for values in reader:
            if values:
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise _Broken(line, error) from None


def _ragged(values: list[str], header: list[str]) -> str:
    return f"{len(values)} values where the header has {len(header)} columns"
