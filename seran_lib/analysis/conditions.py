"""What another training changes: the pinned insects' networks with a zero start, more epochs, rates of their own."""

from collections.abc import Sequence
from types import MappingProxyType

import pandas as pd

from seran_lib.analysis.cells import bounds, interval, p_text, ratio_name, ratio_text
from seran_lib.analysis.protocol import CONTRASTS, SEEDS_NEEDED, Contrast
from seran_lib.analysis.ratios import BlockDesign, holm
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import CROPPED, PINNED, STUDIES
from seran_lib.analysis.verdicts import change_of_ratio, contrast_table
from seran_lib.nets.specs import label

TABLE1_CONTRASTS = tuple(c for c in CONTRASTS if c.claim not in ("C1", "C2"))
TABLE2_CONTRASTS = tuple(c for c in CONTRASTS if c.claim in ("C1", "C2", "C3"))
SHARED_AND_OWN = ("tables", "tuned")  # conditions: one learning rate for all networks, and each one's own
CONDITIONS = MappingProxyType(
    {  # studies that change one thing about the pinned insects' training, in words
        "tables": "as in the tables",
        "start": "zero start",
        "long": f"{STUDIES['long'].pairs[0][0]} epochs",
        "tuned": "own rates",
    }
)


def trained_by(study: str) -> tuple[Contrast, ...]:
    """Contrasts of which a study trains both networks."""
    return tuple(c for c in CONTRASTS if {c.worse, c.better} <= set(STUDIES[study].models))


CONDITION_CONTRASTS = tuple(c for c in CONTRASTS if c in TABLE2_CONTRASTS or c in trained_by("start"))


def contrasts(evidence: Evidence, chosen: Sequence[Contrast] = CONTRASTS) -> dict[str, pd.DataFrame]:
    """Data set -> the table of contrasts. Holm's correction is over all contrasts of the protocol, shown or not."""
    return {data: _contrasts(evidence, rows, chosen) for data, rows in evidence.tables().items()}


def conditions(
    evidence: Evidence, chosen: Sequence[Contrast] = CONDITION_CONTRASTS, studies: Sequence[str] = tuple(CONDITIONS)
) -> dict[str, pd.DataFrame]:
    """A way of training the pinned insects -> the table of contrasts of the networks trained so; without the ways in
    which none was. Holm's correction is over all contrasts of which the study trains both networks, shown or not."""
    tables = {
        CONDITIONS[study]: _contrasts(evidence, evidence.study(study, PINNED), chosen, trained_by(study))
        for study in studies
    }
    return {name: table for name, table in tables.items() if table["ours"].notna().any()}


def _contrasts(
    evidence: Evidence, rows: pd.DataFrame, chosen: Sequence[Contrast], planned: Sequence[Contrast] = CONTRASTS
) -> pd.DataFrame:
    table = contrast_table(evidence, rows, planned)
    return table[[c in chosen for c in CONTRASTS]].reset_index(drop=True)


def condition_changes(evidence: Evidence) -> pd.DataFrame:
    """A ratio of errors after another training over the same in the tables, with its interval and Holm's p over all
    cells, run or not: a row a contrast, a column a condition that was run. Where the interval holds 1, it may be that
    this training changes nothing of it."""
    usual, changes = evidence.study("tables", PINNED), {}
    others = {study: trained_by(study) for study in CONDITIONS if study != "tables"}
    for study, trained in others.items():
        rows = evidence.study(study, PINNED)
        for c in trained:
            if change := change_of_ratio(rows, usual, c.worse, c.better):
                column = f"{CONDITIONS[study]} / {CONDITIONS['tables']}"
                changes[ratio_name(c.worse, c.better), column] = change
    corrected = holm([change.p for change in changes.values()], sum(map(len, others.values())))
    columns = {}
    for ((ratio, column), change), p in zip(changes.items(), corrected, strict=True):
        columns.setdefault(column, {})[ratio] = f"{ratio_text(change)}, p {p_text(p)}"
    return pd.DataFrame(columns).fillna("").rename_axis("ratio of ratios")


def condition_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Ratio with interval and verdict, a row a contrast, a column a condition, of what `conditions` found."""
    columns = {"paper": {}}
    for name, table in tables.items():
        columns[name] = {}
        for row in table.itertuples():
            ratio = ratio_name(row.worse, row.better)
            columns["paper"][ratio] = interval(row.paper, row.paper_low, row.paper_high)
            columns[name][ratio] = f"{interval(row.ours, row.low, row.high)} {row.verdict}".strip()
    return pd.DataFrame(columns).rename_axis("ratio of errors")


def own_noise(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The intervals of `condition_table` as the noise of their own two networks alone would make them."""
    columns = {
        name: {ratio_name(row.worse, row.better): bounds(row.own_low, row.own_high) for row in table.itertuples()}
        for name, table in tables.items()
    }
    return pd.DataFrame(columns).rename_axis("by their noise")


def beside_usual(evidence: Evidence, study: str) -> pd.DataFrame:
    """A study that changes one thing, against the same models and seeds of the study "tables" (uncropped).

    Columns model, seeds, usual and changed (mean errors in percent), ratio (changed / usual with its interval, empty
    with too few seeds).
    """
    (data,) = STUDIES[study].sets
    changed = evidence.study(study, data)
    usual = evidence.study("tables", PINNED if data == CROPPED else data)
    pairs = usual.merge(changed, on=["model", "seed"], suffixes=("_usual", ""))[["model", "seed"]]
    both = pd.concat([usual.merge(pairs).assign(training="usual"), changed.merge(pairs).assign(training="changed")])
    means = both.groupby(["model", "training"])["test_top1_error"].mean().unstack()
    seeds = pairs.groupby("model")["seed"].nunique()
    by = ["model", "training"]
    design = BlockDesign(both, by) if seeds.max() >= SEEDS_NEEDED else None
    table = []
    for model in [model for model in STUDIES[study].models if model in seeds.index]:
        ratio = ""
        if seeds[model] >= SEEDS_NEEDED:
            ratio = ratio_text(design.contrast({(model, "changed"): 1, (model, "usual"): -1}))
        table.append({"model": label(model), "seeds": seeds[model], **means.loc[model], "ratio": ratio})
    columns = ["model", "seeds", "usual", "changed", "ratio"]
    return pd.DataFrame(table, columns=columns).set_index("model").round(2)
