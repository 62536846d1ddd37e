"""Files and folders written whole or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from seran_lib.errors import WriteError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota reached, file larger than allowed


def file_sha256(path: str | Path) -> str:
    """SHA-256 of the file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """A file to write, which takes the place of `path` when the block ends well: a reader sees the old one or the new.

    It lies beside `path`, and is on disk before it is renamed. `mode` is "wb", or "w" for UTF-8 with line ends as they
    are written. A failure leaves the old file and no temporary one. Raises WriteError where the disk is full or not
    writable.
    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")  # two processes may write one file
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, mode, **text) as file:
            yield file
            to_disk(file)
        os.replace(part, path)
    except OSError as error:
        raise WriteError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `path` when the block ends well. The caller holds a lock.

    A failure leaves the old folder and no temporary one; what a killed process left is tidied up by the next.
    """
    part, old = (path.with_name(f".{path.name}.{kind}") for kind in ("part", "old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path, part, old)
    try:
        part.mkdir()
        yield part
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
        _names_to_disk(path.parent)
    finally:
        _tidy(path, part, old)


def _tidy(path: Path, part: Path, old: Path) -> None:
    if old.exists() and not path.exists():
        os.replace(old, path)
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)


def to_disk(file: IO[Any]) -> None:
    """Wait until what was written to an open file is on disk."""
    file.flush()
    os.fsync(file.fileno())


def _names_to_disk(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Delete what a killed process left half written in a folder that nobody else is writing to."""
    for path in folder.glob(".*.part"):
        path.unlink()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A small JSON file, written atomically."""
    with replacing(path, "w") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, sort_keys=True)
