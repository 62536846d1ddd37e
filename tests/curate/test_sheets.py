"""Labels and rulers are cut off, specimens are not, and photographs in the field are mostly left alone."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from seran_lib.curate.sheets import find_sheet, furniture_crop, has_insect
from seran_lib.demo.insects.picture import draw_empty, draw_insect
from seran_lib.demo.insects.species import make_species

SPECIES = make_species(14, seed=3)


def drawings(count, side, view):
    return [draw_insect(SPECIES[k % 14], np.random.default_rng([5, k]), side=side, view=view) for k in range(count)]


@pytest.fixture(scope="module", params=[128, 300])
def sheets(request):
    return drawings(42, request.param, "sheet")


def share_inside(crop, box):
    wide, high = (max(0, min(crop[k + 2], box[k + 2]) - max(crop[k], box[k])) for k in (0, 1))
    return wide * high / ((box[2] - box[0]) * (box[3] - box[1]))


def test_crops_leave_label_and_ruler_out_and_keep_the_insect(sheets):
    clean, kept = 0, []
    for sheet in sheets:
        if crop := furniture_crop(sheet.image):
            clean += share_inside(crop, sheet.label_box) + share_inside(crop, sheet.ruler_box) == 0
            kept.append(sheet.mask[crop[1] : crop[3], crop[0] : crop[2]].sum() / sheet.mask.sum())
            assert 0 <= crop[0] < crop[2] <= sheet.image.width
            assert 0 <= crop[1] < crop[3] <= sheet.image.height
            assert all(type(side) is int for side in crop)
    assert clean > 0.9 * len(sheets)
    assert min(kept) > 0.9 and np.mean(kept) > 0.995


def specimen_mask(image):
    sheet = find_sheet(image)
    if sheet is None:
        return np.zeros((image.height, image.width), dtype=np.uint8)
    mask = Image.fromarray(sheet.specimen.astype(np.uint8) * 255)
    return (np.asarray(mask.resize(image.size, Image.Resampling.BILINEAR)) >= 128).astype(np.uint8)


def test_the_specimen_is_where_the_insect_is(sheets):
    pairs = [(specimen_mask(sheet.image), sheet.mask) for sheet in sheets]
    overlaps = [(mask & truth).sum() / (mask | truth).sum() for mask, truth in pairs]
    assert np.median(overlaps) > 0.65  # the shadow is taken for a part of it


def board(draw_on, size=(300, 240), tone=(226, 224, 218)):
    """A board with one specimen, a brown ellipse with wings, and what `draw_on` adds."""
    image = Image.new("RGB", size, tone)
    canvas = ImageDraw.Draw(image)
    canvas.ellipse((135, 50, 165, 150), fill=(70, 45, 30))
    canvas.polygon([(150, 70), (80, 45), (95, 110)], fill=(150, 70, 20))
    canvas.polygon([(150, 70), (220, 45), (205, 110)], fill=(150, 70, 20))
    draw_on(canvas)
    noise = np.random.default_rng(0).normal(0, 2, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


SPECIMEN = (80, 45, 221, 151)


def chart(canvas):
    canvas.rectangle((20, 170, 100, 225), fill=(20, 20, 22))
    for k, colour in enumerate([(200, 40, 40), (40, 160, 60), (40, 60, 190), (230, 200, 40)]):
        canvas.rectangle((26 + 18 * k, 180, 38 + 18 * k, 192), fill=colour)
        canvas.rectangle((26 + 18 * k, 202, 38 + 18 * k, 214), fill=(60 * k + 10,) * 3)


def ruler_at_the_edge(canvas):
    canvas.rectangle((0, 205, 300, 240), fill=(245, 245, 240), outline=(60, 60, 60))
    for x in range(5, 300, 7):
        canvas.line((x, 205, x, 220), fill=(30, 30, 30), width=2)


def label_beside(canvas):
    canvas.rectangle((240, 60, 295, 110), fill=(250, 250, 246), outline=(90, 90, 90))
    for y in (70, 82, 94):
        canvas.line((246, y, 286, y), fill=(40, 40, 40), width=4)


@pytest.mark.parametrize(
    ("what", "box"),
    [(chart, (20, 170, 101, 226)), (ruler_at_the_edge, (0, 205, 300, 240)), (label_beside, (240, 60, 296, 111))],
)
def test_furniture_of_any_sort_is_left_out_wherever_it_lies(what, box):
    crop = furniture_crop(board(what))
    assert share_inside(crop, box) == 0
    assert share_inside(crop, SPECIMEN) == 1


def test_the_crop_turns_and_grows_with_the_picture():
    image = board(label_beside)
    x0, y0, x1, y1 = furniture_crop(image)
    mirrored = furniture_crop(ImageOps.mirror(image))
    assert np.allclose(mirrored, (image.width - x1, y0, image.width - x0, y1), atol=4)
    large = furniture_crop(image.resize((1500, 1200), Image.Resampling.BICUBIC))
    assert np.allclose(np.divide(large, 5), (x0, y0, x1, y1), atol=6)


def test_a_bare_board_needs_no_crop():
    assert furniture_crop(board(lambda canvas: None)) is None
    assert specimen_mask(board(lambda canvas: None)).sum() > 5000
    lines = board(lambda canvas: canvas.line((0, 190, 300, 192), fill=(90, 90, 90), width=2))
    assert furniture_crop(lines) is None, "a line drawn on the board is no furniture"


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (64, 64), (400, 30)])
def test_pictures_of_one_colour_hold_nothing(size):
    for colour in ("white", "black", "olive"):
        image = Image.new("RGB", size, colour)
        assert furniture_crop(image) is None
        assert find_sheet(image) is None
        assert has_insect(image) < 0.01


def test_field_pictures_are_mostly_left_alone_and_score_higher_than_empty_habitats():
    images = [drawing.image for drawing in drawings(70, 128, "field")]
    assert sum(furniture_crop(image) is not None for image in images) <= 5
    insects = np.array([has_insect(image) for image in images])
    empty = np.array([has_insect(draw_empty(np.random.default_rng([6, k]), side=128).image) for k in range(70)])
    assert (insects[:, None] > empty).mean() > 0.9  # area under the ROC curve
    assert ((insects >= 0) & (insects <= 1)).all()
    assert (insects < 0.5).mean() < 0.12
