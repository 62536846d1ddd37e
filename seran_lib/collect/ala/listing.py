"""From an atlas to a plan: list species, records and images, and decide which images are worth fetching.

An image service gives equal files one id, so an id may hang on several records, and even on several species. The plan
has every id once: under the first species by name, marked as a conflict where others claim it too. Records that share
a picture are one `group`, so that a split cannot separate their other pictures.
"""

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from scipy.cluster.hierarchy import DisjointSet

from seran_lib.collect.ala.addresses import image_page
from seran_lib.collect.ala.client import Atlas, SpeciesCount
from seran_lib.collect.ala.query import AS_OF_STATEMENT, Query
from seran_lib.collect.ala.replies import ChangedError
from seran_lib.collect.plan import ASSUMED_BYTES, STEPS, Plan, write_plan
from seran_lib.errors import DataError
from seran_lib.progress import progress_bar

_SCHEMA = """
CREATE TABLE record (uuid TEXT PRIMARY KEY, label TEXT NOT NULL, images INTEGER NOT NULL, columns TEXT NOT NULL);
CREATE TABLE claim (image_id TEXT, label TEXT, uuid TEXT, PRIMARY KEY (image_id, label, uuid)) WITHOUT ROWID;
CREATE TABLE planned (label TEXT, image_id TEXT, columns TEXT NOT NULL, PRIMARY KEY (label, image_id)) WITHOUT ROWID;
"""
_SHARED = "SELECT count(*) FROM (SELECT 1 FROM claim GROUP BY image_id HAVING count(DISTINCT {}) > 1)"
# Numbers of the records and images that were listed; see `plan.STEPS`.
_LISTED = {
    "records": "SELECT count(*) FROM record",
    "records_without_image": "SELECT count(*) FROM record WHERE images = 0",
    "image_ids": "SELECT count(DISTINCT image_id) FROM claim",
    "ids_in_several_records": _SHARED.format("uuid"),
    "ids_under_several_species": _SHARED.format("label"),
}


def collect_plan(
    atlas: Atlas,
    query: Query,
    folder: str | Path,
    *,
    species: int = 200,
    per_species: int = 0,
    seed: int = 0,
    size: str = "large",
) -> Plan:
    """List the `species` with most records, all their images, and write ``plan.csv`` and ``query.json``.

    `per_species` keeps at most so many images of each (0: all), drawn with `seed` and for each species by itself, so
    that more species change no choice. `size` is that of the pictures: "large" (650 pixels) or "original". Memory does
    not grow with the number of images. With a session of `client.listing_session` an interrupted listing goes on where
    it was. A plan that is already there is replaced at the very end only.

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
    counts = {"species_found": len(ranking), "species_taken": len(taken)}
    counts["records_in_ranking"] = sum(one.records for one in taken)
    # A database without a name lies in a file of the system's that vanishes with the process, killed or not.
    with closing(sqlite3.connect("")) as store:
        listing = _Listing(store, atlas, query, size)
        listing.list_records(taken)
        counts |= {step: listing.number(question) for step, question in _LISTED.items()}
        counts |= listing.choose_images(counts["image_ids"])
        counts["dropped_by_per_species"] = listing.draw(per_species, seed) if per_species else 0
        counts["planned"] = listing.number("SELECT count(*) FROM planned")
        if not counts["planned"]:
            found = ", ".join(f"{STEPS[step]} {count}" for step, count in counts.items())
            cure = "Ask for more: a wider taxon, region, period or licence."
            raise DataError(f"no image fits {query}: {found}", cure)
        limits = {"species": species, "per_species": per_species, "seed": seed, "size": size}
        return write_plan(folder, listing.rows(), _question(atlas, query, counts) | limits)


class _Listing:
    """What the atlas lists for one query, in an SQLite database, so that a million images need no memory."""

    def __init__(self, store: sqlite3.Connection, atlas: Atlas, query: Query, size: str) -> None:
        self._store, self._atlas, self._query, self._size = store, atlas, query, size
        store.executescript(_SCHEMA)

    def number(self, question: str) -> int:
        return self._store.execute(question).fetchone()[0]

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows of the plan, in order."""
        for (columns,) in self._store.execute("SELECT columns FROM planned ORDER BY label, image_id"):
            yield json.loads(columns)

    def list_records(self, taken: list[SpeciesCount]) -> None:
        images = 0
        with progress_bar(taken, desc="records", unit="species") as bar:
            for one in bar:
                images += self._records_of(one)
                bar.set_postfix(images=images)

    def _records_of(self, one: SpeciesCount, fresh: bool = False) -> int:
        """Store the records of a species; when they change meanwhile, once more from the start. Returns the images."""
        try:
            with self._store:  # all of the species or nothing
                records = self._atlas.occurrences(self._query, one.species_id, fresh=fresh)
                return sum(self._add(record, one) for record in records)
        except ChangedError:
            if fresh:
                raise
        return self._records_of(one, fresh=True)

    def _add(self, record: dict, one: SpeciesCount) -> int:
        uuid, images = record["occurrence"], record.pop("images")
        label = record["species"] or one.name
        if not label:
            problem = f"record {record['record']} is of {one.species_id} but names no species"
            raise DataError(problem, "Leave its data resource out.")
        record |= {"species": label, "genus": record["genus"] or label.split()[0]}
        values = uuid, label, len(images), json.dumps(record)
        self._store.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?)", values)
        claims = ((image_id, label, uuid) for image_id in images)
        self._store.executemany("INSERT OR IGNORE INTO claim VALUES (?, ?, ?)", claims)
        return len(images)

    def choose_images(self, total: int) -> dict[str, int]:
        """Ask what is known of each image, store the rows of those that fit, and count the others by the reason."""
        reasons = ("unknown_to_image_service", "without_answer", "by_licence", "by_as_of")
        dropped = {f"dropped_{reason}": 0 for reason in reasons}
        groups = self._groups_of_records()
        found = self._store.execute("SELECT DISTINCT image_id FROM claim ORDER BY image_id")
        ids = (image_id for (image_id,) in found)
        with progress_bar(total=total, desc="images", unit="image") as bar:
            # Only the one-by-one form of the question tells when an image was uploaded.
            for image_id, info in self._atlas.image_info(ids, details=self._query.as_of is not None):
                bar.update()
                if reason := info.get("missing") or self._unwanted(info):
                    dropped[f"dropped_{reason}"] += 1
                    continue
                row = self._row(image_id, info, groups)
                values = row["label"], image_id, json.dumps(row)
                self._store.execute("INSERT INTO planned VALUES (?, ?, ?)", values)
        return dropped

    def _unwanted(self, info: dict[str, str]) -> str:
        """The condition that an image does not fulfil; empty where it fulfils all."""
        licence, wanted, as_of = info["licence"], self._query.licences, self._query.as_of
        if wanted and not any(licence == one or licence.startswith(one + " ") for one in wanted):
            return "by_licence"
        return "by_as_of" if as_of and not "" < info["date_uploaded"] <= as_of.isoformat() else ""

    def _groups_of_records(self) -> dict[str, str]:
        """The smallest uuid among the records that are joined by shared pictures, for each of these few records."""
        joined, before = DisjointSet(), ("", "")
        for image_id, uuid in self._store.execute(
            "SELECT image_id, uuid FROM claim WHERE image_id IN "
            "(SELECT image_id FROM claim GROUP BY image_id HAVING count(DISTINCT uuid) > 1) ORDER BY image_id, uuid"
        ):
            joined.add(uuid)
            if image_id == before[0]:
                joined.merge(before[1], uuid)
            before = image_id, uuid
        return {uuid: min(subset) for subset in joined.subsets() for uuid in subset}

    def _row(self, image_id: str, info: dict[str, str], groups: dict[str, str]) -> dict[str, str]:
        question = "SELECT label, uuid FROM claim WHERE image_id = ? ORDER BY label, uuid"
        claims = self._store.execute(question, (image_id,)).fetchall()
        labels = list(dict.fromkeys(label for label, _ in claims))
        uuids = [uuid for label, uuid in claims if label == labels[0]]
        (columns,) = self._store.execute("SELECT columns FROM record WHERE uuid = ?", uuids[:1]).fetchone()
        record = json.loads(columns)
        source_url = self._atlas.image_url(image_id, self._size)
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
        if self._size == "original":  # the service states the size of the original only
            row |= {f"source_{name}": info[name] for name in ("bytes", "width", "height")}
        return row

    def draw(self, most: int, seed: int) -> int:
        """Keep `most` images of each species, at random; return how many were dropped."""
        store, before = self._store, self._store.total_changes
        crowded = store.execute("SELECT label FROM planned GROUP BY label HAVING count(*) > ?", (most,)).fetchall()
        for (label,) in crowded:
            found = store.execute("SELECT image_id FROM planned WHERE label = ? ORDER BY image_id", (label,))
            ids = [image_id for (image_id,) in found]
            dropped = set(ids).difference(random.Random(f"{seed} {label}").sample(ids, most))
            rows = ((label, image_id) for image_id in dropped)
            store.executemany("DELETE FROM planned WHERE label = ? AND image_id = ?", rows)
        return store.total_changes - before


def _attribution(record: dict, info: dict, page: str) -> str:
    """A credit line: who made the picture, whose or from where it is, the licence, and where it is shown.

    Who recorded the organism need not have taken the picture, and is named as what they are.
    """
    recorded = f"recorded by {record['recorded_by']}" if record["recorded_by"] else ""
    people = [info["creator"] or recorded, info["rights_holder"] or record["data_resource"]]
    named = ", ".join(dict.fromkeys(filter(None, people))) or "author unknown"
    return f"{named}; {info['licence'] or 'licence unknown'}; {page}"


def _question(atlas: Atlas, query: Query, counts: dict[str, int]) -> dict[str, object]:
    """What was asked; days as ISO dates, "" for none."""
    asked = vars(query) | {day: str(getattr(query, day) or "") for day in ("since", "until", "as_of")}
    services = {"occurrences": atlas.occurrences_base, "images": atlas.images_base, "names": atlas.names_base}
    return asked | {
        "taxon_id": atlas.taxon_id(query.taxon),
        "as_of_statement": AS_OF_STATEMENT if query.as_of else "",
        "filters": atlas.terms(query),
        "services": services,
        "listed": atlas.oldest.date().isoformat(),
        "counts": counts,
    }
