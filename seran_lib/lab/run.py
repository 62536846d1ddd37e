"""Run notebooks headlessly: `python -m seran_lib.lab.run 08_train_one --profile laptop --data FOLDER -p model=seran_d`.

papermill warns about an unknown parameter and goes on with the defaults, takes any type, and can report a notebook
whose kernel died as completed. So names and types are checked here before anything starts, and afterwards the last
cell must have said that the notebook was finished. A run that was interrupted goes on when the same command is given
again: the notebook starts at its top, and training at its last checkpoint.
"""

import argparse
import importlib.metadata
import inspect
import logging
import sys
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from seran_lib.paths import ALA, NOTEBOOKS, RUNS

from . import ledger
from .checkpoint import CheckpointError, write_json
from .profiles import device_name, pick_device, resolve

TYPES = {"str": str, "int": int, "float": float}


class RunError(RuntimeError):
    """A notebook that can not start, failed, or did not reach its end; the message is for the user."""


def find_notebook(name: str) -> Path:
    """The notebook of that name or path. Raises RunError listing the book's notebooks."""
    for path in (NOTEBOOKS / f"{name}.ipynb", Path(name).with_suffix(".ipynb")):
        if path.is_file():
            return path
    known = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))
    raise RunError(f"no notebook {name!r}: the book has {known}")


def check_parameters(notebook: Path, given: dict[str, str]) -> dict[str, object]:
    """The given `name=value` texts as the types that the notebook's parameters cell declares.

    Raises RunError for an unknown name or a text that is not of the type.
    """
    declared = papermill.inspect_notebook(str(notebook))
    checked: dict[str, object] = {}
    for name, text in given.items():
        if name not in declared:
            raise RunError(f"{notebook.stem} has no parameter {name!r}: it has {', '.join(declared)}")
        kind = TYPES.get(declared[name]["inferred_type_name"], str)
        try:
            checked[name] = kind(text)
        except ValueError as error:
            raise RunError(f"{notebook.stem}: {name} = {text!r} is not of type {kind.__name__}") from error
    return checked


def output_folder(notebook: Path, parameters: dict[str, object]) -> Path:
    """A folder below `runs/` named after the notebook and what it was given."""
    data = str(parameters.get("data") or "")
    shown = {**parameters, "data": Path(data).resolve().name if data else "", "out": ""}
    parts = [notebook.stem] + [f"{name}={value}" for name, value in sorted(shown.items()) if value != ""]
    return RUNS / "notebooks" / "-".join(parts)


def execute(notebook: Path, parameters: dict[str, object]) -> Path:
    """Execute one notebook and return the executed copy.

    Raises RunError where another process runs the same thing, a cell fails, the kernel dies, or the end is not reached.
    """
    folder = output_folder(notebook, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / notebook.name
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"another process runs {notebook.stem} in {folder}: wait for it") from error
    with lock:
        record_environment(folder, parameters)
        try:
            papermill.execute_notebook(
                str(notebook),
                str(output),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(notebook.parent),
                progress_bar=sys.stderr.isatty(),
                log_output=True,
            )
        except PapermillExecutionError as error:
            raise RunError(
                f"{notebook.stem} failed in cell {error.exec_count}: {error.ename}: {error.evalue}\nsee {output}"
            ) from error
        except DeadKernelError as error:
            raise RunError(
                f"{notebook.stem}: its kernel died, out of memory perhaps. Give the same command again to resume; "
                f"see {output}"
            ) from error
        if f"finished: {notebook.stem}" not in last_output(output):
            raise RunError(f"{notebook.stem} ended before its last cell, its kernel died perhaps; see {output}")
    return output


def last_output(path: Path) -> str:
    """What the last code cell of an executed notebook printed."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return "".join(output.get("text", "") for output in cells[-1].outputs) if cells else ""


def record_environment(folder: Path, parameters: dict[str, object]) -> None:
    """Keep beside the executed notebook what it ran with: parameters, commit, device and every installed version."""
    commit, dirty = ledger.git_state()
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    content = {
        "started": ledger.now(),
        "parameters": parameters,
        "git_commit": commit,
        "dirty": dirty,
        "device": device_name(pick_device()),
        "installed": installed,
    }
    write_json(folder / "environment.json", content)


def parse(arguments: list[str] | None = None) -> tuple[list[Path], list[dict[str, object]]]:
    """Notebooks and their checked parameters from the command line. Raises RunError before anything has run."""
    parser = argparse.ArgumentParser(
        prog="python -m seran_lib.lab.run", description="Run notebooks of the book headlessly.", allow_abbrev=False
    )
    parser.add_argument("notebooks", nargs="+", metavar="NOTEBOOK", help="a name such as 08_train_one, or a path")
    parser.add_argument("--profile", default="smoke", help="smoke (default), laptop, colab or paper")
    parser.add_argument("--seed", default="0", help="one seed per run (default 0)")
    parser.add_argument("--data", default="", help="folder with manifest.csv, or ala; drawn insects without it")
    parser.add_argument("--out", default="", help="folder for checkpoints; one of the run's own below runs/ without it")
    parser.add_argument("--epochs", default="0", help="the profile's number without it")
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="a further parameter; repeatable")
    options = parser.parse_args(arguments)
    given = {name: getattr(options, name) for name in ("profile", "seed", "data", "out", "epochs")}
    for pair in options.p:
        name, equals, value = pair.partition("=")
        if not equals:
            raise RunError(f"-p {pair!r}: write NAME=VALUE")
        given[name] = value
    for name in ("data", "out"):  # a kernel works in the notebooks' folder, where a relative path means another place
        if given[name] and not (name == "data" and given[name] == ALA):
            given[name] = str(Path(given[name]).resolve())
    notebooks = [find_notebook(name) for name in options.notebooks]
    parameters = [check_parameters(notebook, given) for notebook in notebooks]
    settings = inspect.signature(resolve).parameters
    for checked in parameters:
        try:
            resolve(**{name: value for name, value in checked.items() if name in settings})
        except (TypeError, ValueError) as error:
            raise RunError(str(error)) from error
    return notebooks, parameters


def main(arguments: list[str] | None = None) -> int:
    """Run all notebooks named; one that fails does not stop the others. Returns the exit code."""
    try:
        notebooks, parameters = parse(arguments)
    except RunError as error:
        print(f"run: {error}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    failed = 0
    for notebook, checked in zip(notebooks, parameters, strict=True):
        try:
            print(f"finished {execute(notebook, checked)}", flush=True)
        except (RunError, CheckpointError, OSError) as error:
            print(f"run: {error}", file=sys.stderr, flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
