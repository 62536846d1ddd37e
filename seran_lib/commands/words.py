"""The words of every command: options, help, examples. Imports nothing of what the commands do."""

import argparse
import datetime
from pathlib import Path
from typing import Any, NoReturn

WRONG = 2  # exit code of a wrong question
# The options that several commands share: the same word means the same everywhere.
OPTIONS: dict[str, dict[str, Any]] = {
    "profile": {"default": "smoke", "help": "smoke (the default), laptop, colab or paper"},
    "data": {
        "default": "",
        "metavar": "FOLDER",
        "help": "folder with manifest.csv, or ala for what was collected; drawn insects without it",
    },
    "model": {
        "default": "seran_d",
        "help": "seran_d (the default), seran, seran_d_avg_pool, seran_d_no_se, seran_d_no_attention, seran_d_plain, "
        "seran_d_no_mask, seran_d_lean, seran_d_all_used, resnet101, "
        "resnet152, attention56, attention92, se_resnet101, senet154, efficientnet_lite0",
    },
    "seed": {"type": int, "default": 0, "metavar": "N", "help": "of split, weights and order of images (0)"},
    "epochs": {"type": int, "default": 0, "metavar": "N", "help": "the profile's number without it"},
    "recipe": {
        "default": "paper",
        "help": "paper (the default), start, sizes, average, views, constant; frozen, finetune for efficientnet_lite0",
    },
    "init": {"default": "", "help": "how weights start: plain, zero or torch; the recipe's or profile's without it"},
    "wiring": {"default": "paper", "help": "of the attention masks: paper (the default) or port"},
    "lr": {"type": float, "default": 0.0, "help": "highest learning rate; the recipe's or profile's without it"},
    "images-per-class": {"type": int, "default": 0, "metavar": "N", "help": "most training images of a class; 0: all"},
    "precision": {"default": "", "help": "float32 or bfloat16; what is quick on this machine without it"},
    "out": {"default": "", "metavar": "FOLDER", "help": "where checkpoints go; a folder of the run's own without it"},
    "per-second": {"type": float, "metavar": "RATE", "help": "requests a second to one host (5; 0: no limit)"},
    "min-images": {"type": int, "default": 20, "metavar": "N", "help": "fewest images a species needs (20)"},
}
ONE_RUN = (
    *("profile", "data", "model", "seed", "epochs", "recipe", "init", "wiring", "lr"),
    *("images-per-class", "precision", "out"),
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which takes no abbreviations."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **given)
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        said = message.removeprefix("argument ").replace("COMMAND: invalid choice:", "unknown command")
        self.exit(WRONG, f"{self.prog}: {said}\n")

    def words(self) -> list[str]:
        """Every option and every name of a command that may be typed here."""
        commands = [name for action in self._actions for name in action.choices or () if action.dest == "COMMAND"]
        return [*commands, *self._option_string_actions]

    def take(self, *names: str, **changed: Any) -> None:
        """Add options of `OPTIONS`, with other properties where this command wants them."""
        for name in names:
            self.add_argument(f"--{name}", **OPTIONS[name] | changed)


def parser() -> Parser:
    """The parser of all commands; parsing imports nothing of what they do."""
    door = Parser(
        prog="seran",
        usage="seran COMMAND ... | seran COMMAND --help",
        description="SERAN, the book: collect insects, train and examine networks, run the chapters.",
        epilog="examples:\n"
        "  seran train --model seran                             drawn insects, about a minute\n"
        "  seran data plan data/ala --taxon Insecta --species 200\n"
        "  seran train --profile laptop --data data/ala-curated --model seran_d\n"
        "  seran notebook 08_train_one --profile laptop --data data/ala-curated -p model=seran",
    )
    commands = door.add_subparsers(metavar="COMMAND", dest="COMMAND", prog="seran", title="commands")
    _add_data(commands)
    _add_train_and_cost(commands)
    _add_use(commands)
    _add_look(commands)
    _add_book(commands)
    _add_parcel(commands)
    _add_batch(commands)
    return door


def _command(commands: Any, name: str, handler: str, phrase: str, examples: str, **given: Any) -> Parser:
    """A command that calls `handler`, "module:function" of `commands/`; its words before the options are `before`."""
    before = given.pop("before", "")
    added = commands.add_parser(
        name,
        help=phrase,
        usage=" ".join(["%(prog)s", *before.split(), "[options]"]),
        description=f"{phrase[0].upper()}{phrase[1:]}.\n\n{examples}",
        **given,
    )
    added.set_defaults(handler=handler)
    return added


def _add_data(commands: Any) -> None:
    data = commands.add_parser(
        "data",
        help="plan, fetch, verify, curate, group and split a collection of photographs",
        description="A collection of photographs, step by step. Each step may be interrupted and given again.\n\n"
        "  seran data plan data/ala --taxon Insecta --species 200 --as-of 2018-10-31\n"
        "  seran data fetch data/ala\n"
        "  seran data verify data/ala\n"
        "  seran data curate data/ala data/ala-curated\n"
        "  seran data split data/ala-curated\n\n"
        "With `plan --source demo` all of it runs offline.",
    )
    steps = data.add_subparsers(metavar="COMMAND", dest="COMMAND", prog="seran data", title="commands")
    _add_plan(steps)

    one = _step(steps, "fetch", "fetch the pictures of a plan", "  seran data fetch data/ala        again: go on")
    one.take("per-second")
    one.add_argument("--connections", type=int, default=4, metavar="N", help="at the same time (4)")

    _step(steps, "verify", "compare every picture with its checksum", "  seran data verify data/ala")

    example = "  seran data curate data/ala data/ala-curated --accept-proposals"
    one = _step(steps, "curate", "replay decisions, drop what is unfit, write a clean copy", example, "OUT")
    one.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    one.add_argument("--decisions", type=Path, metavar="FILE", help="what reviewers decided (FOLDER/decisions.csv)")
    one.add_argument("--accept-proposals", action="store_true", help="where nobody decided, do what is proposed")
    one.take("min-images")

    phrase = "write the same set with near-copies in one group, so that no split parts them"
    one = _step(steps, "group", phrase, "  seran data group data/butterfly100 data/butterfly100-grouped", "OUT")
    one.add_argument("out", type=Path, metavar="OUT", help="the folder to write")

    phrase = "write split.csv, 70/15/15 for each species, and count what leaks"
    one = _step(steps, "split", phrase, "  seran data split data/ala-curated --seed 1")
    one.take("seed", "min-images")
    one.add_argument("--single-images", action="store_true", help="as the paper did: groups may be separated")


def _step(steps: Any, name: str, phrase: str, examples: str, before: str = "") -> Parser:
    one = _command(steps, name, f"data:{name}", phrase, examples, before=f"FOLDER {before}")
    one.add_argument("folder", type=Path, metavar="FOLDER", help="the collection's folder")
    return one


def _add_plan(steps: Any) -> None:
    one = _step(
        steps,
        "plan",
        "ask the atlas (or Zenodo), write the plan, fetch nothing",
        "  seran data plan data/ala --taxon Insecta --species 200 --as-of 2018-10-31\n"
        "  seran data plan data/demo --source demo                      drawn insects, offline\n"
        "  seran data plan data/heliconius --zenodo 4289223 --labels labels.csv",
    )
    one.add_argument("--source", choices=("ala", "demo"), default="ala", help="the live atlas, or the demo (offline)")
    one.add_argument("--taxon", default="Insecta", help="a scientific name or an identifier (Insecta)")
    one.add_argument("--species", type=int, default=200, metavar="N", help="so many, those with most records (200)")
    one.add_argument("--per-species", type=int, default=0, metavar="N", help="most images a species, drawn at random")
    one.add_argument("--region", default="", help="a state, a territory or a country")
    one.add_argument("--since", type=_day, metavar="DATE", help="first day, as 2000-01-31")
    one.add_argument("--until", type=_day, metavar="DATE", help="last day")
    one.add_argument("--as-of", type=_day, metavar="DATE", help="only what was there on this day")
    one.add_argument("--basis", action="append", default=[], help="HUMAN_OBSERVATION, PRESERVED_SPECIMEN; repeatable")
    one.add_argument("--licence", action="append", default=[], help='of the image, such as "CC BY 4.0"; repeatable')
    one.add_argument("--exclude-resource", action="append", default=[], metavar="UID", help="of data; repeatable")
    for name in ("occurrences", "images", "names"):
        one.add_argument(f"--{name}", metavar="URL", help=f"another base address of the service of {name}")
    one.add_argument("--size", choices=("large", "original"), default="large", help="650 pixels, or as uploaded")
    one.take("seed", help="of the choice that --per-species makes (0)")
    one.take("per-second")
    one.add_argument(
        "--zenodo", action="append", default=[], metavar="RECORD", help="no atlas: a record of Zenodo; repeatable"
    )
    one.add_argument("--labels", type=Path, metavar="FILE", help="for --zenodo: a CSV table with file and label")


def _add_train_and_cost(commands: Any) -> None:
    one = _command(
        commands,
        "train",
        "train:train",
        "train one network, or what is left of it; the result enters the ledger",
        "  seran train                                                      SERAN-D on drawn insects\n"
        "  seran train --profile laptop --data data/heliconius --model seran --seed 1\n"
        "  seran train --profile laptop --data data/heliconius --model efficientnet_lite0 --recipe frozen\n"
        "  torchrun --nproc-per-node 2 -m seran_lib train --profile paper --data data/ala     two GPUs together",
    )
    one.take(*ONE_RUN)
    one = _command(
        commands,
        "cost",
        "cost:cost",
        "say what a profile takes before anything runs: memory, hours, Colab's compute units",
        "  seran cost --profile paper --seeds 0,1,2                         for as many images as the paper had\n"
        "  seran cost --profile laptop --data data/heliconius               as measured on this machine",
    )
    one.take("profile", "data", "epochs")
    one.add_argument("--seeds", type=_seeds, default=[0], metavar="0,1,2", help="seeds of each model (0)")
    one.add_argument("--models", type=_list, default=[], metavar="A,B", help="instead of the profile's models")
    one.add_argument(
        "--units", type=_list, default=[], metavar="T4=1.2,H100=14", help="Colab's compute units an hour, as it shows"
    )


def _add_use(commands: Any) -> None:
    one = _command(
        commands,
        "predict",
        "predict:predict",
        "name the insect on photographs, by a trained network",
        "  seran predict wasp.jpg --model weights/heliconius-seran_d\n"
        "  seran predict trip/ --model weights/heliconius-seran_d --out trip.csv      again: go on",
        before="PHOTO|FOLDER...",
    )
    one.add_argument("photographs", nargs="+", type=Path, metavar="PHOTO", help="a file, or a folder with all below it")
    one.add_argument("--model", required=True, metavar="FOLDER", help="a bundle that `seran export` wrote")
    one.add_argument(
        "--risk", type=float, default=0.05, help="share of wrong names you accept (0.05); rarer: a group, or unknown"
    )
    one.add_argument("--out", type=Path, metavar="FILE", help="write a row a photograph, as .csv or .json")

    one = _command(
        commands,
        "export",
        "export:export",
        "write a finished run as a bundle for `seran predict`, verified",
        "  seran export drawn-smoke-seran_d-e12-s0-zero weights/drawn-seran_d\n"
        "  seran export heliconius-laptop-seran_d-e8-s0 weights/heliconius-seran_d --data data/heliconius",
        before="RUN OUT",
    )
    one.add_argument("run", metavar="RUN", help="its run_id in the ledger; its weights are below runs/")
    one.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    one.take("data")


def _add_look(commands: Any) -> None:
    one = _command(
        commands,
        "look",
        "look:look",
        "measure what a trained network looks at, on the test images of its run",
        "  seran look --profile laptop --data data/heliconius --model seran_d --seed 0",
    )
    one.take(*ONE_RUN)
    one = _command(
        commands,
        "unknowns",
        "look:unknowns",
        "ask all trained networks of a data set about its images that are of none of their classes",
        "  seran unknowns --profile laptop --data data/heliconius",
    )
    one.take("profile")
    one.take("data", required=True)


def _add_book(commands: Any) -> None:
    one = _command(
        commands,
        "notebook",
        "notebook:notebook",
        "run chapters headlessly, with checked parameters",
        "  seran notebook 00_start_here\n"
        "  seran notebook 08_train_one --profile laptop --data data/heliconius -p model=seran",
        before="NAME...",
    )
    one.add_argument("notebooks", nargs="+", metavar="NAME", help="such as 08_train_one, or a path")
    one.take("profile", "data", "seed", "epochs", "out")
    one.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="a further parameter; repeatable")

    one = _command(
        commands,
        "table",
        "book:table",
        "rebuild what is generated from the ledger: tables, results/README.md, figures",
        "  seran table\n  seran table --check        write nothing; 1 where a text is not up to date",
    )
    one.add_argument("--check", action="store_true", help="write nothing, fail where a text is not up to date")
    one.add_argument("--figures", action="store_true", help="draw figures/ of chapters 09 and 10, too")
    one.take("profile", default="", help="laptop, colab or paper; the one that the README shows without it")
    one.set_defaults(in_clone=True)

    one = _command(
        commands,
        "pair",
        "book:pair",
        "execute chapters from their scripts and store them as notebooks",
        "  seran pair notebooks/03_read_the_paper.py        all of notebooks/ without a name",
        before="[SCRIPT...]",
    )
    one.set_defaults(in_clone=True)
    one.add_argument("notebooks", nargs="*", type=Path, metavar="SCRIPT", help="scripts or notebooks")

    one = _command(
        commands,
        "demo",
        "demo:demo",
        "serve the demo atlas of drawn insects until Ctrl-C",
        "  seran demo --latency 0.2",
    )
    one.add_argument("--species", type=int, default=14, metavar="N", help="(14)")
    one.add_argument("--images", type=int, default=300, metavar="N", help="(300)")
    one.add_argument("--side", type=int, default=128, metavar="PIXELS", help="shorter side (128)")
    one.take("seed", default=7, help="another seed, another atlas (7)")
    one.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="added to each picture (0)")


def _add_parcel(commands: Any) -> None:
    """Not listed: only the Snakefile needs it, to bring runs home through a bucket."""
    parcel = commands.add_parser("parcel", description="Bring finished runs home from a machine that shares no disk.")
    actions = parcel.add_subparsers(metavar="COMMAND", dest="COMMAND", prog="seran parcel")
    for name, phrase in (("pack", "put a run of the ledger into a file"), ("unpack", "add the run of a file")):
        one = _command(actions, name, f"parcel:{name}", phrase, f"  seran parcel {name} results ...")
        one.add_argument("results", type=Path, help="folder of the ledger")
        if name == "pack":
            one.add_argument("run_id")
        one.add_argument("file", type=Path)


def _add_batch(commands: Any) -> None:
    """Not listed: it is what `make book` and `make trainings` call, with their words in the environment."""
    one = commands.add_parser("batch", description="What is due of the book or of its trainings.")
    one.add_argument("goal", choices=("book", "trainings"))
    one.set_defaults(handler="batch:batch", in_clone=True)


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write a day as 2000-01-31") from None


def _list(text: str) -> list[str]:
    return text.split(",")


def _seeds(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.isdecimal() for word in words) or len({int(word) for word in words}) < len(words):
        raise argparse.ArgumentTypeError(f"{text!r}: write different whole numbers as 0,1,2")
    return [int(word) for word in words]
