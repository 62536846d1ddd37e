"""Cost: memory and times that can be checked by hand, measured before estimated, and wrong words refused at once."""

import dataclasses
import json
import re
import time
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from rows import some_row
from torch import nn

from seran_lib import cli, paths
from seran_lib.commands import train as command
from seran_lib.nets import create_model
from seran_lib.nets.description import count_parameters, training_memory
from seran_lib.nets.recompute import recompute_blocks
from seran_lib.train import cost, learner, ledger, profiles
from seran_lib.train.callbacks.log import Pace
from seran_lib.train.callbacks.recipe import GrowingSize
from seran_lib.train.dataset import open_dataset
from seran_lib.train.device import device_name, pick_device
from seran_lib.train.pace import PACE, PACE_STEPS, measured_rates, record_pace, remaining_time
from seran_lib.train.settings import resolve

PUBLISHED = list(cost.RTX3090_IMAGES_PER_SECOND)  # their hours are estimated without building a network


@pytest.fixture(autouse=True)
def nothing_measured_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(paths, "results", lambda: tmp_path / "results")
    monkeypatch.setattr("seran_lib.train.pace.BENCHMARKS", tmp_path / "results.csv")


@pytest.fixture
def full(atlas):
    """The paper's settings for ResNet-101."""
    return resolve("paper", data=str(atlas), model="resnet101")


def on(device, settings, rate, monkeypatch, utc="2026-01-01T00:00:00Z"):
    monkeypatch.setattr(ledger, "now", lambda: utc)
    record_pace(settings, device, rate)


def here():
    return device_name(pick_device())


def test_memory_is_what_can_be_counted_by_hand():
    """Image, convolution, normalised and rectified in place, pooled: two bytes a number; positions of maxima, eight."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, 5),
    )
    fixed, an_image = training_memory(network, 8)
    whole, pooled, scores = 8 * 8 * 8, 8 * 4 * 4, 5
    assert fixed == 18 * (3 * 8 * 9 + 2 * 8 + 5 * pooled + 5)
    assert an_image - 2 * (3 * 8 * 8 + 2 * whole + pooled) - 8 * pooled in (0, 2 * scores)


def test_measuring_leaves_the_model_as_it_was():
    model = create_model("seran", 5, width=1 / 8).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    training_memory(model, 64)
    assert not model.training and torch.equal(generator, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["seran_d", "se_resnet101"])
def test_recomputed_blocks_keep_less_and_weights_stay(name):
    model = create_model(name, 5, width=1 / 8)
    plain = training_memory(model, 64)
    recompute_blocks(model)
    recomputed = training_memory(model, 64)
    assert plain[0] == recomputed[0] == 18 * count_parameters(model)
    assert 0 < recomputed[1] < 0.7 * plain[1]


def test_a_batch_twice_as_large_needs_its_images_memory_more(settings):
    memory = [cost.needs_table([dataclasses.replace(settings, batch=n)], 3)["memory, GB"].item() for n in (8, 16, 24)]
    _, an_image = training_memory(create_model(settings.model, 3, width=settings.width), settings.size)
    assert memory[2] - memory[1] == pytest.approx(memory[1] - memory[0]) == pytest.approx(8 * an_image / cost.GB)


@pytest.mark.parametrize(
    ("images", "rate", "words"),
    [
        (100, 10, "less than a minute"),
        (6_000, 10, "about 10 min"),
        (78_000, 10, "about 2 h 10 min"),
        (2_196_000, 10, "about 2 d 13 h"),
    ],
)
def test_time_in_words(images, rate, words):
    assert remaining_time(images, rate) == words


def test_unknown_estimated_measured(settings, full, monkeypatch):
    assert cost.expected_time(settings, 1000) == "not known before the first run on this device"
    assert cost.expected_time(full, 24_287).startswith("1.09 h on T4, ")  # 40 x 24,287 / (748 x 0.33) seconds
    assert cost.expected_time(full, 24_287).endswith("(estimated, +-30 %)")
    on(here(), full, 10.0, monkeypatch)
    expected = f"about 26 h 59 min (measured over {PACE_STEPS} steps in run {full.run_id})"
    assert cost.expected_time(full, 24_287) == expected


def test_the_newest_measurement_of_the_same_thing_counts(settings, monkeypatch):
    other = dataclasses.replace(settings, seed=1)
    on(here(), settings, 100.0, monkeypatch, utc="2026-01-02T00:00:00Z")
    on(here(), other, 50.0, monkeypatch, utc="2026-01-01T00:00:00Z")
    for seed, change in enumerate(({"size": 96}, {"width": 0.25}, {"model": "seran_d"}), start=2):
        on(here(), dataclasses.replace(settings, seed=seed, **change), 1.0, monkeypatch, utc="2026-01-03T00:00:00Z")
    on("another device", dataclasses.replace(settings, seed=9), 1.0, monkeypatch, utc="2026-01-03T00:00:00Z")
    (settings.folder / "pace.json.broken").write_text("{")
    assert cost.expected_time(settings, 60_000).startswith("about 20 min")
    row = {"run_id": "whole", "utc": "2026-01-04T00:00:00Z", "images_per_second": 200.0, "device": here()}
    row |= {name: getattr(settings, name) for name in ("model", "width", "size", "recipe")}
    settings.results.append(some_row(**row))
    assert cost.expected_time(settings, 60_000) == "about 10 min (measured in run whole)"


def test_a_damaged_pace_is_no_reason_to_stop(settings):
    settings.folder.mkdir(parents=True)
    for content in ("{", "[]", '{"run_id": 1}'):
        (settings.folder / PACE).write_text(content)
        assert cost.expected_time(settings, 1000) == "not known before the first run on this device"


def test_a_rate_of_other_steps_does_not_count(settings, monkeypatch):
    growing, frozen = (dataclasses.replace(settings, seed=1, recipe=recipe) for recipe in ("sizes", "frozen"))
    for other in (growing, frozen):
        on(here(), other, 100.0, monkeypatch)
    assert measured_rates(settings).empty
    assert measured_rates(growing)["images_per_second"].tolist() == [100.0]
    on(here(), dataclasses.replace(settings, seed=2, recipe="start"), 50.0, monkeypatch)
    assert measured_rates(settings)["images_per_second"].tolist() == [50.0], "it starts otherwise and steps alike"


def test_images_that_an_epoch_repeats_are_counted(settings):
    few = dataclasses.replace(settings, images_per_class=4)
    dataset = open_dataset(few)
    shown = dataset.loaders(few, torch.device("cpu")).train.n
    assert dataset.count("train") == 12 < shown == dataset.epoch == cost.count_images(few).train


def test_where_images_grow_the_pace_is_that_of_the_whole_run(settings, monkeypatch, capsys):
    """Half of the epochs at half the side: the steps take a quarter of what later ones do."""
    loader = SimpleNamespace(first_step=0, steps=60, micro_batches=1, batch=10)
    pace = Pace(settings, GrowingSize((32, 64)))
    dls = SimpleNamespace(train=loader, device=torch.device("cpu"))
    pace.learn = SimpleNamespace(dls=dls, epoch=0, n_epoch=4, loss=torch.tensor(1.0))
    clock = iter([0.0, 4.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    pace.before_train()
    for step in (pace.begins, pace.ends):
        pace.learn.iter = step - 1
        pace.after_batch()
    assert measured_rates(settings)["images_per_second"].item() == pytest.approx(100 / 2.5)
    # (2 x 1 + 2 x 4) x 600 images less 500, at 100 images/s
    assert "100 images/s: training ends in about 1 min" in capsys.readouterr().out


def test_what_a_step_hands_out_is_what_the_benchmark_measured():
    rows = pd.read_csv(paths.BENCHMARKS).query("benchmark == 'gpu'").drop_duplicates("what")
    with torch.device("meta"):
        networks = [create_model(what.removeprefix("training ").split(",")[0]) for what in rows["what"]]
    tensors = [len(list(network.parameters())) for network in networks]
    seconds = profiles.PROFILES["paper"].batch / rows["ours"] / tensors
    assert len(rows) >= 4 and seconds.min() < cost.DISPATCH < seconds.max() < 1.25 * seconds.min()


def test_full_networks_on_a_cpu_come_with_a_warning(settings, full, monkeypatch):
    monkeypatch.setattr(cost, "pick_device", lambda: torch.device("cpu"))
    assert "no CUDA GPU" not in cost.settings_table(settings, 100).index
    warning = cost.settings_table(full, 24_287).loc["no CUDA GPU", "value"]
    assert "not known" in warning and "profile laptop" in warning
    on(here(), full, 1.0, monkeypatch)
    assert "about 11 d 5 h" in cost.settings_table(full, 24_287).loc["no CUDA GPU", "value"]


def test_a_rate_measured_on_a_card_replaces_its_estimate(full, monkeypatch):
    images = cost.paper_images()
    runs = [dataclasses.replace(full, model=model) for model in PUBLISHED]
    estimated, nothing = cost.hours_table(runs, images)
    assert nothing == [] and list(estimated) == list(cost.GPU_FACTORS) and list(estimated.index) == PUBLISHED
    assert estimated.loc["senet154", "V100"] == pytest.approx(24_287 * 40 / (175 * 0.98) / 3600, abs=0.01)
    older = dataclasses.replace(runs[0], seed=1)
    on("NVIDIA A100-SXM4-40GB", older, 10.0, monkeypatch, utc="2025-01-01T00:00:00Z")
    on("NVIDIA A100-SXM4-40GB", runs[0], 1000.0, monkeypatch)
    on("2 x Tesla T4", runs[1], 1000.0, monkeypatch)
    on("NVIDIA L40S", runs[2], 1000.0, monkeypatch)
    measured, origins = cost.hours_table(runs, images)
    assert measured.loc[PUBLISHED[0], "A100"] == pytest.approx(24_287 * 40 / 1000 / 3600, abs=0.01)
    assert origins == [f"{PUBLISHED[0]} on A100: measured over {PACE_STEPS} steps in run {runs[0].run_id}"]
    changed = measured.ne(estimated)
    assert changed.sum().sum() == 1 and list(measured) == list(estimated)


def test_a_fast_card_waits_for_the_cpu():
    """A step of ResNet-101 hands out work for its 314 weight tensors, in 0.15 ms each, on whatever card."""
    tensors = len(list(create_model("resnet101").parameters()))
    hours = cost.gpu_hours("resnet101", 24_287, 40)
    waiting = 24_287 * 40 / 32 * tensors * 0.15e-3 / 3600
    assert hours["H100"] == hours["A100"] == pytest.approx(waiting, abs=0.01)
    assert hours["T4"] == pytest.approx(24_287 * 40 / (748 * 0.33) / 3600, abs=0.01)


def test_of_several_measured_rates_a_plan_takes_the_quickest(full, tmp_path, monkeypatch):
    card = "NVIDIA H100 80GB HBM3"
    row = {"benchmark": "gpu", "what": "training resnet101, 224 px, GPU", "ours": 500.0, "machine": card}
    others = row | {"what": "training senet154, 224 px, GPU"}, row | {"benchmark": "rivals", "ours": 900.0}
    pd.DataFrame([row, *others]).assign(utc="2026-01-01T00:00:00Z").to_csv(tmp_path / "results.csv")
    on(card, full, 300.0, monkeypatch, utc="2026-02-01T00:00:00Z")  # beside other runs
    measured, origins = cost.hours_table([full], cost.paper_images())
    assert measured.loc["resnet101", "H100"] == pytest.approx(24_287 * 40 / 500 / 3600, abs=0.01)
    assert origins == ["resnet101 on H100: measured by benchmarks/gpu.py"]
    rates = measured_rates(full)
    assert rates["images_per_second"].tolist() == [500.0, 300.0] and rates.iloc[-1]["device"] == card


def test_totals_are_sums_over_models_and_seeds():
    hours = pd.DataFrame({"T4": [1.5, 2.0], "L4": [1.0, float("nan")]}, index=["a", "b"])
    table = cost.totals(hours, 3)
    assert table["T4"].tolist() == [1.5, 2.0, 3.5, 10.5]
    assert table.loc["all models":, "L4"].isna().all()
    assert cost.totals(hours, 1).index.tolist() == ["a", "b", "all models"]


def table_below(said, heading):
    """The rows of a printed table by their first word."""
    lines = said[said.index(heading) :].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_plan_of_the_paper(capsys):
    words = "cost --profile paper --models resnet101,se_resnet101 --seeds 0,1,2 --units H100=10"
    assert cli.main(words.split()) == 0
    said = capsys.readouterr().out
    assert "24,287 images to train" in said and "123 classes" in said
    hours = table_below(said, "hours of training")
    assert hours["resnet101"] == [f"{value:.2f}" for value in cost.gpu_hours("resnet101", 24_287, 40)]
    for column in range(len(cost.GPU_FACTORS)):
        one = float(hours["resnet101"][column]) + float(hours["se_resnet101"][column])
        assert float(hours["all"][column + 1]) == pytest.approx(one)
        assert float(hours["x"][column + 2]) == pytest.approx(3 * one)
    units = table_below(said, "Colab compute units")
    assert float(units["resnet101"][-1]) == pytest.approx(10 * float(hours["resnet101"][-1]), abs=0.06)
    assert "H100 10 (given)" in said and "units an hour not known: V100" in said and "every model is below" in said


def test_plan_of_a_small_profile_names_every_model_and_what_is_not_known(settings, capsys, monkeypatch):
    on(here(), dataclasses.replace(settings, model="resnet101"), 100.0, monkeypatch)
    assert cli.main(["cost", "--data", settings.data, "--epochs", "3"]) == 0
    said = capsys.readouterr().out
    images = cost.count_images(settings)
    times = table_below(said, "minutes of training")
    assert set(profiles.PROFILES["smoke"].grid) < set(times)
    assert times["resnet101"] == [f"{3 * images.train / 100 / 60:.2f}"]
    assert times["seran_d"] == ["not", "known"] and times["all"] == ["models", "not", "known"]
    assert "Colab" not in said


def test_images_are_counted_as_training_will(settings):
    dataset = open_dataset(settings)
    images = cost.count_images(settings)
    assert (images.train, images.valid) == (dataset.count("train"), dataset.count("valid"))
    assert images.classes == len(dataset.classes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--profile", "papers"], "unknown profile 'papers'"),
        (["--prof", "paper"], "did you mean --profile?"),
        (["--models", "resnet101,seran_e"], "unknown model 'seran_e'"),
        (["--models", "seran,seran"], "seran is named twice"),
        (["--seeds", "0,-1"], "write different whole numbers"),
        (["--seeds", "1,1"], "write different whole numbers"),
        (["--units", "T5=1"], "unknown GPU 'T5'"),
        (["--profile", "paper", "--units", "T4=free"], "write units an hour"),
        (["--units", "T4=1"], "--units is for profiles that are made for a GPU"),
        (["--epochs", "-1"], "must not be negative"),
        (["--profile", "laptop"], "needs photographs"),
        (["--profile", "laptop", "--data", "nowhere"], "'nowhere' is not a folder"),
    ],
)
def test_wrong_words_are_refused_before_any_work(words, message, capsys, monkeypatch):
    monkeypatch.setattr(cost, "create_model", lambda *_, **__: pytest.fail("a network was built"))
    assert cli.main(["cost", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_pace_is_plain_json(settings, monkeypatch):
    on("a device", settings, 12.345, monkeypatch)
    pace = json.loads((settings.folder / PACE).read_text())
    assert pace["images_per_second"] == pytest.approx(12.345, abs=0.01)
    assert pace["device"] == "a device" and pace["run_id"] == settings.run_id


def test_a_run_writes_its_pace_down_and_says_how_long_it_takes(settings, monkeypatch, capsys):
    monkeypatch.setattr(Pace, "WARM_UP", 1)
    monkeypatch.setattr("seran_lib.train.callbacks.log.PACE_STEPS", 5)
    small = dataclasses.replace(settings, batch=8)
    learner.train(small, open_dataset(small), torch.device("cpu"))
    said = capsys.readouterr().out
    (rate,) = re.findall(r"(\d+) images/s: training ends in ", said)
    # What is written down is rounded to a tenth, what is said to a whole number, both from the rate itself.
    assert 0 < int(rate) == pytest.approx(measured_rates(small).iloc[-1]["images_per_second"], abs=0.55)


def test_a_run_without_a_notebook(settings, capsys, monkeypatch):
    words = ["train", "--data", settings.data, "--model", "seran", "--epochs", "1"]
    assert cli.main(words) == 0
    assert "insects-smoke-seran-e1-s0-zero: test error " in capsys.readouterr().out
    assert cli.main(words) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert cli.main([*words[:3], "--model", "vgg"]) == 2
    assert "seran train: unknown model 'vgg'" in capsys.readouterr().err
    monkeypatch.setattr(command, "run", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    assert cli.main(words) == 130
    assert capsys.readouterr().err == "seran train: interrupted. Give the same command again to resume\n"
