"""The embedded data set: drawn insects in the manifest format, so that the whole book runs without a network.

The insects are invented, their names too. They keep what makes the paper's problem hard (section 1, Fig. 1): sister
species that differ in one trait, individuals that differ in colour and wear, any pose and background, uneven numbers
per species, bursts of photographs of one animal, and collection sheets whose label names the species.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, ImageChops, ImageFilter

from seran_lib.data.manifest import MANIFEST
from seran_lib.data.pictures import Box
from seran_lib.demo.insects.drawing import Individual, sketch_insect
from seran_lib.demo.insects.geometry import Sketch, place
from seran_lib.demo.insects.scene import add_label_and_ruler, add_pin, habitat, photograph, sheet
from seran_lib.demo.insects.species import Species, make_species
from seran_lib.errors import DataError
from seran_lib.files import replacing

__all__ = ["Drawing", "Species", "draw_atlas", "draw_empty", "draw_insect", "make_species", "redraw"]

CARD = "atlas.json"  # in the folder of a drawn atlas: how it was drawn
STYLE = 1  # raise when the drawing changes, so that atlases drawn earlier are drawn again
COLUMNS = (
    *("image_id", "file", "label", "species", "genus", "source_url", "record", "licence", "attribution"),
    *("sha256", "group", "view", "label_box"),
)
_SUPERSAMPLE = 3
_ASPECTS = ((4, 3), (3, 4), (1, 1), (3, 2))
_ASPECT_SHARES = (0.45, 0.2, 0.15, 0.2)


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


def _frame(side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a picture whose short side is `side`."""
    if side < 32:
        raise ValueError(f"side is {side}: an insect needs at least 32 pixels")
    across, down = _ASPECTS[int(rng.choice(len(_ASPECTS), p=_ASPECT_SHARES))]
    return round(side * across / min(across, down)), round(side * down / min(across, down))


def _settle(sketch: Sketch, project, size: float) -> tuple[Sketch, np.ndarray]:
    """Pose the insect and scale its longer extent to `size`, centred on the origin. Also returns its extent, (2,)."""
    posed = sketch.through(project)
    points = posed.solid_points()
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size / (high - low).max()
    return posed.through(lambda p: (p - (low + high) / 2) * scale), (high - low) * scale


def _viewpoint(rng: np.random.Generator, shake: np.random.Generator, burst: int):
    """A camera direction as a map of body coordinates: any rotation, a squeeze along one axis, some perspective."""
    turn, tilt_axis = rng.uniform(0, 360), rng.uniform(0, 180)
    squeeze = 1 - rng.beta(1.2, 2.2) * 0.42
    lean = rng.normal(0, 0.09, 2)
    if burst:
        turn, squeeze, lean = (
            turn + shake.normal(0, 7),
            squeeze + shake.uniform(-0.05, 0.05),
            lean + shake.normal(0, 0.03, 2),
        )

    def project(points: np.ndarray) -> np.ndarray:
        points = place(points, degrees=turn)
        points = points / (1 + points @ lean)[:, None]
        return place(place(points, degrees=-tilt_axis) * (1, squeeze), degrees=tilt_axis)

    return project


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
    w, h = _frame(side, scene)
    sketch = sketch_insect(species, Individual.draw(body, spread=view == "sheet"))

    if view == "sheet":
        background, shadow = sheet((w, h), scene), 0.35
        add_pin(sketch, 0.028)
        turn = pose.normal(0, 3)
        room = (0.9 * w, h - 0.36 * side)
        sketch, extent = _settle(sketch, lambda points: place(points, degrees=turn), 1.0)
        scale = pose.uniform(0.82, 0.98) * min(room / extent)
        middle = np.array([w / 2, room[1] / 2 + 0.03 * side])
    else:
        # The habitat is drawn larger than the frame, so that the second photograph of a burst can look past its edge.
        wide = (round(1.16 * w), round(1.16 * h))
        background, shadow = habitat(wide, scene)
        spare = np.array(wide) - (w, h)
        drift = camera.normal(0, 0.25, 2) * spare if burst else np.zeros(2)
        corner = np.clip(spare / 2 + drift, 0, spare).round().astype(int)
        background = background.crop((*corner, corner[0] + w, corner[1] + h))
        sketch, extent = _settle(sketch, _viewpoint(pose, camera, burst), 1.0)
        scale = pose.uniform(0.6, 0.98) * min(np.array([w, h]) / extent)
        free = np.maximum(np.array([w, h]) - scale * extent, 0)
        middle = np.array([w, h]) / 2 + pose.uniform(-0.5, 0.5, 2) * free
        if pose.random() < 0.14:  # too near: part of the animal lies outside the frame
            scale *= 1.25
            middle = middle + pose.uniform(-0.17, 0.17, 2) * scale * extent
        if burst:
            scale *= camera.uniform(0.93, 1.07)
            middle = middle - (corner - spare / 2) + camera.normal(0, 0.02, 2) * side
    sketch = sketch.through(lambda points: points * scale + middle)

    big = (w * _SUPERSAMPLE, h * _SUPERSAMPLE)
    cover = sketch.silhouette(big, _SUPERSAMPLE).reduce(_SUPERSAMPLE)
    if shadow:
        light = scene.uniform(0, 2 * np.pi)
        reach = scene.uniform(0.02, 0.05) * side
        shade = ImageChops.offset(cover, round(reach * np.cos(light)), round(reach * np.sin(light)))
        shade = shade.filter(ImageFilter.GaussianBlur(0.025 * side)).point(lambda value: shadow * value)
        background.paste((16, 14, 12), (0, 0), shade)
    canvas = background.resize(big, Image.Resampling.BILINEAR)
    boxes = add_label_and_ruler(canvas, species, scene, _SUPERSAMPLE) if view == "sheet" else ()
    sketch.paint(canvas, _SUPERSAMPLE)
    image = photograph(canvas.resize((w, h), Image.Resampling.LANCZOS), camera, still=view == "sheet")
    return Drawing(image, (np.asarray(cover) >= 128).astype(np.uint8), *boxes)


def draw_empty(rng: np.random.Generator, *, side: int) -> Drawing:
    """A habitat without an insect: what the paper (section 2) had to remove by hand from its downloads."""
    background, _ = habitat(_frame(side, rng), rng)
    image = photograph(background, rng, still=False)
    return Drawing(image, np.zeros((image.height, image.width), dtype=np.uint8))


# ---- the atlas on disk ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shot:
    """One photograph to take: which animal (a seed), in which view, which of a burst."""

    species: int
    animal: int
    view: str
    burst: int


def _share(fraction: float, count: int, rng: np.random.Generator) -> int:
    """`fraction` of `count` in whole numbers, rounded up or down at random so that the mean is exact."""
    return int(fraction * count + rng.random())


def _plan(species: int, images_per_species: int, rng: np.random.Generator) -> list[_Shot]:
    """All photographs of an atlas in random order.

    The numbers per species fall evenly from 1.6 to 0.6 times `images_per_species`, in an order of species drawn at
    random: at least 20 from `images_per_species` = 34 on, never below 1. About 8 % of a species' images are two
    photographs of one animal, about 15 % are sheets.
    """
    shots: list[_Shot] = []
    for one, factor in zip(rng.permutation(species).tolist(), np.linspace(1.6, 0.6, species), strict=True):
        count = max(1, round(factor * images_per_species))
        twice = _share(0.04, count, rng)
        sheets = _share(0.15, count - 2 * twice, rng)
        for animal in range(count - twice):
            view = "sheet" if twice <= animal < twice + sheets else "field"
            shots += [_Shot(one, animal, view, burst) for burst in range(2 if animal < twice else 1)]
    return [shots[k] for k in rng.permutation(len(shots))]


def _take(shot: _Shot, species: Species, side: int, seed: int) -> Drawing:
    """The photograph of a plan."""
    rng = np.random.default_rng([seed, 3, shot.species, shot.animal])
    return draw_insect(species, rng, side=side, view=shot.view, burst=shot.burst)


def redraw(folder: str | Path, image_ids: Iterable[str]) -> Iterator[Drawing]:
    """The drawings, masks and all, behind images of a drawn atlas: the same insects drawn again.

    Raises DataError where the atlas was drawn by another version of this module, whose insects were others.
    """
    atlas = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
    if atlas["style"] != STYLE:
        raise DataError(f"{folder} was drawn in style {atlas['style']}, this is style {STYLE}", "Draw it anew.")
    members, seed = make_species(atlas["species"], atlas["seed"]), atlas["seed"]
    shots = _plan(atlas["species"], atlas["images_per_species"], np.random.default_rng([seed, 2]))
    for image_id in image_ids:
        shot = shots[int(image_id.removeprefix("drawn-"))]
        yield _take(shot, members[shot.species], atlas["side"], seed)


def _is_complete(folder: Path) -> bool:
    """Whether the manifest is there with every image it names."""
    if not (folder / MANIFEST).is_file() or not (folder / "images").is_dir():
        return False
    with (folder / MANIFEST).open(encoding="utf-8", newline="") as file:
        named = {row["file"] for row in csv.DictReader(file)}
    return named <= {f"images/{entry.name}" for entry in os.scandir(folder / "images")}


def draw_atlas(folder: str | Path, *, species: int, images_per_species: int, side: int, seed: int) -> Path:
    """Draw a data set into `folder`: `images/*.jpg`, `manifest.csv`, and `atlas.json` with the arguments.

    The number of images falls evenly over the species from 1.6 to 0.6 times `images_per_species` (at least 20 from
    `images_per_species` = 34 on). About 8 % of the images are pairs of photographs of one animal, which share `group`
    and `record`; about 15 % are collection sheets. `side` is the short side in pixels. The same arguments give the same
    bytes with the same Pillow and NumPy.

    An atlas with the same arguments that is already there is kept; one that was interrupted, or drawn with other
    arguments, is drawn anew. `manifest.csv` is written last. Returns `folder`.

    Raises DataError when `folder` holds something that is not a drawn atlas, and ValueError for impossible arguments.
    """
    folder = Path(folder)
    if images_per_species < 1:
        raise ValueError(f"images_per_species is {images_per_species}: ask for at least 1")
    members = make_species(species, seed)
    _frame(side, np.random.default_rng(0))  # refuses a side that is too small before anything is written
    arguments = {
        "species": species,
        "images_per_species": images_per_species,
        "side": side,
        "seed": seed,
        "style": STYLE,
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):  # of two notebooks that start at once, one draws
        card = folder / CARD
        if folder.exists() and not card.is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise DataError(
                f"{folder} is not a drawn atlas (it has no atlas.json)",
                "Name a new or empty folder, or empty this one yourself: nothing in it was touched.",
            )
        if card.is_file() and card.read_text(encoding="utf-8") == json.dumps(arguments) and _is_complete(folder):
            return folder
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        with replacing(card, "w") as file:
            file.write(json.dumps(arguments))
        for old in (folder / "images").glob("*.jpg"):
            old.unlink()

        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        first: dict[tuple[int, int], str] = {}
        for number, shot in enumerate(_plan(species, images_per_species, np.random.default_rng([seed, 2]))):
            one = members[shot.species]
            drawing = _take(shot, one, side, seed)
            buffer = io.BytesIO()
            drawing.image.save(buffer, "JPEG", quality=90)
            image_id = f"drawn-{number:06d}"
            (folder / "images" / f"{image_id}.jpg").write_bytes(buffer.getvalue())
            group = first.setdefault((shot.species, shot.animal), image_id)
            writer.writerow(
                {
                    "image_id": image_id,
                    "file": f"images/{image_id}.jpg",
                    "label": one.name,
                    "species": one.name,
                    "genus": one.genus,
                    "source_url": "",
                    "record": group.replace("drawn-", "record-"),
                    "licence": "CC0-1.0",
                    "attribution": "drawn by seran_lib",
                    "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
                    "group": group,
                    "view": shot.view,
                    "label_box": " ".join(map(str, drawing.label_box or ())),
                }
            )
        with replacing(folder / MANIFEST, "w") as file:
            file.write(table.getvalue())
    return folder
