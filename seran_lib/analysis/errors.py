"""Errors by species, by pair of species and by group of look-alikes, from `Evidence.answers`; and means over seeds."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from seran_lib.analysis import stats
from seran_lib.analysis.protocol import LOOK_ALIKES


def mean_errors(rows: pd.DataFrame, models: Iterable[str]) -> pd.DataFrame:
    """Per model, "not run" left empty: seeds, mean and standard deviation of the test errors in percent, the mean
    of the validation errors, parameters."""
    table = rows.groupby("model").agg(
        seeds=("seed", "nunique"), error=("test_top1_error", "mean"), sd=("test_top1_error", "std"),
        valid=("valid_top1_error", "mean"),
        top5=("test_top5_error", "mean"), macro=("test_macro_error", "mean"), parameters=("parameters", "first"),
    )  # fmt: skip
    table = table.reindex(list(models)).rename_axis("model")
    return table.assign(seeds=table["seeds"].fillna(0).astype(int))


def species_errors(answers: pd.DataFrame) -> pd.DataFrame:
    """Per species, over all runs of a network: images answered, share wrong, and Wilson's interval; the worst first.

    The answers of a network are not independent, nor are two networks' to one image: the intervals are those of as many
    images as remain after division by the overdispersion over runs, which all species of the set share.
    """
    by_run = answers.groupby(["label", "run_id"])["right"].agg(n="size", right="sum")
    counts = by_run.groupby("label").sum()
    wrong = counts["n"] - counts["right"]
    spread = stats.overdispersion(by_run["n"] - by_run["right"], by_run["n"], by_run.index.get_level_values("label"))
    bounds = [stats.wilson(k / spread, n / spread) for k, n in zip(wrong, counts["n"], strict=True)]
    table = counts.assign(error=wrong / counts["n"], low=[b[0] for b in bounds], high=[b[1] for b in bounds])
    return table.drop(columns="right").sort_values(["error", "n"], ascending=[False, True])


def macro_errors(answers: pd.DataFrame) -> pd.DataFrame:
    """The macro error of every run with a 95 % bootstrap interval by group, shares: model, seed, macro, low, high."""
    table = []
    for (_, model, seed), mine in answers.groupby(["run_id", "model", "seed"], sort=False):
        draws = stats.bootstrap_macro_error(~mine["right"], mine["label"], mine["group"])
        macro = 1 - mine.groupby("label")["right"].mean().mean()
        low, high = np.percentile(draws, [2.5, 97.5])
        table.append({"model": model, "seed": seed, "macro": macro, "low": low, "high": high})
    return pd.DataFrame(table)


def confusions(answers: pd.DataFrame) -> pd.DataFrame:
    """Pairs of species taken for each other, both ways and over all runs of a network, the most frequent first.

    Columns one, other, one_for_other (images of `one` answered `other`), other_for_one, images (of both, answered).
    """
    shown, wrong = answers["label"].value_counts(), answers[~answers["right"]]
    counts = wrong.groupby(["label", "predicted"]).size()
    table = []
    for one, other in sorted({tuple(sorted(pair)) for pair in counts.index}):
        there, back = counts.get((one, other), 0), counts.get((other, one), 0)
        images = shown.get(one, 0) + shown.get(other, 0)
        pair = {"one": one, "other": other, "one_for_other": there, "other_for_one": back, "images": images}
        table.append(pair | {"both": there + back})
    frame = pd.DataFrame(table, columns=["one", "other", "one_for_other", "other_for_one", "images", "both"])
    return frame.sort_values("both", ascending=False, kind="stable", ignore_index=True).drop(columns="both")


def look_alike_errors(answers: pd.DataFrame, data: str) -> pd.DataFrame:
    """Test errors of every run, counted apart: `within` a group of look-alikes, and all `other` errors.

    Columns model, seed, kind, wrong, n.
    """
    group = {name: number for number, names in enumerate(LOOK_ALIKES.get(data, ())) for name in names}
    wrong = ~answers["right"]
    within = wrong & (answers["label"].map(group) == answers["predicted"].map(group))
    counted = answers.assign(within=within, other=wrong & ~within)
    runs = counted.groupby(["run_id", "model", "seed"], sort=False)
    table = runs.agg(within=("within", "sum"), other=("other", "sum"), n=("right", "size")).reset_index()
    return table.melt(["model", "seed", "n"], ["within", "other"], var_name="kind", value_name="wrong")
