"""The client of the atlas: nothing of a listing is lost or asked twice, and what is no answer is never believed."""

import datetime
import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving import Reply, Server, answering

from seran_lib.collect.ala import client, replies
from seran_lib.collect.ala.addresses import image_page
from seran_lib.collect.ala.query import quoted
from seran_lib.errors import DataError

REPLIES = Path(__file__).parent / "ala"
RECORDED = Path(__file__).parents[3] / "shared" / "research" / "ala-fixtures"
ID, PRIMA = "https://taxa.example/testudinata", "https://taxa.example/prima"
QUERY = client.Query(taxon=ID)
DAY = datetime.date(2018, 10, 31)


def reply(name):
    return json.loads((REPLIES / f"{name}.json").read_text(encoding="utf-8"))


def atlas_of(answer):
    session, asked = answering(answer)
    return client.Atlas(session), asked


def pages(asked):
    return [path for path, _ in asked]


# ---- questions -------------------------------------------------------------------------------------------------------


def test_filters_of_a_full_query():
    query = client.Query(
        taxon=ID,
        region="new south wales",
        since=datetime.date(2000, 1, 31),
        until=datetime.date(2018, 12, 1),
        basis=("HumanObservation", "PRESERVED_SPECIMEN"),
        licences=("https://creativecommons.org/licenses/by/4.0/",),
        exclude_resources=("dr1411", "dr9"),
        as_of=DAY,
    )
    assert query.filters() == [
        "multimedia:Image",
        'stateProvince:"New South Wales"',
        "eventDate:[2000-01-31T00:00:00Z TO 2018-12-01T23:59:59Z]",
        'basisOfRecord:"HUMAN_OBSERVATION" OR basisOfRecord:"PRESERVED_SPECIMEN"',
        '-dataResourceUid:"dr1411"',
        '-dataResourceUid:"dr9"',
        "firstLoadedDate:[* TO 2018-10-31T23:59:59Z]",
    ]
    assert query.licences == ("CC BY 4.0",)
    assert client.Query(region="New Zealand").filters()[1] == 'country:"New Zealand"'
    assert client.Query(since=DAY).filters()[1] == "eventDate:[2018-10-31T00:00:00Z TO *]"
    assert client.Query(until=DAY).filters()[1] == "eventDate:[* TO 2018-10-31T23:59:59Z]"
    assert client.Query().filters() == ["multimedia:Image"]


@pytest.mark.parametrize(
    "wrong", [{"taxon": " "}, {"since": DAY, "until": datetime.date(2018, 10, 30)}, {"licences": ("CC BY 4.0", "free")}]
)
def test_impossible_queries_are_refused(wrong):
    with pytest.raises(ValueError):
        client.Query(**wrong)


PHRASE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
NASTY = st.text() | st.text('"\\ :()[]*-', min_size=1)


@given(NASTY, NASTY, NASTY)
def test_no_value_of_a_query_leaves_its_quotes_or_adds_a_condition(region, basis, resource):
    phrase = PHRASE.fullmatch(quoted(region))
    assert phrase
    assert re.sub(r"\\(.)", r"\1", phrase[1], flags=re.DOTALL) == region
    query = client.Query(region=region, basis=(basis,), exclude_resources=(resource,))
    rest = [PHRASE.sub("VALUE", term) for term in query.filters()]
    place = ["stateProvince:VALUE", "country:VALUE"] if region else [""]
    others = ["multimedia:Image", "basisOfRecord:VALUE", "-dataResourceUid:VALUE"]
    assert [term for term in rest if term not in place] == others


def test_every_question_switches_the_quality_filters_off_and_asks_for_images():
    atlas, asked = atlas_of(Index([record(0)], cap=5000))
    listed(atlas)
    atlas.species(QUERY)
    assert pages(asked) == ["/occurrences/occurrences/search", "/occurrences/occurrences/facets"]
    for _, parameters in asked:
        assert parameters["disableAllQualityFilters"] == ["true"]
        assert {"multimedia:Image", f'lsid:"{ID}"'} <= set(parameters["fq"])
    assert f'speciesID:"{PRIMA}"' in asked[0][1]["fq"]
    assert asked[1][1]["flimit"] == ["-1"]


# ---- names -----------------------------------------------------------------------------------------------------------


def test_a_name_is_looked_up_once_and_an_identifier_never():
    atlas, asked = atlas_of(lambda *_: reply("name_match"))
    assert [atlas.taxon_id(one) for one in (ID, "urn:lsid:example:taxon:1")] == [ID, "urn:lsid:example:taxon:1"]
    assert not asked
    assert atlas.terms(client.Query(taxon="Testudinata"))[0] == f'lsid:"{ID}"'
    assert atlas.taxon_id("Testudinata") == ID
    assert asked == [("/namematching/api/search", {"q": ["Testudinata"]})]


@pytest.mark.parametrize(
    ("answer", "hint"), [("name_guess", "Did you mean Testudinata (class)?"), ("name_unknown", "")]
)
def test_an_unknown_name_is_not_taken_for_another(answer, hint):
    with pytest.raises(DataError, match="no taxon of the name 'Testudinatta'") as raised:
        atlas_of(lambda *_: reply(answer))[0].taxon_id("Testudinatta")
    assert hint in str(raised.value)
    assert "in full" in str(raised.value)


# ---- species ---------------------------------------------------------------------------------------------------------


def test_species_are_ranked_without_the_records_of_none():
    assert atlas_of(lambda *_: reply("facet_species"))[0].species(QUERY) == [
        ("https://taxa.example/nameless", "", 9),
        (PRIMA, "Testudo prima", 7),
        ("https://taxa.example/z", "Testudo alba", 5),
        ("https://taxa.example/a", "Testudo zeta", 5),
    ]
    assert atlas_of(lambda *_: [])[0].species(QUERY) == []


def changed(name, **values):
    content = reply(name)
    (content[0] if isinstance(content, list) else content).update(values)
    return content


ROW = reply("facet_species")[0]["fieldResult"][0]


@pytest.mark.parametrize(
    "answer",
    [
        *(changed("facet_species", **wrong) for wrong in ({"count": 3}, {"count": 6}, {"fieldName": "genusID"})),
        changed("facet_species", fieldResult=[{"label": "x"}], count=1),
        changed("facet_species", fieldResult=[ROW] * 2, count=2),
        changed("facet_species", fieldResult=[ROW | {"fq": "x:1"}], count=1),
        reply("facet_species") * 2,
        *(
            {"message": "down for maintenance"},
            "<!doctype html><p>down for maintenance",
            (503, "busy"),
            (404, {}),
            None,
        ),
    ],
)
def test_an_answer_that_is_no_whole_facet_is_refused(answer):
    with pytest.raises(DataError):
        atlas_of(lambda *_: answer)[0].species(QUERY)


def test_a_refusal_says_what_was_asked_and_what_came():
    with pytest.raises(DataError) as raised:
        atlas_of(lambda *_: (500, "out  of\nmemory"))[0].species(QUERY)
    (problem,) = raised.value.problems
    assert problem.startswith("GET https://api.ala.org.au/occurrences/occurrences/facets?")
    assert "facets=speciesID" in problem
    assert problem.endswith("status 500: out of memory")


# ---- records ---------------------------------------------------------------------------------------------------------


def record(number, year=None, month=None, resource="dr1"):
    values = {"species": "Testudo prima", "dataResourceUid": resource, "images": [f"i-{number}"]}
    values |= {name: value for name, value in (("year", year), ("month", month)) if value}
    return {"uuid": f"r-{number:05}"} | values


class Index:
    """A search and facets over `records` that give out the first `cap` records of a search, as the service does."""

    def __init__(self, records, cap):
        self.records, self.cap = sorted(records, key=lambda one: one["uuid"]), cap

    def matching(self, parameters):
        found = self.records
        for term in parameters["fq"]:
            if match := re.fullmatch(r'(year|month|dataResourceUid):"(.*)"', term):
                found = [one for one in found if str(one.get(match[1])) == match[2]]
            elif match := re.fullmatch(r"-(\w+):\*", term):
                found = [one for one in found if match[1] not in one]
        return found

    def __call__(self, path, parameters, request):
        found = self.matching(parameters)
        if path.endswith("/facets"):
            return self.facet(parameters["facets"][0], found)
        start, size = int(parameters["start"][0]), int(parameters["pageSize"][0])
        if start >= self.cap:
            start = size = 0
        elif start + size >= self.cap:
            size = self.cap - start
        page = found[start : start + size]
        return {"status": "OK", "totalRecords": len(found), "startIndex": start, "pageSize": size, "occurrences": page}

    def facet(self, field, found):
        counts = Counter(str(one[field]) for one in found if field in one)
        rows = [
            {"label": value, "i18nCode": f"{field}.{value}", "count": count, "fq": f'{field}:"{value}"'}
            for value, count in counts.items()
        ]
        return [{"fieldName": field, "fieldResult": rows, "count": len(rows)}] if rows else []


def listed(atlas):
    return [one["occurrence"] for one in atlas.occurrences(QUERY, PRIMA)]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([None, 1999, 2018]), st.sampled_from([None, 1, 2]), st.sampled_from(["dr1", "dr2"])),
        max_size=60,
    ),
    st.integers(1, 70),
)
def test_records_come_all_and_once_whatever_the_depth_of_a_search(cells, cap):
    atlas, _ = atlas_of(Index([record(number, *cell) for number, cell in enumerate(cells)], cap))
    if max(Counter(cells).values(), default=0) <= cap:
        assert sorted(listed(atlas)) == [f"r-{number:05}" for number in range(len(cells))]
    else:
        with pytest.raises(DataError, match=f"gives out only the first {cap}"):
            listed(atlas)


def test_pages_go_on_to_the_stated_total(monkeypatch):
    monkeypatch.setattr(client, "PAGE", 10)
    atlas, asked = atlas_of(Index([record(number, 2018, 1) for number in range(35)], cap=5000))
    assert listed(atlas) == [f"r-{number:05}" for number in range(35)]
    assert [parameters["start"] for _, parameters in asked] == [["0"], ["10"], ["20"], ["30"]]
    assert {parameters["sort"][0] for _, parameters in asked} == {"id"}


def test_a_depth_once_met_is_not_tried_again():
    atlas, asked = atlas_of(Index([record(number, 1980 + number // 40) for number in range(120)], cap=50))
    first, before = listed(atlas), len(asked)
    assert len(first) == 120
    assert listed(atlas) == first
    assert len(asked) - before == before - 1  # the page that came back empty


def test_more_records_than_the_service_gives_out_at_the_published_depth():
    atlas, asked = atlas_of(Index([record(number, 1990 + number % 3) for number in range(6001)], cap=5000))
    assert len(set(listed(atlas))) == 6001
    assert max(int(parameters.get("start", ["0"])[0]) for _, parameters in asked) < 5000


def test_a_service_that_gives_out_nothing_is_an_error():
    with pytest.raises(DataError, match="none is given out"):
        listed(atlas_of(Index([record(0)], cap=0))[0])


def index_of_four_years(cap=20):
    return Index([record(number, 2010 + number % 4) for number in range(35)], cap)


def drop_first(index):
    index.records.pop(0)


def add(index):
    index.records.append(record(900 + len(index.records), 2010))


def swap(index):
    """One comes at the front while one goes at the back: the total stays."""
    index.records.pop()
    index.records.insert(0, record(0) | {"uuid": f"a-{len(index.asked)}"})


@pytest.mark.parametrize(
    ("change", "cap", "message"),
    [
        (drop_first, 5000, "a page later"),
        (add, 5000, "a page later"),
        (swap, 5000, "came twice"),
        (add, 20, "when asked for by year|a page later"),
    ],
)
def test_records_that_come_or_go_meanwhile_are_noticed(change, cap, message, monkeypatch):
    monkeypatch.setattr(client, "PAGE", 8)
    index = index_of_four_years(cap)
    index.asked = []

    def answer(path, parameters, request):
        if path.endswith("/search"):
            index.asked.append(path)
            if len(index.asked) > 1:
                change(index)
        return index(path, parameters, request)

    with pytest.raises(client.ChangedError, match=message):
        listed(atlas_of(answer)[0])


def test_a_service_that_starts_over_where_it_ends_is_asked_in_slices():
    index = index_of_four_years()

    def answer(path, parameters, request):
        if int(parameters.get("start", ["0"])[0]) >= index.cap:
            parameters["start"] = ["0"]
        return index(path, parameters, request)

    assert len(set(listed(atlas_of(answer)[0]))) == 35


def test_slices_that_do_not_add_up_are_noticed():
    index = index_of_four_years()

    def answer(path, parameters, request):
        body = index(path, parameters, request)
        if path.endswith("/facets"):  # claims to be whole
            body[0]["fieldResult"][0]["count"] += body[0]["fieldResult"].pop()["count"]
            body[0]["count"] -= 1
        return body

    with pytest.raises(client.ChangedError, match="when asked for by year"):
        listed(atlas_of(answer)[0])


@pytest.mark.parametrize(
    "answer",
    [
        changed("search_mixed_versions", status="ERROR", errorMessage="undefined", occurrences=[], totalRecords=0),
        changed("search_mixed_versions", occurrences=None),
        changed("search_mixed_versions", occurrences=[{"images": ["i-1"]}]),
        {"totalRecords": 0, "occurrences": []},
    ],
)
def test_an_answer_that_is_no_page_of_records_is_refused(answer):
    with pytest.raises(DataError):
        listed(atlas_of(lambda *_: answer)[0])


def test_fields_of_both_versions_are_read_alike():
    first, second, third = atlas_of(lambda *_: reply("search_mixed_versions"))[0].occurrences(QUERY, PRIMA)
    assert first == {
        **{"occurrence": "r-1", "record": "https://biocache.ala.org.au/occurrences/r-1", "images": ["i-1", "i-2"]},
        **{"species": "Testudo prima", "species_id": PRIMA, "genus": "Testudo", "family": "Testudidae"},
        **{"order": "Testudines", "record_licence": "CC-BY-NC 3.0 (Au)", "data_resource": "Shell Watch"},
        **{"recorded_by": "Watcher One | Watcher Two", "event_date": "2018-06-13"},
        **{"basis_of_record": "HUMAN_OBSERVATION", "latitude": "-31.25", "longitude": "149.5"},
    }
    read = [second[column] for column in ("images", "event_date", "basis_of_record", "recorded_by")]
    assert read == [["i-3"], "1900-01-01", "PRESERVED_SPECIMEN", "Watcher Three"]
    assert (third["images"], third["event_date"], third["latitude"]) == ([], "1999-06", "")


@pytest.mark.parametrize(
    ("fields", "date"),
    [
        ({"eventDate": "2018-06-13T00:00:00Z"}, "2018-06-13"),
        ({"eventDate": 10**18, "year": "2018", "month": 6}, "2018-06"),
        ({"year": 2018, "month": None}, "2018"),
        ({"month": 6}, ""),
        ({}, ""),
    ],
)
def test_dates_are_as_exact_as_the_record(fields, date):
    assert replies.event_date(fields) == date


# ---- images ----------------------------------------------------------------------------------------------------------


def images_answer(path, parameters, request):
    if path.endswith("/getImageInfoForIdList"):
        return reply("image_list")
    return (404, reply("image_unknown")) if path.endswith("/i-3") else reply("image")


def test_images_are_asked_for_together_and_then_one_by_one_where_something_lacks():
    atlas, asked = atlas_of(images_answer)
    info = dict(atlas.image_info(["i-1", "i-2", "i-3"]))
    assert list(info) == ["i-1", "i-2", "i-3"]
    assert info["i-1"]["licence"] == "CC BY-NC 4.0"
    assert info["i-2"] == {
        **{"licence": "CC BY 4.0", "creator": "Watcher One", "rights_holder": "Shell Watch"},
        **{"date_uploaded": "2018-10-31", "bytes": "65536", "width": "640", "height": "480"},
    }
    assert info["i-3"] == client.UNKNOWN
    one_by_one = ["/images/ws/image/i-2", "/images/ws/image/i-3"]
    assert pages(asked) == ["/images/ws/getImageInfoForIdList", *one_by_one]


def test_details_come_one_by_one():
    atlas, asked = atlas_of(images_answer)
    ((_, info),) = atlas.image_info(["i-1"], details=True)
    assert (info["licence"], info["date_uploaded"]) == ("CC BY 4.0", "2018-10-31")
    assert pages(asked) == ["/images/ws/image/i-1"]


def test_a_hundred_ids_a_question_and_no_more():
    sizes = []

    def answer(path, parameters, request):
        ids = json.loads(request.body)["imageIds"]
        sizes.append(len(ids))
        return {"success": True, "results": {one: {"license": "CC0"} for one in ids}, "invalidImageIds": []}

    ids = [f"i-{number}" for number in range(250)]
    assert [one for one, _ in atlas_of(answer)[0].image_info(iter(ids))] == ids
    assert sizes == [100, 100, 50]


def silent(*_):
    raise requests.ConnectionError("Read timed out.")


@pytest.mark.parametrize("failure", [(500, "error"), (404, {}), {"success": False}, "<html>", silent])
def test_without_the_list_form_it_takes_longer_and_loses_nothing(failure, caplog):
    def answer(path, parameters, request):
        if not path.endswith("List"):
            return reply("image")
        return failure() if failure is silent else failure

    atlas, asked = atlas_of(answer)
    info = dict(atlas.image_info([f"i-{number}" for number in range(201)]))
    assert len(info) == 201
    assert all(one["licence"] == "CC BY 4.0" for one in info.values())
    assert sum(path.endswith("List") for path in pages(asked)) == 1
    assert "one by one" in caplog.text


def test_what_the_list_knows_of_an_image_is_kept_where_nothing_more_comes():
    def answer(path, parameters, request):
        return reply("image_list") if path.endswith("List") else silent()

    info = dict(atlas_of(answer)[0].image_info(["i-1", "i-2", "i-3"]))
    assert info["i-1"]["licence"] == "CC BY-NC 4.0"
    assert (info["i-2"]["licence"], info["i-2"]["width"]) == ("", "20")
    assert info["i-3"] == client.UNAVAILABLE


def test_a_service_that_never_answers_ends_the_listing():
    atlas, asked = atlas_of(silent)
    with pytest.raises(requests.ConnectionError):
        list(atlas.image_info([f"i-{number}" for number in range(99)]))
    assert len(asked) == 1 + client.AT_MOST


@pytest.mark.parametrize(
    ("recognised", "text", "licence"),
    [
        ({"acronym": "CC BY-NC 4.0"}, "", "CC BY-NC 4.0"),
        ("CC BY-NC 4.0", "all rights reserved", "CC BY-NC 4.0"),
        ("unrecognised_licence", "CC-BY 4.0 (Int)", "CC BY 4.0"),
        (None, "http://creativecommons.org/licenses/by-nc/4.0/", "CC BY-NC 4.0"),
        (None, "ask me", ""),
        ({"acronym": None}, None, ""),
    ],
)
def test_the_recognised_licence_counts_and_else_the_text(recognised, text, licence):
    assert replies.one_image(reply("image") | {"recognisedLicence": recognised, "license": text})["licence"] == licence


@pytest.mark.parametrize("answer", [[], {}, (404, "no such page"), "<html>"])
def test_an_answer_that_is_no_image_is_refused(answer):
    with pytest.raises(DataError):
        list(atlas_of(lambda *_: answer)[0].image_info(["i-1"], details=True))


def test_addresses():
    atlas, _ = atlas_of(None)
    assert atlas.image_url("i-1", "large") == "https://api.ala.org.au/images/image/i-1/large"
    assert atlas.image_url("../a?b", "large") == "https://api.ala.org.au/images/image/..%2Fa%3Fb/large"
    for size in ("large", "original"):
        assert image_page(atlas.image_url("i-1", size)) == "https://images.ala.org.au/image/i-1"
    other = client.Atlas(requests.Session(), occurrences="http://other.example/ws/", images="http://pictures.example/")
    assert other.record_page("r-1") == "http://other.example/ws/occurrences/r-1"
    assert image_page(other.image_url("i-1", "original")) == "http://pictures.example/image/i-1"


# ---- the session that remembers --------------------------------------------------------------------------------------


@pytest.fixture
def server():
    with Server(told(200, reply("image"))) as running:
        yield running


def told(status, body):
    """Gives this answer to every request."""
    return lambda asked: Reply(json.dumps(body).encode(), status)


@pytest.fixture
def remembering(tmp_path, server):
    """Opens an atlas that remembers what earlier ones were answered."""

    def opened(per_second=0.0):
        session = client.listing_session(tmp_path, per_second=per_second, reroute={"http://atlas.example": server.base})
        return client.Atlas(session, **dict.fromkeys(("occurrences", "images", "names"), "http://atlas.example"))

    return opened


def licence_of(atlas, image_id):
    return dict(atlas.image_info([image_id], details=True))[image_id].get("licence")


def test_remembered_answers_are_neither_asked_for_again_nor_waited_for(remembering, server):
    ids = ["a", "b", "c", "d"]
    start = time.monotonic()
    first = list(remembering(per_second=4).image_info(ids, details=True))
    paced = time.monotonic() - start
    assert len(server.asked) == 4
    assert paced > 0.7  # three waits of a quarter of a second
    start = time.monotonic()
    assert list(remembering(per_second=4).image_info(ids * 5, details=True)) == first * 5
    assert time.monotonic() - start < paced
    assert len(server.asked) == 4


def test_questions_by_post_are_told_apart_and_remembered(remembering, server):
    server.answer = told(200, reply("image_list"))
    for _ in range(2):
        atlas = remembering()
        assert dict(atlas.image_info(["i-1"]))["i-1"]["licence"] == "CC BY-NC 4.0"
        list(atlas.image_info(["i-1", "i-1"]))
    assert len(server.asked) == 2


def test_a_remembered_answer_that_cannot_be_used_is_asked_for_again(remembering, server):
    server.answer = told(200, {"message": "down for maintenance"})
    for _ in range(2):
        with pytest.raises(DataError, match="down for maintenance"):
            remembering().species(QUERY)
    server.answer = told(200, reply("facet_species"))
    assert len(remembering().species(QUERY)) == 4
    asked = len(server.asked)
    assert len(remembering().species(QUERY)) == 4
    assert len(server.asked) == asked


def test_failures_are_not_remembered(remembering, server):
    server.answer = told(404, reply("image_unknown"))
    assert dict(remembering().image_info(["a"], details=True)) == {"a": client.UNKNOWN}
    server.answer = told(200, reply("image"))
    assert licence_of(remembering(), "a") == "CC BY 4.0"


def test_an_image_without_an_answer_stops_no_listing_and_a_service_that_is_down_does(remembering, server, monkeypatch):
    monkeypatch.setattr("urllib3.util.retry.Retry._sleep_backoff", lambda self: None)
    well, oops = told(200, reply("image")), told(500, {"message": "oops"})
    server.answer = lambda asked: (oops if "bad" in asked.path else well)(asked)
    atlas = remembering()
    found = dict(atlas.image_info(["a", "bad", "c"], details=True))
    assert found["bad"] == client.UNAVAILABLE and found["a"]["licence"] == found["c"]["licence"] == "CC BY 4.0"
    with pytest.raises(DataError, match="status 500"):
        list(atlas.image_info([f"bad{number}" for number in range(client.AT_MOST)], details=True))


def test_the_day_of_a_listing_is_that_of_its_oldest_answer(remembering):
    licence_of(remembering(), "a")
    atlas = remembering()
    before = atlas.oldest
    atlas.oldest = before + datetime.timedelta(days=3)  # as if the client had been made then
    licence_of(atlas, "b")
    assert atlas.oldest > before + datetime.timedelta(days=2)
    licence_of(atlas, "a")
    assert atlas.oldest <= before


def test_a_fresh_listing_passes_over_what_is_remembered(remembering, server):
    def count(**options):
        return len(list(remembering().occurrences(QUERY, PRIMA, **options)))

    page = reply("search_mixed_versions")
    server.answer = told(200, page)
    assert count() == 3
    page |= {"totalRecords": 2, "occurrences": page["occurrences"][:2]}
    assert (count(), count(fresh=True), count()) == (3, 2, 2)


# ---- answers of the real services ------------------------------------------------------------------------------------


def recorded(name):
    path = RECORDED / f"{name}.json"
    if not path.is_file():
        pytest.skip("the recorded answers are not part of the repository")
    return json.loads(path.read_text(encoding="utf-8"))


def test_recorded_facets():
    rows = replies.facet_rows(recorded("galah_v3_facets_month_2023-01-10"), "month")
    assert len(rows) == 12
    assert rows[0] == ("October", 11984882, 'month:"10"', False)
    assert len(replies.facet_rows(recorded("galah_v3_facets_basisOfRecord_mammalia_2023-06-21"), "basisOfRecord")) == 9
    assert replies.facet_rows(recorded("galah_v3_facets_no_facet_param_empty_2023-06-21"), "year") == []


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("galah_v3_facets_year_flimit101_2023-06-21", "year"),  # 101 rows of 286
        ("galah_v3_facets_speciesID_flimit1_2023-06-21", "speciesID"),
        ("issue973_facets_speciesID_insecta_flimit0_2025-11-10", "speciesID"),
        ("galah_v3_facets_taxonConceptID_1_2023-06-21", "taxonConceptID"),  # two facets, one wrong count
    ],
)
def test_recorded_facets_that_are_cut_are_refused(name, field):
    with pytest.raises(replies.UnexpectedError):
        replies.facet_rows(recorded(name), field)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("portal_v3_occurrences_search_with_image_2022", {"event_date": "2018-06-13", "genus": "Macropus"}),
        ("spocc_v2_occurrences_search_macropus_2020-12-19", {"event_date": "2016-04-01", "species": "", "images": []}),
    ],
)
def test_recorded_pages(name, columns):
    body = recorded(name)
    body |= {"totalRecords": len(body["occurrences"])}
    first, *_ = atlas_of(lambda *_: body)[0].occurrences(QUERY, "x")
    assert {column: first[column] for column in columns} == columns
    assert first["basis_of_record"] == "HUMAN_OBSERVATION"
    assert re.fullmatch(r"[0-9a-f-]{36}", first["occurrence"])
    assert first["latitude"] and first["recorded_by"] and first["data_resource"]


def test_recorded_empty_page_image_and_names():
    assert replies.search_page(recorded("spocc_v2_occurrences_search_grus_rubicunda_2020-07-31")) == (0, 0, [])
    image = replies.one_image(recorded("portal_v3_image_details_2022"))
    assert (image["date_uploaded"], image["bytes"], image["licence"]) == ("2022-05-23", "65629", "")
    found = recorded("galah_namematching_search_mammalia_2023-06-21")
    assert atlas_of(lambda *_: found)[0].taxon_id("Mammalia") == found["taxonConceptID"]
    missed = recorded("galah_namematching_search_nomatch_2023-01-11")
    with pytest.raises(DataError, match="bad_term"):
        atlas_of(lambda *_: missed)[0].taxon_id("bad_term")


def test_recorded_licences():
    for one in recorded("galah_imageservice_ws_licence_GBIFES_2023-01-06"):
        for text in (one["acronym"], one["url"]):
            assert replies.one_image({"success": True, "license": text})["licence"] == one["acronym"]
