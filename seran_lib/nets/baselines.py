"""The networks the paper compares with, from timm, at any width: ResNet-101/152, SE-ResNet-101, SENet-154.

timm scales the stages but not the 7x7 stem, so the stem is narrowed here; everything else is timm's own network.
`init="plain"` is how they started in 2019: timm by itself zeroes the last batch normalisation of every block, a habit
that came later and changes results more than the choice of network does (see `specs.INITS`).
"""

import timm
from timm.models.resnet import ResNet
from torch import nn

from seran_lib.nets.network import scaled
from seran_lib.nets.specs import Spec


def create_baseline(spec: Spec, num_classes: int, *, width: float, pool: str, drop_rate: float, init: str) -> ResNet:
    """A timm network, (N, 3, H, W) -> (N, num_classes), with random weights.

    Raises ValueError for average pooling: the paper varies the pooling of its own network only (Table 2).
    """
    if pool != "max":
        raise ValueError(
            f"{spec.name} has the max pooling it was published with; pool={pool!r} is for our own networks"
        )
    base = scaled(64, width)
    options = {"channels": tuple(base * 2**stage for stage in range(4)), "drop_rate": drop_rate}
    if spec.grouped:
        # 64 groups of 4 channels become fewer groups, not thinner ones
        options |= {"stem_width": base, "cardinality": base, "base_width": round(4 / width)}
    model = timm.create_model(spec.timm, num_classes=num_classes, zero_init_last=init == "zero", **options)
    if not spec.grouped and width != 1:
        narrow_stem(model, base)
    if init == "torch":
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()
    return model


def narrow_stem(model: ResNet, channels: int) -> None:
    """Replace timm's 64-channel stem by one of `channels` channels, and the two convolutions that read it.

    At a quarter width timm leaves out the first projection (64 channels meet 64), so it is put back here.
    """
    first = model.layer1[0]
    out_channels = first.conv3.out_channels
    model.conv1 = nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(channels)
    first.conv1 = nn.Conv2d(channels, first.conv1.out_channels, 1, bias=False)
    first.downsample = nn.Sequential(nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))
    for convolution in (model.conv1, first.conv1, first.downsample[0]):
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")  # as timm does
