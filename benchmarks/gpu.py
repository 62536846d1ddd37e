"""Training steps of the full networks on a GPU: ours against a plain loop, and against each of its choices undone.

    python benchmarks/gpu.py [MODEL ...]

Images/s are medians of single steps of the `paper` profile on random images that are on the GPU already. Ours has half
precision, cuDNN's search for the quickest kernels, and channels last but for SENet-154. Run nothing else meanwhile.
"""

import argparse
import sys
from collections.abc import Callable

import torch
from report import report
from steps import PLAIN, medians, network, training_step

from seran_lib.nets.specs import SPECS
from seran_lib.train.device import pick_device
from seran_lib.train.profiles import PROFILES

PAPER = PROFILES["paper"]


def searching(step: Callable[[], None], search: bool) -> Callable[[], None]:
    """The step with cuDNN's search for the quickest kernels, or with the kernels that it takes unasked."""

    def timed() -> None:
        torch.backends.cudnn.benchmark = search
        step()

    return timed


def main() -> int:
    """Measure the models named, or those of the paper profile. Returns 1 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=PAPER.grid)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each kind (default 10)")
    options = parser.parse_args()
    device = pick_device()
    if device.type == "cpu":
        print("gpu: this machine has no CUDA GPU", file=sys.stderr)
        return 1
    for name in options.models:
        grouped = SPECS[name].grouped
        as_trained, plain, turned = (network(name, ours=ours, device=device) for ours in (True, False, True))
        turned.to(memory_format=torch.channels_last if grouped else torch.contiguous_format)
        ours, other, asked, loop = (
            training_step(model, batch=PAPER.batch, size=PAPER.size, ours=model is not plain)
            for model in (as_trained, turned, as_trained, plain)
        )
        pairs = {
            PLAIN: searching(loop, search=False),
            f"channels {'last' if grouped else 'first'}": searching(other, search=True),
            "no search by cuDNN": searching(asked, search=False),
        }
        times = medians(searching(ours, search=True), *pairs.values(), rounds=options.steps, warm_up=4)
        rates = [PAPER.batch / seconds for seconds in times]
        tensors = len(list(as_trained.parameters()))
        print(f"{name}: {1000 * times[0] / tensors:.3f} ms a step for each of {tensors} weight tensors", flush=True)
        for instead, theirs in zip(pairs, rates[1:], strict=True):
            report(f"training {name}, {PAPER.size} px, GPU", instead, "images/s", rates[0], theirs, device)
    return 0


if __name__ == "__main__":
    sys.exit(main())
