"""Frozen features of a pretrained network, and logistic regression on them: the cheapest classifier that is any good.

What Kornblith et al. ("Do Better ImageNet Models Transfer Better?", CVPR 2019) call a linear classifier on fixed
features. Its regularisation is chosen by the validation images, as there. The result is a network like any other: it
is measured, saved and recorded by `experiment.run`.
"""

import time

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from seran_lib.nets.pretrained import create_pretrained
from seran_lib.train.dataset import Dataset, seen_once
from seran_lib.train.device import device_name, precision
from seran_lib.train.distributed import say
from seran_lib.train.evaluate import measure, predict
from seran_lib.train.learner import Training
from seran_lib.train.memory import Fit
from seran_lib.train.settings import Settings

STRENGTHS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # C of scikit-learn, the inverse of the penalty; features have deviation 1
ITERATIONS = 1000  # at most; few images need a hundred


class LinearProbe(nn.Module):
    """Standardise and classify, features (N, F) -> scores (N, classes), in float32 whatever comes in.

    scikit-learn's numbers: half precision would round scores that differ little to the same.
    """

    def __init__(self, weight: Tensor, bias: Tensor, mean: Tensor, scale: Tensor):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())

    @classmethod
    def of(cls, scaler: StandardScaler, regression: LogisticRegression) -> "LinearProbe":
        """What scikit-learn has fitted."""
        # Of two classes scikit-learn keeps one row of weights, the log-odds of the second.
        two = len(regression.classes_) == 2
        weights, bias = regression.coef_, regression.intercept_
        weights = np.concatenate([0 * weights, weights]) if two else weights
        bias = np.concatenate([0 * bias, bias]) if two else bias
        return cls(*map(torch.tensor, (weights, bias, scaler.mean_, scaler.scale_)))

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return nn.functional.linear((features.float() - self.mean) / self.scale, self.weight, self.bias)


def fit_frozen(settings: Settings, dataset: Dataset, device: torch.device) -> Training:
    """The pretrained network of the settings with a logistic regression of the training images as its classifier.

    Of `STRENGTHS` the one with the lowest validation error wins, of equals the smallest. The log has a row for each:
    strength, valid_loss, valid_top1_error, seconds, images_per_second, precision and device; the seconds of the first
    hold the features.
    """
    began = time.perf_counter()
    network = create_pretrained(settings.model, len(dataset.classes)).to(device, memory_format=torch.channels_last)
    network.classifier = nn.Identity()
    rows = {part: np.flatnonzero(dataset.parts == part) for part in ("train", "valid")}
    targets = {part: dataset.targets[chosen] for part, chosen in rows.items()}
    loaders = {part: seen_once(dataset.images, rows[part], targets[part], settings, device) for part in rows}
    features = {part: predict(network, loader, fixed=settings.precision) for part, loader in loaders.items()}
    rate = sum(map(len, features.values())) / (time.perf_counter() - began)
    say(f"{rate:.0f} images/s: features of {sum(map(len, features.values())):,} images")
    scaler = StandardScaler().fit(features["train"])
    regression = LogisticRegression(max_iter=ITERATIONS, warm_start=True)  # each begins where the last one ended
    rows, probes = [], []
    for strength in STRENGTHS:
        regression.set_params(C=strength).fit(scaler.transform(features["train"]), targets["train"])
        probes.append(LinearProbe.of(scaler, regression))
        with torch.no_grad():
            measured = measure(probes[-1](torch.from_numpy(features["valid"])).numpy(), targets["valid"])
        took, began = time.perf_counter() - began, time.perf_counter()
        row = {"strength": strength, "valid_loss": measured["loss"], "valid_top1_error": measured["top1_error"]}
        rows.append(row | {"seconds": took, "images_per_second": rate})
        say(f"C {strength:g}  error {row['valid_top1_error']:.2f} %")
    log = pd.DataFrame(rows).assign(precision=precision(device, settings.precision), device=device_name(device))
    network.classifier = probes[log["valid_top1_error"].argmin()]
    return Training(network.to(device), log, Fit())
