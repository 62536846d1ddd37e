"""What recipes beyond the paper's do around a step: growing images, a moving average of the weights."""

from itertools import chain

from fastai.callback.core import Callback
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class GrowingSize(Callback):
    """Training images of each of these sides in pixels in turn, for equally many epochs."""

    def __init__(self, sizes: tuple[int, ...]):
        self.sizes = sizes

    def side(self, epoch: int, epochs: int) -> int:
        """The side in one of so many epochs, counted from 0."""
        return self.sizes[epoch * len(self.sizes) // epochs]

    def before_epoch(self) -> None:
        self.dls.train.size = self.side(self.epoch, self.n_epoch)


class EMA(Callback):
    """Exponential moving average of weights and statistics, torch's `AveragedModel`; validate with it, and end so.

    It looks back over `steps`. To be validated, the average changes places with the weights that train: tensors are
    swapped, nothing is copied.
    """

    def __init__(self, model: nn.Module, steps: float):
        self.network, self.shown = model, False
        decay = 1 - 1 / max(steps, 1)
        self.weights = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    def show(self, average: bool) -> None:
        """Let the network hold the average, or the weights that train; `weights` holds the others."""
        if average == self.shown:
            return
        pair = (chain(model.parameters(), model.buffers()) for model in (self.network, self.weights.module))
        for one, other in zip(*pair, strict=True):
            one.data, other.data = other.data, one.data
        self.shown = average

    def before_train(self) -> None:
        self.show(False)

    def after_step(self) -> None:
        self.weights.update_parameters(self.network)

    def before_validate(self) -> None:
        self.show(True)
