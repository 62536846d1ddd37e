"""Regions: read from masks, found on sheets, and not pretended where there is nothing to find."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from seran_lib.data.masks import write_mask
from seran_lib.demo.insects.picture import draw_insect
from seran_lib.demo.insects.species import make_species
from seran_lib.explain.regions import as_window, find_regions
from seran_lib.train.dataset import open_dataset


def test_drawn_insects_are_known_by_the_masks_beside_them(settings):
    dataset = open_dataset(settings)
    regions = find_regions(dataset)
    test = dataset.parts == "test"
    assert regions.exact and regions.usable.all()
    side = dataset.images.side
    assert regions.insect.shape == regions.furniture.shape == (test.sum(), side, side)
    is_sheet = dataset.manifest["view"].to_numpy()[test] == "sheet"
    assert (regions.furniture.any(axis=(1, 2)) == is_sheet).all()
    assert not (regions.insect & regions.furniture).any()
    first = Path(dataset.folder, "masks", dataset.manifest["image_id"].to_numpy()[test][0] + ".png")
    assert np.array_equal(regions.insect[0], as_window(np.asarray(Image.open(first)) == 255, side))


def board(path, *, insect=True):
    """A white board with a dark ellipse, a label with a line of writing, and a ruler."""
    image = Image.fromarray(np.random.default_rng(0).normal(225, 2, (200, 260, 3)).clip(0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    if insect:
        canvas.ellipse((90, 40, 170, 110), fill=(60, 40, 20))
    canvas.rectangle((15, 150, 90, 190), fill=(250, 250, 250), outline=(20, 20, 20), width=2)
    canvas.text((22, 165), "Danaus 1901", fill=(0, 0, 0))
    for x in range(130, 250, 8):
        canvas.line((x, 170, x, 190), fill=(0, 0, 0), width=2)
    image.save(path)


@pytest.fixture
def photographs(tmp_path, settings):
    """A data set of three sheets, the last without a specimen, all of them test images."""
    for k in range(3):
        board(tmp_path / f"{k}.png", insect=k < 2)
    data = open_dataset(settings)
    manifest = pd.DataFrame({"image_id": ["0", "1", "2"], "file": ["0.png", "1.png", "2.png"], "label": list("aba")})
    return dataclasses.replace(data, folder=str(tmp_path), manifest=manifest, parts=np.array(["test"] * 3))


def test_on_a_sheet_specimen_and_furniture_are_found(photographs):
    regions = find_regions(photographs)
    side = photographs.images.side
    y, x = np.mgrid[:200, :260]
    truth = as_window(((x - 130) / 40) ** 2 + ((y - 75) / 35) ** 2 <= 1, side)
    found = regions.insect[0]
    assert (found & truth).sum() / (found | truth).sum() > 0.85
    label = as_window((y >= 150) & (y < 190) & (x >= 30) & (x < 90), side)  # as far as it lies in the central square
    assert (regions.furniture[0] & label).sum() > 0.8 * label.sum()
    assert not (regions.furniture & regions.insect).any()
    assert not regions.exact


def test_a_sheet_without_a_specimen_is_not_used(photographs):
    assert find_regions(photographs).usable.tolist() == [True, True, False]


def test_a_readers_own_mask_is_used_before_anything_is_looked_for(photographs, tmp_path):
    insect, label = np.zeros((2, 200, 260), dtype=bool)
    insect[20:180, 40:220], label[190:] = True, True  # too large to be believed, if it had been found
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "2.png", insect, label)
    regions, side = find_regions(photographs), photographs.images.side
    assert regions.usable.all() and not regions.exact, "the others were found"
    assert np.array_equal(regions.insect[2], as_window(insect, side))
    assert regions.furniture[2].any() and not (regions.furniture[2] & ~as_window(label, side)).any()


@pytest.mark.parametrize("oriented", [False, True])
def test_a_mask_is_that_of_the_upright_picture(photographs, tmp_path, oriented):
    if oriented:
        with Image.open(tmp_path / "0.png") as image:
            exif = image.getexif()
            exif[0x0112] = 6  # lies on its side
            image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "0.png", exif=exif)
    (tmp_path / "masks").mkdir()
    write_mask(tmp_path / "masks" / "0.png", np.ones((200, 260), dtype=bool), np.zeros((200, 260), dtype=bool))
    assert find_regions(photographs).insect[0].all()


def test_field_photographs_are_not_used(photographs, tmp_path):
    for k in range(3):
        drawing = draw_insect(make_species(3, 1)[k], np.random.default_rng(k), side=200)
        drawing.image.save(tmp_path / f"{k}.png")
    assert not find_regions(photographs).usable.any()


def test_the_window_is_the_central_square():
    middle, corner = np.zeros((2, 20, 60), dtype=bool)
    middle[:, 20:40] = corner[:10, 20:30] = True
    assert as_window(middle, 10).all()
    y, x = np.mgrid[:10, :10]
    assert np.array_equal(as_window(corner, 10), (y < 5) & (x < 5))
