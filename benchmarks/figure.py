"""`figures/benchmarks.svg`, drawn from results.csv and growth.csv beside this file: `python benchmarks/figure.py`.

Left a bar for each comparison, from 1, where both are equal, to the ratio; models that were compared in the same way
share one, to their median, with a dot each. Right how times grow, and the exponent of the power law that fits best: 1
is in proportion, 0 is no growth.
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, StrMethodFormatter
from report import GROWTH, RESULTS, exponent

from seran_lib.book.plots.style import COLOURS, SQUARE, svg, use_book_style
from seran_lib.nets import list_models
from seran_lib.paths import FIGURES

# How the rows of a benchmark begin, and the heading that says it for them.
HEADINGS = {
    ("train_step", "training "): "Training, against {}",
    ("precision", "training "): "Training, against {}",
    ("gpu", "training "): "Training, full networks, against {}",
    ("compiled", "training compiled "): "Training compiled, against {}",
    ("rivals", "training "): "Training, against {}",
    ("inference", "latency of "): "Latency of one image, against {}",
    ("inference", "throughput of "): "Throughput, against {}",
    ("memory", "memory of training "): "Peak memory of training, against {}",
    ("memory", "memory of batches "): "Peak memory of loading, against {}",
    ("data_path", "batches "): "Loading batches, against {}",
    ("fetch", "fetching "): "Fetching, against {}",
}
PITCH, GAP = 0.215, 0.5  # inches from line to line, and lines between groups
NAMES = 0.46  # share of the left half that is kept for names, left of the bars
AXES = {"images": "images", "classes": "classes", "pixels": "image size, pixels"}


def draw(results: pd.DataFrame, growth: pd.DataFrame) -> Figure:
    """The figure of both tables. Raises ValueError for a row without a heading."""
    use_book_style()
    groups = grouped(results)
    lines = sum(len(bars) + 1 + GAP for bars in groups.values())
    figure = plt.figure(figsize=(SQUARE[0], max(PITCH * lines + 0.8, SQUARE[1])))
    left, right = figure.subfigures(1, 2, width_ratios=(1.9, 1))
    draw_ratios(left.subplots(), groups)
    kinds = list(growth["by"].unique())
    for axis, by in zip(right.subplots(len(kinds), 1, squeeze=False).flat, kinds, strict=True):
        draw_growth(axis, growth[growth["by"] == by], AXES[by])
    return figure


def grouped(results: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Heading -> name of a bar -> its ratios."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    left = results
    for (benchmark, start), heading in HEADINGS.items():
        rows = results[(results["benchmark"] == benchmark) & results["what"].str.startswith(start)]
        left = left.drop(rows.index)
        rows = rows.assign(name=rows["what"].str.removeprefix(start))
        for other, those in rows.groupby("instead_of", sort=False):
            alike = those.groupby(those["name"].map(without_model), sort=False)
            groups[heading.format(other)] = {
                f"{len(same)} models, {way}" if len(same) > 1 else same["name"].iloc[0]: same["ratio"].to_numpy()
                for way, same in alike
            }
    if len(left):
        raise ValueError(f"{RESULTS}: no heading for {left['what'].tolist()}: add one to {Path(__file__).name}")
    return groups


def without_model(name: str) -> str:
    """What follows the model in a name such as "seran_d, 96 px"; other names stay."""
    first, _, rest = name.partition(", ")
    return rest if first in list_models() else name


def draw_ratios(axis: Axes, groups: dict[str, dict[str, np.ndarray]]) -> None:
    """Bars from top to bottom, with their names to the left."""
    beside, line = axis.get_yaxis_transform(), 0.0
    for heading, bars in groups.items():
        axis.text(0, line, heading, transform=beside, va="center", weight="bold", size=11)
        axis.vlines(1, line + 0.5, line + len(bars) + 0.5, color=COLOURS["other"], linewidth=1)
        for name, ratios in bars.items():
            line += 1
            middle = np.median(ratios)
            axis.text(0, line, name, transform=beside, va="center", size=11)
            axis.barh(line, middle - 1, left=1, height=0.7, color=COLOURS["ours" if middle >= 1 else "doubt"])
            if len(ratios) > 1:
                axis.scatter(
                    ratios, np.full(len(ratios), line), s=14, color="white", edgecolor=COLOURS["other"], zorder=3
                )
            said = f"{middle:.2f}" if middle < 10 else f"{middle:.0f}"
            axis.annotate(
                said, (max(*ratios, 1), line), xytext=(5, 0), textcoords="offset points", va="center", size=11
            )
        line += 1 + GAP
    every = np.concatenate([ratios for bars in groups.values() for ratios in bars.values()])
    least, most = min(0.5, 0.9 * every.min()), max(4.0, 3 * every.max())
    axis.set_xscale("log")
    axis.set(ylim=(line - GAP, -0.8), xlim=(least * (least / most) ** (NAMES / (1 - NAMES)), most))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks([tick for tick in (1, 10, 100) if tick < most])
    axis.set_yticks([])
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.set_xlabel("times better (median, a dot for each model)", loc="right")


def draw_growth(axis: Axes, growth: pd.DataFrame, label: str) -> None:
    """One or two curves over one quantity, both axes logarithmic."""
    corners = ((0.04, 0.97, "left", "top"), (0.97, 0.04, "right", "bottom"))
    for colour, (x, y, ha, va), (what, curve) in zip(
        ("ours", "good"), corners, growth.groupby("what", sort=False), strict=False
    ):
        axis.plot(curve["x"], curve["value"], marker="o", color=COLOURS[colour])
        power = round(exponent(curve["x"], curve["value"]), 1) + 0.0  # no "-0.0"
        said = f"{textwrap.fill(what, 26)}\nexponent {power:.1f}"
        axis.text(x, y, said, transform=axis.transAxes, ha=ha, va=va, color=COLOURS[colour], size=11)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set(xlabel=label, ylabel="seconds", ylim=(growth["value"].min() / 12, growth["value"].max() * 12))
    axis.set_xticks(growth["x"].unique())
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.yaxis.set_major_locator(LogLocator(numticks=8))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_minor_locator(NullLocator())


def main() -> None:
    """Draw it."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    folder = Path(__file__).parent  # what was only tried out is not drawn
    drawn = svg(draw(pd.read_csv(folder / RESULTS), pd.read_csv(folder / GROWTH)))
    (FIGURES / "benchmarks.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
