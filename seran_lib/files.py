"""Files written whole or not at all."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from seran_lib.errors import CheckpointError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota reached, file larger than allowed


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Call `write` on a temporary file beside `path`, then put it in place: a reader sees the old file or the new.

    A failure leaves the old file and no temporary one. Raises CheckpointError where the disk is full or not writable.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)  # a temporary file is readable by its owner only
        os.replace(name, path)
    except (OSError, RuntimeError) as error:
        Path(name).unlink(missing_ok=True)
        raise CheckpointError(
            f"could not write {path}: {error}. What was written before is intact. "
            "Free some disk space or choose another folder, then run the same command again: it resumes."
        ) from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_partial_files(folder: Path) -> None:
    """Delete what a killed process left half written in a folder that nobody else is writing to."""
    for path in folder.glob(".*.part"):
        path.unlink()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """A small JSON file, written atomically."""
    text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
    write_atomically(path, lambda stream: stream.write(text.encode()))
