"""What better recipes and pretrained weights reached, from the ledger, and whether that is the goal.

The goal, written down before the ladder was run: on every set of photographs, after training no longer than SERAN-D as
in the paper, less than half its test error from random weights and less than a quarter with pretrained ones. Times are
compared with SERAN-D's on the same kind of device and in the same precision only, and "no longer" allows for the
unsteadiness of clocks (`SLACK`). Which way is judged is decided by validation images; the rest follows
`protocol.py`: errors are compared by their ratio, in a block design over seeds, and McNemar's test stands beside it.
"""

from itertools import combinations, product
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from seran_lib.analysis import stats, verdicts
from seran_lib.analysis.protocol import SEEDS_NEEDED, STUDIES, Contrast
from seran_lib.analysis.tables import ratio_text
from seran_lib.book.plots.style import COLOURS
from seran_lib.train.profiles import PROFILES
from seran_lib.train.recipes import TRANSFER

GOALS = MappingProxyType({"from random weights": 2.0, "with pretrained weights": 4.0})
SLACK = 1.1
NOT_RUN = verdicts.NOT_RUN
WAYS_OF = ("ladder", "lighter", "frozen", "finetune")  # studies
# The kinds of butterfly100 that fall under one of ImageNet's butterfly classes: red admiral, monarch, cabbage white,
# sulphurs (Coliadinae) and lycaenids. None of its kinds is a ringlet.
IN_IMAGENET = (
    "red admiral", "monarch", "cabbage white", "clouded sulphur", "cleopatra", "sleepy orange", "southern dogface",
    "adonis", "atala", "black hairstreak", "brown argus", "chalk hill blue", "eastern pine elfin", "elbowed pierrot",
    "glittering sapphire", "green hairstreak", "grey hairstreak", "purple hairstreak", "purplish copper",
)  # fmt: skip


class Way(NamedTuple):
    """A network, a recipe and a number of epochs; 0 for the profile's own."""

    model: str
    recipe: str
    epochs: int = 0

    @property
    def name(self) -> str:
        """As tables and figures call it; epochs only where they are not the profile's."""
        longer = f", {self.epochs} epochs" if self.epochs and self.recipe != "frozen" else ""
        return f"{self.model}, {self.recipe}{longer}"

    @property
    def kind(self) -> str:
        """Which of the `GOALS` it is for."""
        return list(GOALS)[self.recipe in TRANSFER]


def ways() -> list[Way]:
    """All that the chapter compares: SERAN-D as in the paper, its ladder, a lighter network, then transfer."""
    found = [Way("seran_d", "paper")]
    for study in (STUDIES[name] for name in WAYS_OF):
        chosen = product(study.models, study.recipes, study.pairs)
        found += [Way(model, recipe, epochs) for model, recipe, (epochs, _) in chosen]
    return found


BASE = ways()[0]
# Whose seconds are "as long as SERAN-D trains": start and weight decay change nothing of what a step computes.
AS_LONG = tuple(BASE._replace(recipe=recipe).name for recipe in ("paper", "start"))


def way_rows(profile: str, data: str) -> pd.DataFrame:
    """The ledger's rows of these ways on one data set, `model` being the way's name; `wrong` and `n` count test images.

    The order is that of `ways()`, then by seed.
    """
    rows = pd.concat([verdicts.study_rows(study, profile, data) for study in ("tables", *WAYS_OF)], ignore_index=True)
    epochs = rows["epochs"].where(rows["epochs"] != PROFILES[profile].epochs, 0)
    names = [Way(*way).name for way in zip(rows["model"], rows["recipe"], epochs, strict=True)]
    place = {way.name: place for place, way in enumerate(ways())}
    rows = rows.assign(model=names).loc[[name in place for name in names]]
    rows = rows.sort_values("seed", kind="stable")
    return rows.sort_values("model", key=lambda names: names.map(place), kind="stable", ignore_index=True)


def comparison(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a way, in order: seeds, error and its standard deviation over seeds, valid_error, macro (percent),
    time of training as a multiple of SERAN-D's (effort), and SERAN-D's error as a multiple of this one's (times) with
    its 95 % interval by the noise of all ways (low, high) and by that of these two (own_low, own_high).

    The effort is missing where SERAN-D was not trained on such a device. The multiple of the error is missing where
    either has not been run, and its intervals where both share fewer than three seeds.
    """
    alike = ["device", "precision"]
    as_long = rows[rows["model"].isin(AS_LONG)].groupby(alike)["seconds"].mean().rename("as_long")
    rows = rows.join(as_long, on=alike)
    table = rows.assign(effort=rows["seconds"] / rows["as_long"]).groupby("model").agg(
        seeds=("seed", "nunique"), error=("test_top1_error", "mean"), sd=("test_top1_error", "std"),
        valid_error=("valid_top1_error", "mean"), macro=("test_macro_error", "mean"), effort=("effort", "mean"),
    )  # fmt: skip
    table = table.reindex([way.name for way in ways()]).rename_axis("way")
    table["seeds"] = table["seeds"].fillna(0).astype(int)
    table["times"] = table["error"].get(BASE.name) / table["error"]
    table[["low", "high", "own_low", "own_high"]] = np.nan
    run = rows["model"].unique()
    if BASE.name in run and len(run) > 1 and (design := stats.block_design(rows)):
        for name in [name for name in run if name != BASE.name]:
            if seeds := stats.shared_seeds(rows, (BASE.name, name)):
                ratio = verdicts.error_ratio(design, rows, Contrast("goal", BASE.name, name))
                table.loc[name, "times"] = ratio.ratio
            if seeds >= SEEDS_NEEDED:
                table.loc[name, ["low", "high"]] = ratio.low, ratio.high
                table.loc[name, ["own_low", "own_high"]] = design.ratio_by_own_seeds(BASE.name, name)[1:]
    return table


def between(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratios of errors of every two ways, SERAN-D as in the paper apart, that share three seeds or more, with their
    95 % intervals: one column, a row a pair."""
    design, pairs = stats.block_design(rows), combinations([way.name for way in ways()[1:]], 2)
    pairs = [Contrast("", *pair) for pair in pairs if stats.shared_seeds(rows, pair) >= SEEDS_NEEDED]
    ratios = [ratio_text(verdicts.error_ratio(design, rows, pair)) for pair in pairs]
    return pd.DataFrame({"ratio": ratios}, index=[f"{pair.worse} / {pair.better}" for pair in pairs])


def goal_table(table: pd.DataFrame) -> pd.DataFrame:
    """One row a goal: the way that is judged, its multiple with interval, what is asked, and the verdict.

    Of the ways of its kind, compared with SERAN-D as in the paper, that were run with enough seeds, on devices where
    SERAN-D was timed, and took no longer, the one with the lowest validation error is judged: "reached" where the
    interval lies above what is asked, "not reached" where it lies below, "cannot tell" otherwise. Where none is left it
    is "not run", or "none in time".
    """
    enough = table[table["seeds"] >= SEEDS_NEEDED].dropna(subset=["low", "effort"])
    kinds = pd.Series({way.name: way.kind for way in ways()})
    verdict = {}
    for goal, asked in GOALS.items():
        run = enough[kinds[enough.index] == goal]
        mine = run[run["effort"] <= SLACK]
        if mine.empty:
            verdict[goal] = {"judged": "", "asked": asked, "verdict": NOT_RUN if run.empty else "none in time"}
            continue
        best = mine.loc[mine["valid_error"].idxmin()]
        said = "reached" if best["low"] > asked else "not reached" if best["high"] < asked else verdicts.CANNOT_TELL
        numbers = {name: best[name] for name in ("times", "low", "high", "own_low", "own_high", "effort")}
        verdict[goal] = {"judged": best.name, "asked": asked, **numbers, "verdict": said}
    columns = ["judged", "asked", "times", "low", "high", "own_low", "own_high", "effort", "verdict"]
    return pd.DataFrame.from_dict(verdict, orient="index").reindex(columns=columns).rename_axis("goal")


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """McNemar's test of SERAN-D as in the paper against every other way: see `verdicts.corrected_tests`."""
    others = [way.name for way in ways()[1:]]
    return verdicts.corrected_tests(rows, [Contrast("goal", BASE.name, name) for name in others])


def errors_by_familiarity(rows: pd.DataFrame) -> pd.DataFrame:
    """Test errors of every way on butterfly100, all seeds together, in percent: on kinds that fall under one of
    ImageNet's butterfly classes, and on all others. A row a way, with the number of answers in either."""
    answers = pd.concat([verdicts.predictions(row.run_id).assign(way=row.model) for row in rows.itertuples()])
    kind = np.where(answers["label"].isin(IN_IMAGENET), "in ImageNet", "other kinds")
    shares = 100 * (1 - answers.groupby(["way", kind])["right"].mean().unstack())
    counts = answers.groupby(["way", kind]).size().unstack().add_prefix("answers, ")
    names = [way.name for way in ways() if way.name in shares.index]
    return shares.join(counts).loc[names]


def plot_ways(tables: dict[str, pd.DataFrame]) -> Figure:
    """How many times fewer errors than SERAN-D each way makes, a panel a data set, with the goals as lines.

    Bars are 95 % intervals; error and effort stand beside each point.
    """
    names = [way.name for way in ways()][::-1]
    colours = {way.name: COLOURS["good" if way.recipe in TRANSFER else "ours"] for way in ways()}
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
    figure.supxlabel(
        f"times fewer errors than {BASE.name} (goals: {goals})\nbeside each: test error, and training time as a share "
        "of SERAN-D's",
        fontsize=12,
    )
    return figure
