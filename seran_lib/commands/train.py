"""The laboratory from the command line: what a profile takes, and one training run without a notebook.

python -m seran_lib.commands.train plan --profile paper --seeds 0,1,2              what the whole of it takes
python -m seran_lib.commands.train plan --profile laptop --data data/heliconius   as measured here
python -m seran_lib.commands.train train --profile laptop --data data/heliconius --model seran
torchrun --nproc-per-node 2 -m seran_lib.commands.train train ...                  on two GPUs together
"""

import argparse
import math
import sys

import pandas as pd
import torch

from seran_lib import sources
from seran_lib.errors import CheckpointError, DataError
from seran_lib.nets import list_models
from seran_lib.train import cost
from seran_lib.train.dataset import open_dataset
from seran_lib.train.device import device_name, pick_device
from seran_lib.train.distributed import say, share
from seran_lib.train.profiles import FULL, PROFILES
from seran_lib.train.run import run
from seran_lib.train.settings import Settings, resolve


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, or with a message 2 where the question was wrong and 1 where it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (DataError, CheckpointError, FloatingPointError, MemoryError, OSError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted. Give the same command again to resume", file=sys.stderr)
        return 130


def train(options: argparse.Namespace) -> int:
    """Do one training run, or what is left of it, and add it to the ledger; torchrun shares it among GPUs."""
    names = ("profile", "data", "epochs", "model", "seed", "init", "wiring", "lr", "recipe", "images_per_class", "out")
    options.data = sources.folder(options.data, options.profile)
    settings = resolve(**{name: getattr(options, name) for name in names})
    dataset = open_dataset(settings, progress=share()[0] == 0)
    say(cost.settings_table(settings, dataset.epoch).to_string(header=False, index_names=False))
    row = run(settings, dataset)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    say(f"{row['run_id']}: test error {row['test_top1_error']:.2f} %, top-5 {row['test_top5_error']:.2f} %")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Say what the profile's runs take, before anything runs: memory, hours and Colab's compute units of each model."""
    like_paper = options.profile in FULL and not options.data
    data = "." if like_paper else sources.folder(options.data, options.profile)  # the paper's images are only counted
    runs = [
        resolve(
            options.profile,
            data=data,
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
    _print_head(runs[0], images, options.seeds)
    print(needs.to_string(float_format="{:.2f}".format))
    _print_times(hours, len(options.seeds), in_hours=cost.full_size(runs[0]))
    notes = [*cost.assumptions(runs, images, needs), *origins]
    if cost.full_size(runs[0]):
        notes += _print_units(hours, len(options.seeds), options.units)
    print("\n" + "\n".join(f"- {note}" for note in notes))
    return 0


def _print_head(run: Settings, images: cost.Images, seeds: list[int]) -> None:
    print(
        f"profile {run.profile}: {images.train:,} images to train and {images.valid:,} for validation, "
        f"{images.classes} classes ({images.source})\n{run.size} px, width x{run.width:g}, effective batch "
        f"{run.batch}, {run.epochs} epochs, seeds {', '.join(map(str, seeds))}; this device: "
        f"{device_name(pick_device())}\n"
    )


def _print_times(hours: pd.DataFrame, seeds: int, *, in_hours: bool) -> None:
    times = cost.totals(hours if in_hours else 60 * hours, seeds)
    print(f"\n{'hours' if in_hours else 'minutes'} of training, each model with one seed:")
    print(times.to_string(float_format="{:.2f}".format, na_rep="not known"))


def _print_units(hours: pd.DataFrame, seeds: int, given: dict[str, float]) -> list[str]:
    """Print Colab's compute units; returns what they rest on."""
    units = cost.COLAB_UNITS_PER_HOUR | given
    known = [gpu for gpu in cost.GPU_FACTORS if gpu in units]
    print("\nColab compute units, each model with one seed:")
    print(cost.totals(hours[known] * pd.Series(units)[known], seeds).to_string(float_format="{:.1f}".format))
    rates = ", ".join(f"{gpu} {units[gpu]:g}{' (given)' if gpu in given else ''}" for gpu in known)
    notes = [f"units an hour: {rates}. Those not given are {cost.UNITS_SOURCE}."]
    missing = [gpu for gpu in cost.GPU_FACTORS if gpu not in units]
    return notes + ([f"units an hour not known: {', '.join(missing)}; give them with --units."] if missing else [])


def _seeds(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() for word in words) or len({int(word) for word in words}) < len(words):
        raise argparse.ArgumentTypeError(f"{text!r}: write different whole numbers as 0,1,2")
    return [int(word) for word in words]


def _models(text: str) -> list[str]:
    models = text.split(",")
    for model in models:
        if model not in list_models():
            raise argparse.ArgumentTypeError(f"unknown model {model!r}: choose from {', '.join(list_models())}")
        if models.count(model) > 1:
            raise argparse.ArgumentTypeError(f"{model} is named twice")
    return models


def _units(text: str) -> dict[str, float]:
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
        prog="python -m seran_lib.commands.train",
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
    one.epilog = f"Without --data, {' and '.join(FULL)} are planned for as many images as the paper had."
    one.add_argument("--seeds", type=_seeds, default=[0], metavar="0,1,2", help="seeds of each model (0)")
    one.add_argument("--models", type=_models, default=[], metavar="A,B", help="instead of the profile's models")
    one.add_argument(
        "--units", type=_units, default={}, metavar="T4=1.2,H100=14", help="Colab's compute units an hour, as it shows"
    )
    one = command("train", train, "one training run; given again, it resumes")
    one.add_argument(
        "--model", default="seran_d", help="a name of seran_lib.nets.list_models(), or efficientnet_lite0 (seran_d)"
    )
    one.add_argument("--seed", type=int, default=0, help="(0)")
    one.add_argument("--init", default="", help="plain or zero; the recipe's or profile's without it")
    one.add_argument("--wiring", default="paper", help="of the attention masks: paper (the default) or port")
    one.add_argument("--recipe", default="paper", help="a name of seran_lib.train.recipes.RECIPES (paper)")
    one.add_argument(
        "--lr", type=float, default=0.0, help="highest learning rate; the recipe's or profile's without it"
    )
    one.add_argument(
        "--images-per-class", type=int, default=0, metavar="N", help="most training images of a species; 0: all"
    )
    one.add_argument("--out", default="", help="folder for checkpoints; one of the run's own below runs/ without it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
