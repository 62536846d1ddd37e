"""The numbers of a results row, recomputed by hand."""

import gzip

import numpy as np
import pandas as pd
import pytest

from seran_lib.train.evaluate import fit_temperature, measure, prediction_table
from seran_lib.train.ledger import Results

SCORES = np.log(np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]], dtype=np.float32))
TARGETS = np.array([0, 0, 1, 2])


def test_measures_by_hand():
    measured = measure(SCORES, TARGETS)
    assert measured["top1_error"] == pytest.approx(25)
    assert measured["top5_error"] == 0  # three classes: the right one is always among five
    assert measured["macro_error"] == pytest.approx(100 / 3)  # 0, 1 and 0 of the species' images
    assert measured["loss"] == pytest.approx(-np.mean(np.log([0.7, 0.6, 0.4, 0.8])), rel=1e-5)


def test_top5_counts_the_sixth_as_wrong():
    scores = np.tile(np.arange(8, 0, -1.0), (8, 1))
    assert measure(scores, np.arange(8))["top5_error"] == pytest.approx(100 * 3 / 8)


class Set:
    classes = ("ant", "bee", "fly")
    parts = np.array(["test"] * 4 + ["train"])
    targets = np.array([*TARGETS, 0])
    manifest = pd.DataFrame({"image_id": list("abcde"), "group": list("aacde")})


@pytest.mark.parametrize("sure", [3.0, 1.0, 0.5])
def test_the_temperature_is_found_that_scores_were_multiplied_by(sure):
    rng = np.random.default_rng(0)
    scores = rng.normal(scale=2, size=(4000, 5))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    targets = np.array([rng.choice(5, p=share) for share in shares])
    assert fit_temperature(sure * scores, targets) == pytest.approx(sure, rel=0.1)


def test_predictions_are_enough_to_redo_the_measures(tmp_path):
    table = prediction_table(SCORES, Set, "test", 2.0)
    results = Results(tmp_path)
    results.save("predictions", "run", table)
    read, file = results.predictions("run"), results.file("predictions", "run")
    assert 100 * (read["label"] != read["predicted"]).mean() == measure(SCORES, TARGETS)["top1_error"]
    assert read["label_rank"].tolist() == [1, 1, 2, 1] and read["image_id"].tolist() == list("abcd")
    assert -np.log(read["label_probability"]).mean() == pytest.approx(measure(SCORES, TARGETS)["loss"], abs=1e-4)
    first = file.read_bytes()
    results.save("predictions", "run", table)
    assert file.read_bytes() == first and gzip.decompress(first).startswith(b"image_id,group,label")


def test_ties_and_sure_mistakes_survive_the_table(tmp_path):
    scores = np.array([[5.0, 5.0, 0.0], [60.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)

    class Tied(Set):
        targets = np.array([1, 2, 1, 2, 0])

    results = Results(tmp_path)
    results.save("predictions", "run", prediction_table(scores, Tied, "test", 1.0))
    read = results.predictions("run")
    measured = measure(scores, Tied.targets[:4])
    assert read["label_rank"].tolist() == [2, 3, 1, 1]
    assert 100 * (read["label_rank"] > 1).mean() == measured["top1_error"]
    assert -np.log(read["label_probability"]).mean() == pytest.approx(measured["loss"], rel=1e-4)
