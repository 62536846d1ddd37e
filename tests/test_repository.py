"""Lists that must agree, and generated files that must be up to date."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib
import pytest
import yaml
from matplotlib import ft2font

from seran_lib import cli, paths
from seran_lib.book import readme
from seran_lib.book.environment import check_environment, requirements
from seran_lib.book.notebook import CHAPTERS
from seran_lib.book.plots import ledger as report_figures
from seran_lib.paths import ROOT
from seran_lib.train.evaluate import TOP
from seran_lib.train.ledger import Results

CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
    "playwright-python": "playwright",
}
NUMBER = re.compile(r"-?\d+\.\d+")  # in an SVG
DRAWN_WITH = ("3.11.2", "2.14.3")  # matplotlib and FreeType of the committed figures
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def parse(text):
    name, bound = re.fullmatch(r"([a-zA-Z0-9_-]+)\s*>=\s*([\d.]+)", text.strip()).groups()
    return CONDA_NAMES.get(name, name.replace("_", "-")), bound


def test_environment_yml_lists_what_pyproject_lists():
    """All but what only clusters and benchmarks need, which conda-forge has not."""
    extras = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + extras["book"] + extras["batch"] + extras["test"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    listed = [line for line in conda if isinstance(line, str) and line != "pip"]
    *from_pypi, ourselves = conda[-1]["pip"]  # what conda-forge has not
    assert ourselves == "--editable .", "pip allows no other option on this line of a requirements file"
    listed += from_pypi
    assert dict(map(parse, listed)) == dict(map(parse, wanted)) | {"python": PROJECT["requires-python"][2:]}


def test_citation_has_the_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["preferred-citation"]["doi"] == "10.1109/icip.2019.8803746"


def test_readme_and_paper_csv_are_what_ledger_and_paper_say(capsys):
    assert cli.main(["table", "--check"]) == 0, capsys.readouterr().err


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """What `make table` writes is written here, quick parts of it only; what it reads is the repository's."""
    for name, path in (("ROOT", "."), ("README", "README.md"), ("FIGURES", "figures")):
        monkeypatch.setattr(readme, name, tmp_path / path)
    for folder in ("results", "figures"):
        (tmp_path / folder).mkdir()
    shutil.copy(paths.results() / "ledger.csv", tmp_path / "results")
    for folder in ("curves", "predictions"):
        (tmp_path / "results" / folder).symlink_to(paths.results() / folder)
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    shutil.copy(ROOT / "README.md", tmp_path)
    quick = {name: report_figures.FIGURES[name] for name in ("fig10_losses", "fig10_species")}
    monkeypatch.setattr(report_figures, "FIGURES", quick)
    monkeypatch.setattr(readme, "results_block", lambda evidence: f"Profile `{evidence.profile}`, of today.")
    return tmp_path


def test_make_table_writes_what_is_stale_and_then_nothing(elsewhere, capsys):
    assert cli.main(["table"]) == 0
    written = ["README.md", "results/paper.csv", "results/README.md"]
    assert capsys.readouterr().out.splitlines() == [f"wrote {name}" for name in written]
    assert "Profile `laptop`, of today." in (elsewhere / "README.md").read_text(encoding="utf-8")
    assert cli.main(["table"]) == 0
    assert capsys.readouterr().out == ""
    assert cli.main(["table", "--figures"]) == 0
    drawn = ["figures/fig10_losses.svg", "figures/fig10_species.svg"]
    assert capsys.readouterr().out.splitlines() == [f"wrote {name}" for name in drawn]


@pytest.mark.skipif(
    (matplotlib.__version__, ft2font.__freetype_version__) != DRAWN_WITH,
    reason=f"another matplotlib or FreeType than {DRAWN_WITH} draws the same in other bytes",
)
@pytest.mark.parametrize("name", report_figures.FIGURES)
def test_committed_figures_are_what_the_ledger_says(name, monkeypatch):
    monkeypatch.setattr(report_figures, "FIGURES", {name: report_figures.FIGURES[name]})
    ((path, drawing),) = readme.drawings(readme.shown_now()).items()
    stored = path.read_text(encoding="utf-8")
    # processors round a coordinate's last digit one way or the other
    assert NUMBER.sub("", stored) == NUMBER.sub("", drawing), "run make figures"
    drawn, there = ([float(number) for number in NUMBER.findall(text)] for text in (drawing, stored))
    assert drawn == pytest.approx(there, abs=1e-3), "run make figures"


def test_every_run_in_the_ledger_has_the_errors_that_its_answers_have():
    for row in Results(paths.results()).rows().itertuples():
        answers = Results(paths.results()).predictions(row.run_id)
        wrong = answers["label"] != answers["predicted"]
        errors = {"test": len(answers), "test_top1_error": 100 * wrong.mean()}
        errors["test_macro_error"] = 100 * wrong.groupby(answers["label"]).mean().mean()
        if "label_rank" in answers:
            errors["test_top5_error"] = 100 * (answers["label_rank"] > TOP).mean()
        assert errors == pytest.approx({name: getattr(row, name) for name in errors}, abs=1e-4), row.run_id


def test_repetitions_and_looks_are_of_runs_in_the_ledger():
    runs = set(Results(paths.results()).rows()["run_id"])
    assert set(Results(paths.results()).repeats()["run_id"]) <= runs
    assert {path.stem for path in (paths.results() / "looks").iterdir()} <= runs
    assert set(Results(paths.results()).looks()["run_id"]) <= runs


def test_readme_names_files_and_sections_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sections = {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall("^#+ (.+)$", text, re.M)}
    for file, section in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        assert (ROOT / file).exists(), file
        assert not section or section in sections, section


def test_every_notebook_is_a_chapter():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.py")} <= set(CHAPTERS)


def test_environment_check_passes_here_and_names_what_is_too_old(monkeypatch):
    assert "torch" in check_environment().index
    assert {r.name for r in requirements()} == {parse(line)[0] for line in PROJECT["dependencies"]}
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.1" if name == "fastai" else "99")
    with pytest.raises(RuntimeError, match=r"fastai>=2.8 is needed, 0.0.1 is installed"):
        check_environment()


def asked_of_make(*words):
    """The words of the last command that make would give to the shell."""
    ready = Path(sys.prefix) / ".ready"  # what is installed is taken as it is
    command = ["make", "--no-print-directory", "--dry-run", "--old-file", str(ready), f"VENV={sys.prefix}", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of make test
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
    return shlex.split(done.stdout.splitlines()[-1])


def test_make_table_shows_the_profile_that_was_asked_for():
    assert asked_of_make("table", "PROFILE=paper")[-2:] == ["--profile", "paper"]
    assert asked_of_make("table")[-1] == "table"


def test_make_clean_leaves_what_took_long():
    remove, *removed = asked_of_make("clean")
    assert remove == "rm" and "runs" in removed
    assert not {"results", "figures", "data", ".venv", ".", "*"} & {path.rstrip("/") for path in removed}
