"""One picture of a drawn insect, or of a habitat without one, with its exact mask."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from seran_lib.data.pictures import Box
from seran_lib.demo.insects.drawing import sketch_insect
from seran_lib.demo.insects.geometry import Sketch, place
from seran_lib.demo.insects.parts import Individual
from seran_lib.demo.insects.scene import Size, add_label_and_ruler, add_pin, habitat, photograph, sheet
from seran_lib.demo.insects.species import Species

_SUPERSAMPLE = 3
_ASPECTS, _ASPECT_SHARES = ((4, 3), (3, 4), (1, 1), (3, 2)), (0.45, 0.2, 0.15, 0.2)


@dataclass(frozen=True)
class Drawing:
    """One picture.

    `image` is RGB; `mask` is uint8 (height, width), 1 where the insect covers at least half of the pixel; `label_box`
    and `ruler_box` are (x0, y0, x1, y1) in pixels, x1 and y1 exclusive, on sheets and None elsewhere.
    """

    image: Image.Image
    mask: np.ndarray
    label_box: Box | None = None
    ruler_box: Box | None = None

    @property
    def furniture(self) -> np.ndarray:
        """Label and ruler, (height, width) bool."""
        region = np.zeros(self.mask.shape, dtype=bool)
        for x0, y0, x1, y1 in filter(None, (self.label_box, self.ruler_box)):
            region[y0:y1, x0:x1] = True
        return region


def draw_insect(
    species: Species, rng: np.random.Generator, *, side: int, view: str = "field", burst: int = 0
) -> Drawing:
    """Draw one individual of `species`.

    `side` is the short side in pixels (at least 32). `view` is "field" (any pose, a habitat behind it) or "sheet" (set,
    pinned, with label and ruler). Equal generators give equal pictures; with `burst` = 1, 2, ... they give further
    photographs of the same animal in the same place, with a slightly different pose, crop and exposure (on a sheet,
    only the exposure).

    Raises ValueError for another `view` or a smaller `side`.
    """
    if view not in ("field", "sheet"):
        raise ValueError(f'view is {view!r}: choose "field" or "sheet"')
    body, scene, pose, camera = (np.random.default_rng(seed) for seed in rng.integers(2**63, size=4))
    if burst:
        camera = np.random.default_rng([burst, int(camera.integers(2**63))])
    size = frame(side, scene)
    sketch = sketch_insect(species, Individual.draw(body, spread=view == "sheet"))
    if view == "sheet":
        background, shadow = sheet(size, scene), 0.35
        sketch = _pinned(sketch, size, pose)
    else:
        background, shadow, moved = _surroundings(size, scene, camera, burst)
        sketch = _posed(sketch, size, pose, camera, moved if burst else None)

    big = (size[0] * _SUPERSAMPLE, size[1] * _SUPERSAMPLE)
    cover = sketch.silhouette(big, _SUPERSAMPLE).reduce(_SUPERSAMPLE)
    if shadow:
        _cast_shadow(background, cover, shadow, scene)
    canvas = background.resize(big, Image.Resampling.BILINEAR)
    boxes = add_label_and_ruler(canvas, species, scene, _SUPERSAMPLE) if view == "sheet" else ()
    sketch.paint(canvas, _SUPERSAMPLE)
    image = photograph(canvas.resize(size, Image.Resampling.LANCZOS), camera, still=view == "sheet")
    return Drawing(image, (np.asarray(cover) >= 128).astype(np.uint8), *boxes)


def draw_empty(rng: np.random.Generator, *, side: int) -> Drawing:
    """A habitat without an insect: what the paper (section 2) had to remove by hand from its downloads."""
    background, _ = habitat(frame(side, rng), rng)
    image = photograph(background, rng, still=False)
    return Drawing(image, np.zeros((image.height, image.width), dtype=np.uint8))


def frame(side: int, rng: np.random.Generator) -> Size:
    """Width and height of a picture whose short side is `side`. Raises ValueError below 32 pixels."""
    if side < 32:
        raise ValueError(f"side is {side}: an insect needs at least 32 pixels")
    across, down = _ASPECTS[int(rng.choice(len(_ASPECTS), p=_ASPECT_SHARES))]
    return round(side * across / min(across, down)), round(side * down / min(across, down))


def _pinned(sketch: Sketch, size: Size, pose: np.random.Generator) -> Sketch:
    """The insect on a pin, upright, in the part of a sheet above label and ruler."""
    (w, h), side = size, min(size)
    add_pin(sketch, 0.028)
    turn = pose.normal(0, 3)
    room = (0.9 * w, h - 0.36 * side)
    sketch, extent = _settle(sketch, lambda points: place(points, degrees=turn))
    scale = pose.uniform(0.82, 0.98) * min(room / extent)
    middle = np.array([w / 2, room[1] / 2 + 0.03 * side])
    return sketch.through(lambda points: points * scale + middle)


def _surroundings(
    size: Size, scene: np.random.Generator, camera: np.random.Generator, burst: int
) -> tuple[Image.Image, float, np.ndarray]:
    """A habitat, how dark shadows are in it, and how far (x, y) the camera looks from its middle.

    The habitat is drawn larger than the frame, so that the second photograph of a burst can look past its edge.
    """
    wide = (round(1.16 * size[0]), round(1.16 * size[1]))
    background, shadow = habitat(wide, scene)
    spare = np.array(wide) - size
    drift = camera.normal(0, 0.25, 2) * spare if burst else np.zeros(2)
    corner = np.clip(spare / 2 + drift, 0, spare).round().astype(int)
    return background.crop((*corner, *(corner + size))), shadow, corner - spare / 2


def _posed(
    sketch: Sketch, size: Size, pose: np.random.Generator, camera: np.random.Generator, moved: np.ndarray | None
) -> Sketch:
    """The insect in any pose somewhere in the frame; with `moved`, photographed again by a camera that has moved."""
    sketch, extent = _settle(sketch, _viewpoint(pose, camera, moved is not None))
    scale = pose.uniform(0.6, 0.98) * min(np.array(size) / extent)
    free = np.maximum(np.array(size) - scale * extent, 0)
    middle = np.array(size) / 2 + pose.uniform(-0.5, 0.5, 2) * free
    if pose.random() < 0.14:  # too near: part of the animal lies outside the frame
        scale *= 1.25
        middle = middle + pose.uniform(-0.17, 0.17, 2) * scale * extent
    if moved is not None:
        scale *= camera.uniform(0.93, 1.07)
        middle = middle - moved + camera.normal(0, 0.02, 2) * min(size)
    return sketch.through(lambda points: points * scale + middle)


def _settle(sketch: Sketch, project) -> tuple[Sketch, np.ndarray]:
    """Pose the insect and scale its longer extent to 1, centred on the origin. Also returns its extent, (2,)."""
    posed = sketch.through(project)
    points = posed.solid_points()
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 1 / (high - low).max()
    return posed.through(lambda p: (p - (low + high) / 2) * scale), (high - low) * scale


def _viewpoint(rng: np.random.Generator, shake: np.random.Generator, again: bool):
    """A camera direction as a map of body coordinates: any rotation, a squeeze along one axis, some perspective."""
    turn, tilt_axis = rng.uniform(0, 360), rng.uniform(0, 180)
    squeeze = 1 - rng.beta(1.2, 2.2) * 0.42
    lean = rng.normal(0, 0.09, 2)
    if again:
        turn, squeeze = turn + shake.normal(0, 7), squeeze + shake.uniform(-0.05, 0.05)
        lean = lean + shake.normal(0, 0.03, 2)

    def project(points: np.ndarray) -> np.ndarray:
        points = place(points, degrees=turn)
        points = points / (1 + points @ lean)[:, None]
        return place(place(points, degrees=-tilt_axis) * (1, squeeze), degrees=tilt_axis)

    return project


def _cast_shadow(background: Image.Image, cover: Image.Image, shadow: float, scene: np.random.Generator) -> None:
    """Darken the background where the insect (`cover`, white on black) keeps the light from it."""
    side = min(background.size)
    light = scene.uniform(0, 2 * np.pi)
    reach = scene.uniform(0.02, 0.05) * side
    shade = ImageChops.offset(cover, round(reach * np.cos(light)), round(reach * np.sin(light)))
    shade = shade.filter(ImageFilter.GaussianBlur(0.025 * side)).point(lambda value: shadow * value)
    background.paste((16, 14, 12), (0, 0), shade)
