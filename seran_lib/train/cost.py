"""What a run will take, said before it starts: measured where it was measured, estimated and named so elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pandas as pd
import torch
from torch import nn

from seran_lib.data.loaders import training_rows
from seran_lib.nets import create_model, describe, describe_model
from seran_lib.nets.description import training_memory
from seran_lib.nets.recompute import recompute_blocks
from seran_lib.paper.facts import FACTS
from seran_lib.progress import progress_bar
from seran_lib.train import profiles
from seran_lib.train.dataset import read_split
from seran_lib.train.device import device_name, pick_device
from seran_lib.train.pace import measured_rates, remaining_time
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings

# Training images/s at 224 px with mixed precision on an RTX 3090 (timm's published benchmark, torch 1.12).
RTX3090_IMAGES_PER_SECOND = {"resnet101": 748, "resnet152": 501, "se_resnet101": 590, "senet154": 175}
# Other cards relative to it, good to about 30 %, and only as far as a card need not wait. V100 and A100: NVIDIA's
# published ResNet-50 training rates. T4: its share of a V100 in NVIDIA's inference rates. H100: twice an A100 (Lambda's
# benchmarks). L4: 1.8 T4, inferred.
GPU_FACTORS = {"T4": 0.33, "L4": 0.6, "V100": 0.98, "A100": 2.05, "H100": 4.0}
# Seconds of a training step for each of a network's weight tensors, which no GPU can undercut: the CPU hands out the
# kernels one by one. Measured with one H100, in four networks 0.14 to 0.17 ms (benchmarks/gpu.py).
DISPATCH = 0.15e-3
# What users read off Colab as its usage rate; Google publishes none, and it has more than halved since 2024.
COLAB_UNITS_PER_HOUR = {"T4": 1.2, "L4": 1.7, "A100": 5.4}
UNITS_SOURCE = (
    "what users read: T4 and L4 in C. McCormick's 'Colab GPUs Features & Pricing' of March 2026, as others quote it, "
    "and an A100 with 40 GB in October 2025. In April 2024 that page had T4 1.84, L4 4.82 and A100 11.77. Google "
    "publishes no table: look at the usage rate under View resources, and give it with --units"
)
GB = 1e9
CARD = 16 * GB  # the smallest GPU that the full networks are meant for: a T4, a V100
GPU_OVERHEAD = 1.5 * GB  # an allowance for CUDA context, workspace and allocator, not a measurement


@cache
def estimated_rate(model: str) -> float:
    """Training images/s of a model at full width and 224 px on an RTX 3090.

    Where no benchmark exists, ResNet-101's rate scaled by convolution activations: an estimate, not a measurement, and
    too fast a one where blocks have SE (chapter 07).
    """
    if model in RTX3090_IMAGES_PER_SECOND:
        return RTX3090_IMAGES_PER_SECOND[model]
    activations = describe_model("resnet101").activations / describe_model(model).activations
    return RTX3090_IMAGES_PER_SECOND["resnet101"] * activations


@cache
def handed_out_rate(model: str) -> float:
    """Training images/s of a full network that a CPU can keep a GPU busy with, at the batch of the paper profile."""
    return profiles.PROFILES["paper"].batch / (DISPATCH * describe_model(model).tensors)


def gpu_hours(model: str, images: int, epochs: int) -> pd.Series:
    """Estimated hours of training per GPU type, at full width and 224 px, one seed, by itself on the card."""
    rate, most = estimated_rate(model), handed_out_rate(model)
    hours = {gpu: images * epochs / min(rate * factor, most) / 3600 for gpu, factor in GPU_FACTORS.items()}
    return pd.Series(hours, name=model).round(2)


def full_size(settings: Settings) -> bool:
    """Whether these are the networks that the GPU estimates are for."""
    return settings.width == 1 and settings.size == 224


def _expected_here(settings: Settings, images: int) -> str:
    """The expected time on this device with its origin, as far as measured; else empty."""
    rates = measured_rates(settings)
    here = rates[rates["device"] == device_name(pick_device())]
    if here.empty:
        return ""
    newest = here.iloc[-1]
    return f"{remaining_time(images * settings.epochs, newest['images_per_second'])} ({newest['origin']})"


def expected_time(settings: Settings, images: int) -> str:
    """Expected duration of a run with `images` an epoch, in words for the table printed before it starts.

    The newest rate measured with the same steps on the same device wins; full-size runs without one
    are estimated per GPU type; anything else is said to be unknown. Validation is not counted.
    """
    measured = _expected_here(settings, images)
    if measured or not full_size(settings):
        return measured or "not known before the first run on this device"
    hours = gpu_hours(settings.model, images, settings.epochs)
    return ", ".join(f"{value:g} h on {gpu}" for gpu, value in hours.items()) + " (estimated, +-30 %)"


def _rate(settings: Settings) -> str:
    if not settings.lr:
        return "none: nothing is trained by steps"
    return f"{'one-cycle up to' if RECIPES[settings.recipe].cycle else 'constant'} {settings.lr:g}"


def settings_table(settings: Settings, images: int) -> pd.DataFrame:
    """What a run is about to do, one row a setting, for reading before it starts."""
    rows = {
        "run": settings.run_id,
        "device": device_name(pick_device()),
        "model": f"{settings.model}, width x{settings.width:g}, {settings.size} px",
        "wiring, initialisation": f"{settings.wiring}, {settings.init}",
        "images an epoch": f"{images:,}",
        "effective batch": f"{settings.batch}, in micro-batches where memory does not suffice",
        "epochs": str(settings.epochs),
        "recipe": f"{settings.recipe}: {RECIPES[settings.recipe].adds}",
        "learning rate": _rate(settings),
        "seed": str(settings.seed),
        "expected time": expected_time(settings, images),
    }
    if full_size(settings) and pick_device().type == "cpu":
        here = _expected_here(settings, images) or "a time not known before its first steps, but far too long"
        rows["no CUDA GPU"] = f"this CPU needs {here}: choose the profile laptop, or a machine with a CUDA GPU"
    return pd.DataFrame({"value": rows}).rename_axis("setting")


@dataclass(frozen=True)
class Images:
    """How many images an epoch trains and validates on, of how many classes, and in words where that is known from."""

    train: int
    valid: int
    classes: int
    source: str


def count_images(settings: Settings) -> Images:
    """Images of the settings' data set after selection and split; no picture is opened. Raises DataError."""
    manifest, parts = read_split(settings)
    train, valid = len(training_rows(parts)), int((parts == "valid").sum())
    where = f"{settings.data_name}, seed {settings.seed}"
    return Images(train, valid, manifest["label"].nunique(), where)


def paper_images() -> Images:
    """As many as the paper had."""
    counts = (int(FACTS[name].value) for name in ("train_images", "valid_images", "species_kept"))
    return Images(*counts, "the paper's counts, sections 2 and 4.1")


def needs_table(runs: Sequence[Settings], classes: int) -> pd.DataFrame:
    """What each model is and what memory a step of one effective batch takes, plain and with recomputed blocks.

    A row a model, all measured on the CPU at the settings' width and size: parameters and activations in 10^6,
    multiply-accumulates in 10^9, memory in GB and as a share of a 16 GB card.
    """
    rows = {}
    for run in progress_bar(runs, desc="measuring models", unit="model", leave=False):
        torch.manual_seed(run.seed)
        model = create_model(run.model, classes, width=run.width, wiring=run.wiring, init=run.init)
        cost = describe(model, run.size)
        plain = _memory(model, run)
        recompute_blocks(model)
        rows[run.model] = {
            "parameters, M": cost.parameters / 1e6,
            "GMACs": cost.gmacs,
            "activations, M": cost.activations,
            "memory, GB": plain / GB,
            "% of 16 GB": 100 * plain / CARD,
            "recomputed, GB": _memory(model, run) / GB,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _memory(model: nn.Module, run: Settings) -> int:
    """Bytes for a step of one effective batch."""
    fixed, an_image = training_memory(model, run.size)
    return fixed + run.batch * an_image


def hours_table(runs: Sequence[Settings], images: Images) -> tuple[pd.DataFrame, list[str]]:
    """Hours of training, a row a model and a column a device, one seed; and for every measured one where it is from.

    Full-size runs have a column for each GPU type of `GPU_FACTORS`; a rate measured on such a card replaces the
    estimate, and of several the quickest, as some runs may have shared their card. This device has a column where
    anything was measured on it, or nothing can be estimated; what is not known is missing.
    """
    this = device_name(pick_device())
    rows, origins = {}, []
    for run in runs:
        hours = dict(gpu_hours(run.model, images.train, run.epochs)) if full_size(run) else {this: float("nan")}
        rates = measured_rates(run).sort_values("images_per_second").drop_duplicates("device", keep="last")
        for device, rate, origin in zip(rates["device"], rates["images_per_second"], rates["origin"], strict=True):
            column = (_card(device) if full_size(run) else None) or device
            if column in hours or device == this:
                hours[column] = images.train * run.epochs / rate / 3600
                origins.append(f"{run.model} on {column}: {origin}")
        rows[run.model] = hours
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model"), origins


def _card(device: str) -> str | None:
    """The GPU type in a device's name, such as "A100" in "NVIDIA A100-SXM4-40GB"; several GPUs count as none."""
    words = re.split(r"[ -]", device)
    return next((gpu for gpu in GPU_FACTORS if gpu in words and "x" not in words), None)


def totals(hours: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """The table with the sum over its models and over all seeds below; unknown where a model is."""
    one = hours.sum(skipna=False)
    below = {"all models": one} if seeds == 1 else {"all models": one, f"x {seeds} seeds": seeds * one}
    return pd.concat([hours, pd.DataFrame(below).T]).rename_axis(hours.index.name)


def assumptions(runs: Sequence[Settings], images: Images, needs: pd.DataFrame) -> list[str]:
    """What the numbers of a plan rest on, a sentence or two each."""
    memory = needs["memory, GB"] * GB
    large = list(memory.index[memory > CARD - GPU_OVERHEAD])
    fits = f"{', '.join(large)} above that: recomputed, about a third slower" if large else "every model is below that"
    lines = [
        "memory: weights, gradients and Adam's averages in float32, a half-precision copy of the weights, and what a "
        f"forward pass in bfloat16 keeps of {runs[0].batch} images, measured on this CPU. A GPU adds about "
        f"{GPU_OVERHEAD / GB:g} GB (an allowance), so {(CARD - GPU_OVERHEAD) / GB:g} of 16 GB can be used: {fits}.",
        f"time: training only. A validation pass is forward only, a third of a step's work: about "
        f"{images.valid / images.train / 3:.0%} more.",
    ]
    if not full_size(runs[0]):
        return [*lines, "minutes: measured on this device or, before its first run there, not known."]
    scaled = [run.model for run in runs if run.model not in RTX3090_IMAGES_PER_SECOND]
    lines.append(
        "hours, where not measured: timm's published training rates on an RTX 3090 (224 px, mixed precision), times a "
        f"factor: {', '.join(f'{gpu} {factor:g}' for gpu, factor in GPU_FACTORS.items())}; +-30 %. V100 and A100 from "
        "NVIDIA's published ResNet-50 training rates, T4 from its share of a V100 in inference, H100 as twice an A100 "
        "(Lambda), L4 inferred. "
        f"Or, where that is slower, by what a CPU can hand out: {1000 * DISPATCH:g} ms a step for each weight tensor, "
        "as measured beside an H100."
    )
    if scaled:
        lines.append(f"no published rate: {', '.join(scaled)}; ResNet-101's, scaled by activations.")
    return lines
