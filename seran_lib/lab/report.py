"""What chapters 09 and 10 and the README show of the ledger: one function a figure, one a block of text.

`python -m seran_lib.lab.table` draws all of `FIGURES` anew; the chapters draw the same ones.
"""

import re
from collections.abc import Sequence
from functools import cache
from types import MappingProxyType

import pandas as pd
import torch
from matplotlib.figure import Figure

from seran_lib import paper
from seran_lib.nets import create_model, describe
from seran_lib.paths import RESULTS

from . import grid, result_plots, stats, verdicts
from .profiles import PROFILES, TABLE1
from .protocol import CONTRASTS, CURVE_EPOCHS, CURVE_IMAGES, CURVES, PINNED, SEEDS_NEEDED, STUDIES, Contrast
from .unknowns import FOLDER as UNKNOWNS
from .unknowns import separation

TABLE1_CONTRASTS = tuple(c for c in CONTRASTS if c.claim not in ("C1", "C2"))
TABLE2_CONTRASTS = tuple(c for c in CONTRASTS if c.claim in ("C1", "C2", "C3"))
# Contrasts of the networks that are trained in several ways, and those ways: studies that change one thing.
CONDITION_MODELS = {*CURVES, "se_resnet101"}
CONDITION_CONTRASTS = tuple(c for c in CONTRASTS if c.worse in CONDITION_MODELS and c.better in CONDITION_MODELS)
CONDITIONS = MappingProxyType(
    {
        "tables": "as in the tables",
        "start": "zero start",
        "long": f"{STUDIES['long'].pairs[0][0]} epochs",
        "tuned": "own rates",
    }
)
CONDITION_COLOURS = ("good", "doubt", "other", "ours")  # the tables' in the colour that these insects have there


def shown_profile(profile: str) -> str:
    """The profile itself where the ledger has runs of it at the protocol's number of epochs, else laptop."""
    return profile if verdicts.data_sets(profile) else "laptop"


def sets(profile: str, study: str = "tables") -> dict[str, pd.DataFrame]:
    """Data set -> the rows of a study on it, for the data sets that have runs."""
    found = {data: verdicts.study_rows(study, profile, data) for data in verdicts.data_sets(profile)}
    return {data: rows for data, rows in found.items() if len(rows)}


def _with(profile: str, model: str) -> dict[str, pd.DataFrame]:
    return {data: rows for data, rows in sets(profile).items() if rows["model"].eq(model).any()}


def contrasts(profile: str, chosen: tuple[Contrast, ...] = CONTRASTS) -> dict[str, pd.DataFrame]:
    """Data set -> the table of contrasts. Holm's correction is over all contrasts of the protocol, shown or not."""
    return {data: _contrasts(rows, chosen) for data, rows in sets(profile).items()}


def conditions(profile: str) -> dict[str, pd.DataFrame]:
    """What was changed about the pinned insects' training -> the table of contrasts of the networks trained so; without
    what was not run. Holm's correction is over these contrasts; of the tables, over all of the protocol."""
    tables = {
        label: verdicts.contrast_table(verdicts.study_rows(study, profile, PINNED), CONDITION_CONTRASTS)
        for study, label in CONDITIONS.items()
    }
    tables[CONDITIONS["tables"]] = _contrasts(verdicts.study_rows("tables", profile, PINNED), CONDITION_CONTRASTS)
    return {label: table for label, table in tables.items() if table["ours"].notna().any()}


def condition_changes(profile: str) -> pd.DataFrame:
    """A ratio of errors after another training over the same in the tables, with its interval: a row a contrast, a
    column a condition that was run. Where the interval holds 1, it may be that this training changes nothing of it."""
    usual, columns = verdicts.study_rows("tables", profile, PINNED), {}
    for study, label in list(CONDITIONS.items())[1:]:
        rows, cells = verdicts.study_rows(study, profile, PINNED), {}
        for c in CONDITION_CONTRASTS:
            if change := verdicts.change_of_ratio(rows, usual, c.worse, c.better):
                cells[_ratio_name(c)] = interval(change.ratio, change.low, change.high)
        if cells:
            columns[f"{label} / {CONDITIONS['tables']}"] = cells
    return pd.DataFrame(columns).rename_axis("ratio of ratios")


def condition_table(profile: str) -> pd.DataFrame:
    """Ratio with interval and verdict, a row a contrast, a column a condition."""
    columns = {"paper": {}}
    for label, table in conditions(profile).items():
        columns[label] = {}
        for row in table.itertuples():
            contrast = _ratio_name(row)
            columns["paper"][contrast] = interval(row.paper, row.paper_low, row.paper_high)
            columns[label][contrast] = f"{interval(row.ours, row.low, row.high)} {row.verdict}".strip()
    return pd.DataFrame(columns).rename_axis("ratio of errors")


def _ratio_name(contrast: Contrast) -> str:
    return f"{result_plots.name(contrast.worse)} / {result_plots.name(contrast.better)}"


def _contrasts(rows: pd.DataFrame, chosen: tuple[Contrast, ...]) -> pd.DataFrame:
    table = verdicts.contrast_table(rows)
    return table[[c in chosen for c in CONTRASTS]].reset_index(drop=True)


def errors(profile: str) -> Figure:
    """Table 1 of the paper beside ours."""
    table = paper.table1().sort_values("test_top1", ascending=False)
    n = verdicts.PAPER_TEST
    bounds = [stats.wilson(round(rate * n / 100), n) for rate in table["test_top1"]]
    low, high = ([100 * bound[side] for bound in bounds] for side in (0, 1))
    return result_plots.plot_errors(
        pd.DataFrame({"error": table["test_top1"], "low": low, "high": high}), sets(profile)
    )


def forest_table1(profile: str) -> Figure:
    """Ratios of errors behind the claims on Table 1."""
    return result_plots.plot_forest(contrasts(profile, TABLE1_CONTRASTS))


def forest_table2(profile: str) -> Figure:
    """Ratios of errors behind the claims on Table 2."""
    return result_plots.plot_forest(contrasts(profile, TABLE2_CONTRASTS))


def forest_conditions(profile: str) -> Figure:
    """The same ratios after other trainings."""
    tables = conditions(profile)
    return result_plots.plot_forest(tables, CONDITION_COLOURS) if tables else result_plots.not_run()


def noise(profile: str) -> Figure:
    """Test images and training as sources of noise."""
    parts = {data: verdicts.noise_parts(verdicts.paired_tests(rows)) for data, rows in sets(profile).items()}
    parts = {data: table for data, table in parts.items() if len(table)}
    return result_plots.plot_noise(parts) if parts else result_plots.not_run()


def learning(profile: str) -> Figure:
    """Error over epochs and over images per class."""
    many, few = (
        pd.concat([verdicts.study_rows(study, profile, PINNED) for study in ("tables", *studies)])
        for studies in (("epochs", "long"), ("images", "few_images"))
    )
    whole = few[few["images_per_class"] == 0]
    everything = round((whole["train"] / whole["classes"]).mean()) if len(whole) else 0  # of the mean class
    few["images_per_class"] = few["images_per_class"].replace({0: everything})
    planned = [images or everything for images in CURVE_IMAGES if images or everything]
    panels = {
        f"{PINNED}, epochs": (many.drop_duplicates("run_id"), "epochs", CURVE_EPOCHS),
        f"{PINNED}, images": (few.drop_duplicates("run_id"), "images_per_class", planned),
    }
    return result_plots.plot_learning(panels, CURVES[:2])


def cost(profile: str) -> Figure:
    """Parameters and multiply-accumulates against error, of the models of Table 1."""
    costs = _costs(PROFILES[profile].width, PROFILES[profile].size)
    return result_plots.plot_cost(costs, {d: verdicts.mean_errors(r, TABLE1) for d, r in sets(profile).items()})


@cache
def _costs(width: float, size: int) -> pd.DataFrame:
    with torch.device("meta"):  # shapes suffice
        described = {model: describe(create_model(model, 100, width=width), size) for model in TABLE1}
    return pd.DataFrame({m: {"parameters": d.parameters, "gmacs": d.gmacs} for m, d in described.items()}).T


def look_alikes(profile: str) -> Figure:
    """Errors within look-alikes and all others."""
    tables = {data: verdicts.look_alike_errors(rows, data) for data, rows in sets(profile).items()}
    return result_plots.plot_look_alikes(tables, ("seran_d", "seran_d_no_se", "seran_d_no_attention"))


def losses(profile: str) -> Figure:
    """Losses over many epochs."""
    rows = verdicts.study_rows("long", profile, PINNED)
    logs = {
        model: [pd.read_csv(RESULTS / "curves" / f"{run}.csv") for run in rows.loc[rows["model"] == model, "run_id"]]
        for model in CURVES
    }
    return result_plots.plot_losses(logs)


def species(profile: str) -> Figure:
    """Errors of every species."""
    tables = {d: verdicts.species_errors(rows, "seran_d") for d, rows in _with(profile, "seran_d").items()}
    return result_plots.plot_species(tables) if tables else result_plots.not_run()


def reliability(profile: str) -> Figure:
    """Calibration of SERAN-D, and risk against coverage of it and of ResNet-101, on the first data set."""
    both = [rows for rows in _with(profile, "seran_d").values() if rows["model"].eq("resnet101").any()]
    if not both:
        return result_plots.not_run()
    answers = {
        model: pd.concat([verdicts.predictions(run) for run in both[0].loc[both[0]["model"] == model, "run_id"]])
        for model in CURVES[:2]
    }
    risks = {model: stats.risk_by_coverage(table["calibrated"], table["right"]) for model, table in answers.items()}
    return result_plots.plot_reliability(answers["seran_d"], risks)


def unknowns(profile: str) -> Figure:
    """How sure SERAN-D is of test images and of images of none of its classes, over all seeds: by the paper's recipe,
    or by the first of the others whose weights have answered."""
    found = _answers_to_unknowns(profile)
    named = [(data, way) for data, way, _ in found if way.startswith("seran_d-")]
    if not named:
        return result_plots.not_run()
    pairs = [pair for data, way, pair in found if (data, way) == named[0]]
    known, unknown = (pd.concat(tables) for tables in zip(*pairs, strict=True))
    return result_plots.plot_unknowns(known, unknown, f"{named[0][1]}, {named[0][0]}: {len(pairs)} seeds")


def separations(profile: str) -> pd.DataFrame:
    """How well a network's probability tells unknown images from test images: area under the ROC curve, by seed."""
    table = [[data_name, way, separation(*pair)] for data_name, way, pair in _answers_to_unknowns(profile)]
    areas = pd.DataFrame(table, columns=["data", "network", "area"]).groupby(["data", "network"], sort=False)["area"]
    return areas.agg(seeds="size", mean="mean", lowest="min", highest="max").round(3).reset_index("network")


def _answers_to_unknowns(profile: str) -> list[tuple[str, str, tuple[pd.DataFrame, pd.DataFrame]]]:
    """(data set, what was trained, (answers to test images, to unknown images)) of every run that has both."""
    return [
        (row.data, _way(row), (verdicts.predictions(row.run_id), pd.read_csv(path)))
        for row in grid.runs(profile).itertuples()
        if (path := RESULTS / UNKNOWNS / f"{row.run_id}.csv.gz").exists()
    ]


def _way(row: tuple) -> str:
    """A run's name without data set, profile and seed."""
    return re.sub(r"-s\d+(?=-|$)", "", row.run_id.removeprefix(f"{row.data}-{row.profile}-"))


FIGURES = MappingProxyType(
    {
        "fig09_errors": errors,
        "fig09_forest": forest_table1,
        "fig09_noise": noise,
        "fig09_learning": learning,
        "fig09_cost": cost,
        "fig10_forest": forest_table2,
        "fig10_conditions": forest_conditions,
        "fig10_look_alikes": look_alikes,
        "fig10_losses": losses,
        "fig10_species": species,
        "fig10_reliability": reliability,
        "fig10_unknowns": unknowns,
    }
)


def interval(middle: float, low: float, high: float) -> str:
    """A number with its interval as tables print it; empty where there is none."""
    return "" if pd.isna(middle) else f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def error_table(profile: str, data: str, models: Sequence[str]) -> pd.DataFrame:
    """Seeds, top-1, top-5 and macro error in percent (mean ± standard deviation over seeds), millions of parameters."""
    table = verdicts.mean_errors(verdicts.study_rows("tables", profile, data), models)
    done = table["seeds"] > 0
    spread = [f" ± {sd:.1f}" if seeds > 1 else "" for sd, seeds in zip(table["sd"], table["seeds"], strict=True)]
    shown = pd.DataFrame(
        {
            "seeds": table["seeds"],
            "top-1 error": table["error"].map("{:.1f}".format) + spread,
            "top-5": table["top5"].map("{:.1f}".format),
            "macro": table["macro"].map("{:.1f}".format),
            "parameters": (table["parameters"] / 1e6).map("{:.2f} M".format),
        }
    )
    shown.loc[~done, shown.columns[1:]] = ""
    shown.loc[~done, "top-1 error"] = verdicts.NOT_RUN
    return shown.rename(index=result_plots.name)


def single_runs(profile: str, data: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """What single runs would have said: per contrast the difference in points of every seed, and how many seeds are
    significant by McNemar's test for the claim and against it. Holm's correction is over all contrasts of the protocol,
    shown or not."""
    pairs = [(c.worse, c.better) for c in chosen]
    tests = verdicts.paired_tests(verdicts.study_rows("tables", profile, data))
    tests = tests[[(test.worse, test.better) in pairs for test in tests.itertuples()]]
    found, table = tests["holm"] < verdicts.LEVEL, []
    for (worse, better), seeds in tests.groupby(["worse", "better"], sort=False):
        points = ", ".join(f"{value:+.1f}" for value in seeds["points"])
        sides = [(found & (sign * tests["points"] > 0))[seeds.index].sum() for sign in (1, -1)]
        table.append([f"{result_plots.name(worse)} – {result_plots.name(better)}", points, *sides, len(seeds)])
    columns = ["contrast", "points, seed by seed", "first worse", "first better", "of seeds"]
    return pd.DataFrame(table, columns=columns).set_index("contrast")


def seeds_needed(profile: str, seeds: Sequence[int] = (2, 3, 5, 10)) -> pd.DataFrame:
    """Per data set the noise of one run's error and the smallest ratio that so many seeds find in four of five
    studies; without the sets that have one seed."""
    table = {}
    for data, design in _designs(profile).items():
        smallest = {f"{n} seeds": f"{design.smallest_ratio(n):.2f}" for n in seeds}
        table[data] = {"noise of one run": f"{100 * design.noise:.0f} %", **smallest}
    return pd.DataFrame.from_dict(table, orient="index")


def own_seeds(profile: str, data: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """Each contrast with the noise pooled over all networks, and with that of its own two networks alone."""
    rows, table = verdicts.study_rows("tables", profile, data), {}
    design = stats.block_design(rows)
    for c in chosen if design else ():
        if (seeds := stats.shared_seeds(rows, (c.worse, c.better))) >= SEEDS_NEEDED:
            pooled = design.ratio(c.worse, c.better)
            table[_ratio_name(c)] = {
                "seeds": seeds,
                "noise of all networks": interval(pooled.ratio, pooled.low, pooled.high),
                "noise of these two": interval(*design.ratio_by_own_seeds(c.worse, c.better)),
            }
    return pd.DataFrame.from_dict(table, orient="index")


def paper_with_noise(profile: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """The paper's ratios with the noise of its images only, and with the training noise of each of our data sets."""
    noises = {"images only": 0.0}
    for data in _designs(profile):
        noises[f"trained as on {data}"] = verdicts.training_noise(verdicts.study_rows("tables", profile, data))
    table = []
    for contrast in chosen:
        ratios = {name: verdicts.paper_ratio(contrast, noise) for name, noise in noises.items()}
        cells = {
            name: interval(r.ratio, r.low, r.high) + (", not resolved" if r.low <= 1 else "")
            for name, r in ratios.items()
        }
        table.append({"contrast": _ratio_name(contrast)} | cells)
    return pd.DataFrame(table).set_index("contrast")


def _designs(profile: str) -> dict[str, stats.BlockDesign]:
    """The block design of every data set whose runs suffice for one."""
    designs = {data: stats.block_design(rows) for data, rows in sets(profile).items()}
    return {data: design for data, design in designs.items() if design}


def beside_usual(profile: str, study: str) -> pd.DataFrame:
    """A study that changes one thing about the pinned insects, against the same models and seeds of the study "tables".

    Columns model, seeds, usual and changed (mean errors in percent), ratio (changed / usual with its interval, empty
    with too few seeds).
    """
    (data,) = STUDIES[study].sets
    changed, usual = verdicts.study_rows(study, profile, data), verdicts.study_rows("tables", profile, PINNED)
    shared = changed.merge(usual, on=["model", "seed"], suffixes=("", "_usual"))
    usual = usual.merge(shared[["model", "seed"]])
    seeds = shared.groupby("model")["seed"].nunique()
    labelled = pd.concat([rows.assign(model=rows["model"] + end) for rows, end in ((usual, "_u"), (shared, "_c"))])
    design = stats.BlockDesign(labelled) if seeds.max() >= SEEDS_NEEDED else None
    table = []
    for model in [model for model in STUDIES[study].models if model in seeds.index]:
        means = [rows.loc[rows["model"] == model, "test_top1_error"].mean() for rows in (usual, shared)]
        ratio = design.ratio(f"{model}_c", f"{model}_u") if design and seeds[model] >= SEEDS_NEEDED else None
        text = interval(ratio.ratio, ratio.low, ratio.high) if ratio else ""
        table.append([result_plots.name(model), seeds[model], *means, text])
    return pd.DataFrame(table, columns=["model", "seeds", "usual", "changed", "ratio"]).set_index("model").round(2)


def rates(profile: str) -> pd.DataFrame:
    """Validation errors in percent by learning rate, a row a model; "chosen" is the rate of the lowest."""
    rows = verdicts.study_rows("rates", profile, PINNED)
    table = rows.pivot_table(index="model", columns="lr", values="valid_top1_error").reindex(STUDIES["rates"].models)
    table = table.dropna(how="all").round(2).assign(chosen=pd.Series(verdicts.own_rates(profile), dtype=float))
    return table.rename(index=result_plots.name, columns=str)
