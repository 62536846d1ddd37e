"""Specimen sheets and empty pictures, found by plain image processing: nothing here is trained.

Museums photograph an insect on a plain bright board, beside a label that names it, a ruler, a colour chart. A network
that reads the label need not look at the insect, so the paper (section 2) cropped such pictures by hand. Here the board
is modelled as a smooth surface of colour; what stands out from it is either the specimen (solid, dark or coloured, no
rectangle, not cut by the edge) or furniture (whatever else has sharp edges).

Lengths are fractions of the shorter side. Colours are 0..255.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from seran_lib.data.pictures import Box

WORKING = 256  # pixels of the longer side at which a picture is examined
MARGIN = 0.04  # kept free around the specimen
INSECT_MIDDLE = 30.0  # detail at which `has_insect` is 0.5

_PLAIN_NOISE = 8.0  # a board's largest spread about its surface
_PLAIN_RING, _PLAIN_ALL = 0.45, 0.4  # least share of board along the edge, and in the picture
_BRIGHT = 150  # least value of its brightest channel
_SOLID = 40.0  # what stands out by this much is no shadow
_RECTANGLE = 0.86  # of its own rectangle, a shape fills this much only if it is one; an ellipse fills 0.79
_MOST_OBJECTS = 10
_LEAST_KEPT = 0.2  # of the picture; a crop to less would more often be a mistake than a small specimen


@dataclass(frozen=True)
class Sheet:
    """A sheet at working size: masks, (height, width) bool, of its specimen and of all else that is on the board."""

    specimen: np.ndarray
    furniture: np.ndarray


def furniture_crop(image: Image.Image) -> Box | None:
    """The largest crop (x0, y0, x1, y1; pixels, x1 and y1 exclusive) with the specimen and without label and ruler.

    The specimen's rectangle is never cut; of a label that reaches into it a part stays. None where `image` is no
    specimen sheet, or has nothing to leave out.
    """
    sheet = find_sheet(image)
    if sheet is None or not sheet.furniture.any():
        return None
    box = _best_crop(sheet)
    height, width = sheet.specimen.shape
    if box is None or not _LEAST_KEPT < (box[2] - box[0]) * (box[3] - box[1]) / (width * height) < 0.99:
        return None
    across, down = image.width / width, image.height / height
    # Inwards: a line of the label's frame would be worse than a line of board lost.
    left, top = int(np.ceil(box[0] * across)), int(np.ceil(box[1] * down))
    return left, top, int(box[2] * across), int(box[3] * down)


def find_sheet(image: Image.Image) -> Sheet | None:
    """The sheet that `image` shows; None where it shows none, or no specimen on it."""
    return _examine(_small(image))


def has_insect(image: Image.Image) -> float:
    """A score in 0..1 that there is an insect, or something else in focus: how sharp the sharpest patch is.

    The detail of the patch counts on its own and against the detail along the edge, as a habitat is as sharp there as
    in the middle. It is no probability, and a sharp flower without an insect scores high. On drawn pictures the area
    under the ROC curve is 0.95; below 0.5 fall 7 of 10 empty habitats, and 1 of 20 insects.
    """
    small = image.convert("L")
    small.thumbnail((96, 96), Image.Resampling.BOX)
    # The cube root makes equal steps of light look equal (CIE 1976), so dark insects on dark bark still show.
    light = 116 * np.cbrt((np.asarray(small, dtype=np.float32) / 255) ** 2.2) - 16
    light = ndimage.gaussian_filter(light, 1)
    detail = np.hypot(ndimage.sobel(light, axis=0), ndimage.sobel(light, axis=1))
    detail = ndimage.gaussian_filter(detail, 0.05 * max(small.size))
    edge = detail[_ring(detail.shape, 0.08)].mean()
    strength = np.percentile(detail, 97) * np.sqrt(np.percentile(detail, 90) / (edge + 2))
    return float(1 / (1 + (INSECT_MIDDLE / max(strength, 1e-3)) ** 6))


# ---- the board and what is on it ------------------------------------------------------------------------------------


def _small(image: Image.Image) -> np.ndarray:
    small = image.convert("RGB")
    small.thumbnail((WORKING, WORKING), Image.Resampling.BOX, reducing_gap=3)
    return np.asarray(small, dtype=np.float32).transpose(2, 0, 1).copy()


def _examine(pixels: np.ndarray) -> Sheet | None:
    """The sheet in `pixels` (3, height, width), None where there is none or no specimen on it."""
    side = min(pixels.shape[1:])
    board, off, noise = _board(pixels)
    near = off < max(10.0, 3 * noise)
    ring = _ring(near.shape, 0.06)
    plain = noise < _PLAIN_NOISE and near[ring].mean() > _PLAIN_RING and near.mean() > _PLAIN_ALL
    if not plain or board.max(axis=0).mean() < _BRIGHT:
        return None

    objects = off > max(10.0, 3.5 * noise)
    objects &= ~_long_lines(objects, side)
    solid = objects & (off > max(_SOLID, 5 * noise))
    colour = pixels.max(axis=0) - pixels.min(axis=0)
    paper = (colour < 40) & (pixels.min(axis=0) > 0.7 * board.min(axis=0))  # without colour and about as light
    seeds = _specimen_seeds(solid, paper)
    if not seeds.any():
        return None
    return _all_parts(pixels, objects, solid, paper, seeds)


def _board(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The plain background as a quadratic surface, how far each pixel is off it, and the noise of those near it."""
    _, height, width = pixels.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    few, few_terms = (values[:, ::3, ::3].reshape(len(values), -1) for values in (pixels, terms))  # enough for a fit
    edge = np.median(pixels[:, _ring((height, width), 0.06)], axis=1, keepdims=True)
    near = np.abs(few - edge).max(axis=0) < 40
    near |= near.sum() < 60
    for _ in range(4):
        fit = np.linalg.lstsq(few_terms[:, near].T, few[:, near].T, rcond=None)[0]
        off = np.abs(few - fit.T @ few_terms).max(axis=0)
        noise = 1.4826 * float(np.median(off[near]))
        near = off < max(10.0, 3 * noise)
        if near.sum() < 60:
            break
    surface = np.tensordot(fit.T, terms, axes=1)
    return surface, np.abs(pixels - surface).max(axis=0), noise


def _long_lines(objects: np.ndarray, side: int) -> np.ndarray:
    """Lines across the board (drawn on many), which would tie the specimen to the ruler."""
    thick = _grown(objects, 3, 3)  # a line that is not quite level
    long, wide = _odd(0.25 * side), _odd(0.045 * side)
    level = _opened(thick, 1, long) & ~_grown(_opened(thick, wide, 1), wide, 1)
    upright = _opened(thick, long, 1) & ~_grown(_opened(thick, 1, wide), 1, wide)
    return level | upright


def _specimen_seeds(solid: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """The solid parts that are specimen: of what is no furniture by its looks, the largest and all not far smaller."""
    side = min(solid.shape)
    core = _odd(0.022 * side)
    parts, _ = ndimage.label(ndimage.binary_fill_holes(_opened(solid, core, core)))
    whole: dict[int, int] = {}  # part -> area
    cut: dict[int, int] = {}
    in_strip: set[int] = set()
    for part, where in enumerate(ndimage.find_objects(parts), start=1):
        shape = parts[where] == part
        height, width = solid.shape
        gaps = (where[0].start, where[1].start, height - where[0].stop, width - where[1].stop)
        far = (where[0].stop, where[1].stop, height - where[0].start, width - where[1].start)
        if min(far) < 0.2 * side:
            in_strip.add(part)
        if paper[where][shape].mean() > 0.6 or _is_furniture_shape(shape, in_strip=part in in_strip):
            continue
        (whole if min(gaps) > 0 else cut)[part] = int(shape.sum())
    largest = max(cut.values(), default=0)
    if max(whole.values(), default=0) < 0.1 * largest:  # a close picture: the specimen itself is cut by the edge
        whole = {part: area for part, area in cut.items() if area == largest}
    # Not far smaller than the largest; of what may be a piece of a ruler more is asked.
    least = {part: (0.3 if part in in_strip else 0.08) * max(whole.values()) for part in whole}
    return np.isin(parts, [part for part, area in whole.items() if area >= least[part]])


def _is_furniture_shape(shape: np.ndarray, *, in_strip: bool) -> bool:
    """Whether `shape` is a rectangle; or long, and `in_strip`: in the strip along an edge where rulers lie."""
    left, right = shape.argmax(axis=1), shape.shape[1] - shape[:, ::-1].argmax(axis=1)
    rows = np.arange(len(shape))
    corners = np.concatenate([np.stack([x, y], axis=1) for x in (left, right) for y in (rows, rows + 1)])
    hull = corners[ConvexHull(corners).vertices].astype(float)
    edges = np.diff(hull, axis=0, append=hull[:1])
    turns = edges / np.linalg.norm(edges, axis=1, keepdims=True)
    sides = np.stack([np.ptp(hull @ turns.T, axis=0), np.ptp(hull @ (turns[:, ::-1] * (-1, 1)).T, axis=0)])
    short, long = sorted(sides[:, sides.prod(axis=0).argmin()])  # the smallest rectangle has a side on the hull
    return shape.sum() / (short * long) > _RECTANGLE or (in_strip and long > 2.5 * short)


def _all_parts(
    pixels: np.ndarray, objects: np.ndarray, solid: np.ndarray, paper: np.ndarray, seeds: np.ndarray
) -> Sheet:
    """Specimen and furniture, from the solid parts of the specimen.

    The specimen extends over pale wings a little way, over legs and antennae further, as these are thin. Furniture has
    sharp edges or writing, which soft shadows lack.
    """
    side = min(objects.shape)
    reach = max(1, round(0.03 * side))
    core = _odd(0.022 * side)
    thin = solid & ~_opened(solid, core, core)
    specimen = ndimage.binary_dilation(seeds, iterations=reach, mask=objects)
    specimen = ndimage.binary_dilation(specimen, iterations=2 * reach, mask=thin | specimen)
    specimen = ndimage.binary_fill_holes(_closed(specimen, 2 * max(1, reach // 2) + 1))

    rest = objects & ~_grown(specimen, 3, 3)
    rest = _opened(ndimage.binary_fill_holes(_closed(rest, 2 * reach + 1)) & ~specimen, 3, 3)
    parts, count = ndimage.label(rest)
    if not count:
        return Sheet(specimen, rest)
    light = pixels.mean(axis=0)
    steep = np.hypot(ndimage.sobel(light, axis=0), ndimage.sobel(light, axis=1)) / 4 > 10
    index = np.arange(1, count + 1)
    areas, sharp = ndimage.sum_labels(rest, parts, index), ndimage.mean(steep, parts, index)
    beside = ndimage.maximum(_grown(specimen, 2 * reach + 1, 2 * reach + 1), parts, index) > 0
    dark = ndimage.mean(solid & ~paper, parts, index)
    at_edge = ndimage.maximum(_ring(rest.shape, 0), parts, index) > 0
    size = areas / specimen.sum()
    limbs = beside & (sharp > 0.12) & ((size < 0.03) | (size < 0.25) & (dark > 0.4) & ~at_edge)
    furniture = (areas > 0.002 * objects.size) & (sharp > 0.12) & ~limbs
    return Sheet(specimen | np.isin(parts, index[limbs]), np.isin(parts, index[furniture]))


def _best_crop(sheet: Sheet) -> Box | None:
    """Of all rectangles about the specimen bounded by furniture: least furniture, then most margin, then largest."""
    height, width = sheet.specimen.shape
    rows, columns = np.flatnonzero(sheet.specimen.any(axis=1)), np.flatnonzero(sheet.specimen.any(axis=0))
    inner = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    margin = MARGIN * min(height, width)
    outer = (max(0, inner[0] - margin), max(0, inner[1] - margin), inner[2] + margin, inner[3] + margin)
    outer = (*outer[:2], min(width, outer[2]), min(height, outer[3]))

    furniture = sheet.furniture.copy()
    for y, x in ndimage.find_objects(ndimage.label(furniture)[0]):
        within = min(y.start, x.start, height - y.stop, width - x.stop) > 0
        if within and furniture[y, x].mean() > 0.4:  # of a white label on a white board little but writing is seen
            furniture[y, x] = True
    furniture[inner[1] : inner[3], inner[0] : inner[2]] = False  # there is no way to leave that out
    parts, _ = ndimage.label(furniture)
    found = ndimage.find_objects(parts)
    found = sorted(found, key=lambda place: -np.prod([side.stop - side.start for side in place]))[:_MOST_OBJECTS]
    gap = max(1, round(0.02 * min(height, width)))
    lefts = {0, inner[0], *(min(x.stop + gap, inner[0]) for _, x in found)}
    tops = {0, inner[1], *(min(y.stop + gap, inner[1]) for y, _ in found)}
    rights = {width, inner[2], *(max(x.start - gap, inner[2]) for _, x in found)}
    bottoms = {height, inner[3], *(max(y.start - gap, inner[3]) for y, _ in found)}
    x0, y0, x1, y1 = (side.ravel() for side in np.meshgrid(*map(sorted, (lefts, tops, rights, bottoms)), indexing="ij"))

    total = np.pad(furniture.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    left_in = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
    lost = sum(np.maximum(0, cut) for cut in (x0 - outer[0], y0 - outer[1], outer[2] - x1, outer[3] - y1))
    best = np.lexsort((-(x1 - x0) * (y1 - y0), lost, left_in))[0]
    return None if left_in[best] == furniture.sum() else (x0[best], y0[best], x1[best], y1[best])


def _ring(shape: tuple[int, int], depth: float) -> np.ndarray:
    """The pixels along the edge of a picture, `depth` of the shorter side deep."""
    deep = max(1, round(depth * min(shape)))
    ring = np.ones(shape, dtype=bool)
    ring[deep:-deep, deep:-deep] = False
    return ring


def _odd(length: float) -> int:
    return max(3, 2 * round((length - 1) / 2) + 1)


# Rectangles of odd sides: the filters take them one axis after the other, which binary morphology does not.


def _grown(mask: np.ndarray, high: int, wide: int) -> np.ndarray:
    return ndimage.maximum_filter(mask, size=(high, wide), mode="constant")


def _opened(mask: np.ndarray, high: int, wide: int) -> np.ndarray:
    """`mask` without what a rectangle does not fit into."""
    return _grown(ndimage.minimum_filter(mask, size=(high, wide), mode="constant"), high, wide)


def _closed(mask: np.ndarray, size: int) -> np.ndarray:
    """`mask` with gaps narrower than `size` closed, without falling in along the edges of the picture."""
    padded = _grown(np.pad(mask, size), size, size)
    return ndimage.minimum_filter(padded, size=size, mode="constant")[size:-size, size:-size]
