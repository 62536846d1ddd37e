"""`seran cost`: what the runs of a profile take, said before anything runs."""

import argparse
import math
from dataclasses import replace

import pandas as pd

from seran_lib import sources
from seran_lib.nets import list_models
from seran_lib.train import cost as costs
from seran_lib.train.device import device_name, pick_device
from seran_lib.train.profiles import FULL, PROFILES
from seran_lib.train.settings import Settings, resolve


def cost(options: argparse.Namespace) -> int:
    """Memory, hours and Colab's compute units of each model; without data, for as many images as the paper had where
    the profile is one of `FULL`."""
    like_paper = options.profile in FULL and not options.data
    data = "." if like_paper else sources.folder(options.data, options.profile)  # the paper's images are only counted
    models, given = _models(options.models), _units(options.units)
    first = resolve(options.profile, data=data, epochs=options.epochs, seed=options.seeds[0])
    runs = [replace(first, model=model) for model in models or PROFILES[options.profile].grid]
    full = costs.full_size(first)
    if given and not full:
        raise ValueError(f"--units is for profiles that are made for a GPU, and {options.profile} is for CPUs")
    images = costs.paper_images() if like_paper else costs.count_images(first)
    needs = costs.needs_table(runs, images.classes)
    hours, origins = costs.hours_table(runs, images)
    _print_head(first, images, options.seeds)
    print(needs.to_string(float_format="{:.2f}".format))
    _print_times(hours, len(options.seeds), in_hours=full)
    notes = [*costs.assumptions(runs, images, needs), *origins]
    if full:
        notes += _print_units(hours, len(options.seeds), given)
    print("\n" + "\n".join(f"- {note}" for note in notes))
    return 0


def _print_head(run: Settings, images: costs.Images, seeds: list[int]) -> None:
    print(
        f"profile {run.profile}: {images.train:,} images to train and {images.valid:,} for validation, "
        f"{images.classes} classes ({images.source})\n{run.size} px, width x{run.width:g}, effective batch "
        f"{run.batch}, {run.epochs} epochs, seeds {', '.join(map(str, seeds))}; this device: "
        f"{device_name(pick_device())}\n"
    )


def _print_times(hours: pd.DataFrame, seeds: int, *, in_hours: bool) -> None:
    times = costs.totals(hours if in_hours else 60 * hours, seeds)
    print(f"\n{'hours' if in_hours else 'minutes'} of training, each model with one seed:")
    print(times.to_string(float_format="{:.2f}".format, na_rep="not known"))


def _print_units(hours: pd.DataFrame, seeds: int, given: dict[str, float]) -> list[str]:
    """Print Colab's compute units; returns what they rest on."""
    units = costs.COLAB_UNITS_PER_HOUR | given
    known = [gpu for gpu in costs.GPU_FACTORS if gpu in units]
    print("\nColab compute units, each model with one seed:")
    print(costs.totals(hours[known] * pd.Series(units)[known], seeds).to_string(float_format="{:.1f}".format))
    rates = ", ".join(f"{gpu} {units[gpu]:g}{' (given)' if gpu in given else ''}" for gpu in known)
    notes = [f"units an hour: {rates}. Those not given are {costs.UNITS_SOURCE}."]
    missing = [gpu for gpu in costs.GPU_FACTORS if gpu not in units]
    return notes + ([f"units an hour not known: {', '.join(missing)}; give them with --units."] if missing else [])


def _models(models: list[str]) -> list[str]:
    for model in models:
        if model not in list_models():
            raise ValueError(f"--models: unknown model {model!r}: choose from {', '.join(list_models())}")
        if models.count(model) > 1:
            raise ValueError(f"--models: {model} is named twice")
    return models


def _units(pairs: list[str]) -> dict[str, float]:
    units: dict[str, float] = {}
    for pair in pairs:
        gpu, _, number = pair.partition("=")
        if gpu not in costs.GPU_FACTORS:
            raise ValueError(f"--units: unknown GPU {gpu!r}: choose from {', '.join(costs.GPU_FACTORS)}")
        try:
            units[gpu] = float(number)
        except ValueError:
            units[gpu] = math.nan
        if not 0 < units[gpu] < math.inf:
            raise ValueError(f"--units: {pair!r}: write units an hour as {gpu}=1.5")
    return units
