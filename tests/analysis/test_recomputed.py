"""The committed tables, recomputed from the predictions by another hand: pandas, scipy and statsmodels, and nothing of
the library. A mistake in its own statistics would have to be made twice to pass."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

ROOT = Path(__file__).parents[2]
NAMES = {
    "ResNet-101": "resnet101", "ResNet-152": "resnet152", "Attention-92": "attention92",
    "SE-ResNet-101": "se_resnet101", "SENet-154": "senet154", "SERAN": "seran", "SERAN-D": "seran_d",
    "SERAN-D, no SE": "seran_d_no_se", "SERAN-D, no attention": "seran_d_no_attention",
    "SERAN-D, mean pool": "seran_d_avg_pool",
}  # fmt: skip
SETS = ("butterfly100", "heliconius")
NUMBER = re.compile(r"[+-]?\d+\.\d+")


@cache
def runs(data):
    """The runs of Tables 1 and 2 on a data set, chosen by what protocol 1 says of them, with their wrong answers."""
    rows = pd.read_csv(ROOT / "results" / "ledger.csv", keep_default_na=False).drop_duplicates("run_id", keep="last")
    usual = {"profile": "laptop", "data": data, "epochs": "8", "recipe": "paper", "wiring": "paper", "init": "plain"}
    usual |= {"images_per_class": "0", "lr": "0.001"}
    for column, value in usual.items():
        rows = rows[rows[column].astype(str) == value]
    rows = rows[rows["model"].isin(NAMES.values())].set_index(["model", "seed"])
    found = {}
    for row in rows.itertuples():
        answers = pd.read_csv(ROOT / "results" / "predictions" / f"{row.run_id}.csv.gz", dtype=str)
        answers = answers.set_index("image_id").sort_index()
        found[row.Index] = answers["label"] != answers["predicted"]
    return found


@cache
def design(data):
    """Logarithms of the errors (seed, model), the pooled noise and its degrees of freedom, by least squares."""
    table = pd.DataFrame(
        [
            {"model": model, "seed": seed, "y": np.log((wrong.sum() + 0.5) / (len(wrong) + 1))}
            for (model, seed), wrong in runs(data).items()
        ]
    )
    fit = ols("y ~ C(model) + C(seed)", table).fit()
    return table.pivot(index="seed", columns="model", values="y"), np.sqrt(fit.mse_resid), fit.df_resid


def images_sd(data, worse, better):
    """What the choice of test images alone does to the mean logarithm of the ratio: by the delta method, from pairs."""
    variances = []
    for model, seed in runs(data):
        if model == worse and (better, seed) in runs(data):
            a, b = runs(data)[worse, seed], runs(data)[better, seed]
            variances.append((a != b).sum() / ((a.sum() + 0.5) * (b.sum() + 0.5)))
    return np.sqrt(sum(variances)) / len(variances)


def printed_contrasts():
    """The contrasts behind the verdicts as README prints them."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| claim | contrast | data |"))
    header = [cell.strip() for cell in lines[start].strip("|").split("|")]
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        row = dict(zip(header, (cell.strip() for cell in line.strip("|").split("|")), strict=True))
        if found := re.fullmatch(r"(.+) (worse than|like) (.+)", row["contrast"]):
            yield row | {"worse": NAMES[found[1]], "better": NAMES[found[3]], "tie": found[2] == "like"}


@pytest.mark.parametrize("data", SETS)
def test_ratios_intervals_and_corrected_p_are_those_of_the_predictions(data):
    rows = [row for row in printed_contrasts() if row["data"] == data]
    assert len(rows) == 13
    logs, noise, freedom = design(data)
    p = {}
    for row in rows:
        pair = (logs[row["worse"]] - logs[row["better"]]).dropna()
        sd = max(noise * np.sqrt(2 / len(pair)), images_sd(data, row["worse"], row["better"]))
        low, high = np.exp(pair.mean() + np.array([-1, 1]) * stats.t.ppf(0.975, freedom) * sd)
        assert row["ours"] == f"{np.exp(pair.mean()):.2f} [{low:.2f}, {high:.2f}]", row
        own = stats.t.interval(0.95, len(pair) - 1, pair.mean(), pair.sem())
        assert row["by their noise"] == "[{:.2f}, {:.2f}]".format(*np.exp(own)), row
        assert int(row["seeds"]) == len(pair)
        if not row["tie"]:
            p[row["contrast"]] = 2 * stats.t.sf(abs(pair.mean()) / sd, freedom)
    for contrast, corrected in zip(p, multipletests(list(p.values()), method="holm")[1], strict=True):
        printed = next(row["p"] for row in rows if row["contrast"] == contrast)
        assert printed == (f"{corrected:.3f}" if corrected >= 0.001 else "< 0.001"), contrast


@pytest.mark.parametrize("data", SETS)
def test_errors_and_their_spread_are_those_of_the_predictions(data):
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| model | paper, test |"))
    header = [cell.strip() for cell in lines[start].strip("|").split("|")]
    for line in lines[start + 2 : start + 2 + len(NAMES)]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        errors = [100 * w.mean() for (model, _), w in runs(data).items() if model == cells[0].strip("`")]
        place = header.index(data)
        assert cells[place] == f"{np.mean(errors):.1f} ± {np.std(errors, ddof=1):.1f}", cells
        assert int(cells[place + 1]) == len(errors)


def printed_single_runs(data):
    """What single runs would have said, as chapters 09 and 10 show it: points seed by seed, significant either way."""
    for chapter in ("09_table1", "10_table2_ablations"):
        cells = json.loads((ROOT / f"notebooks/{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
        for output in (output for cell in cells for output in cell.get("outputs", [])):
            lines = "".join(output.get("data", {}).get("text/markdown", "")).splitlines()
            if lines and lines[0].startswith(f"| {data} | points, seed by seed"):
                yield from ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:])


@pytest.mark.parametrize("data", SETS)
def test_what_single_runs_would_have_said_is_mcnemars_test_with_holms_correction(data):
    pairs = [(row["worse"], row["better"]) for row in printed_contrasts() if row["data"] == data]
    tests = {}
    for seed in sorted({seed for _, seed in runs(data)}):
        made = {}
        for worse, better in pairs:
            if (worse, seed) in runs(data) and (better, seed) in runs(data):
                a, b = runs(data)[worse, seed], runs(data)[better, seed]
                assert a.index.equals(b.index)
                table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
                made[worse, better] = 100 * (a.mean() - b.mean()), mcnemar(table, exact=True).pvalue
        family = [p for _, p in made.values()] + [1.0] * (len(pairs) - len(made))
        corrected = multipletests(family, method="holm")[1]
        for (pair, (points, _)), p in zip(made.items(), corrected, strict=False):
            tests.setdefault(pair, []).append((points, p < 0.05))
    shown = list(printed_single_runs(data))
    assert len({row[0] for row in shown}) == len(pairs)
    for name, points, worse, better, seeds in shown:
        mine = tests[tuple(NAMES[one] for one in name.split(" – "))]
        assert points == ", ".join(f"{value:+.1f}" for value, _ in mine), name
        assert int(worse) == sum(found and value > 0 for value, found in mine), name
        assert int(better) == sum(found and value < 0 for value, found in mine), name
        assert int(seeds) == len(mine)
