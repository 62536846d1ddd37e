"""Lists that must agree, and generated files that must be up to date."""

import re
import tomllib

import pytest
import yaml

from seran_lib.lab import table
from seran_lib.lab.environment import check_environment, requirements
from seran_lib.lab.notebook import CHAPTERS
from seran_lib.paths import ROOT

CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
    "playwright-python": "playwright",
}
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
    assert table.main(["--check"]) == 0, capsys.readouterr().err


def test_readme_names_files_that_exist():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).exists(), link


def test_every_notebook_is_a_chapter():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.py")} <= set(CHAPTERS)


def test_rooms_know_of_each_other_only_what_they_may():
    for room, foreign in (("data", "nets|lab"), ("nets", "data|lab")):
        for path in (ROOT / "seran_lib" / room).glob("*.py"):
            assert not re.search(rf"(from|import) (seran_lib)?\.+({foreign})\b", path.read_text()), path


def test_environment_check_passes_here_and_names_what_is_too_old(monkeypatch):
    assert "torch" in check_environment().index
    assert {r.name for r in requirements()} == {parse(line)[0] for line in PROJECT["dependencies"]}
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.0.1" if name == "fastai" else "99")
    with pytest.raises(RuntimeError, match=r"fastai>=2.8 is needed, 0.0.1 is installed"):
        check_environment()
