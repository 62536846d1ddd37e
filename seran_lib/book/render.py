"""Makes the notebooks from their scripts (`seran pair`).

`NN_slug.py` (py:percent) is the source. `NN_slug.ipynb` is made from it, executed in the notebooks folder with the
parameters as written, and stored without anything that changes by itself: no times, no widget state, no version of
Python. The figures that a chapter draws are copied to `figures/`. Running it twice gives the same bytes unless a result
changed. A notebook that fails is not written, nor are its figures.
"""

import base64
import hashlib
import io
import os
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

from seran_lib.files import replacing
from seran_lib.paths import FIGURES

CELL_TIMEOUT = 600  # seconds; far above the smoke profile's 60 s a notebook, so that only a hang meets it


def read_script(script: Path) -> NotebookNode:
    """The notebook of a py:percent script, not yet executed.

    A cell's id is made from its content, so an edited or inserted cell leaves the ids of all others alone. Raises
    ValueError when the script's header lacks what papermill and jupytext need.
    """
    notebook = jupytext.read(script, fmt="py:percent")
    pairing = notebook.metadata.get("jupytext", {})
    if pairing.get("formats") != "ipynb,py:percent" or notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        raise ValueError(
            f"{script.name}: its header must hold jupytext formats ipynb,py:percent and the kernelspec python3; "
            "copy the header of notebooks/03_read_the_paper.py"
        )
    pairing.pop("main_language", None)
    pairing.get("text_representation", {}).pop("jupytext_version", None)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with cell ids
    return notebook


def execute(notebook: NotebookNode, folder: Path, runs: Path) -> NotebookNode:
    """Runs every cell in a fresh kernel working in `folder`, with `runs` as the folder of its runs and figures.

    Raises CellExecutionError at the first failure.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # how prints are cut into messages depends on the machine's load
    )
    # One thread, because sums of floats depend on how they are shared out. PYTHONHASHSEED fixes the order in which sets
    # of strings are printed.
    fixed = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "SERAN_RUNS": str(runs)}
    return client.execute(env={**os.environ, **fixed})


PNG, WIDGET = "image/png", "application/vnd.jupyter.widget-view+json"


def strip(notebook: NotebookNode) -> None:
    """Removes, in place, what execution leaves behind that no reader needs and that differs between machines.

    Among it progress bars: a widget whose kernel is gone shows nothing.
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("execution", "papermill", "ExecuteTime"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]


def shrink(notebook: NotebookNode) -> None:
    """Stores every PNG, in place, with 256 colours: drawings look the same and take a third of the bytes."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if PNG in output.get("data", {}):
                drawn = Image.open(io.BytesIO(base64.b64decode(output["data"][PNG]))).convert("RGB")
                stored = io.BytesIO()
                drawn.quantize(256, dither=Image.Dither.NONE).save(stored, "png", optimize=True)
                output["data"][PNG] = base64.b64encode(stored.getvalue()).decode()


def pair(script: Path) -> list[Path]:
    """Makes and executes the notebook beside `script`, with runs of its own, so that it trains again.

    Its figures go to the folder `figures` beside that of the script. Returns the files that changed.
    """
    with tempfile.TemporaryDirectory() as runs:
        notebook = execute(read_script(script), script.parent, Path(runs))
        drawn = {path.name: path.read_bytes() for path in sorted(Path(runs).glob("figures/*"))}
    strip(notebook)
    shrink(notebook)
    nbformat.validate(notebook)
    wanted = {script.parents[1] / FIGURES.name / name: content for name, content in drawn.items()}
    wanted[script.with_suffix(".ipynb")] = (nbformat.writes(notebook) + "\n").encode()
    changed = [path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content]
    for path in changed:
        with replacing(path) as stream:
            stream.write(wanted[path])
    return changed
