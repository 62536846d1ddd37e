"""What the answers of the atlas's services hold, in values of one kind, and whether they are such answers at all.

Shapes and names follow the public source of biocache-service 3 (SearchResultDTO.java, OccurrenceIndex.java,
SearchDAOImpl.java), image-service (ImageService.groovy, WebServiceController.groovy) and ala-namematching-service
(NameUsageMatch.java). Those that take a reply raise `UnexpectedError` for any other shape.
"""

import datetime
import re
from typing import NamedTuple

from seran_lib.collect import licences
from seran_lib.errors import DataError

_EPOCH = datetime.datetime(1970, 1, 1)


class UnexpectedError(ValueError):
    """A reply of another shape than the service's."""


class ChangedError(DataError):
    """Records came or went, or changed places, while they were being listed."""


class FacetRow(NamedTuple):
    """A value and its number of records; `term` selects them; `absent` is the row of records without a value."""

    label: str
    count: int
    term: str
    absent: bool


def name_match(reply: object) -> dict:
    """The match of a name as it came; `success` says whether there is one."""
    match reply:
        case {"success": True, "taxonConceptID": str(), "scientificName": str()} | {"success": False}:
            return reply
    raise UnexpectedError("something else than the match of a name")


def facet_rows(reply: object, field: str) -> list[FacetRow]:
    """All rows of a facet that was asked for without a limit."""
    match reply:
        case []:  # nothing fits, so there is nothing to count
            return []
        case [{"fieldName": name, "fieldResult": list(results), "count": int(count)}] if name == field:
            rows = []
            for result in results:
                match result:
                    case {"i18nCode": str(code), "count": int(records), "fq": str(term)}:
                        absent = code.endswith(".novalue") or term == f"-{field}:*"
                        rows.append(FacetRow(text_of(result.get("label")), records, term, absent))
                    case _:
                        raise UnexpectedError(f"a row that is none of a facet, {result}")
            # With flimit=-1 the count is exact; whether it includes the row of records without a value is not said.
            if count not in (len(rows), sum(not row.absent for row in rows)):
                raise UnexpectedError(f"{len(rows)} rows where {count} are announced")
            return rows
    raise UnexpectedError(f"something else than the facet {field}")


def search_page(reply: object) -> tuple[int, int, list[dict]]:
    """Number of all records, index of the first one here, and the records here."""
    match reply:
        case {"status": str(status)} if status != "OK":
            raise UnexpectedError(f"status {status} ({reply.get('errorMessage')})")
        case {"status": "OK", "totalRecords": int(total), "startIndex": int(start), "occurrences": list(records)}:
            if all(isinstance(record, dict) and record.get("uuid") for record in records):
                return total, start, records
            raise UnexpectedError("records without uuid")
    raise UnexpectedError("something else than a page of records")


def one_image(reply: object) -> dict | None:
    """What is known of an image, in the texts that `Atlas.image_info` describes; None for an unknown id."""
    match reply:
        case {"success": False}:
            return None
        case {"imageIdentifier": _} | {"success": True}:
            recognised = reply.get("recognisedLicence") or ""
            acronym = recognised.get("acronym") if isinstance(recognised, dict) else recognised
            licence = licences.normalise(text_of(acronym)) or licences.normalise(text_of(reply.get("license")))
            return _image(reply, licence, reply.get("sizeInBytes"))
    raise UnexpectedError("something else than an image's metadata")


def many_images(reply: object) -> dict[str, dict]:
    """The same by id, for the ids that are known; the licence is what the image's own text says."""
    match reply:
        case {"success": True, "results": dict(results)} if all(isinstance(one, dict) for one in results.values()):
            return {
                image_id: _image(one, licences.normalise(text_of(one.get("license"))), one.get("filesize"))
                for image_id, one in results.items()
            }
    raise UnexpectedError("something else than a list of images' metadata")


def _image(reply: dict, licence: str, size: object) -> dict:
    return {
        "licence": licence,
        "creator": text_of(reply.get("creator")),
        "rights_holder": text_of(reply.get("rightsHolder")),
        "date_uploaded": _day(reply.get("dateUploaded")),
        "bytes": text_of(size),
        "width": text_of(reply.get("width")),
        "height": text_of(reply.get("height")),
    }


def text_of(value: object) -> str:
    """One line of text; several values are joined, none is ""."""
    if isinstance(value, list):
        return " | ".join(filter(None, map(text_of, value)))
    return "" if value is None else " ".join(str(value).split())


def version_3(value: str) -> str:
    """An upper-case value such as HUMAN_OBSERVATION, also for HumanObservation of version 2."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value.strip()).replace(" ", "_").upper()


def _day(value: object) -> str:
    """The ISO date (UTC) of milliseconds since 1970, or of a text that begins with one; "" for anything else."""
    if isinstance(value, int | float):
        try:
            return (_EPOCH + datetime.timedelta(milliseconds=value)).date().isoformat()
        except (OverflowError, ValueError):
            return ""
    match = re.match(r"\d{4}-\d\d-\d\d(?!\d)", text_of(value))
    return match[0] if match else ""


def event_date(record: dict) -> str:
    """The day, or the month or year where no more is known."""
    year, month = text_of(record.get("year")), text_of(record.get("month"))  # a month is 6, "6" or "06"
    partly = "-".join([year, *([month.zfill(2)] if re.fullmatch(r"\d\d?", month) else [])])
    return _day(record.get("eventDate")) or (partly if re.fullmatch(r"\d{4}", year) else "")
