"""The laboratory from the command line: `python -m seran_lib.lab plan`.

python -m seran_lib.lab plan --profile paper --seeds 0,1,2              what the whole of it takes
python -m seran_lib.lab plan --profile laptop --data data/heliconius    with the times measured on this machine
"""

import argparse
import math
import sys

import pandas as pd

from seran_lib.nets import list_models
from seran_lib.paths import ALA

from . import cost
from .profiles import PROFILES, Settings, device_name, pick_device, resolve


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 where the question was wrong."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2


def plan(options: argparse.Namespace) -> int:
    """Say what the profile's runs take, before anything runs: memory, hours and Colab's compute units of each model."""
    like_paper = options.profile == "paper" and not options.data
    runs = [
        resolve(
            options.profile,
            data=ALA if like_paper else options.data,
            epochs=options.epochs,
            model=model,
            seed=options.seeds[0],
        )
        for model in options.models or PROFILES[options.profile].grid
    ]
    if options.units and not cost.full_size(runs[0]):
        raise ValueError(f"--units is for profiles that are made for a GPU, and {options.profile} is for CPUs")
    images = cost.paper_images() if like_paper else cost.count_images(runs[0])
    needs = cost.needs_table(runs, images.classes)
    hours, origins = cost.hours_table(runs, images)
    _print_plan(runs, images, needs, hours, options.seeds, cost.COLAB_UNITS_PER_HOUR | options.units)
    for line in [*cost.assumptions(runs, images, needs), *origins]:
        print(f"- {line}")
    return 0


def _print_plan(
    runs: list[Settings],
    images: cost.Images,
    needs: pd.DataFrame,
    hours: pd.DataFrame,
    seeds: list[int],
    units: dict[str, float],
) -> None:
    run, full = runs[0], cost.full_size(runs[0])
    print(
        f"profile {run.profile}: {images.train:,} images to train and {images.valid:,} for validation, "
        f"{images.classes} classes ({images.source})\n{run.size} px, width x{run.width:g}, effective batch "
        f"{run.batch}, {run.epochs} epochs, seeds {', '.join(map(str, seeds))}; this device: "
        f"{device_name(pick_device())}\n"
    )
    print(needs.to_string(float_format="{:.2f}".format))
    times = cost.totals(hours if full else 60 * hours, len(seeds))
    print(f"\n{'hours' if full else 'minutes'} of training, each model with one seed:")
    print(times.to_string(float_format="{:.1f}".format, na_rep="not known before the first run on this device"))
    if full:
        known = [gpu for gpu in hours if gpu in units]
        print("\nColab compute units:")
        print(cost.totals(hours[known] * pd.Series(units)[known], len(seeds)).to_string(float_format="{:.1f}".format))
        rates = ", ".join(f"{gpu} {units[gpu]:g}" for gpu in known)
        missing = ", ".join(gpu for gpu in cost.GPU_FACTORS if gpu not in units)
        print(f"\n- units an hour: {rates}; {cost.UNITS_SOURCE}.")
        if missing:
            print(f"- units an hour not known for {missing}.")
    else:
        print()


def _seeds(text: str) -> list[int]:
    """ "0,1,2" as numbers, none negative, none twice."""
    seeds = [int(word) for word in text.split(",")]
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ValueError
    return seeds


def _models(text: str) -> list[str]:
    models = text.split(",")
    for model in models:
        if model not in list_models():
            raise argparse.ArgumentTypeError(f"unknown model {model!r}: choose from {', '.join(list_models())}")
        if models.count(model) > 1:
            raise argparse.ArgumentTypeError(f"{model} is named twice")
    return models


def _units(text: str) -> dict[str, float]:
    """ "T4=1.2,H100=14" as numbers by GPU type."""
    units: dict[str, float] = {}
    for pair in text.split(","):
        gpu, _, number = pair.partition("=")
        if gpu not in cost.GPU_FACTORS:
            raise argparse.ArgumentTypeError(f"unknown GPU {gpu!r}: choose from {', '.join(cost.GPU_FACTORS)}")
        try:
            units[gpu] = float(number)
        except ValueError:
            units[gpu] = math.nan
        if not 0 < units[gpu] < math.inf:
            raise argparse.ArgumentTypeError(f"{pair!r}: write units an hour as {gpu}=1.5")
    return units


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seran_lib.lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=run.__doc__, allow_abbrev=False)
        added.set_defaults(run=run)
        added.add_argument("--profile", choices=PROFILES, default="smoke", help="(smoke)")
        added.add_argument("--data", default="", help="folder with manifest.csv, or ala")
        added.add_argument("--epochs", type=int, default=0, metavar="N", help="the profile's number without it")
        return added

    one = command("plan", plan, "say what a profile takes, run nothing")
    one.epilog = "Without --data, profile paper is planned for as many images as the paper had."
    one.add_argument("--seeds", type=_seeds, default=[0], metavar="0,1,2", help="seeds of each model (0)")
    one.add_argument("--models", type=_models, default=[], metavar="A,B", help="instead of the profile's models")
    one.add_argument(
        "--units", type=_units, default={}, metavar="T4=1.2,H100=14", help="Colab's compute units an hour, as it shows"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
