"""The leak audit: how many test images have a sibling among the training images?

Two photographs of one animal on one leaf are nearly one photograph. Where one of them trains and the other tests, the
test asks for memory. The paper split single images at random (section 4.1) and names no precaution. Here every way in
which two images of a species can be siblings is a *link*, and a split is judged by the links that it cuts:

- ``occurrence``: pictures of one record, of one specimen or animal, taken in a minute;
- ``observer and day``: one person, one day, one species, often one animal recorded twice;
- ``near-duplicate``: the same picture again, compressed, resized, cut or mirrored.

Links cross species too where one picture stands under two names; such a sibling misleads rather than helps, and counts.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seran_lib.curate.components import components
from seran_lib.data.split import aligned
from seran_lib.data.tables import write_table

OCCURRENCE, OBSERVER_DAY, NEAR_DUPLICATE = "occurrence", "observer and day", "near-duplicate"
GROUP, ANY = "group", "any of these"


def links(manifest: pd.DataFrame, *, near_duplicates: pd.Series | None = None) -> pd.DataFrame:
    """One column a link; images with the same non-empty text in a column are siblings by that link.

    ``occurrence`` gives the first (``record`` may be that of a whole data set), ``recorded_by`` and ``event_date`` (a
    day, at least) the second, `near_duplicates` (the cluster of each image) the third, and ``group`` what a grouped
    split keeps together. Links without their columns are left out.
    """
    found: dict[str, pd.Series] = {}
    if "occurrence" in manifest:
        found[OCCURRENCE] = _sharing_an_id(manifest["occurrence"])
    if {"recorded_by", "event_date"} <= set(manifest):
        day = manifest["event_date"].str.slice(0, 10)
        known = (manifest["recorded_by"] != "") & (day.str.len() == 10)
        found[OBSERVER_DAY] = (manifest["recorded_by"] + " | " + day + " | " + manifest["label"]).where(known, "")
    if near_duplicates is not None:
        found[NEAR_DUPLICATE] = near_duplicates.reindex(manifest.index).fillna("").astype(str)
    if "group" in manifest:
        found[GROUP] = manifest["group"]
    return pd.DataFrame(found, index=manifest.index)


def siblings_in_training(links: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """For each test image (row) and link (column): whether a training image has the same. The last column: any link."""
    part = aligned(links, split)
    testing, training = links[part == "test"], links[part == "train"]
    leaked = pd.DataFrame({kind: testing[kind].isin(set(training[kind]) - {""}) for kind in links}, index=testing.index)
    leaked[ANY] = leaked.any(axis=1)
    return leaked


def audit(links: pd.DataFrame, split: pd.Series) -> pd.DataFrame:
    """A row a link: ``linked`` images of the whole set with a sibling, the number of ``test`` images, those ``leaked``
    (with a sibling in training), and their ``share`` of the test images (0 to 1)."""
    leaked = siblings_in_training(links, split)
    linked = pd.DataFrame({kind: (links[kind] != "") & links[kind].duplicated(keep=False) for kind in links})
    linked[ANY] = linked.any(axis=1)
    table = pd.DataFrame({"linked": linked.sum(), "test": len(leaked), "leaked": leaked.sum()}).loc[[*links, ANY]]
    return table.assign(share=table["leaked"] / max(len(leaked), 1)).rename_axis("link")


def record(path: Path, data: str, audits: Mapping[str, pd.DataFrame]) -> None:
    """Put the `audits` of the set named `data`, by split, into the table `path` in place of its earlier ones."""
    rows = pd.concat(audits, names=["split"]).reset_index()
    rows.insert(0, "data", data)
    rows["share"] = rows["share"].map("{:.4f}".format)
    # as text, or else a set named 123 would not be found again
    old = pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else rows[:0]
    kept = pd.concat([old[old["data"] != data], rows]).sort_values("data", kind="stable")
    write_table(path, kept)


def merge_links(links: pd.DataFrame) -> pd.Series:
    """One group for all images joined by links, over any number of steps: a split by these groups cuts no link.

    A group's name is the position of its first image, as text; the index is that of `links`.
    """
    linked = links.reset_index(drop=True).melt(ignore_index=False)
    linked = linked[linked["value"] != ""].reset_index(names="image")
    first = linked.groupby(["variable", "value"])["image"].transform("first")
    component = components(linked["image"].to_numpy(), first.to_numpy(), len(links))
    first = pd.Series(np.arange(len(links))).groupby(component).transform("first")
    return pd.Series(first.astype(str).to_numpy(), index=links.index, name="group")


def _sharing_an_id(texts: pd.Series) -> pd.Series:
    """A text holds ids joined by " | "; rows with an id in common, over any number of steps, get the first text."""
    ids = pd.Series(texts.to_numpy()).str.split(" | ", regex=False).explode()
    ids = ids[ids != ""]
    codes, known = pd.factorize(ids)
    component = components(ids.index.to_numpy(), len(texts) + codes, len(texts) + len(known))[: len(texts)]
    return texts.groupby(component).transform("first")
