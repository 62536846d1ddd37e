"""What a network still recognises after an edit of the picture or of its masks, and what is known without it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn

from seran_lib.explain import maps
from seran_lib.explain.edits import CONTROLS, EDITS, Edit
from seran_lib.explain.regions import Regions
from seran_lib.explain.subject import Row, Subject, measured, wrong_row
from seran_lib.train.dataset import Dataset
from seran_lib.train.device import autocast

MaskEdit = Callable[[Tensor, Tensor], Tensor]  # M (N, C, h, w) and that of an image of another class -> M instead
MASK_EDITS: MappingProxyType[str, MaskEdit] = MappingProxyType(
    {
        "masks off": lambda mask, other: torch.zeros_like(mask),  # each module is its trunk
        "masks levelled": lambda mask, other: mask.mean((2, 3), keepdim=True).expand_as(mask),  # how much, not where
        "masks of another image": lambda mask, other: other,
    }
)


def answers(model: nn.Module, subject: Subject, edit: Edit, mask_edit: MaskEdit | None = None) -> np.ndarray:
    """Class numbers (n,) the network gives to the edited pictures, with its attention masks edited or as they are.

    For the picture as it is these are the run's own answers.
    """
    given = []
    for rows in subject.chunks():
        scenes, others = subject.scenes.take(rows), subject.scenes.take(subject.others[rows])
        with _replaced(model, mask_edit, subject, others.pictures) if mask_edit else nullcontext():
            given.append(subject.answers(model, subject.view(edit(scenes, others))))
    return np.concatenate(given)


def _replaced(
    model: nn.Module, mask_edit: MaskEdit, subject: Subject, others: np.ndarray
) -> AbstractContextManager[None]:
    with autocast(subject.device, subject.precision):
        foreign = maps.attention_masks(model, subject.view(others))
    return maps.masks_replaced(model, lambda name, mask: mask_edit(mask, foreign[name]))


def error_rows(model: nn.Module, subject: Subject) -> list[Row]:
    """Errors on edited pictures and with edited masks, against the picture as it is and against each edit's control."""
    plain = EDITS["as it is"]
    given = {name: answers(model, subject, edit) for name, edit in EDITS.items()}
    if maps.blocks(model, maps.MaskBranch):
        given |= {name: answers(model, subject, plain, mask_edit) for name, mask_edit in MASK_EDITS.items()}
    wrong = {name: (numbers != subject.targets).astype(float) for name, numbers in given.items()}
    rows = []
    for name, values in wrong.items():
        rows.append(wrong_row("error", name, "", values))
        if name != "as it is":
            rows.append(measured("error", name, "", "rise", values - wrong["as it is"]))
        if name in CONTROLS:
            rows.append(measured("error", name, "", "over control", values - wrong[CONTROLS[name]]))
    for name in ("as it is", "insect on another kind's sheet"):
        sheet = given[name] == subject.targets[subject.others]
        rows.append(measured("error", name, "", "follows", sheet.astype(float)))
    return rows


def sheet_rows(dataset: Dataset, regions: Regions) -> list[Row]:
    """What can be known without the insect: by guessing, and by a random forest that is told the colour of the edge.

    The colour is the median over the outermost twentieth of a picture; the forest learns from the training images.
    """
    edge, classes = {}, {}
    for part, wanted in (("train", slice(None)), ("test", regions.usable)):
        rows = np.flatnonzero(dataset.parts == part)[wanted]
        pictures, deep = dataset.images.fetch(rows, np.full(len(rows), 0.5)), round(dataset.images.side / 20)
        ring = np.ones(pictures.shape[1:3], dtype=bool)
        ring[deep:-deep, deep:-deep] = False
        edge[part], classes[part] = np.median(pictures[:, ring], axis=1), dataset.targets[rows]
    forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=0).fit(edge["train"], classes["train"])
    guesses = {
        "a guess: the most frequent kind": np.bincount(classes["train"]).argmax(),
        "a forest that knows the edge's colour": forest.predict(edge["test"]),
    }
    return [wrong_row("error", name, "", (guess != classes["test"]).astype(float)) for name, guess in guesses.items()]
