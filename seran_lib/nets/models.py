"""Every model of the book by name."""

from torch import nn

from seran_lib.nets.attention import WIRINGS
from seran_lib.nets.baselines import TIMM_NAMES, create_baseline
from seran_lib.nets.blocks import POOLS
from seran_lib.nets.network import DEEP_STEM, INITS, SEVEN_STEM, Layout, StagedNetwork

# Chosen by nets/reconstruct.py from all layouts that meet the parameter differences quoted in paper §4.2.
SERAN_D: Layout = ("RRSRARS", "RSRARSRA", "RSRAS", "RRSSSS")
SERAN: Layout = ("RRRAR", "RSRARSR", "RRA", "RRSS")
LAYOUTS: dict[str, Layout] = {
    "attention56": ("RA", "RA", "RA", "RRR"),
    "attention92": ("RA", "RAA", "RAAA", "RRR"),
    "seran": SERAN,
    "seran_d": SERAN_D,
    "seran_d_avg_pool": SERAN_D,
    "seran_d_no_se": tuple(word.replace("S", "R") for word in SERAN_D),
    "seran_d_no_attention": tuple(word.replace("A", "") for word in SERAN_D),
}
DROP_RATE = 0.2  # the paper says "dropout" without a rate; SENet-154, its strongest rival, was published with 0.2


def list_models() -> list[str]:
    """The names `create_model` knows: the published rivals first, then SERAN and its variants."""
    return ["resnet101", "resnet152", "attention56", "attention92", "se_resnet101", "senet154"] + [
        name for name in LAYOUTS if name.startswith("seran")
    ]


def create_model(
    name: str,
    num_classes: int = 123,
    *,
    width: float = 1.0,
    pool: str = "max",
    wiring: str = "paper",
    drop_rate: float = DROP_RATE,
    init: str = "plain",
) -> nn.Module:
    """A network with random weights, images (N, 3, H, W) -> scores (N, num_classes), for any H, W >= 64.

    `width` multiplies every number of channels (1, 1/2, 1/4 or 1/8). `pool` ("max" or "avg") and `wiring` ("paper" or
    "port", see `attention.MaskBranch`) concern the networks with attention modules; `seran_d_avg_pool` is `seran_d`
    with average pooling (Table 2). `drop_rate` is the dropout before the classifier, `init` is "plain" or "zero"
    (`network.INITS`). Raises ValueError for an unknown name or option, and for a width that leaves a layer without
    channels.
    """
    if name not in list_models():
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(list_models())}")
    # Checked here, because a network without the part in question would take any word.
    for option, value, choices in (("pool", pool, POOLS), ("wiring", wiring, WIRINGS), ("init", init, INITS)):
        if value not in choices:
            raise ValueError(f"unknown {option} {value!r}: choose one of {', '.join(choices)}")
    if name in TIMM_NAMES:
        return create_baseline(name, num_classes, width=width, pool=pool, drop_rate=drop_rate, init=init)
    return StagedNetwork(
        LAYOUTS[name],
        num_classes,
        stem=DEEP_STEM if name.startswith("seran") else SEVEN_STEM,
        width=width,
        pool="avg" if name == "seran_d_avg_pool" else pool,
        wiring=wiring,
        drop_rate=drop_rate,
        init=init,
    )
