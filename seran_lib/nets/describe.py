"""What a network costs: parameters, multiply-accumulates, activations, and the shape after every stage."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .network import StagedNetwork


@dataclass(frozen=True)
class Description:
    """Cost of one image of `size` x `size` pixels.

    `gmacs` counts the multiply-accumulates of convolutions and linear layers in 10^9, `activations` the outputs of
    all convolutions in 10^6 (the measure of timm's tables), `stages` the (C, H, W) after stem, pooling and stages.
    """

    parameters: int
    gmacs: float
    activations: float
    size: int
    stages: dict[str, tuple[int, int, int]]


def count_parameters(model: nn.Module) -> int:
    """Number of trained numbers in the model."""
    return sum(parameter.numel() for parameter in model.parameters())


def stage_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Stem, pooling and the four stages of one of our networks or of a timm ResNet, in order of computation."""
    if isinstance(model, StagedNetwork):
        parts = {"stem": model.stem, "pool": model.pool}
        return parts | {f"stage {k}": stage for k, stage in enumerate(model.stages, 1)}
    parts = {"stem": model.act1, "pool": model.maxpool}
    return parts | {f"stage {k}": getattr(model, f"layer{k}") for k in range(1, 5)}


@torch.no_grad()
def describe(model: nn.Module, size: int = 224) -> Description:
    """Measure one forward pass on a `size` x `size` image; the model's mode and weights are left as they were."""
    activations = 0
    stages: dict[str, tuple[int, int, int]] = {}

    def count_activations(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal activations
        activations += output[0].numel()

    hooks = [m.register_forward_hook(count_activations) for m in model.modules() if isinstance(m, nn.Conv2d)]
    for name, module in stage_modules(model).items():

        def note_shape(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
            stages[name] = tuple(output.shape[1:])

        hooks.append(module.register_forward_hook(note_shape))
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    was_training = model.training
    model.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            model(image)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return Description(count_parameters(model), counter.get_total_flops() / 2e9, activations / 1e6, size, stages)
