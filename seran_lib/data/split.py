"""Split a manifest into training, validation and test images, species by species.

The paper (section 4.1) splits each species at random into 70 % / 15 % / 15 %, and counts 24,287 / 5,119 / 5,119 images
for training, validation and test. One rule of rounding fits the counts: of a species with n images, floor(0.15 n) go to
validation, floor(0.15 n) to test and the rest to training.

The paper mentions no groups. Where single images are drawn, photographs of one specimen fall on both sides of the split
and the test rewards memory. Here each ``group`` of the manifest stays in one part; ``grouped=False`` draws single
images, to show what that leak is worth.
"""

import hashlib
import json
from collections import Counter

import numpy as np
import pandas as pd

from seran_lib.errors import DataError

SPLIT = "split.csv"  # in a collection's folder: image_id, label, part
UNUSED = "unused"  # the part of training images that a study of small sets leaves out
NEAR_DUPLICATE = "near_duplicate"  # of the manifest: the cluster of pictures that are copies of each other
HELD_OUT = ("test", "valid")  # in the order they are filled


def quota(images: int) -> int:
    """Images of a species for validation, and as many for test: floor(0.15 n)."""
    return 15 * images // 100


def split_by_species(manifest: pd.DataFrame, *, seed: int, grouped: bool = True) -> pd.Series:
    """Give every image to "train", "valid" or "test"; the result has the index of `manifest`.

    With `grouped`, the groups of a species are shuffled and each goes to test if it fits what is left of the quota
    there, else to validation if it fits there, else to training. A part may stay short of its quota but never exceeds
    it. A group which holds several labels goes to training. Without `grouped`, each image is a group of its own.

    The result depends on `seed` and on the images of a species, not on the order of rows nor on other species (unless
    they share a group). Raises `DataError` naming the species that would get no validation or no test image.
    """
    if (manifest["label"] == "").any():
        raise DataError("some images have no label", "Pass the manifest through select() first.")
    units = manifest["group" if grouped else "image_id"]
    labels_in_unit = manifest.groupby(units)["label"].nunique()
    mixed = set(labels_in_unit.index[labels_in_unit > 1])

    unit_of = units.to_numpy(dtype=object)
    parts = np.full(len(manifest), "train", dtype=object)
    problems: list[str] = []
    for species, rows in manifest.groupby("label").indices.items():
        sizes = Counter(unit_of[rows])
        room = dict.fromkeys(HELD_OUT, quota(len(rows)))
        part_of: dict[str, str] = {}
        for unit in _shuffled(sorted(sizes), seed, species):
            part = next((part for part in HELD_OUT if sizes[unit] <= room[part]), None)
            if part and unit not in mixed:
                part_of[unit] = part
                room[part] -= sizes[unit]
        parts[rows] = [part_of.get(unit, "train") for unit in unit_of[rows]]
        problems += [
            f"{species}: no {part} image ({len(rows)} images in {len(sizes)} groups, quota {quota(len(rows))})"
            for part in HELD_OUT
            if part not in part_of.values()
        ]
    if problems:
        raise DataError(problems, "Add images of these species, leave them out (min_images), or fix their groups.")
    return pd.Series(parts, index=manifest.index, name="part")


def limit_training(manifest: pd.DataFrame, split: pd.Series, images_per_class: int, *, seed: int) -> pd.Series:
    """The split with at most so many training images of each species; the others become "unused".

    The images are drawn by `seed`, and those of a smaller number are among those of a larger one. Validation and test
    stay as they are.
    """
    limited = split.copy()
    training = manifest[split == "train"]
    for species, rows in training.groupby("label"):
        order = _shuffled(rows.index[rows["image_id"].argsort(kind="stable")].tolist(), seed, species)
        limited[order[images_per_class:]] = UNUSED
    return limited


def audit(manifest: pd.DataFrame, split: pd.Series) -> str:
    """One line: how many test images have a training image of their group, near-duplicate cluster or checksum.

    Clusters are known where the manifest has them in `NEAR_DUPLICATE`, as `seran data group` writes it.
    """
    leaked = pd.Series(False, index=manifest.index)
    for column in {"group", NEAR_DUPLICATE, "sha256"} & set(manifest):
        values = manifest[column]
        leaked |= values.isin(set(values[split == "train"]) - {""})
    test = split == "test"
    siblings = "near-copy or group sibling" if NEAR_DUPLICATE in manifest else "group sibling"
    unknown = "" if NEAR_DUPLICATE in manifest else "; near-copies are not known: seran data group finds them"
    return f"test images with a {siblings} in training: {(leaked & test).sum():,} of {test.sum():,}{unknown}"


def fingerprint(manifest: pd.DataFrame, split: pd.Series) -> str:
    """SHA-256 (hex) of the sorted (image_id, label, sha256 or empty, part): equal only for the same data and split."""
    sha256 = manifest["sha256"] if "sha256" in manifest else pd.Series("", index=manifest.index)
    rows = zip(manifest["image_id"], manifest["label"], sha256, aligned(manifest, split), strict=True)
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def _shuffled(units: list[str], seed: int, species: str) -> list[str]:
    # A generator of its own for each species: to add one must not reshuffle the others.
    words = np.frombuffer(hashlib.sha256(species.encode()).digest(), dtype="<u4")
    order = np.random.default_rng([seed, *words.tolist()]).permutation(len(units))
    return [units[index] for index in order]


def aligned(manifest: pd.DataFrame, split: pd.Series) -> pd.Series:
    """The part of each row of a manifest. Raises ValueError where the split has none."""
    part = split.reindex(manifest.index)
    if missing := int(part.isna().sum()):
        raise ValueError(f"split has no part for {missing} rows of the manifest: was it made from another?")
    return part
