"""Augmentation: what each parameter does to the pixels, and that nothing but (seed, epoch, image) decides it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seran_lib.data.augment import (
    FIELDS,
    MAX_ZOOM,
    PADDING,
    affine_maps,
    augment,
    denormalise,
    draw_parameters,
    normalise,
    plain_view,
)

IDENTITY = {"position": 0.5, "zoom": 1, "x": 0, "y": 0, "flip_x": 0, "flip_y": 0, "brightness": 0, "contrast": 1}


@pytest.fixture
def windows():
    """One smooth window of 64 px, no side or corner like another: (1, 64, 64, 3) uint8."""
    y, x = np.mgrid[0:64, 0:64] / 63
    return torch.from_numpy((30 + 180 * np.stack([x, y, x * y], -1)).astype(np.uint8)[None])


def view(windows, size=64, **changes):
    parameters = torch.tensor([[float((IDENTITY | changes)[name]) for name in FIELDS]])
    return denormalise(augment(windows, parameters, size))


def test_identity_is_the_image_and_the_plain_view(windows):
    expected = windows.permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(view(windows), expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(denormalise(plain_view(windows, 64)), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(view(windows, 32), denormalise(plain_view(windows, 32)), atol=0.02, rtol=0)


def test_flips(windows):
    plain = view(windows)
    torch.testing.assert_close(view(windows, flip_x=1), plain.flip(3), atol=2e-3, rtol=0)
    torch.testing.assert_close(view(windows, flip_y=1), plain.flip(2), atol=2e-3, rtol=0)


def test_zoom_shows_the_middle(windows):
    zoomed = view(windows, zoom=2)
    torch.testing.assert_close(zoomed[..., 32, 32], view(windows)[..., 32, 32], atol=0.02, rtol=0)
    ranges = [float(image[0, 0].max() - image[0, 0].min()) for image in (zoomed, view(windows))]
    assert ranges[0] == pytest.approx(ranges[1] / 2, rel=0.05)


def test_shift_reaches_over_the_border_by_the_padding_and_mirrors(windows):
    shifted, plain = view(windows, x=1), view(windows)
    pixels = round(64 * PADDING)
    torch.testing.assert_close(shifted[..., : 64 - pixels], plain[..., pixels:], atol=0.01, rtol=0)
    torch.testing.assert_close(shifted[..., 64 - pixels :], plain[..., -pixels:].flip(3), atol=0.02, rtol=0)


def test_lighting_keeps_the_range_and_the_order(windows):
    plain, brighter, harder = view(windows), view(windows, brightness=0.4), view(windows, contrast=1.25)
    assert (brighter > plain).all() and brighter.max() <= 1
    assert harder.max() > plain.max() and harder.min() < plain.min()


@given(images=st.integers(1, 40), seed=st.integers(0, 2**31), epoch=st.integers(0, 500))
def test_parameters_stay_in_their_ranges(images, seed, epoch):
    table = dict(zip(FIELDS, draw_parameters(images, seed=seed, epoch=epoch).T, strict=True))
    assert ((table["zoom"] >= 1) & (table["zoom"] <= MAX_ZOOM)).all()
    assert (np.abs(table["x"]) <= 1).all() and (np.abs(table["y"]) <= 1).all()
    assert set(np.concatenate([table["flip_x"], table["flip_y"]])) <= {0, 1}
    assert (np.abs(table["brightness"]) <= np.log(0.6 / 0.4) + 1e-6).all()
    assert ((table["contrast"] >= 0.8 - 1e-6) & (table["contrast"] <= 1.25 + 1e-6)).all()


def test_a_quarter_of_the_images_is_not_zoomed_and_half_is_flipped():
    table = dict(zip(FIELDS, draw_parameters(20_000, seed=1, epoch=2).T, strict=True))
    assert (table["zoom"] == 1).mean() == pytest.approx(0.25, abs=0.02)
    assert (table["contrast"] == 1).mean() == pytest.approx(0.25, abs=0.02)
    assert table["flip_y"].mean() == pytest.approx(0.5, abs=0.02)


def test_parameters_depend_on_seed_and_epoch_only():
    first = draw_parameters(50, seed=3, epoch=4)
    np.testing.assert_array_equal(first, draw_parameters(50, seed=3, epoch=4))
    for seed, epoch in ((3, 5), (4, 4)):
        assert (first != draw_parameters(50, seed=seed, epoch=epoch)).any()


def test_maps_of_a_batch_are_the_maps_of_its_images():
    table = torch.from_numpy(draw_parameters(6, seed=0, epoch=0))
    torch.testing.assert_close(affine_maps(table)[2:4], affine_maps(table[2:4]))


def test_normalise_and_back():
    images = torch.rand(2, 3, 5, 5)
    torch.testing.assert_close(denormalise(normalise(images)), images)
