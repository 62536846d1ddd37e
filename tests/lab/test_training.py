"""Training: interrupted or not, a run ends in the same weights and one row; what must not be mixed is refused."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from seran_lib.data.loaders import PackedLoader
from seran_lib.lab import checkpoint, experiment, ledger, train
from seran_lib.lab.dataset import open_dataset
from seran_lib.lab.profiles import resolve

SCRIPT = """
import dataclasses, resource, sys
from seran_lib.lab.experiment import run
from seran_lib.lab.profiles import resolve
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


@pytest.mark.parametrize("kills", [(2, 3), (3,)])
def test_a_killed_run_resumes_to_the_same_weights(atlas, tmp_path, whole, kills):
    for epoch in kills:
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


def test_what_a_killed_process_left_half_written_is_removed(settings):
    settings.folder.mkdir(parents=True)
    (settings.folder / ".last.pt.x.part").write_bytes(b"half")
    experiment.run(settings)
    assert not list(settings.folder.glob(".*.part"))


def test_a_finished_run_is_not_repeated(settings, capsys):
    first = experiment.run(settings)
    capsys.readouterr()
    again = experiment.run(settings)
    assert "nothing to do" in capsys.readouterr().out
    assert again["weights_sha256"] == first["weights_sha256"]
    assert len(pd.read_csv(settings.results / "ledger.csv")) == 1
    predictions = pd.read_csv(experiment.predictions_path(settings))
    wrong = 100 * (predictions["label"] != predictions["predicted"]).mean()
    assert wrong == pytest.approx(first["test_top1_error"], abs=1e-3)
    assert set(first) == set(ledger.COLUMNS)


def test_a_checkpoint_of_other_settings_or_damaged_is_refused(settings):
    dataset = open_dataset(settings)
    train.train(dataclasses.replace(settings, epochs=1, out=str(settings.folder)), dataset, torch.device("cpu"))
    with pytest.raises(checkpoint.CheckpointError, match="epochs: checkpoint 1, now 2"):
        train.train(settings, dataset, torch.device("cpu"))
    (settings.folder / "last.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(checkpoint.CheckpointError, match=r"last.pt is damaged .*\n.*Delete this"):
        train.train(settings, dataset, torch.device("cpu"))


def weights_of(training):
    return {name: value.clone() for name, value in training.model.state_dict().items()}


@pytest.mark.parametrize("accident", ["last is damaged", "last is cut short", "killed between the renames"])
def test_an_accident_to_the_newest_checkpoint_costs_an_epoch_and_not_the_run(settings, capsys, accident):
    settings = dataclasses.replace(settings, epochs=3)
    data = open_dataset(settings)
    whole = weights_of(train.train(settings, data, torch.device("cpu")))
    last, folder = settings.folder / "last.pt", settings.folder
    assert checkpoint.load_state(folder, train.identity(settings, data), torch.device("cpu"))["epochs_done"] == 3
    if accident == "last is damaged":
        last.write_bytes(b"not a checkpoint")
    elif accident == "last is cut short":
        last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    else:
        os.replace(last, folder / "next.pt")
    capsys.readouterr()
    again = weights_of(train.train(settings, data, torch.device("cpu")))
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
        checkpoint.load_state(tmp_path, {}, torch.device("cpu"))
    assert not (tmp_path / "trapped").exists()


def test_two_runs_in_one_folder(settings):
    settings.folder.mkdir(parents=True)
    with FileLock(settings.folder / ".lock"), pytest.raises(checkpoint.CheckpointError, match="another process"):
        experiment.run(settings)


def test_a_diverging_run_stops_and_keeps_the_last_good_state(settings):
    dataset = open_dataset(settings)
    wild = dataclasses.replace(settings, lr=float("inf"), epochs=3)
    with pytest.raises(FloatingPointError, match=r"no number in epoch 1, step \d of .* lower the learning rate"):
        train.train(wild, dataset, torch.device("cpu"))
    assert not (settings.folder / "last.pt").exists()


def test_a_loss_that_is_no_number_names_its_step_and_images_and_loses_nothing(settings, monkeypatch):
    """The second batch of the second epoch is spoilt: the run stops there, and without the fault it goes on exactly."""
    data = open_dataset(settings)
    whole = weights_of(train.train(settings, data, torch.device("cpu")))
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
        train.train(spoilt, data, torch.device("cpu"))
    assert f"in epoch 2, step 2 of {steps} (images " in str(stopped.value)
    loader = data.loaders(spoilt, torch.device("cpu")).train
    loader.epoch = 1
    batches = loader.get_idxs()[settings.batch : 2 * settings.batch]
    names = data.manifest["image_id"].to_numpy()[data.parts == "train"][batches]
    assert ", ".join(names[:8]) in str(stopped.value)
    again = weights_of(train.train(spoilt, data, torch.device("cpu")))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_optimiser_and_schedule_are_those_of_fastai_version_1(settings):
    dataset = open_dataset(settings)
    learner = train.make_learner(settings, dataset, torch.device("cpu"))
    learner.create_opt()
    group = learner.opt.opt.param_groups[0]
    assert (group["betas"], group["eps"], learner.wd) == ((0.9, 0.99), 1e-8, 0.01)
    assert len(learner.opt.opt.param_groups) == 1  # weight decay on every parameter
    rate = train.schedule(1)["lr"]
    np.testing.assert_allclose([rate(0), rate(0.3), rate(1)], [1 / 25, 1, 1 / 250_000], rtol=1e-6)


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
        ({"profile": "laptop"}, ValueError, "needs photographs: give data"),
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
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of luck"):
        patch.setattr(train, "build_model", spoilt)
        train.train(settings, data, torch.device("cpu"))
    assert seen == [True]
    assert not torch.is_autocast_enabled("cpu")
    train.train(dataclasses.replace(settings, epochs=1), data, torch.device("cpu"))
    assert not torch.is_autocast_enabled("cpu")
