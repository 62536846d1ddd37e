"""What a training says of itself: a row and a line an epoch, a bar, its pace and how long the rest takes."""

import sys
import time

import numpy as np
from fastai.callback.core import Callback
from tqdm import tqdm

from seran_lib.train.callbacks.recipe import GrowingSize
from seran_lib.train.device import device_name, precision
from seran_lib.train.distributed import mean_of_all, rank, say
from seran_lib.train.pace import PACE_STEPS, record_pace, remaining_time
from seran_lib.train.settings import Settings


class EpochLog(Callback):
    """Keep one row an epoch and print it; on a terminal, show a bar while the epoch runs.

    fastai announces the epochs that a resumed run skips as well; they have their row already. `begun` is what an
    interrupted epoch had come to: the sum of its losses, and seconds. A row names precision and device, as a run may go
    on with others than it began with, unless its precision is `fixed`.
    """

    order = 55  # after fastai's Recorder

    def __init__(self, rows: list[dict[str, float | str]], begun: dict[str, float], fixed: str = ""):
        self.rows, self.begun, self.fixed = rows, begun, fixed

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
            disable=not sys.stderr.isatty() or rank() > 0,
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
        where = {"precision": precision(device, self.fixed), "device": device_name(device)}
        self.rows.append({name: round(value, 5) for name, value in row.items()} | where)
        say(
            f"epoch {row['epoch']:3d}/{self.n_epoch}  loss {self.train_loss:.3f} (validation {valid_loss:.3f})  "
            f"error {row['valid_top1_error']:.2f} %  top-5 {row['valid_top5_error']:.2f} %"
        )


class Pace(Callback):
    """Measure the first steps of a sitting, write the pace down for `seran cost`, and say how long the rest takes.

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
        self.ends = loader.first_step + PACE_STEPS

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
        if rank() == 0:
            record_pace(self.settings, device_name(self.dls.device), pace)
        say(f"{now:.0f} images/s: training ends in {remaining_time(left, now)}")
