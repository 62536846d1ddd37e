"""Where a training step of the laptop profile spends its time, by kind of operation: shares of the step in percent.

    python benchmarks/profile_step.py [MODEL ...]

By PyTorch's profiler, ours and the plain float32 step side by side, with images/s; for reading, nothing is kept.
"""

import argparse
from collections.abc import Callable

import pandas as pd
from steps import LAPTOP, PLAIN, laptop_step, medians
from torch.profiler import ProfilerActivity, profile

KINDS = {  # and the words in the names of their operations; the first that fits counts
    "convolutions": ("convolution",),
    "batch normalisation": ("batch_norm",),
    "ReLU": ("threshold", "clamp", "relu"),
    "optimiser": ("adam",),
    "casts and copies": ("copy",),
    "pooling, enlarging": ("pool", "upsample"),
    "gates and masks, sums": ("mul", "add", "sigmoid", "sum", "mean"),
    "the rest": ("",),
}


def kind_of(name: str) -> str:
    """The kind of an operation by its name."""
    return next(kind for kind, words in KINDS.items() if any(word in name.lower() for word in words))


def shares(step: Callable[[], None], steps: int = 5) -> pd.Series:
    """Percent of the time of all operations, by kind, largest first; what fits no kind is "the rest"."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(steps):
            step()
    times = pd.Series({event.key: event.self_cpu_time_total for event in seen.key_averages()})
    return (100 * times.groupby(kind_of).sum() / times.sum()).sort_values(ascending=False)


def main() -> None:
    """Profile the models named, or SERAN-D."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["seran_d"])
    for name in parser.parse_args().models:
        ours, plain = laptop_step(name), laptop_step(name, ours=False)
        table = pd.DataFrame({"ours": shares(ours), PLAIN: shares(plain)}).fillna(0)
        seconds = medians(ours, plain, rounds=8)
        table.loc["images/s"] = [LAPTOP.batch / one for one in seconds]
        print(f"{name}\n{table.to_string(float_format='{:.1f}'.format)}")


if __name__ == "__main__":
    main()
