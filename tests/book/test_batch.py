"""The batch, killed: the same command finishes it with the same weights, and nothing is left running or locked.

Real processes at random moments; the seed of the moments is printed with a failure.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest

from seran_lib import cli
from seran_lib.analysis.studies import STUDIES
from seran_lib.book import execute, plan, stopping
from seran_lib.commands.notebook import prepare
from seran_lib.commands.words import parser
from seran_lib.errors import CheckpointError
from seran_lib.paths import NOTEBOOKS, ROOT
from seran_lib.train.ledger import LEDGER, Results
from seran_lib.train.settings import resolve

SECONDS = 240
EPOCHS = 24  # more than all the kills together leave time for
SLEEPER = 'import time\nprint("at work", flush=True)\ntime.sleep(60)'


def start(command, runs, *, cwd=ROOT, env=os.environ):
    """Start a command in the repository with its results below `runs`, one thread, outputs as text."""
    return subprocess.Popen(
        command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background shells ignore it
        env={**env, "SERAN_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def seran_notebook(*words, runs):
    return start([sys.executable, "-m", "seran_lib", "notebook", *map(str, words)], runs)


def make(goal, runs, *, clone=ROOT, **words):
    """`make GOAL NAME=VALUE ...` as a user types it; what is installed is taken as it is."""
    asked = [f"{name}={value}" for name, value in ({"VENV": sys.prefix} | words).items()]
    command = ["make", "--silent", "--old-file", f"{sys.prefix}/.ready", goal, *asked]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of make test
    return start(command, runs, cwd=clone, env=environment)


def trainings(atlas, runs):
    """The batch that is killed, on one core."""
    one_core = f"{sys.executable} -m snakemake --cores 1 --quiet all"
    return make("trainings", runs, DATA=atlas, EPOCHS=EPOCHS, MODELS="seran", SNAKEMAKE=one_core)


def logs(runs):
    """What the steps of the newest batch said."""
    return "".join(path.read_text() for path in max((runs / "batch").iterdir()).glob("*.log"))


def finish(process):
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out + err
    return out + err


def row(runs):
    """The ledger row of the only run, without what may differ between two runs of the same thing."""
    rows = Results(runs / "smoke").rows()
    assert len(rows) == 1
    return rows.drop(columns=["utc", "git_commit", "dirty", "seconds", "images_per_second"])


def member(process, sign):
    """Wait for the first of a process and its descendants with a word in its command line that ends in `sign`."""
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        for child in [parent, *parent.children(recursive=True)]:
            try:
                if any(word.endswith(sign) for word in child.cmdline()):
                    return child
            except psutil.Error:  # it ended meanwhile
                continue
        time.sleep(0.05)
    raise AssertionError(f"it ended before there was a {sign}: {process.communicate()}")


def wait_for(processes):
    """Until all have ended; orphans that nobody collects count as ended."""
    end = time.monotonic() + 30
    while alive := [process for process in processes if is_alive(process)]:
        assert time.monotonic() < end, alive
        time.sleep(0.05)


def is_alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def kept(runs):
    """When a training kept its last state, 0 where none did yet."""
    with contextlib.suppress(FileNotFoundError):  # between two renames
        return max((path.stat().st_mtime_ns for path in runs.glob("*/last.pt")), default=0)
    return 0


def test_one_command_finishes_whatever_was_killed(atlas, tmp_path):
    words = ["08_train_one", "--data", atlas, "--epochs", EPOCHS, "-p", "model=seran"]
    whole = seran_notebook(*words, runs=tmp_path / "whole")  # nobody interrupts this one
    spaced, runs = tmp_path / "my photographs" / atlas.name, tmp_path / "killed"
    spaced.parent.mkdir()
    spaced.symlink_to(atlas)
    seed = random.SystemRandom().randrange(10_000)
    chance = random.Random(seed)
    victims = ["ipykernel_launcher", "notebook", "snakemake", "batch"]
    chance.shuffle(victims)
    for victim in victims:
        before = kept(runs)
        batch = trainings(spaced, runs)
        while kept(runs) <= before:
            assert batch.poll() is None, batch.communicate()
            time.sleep(0.05)
        moment = chance.uniform(0, 0.5)
        print(f"seed {seed}: killing {victim} {moment:.2f} s after the first state of this sitting was kept")
        time.sleep(moment)
        family = psutil.Process(batch.pid).children(recursive=True)
        member(batch, victim).kill()
        said = "".join(batch.communicate(timeout=60))
        wait_for(family)  # a run that lost its keeper stops within about a second, and may keep one more state
        assert batch.returncode != 0 and "Traceback" not in said
        assert ("resumed after epoch" in logs(runs)) == (before > 0), said + logs(runs)
    finish(trainings(spaced, runs))
    assert "resumed after epoch" in logs(runs)
    assert "nothing to be done" in finish(trainings(spaced, runs))
    finish(whole)
    pd.testing.assert_frame_equal(row(runs), row(tmp_path / "whole"))


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook with these code cells, and a parameters cell before them."""

    def write(name, *cells):
        parameters = nbformat.v4.new_code_cell(
            'profile: str = "smoke"\nseed: int = 0\ndata: str = ""\nout: str = ""\nepochs: int = 0',
            metadata={"tags": ["parameters"]},
        )
        book = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            cells=[parameters, *map(nbformat.v4.new_code_cell, cells)],
        )
        nbformat.write(book, tmp_path / f"{name}.ipynb")
        return tmp_path / f"{name}.ipynb"

    return write


def until_at_work(process):
    for line in process.stdout:
        if "at work" in line:
            return member(process, "ipykernel_launcher")
    raise AssertionError(process.communicate())


def test_a_second_run_is_refused_and_a_signal_ends_the_first(notebook, tmp_path, monkeypatch, capsys):
    """Two at work, so that both signals are tried."""
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    monkeypatch.setattr(execute, "GRACE", 0.5)
    sleepers = {number: notebook(number.name, SLEEPER) for number in (signal.SIGINT, signal.SIGTERM)}
    processes = {number: seran_notebook(path, runs=tmp_path) for number, path in sleepers.items()}
    for number, process in processes.items():
        kernel = until_at_work(process)
        assert cli.main(["notebook", str(sleepers[number])]) == 1
        told = capsys.readouterr().err
        assert (
            told.startswith(f"seran notebook: another process runs {number.name} in {tmp_path}")
            and "wait for it" in told
        )
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
        assert process.returncode == 128 + number
        assert err.endswith(f"seran notebook: stopped by {number.name}. Give the same command again to resume\n")
        assert "Traceback" not in err and not kernel.is_running()


def test_without_its_snakemake_a_run_stops_and_one_that_never_had_any_goes_on(notebook, tmp_path):
    """Both shells end at once, so that both runs are orphans while Python is still starting."""
    path = notebook("short", "1 + 1", 'print("finished: short")')
    orphan, free = tmp_path / "orphan", tmp_path / "free"
    for runs, name in ((orphan, '"$$"'), (free, "")):
        runs.mkdir()
        (runs / "log").touch()
        command = f"{stopping.KEEPER}={name} nohup {sys.executable} -m seran_lib notebook {path} >> {runs}/log 2>&1 &"
        subprocess.run(["sh", "-c", command], env=os.environ | {"SERAN_RUNS": str(runs)}, cwd=ROOT, check=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and f"finished {free}" not in (free / "log").read_text():
        time.sleep(0.5)
    assert f"finished {free}" in (free / "log").read_text()
    assert "the batch that started this run is gone. Give the same" in (orphan / "log").read_text()
    assert "finished" not in (orphan / "log").read_text()


@pytest.fixture
def clone(tmp_path):
    """A copy of what git knows, below a folder whose name shell, make, YAML and Snakemake would read otherwise."""
    place = tmp_path / "Anna's C# {course}" / "seran"
    for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    return place


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_make_does_what_is_due_and_writes_below_runs_alone(clone, atlas):
    """Runs lie at a relative place, the data in a folder that has been renamed with care."""
    before = contents(clone)
    runs, name = clone.parent / "my runs", "-a$b $(c) {1} é#&=,'2"
    data = shutil.copytree(atlas, clone.parent / name)
    words = {"clone": clone, "EPOCHS": 1, "MODELS": "seran", "DATA": f"../{name}"}
    said = finish(make("trainings", "../my runs", **words))
    assert re.search(r"^training  1/1  .* s   .*08_train_one.ipynb$", said, re.MULTILINE) and len(said.split("\n")) < 8
    assert "nothing to be done" in finish(make("trainings", "../my runs", **words))
    (first,) = Results(runs / "smoke").rows().to_dict("records")
    assert first["data"] == name

    lines = (runs / "smoke" / LEDGER).read_text().splitlines(keepends=True)
    (runs / "smoke" / LEDGER).write_text(lines[0])  # the row is deleted
    finish(make("trainings", "../my runs", **words))
    (again,) = Results(runs / "smoke").rows().to_dict("records")
    assert again["weights_sha256"] == first["weights_sha256"] and "1 epochs" not in logs(runs)

    manifest = (data / "manifest.csv").read_text().splitlines(keepends=True)
    (data / "manifest.csv").write_text("".join(manifest[:-1]))
    finish(make("trainings", "../my runs", **words))
    assert Results(runs / "smoke").rows()["data_fingerprint"].tolist() != [first["data_fingerprint"]]
    assert contents(clone) == before, "nothing is written in the clone"
    assert sorted(path.name for path in clone.parent.iterdir()) == sorted(["my runs", name, "seran"])


@pytest.mark.parametrize("name", ["007", "None", "1e3"])
def test_words_reach_the_plan_as_they_are_typed(name, atlas, tmp_path):
    """In the place of Snakemake a program that does nothing."""
    data = shutil.copytree(atlas, tmp_path / name)
    finish(make("trainings", tmp_path / "runs", DATA=data, MODELS="seran_d, seran", SEEDS="0, 2", SNAKEMAKE="true -n"))
    (planned,) = (tmp_path / "runs" / "batch").glob("*/plan.json")
    steps = json.loads(planned.read_text())
    assert [step["title"] for step in steps] == [
        f"{name}-smoke-{model}-e12-s{seed}-zero" for seed in (0, 2) for model in ("seran_d", "seran")
    ]
    assert all(str(data) in step["words"] for step in steps)


WRONG = [
    ({"SEEDS": "a"}, "SEEDS=a: write whole numbers, such as SEEDS=0,1,2"),
    ({"SEEDS": "0-2"}, "SEEDS=0-2: write whole numbers"),
    ({"EPOCHS": "1.5"}, "EPOCHS=1.5: write a whole number"),
    ({"EPOCHS": "-1"}, "EPOCHS=-1: write a whole number"),
    ({"PROFILE": "laptoop"}, "PROFILE=laptoop: unknown profile 'laptoop', choose from smoke, laptop"),
    ({"MODELS": "seran-d"}, "MODELS=seran-d: unknown models 'seran-d', choose from resnet101"),
    ({"INIT": "zeros"}, "INIT=zeros: unknown init 'zeros', choose from plain, zero"),
    ({"STUDY": "tabels"}, "STUDY=tabels: unknown study 'tabels', choose from tables"),
    ({"STUDY": "tables", "EPOCHS": "3"}, "a study names its own epochs"),
    ({"STUDY": "rates", "SEEDS": "1"}, "SEEDS: no run of the study has 1, but 0"),
    (
        {"STUDY": "rates", "MODELS": "senet154,attention56"},
        "MODELS: no run of the study has attention56, but resnet101",
    ),
    ({"DATA": "/nowhere"}, "DATA=/nowhere is not a folder"),
    ({"PROFILE": "laptop"}, "profile 'laptop' needs photographs"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_a_wrong_word_is_named_with_the_choices_in_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    for name in plan.WORDS:
        monkeypatch.setenv(name, words.get(name, ""))
    assert cli.main(["batch", "trainings"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"seran batch: {message}") and told.err.count("\n") == 1 and not told.out
    assert not (tmp_path / "batch").exists()


def test_make_says_no_more_than_that_line(tmp_path):
    out, err = make("trainings", tmp_path, SEEDS="a").communicate(timeout=SECONDS)
    assert out == "" and [line for line in err.splitlines() if not line.startswith("make:")] == [
        "seran batch: SEEDS=a: write whole numbers, such as SEEDS=0,1,2"
    ]


def test_runs_on_other_images_are_refused(atlas, tmp_path, monkeypatch, capsys):
    """The ledger of this repository has runs on heliconius, and this is another set of that name."""
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    other = shutil.copytree(atlas, tmp_path / "heliconius")
    with pytest.raises(CheckpointError, match="on other images than those in"):
        plan.steps("trainings", {"PROFILE": "laptop", "DATA": str(other), "MODELS": "seran_d"})


def test_the_words_of_every_planned_run_lead_to_that_run(atlas, tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "runs"))
    data = shutil.copytree(atlas, tmp_path / "my insects")
    studies = ("wiring", "start", "long", "rates", "few_images", "frozen", "ladder", "finetune")
    steps = plan.steps("trainings", {"DATA": str(data), "STUDY": ",".join(studies), "SEEDS": "0"})
    runs = {settings.run_id for study in studies for settings in STUDIES[study].runs("smoke", str(data))}
    assert {step.title for step in steps} == {run_id for run_id in runs if "-s0" in run_id}
    for step in steps:
        ((notebook, given),) = prepare(parser().parse_args(["notebook", *step.words]))
        assert notebook.stem == "08_train_one"
        assert resolve(**given).run_id == step.title


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Plans of the book, by name of the step, with runs below `tmp_path`."""
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    return lambda **words: {step.name: step for step in plan.steps("book", words)}


def test_the_book_is_every_chapter_and_the_training_is_one(planned):
    steps = planned(MODELS="seran", INIT="plain")
    run = "drawn-smoke-seran-e12-s0"
    chapters = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    assert [step.words[0] for step in steps.values()] == ["08_train_one", *(c for c in chapters if c != "08_train_one")]
    assert {"model=seran", "init=plain"} <= set(steps[run].words)
    assert "init=plain" in steps["11_what_it_looks_at"].words
    assert "01_collect_from_ala" in steps["02_curate_and_split"].after
    assert run in steps["09_table1"].after and run not in steps["03_read_the_paper"].after


def test_a_chapter_that_was_executed_is_not_due_until_its_notebook_words_or_runs_change(planned, tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    for path in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(path, tmp_path / "notebooks")
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path / "notebooks")
    (tmp_path / "copy.ipynb").touch()
    for step in planned().values():
        step.keep(str(tmp_path / "copy.ipynb"))
    assert not planned()["03_read_the_paper"].due and planned()["09_table1"].due, "its runs are not done"
    assert planned(SEEDS="1")["03_read_the_paper"].due
    (tmp_path / "notebooks" / "03_read_the_paper.ipynb").write_text("another")
    assert planned()["03_read_the_paper"].due and not planned()["04_squeeze_and_excitation"].due
    (tmp_path / "copy.ipynb").unlink()
    assert planned()["04_squeeze_and_excitation"].due


def test_snakemake_plans_every_step_of_the_book(tmp_path):
    dry = f"{sys.executable} -m snakemake --cores 2 --dry-run --printshellcmds"
    said = finish(make("book", tmp_path, MODELS="seran", SNAKEMAKE=dry))
    assert len(re.findall("-m seran_lib notebook ", said)) == len(list(NOTEBOOKS.glob("[0-9]*.ipynb")))


def test_a_step_that_fails_is_named_with_its_log(atlas, tmp_path):
    """A picture that cannot be read."""
    data = shutil.copytree(atlas, tmp_path / "insects")
    next((data / "images").rglob("*.jpg")).write_bytes(b"no picture")
    process = make("trainings", tmp_path / "runs", DATA=data, EPOCHS=1, MODELS="seran")
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2 and "Traceback" not in out + err
    assert "insects-smoke-seran-e1-s0-zero failed: 08_train_one failed in cell" in err and "DataError" in err
    log = re.search("its log: (.*)", err)[1]
    assert Path(log).is_file()
