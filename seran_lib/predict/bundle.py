"""A bundle: a folder that holds a trained network, and all that is needed to believe its answers.

`bundle.json` says what `model.onnx` takes and gives, and has the SHA-256 of every other file and of itself. A bundle
is read as data: nothing in it is executed, and one that was cut or changed is refused.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from seran_lib.errors import DataError
from seran_lib.predict.rules import NEVER

ABOUT, MODEL, WEIGHTS, CARD = "bundle.json", "model.onnx", "weights.safetensors", "card.md"
FORMAT = 1


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory: `about` is its `bundle.json`, `content` its network as ONNX."""

    folder: Path
    about: dict[str, Any]
    content: bytes

    @property
    def classes(self) -> list[str]:
        """The labels, in the order of the scores."""
        return self.about["classes"]

    @property
    def side(self) -> int:
        """Pixels a side of the square windows that the network is given."""
        return self.about["input"]["side"]

    @property
    def groups(self) -> np.ndarray:
        """The group number of each class, an index into `about["groups"]["names"]`, -1 where it has none."""
        return np.array(self.about["groups"]["of"], dtype=int)

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The network, ready to run on this machine's CPU."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Scores (n, classes) float32 of square windows (n, side, side, 3) uint8, RGB."""
        return self.session.run(["scores"], {"windows": windows})[0]

    def masks(self, windows: np.ndarray) -> list[np.ndarray]:
        """The attention masks of windows (n, side, side, 3), each (n, C, h, w) in (0, 1), in the order in which the
        network computes them; none of a network without attention."""
        names = [output.name for output in self.session.get_outputs() if output.name.startswith("mask")]
        return self.session.run(names, {"windows": windows}) if names else []

    def thresholds(self, risk: float) -> tuple[np.ndarray, float]:
        """The least probabilities for a species (classes,) and for a group, of the largest risk in the bundle that is
        at most `risk`. Raises ValueError where there is none."""
        risks = [own for own in self.about["thresholds"] if float(own) <= risk]
        if not risks or risk >= 1:
            smallest = min(self.about["thresholds"], key=float)
            raise ValueError(f"risk {risk:g}: {self.folder} has thresholds for {smallest} or more, and below 1")
        found = self.about["thresholds"][max(risks, key=float)]
        least = np.array([NEVER if value is None else value for value in found["species"]])
        return least, NEVER if found["group"] is None else found["group"]


def seal(about: dict[str, Any]) -> dict[str, Any]:
    """The content of a `bundle.json` with its own checksum."""
    return about | {"checksum": _checksum(about)}


def load(folder: str | Path) -> Bundle:
    """The bundle in a folder, every file compared with its checksum. Raises DataError where one is missing, cut or
    changed, and for a bundle of another format."""
    folder = Path(folder)
    about = _about(folder / ABOUT)
    contents = {name: _content(folder / name) for name in (MODEL, WEIGHTS, CARD)}
    cure = "Export it again, or copy it again from where it came from."
    found = [
        f"{folder / name} is not what {ABOUT} says: it was cut or changed"
        for name, content in contents.items()
        if hashlib.sha256(content).hexdigest() != about["files"].get(name)
    ]
    if found:
        raise DataError(found, cure)
    return Bundle(folder, about, contents[MODEL])


def _about(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        about = json.loads(content)
        whole = about.pop("checksum") == _checksum(about)
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):  # JSON of something else, or none
        whole = False
    if not whole:
        raise DataError(f"{path} was cut or changed", "Export the bundle again, or copy it again.")
    if about.get("format") != FORMAT:
        raise DataError(f"{path} has another format than {FORMAT}", "Export the run again with this version.")
    return about


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        cure = "Name a folder that `seran export` wrote."
        raise DataError(f"{path.parent} is no whole bundle: it holds no {path.name}", cure) from None


def _checksum(about: dict[str, Any]) -> str:
    plain = json.dumps(about, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(plain.encode()).hexdigest()
