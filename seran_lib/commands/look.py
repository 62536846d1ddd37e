"""`seran look` and `seran unknowns`: what trained networks look at, and what they say of species they never saw."""

import argparse
from pathlib import Path

from seran_lib.commands.train import chosen
from seran_lib.explain import measure
from seran_lib.explain.unknowns import answer_all
from seran_lib.nets.specs import PRETRAINED
from seran_lib.train.dataset import open_dataset
from seran_lib.train.distributed import say


def look(options: argparse.Namespace) -> int:
    """Measure what one finished run looks at."""
    settings = chosen(options)
    if settings.model in PRETRAINED:
        raise ValueError(f"{settings.model} has other stages than the book's networks: choose one of those")
    dataset = open_dataset(settings)
    measure.check_weights(settings, dataset)  # what is kept under the run's name must be of its row
    settings.results.save("looks", settings.run_id, measure.look(settings, dataset))
    say(f"written: {settings.results.file('looks', settings.run_id).name}")
    return 0


def unknowns(options: argparse.Namespace) -> int:
    """Ask every run of a data set whose own weights, not a repetition's, are here and that has no answers yet."""
    written = answer_all(options.profile, options.data)
    print(f"{written} runs answered; see results/unknowns/")
    if not written:
        name = Path(options.data).name
        print(f"of no other run of {name} are the ledger's own weights, not a repetition's, below runs/")
    return 0
