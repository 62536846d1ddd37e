"""Training steps of the laptop profile: ours against a plain loop in float32 with PyTorch's defaults, alternating.

    python benchmarks/train_step.py [MODEL ...]

Images/s are medians of single steps. Run nothing else meanwhile.
"""

import argparse

from report import report
from steps import LAPTOP, LAPTOP_SCALE, PLAIN, laptop_step, medians


def main() -> None:
    """Measure the models named, or those of the laptop profile."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=LAPTOP.grid)
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each kind (default 12)")
    options = parser.parse_args()
    for name in options.models:
        ours, plain = medians(laptop_step(name), laptop_step(name, ours=False), rounds=options.steps, warm_up=3)
        report(f"training {name}, {LAPTOP_SCALE}", PLAIN, "images/s", LAPTOP.batch / ours, LAPTOP.batch / plain)


if __name__ == "__main__":
    main()
