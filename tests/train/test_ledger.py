"""The ledger: rows stay whole whoever writes them, and a file that is not in order is named and left alone."""

import csv
import multiprocessing
import subprocess
import sys
from dataclasses import fields

import pandas as pd
import pytest
from rows import some_row

from seran_lib import paths
from seran_lib.errors import DataError
from seran_lib.train import ledger
from seran_lib.train.ledger import Results


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def row(number, **values):
    return some_row(run_id=f"run {number}", seed=number, device="CPU, 2 of 2", **values)


def append_some(folder, numbers):
    for number in numbers:
        Results(folder).append(row(number))


def test_rows_of_several_processes_stay_whole(results, tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=append_some, args=(tmp_path, range(k, 40, 2))) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    table = results.rows()
    assert sorted(table["seed"]) == list(range(40)) and set(table["device"]) == {"CPU, 2 of 2"}


def test_the_later_row_of_a_repeated_run_is_read_and_the_file_keeps_both(results, tmp_path):
    results.append(row(1, test_top1_error=10))
    results.append(row(1, test_top1_error=12))
    assert results.rows()["test_top1_error"].tolist() == [12]
    assert len((tmp_path / "ledger.csv").read_text().splitlines()) == 3


def test_a_row_after_a_last_line_without_end_is_a_row_of_its_own(results, tmp_path):
    results.append(row(1))
    path = tmp_path / ledger.LEDGER
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    results.append(row(2))
    assert results.rows()["run_id"].tolist() == ["run 1", "run 2"]


def test_a_set_may_be_called_na_and_what_was_not_measured_is_no_number(results, tmp_path):
    results.append(row(1, data="NA"))
    read = results.rows()
    assert read["data"].tolist() == ["NA"] and read["temperature"].isna().all()


def test_a_damaged_ledger_is_named(results, tmp_path):
    results.append(row(1))
    with (tmp_path / ledger.LEDGER).open("a") as stream:
        stream.write("," * len(fields(ledger.Row)) + ",\n")
    with pytest.raises(ValueError, match=r"ledger\.csv is damaged"):
        results.rows()


def test_a_ledger_with_other_columns_is_left_alone(results, tmp_path):
    (tmp_path / "ledger.csv").write_text("run_id,error\na,1\n")
    for use in (lambda: results.append(row(1)), lambda: results.rows()):
        with pytest.raises(ValueError, match="other columns"):
            use()
    assert (tmp_path / "ledger.csv").read_text() == "run_id,error\na,1\n"


def test_a_full_disk_leaves_the_ledger_as_it_was(results, tmp_path):
    results.append(row(1))
    before = (tmp_path / "ledger.csv").read_bytes()
    script = (
        "import dataclasses, resource, sys; from pathlib import Path; from seran_lib.train.ledger import Results, Row;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 9},) * 2);"
        "Results(Path(sys.argv[1])).append(Row(*len(dataclasses.fields(Row)) * ['x']))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode != 0 and "no room for another row" in done.stderr
    assert (tmp_path / "ledger.csv").read_bytes() == before


def test_answers_are_read_again_when_they_have_changed_and_ids_are_text(results):
    """Runs from before groups were kept have none in their answers."""
    table = pd.DataFrame({"image_id": ["0012", "0011"], "label": ["NA", "b"], "predicted": ["NA", "a"]})
    results.save("predictions", "run", table)
    read = results.predictions("run")
    assert read["image_id"].tolist() == read["group"].tolist() == ["0011", "0012"]
    assert read["right"].tolist() == [False, True] and results.predictions("run") is read
    results.save("predictions", "run", table.assign(predicted=["a", "a"]))
    assert results.predictions("run")["right"].tolist() == [False, False]


def test_a_missing_file_of_a_run_is_named(results):
    for read in (results.predictions, results.curve, results.unknowns):
        with pytest.raises(DataError, match=r"run\.csv.* is missing, and the ledger has its run"):
            read("run")


def test_the_ledger_of_this_repository_has_the_columns_of_a_row_and_no_gaps():
    results = Results(paths.results())
    with (results.folder / ledger.LEDGER).open(newline="", encoding="utf-8") as stream:
        assert next(csv.reader(stream)) == [field.name for field in fields(ledger.Row)]
    assert not results.rows().drop(columns=["gpu_memory_mb", "temperature"]).isna().any(axis=None)
