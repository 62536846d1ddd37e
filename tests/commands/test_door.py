"""The one door: quick help, one line for a typing error, one meaning of every exit code."""

import os
import subprocess
import sys

import pytest

from seran_lib import cli, paths
from seran_lib.commands import words
from seran_lib.errors import CheckpointError, DataError
from seran_lib.nets import list_models
from seran_lib.nets.specs import PRETRAINED
from seran_lib.paths import ROOT
from seran_lib.train.profiles import PROFILES
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import CHOICES

SLOW = {"torch", "fastai", "pandas", "numpy", "matplotlib", "papermill", "requests", "timm", "sklearn", "PIL"}
COMMANDS = ("data", "train", "cost", "predict", "export", "look", "unknowns", "notebook", "table", "pair", "demo")


@pytest.mark.parametrize(
    "asked", [["--help"], ["train", "--help"], ["data", "plan", "--help"], ["train", "--sed", "1"]]
)
def test_help_and_typing_errors_import_nothing_slow(asked):
    command = [sys.executable, "-X", "importtime", "-m", "seran_lib", *asked]
    told = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in told.stderr.splitlines() if "|" in line}
    assert "argparse" in imported and not imported & SLOW
    assert told.returncode == (0 if "--help" in asked else 2)


@pytest.mark.parametrize("command", [*COMMANDS, "data plan", "data fetch", "data verify", "data curate", "data split"])
def test_every_command_has_help_with_an_example(command, capsys):
    assert cli.main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: seran {command} ")
    assert f"\n  seran {command} " in said or f"\n  seran {command}\n" in said


def test_help_names_every_command_and_no_command_shows_it_all(capsys):
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"    {command} " in said for command in COMMANDS)
    assert cli.main([]) == 2
    assert capsys.readouterr().out == said


def test_the_help_of_train_names_every_choice_and_every_setting(capsys):
    cli.main(["train", "--help"])
    said = capsys.readouterr().out.replace(",", " ").replace(";", " ").split()
    assert {*list_models(), *PRETRAINED, *PROFILES, *RECIPES} <= set(said)
    settings = words.parser().parse_args(["train"])
    standard = CHOICES | {"profile": "smoke"}
    assert {name: getattr(settings, name) for name in standard} == standard


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("trian", "seran: unknown command 'trian' (choose from 'data', 'train', 'cost'"),
        ("data plam x", "seran data: unknown command 'plam' (choose from 'plan', 'fetch'"),
        ("train --sed 1", "seran train: unknown word '--sed', did you mean --seed? See seran train --help"),
        ("train --seed one", "seran train: --seed: invalid int value: 'one'"),
        ("train --profile huge", "seran train: unknown profile 'huge': choose one of smoke, laptop, colab, paper"),
        ("train --model vgg", "seran train: unknown model 'vgg': choose one of resnet101"),
        ("train --recipe cake", "seran train: unknown recipe 'cake': choose one of paper"),
        ("table --profile smoke", "seran table: --profile: 'smoke' has no results: choose one of laptop"),
        ("data plan x --source gbif", "seran data plan: --source: invalid choice: 'gbif' (choose from 'ala', 'demo')"),
        ("data plan x --since May", "seran data plan: --since: 'May': write a day as 2000-01-31"),
        ("data fetch", "seran data fetch: the following arguments are required: FOLDER"),
    ],
)
def test_a_typing_error_gets_one_line_with_the_choices(typed, message, capsys):
    assert cli.main(typed.split()) == 2
    told = capsys.readouterr()
    assert told.err.startswith(message) and told.err.count("\n") == 1 and not told.out


def test_a_name_may_begin_with_a_dash_and_have_any_letters(capsys):
    assert cli.main(["train", "--data=-ungewöhnlicher ordner"]) == 2
    assert "'-ungewöhnlicher ordner' is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("no pictures"), 1, "no pictures"),
        (CheckpointError("full"), 1, "full"),
        (FloatingPointError("the loss is NaN"), 1, "the loss is NaN"),
        (PermissionError(13, "Permission denied", "x"), 1, "Permission denied: 'x'"),
        (ValueError("unknown"), 2, "unknown"),
        (KeyboardInterrupt(), 130, "interrupted. Give the same command again to resume"),
    ],
)
def test_every_error_has_its_exit_code_and_one_line(error, code, message, monkeypatch, capsys):
    def fails(options):
        raise error

    monkeypatch.setattr("seran_lib.commands.train.train", fails)
    assert cli.main(["train"]) == code
    told = capsys.readouterr().err
    assert told.startswith("seran train: ") and message in told and told.count("\n") == 1


@pytest.mark.parametrize("command", ["table", "pair", "notebook 08_train_one"])
def test_where_there_is_no_clone_it_says_so(command, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr("seran_lib.book.execute.NOTEBOOKS", tmp_path / "notebooks")
    assert cli.main(command.split()) in (1, 2)
    assert "clone its repository" in capsys.readouterr().err


def test_without_a_clone_results_lie_where_it_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERAN_RUNS", raising=False)
    assert (paths.results(), paths.runs()) == (tmp_path.resolve() / "results", tmp_path.resolve() / "runs")
