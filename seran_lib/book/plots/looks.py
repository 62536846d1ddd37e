"""The pictures of chapter 11: maps over insects, edited scenes, and what `explain.measure` found, as figures."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seran_lib.book.plots.style import COLOURS, WIDE

COLOUR_OF = {"trained": "ours", "random": "other"}


def map_grid(pictures: np.ndarray, insect: np.ndarray, columns: Mapping[str, np.ndarray]) -> Figure:
    """Pictures (n, S, S, 3) with the insect's outline (n, S, S), and beside each its maps (n, h, w), a title a column.

    Every map is coloured over its own range, from dark (low) to yellow (high).
    """
    width = 7.6 / (1 + len(columns))
    figure, axes = plt.subplots(len(pictures), 1 + len(columns), figsize=(7.6, len(pictures) * width + 0.4))
    side = pictures.shape[1]
    for line, picture, mask, *maps in zip(axes, pictures, insect, *columns.values(), strict=True):
        line[0].imshow(picture)
        for axis, values in zip(line[1:], maps, strict=True):
            axis.imshow(values, cmap="viridis", extent=(0, side, side, 0))
        for axis in line:
            axis.contour(mask, [0.5], colors="white" if axis is not line[0] else COLOURS["paper"], linewidths=0.9)
            axis.axis("off")
    for axis, title in zip(axes[0], ["picture", *columns], strict=True):
        axis.set_title(title, fontsize=11, loc="center", pad=4)
    return figure


def edit_grid(edited: Mapping[str, np.ndarray]) -> Figure:
    """A row of pictures (n, S, S, 3) for every edit, its name at the left."""
    count = len(next(iter(edited.values())))
    figure, axes = plt.subplots(len(edited), count, figsize=(7.2, 1.02 * len(edited)))
    for line, (name, pictures) in zip(axes, edited.items(), strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture)
            axis.axis("off")
        line[0].text(-0.1, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
    return figure


def plot_places(tables: Mapping[str, pd.DataFrame], measure: str, title: str) -> Figure:
    """Masks and Grad-CAM, trained and random, one panel a data set; lines are maps that need no network."""
    figure, axes = plt.subplots(1, len(tables), figsize=(WIDE[0], 4.6), sharey=True, squeeze=False)
    for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
        rows = table[(table["kind"] == "place") & (table["measure"] == measure)]
        maps = [m for m in rows["subject"].unique() if m.startswith(("mask", "Grad")) and "channel" not in m]
        maps = [*[m for m in maps if m.startswith("mask")], "all masks", *[m for m in maps if m.startswith("Grad")]]
        for variant, shift in (("random", 0.13), ("trained", -0.13)):
            chosen = rows[rows["variant"] == variant].set_index("subject").loc[maps]
            _dots(axis, np.arange(len(maps)) + shift, chosen, COLOURS[COLOUR_OF[variant]], variant)
        for label, style in (("chance", ":"), ("centre", "--"), ("darkness", "-")):
            value = rows.loc[rows["subject"] == label, "value"].item()
            axis.axvline(value, color=COLOURS["doubt"], linestyle=style, linewidth=1.5, label=label)
        axis.set_yticks(range(len(maps)), maps)
        axis.set(title=name, xlabel=title, xlim=(0, 1.02), ylim=(len(maps) - 0.5, -0.5))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def plot_errors(tables: Mapping[str, pd.DataFrame], edits: Sequence[str]) -> Figure:
    """Share of wrong answers after each edit, one panel a data set; the line is the picture as it is."""
    figure, axes = plt.subplots(1, len(tables), figsize=(WIDE[0], 0.42 * len(edits) + 1.3), sharey=True, squeeze=False)
    for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
        rows = table[(table["kind"] == "error") & (table["measure"] == "wrong")].set_index("subject")
        rows = rows.loc[[edit for edit in edits if edit in rows.index]]
        _dots(axis, np.arange(len(rows)), rows, COLOURS["ours"], "")
        for place, (value, high) in enumerate(zip(rows["value"], rows["high"], strict=True)):
            axis.text(high + 0.02, place, f"{100 * value:.0f} %", va="center", fontsize=11)
        axis.axvline(rows.loc["as it is", "value"], color=COLOURS["faint"], linewidth=1.5, zorder=0)
        axis.set_yticks(range(len(rows)), rows.index)
        axis.set(title=name, xlabel="share of test images wrong", xlim=(0, 1.15), ylim=(len(rows) - 0.5, -0.5))
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1])
    return figure


def plot_road(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Error over the share of pixels removed, those first that a map calls important; one panel a data set."""
    colours = {"the insect": "paper", "Grad-CAM 4": "good", "all masks": "ours", "random": "other"}
    figure, axes = plt.subplots(1, len(tables), figsize=WIDE, sharey=True, squeeze=False)
    for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
        rows, start = table[table["kind"] == "road"], table[(table["kind"] == "error") & (table["measure"] == "wrong")]
        start = start.loc[start["subject"] == "as it is", "value"].item()
        for label, curve in rows.groupby("subject", sort=False):
            shares, values = [0, *curve["variant"].astype(float)], [start, *curve["value"]]
            axis.plot(shares, values, color=COLOURS[colours[label]], marker="o", markersize=5, label=label)
        axis.set(title=name, xlabel="share of the picture removed", ylim=(0, 1), xlim=(-0.02, 0.42))
    axes[0, 0].set_ylabel("share wrong")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _dots(axis: Axes, places: np.ndarray, rows: pd.DataFrame, colour: str, label: str) -> None:
    reach = np.stack([rows["value"] - rows["low"], rows["high"] - rows["value"]]).clip(0)
    axis.errorbar(rows["value"], places, xerr=reach, color=colour, fmt="o", markersize=6, linewidth=1.8, label=label)
