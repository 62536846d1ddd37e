"""From runs to verdicts on the paper's claims, by the rules of `protocol.py` and nothing else.

Every function takes `Evidence` and some of its rows, and returns a frame; a run that nobody did is missing from it, and
a contrast that lacks seeds is "not run".
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from seran_lib.analysis import stats
from seran_lib.analysis.protocol import CONTRASTS, NOT_RUN, SEEDS_NEEDED, Contrast, decide, decide_size
from seran_lib.analysis.ratios import BlockDesign, Ratio, holm, ratio_of_rates, shared_seeds
from seran_lib.analysis.select import Evidence
from seran_lib.paper import facts

PAPER_TEST, PAPER_VALID = 5118, 5119  # images; chapter 03 finds that the printed test errors are of 5,118


@cache
def paper_ratio(contrast: Contrast, noise: float = 0.0) -> Ratio:
    """The paper's own ratio of two models' errors: on test images where Table 1 has both, else on validation images;
    not a number where it has neither."""
    table1, table2 = facts.table1(), facts.table2()
    pair = [contrast.worse, contrast.better]
    if set(pair) <= set(table1.index):
        rates, n = table1.loc[pair, "test_top1"], PAPER_TEST
    else:
        rates, n = pd.concat([table1, table2])["valid_top1"].groupby(level=0).first()[pair], PAPER_VALID
    first, second = (rates * n / 100).round()
    return ratio_of_rates(first, n, second, n, noise=noise)


def contrast_table(evidence: Evidence, rows: pd.DataFrame, planned: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """One row a contrast: ours and the paper's ratio with intervals, ours also by the noise of its own two models
    (own_low, own_high), p, Holm's p over the `planned` ones, and the verdicts on direction and on the paper's size.
    Without enough seeds of both models the verdict is "not run" and the numbers are missing."""
    seeds = [shared_seeds(rows, (c.worse, c.better)) for c in CONTRASTS]
    enough = [shared >= SEEDS_NEEDED for shared in seeds]
    design = BlockDesign(rows) if any(enough) else None
    ours = [error_ratio(evidence, design, rows, c) if run else None for c, run in zip(CONTRASTS, enough, strict=True)]
    directed = [k for k, c in enumerate(CONTRASTS) if ours[k] and not c.tie]
    family = sum(not c.tie for c in planned)
    corrected = dict(zip(directed, holm([ours[k].p for k in directed], family), strict=True))
    table = []
    for k, (contrast, ratio) in enumerate(zip(CONTRASTS, ours, strict=True)):
        theirs = paper_ratio(contrast)
        row = {"claim": contrast.claim, "worse": contrast.worse, "better": contrast.better, "tie": contrast.tie}
        row |= {"paper": theirs.ratio, "paper_low": theirs.low, "paper_high": theirs.high, "verdict": NOT_RUN}
        row |= {"seeds": seeds[k], "size": ""}
        if ratio:
            row |= {"ours": ratio.ratio, "low": ratio.low, "high": ratio.high, "p": ratio.p, "holm": corrected.get(k)}
            row |= {"verdict": decide(ratio, corrected.get(k, np.nan), tie=contrast.tie)}
            row |= {"size": decide_size(ratio, theirs)}
            _, row["own_low"], row["own_high"] = design.ratio_by_own_seeds(contrast.worse, contrast.better)
        table.append(row)
    columns = ["ours", "low", "high", "own_low", "own_high", "p", "holm"]
    return pd.DataFrame(table).reindex(columns=[*dict.fromkeys([*table[0], *columns])])


def error_ratio(evidence: Evidence, design: BlockDesign, rows: pd.DataFrame, contrast: Contrast) -> Ratio:
    """The ratio of two models' errors by the block design of the rows; its interval is no shorter than the choice of
    test images makes it."""
    images = images_sd(paired_tests(evidence, rows, [contrast])).item()
    return design.ratio(contrast.worse, contrast.better, least_sd=images)


def paired_tests(evidence: Evidence, rows: pd.DataFrame, contrasts: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """McNemar's test of every contrast and seed that both models have: what a reader of that one run would have
    said. Columns worse, better, seed, points, sampling_sd, log_sd and p."""
    runs = {(row.model, row.seed): row.run_id for row in rows.itertuples()}
    table = []
    for contrast in contrasts:
        for seed in sorted(rows["seed"].unique()):
            pair = [runs.get((model, seed)) for model in (contrast.worse, contrast.better)]
            if None in pair:
                continue
            first, second = map(evidence.results.predictions, pair)
            if not first["image_id"].equals(second["image_id"]):
                raise ValueError(f"{pair[0]} and {pair[1]} were tested on different images: run them on one data set")
            test = stats.mcnemar(~first["right"], ~second["right"])
            row = {"worse": contrast.worse, "better": contrast.better, "seed": seed}
            table.append(row | {name: getattr(test, name) for name in ("points", "sampling_sd", "log_sd", "p")})
    return pd.DataFrame(table, columns=["worse", "better", "seed", "points", "sampling_sd", "log_sd", "p"])


def corrected_tests(evidence: Evidence, rows: pd.DataFrame, contrasts: Sequence[Contrast] = CONTRASTS) -> pd.DataFrame:
    """The `paired_tests` with a column holm: Holm's p, seed by seed, over all `contrasts`."""
    tests = paired_tests(evidence, rows, contrasts)
    if tests.empty:
        return tests.assign(holm=[])
    return tests.assign(holm=tests.groupby("seed")["p"].transform(lambda p: holm(p, len(contrasts))))


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


def training_noise(evidence: Evidence, rows: pd.DataFrame) -> float:
    """What training, without the choice of test images, adds to the logarithm of one run's error: a standard deviation.

    The variance of the block design's rest, less the part that test images explain, half of that of a ratio.
    """
    tests = paired_tests(evidence, rows)
    explained = np.nan_to_num((tests["log_sd"] ** 2).mean() / 2)  # where no contrast has both its models
    return float(np.sqrt(max(BlockDesign(rows).noise ** 2 - explained, 0)))


def change_of_ratio(first: pd.DataFrame, second: pd.DataFrame, worse: str, better: str) -> Ratio | None:
    """(worse / better) in the first runs over (worse / better) in the second, None without enough seeds of all four.

    Above 1 where the gap is wider in the first. Claim C5 asks this of few and of many epochs or images, and C8 of the
    errors within look-alikes and of the others (`errors.look_alike_errors`).
    """
    runs = pd.concat([first.assign(part="first"), second.assign(part="second")])
    runs, by = runs[runs["model"].isin([worse, better])], ["model", "part"]
    weights = {(worse, "first"): 1, (better, "first"): -1, (worse, "second"): -1, (better, "second"): 1}
    if shared_seeds(runs, weights, by) < SEEDS_NEEDED:
        return None
    return BlockDesign(runs, by).contrast(weights)


def look_alike_ratio(errors: pd.DataFrame) -> Ratio | None:
    """(without SE / SERAN-D) among errors within look-alikes over the same among other errors; C8 wants it above 1."""
    within, other = (errors[errors["kind"] == kind] for kind in ("within", "other"))
    return change_of_ratio(within, other, "seran_d_no_se", "seran_d")
