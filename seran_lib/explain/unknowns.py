"""How sure is a network of pictures that show none of its classes? (`seran unknowns`)

A folder can hold images that a run leaves out because their species is none of its classes: crosses and rare forms in
heliconius. They are what a classifier in the field meets every day. For every run of a profile whose weights, those of
the ledger, are on this machine its answers to them are written to `results/unknowns/`, and chapter 10 compares them
with the answers to test images.
"""

import numpy as np
import pandas as pd
from scipy.special import softmax

from seran_lib import paths
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pack import pack
from seran_lib.errors import DataError
from seran_lib.progress import progress_bar
from seran_lib.train.dataset import Dataset, open_dataset, seen_once
from seran_lib.train.device import pick_device
from seran_lib.train.evaluate import predict
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings, resolve, settings_of
from seran_lib.train.trained import stored_weights, trained_network


def unknown_images(manifest: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Rows of a folder's manifest whose label is none of the classes, or that have none; not those with a conflict."""
    conflict = manifest.get("label_conflict", pd.Series("", index=manifest.index)).astype(str) == "1"
    return manifest[~manifest["label"].isin(classes) & ~conflict].reset_index(drop=True)


def answer(settings: Settings, dataset: Dataset, images: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """What the trained network of a run says of images, a row each: image_id, predicted, probability, calibrated.

    Raises DataError where its weights are not on this machine.
    """
    device, recipe = pick_device(), RECIPES[settings.recipe]
    packed = pack(dataset.folder, images, size=settings.size, cache=paths.cache())
    rows = np.arange(len(images))
    loader = seen_once(packed, rows, np.zeros(len(rows), dtype=np.int64), settings, device)
    model = trained_network(settings, dataset, device)
    scores = predict(model, loader, mirrored=recipe.flip, fixed=settings.precision).astype(float)
    return images[["image_id"]].assign(
        predicted=np.array(dataset.classes)[scores.argmax(axis=1)],
        probability=softmax(scores, axis=1).max(axis=1),
        calibrated=softmax(scores / temperature, axis=1).max(axis=1),
    )


def answer_all(profile: str, data: str) -> int:
    """Keep the answers of every run of a data set whose own weights, not a repetition's, are on this machine and that
    has no answers yet; returns how many there were. Raises DataError for a folder without unknown images, or with
    other images than a run saw."""
    results = resolve(profile, data=data).results
    rows = results.rows().dropna(subset=["temperature"])
    runs = []
    for row in rows[rows["profile"] == profile].to_dict("records"):
        settings = settings_of(row, data)
        own = settings.run_id == row["run_id"] and stored_weights(settings) == row["weights_sha256"]
        if own and not results.file("unknowns", settings.run_id).exists():
            runs.append((row, settings))
    for row, settings in progress_bar(runs, unit="run"):
        dataset = open_dataset(settings)
        if dataset.fingerprint != row["data_fingerprint"]:
            raise DataError(f"{data} holds other images than {settings.run_id} saw", "Give the folder it was run on.")
        images = unknown_images(read_manifest(dataset.folder), dataset.classes)
        if images.empty:
            raise DataError(f"every image of {data} is of a class that the network knows", "Give another data set.")
        results.save("unknowns", settings.run_id, answer(settings, dataset, images, row["temperature"]))
    return len(runs)
