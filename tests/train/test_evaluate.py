"""The numbers of a results row, recomputed by hand, and the ledger that keeps them."""

import gzip
import multiprocessing
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from seran_lib.train import ledger
from seran_lib.train.evaluate import fit_temperature, measure, prediction_table, save_table

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
    save_table(tmp_path / "p.csv.gz", table)
    read = pd.read_csv(tmp_path / "p.csv.gz")
    assert 100 * (read["label"] != read["predicted"]).mean() == measure(SCORES, TARGETS)["top1_error"]
    assert read["label_rank"].tolist() == [1, 1, 2, 1] and read["image_id"].tolist() == list("abcd")
    assert -np.log(read["label_probability"]).mean() == pytest.approx(measure(SCORES, TARGETS)["loss"], abs=1e-4)
    first = (tmp_path / "p.csv.gz").read_bytes()
    save_table(tmp_path / "p.csv.gz", table)
    assert (tmp_path / "p.csv.gz").read_bytes() == first and gzip.decompress(first).startswith(b"image_id,group,label")


def test_ties_and_sure_mistakes_survive_the_table(tmp_path):
    scores = np.array([[5.0, 5.0, 0.0], [60.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)

    class Tied(Set):
        targets = np.array([1, 2, 1, 2, 0])

    save_table(tmp_path / "p.csv.gz", prediction_table(scores, Tied, "test", 1.0))
    read = pd.read_csv(tmp_path / "p.csv.gz")
    measured = measure(scores, Tied.targets[:4])
    assert read["label_rank"].tolist() == [2, 3, 1, 1]
    assert 100 * (read["label_rank"] > 1).mean() == measured["top1_error"]
    assert -np.log(read["label_probability"]).mean() == pytest.approx(measured["loss"], rel=1e-4)


def row(number):
    return dict.fromkeys(ledger.COLUMNS, "") | {"run_id": f"run {number}", "seed": number, "device": "CPU, 2 of 2"}


def append_some(folder, numbers):
    for number in numbers:
        ledger.append(folder, row(number))


def test_rows_of_several_processes_stay_whole(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_some, args=(tmp_path, range(k, 40, 2))) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    table = ledger.read(tmp_path)
    assert sorted(table["seed"]) == list(range(40)) and set(table["device"]) == {"CPU, 2 of 2"}


def test_the_later_row_of_a_repeated_run_is_read_and_the_file_keeps_both(tmp_path):
    ledger.append(tmp_path, row(1) | {"test_top1_error": 10})
    ledger.append(tmp_path, row(1) | {"test_top1_error": 12})
    assert ledger.read(tmp_path)["test_top1_error"].tolist() == [12]
    assert len((tmp_path / "ledger.csv").read_text().splitlines()) == 3


def test_a_row_after_a_last_line_without_end_is_a_row_of_its_own(tmp_path):
    ledger.append(tmp_path, row(1))
    path = tmp_path / ledger.LEDGER
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    ledger.append(tmp_path, row(2))
    assert ledger.read(tmp_path)["run_id"].tolist() == ["run 1", "run 2"]


def test_a_set_may_be_called_na_and_what_was_not_measured_is_no_number(tmp_path):
    ledger.append(tmp_path, row(1) | {"data": "NA", "temperature": ""})
    read = ledger.read(tmp_path)
    assert read["data"].tolist() == ["NA"] and read["temperature"].isna().all()


def test_a_damaged_ledger_is_named(tmp_path):
    ledger.append(tmp_path, row(1))
    with (tmp_path / ledger.LEDGER).open("a") as stream:
        stream.write("," * len(ledger.COLUMNS) + ",\n")
    with pytest.raises(ValueError, match=r"ledger\.csv is damaged"):
        ledger.read(tmp_path)


def test_a_ledger_with_other_columns_is_left_alone(tmp_path):
    (tmp_path / "ledger.csv").write_text("run_id,error\na,1\n")
    for use in (lambda: ledger.append(tmp_path, row(1)), lambda: ledger.read(tmp_path)):
        with pytest.raises(ValueError, match="other columns"):
            use()
    assert (tmp_path / "ledger.csv").read_text() == "run_id,error\na,1\n"


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path):
    ledger.append(tmp_path, row(1))
    before = (tmp_path / "ledger.csv").read_bytes()
    script = (
        "import resource, sys; from pathlib import Path; from seran_lib.train import ledger;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 9},) * 2);"
        "ledger.append(Path(sys.argv[1]), dict.fromkeys(ledger.COLUMNS, 'x'))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode != 0 and "no room for another row" in done.stderr
    assert (tmp_path / "ledger.csv").read_bytes() == before


def test_an_incomplete_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"missing 1 .*'seed'"):
        ledger.append(tmp_path, {k: v for k, v in row(1).items() if k != "seed"})
    assert not (tmp_path / "ledger.csv").exists()
