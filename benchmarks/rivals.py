"""Training steps at full width against public implementations of the same networks, with the same random images.

    python benchmarks/rivals.py [attention92] [senet154]

*Equal settings*: both with half precision, channels last and the fused optimiser, as our training has them. *As each
comes*: theirs as a plain loop in float32, channels first, with PyTorch's defaults. Ours and theirs both ways take
turns; images/s are medians of single steps. Printed besides: multiply-accumulates and parameters, which show that the
networks cost the same. Takes some minutes and 10 GB of memory; run nothing else meanwhile.
"""

import argparse
from collections.abc import Callable
from functools import partial

import timm
import torch
from pytorchcv.model_provider import get_model
from report import report
from steps import CLASSES, medians, network, training_step
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from seran_lib.nets.description import count_parameters

SIZE, BATCH = 224, 8
RIVALS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "attention92": {"pytorchcv's resattnet92": partial(get_model, "resattnet92")},
    "senet154": {
        "pytorchcv's senet154": partial(get_model, "senet154"),
        "timm's legacy_senet154": partial(timm.create_model, "legacy_senet154"),
    },
}


@torch.no_grad()
def cost(model: nn.Module) -> str:
    """Multiply-accumulates of an image and parameters, in words."""
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, SIZE, SIZE))
    return f"{counter.get_total_flops() / 2e9:.2f} GMACs an image, {count_parameters(model) / 1e6:.2f} M parameters"


def main() -> None:
    """Measure the models named, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(RIVALS), help=", ".join(RIVALS))
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each kind (default 5)")
    options = parser.parse_args()
    step = partial(training_step, batch=BATCH, size=SIZE)
    for name in options.models:
        model = network(name)
        print(f"{name}: {cost(model)}")
        ours = step(model)
        for theirs, create in RIVALS[name].items():
            equal, plain = create(num_classes=CLASSES), create(num_classes=CLASSES)
            print(f"{theirs}: {cost(plain)}")
            steps = ours, step(equal.to(memory_format=torch.channels_last)), step(plain, ours=False)
            mine, *others = (BATCH / seconds for seconds in medians(*steps, rounds=options.steps, warm_up=1))
            for kind, rate in zip(("equal settings", "as each comes"), others, strict=True):
                report(f"training {name}, {SIZE} px, {kind}", theirs, "images/s", mine, rate)


if __name__ == "__main__":
    main()
