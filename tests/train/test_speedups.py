"""Every way to be faster or to need less memory keeps the numbers: eight steps beside the plain path.

The plain path is what a user would write: float32, channels first, PyTorch's AdamW, one batch after the other.
"""

import dataclasses

import numpy as np
import pytest
import torch
from fastai.callback.core import Callback
from torch import nn

from seran_lib.nets import create_model
from seran_lib.nets.blocks import SEBottleneck
from seran_lib.nets.description import training_memory
from seran_lib.nets.recompute import recompute_blocks
from seran_lib.train import device
from seran_lib.train import learner as train
from seran_lib.train.callbacks import numerics
from seran_lib.train.callbacks.numerics import FiniteLoss, HalfPrecision
from seran_lib.train.callbacks.schedule import StepSchedule, StepSeed
from seran_lib.train.callbacks.state import KeepState
from seran_lib.train.dataset import open_dataset
from seran_lib.train.memory import Fit

CPU = torch.device("cpu")
STEPS = 8


class StepLosses(Callback):
    """The training loss of every optimiser step."""

    order = 70

    def __init__(self):
        self.values, self.parts = [], []

    def after_batch(self):
        if self.training:
            self.parts.append(self.loss.item())
            if len(self.parts) == self.dls.train.micro_batches:
                self.values.append(np.mean(self.parts))
                self.parts = []


@pytest.fixture
def longer(settings):
    return dataclasses.replace(settings, model="seran_d", batch=16, epochs=STEPS // 4)  # of 4 steps each


def ours(settings, dataset, fit=Fit(), patch=lambda learner: None):  # noqa: B008
    """Losses of our own training."""
    learner = train.make_learner(settings, dataset, CPU, fit)
    patch(learner)
    steps = StepLosses()
    acting = [StepSeed(settings.seed, 0, 0), StepSchedule(train.schedule(settings.lr)), steps]
    with learner.no_logging():
        learner.fit(settings.epochs, lr=settings.lr, cbs=acting)
    return np.array(steps.values)


def plain(settings, dataset, dtype=torch.float32):
    """The same training as a plain loop."""
    torch.manual_seed(settings.seed)
    model = create_model(settings.model, len(dataset.classes), width=settings.width, init=settings.init)
    model.to(dtype).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.lr, betas=train.BETAS, eps=train.EPSILON, weight_decay=train.WEIGHT_DECAY,
        fused=False, foreach=False,
    )  # fmt: skip
    loader = dataset.loaders(settings, CPU).train
    cycle, losses = train.schedule(settings.lr), []
    for epoch in range(settings.epochs):
        loader.epoch = epoch
        for step, (images, targets) in enumerate(loader):
            done = (epoch * loader.steps + step) / (settings.epochs * loader.steps)
            group = optimiser.param_groups[0]
            group["lr"], group["betas"] = cycle["lr"](done), (cycle["mom"](done), train.BETAS[1])
            source = np.random.SeedSequence((settings.seed, epoch, step))
            torch.manual_seed(int(source.generate_state(1, np.uint64)[0]))
            loss = nn.functional.cross_entropy(model(images.contiguous().to(dtype)), targets)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            losses.append(loss.item())
    return np.array(losses)


def in_float32(learner):
    learner.remove_cbs([cb for cb in learner.cbs if isinstance(cb, HalfPrecision)])


def in_float64(learner):
    """Differences of rounding grow from step to step, so what is to be equal is compared with more digits."""
    in_float32(learner)
    learner.model.double()
    learner.model.register_forward_pre_hook(lambda model, inputs: (inputs[0].double(),))


def test_layout_fused_optimiser_and_fused_gates_take_the_steps_of_the_plain_loop(longer):
    dataset = open_dataset(longer)
    expected = plain(longer, dataset, torch.float64)
    assert len(expected) == STEPS and expected.std() > 0.01
    np.testing.assert_allclose(ours(longer, dataset, patch=in_float64), expected, rtol=1e-6)


def test_half_precision_takes_nearly_the_steps_of_the_plain_loop(longer, monkeypatch):
    monkeypatch.setattr(device, "precision", lambda *_: "bf16")  # CPUs that only emulate it would not take it
    dataset = open_dataset(longer)
    expected, losses = plain(longer, dataset), ours(longer, dataset)
    assert not np.allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(losses, expected, rtol=0.1)
    assert losses.mean() == pytest.approx(expected.mean(), rel=0.02)


def test_recomputing_activations_changes_no_bit(longer):
    dataset = open_dataset(longer)
    np.testing.assert_array_equal(ours(longer, dataset, Fit(recompute=True)), ours(longer, dataset))


@pytest.mark.parametrize("name", ["seran_d", "se_resnet101", "senet154"])
def test_recomputing_changes_no_gradient_and_no_running_statistic(name):
    """Twice forward must not be twice the update of batch normalisation."""
    models = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = create_model(name, 7, width=1 / 8)
        if recompute:
            recompute_blocks(model)
        torch.manual_seed(1)
        with device.autocast(CPU):
            scores = model(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)))
        scores.float().square().mean().backward()
        models.append(model)
    for (path, mine), theirs in zip(models[1].named_parameters(), models[0].parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad), path
    for (path, mine), theirs in zip(models[1].named_buffers(), models[0].buffers(), strict=True):
        assert torch.equal(mine, theirs), path
    (_, plain), (_, recomputing) = (training_memory(model, 64) for model in models)
    assert recomputing < 0.7 * plain


def test_micro_batches_add_up_to_the_gradient_of_the_batch(longer):
    """The same effective batch: with batch normalisation left out, the losses are those of whole batches."""
    dataset = open_dataset(longer)

    def normalise_by_running_statistics(learner):
        in_float64(learner)
        for module in learner.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
                module.forward = lambda x, norm=module: nn.functional.batch_norm(
                    x, norm.running_mean, norm.running_var, norm.weight, norm.bias
                )
        learner.model.dropout.p = 0.0

    whole = ours(longer, dataset, patch=normalise_by_running_statistics)
    cut = ours(longer, dataset, Fit(micro_batches=4), normalise_by_running_statistics)
    assert whole.std() > 0.01
    np.testing.assert_allclose(cut, whole, rtol=1e-6)


def test_the_fused_se_unit_is_the_unfused(longer):
    torch.manual_seed(3)
    unit = SEBottleneck(32, 32)
    x = torch.randn(2, 32, 8, 8)
    residual = unit.residual(nn.functional.relu(unit.bn1(x)))
    torch.testing.assert_close(unit(x), x + unit.se(residual))


@pytest.fixture
def float16(monkeypatch):
    """Graphics cards before Ampere have no bfloat16: there the loss is scaled, and a scale too high is halved."""
    monkeypatch.setattr(numerics, "precision", lambda *_: "fp16")
    monkeypatch.setattr(numerics, "autocast", lambda *_: torch.autocast("cpu", torch.float16))


@pytest.fixture
def brief(longer):
    """Four steps: CPUs are slow in float16."""
    return dataclasses.replace(longer, model="seran", epochs=1)


class Scale(Callback):
    """Sets the first scale, and keeps that of every step with one of the weights."""

    order = 71

    def __init__(self, first):
        self.first, self.scales, self.weights = first, [], []

    def before_fit(self):
        self.learn.scaler = torch.amp.GradScaler("cpu", init_scale=self.first)

    def after_batch(self):
        if self.training:
            self.scales.append(self.learn.scaler.get_scale())
            self.weights.append(next(self.learn.model.parameters()).detach().clone())


def test_float16_is_scaled_and_takes_nearly_the_steps_of_float32(brief, float16):
    dataset, watch = open_dataset(brief), Scale(1024.0)
    expected = ours(brief, dataset, patch=in_float32)
    losses = ours(brief, dataset, patch=lambda learner: learner.add_cb(watch))
    assert set(watch.scales) == {1024.0}
    np.testing.assert_allclose(losses, expected, rtol=0.1)


def test_a_step_that_overflows_in_float16_is_left_out_and_the_scale_halved(brief, float16):
    dataset, watch = open_dataset(brief), Scale(2.0**60)
    ours(brief, dataset, patch=lambda learner: learner.add_cb(watch))
    assert watch.scales == [2.0 ** (59 - step) for step in range(4)]
    assert all(torch.equal(weights, watch.weights[0]) for weights in watch.weights)


def test_the_scale_of_float16_goes_on_where_a_run_was_interrupted(brief, float16, monkeypatch):
    monkeypatch.setattr(KeepState, "MINUTES", 0.0)
    dataset, scales = open_dataset(brief), []

    def after_loss(self):
        scales.append(self.learn.scaler.get_scale())
        if self.training and len(scales) == 2:
            self.learn.scaler.update(512.0)
        if self.training and len(scales) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(FiniteLoss, "after_loss", after_loss)
    with pytest.raises(KeyboardInterrupt):
        train.train(brief, dataset, CPU)
    train.train(brief, dataset, CPU)
    assert scales[2:4] == [512.0, 512.0]
