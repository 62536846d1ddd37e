"""Where the insect is in each image of a set, and where label and ruler are, in the pixels the network is given.

On drawn insects both are known exactly, because the drawing can be repeated. On photographs of specimen sheets they
are found by plain image processing (`data.sheets`, where nothing is trained). Field photographs have no such masks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from seran_lib.curate.sheets import find_sheet
from seran_lib.demo.dataset import CARD, Drawing, redraw
from seran_lib.train.dataset import Dataset

PLAUSIBLE = (0.02, 0.6)  # of the picture; less is a crumb, more is sheet taken for wing


@dataclass(frozen=True)
class Regions:
    """Masks of the images of a part, (n, side, side) bool, on the square windows that `PackedImages.fetch` cuts.

    `furniture` is label, ruler and colour chart. `usable` (n,) says whether an insect was found and is of plausible
    size; `exact` whether the masks are known and not estimated.
    """

    insect: np.ndarray
    furniture: np.ndarray
    usable: np.ndarray
    exact: bool


def find_regions(dataset: Dataset) -> Regions:
    """The regions of every test image, in their order."""
    rows = np.flatnonzero(dataset.parts == "test")
    side, exact = dataset.images.side, (Path(dataset.folder) / CARD).is_file()
    if exact:
        drawings = redraw(dataset.folder, dataset.manifest["image_id"].to_numpy()[rows])
        found = ((drawing.mask.astype(bool), _boxes(drawing)) for drawing in drawings)
    else:
        found = _photographed(dataset, rows)
    insect, furniture = (
        np.stack(masks) for masks in zip(*((as_window(a, side), as_window(b, side)) for a, b in found), strict=True)
    )
    share = insect.mean(axis=(1, 2))
    return Regions(insect, furniture & ~insect, (share > PLAUSIBLE[0]) & (exact | (share < PLAUSIBLE[1])), exact)


def as_window(mask: np.ndarray, side: int) -> np.ndarray:
    """A mask (height, width) of a whole picture in its central square window, (side, side) bool."""
    return np.asarray(ImageOps.fit(Image.fromarray(mask.astype(np.uint8) * 255), (side, side))) >= 128


def _photographed(dataset: Dataset, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for file in dataset.manifest["file"].to_numpy()[rows]:
        with Image.open(Path(dataset.folder) / file) as image:
            upright = ImageOps.exif_transpose(image)
            sheet = find_sheet(upright)
        nothing = np.zeros((upright.height, upright.width), dtype=bool)
        yield (sheet.specimen, sheet.furniture) if sheet else (nothing, nothing)


def _boxes(drawing: Drawing) -> np.ndarray:
    """Label and ruler of a drawn sheet, (height, width) bool."""
    mask = np.zeros_like(drawing.mask, dtype=bool)
    for x0, y0, x1, y1 in filter(None, (drawing.label_box, drawing.ruler_box)):
        mask[y0:y1, x0:x1] = True
    return mask
