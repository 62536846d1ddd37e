"""One training run with fastai's Learner and the paper's settings, resumed where it stopped.

Stated in paper §4.1: AdamW, weight decay 0.01, learning rate 5e-4, batch normalisation, dropout, fast.ai version 1.
Not stated, and taken from the defaults of fast.ai v1: betas (0.9, 0.99), epsilon 1e-8, weight decay on every
parameter, and of its one-cycle schedule a rise over 30 % of the steps from 1/25 of the highest rate, then a cosine
down to 1/250,000 of it, with beta1 going 0.95, 0.85, 0.95. Not stated anywhere: epochs, batch, dropout rate and
whether the cycle was used at all (DEVIATIONS.md).
"""

import math
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import ParamScheduler, combined_cos
from fastai.learner import Learner
from fastai.metrics import accuracy, top_k_accuracy
from fastai.optimizer import OptimWrapper
from torch import nn
from tqdm import tqdm

from seran_lib.nets import create_model

from .checkpoint import load_state, save_state
from .dataset import Dataset
from .evaluate import TOP, autocast, precision
from .profiles import Settings

WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.99)
EPSILON = 1e-8
MOMENTA = (0.95, 0.85, 0.95)
RISE = 0.3
START_DIVISOR, END_DIVISOR = 25, 25e4


class EpochSeed(Callback):
    """Make an epoch depend on (seed, epoch) alone, so that a resumed run needs no state of any random generator."""

    order = -10

    def __init__(self, seed: int):
        self.seed = seed

    def before_epoch(self) -> None:
        self.dls.train.epoch = self.epoch
        torch.manual_seed(1_000_003 * self.seed + self.epoch)


class HalfPrecisionOnCPU(Callback):
    """What fastai's MixedPrecision does on a GPU: the forward pass in bfloat16, loss and gradients in float32.

    Hooks on the network rather than on fastai's steps: they also end the half precision of a forward pass that fails,
    which would otherwise go on in the kernel after the error was shown.
    """

    order = MixedPrecision.order

    def before_fit(self) -> None:
        def enter(*_: object) -> None:
            self.context = autocast(self.dls.device)
            self.context.__enter__()

        def leave(*_: object) -> None:
            self.context.__exit__(None, None, None)

        model = self.learn.model
        self.hooks = [model.register_forward_pre_hook(enter), model.register_forward_hook(leave, always_call=True)]

    def after_pred(self) -> None:
        self.learn.pred = self.pred.float()

    def after_fit(self) -> None:
        for hook in self.hooks:
            hook.remove()


class EpochLog(Callback):
    """Keep one row an epoch and print it; on a terminal, show a bar while the epoch runs.

    fastai announces the epochs that a resumed run skips as well; they have their row already.
    """

    order = 55  # after fastai's Recorder

    def __init__(self, rows: list[dict[str, float]]):
        self.rows = rows

    def before_epoch(self) -> None:
        if self.epoch < len(self.rows):
            return
        self.began, self.train_seconds, self.total_loss = time.perf_counter(), 0.0, 0.0
        steps = len(self.dls.train) + len(self.dls.valid)
        title = f"epoch {self.epoch + 1}/{self.n_epoch}"
        self.bar = tqdm(total=steps, desc=title, unit="batch", leave=False, disable=not sys.stderr.isatty())

    def after_batch(self) -> None:
        self.bar.update()
        if self.training:
            self.total_loss += self.loss.detach()  # a tensor: reading it here would make a GPU wait

    def after_train(self) -> None:
        self.train_loss = float(self.total_loss) / len(self.dls.train)
        self.train_seconds = time.perf_counter() - self.began

    def after_epoch(self) -> None:
        if self.epoch < len(self.rows):
            return
        self.bar.close()
        valid_loss, top1, top5 = self.recorder.final_record[1:4]
        images = len(self.dls.train) * self.dls.train.bs
        row = {
            "epoch": self.epoch + 1,
            "train_loss": self.train_loss,
            "valid_loss": valid_loss,
            "valid_top1_error": 100 * (1 - top1),
            "valid_top5_error": 100 * (1 - top5),
            "seconds": time.perf_counter() - self.began,
            "images_per_second": images / self.train_seconds,
        }
        self.rows.append({name: round(value, 5) for name, value in row.items()})
        print(
            f"epoch {row['epoch']:3d}/{self.n_epoch}  loss {self.train_loss:.3f} (validation {valid_loss:.3f})  "
            f"error {row['valid_top1_error']:.2f} %  top-5 {row['valid_top5_error']:.2f} %",
            flush=True,
        )


class FiniteLoss(Callback):
    """Stop at the first training loss that is no number, before the network takes the step, and name the images.

    To look at a loss makes a GPU wait, so there it is done every `GPU_STEPS` steps.
    """

    GPU_STEPS = 50

    def __init__(self, settings: Settings, image_ids: np.ndarray):
        self.settings, self.image_ids = settings, image_ids

    def before_train(self) -> None:
        self.seen = 0.0

    def after_loss(self) -> None:
        if not self.training:
            return
        self.seen += self.loss.detach()
        steps = self.GPU_STEPS if self.dls.device.type == "cuda" else 1
        if (self.iter + 1) % steps or math.isfinite(self.seen):
            return
        loader = self.dls.train
        first = self.iter + 1 - steps
        images = self.image_ids[loader.get_idxs()[first * loader.bs : (self.iter + 1) * loader.bs]]
        shown = ", ".join(images[:8]) + (", ..." if len(images) > 8 else "")
        raise FloatingPointError(
            f"{self.settings.run_id}: the loss is no number in epoch {self.epoch + 1}, step {first + 1}"
            f"{f' to {self.iter + 1}' if steps > 1 else ''} of {self.n_iter} (images {shown}). "
            f"The state of the epoch before is kept in {self.settings.folder}. "
            f"Look at these images, or lower the learning rate ({self.settings.lr:g})."
        )


class KeepState(Callback):
    """Save the run after every epoch; stop, keeping the last good state, where the loss is no longer a number."""

    order = 60

    def __init__(
        self, settings: Settings, identity: dict[str, object], rows: list[dict[str, float]], scaler: dict[str, float]
    ):
        self.settings, self.identity, self.rows, self.saved_scaler = settings, identity, rows, scaler
        self.epochs_done = len(rows)

    def before_fit(self) -> None:
        if self.saved_scaler:
            self.learn.scaler.load_state_dict(self.saved_scaler)

    def after_epoch(self) -> None:
        if self.epoch < self.epochs_done:  # skipped on resuming
            return
        losses = self.rows[-1]["train_loss"], self.rows[-1]["valid_loss"]
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"{self.settings.run_id}: losses {losses} (training, validation) in epoch {self.epoch + 1}. "
                f"The state before it is kept in {self.settings.folder}. "
                f"Lower the learning rate ({self.settings.lr:g})."
            )
        scaler = getattr(self.learn, "scaler", None)
        state = {
            "identity": self.identity,
            "epochs_done": self.epoch + 1,
            "model": self.learn.model.state_dict(),
            "optimiser": self.opt.state_dict(),
            "scaler": scaler.state_dict() if scaler else {},
            "rows": self.rows,
        }
        save_state(self.settings.folder, state)


@dataclass(frozen=True)
class Training:
    """A finished training: the model on its device and one row per epoch (losses, validation errors, seconds)."""

    model: nn.Module
    log: pd.DataFrame

    @property
    def seconds(self) -> float:
        """Wall time of all epochs with their validation, over all the sittings of the run."""
        return float(self.log["seconds"].sum())

    @property
    def images_per_second(self) -> float:
        """Median training rate over the epochs."""
        return float(self.log["images_per_second"].median())


def build_model(settings: Settings, classes: int, device: torch.device) -> nn.Module:
    """The run's network with its seeded first weights, in the memory layout its device is fast with.

    The grouped convolutions of SENet-154 are slower channels-last on a GPU (timm's benchmark: 111 against 175
    images/s on an RTX 3090), so that one stays as it is there.
    """
    torch.manual_seed(settings.seed)
    model = create_model(settings.model, classes, width=settings.width, wiring=settings.wiring, init=settings.init)
    grouped_on_gpu = settings.model == "senet154" and device.type == "cuda"
    return model.to(device, memory_format=torch.contiguous_format if grouped_on_gpu else torch.channels_last)


def make_learner(settings: Settings, dataset: Dataset, device: torch.device) -> Learner:
    """fastai's Learner with AdamW as in fast.ai v1, half precision, and top-1 and top-5 accuracy."""
    model = build_model(settings, len(dataset.classes), device)
    optimiser = partial(OptimWrapper, opt=torch.optim.AdamW, betas=BETAS, eps=EPSILON, fused=True)
    learner = Learner(
        dataset.loaders(settings, device),
        model,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=optimiser,
        wd=WEIGHT_DECAY,
        metrics=[accuracy, partial(top_k_accuracy, k=min(TOP, len(dataset.classes)))],
        cbs=[MixedPrecision(precision(device)) if device.type == "cuda" else HalfPrecisionOnCPU()],
    )
    learner.remove_cbs([cb for cb in learner.cbs if isinstance(cb, ProgressCallback)])
    return learner


def train(settings: Settings, dataset: Dataset, device: torch.device) -> Training:
    """Train to the settings' number of epochs, from the last checkpoint in `settings.folder` if there is one.

    On a CPU, a run that was killed and resumed ends with the same weights as one that was not. Raises
    CheckpointError for a checkpoint of another run or a full disk, FloatingPointError where the loss diverges.
    """
    learner = make_learner(settings, dataset, device)
    learner.create_opt()
    identity = settings.identity() | {"data_fingerprint": dataset.fingerprint}
    state = load_state(settings.folder, identity, device)
    rows: list[dict[str, float]] = []
    if state:
        learner.model.load_state_dict(state["model"])
        learner.opt.load_state_dict(state["optimiser"])
        rows += state["rows"]
        print(f"resumed after epoch {state['epochs_done']} of {settings.epochs}", flush=True)
    start = state["epochs_done"] if state else 0
    if start < settings.epochs:
        rate = settings.lr
        schedule = {
            "lr": combined_cos(RISE, rate / START_DIVISOR, rate, rate / END_DIVISOR),
            "mom": combined_cos(RISE, *MOMENTA),
        }
        callbacks = [
            ParamScheduler(schedule),
            EpochSeed(settings.seed),
            EpochLog(rows),
            FiniteLoss(settings, dataset.manifest["image_id"].to_numpy()[dataset.parts == "train"]),
            KeepState(settings, identity, rows, scaler=state["scaler"] if state else {}),
        ]
        with learner.no_logging():
            learner.fit(settings.epochs, lr=rate, cbs=callbacks, start_epoch=start)
    return Training(learner.model, pd.DataFrame(rows))
