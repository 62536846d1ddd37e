"""Checkpoints that survive anything: written beside, flushed, then renamed; checked when read.

Two states of a run are kept, the last and the one before it, so that a damaged file costs one epoch and not the run.
"""

import ast
import hashlib
import os
from pathlib import Path
from typing import Any

import torch

import seran_lib
from seran_lib.errors import CheckpointError
from seran_lib.files import replacing

PACKAGE = Path(seran_lib.__file__).parent
# What training imports of these rooms decides the weights that a run ends with, given its settings and images. The rest
# does not: settings and the fingerprint of the data hold what it decides, or it only watches, measures and keeps.
ROOMS = ("nets", "data", "train")
BESIDE = {
    *(f"data/{name}.py" for name in ("manifest", "split", "tables")),
    *(f"train/{name}.py" for name in ("checkpoint", "ledger", "memory", "pace", "profiles", "settings")),
}
STATE, PREVIOUS, NEXT = "last.pt", "previous.pt", "next.pt"


def training_code() -> list[str]:
    """The files of `ROOMS` that `train/learner.py` imports, directly or not, but for those of `BESIDE`."""
    found, left = set(), {"train/learner.py"}
    while left:
        found |= left
        trees = [ast.parse((PACKAGE / name).read_text(encoding="utf-8")) for name in left]
        imports = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules = {f"{node.module}.{alias.name}" for node in imports for alias in node.names}
        modules |= {node.module for node in imports}
        files = {module.removeprefix("seran_lib.").replace(".", "/") + ".py" for module in modules}
        left = {name for name in files if name.split("/")[0] in ROOMS and (PACKAGE / name).is_file()} - found
    return sorted(found - BESIDE)


def code_fingerprint() -> str:
    """The first 12 digits of a SHA-256 over the code that trains; comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for name in training_code():
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body[0] = ast.Pass()
        digest.update(f"{name}\n{ast.unparse(tree)}\n".encode())
    return digest.hexdigest()[:12]


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Keep the state of a run as `folder/last.pt`, and what was there as `previous.pt`.

    A process killed between the renames leaves a whole `next.pt`, which `load_state` reads.
    """
    with replacing(folder / NEXT) as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:  # so torch says that it cannot write
            raise OSError(str(error)) from error
    if (folder / STATE).exists():
        os.replace(folder / STATE, folder / PREVIOUS)
    os.replace(folder / NEXT, folder / STATE)


def load_state(folder: Path, identity: dict[str, object]) -> dict[str, Any] | None:
    """The newest state of a run that can be read, in the CPU's memory, or None where there is none.

    Only tensors and plain values are read (`weights_only`). Raises CheckpointError where all files are damaged, or the
    state was written by a run with other settings, other data or other code than `identity`.
    """
    damaged: list[str] = []
    for path in (folder / NEXT, folder / STATE, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            break
        except Exception as error:  # a cut or foreign file makes torch raise almost anything
            damaged.append(f"{path} is damaged ({error})")
    else:
        if damaged:
            raise CheckpointError("\n".join([*damaged, "Delete this to start the run again."]))
        return None
    if damaged:
        print(f"{damaged[0]}: going on from {path.name}", flush=True)
    theirs = state.get("identity", {})
    differing = sorted(k for k in identity.keys() | theirs.keys() if identity.get(k) != theirs.get(k))
    if differing:
        lines = [f"  {k}: checkpoint {theirs.get(k)!r}, now {identity.get(k)!r}" for k in differing]
        cure = "Give another out folder, or delete this one."
        if differing == ["code"]:
            cure = "Go back to the version that began the run, or delete the folder to start again with this one."
        raise CheckpointError(f"{path} belongs to another run:\n" + "\n".join(lines) + f"\n{cure}")
    return state
