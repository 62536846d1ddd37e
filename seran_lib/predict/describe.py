"""What `bundle.json` says of a run: its input, groups and thresholds, and how often it was right on test images."""

from collections import Counter
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from seran_lib.data.augment import DEVIATION, MEAN
from seran_lib.nets.specs import label
from seran_lib.predict.bundle import FORMAT
from seran_lib.predict.promise import RISKS, fit_thresholds, kept_promises, look_alikes, share_with_interval
from seran_lib.predict.rules import group_sums, probabilities
from seran_lib.train.dataset import Dataset
from seran_lib.train.evaluate import fit_temperature
from seran_lib.train.ledger import versions
from seran_lib.train.recipes import RECIPES
from seran_lib.train.scores import Scores
from seran_lib.train.settings import Settings, command
from seran_lib.train.trained import stored_weights

RANKS = ("species", "genus", "family", "order")  # columns of a manifest, from the finest to the coarsest
LOOK_ALIKES = "look-alikes"
RULE = (
    "Decode to RGB, upright by EXIF, on white where transparent. Resize (bicubic) so that the shorter side has `side` "
    "pixels; cut the central square; give it as uint8 (n, side, side, 3). The graph does the rest: resize to `size` "
    "(bilinear, antialiased), scale to 0..1, subtract `mean`, divide by `deviation`."
)


def describe(
    row: dict[str, object], settings: Settings, dataset: Dataset, scores: dict[str, Scores]
) -> dict[str, object]:
    """The content of `bundle.json`, but for the verification and the checksums."""
    temperature = fit_temperature(*scores["valid"])
    shares = {part: probabilities(own.scores, temperature) for part, own in scores.items()}
    valid, test = ((shares[part], scores[part].targets) for part in ("valid", "test"))
    taxa = taxonomy(dataset)
    rank, named = next(iter(taxa.items()), (LOOK_ALIKES, look_alikes(*valid, dataset.classes)))
    names = sorted(name for name, count in Counter(named).items() if name and count > 1)
    groups = np.array([names.index(name) if name in names else -1 for name in named])
    fitted = {risk: fit_thresholds(*valid, groups, risk) for risk in RISKS}
    return {
        "format": FORMAT,
        "name": f"{settings.data_name}-{settings.model}",
        "model": label(settings.model),
        "classes": dataset.classes,
        "taxonomy": taxa,
        "groups": {"rank": rank, "names": names, "of": groups.tolist()},
        "input": {
            "side": dataset.images.side,
            "size": RECIPES[settings.recipe].evaluation_size(settings.size),
            "mean": MEAN,
            "deviation": DEVIATION,
            "rule": RULE,
        },
        "temperature": temperature,
        "thresholds": {
            str(risk): {"species": [_finite(value) for value in species], "group": _finite(group)}
            for risk, (species, group) in fitted.items()
        },
        "accuracy": accuracy(*test, groups),
        "promise": kept_promises(*test, groups, fitted),
        "run": {name: row[name] for name in ("run_id", "utc", "git_commit", "recipe", "epochs", "seed")}
        | {"command": command(replace(settings, data=settings.data_name)), "weights_sha256": stored_weights(settings)},
        "data": {
            "name": settings.data_name,
            "fingerprint": dataset.fingerprint,
            **{part: dataset.count(part) for part in ("train", "valid", "test")},
            "licences": dict(Counter(dataset.manifest.get("licence", [])).most_common()),
        },
        "versions": f"{versions()} onnxruntime={version('onnxruntime')}",
    }


def taxonomy(dataset: Dataset) -> dict[str, list[str]]:
    """By rank of `RANKS`, what the manifest says of each class, where it says one thing of every class and brings some
    of them together."""
    found = {}
    for rank in RANKS:
        if rank in dataset.manifest:
            names = dataset.manifest.groupby("label")[rank].unique().reindex(dataset.classes)
            if all(len(each) == 1 for each in names) and len({each[0] for each in names}) < len(names):
                found[rank] = [str(each[0]) for each in names]
    return found


def accuracy(shares: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> dict[str, object]:
    """How often test images are named rightly, whatever the probability: all of them; by species, those that are of it
    ("recognised") and those that got its name ("named"); by group, those that got its name.

    Probabilities (n, classes), class numbers (n,), the group number of each class (classes,).
    """
    said, right = shares.argmax(axis=1), shares.argmax(axis=1) == targets
    group_said = group_sums(shares, groups).argmax(axis=1) if groups.max() >= 0 else np.full(len(targets), -1)
    group_right = groups[targets] == group_said

    def share(right: np.ndarray, chosen: np.ndarray) -> dict[str, object]:
        return share_with_interval(right[chosen].sum(), chosen.sum())

    numbers = range(shares.shape[1])
    return {
        "all": share_with_interval(right.sum(), len(right)),
        "species": [{"recognised": share(right, targets == k), "named": share(right, said == k)} for k in numbers],
        "groups": [share(group_right, group_said == k) for k in range(groups.max() + 1)],
    }


def _finite(threshold: float) -> float | None:
    return float(threshold) if np.isfinite(threshold) else None
