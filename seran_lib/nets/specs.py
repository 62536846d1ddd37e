"""Every model of the book: its name, the name that readers see, and what it is made of. Importing this is quick."""

from dataclasses import dataclass

Layout = tuple[str, str, str, str]  # a word a stage, see `network`
# Chosen by paper/reconstruct.py from all layouts that meet the parameter differences quoted in paper §4.2.
SERAN_D: Layout = ("RRSRARS", "RSRARSRA", "RSRAS", "RRSSSS")
SERAN: Layout = ("RRRAR", "RSRARSR", "RRA", "RRSS")
WIRINGS = ("paper", "port")  # of the attention module, see `attention.MaskBranch`
# "plain" is Kaiming's (He et al., ICCV 2015). With "zero" the last weights of every residual branch also start at 0, so
# that each block is the identity at first. The paper does not say.
INITS = ("plain", "zero")


@dataclass(frozen=True)
class Spec:
    """One model: a network of timm (`timm` is its name there), or one with a `layout` of its own.

    `ours`: of the SERAN family, which has the deep stem of paper §3.1. `pool`: the pooling in front of the first stage
    and in the attention modules or, of a pretrained network, at its end. `grouped`: it has grouped convolutions, fewer
    of them at a small width. `pretrained`: it comes with weights learnt on ImageNet, so its width is fixed, and
    training gives it images of at most `largest` pixels a side.
    """

    name: str
    label: str
    timm: str = ""
    layout: Layout | None = None
    ours: bool = False
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
