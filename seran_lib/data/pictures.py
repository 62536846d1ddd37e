"""Pictures: which are fit to be used, the one way to decode them, and boxes in them.

Whoever looks at a picture sees it RGB, upright by its EXIF orientation, and white where it is transparent.
"""

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator

from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow reads more, some by running other programs
MODES = ("RGB", "L", "P", "RGBA", "LA", "PA", "CMYK", "1")  # of Pillow, with 8 bits a channel at most
LONGEST = 3  # longer side of a picture made for training, in shorter sides
SHORTEST_SIDE = 16  # pixels of a picture that trains; below, nothing of an insect can be seen
MOST_PIXELS = 200_000_000
WORKERS = min(8, os.cpu_count() or 1)  # threads that decode: Pillow does so without Python's lock

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the upright picture; x1 and y1 are exclusive

_BOX = re.compile(r"([0-9]{1,6}) ([0-9]{1,6}) ([0-9]{1,6}) ([0-9]{1,6})")
_MEGABYTE = 1_000_000


class UnfitError(ValueError):
    """A picture that cannot be decoded, or is not fit to be used; the message says why."""


def decode(data: bytes, *, side: int = 0) -> Image.Image:
    """The picture in a file's content: RGB, upright, white where it is transparent.

    With `side` it is as training stores it: the shorter side has so many pixels, the longer one follows in proportion,
    up to three times as many; beyond that the picture is cut around its centre. Raises `UnfitError`.
    """
    with _in_words():
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_fit(image)
        if side:
            longer = _longer_side(image, side)
            image.draft(None, (3 * longer, 3 * side))  # lets the JPEG decoder skip detail nobody will see
        image.load()
        profile = image.info.get("icc_profile") if image.mode == "RGB" else None
        if image.mode == "RGBA" or image.has_transparency_data:
            image = image.convert("RGBA")
            sheet = Image.new("RGB", image.size, "white")
            sheet.paste(image, mask=image.getchannel("A"))
            sheet.info = image.info  # where EXIF says which side is up
            image = sheet
        image = image.convert("RGB")
        if side:
            size = (longer, side) if image.width >= image.height else (side, longer)
            image = image.resize(size, Image.Resampling.BICUBIC, box=_training_box(image), reducing_gap=3.0)
        with contextlib.suppress(Exception):  # damaged EXIF says nothing about the pixels: taken as upright
            image = ImageOps.exif_transpose(image)
        image.info = {"icc_profile": profile} if profile else {}
        return image


def check_whole(data: bytes) -> tuple[str, int, int]:
    """Format, width and height of a picture that decodes to its last row. Raises `UnfitError` for any other."""
    with _in_words(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        image.load()
        return image.format, image.width, image.height


def is_box(text: str) -> bool:
    """Whether `text` is a box as tables have it, "x0 y0 x1 y1": four whole numbers with x0 < x1 and y0 < y1."""
    found = _BOX.fullmatch(text)
    x0, y0, x1, y1 = map(int, found.groups()) if found else (0,) * 4
    return x0 < x1 and y0 < y1


def read_box(text: str) -> Box:
    """The four numbers of a box that `is_box` accepts."""
    x0, y0, x1, y1 = map(int, text.split())
    return x0, y0, x1, y1


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Pillow's process-wide switches as training needs them: truncated files are errors, and so are bombs."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns above this and raises above twice this
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except UnfitError:
        raise
    except Image.DecompressionBombError:
        raise UnfitError(f"larger than {2 * Image.MAX_IMAGE_PIXELS // _MEGABYTE} megapixels") from None
    except UnidentifiedImageError:
        raise UnfitError(f"not an image of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise UnfitError(f"cannot be decoded ({type(error).__name__}: {error})") from None


def _check_fit(image: Image.Image) -> None:
    # A camera's multi-picture JPEG (MPO) is a photograph followed by previews: its first frame is the photograph.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise UnfitError("animated or of several pages: keep one picture")
    if image.mode not in MODES:
        raise UnfitError(f"colour mode {image.mode}: convert to RGB with 8 bits a channel")


def _longer_side(image: Image.Image, side: int) -> int:
    """The longer side of a picture whose shorter one becomes `side`."""
    short, long = sorted(image.size)
    if short < SHORTEST_SIDE:
        raise UnfitError(f"only {image.width} x {image.height} pixels; the shorter side needs {SHORTEST_SIDE}")
    return round(side * min(long / short, LONGEST))


def _training_box(image: Image.Image) -> tuple[float, float, float, float]:
    """What is left of a picture that is cut around its centre to `LONGEST` times its shorter side."""
    width, height = image.size
    across, down = min(width, LONGEST * height), min(height, LONGEST * width)
    left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down
