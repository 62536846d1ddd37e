"""fastai DataLoaders over a packed cache: whole batches are fetched, and augmented on the device."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from torch import Tensor

from seran_lib.data.augment import VIEWS, augment, plain_view
from seran_lib.data.pack import PackedImages
from seran_lib.data.split import UNUSED

CENTRE = 0.5


@dataclass(frozen=True)
class Batches:
    """How images become batches on `device`: `size` pixels a side, `batch` images an optimiser step over all processes.

    Order and augmentation of the training images follow from `seed`; `views` names the augmentation (`augment.VIEWS`).
    Of every training batch the process with number `rank`, of `world_size`, loads its part, and hands it out in so many
    `micro_batches`.
    """

    size: int
    batch: int
    seed: int
    device: torch.device
    views: str = "paper"
    micro_batches: int = 1
    rank: int = 0
    world_size: int = 1


class PackedLoader(DataLoader):
    """Batches (images, targets): normalised (B, 3, size, size) float32 and (B,) int64, on the device.

    `rows` are the images of this part in the packed cache and `targets` their class numbers. In training, order and
    augmentation follow from (seed, epoch, image) alone; set `epoch` before each pass, and `first_step` to leave out
    the steps that were taken before an interruption; a last incomplete batch is left out. Otherwise every process
    shows all images in their order. Raises ValueError where not even one batch can be made or a batch does not divide.
    """

    def __init__(self, images: PackedImages, rows: np.ndarray, targets: np.ndarray, how: Batches, *, training: bool):
        if len(rows) < (how.batch if training else 1):
            raise ValueError(f"{len(rows)} images do not fill one batch of {how.batch}: use more, or a smaller batch")
        self.micro_batches, self.rank, self.world_size = how.micro_batches, how.rank, how.world_size
        if not training:
            self.micro_batches, self.rank, self.world_size = 1, 0, 1
        length, rest = divmod(how.batch, self.world_size * self.micro_batches)
        if rest:
            parts = f"{self.world_size} processes with {self.micro_batches} micro-batches each"
            raise ValueError(f"a batch of {how.batch} does not divide among {parts}")
        super().__init__(bs=length, n=len(rows), indexed=True, drop_last=training, device=how.device)
        self.images, self.rows, self.targets = images, np.asarray(rows), torch.as_tensor(np.asarray(targets))
        self.size, self.batch, self.seed, self.views = how.size, how.batch, how.seed, how.views
        self.training, self.epoch, self.first_step = training, 0, 0

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole epoch."""
        return self.n // self.batch

    def __len__(self) -> int:
        """Micro-batches of a whole epoch, wherever the pass begins."""
        return self.steps * self.micro_batches if self.training else super().__len__()

    def order(self) -> np.ndarray:
        """The images of every training step of this epoch, (steps, batch), whoever loads them."""
        shuffled = np.random.default_rng((self.seed, self.epoch, 1)).permutation(self.n)
        return shuffled[: self.steps * self.batch].reshape(self.steps, self.batch)

    def get_idxs(self) -> list[int]:
        if not self.training:
            return list(range(self.n))
        return np.split(self.order()[self.first_step :], self.world_size, axis=1)[self.rank].ravel().tolist()

    def create_batches(self, samples: Iterator[int]) -> Iterator[tuple[Tensor, ...]]:
        parameters = VIEWS[self.views](self.n, seed=self.seed, epoch=self.epoch) if self.training else None
        for chosen in self.chunkify(samples):
            position = parameters[chosen, 0] if self.training else np.full(len(chosen), CENTRE)
            windows = torch.from_numpy(self.images.fetch(self.rows[chosen], position))
            augmentation = (torch.from_numpy(parameters[chosen]),) if self.training else ()
            yield tuple(self.send(part) for part in (windows, *augmentation, self.targets[chosen]))

    def send(self, part: Tensor) -> Tensor:
        """A tensor on the device; to a GPU it travels from pinned memory while the GPU goes on with the last batch."""
        return part.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else part

    def after_batch(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        windows, *augmentation, targets = batch
        view = augment(windows, *augmentation, self.size) if augmentation else plain_view(windows, self.size)
        return view, targets


def training_rows(parts: np.ndarray) -> np.ndarray:
    """The images that an epoch trains on, as rows of `parts`. Where some are "unused" (`split.limit_training`), the
    others are repeated until it is about as long as one of them all, so that few images are not few steps as well."""
    rows = np.flatnonzero(parts == "train")
    return np.tile(rows, round(1 + np.sum(parts == UNUSED) / max(len(rows), 1)))


def make_loaders(
    images: PackedImages, targets: np.ndarray, parts: np.ndarray, how: Batches, *, evaluation_size: int = 0
) -> DataLoaders:
    """Loaders of the parts "train", "valid" and "test"; `targets` and `parts` have one entry per image.

    With `evaluation_size` the images of the last two have another side than those of training.
    """
    training = training_rows(parts)
    loaders = [PackedLoader(images, training, targets[training], how, training=True)]
    plain = replace(how, size=evaluation_size or how.size)
    for part in ("valid", "test"):
        rows = np.flatnonzero(parts == part)
        loaders.append(PackedLoader(images, rows, targets[rows], plain, training=False))
    return DataLoaders(*loaders, device=how.device)
