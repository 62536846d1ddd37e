"""Looking at a run: networks that were made to read one thing are found out, and the rows are the run's own."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from seran_lib import cli
from seran_lib.errors import DataError
from seran_lib.explain import measure as look
from seran_lib.explain import places
from seran_lib.explain.edits import EDITS, make_scenes
from seran_lib.explain.errors import MASK_EDITS, answers, error_rows
from seran_lib.explain.regions import find_regions
from seran_lib.explain.subject import Subject, make_subject
from seran_lib.train import run
from seran_lib.train.dataset import open_dataset
from seran_lib.train.ledger import Results
from seran_lib.train.settings import resolve

SIDE, N = 32, 24


class Reads(nn.Module):
    """Names class 1 where a corner of the picture, given by two slices, is bright, else class 0."""

    def __init__(self, rows: slice, columns: slice):
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, images):
        brightness = images[:, :, self.rows, self.columns].mean((1, 2, 3))
        return torch.stack([-brightness, brightness], dim=1)


INSECT, LABEL = (slice(2, 14), slice(10, 22)), (slice(24, 32), slice(0, 8))


@pytest.fixture(scope="module")
def subject():
    """Two classes on a grey sheet: class 1 has a bright insect and a bright label, class 0 dark ones."""
    targets = np.arange(N) % 2
    pictures = np.full((N, SIDE, SIDE, 3), 118, dtype=np.uint8)
    insect, furniture = np.zeros((2, N, SIDE, SIDE), dtype=bool)
    insect[:, *INSECT], furniture[:, *LABEL] = True, True
    for picture, target in zip(pictures, targets, strict=True):
        picture[INSECT] = picture[LABEL] = 250 if target else 10
    scenes = make_scenes(pictures, insect, furniture, seed=0)
    return Subject(scenes, insect, targets, np.roll(np.arange(N), 1), SIDE, 10, False, "", torch.device("cpu"))


@pytest.mark.parametrize(
    ("read", "insect_erased", "label_erased", "other_sheet"), [(INSECT, 0.5, 0, 0), (LABEL, 0, 0.5, 1)]
)
def test_what_a_network_reads_is_found_out(subject, read, insect_erased, label_erased, other_sheet):
    rows = error_rows(Reads(*read).eval(), subject)
    found = {(row["measure"], row["subject"]): row["value"] for row in rows}
    assert found["wrong", "as it is"] == found["wrong", "as much erased beside it"] == 0
    assert found["wrong", "insect erased"] == found["wrong", "only label and ruler, on grey"] == insect_erased
    assert found["wrong", "label and ruler covered"] == found["wrong", "only the insect, on grey"] == label_erased
    assert found["over control", "insect erased"] == insect_erased
    assert found["over control", "label and ruler covered"] == label_erased
    for measure in ("wrong", "follows"):  # who reads the label names the species of the sheet
        assert found[measure, "insect on another kind's sheet"] == other_sheet


@pytest.fixture(scope="module")
def trained(atlas, tmp_path_factory):
    """Settings and data of a finished run of two epochs, its folder and results away from the repository's."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trained")
        patch.setenv("SERAN_RUNS", str(folder))
        patch.setattr(look, "DRAWS", 1)
        patch.setattr(look, "CALIBRATION_BATCHES", 2)
        patch.setattr(places, "ROAD_IMAGES", 4)
        settings = dataclasses.replace(resolve("smoke", data=str(atlas), model="seran_d", epochs=1), batch=16)
        data = open_dataset(settings)
        yield settings, data, run.run(settings, data)


@pytest.fixture(scope="module")
def table(trained):
    return look.look(*trained[:2])


def test_every_question_has_its_rows_and_every_value_its_place(table):
    assert set(table["kind"]) == {"regions", "place", "mask", "error", "road", "gate"}
    assert not table.duplicated(["kind", "subject", "variant", "measure"]).any()
    assert table["value"].notna().all()
    intervals = table[table["kind"] != "gate"]
    assert ((intervals["low"] <= intervals["value"] + 1e-9) & (intervals["value"] <= intervals["high"] + 1e-9)).all()
    assert set(table["run_id"]) == {"insects-smoke-seran_d-e1-s0-zero"}


def test_the_picture_as_it_is_errs_as_the_ledger_says(trained, table):
    row = table[(table["subject"] == "as it is") & (table["measure"] == "wrong")].iloc[0]
    assert 100 * row["value"] == pytest.approx(trained[2]["test_top1_error"], abs=0.01)
    assert row["images"] == trained[2]["test"]


def test_the_gain_is_trained_less_random(table):
    masks = table[(table["subject"] == "all masks") & (table["measure"] == "separation")].set_index("variant")["value"]
    assert masks["gain"] == pytest.approx(masks["trained"] - masks["random"])
    assert masks["random"] == pytest.approx(masks["random 0"])
    single = table[(table["kind"] == "place") & (table["measure"] == "separation") & (table["variant"] == "trained")]
    single = single[single["subject"].isin([f"mask {name}" for name in ("1a", "2a", "2b", "3a")])]
    assert masks["trained"] == pytest.approx(single["value"].mean())


def test_chance_is_the_insects_share(table):
    values = table[table["subject"] == "chance"].set_index("measure")["value"]
    share = table[(table["subject"] == "insect") & (table["measure"] == "share of picture")]["value"].item()
    assert values["pointing"] == pytest.approx(share)
    assert values["separation"] == pytest.approx(0.5)


def test_random_networks_differ_from_draw_to_draw_and_draw_0_has_the_first_weights(trained):
    settings, data, _ = trained
    first, second = (look.random_network(settings, data, draw) for draw in (0, 1))
    own = look.build_model(settings, len(data.classes), torch.device("cpu"))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), own.parameters(), strict=True))
    assert not torch.equal(first.stem[0].weight, second.stem[0].weight)
    assert not torch.equal(first.norm.running_mean, own.norm.running_mean), "it has seen images"


def test_masks_of_another_image_are_another_classs(trained):
    settings, data, _ = trained
    subject = make_subject(settings, data, find_regions(data))
    assert (subject.targets[subject.others] != subject.targets).all()
    model = look.trained_network(settings, data, torch.device("cpu"))
    seen, plain = [], EDITS["as it is"]
    watched = answers(model, subject, plain, lambda mask, other: seen.append((mask, other)) or mask)
    assert np.array_equal(watched, answers(model, subject, plain))
    assert all(mask.shape == other.shape and not torch.equal(mask, other) for mask, other in seen)
    mask = torch.rand(2, 3, 4, 4)
    assert not MASK_EDITS["masks off"](mask, mask).any()
    levelled = MASK_EDITS["masks levelled"](mask, mask)
    assert levelled.std((2, 3)).max() < 1e-6 and torch.allclose(levelled.mean((2, 3)), mask.mean((2, 3)))


def test_gates_between_classes_by_hand():
    gates = np.array([[0.0, 1.0], [0.0, 3.0], [4.0, 1.0], [4.0, 3.0]])
    assert look.between(gates, np.array([0, 0, 1, 1])) == pytest.approx(16 / 20)
    assert look.between(gates, np.array([0, 1, 0, 1])) == pytest.approx(4 / 20)


def test_a_set_without_outlines_is_refused(trained):
    settings, data, _ = trained
    found = find_regions(data)
    nothing = dataclasses.replace(found, usable=np.zeros_like(found.usable), exact=False)
    with pytest.raises(DataError, match=r"found in 0 of \d+ test images: too few"):
        make_subject(settings, data, nothing)


def test_weights_that_are_not_the_ledgers_are_refused(trained, monkeypatch):
    settings, data, _ = trained
    look.check_weights(settings, data)
    monkeypatch.setattr(look, "stored_weights", lambda settings: "0" * 64)
    with pytest.raises(look.CheckpointError, match=r"of a repetition. Delete the row from .*ledger.csv"):
        look.check_weights(settings, data)


def test_command_says_what_is_missing(settings, capsys):
    command = ["look", "--data", settings.data, "--model", "seran", "--epochs", "2"]
    assert cli.main(command) == 1
    assert "are not on this machine" in capsys.readouterr().err
    assert cli.main(["look", "--data", "no/such/folder"]) == 2
    assert "'no/such/folder' is not a folder" in capsys.readouterr().err
    assert cli.main(["look", "--data", settings.data, "--model", "efficientnet_lite0", "--recipe", "finetune"]) == 2
    assert "efficientnet_lite0 has other stages" in capsys.readouterr().err


def test_by_a_recipe_with_mirror_images_and_another_size_the_answers_are_the_runs_too(trained):
    settings, data, _ = trained
    views = dataclasses.replace(settings, model="seran", recipe="views", init="zero", lr=4e-3)
    row = run.run(views, data)
    subject = make_subject(views, data, find_regions(data))
    given = answers(look.trained_network(views, data, torch.device("cpu")), subject, EDITS["as it is"])
    assert 100 * (given != subject.targets).mean() == pytest.approx(row["test_top1_error"], abs=0.01)
    assert subject.mirrored and subject.size > settings.size


def test_command_keeps_what_it_saw(trained, table, monkeypatch, capsys):
    settings = trained[0]
    command = ["look", "--data", settings.data, "--model", "seran_d", "--epochs", "1"]
    monkeypatch.setattr(look, "look", lambda *_: table)
    assert cli.main(command) == 0 and "written: " in capsys.readouterr().out
    assert len(settings.results.looks()) == len(table)


def test_kept_tables_are_read_together(table, tmp_path):
    results = Results(tmp_path)
    assert results.looks().empty and "value" in results.looks()
    for name in ("a", "b"):
        results.save("looks", name, table.assign(run_id=name))
    both = results.looks()
    assert len(both) == 2 * len(table) and both["run_id"].unique().tolist() == ["a", "b"]
    pd.testing.assert_series_equal(both["variant"][: len(table)], table["variant"], check_dtype=False)
    np.testing.assert_allclose(both["value"][: len(table)], table["value"], rtol=1e-5)
