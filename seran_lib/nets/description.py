"""What a network costs: parameters, multiply-accumulates, activations, memory, and the shape after every stage."""

from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn

from seran_lib.nets.models import create_model
from seran_lib.nets.network import StagedNetwork
from seran_lib.nets.recompute import recomputes


@dataclass(frozen=True)
class Description:
    """Cost of one image of `size` x `size` pixels.

    `gmacs` counts the multiply-accumulates of convolutions and linear layers in 10^9, `activations` the outputs of
    all convolutions in 10^6 (the measure of timm's tables), `tensors` the tensors that hold the weights, `stages` the
    (C, H, W) after stem, pooling and stages.
    """

    parameters: int
    tensors: int
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


def training_memory(model: nn.Module, size: int = 224) -> tuple[int, int]:
    """Bytes that training holds, in half precision: (whatever the batch, and for each image of it).

    The first are the weights, their gradients and the two averages of AdamW in float32, and a copy of the weights in
    half precision. The second are the tensors that a forward pass keeps for the backward pass, each storage counted
    once: the difference between a batch of two images and of one, so that nothing fixed is counted. Measured on a
    CPU; a GPU adds its context, the workspace of its convolutions and what its allocator leaves unused, a gigabyte or
    two. The model and torch's random numbers are left as they were.
    """
    fixed = (4 + 4 + 8 + 2) * count_parameters(model)
    return fixed, _kept_bytes(model, size, 2) - _kept_bytes(model, size, 1)


def _kept_bytes(model: nn.Module, size: int, images: int) -> int:
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    inputs: list[Tensor] = []  # what blocks that recompute keep themselves
    hooks = [
        module.register_forward_pre_hook(lambda module, given: inputs.append(keep(given[0])))
        for module in model.modules()
        if recomputes(module)
    ]
    statistics = {name: value.clone() for name, value in model.named_buffers()}
    was_training = model.training
    model.train()
    pictures = torch.zeros(images, 3, size, size).contiguous(memory_format=torch.channels_last)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16),
        ):
            scores = model(pictures)  # held until the bytes are counted, so that no storage is used twice
        return sum(storages.values()) + scores.nbytes
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
        for name, value in model.named_buffers():
            value.copy_(statistics[name])


@torch.no_grad()
def describe(model: nn.Module, size: int = 224) -> Description:
    """Trace one forward pass on a `size` x `size` image. Only shapes are computed; the model is left as it was.

    A model that was made under `torch.device("meta")` has no weights either, and costs little time to make.
    """
    macs = activations = 0
    stages: dict[str, tuple[int, int, int]] = {}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs, activations
        macs += output.numel() * (module.weight.numel() // module.weight.shape[0])
        activations += output.numel() if isinstance(module, nn.Conv2d) else 0

    def note_shape(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        stages[name] = tuple(output.shape[1:])

    counted = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in counted]
    hooks += [part.register_forward_hook(partial(note_shape, name)) for name, part in stage_modules(model).items()]
    was_training = {module: module.training for module in model.modules()}
    state = {name: tensor.to("meta") for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    image = torch.zeros(1, 3, size, size, device="meta", dtype=next(model.parameters()).dtype)
    try:
        torch.func.functional_call(model.eval(), state, image)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in was_training.items():
            module.training = training
    tensors = len(list(model.parameters()))
    return Description(count_parameters(model), tensors, macs / 1e9, activations / 1e6, size, stages)


def describe_model(name: str, num_classes: int = 123, size: int = 224, width: float = 1.0) -> Description:
    """`describe` of a network by name, without its weights, computed once a process."""
    return _described(name, num_classes, size, width)


@cache
def _described(name: str, num_classes: int, size: int, width: float) -> Description:
    with torch.device("meta"):
        model = create_model(name, num_classes, width=width)
    return describe(model, size)
