"""Answers to images of no class: which images those are, whose weights answer, and what is refused."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest

from seran_lib import cli
from seran_lib.data.manifest import read_manifest
from seran_lib.errors import DataError
from seran_lib.explain import unknowns
from seran_lib.train import run
from seran_lib.train.dataset import open_dataset
from seran_lib.train.settings import resolve, settings_of
from seran_lib.train.trained import trained_network


def test_unknown_images_have_another_label_or_none_and_no_conflict():
    manifest = pd.DataFrame({"image_id": list("abcde"), "label": ["ant", "rare", "", "ant", "rare"]})
    manifest["label_conflict"] = [0, 0, 0, 1, 1]
    assert unknowns.unknown_images(manifest, ["ant", "bee"])["image_id"].tolist() == ["b", "c"]
    assert len(unknowns.unknown_images(manifest.drop(columns="label_conflict"), ["ant"])) == 3


def answers_and_predictions(settings, row):
    """What the network of a run says of its test images, and what the run kept."""
    dataset = open_dataset(settings)
    test = dataset.manifest[dataset.parts == "test"].reset_index(drop=True)
    kept = settings.results.predictions(settings.run_id).set_index("image_id").loc[test["image_id"]]
    return unknowns.answer(settings, dataset, test, row["temperature"]), kept


def test_the_trained_network_answers_and_its_weights_are_those_of_the_run(trained):
    answers, kept = answers_and_predictions(*trained)
    assert answers["predicted"].tolist() == kept["predicted"].tolist()
    assert np.allclose(answers["probability"], kept["probability"], rtol=1e-4)
    assert np.allclose(answers["calibrated"], kept["calibrated"], rtol=1e-3)


@pytest.mark.parametrize(("model", "recipe"), [("seran", "views"), ("efficientnet_lite0", "frozen")])
def test_it_answers_as_the_recipe_did(settings, model, recipe):
    """At the recipe's size of test images, with its mirror images, and with a linear classifier from scikit-learn."""
    chosen = resolve("smoke", data=settings.data, model=model, recipe=recipe, epochs=1)
    answers, kept = answers_and_predictions(chosen, run.run(chosen))
    assert np.allclose(answers["probability"], kept["probability"], rtol=1e-3)


def test_a_wrong_folder_is_named_without_a_traceback(capsys):
    assert cli.main(["unknowns", "--profile", "smoke", "--data", "no-such-folder"]) == 2
    assert "no-such-folder" in capsys.readouterr().err


def test_without_weights_it_says_how_to_get_them(trained):
    settings, _ = trained
    (settings.folder / run.WEIGHTS).unlink()
    with pytest.raises(DataError, match=r"not on this machine[\s\S]*Train the run again"):
        trained_network(settings, open_dataset(settings), unknowns.pick_device())


def test_the_command_refuses_a_folder_where_everything_is_known(trained, capsys):
    settings, row = trained
    assert unknowns.unknown_images(read_manifest(settings.data), open_dataset(settings).classes).empty
    assert cli.main(["unknowns", "--profile", "smoke", "--data", settings.data]) == 1
    assert "every image" in capsys.readouterr().err
    assert settings.results.rows()["run_id"].tolist() == [row["run_id"]]


def test_the_weights_of_a_repetition_do_not_answer_for_the_run(trained, capsys):
    settings, _ = trained
    path = settings.folder / run.WEIGHTS
    path.write_bytes(path.read_bytes() + b" ")
    assert cli.main(["unknowns", "--profile", "smoke", "--data", settings.data]) == 0
    assert capsys.readouterr().out.startswith("0 runs answered")


def test_the_command_answers_once_for_what_has_no_label(settings, tmp_path, capsys):
    folder = shutil.copytree(settings.data, tmp_path / "insects")
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    unknown = manifest["label"] == manifest["label"].iloc[0]
    manifest.assign(label=manifest["label"].mask(unknown, "")).to_csv(folder / "manifest.csv", index=False)
    run_id = run.run(dataclasses.replace(settings, data=str(folder)))["run_id"]
    command = ["unknowns", "--profile", "smoke", "--data", str(folder)]
    capsys.readouterr()
    assert cli.main(command) == 0 and "1 runs answered" in capsys.readouterr().out
    answers = settings.results.unknowns(run_id)
    assert sorted(answers["image_id"]) == sorted(manifest["image_id"][unknown])
    assert cli.main(command) == 0 and "0 runs answered" in capsys.readouterr().out


def test_other_settings_are_another_run(trained):
    settings, row = trained
    assert settings_of(pd.Series(row), settings.data) == dataclasses.replace(settings, batch=16)
