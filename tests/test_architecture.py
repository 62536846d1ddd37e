"""docs/architecture.md is true to the tree."""

import re
import subprocess
import tomllib

from seran_lib.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TREE, LAYERS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
LIBRARY = ROOT / "seran_lib"


def drawn():
    """The paths that the drawn tree names, from its indents."""
    above = []
    for line in TREE.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        above[depth:] = [name.rstrip("/")]
        yield "/".join(above)


def test_the_tree_has_every_room_and_no_other():
    rooms = {path.parent for path in LIBRARY.glob("*/**/__init__.py")}
    floor = {path for path in LIBRARY.glob("*.py") if not path.name.startswith("__")}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in tracked.splitlines() if "/" in line and not line.startswith(".")}
    real = folders | {path.relative_to(ROOT).as_posix() for path in rooms | floor}
    assert sorted(drawn()) == sorted(real)


def test_files_that_the_page_names_exist():
    named = set(re.findall(r"`([\w/]+\.(?:py|csv|toml)|Snakefile)`", PAGE)) - {"NN_name.py", "manifest.csv"}
    assert len(named) > 15
    assert [name for name in sorted(named) if not any((root / name).exists() for root in (ROOT, LIBRARY))] == []


def test_arrows_are_the_contract_of_import_linter():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    there = {path.stem for path in LIBRARY.iterdir()}
    wanted = [[name for name in re.findall(r"\w+", layer) if name in there] for layer in contract["layers"]]
    assert [line.split(" | ") for line in LAYERS.splitlines()] == wanted
