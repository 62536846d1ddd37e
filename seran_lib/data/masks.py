"""Masks: where the insect is in an image, and where label and ruler are.

A folder in the manifest format may have them in ``masks/<image_id>.png``, for some of its images or for all: a
greyscale picture as large as the image (turned upright), white (255) on the insect, grey (128) on label, ruler and
colour chart, black (0) elsewhere. Drawn insects come with theirs; for photographs, draw your own.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from seran_lib.errors import DataError

MASKS = "masks"
INSECT, FURNITURE = 255, 128


def write_mask(path: Path, insect: np.ndarray, furniture: np.ndarray) -> None:
    """Write both regions, (height, width) bool, as one picture; where they overlap, the insect is in front."""
    Image.fromarray(np.select([insect, furniture], [INSECT, FURNITURE]).astype(np.uint8)).save(path)


def read_mask(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The insect and the furniture, (height, width) bool, of an image of `size` (width, height).

    Raises DataError for a mask of another size or with other greys, and for a file that is no picture.
    """
    try:
        with Image.open(path) as image:
            mask = np.asarray(image.convert("L"))
    except OSError as error:
        raise DataError(f"{path} is no picture: {error}", "Draw it again, or delete it.") from error
    if mask.shape != size[::-1]:
        there, wanted = (f"{width} x {height}" for width, height in (mask.shape[::-1], size))
        raise DataError(f"{path} has {there} pixels, its image {wanted}", "Save the mask as large as the image.")
    if other := sorted(set(np.unique(mask).tolist()) - {0, FURNITURE, INSECT}):
        raise DataError(
            f"{path} has greys such as {other[0]}",
            f"Use {INSECT} on the insect, {FURNITURE} on label and ruler, 0 elsewhere, without smooth edges.",
        )
    return mask == INSECT, mask == FURNITURE
