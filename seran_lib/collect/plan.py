"""The plan of a collection: one row an image to fetch, made from an atlas's records, and what fetching it will take.

An image service gives equal files one id, so an id may hang on several records, and even on several species. The plan
has every id once: under the first species by name, marked as a conflict where others claim it too. Records that share
a picture are one `group`, so that a split cannot separate their other pictures.
"""

import json
import random
import sqlite3
import statistics
import textwrap
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from tqdm import tqdm

from seran_lib.collect.ala.addresses import image_page
from seran_lib.collect.ala.query import AS_OF_STATEMENT
from seran_lib.collect.ala.replies import ChangedError
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.errors import DataError
from seran_lib.files import replacing
from seran_lib.progress import progress_bar

if TYPE_CHECKING:  # ala offers what is here as its own, so this module must not need it
    from seran_lib.collect.ala.client import Atlas, Query, SpeciesCount

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
_STEPS = {
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
_SCHEMA = """
CREATE TABLE record (uuid TEXT PRIMARY KEY, label TEXT NOT NULL, images INTEGER NOT NULL, columns TEXT NOT NULL);
CREATE TABLE claim (image_id TEXT, label TEXT, uuid TEXT, PRIMARY KEY (image_id, label, uuid)) WITHOUT ROWID;
CREATE TABLE planned (label TEXT, image_id TEXT, columns TEXT NOT NULL, PRIMARY KEY (label, image_id)) WITHOUT ROWID;
"""


@dataclass
class Plan:
    """What a plan comes to. `licences` maps licence ("" where unknown) to images, `images_per_species` label to images.

    `bytes` is the expected volume of all pictures; of `assumed` images the size is unknown and counted as
    `assumed_bytes` each. `counts` says what each step of the listing found and dropped; it is empty for a plan that was
    not made by `collect_plan`. `note` is what must be known about it, if anything.
    """

    folder: Path
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
        rows += [(f"listing: {text}", self.counts[step], "") for step, text in _STEPS.items() if step in self.counts]
        rows += [("" if line else "note", "", text) for line, text in enumerate(textwrap.wrap(self.note, _WIDTH))]
        return pd.DataFrame(rows, columns=["what", "number", "remark"], dtype=object).set_index("what")


def collect_plan(
    atlas: "Atlas",
    query: "Query",
    folder: str | Path,
    *,
    species: int = 200,
    per_species: int = 0,
    seed: int = 0,
    size: str = "large",
    progress: bool = True,
) -> Plan:
    """List the `species` with most records, all their images, and write ``plan.csv`` and ``query.json``.

    `per_species` keeps at most so many images of each (0: all), drawn with `seed` and for each species by itself, so
    that more species change no choice. `size` is that of the pictures: "large" (650 pixels) or "original". Memory does
    not grow with the number of images. With a session of `ala.listing_session` an interrupted listing goes on where it
    was. A plan that is already there is replaced at the very end only.

    Raises `DataError` if the taxon is unknown, nothing is left to fetch, or an answer of the atlas is not what it
    should be; ValueError for impossible arguments.
    """
    if species < 1 or per_species < 0:
        raise ValueError(f"species {species}, per_species {per_species}: must be positive (per_species 0: all images)")
    if size not in ASSUMED_BYTES:
        raise ValueError(f"size {size!r}: choose one of {', '.join(ASSUMED_BYTES)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ranking = atlas.species(query)
    taken = ranking[:species]
    images = 0
    # A database without a name lies in a file of the system's that vanishes with the process, killed or not.
    with closing(sqlite3.connect("")) as store:
        store.executescript(_SCHEMA)
        with progress_bar(taken, desc="records", unit="species", show=progress) as bar:
            for one in bar:
                images += _list_records(store, atlas, query, one)
                bar.set_postfix(images=images)
        counts = {
            "species_found": len(ranking),
            "species_taken": len(taken),
            "records_in_ranking": sum(one.records for one in taken),
            "records": _number(store, "SELECT count(*) FROM record"),
            "records_without_image": _number(store, "SELECT count(*) FROM record WHERE images = 0"),
            "image_ids": _number(store, "SELECT count(DISTINCT image_id) FROM claim"),
            "ids_in_several_records": _number(store, _SHARED.format("uuid")),
            "ids_under_several_species": _number(store, _SHARED.format("label")),
        }
        with progress_bar(total=counts["image_ids"], desc="images", unit="image", show=progress) as bar:
            counts |= _choose_images(store, atlas, query, size, bar)
        counts["dropped_by_per_species"] = _draw(store, per_species, seed) if per_species else 0
        counts["planned"] = _number(store, "SELECT count(*) FROM planned")
        if not counts["planned"]:
            found = ", ".join(f"{_STEPS[step]} {count}" for step, count in counts.items())
            raise DataError(
                f"no image fits {query}: {found}", "Ask for more: a wider taxon, region, period or licence."
            )
        rows = store.execute("SELECT columns FROM planned ORDER BY label, image_id")
        write_rows(folder / PLAN, COLUMNS, (json.loads(columns) for (columns,) in rows))
    question = _question(atlas, query, counts) | {
        **{"species": species, "per_species": per_species, "seed": seed, "size": size},
    }
    with replacing(folder / QUERY, "w") as file:
        file.write(json.dumps(question, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    return read_plan(folder)


def read_plan(folder: str | Path) -> Plan:
    """What the plan in `folder` comes to, read row by row; it may be one from elsewhere, without ``query.json``.

    Raises `DataError` naming the line for a plan that is missing or cannot be read.
    """
    folder = Path(folder)
    question = read_question(folder)
    plan = Plan(folder, assumed_bytes=ASSUMED_BYTES.get(question.get("size", ""), ASSUMED_BYTES["original"]))
    licences: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    for line, row in read_rows(folder / PLAN, required=("image_id", "label", "source_url")):
        stated = row.get("source_bytes", "")
        if stated and not (stated.isascii() and stated.isdigit()):
            raise DataError(f"{folder / PLAN}, line {line}: source_bytes {stated!r} is not a number", "Mend the line.")
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


_SHARED = "SELECT count(*) FROM (SELECT 1 FROM claim GROUP BY image_id HAVING count(DISTINCT {}) > 1)"


def _number(store: sqlite3.Connection, question: str) -> int:
    return store.execute(question).fetchone()[0]


def _list_records(store: sqlite3.Connection, atlas: "Atlas", query: "Query", one: "SpeciesCount") -> int:
    """Store the records of a species; when they change meanwhile, once more from the start. Returns the images."""
    for fresh in (False, True):
        try:
            with store:  # all of the species or nothing
                return sum(
                    _store_record(store, record, one)
                    for record in atlas.occurrences(query, one.species_id, fresh=fresh)
                )
        except ChangedError:
            if fresh:
                raise
    raise AssertionError("unreachable")


def _store_record(store: sqlite3.Connection, record: dict, one: "SpeciesCount") -> int:
    uuid, images = record["occurrence"], record.pop("images")
    label = record["species"] or one.name
    if not label:
        raise DataError(
            f"record {record['record']} is of {one.species_id} but names no species", "Leave its data resource out."
        )
    record |= {"species": label, "genus": record["genus"] or label.split()[0]}
    store.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?)", (uuid, label, len(images), json.dumps(record)))
    store.executemany("INSERT OR IGNORE INTO claim VALUES (?, ?, ?)", ((image_id, label, uuid) for image_id in images))
    return len(images)


def _choose_images(store: sqlite3.Connection, atlas: "Atlas", query: "Query", size: str, bar: tqdm) -> dict[str, int]:
    """Ask what is known of each image, store the rows of those that fit, and count the others by the reason."""
    reasons = ("unknown_to_image_service", "without_answer", "by_licence", "by_as_of")
    dropped = {f"dropped_{reason}": 0 for reason in reasons}
    groups = _groups_of_records(store)
    ids = (image_id for (image_id,) in store.execute("SELECT DISTINCT image_id FROM claim ORDER BY image_id"))
    # Only the one-by-one form of the question tells when an image was uploaded.
    for image_id, info in atlas.image_info(ids, details=query.as_of is not None):
        bar.update()
        if info is None:
            dropped["dropped_unknown_to_image_service"] += 1
        elif isinstance(info, str):
            dropped["dropped_without_answer"] += 1
        elif query.licences and not _licence_fits(info["licence"], query.licences):
            dropped["dropped_by_licence"] += 1
        elif query.as_of and not "" < info["date_uploaded"] <= query.as_of.isoformat():
            dropped["dropped_by_as_of"] += 1
        else:
            row = _row(store, atlas, image_id, info, size, groups)
            store.execute("INSERT INTO planned VALUES (?, ?, ?)", (row["label"], image_id, json.dumps(row)))
    return dropped


def _licence_fits(licence: str, wanted: tuple[str, ...]) -> bool:
    return any(licence == one or licence.startswith(one + " ") for one in wanted)


def _groups_of_records(store: sqlite3.Connection) -> dict[str, str]:
    """The smallest uuid among the records that are joined by shared pictures, for each of these few records."""
    joined, before = DisjointSet(), ("", "")
    for image_id, uuid in store.execute(
        "SELECT image_id, uuid FROM claim WHERE image_id IN "
        "(SELECT image_id FROM claim GROUP BY image_id HAVING count(DISTINCT uuid) > 1) ORDER BY image_id, uuid"
    ):
        joined.add(uuid)
        if image_id == before[0]:
            joined.merge(before[1], uuid)
        before = image_id, uuid
    return {uuid: min(subset) for subset in joined.subsets() for uuid in subset}


def _row(
    store: sqlite3.Connection, atlas: "Atlas", image_id: str, info: dict, size: str, groups: dict[str, str]
) -> dict[str, str]:
    claims = store.execute(
        "SELECT label, uuid FROM claim WHERE image_id = ? ORDER BY label, uuid", (image_id,)
    ).fetchall()
    labels = list(dict.fromkeys(label for label, _ in claims))
    uuids = [uuid for label, uuid in claims if label == labels[0]]
    (columns,) = store.execute("SELECT columns FROM record WHERE uuid = ?", uuids[:1]).fetchone()
    record = json.loads(columns)
    source_url = atlas.image_url(image_id, size)
    row = record | {
        "image_id": image_id,
        "label": labels[0],
        "occurrence": " | ".join(uuids),
        "group": groups.get(uuids[0], uuids[0]),
        "source_url": source_url,
        **{name: info[name] for name in ("licence", "creator", "rights_holder", "date_uploaded")},
        "also_labels": "|".join(labels[1:]),
        "label_conflict": "1" if labels[1:] else "0",
        "attribution": _attribution(record, info, image_page(source_url)),
    }
    if size == "original":  # the service states the size of the original only
        row |= {f"source_{name}": info[name] for name in ("bytes", "width", "height")}
    return row


def _attribution(record: dict, info: dict, page: str) -> str:
    """A credit line: who made the picture, whose or from where it is, the licence, and where it is shown.

    Who recorded the organism need not have taken the picture, and is named as what they are.
    """
    recorded = f"recorded by {record['recorded_by']}" if record["recorded_by"] else ""
    people = [info["creator"] or recorded, info["rights_holder"] or record["data_resource"]]
    named = ", ".join(dict.fromkeys(filter(None, people))) or "author unknown"
    return f"{named}; {info['licence'] or 'licence unknown'}; {page}"


def _draw(store: sqlite3.Connection, most: int, seed: int) -> int:
    """Keep `most` images of each species, at random; return how many were dropped."""
    before = store.total_changes
    crowded = store.execute("SELECT label FROM planned GROUP BY label HAVING count(*) > ?", (most,)).fetchall()
    for (label,) in crowded:
        ids = [
            one for (one,) in store.execute("SELECT image_id FROM planned WHERE label = ? ORDER BY image_id", (label,))
        ]
        dropped = set(ids).difference(random.Random(f"{seed} {label}").sample(ids, most))
        store.executemany("DELETE FROM planned WHERE label = ? AND image_id = ?", ((label, one) for one in dropped))
    return store.total_changes - before


def _question(atlas: "Atlas", query: "Query", counts: dict[str, int]) -> dict[str, object]:
    return {
        "taxon": query.taxon,
        "taxon_id": atlas.taxon_id(query.taxon),
        "region": query.region,
        "since": query.since.isoformat() if query.since else "",
        "until": query.until.isoformat() if query.until else "",
        "basis": query.basis,
        "licences": query.licences,
        "exclude_resources": query.exclude_resources,
        "as_of": query.as_of.isoformat() if query.as_of else "",
        "as_of_statement": AS_OF_STATEMENT if query.as_of else "",
        "filters": atlas.terms(query),
        "services": {
            "occurrences": atlas.occurrences_base,
            "images": atlas.images_base,
            "names": atlas.names_base,
        },
        "listed": atlas.oldest.date().isoformat(),
        "counts": counts,
    }


def read_question(folder: str | Path) -> dict[str, object]:
    """The question that the plan in `folder` answers; empty for a plan from elsewhere. Raises `DataError` where it can
    not be read."""
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
