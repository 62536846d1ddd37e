"""The plan of a collection: ``plan.csv`` with one row an image to fetch, and ``query.json`` with what was asked for.

Whoever lists images (`ala.listing`, `zenodo`) writes both with `write_plan`; fetching needs nothing else.
"""

import json
import statistics
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from seran_lib.data.tables import read_rows, write_rows
from seran_lib.errors import DataError
from seran_lib.files import replacing

PLAN, QUERY = "plan.csv", "query.json"
COLUMNS = (
    *("image_id", "label", "species", "genus", "family", "order", "species_id", "record", "occurrence", "source_url"),
    *("source_md5", "source_bytes", "source_width", "source_height", "licence", "record_licence", "creator"),
    *("rights_holder", "attribution", "data_resource", "recorded_by", "event_date", "basis_of_record", "latitude"),
    *("longitude", "date_uploaded", "also_labels", "label_conflict", "group"),
)
# Bytes of a picture whose size nobody states: a guess, for the atlas publishes no mean. "large" has 650 pixels.
ASSUMED_BYTES = {"large": 90_000, "original": 1_500_000}

# The steps of a listing, in order, as `query.json` counts them and as a reader should see them.
STEPS = {
    "species_found": "species with images",
    "species_taken": "species taken",
    "records_in_ranking": "records announced",
    "records": "records",
    "records_without_image": "records without an image id",
    "image_ids": "image ids",
    "ids_in_several_records": "image ids in several records",
    "ids_under_several_species": "image ids under several species",
    "dropped_unknown_to_image_service": "dropped: unknown to the image service",
    "dropped_without_answer": "dropped: the image service fails to answer",
    "dropped_by_licence": "dropped: licence",
    "dropped_by_as_of": "dropped: uploaded later",
    "dropped_by_per_species": "dropped: more than asked for of a species",
    "planned": "images planned",
}
_WIDTH = 50  # characters of a cell that pandas shows


@dataclass
class Plan:
    """What a plan comes to. `licences` maps licence ("" where unknown) to images, `images_per_species` label to images.

    `bytes` is the expected volume of all pictures; of `assumed` images the size is unknown and counted as
    `assumed_bytes` each. `counts` says what each step of the listing found and dropped; it is empty for a plan that was
    not made by `ala.listing`. `note` is what must be known about it, if anything.
    """

    images: int = 0
    bytes: int = 0
    assumed: int = 0
    assumed_bytes: int = 0
    licences: dict[str, int] = field(default_factory=dict)
    images_per_species: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def species(self) -> int:
        return len(self.images_per_species)

    def seconds(self, per_second: float) -> float:
        """Time to fetch all pictures at `per_second` requests a second, if the network keeps up."""
        if per_second <= 0:
            raise ValueError(f"per_second is {per_second}: must be positive")
        return self.images / per_second

    def summary(self) -> pd.DataFrame:
        """The plan as a table of things, their numbers and remarks."""
        assumed = f"{self.assumed:,} of unknown size taken as {self.assumed_bytes / 1000:,.0f} kB each"
        per_species = sorted(self.images_per_species.values()) or [0]
        rows: list[tuple[str, int | float, str]] = [
            ("species", self.species, ""),
            ("images", self.images, ""),
            ("megabytes", round(self.bytes / 1e6, 1), assumed if self.assumed else ""),
            ("images of a species: fewest", per_species[0], ""),
            ("images of a species: median", statistics.median(per_species), ""),
            ("images of a species: most", per_species[-1], ""),
        ]
        for licence, images in sorted(self.licences.items(), key=lambda pair: (-pair[1], pair[0])):
            rows.append((f"licence {licence or 'unknown'}", images, f"{images / self.images:.1%}"))
        rows += [(f"listing: {text}", self.counts[step], "") for step, text in STEPS.items() if step in self.counts]
        rows += [("" if line else "note", "", text) for line, text in enumerate(textwrap.wrap(self.note, _WIDTH))]
        return pd.DataFrame(rows, columns=["what", "number", "remark"], dtype=object).set_index("what")


def write_plan(folder: Path, rows: Iterable[Mapping[str, object]], question: Mapping[str, object]) -> Plan:
    """Write ``plan.csv`` and ``query.json`` into `folder`, and return what the plan comes to."""
    write_rows(folder / PLAN, COLUMNS, rows)
    with replacing(folder / QUERY, "w") as file:
        file.write(json.dumps(question, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    return read_plan(folder)


def read_plan(folder: str | Path) -> Plan:
    """What the plan in `folder` comes to, read row by row; it may be one from elsewhere, without ``query.json``.

    Raises `DataError` naming the line for a plan that is missing or cannot be read.
    """
    folder = Path(folder)
    question = read_question(folder)
    plan = Plan(assumed_bytes=ASSUMED_BYTES.get(question.get("size", ""), ASSUMED_BYTES["original"]))
    licences: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for line, row in read_rows(folder / PLAN, required=("image_id", "label", "source_url")):
        stated = row.get("source_bytes", "")
        if stated and not (stated.isascii() and stated.isdigit()):
            raise DataError(f"{folder / PLAN}, line {line}: source_bytes {stated!r} is not a number", "Fix the line.")
        plan.images += 1
        plan.bytes += int(stated) if stated else plan.assumed_bytes
        plan.assumed += not stated
        licences[row.get("licence", "")] += 1
        labels[row["label"]] += 1
    plan.licences, plan.images_per_species = dict(licences), dict(labels)
    counts = question.get("counts")
    if isinstance(counts, dict) and counts.get("planned") == plan.images:  # else the files are not of one listing
        plan.counts, plan.note = counts, question.get("as_of_statement", "")
    return plan


def read_question(folder: str | Path) -> dict[str, object]:
    """The question that the plan in `folder` answers; empty for a plan from elsewhere.

    Raises `DataError` where it cannot be read.
    """
    path = Path(folder, QUERY)
    if not path.is_file():
        return {}
    try:
        question = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(question, dict):
            raise ValueError
    except ValueError:
        raise DataError(f"{path} is not readable as JSON", "Make the plan again; pictures are kept.") from None
    return question
