"""The review board in JupyterLab in a real browser, by keys and mouse: `make test-browser`.

Skipped unless SERAN_BROWSER is 1. The browser is the system's chromium, or the program that CHROMIUM names.
"""

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

if os.environ.get("SERAN_BROWSER") != "1":
    pytest.skip("set SERAN_BROWSER=1, or run make test-browser", allow_module_level=True)

from playwright.sync_api import expect, sync_playwright

from seran_lib.data.manifest import read_manifest
from seran_lib.demo.dataset import draw_atlas

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NOTEBOOK = """
import pandas as pd
from seran_lib.data.manifest import read_manifest
from seran_lib.curate.board import ReviewBoard
ids = read_manifest("set")["image_id"]
proposals = pd.DataFrame([
    (ids[2], "drop", "no insect found", ""),
    (ids[4], "crop", "label and ruler", "8 8 80 72"),
    (ids[5], "group", "near-duplicate", ""),
], columns=["image_id", "proposal", "reason", "crop"])
ReviewBoard("set", proposals, "decisions.csv", per_page=18)
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    draw_atlas(folder / "set", species=3, images_per_species=8, side=96, seed=1)
    cells = [new_code_cell(NOTEBOOK), new_code_cell("'the cell below the board'")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "review.ipynb")
    return folder


@pytest.fixture(scope="module")
def address(work):
    """JupyterLab, serving the folder until the tests are done."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
        f"--ServerApp.root_dir={work}",
    ]
    settings = work / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"fetchNews": "false"}')  # or a question about news lies over the board
    homes = {name: str(work / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    homes["JUPYTERLAB_SETTINGS_DIR"], homes["JUPYTERLAB_WORKSPACES_DIR"] = str(work / "settings"), str(work / "spaces")
    with open(work / "server.log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | homes)
    try:
        for _ in range(300):
            assert server.poll() is None, (work / "server.log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)  # its kernels end with it
        except subprocess.TimeoutExpired:
            server.kill()


@pytest.fixture(scope="module")
def page(address):
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "no chromium: run make test-browser, or name a browser in CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        page = browser.new_page(viewport={"width": 1400, "height": 1100})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=20_000)
        page.goto(f"{address}/lab/tree/review.ipynb?reset")
        page.get_by_text("the cell below the board").first.wait_for()
        page.get_by_text("| Idle").wait_for()  # before, "Run All Cells" is lost without a word
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(".seran-board .tile").first.wait_for()
        yield page
        browser.close()


@pytest.fixture
def board(page):
    return page.locator(".seran-board")


def decisions(work):
    with open(work / "decisions.csv", encoding="utf-8", newline="") as file:
        return {row["image_id"]: (row["decision"], row["value"]) for row in csv.DictReader(file)}


def tile(board, number):
    return board.locator(".tile").nth(number)


def test_a_review_by_keys_and_mouse_ends_in_the_file(work, page, board):
    manifest = read_manifest(work / "set")
    ids = manifest["image_id"]
    expect(board.locator(".tile img[src]")).to_have_count(18)
    expect(board.get_by_role("status").first).to_have_text(f"0 of {len(ids)} judged")

    # Quick fingers: each key is for the next picture, answered or not. JupyterLab's "d d" must not delete the cell.
    tile(board, 0).click()
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(tile(board, 0)).to_have_attribute("data-decision", "drop")
    expect(tile(board, 1)).to_have_attribute("data-decision", "drop")
    expect(tile(board, 2)).to_be_focused()
    page.keyboard.press("u")
    expect(tile(board, 1)).to_have_attribute("data-decision", "none")
    expect(tile(board, 1)).to_be_focused()
    expect(page.locator(".jp-CodeCell")).to_have_count(2)
    assert decisions(work) == {ids[0]: ("drop", "")}

    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    expect(tile(board, 2)).to_have_attribute("data-decision", "drop")
    page.keyboard.press("k")
    expect(tile(board, 3)).to_have_attribute("data-decision", "keep")

    # A crop: the proposed box comes first, and dragging replaces it.
    tile(board, 4).click()
    page.keyboard.press("c")
    crop = board.locator("dialog")
    expect(crop).to_contain_text("72 x 64 of")
    page.screenshot(path=work / "crop_proposed.png")
    area = crop.locator(".area").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.25, area["y"] + area["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.75, area["y"] + area["height"] * 0.5, steps=4)
    page.mouse.up()
    page.screenshot(path=work / "crop.png")
    page.keyboard.press("Enter")
    expect(tile(board, 4)).to_have_attribute("data-decision", "crop")
    width, height = Image.open(work / "set" / manifest["file"][4]).size
    x0, y0, x1, y1 = map(int, decisions(work)[ids[4]][1].split())
    wanted = (width * 0.25, height * 0.25, width * 0.75, height * 0.5)
    assert max(abs(a - b) for a, b in zip((x0, y0, x1, y1), wanted, strict=True)) <= 1.5

    # A label, typed into the field that "l" opens; the keys k and d are letters there.
    expect(tile(board, 5)).to_be_focused()
    page.keyboard.press("l")
    page.keyboard.type("Dakka kaddi")
    page.keyboard.press("Enter")
    expect(tile(board, 5).locator(".badge")).to_have_text("→ Dakka kaddi")

    # The same by mouse, and a crop that is left.
    tile(board, 7).click()
    board.get_by_role("button", name="Crop").first.click()
    page.keyboard.press("Escape")
    expect(crop).not_to_be_visible()
    board.get_by_role("button", name="Keep").click()
    expect(tile(board, 7)).to_have_attribute("data-decision", "keep")
    page.screenshot(path=work / "board.png")
    assert decisions(work) == {
        ids[0]: ("drop", ""),
        ids[2]: ("drop", ""),
        ids[3]: ("keep", ""),
        ids[4]: ("crop", f"{x0} {y0} {x1} {y1}"),
        ids[5]: ("label", "Dakka kaddi"),
        ids[7]: ("keep", ""),
    }


def test_pages_and_filters_show_other_pictures(page, board):
    tile(board, 0).click()
    page.keyboard.press("n")
    expect(board.locator(".head")).to_contain_text("page 2 of 2")
    expect(board.get_by_role("button", name="Next page")).to_be_disabled()
    board.get_by_role("combobox").select_option("with proposal")
    expect(board.locator(".tile")).to_have_count(3)
    board.get_by_role("combobox").select_option("all")
    expect(board.locator(".tile")).to_have_count(18)


def test_a_decision_that_cannot_be_saved_is_red_and_not_shown_as_made(work, page, board):
    foreign = (work / "decisions.csv").read_bytes() + b"elsewhere,keep,,,\n"
    (work / "decisions.csv").write_bytes(foreign)
    tile(board, 8).click()
    page.keyboard.press("d")
    expect(board.get_by_role("alert")).to_contain_text("was changed by someone else")
    page.screenshot(path=work / "refused.png")
    expect(tile(board, 8)).to_have_attribute("data-decision", "none")
    expect(tile(board, 8)).to_be_focused()
    assert (work / "decisions.csv").read_bytes() == foreign

    board.get_by_role("button", name="Reload decisions").click()
    expect(board.get_by_role("alert")).not_to_be_visible()
    tile(board, 8).click()
    page.keyboard.press("d")
    expect(tile(board, 8)).to_have_attribute("data-decision", "drop")
    assert {"elsewhere", read_manifest(work / "set")["image_id"][8]} <= set(decisions(work))
