"""The test images of a run that are looked at, and how what is measured on them becomes rows of a table."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seran_lib.analysis.stats import mean_interval, wilson
from seran_lib.data.augment import plain_view
from seran_lib.errors import DataError
from seran_lib.explain.edits import Scenes, make_scenes
from seran_lib.explain.regions import Regions
from seran_lib.train.dataset import Dataset
from seran_lib.train.device import autocast, pick_device
from seran_lib.train.ledger import LOOK_COLUMNS
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings

Row = dict[str, object]


@dataclass(frozen=True)
class Subject:
    """The usable test images of a run: their scenes, the insect at the network's size (n, H, W), class numbers (n,),
    and for each an image of another class (n,), as a row of the same arrays."""

    scenes: Scenes
    insect: np.ndarray
    targets: np.ndarray
    others: np.ndarray
    size: int
    batch: int
    mirrored: bool
    precision: str
    device: torch.device

    def __len__(self) -> int:
        return len(self.targets)

    def chunks(self) -> Iterator[np.ndarray]:
        """The rows of one batch after the other."""
        yield from np.split(np.arange(len(self)), range(self.batch, len(self), self.batch))

    def view(self, pictures: np.ndarray) -> Tensor:
        """Pictures (n, S, S, 3) uint8 as the network is given them in testing."""
        return plain_view(torch.from_numpy(pictures), self.size).to(self.device)

    def answers(self, model: nn.Module, images: Tensor) -> np.ndarray:
        """Class numbers (n,) that the network gives to normalised images (n, 3, H, W) as it did in testing: in half
        precision and, by some recipes, with the mirror image of each."""
        images = images.to(self.device)
        with torch.inference_mode(), autocast(self.device, self.precision):
            scores = sum(model(seen).float() for seen in ((images, images.flip(3)) if self.mirrored else (images,)))
        return scores.argmax(1).cpu().numpy()


def make_subject(settings: Settings, dataset: Dataset, regions: Regions) -> Subject:
    """The test images in which an insect was found. Raises DataError where there are too few."""
    rows, chosen = np.flatnonzero(dataset.parts == "test"), np.flatnonzero(regions.usable)
    targets = dataset.targets[rows][chosen]
    if len(np.unique(targets)) < 2:
        raise DataError(
            f"an insect was found in {len(chosen)} of {len(rows)} test images: too few to say where a network looks",
            "Insects are found on specimen sheets; for other photographs draw masks, as seran_lib/data/masks.py says.",
        )
    pictures = dataset.images.fetch(rows[chosen], np.full(len(chosen), 0.5))
    rng, recipe = np.random.default_rng((settings.seed, 12)), RECIPES[settings.recipe]
    size = recipe.evaluation_size(settings.size)
    insect = regions.insect[chosen]
    small = F.interpolate(torch.from_numpy(insect)[:, None].float(), (size, size), mode="bilinear", antialias=True)
    return Subject(
        scenes=make_scenes(pictures, insect, regions.furniture[chosen], settings.seed),
        insect=small[:, 0].numpy() >= 0.5,
        targets=targets,
        others=np.array([rng.choice(np.flatnonzero(targets != target)) for target in targets]),
        size=size,
        batch=settings.batch,
        mirrored=recipe.flip,
        precision=settings.precision,
        device=pick_device(),
    )


def measured(kind: str, subject: str, variant: str, measure: str, values: np.ndarray) -> Row:
    """A row: the mean of per-image values and its interval."""
    mean, low, high = mean_interval(values)
    return row(kind, subject, variant, measure, mean, low, high, len(values))


def row(kind: str, subject: str, variant: str, measure: str, value: float, low: float, high: float, n: int) -> Row:
    """A row from its parts."""
    return dict(zip(LOOK_COLUMNS, (kind, subject, variant, measure, value, low, high, n), strict=True))


def wrong_row(kind: str, subject: str, variant: str, wrong: np.ndarray) -> Row:
    """A row: the share of wrong answers and Wilson's interval."""
    return row(kind, subject, variant, "wrong", wrong.mean(), *wilson(int(wrong.sum()), len(wrong)), len(wrong))
