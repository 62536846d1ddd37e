"""How long a run will take, said before it starts: measured where it was measured, estimated and named so elsewhere."""

import pandas as pd

from seran_lib.nets import create_model, describe

from . import ledger
from .profiles import Settings, device_name, pick_device

# Training images/s at 224 px with mixed precision on an RTX 3090 (timm's published benchmark, torch 1.12).
RTX3090_IMAGES_PER_SECOND = {"resnet101": 748, "resnet152": 501, "se_resnet101": 590, "senet154": 175}
# Other cards relative to it; from published ResNet-50 training rates, good to about 30 %.
GPU_FACTORS = {"T4": 0.33, "L4": 0.6, "V100": 0.98, "A100": 2.05, "H100": 4.0}


def estimated_rate(model: str) -> float:
    """Training images/s of a model at full width and 224 px on an RTX 3090.

    Where no benchmark exists, ResNet-101's rate scaled by convolution activations, which bound training more than
    multiply-accumulates do: an estimate, not a measurement.
    """
    if model in RTX3090_IMAGES_PER_SECOND:
        return RTX3090_IMAGES_PER_SECOND[model]
    activations = {name: describe(create_model(name), 224).activations for name in ("resnet101", model)}
    return RTX3090_IMAGES_PER_SECOND["resnet101"] * activations["resnet101"] / activations[model]


def gpu_hours(model: str, images: int, epochs: int) -> pd.Series:
    """Estimated hours of training per GPU type, at full width and 224 px, one seed."""
    seconds = images * epochs / estimated_rate(model)
    return pd.Series({gpu: round(seconds / factor / 3600, 2) for gpu, factor in GPU_FACTORS.items()}, name=model)


def expected_time(settings: Settings, images: int) -> str:
    """Expected duration of a run over `images` training images, in words for the table printed before it starts.

    The newest ledger row of the same model, width and size on the same device counts as measured; full-width runs
    without one are estimated per GPU type; anything else is said to be unknown.
    """
    rows = ledger.read(settings.results)
    device = device_name(pick_device())
    same = rows[
        (rows["model"] == settings.model)
        & (rows["width"] == settings.width)
        & (rows["size"] == settings.size)
        & (rows["device"] == device)
    ]
    if len(same):
        minutes = images * settings.epochs / same["images_per_second"].iloc[-1] / 60
        return f"{minutes:.0f} minutes (from an earlier run on this device)"
    if settings.width == 1 and settings.size == 224:
        hours = gpu_hours(settings.model, images, settings.epochs)
        return ", ".join(f"{value:g} h on {gpu}" for gpu, value in hours.items()) + " (estimated, +-30 %)"
    return "not known before the first run on this device"


def settings_table(settings: Settings, images: int) -> pd.DataFrame:
    """What a run is about to do, one row a setting, for reading before it starts."""
    rows = {
        "run": settings.run_id,
        "device": device_name(pick_device()),
        "model": f"{settings.model}, width x{settings.width:g}, {settings.size} px",
        "wiring, initialisation": f"{settings.wiring}, {settings.init}",
        "training images": f"{images:,}",
        "effective batch": f"{settings.batch} (one step a batch, one device)",
        "epochs": str(settings.epochs),
        "learning rate": f"one-cycle up to {settings.lr:g}",
        "seed": str(settings.seed),
        "expected time": expected_time(settings, images),
    }
    return pd.DataFrame({"value": rows}).rename_axis("setting")
