"""Answers of a trained network: ours, as `lab.evaluate` gives them, against plain float32 with channels first.

    python benchmarks/inference.py [MODEL ...]

Latency is the time of one image, throughput counts images in batches of 32; medians of passes that take turns, all of
them in inference mode. The models of Table 1 at laptop scale, and SERAN-D at full size. Run nothing else meanwhile.
"""

import argparse
from collections.abc import Callable

import torch
from report import report
from steps import LAPTOP, LAPTOP_SCALE, PLAIN, half_precision, medians, network
from torch import nn

from seran_lib.train.profiles import PROFILES, TABLE1

BATCH = 32
PAPER = PROFILES["paper"]


def answers(model: nn.Module, images: torch.Tensor, ours: bool) -> Callable[[], torch.Tensor]:
    """A function that gives the scores (N, classes) float32 of images (N, 3, H, W)."""
    model.eval()

    @torch.inference_mode()
    def run() -> torch.Tensor:
        with half_precision(ours):
            return model(images).float()

    return run


def compare(name: str, width: float, size: int, scale: str, rounds: int) -> None:
    """Latency and throughput of one model at one scale."""
    models = [(network(name, width=width, ours=ours), ours) for ours in (True, False)]

    def seconds(batch: int, rounds: int) -> list[float]:
        images = torch.randn(batch, 3, size, size)
        return medians(*(answers(model, images, ours) for model, ours in models), rounds=rounds)

    ours, plain = seconds(1, 5 * rounds)
    report(f"latency of {name}, {scale}", PLAIN, "ms", 1000 * ours, 1000 * plain)
    ours, plain = seconds(BATCH, rounds)
    report(f"throughput of {name}, {scale}", PLAIN, "images/s", BATCH / ours, BATCH / plain)


def main() -> None:
    """Measure the models named at laptop scale, or those of Table 1 and SERAN-D at full size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="default: those of Table 1, and SERAN-D at full size")
    parser.add_argument("--rounds", type=int, default=8, help="timed passes over 32 images (default 8)")
    options = parser.parse_args()
    for name in options.models or TABLE1:
        compare(name, LAPTOP.width, LAPTOP.size, LAPTOP_SCALE, options.rounds)
    if not options.models:
        compare("seran_d", PAPER.width, PAPER.size, f"{PAPER.size} px, x{PAPER.width:g}", -(-options.rounds // 2))


if __name__ == "__main__":
    main()
