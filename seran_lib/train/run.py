"""One run from settings to ledger row: open the data, train, measure once on the test set, record."""

import hashlib
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import asdict

import pandas as pd
import torch
from filelock import FileLock, Timeout
from safetensors.torch import save as to_safetensors

from seran_lib.data.split import audit, fingerprint
from seran_lib.errors import CheckpointError, DataError
from seran_lib.files import file_sha256, remove_partial_files, replacing
from seran_lib.nets.description import count_parameters
from seran_lib.nets.specs import SPECS
from seran_lib.train import ledger
from seran_lib.train.callbacks.state import contiguous
from seran_lib.train.checkpoint import NEXT, PREVIOUS, STATE
from seran_lib.train.dataset import Dataset, open_dataset, read_split
from seran_lib.train.device import pick_device, precision
from seran_lib.train.distributed import rank, say, wait_for_all, world_size
from seran_lib.train.evaluate import fit_temperature, measure, predict, prediction_table
from seran_lib.train.learner import Training, train
from seran_lib.train.recipes import RECIPES
from seran_lib.train.scores import Scores, save_scores
from seran_lib.train.settings import IDENTITY, Settings
from seran_lib.train.transfer import fit_frozen

WEIGHTS = "weights.safetensors"


def finished(settings: Settings, images: str | None) -> dict[str, object] | None:
    """The ledger row of this run, or None where it still has to be done.

    `images` is the fingerprint of images and split, which the row has to share; without one the row is believed.
    """
    rows = recorded(settings)
    if images:
        rows = rows[rows["data_fingerprint"] == images]
    complete = all(settings.results.file(kind, settings.run_id).exists() for kind in ("curves", "predictions"))
    return rows.iloc[-1].to_dict() if len(rows) and complete else None


def weights_kept(settings: Settings, row: dict[str, object]) -> bool:
    """Whether the weights on this machine are those of the ledger's row, or of a repetition of that run."""
    path = settings.folder / WEIGHTS
    if not path.is_file():
        return False
    repeats = settings.results.repeats()
    known = {row["weights_sha256"], *repeats.loc[repeats["run_id"] == settings.run_id, "weights_sha256"]}
    return file_sha256(path) in known


def recorded(settings: Settings) -> pd.DataFrame:
    """The ledger's row of this run, on whatever images; empty where it has none."""
    rows = settings.results.rows()
    for name in IDENTITY:
        rows = rows[rows[name] == getattr(settings, name)]
    return rows


def companions(settings: Settings) -> pd.DataFrame:
    """The ledger's rows that ought to be of the same images and split as this run."""
    rows = settings.results.rows()
    same = rows["data"] == settings.data_name
    for name in ("profile", "seed", "images_per_class"):
        same &= rows[name] == getattr(settings, name)
    return rows[same]


def other_images(run_id: str, settings: Settings) -> str:
    """What to tell a user whose folder has other images than the ledger's run of that name."""
    return (
        f"{settings.results.folder / ledger.LEDGER} holds {run_id} on other images than those in {settings.data}: "
        "give that folder another name to keep both results, or delete its rows to replace them"
    )


def due(trainings: Iterable[Settings]) -> list[Settings]:
    """Those of the runs that have to be done, or done again.

    The others are in the ledger on the images that their folder has now; where that folder is not on this machine, or
    is not in order, the ledger is believed. So it is of weights that were never here, as in a fresh clone; where the
    run was done here, they are there and have the ledger's checksum. Raises CheckpointError where the ledger holds one
    of them on other images, which only smoke replaces.
    """
    now, undone = {}, []
    for settings in trainings:
        split = (settings.data, settings.min_images, settings.images_per_class, settings.seed)
        if split not in now and len(recorded(settings)):
            now[split] = None
            with suppress(DataError):
                now[split] = fingerprint(*read_split(settings))
        row = finished(settings, now.get(split))
        here = settings.profile == "smoke" or settings.folder.exists()
        if row is None or (here and not weights_kept(settings, row)):
            known = set(recorded(settings)["data_fingerprint"])
            if settings.profile != "smoke" and known and now[split] and now[split] not in known:
                raise CheckpointError(other_images(settings.run_id, settings))
            undone.append(settings)
    return undone


def run(settings: Settings, dataset: Dataset | None = None) -> dict[str, object]:
    """Do the run, or what is left of it, and return its ledger row.

    A run that the ledger holds is repeated only where its weights are not on this machine, as in a fresh clone, or are
    others than were recorded. Its row stays as it is then, and the new error is said beside the old one. Raises
    CheckpointError where another process is at work in the same folder, and, but for smoke, where the ledger holds runs
    of the same name of data and the same seed on other images: they cannot be compared, and are not to be replaced.
    """
    first = rank() == 0
    settings.folder.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(settings.folder / ".lock").acquire(timeout=0) if first else nullcontext()
    except Timeout as error:
        raise CheckpointError(
            f"another process is training in {settings.folder}: wait for it, or give another out folder"
        ) from error
    with held:
        if first:
            remove_partial_files(settings.folder)
        dataset = dataset or open_dataset(settings, progress=first)
        others = companions(settings)
        others = others[others["data_fingerprint"] != dataset.fingerprint]
        if settings.profile != "smoke" and len(others):
            raise CheckpointError(other_images(others["run_id"].iloc[-1], settings))
        row = finished(settings, dataset.fingerprint)
        if first:
            forget_other_images(settings, dataset)
        if row and weights_kept(settings, row):
            say(f"{settings.run_id} is in the ledger since {row['utc']}: nothing to do")
            return row
        if row:
            say(f"{settings.run_id} is in the ledger since {row['utc']}, but its weights are not here: it is repeated")
            settings.results.repeats()  # a file of other columns is found out now
        precision(pick_device(), settings.precision)  # one that this device has not stops here
        say(audit(dataset.manifest, pd.Series(dataset.parts)))
        train_it = fit_frozen if settings.recipe == "frozen" else train
        training = train_it(settings, dataset, pick_device())
        if first:
            row = compare(settings, dataset, training, row) if row else record(settings, dataset, training)
        wait_for_all()
        return row or finished(settings, dataset.fingerprint)


def forget_other_images(settings: Settings, dataset: Dataset) -> None:
    """Delete weights and states of a finished run on other images, so that this one starts at its beginning."""
    rows = recorded(settings)
    others = rows[rows["data_fingerprint"] != dataset.fingerprint].to_dict("records")
    if len(others) == len(rows) and any(weights_kept(settings, row) for row in others):
        for name in (STATE, PREVIOUS, NEXT, WEIGHTS):
            (settings.folder / name).unlink(missing_ok=True)


def save_weights(settings: Settings, weights: bytes) -> None:
    """Write the run's weights, as safetensors has them; where they are, the run is not done again."""
    with replacing(settings.folder / WEIGHTS) as stream:
        stream.write(weights)


def compare(settings: Settings, dataset: Dataset, training: Training, row: dict[str, object]) -> dict[str, object]:
    """Say a repetition's test error beside that of the ledger's row, save its weights, and return the row.

    `repeats.csv` keeps the error, and how many test images are answered otherwise than then.
    """
    test = dataset.loaders(settings, next(training.model.parameters()).device)[2]
    scores = predict(training.model, test, mirrored=RECIPES[settings.recipe].flip, fixed=settings.precision)
    error = measure(scores, dataset.targets[dataset.parts == "test"])["top1_error"]
    answers = prediction_table(scores, dataset, "test", row["temperature"])
    both = answers.merge(settings.results.predictions(settings.run_id), on="image_id", suffixes=("", "_then"))
    weights = to_safetensors(contiguous(training.model))
    repeat = ledger.Repeat(
        run_id=settings.run_id,
        test_top1_error=round(float(error), 4),
        other_answers=int((both["predicted"] != both["predicted_then"]).sum()),
        **origin(training, weights),
    )
    if repeat.weights_sha256 not in set(settings.results.repeats()["weights_sha256"]):
        settings.results.append_repeat(repeat)  # unless the disk was full, or a kill came, just below
    save_weights(settings, weights)
    say(f"test error {error:.2f} %; in the ledger, which keeps the first result: {row['test_top1_error']:.2f} %")
    return row


def origin(training: Training, weights: bytes) -> dict[str, object]:
    """When a finished training is recorded, by what code and on what it was made: columns of the ledger."""
    commit, dirty = ledger.git_state()
    return {
        "utc": ledger.now(),
        "git_commit": commit,
        "dirty": dirty,
        "precision": training.of_all_epochs("precision"),
        "device": training.of_all_epochs("device"),
        "versions": ledger.versions(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }


def record(settings: Settings, dataset: Dataset, training: Training) -> dict[str, object]:
    """Measure a finished training, save weights, curve, scores and predictions, and append the ledger row.

    What was measured of other weights, those of a row that this one replaces, is removed.
    """
    loaders = dataset.loaders(settings, next(training.model.parameters()).device)
    results, measured, kept = settings.results, {}, {}
    for part, loader in (("valid", loaders[1]), ("test", loaders[2])):
        scores = predict(training.model, loader, mirrored=RECIPES[settings.recipe].flip, fixed=settings.precision)
        targets = dataset.targets[dataset.parts == part]
        kept[part] = Scores(scores, targets)
        measured |= {f"{part}_{name}": value for name, value in measure(scores, targets).items()}
        if part == "valid":
            temperature = fit_temperature(scores, targets)
        else:
            results.save("predictions", settings.run_id, prediction_table(scores, dataset, part, temperature))
    save_scores(results, settings.run_id, dataset.classes, kept)
    weights = to_safetensors(contiguous(training.model))
    save_weights(settings, weights)
    results.save("curves", settings.run_id, training.log)
    for kind in ("looks", "unknowns"):
        results.file(kind, settings.run_id).unlink(missing_ok=True)
    device = loaders.device
    same = ("run_id", "profile", "model", "width", "size", "wiring", "init", "recipe", "images_per_class", "seed")
    same += ("epochs", "batch", "lr")
    row = ledger.Row(
        **{name: getattr(settings, name) for name in same},
        data=settings.data_name,
        data_fingerprint=dataset.fingerprint,
        classes=len(dataset.classes),
        **{part: dataset.count(part) for part in ("train", "valid", "test")},
        pool=SPECS[settings.model].pool,
        micro_batch=settings.batch // world_size() // training.fit.micro_batches,
        **{name: round(float(value), 4) for name, value in measured.items() if name != "valid_macro_error"},
        temperature=round(temperature, 4),
        parameters=count_parameters(training.model),
        seconds=round(training.seconds, 1),
        images_per_second=round(training.images_per_second, 1),
        gpu_memory_mb=round(torch.cuda.max_memory_allocated(device) / 2**20) if device.type == "cuda" else None,
        **origin(training, weights),
    )
    results.append(row)
    return asdict(row)
