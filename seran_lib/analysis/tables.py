"""The tables of chapters 09 and 10 that are neither verdicts nor `conditions`, one function each."""

import math
import re
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from seran_lib.analysis.calibration import separation
from seran_lib.analysis.cells import error_cell, interval, quoted_errors, ratio_name, ratio_text
from seran_lib.analysis.errors import look_alike_errors, mean_errors
from seran_lib.analysis.protocol import LEVEL, LOOK_ALIKES, NOT_RUN, SEEDS_NEEDED, Contrast
from seran_lib.analysis.ratios import BlockDesign, block_design, shared_seeds
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.studies import PINNED, STUDIES
from seran_lib.analysis.verdicts import (
    corrected_tests,
    error_ratio,
    images_sd,
    paired_tests,
    paper_ratio,
    training_noise,
)
from seran_lib.nets.specs import label
from seran_lib.train.profiles import FULL, PROFILES, TABLE1, TABLE2

PLACES = MappingProxyType({"within": "within", "other": "outside"})  # kind of `errors.look_alike_errors` -> in words


def progress(evidence: Evidence) -> pd.DataFrame:
    """How much of each study is in the ledger: study, asks, data, runs planned, runs done, hours they took, hours
    to go.

    The hours to go are of one run after another, at the median pace of a network's runs so far: missing where a
    network or a data set has none. Studies share runs, so neither hours can be added up.
    """
    found = evidence.runs()
    seconds_an_image = 1 / found.groupby("model")["images_per_second"].median()
    sizes = found[found["images_per_class"] == 0].groupby("data")["train"].first()
    table = []
    for name, study in STUDIES.items():
        repeats = math.prod(map(len, (study.seeds, study.rates, study.recipes)))
        pace = seconds_an_image.reindex(study.models)
        for data in study.sets:
            rows = evidence.own(study, data)
            epochs = repeats * sum(epochs or PROFILES[evidence.profile].epochs for epochs, _ in study.pairs)
            left = epochs * pace.sum(skipna=False) - (rows["epochs"] * rows["model"].map(pace)).sum()
            left *= sizes.get(data, math.nan)
            planned, done = repeats * len(study.pairs) * len(study.models), len(rows)
            hours = [rows["seconds"].sum() / 3600, left / 3600 if done < planned else 0.0]
            table.append([name, study.asks, data, planned, done, *hours])
    columns = ["study", "asks", "data", "planned", "done", "hours", "hours to go"]
    return pd.DataFrame(table, columns=columns).round({"hours": 1, "hours to go": 1})


def losses(evidence: Evidence, rows: pd.DataFrame) -> pd.DataFrame:
    """The lowest validation loss of each run, its epoch, and the last one (claim C6).

    Columns model, seed, lowest, at_epoch, last.
    """
    table = []
    for row in rows.itertuples():
        loss = evidence.results.curve(row.run_id).set_index("epoch")["valid_loss"]
        found = {"lowest": loss.min(), "at_epoch": loss.idxmin(), "last": loss.iloc[-1]}
        table.append({"model": row.model, "seed": row.seed} | found)
    return pd.DataFrame(table, columns=["model", "seed", "lowest", "at_epoch", "last"])


class Unknowns(NamedTuple):
    """What a run answered to test images (known) and to images of none of its classes; `way` is its name without data
    set, profile and seed."""

    data: str
    way: str
    known: pd.DataFrame
    unknown: pd.DataFrame


def answers_to_unknowns(evidence: Evidence) -> list[Unknowns]:
    """Of every run that has both."""
    results = evidence.results
    return [
        Unknowns(row.data, _way(row), results.predictions(row.run_id), results.unknowns(row.run_id))
        for row in evidence.runs().itertuples()
        if results.file("unknowns", row.run_id).exists()
    ]


def _way(row: tuple) -> str:
    return re.sub(r"-s\d+(?=-|$)", "", row.run_id.removeprefix(f"{row.data}-{row.profile}-"))


def separations(evidence: Evidence) -> pd.DataFrame:
    """How well a network's probability tells unknown images from test images: area under the ROC curve, by seed, beside
    the mean test error in percent, by which the rows of a data set are in order."""
    table = [
        {"data": run.data, "network": run.way, "error": 100 * (1 - run.known["right"].mean()),
         "area": separation(run.known, run.unknown)}
        for run in answers_to_unknowns(evidence)
    ]  # fmt: skip
    runs = pd.DataFrame(table, columns=["data", "network", "error", "area"]).groupby(["data", "network"])
    of_seeds = {"seeds": "size", "mean": "mean", "lowest": "min", "highest": "max"}
    areas = runs["area"].agg(**of_seeds).round(3)
    areas.insert(1, "error", runs["error"].mean().round(1))
    return areas.sort_values(["data", "error"]).reset_index("network")


def error_table(evidence: Evidence, data: str, models: Sequence[str]) -> pd.DataFrame:
    """The paper's top-1 errors and ours, seeds, top-5 and macro error in percent (mean ± standard deviation over
    seeds), millions of parameters: a row a model."""
    table = mean_errors(evidence.study("tables", data), models)
    done = table["seeds"] > 0
    paper = pd.DataFrame([quoted_errors(model) for model in table.index], index=table.index)
    ours = pd.DataFrame(
        {
            "seeds": table["seeds"],
            "validation": table["valid"].map("{:.1f}".format),
            "test": [error_cell(row) for _, row in table.iterrows()],
            "top-5": table["top5"].map("{:.1f}".format),
            "macro": table["macro"].map("{:.1f}".format),
            "parameters": (table["parameters"] / 1e6).map("{:.2f} M".format),
        }
    )
    ours.loc[~done, ours.columns[1:]] = ""
    ours.loc[~done, "test"] = NOT_RUN
    return paper.join(ours).rename(index=label)


def single_runs(evidence: Evidence, data: str, chosen: Sequence[Contrast], study: str = "tables") -> pd.DataFrame:
    """What single runs of a study would have said: per contrast the difference in points of every seed, and how many
    seeds are significant by McNemar's test for the claim and against it. Holm's correction is over all contrasts of
    the protocol, shown or not."""
    pairs = [(c.worse, c.better) for c in chosen]
    tests = corrected_tests(evidence, evidence.study(study, data))
    tests = tests.loc[[(test.worse, test.better) in pairs for test in tests.itertuples()]]
    found, table = tests["holm"] < LEVEL, []
    for (worse, better), seeds in tests.groupby(["worse", "better"], sort=False):
        points = ", ".join(f"{value:+.1f}" for value in seeds["points"])
        sides = [(found & (sign * tests["points"] > 0))[seeds.index].sum() for sign in (1, -1)]
        table.append([f"{label(worse)} – {label(better)}", points, *sides, len(seeds)])
    columns = ["contrast", "points, seed by seed", "first worse", "first better", "of seeds"]
    return pd.DataFrame(table, columns=columns).set_index("contrast")


def full_networks(evidence: Evidence) -> dict[str, pd.DataFrame]:
    """Data set -> the ratios of errors of every two networks that were run in full, a row a ratio: in the paper, in
    each profile of full networks, and in this one. With fewer than three seeds an interval is of test images alone."""
    tables = {}
    for data in dict.fromkeys(data for full in FULL for data in evidence.of(full).tables()):
        run = pd.concat([evidence.of(full).study("tables", data) for full in FULL])["model"]
        order = [model for model in (*TABLE1, *TABLE2) if model in set(run)]
        pairs = [Contrast("", *pair) for pair in combinations(order, 2)]
        columns = {"paper": [ratio_text(paper_ratio(pair)) for pair in pairs]}
        for name in (*FULL, evidence.profile):
            columns[f"profile {name}"] = [_ratio_in_words(evidence.of(name), data, pair) for pair in pairs]
        table = pd.DataFrame(columns, index=[ratio_name(pair.worse, pair.better) for pair in pairs])
        shown = table.columns[(table != "").any()]
        tables[data] = table[shown].rename_axis(f"ratio of errors, {data}")
    return tables


def _ratio_in_words(evidence: Evidence, data: str, pair: Contrast) -> str:
    """A ratio of errors with its seeds in words, empty where no seed of both was run."""
    rows = evidence.study("tables", data)
    seeds, design = shared_seeds(rows, (pair.worse, pair.better)), block_design(rows)
    if seeds >= SEEDS_NEEDED and design:
        return f"{ratio_text(error_ratio(evidence, design, rows, pair))}, {seeds} seeds"
    if not seeds:
        return ""
    wrong = rows.pivot(index="seed", columns="model", values="wrong")[[pair.worse, pair.better]].dropna() + 0.5
    middle = np.log(wrong[pair.worse] / wrong[pair.better]).mean()
    half = NormalDist().inv_cdf(0.975) * images_sd(paired_tests(evidence, rows, [pair])).item()
    text = interval(*np.exp([middle, middle - half, middle + half]))
    return f"{text}, {seeds} seed{'s' if seeds > 1 else ''}, images only"


def repeats(evidence: Evidence) -> pd.DataFrame:
    """Runs that were done a second time, a row a repetition: test errors in percent then and again, their ratio, and
    the share of test images that are answered otherwise. Without repetitions of a row that another has replaced."""
    both = evidence.results.repeats().merge(evidence.rows, on="run_id", suffixes=("", "_then"))
    both = both[both["utc"] > both["utc_then"]].set_index("run_id")
    columns = {
        "then": both["test_top1_error_then"].map("{:.1f} % in ".format) + both["precision_then"],
        "again": both["test_top1_error"].map("{:.1f} % in ".format) + both["precision"],
        "again / then": (both["test_top1_error"] / both["test_top1_error_then"]).map("{:.2f}".format),
        "answered otherwise": (100 * both["other_answers"] / both["test"]).map("{:.1f} %".format),
    }
    return pd.DataFrame(columns).rename_axis("run")


def seeds_needed(evidence: Evidence) -> pd.DataFrame:
    """Per data set the noise of one run's error and the smallest ratio that so many seeds find in four of five
    studies; without the sets that have one seed."""
    table = {}
    for data, design in _designs(evidence).items():
        smallest = {f"{n} seeds": f"{design.smallest_ratio(n):.2f}" for n in (2, 3, 5, 10)}
        table[data] = {"noise of one run": f"{100 * design.noise:.0f} %", **smallest}
    return pd.DataFrame.from_dict(table, orient="index")


def ratios_by_count(evidence: Evidence, data: str, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """Ratios of errors, counted in several ways: all test errors, the mean over species, in which rare ones count as
    much, and, where look-alikes are known, only the errors within and outside their groups. The intervals are of the
    block design alone; those of the verdicts are no shorter than the choice of test images makes them."""
    rows = evidence.study("tables", data)
    ways = {"all errors": rows, "mean over species": rows.assign(wrong=rows["test_macro_error"] * rows["n"] / 100)}
    if data in LOOK_ALIKES:
        errors = look_alike_errors(evidence.answers(rows), data)
        ways |= {f"{where} look-alikes": errors[errors["kind"] == kind] for kind, where in PLACES.items()}
    columns, enough = {}, [c for c in chosen if shared_seeds(rows, (c.worse, c.better)) >= SEEDS_NEEDED]
    for way, runs in ways.items():
        design = block_design(runs)
        columns[way] = {ratio_name(c.worse, c.better): ratio_text(design.ratio(c.worse, c.better)) for c in enough}
    return pd.DataFrame(columns)


def paper_with_noise(evidence: Evidence, chosen: Sequence[Contrast]) -> pd.DataFrame:
    """The paper's ratios with the noise of its images only, and with the training noise of each of our data sets."""
    noises = {"images only": 0.0}
    for data in _designs(evidence):
        noises[f"trained as on {data}"] = training_noise(evidence, evidence.study("tables", data))
    table = []
    for contrast in chosen:
        ratios = {name: paper_ratio(contrast, noise) for name, noise in noises.items()}
        cells = {name: ratio_text(r) + (", not resolved" if r.low <= 1 else "") for name, r in ratios.items()}
        table.append({"contrast": ratio_name(contrast.worse, contrast.better)} | cells)
    return pd.DataFrame(table).set_index("contrast")


def _designs(evidence: Evidence) -> dict[str, BlockDesign]:
    """The block design of every data set whose runs suffice for one."""
    designs = {data: block_design(rows) for data, rows in evidence.tables().items()}
    return {data: design for data, design in designs.items() if design}


def validation_errors_by_rate(evidence: Evidence) -> pd.DataFrame:
    """Validation errors in percent by learning rate, a row a model."""
    rows = evidence.study("rates", PINNED)
    table = rows.pivot_table(index="model", columns="lr", values="valid_top1_error").reindex(STUDIES["rates"].models)
    return table.dropna(how="all")


def rates(evidence: Evidence) -> pd.DataFrame:
    """Validation errors in percent by learning rate, a row a model; "chosen" is the rate of the lowest. Then the test
    errors at the rate of the tables, and at the chosen one."""
    chosen = pd.Series(evidence.rates, dtype=float)
    table = validation_errors_by_rate(evidence).round(2).assign(chosen=chosen)
    tested = evidence.study("rates", PINNED)
    tested = tested.set_index(["model", "lr"])["test_top1_error"].round(2).to_dict()
    shared = PROFILES[evidence.profile].lr
    table[f"test at {shared:g}"] = [tested.get((model, shared)) for model in table.index]
    table["test at chosen"] = [tested.get(key) for key in table["chosen"].items()]
    return table.rename(index=label, columns=str)
