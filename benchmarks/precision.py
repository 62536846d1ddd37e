"""Is this CPU quicker in bfloat16 or in float32? Training steps of the laptop profile in both, alternating.

    python benchmarks/precision.py [MODEL ...]

Ours is what `device.precision` chooses; all else is the same. Images/s are medians of single steps.
"""

import argparse
from functools import partial

import torch
from report import report
from steps import CPU, LAPTOP, LAPTOP_SCALE, laptop_step, medians

from seran_lib.train.device import precision

CONTEXTS = {
    "bf16": partial(torch.autocast, "cpu", torch.bfloat16),
    "fp32": partial(torch.autocast, "cpu", enabled=False),
}


def main() -> None:
    """Measure the models named, or ResNet-101 and SERAN-D."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["resnet101", "seran_d"])
    parser.add_argument("--steps", type=int, default=6, help="timed steps of each kind (default 6)")
    options = parser.parse_args()
    chosen = precision(CPU)
    other = next(name for name in CONTEXTS if name != chosen)
    for name in options.models:
        steps = (laptop_step(name, forward_in=CONTEXTS[way]) for way in (chosen, other))
        rates = (LAPTOP.batch / seconds for seconds in medians(*steps, rounds=options.steps, warm_up=2))
        instead = f"{other}, with {torch.backends.cpu.get_cpu_capability()}"
        report(f"training {name}, {LAPTOP_SCALE}, {chosen}", instead, "images/s", *rates)


if __name__ == "__main__":
    main()
