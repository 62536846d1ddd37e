"""The embedded data set: drawn insects in the manifest format, so that the whole book runs without a network.

The insects are invented, their names too. They keep what makes the paper's problem hard (section 1, Fig. 1): sister
species that differ in one trait, individuals that differ in colour and wear, any pose and background, uneven numbers
per species, bursts of photographs of one animal, and collection sheets whose label names the species.
"""

import hashlib
import io
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from seran_lib.data.manifest import MANIFEST
from seran_lib.data.masks import MASKS, write_mask
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.demo.insects.picture import draw_insect, frame
from seran_lib.demo.insects.species import Species, make_species
from seran_lib.errors import DataError

CARD = "atlas.json"  # in the folder of a drawn atlas: how it was drawn
STYLE = 2  # raise when the drawing or what is written changes, so that atlases drawn earlier are drawn again
COLUMNS = (
    *("image_id", "file", "label", "species", "genus", "source_url", "record", "licence", "attribution"),
    *("sha256", "group", "view", "label_box"),
)


def draw_atlas(folder: str | Path, *, species: int, images_per_species: int, side: int, seed: int) -> Path:
    """Draw a data set into `folder`: images, masks, `manifest.csv`, and `atlas.json` with the arguments.

    The number of images falls evenly over the species from 1.6 to 0.6 times `images_per_species` (at least 20 from
    `images_per_species` = 34 on). About 8 % of the images are pairs of photographs of one animal, which share `group`
    and `record`; about 15 % are collection sheets. `side` is the short side in pixels. The same arguments give the same
    bytes with the same Pillow and NumPy.

    An atlas with the same arguments that is already there is kept; one that was interrupted, or drawn with other
    arguments, is drawn again. `manifest.csv` is written last. Returns `folder`.

    Raises DataError when `folder` holds something that is not a drawn atlas, and ValueError for impossible arguments.
    """
    folder = Path(folder)
    if images_per_species < 1:
        raise ValueError(f"images_per_species is {images_per_species}: ask for at least 1")
    members = make_species(species, seed)
    frame(side, np.random.default_rng(0))  # refuses a side that is too small before anything is written
    arguments = {"species": species, "images_per_species": images_per_species, "side": side, "seed": seed}
    card = json.dumps(arguments | {"style": STYLE})
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):  # of two notebooks that start at once, one draws
        if _is_complete(folder, card):
            return folder
        _make_room(folder, card)
        shots = _plan(species, images_per_species, np.random.default_rng([seed, 2]))
        rows = _draw_all(folder, shots, members, side, seed)
        write_rows(folder / MANIFEST, COLUMNS, rows)
    return folder


class _Shot(NamedTuple):
    """One photograph to take: which animal (a seed), in which view, which of a burst."""

    species: int
    animal: int
    view: str
    burst: int


def _share(fraction: float, count: int, rng: np.random.Generator) -> int:
    """`fraction` of `count` in whole numbers, rounded up or down at random so that it is exact on average."""
    return int(fraction * count + rng.random())


def _plan(species: int, images_per_species: int, rng: np.random.Generator) -> list[_Shot]:
    """All photographs of an atlas in random order, in the numbers and shares that `draw_atlas` describes; the order of
    species is drawn at random, and none has fewer than one.
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


def _is_complete(folder: Path, card: str) -> bool:
    """Whether an atlas drawn by these arguments is there, with every image and mask that its manifest names."""
    if not all((folder / name).is_file() for name in (CARD, MANIFEST)):
        return False
    if (folder / CARD).read_text(encoding="utf-8") != card:
        return False
    rows = [row for _, row in read_rows(folder / MANIFEST, COLUMNS)]
    named = {row["file"] for row in rows} | {f"{MASKS}/{row['image_id']}.png" for row in rows}
    places = [name for name in ("images", MASKS) if (folder / name).is_dir()]
    return named <= {f"{name}/{entry.name}" for name in places for entry in os.scandir(folder / name)}


def _make_room(folder: Path, card: str) -> None:
    """Leave nothing of an older atlas, and the arguments of the new one. Raises DataError for a folder of another."""
    if folder.exists() and not (folder / CARD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder} is not a drawn atlas (it has no {CARD})",
            "Name a new or empty folder, or empty this one yourself: nothing in it was touched.",
        )
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    (folder / CARD).write_text(card, encoding="utf-8")
    for name, pattern in (("images", "*.jpg"), (MASKS, "*.png")):
        (folder / name).mkdir(exist_ok=True)
        for old in (folder / name).glob(pattern):
            old.unlink()


def _draw_all(folder: Path, shots: list[_Shot], members: list[Species], side: int, seed: int) -> list[dict[str, str]]:
    """Take all photographs. Returns the rows of the manifest."""
    first: dict[tuple[int, int], str] = {}
    rows = []
    for number, shot in enumerate(shots):
        one, image_id = members[shot.species], f"drawn-{number:06d}"
        rng = np.random.default_rng([seed, 3, shot.species, shot.animal])
        drawing = draw_insect(one, rng, side=side, view=shot.view, burst=shot.burst)
        buffer = io.BytesIO()
        drawing.image.save(buffer, "JPEG", quality=90)
        (folder / "images" / f"{image_id}.jpg").write_bytes(buffer.getvalue())
        write_mask(folder / MASKS / f"{image_id}.png", drawing.mask.astype(bool), drawing.furniture)
        group = first.setdefault((shot.species, shot.animal), image_id)
        row = {"image_id": image_id, "file": f"images/{image_id}.jpg", "view": shot.view, "group": group}
        row |= {"label": one.name, "species": one.name, "genus": one.genus}
        row |= {"licence": "CC0-1.0", "attribution": "drawn by seran_lib"}
        row |= {"record": group.replace("drawn-", "record-")}
        row |= {"sha256": hashlib.sha256(buffer.getvalue()).hexdigest()}
        row |= {"label_box": " ".join(map(str, drawing.label_box or ()))}
        rows.append(row)
    return rows
