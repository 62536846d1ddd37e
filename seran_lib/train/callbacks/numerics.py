"""Half precision, the running loss, and the stop at a loss that is not finite."""

import math

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.learner import AvgSmoothLoss, Learner
from fastai.torch_core import to_float
from torch.amp import GradScaler

from seran_lib.train.device import autocast, precision
from seran_lib.train.settings import Settings


class SmoothLossOnDevice(AvgSmoothLoss):
    """fastai's running loss, without copying it to the CPU at every step, which would make that wait for a GPU."""

    def accumulate(self, learn: Learner) -> None:
        self.count += 1
        self.val = torch.lerp(learn.loss.detach().float(), self.val.to(learn.loss.device), self.beta)


class HalfPrecision(MixedPrecision):
    """fastai's mixed precision for the CPU as well, in `device.precision`, where that is float16 with loss scaling.

    The forward pass is in that precision; loss and gradients are in float32. The network's own `forward` begins and
    ends it, rather than fastai's steps: so it ends with a forward pass that fails or is interrupted, too, and cannot
    go on in a notebook's kernel, where torch would then compute with old copies of the weights.
    """

    def __init__(self, device: torch.device, fixed: str = ""):
        super().__init__()
        self.device, self.fixed = device, fixed

    def before_fit(self) -> None:
        self.learn.scaler, self.scales = (
            GradScaler(self.device.type, enabled=precision(self.device, self.fixed) == "fp16"),
            [],
        )
        self.network, plain = self.learn.model, self.learn.model.forward

        def forward(*inputs: torch.Tensor) -> torch.Tensor:
            with autocast(self.device, self.fixed):
                return plain(*inputs)

        # Replaced, as a wrapper would rename the weights, and hooks of torch do not end with an interrupted pass.
        self.network.forward = forward

    def before_batch(self) -> None:
        """The network does it."""

    def after_pred(self) -> None:
        self.learn.pred = to_float(self.pred)

    def after_loss(self) -> None:
        """The network did it."""

    def after_fit(self) -> None:
        del self.network.forward  # what is left is its class's


class FiniteLoss(Callback):
    """Stop at the first training loss that is NaN or infinite, before the network takes the step, and name the images.

    To look at a loss makes a GPU wait, so there it is done every `GPU_EVERY` micro-batches.
    """

    GPU_EVERY = 50

    def __init__(self, settings: Settings, image_ids: np.ndarray):
        self.settings, self.image_ids = settings, image_ids

    def before_train(self) -> None:
        self.seen, self.since = 0.0, self.dls.train.first_step

    def after_loss(self) -> None:
        if not self.training:
            return
        self.seen += self.loss.detach()
        every = self.GPU_EVERY if self.dls.device.type == "cuda" else 1
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
            f"{self.settings.run_id}: the loss is NaN or infinite in epoch {self.epoch + 1}, step {self.since + 1}"
            f"{f' to {step + 1}' if step > self.since else ''} of {loader.steps} (images {shown}). "
            f"The last good state is kept in {self.settings.folder}. "
            f"Look at these images, or lower the learning rate ({self.settings.lr:g})."
        )
