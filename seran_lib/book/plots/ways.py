"""The figure of chapter 12: how many times fewer errors than SERAN-D each way makes."""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seran_lib.analysis import beyond
from seran_lib.analysis.protocol import GOALS, NOT_RUN
from seran_lib.book.plots.style import COLOURS
from seran_lib.train.recipes import TRANSFER


def plot_ways(tables: dict[str, pd.DataFrame]) -> Figure:
    """How many times fewer errors than SERAN-D each way makes, a panel a data set, with the goals as lines.

    Bars are 95 % intervals; error and effort stand beside each point.
    """
    names = [way.name for way in beyond.ways()][::-1]
    colours = {way.name: COLOURS["good" if way.recipe in TRANSFER else "ours"] for way in beyond.ways()}
    figure, axes = plt.subplots(1, len(tables), figsize=(9.0, 1.8 + 0.45 * len(names)), sharey=True, squeeze=False)
    nearest = min(np.nanmin(table[["times", "low"]].to_numpy(), initial=0.9) for table in tables.values())
    furthest = max(np.nanmax(table[["times", "high"]].to_numpy(), initial=8) for table in tables.values())
    for axis, (data, table) in zip(axes.flat, tables.items(), strict=True):
        for goal in (1, *GOALS.values()):
            axis.axvline(goal, color=COLOURS["faint"], linewidth=1.2, zorder=0)
        for place, name in enumerate(names):
            row = table.loc[name]
            right = np.nanmax([row["high"], row["times"], 1])
            if row["seeds"]:
                axis.plot(row["times"], place, "o", color=colours[name], markersize=6)
                axis.plot([row["low"], row["high"]], [place, place], color=colours[name], linewidth=1.8)
            effort = f", {row['effort']:.1f} of time" if pd.notna(row["effort"]) else ""
            said = f"{row['error']:.1f} %{effort}" if row["seeds"] else NOT_RUN
            axis.annotate(said, (right, place), (7, 0), textcoords="offset points", va="center", fontsize=11,
                          color=colours[name] if row["seeds"] else COLOURS["other"],
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        axis.set_xscale("log")
        axis.set_xlim(0.8 * nearest, 4 * furthest)
        ticks = [tick for tick in (0.25, 1, 2, 4, 8, 16, 32) if 0.8 * nearest < tick <= furthest]
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_title(data)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    goals = ", ".join(f"{asked:g} {goal}" for goal, asked in GOALS.items())
    compared = f"times fewer errors than {beyond.BASE.name} (goals: {goals})"
    beside = "beside each: test error, and training time as a share of SERAN-D's"
    figure.supxlabel(f"{compared}\n{beside}", fontsize=12)
    return figure
