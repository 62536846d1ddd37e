"""Decode each photograph once and keep it ready for training: ``cache/<key>/pixels.bin`` and ``shapes.npy``.

Decoding JPEGs costs far more than reading pixels, and an epoch would pay it again for every image. So each image is
decoded and resized once (`pictures.decode`): its shorter side becomes ``round(1.14 * size)`` pixels, which leaves an
input of ``size`` pixels some room to move. ``pixels.bin`` is the images one after the other, uint8 in the order height,
width, channel; ``shapes.npy`` holds their heights and widths.

The key is a hash of the size and of every image's id and content, so a changed picture means a new cache. A cache is
written in a folder of another name and renamed when complete: what has the final name is whole. The cache folder may be
deleted at any time; the next `pack` writes it again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from filelock import FileLock

from seran_lib.data.manifest import MANIFEST
from seran_lib.data.pictures import WORKERS, UnfitError, decode, strict_pillow
from seran_lib.errors import DataError
from seran_lib.files import NO_ROOM, file_sha256, replacing_folder, to_disk
from seran_lib.progress import progress_bar

FORMAT_VERSION = 2  # raise it when the pixels of the same pictures change
PIXELS, SHAPES = "pixels.bin", "shapes.npy"
CHUNK = 64  # images decoded ahead of the writer at most

_MEGABYTE = 1_000_000


class PackedImages:
    """The packed images in `folder`, mapped into memory: nothing is read before it is asked for.

    ``side`` is the shorter side of every image in pixels, ``shapes`` (n, 2) the heights and widths. Raises `DataError`
    if the files do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.shapes: np.ndarray = np.load(folder / SHAPES, allow_pickle=False)
        self.side = int(self.shapes.min())
        ends = np.cumsum(self.shapes.prod(axis=1, dtype=np.int64) * 3)
        self._starts = np.concatenate([[0], ends[:-1]])
        # A plain view: slicing a memmap object itself costs more than copying a small image.
        self._pixels = np.memmap(folder / PIXELS, dtype=np.uint8, mode="r").view(np.ndarray)
        if len(self._pixels) != ends[-1] or (self.shapes.min(axis=1) != self.side).any():
            raise DataError(f"{folder} is not a whole cache", "Delete it; the next run packs the images again.")

    def __len__(self) -> int:
        return len(self.shapes)

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return PackedImages, (self._folder,)  # a data loading process maps the file itself instead of being sent it

    def fetch(self, indices: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Copy square windows: uint8 (B, side, side, 3) for `indices` (B,) and `position` (B,).

        `position` slides the window along the longer side: 0 is the left or upper end, 0.5 the centre, 1 the other end.
        Raises `ValueError` for a position outside [0, 1] and `IndexError` for an index outside the set.
        """
        indices, position = np.asarray(indices), np.asarray(position)
        if indices.ndim != 1 or indices.shape != position.shape:
            raise ValueError(f"indices {indices.shape} and position {position.shape} must be vectors of one length")
        if not ((position >= 0) & (position <= 1)).all():
            raise ValueError("position must lie in [0, 1]")
        shapes = self.shapes[indices]
        shifts = np.rint(position * (shapes.max(axis=1) - self.side)).astype(np.int64)
        windows = np.empty((len(indices), self.side, self.side, 3), dtype=np.uint8)
        places = zip(windows, self._starts[indices].tolist(), shapes.tolist(), shifts.tolist(), strict=True)
        for window, start, (height, width), shift in places:
            image = self._pixels[start : start + height * width * 3].reshape(height, width, 3)
            window[:] = image[shift : shift + self.side] if height > width else image[:, shift : shift + self.side]
        return windows


def pack(folder: str | Path, manifest: pd.DataFrame, *, size: int, cache: Path, progress: bool = False) -> PackedImages:
    """Pack the images of `manifest`, in its order, for networks with inputs of `size` pixels; reuse a cache that fits.

    Every image is read and hashed on every call, so a changed picture is never missed. One process packs at a time;
    others wait and reuse its work. With `progress`, a bar is drawn where somebody sees it. Raises `DataError`
    naming every picture that cannot be used and why, or how much disk space is missing; nothing is left behind then.
    """
    if manifest.empty:
        raise DataError("there are no images to pack", "Choose rows of the manifest first.")
    pictures = _Pictures(Path(folder), manifest, side=round(1.14 * size))
    with ThreadPoolExecutor(WORKERS) as pool:
        contents = list(pool.map(_content_sha256, pictures.paths))
    key = hashlib.sha256(json.dumps([FORMAT_VERSION, size, pictures.ids, contents]).encode()).hexdigest()
    target = Path(cache) / key
    problems = pictures.differences(contents)
    if not problems and (packed := _whole_cache(target)):
        return packed
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / "pack.lock"):
            if not problems and (packed := _whole_cache(target)):  # another process was faster
                return packed
            _build(target, pictures, contents, problems, progress)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise _no_room(target.parent, pictures) from error
    return PackedImages(target)


class _Pictures:
    """What is to be packed: for each row the id, file name, path and the checksum the manifest gives, if any."""

    def __init__(self, folder: Path, manifest: pd.DataFrame, side: int) -> None:
        self.side = side
        self.ids: list[str] = manifest["image_id"].tolist()
        self.files: list[str] = manifest["file"].tolist()
        self.paths = [os.path.join(folder, file) for file in self.files]
        self.sha256: list[str] = manifest["sha256"].tolist() if "sha256" in manifest else [""] * len(manifest)
        self.least_bytes = len(manifest) * side * side * 3  # as if all were square; no image is stored smaller

    def differences(self, contents: Sequence[str]) -> dict[int, str]:
        """Row -> problem, for the files that could be read and are not what the manifest says."""
        return {
            row: f"{self.files[row]}: its content is not that of the sha256 in the manifest"
            for row, (content, stated) in enumerate(zip(contents, self.sha256, strict=True))
            if content and stated and content != stated.lower()
        }


def _content_sha256(path: str) -> str:
    try:
        return file_sha256(path)
    except OSError:
        return ""  # reported with the other problems when the picture is to be decoded


def _whole_cache(target: Path) -> PackedImages | None:
    try:
        return PackedImages(target)
    except (OSError, ValueError, EOFError):  # absent, cut short or damaged: to be built again
        return None


def _build(target: Path, pictures: _Pictures, contents: list[str], problems: dict[int, str], progress: bool) -> None:
    """Write the cache `target`, whole or not at all. The caller holds the lock of the cache folder."""
    for stale in target.parent.glob(".*.part"):
        shutil.rmtree(stale, ignore_errors=True)  # only the holder of the lock writes, so its writer is dead
    if pictures.least_bytes > shutil.disk_usage(target.parent).free:
        raise _no_room(target.parent, pictures)
    with replacing_folder(target) as part:
        with open(part / PIXELS, "wb") as file:
            shapes = _write_pixels(file, pictures, contents, problems, progress)
            to_disk(file)
        with open(part / SHAPES, "wb") as file:
            np.save(file, shapes)
            to_disk(file)


def _write_pixels(
    file: BinaryIO, pictures: _Pictures, contents: Sequence[str], problems: dict[int, str], progress: bool
) -> np.ndarray:
    """Decode all, write while nothing is wrong, and return the shapes (n, 2). Raises `DataError` with all problems."""
    shapes = np.zeros((len(pictures.paths), 2), dtype=np.int32)
    rows = [row for row in range(len(pictures.paths)) if row not in problems]

    # Threads, not processes: forking under torch can hang.
    bar = progress_bar(total=len(rows), desc="packing", unit="image", show=progress)
    with bar, strict_pillow(), ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(rows), CHUNK):  # in chunks, or a slow disk would let decoded images pile up
            chunk = rows[first : first + CHUNK]
            decoded = [pool.submit(_decode, pictures.paths[row], contents[row], pictures.side) for row in chunk]
            for row, image in zip(chunk, decoded, strict=True):
                bar.update()
                try:
                    pixels = image.result()
                except UnfitError as error:
                    problems[row] = f"{pictures.files[row]}: {error}"
                    continue
                if not problems:
                    shapes[row] = pixels.shape[:2]
                    file.write(pixels)
    if problems:
        found = [problems[row] for row in sorted(problems)]
        raise DataError(found, f"Fix these files or delete their rows in {MANIFEST}.")
    return shapes


def _decode(path: str, content: str, side: int) -> np.ndarray:
    """The image as stored, uint8 (height, width, 3). Raises `UnfitError`."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnfitError(f"cannot be read ({error.strerror or error})") from None
    if hashlib.sha256(data).hexdigest() != content:
        raise UnfitError("changed while it was being packed")
    return np.asarray(decode(data, side=side))


def _no_room(cache: Path, pictures: _Pictures) -> DataError:
    needed, free = -(-pictures.least_bytes // _MEGABYTE), shutil.disk_usage(cache).free // _MEGABYTE
    return DataError(
        f"no room to pack {len(pictures.paths)} images: at least {needed} MB are needed in {cache}, {free} MB are free",
        "Free disk space (look at quotas and file size limits too), choose another cache folder, or a smaller size.",
    )
