"""Edited pictures: what is erased is gone, what is kept is untouched, and controls erase as much elsewhere."""

import numpy as np
import pytest
import torch

from seran_lib.explain.edits import (
    EDITS,
    GREY,
    boxes,
    crop_square,
    elsewhere,
    erase_highest,
    filled,
    grown,
    make_scenes,
    shrunk,
)  # fmt: skip

SIDE = 60


@pytest.fixture
def scenes():
    """A dark insect on a sheet that grows lighter to the right, with a red label in the lower left corner."""
    picture = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
    picture[:] = np.linspace(150, 210, SIDE).round()[None, :, None]
    insect, furniture = np.zeros((2, 1, SIDE, SIDE), dtype=bool)
    insect[0, 10:30, 20:45], furniture[0, 45:57, 3:20] = True, True
    picture[insect[0]], picture[furniture[0]] = (30, 20, 10), (200, 0, 0)
    return make_scenes(picture[None], insect, furniture, seed=0)


@pytest.fixture
def others(scenes):
    return make_scenes(np.full_like(scenes.pictures, 80), scenes.insect[:, ::-1].copy(), scenes.furniture, seed=1)


def test_a_hole_in_a_smooth_sheet_is_filled_as_if_nothing_had_been_there(scenes):
    sheet = np.linspace(150, 210, SIDE).round()
    result = EDITS["insect erased"](scenes, scenes)[0]
    assert np.abs(result[10:30, 20:45].astype(float) - sheet[None, 20:45, None]).max() < 12
    away = ~grown(scenes.insect)[0]
    assert np.array_equal(result[away], scenes.pictures[0][away])


def test_filling_keeps_one_colour_exactly_and_a_picture_that_is_all_hole_is_grey():
    flat = np.full((2, 33, 47, 3), 90, dtype=np.uint8)
    holes = np.zeros((2, 33, 47), dtype=bool)
    holes[0, :30], holes[1] = True, True
    result = filled(flat, holes)
    assert (result[0] == 90).all()
    assert (result[1] == GREY).all()


def test_grown_and_shrunk():
    mask = np.zeros((1, 50, 50), dtype=bool)
    mask[0, 20:30, 20:30] = True
    assert grown(mask).sum() == 12 * 12
    assert shrunk(mask).sum() == 8 * 8


def test_the_control_erases_as_many_pixels_and_none_that_are_taboo(scenes):
    taboo = scenes.insect | scenes.furniture
    holes = elsewhere(scenes.insect, taboo, scenes.blobs)
    assert holes.sum() == scenes.insect.sum() and not (holes & taboo).any()
    assert elsewhere(~scenes.insect, ~scenes.insect, scenes.blobs).sum() == scenes.insect.sum(), "no more than is left"


def test_boxes():
    mask = np.zeros((1, 9, 9), dtype=bool)
    mask[0, 2, 3] = mask[0, 5, 7] = True
    expected = np.zeros((1, 9, 9), dtype=bool)
    expected[0, 2:6, 3:8] = True
    assert np.array_equal(boxes(mask), expected)


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ((40, 60), (40, 60), (36, 36, 28)),  # in the middle: 20 and 4 % of 100 on each side
        ((0, 10), (90, 100), (0, 82, 18)),  # in the corner: moved inside
        ((0, 100), (45, 55), (0, 0, 100)),  # as high as the picture
    ],
)
def test_crop_square(rows, columns, expected):
    insect = np.zeros((100, 100), dtype=bool)
    insect[slice(*rows), slice(*columns)] = True
    assert crop_square(insect) == expected


def test_a_crop_enlarges_the_insect_and_leaves_the_label_out(scenes):
    result = EDITS["cropped to the insect"](scenes, scenes)[0]
    dark, red = (result < 60).all(axis=2), (result[..., 0] > 150) & (result[..., 1] < 90)
    assert dark.sum() > 2 * scenes.insect.sum()
    assert not red.any()
    kept = EDITS["around that crop erased"](scenes, scenes)[0]
    assert np.array_equal(kept[scenes.insect[0]], scenes.pictures[0][scenes.insect[0]])
    assert not ((kept[..., 0] > 150) & (kept[..., 1] < 90)).any()


def test_covering_the_label_leaves_the_insect_and_its_control_leaves_both(scenes):
    covered = EDITS["label and ruler covered"](scenes, scenes)
    control = EDITS["as much bare sheet covered"](scenes, scenes)
    for result in (covered, control):
        assert np.array_equal(result[scenes.insect], scenes.pictures[scenes.insect])
    assert (np.ptp(covered[scenes.furniture], axis=-1) < 5).all(), "no red is left"
    assert np.array_equal(control[scenes.furniture], scenes.pictures[scenes.furniture])


def test_an_insect_on_another_sheet_brings_nothing_of_its_own(scenes, others):
    result = EDITS["insect on another kind's sheet"](scenes, others)
    inside = shrunk(scenes.insect)
    assert np.array_equal(result[inside], scenes.pictures[inside])
    assert (result[~inside] == 80).all()


def test_only_this_or_that_is_left(scenes):
    only_label = EDITS["only label and ruler, on grey"](scenes, scenes)
    assert (only_label[~scenes.furniture] == GREY).all()
    for name in ("only the insect, on grey", "only its outline, black on grey"):
        assert (EDITS[name](scenes, scenes)[~scenes.insect] == GREY).all()
    assert (EDITS["only its outline, black on grey"](scenes, scenes)[scenes.insect] == 0).all()


def test_no_edit_changes_its_scenes(scenes, others):
    before = scenes.pictures.copy()
    for edit in EDITS.values():
        result = edit(scenes, others)
        assert result.shape == before.shape and result.dtype == np.uint8
    assert np.array_equal(scenes.pictures, before)


def test_the_highest_pixels_are_removed_and_no_others():
    images = torch.zeros(2, 3, 20, 20) + 1.0
    maps = np.random.default_rng(0).random((2, 20, 20))
    top = maps.reshape(2, -1).argsort(axis=1)[:, -80:]
    for image, best in zip(images, top, strict=True):
        image.view(3, -1)[:, best] = 9.0
    result = erase_highest(images, maps, 0.2)
    assert result.max() < 1.2, "filled from the neighbours"
    untouched = torch.from_numpy(maps < np.sort(maps.reshape(2, -1), axis=1)[:, -80][:, None, None])
    assert torch.equal(result.movedim(1, -1)[untouched], images.movedim(1, -1)[untouched])
    assert torch.equal(result, erase_highest(images, maps, 0.2))
