"""What looks unfit in a collection, each with a reason: proposals for a reviewer, who decides.

The paper (section 2) removed "images not including a specific insect" and cropped labels away, by eye. Here rules look
first. None is trained on the set; each can be wrong, and `curate.score` says how often on pictures whose truth
is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seran_lib.curate.duplicates import Fingerprint, cluster_names, find_copies, fingerprint, in_threads
from seran_lib.curate.sheets import furniture_crop, has_insect
from seran_lib.data.pictures import Box, UnfitError, decode

PROPOSALS = "proposals.csv"  # in a collection's folder
COLUMNS = ("image_id", "proposal", "reason", "crop", "related", "score")
TINY = 64  # pixels of the shorter side; of a smaller picture nothing is left at the size of training
INSECT = 0.5  # of `has_insect`; below, an empty picture is proposed

# The kinds of fault, most serious first; each is the beginning of its reasons.
UNREADABLE, SMALL, TWO_SPECIES = "not readable", "tiny", "stands under several species"
SAME_FILE, EMPTY, LABELLED, COPIES = "same file as", "probably no insect", "label or ruler", "copies of one picture"
KINDS = (UNREADABLE, SMALL, TWO_SPECIES, SAME_FILE, EMPTY, LABELLED, COPIES)


@dataclass(frozen=True)
class _Seen:
    """What is kept of a picture that was looked at."""

    print: Fingerprint
    problem: str = ""
    size: tuple[int, int] = (0, 0)
    crop: Box | None = None
    insect: float = 1.0


def propose(folder: str | Path, manifest: pd.DataFrame, *, progress: bool = True) -> pd.DataFrame:
    """Look at every picture of `manifest` once and propose what to do about those that seem unfit.

    One row a picture and fault, the most serious fault first, then as in the manifest. ``proposal`` is drop, crop or
    group; ``crop`` the box to keep, "x0 y0 x1 y1" in pixels; ``related`` the ids of a cluster or the labels in
    conflict, joined by "|"; ``score`` from 0 to 1 how sure the rule is. Memory holds a thumbnail of each picture only.
    """
    table = manifest.reset_index(drop=True)
    seen = list(in_threads(lambda file: _look(Path(folder, file)), table["file"], "looking for faults", progress))
    copies = find_copies([one.print for one in seen], progress=progress)
    rows = [*_single_faults(table, seen), *_conflicts(table), *_copies(table, copies)]
    found = pd.DataFrame(rows, columns=["row", *COLUMNS])
    kinds = found["reason"].map(lambda reason: next(k for k, kind in enumerate(KINDS) if reason.startswith(kind)))
    found = found.assign(kind=kinds).sort_values(["kind", "row"], kind="stable")
    return found.drop_duplicates(["kind", "row"])[list(COLUMNS)].reset_index(drop=True)


def clusters(proposals: pd.DataFrame, manifest: pd.DataFrame) -> pd.Series:
    """The cluster of copies of every picture, as `duplicates.near_duplicates` names it, without looking again."""
    copies = proposals[proposals["proposal"] == "group"]
    names = {row.image_id: min(row.image_id, *row.related.split("|")) for row in copies.itertuples()}
    return manifest["image_id"].map(lambda image_id: names.get(image_id, image_id))


def _look(path: Path) -> _Seen:
    try:
        data = path.read_bytes()
    except OSError as error:
        return _Seen(Fingerprint(""), error.strerror or str(error))
    try:
        image = decode(data)
    except UnfitError as error:
        return _Seen(fingerprint(data), str(error))
    if min(image.size) < TINY:
        return _Seen(fingerprint(data, image), size=image.size)
    crop = furniture_crop(image)
    # A specimen on a plain board fills the frame and needs no such test.
    return _Seen(fingerprint(data, image), "", image.size, crop, 1.0 if crop else has_insect(image))


Row = tuple[int, str, str, str, str, str, float]


def _single_faults(table: pd.DataFrame, seen: list[_Seen]) -> Iterator[Row]:
    """What a picture shows by itself."""
    for row, (image_id, one) in enumerate(zip(table["image_id"], seen, strict=True)):
        if one.problem:
            yield row, image_id, "drop", f"{UNREADABLE}: {one.problem}", "", "", 1.0
        elif min(one.size) < TINY:
            yield row, image_id, "drop", f"{SMALL}: {one.size[0]} x {one.size[1]} pixels", "", "", 1.0
        elif one.crop:
            yield row, image_id, "crop", f"{LABELLED} on a specimen sheet", " ".join(map(str, one.crop)), "", 1.0
        elif one.insect < INSECT:
            yield row, image_id, "drop", EMPTY, "", "", round(1 - one.insect, 3)


def _conflicts(table: pd.DataFrame) -> Iterator[Row]:
    """Ids that the atlas, or whoever made the set, knows under several species."""
    if "label_conflict" not in table:
        return
    others = table.get("also_labels", pd.Series("", index=table.index))
    for row in table.index[table["label_conflict"] == "1"]:
        labels = [table["label"][row], *filter(None, others[row].split("|"))]
        yield row, table["image_id"][row], "drop", f"{TWO_SPECIES}: {', '.join(labels)}", "", "|".join(labels), 1.0


def _copies(table: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[Row]:
    """Of equal files all but the first may go; copies stay together; one picture under two species teaches nothing."""
    cluster = cluster_names(table["image_id"], pairs)
    sure = pd.concat([pairs.groupby(side)["alike"].max() for side in ("first", "second")]).groupby(level=0).max()
    same = pairs[pairs["alike"] == 1.0].set_index("second")["first"]
    for _, members in cluster.groupby(cluster).groups.items():
        if len(members) == 1:
            continue
        labels = sorted(set(table["label"][members]))
        ids = table["image_id"][members]
        for row in members:
            score = round(float(sure[row]), 3)
            others = "|".join(ids.drop(row))
            if len(labels) > 1:
                yield row, ids[row], "drop", f"{TWO_SPECIES}: {', '.join(labels)}", "", "|".join(labels), score
            elif row in same.index:
                yield row, ids[row], "drop", f"{SAME_FILE} {ids[same[row]]}", "", others, 1.0
            yield row, ids[row], "group", f"{COPIES} ({len(members)})", "", others, score
