"""Scores on a part of the set, and the numbers the paper reports about them."""

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from seran_lib.data.loaders import PackedLoader
from seran_lib.train.dataset import Dataset
from seran_lib.train.device import autocast

TOP = 5


@torch.inference_mode()
def predict(model: nn.Module, loader: PackedLoader, *, mirrored: bool = False, fixed: str = "") -> np.ndarray:
    """Scores of every image of a loader in its order, (n, classes) float32. The model is left in evaluation mode.

    With `mirrored` each score is the mean over a picture and its mirror image; `fixed` is the run's precision.
    """
    model.eval()
    scores = []
    for images, _ in loader:
        with autocast(loader.device, fixed):
            given = model(images).float()
            if mirrored:
                given = (given + model(images.flip(3)).float()) / 2
        scores.append(given.cpu())
    return torch.cat(scores).numpy()


def best_first(scores: np.ndarray) -> np.ndarray:
    """Class numbers of each image from the highest score to the lowest, (n, classes); of equals, the smaller first."""
    return np.argsort(-scores, axis=1, kind="stable")


def measure(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Errors in percent and the cross-entropy in nats, of scores (n, classes) against class numbers (n,).

    `top1_error` and `top5_error` as in the paper's tables; `macro_error` is the mean over species of the top-1 error.
    """
    best = best_first(scores)[:, :TOP]
    hits = best == targets[:, None]
    return {
        "top1_error": 100 * (1 - hits[:, 0].mean()),
        "top5_error": 100 * (1 - hits.any(axis=1).mean()),
        "macro_error": 100 * (1 - balanced_accuracy_score(targets, best[:, 0])),
        "loss": -log_softmax(scores.astype(float), axis=1)[np.arange(len(targets)), targets].mean(),
    }


def fit_temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """The number that scores (n, classes) are divided by for the least cross-entropy against class numbers (n,).

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Above 1 where the network is too sure of itself;
    between 1/20 and 20. To be fitted on validation images.
    """

    def loss(log_temperature: float) -> float:
        return measure(scores / np.exp(log_temperature), targets)["loss"]

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded").x))


def prediction_table(scores: np.ndarray, dataset: Dataset, part: str, temperature: float) -> pd.DataFrame:
    """One row per image of a part: image_id, group, label, predicted, probability (of the prediction), calibrated (the
    same at the temperature), label_probability, label_rank (1 = predicted). Enough to redo top-k errors, paired tests,
    intervals by group, loss and calibration."""
    chosen = dataset.parts == part
    targets, classes = dataset.targets[chosen], np.array(dataset.classes)
    probabilities = np.exp(log_softmax(scores.astype(float), axis=1))
    rows = np.arange(len(targets))
    return pd.DataFrame(
        {
            "image_id": dataset.manifest["image_id"].to_numpy()[chosen],
            "group": dataset.manifest["group"].to_numpy()[chosen],
            "label": classes[targets],
            "predicted": classes[scores.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "calibrated": softmax(scores.astype(float) / temperature, axis=1).max(axis=1),
            "label_probability": probabilities[rows, targets],
            "label_rank": 1 + (best_first(scores) == targets[:, None]).argmax(axis=1),
        }
    )
