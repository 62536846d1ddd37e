"""Who made each picture and what may be done with it: ``CREDITS.csv``, ``CREDITS.md``, and ``croissant.json``.

Croissant (https://docs.mlcommons.org/croissant/docs/croissant-spec.html) is the description of data sets that search
engines, Kaggle, Hugging Face and OpenML read. The only date in the three files is the day the atlas was asked, from
the plan: the same plan and pictures give the same bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from seran_lib.collect import licences
from seran_lib.collect.ala.addresses import image_page
from seran_lib.data.manifest import MANIFEST
from seran_lib.data.markdown import table
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.files import file_sha256, replacing

CREDITS, SUMMARY, CROISSANT = "CREDITS.csv", "CREDITS.md", "croissant.json"
COLUMNS = (
    *("image_id", "file", "creator", "rights_holder", "data_resource"),
    *("licence", "licence_url", "image_page", "record"),
)
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff")

Rows = Iterable[Mapping[str, str]]

_DESCRIBED = {
    "image_id": "Identifier of the picture at its source",
    "file": "Path of the picture in the folder of this file",
    "label": "Species, the class to learn",
    "group": "Pictures of one occurrence have one group and belong into one part of a split",
    "sha256": "SHA-256 of the picture's file",
    "width": "Pixels",
    "height": "Pixels",
    "licence": "Licence of the picture, empty where unknown",
    "creator": "Who made the picture",
    "rights_holder": "Who holds the rights to it",
    "data_resource": "Data set that the occurrence record belongs to",
    "record": "Page of the occurrence record",
    "source_url": "Permanent address the picture was fetched from",
}
_INTEGERS = ("width", "height")


def write_credits(folder: str | Path, manifest: Rows) -> None:
    """Write ``CREDITS.csv``, one line an image, and ``CREDITS.md``, counts by licence and by data resource.

    `manifest` may be an iterator of rows, so that a million of them need no memory. What it does not know is empty.
    """
    folder = Path(folder)
    by_licence: Counter[str] = Counter()
    by_resource: Counter[str] = Counter()

    def credited() -> Iterator[dict[str, str]]:
        for row in manifest:
            credit = _credit(row)
            by_licence[credit["licence"]] += 1
            by_resource[credit["data_resource"]] += 1
            yield credit

    write_rows(folder / CREDITS, COLUMNS, credited())
    with replacing(folder / SUMMARY, "w") as file:
        file.write(_summary(by_licence, by_resource))


def write_croissant(folder: str | Path, manifest: Rows, query: Mapping[str, object]) -> None:
    """Write ``croissant.json``: the files, the main columns of the manifest, all licences.

    ``folder/manifest.csv`` must be there; `manifest` is its rows. Of `query` it uses, where present, ``taxon``,
    ``region``, ``citation`` and ``listed``, the day the atlas was asked.
    """
    folder = Path(folder)
    found: Counter[str] = Counter()
    labels: set[str] = set()
    columns: list[str] = []
    for row in manifest:
        columns = columns or list(row)
        found[row.get("licence", "")] += 1
        labels.add(row.get("label", ""))
    text = f"{found.total()} photographs of {len(labels)} species"
    name = " ".join(["Photographs of", str(query.get("taxon") or "species"), str(query.get("region") or "")]).strip()
    description: dict[str, object] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{text}. {CREDITS} names the creator, the licence and the pages of every picture.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "version": "1.0.0",
        "license": sorted({licences.url(licence) or licence or "unknown" for licence in found}),
        "citeAs": str(query.get("citation") or f"{name}: {text}. Cite each picture by its line in {CREDITS}."),
        "distribution": [_MANIFEST_FILE | {"sha256": file_sha256(folder / MANIFEST)}, _PICTURES],
        "recordSet": [_record_set(columns)] if columns else [],
    }
    if query.get("listed"):
        description["datePublished"] = str(query["listed"])
    with replacing(folder / CROISSANT, "w") as file:
        file.write(json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def manifest_rows(folder: str | Path) -> Iterator[dict[str, str]]:
    """The rows of the folder's manifest one by one, unchecked."""
    return (row for _, row in read_rows(Path(folder) / MANIFEST))


def _credit(row: Mapping[str, str]) -> dict[str, str]:
    return {column: row.get(column, "") for column in COLUMNS} | {
        # A plan from elsewhere may have one credit line for all of it, and no column of creators.
        "creator": row.get("creator", row.get("attribution", "")),
        "licence_url": licences.url(row.get("licence", "")),
        "image_page": image_page(row.get("source_url", "")),
    }


def _summary(by_licence: Counter[str], by_resource: Counter[str]) -> str:
    images = f"{by_licence.total()} image{'' if by_licence.total() == 1 else 's'}"
    closed = sum(count for licence, count in by_licence.items() if not licences.is_open(licence))
    lines = ["# Credits", "", f"{images}. `{CREDITS}` names the creator, licence and pages of each."]
    if closed:
        lines += [
            "",
            f"**{closed} of {images} have no open licence** (all rights reserved, or the licence is unknown): "
            "they must not be redistributed. Leave them out of every copy of this collection that you pass on.",
        ]
    licensed = [
        (
            f"[{licence}]({licences.url(licence)})" if licences.url(licence) else _line(licence) or "unknown",
            str(count),
            "allowed, on its terms" if licences.is_open(licence) else "no",
        )
        for licence, count in _most_first(by_licence)
    ]
    lines += ["", "## Licences", "", table(["licence", "images", "redistribution"], licensed, [":--", "--:", ":--"])]
    sources = [(_line(resource) or "not named", str(count)) for resource, count in _most_first(by_resource)]
    lines += ["", "## Sources", "", table(["data resource", "images"], sources, [":--", "--:"])]
    return "\n".join(lines) + "\n"


def _most_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _line(text: str) -> str:
    return " ".join(text.split())


# ---- Croissant ------------------------------------------------------------------------------------------------------


_MANIFEST_FILE = {
    **{"@type": "cr:FileObject", "@id": MANIFEST, "name": MANIFEST, "description": "The pictures with labels"},
    **{"contentUrl": MANIFEST, "encodingFormat": "text/csv"},
}


_PICTURES = {
    **{"@type": "cr:FileSet", "@id": "pictures", "name": "pictures"},
    "description": f"The pictures; their checksums stand in {MANIFEST}",
    **{"encodingFormat": list(MEDIA_TYPES), "includes": "images/*/*"},
}


def _record_set(columns: list[str]) -> dict[str, object]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"pictures_with_labels/{column}",
            "name": column,
            "description": text,
            "dataType": "sc:Integer" if column in _INTEGERS else "sc:Text",
            "source": {"fileObject": {"@id": MANIFEST}, "extract": {"column": column}},
        }
        for column, text in _DESCRIBED.items()
        if column in columns
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "pictures_with_labels",
        "name": "pictures_with_labels",
        "key": {"@id": "pictures_with_labels/image_id"},
        "field": fields,
    }


# The context that the specification prescribes (version 1.0, appendix 1), to the letter: readers compare it.
_TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
