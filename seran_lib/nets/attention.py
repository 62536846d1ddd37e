"""The attention module: a trunk of residual blocks gated by a bottom-up top-down mask (paper §3.3).

Source of the wiring: the authors' released network definitions of "Residual Attention Network" (Wang et al., CVPR
2017), Attention-56 and Attention-92, p = 1, t = 2, r = 1. Shapes are written (N, C, H, W).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seran_lib.nets.blocks import Bottleneck, conv, make_pool
from seran_lib.nets.specs import WIRINGS


def units(count: int, channels: int) -> nn.Sequential:
    """`count` residual blocks that keep the shape (N, channels, H, W)."""
    return nn.Sequential(*(Bottleneck(channels, channels) for _ in range(count)))


def upsample(x: Tensor, reference: Tensor) -> Tensor:
    """Bilinear enlargement of x to the height and width of `reference`, corners aligned: nothing else of it is read."""
    return F.interpolate(x, size=reference.shape[-2:], mode="bilinear", align_corners=True)


class MaskBranch(nn.Module):
    """The mask M in (0, 1), one value per channel and position: (N, C, H, W) -> (N, C, H, W).

    Going down, `depth` times: pool, then `r` residual blocks (2r at the bottom). Going up: enlarge, add the lateral
    connection (one residual block on the down-feature of that level), then `r` blocks. The head is twice
    BN-ReLU-1x1 convolution, then a sigmoid.

    `wiring="paper"` is the authors' network: enlarging only reads the size of the feature it is enlarged to.
    `wiring="port"` repeats the common PyTorch ports, which read that second input as an addend: the down-feature is
    counted twice, and the trunk itself is added in front of the mask head.
    """

    def __init__(self, channels: int, depth: int, *, r: int = 1, pool: str = "max", wiring: str = "paper"):
        super().__init__()
        if wiring not in WIRINGS:
            raise ValueError(f"unknown wiring {wiring!r}: choose one of {', '.join(WIRINGS)}")
        self.adds_reference = wiring == "port"
        self.pool = make_pool(pool)
        self.down = nn.ModuleList(units(r, channels) for _ in range(depth - 1))
        self.bottom = units(2 * r, channels)
        self.lateral = nn.ModuleList(units(1, channels) for _ in range(depth - 1))
        self.up = nn.ModuleList(units(r, channels) for _ in range(depth - 1))
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            conv(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            conv(channels, channels, 1),
        )

    def forward(self, x: Tensor, trunk: Tensor) -> Tensor:
        levels = []
        for down in self.down:
            x = down(self.pool(x))
            levels.append(x)
        x = self.bottom(self.pool(x))
        for level, lateral, up in zip(reversed(levels), self.lateral, self.up, strict=True):
            x = up(self.enlarge(x, level) + lateral(level))
        return torch.sigmoid(self.head(self.enlarge(x, trunk)))

    def enlarge(self, x: Tensor, reference: Tensor) -> Tensor:
        """x at the size of `reference`; the port also adds `reference`."""
        x = upsample(x, reference)
        return x + reference if self.adds_reference else x


class AttentionModule(nn.Module):
    """(1 + M) * T between `p` residual blocks before and after: (N, C, H, W) -> (N, C, H, W) (§3.3).

    T is the trunk of `t` residual blocks and M the mask. With M near 0 the module is its trunk, so stacking modules
    can not dim the signal.
    """

    def __init__(
        self,
        channels: int,
        depth: int,
        *,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        pool: str = "max",
        wiring: str = "paper",
    ):
        super().__init__()
        self.before = units(p, channels)
        self.trunk = units(t, channels)
        self.mask = MaskBranch(channels, depth, r=r, pool=pool, wiring=wiring)
        self.after = units(p, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        trunk = self.trunk(x)
        mask = self.mask(x, trunk)
        return self.after(torch.addcmul(trunk, mask, trunk))
