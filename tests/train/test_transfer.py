"""Transfer: scikit-learn's regression as the last layer of the network, its strength chosen by validation images."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from seran_lib.book.plots.training import plot_curves
from seran_lib.data.loaders import PackedLoader
from seran_lib.nets.pretrained import create_pretrained
from seran_lib.train import run, transfer
from seran_lib.train.dataset import open_dataset
from seran_lib.train.settings import resolve

CPU = torch.device("cpu")


@pytest.fixture
def frozen(settings):
    """Frozen features of the small drawn set, results below tmp_path."""
    return dataclasses.replace(
        resolve("smoke", data=settings.data, model="efficientnet_lite0", recipe="frozen"), size=64
    )


@pytest.mark.parametrize("classes", [2, 5])
def test_the_last_layer_says_what_scikit_learn_says(classes):
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (60, 4)) * [1, 10, 100, 0.1]
    targets = np.arange(60) % classes
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression().fit(scaler.transform(features), targets)
    probe = transfer.LinearProbe.of(scaler, regression)
    with torch.autocast("cpu", torch.bfloat16):
        scores = probe(torch.from_numpy(features).float())
    assert scores.dtype == torch.float32 and scores.shape == (60, classes)
    expected = regression.predict_proba(scaler.transform(features))
    np.testing.assert_allclose(scores.softmax(1).detach().numpy(), expected, atol=1e-4)


def test_a_frozen_run_is_a_row_like_any_other(frozen, capsys):
    dataset = open_dataset(frozen)
    row = run.run(frozen, dataset)
    said = capsys.readouterr().out
    assert (row["model"], row["recipe"], row["init"], row["width"]) == ("efficientnet_lite0", "frozen", "pretrained", 1)
    assert (row["epochs"], row["lr"], row["test"]) == (1, 0.0, dataset.count("test"))
    curve = frozen.results.curve(frozen.run_id)
    assert curve["strength"].tolist() == list(transfer.STRENGTHS)
    assert "freedom" in plot_curves(curve).axes[1].get_xlabel()  # chapter 08 draws it as it draws epochs
    assert row["valid_top1_error"] == pytest.approx(curve["valid_top1_error"].min(), abs=100 / dataset.count("valid"))
    assert row["seconds"] == pytest.approx(curve["seconds"].sum(), abs=0.1)
    assert row["test_top1_error"] < 50  # chance among three species is 67
    assert said.count("  error ") == len(transfer.STRENGTHS)
    run.run(frozen, dataset)
    assert "nothing to do" in capsys.readouterr().out


def test_nothing_but_the_last_layer_has_learnt_and_twice_is_the_same(frozen):
    dataset = open_dataset(frozen)
    one, other = (transfer.fit_frozen(frozen, dataset, CPU).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    before = create_pretrained("efficientnet_lite0", 3).state_dict()
    bodies = [name for name in one if name.startswith("body.")]
    assert len(bodies) == 294 and all(torch.equal(one[name], before[name]) for name in bodies)


def test_of_equal_strengths_the_smallest_wins_and_test_images_are_not_looked_at(frozen, monkeypatch):
    dataset = open_dataset(frozen)
    looked = []

    class Watched(PackedLoader):
        def __init__(self, images, rows, *arguments, **options):
            looked.extend(dataset.parts[rows])
            super().__init__(images, rows, *arguments, **options)

    monkeypatch.setattr("seran_lib.train.dataset.PackedLoader", Watched)
    monkeypatch.setattr(transfer, "STRENGTHS", (0.01, 0.02, 5.0))
    errors = iter([30.0, 20.0, 20.0])
    monkeypatch.setattr(transfer, "measure", lambda *_: {"loss": 1.0, "top1_error": next(errors)})
    training = transfer.fit_frozen(frozen, dataset, CPU)
    assert set(looked) == {"train", "valid"}
    monkeypatch.setattr(transfer, "STRENGTHS", (0.01, 0.02))
    errors = iter([30.0, 20.0])
    alone = transfer.fit_frozen(frozen, dataset, CPU)
    assert torch.equal(training.model.classifier.weight, alone.model.classifier.weight)


def test_fine_tuning_goes_through_the_usual_engine_and_moves_every_weight(settings, capsys):
    chosen = resolve("smoke", data=settings.data, model="efficientnet_lite0", recipe="finetune", epochs=1)
    chosen = dataclasses.replace(chosen, size=96)
    row = run.run(chosen)
    assert "epoch   1/1" in capsys.readouterr().out and row["recipe"] == "finetune"
    before = dict(create_pretrained("efficientnet_lite0", 3).body.named_parameters())
    state = torch.load(chosen.folder / "last.pt", weights_only=True)["model"]
    assert all(not torch.equal(state[f"body.{name}"], value) for name, value in before.items())
