"""A bundle says what its network is, agrees with torch, and is refused where a byte of it is not what it was."""

import json

import numpy as np
import onnx
import pytest
import torch

from seran_lib import cli
from seran_lib.data.augment import plain_view
from seran_lib.errors import DataError
from seran_lib.nets import create_model
from seran_lib.predict import export as exporting
from seran_lib.predict import load
from seran_lib.predict.bundle import ABOUT, CARD, MODEL, WEIGHTS, seal
from seran_lib.predict.export import FromPixels, export
from seran_lib.train.dataset import open_dataset
from seran_lib.train.device import pick_device
from seran_lib.train.trained import stored_weights, trained_network

CPU = torch.device("cpu")


def test_its_scores_and_masks_are_those_of_torch_prepared_as_in_training(exported, trained):
    settings, _ = trained
    bundle, dataset = load(exported), open_dataset(settings)
    network = trained_network(settings, dataset, CPU).to(memory_format=torch.contiguous_format)
    for images in (1, 5):  # any number at once
        windows = dataset.images.fetch(np.arange(images), np.full(images, 0.5))
        with torch.inference_mode():
            scores = network(plain_view(torch.from_numpy(windows), settings.size)).numpy()
        assert bundle.scores(windows) == pytest.approx(scores, abs=1e-4)
        masks = bundle.masks(windows)
        assert [mask.shape for mask in masks] == [(images, 32, 16, 16), (images, 64, 8, 8), (images, 128, 4, 4)]
        assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)


def test_a_recipe_that_mirrors_test_images_does_so_in_the_graph():
    network = create_model("resnet101", 3, width=1 / 8).eval()
    windows = torch.randint(256, (2, 73, 73, 3), dtype=torch.uint8)
    with torch.inference_mode():
        images = plain_view(windows, 64)
        ours = (network(images) + network(images.flip(3))) / 2
        theirs = FromPixels(network, 73, 64, mirrored=True)(windows)
    assert len(theirs) == 1 and theirs[0].numpy() == pytest.approx(ours.numpy(), rel=1e-4)


def test_it_says_what_it_is(exported, trained):
    settings, row = trained
    about = load(exported).about
    assert about["name"] == "insects-seran" and about["classes"] == open_dataset(settings).classes
    assert about["run"]["run_id"] == row["run_id"] and about["run"]["weights_sha256"] == stored_weights(settings)
    assert about["input"]["side"] == 73 and about["input"]["size"] == 64
    assert about["data"]["fingerprint"] == row["data_fingerprint"] and list(about["data"]["licences"]) == ["CC0-1.0"]
    assert about["accuracy"]["all"]["of"] == row["test"]
    assert 100 * (1 - about["accuracy"]["all"]["share"]) == pytest.approx(row["test_top1_error"], abs=0.01)
    assert sum(own["recognised"]["of"] for own in about["accuracy"]["species"]) == row["test"]
    assert sum(own["named"]["of"] for own in about["accuracy"]["species"]) == row["test"]
    assert about["verified"]["images"] == row["valid"] and about["verified"]["farthest_score"] < 1e-3
    onnx.checker.check_model(onnx.load(exported / MODEL), full_check=True)


def test_its_card_has_the_promise_and_a_head_that_hugging_face_reads(exported):
    yaml = pytest.importorskip("yaml")
    _, head, text = (exported / CARD).read_text(encoding="utf-8").split("---\n", 2)
    head = yaml.safe_load(head)
    assert head["pipeline_tag"] == "image-classification"
    assert head["model-index"][0]["results"][0]["metrics"][0]["type"] == "accuracy"
    assert "| asked risk | level | answered | of these wrong | promise |" in text
    assert "seran train --profile smoke --data insects --model seran" in text  # no folder of the maker's


@pytest.mark.parametrize("name", [ABOUT, MODEL, WEIGHTS, CARD])
@pytest.mark.parametrize("damage", ["cut", "a byte", "gone", "empty"])
def test_a_cut_or_changed_file_is_refused_by_name(name, damage, exported, capsys):
    file = exported / name
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-7:]
    elif damage == "a byte":
        content[len(content) // 2] ^= 1
    file.write_bytes(b"" if damage == "empty" else content)
    if damage == "gone":
        file.unlink()
    with pytest.raises(DataError, match=name):
        load(exported)
    assert cli.main(["predict", str(file), "--model", str(exported)]) == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{}", "null", '{"checksum": 1}', "\xff", "{" * 100_000])
def test_an_about_of_something_else_is_refused(content, exported):
    (exported / ABOUT).write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match="cut or changed"):
        load(exported)


def test_a_bundle_of_another_format_is_refused(exported):
    about = json.loads((exported / ABOUT).read_text(encoding="utf-8"))
    del about["checksum"]
    (exported / ABOUT).write_text(json.dumps(seal(about | {"format": 99})), encoding="utf-8")
    with pytest.raises(DataError, match="another format"):
        load(exported)


def test_where_torch_and_onnxruntime_disagree_nothing_is_left(trained, atlas, tmp_path, monkeypatch):
    _, row = trained
    normalise = exporting.normalise
    monkeypatch.setattr(exporting, "normalise", lambda images: normalise(images) * 1.01)  # a fault of the graph
    with pytest.raises(DataError, match="torch and onnxruntime disagree"):
        export(row["run_id"], tmp_path / "out", str(atlas))
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_a_failed_export_leaves_the_older_bundle(trained, atlas, exported, monkeypatch):
    _, row = trained
    monkeypatch.setattr(exporting, "TOLERANCE", 0)
    with pytest.raises(DataError, match="disagree"):
        export(row["run_id"], exported, str(atlas))
    load(exported)


def test_what_cannot_be_exported_is_said_in_a_line(trained, atlas, tmp_path, capsys):
    settings, row = trained

    def said(run_id, out, code):
        assert cli.main(["export", run_id, str(out), "--data", str(atlas)]) == code
        return capsys.readouterr().err

    assert "no run is called other" in said("other", tmp_path / "out", 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "is there, and is no bundle" in said(row["run_id"], tmp_path / "mine", 1)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (settings.folder / WEIGHTS).unlink()
    assert "are not on this machine" in said(row["run_id"], tmp_path / "out", 1)


def test_weights_of_a_repetition_are_scored_themselves(trained, tmp_path):
    settings, row = trained
    dataset = open_dataset(settings)
    network = trained_network(settings, dataset, pick_device())
    kept = exporting.part_scores(row, settings, dataset, network)
    assert kept["test"].scores.max() == 0  # distances from the best, as they are kept
    computed = exporting.part_scores(row | {"weights_sha256": "other"}, settings, dataset, network)
    for part in ("valid", "test"):
        own = computed[part].scores - computed[part].scores.max(axis=1, keepdims=True)
        assert kept[part].scores == pytest.approx(own, abs=0.1)
        assert (kept[part].targets == computed[part].targets).all()
