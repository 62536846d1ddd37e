"""A client of the Atlas of Living Australia: which species have images, which records show them, what is known of each.

Names of parameters and fields, and the traps that are worked around here, come from the services' public source:
biocache-service 3 (SearchDAOImpl.java, OccurrenceIndex.java, SpatialSearchRequestParams.java), image-service
(ImageService.groovy, WebServiceController.groovy) and ala-namematching-service. Fields of an answer may still carry
values of version 2, which are brought to those of version 3.

Whatever is cut short, miscounted or of another shape is an error that says what was asked and what came: a listing that
lost something in silence would look like any other.
"""

import datetime
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import requests_cache
from requests import JSONDecodeError, RequestException, Response, Session

from seran_lib.collect.ala import replies
from seran_lib.collect.ala.addresses import IMAGES, NAMES, OCCURRENCES
from seran_lib.collect.ala.query import IDENTIFIER, Query, quoted
from seran_lib.collect.ala.replies import ChangedError, text_of
from seran_lib.collect.http import TIMEOUT, polite_session
from seran_lib.errors import DataError

PAGE = 500  # records asked for at once
DEPTH = 5000  # records of one search that the service gives out: page.depth.max of biocache-service since 3.4
BATCH = 100  # image ids in one question
# What `Atlas.image_info` gives for an id that the service does not know, and for one that it gives no answer about.
UNKNOWN, UNAVAILABLE = {"missing": "unknown_to_image_service"}, {"missing": "without_answer"}
AT_MOST = 20  # images one after another that the service gives no answer about: then it is down, not they
LISTING = "listing-cache.sqlite"  # in a collection's folder
KEPT = datetime.timedelta(days=7)  # how long an interrupted listing may be continued

# A search with more records than the service gives out is asked again in slices by these fields, one inside the other.
_SLICES = ("year", "month", "dataResourceUid")
# What is read of a record. `images` is an alias that the service knows besides the name in its index.
_FIELDS = (
    "id,species,speciesID,genus,family,order,imageIDs,images,license,dataResourceName,recordedBy,eventDate,year,month,"
    "basisOfRecord,decimalLatitude,decimalLongitude"
)
_EVERYTHING = {"q": "*:*", "disableAllQualityFilters": "true"}
_SAME_NAME = ("exactMatch", "canonicalMatch", "phraseMatch", "taxonIdMatch")  # others are guesses

_CURE = "Try again later; if it stays so, the service has changed and this client must follow."
_CHANGED_CURE = "The atlas is being updated: try again in an hour."

_log = logging.getLogger(__name__)


class _StatusError(DataError):
    """A service that fails to answer or refuses to; an answer of another shape is none."""


class SpeciesCount(NamedTuple):
    """A species and its number of records with images; `name` is "" where the service tells only the identifier."""

    species_id: str
    name: str
    records: int


class Atlas:
    """The three services of an atlas, asked through `session`. Their base addresses may be those of another atlas."""

    def __init__(
        self, session: Session, *, occurrences: str = OCCURRENCES, images: str = IMAGES, names: str = NAMES
    ) -> None:
        self._session = session
        self.occurrences_base, self.images_base, self.names_base = (
            base.rstrip("/") for base in (occurrences, images, names)
        )
        self._depth = DEPTH
        self._taxa: dict[str, str] = {}
        self._list_form = True  # until it fails
        self.oldest = datetime.datetime.now(datetime.UTC)  # of all answers so far: a remembered one may be days old

    def taxon_id(self, taxon: str) -> str:
        """The identifier of the taxon of that scientific name; an identifier is returned as it is.

        Raises `DataError` when the name is unknown, with the name that the service takes it for, if any.
        """
        taxon = taxon.strip()
        if IDENTIFIER.fullmatch(taxon):
            return taxon
        if taxon not in self._taxa:
            found = self._ask(replies.name_match, f"{self.names_base}/api/search", params={"q": taxon})
            same = found.get("matchType") in _SAME_NAME or text_of(found.get("scientificName")).lower() == taxon.lower()
            if not found["success"] or not same:
                name, rank = text_of(found.get("scientificName")), text_of(found.get("rank"))
                guess = f"Did you mean {name} ({rank or 'rank unknown'})?" if name else ""
                cure = f"{guess} Write the scientific name in full, or give the identifier of the taxon.".strip()
                raise DataError(f"the atlas knows no taxon of the name {taxon!r}", cure)
            self._taxa[taxon] = found["taxonConceptID"]
        return self._taxa[taxon]

    def terms(self, query: Query) -> list[str]:
        """The `fq` terms of `query`: its taxon with all taxa below, and its other conditions."""
        return [f"lsid:{quoted(self.taxon_id(query.taxon))}", *query.filters()]

    def species(self, query: Query) -> list[SpeciesCount]:
        """All species with records that fit, most records first, ties by name (by identifier where names are unknown).

        Records identified only to genus or above belong to no species and are not counted.
        """
        found: dict[str, SpeciesCount] = {}
        for row in self._facet("speciesID", self.terms(query)):
            if row.absent:
                continue
            # The label may be a name or the identifier; the term holds the identifier always.
            match = re.fullmatch(r'speciesID:"(.+)"', row.term)
            if not match or match[1] in found:
                raise DataError(f"the facet of species has a row that cannot be used: {row.term}", _CURE)
            name = "" if row.label == match[1] else row.label
            found[match[1]] = SpeciesCount(match[1], name, row.count)
        return sorted(found.values(), key=lambda one: (-one.records, one.name, one.species_id))

    def occurrences(self, query: Query, species_id: str, *, fresh: bool = False) -> Iterator[dict]:
        """All records of the species that fit, each with the columns of the plan that it knows and its `images` (ids).

        The service gives out only the first 5,000 records of a search (another atlas may give fewer); more are asked
        for by year, then month, then data resource. `fresh` passes over what the session remembers. Raises
        `ChangedError` when records come or go meanwhile, and `DataError` when a slice is still too large.
        """
        terms = [*self.terms(query), f"speciesID:{quoted(species_id)}"]
        for record in self._records(terms, _SLICES, fresh):
            yield self._plan_columns(record) | {"species_id": species_id}

    def image_info(self, image_ids: Iterable[str], *, details: bool = False) -> Iterator[tuple[str, dict[str, str]]]:
        """What the image service knows of each image, in the given order; `UNKNOWN` for an id that it does not know,
        `UNAVAILABLE` where it fails to answer. When it fails `AT_MOST` times one after another, raises `DataError`, or
        `RequestException` where no answer came at all.

        A dict of texts, "" where unknown: licence (an acronym of `licences`), creator, rights_holder, date_uploaded (an
        ISO date), and bytes, width and height of the original. A hundred images are asked for at once, which tells
        neither the date nor a licence that the service infers: images without a licence, or all with `details`, are
        then asked for one by one. Nor does it tell a creator or rights holder that the service takes from the data
        resource where the image names none: they stay "" then, for many images name no rights holder, and to ask for
        each of these alone would take as long as the pictures.
        """
        ids, failures = iter(image_ids), 0
        while batch := list(itertools.islice(ids, BATCH)):
            listed = {} if details else self._image_list(batch)
            for image_id in batch:
                info = listed.get(image_id)
                if info is None or not info["licence"]:
                    address = f"{self.images_base}/ws/image/{quote(image_id, safe='')}"
                    try:
                        info, failures = self._ask(replies.one_image, address, allowed=(200, 404)), 0
                    except (_StatusError, RequestException):
                        info, failures = info or UNAVAILABLE, failures + 1  # the list knew all but the licence
                        if failures == AT_MOST:
                            raise
                yield image_id, info or UNKNOWN

    def image_url(self, image_id: str, size: str) -> str:
        """The permanent address of the picture in a size of the service ("large", "original")."""
        return f"{self.images_base}/image/{quote(image_id, safe='')}/{size}"

    def record_page(self, uuid: str) -> str:
        """The address of the record's page."""
        base = "https://biocache.ala.org.au" if self.occurrences_base == OCCURRENCES else self.occurrences_base
        return f"{base}/occurrences/{quote(uuid, safe='')}"

    # ---- questions ---------------------------------------------------------------------------------------------------

    def _ask(
        self,
        read: Callable[[object], Any],
        address: str,
        *,
        fresh: bool = False,
        allowed: tuple[int, ...] = (200,),
        **request: object,
    ) -> Any:
        """What `read` makes of the answer. A remembered answer that it cannot read is asked for again."""
        method = "POST" if "json" in request else "GET"
        while True:
            headers = {"Accept": "application/json"} | ({"Cache-Control": "no-cache"} if fresh else {})
            response = self._session.request(method, address, headers=headers, timeout=TIMEOUT, **request)
            try:
                if response.status_code not in allowed:
                    raise replies.UnexpectedError(f"status {response.status_code}")
                answer = read(response.json())
                if getattr(response, "from_cache", False):
                    self.oldest = min(self.oldest, response.created_at.replace(tzinfo=datetime.UTC))
                return answer
            except (replies.UnexpectedError, JSONDecodeError) as error:
                if not getattr(response, "from_cache", False):
                    raise _refusal(method, response, error) from None
                fresh = True

    def _facet(self, field: str, terms: list[str], fresh: bool = False) -> list[replies.FacetRow]:
        params = _EVERYTHING | {"fq": terms, "facets": field, "flimit": -1, "fsort": "count"}
        address = f"{self.occurrences_base}/occurrences/facets"
        return self._ask(lambda reply: replies.facet_rows(reply, field), address, fresh=fresh, params=params)

    def _records(self, terms: list[str], slices: tuple[str, ...], fresh: bool) -> Iterator[dict]:
        total, records = self._first_records(terms, fresh)
        if len(records) == total:
            yield from records
            return
        if not slices:
            raise DataError(
                f"{total} records fit {' and '.join(terms)}; the atlas gives out only the first {self._depth}",
                "Ask for less at a time: a region, fewer days, or without a data resource.",
            )
        field, *deeper = slices
        rows = [row for row in self._facet(field, terms, fresh) if not row.absent]
        inside = [row.term for row in rows]
        if sum(row.count for row in rows) < total:
            inside.append(f"-{field}:*")
        listed = 0
        for term in inside:
            for record in self._records([*terms, term], tuple(deeper), fresh):
                listed += 1
                yield record
        if listed != total:
            raise ChangedError(
                f"{total} records fit {' and '.join(terms)}, but {listed} when asked for by {field}", _CHANGED_CURE
            )

    def _first_records(self, terms: list[str], fresh: bool) -> tuple[int, list[dict]]:
        """How many records there are, and all of them; or none of them where the service will not give out so many."""
        found: dict[str, dict] = {}
        params = _EVERYTHING | {"fq": terms, "fl": _FIELDS, "facet": "false", "pageSize": PAGE}
        params |= {"sort": "id", "dir": "asc"}
        total = -1
        while total < 0 or len(found) < total:
            asked = len(found)
            address = f"{self.occurrences_base}/occurrences/search"
            count, start, page = self._ask(replies.search_page, address, fresh=fresh, params=params | {"start": asked})
            if total not in (-1, count):
                raise ChangedError(f"{total} records fit {' and '.join(terms)}, {count} a page later", _CHANGED_CURE)
            total = count
            if total > self._depth:
                return total, []
            if total and (start != asked or not page):  # as far as the service goes: it starts over, with nothing
                if not asked:
                    raise DataError(f"{total} records fit {' and '.join(terms)}, but none is given out", _CURE)
                self._depth = asked
                return total, []
            found |= {record["uuid"]: record for record in page}
            if len(found) != asked + len(page) or len(found) > total:
                raise ChangedError(f"a record of {' and '.join(terms)} came twice", _CHANGED_CURE)
        return total, list(found.values())

    def _plan_columns(self, record: dict) -> dict:
        images = record.get("images") or [record.get("image")]
        return {
            "occurrence": record["uuid"],
            "record": self.record_page(record["uuid"]),
            "images": list(dict.fromkeys(filter(None, map(text_of, images)))),
            **{name: text_of(record.get(name)) for name in ("species", "genus", "family", "order")},
            "record_licence": text_of(record.get("license")),
            "data_resource": text_of(record.get("dataResourceName")),
            "recorded_by": text_of(record.get("recordedBy") or record.get("collectors") or record.get("collector")),
            "event_date": replies.event_date(record),
            "basis_of_record": replies.version_3(text_of(record.get("basisOfRecord"))),
            "latitude": text_of(record.get("decimalLatitude")),
            "longitude": text_of(record.get("decimalLongitude")),
        }

    def _image_list(self, batch: list[str]) -> dict[str, dict]:
        if not self._list_form:
            return {}
        try:
            address = f"{self.images_base}/ws/getImageInfoForIdList"
            return self._ask(replies.many_images, address, json={"imageIds": batch})
        except (DataError, RequestException) as error:
            self._list_form = False
            _log.warning("images are asked for one by one from here on, which takes longer: %s", error)
            return {}


def listing_session(
    folder: str | Path, *, per_second: float = 5.0, reroute: Mapping[str, str] | None = None
) -> Session:
    """A session as of `http.polite_session` that remembers answers for seven days, in `LISTING`.

    A listing that was interrupted asks nothing twice then; remembered answers do not wait for their turn. Only answers
    with status 200 are remembered. JSON rather than pickles: the file may come from elsewhere.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    session = requests_cache.CachedSession(
        str(folder / LISTING),
        backend="sqlite",
        serializer="json",
        expire_after=KEPT,
        allowable_codes=(200,),
        allowable_methods=("GET", "POST"),
    )
    return polite_session(session, per_second=per_second, reroute=reroute)


def _refusal(method: str, response: Response, error: Exception) -> DataError:
    what = "no JSON" if isinstance(error, JSONDecodeError) else str(error)
    came = " ".join(response.text.split())[:200] or "(nothing)"
    kind = DataError if response.ok or response.status_code == 404 else _StatusError
    return kind(f"{method} {response.url} was answered with {what}: {came}", _CURE)
