"""The manifest: one CSV row an image, checked as a whole before anything is trained on it.

A data set is a folder with ``manifest.csv`` and its images. The file is UTF-8, comma-separated, with a header. It
needs the columns ``image_id``, ``file`` (relative to the folder, with forward slashes) and ``label``. Known and
optional are ``species, group, source_url, record, licence, attribution, sha256, hybrid, label_conflict``; others are
kept as they are. Every value is text and an absent value is the empty string, so a label such as "NA" stays a label.

Masks of the insects may lie beside the images: `data.masks`.

``group`` names what a split must not separate: photographs of one specimen, one occurrence or near-duplicates. An image
without a group is a group of its own.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from seran_lib.data.tables import header_problems, parse
from seran_lib.errors import DataError

MANIFEST = "manifest.csv"
REQUIRED = ("image_id", "file", "label")
FLAGS = ("hybrid", "label_conflict")

# Absolute, on a Windows drive, with a backslash or a NUL, or climbing out by "..".
_UNSAFE_PATH = re.compile(r"^/|^[A-Za-z]:|\\|\0|(?:^|/)\.\.(?:/|$)")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def read_manifest(folder: str | Path) -> pd.DataFrame:
    """Read and check ``folder/manifest.csv``.

    Returns a frame with one row an image in file order, all columns text, ``group`` always filled and ``sha256`` (where
    given) in lower case. Raises `DataError` with every problem found, each with its line number; a path or a symbolic
    link must not lead outside the folder.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    header, found, problems = parse(path, _content(folder))
    if wrong := header_problems(header, REQUIRED):
        raise DataError(wrong, f"Fix the first line of {path}; columns are separated by commas.")
    if not found and not problems:
        raise DataError(f"{path} has a header but no rows", "Write one row for each image.")

    lines = [line for line, _ in found]
    table = pd.DataFrame([values for _, values in found], columns=header, dtype=str)
    problems += _check_values(table, lines)
    problems += _check_files(folder, table["file"].tolist(), lines)
    if problems:
        ordered = [f"line {line}: {text}" for line, text in sorted(problems, key=lambda problem: problem[0])]
        raise DataError(ordered, f"Fix or delete these rows of {path}.")

    if "group" not in table:
        table["group"] = ""
    table["group"] = table["group"].where(table["group"] != "", table["image_id"])
    if "sha256" in table:
        table["sha256"] = table["sha256"].str.lower()
    return table


def select(manifest: pd.DataFrame, *, min_images: int) -> pd.DataFrame:
    """Keep the rows fit for supervised training.

    Drops, in this order, rows with ``hybrid`` = 1, with ``label_conflict`` = 1, with an empty ``label``, and rows of
    labels left with fewer than `min_images` images. ``.attrs["dropped"]`` maps each rule (the flags, ``no_label``,
    ``too_few_images``) to the number of rows it dropped. Raises `DataError` if `min_images` is below 7, or if fewer
    than two labels remain.
    """
    if 15 * min_images // 100 < 1:
        raise DataError(
            f"min_images is {min_images}: below 7 images a species gets floor(0.15 n) = 0 test images",
            "Use min_images of 7 or more.",
        )
    dropped: dict[str, int] = {}

    def drop(table: pd.DataFrame, rule: str, bad: pd.Series) -> pd.DataFrame:
        dropped[rule] = int(bad.sum())
        return table[~bad]

    kept = manifest
    for flag in FLAGS:
        if flag in kept:
            kept = drop(kept, flag, kept[flag] == "1")
    kept = drop(kept, "no_label", kept["label"] == "")
    kept = drop(kept, "too_few_images", kept.groupby("label")["label"].transform("size") < min_images)

    labels = kept["label"].unique()
    if len(labels) < 2:
        left = f"only one label is left ({labels[0]})" if len(labels) else "no row is left"
        counts = ", ".join(f"{rule} {count}" for rule, count in dropped.items())
        raise DataError(
            f"{left} of {len(manifest)} rows; rows dropped: {counts}",
            f"A classifier needs two labels: lower min_images (now {min_images}) or add images.",
        )
    kept = kept.reset_index(drop=True)
    kept.attrs["dropped"] = dropped
    return kept


def _content(folder: Path) -> bytes:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", f"Name the folder which holds {MANIFEST} and its images.")
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder} holds no {MANIFEST}", "Name another folder, or write a manifest for its images.")
    content = path.read_bytes()
    if not content.strip():
        raise DataError(f"{path} is empty", f"Write the header {','.join(REQUIRED)} and a row for each image.")
    return content


def _check_values(table: pd.DataFrame, lines: Sequence[int]) -> list[tuple[int, str]]:
    problems: list[tuple[int, str]] = []

    def report(bad: Iterable[bool], column: str, text: str) -> None:
        for row in np.flatnonzero(np.asarray(bad, dtype=bool)):
            problems.append((lines[row], f"{column} {text.format(table[column].iat[row])}"))

    for column in ("image_id", "label"):  # two spellings of one label that differ by a space would be two species
        report(table[column] != table[column].str.strip(), column, "{0!r} begins or ends with white space")
    for column in ("image_id", "file"):
        report(table[column] == "", column, "is empty")
    _report_repeats(table["image_id"].tolist(), "image_id", lines, problems)
    _report_repeats([os.path.normpath(name) if name else "" for name in table["file"]], "file", lines, problems)
    if "sha256" in table:
        bad = [value != "" and not _SHA256.fullmatch(value) for value in table["sha256"]]
        report(bad, "sha256", "{0!r} is not 64 hexadecimal digits")
    for flag in FLAGS:
        if flag in table:
            report(~table[flag].isin(["", "0", "1"]), flag, "{0!r} is not 0, 1 or empty")
    return problems


def _report_repeats(values: list[str], column: str, lines: Sequence[int], problems: list[tuple[int, str]]) -> None:
    first_line: dict[str, int] = {}
    for line, value in zip(lines, values, strict=True):
        earlier = first_line.setdefault(value, line)
        if value and earlier != line:
            problems.append((line, f"{column} {value!r} stands on line {earlier} already"))


def _check_files(folder: Path, files: list[str], lines: Sequence[int]) -> list[tuple[int, str]]:
    """Unsafe and missing files. Each sub-folder is listed once, which is far cheaper than a look at every file."""
    problems: list[tuple[int, str]] = []
    rows_in: dict[str, list[int]] = {}
    for row, file in enumerate(files):
        if _UNSAFE_PATH.search(file):
            problems.append((lines[row], f"file {file!r} is not a path inside the folder"))
        elif file:
            rows_in.setdefault(file.rpartition("/")[0], []).append(row)

    root = os.path.realpath(folder)
    for parent, rows in rows_in.items():
        directory = os.path.join(root, parent)
        plain: set[str] = set()
        if _inside(root, directory):
            try:
                with os.scandir(directory) as entries:
                    plain = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
            except OSError:
                pass  # each file is then looked at by itself
        for row in rows:
            name = files[row].rpartition("/")[2]
            if name in plain:
                continue
            # A link, a missing file, or a name the file system spells in another Unicode form.
            path = os.path.join(directory, name)
            if not _inside(root, path):
                problems.append((lines[row], f"file {files[row]!r} leads outside the folder by a symbolic link"))
            elif not os.path.isfile(path):
                problems.append((lines[row], f"file {files[row]!r} is missing or not a file"))
    return problems


def _inside(root: str, path: str) -> bool:
    real = os.path.realpath(path)
    return real == root or real.startswith(os.path.join(root, ""))
