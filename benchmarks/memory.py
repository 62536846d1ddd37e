"""Peak memory of training steps, against the plain float32 step, and of loading, against fastai's own loader.

    python benchmarks/memory.py [MODEL ...] [loading]

Each is measured in a process of its own, above what that holds after the imports: steps of the laptop profile, then a
pass over the same JPEGs of 1024 x 768 with augmentation, by fastai with its two workers, by ours packed before.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from data_path import fastai_loader, packed_loader, photographs
from peak import measurable, peak_memory
from report import report
from steps import LAPTOP_SCALE, PLAIN, laptop_step

from seran_lib.train.profiles import TABLE1

SIZE, IMAGES = 224, 320


def steps(name: str, ours: bool) -> None:
    """Three training steps; the second is the first with the optimiser's state."""
    step = laptop_step(name, ours=ours)
    for _ in range(3):
        step()


def load_packed(folder: Path, manifest: pd.DataFrame, cache: Path) -> None:
    """Open what is packed in `cache` and pass over it once."""
    for _ in packed_loader(folder, manifest, SIZE, cache):
        pass


def load_with_fastai(folder: Path, manifest: pd.DataFrame) -> None:
    """The same pass with fastai."""
    for _ in fastai_loader(folder, manifest, SIZE, augmented=True):
        pass


def training(name: str) -> None:
    """Steps of one model."""
    ours, plain = peak_memory(steps, name, True), peak_memory(steps, name, False)
    report(f"memory of training {name}, {LAPTOP_SCALE}", PLAIN, "MB", ours, plain)


def loading() -> None:
    """A pass over the same images."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "set", Path(temporary) / "cache"
        manifest = photographs(folder, IMAGES)
        packed_loader(folder, manifest, SIZE, cache)
        ours = peak_memory(load_packed, folder, manifest, cache)
        theirs = peak_memory(load_with_fastai, folder, manifest)
        report(f"memory of batches on the CPU, {SIZE} px", "fastai's ImageDataLoaders", "MB", ours, theirs)


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=[*TABLE1, "loading"], help="models, or loading")
    options = parser.parse_args()
    for part in options.parts if measurable() else ():
        loading() if part == "loading" else training(part)


if __name__ == "__main__":
    main()
