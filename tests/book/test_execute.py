"""The runner of notebooks: wrong words stop it before it starts, a dead or unfinished notebook is no success."""

import json
import resource
import threading

import nbformat
import pytest
from PIL import Image

from seran_lib import cli, sources
from seran_lib.book import execute
from seran_lib.commands.notebook import prepare
from seran_lib.commands.words import parser
from seran_lib.errors import DataError
from seran_lib.paths import NOTEBOOKS
from seran_lib.train.dataset import open_dataset
from seran_lib.train.settings import resolve

PARAMETERS = 'profile: str = "smoke"\nseed: int = 0\ndata: str = ""\nout: str = ""\nepochs: int = 0\nrate: float = 0.1'


def notebook(folder, name, *cells, source=PARAMETERS):
    """A small notebook with a parameters cell and these code cells."""
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    )
    book.cells = [nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})]
    book.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    path = folder / f"{name}.ipynb"
    nbformat.write(book, path)
    return path


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_a_finished_notebook_leaves_its_copy_and_its_environment(tmp_path, runs, capsys):
    path = notebook(tmp_path, "ok", "print(seed, rate)", 'print("finished: ok")')
    assert cli.main(["notebook", str(path), "--seed", "3", "-p", "rate=0.5"]) == 0
    copy = next(runs.rglob("ok.ipynb"))
    assert "3 0.5" in copy.read_text()
    environment = json.loads((copy.parent / "environment.json").read_text())
    assert environment["parameters"]["seed"] == 3
    assert environment["installed"]["torch"] and environment["device"] and "git_commit" in environment


def test_a_readers_own_copy_of_a_chapter_runs_under_another_name(tmp_path, runs):
    path = notebook(tmp_path, "my answers", 'print("finished: 03_read_the_paper")')
    assert cli.main(["notebook", str(path)]) == 0


def test_failures_are_told_and_do_not_stop_the_next_notebook(tmp_path, runs, capsys):
    fails = notebook(tmp_path, "fails", "1 / 0", 'print("finished: fails")')
    dies = notebook(
        tmp_path, "dies", "import os, signal", "os.kill(os.getpid(), signal.SIGKILL)", 'print("finished: dies")'
    )
    stops = notebook(tmp_path, "stops", "print('no last word')")
    good = notebook(tmp_path, "good", 'print("finished: good")')
    assert cli.main(["notebook", *map(str, (fails, dies, stops, good))]) == 1
    told = capsys.readouterr()
    assert "fails failed in cell 3: ZeroDivisionError" in told.err
    assert "dies" in told.err and "kernel died" in told.err
    assert "stops ended before its last cell" in told.err
    assert told.out.count("finished ") == 1 and "good.ipynb" in told.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["08_train_two"], "no notebook '08_train_two': the book has 00_start_here"),
        (["08_train_one", "--profile", "huge"], "unknown profile 'huge'"),
        (["08_train_one", "-p", "model=vgg"], "unknown model 'vgg'"),
        (["08_train_one", "-p", "modle=seran"], "08_train_one has no parameter 'modle': it has profile, seed"),
        (["08_train_one", "--seed", "x"], "--seed: invalid int value: 'x'"),
        (["08_train_one", "--epochs", "1.5"], "--epochs: invalid int value: '1.5'"),
        (["08_train_one", "-p", "seed=x"], "seed = 'x' is not of type int"),
        (["08_train_one", "-p", "model"], "write NAME=VALUE"),
        (["08_train_one", "--data", "no/such/folder"], "is not a folder: give the folder that holds manifest.csv"),
        (["08_train_one", "--profile", "laptop"], "needs photographs"),
    ],
)
def test_wrong_words_stop_it_before_it_starts(words, message, runs, capsys):
    assert cli.main(["notebook", *words]) == 2
    assert message in capsys.readouterr().err
    assert not runs.exists()


@pytest.mark.parametrize("content", ["", "hello\n", "[]", "{}", '{"cells": 3}', b"\x89PNG\xff\xfe"])
def test_a_file_that_is_no_notebook_is_named(content, tmp_path, runs, capsys):
    path = tmp_path / "other.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.main(["notebook", str(path)]) == 2
    assert f"{path} cannot be read as a notebook: " in capsys.readouterr().err
    assert not runs.exists()


@pytest.mark.parametrize("name", ["", "README.md", "seran_lib", "notebooks/08_train_one.txt"])
def test_only_a_notebook_is_looked_for(name):
    with pytest.raises(ValueError, match=rf"no notebook '{name}': the book has 00_start_here"):
        execute.find_notebook(name)


def test_the_script_of_a_notebook_means_the_notebook():
    assert execute.find_notebook(str(NOTEBOOKS / "08_train_one.py")) == execute.find_notebook("08_train_one")


def test_parameters_have_the_types_that_the_notebook_declares(tmp_path):
    path = notebook(tmp_path, "typed", source=PARAMETERS + "\nshow: bool = True")
    given = {"seed": "3", "rate": "1e-3", "data": "3", "show": "False"}
    assert execute.check_parameters(path, given) == {"seed": 3, "rate": 1e-3, "data": "3", "show": False}
    assert execute.check_parameters(path, {"show": "true"}) == {"show": True}
    for text in ("0", "no", "", "Truely"):
        with pytest.raises(ValueError, match=f"typed: show = '{text}' is not of type bool"):
            execute.check_parameters(path, {"show": text})


def test_a_full_disk_is_told_and_the_same_command_goes_on(tmp_path, runs, capsys):
    """The executed copy meets the limit of a file's size, which is how a full disk can be had."""
    path = notebook(tmp_path, "long", 'print(300_000 * "x")', 'print("finished: long")')
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        assert cli.main(["notebook", str(path)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    told = capsys.readouterr().err
    assert f"seran notebook: could not write {next(runs.rglob('long.ipynb'))}: File too large." in told
    assert "Free some disk space" in told and "Traceback" not in told
    assert cli.main(["notebook", str(path)]) == 0


def test_the_live_atlas_is_a_word_and_no_folder(monkeypatch, tmp_path):
    words = ["notebook", "08_train_one", "--profile", "laptop", "--data", "ala"]
    ((_, parameters),) = prepare(parser().parse_args(words))
    assert parameters["data"] == "ala"
    monkeypatch.setenv("SERAN_DATA", str(tmp_path))
    with pytest.raises(DataError, match="Run 01_collect_from_ala and 02_curate_and_split with --data ala first"):
        sources.folder("ala", "laptop")


def test_a_folder_that_is_about_to_be_free_is_waited_for(tmp_path, runs, monkeypatch):
    path = notebook(tmp_path, "ok", 'print("finished: ok")')
    folder = execute.output_folder(path, {"seed": 0})
    folder.mkdir(parents=True)
    lock = execute.FileLock(folder / ".lock", thread_local=False)
    lock.acquire()
    threading.Timer(0.5, lock.release).start()
    assert execute.execute(path, {"seed": 0}).exists()
    monkeypatch.setattr(execute, "GRACE", 0.1)
    with (
        execute.FileLock(folder / ".lock"),
        pytest.raises(execute.RunError, match=r"another process runs ok in .* wait for"),
    ):
        execute.execute(path, {"seed": 0})


def spoil(folder, change):
    """Two species of twenty good pictures each, then one change of manifest or files."""
    (folder / "images").mkdir(parents=True)
    rows = ["image_id,file,label"]
    for label in ("ant", "bee"):
        for k in range(20):
            Image.new("RGB", (40, 30), (10 * k, 90, 20)).save(folder / "images" / f"{label}{k}.jpg")
            rows.append(f"{label}{k},images/{label}{k}.jpg,{label}")
    rows = change(folder / "images" / "ant3.jpg", rows) or rows
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def truncate(path, rows):
    path.write_bytes(path.read_bytes()[:300])


def animate(path, rows):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


BAD = {
    "missing": (lambda path, rows: path.unlink(), "ant3.jpg"),
    "truncated": (truncate, "ant3.jpg"),
    "two pixels": (lambda path, rows: Image.new("RGB", (2, 1)).save(path), "ant3.jpg"),
    "animated": (animate, "ant3.jpg"),
    "16 bits": (lambda path, rows: Image.new("I;16", (40, 30)).save(path, format="PNG"), "ant3.jpg"),
    "outside": (lambda path, rows: [*rows, "x,../../etc/passwd,ant"], "line 42"),
    "one of a class": (lambda path, rows: rows[:22], "label"),
    "no images": (lambda path, rows: rows[:1], "manifest.csv"),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_named_before_training(fault, tmp_path, monkeypatch):
    change, named = BAD[fault]
    spoil(tmp_path / "set", change)
    settings = resolve("smoke", data=str(tmp_path / "set"))
    with pytest.raises(DataError) as error:
        open_dataset(settings)
    assert named in str(error.value)
    assert len(str(error.value)) > len(named) + 20  # says more than a name
