"""CSV tables row by row: read without holding them in memory, written whole or not at all."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from seran_lib.errors import DataError
from seran_lib.files import replacing

Row = dict[str, str]


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write the `columns` of `rows` as CSV; a column that a row lacks is empty, others are left out.

    Line breaks inside a value become line feeds: csv leaves a lone carriage return unquoted, and cannot read it back.
    """
    with replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_one_break(row.get(column, "")) for column in columns])


def _one_break(value: object) -> object:
    return value.replace("\r\n", "\n").replace("\r", "\n") if isinstance(value, str) else value


def read_rows(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, Row]]:
    """Yield each row of `path` with the line it starts on.

    Raises `DataError` naming the line: no such file, not UTF-8, not CSV, a `required` column missing, a column that
    occurs twice, a row wider or narrower than the header.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} holds no {path.name}", "Name the folder that has one.")
    cure = f"Mend {path}, or make it again."
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)  # strict: an unclosed quote must not swallow the rest
            header = next(reader, [])
            found = [
                f"missing column: {column} (found: {','.join(header)})" for column in required if column not in header
            ]
            found += [f"column occurs twice: {column}" for column in sorted({c for c in header if header.count(c) > 1})]
            if found:
                raise DataError([f"{path}: {text}" for text in found], cure)
            line = reader.line_num + 1
            for values in reader:
                if values and len(values) != len(header):
                    text = f"{len(values)} values where the header has {len(header)} columns"
                    raise DataError(f"{path}, line {line}: {text}", cure)
                if values:  # blank lines are no rows
                    yield line, dict(zip(header, values, strict=True))
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 (near line {line})", "Save it again as CSV in UTF-8.") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: not readable as CSV ({error})", cure) from None
