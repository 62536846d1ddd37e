"""A staged network written as four words: SERAN, SERAN-D, Attention-56 and Attention-92 differ in layout and stem.

A layout has one word per stage and one letter per module: R a residual block, S an SE block, A an attention module.
The first letter of a stage is always R: that block changes the number of channels and, after stage 1, halves H and W.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from seran_lib.nets.attention import AttentionModule
from seran_lib.nets.blocks import Bottleneck, SEBottleneck, make_pool, seven_by_seven_stem, three_layer_stem
from seran_lib.nets.specs import Layout

STAGE_CHANNELS = (256, 512, 1024, 2048)
DEEP_STEM = (64, 64, 128)  # three 3x3 convolutions (paper §3.1), as wide as SENet-154's
SEVEN_STEM = (64,)  # one 7x7 convolution


def scaled(channels: int, width: float) -> int:
    """`channels` at a width multiplier; raises ValueError where the result is not a positive whole number."""
    result = channels * width
    if result < 1 or result != int(result):
        raise ValueError(f"width {width:g} makes {result:g} of {channels} channels: use 1, 1/2, 1/4 or 1/8")
    return int(result)


class StagedNetwork(nn.Module):
    """Images (N, 3, H, W), H and W at least 64, -> class scores (N, num_classes).

    Stem and pooling bring H and W to a quarter; the stages work at 1/4, 1/8, 1/16 and 1/32 with 256, 512, 1024 and
    2048 channels times `width`. `stem` holds the widths of three 3x3 convolutions, or of one 7x7. An attention module
    of stage k pools 4 - k times, so that every mask bottoms out at 1/32. Then batch normalisation, ReLU, mean over
    positions, dropout and the classifier. Raises ValueError for a layout that does not follow the grammar above.
    """

    def __init__(
        self,
        layout: Layout,
        num_classes: int,
        *,
        stem: tuple[int, ...] = DEEP_STEM,
        width: float = 1.0,
        pool: str = "max",
        wiring: str = "paper",
        drop_rate: float = 0.0,
        init: str = "plain",
    ):
        super().__init__()
        for word in layout:
            if not word.startswith("R") or set(word) - set("RSA"):
                raise ValueError(f"stage {word!r} of layout {layout}: expected R first, then only R, S and A")
        if "A" in layout[3]:
            raise ValueError(f"layout {layout}: stage 4 is already at 1/32, an attention module could not pool there")
        stem_channels = tuple(scaled(channels, width) for channels in stem)
        self.stem = seven_by_seven_stem(*stem_channels) if len(stem) == 1 else three_layer_stem(stem_channels)
        self.pool, self.pool_name = make_pool(pool), pool
        stages, in_channels = [], stem_channels[-1]
        for index, (word, full) in enumerate(zip(layout, STAGE_CHANNELS, strict=True)):
            channels = scaled(full, width)
            modules: list[nn.Module] = [Bottleneck(in_channels, channels, stride=1 if index == 0 else 2)]
            for letter in word[1:]:
                if letter == "A":
                    modules.append(AttentionModule(channels, depth=3 - index, pool=pool, wiring=wiring))
                else:
                    modules.append((SEBottleneck if letter == "S" else Bottleneck)(channels, channels))
            stages.append(nn.Sequential(*modules))
            in_channels = channels
        self.stages = nn.ModuleList(stages)
        self.norm = nn.BatchNorm2d(in_channels)
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(in_channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and init != "torch":
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if init == "zero":
            for module in self.modules():
                if isinstance(module, Bottleneck):
                    nn.init.zeros_(module.conv3.weight)

    def features(self, x: Tensor) -> Tensor:
        """The last feature map after BN and ReLU, (N, 2048 * width, H/32, W/32)."""
        x = self.pool(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        return F.relu(self.norm(x), inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.features(x).mean((2, 3))))
