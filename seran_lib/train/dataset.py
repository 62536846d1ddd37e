"""From a folder in the manifest format to fastai loaders: read, select, split, pack."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders

from seran_lib import paths
from seran_lib.data.loaders import Batches, PackedLoader, make_loaders, training_rows
from seran_lib.data.manifest import read_manifest, select
from seran_lib.data.pack import PackedImages, pack
from seran_lib.data.split import fingerprint, limit_training, split_by_species
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings


@dataclass(frozen=True)
class Dataset:
    """A selected, split and packed set: `manifest` has a row per image, `parts` and `targets` an entry per row.

    `classes[k]` is the label of class number k; `fingerprint` identifies images, labels and split.
    """

    folder: str
    manifest: pd.DataFrame
    parts: np.ndarray
    targets: np.ndarray
    classes: list[str]
    images: PackedImages
    fingerprint: str

    def count(self, part: str) -> int:
        """Number of images in "train", "valid" or "test"."""
        return int((self.parts == part).sum())

    @property
    def epoch(self) -> int:
        """Number of images that an epoch trains on."""
        return len(training_rows(self.parts))

    def loaders(
        self, settings: Settings, device: torch.device, *, micro_batches: int = 1, rank: int = 0, world_size: int = 1
    ) -> DataLoaders:
        """Train, validation and test loaders by the settings' recipe, batch and seed; see `Batches` for the rest.

        Training begins at the recipe's first size; `GrowingSize` goes on to the others.
        """
        recipe = RECIPES[settings.recipe]
        how = Batches(
            size=recipe.training_sizes(settings.size)[0],
            batch=settings.batch,
            seed=settings.seed,
            device=device,
            views=recipe.views,
            micro_batches=micro_batches,
            rank=rank,
            world_size=world_size,
        )
        evaluation_size = recipe.evaluation_size(settings.size)
        return make_loaders(self.images, self.targets, self.parts, how, evaluation_size=evaluation_size)


def open_dataset(settings: Settings, *, progress: bool = False) -> Dataset:
    """Read and check the folder, choose species, split with the settings' seed and decode what is not yet packed.

    Every image is checked here, so that bad input stops a run before it trains. Raises DataError naming every bad row
    or file.
    """
    manifest, parts = read_split(settings)
    classes, targets = np.unique(manifest["label"].to_numpy(dtype=str), return_inverse=True)
    return Dataset(
        folder=settings.data,
        manifest=manifest,
        parts=parts.to_numpy(dtype=str),
        targets=targets.astype(np.int64),
        classes=classes.tolist(),
        images=pack(settings.data, manifest, size=settings.size, cache=paths.cache(), progress=progress),
        fingerprint=fingerprint(manifest, parts),
    )


def seen_once(
    images: PackedImages, rows: np.ndarray, targets: np.ndarray, settings: Settings, device: torch.device
) -> PackedLoader:
    """A loader that shows chosen images of a cache once, in order, as the settings' recipe shows test images."""
    size = RECIPES[settings.recipe].evaluation_size(settings.size)
    how = Batches(size, settings.batch, settings.seed, device)
    return PackedLoader(images, rows, targets, how, training=False)


def read_split(settings: Settings) -> tuple[pd.DataFrame, pd.Series]:
    """The manifest of a run's images after the choice of species, and the part of every row.

    No picture is opened. Raises DataError for a manifest that cannot be used.
    """
    manifest = select(read_manifest(settings.data), min_images=settings.min_images)
    parts = split_by_species(manifest, seed=settings.seed)
    if settings.images_per_class:
        parts = limit_training(manifest, parts, settings.images_per_class, seed=settings.seed)
    return manifest, parts
