"""The state of a run, kept after every epoch and every ten minutes, and its best weights."""

import math
import time
from dataclasses import asdict

import torch
from fastai.callback.core import Callback
from fastai.torch_core import get_model
from safetensors.torch import save as to_safetensors
from torch import nn

from seran_lib.files import replacing
from seran_lib.train.callbacks.log import EpochLog
from seran_lib.train.callbacks.recipe import EMA
from seran_lib.train.checkpoint import save_state
from seran_lib.train.distributed import rank
from seran_lib.train.memory import Fit
from seran_lib.train.settings import Settings

BEST = "best.safetensors"


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
        ema: EMA | None,
        scaler: dict,
    ):
        self.settings, self.identity, self.fit, self.log = settings, identity, fit, log
        self.ema, self.saved_scaler = ema, scaler
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
        if rank() == 0 and errors[-1] < min(errors[:-1], default=math.inf):
            note = {"epoch": str(len(rows)), "valid_top1_error": str(errors[-1])}
            weights = to_safetensors(contiguous(get_model(self.learn.model)), metadata=note)
            with replacing(self.settings.folder / BEST) as stream:
                stream.write(weights)
        self.save(self.epoch + 1, 0, {})

    def save(self, epochs_done: int, steps_done: int, begun: dict[str, float]) -> None:
        """Write the whole state: `steps_done` steps of the epoch after `epochs_done` whole ones."""
        if self.ema:
            self.ema.show(False)
        if rank() == 0:
            state = {
                "identity": self.identity,
                "fit": asdict(self.fit),
                "epochs_done": epochs_done,
                "steps_done": steps_done,
                "begun": begun,
                "model": get_model(self.learn.model).state_dict(),
                "ema": self.ema.weights.state_dict() if self.ema else {},
                "optimiser": self.opt.state_dict(),
                "scaler": self.learn.scaler.state_dict(),
                "rows": self.log.rows,
            }
            save_state(self.settings.folder, state)
        self.saved_at = time.perf_counter()


def contiguous(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights as safetensors wants them."""
    return {name: value.contiguous() for name, value in model.state_dict().items()}
