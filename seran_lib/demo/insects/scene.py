"""What surrounds a drawn insect: habitats, the collection sheet with label and ruler, and the camera.

Backgrounds are drawn at twice the size of the frame and halved, then blurred as a lens with shallow focus would. All
functions take their randomness from the generator they are given. Sizes are (width, height) in pixels.
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from seran_lib.data.pictures import Box
from seran_lib.demo.insects.geometry import CIRCLE, Sketch, place, smooth, stroke
from seran_lib.demo.insects.species import Colour, Species, mix, shift_colour

Size = tuple[int, int]

BLACK: Colour = (10, 10, 8)
WHITE: Colour = (255, 255, 255)


def cloud(size: Size, cells: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise in 0..1, (height, width) float32, with about `cells` (across, down) blobs."""
    seeds = Image.fromarray(rng.integers(0, 256, (cells[1], cells[0]), dtype=np.uint8))
    return np.asarray(seeds.resize(size, Image.Resampling.BICUBIC), dtype=np.float32) / 255


def _tinted(amount: np.ndarray, low: Colour, high: Colour) -> Image.Image:
    """An RGB image that runs from colour `low` (amount 0) to `high` (amount 1)."""
    ramp = (np.array([low]) + np.linspace(0, 1, 256)[:, None] * (np.array([high]) - np.array([low]))).astype(np.uint8)
    return Image.fromarray(ramp[(np.clip(amount, 0, 1) * 255).astype(np.uint8)])


def _leaf(size: Size, rng: np.random.Generator) -> Image.Image:
    """The upper side of a leaf with midrib and side veins; its edge may cross the frame."""
    w, h = size
    green = shift_colour((92, 138, 58), rng.uniform(-24, 12), rng.uniform(0.65, 1.05), rng.uniform(0.7, 1.15))
    image = _tinted(cloud(size, (4, 5), rng), mix(green, BLACK, 0.72), mix(green, BLACK, 0.25))
    sketch, reach = Sketch(), float(max(w, h))
    half = reach * rng.uniform(0.34, 0.75)
    bow = rng.uniform(-0.06, 0.06)
    spine = smooth([(-0.75 * reach, 0), (0, bow * reach), (0.75 * reach, 0)])
    blade = smooth(
        [(-0.8 * reach, 0), (-0.5 * reach, -0.75 * half), (0, -half), (0.45 * reach, -0.7 * half), (0.8 * reach, 0)]
    )
    sketch.fill(np.concatenate([blade, (blade * (1, -0.96))[::-1]]), green)
    sketch.fill(np.concatenate([blade * (1, 0.98), spine[::-1]]), mix(green, WHITE, 0.12))
    pale, dark = mix(green, (226, 236, 170), 0.42), mix(green, BLACK, 0.25)
    slope = rng.uniform(0.5, 0.9)
    for x in np.arange(-0.7, 0.7, rng.uniform(0.09, 0.14)) * reach:
        for side in (-1, 1):
            length = half * np.sqrt(max(0.0, 1 - (x / (0.85 * reach)) ** 2)) * 0.95
            vein = smooth(
                [(x, 0), (x + 0.5 * slope * length, side * 0.55 * length), (x + 0.8 * slope * length, side * length)], 8
            )
            sketch.fill(stroke(place(vein, (0, 0.012 * reach)), np.linspace(0.014, 0.004, 8) * reach), dark, 0.5)
            sketch.fill(stroke(vein, np.linspace(0.009, 0.003, 8) * reach), pale, 0.8)
    sketch.fill(stroke(spine, np.linspace(0.026, 0.012, 25) * reach), pale)
    for _ in range(rng.poisson(2)):
        spot = rng.uniform(-0.5, 0.5, 2) * reach
        sketch.disc(spot, rng.uniform(0.008, 0.03, 2) * reach, (126, 104, 54), 0.7)
    turn, middle = rng.uniform(0, 360), (w / 2 + rng.uniform(-0.1, 0.1) * w, h / 2 + rng.uniform(-0.12, 0.12) * h)
    sketch.through(lambda points: place(points, middle, turn)).paint(image)
    return image


def _bark(size: Size, rng: np.random.Generator) -> Image.Image:
    """Bark or weathered wood: long ridges and cracks, down or across the frame."""
    if across := rng.random() < 0.3:
        size = size[::-1]
    w, h = size
    brown = shift_colour((118, 96, 74), rng.uniform(-10, 10), rng.uniform(0.5, 1.2), rng.uniform(0.75, 1.25))
    ridges = 0.55 * cloud(size, (int(rng.integers(16, 34)), 4), rng)
    ridges = ridges + 0.3 * cloud(size, (40, 12), rng) + 0.15 * cloud(size, (9, 9), rng)
    image = _tinted(1.5 * ridges - 0.25, mix(brown, BLACK, 0.5), mix(brown, WHITE, 0.28))
    sketch = Sketch()
    for _ in range(int(rng.integers(9, 18))):
        x, y, length = rng.uniform(0, w), rng.uniform(-0.2, 1) * h, rng.uniform(0.15, 0.7) * h
        drift = np.cumsum(rng.normal(0, 0.012 * w, 6))
        crack = smooth(np.column_stack([x + drift, y + np.linspace(0, length, 6)]), 16)
        width = np.sin(np.linspace(0.1, np.pi - 0.05, 16)) * rng.uniform(0.006, 0.022) * w
        sketch.fill(stroke(place(crack, (0.006 * w, 0)), width), mix(brown, WHITE, 0.35), 0.5)
        sketch.fill(stroke(crack, width), mix(brown, BLACK, 0.75), 0.85)
    if rng.random() < 0.5:  # lichen
        tint = shift_colour((156, 168, 130), rng.uniform(-25, 25))
        for centre in rng.uniform(0, 1, (int(rng.integers(2, 6)), 2)) * size:
            for offset in rng.normal(0, 0.035, (9, 2)) * w:
                sketch.disc(centre + offset, rng.uniform(0.012, 0.035, 2) * w, tint, 0.5)
    sketch.paint(image)
    return image.transpose(Image.Transpose.ROTATE_90) if across else image


def _flower(size: Size, rng: np.random.Generator) -> Image.Image:
    """A daisy-like flower head: rows of ray petals round a disc of florets set in a golden-angle spiral."""
    w, h = size
    image = _bokeh(size, rng)
    petal = (((244, 240, 232), (238, 200, 70), (206, 130, 178), (150, 120, 196), (226, 120, 84)))[int(rng.integers(5))]
    petal = shift_colour(petal, rng.uniform(-8, 8), 1.0, rng.uniform(0.85, 1.0))
    heart = shift_colour(((222, 168, 48), (126, 84, 42), (178, 170, 70))[int(rng.integers(3))], rng.uniform(-6, 6))
    radius = rng.uniform(0.5, 0.85) * max(w, h)
    disc, count = rng.uniform(0.26, 0.42) * radius, int(rng.integers(13, 26))
    edge = [(0, 0), (0.3, -0.09), (0.75, -0.13), (1, 0)]
    shape = np.concatenate([smooth(edge, 10), smooth([(x, -y) for x, y in edge[::-1]], 10)])
    sketch = Sketch()
    for row, share in ((0, 1.0), (1, 0.86)):
        for k in range(count):
            turn = 360 * (k + 0.5 * row) / count + rng.normal(0, 3)
            blade = place(shape * (radius * share * rng.uniform(0.93, 1.04), radius * 17 / count), degrees=turn)
            sketch.fill(blade, mix(petal, BLACK, 0.28 - 0.1 * row))
            sketch.fill(blade * 0.97, mix(petal, BLACK, 0.12 * (1 - row) + rng.uniform(0, 0.06)))
            crease = place(np.array([(0.3, 0), (0.9, 0)]) * radius * share, degrees=turn)
            sketch.fill(stroke(crease, 0.008 * radius), mix(petal, BLACK, 0.3), 0.5)
    sketch.disc((0, 0), (disc, disc), mix(heart, BLACK, 0.45))
    for k in range(90):
        r, angle = disc * np.sqrt((k + 0.5) / 90), k * 2.39996
        tone = mix(heart, WHITE if k % 3 == 0 else BLACK, 0.2)
        sketch.disc((r * np.cos(angle), r * np.sin(angle)), (0.06 * disc, 0.06 * disc), tone)
    middle = np.array(size) * rng.uniform(0.32, 0.68, 2)
    tilt = rng.uniform(0.75, 1.0)
    sketch.through(lambda points: points * (1, tilt) + middle).paint(image)
    return image


def _bokeh(size: Size, rng: np.random.Generator) -> Image.Image:
    """Vegetation or sky far out of focus, with discs of light."""
    w, h = size
    high, low = (
        *(((146, 178, 96), (40, 66, 36)), ((176, 204, 228), (104, 150, 200))),
        *(((208, 196, 140), (96, 92, 52)), ((150, 160, 120), (58, 62, 48))),
    )[int(rng.integers(4))]
    turn = rng.uniform(-8, 8)
    image = _tinted(0.2 + 0.8 * cloud(size, (3, 4), rng), shift_colour(low, turn), shift_colour(high, turn))
    sketch = Sketch()
    for _ in range(int(rng.integers(4, 14))):
        radius = rng.uniform(0.03, 0.12) * max(w, h)
        centre, tint = rng.uniform(0, 1, 2) * size, mix(high, WHITE, rng.uniform(0, 0.5))
        sketch.disc(centre, (radius, radius), tint, rng.uniform(0.1, 0.35))
    for _ in range(int(rng.integers(0, 7))):
        stem = smooth([(rng.uniform(0, w), 1.1 * h), (rng.uniform(0, w), 0.5 * h), (rng.uniform(0, w), -0.1 * h)], 14)
        sketch.fill(stroke(stem, np.linspace(0.03, 0.012, 14) * w), mix(high, low, rng.uniform(0, 1)), 0.5)
    sketch.paint(image)
    return image.reduce(4).filter(ImageFilter.GaussianBlur(0.01 * max(w, h))).resize(size, Image.Resampling.BICUBIC)


def _ground(size: Size, rng: np.random.Generator) -> Image.Image:
    """Sand or soil: grains of many sizes, a few pebbles."""
    w, h = size
    tint = ((204, 182, 142), (158, 128, 98), (178, 174, 166))[int(rng.integers(3))]
    tint = shift_colour(tint, rng.uniform(-6, 6), rng.uniform(0.7, 1.2), rng.uniform(0.8, 1.1))
    grain = 0.3 * cloud(size, (6, 6), rng) + 0.3 * cloud(size, (w // 7, h // 7), rng)
    grain = grain + 0.4 * cloud(size, (w // 3, h // 3), rng)
    image = _tinted(1.6 * grain - 0.3, mix(tint, BLACK, 0.42), mix(tint, WHITE, 0.4))
    sketch = Sketch()
    for _ in range(int(rng.integers(4, 22))):
        centre, radius = rng.uniform(0, 1, 2) * size, rng.gamma(2.0, 0.008) * max(w, h)
        rim = radius * (1 + 0.12 * np.sin(3 * np.arange(len(CIRCLE)) * 0.2856 + rng.uniform(0, 6)))
        stone = CIRCLE * rim[:, None]
        colour = mix(shift_colour(tint, rng.uniform(-10, 10), 0.7), BLACK, rng.uniform(0, 0.35))
        sketch.fill(stone * (1.1, 0.9) + centre + 0.3 * radius, BLACK, 0.35)
        sketch.fill(stone * (1.1, 0.85) + centre, colour)
        sketch.fill(stone * (0.7, 0.5) + centre - 0.2 * radius, mix(colour, WHITE, 0.25), 0.6)
    sketch.paint(image)
    return image


def _wall(size: Size, rng: np.random.Generator) -> Image.Image:
    """A plain painted wall or sheet of cloth, as at a light trap."""
    tint = shift_colour(((232, 230, 224), (206, 198, 184), (188, 198, 204))[int(rng.integers(3))], rng.uniform(-10, 10))
    slope = np.linspace(0, 1, size[0], dtype=np.float32)[None, :] * rng.uniform(-0.5, 0.5)
    amount = 0.6 + slope + 0.25 * (cloud(size, (4, 4), rng) - 0.5)
    amount = amount + 0.25 * (cloud(size, (size[0] // 3, size[1] // 3), rng) - 0.5)
    return _tinted(amount, mix(tint, BLACK, 0.22), mix(tint, WHITE, 0.25))


# Habitat, how often, blur (fraction of the short side) and strength of the insect's shadow on it.
_HABITATS = (
    (_leaf, 0.27, (0.002, 0.012), 0.5),
    (_bark, 0.17, (0.001, 0.007), 0.55),
    (_flower, 0.20, (0.002, 0.010), 0.4),
    (_bokeh, 0.12, (0.005, 0.020), 0.0),
    (_ground, 0.13, (0.001, 0.006), 0.6),
    (_wall, 0.11, (0.001, 0.005), 0.4),
)


def habitat(size: Size, rng: np.random.Generator) -> tuple[Image.Image, float]:
    """A natural background of `size` and how dark (0..1) the shadow of an insect falls on it."""
    paint, _, blur, shadow = _HABITATS[int(rng.choice(len(_HABITATS), p=[share for _, share, _, _ in _HABITATS]))]
    image = paint((2 * size[0], 2 * size[1]), rng).reduce(2)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(*blur) * min(size))), shadow


def sheet(size: Size, rng: np.random.Generator) -> Image.Image:
    """The bright board of a collection drawer, of `size`."""
    tone = shift_colour((236, 233, 226), rng.uniform(-25, 25), rng.uniform(0.3, 1.6), rng.uniform(0.94, 1.03))
    amount = 0.8 + 0.2 * cloud(size, (3, 3), rng) + 0.08 * (cloud(size, (size[0] // 2, size[1] // 2), rng) - 0.5)
    return _tinted(amount, mix(tone, BLACK, 0.2), tone)


def add_label_and_ruler(image: Image.Image, species: Species, rng: np.random.Generator, scale: int) -> tuple[Box, Box]:
    """Paint a paper label with the name and a ruler along the lower edge of an image drawn `scale` times too large.

    Returns the boxes of the label and of the ruler, (x0, y0, x1, y1) in pixels of the final image, x1 and y1 exclusive.
    The label names the species, so a classifier that reads it need not look at the insect: the paper (section 2)
    cropped labels away.
    """
    w, h = image.size
    unit, canvas = min(w, h) / 100, ImageDraw.Draw(image)
    wide, high = 42 * unit, 23 * unit
    left_hand = rng.random() < 0.6
    x0 = rng.uniform(3, 6) * unit if left_hand else w - wide - rng.uniform(3, 6) * unit
    y0 = h - high - rng.uniform(3, 5) * unit
    box = [int(x0 / scale), int(y0 / scale), int((x0 + wide) / scale) + 1, int((y0 + high) / scale) + 1]
    corners = [box[0] * scale, box[1] * scale, box[2] * scale - 1, box[3] * scale - 1]
    canvas.rectangle([corner + 0.9 * unit for corner in corners], fill=(150, 146, 138))
    canvas.rectangle(corners, fill=(250, 248, 240), outline=(120, 116, 108), width=max(1, round(0.3 * unit)))
    genus, epithet = species.name.split()
    lines = (genus, epithet, f"No. {int(rng.integers(100, 9999)):04d}")
    for k, text in enumerate(lines):
        font = ImageFont.load_default(size=(6.3 if k < 2 else 5.0) * unit)
        font = ImageFont.load_default(size=font.size * min(1.0, 0.9 * wide / font.getlength(text)))
        canvas.text((corners[0] + 2.5 * unit, corners[1] + (1.4 + 7.2 * k) * unit), text, fill=(40, 38, 44), font=font)
    start, stop = (x0 + wide + 6 * unit, w - 4 * unit) if left_hand else (4 * unit, x0 - 6 * unit)
    top = h - 11 * unit
    canvas.rectangle(
        [start, top, stop, top + 7 * unit], fill=(238, 226, 180), outline=(90, 84, 70), width=max(1, round(0.3 * unit))
    )
    step = rng.uniform(2.1, 2.7) * unit
    for k in range(1, int((stop - start) / step)):
        x, long = start + k * step, 4.4 if k % 10 == 0 else 3.2 if k % 5 == 0 else 2.0
        canvas.line([(x, top), (x, top + long * unit)], fill=(40, 36, 30), width=max(1, round(0.45 * unit)))
    ruler_box = (int(start / scale), int(top / scale), int(stop / scale) + 1, int((top + 7 * unit) / scale) + 1)
    return tuple(box), ruler_box


def add_pin(sketch: Sketch, size: float) -> None:
    """Add the pin of a mounted specimen through the thorax, in body coordinates; `size` is the head's radius."""
    sketch.disc((0.02 + size, -0.16 + 1.2 * size), (size, size), BLACK, 0.35)
    for share, colour in ((1.0, (60, 58, 56)), (0.75, (150, 148, 146)), (0.35, WHITE)):
        centre = (0.02 - 0.2 * size * (1 - share), -0.18 - 0.3 * size * (1 - share))
        sketch.disc(centre, (size * share, size * share), colour)


def photograph(image: Image.Image, rng: np.random.Generator, *, still: bool) -> Image.Image:
    """What a camera makes of a scene: exposure, white balance, vignetting, blur and sensor noise; less if `still`."""
    w, h = image.size
    spread = 0.4 if still else 1.0
    blur = rng.uniform(0.0, 0.0045 if still else 0.0075) * min(w, h)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(blur)), dtype=np.float32)
    balance = (1 + spread * rng.normal(0, 0.045, 3)) * np.exp(spread * rng.normal(0, 0.13))
    x, y = np.linspace(-1, 1, w, dtype=np.float32), np.linspace(-1, 1, h, dtype=np.float32)[:, None]
    pixels = pixels * (1 - rng.uniform(0, 0.13) * (x * x + y * y))[:, :, None] * balance.astype(np.float32)
    noise = rng.standard_normal((h, w), dtype=np.float32)[:, :, None]
    noise = noise + 0.6 * rng.standard_normal((h, w, 3), dtype=np.float32)
    pixels += noise * np.float32(spread * rng.uniform(1.5, 6.0))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
