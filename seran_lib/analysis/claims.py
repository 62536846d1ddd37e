"""Every claim of the paper with its verdict, by the rules that `protocol.py` fixed before the runs."""

import numpy as np
import pandas as pd

from seran_lib.analysis import stats, verdicts
from seran_lib.analysis.protocol import CLAIMS, LOOK_ALIKES, SEEDS_NEEDED, STUDIES
from seran_lib.analysis.tables import bounds, contrasts, interval, p_text
from seran_lib.book.plots import results
from seran_lib.explain.measure import read_looks
from seran_lib.train.profiles import PROFILES


def verdict_table(profile: str) -> pd.DataFrame:
    """Every claim with its verdict on each data set: of each contrast, or by the rules of C5 to C8; of a contrast, too,
    whether the paper's size lies within our interval, and the interval by the noise of its own two networks. "p" is
    after Holm's correction, but for ratios of ratios."""
    tables = contrasts(profile)
    rows = []
    for data, table in tables.items():
        for row in table.itertuples():
            relation = "like" if row.tie else "worse than"
            what = f"{results.name(row.worse)} {relation} {results.name(row.better)}"
            rows.append([row.claim, what, data, str(row.seeds or ""),
                         interval(row.paper, row.paper_low, row.paper_high),
                         interval(row.ours, row.low, row.high), bounds(row.own_low, row.own_high), p_text(row.holm),
                         row.verdict, row.size])  # fmt: skip
        rows += [[claim, what, data, "", "", *_change(ratio), ""] for claim, what, ratio in _changes(profile, data)]
        rows += _overfitting(profile, data)
        rows += _localisation(profile, data)
    columns = ["claim", "contrast", "data", "seeds", "paper", "ours", "by their noise", "p", "verdict"]
    columns += ["the paper's size"]
    table = pd.DataFrame(rows, columns=columns)
    order = {claim: place for place, claim in enumerate(CLAIMS)}
    return table.sort_values(["claim", "contrast"], key=lambda column: column.map(order).fillna(0), kind="stable",
                             ignore_index=True)  # fmt: skip


def _changes(profile: str, data: str) -> list[tuple[str, str, stats.Ratio | None]]:
    """The ratios of ratios that C5 and C8 ask of a data set."""
    tables, long, few = (verdicts.study_rows(study, profile, data) for study in ("tables", "long", "few_images"))
    changes = []
    if data in STUDIES["long"].sets or len(long):
        epochs, many = PROFILES[profile].epochs, STUDIES["long"].pairs[0][0]
        what = f"ResNet-101 / SERAN-D at {epochs} over that at {many} epochs"
        changes.append(("C5", what, verdicts.change_of_ratio(tables, long, "resnet101", "seran_d")))
    if data in STUDIES["few_images"].sets or len(few):
        what = "ResNet-101 / SERAN-D with 20 over that with all images"
        changes.append(("C5", what, verdicts.change_of_ratio(few, tables, "resnet101", "seran_d")))
    if data in LOOK_ALIKES:
        what = "no SE / SERAN-D within look-alikes over that elsewhere"
        changes.append(("C8", what, verdicts.look_alike_ratio(verdicts.look_alike_errors(tables, data))))
    return changes


def _overfitting(profile: str, data: str) -> list[list[str]]:
    """C6: the last validation loss over the lowest, in the mean over seeds, without attention and with it alone."""
    long = verdicts.study_rows("long", profile, data)
    if data not in STUDIES["long"].sets and long.empty:
        return []
    table = verdicts.overfitting(long)
    runs = {model: table[table["model"] == model] for model in ("seran_d_no_attention", "seran_d_no_se")}
    row = ["C6", "last over lowest validation loss: no attention; attention alone", data]
    seeds = min(map(len, runs.values()))
    if seeds < SEEDS_NEEDED:
        return [[*row, str(seeds or ""), "", "", "", "", verdicts.NOT_RUN, ""]]
    without, alone = (mine["last"] / mine["lowest"] for mine in runs.values())
    rises = "; ".join(f"{rise.mean():.2f}" for rise in (without, alone))
    verdict = decide_overfitting(without > 1 + verdicts.RISE, alone > 1 + verdicts.RISE)
    return [[*row, str(seeds), "", rises, "", "", verdict, ""]]


def decide_overfitting(without: pd.Series, alone: pd.Series) -> str:
    """C6, from which seeds over-fit without attention, and with attention alone: agrees where all do and none does,
    contradicts where none does, or all do with attention alone, too."""
    if without.all() and not alone.any():
        return verdicts.AGREES
    return verdicts.CONTRADICTS if not without.any() or alone.all() else verdicts.CANNOT_TELL


def localisation(profile: str, data: str, recipe: str = "paper") -> pd.DataFrame:
    """How often the highest pixel of SERAN-D's masks is on the insect (shares, mean over its masks), a row a run:
    trained, random (weights), gain and its 95 % interval (low, high), which holds the choice of images and that of the
    random weights: the mean of a few draws has a spread of its own. From `results/looks`.

    The claim is decided by the runs of the paper's recipe; others are steps of chapter 12's ladder.
    """
    rows, looks = verdicts.study_rows("tables" if recipe == "paper" else "ladder", profile, data), read_looks()
    rows = rows[(rows["model"] == "seran_d") & (rows["recipe"] == recipe)]
    looks = looks[looks["run_id"].isin(rows["run_id"])]
    looks = looks[(looks["subject"] == "all masks") & (looks["measure"] == "pointing")]
    by_variant = {name: looks[looks["variant"] == name].set_index("run_id") for name in ("trained", "random", "gain")}
    table = pd.DataFrame({name: mine["value"] for name, mine in by_variant.items()})
    images = (by_variant["gain"]["high"] - by_variant["gain"]["low"]) / 2
    draws = looks[looks["variant"].str.startswith("random ")].groupby("run_id")["value"].apply(stats.half_interval)
    half = np.hypot(images, draws.reindex(table.index))
    return table.assign(low=table["gain"] - half, high=table["gain"] + half)


def decide_localisation(found: pd.DataFrame) -> str:
    """C7: agrees where the gain's interval lies above 0 for every seed, contradicts where it lies below for every."""
    if len(found) < SEEDS_NEEDED:
        return verdicts.NOT_RUN
    if (found["low"] > 0).all():
        return verdicts.AGREES
    return verdicts.CONTRADICTS if (found["high"] < 0).all() else verdicts.CANNOT_TELL


def _localisation(profile: str, data: str) -> list[list[str]]:
    found = localisation(profile, data)
    if found.empty:  # nobody looked; field photographs have no outlines to look with
        return []
    ours = f"{found['trained'].mean():.2f}; {found['random'].mean():.2f}"
    what = "pointing game, share on the insect: trained masks; random weights"
    return [["C7", what, data, str(len(found)), "", ours, "", "", decide_localisation(found), ""]]


def _change(ratio: stats.Ratio | None) -> list[str]:
    if ratio is None:
        return ["", "", "", verdicts.NOT_RUN]
    return [interval(ratio.ratio, ratio.low, ratio.high), "", p_text(ratio.p), verdicts.decide_change(ratio)]


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
