"""Replay what was decided: from a collection and its decisions to a curated copy, rule by rule, always the same.

The source folder is never touched, so a decision may be changed and replayed at any time. The rules, in this order:

1. `refuse_changed`: a decision about a picture that is now another one stops everything.
2. `drop`: pictures decided "drop" go.
3. `label`: pictures decided "label" get the new label.
4. `crop`: pictures decided "crop" are cut and saved again as JPEG.
5. `label_conflict`: pictures that stand under two names go, unless a reviewer looked at them.
6. `group`: near-duplicates join the groups of their occurrences, so that no split separates them.
7. `min_images`: species left with too few pictures go. The paper (section 2) went from 200 species to 123, and from
   34,789 pictures to 34,525, and prints no rule that does so: this one is ours.

There is one decision a picture, so one that is cropped keeps its label.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seran_lib.curate.components import components
from seran_lib.curate.decisions import COLUMNS, Decision, Decisions
from seran_lib.curate.write import write_curated
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pictures import Box, is_box, read_box
from seran_lib.errors import DataError
from seran_lib.files import file_sha256

__all__ = ["Curated", "Decisions", "check_proposals", "curate", "replay"]

PROPOSALS = ("drop", "crop", "relabel", "group")
PROPOSAL_COLUMNS = ["image_id", "proposal", "reason", "crop", "related"]
TAXONOMY = ("species", "genus", "family", "order", "species_id")


@dataclass(frozen=True)
class Curated:
    """A curated collection. `table` has a row a rule: rule, images_dropped, images_left, species_left."""

    folder: Path
    table: pd.DataFrame
    images: int
    species: int


def curate(
    folder: str | Path,
    decisions: pd.DataFrame | Decisions,
    out: str | Path,
    *,
    min_images: int = 20,
    proposals: pd.DataFrame | None = None,
    accept_proposals: bool = False,
) -> Curated:
    """Replay `decisions` on the collection in `folder` and write the curated collection `out`.

    `decisions` are `Decisions` or their frame. `min_images` is the least number of pictures a species needs to stay. Of
    `proposals`, the groups always count; with `accept_proposals`, drops and crops (the drop, where both are proposed)
    count as decisions where nobody decided, for runs without a reviewer.

    `out` is in the manifest format, with a column ``curation`` that says what happened to a picture, `curation.csv`
    with what each rule dropped, and, where `folder` had credits, the credits of what is left. The same input gives the
    same bytes. An earlier result in `out` is replaced, once the new one is whole.

    Raises `DataError` where the input is at fault (decisions about other pictures, boxes outside their picture, nothing
    left) and as `write_curated` does; `out` is as it was then. Raises `ValueError` for a `min_images` below 1.
    """
    folder, out = Path(folder), Path(out)
    table, boxes, curation = replay(
        folder, decisions, min_images=min_images, proposals=proposals, accept_proposals=accept_proposals
    )
    write_curated(folder, out, table, boxes, curation)
    return Curated(out, curation, len(table), _species(table))


def replay(
    folder: str | Path,
    decisions: pd.DataFrame | Decisions,
    *,
    min_images: int = 20,
    proposals: pd.DataFrame | None = None,
    accept_proposals: bool = False,
) -> tuple[pd.DataFrame, dict[str, Box], pd.DataFrame]:
    """What `curate` would write, from the same arguments: the manifest of what is left by image_id, the boxes to cut,
    and the table of `Curated`. Raises as `curate` does where the input is at fault."""
    folder = Path(folder)
    if min_images < 1:
        raise ValueError(f"min_images is {min_images}: 1 keeps every species")
    manifest = read_manifest(folder)
    proposals = check_proposals(proposals)
    judged = _judged(decisions, manifest)
    refuse_changed(judged, manifest, folder)
    choices = _choices(judged, proposals if accept_proposals else proposals[:0], manifest)

    table = manifest.set_index("image_id", drop=False)
    table["curation"] = _notes(table, choices)
    rules = {
        "collected": lambda table: table,
        "drop": lambda table: table[choices["decision"][table.index] != "drop"],
        "label": lambda table: label(table, choices),
        "crop": lambda table: table,  # drops nothing; the pixels are cut last, when it is known which are needed
        "label_conflict": lambda table: label_conflict(table, judged),
        "group": lambda table: group(table, manifest, proposals),
        "min_images": lambda table: table[table.groupby("label")["label"].transform("size") >= min_images],
    }
    steps = []
    for name, rule in rules.items():
        before, table = len(table), rule(table)
        steps.append((name, before - len(table), len(table), _species(table)))
    curation = pd.DataFrame(steps, columns=["rule", "images_dropped", "images_left", "species_left"])
    if table.empty:
        dropped = ", ".join(f"{name} {count}" for name, count, *_ in steps if count)
        raise DataError(f"no picture of {len(manifest)} is left; dropped: {dropped}", "Lower min_images, or drop less.")
    boxes = {key: read_box(choices["value"][key]) for key in table.index if choices["decision"][key] == "crop"}
    return table, boxes, curation


def check_proposals(proposals: pd.DataFrame | None) -> pd.DataFrame:
    """Proposals as text, absent values and columns empty; None gives none.

    Raises `DataError` for a missing column ``image_id`` or ``proposal``, an unknown proposal, or a bad crop box.
    """
    if proposals is None:
        return pd.DataFrame(columns=PROPOSAL_COLUMNS, dtype=str)
    if missing := [column for column in ("image_id", "proposal") if column not in proposals]:
        raise DataError(f"the proposals have no column {' and '.join(missing)}", "Make the proposals again.")
    table = proposals.reset_index(drop=True).reindex(columns=PROPOSAL_COLUMNS).astype(object)
    table = table.where(table.notna(), "").astype(str)
    problems = []
    for row in table.itertuples():
        if row.proposal not in PROPOSALS:
            problems.append(f"proposal for {row.image_id}: {row.proposal!r} is not one of {', '.join(PROPOSALS)}")
        elif row.proposal == "crop" and not is_box(row.crop):
            problems.append(f"proposal for {row.image_id}: {row.crop!r} is not a crop box")
    if problems:
        raise DataError(problems, "Make the proposals again.")
    return table


def refuse_changed(judged: pd.DataFrame, manifest: pd.DataFrame, folder: Path) -> None:
    """Rule 1. Raises `DataError` naming every picture whose sha256 is not the one that was judged."""
    known = manifest.set_index("image_id")
    changed = []
    for row in judged[judged["sha256"] != ""].itertuples():
        now = known["sha256"][row.Index] if "sha256" in known else ""
        if row.sha256 != (now or file_sha256(folder / known["file"][row.Index])):
            changed.append(f'{row.Index}: decided "{row.decision}", but the picture is another one now')
    if changed:
        raise DataError(changed, "Look at these pictures and decide again, or delete their rows in the decisions.")


def label(table: pd.DataFrame, choices: pd.DataFrame) -> pd.DataFrame:
    """Rule 3. Genus, family and so on follow from a picture that bore the label before; unknown ones become empty.

    Where the label was the species, it stays so.
    """
    table = table.copy()
    columns = [column for column in TAXONOMY if column in table]
    taxa = table.drop_duplicates("label").set_index("label")[columns]
    new = choices["value"][table.index][choices["decision"][table.index] == "label"]
    is_species = new[table["species"][new.index] == table["label"][new.index]] if "species" in columns else new[:0]
    table.loc[new.index, columns] = taxa.reindex(new).fillna("").to_numpy()
    table.loc[is_species.index, "species"] = is_species
    table.loc[new.index, "label"] = new
    return table


def label_conflict(table: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Rule 5. A proposal does not look at the picture; a reviewer's decision, whatever it was, settles the conflict."""
    if "label_conflict" not in table:
        return table
    table = table[(table["label_conflict"] != "1") | table.index.isin(judged.index)].copy()
    table["label_conflict"] = table["label_conflict"].replace("1", "0")
    return table


def group(table: pd.DataFrame, manifest: pd.DataFrame, proposals: pd.DataFrame) -> pd.DataFrame:
    """Rule 6. Groups and proposed clusters that share a picture become one, over any number of steps.

    Pictures that are dropped still connect: two that both resemble a third do not become strangers when it goes. A
    group gets the name of the group of its first picture.
    """
    cluster = proposals[proposals["proposal"] == "group"]
    pairs = cluster.assign(other=cluster["related"].str.split("|")).explode("other")[["image_id", "other"]]
    ids = pd.Index(manifest["image_id"])
    ends, others = ids.get_indexer(pairs["image_id"]), ids.get_indexer(pairs["other"])
    known = (ends >= 0) & (others >= 0)
    codes, names = pd.factorize(manifest["group"])
    nodes = len(ids) + len(names)
    ends = np.concatenate([np.arange(len(ids)), ends[known]])
    others = np.concatenate([len(ids) + codes, others[known]])
    component = components(ends, others, nodes)[: len(ids)]
    merged = manifest["group"].groupby(component).transform("first").set_axis(ids)[table.index]

    table = table.copy()
    moved = merged != table["group"]
    table.loc[moved, "curation"] = _joined(table["curation"], "group (was " + table["group"] + ")")[moved]
    table["group"] = merged
    return table


def _species(table: pd.DataFrame) -> int:
    """Labels that a picture bears; some sets have pictures without one, such as hybrids."""
    return table["label"][table["label"] != ""].nunique()


def _judged(decisions: pd.DataFrame | Decisions, manifest: pd.DataFrame) -> pd.DataFrame:
    """The decisions about pictures of this collection, by image_id."""
    frame = decisions.frame if isinstance(decisions, Decisions) else decisions
    problems = list(filter(None, (Decision(*row).problem() for row in frame[list(COLUMNS)].itertuples(index=False))))
    problems += [f"two decisions about {key!r}" for key in frame["image_id"][frame["image_id"].duplicated()]]
    if problems:
        raise DataError(problems, "Read the decisions with Decisions(path).")
    judged = frame[frame["image_id"].isin(manifest["image_id"])]
    if judged.empty and len(frame):
        raise DataError(
            f"none of the {len(frame)} decisions is about a picture of this collection",
            "Name the decisions of this collection, or a new file to begin with none.",
        )
    return judged.set_index("image_id")


def _choices(judged: pd.DataFrame, accepted: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """For every picture ``decision`` ("" for none), ``value``, and whether it was only ``proposed``."""
    accepted = accepted[accepted["proposal"].isin(["drop", "crop"]) & ~accepted["image_id"].isin(judged.index)]
    accepted = accepted.sort_values("proposal", ascending=False, kind="stable").drop_duplicates("image_id")
    accepted = accepted.set_index("image_id")[["proposal", "crop"]].set_axis(["decision", "value"], axis=1)
    both = pd.concat([judged[["decision", "value"]].assign(proposed=""), accepted.assign(proposed=" (proposed)")])
    return both.reindex(manifest["image_id"], fill_value="")


def _notes(table: pd.DataFrame, choices: pd.DataFrame) -> pd.Series:
    """What is decided about each picture, in words, after what an earlier curation did."""
    was = "(was " + table["label"] + ")"
    extra = choices["value"].where(choices["decision"] != "label", was)
    notes = (choices["decision"] + " " + extra).str.strip() + choices["proposed"]
    return _joined(table["curation"], notes) if "curation" in table else notes


def _joined(first: pd.Series, second: pd.Series) -> pd.Series:
    return (first + "; " + second).str.removeprefix("; ").str.removesuffix("; ")
