"""Run notebooks headlessly (`seran notebook`).

papermill warns about an unknown parameter and goes on with the defaults, takes any type, and can report a notebook
whose kernel died as completed. So names and types are checked here before anything starts, and afterwards the last
cell must have said that the notebook was finished. A run that was interrupted goes on when the same command is given
again: the notebook starts at its top, and training at its last checkpoint.
"""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from papermill.exceptions import PapermillExecutionError

from seran_lib import paths
from seran_lib.files import NO_ROOM, write_json
from seran_lib.paths import NO_CLONE, NOTEBOOKS, in_clone
from seran_lib.train import ledger

GRACE = 10.0  # seconds in which a run that was killed a moment ago lets go of its folder


class RunError(RuntimeError):
    """A notebook that failed or did not reach its end; the message is for the user."""


def find_notebook(name: str) -> Path:
    """The notebook of that name or path; of a `.py` the one beside it. Raises ValueError listing the book's own."""
    path = Path(name)
    if path.suffix in ("", ".py", ".ipynb"):
        for candidate in (NOTEBOOKS / f"{name}.ipynb", path.parent / f"{path.stem}.ipynb"):
            if candidate.is_file():
                return candidate.resolve()
    known = ", ".join(path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")))
    raise ValueError(f"no notebook {name!r}: {f'the book has {known}' if in_clone() else NO_CLONE}")


def truth(text: str) -> bool:
    """True or False from "true" or "false", in any case. Raises ValueError for anything else."""
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


TYPES = {"str": str, "int": int, "float": float, "bool": truth}


def check_parameters(notebook: Path, given: dict[str, str]) -> dict[str, object]:
    """The given `name=value` texts as the types that the notebook's parameters cell declares.

    Raises ValueError for a file that is no notebook, an unknown name, or a text that is not of the type.
    """
    try:
        declared = papermill.inspect_notebook(_literally(notebook))
    except Exception as error:  # a foreign file makes nbformat raise almost anything
        raise ValueError(f"{notebook} cannot be read as a notebook: {error}") from error
    checked: dict[str, object] = {}
    for name, text in given.items():
        if name not in declared:
            raise ValueError(f"{notebook.stem} has no parameter {name!r}: it has {', '.join(declared)}")
        kind = declared[name]["inferred_type_name"]
        try:
            checked[name] = TYPES.get(kind, str)(text)
        except ValueError as error:
            raise ValueError(f"{notebook.stem}: {name} = {text!r} is not of type {kind}") from error
    return checked


def _literally(path: Path) -> str:
    """A path in which papermill finds no parameters to fill in: braces are braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def output_folder(notebook: Path, parameters: dict[str, object]) -> Path:
    """A folder below `runs/` named after the notebook and what it was given."""
    data = str(parameters.get("data") or "")
    shown = {**parameters, "data": Path(data).resolve().name if data else "", "out": ""}
    parts = [notebook.stem] + [f"{name}={value}" for name, value in sorted(shown.items()) if value != ""]
    return paths.runs() / "notebooks" / "-".join(parts)


def execute(notebook: Path, parameters: dict[str, object]) -> Path:
    """Execute one notebook and return the executed copy.

    Raises RunError where another process runs the same thing, a cell fails, the kernel dies, the disk is full, or the
    end is not reached.
    """
    folder = output_folder(notebook, parameters)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / notebook.name
    try:
        held = FileLock(folder / ".lock").acquire(timeout=GRACE)
    except Timeout as error:
        raise RunError(f"another process runs {notebook.stem} in {folder}: wait for it, or stop it") from error
    with held:
        record_environment(folder, parameters)
        try:
            papermill.execute_notebook(
                _literally(notebook),
                _literally(output),
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
        except RuntimeError as error:  # of nbclient where a kernel dies, of jupyter_client where it dies at its start
            raise RunError(
                f"{notebook.stem}: its kernel died, out of memory perhaps. Give the same command again to resume; "
                f"see {output}"
            ) from error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise RunError(
                f"could not write {output}: {error.strerror}. What was written before is intact. "
                "Free some disk space, then give the same command again to resume"
            ) from error
        if "finished: " not in last_output(output):  # whatever a reader calls a copy of a chapter
            raise RunError(f"{notebook.stem} ended before its last cell, its kernel died perhaps; see {output}")
    return output


def last_output(path: Path) -> str:
    """What the last code cell of an executed notebook printed."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return "".join(output.get("text", "") for output in cells[-1].outputs) if cells else ""


def hardware() -> str:
    """The GPUs of this machine or else its processor, without torch, which takes seconds to import."""
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        if names := subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip():
            return names.replace("\n", ", ")
    return platform.processor() or platform.machine()


def record_environment(folder: Path, parameters: dict[str, object]) -> None:
    """Keep beside the executed notebook what it ran with: parameters, commit, device and every installed version."""
    commit, dirty = ledger.git_state()
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    content = {
        "started": ledger.now(),
        "parameters": parameters,
        "git_commit": commit,
        "dirty": dirty,
        "device": hardware(),
        "installed": installed,
    }
    write_json(folder / "environment.json", content)
