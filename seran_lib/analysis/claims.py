"""Every claim of the paper with its verdict, by the rules that `protocol.py` fixed before the runs."""

import numpy as np
import pandas as pd

from seran_lib.analysis.cells import bounds, interval, p_text
from seran_lib.analysis.conditions import contrasts
from seran_lib.analysis.errors import look_alike_errors
from seran_lib.analysis.protocol import (
    CLAIMS,
    LOOK_ALIKES,
    SEEDS_NEEDED,
    decide_change,
    decide_localisation,
    decide_overfitting,
)
from seran_lib.analysis.ratios import Ratio
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.stats import half_interval
from seran_lib.analysis.studies import STUDIES
from seran_lib.analysis.tables import losses
from seran_lib.analysis.verdicts import change_of_ratio, look_alike_ratio
from seran_lib.nets.specs import label
from seran_lib.train.profiles import PROFILES

COLUMNS = ["claim", "contrast", "data", "seeds", "paper", "ours", "by their noise", "p", "verdict", "the paper's size"]
Row = dict[str, str]  # of some of the `COLUMNS`; the others are empty


def verdict_table(evidence: Evidence) -> pd.DataFrame:
    """Every claim with its verdict on each data set: of each contrast, or by the rules of C5 to C8; of a contrast, too,
    whether the paper's size lies within our interval, and the interval by the noise of its own two networks. "p" is
    after Holm's correction, but for ratios of ratios."""
    rows = []
    for data, table in contrasts(evidence).items():
        rows += [_contrast(row) | {"data": data} for row in table.itertuples()]
        others = [*_changes(evidence, data), *_overfitting(evidence, data), *_localisation(evidence, data)]
        rows += [row | {"data": data} for row in others]
    table = pd.DataFrame(rows, columns=COLUMNS).fillna("")
    order = {claim: place for place, claim in enumerate(CLAIMS)}
    return table.sort_values("claim", key=lambda column: column.map(order), kind="stable", ignore_index=True)


def _contrast(row: tuple) -> Row:
    relation = "like" if row.tie else "worse than"
    return {
        "claim": row.claim,
        "contrast": f"{label(row.worse)} {relation} {label(row.better)}",
        "seeds": str(row.seeds or ""),
        "paper": interval(row.paper, row.paper_low, row.paper_high),
        "ours": interval(row.ours, row.low, row.high),
        "by their noise": bounds(row.own_low, row.own_high),
        "p": p_text(row.holm),
        "verdict": row.verdict,
        "the paper's size": row.size,
    }


def _changes(evidence: Evidence, data: str) -> list[Row]:
    """The ratios of ratios that C5 and C8 ask of a data set."""
    tables, long, few = (evidence.study(study, data) for study in ("tables", "long", "few_images"))
    rows = []
    if data in STUDIES["long"].sets or len(long):
        epochs, many = PROFILES[evidence.profile].epochs, STUDIES["long"].pairs[0][0]
        what = f"ResNet-101 / SERAN-D at {epochs} over that at {many} epochs"
        rows.append(_change("C5", what, change_of_ratio(tables, long, "resnet101", "seran_d")))
    if data in STUDIES["few_images"].sets or len(few):
        what = "ResNet-101 / SERAN-D with 20 over that with all images"
        rows.append(_change("C5", what, change_of_ratio(few, tables, "resnet101", "seran_d")))
    if data in LOOK_ALIKES:
        what = "no SE / SERAN-D within look-alikes over that elsewhere"
        ratio = look_alike_ratio(look_alike_errors(evidence.answers(tables), data))
        rows.append(_change("C8", what, ratio))
    return rows


def _change(claim: str, what: str, ratio: Ratio | None) -> Row:
    row = {"claim": claim, "contrast": what, "verdict": decide_change(ratio)}
    if not ratio:
        return row
    return row | {"ours": interval(ratio.ratio, ratio.low, ratio.high), "p": p_text(ratio.p)}


def _overfitting(evidence: Evidence, data: str) -> list[Row]:
    """C6: the last validation loss over the lowest, on average over seeds, without attention and with it alone."""
    long = evidence.study("long", data)
    if data not in STUDIES["long"].sets and long.empty:
        return []
    table = losses(evidence, long)
    rises = (table["last"] / table["lowest"]).groupby(table["model"])
    without, alone = (rises.get_group(model) if model in rises.groups else pd.Series(dtype=float)
                      for model in ("seran_d_no_attention", "seran_d_no_se"))  # fmt: skip
    seeds = min(len(without), len(alone))
    what = "last over lowest validation loss: no attention; attention alone"
    row = {"claim": "C6", "contrast": what, "seeds": str(seeds or ""), "verdict": decide_overfitting(without, alone)}
    return [row | {"ours": f"{without.mean():.2f}; {alone.mean():.2f}"} if seeds >= SEEDS_NEEDED else row]


def localisation(evidence: Evidence, data: str, recipe: str = "paper") -> pd.DataFrame:
    """How often the highest pixel of SERAN-D's masks is on the insect (shares, mean over its masks), a row a run:
    trained, random (weights), gain and its 95 % interval (low, high), which holds the choice of images and that of the
    random weights: the mean of a few draws has a spread of its own.

    The claim is decided by the runs of the paper's recipe; others are steps of chapter 12's ladder.
    """
    rows, looks = evidence.study("tables" if recipe == "paper" else "ladder", data), evidence.results.looks()
    rows = rows[(rows["model"] == "seran_d") & (rows["recipe"] == recipe)]
    looks = looks[looks["run_id"].isin(rows["run_id"])]
    looks = looks[(looks["subject"] == "all masks") & (looks["measure"] == "pointing")]
    by_variant = {name: looks[looks["variant"] == name].set_index("run_id") for name in ("trained", "random", "gain")}
    table = pd.DataFrame({name: mine["value"] for name, mine in by_variant.items()})
    images = (by_variant["gain"]["high"] - by_variant["gain"]["low"]) / 2
    draws = looks[looks["variant"].str.startswith("random ")].groupby("run_id")["value"].apply(half_interval)
    half = np.hypot(images, draws.reindex(table.index))
    return table.assign(low=table["gain"] - half, high=table["gain"] + half)


def _localisation(evidence: Evidence, data: str) -> list[Row]:
    found = localisation(evidence, data)
    if found.empty:  # nobody looked; field photographs have no outlines to look with
        return []
    what = "pointing game, share on the insect: trained masks; random weights"
    ours = f"{found['trained'].mean():.2f}; {found['random'].mean():.2f}"
    row = {"claim": "C7", "contrast": what, "seeds": str(len(found)), "ours": ours}
    return [row | {"verdict": decide_localisation(found)}]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """`verdict_table` in short. A row a claim: what it says, and a column a data set with its verdict, or how many
    contrasts have which."""
    rows = {}
    for claim in table["claim"].unique():
        rows[claim] = {"says": CLAIMS[claim].says}
        for data, mine in table[table["claim"] == claim].groupby("data", sort=False):
            counts = mine["verdict"].value_counts(sort=False)
            each = [f"{verdict} ({n})" if len(mine) > 1 else verdict for verdict, n in counts.items()]
            rows[claim][data] = ", ".join(each)
    return pd.DataFrame.from_dict(rows, orient="index")
