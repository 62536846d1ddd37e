"""The batch, killed: the same command finishes it with the same weights, and nothing is left running or locked.

Real processes at random moments; the seed of the moments is printed with a failure.
"""

import contextlib
import os
import random
import re
import shlex
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

from seran_lib import cli, sources
from seran_lib.analysis.studies import STUDIES
from seran_lib.book import execute
from seran_lib.commands.notebook import prepare
from seran_lib.commands.words import parser
from seran_lib.data.split import fingerprint
from seran_lib.paths import NOTEBOOKS, ROOT
from seran_lib.train import ledger
from seran_lib.train.dataset import read_split
from seran_lib.train.settings import resolve

SECONDS = 240
EPOCHS = 24  # more than all the kills together leave time for
SLEEPER = 'import time\nprint("at work", flush=True)\ntime.sleep(60)'


def start(command, runs):
    """Start a command in the repository with its results below `runs`, one thread, outputs as text."""
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background shells ignore it
        env=os.environ | {"SERAN_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def seran_notebook(*words, runs):
    return start([sys.executable, "-m", "seran_lib", "notebook", *map(str, words)], runs)


def trainings(atlas, runs):
    """What `make trainings` gives to the shell, on one core."""
    words = [f"DATA={atlas}", f"EPOCHS={EPOCHS}", "MODELS=seran", "PROFILE=smoke", f"VENV={sys.prefix}"]
    ready = Path(sys.prefix) / ".ready"  # what is installed is taken as it is
    asked = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--old-file", str(ready), "trainings", *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},  # of make test
    ).stdout  # fmt: skip
    assert "--cores all" in asked
    return start(shlex.split(asked.replace("--cores all", "--cores 1")), runs)


def finish(process):
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, out + err
    return out + err


def row(runs):
    """The ledger row of the only run, without what may differ between two runs of the same thing."""
    rows = ledger.read(runs / "smoke")
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
    victims = ["ipykernel_launcher", "seran_lib", "bin/snakemake"]
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
        member(batch, victim).kill()
        said = "".join(batch.communicate(timeout=60))
        assert batch.returncode != 0
        assert ("resumed after epoch" in said) == (before > 0), said
    assert "resumed after epoch" in finish(trainings(spaced, runs))
    assert "Nothing to be done" in finish(trainings(spaced, runs))
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
        command = f"SERAN_SNAKEMAKE={name} nohup {sys.executable} -m seran_lib notebook {path} >> {runs}/log 2>&1 &"
        subprocess.run(["sh", "-c", command], env=os.environ | {"SERAN_RUNS": str(runs)}, cwd=ROOT, check=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and f"finished {free}" not in (free / "log").read_text():
        time.sleep(0.5)
    assert f"finished {free}" in (free / "log").read_text()
    assert "the Snakemake that started this run is gone. Give the same" in (orphan / "log").read_text()
    assert "finished" not in (orphan / "log").read_text()


def dry_run(runs, *words, goal="trainings"):
    """What Snakemake says that it would do."""
    command = [f"{Path(sys.executable).parent}/snakemake", "--dry-run", "--printshellcmds", "--cores", "1", "--nolock"]
    command += ["--rerun-triggers", "mtime", "--config", "profile=smoke", *words, "--", goal]
    return finish(start(command, runs))


def planned(runs, *words):
    """Run ids that Snakemake would train."""
    return set(re.findall(r"wildcards: run_id=(\S+)", dry_run(runs, *words)))


def test_a_deleted_row_and_other_images_make_just_that_run_due_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    results = tmp_path / "smoke"
    for seed in (0, 1, 2):
        settings = resolve("smoke", data=sources.folder(""), seed=seed, model="seran")
        path = results / "predictions" / f"{settings.run_id}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        known = {name: getattr(settings, name) for name in ("run_id", "width", "size", "batch", "lr")}
        known["data_fingerprint"] = fingerprint(*read_split(settings))
        ledger.append(results, dict.fromkeys(ledger.COLUMNS, "") | known)
    words = ("seeds=0,1,2", "models=seran")
    assert planned(tmp_path, *words) == set()
    rows = (results / ledger.LEDGER).read_text().splitlines(keepends=True)
    (results / ledger.LEDGER).write_text("".join([*rows[:2], *rows[3:]]))
    assert planned(tmp_path, *words) == {"drawn-smoke-seran-e12-s1-zero"}
    (results / ledger.LEDGER).write_text("".join([*rows[:3], rows[3].replace(known["data_fingerprint"], "others")]))
    assert planned(tmp_path, *words) == {"drawn-smoke-seran-e12-s2-zero"}


def test_a_set_of_any_name_can_be_trained_on(atlas, tmp_path):
    """Names of data are part of the names of runs, which Snakemake looks for."""
    named = shutil.copytree(atlas, tmp_path / "bees+ants(2019)")
    assert planned(tmp_path, f"data={named}", "models=seran") == {f"{named.name}-smoke-seran-e12-s0-zero"}


def test_the_command_of_every_planned_run_leads_to_that_run(atlas, tmp_path):
    data = shutil.copytree(atlas, tmp_path / "my insects")
    studies = ("wiring", "start", "long", "rates", "few_images", "frozen", "ladder", "finetune")
    said = dry_run(tmp_path / "runs", f"data={data}", f"study={','.join(studies)}", "seeds=0")
    jobs = dict(re.findall(r"wildcards: run_id=(.+)\n[\s\S]*?seran_lib notebook (.*)", said))
    runs = {settings.run_id for study in studies for settings in STUDIES[study].runs("smoke", str(data))}
    assert set(jobs) == {run_id for run_id in runs if "-s0" in run_id}
    for run_id, command in jobs.items():
        ((notebook, given),) = prepare(parser().parse_args(["notebook", *shlex.split(command)]))
        assert notebook.stem == "08_train_one"
        assert resolve(**given).run_id == run_id


def test_the_book_is_every_chapter_after_the_trainings_with_their_start(tmp_path):
    out = dry_run(tmp_path, "models=seran", "init=plain", goal="book")
    jobs = re.findall(r"seran_lib notebook (\S+) (.*)", out)
    chapters = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
    assert jobs[0][0] == "08_train_one" and "model=seran " in jobs[0][1], "the training comes first"
    assert sorted(name for name, _ in jobs[1:]) == chapters
    told = {name: words for name, words in jobs[1:] if "-p " in words}
    assert set(told) == {"08_train_one", "11_what_it_looks_at"}
    assert all("init=plain" in words for words in told.values())
    assert "model=seran" in told["08_train_one"] and "model=" not in told["11_what_it_looks_at"]
    assert re.search(r"rule chapter:\n    input: [^\n]*02_curate_and_split.ipynb, [^\n]*01_collect_from_ala.done", out)
    assert "seran_lib table" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models=seran_d"], "on other images than those in"),
        (["study=rates", "seeds=1"], "no run has the seed 1"),
        (["study=rates", "models=seran_d,resnet_101"], "no run has the model resnet_101"),
    ],
)
def test_runs_that_can_not_be_are_refused_before_snakemake_removes_anything(atlas, tmp_path, words, message):
    """The ledger of this repository has runs on heliconius, and this is another set of that name."""
    other = shutil.copytree(atlas, tmp_path / "heliconius")
    command = [f"{Path(sys.executable).parent}/snakemake", "-n", "--config", "profile=laptop", f"data={other}"]
    out, err = start([*command, *words, "--", "trainings"], tmp_path).communicate(timeout=SECONDS)
    assert message in out + err and "Job stats" not in out + err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study=tabels"], "choose from tables"),
        (["study=tables", "epochs=3"], "a study names its own epochs"),
        (["study=frozen", "epochs=2"], "a study names its own epochs"),
    ],
)
def test_a_wrong_study_is_named_before_anything_runs(words, message, tmp_path):
    command = [f"{Path(sys.executable).parent}/snakemake", "-n", "--config", "profile=smoke", *words, "--", "trainings"]
    out, err = start(command, tmp_path).communicate(timeout=SECONDS)
    assert message in out + err
