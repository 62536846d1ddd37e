"""How time grows: of a manifest and of an epoch's order with the images, of a training step with classes and pixels.

    python benchmarks/growth.py [images] [classes] [pixels]

Medians, into growth.csv. Printed besides is the exponent of the power law that fits best: 1 is in proportion, 0 is no
growth. Pictures are stood in for, so that only what is done for each row counts. Run nothing else meanwhile.
"""

import argparse
import csv
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from report import exponent, report_growth
from steps import CPU, LAPTOP, LAPTOP_SCALE, medians, network, training_step

from seran_lib.data.loaders import Batches, PackedLoader
from seran_lib.data.manifest import MANIFEST, read_manifest, select
from seran_lib.data.split import split_by_species

IMAGES, CLASSES, PIXELS = (1_000, 10_000, 100_000), (10, 100, 1000), (64, 96, 128, 160)
SPECIES = 20


class NoPictures:
    """In place of packed images: empty windows at no cost."""

    def fetch(self, indices: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Windows of one pixel, uint8 (B, 1, 1, 3)."""
        return np.zeros((len(indices), 1, 1, 3), dtype=np.uint8)


def write_manifest(folder: Path, images: int) -> Path:
    """A data set of empty files, two to a group, in a folder for each species."""
    for species in range(SPECIES):
        (folder / f"{species}").mkdir(parents=True)
    with open(folder / MANIFEST, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "file", "label", "group"])
        for number in range(images):
            species = number // 2 % SPECIES
            writer.writerow([f"{number}", f"{species}/{number}.jpg", f"Genus species{species}", f"g{number // 2}"])
            (folder / f"{species}" / f"{number}.jpg").touch()
    return folder


def prepare(folder: Path) -> None:
    """From the file to the split."""
    split_by_species(select(read_manifest(folder), min_images=20), seed=0)


def epoch(images: int) -> Callable[[], deque]:
    """A pass over an epoch's batches: order and augmentation parameters, no pictures."""
    rows, how = np.arange(images), Batches(size=1, batch=LAPTOP.batch, seed=0, device=CPU)
    loader = PackedLoader(NoPictures(), rows, rows % SPECIES, how, training=True)

    return lambda: deque(loader.create_batches(iter(loader.get_idxs())), maxlen=0)


def keep(what: str, by: str, unit: str, xs: Sequence[int], values: Sequence[float]) -> None:
    """Report a curve and its exponent."""
    for x, value in zip(xs, values, strict=True):
        report_growth(what, by, x, unit, value)
    print(f"{what}: grows with {by} to the power of {exponent(xs, values):.2f}")


def with_images(rounds: int) -> None:
    """What is done for every row of a manifest, at the start and in each epoch."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = [write_manifest(Path(temporary) / f"{images}", images) for images in IMAGES]
        seconds = medians(*((lambda folder=folder: prepare(folder)) for folder in folders), rounds=rounds, warm_up=1)
    keep("reading and splitting a manifest", "images", "s", IMAGES, seconds)
    keep("order of an epoch", "images", "s", IMAGES, medians(*map(epoch, IMAGES), rounds=rounds, warm_up=1))


def with_classes(rounds: int) -> None:
    """A training step of SERAN-D with more outputs."""
    models = [network("seran_d", width=LAPTOP.width, classes=n) for n in CLASSES]
    step = partial(training_step, batch=LAPTOP.batch, size=LAPTOP.size)
    steps = [step(model, classes=n) for model, n in zip(models, CLASSES, strict=True)]
    keep(f"training step of seran_d, {LAPTOP_SCALE}", "classes", "s", CLASSES, medians(*steps, rounds=rounds))


def with_pixels(rounds: int) -> None:
    """A training step of SERAN-D with larger images."""
    model = network("seran_d", width=LAPTOP.width)
    steps = [training_step(model, batch=LAPTOP.batch, size=size) for size in PIXELS]
    keep(f"training step of seran_d, x{LAPTOP.width:g}", "pixels", "s", PIXELS, medians(*steps, rounds=rounds))


def main() -> None:
    """Measure what is named, or everything."""
    parts = {"images": with_images, "classes": with_classes, "pixels": with_pixels}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(parts), help=", ".join(parts))
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default 5)")
    options = parser.parse_args()
    for part in options.parts:
        parts[part](options.rounds)


if __name__ == "__main__":
    main()
