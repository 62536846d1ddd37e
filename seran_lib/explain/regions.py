"""Where the insect is in each image of a set, and where label and ruler are, in the pixels the network is given.

Masks that lie beside the images are exact (`data.masks`): drawn insects have them, photographs if you draw some. On
photographs of specimen sheets without a mask both are found by plain image processing (`curate.sheets`, where nothing
is trained). Field photographs without a mask are left out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from seran_lib.curate.sheets import find_sheet
from seran_lib.data.masks import MASKS, read_mask
from seran_lib.data.pictures import decode
from seran_lib.train.dataset import Dataset

PLAUSIBLE = (0.02, 0.6)  # of the picture; less is a crumb, more is sheet taken for insect


@dataclass(frozen=True)
class Regions:
    """Masks of the test images, (n, side, side) bool, on the square windows that `PackedImages.fetch` cuts.

    `usable` (n,) says whether there is an insect, and where it was found, whether its size is plausible; `exact`
    whether all masks were there and none was found.
    """

    insect: np.ndarray
    furniture: np.ndarray
    usable: np.ndarray
    exact: bool


def find_regions(dataset: Dataset) -> Regions:
    """The regions of every test image, in their order. Raises DataError for a mask that cannot be used."""
    images = dataset.manifest[dataset.parts == "test"]
    shape = (len(images), dataset.images.side, dataset.images.side)
    insect, furniture, exact = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(len(images), bool)
    for k, (image_id, file) in enumerate(zip(images["image_id"], images["file"], strict=True)):
        mask = Path(dataset.folder, MASKS, f"{image_id}.png")
        exact[k] = mask.is_file()
        image = decode(Path(dataset.folder, file).read_bytes())
        found = read_mask(mask, image.size) if exact[k] else _found(image)
        insect[k], furniture[k] = (as_window(region, dataset.images.side) for region in found)
    share = insect.mean(axis=(1, 2))
    usable = (share > PLAUSIBLE[0]) & (exact | (share < PLAUSIBLE[1]))
    return Regions(insect, furniture & ~insect, usable, bool(exact.all()))


def as_window(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask (height, width) of a whole picture in its central square window, (side, side) bool."""
    return np.asarray(ImageOps.fit(Image.fromarray(mask.astype(np.uint8) * 255), (side, side))) >= 128


def _found(image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Insect and furniture of a specimen sheet, (height, width) bool; of another picture, nothing."""
    sheet = find_sheet(image)
    nothing = np.zeros((image.height, image.width), dtype=bool)
    return (sheet.specimen, sheet.furniture) if sheet else (nothing, nothing)
