"""fastai DataLoaders over a packed cache: whole batches are fetched, and augmented on the device."""

from collections.abc import Iterator

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from torch import Tensor

from .augment import augment, draw_parameters, plain_view
from .pack import PackedImages

CENTRE = 0.5


class PackedLoader(DataLoader):
    """Batches (images, targets): normalised (B, 3, size, size) float32 and (B,) int64, on `device`.

    `rows` are the images of this part in the packed cache and `targets` their class numbers. In training, order and
    augmentation follow from (seed, epoch); set `epoch` before each pass. A last incomplete training batch is left
    out. Raises ValueError where not even one batch can be made.
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
    ):
        if len(rows) < (batch if training else 1):
            raise ValueError(f"{len(rows)} images do not fill one batch of {batch}: use more images or a smaller batch")
        super().__init__(bs=batch, n=len(rows), indexed=True, drop_last=training, device=device)
        self.images, self.rows, self.targets = images, np.asarray(rows), torch.as_tensor(np.asarray(targets))
        self.size, self.training, self.seed, self.epoch = size, training, seed, 0

    def get_idxs(self) -> list[int]:
        if not self.training:
            return list(range(self.n))
        return np.random.default_rng((self.seed, self.epoch, 1)).permutation(self.n).tolist()

    def create_batches(self, samples: Iterator[int]) -> Iterator[tuple[Tensor, ...]]:
        parameters = draw_parameters(self.n, seed=self.seed, epoch=self.epoch) if self.training else None
        for chosen in self.chunkify(samples):
            position = parameters[chosen, 0] if self.training else np.full(len(chosen), CENTRE)
            windows = torch.from_numpy(self.images.fetch(self.rows[chosen], position))
            augmentation = (torch.from_numpy(parameters[chosen]),) if self.training else ()
            yield (windows, *augmentation, self.targets[chosen])

    def after_batch(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        windows, *augmentation, targets = batch
        view = augment(windows, *augmentation, self.size) if augmentation else plain_view(windows, self.size)
        return view, targets


def make_loaders(
    images: PackedImages,
    targets: np.ndarray,
    parts: np.ndarray,
    *,
    size: int,
    batch: int,
    seed: int,
    device: torch.device,
) -> DataLoaders:
    """Loaders of the parts "train", "valid" and "test"; `targets` and `parts` have one entry per image."""
    loaders = [
        PackedLoader(
            images,
            np.flatnonzero(parts == part),
            targets[parts == part],
            size=size,
            batch=batch,
            training=part == "train",
            seed=seed,
            device=device,
        )
        for part in ("train", "valid", "test")
    ]
    return DataLoaders(*loaders, device=device)
