"""Training: interrupted or not, a run ends in the same weights and one row; what must not be mixed is refused."""

import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from safetensors import safe_open
from torch import nn

from seran_lib import paths
from seran_lib.data.loaders import PackedLoader
from seran_lib.nets.recompute import recomputes
from seran_lib.train import checkpoint, evaluate, ledger, run
from seran_lib.train import learner as train
from seran_lib.train.callbacks.log import EpochLog
from seran_lib.train.callbacks.numerics import FiniteLoss
from seran_lib.train.callbacks.state import BEST, KeepState
from seran_lib.train.dataset import open_dataset
from seran_lib.train.memory import Fit
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import resolve
from seran_lib.train.trained import trained_network

CPU = torch.device("cpu")

SCRIPT = """
import dataclasses, resource, sys
from seran_lib.train.run import run
from seran_lib.train.settings import resolve
settings = resolve("smoke", data=sys.argv[1], model="seran", epochs=3)
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
print("weights", run(dataclasses.replace(settings, batch=32))["weights_sha256"])
"""


def start(atlas, runs, *more):
    environment = {**os.environ, "SERAN_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(atlas), *more],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def kill_in_epoch(process, epoch):
    """SIGKILL shortly after the epoch before this one has ended, so in its middle."""
    for line in process.stdout:
        if line.startswith(f"epoch {epoch - 1:3d}/") or (epoch == 1 and line):
            break
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def whole(atlas, tmp_path_factory):
    """The weights of a run that nobody interrupts."""
    return finish(start(atlas, tmp_path_factory.mktemp("whole"))).split()[-1]


def test_a_killed_run_resumes_to_the_same_weights(atlas, tmp_path, whole):
    for epoch in (2, 3):
        kill_in_epoch(start(atlas, tmp_path / "killed"), epoch)
    out = finish(start(atlas, tmp_path / "killed"))
    assert "resumed after epoch" in out
    assert out.split()[-1] == whole
    rows = pd.read_csv(tmp_path / "killed" / "smoke" / "ledger.csv")
    assert len(rows) == 1 and rows["weights_sha256"][0] == whole
    curve = pd.read_csv(next((tmp_path / "killed" / "smoke" / "curves").iterdir()))
    assert curve["epoch"].tolist() == [1, 2, 3]


def test_a_full_disk_keeps_what_was_written_and_the_run_resumes(atlas, tmp_path, whole):
    kill_in_epoch(start(atlas, tmp_path / "runs"), 3)
    folder = next(path for path in (tmp_path / "runs").iterdir() if path.name.startswith("insects"))
    before = (folder / "last.pt").read_bytes()
    starved = start(atlas, tmp_path / "runs", str(len(before) // 2))
    _, err = starved.communicate(timeout=240)
    assert starved.returncode != 0
    assert "could not write" in err and "Free some disk space" in err
    assert (folder / "last.pt").read_bytes() == before
    assert not list(folder.glob(".*.part"))
    assert finish(start(atlas, tmp_path / "runs")).split()[-1] == whole


MANY_KILLS = """
import dataclasses, os, random, signal, sys, time
from seran_lib.train.callbacks.state import KeepState
from seran_lib.train.run import run
from seran_lib.train.settings import resolve
settings = dataclasses.replace(resolve("smoke", data=sys.argv[1], model="seran", epochs=3), batch=16)
seconds, chance, kills = float(sys.argv[2]), random.Random(int(sys.argv[3])), int(sys.argv[4])
if kills:
    KeepState.MINUTES = 0
for kill in range(kills):
    child = os.fork()
    if not child:
        run(settings)
        os._exit(0)
    if kill:
        time.sleep(chance.uniform(0, seconds))
    else:
        while not (settings.folder / "last.pt").exists():
            time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
begun = time.perf_counter()
print("weights", run(settings)["weights_sha256"])
print("seconds", time.perf_counter() - begun)
"""


def many_kills(atlas, runs, *, seconds=0.0, seed=0, kills=0):
    """Train, killed so many times: first in the middle of an epoch, then within so many seconds of each start, in
    forked processes, which start at once. Weights, seconds of the last sitting, and what was said."""
    environment = {**os.environ, "SERAN_RUNS": str(runs), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", MANY_KILLS, *map(str, (atlas, seconds, seed, kills))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    *_, weights, _, last = done.stdout.split()
    return weights, float(last), done.stdout


def test_twenty_kills_at_random_moments_change_no_bit(atlas, tmp_path):
    """A state is kept after every step here, so a kill meets every phase of training, saving and recording."""
    expected, seconds, _ = many_kills(atlas, tmp_path / "whole")
    seed = int(time.time())
    print(f"kills drawn with seed {seed} within {seconds / 2:.2f} s of each start")
    weights, _, said = many_kills(atlas, tmp_path / "killed", seconds=seconds / 2, seed=seed, kills=20)
    assert weights == expected
    assert " steps\n" in said  # at least once it went on in the middle of an epoch
    rows = pd.read_csv(tmp_path / "killed" / "smoke" / "ledger.csv")
    assert rows["weights_sha256"].unique().tolist() == [expected]
    curves = [pd.read_csv(next((tmp_path / name / "smoke" / "curves").iterdir())) for name in ("whole", "killed")]
    exact = ["epoch", "train_loss", "valid_loss", "valid_top1_error"]
    pd.testing.assert_frame_equal(curves[0][exact], curves[1][exact])


def interrupt(*_):
    raise KeyboardInterrupt


def test_what_a_killed_process_left_half_written_is_removed_before_training(settings, monkeypatch):
    settings.folder.mkdir(parents=True)
    (settings.folder / ".last.pt.x.part").write_bytes(b"half")
    monkeypatch.setattr(run, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run(settings)
    assert not list(settings.folder.glob(".*.part"))


def test_a_finished_run_is_not_repeated(trained, capsys):
    settings, first = trained
    capsys.readouterr()
    again = run.run(settings)
    assert "nothing to do" in capsys.readouterr().out
    assert again["weights_sha256"] == first["weights_sha256"]
    assert len(pd.read_csv(settings.results.folder / "ledger.csv")) == 1
    shutil.rmtree(settings.folder)  # as in a fresh clone
    results = settings.results
    kept = [results.folder / "ledger.csv", *(results.file(kind, settings.run_id) for kind in ("curves", "predictions"))]
    contents = [path.read_bytes() for path in kept]
    assert run.run(settings)["utc"] == first["utc"], "without its weights it is repeated, and its row kept"
    error = f"{first['test_top1_error']:.2f} %"
    assert f"test error {error}; in the ledger, which keeps the first result: {error}" in capsys.readouterr().out
    assert [path.read_bytes() for path in kept] == contents
    repeat = settings.results.repeats().iloc[-1]
    same = ["run_id", "precision", "test_top1_error", "device", "weights_sha256"]
    assert repeat[same].to_dict() == {name: first[name] for name in same} and repeat["other_answers"] == 0
    weights = (settings.folder / run.WEIGHTS).read_bytes()
    assert hashlib.sha256(weights).hexdigest() == first["weights_sha256"]
    wrong = 100 * (~results.predictions(settings.run_id)["right"]).mean()
    assert wrong == pytest.approx(first["test_top1_error"], abs=1e-3)
    assert set(first) == {field.name for field in dataclasses.fields(ledger.Row)}


def test_a_run_whose_row_was_deleted_is_recorded_again_from_its_checkpoint(trained):
    settings, first = trained
    predictions = settings.results.file("predictions", settings.run_id).read_bytes()
    (settings.results.folder / ledger.LEDGER).unlink()
    settings.results.file("predictions", settings.run_id).unlink()
    again = run.run(settings)
    assert again["weights_sha256"] == first["weights_sha256"]
    assert settings.results.file("predictions", settings.run_id).read_bytes() == predictions
    assert settings.results.rows()["weights_sha256"].tolist() == [first["weights_sha256"]]


def test_the_temperature_is_fitted_on_validation_images(trained):
    settings, row = trained
    dataset = open_dataset(settings)
    network, fitted = trained_network(settings, dataset, CPU), {}
    for part, loader in zip(("valid", "test"), dataset.loaders(settings, CPU)[1:], strict=True):
        scores = evaluate.predict(network, loader)
        fitted[part] = evaluate.fit_temperature(scores, dataset.targets[dataset.parts == part])
    assert row["temperature"] == pytest.approx(fitted["valid"], rel=1e-3)
    assert row["temperature"] != pytest.approx(fitted["test"], rel=1e-2)


def test_a_repetition_that_comes_out_otherwise_is_kept_beside_the_first(trained):
    """Here it does because the first is made to have said something else of five images."""
    settings, first = trained
    predictions = settings.results.predictions(settings.run_id).copy()
    predictions.loc[:4, "predicted"] = "another"
    settings.results.save("predictions", settings.run_id, predictions.drop(columns="right"))
    shutil.rmtree(settings.folder)
    assert run.run(settings)["utc"] == first["utc"]
    repeats = settings.results.repeats()
    assert repeats["other_answers"].tolist() == [5] and repeats["test_top1_error"].tolist() == [
        first["test_top1_error"]
    ]


def test_a_repetition_with_the_same_weights_is_kept_once(trained):
    settings, _ = trained
    for _ in range(2):
        (settings.folder / run.WEIGHTS).unlink()
        run.run(settings)
    assert len(settings.results.repeats()) == 1


def test_a_repetition_that_could_not_be_kept_is_done_again(trained, monkeypatch):
    settings, _ = trained
    shutil.rmtree(settings.folder)

    def full(*_):
        raise OSError("no room for another row")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no room"):
        patch.setattr(ledger.Results, "append_repeat", full)
        run.run(settings)
    assert not (settings.folder / run.WEIGHTS).exists()
    (settings.results.folder / ledger.REPEATS).write_text("run_id\n")
    with pytest.raises(ValueError, match=r"repeats\.csv has other columns"):
        run.run(settings)
    (settings.results.folder / ledger.REPEATS).unlink()
    run.run(settings)
    assert len(settings.results.repeats()) == 1


def test_all_code_that_decides_the_weights_is_known_to_checkpoints():
    """What training imports of the rooms that decide something is hashed or, in `BESIDE`, said to decide nothing."""
    script = "import sys, seran_lib.train.learner as _; print(*(m for m in sys.modules if m.startswith('seran_lib.')))"
    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    files = {module.removeprefix("seran_lib.").replace(".", "/") + ".py" for module in imported}
    there = {name for name in files if name.split("/")[0] in checkpoint.ROOMS and (checkpoint.PACKAGE / name).is_file()}
    assert there - checkpoint.BESIDE == set(checkpoint.training_code())
    assert there >= checkpoint.BESIDE


def test_an_epoch_goes_on_at_the_step_where_it_was_interrupted(settings, monkeypatch, capsys):
    """Losses, weights and the epoch's row are those of a run that nobody interrupts."""
    settings = dataclasses.replace(settings, batch=16)
    dataset = open_dataset(settings)
    whole = train.train(dataclasses.replace(settings, out=str(settings.folder / "whole")), dataset, CPU)
    monkeypatch.setattr(KeepState, "MINUTES", 0.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FiniteLoss, "after_loss", interrupt_at(settings.epochs - 1, 3))
        train.train(settings, dataset, CPU)
    capsys.readouterr()
    again = train.train(settings, dataset, CPU)
    assert "resumed after epoch 1 of 2 and 3 of 4 steps" in capsys.readouterr().out
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole).values(), weights_of(again).values(), strict=True))
    exact = ["epoch", "train_loss", "valid_loss"]
    pd.testing.assert_frame_equal(whole.log[exact], again.log[exact])


def interrupt_at(epoch, step):
    """Ctrl-C in that step, both counted from zero."""

    def after_loss(self):
        if self.training and (self.epoch, self.iter) == (epoch, step):
            raise KeyboardInterrupt

    return after_loss


def test_the_best_weights_are_kept_besides_the_last(settings, monkeypatch):
    """Validation says 60, 40, 50 % in turn: the second epoch is the best."""
    settings = dataclasses.replace(settings, epochs=3)
    dataset = open_dataset(settings)
    seen = []

    def epoch_log(self):
        after_epoch(self)
        self.rows[-1]["valid_top1_error"] = (60.0, 40.0, 50.0)[len(self.rows) - 1]
        seen.append({name: value.clone() for name, value in self.learn.model.state_dict().items()})

    after_epoch = EpochLog.after_epoch
    monkeypatch.setattr(EpochLog, "after_epoch", epoch_log)
    train.train(settings, dataset, CPU)
    with safe_open(settings.folder / BEST, "pt") as best:
        assert best.metadata() == {"epoch": "2", "valid_top1_error": "40.0"}
        assert all(torch.equal(best.get_tensor(name), value) for name, value in seen[1].items())
    assert not all(torch.equal(seen[1][name], value) for name, value in seen[2].items())


def test_a_checkpoint_of_other_code_is_refused(settings, monkeypatch, tmp_path):
    """A changed computation is other code; a changed comment or docstring is not."""
    dataset = open_dataset(settings)
    train.train(settings, dataset, CPU)
    package = tmp_path / "package"
    shutil.copytree(checkpoint.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(checkpoint, "PACKAGE", package)
    blocks = package / "nets" / "blocks.py"
    text = blocks.read_text()
    blocks.write_text(text.replace('"""Stem', '"""Said anew: stem') + "# a comment\n")
    assert len(train.train(settings, dataset, CPU).log) == settings.epochs
    blocks.write_text(text.replace("EXPANSION = 4", "EXPANSION = 2"))
    with pytest.raises(checkpoint.CheckpointError, match=r"(?s)code: checkpoint .*\nGo back to the version"):
        train.train(settings, dataset, CPU)


def out_of_memory_above(images, *, recomputing):
    """A network that needs more memory than there is for more than so many images, or unless it recomputes."""

    def build(settings, classes, device):
        model = build_model(settings, classes, device)

        def check(module, inputs):
            recomputed = any(map(recomputes, model.modules()))
            if module.training and (len(inputs[0]) > images or recomputing > recomputed):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

        model.stem.register_forward_pre_hook(check)
        return model

    build_model = train.build_model
    return build


def test_out_of_memory_first_recomputes_and_changes_no_bit(settings, monkeypatch, capsys):
    dataset = open_dataset(settings)
    whole = train.train(dataclasses.replace(settings, out=str(settings.folder / "whole")), dataset, CPU)
    monkeypatch.setattr(train, "build_model", out_of_memory_above(32, recomputing=True))
    fitted = train.train(settings, dataset, CPU)
    said = capsys.readouterr().out
    assert "out of memory with 32 images at a time: going on with 32 images at a time, activations recomputed" in said
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole).values(), weights_of(fitted).values(), strict=True))


def test_out_of_memory_then_halves_the_micro_batch_and_keeps_the_batch(settings, monkeypatch, capsys):
    """Memory runs short in the second epoch, when something else uses the device too; a later sitting remembers."""
    settings = dataclasses.replace(settings, epochs=3)
    dataset = open_dataset(settings)
    tight, small = out_of_memory_above(8, recomputing=True), []

    def after_loss(self):
        if self.epoch == 1 and not small:
            small.append(1)
            monkeypatch.setattr(train, "build_model", tight)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if self.epoch == 2 and len(small) == 1:
            small.append(2)
            raise KeyboardInterrupt

    monkeypatch.setattr(FiniteLoss, "after_loss", after_loss)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings, dataset, CPU)
    said = capsys.readouterr().out
    for words in ("32 images at a time, activations", "16 images at a time, activations", "8 images at a time, act"):
        assert f"going on with {words}" in said
    assert said.count("resumed after epoch 1 of 3") == 3
    row = run.run(settings, dataset)
    assert "out of memory" not in capsys.readouterr().out
    assert (row["batch"], row["micro_batch"]) == (32, 8)


def test_out_of_memory_to_the_end_says_so(settings, monkeypatch):
    monkeypatch.setattr(train, "build_model", out_of_memory_above(1, recomputing=False))
    with pytest.raises(MemoryError, match="not even 2 images at a time, activations recomputed, fit the memory"):
        train.train(settings, open_dataset(settings), CPU)


def test_two_processes_train_as_one(atlas, tmp_path):
    """The same batches, losses and schedule as one process that cuts its batches in two; one writes, both end."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(script), str(atlas)]
    done = subprocess.run(
        command, env=environment | {"SERAN_RUNS": str(tmp_path / "two")}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    ledger_rows = pd.read_csv(tmp_path / "two" / "smoke" / "ledger.csv")
    assert len(ledger_rows) == 1 and ledger_rows["micro_batch"][0] == 16 and ledger_rows["batch"][0] == 32
    assert ledger_rows["device"][0].startswith("2 x ")
    assert done.stdout.count("epoch   3/3") == 1
    assert done.stdout.count(ledger_rows["weights_sha256"][0]) == 2
    curve = pd.read_csv(next((tmp_path / "two" / "smoke" / "curves").iterdir()))
    settings = dataclasses.replace(resolve("smoke", data=str(atlas), model="seran", epochs=3), batch=32)
    settings = dataclasses.replace(settings, out=str(tmp_path / "one"))
    one = train._train(settings, open_dataset(settings), CPU, Fit(micro_batches=2), None)
    np.testing.assert_allclose(curve["train_loss"], one.log["train_loss"], rtol=0.01)
    first = train.build_model(settings, 3, CPU)
    with safe_open(next((tmp_path / "two").glob("*/weights.safetensors")), "pt") as kept:
        ways = [
            torch.cat([(weights(name) - value).flatten() for name, value in first.named_parameters()])
            for weights in (kept.get_tensor, one.model.state_dict().__getitem__)
        ]
    likeness = nn.functional.cosine_similarity(*ways, dim=0)
    assert likeness > 0.999, "the gradients of both are averaged"


def test_a_checkpoint_of_other_settings_or_damaged_is_refused(settings):
    dataset = open_dataset(settings)
    train.train(dataclasses.replace(settings, epochs=1, out=str(settings.folder)), dataset, CPU)
    with pytest.raises(checkpoint.CheckpointError, match="epochs: checkpoint 1, now 2"):
        train.train(settings, dataset, CPU)
    (settings.folder / "last.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(checkpoint.CheckpointError, match=r"last.pt is damaged .*\n.*Delete this"):
        train.train(settings, dataset, CPU)


def weights_of(training):
    return {name: value.clone() for name, value in training.model.state_dict().items()}


@pytest.mark.parametrize("accident", ["last is damaged", "last is cut short", "killed between the renames"])
def test_an_accident_to_the_newest_checkpoint_costs_an_epoch_and_not_the_run(settings, capsys, accident):
    settings = dataclasses.replace(settings, epochs=3)
    data = open_dataset(settings)
    whole = weights_of(train.train(settings, data, CPU))
    last, folder = settings.folder / "last.pt", settings.folder
    assert checkpoint.load_state(folder, train.identity(settings, data))["epochs_done"] == 3
    if accident == "last is damaged":
        last.write_bytes(b"not a checkpoint")
    elif accident == "last is cut short":
        last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    else:
        os.replace(last, folder / "next.pt")
    capsys.readouterr()
    again = weights_of(train.train(settings, data, CPU))
    said = capsys.readouterr().out
    if accident.startswith("last"):
        assert "going on from previous.pt" in said and "resumed after epoch 2 of 3" in said
    else:
        assert "resumed after epoch 3 of 3" in said
    assert all(torch.equal(whole[name], again[name]) for name in whole)


class Trap:
    def __reduce__(self):
        return os.system, ("touch trapped",)


def test_reading_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"identity": Trap()}, tmp_path / "last.pt")
    with pytest.raises(checkpoint.CheckpointError, match="damaged"):
        checkpoint.load_state(tmp_path, {})
    assert not (tmp_path / "trapped").exists()


def test_two_runs_in_one_folder(settings):
    settings.folder.mkdir(parents=True)
    with FileLock(settings.folder / ".lock"), pytest.raises(checkpoint.CheckpointError, match="another process"):
        run.run(settings)


def test_a_run_that_was_interrupted_can_be_given_again_in_the_same_kernel(settings, monkeypatch):
    with monkeypatch.context() as interrupted, pytest.raises(KeyboardInterrupt) as kept:
        interrupted.setattr(run, "train", interrupt)
        run.run(settings)
    assert kept.tb is not None, "a notebook's kernel keeps the traceback, too, and all that its frames hold"
    assert run.run(settings)["epochs"] == settings.epochs


def test_the_ledgers_run_is_not_replaced_by_one_on_other_images(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    published = dataclasses.replace(settings, profile="laptop", epochs=1)
    dataset = open_dataset(published)
    run.run(published, dataset)
    written = (tmp_path / "results" / "ledger.csv").read_bytes()
    with pytest.raises(checkpoint.CheckpointError, match=r"on other images.*another name"):
        run.run(published, dataclasses.replace(dataset, fingerprint="of other images"))
    with pytest.raises(checkpoint.CheckpointError, match=rf"holds {published.run_id} on other images"):
        run.run(
            dataclasses.replace(published, model="resnet101", out=str(tmp_path / "another")),
            dataclasses.replace(dataset, fingerprint="of other images"),
        )
    assert (tmp_path / "results" / "ledger.csv").read_bytes() == written


def test_a_forward_pass_that_is_interrupted_leaves_half_precision(settings, monkeypatch):
    """In a notebook's kernel, where the next training would else compute with the weights of this one's first step."""
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    dataset, seen = open_dataset(settings), []
    learner = train.make_learner(settings, dataset, CPU)

    def interrupt(*_):
        seen.append(torch.is_autocast_enabled("cpu"))
        raise KeyboardInterrupt

    learner.model.classifier.register_forward_pre_hook(interrupt)
    with learner.no_logging(), pytest.raises(KeyboardInterrupt):
        learner.fit(1)
    assert seen == [True] and not torch.is_autocast_enabled("cpu")


def test_a_state_that_is_no_number_is_not_kept_within_an_epoch(settings, monkeypatch):
    """On a GPU, where the loss is looked at every fifty micro-batches only."""
    monkeypatch.setattr(FiniteLoss, "after_loss", lambda self: None)
    monkeypatch.setattr(KeepState, "MINUTES", 0.0)
    wild, dataset = dataclasses.replace(settings, lr=float("inf"), epochs=1), open_dataset(settings)
    with pytest.raises(FloatingPointError, match="losses"):
        train.train(wild, dataset, CPU)
    assert checkpoint.load_state(wild.folder, train.identity(wild, dataset)) is None, "one step spoils all weights"


def test_on_a_gpu_the_loss_is_looked_at_now_and_then_and_the_steps_since_are_named(settings):
    loader = SimpleNamespace(micro_batches=1, steps=120, first_step=0, order=lambda: np.arange(240).reshape(120, 2))
    check = FiniteLoss(settings, np.array([f"i{k}" for k in range(240)]))
    dls = SimpleNamespace(device=torch.device("cuda"), train=loader)
    check.learn = SimpleNamespace(training=True, dls=dls, n_iter=120, epoch=0, iter=0, loss=None)
    check.before_train()
    with pytest.raises(FloatingPointError, match=r"step 51 to 100 of 120 \(images i100, .*, i107, \.\.\.\)"):
        for step in range(120):
            check.learn.iter, check.learn.loss = step, torch.tensor(float("nan") if step == 62 else 1.0)
            check.after_loss()


def test_a_run_that_went_on_elsewhere_names_both_devices():
    log = pd.DataFrame({"precision": ["fp16", "bf16", "bf16"], "device": ["Tesla T4", "NVIDIA L4", "NVIDIA L4"]})
    training = train.Training(torch.nn.Identity(), log, train.Fit())
    assert training.of_all_epochs("device") == "Tesla T4 + NVIDIA L4"
    assert training.of_all_epochs("precision") == "fp16 + bf16"


def test_a_run_is_due_where_ledger_images_files_or_weights_are_not_in_order(trained, tmp_path):
    settings, _ = trained
    own = dataclasses.replace(settings, data=str(shutil.copytree(settings.data, tmp_path / "insects")))

    def due():
        return [settings.run_id for settings in run.due([own])]

    assert due() == [], "finished"
    row, weights = own.results.folder / ledger.LEDGER, own.folder / run.WEIGHTS
    files = [own.results.file(kind, own.run_id) for kind in ("curves", "predictions")]
    for path in (*files, row, weights):
        kept = path.read_bytes()
        path.unlink()
        assert due() == [own.run_id], f"without {path.name}"
        path.write_bytes(kept)
    weights.write_bytes(kept[:-1])
    assert due() == [own.run_id], "weights that are not the ledger's"
    weights.write_bytes(kept)
    manifest = tmp_path / "insects" / "manifest.csv"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    assert due() == [own.run_id], "an image fewer"
    assert run.run(own)["data_fingerprint"] == open_dataset(own).fingerprint
    assert due() == [], "done again"
    shutil.rmtree(tmp_path / "insects")
    assert due() == [], "no images here to tell"


def test_a_diverging_run_stops_and_keeps_the_last_good_state(settings):
    dataset = open_dataset(settings)
    wild = dataclasses.replace(settings, lr=float("inf"), epochs=3)
    with pytest.raises(
        FloatingPointError, match=r"is NaN or infinite in epoch 1, step \d of .* lower the learning rate"
    ):
        train.train(wild, dataset, CPU)
    assert not (settings.folder / "last.pt").exists()


def test_a_loss_that_is_no_number_names_its_step_and_images_and_loses_nothing(settings, monkeypatch):
    """The second batch of the second epoch is spoilt: the run stops there, and without the fault it goes on exactly."""
    data = open_dataset(settings)
    whole = weights_of(train.train(settings, data, CPU))
    spoilt = dataclasses.replace(settings, out=str(settings.folder.with_name("spoilt")))
    steps = data.count("train") // settings.batch
    view, asked = PackedLoader.after_batch, []

    def second_of_the_second(self, batch):
        images, targets = view(self, batch)
        if self.training:
            asked.append(1)
            if len(asked) == steps + 2:
                images[0] = float("nan")
        return images, targets

    with monkeypatch.context() as patch, pytest.raises(FloatingPointError) as stopped:
        patch.setattr(PackedLoader, "after_batch", second_of_the_second)
        train.train(spoilt, data, CPU)
    assert f"in epoch 2, step 2 of {steps} (images " in str(stopped.value)
    loader = data.loaders(spoilt, CPU).train
    loader.epoch = 1
    batches = loader.get_idxs()[settings.batch : 2 * settings.batch]
    names = data.manifest["image_id"].to_numpy()[data.parts == "train"][batches]
    assert ", ".join(names[:8]) in str(stopped.value)
    again = weights_of(train.train(spoilt, data, CPU))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_optimiser_and_schedule_are_those_of_fastai_version_1(settings):
    dataset = open_dataset(settings)
    learner = train.make_learner(settings, dataset, CPU)
    learner.create_opt()
    group = learner.opt.opt.param_groups[0]
    assert (group["betas"], group["eps"], learner.wd) == ((0.9, 0.99), 1e-8, 0.01)
    assert len(learner.opt.opt.param_groups) == 1  # weight decay on every parameter
    rate = train.schedule(1)["lr"]
    np.testing.assert_allclose([rate(0), rate(0.3), rate(1)], [1 / 25, 1, 1 / 250_000], rtol=1e-6)
    constant = train.schedule(1e-3, cycle=RECIPES["constant"].cycle)
    assert [(constant["lr"](part), constant["mom"](part)) for part in (0, 0.5, 1)] == 3 * [(1e-3, 0.9)]


def test_another_seed_is_another_run_and_another_split(settings):
    other = dataclasses.replace(settings, seed=1)
    assert other.run_id != settings.run_id and other.folder != settings.folder
    assert open_dataset(other).fingerprint != open_dataset(settings).fingerprint


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"profile": "huge"}, ValueError, "unknown profile 'huge': choose one of smoke, laptop, colab, paper"),
        ({"model": "vgg"}, ValueError, "unknown model 'vgg': choose one of resnet101"),
        ({"wiring": "x"}, ValueError, "unknown wiring 'x'"),
        ({"init": "x"}, ValueError, "unknown init 'x'"),
        ({"seed": "0"}, TypeError, "seed = '0' is str, expected int"),
        ({"epochs": True}, TypeError, "epochs = True is bool"),
        ({"seed": -1}, ValueError, "must not be negative"),
        ({"profile": "laptop"}, ValueError, "needs photographs: name a folder"),
        ({"data": "no/such/folder"}, ValueError, "'no/such/folder' is not a folder"),
    ],
)
def test_settings_name_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        resolve(**arguments)


def test_a_forward_pass_that_fails_does_not_leave_half_precision_on(settings, monkeypatch):
    """The kernel of a notebook lives on after the error; what it computes next must be as exact as before."""
    data = open_dataset(settings)
    seen = []

    def spoilt(model_settings, classes, device):
        model = build(model_settings, classes, device)

        def fail(*_):
            seen.append(torch.is_autocast_enabled("cpu"))
            raise RuntimeError("out of luck")

        list(model.children())[-1].register_forward_pre_hook(fail)
        return model

    build = train.build_model
    monkeypatch.setattr("seran_lib.train.device.precision", lambda *_: "bf16")  # whatever this machine is good at
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of luck"):
        patch.setattr(train, "build_model", spoilt)
        train.train(settings, data, CPU)
    assert seen == [True]
    assert not torch.is_autocast_enabled("cpu")
    train.train(dataclasses.replace(settings, epochs=1), data, CPU)
    assert not torch.is_autocast_enabled("cpu")
