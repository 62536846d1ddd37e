"""fastai DataLoaders over a packed cache: whole batches are fetched, and augmented on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from torch import Tensor

from seran_lib.data.augment import VIEWS, augment, plain_view
from seran_lib.data.pack import PackedImages
from seran_lib.data.split import UNUSED

CENTRE = 0.5


class PackedLoader(DataLoader):
    """Batches (images, targets): normalised (B, 3, size, size) float32 and (B,) int64, on `device`.

    `rows` are the images of this part in the packed cache and `targets` their class numbers. In training, order and
    augmentation follow from (seed, epoch, image) alone; set `epoch` before each pass, and `first_step` to leave out
    the steps that were taken before an interruption. `views` names the augmentation (`augment.VIEWS`). A last
    incomplete training batch is left out. Where several processes train together, each loads its `share` (number, of
    how many) of every batch, and hands it out in so many `pieces`. Raises ValueError where not even one batch can be
    made or a batch does not divide.
    """

    def __init__(
        self,
        images: PackedImages,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        size: int,
        batch: int,
        training: bool,
        seed: int,
        device: torch.device,
        views: str = "paper",
        pieces: int = 1,
        share: tuple[int, int] = (0, 1),
    ):
        if len(rows) < (batch if training else 1):
            raise ValueError(f"{len(rows)} images do not fill one batch of {batch}: use more images or a smaller batch")
        pieces, share = (pieces, share) if training else (1, (0, 1))
        if batch % (share[1] * pieces):
            raise ValueError(f"a batch of {batch} does not divide among {share[1]} processes in {pieces} pieces each")
        super().__init__(bs=batch // share[1] // pieces, n=len(rows), indexed=True, drop_last=training, device=device)
        self.images, self.rows, self.targets = images, np.asarray(rows), torch.as_tensor(np.asarray(targets))
        self.size, self.training, self.seed, self.epoch = size, training, seed, 0
        self.views, self.batch, self.pieces, self.share, self.first_step = views, batch, pieces, share, 0

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole epoch."""
        return self.n // self.batch

    def __len__(self) -> int:
        """Pieces of a whole epoch, wherever the pass begins."""
        return self.steps * self.pieces if self.training else super().__len__()

    def order(self) -> np.ndarray:
        """The images of every training step of this epoch, (steps, batch), whoever loads them."""
        shuffled = np.random.default_rng((self.seed, self.epoch, 1)).permutation(self.n)
        return shuffled[: self.steps * self.batch].reshape(self.steps, self.batch)

    def get_idxs(self) -> list[int]:
        if not self.training:
            return list(range(self.n))
        number, count = self.share
        return np.split(self.order()[self.first_step :], count, axis=1)[number].ravel().tolist()

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
    images: PackedImages,
    targets: np.ndarray,
    parts: np.ndarray,
    *,
    size: int,
    batch: int,
    seed: int,
    device: torch.device,
    views: str = "paper",
    evaluation_size: int = 0,
    pieces: int = 1,
    share: tuple[int, int] = (0, 1),
) -> DataLoaders:
    """Loaders of the parts "train", "valid" and "test"; `targets` and `parts` have one entry per image.

    `views`, `pieces` and `share` concern the training loader (see `PackedLoader`); with `evaluation_size` the images of
    the other two have another side than `size`.
    """
    rows = {"train": training_rows(parts)}
    rows |= {part: np.flatnonzero(parts == part) for part in ("valid", "test")}
    loaders = [
        PackedLoader(
            images,
            mine,
            targets[mine],
            size=size if part == "train" else evaluation_size or size,
            batch=batch,
            training=part == "train",
            seed=seed,
            device=device,
            views=views,
            pieces=pieces,
            share=share,
        )
        for part, mine in rows.items()
    ]
    return DataLoaders(*loaders, device=device)
