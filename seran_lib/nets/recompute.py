"""Less memory for more time: activations inside residual blocks are computed again in the backward pass.

"Training Deep Nets with Sublinear Memory Cost" (Chen et al., 2016), by `torch.utils.checkpoint`: only the input of a
block is kept. Values and gradients stay the same to the bit on a CPU; the price is about one more forward pass.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from timm.models.resnet import Bottleneck as TimmBottleneck
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seran_lib.nets.blocks import Bottleneck


def recompute_blocks(model: nn.Module) -> None:
    """Change every residual block of one of our networks or of a timm ResNet, in place, to keep nothing but its input.

    Parameters, buffers and their names stay as they are.
    """
    for block in model.modules():
        if isinstance(block, Bottleneck | TimmBottleneck):
            # Replaced, as timm's blocks are not ours to change and a wrapper would rename the parameters.
            block.forward = partial(_recomputed, block, block.forward)


def recomputes(module: nn.Module) -> bool:
    """Whether `recompute_blocks` has changed this very module."""
    return getattr(vars(module).get("forward"), "func", None) is _recomputed


def _recomputed(block: nn.Module, forward: partial, x: Tensor) -> Tensor:
    if not block.training:
        return forward(x)
    return checkpoint(forward, x, use_reentrant=False, context_fn=partial(_contexts, block))


def _contexts(block: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Nothing special the first time; the second time the running statistics have had their update already."""
    return nullcontext(), _running_statistics_kept(block)


@contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked -= 1
