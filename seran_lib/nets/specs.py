"""Every model of the book: its name, the name that readers see, and what it is made of. Importing this is quick."""

from dataclasses import dataclass

Layout = tuple[str, str, str, str]  # a word a stage, see `network`
# Chosen by paper/reconstruct.py from all layouts that meet the parameter differences quoted in paper §4.2.
SERAN_D: Layout = ("RRSRARS", "RSRARSRA", "RSRAS", "RRSSSS")
SERAN: Layout = ("RRRAR", "RSRARSR", "RRA", "RRSS")
# Two more that meet both differences. The first honours every principle of `reconstruct.principles` at the least
# computation. In the second every counted weight is used (`reconstruct.WIDER`). Such a layout fails two principles at
# least: SERAN lacks a residual block that the paper does not name, and does not keep an attention module in each of
# stages 1 to 3. Of those that lack one block only, it has the fewest bare neighbours, then the fewest weights.
LEAN: Layout = ("RSAS", "RSASA", "RSRARS", "RRSSSS")
ALL_USED: Layout = ("RRRSS", "RRRSRARS", "RRARSRAA", "RRRRRRSSSSS")
NARROW_STEM = (32, 32, 64)  # of both
WIRINGS = ("paper", "port")  # of the attention module, see `attention.MaskBranch`
# "plain" is Kaiming's (He et al., ICCV 2015). With "zero" the last weights of every residual branch also start at 0, so
# that each block is the identity at first. "torch" is what torch does by itself. The paper does not say.
INITS = ("plain", "zero", "torch")


@dataclass(frozen=True)
class Spec:
    """One model: a network of timm (`timm` is its name there), or one with a `layout` of its own.

    `ours`: of the SERAN family, which has the deep stem of paper §3.1, as wide as SENet-154's unless `stem`
    says otherwise. `pool`: the pooling in front of the first stage and in the attention modules or, of a pretrained
    network, at its end. `grouped`: it has grouped convolutions, fewer
    of them at a small width. `pretrained`: it comes with weights learnt on ImageNet, so its width is fixed, and
    training gives it images of at most `largest` pixels a side.
    """

    name: str
    label: str
    timm: str = ""
    layout: Layout | None = None
    ours: bool = False
    stem: tuple[int, int, int] | None = None
    pool: str = "max"
    grouped: bool = False
    pretrained: bool = False
    largest: int = 0


SPECS = {
    spec.name: spec
    for spec in (
        Spec("resnet101", "ResNet-101", timm="resnet101"),
        Spec("resnet152", "ResNet-152", timm="resnet152"),
        Spec("attention56", "Attention-56", layout=("RA", "RA", "RA", "RRR")),
        Spec("attention92", "Attention-92", layout=("RA", "RAA", "RAAA", "RRR")),
        Spec("se_resnet101", "SE-ResNet-101", timm="seresnet101"),
        Spec("senet154", "SENet-154", timm="senet154", grouped=True),
        Spec("seran", "SERAN", layout=SERAN, ours=True),
        Spec("seran_d", "SERAN-D", layout=SERAN_D, ours=True),
        Spec("seran_d_avg_pool", "SERAN-D, mean pool", layout=SERAN_D, ours=True, pool="avg"),
        Spec("seran_d_no_se", "SERAN-D, no SE", layout=tuple(word.replace("S", "R") for word in SERAN_D), ours=True),
        Spec(
            "seran_d_no_attention",
            "SERAN-D, no attention",
            layout=tuple(word.replace("A", "") for word in SERAN_D),
            ours=True,
        ),
        Spec(
            "seran_d_plain",
            "SERAN-D, neither",
            layout=tuple(word.replace("S", "R").replace("A", "") for word in SERAN_D),
            ours=True,
        ),
        Spec(
            "seran_d_no_mask",
            "SERAN-D, no mask",
            layout=tuple(word.replace("A", "RRRR") for word in SERAN_D),  # p + t + p of a module
            ours=True,
        ),
        Spec("seran_d_lean", "SERAN-D, leanest layout", layout=LEAN, ours=True, stem=NARROW_STEM),
        Spec("seran_d_all_used", "SERAN-D, all weights used", layout=ALL_USED, ours=True, stem=NARROW_STEM),
        Spec(
            "efficientnet_lite0",
            "EfficientNet-Lite0",
            timm="tf_efficientnet_lite0",
            pool="avg",
            pretrained=True,
            largest=192,
        ),
    )
}
PRETRAINED = tuple(spec.name for spec in SPECS.values() if spec.pretrained)


def list_models() -> list[str]:
    """The names `create_model` knows: the published rivals first, then SERAN and its variants."""
    return [spec.name for spec in SPECS.values() if not spec.pretrained]


def label(model: str) -> str:
    """The model's name as readers see it; other words stay as they are."""
    return SPECS[model].label if model in SPECS else model
