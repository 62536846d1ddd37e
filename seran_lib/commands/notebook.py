"""`seran notebook`: chapters run headlessly, with checked parameters and an honest exit."""

import argparse
import logging
import os
import sys
from pathlib import Path

from seran_lib.book import execute, stopping
from seran_lib.errors import CheckpointError
from seran_lib.paths import ALA
from seran_lib.train.settings import CHOICES, resolve


def prepare(options: argparse.Namespace) -> list[tuple[Path, dict[str, object]]]:
    """Notebooks and their checked parameters. Raises ValueError before anything has run."""
    given = {name: str(getattr(options, name)) for name in ("profile", "seed", "data", "out", "epochs")}
    for pair in options.p:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"-p {pair!r}: write NAME=VALUE")
        given[name] = value
    for name in ("data", "out"):  # a kernel works in the notebooks' folder, where a relative path means another place
        if given[name] and not (name == "data" and given[name] == ALA):
            given[name] = str(Path(given[name]).resolve())
    notebooks = [execute.find_notebook(name) for name in options.notebooks]
    prepared = [(notebook, execute.check_parameters(notebook, given)) for notebook in notebooks]
    for _, parameters in prepared:
        words = {name: value for name, value in parameters.items() if name in ("profile", *CHOICES)}
        if words.get("data", "") in (ALA, "" if words.get("profile", "smoke") == "smoke" else ALA):
            words["data"] = "."  # the chapter asks where the word leads
        resolve(**words)  # a wrong word stops here
    return prepared


def notebook(options: argparse.Namespace) -> int:
    """Run all notebooks named; one that fails does not stop the others."""
    failed = 0
    with stopping.stopped_by_signals("seran notebook"):
        if os.environ.get(stopping.KEEPER):
            stopping.stop_without(int(os.environ[stopping.KEEPER]))
        prepared = prepare(options)
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        for path, parameters in prepared:
            try:
                print(f"finished {execute.execute(path, parameters)}", flush=True)
            except (execute.RunError, CheckpointError, OSError) as error:
                print(f"seran notebook: {error}", file=sys.stderr, flush=True)
                failed += 1
    return 1 if failed else 0
