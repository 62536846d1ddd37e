"""Figures of chapters 09 and 10, drawn from the frames of the analysis; each returns the figure."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from seran_lib.analysis.protocol import CONTRASTS, MARGIN, NOT_RUN
from seran_lib.book.plots.style import COLOURS, WIDE
from seran_lib.nets.specs import SPECS
from seran_lib.nets.specs import label as name

SET_COLOURS = ("ours", "good", "doubt", "other")


def not_run() -> Figure:
    """What stands for a figure whose runs nobody has done yet."""
    figure, axis = plt.subplots(figsize=(WIDE[0], 1.2))
    _say_not_run(axis)
    axis.axis("off")
    return figure


def _say_not_run(axis: Axes, row: float | None = None) -> None:
    """In the middle of the panel, or of one of its rows."""
    where = axis.transAxes if row is None else axis.get_yaxis_transform()
    y = 0.5 if row is None else row
    axis.text(0.5, y, NOT_RUN, transform=where, ha="center", va="center", color=COLOURS["other"])


def plot_errors(paper: pd.DataFrame, sets: Mapping[str, pd.DataFrame]) -> Figure:
    """The paper's errors with Wilson's interval in the first panel, and a panel a data set with a dot a seed.

    `paper` has the columns error, low, high (percent) and models as index, which gives the order of the rows; `sets`
    maps a data set to the ledger's rows.
    """
    figure, axes = plt.subplots(1, 1 + len(sets), figsize=(WIDE[0], 1.2 + 0.48 * len(paper)), sharey=True)
    axes = np.atleast_1d(axes)
    places = range(len(paper))
    axes[0].hlines(places, paper["low"], paper["high"], color=COLOURS["paper"], lw=3)
    axes[0].plot(paper["error"], places, "o", color=COLOURS["paper"], ms=7)
    axes[0].set(title="paper", yticks=list(places), yticklabels=[name(model) for model in paper.index])
    for axis, (data, rows), colour in zip(axes[1:], sets.items(), cycle(SET_COLOURS), strict=False):
        for place, model in zip(places, paper.index, strict=True):
            errors = rows.loc[rows["model"] == model, "test_top1_error"]
            if errors.empty:
                _say_not_run(axis, place)
                continue
            axis.plot(errors, [place] * len(errors), "o", color=COLOURS[colour], ms=7, alpha=0.45, mew=0)
            axis.plot(errors.mean(), place, "|", color=COLOURS[colour], ms=18, mew=2.5)
        axis.set(title=data)
    for axis in axes:
        axis.update_datalim([(0, 0)])  # so that the margin beyond the largest error is a share of it
        axis.autoscale_view(scaley=False)
        axis.set(xlim=(0, None), xlabel="top-1 error, %")
        axis.grid(axis="y", color=COLOURS["faint"], lw=0.6)
    axes[0].invert_yaxis()
    return figure


def plot_forest(sets: Mapping[str, pd.DataFrame], colours: Sequence[str] = SET_COLOURS) -> Figure:
    """Ratios of errors with 95 % intervals, a row a contrast: the paper's, and those of each data set.

    `sets` maps a data set to `verdicts.contrast_table`. The grey band is the margin within which errors are alike.
    """
    first = next(iter(sets.values()))
    figure, axis = plt.subplots(figsize=(WIDE[0], 1.4 + 0.75 * len(first)))
    places = np.arange(len(first))
    shifts = np.linspace(-0.25, 0.25, 1 + len(sets))
    _intervals(axis, first, places + shifts[0], ("paper", "paper_low", "paper_high"), COLOURS["paper"], "paper")
    for shift, (data, table), colour in zip(shifts[1:], sets.items(), cycle(colours), strict=False):
        _intervals(axis, table, places + shift, ("ours", "low", "high"), COLOURS[colour], data)
    axis.axvline(1, color=COLOURS["other"], lw=1)
    axis.axvspan(1 / MARGIN, MARGIN, color=COLOURS["faint"], alpha=0.35, lw=0)
    labels = [f"{name(c.worse)}\n{'like' if c.tie else 'worse than'} {name(c.better)}" for c in first.itertuples()]
    axis.set(xscale="log", yticks=places, yticklabels=labels, ylim=(len(first) - 0.5, -0.6))
    axis.set(xlabel="ratio of the errors (above 1: the first errs more)")
    low, high = axis.get_xlim()
    fine, coarse = (0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.4, 1.7, 2, 2.8, 4, 5.6), (0.25, 0.5, 1, 2, 4, 8, 16)
    ticks = [tick for tick in (fine if high < 8 * low else coarse) if low <= tick <= high]
    axis.xaxis.set_major_locator(mpl.ticker.FixedLocator(ticks))
    axis.xaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    return figure


def _intervals(axis: Axes, table: pd.DataFrame, places: np.ndarray, columns: Sequence[str], colour: str, label: str):
    middle, low, high = (table[column].astype(float) for column in columns)
    axis.hlines(places, low, high, color=colour, lw=2.5)
    axis.plot(middle, places, "o", color=colour, ms=6, label=label)


def plot_learning(panels: Mapping[str, tuple[pd.DataFrame, str, Sequence[int]]], models: Sequence[str]) -> Figure:
    """Test error over epochs or images per class, a panel each: title -> (ledger's rows, column on the x-axis, values
    of it that are planned).

    Dots are runs, lines their means; both axes are logarithmic. A planned value without a dot was not run.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=WIDE, squeeze=False)
    palette = dict(zip(models, ("ours", "paper", "good", "doubt"), strict=False))
    for axis, (title, (rows, column, planned)) in zip(axes[0], panels.items(), strict=True):
        for model, colour in palette.items():
            mine = rows[rows["model"] == model]
            if mine.empty:
                continue
            means = mine.groupby(column)["test_top1_error"].mean()
            axis.plot(mine[column], mine["test_top1_error"], "o", color=COLOURS[colour], ms=5, alpha=0.5, mew=0)
            axis.plot(means.index, means, color=COLOURS[colour], label=name(model))
        axis.set(title=title, xscale="log", yscale="log", xlabel=column.replace("_", " "), ylabel="top-1 test error, %")
        axis.set_xticks(planned, [f"{tick:g}" for tick in planned])
        axis.set_xlim(planned[0] / 1.2, planned[-1] * 1.2)
        axis.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        axis.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axis.minorticks_off()
        if axis.lines:
            axis.legend()
        else:
            _say_not_run(axis)
    return figure


def plot_cost(costs: pd.DataFrame, sets: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean error against parameters and against multiply-accumulates (columns parameters, gmacs; models as index), a
    row of panels a data set; `sets` maps it to `errors.mean_errors`."""
    quantities = ("parameters", "million parameters", 1e6), ("gmacs", "10⁹ multiply-accumulates an image", 1)
    figure, axes = plt.subplots(len(sets), 2, figsize=(WIDE[0], 3.0 * len(sets)), squeeze=False)
    for line, (data, errors) in zip(axes, sets.items(), strict=True):
        for axis, (column, unit, scale) in zip(line, quantities, strict=True):
            shown = costs[[column]].join(errors["error"]).dropna()
            axis.set(title=data, xlabel=unit, ylabel="top-1 test error, %")
            if shown.empty:
                _say_not_run(axis)
                continue
            points = {model: (row[column] / scale, row["error"]) for model, row in shown.iterrows()}
            for model, point in points.items():
                axis.plot(*point, "o", color=_colour(model), ms=7)
            _name_points(axis, points)
    return figure


def plot_rates(errors: pd.DataFrame) -> Figure:
    """Validation error in percent over the learning rate, a line a model: models as index, rates as columns. A ring is
    a line's lowest, where it is whole. Both axes are logarithmic."""
    figure, axis = plt.subplots(figsize=(WIDE[0], 5.0))
    for model, row in errors.iterrows():
        axis.plot(row.index, row, "o-", color=_colour(model), ms=4, lw=1.2)
        if row.notna().all():
            axis.plot(row.idxmin(), row.min(), "o", mfc="none", mec=_colour(model), ms=11)
    axis.set(xscale="log", yscale="log", xlabel="highest learning rate", ylabel="top-1 validation error, %")
    axis.set_xticks(list(errors.columns), [f"{rate:g}" for rate in errors.columns])
    axis.set_yticks([2, 5, 10, 20, 40], ["2", "5", "10", "20", "40"])
    axis.minorticks_off()
    ends = {model: row.dropna() for model, row in errors.iterrows()}
    _name_points(axis, {model: (row.index[-1], row.iloc[-1]) for model, row in ends.items()}, gap=0.06)
    return figure


def _colour(model: str) -> str:
    return COLOURS["ours" if SPECS[model].ours else "other"]


def _name_points(axis: Axes, points: Mapping[str, tuple[float, float]], gap: float = 0.085) -> None:
    """Names of models at the right edge, each as near to the height of its point as the others let it, and a line
    between the two; `gap` is the least distance of two names as a share of the axis."""
    axis.autoscale_view()
    heights = {model: (axis.transScale + axis.transLimits).transform(point)[1] for model, point in points.items()}
    models = sorted(points, key=heights.get)
    gaps = gap * np.arange(len(models))
    # What is left without the gaps has to rise: isotonic regression moves it no farther than that takes.
    places = isotonic_regression([heights[model] for model in models] - gaps).x + gaps
    for model, place in zip(models, places, strict=True):
        axis.annotate(
            name(model), points[model], (1.02, place), fontsize=11, color=_colour(model), va="center",
            textcoords="axes fraction", arrowprops={"arrowstyle": "-", "color": COLOURS["faint"], "lw": 0.8},
        )  # fmt: skip


def plot_noise(parts: Mapping[str, pd.DataFrame]) -> Figure:
    """What moves the difference of two models, in points: test images alone, and training besides (`noise_parts`).

    A row a contrast of the protocol that any data set has, the first on top.
    """
    measured = {data: table.set_index(["worse", "better"]) for data, table in parts.items()}
    pairs = [(c.worse, c.better) for c in CONTRASTS]
    pairs = [pair for pair in pairs if any(pair in table.index for table in measured.values())]
    places = range(len(pairs))
    figure, axes = plt.subplots(1, len(parts), figsize=(WIDE[0], 1.8 + 0.36 * len(pairs)), sharey=True, squeeze=False)
    for axis, (data, table) in zip(axes[0], measured.items(), strict=True):
        rows = table.reindex(pairs)
        axis.barh(places, rows["images"], height=0.36, align="edge", color=COLOURS["other"], label="test images alone")
        axis.barh(places, rows["seen"], height=-0.36, align="edge", color=COLOURS["ours"], label="seen over the seeds")
        for place in np.flatnonzero(rows["seen"].isna()):
            _say_not_run(axis, place)
        axis.set(title=data, xlabel="standard deviation, points")
        axis.tick_params(axis="y", labelsize=11)
    axes[0, 0].set_yticks(places, [f"{name(worse)} – {name(better)}" for worse, better in pairs])
    axes[0, 0].invert_yaxis()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def plot_species(tables: Mapping[str, pd.DataFrame], worst: int = 6) -> Figure:
    """Error of every species with Wilson's interval, the worst first and named; a panel a data set."""
    figure, axes = plt.subplots(len(tables), 1, figsize=(WIDE[0], 3.7 * len(tables)), squeeze=False)
    for axis, (data, table) in zip(axes[:, 0], tables.items(), strict=True):
        places = np.arange(len(table))
        axis.vlines(places, 100 * table["low"], 100 * table["high"], color=COLOURS["faint"], lw=2)
        axis.plot(places, 100 * table["error"], "o", color=COLOURS["ours"], ms=4, clip_on=False, zorder=3)
        mean = 100 * table["error"].mean()
        axis.axhline(mean, color=COLOURS["other"], lw=1, ls="--")
        axis.text(len(table) - 0.5, mean + 1.5, "mean over species", ha="right", color=COLOURS["other"])
        named = table.head(worst)
        text = "\n".join(f"{100 * row.error:3.0f} %  {row.Index} ({row.n} answers)" for row in named.itertuples())
        axis.text(0.985, 0.97, text, transform=axis.transAxes, ha="right", va="top", fontsize=11)
        axis.set(title=data, ylabel="error, %", ylim=(0, 100), xlim=(-1, len(table)), xticks=[])
        if len(table) <= 20:
            axis.set_xticks(places, table.index, rotation=30, ha="right")
    axes[-1, 0].set_xlabel("species, the worst first")
    return figure


def plot_look_alikes(sets: Mapping[str, pd.DataFrame], models: Sequence[str]) -> Figure:
    """Errors within groups of look-alikes and all others, percent of the test images, means over seeds."""
    figure, axes = plt.subplots(1, len(sets), figsize=WIDE, sharey=True, squeeze=False)
    for axis, (data, errors) in zip(axes[0], sets.items(), strict=True):
        share = errors.assign(percent=100 * errors["wrong"] / errors["n"])
        table = share.pivot_table(index="model", columns="kind", values="percent").reindex(list(models))
        for shift, kind, colour in ((-0.19, "within", "paper"), (0.19, "other", "other")):
            lengths = table.get(kind, pd.Series(np.nan, table.index))
            bars = axis.barh(np.arange(len(table)) + shift, lengths, height=0.36, color=COLOURS[colour])
            axis.bar_label(bars, fmt="%.1f", padding=3)
        for place in np.flatnonzero(table.isna().all(axis=1)):
            _say_not_run(axis, place)
        axis.set(title=data, xlabel="share of all test images, %")
        axis.set_yticks(range(len(table)), [name(model) for model in models])
        axis.margins(x=0.2)
    axes[0, 0].invert_yaxis()
    heading = "Taken for another of its own group of look-alikes (orange), and all other errors (grey)"
    figure.suptitle(heading, x=0.01, ha="left", fontsize=13)
    return figure


def plot_reliability(
    answers: Mapping[str, pd.DataFrame], risks: Mapping[str, pd.DataFrame], data: str, bins: int = 10
) -> Figure:
    """Left, how often the first model's predictions of a probability are right, before and after temperature scaling
    (columns probability, calibrated, right). Right, the error when only the surest images are answered
    (`risk_by_coverage`)."""
    model, first = next(iter(answers.items()))
    figure, (left, right) = plt.subplots(1, 2, figsize=WIDE)
    left.plot([0, 1], [0, 1], color=COLOURS["faint"], lw=1.5)
    for column, colour, label in (("probability", "other", "as trained"), ("calibrated", "ours", "at its temperature")):
        bin_of = pd.qcut(first[column].rank(method="first"), bins, labels=False)
        means = first.groupby(bin_of)[[column, "right"]].mean()
        left.plot(means[column], means["right"], "o-", color=COLOURS[colour], ms=5, label=label)
    left.set(title=f"Reliability of {name(model)}, {data}", xlim=(0, 1), ylim=(0, 1))
    left.set(xlabel="probability of the prediction", ylabel="share that is right")
    left.legend(loc="upper left")
    for (label, table), colour in zip(risks.items(), ("ours", "paper", "good", "doubt"), strict=False):
        shown = table[table["coverage"] >= 0.05]
        right.plot(100 * shown["coverage"], 100 * shown["risk"], color=COLOURS[colour], label=name(label))
    right.set(title=f"Risk and coverage, {data}", xlabel="answered, % of the test images", ylabel="error among them, %")
    right.set(xlim=(0, 100), ylim=(0, None))
    right.legend(loc="upper left")
    return figure


def plot_losses(curves: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Training and validation loss over the epochs of long runs, a panel a model, a line a seed."""
    figure, axes = plt.subplots(1, len(curves), figsize=WIDE, sharey=True, squeeze=False)
    for axis, (model, logs) in zip(axes[0], curves.items(), strict=True):
        for log in logs:
            axis.plot(log["epoch"], log["train_loss"], color=COLOURS["faint"], lw=1.5)
            axis.plot(log["epoch"], log["valid_loss"], color=COLOURS["ours"], lw=1.5)
        if logs:
            axis.set(yscale="log")
        else:
            _say_not_run(axis)
            axis.set(xticks=[])
        axis.set_xlabel("epoch")
        axis.set_title(name(model).replace(", ", ",\n"), fontsize=12)
    axes[0, 0].set_ylabel("loss, nats: validation (blue), training")
    return figure


def plot_unknowns(known: pd.DataFrame, unknown: pd.DataFrame, title: str) -> Figure:
    """How sure a network is of test images and of images of none of its classes; columns probability (and right)."""
    figure, axis = plt.subplots(figsize=WIDE)
    bins = np.linspace(0, 1, 41)
    for values, colour, label in (
        (known.loc[known["right"], "probability"], "ours", "test images, right"),
        (known.loc[~known["right"], "probability"], "doubt", "test images, wrong"),
        (unknown["probability"], "paper", "of no class it knows"),
    ):
        axis.hist(values, bins, weights=np.full(len(values), 100 / max(len(values), 1)), histtype="step", lw=2,
                  color=COLOURS[colour], label=f"{label} ({len(values)})")  # fmt: skip
    axis.set(title=title, xlabel="probability of the prediction", ylabel="share of the images, %", yscale="log")
    axis.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.legend(loc="upper left")
    return figure
