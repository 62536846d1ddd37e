"""The occurrence index of the demo atlas: the query language, search replies and facets of biocache-service 3.

What is answered, with its quirks, follows that service's source: SearchDAOImpl.java (facets, page depth),
SpatialSearchRequestParams.java (parameters and defaults), OccurrenceIndex.java (names in queries and in JSON).
"""

import calendar
import datetime
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable

from seran_lib.demo.atlas.records import IMAGES, MUSEUM, RESOURCES, Records, Sighting
from seran_lib.demo.atlas.taxa import RANKS

Params = dict[str, list[str]]
Document = dict[str, list]  # index field -> its values, none when absent
Test = Callable[[Document], bool]

NUMBERS = ("year", "month", "taxonRankID", "decimalLatitude", "decimalLongitude")
DATES = ("eventDate", "firstLoadedDate")
LINEAGE = ("lsid", "taxonConceptID")  # either form in a query means the taxon and everything below it
ALIASES = {"images": "imageIDs", "image": "imageIDs", "imageUrl": "imageIDs", "uuid": "id", "classs": "class"}
# Index field -> names in JSON, where they differ.
JSON_NAMES = {
    **{"id": ("uuid",), "class": ("classs",), "genusID": ("genusGuid",), "speciesID": ("speciesGuid",)},
    "recordedBy": ("recordedBy", "collectors"),
    "imageIDs": ("image", "images", "imageUrl", "smallImageUrl", "thumbnailUrl", "largeImageUrl", "imageUrls"),
}
ONLY_ASKED_FOR = ("firstLoadedDate",)  # in JSON by `fl` only
# What a facet shows instead of an id.
_NAMED = {"speciesID": "species", "genusID": "genus", "taxonConceptID": "scientificName"}
_NAMED |= {"dataResourceUid": "dataResourceName"}
_LONG = {"PRESERVED_SPECIMEN": "Preserved specimen", "HUMAN_OBSERVATION": "Human observation"}


class QueryError(ValueError):
    """A query that the index refuses; the service says so with status 200 and a `status` other than OK."""


def document(sighting: Sighting) -> Document:
    """A sighting as the index stores it."""
    lineage = sighting.taxon.lineage()
    ids = {rank: taxon.id for rank, taxon in lineage.items()}
    latitude, longitude, state = sighting.place or (None, None, None)
    single = {
        "id": sighting.uuid,
        "occurrenceID": f"demo:{sighting.uuid[:8]}",
        "scientificName": sighting.taxon.name,
        "taxonConceptID": sighting.taxon.id,
        "taxonRank": sighting.taxon.rank,
        "taxonRankID": RANKS[sighting.taxon.rank],
        **{rank: taxon.name for rank, taxon in lineage.items()},
        "genusID": ids["genus"],
        "speciesID": ids.get("species"),
        "country": "Australia",
        "stateProvince": state,
        "decimalLatitude": latitude,
        "decimalLongitude": longitude,
        "eventDate": sighting.when,
        "year": sighting.when and sighting.when.year,
        "month": sighting.when and sighting.when.month,
        "basisOfRecord": "PRESERVED_SPECIMEN" if sighting.resource == MUSEUM else "HUMAN_OBSERVATION",
        "dataResourceUid": sighting.resource,
        "dataResourceName": RESOURCES[sighting.resource],
        "license": sighting.licence_text or None,
        "firstLoadedDate": sighting.loaded,
    }
    return {name: [] if value is None else [value] for name, value in single.items()} | {
        **{rank: [] for rank in RANKS if rank not in lineage},
        "recordedBy": [sighting.observer],
        "multimedia": ["Image"] if sighting.pictures else [],
        "imageIDs": [picture.image_id for picture in sighting.pictures],
        "lsid": list(ids.values()),
    }


# ---- the query language ---------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()]|(?<![^\s(])-|(?:NOT|AND|OR)(?=[\s(]))
    |(?P<field>[A-Za-z*]\w*):
    |"(?P<quoted>(?:[^"\\]|\\.)*)"
    |(?P<range>[\[{]\s*\S+\s+TO\s+\S+?\s*[\]}])
    |(?P<word>(?:[^\s()"\\]|\\.)+))""",
    re.VERBOSE,
)


class _Parser:
    """Field queries joined by AND (also by nothing), OR, a leading minus or NOT, and parentheses."""

    def __init__(self, text: str, fields: Iterable[str]) -> None:
        self._fields = set(fields)
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            found = _TOKEN.match(text, position)
            if not found:
                raise QueryError(f"Cannot parse '{text}': at character {position}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()
        self._text = text

    def parse(self) -> Test:
        test = self._either("")
        if self._tokens:
            raise QueryError(f"Cannot parse '{self._text}': unexpected {self._tokens[0][1]}")
        return test

    def _next(self, *marks: str) -> bool:
        """Take the next token if it is one of `marks`."""
        if self._tokens and self._tokens[0][0] == "mark" and self._tokens[0][1] in marks:
            self._tokens.pop(0)
            return True
        return False

    def _either(self, field: str) -> Test:
        tests = [self._all(field)]
        while self._next("OR"):
            tests.append(self._all(field))
        return lambda record: any(test(record) for test in tests)

    def _all(self, field: str) -> Test:
        tests = [self._one(field)]
        while self._next("AND") or (self._tokens and self._tokens[0] not in (("mark", "OR"), ("mark", ")"))):
            tests.append(self._one(field))
        return lambda record: all(test(record) for test in tests)

    def _one(self, field: str) -> Test:
        if self._next("-", "NOT"):
            test = self._one(field)
            return lambda record: not test(record)
        if self._next("("):
            test = self._either(field)
            if not self._next(")"):
                raise QueryError(f"Cannot parse '{self._text}': a parenthesis is not closed")
            return test
        kind, value = self._tokens.pop(0) if self._tokens else ("end", "the end")
        if kind == "field" and not field:
            if value == "*":
                if self._tokens[:1] == [("word", "*")]:
                    self._tokens.pop(0)
                    return lambda record: True
            elif value not in self._fields and value not in ALIASES:
                raise QueryError(f"undefined field {value}")
            else:
                return self._one(ALIASES.get(value, value))
        if kind == "field":  # an unquoted value with a colon in it, such as an address
            kind, value = "word", f"{value}:{self._tokens.pop(0)[1] if self._tokens else ''}"
        if field and kind == "range":
            return _range(field, value)
        if field and kind in ("quoted", "word"):
            return _equals(field, re.sub(r"\\(.)", r"\1", value), wild=kind == "word" and value == "*")
        raise QueryError(f"Cannot parse '{self._text}': unexpected {value}")


def _equals(field: str, wanted: str, wild: bool) -> Test:
    if wild:
        return lambda record: bool(record[field])
    if field in NUMBERS + DATES:
        value = _bound(field, wanted)
        return lambda record: value in record[field]
    field = "lsid" if field in LINEAGE else field
    return lambda record: wanted in record[field]


def _range(field: str, text: str) -> Test:
    low, high = (None if end == "*" else _bound(field, end) for end in re.split(r"\s+TO\s+", text[1:-1].strip()))
    above, below = (operator.lt if mark in "{}" else operator.le for mark in (text[0], text[-1]))

    def inside(value: object) -> bool:
        return (low is None or above(low, value)) and (high is None or below(value, high))

    return lambda record: any(inside(value) for value in record[field])


def _bound(field: str, text: str) -> float | datetime.datetime | str:
    try:
        if field in DATES:
            return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
        return float(text) if field in NUMBERS else text
    except ValueError:
        raise QueryError(f"Invalid {'Date String' if field in DATES else 'Number'}:'{text}'") from None


# ---- replies --------------------------------------------------------------------------------------------------------


class Index:
    """Answers to searches, facets and names."""

    def __init__(self, records: Records, page_depth_max: int) -> None:
        self._pairs = [(document(sighting), sighting) for sighting in records.sightings]
        self._fields = tuple(self._pairs[0][0])
        self._page_depth_max = page_depth_max
        named = (record for record, _ in self._pairs)
        self._names = {one[key][0]: one[name][0] for one in named for key, name in _NAMED.items() if one[key]} | _LONG

    def _matching(self, params: Params) -> list[tuple[Document, Sighting]]:
        tests = [_Parser(text, self._fields).parse() for text in [*params.get("q", []), *params.get("fq", [])] if text]
        return [pair for pair in self._pairs if all(test(pair[0]) for test in tests)]

    def search(self, params: Params) -> dict:
        """`/occurrences/search`. Raises ValueError where a parameter should be a number and is not."""
        start = int(_last(params, "start", _last(params, "startIndex", "0")))
        size = int(_last(params, "pageSize", "10"))
        if start >= self._page_depth_max:  # no error, no hint: an empty first page
            start = size = 0
        elif start + size >= self._page_depth_max:
            size = self._page_depth_max - start
        sort, direction = _last(params, "sort", "score"), _last(params, "dir", "asc")
        reply = {"pageSize": size, "startIndex": start, "totalRecords": 0, "sort": sort, "dir": direction}
        try:
            found = self._matching(params)
            if sort != "score":
                field = ALIASES.get(sort, sort)
                if field not in self._fields:
                    raise QueryError(f"sort param could not be parsed: {sort}")
                found.sort(key=lambda pair: [str(value) for value in pair[0][field]], reverse=direction == "desc")
            facets = self.facets(params) if _last(params, "facet", "true") != "false" else []
        except QueryError as error:
            return reply | {"status": "ERROR", "errorMessage": str(error), "occurrences": [], "facetResults": []}
        asked = {name for text in params.get("fl", []) for name in text.split(",") if name}
        page = [self._json(record, sighting, asked) for record, sighting in found[start : start + size]]
        return reply | {"totalRecords": len(found), "status": "OK", "occurrences": page, "facetResults": facets}

    def _json(self, record: Document, sighting: Sighting, asked: set[str]) -> dict:
        fields = {ALIASES.get(name, name) for name in asked} or set(self._fields) - set(ONLY_ASKED_FOR)
        values: dict = {}
        for name in self._fields:
            if name not in fields or name == "lsid" or (not record[name] and name != "imageIDs"):
                continue
            value = record[name] if name in ("recordedBy", "multimedia", "imageIDs") else record[name][0]
            if isinstance(value, datetime.datetime):
                value = int(value.replace(tzinfo=datetime.UTC).timestamp() * 1000)
            elif name == "month" and sighting.month_as_text:
                value = f"{value:02d}"
            values |= dict.fromkeys(JSON_NAMES.get(name, (name,)), value)
        if "imageIDs" in fields:
            values |= dict.fromkeys(JSON_NAMES["imageIDs"])
            if ids := record["imageIDs"]:
                address = f"{IMAGES}/image/proxyImage"
                values |= {
                    "image": ids[0],
                    "images": ids,
                    "imageUrl": f"{address}?imageId={ids[0]}",
                    "smallImageUrl": f"{address}Thumbnail?imageId={ids[0]}",
                    "thumbnailUrl": f"{address}Thumbnail?imageId={ids[0]}",
                    "largeImageUrl": f"{address}ThumbnailLarge?imageId={ids[0]}",
                    "imageUrls": [f"{address}ThumbnailLarge?imageId={one}" for one in ids],
                }
        return values

    def facets(self, params: Params) -> list[dict]:
        """`/occurrences/facets`. The outer `count` is exact with flimit=-1 only; on a first page it is an estimate."""
        names = [name for text in params.get("facets", []) for name in text.split(",") if name]
        limit, offset = int(_last(params, "flimit", "30")), int(_last(params, "foffset", "0"))
        found = self._matching(params)
        return [self._facet(name, found, limit, offset, _last(params, "fsort", "count")) for name in names]

    def _facet(self, name: str, found: list[tuple[Document, Sighting]], limit: int, offset: int, sort: str) -> dict:
        field = ALIASES.get(name, name)
        if field not in self._fields:
            raise QueryError(f"undefined field {name}")
        counts = Counter(str(value) for record, _ in found for value in set(record[field]))
        in_order = sorted(counts) if sort == "index" else sorted(counts, key=counts.get, reverse=True)
        rows = [self._row(name, value, counts[value]) for value in in_order]
        if absent := sum(not record[field] for record, _ in found):
            rows.append({"label": "Not supplied", "i18nCode": f"{name}.novalue", "count": absent, "fq": f"-{name}:*"})
        rows = rows[offset:] if limit < 0 else rows[offset : offset + limit]
        count = len(rows) if offset else len(counts)
        if not offset and limit >= 0:
            count += 1 + count // 50  # a HyperLogLog estimate, here always too high
        return {"fieldName": name, "fieldResult": rows, "count": count}

    def _row(self, name: str, value: str, count: int) -> dict:
        label = calendar.month_name[int(value)] if name == "month" else self._names.get(value, value)
        return {"label": label, "i18nCode": f"{name}.{value}", "count": count, "fq": f'{name}:"{value}"'}

    def name(self, name: str) -> dict:
        """`/api/search` of the name matching service."""
        taxa = (taxon for _, sighting in self._pairs for taxon in sighting.taxon.lineage().values())
        taxon = next((one for one in taxa if one.name.casefold() == name.strip().casefold()), None)
        if taxon is None:
            return {"success": False, "nameType": "SCIENTIFIC", "issues": ["noMatch"]}
        above = {}
        for rank, one in taxon.lineage().items():
            above |= {"classs" if rank == "class" else rank: one.name, f"{rank}ID": one.id}
        return {
            "success": True,
            "scientificName": taxon.name,
            "taxonConceptID": taxon.id,
            "rank": taxon.rank,
            "rankID": RANKS[taxon.rank],
            "matchType": "exactMatch",
            "nameType": "SCIENTIFIC",
            **above,
            "issues": ["noIssue"],
        }


def _last(params: Params, name: str, default: str) -> str:
    return params.get(name, [default])[-1]
