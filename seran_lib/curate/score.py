"""How good the proposals are, on pictures whose truth is known: those of the demo atlas, which drew them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from seran_lib.curate import proposals as kinds
from seran_lib.data.pictures import Box, read_box


def score_proposals(proposals: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """A row a kind of fault: ``true`` pictures with it, ``proposed``, ``right`` of these, ``precision`` and ``recall``.

    `truth` is that of `DemoAtlas.truth`, of the pictures that were looked at. ``precision_low``, ``precision_high``,
    ``recall_low`` and ``recall_high`` are Wilson's 95 % intervals; all are shares from 0 to 1, missing where there is
    nothing to divide by.
    """
    family = truth["duplicate_of"].where(truth["duplicate_of"] != "", truth.index.to_series())
    copied = family.duplicated(keep=False)
    labels = truth["label"].groupby(family).transform("nunique")
    faults = {
        kinds.UNREADABLE: truth["kind"] == "broken",
        kinds.SMALL: truth["kind"] == "tiny",
        kinds.EMPTY: truth["kind"] == "empty",
        kinds.TWO_SPECIES: (truth["also_labels"] != "") | (labels > 1),
        kinds.COPIES: copied,
        kinds.LABELLED: truth["kind"] == "sheet",
    }
    rows = {}
    for kind, faulty in faults.items():
        named = proposals.loc[proposals["reason"].str.startswith(kind), "image_id"]
        proposed = truth.index.isin(named)
        rows[kind] = _shares(int(faulty.sum()), int(proposed.sum()), int((proposed & faulty).sum()))
    return pd.DataFrame(rows).T.astype({"true": int, "proposed": int, "right": int}).rename_axis("fault")


def score_crops(proposals: pd.DataFrame, truth: pd.DataFrame, mask: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """A row a sheet with a proposed crop, shares from 0 to 1; `mask` gives the insect of an image id.

    ``furniture_left`` of the area of label and ruler is inside the crop, ``insect_kept`` of the insect, and ``iou`` is
    the overlap with the ideal crop: all that lies above label and ruler, which drawn sheets have along the lower edge,
    and the whole insect.
    """
    crops = proposals[proposals["proposal"] == "crop"].set_index("image_id")["crop"]
    sheets = truth[(truth["kind"] == "sheet") & truth.index.isin(crops.index)]
    rows = {}
    for image_id, row in sheets.iterrows():
        crop, insect = read_box(crops[image_id]), mask(image_id).astype(bool)
        furniture = [read_box(text) for text in (row["label_box"], row["ruler_box"]) if text]
        bottom = max(min(box[1] for box in furniture), int(np.flatnonzero(insect.any(axis=1))[-1]) + 1)
        ideal = (0, 0, int(row["width"]), bottom)
        common = _overlap(crop, ideal)
        rows[image_id] = {
            "furniture_left": sum(_overlap(crop, box) for box in furniture) / sum(map(_area, furniture)),
            "insect_kept": insect[crop[1] : crop[3], crop[0] : crop[2]].sum() / insect.sum(),
            "iou": common / (_area(crop) + _area(ideal) - common),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["furniture_left", "insect_kept", "iou"], dtype=float)


def _shares(true: int, proposed: int, right: int) -> dict[str, float]:
    found: dict[str, float] = {"true": true, "proposed": proposed, "right": right}
    for name, of in (("precision", proposed), ("recall", true)):
        low, high = proportion_confint(right, of, method="wilson") if of else (np.nan, np.nan)
        found |= {name: right / of if of else np.nan, f"{name}_low": low, f"{name}_high": high}
    return found


def _area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _overlap(one: Box, two: Box) -> int:
    return _area((max(one[0], two[0]), max(one[1], two[1]), min(one[2], two[2]), min(one[3], two[3])))
