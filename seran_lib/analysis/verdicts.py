"""From the ledger to verdicts on the paper's claims, by the rules of `protocol.py` and nothing else.

Every function takes runs, rows of the ledger, and returns a frame; a run that nobody did is missing from it, and a
contrast that lacks seeds is "not run".
"""

import contextlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from seran_lib import paths
from seran_lib.analysis import stats
from seran_lib.analysis.protocol import (
    CONTRASTS,
    CROPPED,
    LOOK_ALIKES,
    MARGIN,
    SEEDS_NEEDED,
    STUDIES,
    Contrast,
    Study,
    best_rate,
)
from seran_lib.errors import DataError
from seran_lib.paper import facts
from seran_lib.train import ledger
from seran_lib.train.evaluate import read_predictions
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import usual

PAPER_TEST, PAPER_VALID = 5118, 5119  # images; chapter 03 finds that the printed test errors are of 5,118
LEVEL = 0.05
RISE = 0.05  # of the validation loss above its lowest: over-fitting
NOT_RUN, CANNOT_TELL, ALIKE = "not run", "cannot tell", "alike"
AGREES, CONTRADICTS = "agrees", "contradicts"


def study_rows(name: str, profile: str, data: str) -> pd.DataFrame:
    """The ledger's rows that belong to a study of `protocol.STUDIES`, or to one that extends it, on one data set;
    `wrong` and `n` count test images.

    Raises ValueError where runs of one seed are of different images or splits.
    """
    extensions = (study for study in STUDIES.values() if study.extends == name and data in study.sets)
    rows = pd.concat([own_rows(study, profile, data) for study in (STUDIES[name], *extensions)])
    if (rows.groupby(["seed", "images_per_class"])["data_fingerprint"].nunique() > 1).any():
        raise ValueError(
            f"the ledger's runs on {data} are of different images: give the folder of one of the sets another name, "
            "and delete its rows"
        )
    wrong = (rows["test_top1_error"] * rows["test"] / 100).round().astype(int)
    return rows.assign(wrong=wrong, n=rows["test"]).sort_values(["model", "seed", "epochs", "lr"], ignore_index=True)


def own_rows(study: Study, profile: str, data: str) -> pd.DataFrame:
    """The ledger's rows that belong to this study alone."""
    rows = ledger.read(paths.results())
    rows = rows[(rows["profile"] == profile) & (rows["data"] == data) & (rows["wiring"] == study.wiring)]
    rows = rows[rows["model"].isin(study.models) & rows["recipe"].isin(study.recipes) & rows["seed"].isin(study.seeds)]
    planned = [usual(profile, model, recipe) for model, recipe in zip(rows["model"], rows["recipe"], strict=True)]
    planned = pd.DataFrame(planned, index=rows.index, columns=["init", "width", "size", "lr"])
    if study.init:
        planned["init"] = study.init
    rows = rows[(rows[["init", "width", "size"]] == planned[["init", "width", "size"]]).all(axis=1)]
    rows = rows[pd.MultiIndex.from_frame(rows[["epochs", "images_per_class"]]).isin(study.planned(profile))]
    if study.tuned:
        rows = rows[rows["lr"] == rows["model"].map(own_rates(profile))]
    else:
        own = (0.0 in study.rates) & (rows["lr"] == planned["lr"].loc[rows.index])
        rows = rows[own | rows["lr"].isin([rate for rate in study.rates if rate])]
    return rows


def own_rates(profile: str) -> dict[str, float]:
    """The learning rate chosen for each model by the study "rates"; without the models whose runs are not complete."""
    rates = {}
    for model in STUDIES["rates"].models:
        with contextlib.suppress(ValueError):
            rates[model] = best_rate(profile, model)
    return rates


def predictions(run_id: str) -> pd.DataFrame:
    """The answers of a run for every test image, in the order of image_id; `right` says which are.

    Runs of a time when groups were not kept have each image for a group of its own. Raises DataError where the file
    is missing.
    """
    path = ledger.file_of(paths.results(), "predictions", run_id)
    if not path.exists():
        raise DataError(f"{path} is missing, and the ledger has its run", "Restore it, or delete the row and run again")
    return _predictions(path, path.stat().st_mtime_ns)


@cache
def _predictions(path: Path, changed: int) -> pd.DataFrame:
    table = read_predictions(path).sort_values("image_id")
    table = table.assign(right=table["label"] == table["predicted"], group=table.get("group", table["image_id"]))
    return table.reset_index(drop=True)


def paper_ratio(contrast: Contrast, noise: float = 0.0) -> stats.Ratio:
    """The paper's own ratio of two models' errors: on test images where Table 1 has both, else on validation images;
    not a number where it has neither."""
    table1, table2 = facts.table1(), facts.table2()
    pair = [contrast.worse, contrast.better]
    if set(pair) <= set(table1.index):
        rates, n = table1.loc[pair, "test_top1"], PAPER_TEST
    else:
        rates, n = pd.concat([table1, table2])["valid_top1"].groupby(level=0).first()[pair], PAPER_VALID
    first, second = (rates * n / 100).round()
    return stats.ratio_of_rates(first, n, second, n, noise=noise)


def decide(ratio: stats.Ratio, holm: float, *, tie: bool) -> str:
    """The protocol's verdict on one contrast, from our ratio and its p after Holm's correction (unused for a tie)."""
    if tie:
        if ratio.within(MARGIN):
            return AGREES
        return CONTRADICTS if ratio.low > MARGIN or ratio.high < 1 / MARGIN else CANNOT_TELL
    if ratio.low <= 1 <= ratio.high:
        return ALIKE if ratio.within(MARGIN) else CANNOT_TELL
    side = AGREES if ratio.low > 1 else CONTRADICTS
    return side if holm < LEVEL else f"leans: {side}"


def contrast_table(rows: pd.DataFrame, planned: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """One row a contrast: ours and the paper's ratio with intervals, ours also by the noise of its own two models
    (own_low, own_high), p, Holm's p over the `planned` ones, and the verdicts on direction and on the paper's size.
    Without enough seeds of both models the verdict is "not run" and the numbers are missing."""
    seeds = [stats.shared_seeds(rows, (c.worse, c.better)) for c in CONTRASTS]
    enough = [shared >= SEEDS_NEEDED for shared in seeds]
    design = stats.BlockDesign(rows) if any(enough) else None
    ours = [error_ratio(design, rows, c) if run else None for c, run in zip(CONTRASTS, enough, strict=True)]
    directed = [k for k, c in enumerate(CONTRASTS) if ours[k] and not c.tie]
    family = sum(not c.tie for c in planned)
    holm = dict(zip(directed, stats.holm([ours[k].p for k in directed], family), strict=True))
    table = []
    for k, (contrast, ratio) in enumerate(zip(CONTRASTS, ours, strict=True)):
        theirs = paper_ratio(contrast)
        row = {"claim": contrast.claim, "worse": contrast.worse, "better": contrast.better, "tie": contrast.tie}
        row |= {"paper": theirs.ratio, "paper_low": theirs.low, "paper_high": theirs.high, "verdict": NOT_RUN}
        row |= {"seeds": seeds[k], "size": ""}
        if ratio:
            row |= {"ours": ratio.ratio, "low": ratio.low, "high": ratio.high, "p": ratio.p, "holm": holm.get(k)}
            row |= {"verdict": decide(ratio, holm.get(k, np.nan), tie=contrast.tie)}
            row |= {"size": "possible" if ratio.low <= theirs.ratio <= ratio.high else "ruled out"}
            _, row["own_low"], row["own_high"] = design.ratio_by_own_seeds(contrast.worse, contrast.better)
        table.append(row)
    columns = ["ours", "low", "high", "own_low", "own_high", "p", "holm"]
    return pd.DataFrame(table).reindex(columns=[*dict.fromkeys([*table[0], *columns])])


def error_ratio(design: stats.BlockDesign, rows: pd.DataFrame, contrast: Contrast) -> stats.Ratio:
    """The ratio of two models' errors by the block design of the rows; its interval is no shorter than the choice of
    test images makes it."""
    images = images_sd(paired_tests(rows, [contrast])).item()
    return design.ratio(contrast.worse, contrast.better, least_sd=images)


def paired_tests(rows: pd.DataFrame, contrasts: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """McNemar's test of every contrast and seed that both models have: what a reader of that one run would have
    said. Columns worse, better, seed, points, sampling_sd, log_sd and p."""
    runs = {(row.model, row.seed): row.run_id for row in rows.itertuples()}
    table = []
    for contrast in contrasts:
        for seed in sorted(rows["seed"].unique()):
            pair = [runs.get((model, seed)) for model in (contrast.worse, contrast.better)]
            if None in pair:
                continue
            first, second = map(predictions, pair)
            if not first["image_id"].equals(second["image_id"]):
                raise ValueError(f"{pair[0]} and {pair[1]} were tested on different images: run them on one data set")
            test = stats.mcnemar(~first["right"], ~second["right"])
            row = {"worse": contrast.worse, "better": contrast.better, "seed": seed}
            table.append(row | {name: getattr(test, name) for name in ("points", "sampling_sd", "log_sd", "p")})
    return pd.DataFrame(table, columns=["worse", "better", "seed", "points", "sampling_sd", "log_sd", "p"])


def corrected_tests(rows: pd.DataFrame, contrasts: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """The `paired_tests` with a column holm: Holm's p, seed by seed, over all `contrasts`."""
    tests = paired_tests(rows, contrasts)
    if tests.empty:
        return tests.assign(holm=[])
    return tests.assign(holm=tests.groupby("seed")["p"].transform(lambda p: stats.holm(p, len(contrasts))))


def images_sd(tests: pd.DataFrame) -> pd.Series:
    """What the choice of test images alone does to the logarithm of the mean ratio of two models over its seeds: a
    standard deviation, by (worse, better)."""
    return tests.groupby(["worse", "better"])["log_sd"].agg(lambda sd: np.sqrt((sd**2).sum()) / len(sd))


def noise_parts(tests: pd.DataFrame) -> pd.DataFrame:
    """What moves a difference between two models, in points: the standard deviation over seeds as seen, the part that
    test images alone explain (McNemar's), and what is left for training. A row per contrast with several seeds."""
    parts = tests.groupby(["worse", "better"], sort=False).agg(
        seeds=("seed", "size"), points=("points", "mean"), seen=("points", "std"),
        images=("sampling_sd", lambda sd: np.sqrt(np.mean(sd**2))),
    )  # fmt: skip
    parts = parts[parts["seeds"] > 1]
    return parts.assign(training=np.sqrt(np.maximum(parts["seen"] ** 2 - parts["images"] ** 2, 0))).reset_index()


def training_noise(rows: pd.DataFrame) -> float:
    """What training, without the choice of test images, adds to the logarithm of one run's error: a standard deviation.

    The variance of the block design's rest, less the part that test images explain, half of that of a ratio.
    """
    explained = np.nan_to_num((paired_tests(rows)["log_sd"] ** 2).mean() / 2)  # where no contrast has both its models
    return float(np.sqrt(max(stats.BlockDesign(rows).noise ** 2 - explained, 0)))


def change_of_ratio(first: pd.DataFrame, second: pd.DataFrame, worse: str, better: str) -> stats.Ratio | None:
    """(worse / better) in the first runs over (worse / better) in the second, None without enough seeds of all four.

    Above 1 where the gap is wider in the first. Claim C5 asks this of few and of many epochs or images.
    """
    labelled = [rows.assign(model=rows["model"] + suffix) for rows, suffix in ((first, "_a"), (second, "_b"))]
    runs = pd.concat([rows[rows["model"].str[:-2].isin([worse, better])] for rows in labelled])
    names = [f"{worse}_a", f"{better}_a", f"{worse}_b", f"{better}_b"]
    return _four_way(runs, names)


def look_alike_errors(rows: pd.DataFrame, data: str) -> pd.DataFrame:
    """Test errors of every run, counted apart: `within` a group of look-alikes, and all `other` errors.

    Columns model, seed, kind, wrong, n.
    """
    group = {name: number for number, names in enumerate(LOOK_ALIKES.get(data, ())) for name in names}
    table = []
    for row in rows.itertuples():
        answers = predictions(row.run_id)
        label, predicted = (answers[column].map(group) for column in ("label", "predicted"))
        within = (~answers["right"] & (label == predicted)).sum()
        for kind, wrong in (("within", within), ("other", (~answers["right"]).sum() - within)):
            table.append({"model": row.model, "seed": row.seed, "kind": kind, "wrong": int(wrong), "n": len(answers)})
    return pd.DataFrame(table, columns=["model", "seed", "kind", "wrong", "n"])


def look_alike_ratio(errors: pd.DataFrame) -> stats.Ratio | None:
    """(without SE / SERAN-D) among errors within look-alikes over the same among other errors; C8 wants it above 1."""
    pair = errors[errors["model"].isin(["seran_d_no_se", "seran_d"])]
    names = ["seran_d_no_se_within", "seran_d_within", "seran_d_no_se_other", "seran_d_other"]
    return _four_way(pair.assign(model=pair["model"] + "_" + pair["kind"]), names)


def _four_way(runs: pd.DataFrame, names: Sequence[str]) -> stats.Ratio | None:
    if stats.shared_seeds(runs, names) < SEEDS_NEEDED:
        return None
    return stats.BlockDesign(runs).contrast(dict(zip(names, (1, -1, -1, 1), strict=True)))


def decide_change(ratio: stats.Ratio) -> str:
    """The verdict on a claim that a ratio of ratios is above 1."""
    return decide(ratio, ratio.p, tie=False)


def overfitting(rows: pd.DataFrame) -> pd.DataFrame:
    """The lowest validation loss of each run, its epoch, and the last one (claim C6).

    Columns model, seed, lowest, at_epoch, last.
    """
    table = []
    for row in rows.itertuples():
        loss = pd.read_csv(ledger.file_of(paths.results(), "curves", row.run_id)).set_index("epoch")["valid_loss"]
        table.append([row.model, row.seed, loss.min(), loss.idxmin(), loss.iloc[-1]])
    return pd.DataFrame(table, columns=["model", "seed", "lowest", "at_epoch", "last"])


def species_errors(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Per species, over all seeds of a model: images answered, share wrong, and Wilson's interval; the worst first.

    The answers of a network are not independent, nor are two networks' to one image: the intervals are those of as many
    images as remain after division by the overdispersion over seeds, which all species of the set share.
    """
    answers = pd.concat(
        [predictions(run_id).assign(run=run_id) for run_id in rows.loc[rows["model"] == model, "run_id"]]
    )
    counts = answers.groupby("label")["right"].agg(n="size", right="sum")
    wrong = counts["n"] - counts["right"]
    by_run = answers.groupby(["label", "run"])["right"].agg(n="size", right="sum")
    spread = stats.overdispersion(by_run["n"] - by_run["right"], by_run["n"], by_run.index.get_level_values("label"))
    bounds = [stats.wilson(k / spread, n / spread) for k, n in zip(wrong, counts["n"], strict=True)]
    table = counts.assign(error=wrong / counts["n"], low=[b[0] for b in bounds], high=[b[1] for b in bounds])
    return table.drop(columns="right").sort_values(["error", "n"], ascending=[False, True])


def macro_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """The macro error of every run with a 95 % bootstrap interval by group, shares: model, seed, macro, low, high."""
    table = []
    for row in rows.itertuples():
        answers = predictions(row.run_id)
        draws = stats.bootstrap_macro_error(~answers["right"], answers["label"], answers["group"])
        macro = 1 - answers.groupby("label")["right"].mean().mean()
        table.append([row.model, row.seed, macro, *np.percentile(draws, [2.5, 97.5])])
    return pd.DataFrame(table, columns=["model", "seed", "macro", "low", "high"])


def confusions(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Pairs of species taken for each other, both ways and over all seeds of a model, the most frequent first.

    Columns one, other, one_for_other (images of `one` answered `other`), other_for_one, images (of both, answered).
    """
    answers = pd.concat([predictions(run_id) for run_id in rows.loc[rows["model"] == model, "run_id"]])
    counts = pd.crosstab(answers["label"], answers["predicted"])
    names = sorted(set(counts.index) | set(counts.columns))
    counts = counts.reindex(index=names, columns=names, fill_value=0)
    shown = answers["label"].value_counts()
    table = [
        [one, other, counts.loc[one, other], counts.loc[other, one], shown.get(one, 0) + shown.get(other, 0)]
        for place, one in enumerate(names)
        for other in names[place + 1 :]
        if counts.loc[one, other] + counts.loc[other, one]
    ]
    frame = pd.DataFrame(table, columns=["one", "other", "one_for_other", "other_for_one", "images"])
    most = (frame["one_for_other"] + frame["other_for_one"]).sort_values(ascending=False, kind="stable").index
    return frame.loc[most].reset_index(drop=True)


def calibration(rows: pd.DataFrame) -> pd.DataFrame:
    """Per run: temperature, the calibration error (shares) before and after dividing by it, and what it would be after
    it by chance, were the probabilities exact, with its standard deviation; without the runs of a time when no
    temperature was fitted."""
    table = []
    for row in rows.dropna(subset=["temperature"]).itertuples():
        answers = predictions(row.run_id)
        before, after = (
            stats.calibration_error(answers[column].to_numpy(), answers["right"].to_numpy())
            for column in ("probability", "calibrated")
        )
        by_chance = stats.calibration_by_chance(answers["calibrated"].to_numpy())
        table.append([row.model, row.seed, row.temperature, before, after, *by_chance])
    return pd.DataFrame(table, columns=["model", "seed", "temperature", "before", "after", "by chance", "chance_sd"])


def data_sets(profile: str) -> list[str]:
    """The data sets that have runs of the profile's epochs, the one with the most test images first."""
    rows = ledger.read(paths.results())
    rows = rows[(rows["profile"] == profile) & (rows["epochs"] == PROFILES[profile].epochs) & (rows["data"] != CROPPED)]
    return rows.groupby("data")["test"].max().sort_values(ascending=False).index.tolist()


def mean_errors(rows: pd.DataFrame, models: Iterable[str]) -> pd.DataFrame:
    """Per model, "not run" left empty: seeds, mean and standard deviation of the test errors in percent, parameters."""
    table = rows.groupby("model").agg(
        seeds=("seed", "nunique"), error=("test_top1_error", "mean"), sd=("test_top1_error", "std"),
        top5=("test_top5_error", "mean"), macro=("test_macro_error", "mean"), parameters=("parameters", "first"),
    )  # fmt: skip
    table = table.reindex(list(models)).rename_axis("model")
    return table.assign(seeds=table["seeds"].fillna(0).astype(int))
