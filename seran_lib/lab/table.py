"""The generated parts of the README and `results/paper.csv`: `python -m seran_lib.lab.table` (`--check` only compares).

Every number comes from the ledger or from `paper.py`; a run nobody did is "not run".
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from seran_lib import paper
from seran_lib.nets import list_models
from seran_lib.paths import RESULTS, ROOT

from . import ledger
from .profiles import TABLE1, TABLE2, profile_table
from .stats import wilson

README = ROOT / "README.md"
PAPER_CSV = RESULTS / "paper.csv"
BENCHMARKS = ROOT / "benchmarks" / "results.csv"


def paper_csv() -> str:
    """Both tables of the paper as one CSV: table, model, and the errors in percent."""
    tables = [paper.table1().assign(table=1), paper.table2().assign(table=2)]
    return pd.concat(tables).rename_axis("model").reset_index().set_index("table").to_csv(lineterminator="\n")


def error_cell(rows: pd.DataFrame) -> str:
    """Test top-1 error in percent: one seed with its Wilson interval, several seeds as mean and standard deviation."""
    errors = rows["test_top1_error"]
    if len(rows) > 1:
        return f"{errors.mean():.2f} ± {errors.std():.2f}"
    n = int(rows["test"].iloc[0])
    low, high = wilson(round(errors.iloc[0] * n / 100), n)
    return f"{errors.iloc[0]:.2f} [{100 * low:.1f}, {100 * high:.1f}]"


def quoted_errors(model: str) -> str:
    """The paper's own errors in percent: on its test set; for the variants of Table 2, on its validation set."""
    tested, validated = paper.table1(), paper.table2()
    if model in tested.index:
        return f"{tested.loc[model, 'test_top1']:.2f} / {tested.loc[model, 'test_top5']:.2f}"
    if model in validated.index:
        return f"validation: {validated.loc[model, 'valid_top1']:.2f} / {validated.loc[model, 'valid_top5']:.2f}"
    return "–"


def group_table(rows: pd.DataFrame) -> str:
    """One Markdown table: the models of Table 1, and others that ran, on one data set, profile and number of epochs."""
    lines = [
        "| model | paper (ALA) top-1 / top-5 | ours, top-1 error % | top-5 | macro | seeds | parameters | training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    others = [model for model in (*TABLE2, *rows["model"].unique()) if model in set(rows["model"]) - set(TABLE1)]
    for model in (*TABLE1, *dict.fromkeys(others)):
        quoted = quoted_errors(model)
        mine = rows[rows["model"] == model]
        if mine.empty:
            lines.append(f"| `{model}` | {quoted} | not run | | | | | |")
            continue
        lines.append(
            f"| `{model}` | {quoted} | {error_cell(mine)} | {mine['test_top5_error'].mean():.2f} "
            f"| {mine['test_macro_error'].mean():.2f} | {len(mine)} | {mine['parameters'].iloc[0] / 1e6:.2f} M "
            f"| {mine['seconds'].mean() / 60:.1f} min |"
        )
    return "\n".join(lines)


def results_block(rows: pd.DataFrame) -> str:
    """All tables of the ledger, one per data set, profile, epochs and initialisation; the paper's own scale last."""
    rows = rows[rows["wiring"] == "paper"]
    parts = []
    for (data, profile, epochs, init), group in rows.groupby(["data", "profile", "epochs", "init"], sort=True):
        first, devices = group.iloc[0], " and ".join(sorted(group["device"].unique()))
        parts.append(
            f"**{data}**, profile `{profile}`, {epochs} epochs, `{init}` start: {first['classes']} classes, "
            f"{first['train']:,} images to train, {first['test']:,} to test; {devices}; "
            f"{group['seconds'].sum() / 60:.0f} minutes of training in all.\n\n{group_table(group)}"
        )
    if not (rows["profile"] == "paper").any():
        parts.append(
            "**The paper's own data and scale** (profile `paper`: the Atlas of Living Australia, 224 px): not run."
        )
    return "\n\n".join(parts)


def speed_block(rows: pd.DataFrame) -> str:
    """What `make bench` measured: a row a comparison, models compared alike in one, with the machine below."""
    lines = ["| what | ours | instead | times better |", "|---|---|---|---|"]
    alike = rows["what"].str.replace(rf"\b(?:{'|'.join(list_models())})\b", "{}", regex=True)
    for (what, other, unit), same in rows.groupby([alike, "instead_of", "unit"], sort=False):
        middle = same[["ours", "theirs"]].median()
        ours, theirs = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in middle)
        ratios = same["ratio"]
        said, times = same["what"].iloc[0], f"{ratios.median():.3g}"
        if len(same) > 1:
            said, times = what.format(f"{len(same)} models"), f"{times} ({ratios.min():.3g} to {ratios.max():.3g})"
        lines.append(f"| {said} | {ours} {unit} | {other}: {theirs} | {times} |")
    return "\n".join([*lines, "", f"Medians. Measured on: {', '.join(sorted(rows['machine'].unique()))}."])


def fill(text: str, name: str, content: str) -> str:
    """`text` with the part between the markers of `name` replaced. Raises ValueError where there are no markers."""
    pattern = re.compile(rf"(<!-- {name}:begin[^>]*-->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"README.md has no <!-- {name}:begin --> ... <!-- {name}:end -->")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def outputs() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    text = fill(README.read_text(encoding="utf-8"), "profiles", profile_table())
    text = fill(text, "speed", speed_block(pd.read_csv(BENCHMARKS)))
    return {
        README: fill(text, "results", results_block(ledger.read(RESULTS))),
        PAPER_CSV: paper_csv(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write what changed, or with `--check` only say so; returns 1 where a check found something stale."""
    parser = argparse.ArgumentParser(prog="python -m seran_lib.lab.table", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a file is not up to date")
    check = parser.parse_args(arguments).check
    stale = 0
    for path, content in outputs().items():
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale += 1
        name = path.relative_to(ROOT).as_posix()
        if check:
            print(f"{name} is not what the ledger says: run make table", file=sys.stderr)
        else:
            path.write_text(content, encoding="utf-8")
            print(f"wrote {name}")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
