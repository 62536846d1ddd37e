"""Stem, pooling, residual and squeeze-and-excitation blocks (paper §3.1 and §3.2).

One unit serves everywhere: the pre-activation bottleneck of "Identity Mappings in Deep Residual Networks" (paper's
reference [21]), which is also the unit of the authors' Residual Attention Network. Shapes are written (N, C, H, W).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POOLS = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
EXPANSION = 4  # a bottleneck computes its 3x3 convolution on a quarter of its output channels


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias, as in the authors' networks, that keeps H and W at stride 1."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)


def make_pool(kind: str) -> nn.Module:
    """The 3x3, stride 2 pooling used after the stem and in every mask branch: (N, C, H, W) -> (N, C, H/2, W/2).

    Paper §4.2 compares `"max"` with `"avg"` (Table 2). No padding and rounding up, as in the authors' released
    attention networks, so that 112 becomes 56 without a padded border. Raises ValueError for another kind.
    """
    if kind not in POOLS:
        raise ValueError(f"unknown pool {kind!r}: choose one of {', '.join(POOLS)}")
    return POOLS[kind](3, stride=2, ceil_mode=True)


def seven_by_seven_stem(channels: int) -> nn.Sequential:
    """The ResNet stem, (N, 3, H, W) -> (N, channels, H/2, W/2): one 7x7 convolution of stride 2."""
    return nn.Sequential(conv(3, channels, 7, stride=2), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def three_layer_stem(channels: tuple[int, int, int]) -> nn.Sequential:
    """The paper's first block (§3.1), (N, 3, H, W) -> (N, channels[2], H/2, W/2).

    Three 3x3 convolutions see as far as one 7x7 with fewer weights. The stride 2 sits in the first, as in SENet-154.
    """
    layers: list[nn.Module] = []
    for in_channels, out_channels, stride in zip((3, *channels[:2]), channels, (2, 1, 1), strict=True):
        layers += [conv(in_channels, out_channels, 3, stride), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """The residual block: three convolutions, each fed by batch normalisation and ReLU (§3.1).

    x (N, C_in, H, W) -> x + F(x), shape (N, C_out, H/stride, W/stride). Where the shape changes, the identity is
    replaced by a 1x1 convolution of the pre-activated input; no other unit owns such a convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        middle = out_channels // EXPANSION
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, middle, 1)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = conv(middle, middle, 3, stride)
        self.bn3 = nn.BatchNorm2d(middle)
        self.conv3 = conv(middle, out_channels, 1)
        changes_shape = stride != 1 or in_channels != out_channels
        self.shortcut = conv(in_channels, out_channels, 1, stride) if changes_shape else None

    def forward(self, x: Tensor) -> Tensor:
        preactivated = F.relu(self.bn1(x), inplace=True)
        identity = x if self.shortcut is None else self.shortcut(preactivated)
        return self.join(identity, self.residual(preactivated))

    def join(self, identity: Tensor, residual: Tensor) -> Tensor:
        """x + F(x)."""
        return identity + residual

    def residual(self, x: Tensor) -> Tensor:
        """F of the pre-activated input: 1x1 down, 3x3, 1x1 up."""
        x = self.conv1(x)
        x = self.conv2(F.relu(self.bn2(x), inplace=True))
        return self.conv3(F.relu(self.bn3(x), inplace=True))


class SqueezeExcitation(nn.Module):
    """Squeeze, excite, rescale: (N, C, H, W) -> (N, C, H, W) (§3.2; Hu et al., CVPR 2018).

    Squeeze is the mean over H and W, z (N, C, 1, 1). Excitation is s = sigmoid(W2 relu(W1 z)) with two 1x1
    convolutions, C -> C/reduction -> C. The block returns s * x: one gate in (0, 1) per image and channel.
    Raises ValueError where the reduction leaves no channel in the middle.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        if channels < reduction:
            raise ValueError(f"a reduction of {reduction} leaves nothing of {channels} channels: use a larger width")
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1)
        self.excite = nn.Conv2d(channels // reduction, channels, 1)

    def gate(self, x: Tensor) -> Tensor:
        """The gates s, shape (N, C, 1, 1)."""
        z = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.excite(F.relu(self.squeeze(z), inplace=True)))

    def forward(self, x: Tensor, identity: Tensor | None = None) -> Tensor:
        """s * x, or identity + s * x in one pass over memory."""
        return x * self.gate(x) if identity is None else torch.addcmul(identity, x, self.gate(x))


class SEBottleneck(Bottleneck):
    """The SE-ResNet module (§3.2): a bottleneck whose residual F(x) is rescaled before the identity is added."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels)
        self.se = SqueezeExcitation(out_channels)

    def join(self, identity: Tensor, residual: Tensor) -> Tensor:
        """x + s * F(x)."""
        return self.se(residual, identity)
