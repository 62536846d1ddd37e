"""Does `torch.compile` pay for itself within a run? Training steps of SERAN-D compiled and not, alternating.

    python benchmarks/compiled.py [MODEL ...]

Images/s are medians of single steps at laptop scale. Printed besides: how long compiling takes, and how many images a
run must train on before that time is won back. Run nothing else meanwhile.
"""

import argparse
import time

from report import report
from steps import LAPTOP, LAPTOP_SCALE, laptop_step, medians


def main() -> None:
    """Measure the models named, or SERAN-D."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["seran_d"])
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each kind (default 12)")
    options = parser.parse_args()
    for name in options.models:
        eager, compiled = laptop_step(name), laptop_step(name, compiled=True)
        began = time.perf_counter()
        compiled()
        compiling = time.perf_counter() - began
        quick, slow = medians(compiled, eager, rounds=options.steps, warm_up=3)
        what = f"training compiled {name}, {LAPTOP_SCALE}"
        report(what, "not compiled", "images/s", LAPTOP.batch / quick, LAPTOP.batch / slow)
        saved = (slow - quick) / LAPTOP.batch  # seconds an image
        pays = f"pays after {compiling / saved:,.0f} images" if saved > 0 else "never pays"
        print(f"{name}: {compiling:.0f} s to compile, which {pays}")


if __name__ == "__main__":
    main()
