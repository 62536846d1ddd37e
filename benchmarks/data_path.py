"""From files to batches: our packed loader against fastai's own loader, both from JPEGs of 1024 x 768, alternating.

    python benchmarks/data_path.py [--images N] [--size PIXELS] [--rounds N]

Two things are timed, in images/s, medians of whole passes. *For a GPU*: all that the CPU does before a batch leaves for
the device (ours: copying uint8 windows; fastai: decoding and resizing in two workers). *On the CPU*: the same with the
augmentation, which a GPU would do. The first pass of ours, which decodes everything once, is timed apart. Run nothing
else meanwhile.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms
from PIL import Image
from report import report

from seran_lib.data.loaders import PackedLoader
from seran_lib.data.pack import pack

CPU = torch.device("cpu")
BATCH, WORKERS = 32, 2


def photographs(folder: Path, count: int) -> pd.DataFrame:
    """Pictures with detail at every scale, 1024 x 768, in a manifest."""
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


def seconds(passes: Callable[[], Iterator[object]]) -> float:
    """Time of one pass over all batches."""
    began = time.perf_counter()
    for _ in passes():
        pass
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=960)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "set"
        folder.mkdir()
        manifest = photographs(folder, options.images)
        began = time.perf_counter()
        packed = pack(folder, manifest, size=options.size, cache=Path(temporary) / "cache")
        first = time.perf_counter() - began
        images = options.images - options.images % BATCH

        labels = np.arange(options.images) % 2
        common = {"size": options.size, "batch": BATCH, "training": True, "seed": 0, "device": CPU}
        ours = PackedLoader(packed, np.arange(options.images), labels, **common)

        def fastai(**augmentation: object) -> object:
            frame = manifest[["file", "label"]]
            given = {"item_tfms": Resize(options.size), "bs": BATCH, "num_workers": WORKERS, "valid_pct": 0.0}
            return ImageDataLoaders.from_df(frame, folder, **given, **augmentation, device=CPU).train

        bare = fastai()
        augmented = fastai(batch_tfms=aug_transforms(flip_vert=True, max_rotate=0, max_warp=0))
        kinds = {
            "for a GPU": (lambda: ours.create_batches(iter(ours.get_idxs())), lambda: iter(bare)),
            "on the CPU": (lambda: iter(ours), lambda: iter(augmented)),
        }
        for kind, (mine, theirs) in kinds.items():
            seconds(mine), seconds(theirs)
            times = [(seconds(mine), seconds(theirs)) for _ in range(options.rounds)]
            quick, slow = (statistics.median(column) for column in zip(*times, strict=True))
            what = f"batches {kind}, {options.size} px"
            report(what, "fastai's ImageDataLoaders", "images/s", images / quick, images / slow)
        print(f"decoding once, before the first epoch: {options.images / first:.0f} images/s")


if __name__ == "__main__":
    main()
