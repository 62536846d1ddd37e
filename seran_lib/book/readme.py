"""All that is generated from the ledger: `seran table` (`--check` only compares).

These are the generated parts of the README, `results/README.md`, `results/paper.csv` and the figures of chapters 09 and
10. Every number comes from the ledger or from `paper.py`; a run nobody did is "not run".
"""

import re
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from seran_lib import paths
from seran_lib.analysis import beyond, claims, grid, verdicts
from seran_lib.analysis import tables as report
from seran_lib.analysis.protocol import BOTH
from seran_lib.book.plots import ledger as report_figures
from seran_lib.book.plots import style
from seran_lib.nets import list_models
from seran_lib.paper import facts
from seran_lib.paths import BENCHMARKS, FIGURES, ROOT
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import FULL, PROFILES, TABLE1, TABLE2, profile_table
from seran_lib.train.settings import command, settings_of, usual

README = ROOT / "README.md"
PAPER_CSV = paths.results() / "paper.csv"


def paper_csv() -> str:
    """Both tables of the paper as one CSV: table, model, and the errors in percent."""
    tables = [facts.table1().assign(table=1), facts.table2().assign(table=2)]
    return pd.concat(tables).rename_axis("model").reset_index().set_index("table").to_csv(lineterminator="\n")


def errors_block(profile: str) -> str:
    """Tables 1 and 2 as run: a row a model, two columns a data set.

    Parameters depend on the number of classes, so all are of one set, that with the most models.
    """
    tables = {data: verdicts.mean_errors(rows, (*TABLE1, *TABLE2)) for data, rows in report.sets(profile).items()}
    counted = max(tables, key=lambda data: tables[data]["parameters"].count())
    lines = [
        "| model | paper | " + " | ".join(f"{data} | seeds" for data in tables) + f" | parameters ({counted}) |",
        "|---|--:|" + "--:|--:|" * len(tables) + "--:|",
    ]
    for model in (*TABLE1, *TABLE2):
        cells = []
        for table in tables.values():
            row = table.loc[model]
            cells += [report.error_cell(row), f"{row['seeds']:.0f}"] if row["seeds"] else ["not run", ""]
        parameters = tables[counted].loc[model, "parameters"]
        size = f"{parameters / 1e6:.2f} M" if pd.notna(parameters) else ""
        lines.append(f"| `{model}` | {report.quoted_error(model)} | {' | '.join(cells)} | {size} |")
    return "\n".join(lines)


def tables_block(profile: str) -> str:
    """Both tables, and the verdict on every claim."""
    if not report.sets(profile):
        return f"Profile `{profile}`: not run."
    rows = pd.concat(report.sets(profile).values())
    sets = "; ".join(
        f"*{data}*: {first['classes']} classes, {first['train']:,} images to train, {first['test']:,} to test"
        for data, first in rows.drop_duplicates("data").set_index("data").iterrows()
    )
    heading = f"Profile `{profile}`, {PROFILES[profile].epochs} epochs. {sets}."
    verdict = claims.verdict_table(profile)
    if (verdict["verdict"] == verdicts.NOT_RUN).all():
        return "\n\n".join([heading, errors_block(profile)])
    summary = claims.summary(verdict).rename_axis("claim").rename(columns={"says": "the paper says"}).fillna("")
    return "\n\n".join(
        [
            heading,
            errors_block(profile),
            "What became of its claims, where a claim has several contrasts with how many of them have which verdict:",
            markdown(summary.reset_index()),
            "<details><summary>The contrasts behind that</summary>",
            "Ratios of errors with 95 % intervals; *p* is after Holm's correction. *Alike* is within the margin of "
            "15 %, either way. The rules are in [protocol.py](seran_lib/analysis/protocol.py), the runs in "
            "[results/README.md](results/README.md).",
            markdown(verdict),
            "</details>",
        ]
    )


def markdown(table: pd.DataFrame) -> str:
    """A table of texts in Markdown, without its index."""
    lines = [table.columns, ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def results_block(profile: str) -> str:
    """The tables, what lies beyond them, how much of each study is run, and the tables at the paper's own scale."""
    done = grid.runs(profile)
    return "\n\n".join(
        [
            tables_block(profile),
            "Other recipes and pretrained weights ([chapter 12](notebooks/12_beyond_the_paper.ipynb)): errors, and how "
            f"many times fewer than of *{beyond.BASE.name}*.",
            ways_block(profile),
            f"Runs of the protocol that are done: {len(done)}, with {done['seconds'].sum() / 3600:.1f} hours of "
            "training, two side by side on two cores beside other work. Hours to go are of one core, at the median "
            "pace so far.",
            studies_block(grid.state(profile)),
            *full_size_blocks(profile),
        ]
    )


def full_size_blocks(profile: str) -> list[str]:
    """The tables of the full networks, and how their ratios compare with the paper's and the profile's own."""
    if profile in FULL:
        return []
    return [
        "The full networks, at 224 pixels:",
        *(tables_block(full) for full in FULL),
        *(markdown(table.reset_index()) for table in report.full_networks(profile).values()),
    ]


def ways_block(profile: str) -> str:
    """Chapter 12 in short: the recipes and pretrained weights that were run, and whether its goals are reached."""
    tables = {data: beyond.comparison(beyond.way_rows(profile, data)) for data in BOTH}
    run = [way.name for way in beyond.ways() if any(table.loc[way.name, "seeds"] for table in tables.values())]
    lines = [
        "| network, recipe | " + " | ".join(f"{data} | seeds | times fewer" for data in tables) + " |",
        "|---|" + "--:|--:|--:|" * len(tables),
    ]
    for way in run:
        cells = []
        for row in (table.loc[way] for table in tables.values()):
            times = report.interval(row["times"], row["low"], row["high"]) if pd.notna(row["low"]) else ""
            cells += [report.error_cell(row), f"{row['seeds']:.0f}", times] if row["seeds"] else ["not run", "", ""]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    goals = [
        f"{goal}, {verdict['asked']:g} times fewer, {data}: **{verdict['verdict']}**"
        for data, table in tables.items()
        for goal, verdict in beyond.goal_table(table).iterrows()
    ]
    return "\n".join([*lines, "", f"The goals of chapter 12: {'; '.join(goals)}."])


def studies_block(state: pd.DataFrame) -> str:
    """Runs done of those planned, and the hours to go: a row a study, a column a data set."""
    sets = sorted(state["data"].unique())
    lines = ["| study | asks | " + " | ".join(sets) + " |", "|---|---|" + "--:|" * len(sets)]
    for study, rows in state.groupby("study", sort=False):
        runs = {
            row["data"]: f"{row['done']} of {row['planned']}"
            + (f", {row['hours to go']:.1f} h to go" if row["hours to go"] > 0 else "")
            for _, row in rows.iterrows()
        }
        lines.append(f"| {study} | {rows['asks'].iloc[0]} | {' | '.join(runs.get(data, '') for data in sets)} |")
    return "\n".join(lines)


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


def runs_page(rows: pd.DataFrame) -> str:
    """`results/README.md`: every run with its settings, errors, files, commit and command, by data set and epochs."""
    lines = [
        "# Every run, and how to repeat it",
        "",
        "Generated by `make table` from [ledger.csv](ledger.csv), which has more columns: split, versions, device, the",
        "hash of the weights. Errors in percent. *predictions* has a row per test image, *curve* a row per epoch. In a",
        "command, DATA/ is the folder that holds the data set. Where the run's weights are not on your machine, it",
        "trains again and adds its error to [repeats.csv](repeats.csv); the ledger's stays. Commits marked + had",
        "uncommitted changes.",
        "*Rate*: the highest learning rate; what else a recipe changes is in",
        "[its file](../seran_lib/train/recipes.py).",
    ]
    for (profile, data), group in rows.groupby(["profile", "data"], sort=True):
        first = group.iloc[0]
        lines += [
            "",
            f"## {data}, profile {profile}: width x{first['width']:g}, {first['size']} px, {first['classes']} classes",
            "",
            "| model | epochs | seed | differs | rate | precision | test top-1 | top-5 | files | commit | command |",
            "|---|--:|--:|---|--:|---|--:|--:|---|---|---|",
        ]
        for _, row in group.sort_values(["epochs", "model", "init", "lr", "seed"], kind="stable").iterrows():
            files = f"[predictions](predictions/{row['run_id']}.csv.gz), [curve](curves/{row['run_id']}.csv)"
            commit = f"`{row['git_commit'][:7]}`{'+' if row['dirty'] else ''}" if row["git_commit"] else "not in git"
            said = command(settings_of(row)).replace(f"--data {data}", f"--data DATA/{data}")
            lines.append(
                f"| `{row['model']}` | {row['epochs']} | {row['seed']} | {differs(row)} "
                f"| {row['lr']:g} | {row['precision']} | {row['test_top1_error']:.2f} | {row['test_top5_error']:.2f} "
                f"| {files} | {commit} | `{said}` |"
            )
    return "\n".join(lines) + "\n"


def differs(row: pd.Series) -> str:
    """What a run has other than its profile, in words."""
    standard = usual(row["profile"], row["model"], row["recipe"])
    choices = {"recipe": "paper", "init": standard["init"], "wiring": "paper"}
    words = [f"{name} {row[name]}" for name, value in choices.items() if row[name] != value]
    return ", ".join(words + ([f"{row['images_per_class']} images a class"] if row["images_per_class"] else []))


def shown_now() -> str:
    """The profile whose results the README shows."""
    found = re.search(r"<!-- results:begin[^>]*-->\s+Profile `(\w+)`", README.read_text(encoding="utf-8"))
    return found[1] if found else "laptop"


def outputs(profile: str) -> dict[Path, str]:
    """Every generated text and what it should hold."""
    text = fill(README.read_text(encoding="utf-8"), "profiles", profile_table())
    text = fill(text, "speed", speed_block(pd.read_csv(BENCHMARKS)))
    return {
        README: fill(text, "results", results_block(profile)),
        PAPER_CSV: paper_csv(),
        paths.results() / "README.md": runs_page(Results(paths.results()).rows()),
    }


def drawings(profile: str) -> dict[Path, str]:
    """Every figure that is drawn from the ledger; another version of matplotlib draws the same in other bytes."""
    style.use_book_style()
    drawn = {}
    for name, draw in report_figures.FIGURES.items() if report.sets(profile) else ():
        figure = draw(profile)
        drawn[FIGURES / f"{name}.svg"] = style.svg(figure)
        plt.close(figure)
    return drawn
