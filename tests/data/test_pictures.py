"""Pictures are decoded by one rule, whoever looks at them."""

import io

import numpy as np
import pytest
from PIL import Image

from seran_lib.data.pictures import UnfitError, decode, is_box, read_box


@pytest.mark.parametrize("side", [0, 20])
def test_a_picture_is_upright_rgb_and_white_where_transparent(side):
    image = Image.new("RGBA", (40, 20), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 20))  # the left half is transparent
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x112] = 6  # the left side is up
    image.save(buffer, "PNG", exif=exif)
    shown = decode(buffer.getvalue(), side=side)
    assert (shown.mode, shown.size) == ("RGB", (20, 40))
    pixels = np.asarray(shown)
    assert (pixels[:15] == 255).all() and (pixels[25:] == (200, 0, 0)).all()


def test_what_is_too_small_to_train_on_can_be_looked_at():
    Image.new("RGB", (40, 8)).save(buffer := io.BytesIO(), "PNG")
    assert decode(buffer.getvalue()).size == (40, 8)
    with pytest.raises(UnfitError, match="only 40 x 8 pixels"):
        decode(buffer.getvalue(), side=20)


def test_boxes():
    assert [text for text in ("0 0 9 9", "9 0 9 9", "0 0 9", "-1 0 9 9", "0 0 9 9 ") if is_box(text)] == ["0 0 9 9"]
    assert read_box("1 2 30 40") == (1, 2, 30, 40)
