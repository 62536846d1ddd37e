"""A plan from Zenodo: the pictures of one or more records, with checksums, licence and authors, and labels of yours.

A record of Zenodo lists its files with size and MD5 (Zenodo REST API, ``/api/records/{id}``), but not what is in them.
Species come from a table of your own, or of whoever published labels for these files.
"""

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from requests import Session

from seran_lib.collect import licences
from seran_lib.collect.http import TIMEOUT
from seran_lib.collect.plan import Plan, write_plan
from seran_lib.data.tables import read_rows
from seran_lib.errors import DataError

RECORDS = "https://zenodo.org/api/records"
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".gif", ".bmp")


class Label(NamedTuple):
    """What a file shows; `group` names the specimen where several files show one, and is else empty."""

    label: str
    group: str = ""


def read_labels(path: str | Path) -> dict[str, Label]:
    """File name -> label, from a CSV table with the columns ``file``, ``label`` and, where wanted, ``group``.

    Raises `DataError` for a table that cannot be read, and for a file with two labels.
    """
    labels: dict[str, Label] = {}
    for line, row in read_rows(Path(path), required=("file", "label")):
        label = Label(row["label"], row.get("group", ""))
        if labels.setdefault(row["file"], label) != label:
            raise DataError(f"{path}, line {line}: {row['file']} has another label above", "Keep one of the two rows.")
    return labels


def plan_records(session: Session, records: Sequence[str], labels: Mapping[str, Label], folder: str | Path) -> Plan:
    """Write ``plan.csv`` and ``query.json`` for the labelled pictures of `records` (their numbers) into `folder`.

    An image's id is the name of its file without the ending. Raises `DataError` where a record is not there or is not
    as expected, where no file has a label, or where two labelled files have one name but for the ending.
    """
    folder = Path(folder)
    rows: dict[str, dict[str, str]] = {}
    pictures = 0
    for number in records:
        record = _record(session, number)
        for file in record["files"]:
            name = file["key"]
            if PurePosixPath(name).suffix.lower() not in PICTURES:
                continue
            pictures += 1
            if name not in labels:
                continue
            row = _row(record, file, labels[name])
            if row["image_id"] in rows:
                raise DataError(
                    f"{row['image_id']} names two files: {rows[row['image_id']]['source_url']}, {row['source_url']}",
                    "Label one of them, or plan their records into two folders.",
                )
            rows[row["image_id"]] = row
    if not rows:
        raise DataError(
            f"none of the {pictures} pictures of {', '.join(records)} has a label",
            "Look at the names in the column file of your labels: they must be those that Zenodo lists.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(rows.values(), key=lambda row: (row["label"], row["image_id"]))
    counts = {"pictures": pictures, "without_label": pictures - len(rows), "planned": len(rows)}
    question = {"zenodo": list(records), "listed": datetime.date.today().isoformat(), "counts": counts}
    question |= {"citation": "; ".join(sorted({row["attribution"] for row in ordered})), "size": "original"}
    return write_plan(folder, ordered, question)


def _record(session: Session, number: str) -> dict:
    response = session.get(f"{RECORDS}/{number}", headers={"Accept": "application/json"}, timeout=TIMEOUT)
    cure = "Look at the number: it is the last part of the record's address, zenodo.org/records/NUMBER."
    if response.status_code != 200:
        raise DataError(f"Zenodo answers record {number} with status {response.status_code}", cure)
    try:
        record = response.json()
        for file in record["files"]:
            file["key"], file["links"]["self"], file["checksum"], file["size"]
        record["metadata"]["title"]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"Zenodo's answer about record {number} is not of the expected shape", cure) from None
    return record


def _row(record: dict, file: dict, shown: Label) -> dict[str, str]:
    about = record["metadata"]
    creators = "; ".join(one["name"] for one in about.get("creators", []))
    stated = about.get("license") or {}
    kind, _, checksum = file["checksum"].rpartition(":")
    return {
        "image_id": PurePosixPath(file["key"]).stem,
        "label": shown.label,
        "species": shown.label,
        "group": shown.group,
        "record": record.get("doi_url") or f"https://doi.org/{record['doi']}",
        "source_url": file["links"]["self"],
        "source_md5": checksum if kind in ("md5", "") else "",
        "source_bytes": str(file["size"]),
        "licence": licences.normalise(stated.get("id", "") if isinstance(stated, dict) else str(stated)),
        "creator": creators,
        "attribution": f"{creators} ({about.get('publication_date', '')[:4]}), {about['title']}",
        "label_conflict": "0",
    }
