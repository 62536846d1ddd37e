"""Recipes: what each changes is what happens in training, and whoever is interrupted loses nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch import nn

from seran_lib.analysis.studies import STUDIES
from seran_lib.data import augment
from seran_lib.data.augment import CHANGES, STRONG_FIELDS, draw_parameters, draw_strong_parameters
from seran_lib.train import learner as train
from seran_lib.train import run as experiment
from seran_lib.train.callbacks import recipe as callbacks
from seran_lib.train.callbacks.numerics import FiniteLoss
from seran_lib.train.callbacks.recipe import EMA
from seran_lib.train.callbacks.state import KeepState
from seran_lib.train.dataset import open_dataset
from seran_lib.train.evaluate import predict
from seran_lib.train.recipes import LADDER, RECIPES
from seran_lib.train.settings import resolve

CPU = torch.device("cpu")
NEUTRAL = {"position": 0.5, "zoom": 1, "contrast": 1, "stretch": 1, "saturation": 1}


def test_each_step_of_the_ladder_keeps_the_steps_before_it():
    words = {"adds", "because", "source"}
    before: dict[str, object] = {}
    for name, recipe in LADDER.items():
        changed = {
            field.name: getattr(recipe, field.name)
            for field in dataclasses.fields(recipe)
            if field.name not in words and getattr(recipe, field.name) != field.default
        }
        assert before.items() <= changed.items(), name
        assert name == "paper" or len(changed) > len(before), name
        before = changed
    assert all(getattr(recipe, word) for recipe in RECIPES.values() for word in words)


@pytest.mark.parametrize(
    ("size", "training", "evaluation"), [(96, (64, 80, 96), 112), (224, (144, 192, 224), 256), (64, (64, 64, 64), 80)]
)
def test_sizes_are_multiples_of_16_the_networks_can_take(size, training, evaluation):
    assert LADDER["views"].training_sizes(size) == training
    assert LADDER["views"].evaluation_size(size) == evaluation
    assert LADDER["paper"].training_sizes(size) == (size,) and LADDER["paper"].evaluation_size(size) == size


# the strong views


@pytest.fixture
def windows():
    """One smooth window of 64 px, no side or corner like another: (1, 64, 64, 3) uint8."""
    y, x = np.mgrid[0:64, 0:64] / 63
    return torch.from_numpy((30 + 180 * np.stack([x, y, x * y], -1)).astype(np.uint8)[None])


def view(windows, **changes):
    parameters = torch.tensor([[float((NEUTRAL | changes).get(name, 0)) for name in STRONG_FIELDS]])
    return augment.denormalise(augment.augment(windows, parameters, 64))


def test_a_strong_view_without_changes_is_the_paper_view(windows):
    table = torch.from_numpy(draw_parameters(5, seed=1, epoch=2))
    neutral = torch.tensor([[NEUTRAL.get(name, 0) for name in STRONG_FIELDS[8:]]] * 5, dtype=torch.float32)
    pictures = windows.expand(5, -1, -1, -1)
    strong = augment.augment(pictures, torch.cat([table, neutral], 1), 64)
    torch.testing.assert_close(strong, augment.augment(pictures, table, 64), atol=1e-5, rtol=0)


def test_a_right_angle_turns_and_no_colour_is_grey(windows):
    turned = view(windows, angle=np.pi / 2)
    torch.testing.assert_close(turned, view(windows).rot90(1, (2, 3)), atol=0.01, rtol=0)
    grey = view(windows, saturation=0)
    torch.testing.assert_close(grey[:, 0], grey[:, 2], atol=1e-5, rtol=0)
    assert (view(windows, saturation=2) - view(windows)).abs().max() > 0.05


def test_stretch_and_shear_show_what_the_map_says(windows):
    """A stretch by 1.25 shows a quarter more of the width, so the picture's slope along x is a quarter steeper."""
    plain, stretched = view(windows)[0, 0, 32, 16:48], view(windows, stretch=1.25)[0, 0, 32, 16:48]
    assert float(stretched.diff().mean() / plain.diff().mean()) == pytest.approx(1.25, rel=0.05)
    sheared = view(windows, shear_x=0.25)[0, 0]  # red grows with x; now it grows with y too, a quarter as steeply
    assert float(sheared[16:48, 32].diff().mean() / plain.diff().mean()) == pytest.approx(0.25, rel=0.1)


def test_strong_parameters_stay_in_their_ranges_and_change_one_thing_a_picture():
    table = draw_strong_parameters(20_000, seed=1, epoch=2)
    columns = dict(zip(STRONG_FIELDS, table.T, strict=True))
    area = columns["zoom"] ** -2
    assert area.min() >= augment.SMALLEST_CROP - 1e-6 and area.max() <= 1
    assert area.mean() == pytest.approx((1 + augment.SMALLEST_CROP) / 2, abs=0.01)
    assert np.abs(np.log(columns["stretch"] ** 2)).max() <= np.log(augment.MAX_STRETCH) + 1e-6
    changed = np.stack([columns[name] != neutral for name, (neutral, _, _) in CHANGES.items()])
    assert changed.sum(axis=0).max() == 1
    np.testing.assert_allclose(changed.mean(axis=1), 1 / 7, atol=0.02)
    for name, (_, lowest, highest) in CHANGES.items():
        assert columns[name].min() >= lowest and columns[name].max() <= highest


def test_strong_parameters_depend_on_seed_and_epoch_only():
    first = draw_strong_parameters(50, seed=3, epoch=4)
    np.testing.assert_array_equal(first, draw_strong_parameters(50, seed=3, epoch=4))
    assert (first != draw_strong_parameters(50, seed=3, epoch=5)).any()
    assert (first != draw_strong_parameters(50, seed=4, epoch=4)).any()


# training


def with_recipe(settings, recipe, **changes):
    chosen = resolve("smoke", data=settings.data, model="seran", epochs=2, recipe=recipe)
    return dataclasses.replace(chosen, batch=32, **changes)


def weights(training):
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_norms_and_biases_are_not_decayed_from_the_first_step_on(settings, monkeypatch):
    seen = {}

    def after_loss(self):
        for group in self.opt.opt.param_groups:
            seen.setdefault(group["weight_decay"], set()).update(map(id, group["params"]))
        seen["network"] = self.learn.model

    monkeypatch.setattr(FiniteLoss, "after_loss", after_loss)
    train.train(with_recipe(settings, "start"), open_dataset(settings), CPU)
    network = seen.pop("network")
    assert set(seen) == {0.0, 0.01}
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            spared = isinstance(module, nn.BatchNorm2d) or name == "bias"
            assert (id(parameter) in seen[0.0]) == spared and (id(parameter) in seen[0.01]) != spared


def test_the_recipe_decides_rate_start_views_and_smoothing(settings):
    chosen = with_recipe(settings, "views")
    assert (chosen.lr, chosen.init) == (4e-3, "zero")
    learner = train.make_learner(chosen, open_dataset(chosen), CPU)
    assert learner.loss_func.label_smoothing == 0.1 and learner.dls.train.views == "strong"
    scores, target = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    by_hand = 0.95 * np.log1p(np.exp(-2)) + 0.05 * (2 + np.log1p(np.exp(-2)))
    assert float(learner.loss_func(scores, target)) == pytest.approx(by_hand, rel=1e-5)


def test_training_images_grow_and_the_others_are_larger(settings, monkeypatch):
    chosen = with_recipe(settings, "views", epochs=3, size=96)
    sides = {True: [], False: []}
    build = train.build_model

    def watched(*arguments):
        model = build(*arguments)
        model.register_forward_pre_hook(lambda m, inputs: sides[m.training].append(inputs[0].shape[-1]))
        return model

    monkeypatch.setattr(train, "build_model", watched)
    train.train(chosen, open_dataset(chosen), CPU)
    assert list(dict.fromkeys(sides[True])) == [64, 80, 96] and set(sides[False]) == {112}


class Recorder(Callback):
    """The trained state after every step, seen before the average is."""

    order = -1

    def __init__(self):
        self.states = []

    def after_step(self):
        self.states.append({k: v.clone().float() for k, v in self.learn.model.state_dict().items()})


def test_the_run_ends_with_the_average_of_its_last_weights(settings, monkeypatch):
    chosen, recorder = with_recipe(settings, "average"), Recorder()
    dataset = open_dataset(chosen)
    make = train.make_learner

    def recorded(*arguments):
        learner = make(*arguments)
        learner.add_cb(recorder)
        return learner

    monkeypatch.setattr(train, "make_learner", recorded)
    final = weights(train.train(chosen, dataset, CPU))
    steps = len(recorder.states)
    decay = 1 - 1 / max(1.0, LADDER["average"].ema * steps)
    average = recorder.states[0]
    for state in recorder.states[1:]:
        average = {name: decay * average[name] + (1 - decay) * state[name] for name in state}
    for name, value in final.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, average[name], atol=1e-5, rtol=1e-4)


def test_an_average_over_many_steps_by_hand():
    """Weights 1, 2, 4 with a window of four steps: 1, then 1 + (2 - 1) / 4, then 1.25 + (4 - 1.25) / 4."""
    network = nn.Linear(1, 1, bias=False)
    average = EMA(network, 4)
    for weight in (1.0, 2.0, 4.0):
        nn.init.constant_(network.weight, weight)
        average.after_step()
    average.show(True)
    average.show(True)
    assert network.weight.item() == pytest.approx(1.9375) and average.weights.module.weight.item() == 4
    average.show(False)
    assert network.weight.item() == 4 and average.weights.module.weight.item() == pytest.approx(1.9375)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_interrupted_run_with_every_step_of_the_ladder_ends_with_the_same_weights(settings, monkeypatch, epoch):
    chosen = with_recipe(settings, "views", size=96)
    dataset = open_dataset(chosen)
    monkeypatch.setattr(callbacks, "get_ema_multi_avg_fn", lambda _: slow(0.6))  # so that the past counts
    whole = weights(train.train(dataclasses.replace(chosen, out=str(chosen.folder / "whole")), dataset, CPU))
    monkeypatch.setattr(KeepState, "MINUTES", 0.0)

    def after_loss(self):
        if self.training and (self.epoch, self.iter) == (epoch, 1):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FiniteLoss, "after_loss", after_loss)
        train.train(chosen, dataset, CPU)
    assert equal(whole, weights(train.train(chosen, dataset, CPU)))
    assert equal(whole, weights(train.train(chosen, dataset, CPU)))  # and so does one that is only read again


slow = callbacks.get_ema_multi_avg_fn


def test_mirrored_scores_are_the_mean_over_picture_and_mirror_image(settings):
    class LeftOfIt(nn.Module):
        def forward(self, images):
            half = images.shape[3] // 2
            return torch.stack([images[..., :half].mean((1, 2, 3)), images.mean((1, 2, 3))], 1)

    loader = open_dataset(settings).loaders(settings, CPU)[1]
    plain, mirrored = predict(LeftOfIt(), loader), predict(LeftOfIt(), loader, mirrored=True)
    np.testing.assert_allclose(mirrored[:, 0], mirrored[:, 1], atol=0.02)
    assert np.abs(plain[:, 0] - plain[:, 1]).max() > 0.1


def test_a_row_names_its_recipe_and_another_recipe_is_another_run(settings):
    chosen = with_recipe(settings, "views", epochs=1)
    row = experiment.run(chosen)
    assert (row["recipe"], row["init"], row["lr"]) == ("views", "zero", 4e-3)
    assert row["run_id"].endswith("-s0-zero-views")
    assert len({resolve("smoke", data=settings.data, recipe=name).run_id for name in LADDER}) == len(LADDER)
    assert resolve("smoke", data=settings.data, recipe="views", lr=1e-3).run_id.endswith("views-lr0.001")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"recipe": "best"}, ValueError, "unknown recipe 'best': choose one of paper, start, sizes"),
        ({"recipe": 1}, TypeError, "recipe = 1 is int, expected str"),
        ({"recipe": "frozen"}, ValueError, "recipe 'frozen' is not for seran_d"),
        ({"model": "efficientnet_lite0"}, ValueError, "recipe 'paper' is not for efficientnet_lite0"),
        ({"model": "efficientnet_lite0", "recipe": "frozen", "epochs": 2}, ValueError, "looks at each image once"),
        ({"model": "efficientnet_lite0", "recipe": "frozen", "init": "zero"}, ValueError, "unknown init 'zero'"),
        ({"init": "pretrained"}, ValueError, "unknown init 'pretrained'"),
    ],
)
def test_settings_name_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        resolve(**arguments)


def test_the_studies_of_chapter_12_name_runs_that_can_be_done(tmp_path):
    data = tmp_path / "heliconius"
    data.mkdir()
    runs = {name: list(STUDIES[name].runs("laptop", str(data))) for name in ("ladder", "frozen", "finetune")}
    assert {name: len(chosen) for name, chosen in runs.items()} == {"ladder": 12, "frozen": 3, "finetune": 3}
    ids = [run.run_id for chosen in runs.values() for run in chosen]
    assert len(set(ids)) == len(ids)
    assert {(run.init, run.width, run.size) for run in runs["finetune"]} == {("pretrained", 1.0, 192)}
