"""The committed notebooks: script and notebook are one, and what is stored is fit to be read and re-run anywhere.

Running them is nbval's work. Here `faults` names what is wrong with one notebook, and the second half of the file
breaks a good one on purpose to see that each fault is found.
"""

import ast
import copy
import importlib.util
import re
import shutil

import jupytext
import nbformat
import papermill
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

from seran_lib.book import render
from seran_lib.paths import ROOT

FOLDER = ROOT / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
PARAMETERS = ["profile", "seed", "data", "out", "epochs"]
# Colab and Kaggle bring these; an install from a cell would replace them under a running kernel.
PROTECTED = {"torch", "torchvision", "numpy", "pandas", "pillow", "matplotlib", "ipython", "ipykernel"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|tmp|home|root|Users)\b")
MAX_BYTES, MAX_LINES = 500_000, 40


def outputs_as_text(cell):
    """Every piece of text an output holds; images are left out, since their code may look like anything."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield content if isinstance(content, str) else str(content)


def protected_installs(source):
    for line in source.splitlines():
        if re.search(r"\bpip3?\s+install\b", line):
            words = [re.split(r"[\[<>=!~@; ]", word.strip("\"'"))[0].lower() for word in line.split()]
            yield from PROTECTED & set(words)


def faults(notebook, stem):
    """What is wrong with a stored notebook, a line each."""
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("kernelspec is not python3")
    if "papermill" in notebook.metadata or "widgets" in notebook.metadata:
        found.append("metadata of papermill or of widgets")
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from 1 to n")
    if sum("parameters" in cell.metadata.get("tags", []) for cell in code) != 1:
        found.append("needs exactly one cell tagged parameters")
    if not code or code[-1].source.strip() != f'finish("{stem}")':
        found.append("last code cell does not call finish with the notebook's own name")
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number}: an error")
            if any("widget" in kind for kind in output.get("data", {})):
                found.append(f"cell {number}: a widget, which shows nothing without its kernel")
            if output.get("name") == "stderr":
                found.append(f"cell {number}: text on stderr")
        if len(cell.source.splitlines()) > MAX_LINES:
            found.append(f"cell {number}: more than {MAX_LINES} lines")
        if {"papermill", "execution"} & set(cell.metadata):
            found.append(f"cell {number}: metadata of an execution")
        if "nbval-check-output" in cell.metadata.get("tags", []) and not cell.outputs:
            found.append(f"cell {number}: tagged nbval-check-output and has no output")
        if any(" at 0x" in text for text in outputs_as_text(cell)):
            found.append(f"cell {number}: a memory address")
        for name in protected_installs(cell.source):
            found.append(f"cell {number}: installs {name}")
    for number, cell in enumerate(notebook.cells, start=1):
        if any(MACHINE_PATH.search(text) for text in (cell.source, *outputs_as_text(cell))):
            found.append(f"cell {number} of all: a path of one machine")
    return found


def cells_of(notebook):
    return [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]


def load(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def test_every_script_has_its_notebook_and_the_reverse():
    assert SCRIPTS, "no notebooks found"
    assert [path.stem for path in SCRIPTS] == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
class TestStored:
    def test_pair_is_equal_by_content(self, script):
        source = jupytext.read(script, fmt="py:percent")
        stored = load(script)
        assert cells_of(source) == cells_of(stored), "run seran pair notebooks/" + script.name
        assert source.metadata.jupytext.formats == stored.metadata.jupytext.formats == "ipynb,py:percent"
        assert source.metadata.kernelspec == stored.metadata.kernelspec

    def test_has_no_faults(self, script):
        assert faults(load(script), script.stem) == []

    def test_papermill_sees_the_five_parameters_first(self, script):
        seen = papermill.inspect_notebook(str(script.with_suffix(".ipynb")))
        assert list(seen)[:5] == PARAMETERS
        assert all(entry["inferred_type_name"] != "None" for entry in seen.values()), "every parameter needs a type"

    def test_size(self, script):
        assert script.with_suffix(".ipynb").stat().st_size <= MAX_BYTES

    def test_a_save_in_jupyterlab_leaves_the_script_alone(self, script, tmp_path):
        manager = build_sync_jupytext_contents_manager_class(LargeFileManager)(root_dir=str(tmp_path))
        shutil.copy(ROOT / "jupytext.toml", tmp_path)
        shutil.copy(script, tmp_path)
        notebook = f"{script.stem}.ipynb"
        nbformat.write(render.read_script(script), tmp_path / notebook)
        manager.save(manager.get(notebook), notebook)
        assert (tmp_path / script.name).read_text(encoding="utf-8") == script.read_text(encoding="utf-8")

    def test_imports_of_every_chapter_exist(self, script):
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")


def stream(name, text):
    return nbformat.v4.new_output("stream", name=name, text=text)


def tag_unrun_cell(notebook):
    next(cell for cell in notebook.cells if cell.cell_type == "code" and not cell.outputs).metadata.tags = [
        "nbval-check-output"
    ]


BREAKS = {
    "kernelspec": lambda nb: nb.metadata.kernelspec.update(name="conda-env"),
    "metadata of papermill": lambda nb: nb.metadata.update(papermill={}),
    "from 1 to n": lambda nb: code_of(nb)[1].update(execution_count=7),
    "exactly one cell": lambda nb: code_of(nb)[1].metadata.update(tags=[]),
    "finish": lambda nb: code_of(nb)[-1].update(source='finish("another")'),
    "an error": lambda nb: code_of(nb)[0].outputs.append(
        nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
    ),
    "a widget": lambda nb: code_of(nb)[0].outputs.append(
        nbformat.v4.new_output("display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}})
    ),
    "stderr": lambda nb: code_of(nb)[0].outputs.append(stream("stderr", "careful")),
    "more than 40 lines": lambda nb: code_of(nb)[0].update(source="x = 1\n" * 41),
    "metadata of an execution": lambda nb: code_of(nb)[0].metadata.update(execution={}),
    "has no output": tag_unrun_cell,
    "memory address": lambda nb: code_of(nb)[0].outputs.append(stream("stdout", "<Generator at 0x7f00>")),
    "installs torch": lambda nb: code_of(nb)[0].update(source='%pip install -q "torch==2.6"'),
    "path of one machine": lambda nb: code_of(nb)[0].outputs.append(stream("stdout", f"saved to /{'home'}/me/x")),
}


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_notebook_is_noticed(fault):
    script = SCRIPTS[0]
    notebook = copy.deepcopy(load(script))
    before = faults(notebook, script.stem)
    BREAKS[fault](notebook)
    new = [line for line in faults(notebook, script.stem) if line not in before]
    assert any(fault in line for line in new), new


def test_addresses_on_the_web_and_the_books_own_install_are_fine():
    assert not MACHINE_PATH.search(f"https://example.org/{'home'}/page and runs/{'tmp'}/x")
    assert not list(protected_installs('%pip install -q -e "./seran[book]"'))
    assert not list(protected_installs('%pip install "timm>=1.0" "torchmetrics"'))
