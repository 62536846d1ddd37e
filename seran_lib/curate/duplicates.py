"""Find pictures that are copies of each other: byte for byte, or re-encoded, resized, mirrored, brightened, trimmed.

Perceptual hashes (ImageHash, 64 bits) say which pairs may be copies. Alone they give many false pairs, because pinned
insects all look alike. So each candidate is looked at: the second thumbnail is laid over the first by shift and scale
(the image alignment of Lucas and Kanade, 1981), and their fine detail, which no two animals share, is correlated. Two
photographs of one animal are no copies; the manifest's ``record`` and ``group`` join those.

On one core 1,000 small pictures take 1 to 2 s, all distances of 35,000 under 10 s, and a candidate 0.1 ms. Photographs
in the field have few candidates; 4,000 pinned butterflies that look alike have millions, and take 4 minutes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import imagehash
import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from seran_lib.curate.components import components
from seran_lib.data.pictures import WORKERS, UnfitError, decode
from seran_lib.progress import progress_bar

HASH_DISTANCE = 14  # of 64 bits; further apart, a pair is not looked at
COARSE, COARSE_ALIKE = 16, 0.82  # pixels of a first, quick look, and the least correlation of detail there
FINE, FINE_ALIKE = 48, 0.96  # the same of the second look, which decides

_ROWS = 512  # of the matrix of distances at a time
_PAIRS = 1024  # looked at together

Result = TypeVar("Result")


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a picture: the checksum of its file, and if it could be decoded its look.

    ``bits`` (2, 64) are the perceptual hashes of the picture and of its mirror image, ``thumb`` is uint8 (48, 48).
    """

    sha256: str
    bits: np.ndarray | None = None
    thumb: np.ndarray | None = None


def fingerprint(data: bytes, image: Image.Image | None = None) -> Fingerprint:
    """The fingerprint of a file's bytes and the picture decoded from them, if it could be."""
    sha256 = hashlib.sha256(data).hexdigest()
    if image is None:
        return Fingerprint(sha256)
    grey = image.convert("L")
    grey.thumbnail((4 * FINE, 4 * FINE))
    bits = np.stack([imagehash.phash(one).hash.ravel() for one in (grey, ImageOps.mirror(grey))])
    return Fingerprint(sha256, bits, np.asarray(grey.resize((FINE, FINE), Image.Resampling.BILINEAR)))


def near_duplicates(folder: str | Path, manifest: pd.DataFrame, *, progress: bool = False) -> pd.Series:
    """The cluster of every picture, on the index of `manifest`: pictures with equal clusters are copies of each other.

    A cluster is named after its smallest ``image_id``. A picture that is missing or cannot be decoded is a copy only of
    files with the same bytes, and otherwise a cluster by itself.
    """

    def look(file: str) -> Fingerprint:
        data = None
        try:
            data = Path(folder, file).read_bytes()
            return fingerprint(data, decode(data))
        except (OSError, UnfitError):
            return fingerprint(data) if data is not None else Fingerprint("")

    prints = list(in_threads(look, manifest["file"], "looking for copies", progress))
    return cluster_names(manifest["image_id"], find_copies(prints, progress=progress)).set_axis(manifest.index)


def in_threads(
    work: Callable[[str], Result], items: Iterable[str], description: str, progress: bool
) -> Iterator[Result]:
    """`work` of each item, in order. Few are under way at a time, so that decoded pictures do not pile up."""
    items = list(items)
    bar = progress_bar(total=len(items), desc=description, unit="image", show=progress)
    with bar, ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(items), 64):
            for result in pool.map(work, items[first : first + 64]):
                bar.update()
                yield result


def find_copies(prints: Sequence[Fingerprint], *, progress: bool = False) -> pd.DataFrame:
    """All pairs of copies: positions ``first`` < ``second`` in `prints`, and how ``alike`` they are.

    ``alike`` is the correlation of detail, below 1; or exactly 1.0 where the files are equal byte for byte. Of equal
    files only the first is compared with others, and the others are paired with it alone.
    """
    first_with = {}
    originals = [first_with.setdefault(one.sha256 or f"row {row}", row) for row, one in enumerate(prints)]
    pairs = [(first, row, 1.0) for row, first in enumerate(originals) if first != row]
    rows = [row for row, first in enumerate(originals) if first == row and prints[row].bits is not None]
    if len(rows) > 1:
        thumbs = np.stack([prints[row].thumb for row in rows])
        coarse = _shrunk(thumbs, COARSE)  # of all at once, as a picture may be in thousands of pairs; 1 KB each
        bits = np.stack([prints[row].bits for row in rows])
        with progress_bar(total=len(rows), desc="comparing", unit="image", show=progress) as bar:
            for first, second, mirrored in _candidates(bits, bar):
                passed = _alike(coarse[first], coarse[second], mirrored) >= COARSE_ALIKE
                first, second, mirrored = first[passed], second[passed], mirrored[passed]
                alike = _alike(_shrunk(thumbs[first], FINE), _shrunk(thumbs[second], FINE), mirrored)
                found = zip(first, second, alike, strict=True)
                pairs += [(rows[a], rows[b], min(float(c), 0.9999)) for a, b, c in found if c >= FINE_ALIKE]
    table = pd.DataFrame(pairs, columns=["first", "second", "alike"])
    table = table.astype({"first": int, "second": int, "alike": float})
    # A symmetric picture may be found as it is and mirrored: the better of both counts.
    table = table.sort_values(["first", "second", "alike"], ascending=[True, True, False])
    return table.drop_duplicates(["first", "second"], ignore_index=True)


def cluster_names(image_ids: Sequence[str], pairs: pd.DataFrame) -> pd.Series:
    """For each id the smallest id that can be reached from it over `pairs`, given by position."""
    ids = pd.Series(list(image_ids), dtype=str)
    return ids.groupby(components(pairs["first"].to_numpy(), pairs["second"].to_numpy(), len(ids))).transform("min")


def _candidates(bits: np.ndarray, bar: tqdm) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs with similar hashes, (n, 2, 64): first, second, and whether the second is to be mirrored."""
    signs = np.where(bits, np.float32(1), np.float32(-1))  # equal minus different bits is then a matrix product
    for start in range(0, len(bits), _ROWS):
        for mirrored in (0, 1):
            products = signs[start : start + _ROWS, 0] @ signs[start:, mirrored].T
            first, second = np.nonzero(products >= bits.shape[2] - 2 * HASH_DISTANCE)
            first, second = (side[first < second] + start for side in (first, second))
            for part in range(0, len(first), _PAIRS):
                a, b = first[part : part + _PAIRS], second[part : part + _PAIRS]
                yield a, b, np.full(len(a), bool(mirrored))
        bar.update(len(products))


def _shrunk(thumbs: np.ndarray, size: int) -> np.ndarray:
    """The thumbnails at `size` pixels, (n, s, s) float32, without what brightness and contrast do to them."""
    step = FINE // size
    small = thumbs.reshape(-1, size, step, size, step).mean((2, 4), dtype=np.float32)
    small -= small.mean((1, 2), keepdims=True)
    return small / (small.std((1, 2), keepdims=True) + 1e-3)


def _alike(still: np.ndarray, moving: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Correlation of the fine detail of pairs (n, s, s), (n,), after the second was laid over the first."""
    size = still.shape[1]
    moving[mirrored] = moving[mirrored, :, ::-1]
    moved, inside = _lay_over(still, moving, steps=2 if size == COARSE else 4)
    sigma = size / 24 if size > COARSE else 1.0
    a, b = ((part - gaussian_filter(part, (0, sigma, sigma))) * inside for part in (still, moved))
    return (a * b).sum((1, 2)) / np.sqrt((a * a).sum((1, 2)) * (b * b).sum((1, 2)) + 1e-6)


def _lay_over(still: np.ndarray, moving: np.ndarray, *, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale `moving` (n, s, s), up to 15 % along each axis, so that it fits `still` best.

    Returns the moved pictures and where they are known, both (n, s, s). Each step solves the least squares problem that
    is linear for small changes.
    """
    n, size, _ = still.shape
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    down, across = (slope * (size - 1) / 2 for slope in np.gradient(still, axis=(1, 2)))
    slopes = np.stack([across * grid, down * grid[:, None], across, down], axis=1).reshape(n, 4, size * size)
    change = np.zeros((n, 4), dtype=np.float32)  # scale across, scale down, shift across, shift down

    def along(scale: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear interpolation along one axis as a matrix (n, s, s), and which positions lie inside (n, s)."""
        place = ((1 + scale[:, None]) * grid + shift[:, None] + 1) * (size - 1) / 2
        weights = 1 - np.abs(place.clip(0, size - 1)[:, :, None] - np.arange(size, dtype=np.float32))
        return weights.clip(min=0), (place >= 0) & (place <= size - 1)

    def move() -> tuple[np.ndarray, np.ndarray]:
        (x, in_x), (y, in_y) = along(change[:, 0], change[:, 2]), along(change[:, 1], change[:, 3])
        return y @ moving @ x.transpose(0, 2, 1), in_y[:, :, None] & in_x[:, None]

    for _ in range(steps):
        moved, inside = move()
        known = slopes * inside.reshape(n, 1, size * size)
        difference = (still - moved).reshape(n, size * size, 1)
        curvature = known @ known.transpose(0, 2, 1) + 0.01 * np.eye(4, dtype=np.float32)
        change = (change + np.linalg.solve(curvature, known @ difference)[..., 0]).clip(-0.15, 0.15)
    return move()
