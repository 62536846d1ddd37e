"""Plots that several chapters draw: pictures of a batch, learning curves, a split, confusions.

Each returns the figure; only figures made of numbers or drawn insects may be saved with `figures.save`.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from seran_lib.book.plots.style import COLOURS, TALL, WIDE
from seran_lib.data.augment import denormalise
from seran_lib.train.dataset import Dataset

PARTS = {"train": "other", "valid": "doubt", "test": "ours"}


def picture_grid(images: Sequence[Tensor], titles: list[str], columns: int = 6) -> Figure:
    """Normalised images, each (3, H, W), in a grid with a title above each."""
    rows = -(-len(images) // columns)
    titles = [textwrap.fill(title, 15) for title in titles]
    lines = 1 + max(title.count("\n") for title in titles)
    height = WIDE[0] / columns + 0.2 * lines  # inches: a square picture, and its title above
    figure, axes = plt.subplots(rows, columns, figsize=(WIDE[0], rows * height), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    pixels = denormalise(torch.stack(list(images)).cpu()).permute(0, 2, 3, 1).numpy()
    for axis, image, title in zip(axes.flat, pixels, titles, strict=False):
        axis.imshow(image)
        axis.set_anchor("S")  # what is left of the height is the title's
        axis.set_title(title, fontsize=11, loc="center", pad=3)
    return figure


def plot_split(dataset: Dataset) -> Figure:
    """Images per species, largest first, in the colours of their parts."""
    counts = pd.crosstab(dataset.manifest["label"], dataset.parts)[list(PARTS)]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure, axis = plt.subplots(figsize=WIDE)
    bottom = np.zeros(len(counts))
    for part, colour in PARTS.items():
        axis.bar(range(len(counts)), counts[part], bottom=bottom, color=COLOURS[colour], label=part, width=0.85)
        bottom += counts[part].to_numpy()
    axis.set(ylabel="images", xlim=(-0.6, len(counts) - 0.4))
    if len(counts) <= 20:
        axis.set_xticks(range(len(counts)), counts.index, rotation=40, ha="right")
    else:
        axis.set_xlabel(f"{len(counts)} species, largest first")
    axis.legend()
    return figure


def plot_curves(log: pd.DataFrame) -> Figure:
    """Losses and validation error over the epochs of one run, or over the strengths tried on frozen features."""
    over = "epoch" if "epoch" in log else "strength"
    figure, (left, right) = plt.subplots(1, 2, figsize=WIDE)
    for column, colour, name in (("train_loss", "other", "training"), ("valid_loss", "ours", "validation")):
        if column in log:
            left.plot(log[over], log[column], color=COLOURS[colour], marker="o", markersize=4, label=name)
    left.set(title="Loss", ylim=(0, None))
    left.legend()
    right.plot(log[over], log["valid_top1_error"], color=COLOURS["ours"], marker="o", markersize=4)
    right.set(title="Validation error, %", ylim=(0, None))
    for axis in (left, right):
        if over == "epoch":
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
        else:
            axis.set(xlabel="freedom of the weights (C)", xscale="log")
    return figure


def plot_confusions(predictions: pd.DataFrame, most: int = 8) -> Figure:
    """The most frequent wrong answers, "species taken for another", with how many of its test images erred so."""
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    pairs = wrong.groupby(["label", "predicted"]).size().sort_values(ascending=False, kind="stable").head(most)
    totals = predictions["label"].value_counts()
    figure, axis = plt.subplots(figsize=TALL if len(pairs) > 5 else WIDE)
    names = [f"{label}\ntaken for {predicted}" for label, predicted in pairs.index]
    bars = axis.barh(names, pairs.to_numpy(), color=COLOURS["ours"], height=0.6)
    axis.bar_label(bars, [f"{n} of {totals[label]}" for (label, _), n in pairs.items()], padding=4)
    axis.invert_yaxis()
    axis.set(xlabel="test images", xlim=(0, max(pairs.max() if len(pairs) else 1, 1) * 1.25))
    axis.xaxis.get_major_locator().set_params(integer=True)
    return figure
