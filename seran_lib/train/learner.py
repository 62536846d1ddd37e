"""One training run with fastai's Learner and the paper's settings, resumed where it stopped.

Stated in paper §4.1: AdamW, weight decay 0.01, learning rate 5e-4, batch normalisation, dropout, fast.ai version 1.
Not stated, and taken from the defaults of fast.ai v1: betas (0.9, 0.99), epsilon 1e-8, weight decay on every
parameter, and of its one-cycle schedule a rise over 30 % of the steps from 1/25 of the highest rate, then a cosine
down to 1/250,000 of it, with beta1 going 0.95, 0.85, 0.95. Not stated anywhere: epochs, batch, dropout rate and
whether the cycle was used at all (DEVIATIONS.md).
"""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from accelerate.utils.memory import clear_device_cache
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import SchedNo, combined_cos
from fastai.callback.training import GradientAccumulation
from fastai.metrics import accuracy, top_k_accuracy
from fastai.optimizer import OptimWrapper
from fastai.torch_core import trainable_params
from torch import nn

from seran_lib.nets.models import create_model
from seran_lib.nets.pretrained import create_pretrained
from seran_lib.nets.recompute import recompute_blocks
from seran_lib.nets.specs import SPECS
from seran_lib.train.callbacks.log import EpochLog, Pace
from seran_lib.train.callbacks.numerics import FiniteLoss, HalfPrecision, SmoothLossOnDevice
from seran_lib.train.callbacks.recipe import EMA, GrowingSize
from seran_lib.train.callbacks.schedule import ResumableLearner, StepSchedule, StepSeed
from seran_lib.train.callbacks.state import KeepState
from seran_lib.train.checkpoint import code_fingerprint, load_state
from seran_lib.train.dataset import Dataset
from seran_lib.train.distributed import join_processes, rank, say, world_size
from seran_lib.train.evaluate import TOP
from seran_lib.train.memory import Fit, is_out_of_memory
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings

WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.99)
EPSILON = 1e-8
MOMENTA = (0.95, 0.85, 0.95)
RISE = 0.3
START_DIVISOR, END_DIVISOR = 25, 25e4


@dataclass(frozen=True)
class Training:
    """A finished training: the model on its device, one row per epoch (losses, validation errors, seconds, precision,
    device), and how its steps were made to fit the memory."""

    model: nn.Module
    log: pd.DataFrame
    fit: Fit

    @property
    def seconds(self) -> float:
        """Wall time of all epochs with their validation, over all the sittings of the run."""
        return float(self.log["seconds"].sum())

    def of_all_epochs(self, name: str) -> str:
        """Precision or device, joined by a plus where not all epochs had the same."""
        return " + ".join(self.log[name].unique())

    @property
    def images_per_second(self) -> float:
        """Median training rate over the epochs."""
        return float(self.log["images_per_second"].median())


def build_model(settings: Settings, classes: int, device: torch.device) -> nn.Module:
    """The run's network with its seeded or pretrained first weights, in the memory layout its device is fast with.

    The grouped convolutions of SENet-154 are slower channels-last on a GPU (timm's benchmark: 111 against 175
    images/s on an RTX 3090), so that one stays as it is there.
    """
    torch.manual_seed(settings.seed)
    spec = SPECS[settings.model]
    if spec.pretrained:
        model = create_pretrained(settings.model, classes)
    else:
        model = create_model(settings.model, classes, width=settings.width, wiring=settings.wiring, init=settings.init)
    grouped_on_gpu = spec.grouped and device.type == "cuda"
    return model.to(device, memory_format=torch.contiguous_format if grouped_on_gpu else torch.channels_last)


def norms_apart(model: nn.Module) -> list[list[nn.Parameter]]:
    """The weights of convolutions and linear layers, and the rest: norms and biases, which have one dimension."""
    parameters = trainable_params(model)
    return [[p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]]


def schedule(rate: float, *, cycle: bool = True) -> dict[str, object]:
    """ "lr" and "mom" (beta 1) as functions of the part done, 0 to 1: fast.ai v1's one cycle up to a learning rate, or
    that rate throughout."""
    if not cycle:
        return {"lr": SchedNo(rate, rate), "mom": SchedNo(BETAS[0], BETAS[0])}
    return {
        "lr": combined_cos(RISE, rate / START_DIVISOR, rate, rate / END_DIVISOR),
        "mom": combined_cos(RISE, *MOMENTA),
    }


def make_learner(
    settings: Settings,
    dataset: Dataset,
    device: torch.device,
    fit: Fit = Fit(),  # noqa: B008 (it is frozen)
) -> ResumableLearner:
    """fastai's Learner with AdamW as in fast.ai v1, half precision, and top-1 and top-5 accuracy.

    Loss and weight decay are the recipe's; the label smoothing of a recipe is in the validation loss, too.
    """
    recipe = RECIPES[settings.recipe]
    torch.backends.cudnn.benchmark = True  # a search for the quickest kernels pays: batches of a run have one shape
    model = build_model(settings, len(dataset.classes), device)
    if fit.recompute:
        recompute_blocks(model)
    learner = ResumableLearner(
        dataset.loaders(settings, device, micro_batches=fit.micro_batches, rank=rank(), world_size=world_size()),
        model,
        loss_func=nn.CrossEntropyLoss(label_smoothing=recipe.smoothing),
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, betas=BETAS, eps=EPSILON, fused=True),
        splitter=trainable_params if recipe.decay_all else norms_apart,
        wd=WEIGHT_DECAY if recipe.decay_all else [WEIGHT_DECAY, 0.0],
        metrics=[accuracy, partial(top_k_accuracy, k=min(TOP, len(dataset.classes)))],
        cbs=[HalfPrecision(device, settings.precision)],
    )
    learner.remove_cbs([cb for cb in learner.cbs if isinstance(cb, ProgressCallback)])
    learner.recorder.smooth_loss = SmoothLossOnDevice()
    if fit.micro_batches > 1:
        learner.add_cb(GradientAccumulation(settings.batch // world_size()))
    join_processes(learner, device)
    return learner


def identity(settings: Settings, dataset: Dataset) -> dict[str, object]:
    """What a checkpoint must have in common with a run that goes on from it: settings, images and split, code."""
    return settings.identity() | {"data_fingerprint": dataset.fingerprint, "code": code_fingerprint()}


def train(settings: Settings, dataset: Dataset, device: torch.device) -> Training:
    """Train to the settings' number of epochs, from the last checkpoint in `settings.folder` if there is one.

    On a CPU, a run that was killed and resumed ends with the same weights as one that was not; on a GPU, where cuDNN
    adds in no fixed order, it ends with weights as near as two runs are to each other. Where memory does not suffice,
    steps are made to fit and the run goes on from its last checkpoint (see `memory.Fit`). Raises CheckpointError for
    a checkpoint of another run or a full disk, FloatingPointError where the loss diverges, MemoryError where nothing
    fits.
    """
    images, fit = settings.batch // world_size(), None
    while True:
        state = load_state(settings.folder, identity(settings, dataset))
        fit = fit or Fit(**(state["fit"] if state else {}))
        try:
            return _train(settings, dataset, device, fit, state)
        except RuntimeError as error:
            # Where one of several processes fails, the others wait for it in vain: only torchrun can end them all.
            if not is_out_of_memory(error) or world_size() > 1:
                raise
        smaller = fit.smaller(images)
        say(f"out of memory with {fit.words(images)}: going on with {smaller.words(images)}")
        fit, state = smaller, None
        clear_device_cache(garbage_collection=True)


def _train(settings: Settings, dataset: Dataset, device: torch.device, fit: Fit, state: dict | None) -> Training:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    learner = make_learner(settings, dataset, device, fit)
    learner.create_opt()
    recipe = RECIPES[settings.recipe]
    ema = None
    if recipe.ema:
        ema = EMA(learner.model, recipe.ema * settings.epochs * learner.dls.train.steps)
    rows: list[dict[str, float]] = []
    epochs_done, steps_done = 0, 0
    if state:
        learner.model.load_state_dict(state["model"])
        learner.opt.load_state_dict(state["optimiser"])
        if ema:
            ema.weights.load_state_dict(state["ema"])
        rows += state["rows"]
        epochs_done, steps_done = state["epochs_done"], state["steps_done"]
        within = f" and {steps_done} of {learner.dls.train.steps} steps" if steps_done else ""
        say(f"resumed after epoch {epochs_done} of {settings.epochs}{within}")
    if epochs_done < settings.epochs:
        growing = GrowingSize(recipe.training_sizes(settings.size))
        log = EpochLog(rows, state["begun"] if state else {}, settings.precision)
        acting = [
            StepSeed(settings.seed, epochs_done, steps_done),
            growing,
            StepSchedule(schedule(settings.lr, cycle=recipe.cycle)),
            FiniteLoss(settings, dataset.manifest["image_id"].to_numpy()[learner.dls.train.rows]),
            log,
            Pace(settings, growing),
            *([ema] if ema else []),
            KeepState(settings, identity(settings, dataset), fit, log, ema, state["scaler"] if state else {}),
        ]
        with learner.no_logging():
            learner.fit(settings.epochs, lr=settings.lr, cbs=acting, start_epoch=epochs_done)
    if ema:
        ema.show(True)
    return Training(learner.model, pd.DataFrame(rows), fit)
