"""The full score vectors of a run's validation and test images, kept beside its predictions.

Thresholds are chosen on them, and other calibrations tried, without the weights. Only differences of scores matter to
an answer, and small ones most: the distance d of each score to the best one of its image is kept as the whole number
nearest to 32 sqrt(d), a byte each. Probabilities are off by less than 0.01 then. Of 100 classes and 3,700 images that
is less than 300 KB.
"""

from typing import NamedTuple

import numpy as np

from seran_lib.files import replacing
from seran_lib.train.ledger import Results

STEPS = 32  # of a byte, at a distance of 1 nat; the farthest distance that it tells apart is 63 nats


class Scores(NamedTuple):
    """Of one part of a set: `scores` (n, classes) float32, and the class numbers of its labels `targets` (n,)."""

    scores: np.ndarray
    targets: np.ndarray


def save_scores(results: Results, run_id: str, classes: list[str], parts: dict[str, Scores]) -> None:
    """Keep the scores of the parts of a run, images in the order of the manifest. Raises WriteError where the disk is
    full."""
    arrays = {"classes": np.array(classes)}
    for name, (scores, targets) in parts.items():
        distance = scores.max(axis=1, keepdims=True) - scores.astype(float)
        arrays[name] = np.rint(STEPS * np.sqrt(distance)).clip(0, 255).astype(np.uint8)
        arrays[f"{name}_targets"] = targets.astype(np.int16)
    with replacing(results.file("scores", run_id)) as stream:
        np.savez_compressed(stream, **arrays)


def read_scores(results: Results, run_id: str) -> dict[str, Scores]:
    """The scores of a run by part, "valid" and "test", the best of each image 0; empty where none were kept."""
    path = results.file("scores", run_id)
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {
            name: Scores(-((arrays[name] / np.float32(STEPS)) ** 2), arrays[f"{name}_targets"].astype(np.int64))
            for name in ("valid", "test")
        }
