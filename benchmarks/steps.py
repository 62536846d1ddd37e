"""What is timed, a training step as it is taken here or as a plain loop takes it, and how several things take turns."""

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from seran_lib.nets import create_model
from seran_lib.train.device import autocast
from seran_lib.train.learner import build_model
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import resolve

CPU = torch.device("cpu")
CLASSES = 123  # the paper's species
LAPTOP = PROFILES["laptop"]
LAPTOP_SCALE = f"{LAPTOP.size} px, x{LAPTOP.width:g}"
PLAIN = "float32, channels first"


def network(
    name: str, *, width: float = 1.0, classes: int = CLASSES, ours: bool = True, device: torch.device = CPU
) -> nn.Module:
    """A network with the same random weights every time: laid out as for our training, or as it is made."""
    if ours:
        return build_model(replace(resolve("smoke", data=".", model=name, init="plain"), width=width), classes, device)
    torch.manual_seed(0)
    return create_model(name, classes, width=width).to(device)


def half_precision(ours: bool, device: torch.device = CPU) -> contextlib.AbstractContextManager:
    """The context of a forward pass: half precision where the device is quick at it, or float32."""
    return autocast(device) if ours else contextlib.nullcontext()


def training_step(
    model: nn.Module,
    *,
    batch: int,
    size: int,
    classes: int = CLASSES,
    ours: bool = True,
    compiled: bool = False,
    forward_in: Callable[[], contextlib.AbstractContextManager] | None = None,
) -> Callable[[], None]:
    """A function that takes one step with AdamW on the same `batch` random images of `size` pixels, where the model is.

    Ours has the fused optimiser and half precision, or the context `forward_in`; otherwise all is PyTorch's default.
    On a GPU a step has ended when the GPU has.
    """
    device = next(model.parameters()).device
    forward_in = forward_in or (lambda: half_precision(ours, device))
    model.train()
    forward = torch.compile(model) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), fused=ours or None)
    images = torch.randn(batch, 3, size, size, device=device)
    targets = torch.randint(0, classes, (batch,), device=device)

    def step() -> None:
        with forward_in():
            scores = forward(images)
        nn.functional.cross_entropy(scores.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def laptop_step(name: str, **ways: object) -> Callable[[], None]:
    """A training step of a model at the scale of the laptop profile."""
    model = network(name, width=LAPTOP.width, ours=ways.get("ours", True))
    return training_step(model, batch=LAPTOP.batch, size=LAPTOP.size, **ways)


def medians(*actions: Callable[[], object], rounds: int, warm_up: int = 2) -> list[float]:
    """Median seconds of each action; they take turns, so that a slow moment of the machine hits all of them."""
    times = []
    for _ in range(warm_up + rounds):
        times.append([])
        for action in actions:
            began = time.perf_counter()
            action()
            times[-1].append(time.perf_counter() - began)
    return [statistics.median(column) for column in zip(*times[warm_up:], strict=True)]
