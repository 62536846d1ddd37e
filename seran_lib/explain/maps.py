"""Where a network looks: its attention masks, its SE gates, and Grad-CAM, as arrays; and masks replaced by others.

Masks and gates are read in passing, by hooks; nothing of the network is changed. Blocks are named by stage and order:
"2b" is the second attention module (or SE block) of stage 2. Images are normalised (N, 3, H, W).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from string import ascii_lowercase

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn

from seran_lib.nets.attention import MaskBranch
from seran_lib.nets.blocks import SqueezeExcitation
from seran_lib.nets.network import StagedNetwork


def blocks(model: nn.Module, kind: type[nn.Module]) -> dict[str, nn.Module]:
    """The modules of a kind in a staged network by name, "1a", "2a", "2b", ...; none in networks that are not ours."""
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        if isinstance(module, kind):
            stage = int(path.split(".")[1]) + 1
            letter = ascii_lowercase[sum(name.startswith(str(stage)) for name in found)]
            found[f"{stage}{letter}"] = module
    return found


def attention_masks(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The masks M of every attention module (paper §3.3), name -> (N, C, h, w) in (0, 1)."""
    masks: dict[str, Tensor] = {}
    with masks_replaced(model, lambda name, mask: masks.setdefault(name, mask)), torch.inference_mode():
        model.eval()(images)
    return masks


@contextmanager
def masks_replaced(model: nn.Module, rule: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """While this lasts, every attention module of `model` computes (1 + rule(name, M)) * T, with M (N, C, h, w)."""
    with ExitStack() as hooks:
        for name, module in blocks(model, MaskBranch).items():
            hooks.enter_context(module.register_forward_hook(lambda _, __, mask, name=name: rule(name, mask)))
        yield


def se_gates(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The gates s of every SE block (paper §3.2), name -> (N, C) in (0, 1)."""
    gates: dict[str, Tensor] = {}
    with ExitStack() as hooks, torch.inference_mode():
        for name, block in blocks(model, SqueezeExcitation).items():
            read = lambda m, x, name=name: gates.update({name: m.gate(x[0]).flatten(1)})  # noqa: E731
            hooks.enter_context(block.register_forward_pre_hook(read))
        model.eval()(images)
    return gates


def stage_layer(model: nn.Module, stage: int) -> nn.Module:
    """The module whose output is that of stage 1 to 4, in our networks and in timm's ResNets."""
    return model.stages[stage - 1] if isinstance(model, StagedNetwork) else getattr(model, f"layer{stage}")


def grad_cam(model: nn.Module, images: Tensor, stage: int) -> np.ndarray:
    """Grad-CAM of the predicted class on the output of a stage, (N, H, W) in 0..1, each image scaled to its own range.

    Selvaraju et al., ICCV 2017, as built by the package grad-cam. The map is all 0 where nothing speaks for the class.
    Gradients go back to that output only: what lies before it is computed as in testing, in a fraction of the memory.
    """
    layer = stage_layer(model, stage)
    model.requires_grad_(False)
    try:  # the first hook is called before those of GradCAM
        with layer.register_forward_hook(lambda _, __, output: output.requires_grad_()), GradCAM(model, [layer]) as cam:
            return cam(images, targets=None)
    finally:
        model.requires_grad_(True)
