"""From settings to words and back, and from a row of the ledger to its run."""

import shlex

import pytest
import torch

from seran_lib import paths
from seran_lib.commands.train import chosen
from seran_lib.commands.words import parser
from seran_lib.train.device import autocast, precision
from seran_lib.train.ledger import Results
from seran_lib.train.settings import CHOICES, IDENTITY, choices, choose, command, settings_of, to_words

CPU = torch.device("cpu")


def test_the_command_of_every_run_in_the_ledger_leads_to_that_run(tmp_path, monkeypatch):
    """So do its settings. Where this fails for a profile that was changed: give the changed one another name."""
    monkeypatch.chdir(tmp_path)
    rows = Results(paths.results()).rows()
    for data in rows["data"].unique():
        (tmp_path / data).mkdir()
    for row in rows.to_dict("records"):
        settings = settings_of(row)
        assert {name: getattr(settings, name) for name in IDENTITY} == {name: row[name] for name in IDENTITY}
        words = shlex.split(command(settings))
        assert words[:2] == ["seran", "train"]
        assert chosen(parser().parse_args(words[1:])) == settings


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"model": "seran", "seed": 3, "epochs": 2, "wiring": "port", "init": "plain", "lr": 5e-4, "out": "o"},
        {"model": "efficientnet_lite0", "recipe": "frozen", "data": "somewhere/a folder", "images_per_class": 5},
    ],
)
def test_choices_lead_back_to_the_settings(given):
    settings = choose("smoke", **{"data": "insects"} | given)
    assert choose(**choices(settings)) == settings
    assert {name: value for name, value in choices(settings).items() if name in given} == given


def test_words_say_only_what_the_profile_does_not():
    settings = choose("laptop", data="data/my insects", model="seran", images_per_class=5)
    said = "--data 'data/my insects' --model seran --seed 0 --epochs 8 --images-per-class 5"
    assert shlex.join(to_words(settings)) == f"--profile laptop {said}"


def test_a_fixed_precision_is_part_of_the_run_and_read_back_from_its_name():
    free, fixed = (choose("laptop", data="set-float32", precision=name, images_per_class=5) for name in ("", "float32"))
    assert fixed.run_id == f"{free.run_id}-float32" and free.identity() != fixed.identity()
    for settings in (free, fixed):
        row = {name: getattr(settings, name) for name in CHOICES} | {"profile": "laptop", "run_id": settings.run_id}
        assert settings_of(row | {"precision": "fp32"}).run_id == settings.run_id
    with pytest.raises(ValueError, match="unknown precision 'fp32': choose one of float32, bfloat16"):
        choose("laptop", data="set", precision="fp32")


def test_bfloat16_is_refused_where_it_is_emulated_only(monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    assert (precision(CPU), precision(CPU, "float32")) == ("fp32", "fp32")
    with pytest.raises(ValueError, match="bfloat16 is only emulated here"):
        precision(CPU, "bfloat16")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    assert (precision(CPU), precision(CPU, "float32"), precision(CPU, "bfloat16")) == ("bf16", "fp32", "bf16")
    assert not torch.is_autocast_enabled("cpu")
    with autocast(CPU, "float32"):
        assert not torch.is_autocast_enabled("cpu")


def test_an_unknown_choice_is_named():
    with pytest.raises(TypeError, match="no settings are called rate: choose from data, model"):
        choose("smoke", data="insects", rate=1.0)
