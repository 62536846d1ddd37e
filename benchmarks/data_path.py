"""From files to batches: our packed loader against fastai's own loader, both from JPEGs of 1024 x 768, alternating.

    python benchmarks/data_path.py [--images N] [--size PIXELS] [--rounds N]

Two things are timed, in images/s, medians of whole passes. *For a GPU*: all that the CPU does before a batch leaves for
the device (ours: copying uint8 windows; fastai: decoding and resizing in two workers). *On the CPU*: the same with the
augmentation, which a GPU would do. The first pass of ours, which decodes everything once, is timed apart. Run nothing
else meanwhile.
"""

import argparse
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.vision.all import ImageDataLoaders, Resize, TfmdDL, aug_transforms
from PIL import Image
from report import report
from steps import CPU, medians

from seran_lib.data.loaders import Batches, PackedLoader
from seran_lib.data.pack import pack

BATCH, WORKERS = 32, 2


def photographs(folder: Path, count: int) -> pd.DataFrame:
    """Pictures with detail at every scale, 1024 x 768, in a new folder; returns their manifest."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        layers = [
            np.asarray(Image.fromarray(rng.integers(0, 256, (*cells, 3), dtype=np.uint8)).resize((1024, 768)), float)
            for cells in ((6, 8), (48, 64), (384, 512))
        ]
        pixels = (0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.jpg", quality=90)
        rows.append((f"{k}", f"{k}.jpg", str(k % 2)))
    return pd.DataFrame(rows, columns=["image_id", "file", "label"])


def packed_loader(folder: Path, manifest: pd.DataFrame, size: int, cache: Path) -> PackedLoader:
    """Our training loader; decodes what is not yet packed in `cache`."""
    packed = pack(folder, manifest, size=size, cache=cache)
    rows, labels = np.arange(len(manifest)), manifest["label"].astype(int).to_numpy(copy=True)
    return PackedLoader(packed, rows, labels, Batches(size, BATCH, 0, CPU), training=True)


def fastai_loader(folder: Path, manifest: pd.DataFrame, size: int, *, augmented: bool) -> TfmdDL:
    """fastai's training loader with two workers, and with our kinds of augmentation if wanted."""
    transforms = {"batch_tfms": aug_transforms(flip_vert=True, max_rotate=0, max_warp=0)} if augmented else {}
    given = {"item_tfms": Resize(size), "bs": BATCH, "num_workers": WORKERS, "valid_pct": 0.0, "device": CPU}
    return ImageDataLoaders.from_df(manifest[["file", "label"]], folder, **given, **transforms).train


def main() -> None:
    """Measure both kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=960)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    images, size = options.images - options.images % BATCH, options.size
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        manifest = photographs(folder, options.images)
        began = time.perf_counter()
        ours = packed_loader(folder, manifest, size, Path(temporary) / "cache")
        first = time.perf_counter() - began
        bare, augmented = (fastai_loader(folder, manifest, size, augmented=wanted) for wanted in (False, True))
        kinds = {
            "for a GPU": (lambda: ours.create_batches(iter(ours.get_idxs())), bare.__iter__),
            "on the CPU": (ours.__iter__, augmented.__iter__),
        }
        for kind, (mine, theirs) in kinds.items():
            passes = (lambda: deque(mine(), maxlen=0)), (lambda: deque(theirs(), maxlen=0))  # noqa: B023
            quick, slow = medians(*passes, rounds=options.rounds, warm_up=1)
            what = f"batches {kind}, {size} px"
            report(what, "fastai's ImageDataLoaders", "images/s", images / quick, images / slow)
        print(f"decoding once, before the first epoch: {options.images / first:.0f} images/s")


if __name__ == "__main__":
    main()
