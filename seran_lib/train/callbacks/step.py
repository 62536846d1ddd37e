"""What happens around a training step: fastai callbacks, in the order in which they act."""

import math
import sys
import time
from dataclasses import asdict

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.schedule import ParamScheduler
from fastai.learner import AvgSmoothLoss, Learner
from fastai.torch_core import get_model, to_float
from safetensors.torch import save as to_safetensors
from torch import nn
from torch.amp import GradScaler
from tqdm import tqdm

from seran_lib.files import replacing
from seran_lib.train import cost
from seran_lib.train.callbacks.recipe import AverageWeights, GrowingSize
from seran_lib.train.checkpoint import save_state
from seran_lib.train.device import autocast, device_name, precision
from seran_lib.train.distributed import mean_of_all, say, share
from seran_lib.train.memory import Fit
from seran_lib.train.settings import Settings

BEST = "best.safetensors"


class ResumableLearner(Learner):
    """A learner whose training loader may begin in the middle of an epoch; the steps keep their numbers."""

    def all_batches(self) -> None:
        self.n_iter = len(self.dl)
        begin = self.dl.first_step * self.dl.micro_batches if self.training else 0
        for numbered in enumerate(self.dl, start=begin):
            self.one_batch(*numbered)


class SmoothLossOnDevice(AvgSmoothLoss):
    """fastai's running loss, without copying it to the CPU at every step, which would make that wait for a GPU."""

    def accumulate(self, learn: Learner) -> None:
        self.count += 1
        self.val = torch.lerp(learn.loss.detach().float(), self.val.to(learn.loss.device), self.beta)


class StepSeed(Callback):
    """Make a step depend on (seed, epoch, step) alone, so that no state of a random generator has to be kept.

    Order and augmentation of the images come from the loader, dropout from torch's generator, which is seeded here.
    """

    order = -9  # right after fastai has set training or evaluation

    def __init__(self, seed: int, epochs_done: int, steps_done: int):
        self.seed, self.epochs_done, self.steps_done = seed, epochs_done, steps_done

    def before_epoch(self) -> None:
        loader = self.dls.train
        loader.epoch = self.epoch
        loader.first_step = self.steps_done if self.epoch == self.epochs_done else 0

    def before_batch(self) -> None:
        if self.training:
            number, count = share()  # two processes draw what one does that cuts its batch into two pieces
            source = np.random.SeedSequence((self.seed, self.epoch, self.iter * count + number))
            torch.manual_seed(int(source.generate_state(1, np.uint64)[0]))


class HalfPrecision(MixedPrecision):
    """fastai's mixed precision for the CPU as well, in `device.precision`, where that is float16 with loss scaling.

    The forward pass is in that precision; loss and gradients are in float32. The network's own `forward` begins and
    ends it, rather than fastai's steps: so it ends with a forward pass that fails or is interrupted, too, and can not
    go on in a notebook's kernel, where torch would then compute with old copies of the weights.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device

    def before_fit(self) -> None:
        self.learn.scaler, self.scales = GradScaler(self.device.type, enabled=precision(self.device) == "fp16"), []
        self.network, plain = self.learn.model, self.learn.model.forward

        def forward(*inputs: torch.Tensor) -> torch.Tensor:
            with autocast(self.device):
                return plain(*inputs)

        self.network.forward = forward

    def before_batch(self) -> None:
        """The network does it."""

    def after_pred(self) -> None:
        self.learn.pred = to_float(self.pred)

    def after_loss(self) -> None:
        """The network did it."""

    def after_fit(self) -> None:
        del self.network.forward  # what is left is its class's


class StepSchedule(ParamScheduler):
    """fastai's schedule by whole optimiser steps, so that it is the same however a batch is cut into pieces."""

    def before_batch(self) -> None:
        loader = self.dls.train
        self._update_val(
            (self.epoch * loader.steps + self.iter // loader.micro_batches) / (self.n_epoch * loader.steps)
        )


class FiniteLoss(Callback):
    """Stop at the first training loss that is no number, before the network takes the step, and name the images.

    To look at a loss makes a GPU wait, so there it is done every `GPU_PIECES` pieces of a batch.
    """

    GPU_PIECES = 50

    def __init__(self, settings: Settings, image_ids: np.ndarray):
        self.settings, self.image_ids = settings, image_ids

    def before_train(self) -> None:
        self.seen, self.since = 0.0, self.dls.train.first_step

    def after_loss(self) -> None:
        if not self.training:
            return
        self.seen += self.loss.detach()
        every = self.GPU_PIECES if self.dls.device.type == "cuda" else 1
        loader = self.dls.train
        step = self.iter // loader.micro_batches
        if (self.iter + 1) % every and self.iter + 1 < self.n_iter:
            return
        if math.isfinite(self.seen):
            self.since = step if self.iter + 1 < (step + 1) * loader.micro_batches else step + 1
            return
        images = self.image_ids[loader.order()[self.since : step + 1].ravel()]
        shown = ", ".join(images[:8]) + (", ..." if len(images) > 8 else "")
        raise FloatingPointError(
            f"{self.settings.run_id}: the loss is no number in epoch {self.epoch + 1}, step {self.since + 1}"
            f"{f' to {step + 1}' if step > self.since else ''} of {loader.steps} (images {shown}). "
            f"The last good state is kept in {self.settings.folder}. "
            f"Look at these images, or lower the learning rate ({self.settings.lr:g})."
        )


class EpochLog(Callback):
    """Keep one row an epoch and print it; on a terminal, show a bar while the epoch runs.

    fastai announces the epochs that a resumed run skips as well; they have their row already. `begun` is what an
    interrupted epoch had come to: the sum of its losses, and seconds. A row names precision and device, as a run may go
    on with others than it began with.
    """

    order = 55  # after fastai's Recorder

    def __init__(self, rows: list[dict[str, float | str]], begun: dict[str, float]):
        self.rows, self.begun = rows, begun

    def before_epoch(self) -> None:
        if self.epoch < len(self.rows):
            return
        self.total_loss, self.seconds_before = self.begun.get("loss", 0.0), self.begun.get("seconds", 0.0)
        self.begun = {}
        self.began = time.perf_counter()
        loader = self.dls.train
        self.bar = tqdm(
            total=len(loader) + len(self.dls.valid), initial=loader.first_step * loader.micro_batches,
            desc=f"epoch {self.epoch + 1}/{self.n_epoch}", unit="batch", leave=False,
            disable=not sys.stderr.isatty() or share()[0] > 0,
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Time spent on this epoch so far, over all its sittings."""
        return self.seconds_before + time.perf_counter() - self.began

    def after_batch(self) -> None:
        self.bar.update()
        if self.training:
            self.total_loss += self.loss.detach()  # a tensor: reading it here would make a GPU wait

    def after_train(self) -> None:
        self.train_loss = float(mean_of_all(self.total_loss)) / len(self.dls.train)
        self.train_seconds = self.seconds

    def after_epoch(self) -> None:
        if self.epoch < len(self.rows):
            return
        self.bar.close()
        valid_loss, top1, top5 = self.recorder.final_record[1:4]
        loader = self.dls.train
        row = {
            "epoch": self.epoch + 1,
            "train_loss": self.train_loss,
            "valid_loss": valid_loss,
            "valid_top1_error": 100 * (1 - top1),
            "valid_top5_error": 100 * (1 - top5),
            "seconds": self.seconds,
            "images_per_second": loader.steps * loader.batch / self.train_seconds,
        }
        device = self.dls.device
        where = {"precision": precision(device), "device": device_name(device)}
        self.rows.append({name: round(value, 5) for name, value in row.items()} | where)
        say(
            f"epoch {row['epoch']:3d}/{self.n_epoch}  loss {self.train_loss:.3f} (validation {valid_loss:.3f})  "
            f"error {row['valid_top1_error']:.2f} %  top-5 {row['valid_top5_error']:.2f} %"
        )


class Pace(Callback):
    """Measure the first steps of a sitting, write the pace down for `lab plan`, and say how long the rest takes.

    An epoch of fewer steps is over before anybody asks. Where images grow, later ones take longer by their area; the
    pace is that of the whole run.
    """

    order, run_valid = 56, False
    WARM_UP = 10

    def __init__(self, settings: Settings, growing: GrowingSize):
        self.settings, self.growing, self.done = settings, growing, False

    def before_train(self) -> None:
        loader = self.dls.train
        self.begins = loader.first_step + self.WARM_UP
        self.ends = loader.first_step + cost.PACE_STEPS

    def after_batch(self) -> None:
        loader = self.dls.train
        step, rest = divmod(self.iter + 1, loader.micro_batches)
        if self.done or rest or self.ends > loader.steps or step not in (self.begins, self.ends):
            return
        float(self.loss.detach())  # a GPU has to come to this point before the clock is read
        if step == self.begins:
            self.began = time.perf_counter()
            return
        self.done = True
        now = (self.ends - self.begins) * loader.batch / (time.perf_counter() - self.began)
        areas = np.array([self.growing.side(epoch, self.n_epoch) ** 2 for epoch in range(self.n_epoch)])
        areas = areas / areas[self.epoch]
        pace = now / areas.mean()
        left = (areas[self.epoch :].sum() * loader.steps - step) * loader.batch
        if share()[0] == 0:
            cost.record_pace(self.settings, device_name(self.dls.device), pace)
        say(f"{now:.0f} images/s: training ends in {cost.remaining_time(left, now)}")


class KeepState(Callback):
    """Save the run after every epoch and, within an epoch, every `MINUTES`; keep the best weights besides.

    The best are those of the lowest top-1 error on the validation part. They are for use; what the ledger reports is
    the last epoch, so that nothing is chosen.
    """

    order = 60
    MINUTES = 10.0

    def __init__(
        self,
        settings: Settings,
        identity: dict[str, object],
        fit: Fit,
        log: EpochLog,
        average: AverageWeights | None,
        scaler: dict,
    ):
        self.settings, self.identity, self.fit, self.log = settings, identity, fit, log
        self.average, self.saved_scaler = average, scaler
        self.epochs_done = len(log.rows)

    def before_fit(self) -> None:
        if self.saved_scaler:
            self.learn.scaler.load_state_dict(self.saved_scaler)
        self.saved_at = time.perf_counter()

    def after_batch(self) -> None:
        if not self.training or time.perf_counter() - self.saved_at < 60 * self.MINUTES:
            return
        loader = self.dls.train
        step, rest = divmod(self.iter + 1, loader.micro_batches)
        loss = float(self.log.total_loss)
        finite = math.isfinite(loss) and all(bool(p.isfinite().all()) for p in self.learn.model.parameters())
        if rest == 0 and step < loader.steps and finite:  # else FiniteLoss is about to stop the run
            self.save(self.epoch, step, {"loss": loss, "seconds": self.log.seconds})

    def after_epoch(self) -> None:
        if self.epoch < self.epochs_done:  # skipped on resuming
            return
        rows = self.log.rows
        losses = rows[-1]["train_loss"], rows[-1]["valid_loss"]
        if not all(map(math.isfinite, losses)):
            raise FloatingPointError(
                f"{self.settings.run_id}: losses {losses} (training, validation) in epoch {self.epoch + 1}. "
                f"The last good state is kept in {self.settings.folder}. "
                f"Lower the learning rate ({self.settings.lr:g})."
            )
        errors = [row["valid_top1_error"] for row in rows]
        if share()[0] == 0 and errors[-1] < min(errors[:-1], default=math.inf):
            note = {"epoch": str(len(rows)), "valid_top1_error": str(errors[-1])}
            weights = to_safetensors(contiguous(get_model(self.learn.model)), metadata=note)
            with replacing(self.settings.folder / BEST) as stream:
                stream.write(weights)
        self.save(self.epoch + 1, 0, {})

    def save(self, epochs_done: int, steps_done: int, begun: dict[str, float]) -> None:
        """Write the whole state: `steps_done` steps of the epoch after `epochs_done` whole ones."""
        if self.average:
            self.average.show(False)
        if share()[0] == 0:
            state = {
                "identity": self.identity,
                "fit": asdict(self.fit),
                "epochs_done": epochs_done,
                "steps_done": steps_done,
                "begun": begun,
                "model": get_model(self.learn.model).state_dict(),
                "average": self.average.averaged.state_dict() if self.average else {},
                "optimiser": self.opt.state_dict(),
                "scaler": self.learn.scaler.state_dict(),
                "rows": self.log.rows,
            }
            save_state(self.settings.folder, state)
        self.saved_at = time.perf_counter()


def contiguous(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights as safetensors wants them."""
    return {name: value.contiguous() for name, value in model.state_dict().items()}
