"""Training steps of the laptop profile: half precision and channels-last against plain float32, alternating.

    python benchmarks/train_step.py [MODEL ...]

Images/s are medians of single steps, taken in turn, so that a slow moment of the machine hits both. Run nothing else
meanwhile.
"""

import argparse
import contextlib
import statistics
import time

import torch
from report import report
from torch import nn

from seran_lib.lab.evaluate import autocast
from seran_lib.lab.profiles import PROFILES
from seran_lib.nets import create_model

CPU = torch.device("cpu")


def stepper(name: str, fast: bool):
    """A function that does one training step of the model and returns its seconds."""
    profile = PROFILES["laptop"]
    torch.manual_seed(0)
    layout = torch.channels_last if fast else torch.contiguous_format
    model = create_model(name, 100, width=profile.width).to(memory_format=layout)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    images = torch.randn(profile.batch, 3, profile.size, profile.size).to(memory_format=layout)
    targets = torch.randint(0, 100, (profile.batch,))

    def step() -> float:
        began = time.perf_counter()
        with autocast(CPU) if fast else contextlib.nullcontext():
            scores = model(images)
        nn.functional.cross_entropy(scores.float(), targets).backward()
        optimiser.step()
        optimiser.zero_grad()
        return time.perf_counter() - began

    return step


def main() -> None:
    """Measure the models named, or those of the laptop profile."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=PROFILES["laptop"].grid)
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each kind (default 12)")
    options = parser.parse_args()
    batch = PROFILES["laptop"].batch
    for name in options.models:
        fast, plain = stepper(name, True), stepper(name, False)
        for _ in range(3):
            fast(), plain()
        times = [(fast(), plain()) for _ in range(options.steps)]
        quick, slow = (statistics.median(column) for column in zip(*times, strict=True))
        size = f"{PROFILES['laptop'].size} px, x{PROFILES['laptop'].width:g}"
        report(f"training {name}, {size}", "float32, channels first", "images/s", batch / quick, batch / slow)


if __name__ == "__main__":
    main()
