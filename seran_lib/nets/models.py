"""Every model with random weights, by name."""

from torch import nn

from seran_lib.nets.baselines import create_baseline
from seran_lib.nets.blocks import POOLS
from seran_lib.nets.network import DEEP_STEM, SEVEN_STEM, StagedNetwork
from seran_lib.nets.specs import INITS, SPECS, WIRINGS, list_models

DROP_RATE = 0.2  # the paper says "dropout" without a rate; SENet-154, its strongest rival, was published with 0.2


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
    with average pooling (Table 2). `drop_rate` is the dropout before the classifier, `init` is one of
    `specs.INITS`. Raises ValueError for an unknown name or option, and for a width that leaves a layer without
    channels.
    """
    # Checked here, because a network without the part in question would take any word.
    for option, value, choices in (
        ("model", name, list_models()),
        ("pool", pool, POOLS),
        ("wiring", wiring, WIRINGS),
        ("init", init, INITS),
    ):
        if value not in choices:
            raise ValueError(f"unknown {option} {value!r}: choose one of {', '.join(choices)}")
    spec = SPECS[name]
    if spec.layout is None:
        return create_baseline(spec, num_classes, width=width, pool=pool, drop_rate=drop_rate, init=init)
    return StagedNetwork(
        spec.layout,
        num_classes,
        stem=spec.stem or (DEEP_STEM if spec.ours else SEVEN_STEM),
        width=width,
        pool="avg" if spec.pool == "avg" else pool,
        wiring=wiring,
        drop_rate=drop_rate,
        init=init,
    )
