"""Masks beside the images: what was written is read, and what cannot be meant is refused by name."""

import numpy as np
import pytest
from PIL import Image

from seran_lib.data.masks import read_mask, write_mask
from seran_lib.errors import DataError


def test_both_regions_come_back_and_the_insect_is_in_front(tmp_path):
    insect, furniture = np.zeros((2, 6, 9), dtype=bool)
    insect[1:4, 2:5], furniture[3:6, 4:9] = True, True
    write_mask(tmp_path / "a.png", insect, furniture)
    seen = read_mask(tmp_path / "a.png", (9, 6))
    assert np.array_equal(seen[0], insect) and np.array_equal(seen[1], furniture & ~insect)


def test_a_drawing_in_black_and_white_is_an_insect(tmp_path):
    Image.fromarray(np.eye(5, dtype=bool)).save(tmp_path / "a.png")
    insect, furniture = read_mask(tmp_path / "a.png", (5, 5))
    assert np.array_equal(insect, np.eye(5, dtype=bool)) and not furniture.any()


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.zeros((4, 7)), "has 7 x 4 pixels, its image 9 x 6"),
        (np.full((6, 9), 30), "has greys such as 30"),
        (None, "is no picture"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_named(tmp_path, mask, told):
    path = tmp_path / "a.png"
    path.write_bytes(b"nothing") if mask is None else Image.fromarray(mask.astype(np.uint8)).save(path)
    with pytest.raises(DataError, match=f"a.png {told}"):
        read_mask(path, (9, 6))
