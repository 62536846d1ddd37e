"""What makes the book: notebooks from scripts, figures as files, source and tables shown in notebooks."""

import base64
import io

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from seran_lib import cli
from seran_lib.analysis import stats
from seran_lib.book import notebook, render
from seran_lib.book.plots import style

HEADER = """# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

"""


def open_png(text):
    return Image.open(io.BytesIO(base64.b64decode(text)))


def write(folder, *cells):
    script = folder / "90_try.py"
    script.write_text(HEADER + "\n\n".join(f"# %%\n{cell}" for cell in cells) + "\n")
    return script


def test_a_script_becomes_an_executed_notebook_and_a_second_run_changes_nothing(tmp_path):
    bar = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass"
    script = write(tmp_path, "import os\nprint(os.path.basename(os.getcwd()))", "print({'b', 'a', 'c', 'd'})", bar)
    assert render.pair(script)
    first = script.with_suffix(".ipynb").read_bytes()
    stored = nbformat.reads(first.decode(), as_version=4)
    assert stored.cells[0].outputs[0].text.strip() == tmp_path.name  # runs in the notebook's own folder
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3]
    assert not stored.cells[2].outputs, "a progress bar whose kernel is gone shows nothing"
    assert not any(cell.metadata for cell in stored.cells) and "version" not in stored.metadata.language_info
    assert not render.pair(script)
    assert script.with_suffix(".ipynb").read_bytes() == first


def test_what_a_chapter_draws_lies_below_runs_and_is_collected_when_the_chapter_is_made(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "reader"))
    drawing = "from seran_lib.book.plots.style import plt, save, save_pictures\nfigure, axis = plt.subplots()"
    script = write(tmp_path / "notebooks", drawing, "save(figure, 'fig90_a')", "save_pictures(figure, 'fig90_b')")
    made = [tmp_path / "figures" / "fig90_a.svg", tmp_path / "figures" / "fig90_b.png", script.with_suffix(".ipynb")]
    assert render.pair(script) == made
    assert render.pair(script) == [], "the same drawing, the same bytes"
    made[0].write_text("stale")
    assert render.pair(script) == made[:1]
    assert not (tmp_path / "reader").exists()
    exec(drawing + "\nsave(figure, 'fig90_a')")  # as a reader does
    assert (tmp_path / "reader" / "figures" / "fig90_a.svg").exists()
    plt.close("all")


def test_stored_drawings_look_the_same_in_fewer_bytes(tmp_path):
    drawing = "import numpy as np\nfrom matplotlib import pyplot as plt\nplt.plot(np.sin(range(40)))\nplt.show()"
    notebook = render.execute(render.read_script(write(tmp_path, f"%matplotlib inline\n{drawing}")), tmp_path, tmp_path)
    whole = notebook.cells[0].outputs[0].data["image/png"]
    render.shrink(notebook)
    stored = notebook.cells[0].outputs[0].data["image/png"]
    assert len(stored) < 0.6 * len(whole)
    before, after = (np.asarray(open_png(png).convert("RGB"), dtype=int) for png in (whole, stored))
    assert np.abs(before - after).max() < 16


def test_a_failing_notebook_leaves_the_stored_one_alone(tmp_path, capsys):
    script = write(tmp_path, "1 / 0")
    script.with_suffix(".ipynb").write_text("as it was")
    assert cli.main(["pair", str(script)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert script.with_suffix(".ipynb").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["90_try.ipynb", "90_try.py"]


def test_a_changed_cell_leaves_the_ids_of_the_others(tmp_path):
    before = render.read_script(write(tmp_path, "a = 1", "b = 2", "a = 1"))
    after = render.read_script(write(tmp_path, "new = 0", "a = 1", "b = 3", "a = 1"))
    ids = [cell.id for cell in before.cells]
    assert len(set(ids)) == 3
    assert [cell.id for cell in after.cells][1] == ids[0] and [cell.id for cell in after.cells][3] == ids[2]
    assert ids[1] not in {cell.id for cell in after.cells}


def test_a_script_without_the_header_is_refused(tmp_path, capsys):
    script = tmp_path / "91_bare.py"
    script.write_text("# %%\nprint(1)\n")
    assert cli.main(["pair", str(script)]) == 1
    assert "91_bare.py" in capsys.readouterr().err and not script.with_suffix(".ipynb").exists()


def draw():
    figure, ax = plt.subplots()
    ax.plot([0, 1, 4])
    ax.set_title("three points")
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    files = []
    for _ in range(2):
        with plt.rc_context():
            style.use_book_style()
            figure = draw()
            figure.axes[0].imshow(np.eye(3))
            style.save(figure, "fig90_try")
        files.append((tmp_path / "figures" / "fig90_try.svg").read_bytes())
    plt.close("all")
    assert files[0] == files[1] and b"<dc:date>" not in files[0]


@pytest.mark.parametrize("name", ["../up", "fig.svg", "a b", ""])
def test_a_figure_name_is_a_name(name):
    with pytest.raises(ValueError, match="figure name"):
        style.save(plt.figure(), name)
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def test_show_source_shows_the_function_and_where_it_lives(shown):
    notebook.show_source(stats.wilson)
    (data,) = shown
    assert "seran_lib/analysis/stats.py" in data["text/markdown"] and "def wilson(" in data["text/markdown"]
    assert data["text/plain"].startswith("def wilson(")


def test_show_table_cuts_nothing_and_keeps_its_columns(shown):
    long = "word " * 40 + "| end"
    frame = pd.DataFrame({"n": [34525, None], "text": [long, "b"]}, index=["x", "y"])
    notebook.show_table(frame)
    lines = shown[0]["text/markdown"].splitlines()
    assert lines[2] == f"| x | 34,525 | {long.replace('|', chr(92) + '|')} |"
    assert lines[3] == "| y |  | b |"


def test_finish_prints_the_line_the_runner_looks_for(capsys):
    notebook.finish("90_try")
    assert capsys.readouterr().out == "finished: 90_try\n"
