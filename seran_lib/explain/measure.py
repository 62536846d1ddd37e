"""What a trained network looks at, measured on the test images of its run (`seran look`).

With the weights of a finished run it makes `results/looks/<run id>.csv`, a row a measurement: which run, `kind`,
`subject`, `variant`, `measure`, `value` with its 95 % interval over the images (`low`, `high`), and their number.

=========  ====================================================================================================
kind       what was measured
=========  ====================================================================================================
regions    the insect's, and label's and ruler's, share of the picture; the share of the test images in use
place      scores of a map against the insect (`localise`); variant "trained", "random", or "gain", the difference
mask       level and spread of the attention masks, and how well single channels tell insect from background
error      share wrong after an edit of the picture (`erase`) or of the masks; "rise" against the picture as it
           is; "over control" against the edit's control; "follows" is how often the sheet's species is named
road       share wrong after the pixels a map calls important are removed (variant: which share of them)
gate       level of the SE gates, and the share of their variance that lies between species
=========  ====================================================================================================

"Random" are networks with first weights, as many as `DRAWS`, the run's own among them, whose batch normalisation has
seen training images but which were never trained. Masks of random weights show outlines as well, because convolutions
do; whether training points them to the insect is the difference. Shares are from 0 to 1.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from seran_lib.analysis.stats import wilson
from seran_lib.errors import CheckpointError
from seran_lib.explain import maps
from seran_lib.explain.errors import error_rows, sheet_rows
from seran_lib.explain.places import baseline_rows, place_rows, road_rows
from seran_lib.explain.regions import Regions, find_regions
from seran_lib.explain.subject import Row, Subject, make_subject, measured, row
from seran_lib.nets.attention import MaskBranch
from seran_lib.train.dataset import Dataset
from seran_lib.train.device import pick_device
from seran_lib.train.learner import build_model
from seran_lib.train.ledger import LEDGER, RUN_COLUMNS
from seran_lib.train.run import WEIGHTS, recorded
from seran_lib.train.settings import Settings
from seran_lib.train.trained import stored_weights, trained_network

DRAWS = 4
CALIBRATION_BATCHES = 32


def check_weights(settings: Settings, dataset: Dataset) -> None:
    """Raises CheckpointError where the weights here are not those that the run's row in the ledger was measured with:
    there are none, or they are of a repetition."""
    own, rows = stored_weights(settings), recorded(settings)
    known = set(rows.loc[rows["data_fingerprint"] == dataset.fingerprint, "weights_sha256"])
    if known and own not in known:
        what = f"its {WEIGHTS} is not the ledger's but of a repetition" if own else "weights are not on this machine"
        cure = f"Delete the row from {settings.results.folder / LEDGER} and train again to have yours recorded instead"
        raise CheckpointError(f"{settings.run_id}: {what}. {cure}")


def random_network(settings: Settings, dataset: Dataset, draw: int) -> nn.Module:
    """The run's first weights (draw 0) or others, with batch statistics of training images, never trained."""
    device = pick_device()
    model = build_model(replace(settings, seed=settings.seed + 1000 * draw), len(dataset.classes), device)
    update_bn(islice(dataset.loaders(settings, device).train, CALIBRATION_BATCHES), model, device)
    return model.eval()


def look(settings: Settings, dataset: Dataset, randoms: list[nn.Module] | None = None) -> pd.DataFrame:
    """All measurements of a finished run, or of its repetition on this machine, in the table described above.

    `randoms` are the run's `random_network` of draw 0, 1, ...; without them, they are made here.
    """
    regions = find_regions(dataset)
    subject = make_subject(settings, dataset, regions)
    trained = trained_network(settings, dataset, pick_device())
    draws = DRAWS if maps.blocks(trained, MaskBranch) else 1
    randoms = randoms or [random_network(settings, dataset, draw) for draw in range(draws)]
    rows = [
        *region_rows(regions, subject),
        *place_rows(trained, randoms, subject),
        *baseline_rows(subject),
        *error_rows(trained, subject),
        *sheet_rows(dataset, regions),
        *road_rows(trained, subject),
        *gate_rows(trained, subject),
    ]
    run = {name: getattr(settings, name) for name in RUN_COLUMNS}
    return pd.DataFrame([run | measurement for measurement in rows])


def region_rows(regions: Regions, subject: Subject) -> list[Row]:
    """How large insect and furniture are, and how many test images are in use."""
    used, n = int(regions.usable.sum()), len(regions.usable)
    insect, furniture = (region.mean(axis=(1, 2)) for region in (subject.insect, subject.scenes.furniture))
    way, measure = "exact" if regions.exact else "found", "share of test images"
    return [
        row("regions", "in use", way, measure, used / n, *wilson(used, n), n),
        measured("regions", "label and ruler", "", "share of images", (furniture > 0).astype(float)),
        measured("regions", "insect", "", "share of picture", insect),
        measured("regions", "label and ruler", "", "share of picture", furniture),
    ]


def gate_rows(model: nn.Module, subject: Subject) -> list[Row]:
    """Mean gate of every SE block, and the share of the gates' variance over images that lies between species."""
    if not maps.blocks(model, maps.SqueezeExcitation):
        return []
    parts = [maps.se_gates(model, subject.view(subject.scenes.pictures[rows])) for rows in subject.chunks()]
    found = []
    for name in parts[0]:
        gates = torch.cat([part[name] for part in parts]).cpu().numpy()
        found.append(measured("gate", name, "trained", "level", gates.mean(1)))
        share = between(gates, subject.targets)
        found.append(row("gate", name, "trained", "between species", share, np.nan, np.nan, len(gates)))
    return found


def between(gates: np.ndarray, targets: np.ndarray) -> float:
    """The share of the variance of gates (n, C) over images that lies between the classes (n,), 0 to 1."""
    classes, place, counts = np.unique(targets, return_inverse=True, return_counts=True)
    centred = gates - gates.mean(0)
    means = np.stack([centred[place == k].mean(0) for k in range(len(classes))])
    return float((counts[:, None] * means**2).sum() / (centred**2).sum())
