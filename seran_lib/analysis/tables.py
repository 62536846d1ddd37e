"""The tables of chapters 09, 10 and 11, one function each, from the ledger; their figures are in `report_figures`."""

import re
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import pandas as pd

from seran_lib import paths
from seran_lib.analysis import grid, stats, verdicts
from seran_lib.analysis.protocol import CONTRASTS, CROPPED, LOOK_ALIKES, PINNED, SEEDS_NEEDED, STUDIES, Contrast
from seran_lib.book.plots import results
from seran_lib.explain.unknowns import separation
from seran_lib.paper import facts
from seran_lib.train import ledger
from seran_lib.train.evaluate import read_predictions
from seran_lib.train.profiles import FULL, PROFILES, TABLE1, TABLE2

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

PLACES = MappingProxyType({"within": "within", "other": "outside"})  # kind of `verdicts.look_alike_errors` -> in words


def shown_profile(profile: str) -> str:
    """The profile itself where the ledger has runs of its tables, else laptop."""
    return profile if sets(profile) else "laptop"


def sets(profile: str) -> dict[str, pd.DataFrame]:
    """Data set -> its rows of Tables 1 and 2, for the data sets that have any."""
    found = {data: verdicts.study_rows("tables", profile, data) for data in verdicts.data_sets(profile)}
    return {data: rows for data, rows in found.items() if len(rows)}


def contrasts(profile: str, chosen: tuple[Contrast, ...] = CONTRASTS) -> dict[str, pd.DataFrame]:
    """Data set -> the table of contrasts. Holm's correction is over all contrasts of the protocol, shown or not."""
    return {data: _contrasts(rows, chosen) for data, rows in sets(profile).items()}


def conditions(
    profile: str, chosen: tuple[Contrast, ...] = CONDITION_CONTRASTS, studies: Sequence[str] = tuple(CONDITIONS)
) -> dict[str, pd.DataFrame]:
    """A way of training the pinned insects -> the table of contrasts of the networks trained so; without the ways in
    which none was. Holm's correction is over all contrasts of which the study trains both networks, shown or not."""
    tables = {
        CONDITIONS[study]: _contrasts(verdicts.study_rows(study, profile, PINNED), chosen, trained_by(study))
        for study in studies
    }
    return {label: table for label, table in tables.items() if table["ours"].notna().any()}


def condition_changes(profile: str) -> pd.DataFrame:
    """A ratio of errors after another training over the same in the tables, with its interval and Holm's p over all
    cells, run or not: a row a contrast, a column a condition that was run. Where the interval holds 1, it may be that
    this training changes nothing of it."""
    usual, changes = verdicts.study_rows("tables", profile, PINNED), {}
    others = {study: trained_by(study) for study in CONDITIONS if study != "tables"}
    for study, contrasts in others.items():
        rows = verdicts.study_rows(study, profile, PINNED)
        for c in contrasts:
            if change := verdicts.change_of_ratio(rows, usual, c.worse, c.better):
                changes[_ratio_name(c), f"{CONDITIONS[study]} / {CONDITIONS['tables']}"] = change
    holm = stats.holm([change.p for change in changes.values()], sum(map(len, others.values())))
    columns = {}
    for ((ratio, column), change), p in zip(changes.items(), holm, strict=True):
        columns.setdefault(column, {})[ratio] = f"{ratio_text(change)}, p {p_text(p)}"
    return pd.DataFrame(columns).fillna("").rename_axis("ratio of ratios")


def condition_table(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Ratio with interval and verdict, a row a contrast, a column a condition, of what `conditions` found."""
    columns = {"paper": {}}
    for label, table in tables.items():
        columns[label] = {}
        for row in table.itertuples():
            contrast = _ratio_name(row)
            columns["paper"][contrast] = interval(row.paper, row.paper_low, row.paper_high)
            columns[label][contrast] = f"{interval(row.ours, row.low, row.high)} {row.verdict}".strip()
    return pd.DataFrame(columns).rename_axis("ratio of errors")


def own_noise(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The intervals of `condition_table` as the noise of their own two networks alone would make them."""
    columns = {
        label: {_ratio_name(row): bounds(row.own_low, row.own_high) for row in table.itertuples()}
        for label, table in tables.items()
    }
    return pd.DataFrame(columns).rename_axis("by their noise")


def _ratio_name(contrast: Contrast) -> str:
    return f"{results.name(contrast.worse)} / {results.name(contrast.better)}"


def _contrasts(
    rows: pd.DataFrame, chosen: tuple[Contrast, ...], planned: tuple[Contrast, ...] = CONTRASTS
) -> pd.DataFrame:
    table = verdicts.contrast_table(rows, planned)
    return table[[c in chosen for c in CONTRASTS]].reset_index(drop=True)


def separations(profile: str) -> pd.DataFrame:
    """How well a network's probability tells unknown images from test images: area under the ROC curve, by seed, beside
    the mean test error in percent, by which the rows of a data set are in order."""
    table = [
        [data, way, 100 * (1 - known["right"].mean()), separation(known, unknown)]
        for data, way, (known, unknown) in answers_to_unknowns(profile)
    ]
    runs = pd.DataFrame(table, columns=["data", "network", "error", "area"]).groupby(["data", "network"])
    of_seeds = {"seeds": "size", "mean": "mean", "lowest": "min", "highest": "max"}
    areas = runs["area"].agg(**of_seeds).round(3)
    areas.insert(1, "error", runs["error"].mean().round(1))
    return areas.sort_values(["data", "error"]).reset_index("network")


def answers_to_unknowns(profile: str) -> list[tuple[str, str, tuple[pd.DataFrame, pd.DataFrame]]]:
    """(data set, what was trained, (answers to test images, to unknown images)) of every run that has both."""
    return [
        (row.data, _way(row), (verdicts.predictions(row.run_id), read_predictions(path)))
        for row in grid.runs(profile).itertuples()
        if (path := ledger.file_of(paths.results(), "unknowns", row.run_id)).exists()
    ]


def _way(row: tuple) -> str:
    """A run's name without data set, profile and seed."""
    return re.sub(r"-s\d+(?=-|$)", "", row.run_id.removeprefix(f"{row.data}-{row.profile}-"))


def interval(middle: float, low: float, high: float) -> str:
    """A number with its interval, where it has one, as tables print it; empty where there is no number."""
    return " ".join(filter(None, ["" if pd.isna(middle) else f"{middle:.2f}", bounds(low, high)]))


def bounds(low: float, high: float) -> str:
    """An interval alone as tables print it; empty where there is none."""
    return "" if pd.isna(low) else f"[{low:.2f}, {high:.2f}]"


def p_text(p: float) -> str:
    """A p as tables print it; empty where there is none."""
    return "" if pd.isna(p) else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def ratio_text(ratio: stats.Ratio) -> str:
    """A ratio of errors with its 95 % interval as tables print it."""
    return interval(ratio.ratio, ratio.low, ratio.high)


def error_cell(row: pd.Series) -> str:
    """The error of `verdicts.mean_errors` in percent, mean and standard deviation over seeds; one seed has none."""
    return f"{row['error']:.1f}" + (f" ± {row['sd']:.1f}" if row["seeds"] > 1 else "")


def quoted_error(model: str) -> str:
    """The paper's own top-1 error in percent: on its test set; for the variants of Table 2, on its validation set."""
    tested, validated = facts.table1(), facts.table2()
    if model in tested.index:
        return f"{tested.loc[model, 'test_top1']:.2f}"
    return f"{validated.loc[model, 'valid_top1']:.2f} (validation)"


def error_table(profile: str, data: str, models: Sequence[str]) -> pd.DataFrame:
    """The paper's top-1 error and ours, seeds, top-5 and macro error in percent (mean ± standard deviation over seeds),
    millions of parameters: a row a model."""
    table = verdicts.mean_errors(verdicts.study_rows("tables", profile, data), models)
    done = table["seeds"] > 0
    shown = pd.DataFrame(
        {
            "paper": [quoted_error(model) for model in table.index],
            "seeds": table["seeds"],
            "top-1 error": [error_cell(row) for _, row in table.iterrows()],
            "top-5": table["top5"].map("{:.1f}".format),
            "macro": table["macro"].map("{:.1f}".format),
            "parameters": (table["parameters"] / 1e6).map("{:.2f} M".format),
        }
    )
    shown.loc[~done, shown.columns[2:]] = ""
    shown.loc[~done, "top-1 error"] = verdicts.NOT_RUN
    return shown.rename(index=results.name)


def single_runs(profile: str, data: str, chosen: Sequence[Contrast], study: str = "tables") -> pd.DataFrame:
    """What single runs of a study would have said: per contrast the difference in points of every seed, and how many
    seeds are significant by McNemar's test for the claim and against it. Holm's correction is over all contrasts of
    the protocol, shown or not."""
    pairs = [(c.worse, c.better) for c in chosen]
    tests = verdicts.corrected_tests(verdicts.study_rows(study, profile, data))
    tests = tests.loc[[(test.worse, test.better) in pairs for test in tests.itertuples()]]
    found, table = tests["holm"] < verdicts.LEVEL, []
    for (worse, better), seeds in tests.groupby(["worse", "better"], sort=False):
        points = ", ".join(f"{value:+.1f}" for value in seeds["points"])
        sides = [(found & (sign * tests["points"] > 0))[seeds.index].sum() for sign in (1, -1)]
        table.append([f"{results.name(worse)} – {results.name(better)}", points, *sides, len(seeds)])
    columns = ["contrast", "points, seed by seed", "first worse", "first better", "of seeds"]
    return pd.DataFrame(table, columns=columns).set_index("contrast")


def full_networks(profile: str) -> dict[str, pd.DataFrame]:
    """Data set -> the ratios of errors of every two networks that were run in full, a row a ratio: in the paper, in
    each profile of full networks, and in `profile`. With fewer than three seeds an interval is of test images alone."""
    tables = {}
    for data in dict.fromkeys(data for full in FULL for data in sets(full)):
        run = pd.concat([verdicts.study_rows("tables", full, data) for full in FULL])["model"]
        order = [model for model in (*TABLE1, *TABLE2) if model in set(run)]
        pairs = [Contrast("", *pair) for pair in combinations(order, 2)]
        columns = {"paper": [ratio_text(verdicts.paper_ratio(pair)) for pair in pairs]}
        for name in (*FULL, profile):
            columns[f"profile {name}"] = [_ratio_in_words(name, data, pair) for pair in pairs]
        table = pd.DataFrame(columns, index=[_ratio_name(pair) for pair in pairs])
        shown = table.columns[(table != "").any()]
        tables[data] = table[shown].rename_axis(f"ratio of errors, {data}")
    return tables


def _ratio_in_words(profile: str, data: str, pair: Contrast) -> str:
    """A ratio of errors with its seeds in words, empty where no seed of both was run."""
    rows = verdicts.study_rows("tables", profile, data)
    seeds, design = stats.shared_seeds(rows, (pair.worse, pair.better)), stats.block_design(rows)
    if seeds >= SEEDS_NEEDED and design:
        return f"{ratio_text(verdicts.error_ratio(design, rows, pair))}, {seeds} seeds"
    if not seeds:
        return ""
    wrong = rows.pivot(index="seed", columns="model", values="wrong")[[pair.worse, pair.better]].dropna() + 0.5
    middle = np.log(wrong[pair.worse] / wrong[pair.better]).mean()
    half = NormalDist().inv_cdf(0.975) * verdicts.images_sd(verdicts.paired_tests(rows, [pair])).item()
    text = interval(*np.exp([middle, middle - half, middle + half]))
    return f"{text}, {seeds} seed{'s' if seeds > 1 else ''}, images only"


def repeats(profile: str) -> pd.DataFrame:
    """Runs that were done a second time, a row a repetition: test errors in percent then and again, their ratio, and
    the share of test images that are answered otherwise. Without repetitions of a row that another has replaced."""
    both = ledger.read_repeats(paths.results()).merge(ledger.read(paths.results()), on="run_id", suffixes=("", "_then"))
    both = both[(both["profile"] == profile) & (both["utc"] > both["utc_then"])].set_index("run_id")
    columns = {
        "then": both["test_top1_error_then"].map("{:.1f} % in ".format) + both["precision_then"],
        "again": both["test_top1_error"].map("{:.1f} % in ".format) + both["precision"],
        "again / then": (both["test_top1_error"] / both["test_top1_error_then"]).map("{:.2f}".format),
        "answered otherwise": (100 * both["other_answers"] / both["test"]).map("{:.1f} %".format),
    }
    return pd.DataFrame(columns).rename_axis("run")


def seeds_needed(profile: str) -> pd.DataFrame:
    """Per data set the noise of one run's error and the smallest ratio that so many seeds find in four of five
    studies; without the sets that have one seed."""
    table = {}
    for data, design in _designs(profile).items():
        smallest = {f"{n} seeds": f"{design.smallest_ratio(n):.2f}" for n in (2, 3, 5, 10)}
        table[data] = {"noise of one run": f"{100 * design.noise:.0f} %", **smallest}
    return pd.DataFrame.from_dict(table, orient="index")


def ratios_by_count(profile: str, data: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """Ratios of errors, counted in several ways: all test errors, the mean over species, in which rare ones count as
    much, and, where look-alikes are known, only the errors within and outside their groups. The intervals are of the
    block design alone; those of the verdicts are no shorter than the choice of test images makes them."""
    rows = verdicts.study_rows("tables", profile, data)
    ways = {"all errors": rows, "mean over species": rows.assign(wrong=rows["test_macro_error"] * rows["n"] / 100)}
    if data in LOOK_ALIKES:
        errors = verdicts.look_alike_errors(rows, data)
        ways |= {f"{where} look-alikes": errors[errors["kind"] == kind] for kind, where in PLACES.items()}
    columns, enough = {}, [c for c in chosen if stats.shared_seeds(rows, (c.worse, c.better)) >= SEEDS_NEEDED]
    for way, runs in ways.items():
        design = stats.block_design(runs)
        columns[way] = {_ratio_name(c): ratio_text(design.ratio(c.worse, c.better)) for c in enough}
    return pd.DataFrame(columns)


def paper_with_noise(profile: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """The paper's ratios with the noise of its images only, and with the training noise of each of our data sets."""
    noises = {"images only": 0.0}
    for data in _designs(profile):
        noises[f"trained as on {data}"] = verdicts.training_noise(verdicts.study_rows("tables", profile, data))
    table = []
    for contrast in chosen:
        ratios = {name: verdicts.paper_ratio(contrast, noise) for name, noise in noises.items()}
        cells = {name: ratio_text(r) + (", not resolved" if r.low <= 1 else "") for name, r in ratios.items()}
        table.append({"contrast": _ratio_name(contrast)} | cells)
    return pd.DataFrame(table).set_index("contrast")


def _designs(profile: str) -> dict[str, stats.BlockDesign]:
    """The block design of every data set whose runs suffice for one."""
    designs = {data: stats.block_design(rows) for data, rows in sets(profile).items()}
    return {data: design for data, design in designs.items() if design}


def beside_usual(profile: str, study: str) -> pd.DataFrame:
    """A study that changes one thing, against the same models and seeds of the study "tables" (uncropped).

    Columns model, seeds, usual and changed (mean errors in percent), ratio (changed / usual with its interval, empty
    with too few seeds).
    """
    (data,) = STUDIES[study].sets
    changed = verdicts.study_rows(study, profile, data)
    usual = verdicts.study_rows("tables", profile, PINNED if data == CROPPED else data)
    shared = changed.merge(usual, on=["model", "seed"], suffixes=("", "_usual"))
    usual = usual.merge(shared[["model", "seed"]])
    seeds = shared.groupby("model")["seed"].nunique()
    labelled = pd.concat([rows.assign(model=rows["model"] + end) for rows, end in ((usual, "_u"), (shared, "_c"))])
    design = stats.BlockDesign(labelled) if seeds.max() >= SEEDS_NEEDED else None
    table = []
    for model in [model for model in STUDIES[study].models if model in seeds.index]:
        means = [rows.loc[rows["model"] == model, "test_top1_error"].mean() for rows in (usual, shared)]
        ratio = design.ratio(f"{model}_c", f"{model}_u") if design and seeds[model] >= SEEDS_NEEDED else None
        text = ratio_text(ratio) if ratio else ""
        table.append([results.name(model), seeds[model], *means, text])
    return pd.DataFrame(table, columns=["model", "seeds", "usual", "changed", "ratio"]).set_index("model").round(2)


def validation_errors_by_rate(profile: str) -> pd.DataFrame:
    """Validation errors in percent by learning rate, a row a model."""
    rows = verdicts.study_rows("rates", profile, PINNED)
    table = rows.pivot_table(index="model", columns="lr", values="valid_top1_error").reindex(STUDIES["rates"].models)
    return table.dropna(how="all")


def rates(profile: str) -> pd.DataFrame:
    """Validation errors in percent by learning rate, a row a model; "chosen" is the rate of the lowest. Then the test
    errors at the rate of the tables, and at the chosen one."""
    chosen = pd.Series(verdicts.own_rates(profile), dtype=float)
    table = validation_errors_by_rate(profile).round(2).assign(chosen=chosen)
    tested = verdicts.study_rows("rates", profile, PINNED)
    tested = tested.set_index(["model", "lr"])["test_top1_error"].round(2).to_dict()
    shared = PROFILES[profile].lr
    table[f"test at {shared:g}"] = [tested.get((model, shared)) for model in table.index]
    table["test at chosen"] = [tested.get(key) for key in table["chosen"].items()]
    return table.rename(index=results.name, columns=str)
