"""The demo atlas answers as the real one does, quirks included, and holds what a collection has to be cleaned of."""

import calendar
import functools
import io
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from PIL import Image, ImageOps

from seran_lib.collect.ala import client as ala
from seran_lib.collect.http import polite_session
from seran_lib.demo.atlas import pictures, server
from seran_lib.demo.atlas.records import Records
from seran_lib.demo.atlas.server import ADDRESS, IMAGES, NAMES, OCCURRENCES, DemoAtlas

SMALL = {"species": 6, "images": 90, "side": 48, "seed": 3}
SEARCH, FACETS = OCCURRENCES + "/occurrences/search", OCCURRENCES + "/occurrences/facets"
FULL = {"species": 14, "images": 300, "side": 32, "seed": 7}  # the default, but small pictures


@pytest.fixture(scope="module")
def atlas():
    with DemoAtlas(**SMALL) as atlas:
        yield atlas


@pytest.fixture(scope="module")
def session(atlas):
    with polite_session(per_second=0, reroute=atlas.reroute, tries=1) as session:
        yield session


@pytest.fixture(autouse=True)
def _well_again(atlas):
    yield
    atlas.faults.clear()


@pytest.fixture(scope="module")
def ask(session):
    """The JSON that an address answers."""
    return lambda url, **params: session.get(url, params=params, timeout=5).json()


@pytest.fixture
def search(ask):
    return lambda *fq, **params: ask(SEARCH, **{"fq": fq, "pageSize": 500} | params)


@pytest.fixture(scope="module")
def everything():
    """All records of a small atlas whose searches are not cut off."""
    with DemoAtlas(**SMALL, page_depth_max=5000) as whole:
        session = polite_session(per_second=0, reroute=whole.reroute)
        search = functools.partial(session.get, SEARCH, timeout=5)
        yield lambda *fq, **more: search(params={"fq": fq, "pageSize": 999, "sort": "id"} | more).json()


def picture(session, image_id, size="original", **options):
    return session.get(f"{IMAGES}/image/{image_id}/{size}", timeout=5, **options)


def opened(content):
    return Image.open(io.BytesIO(content))


def plain(atlas, kind="field", redirects=False):
    """An id of that kind whose file is served at once, or by a redirect."""
    pictures = atlas._records.pictures.items()
    return next(key for key, one in pictures if (one.kind, one.redirects, one.change) == (kind, redirects, ""))


# ---- species counts -------------------------------------------------------------------------------------------------


def test_facets_list_species_by_id_and_name_and_records_of_a_genus_apart(ask, session, search):
    params = {"fq": ["class:Insecta", "multimedia:Image"], "facets": "speciesID", "flimit": -1}
    (facet,) = ask(FACETS, **params)
    *species, genus_only = facet["fieldResult"]
    assert facet["fieldName"] == "speciesID" and facet["count"] == len(species) == SMALL["species"]
    assert [row["count"] for row in species] == sorted((row["count"] for row in species), reverse=True)
    for row in species:
        assert row["fq"] == f'speciesID:"{row["i18nCode"].removeprefix("speciesID.")}"'
        reply = search("multimedia:Image", row["fq"], pageSize=1)
        assert reply["totalRecords"] == row["count"] and reply["occurrences"][0]["species"] == row["label"]
    assert genus_only["i18nCode"] == "speciesID.novalue" and genus_only["fq"] == "-speciesID:*"
    found = search("class:Insecta", "multimedia:Image", genus_only["fq"])
    assert found["totalRecords"] == genus_only["count"] > 0
    assert {record["taxonRank"] for record in found["occurrences"]} == {"genus"}
    assert session.post(FACETS, data=params, timeout=5).json() == [facet]


def test_the_outer_count_of_a_facet_is_exact_only_when_all_are_asked_for(ask):
    def facet(**params):
        return ask(FACETS, **{"facets": "speciesID"} | params)[0]

    exact, whole = facet(flimit=-1)["count"], facet(flimit=-1)["fieldResult"]
    assert facet(flimit=0)["count"] > exact and facet(flimit=0)["fieldResult"] == []
    first, second = facet(flimit=3), facet(flimit=3, foffset=3)
    assert first["count"] > exact and second["count"] == len(second["fieldResult"]) == 3
    assert first["fieldResult"] + second["fieldResult"] == whole[:6]
    labels = [row["label"] for row in facet(flimit=-1, fsort="index", fq="speciesID:*")["fieldResult"]]
    assert sorted(labels) == sorted(row["label"] for row in whole[:-1])
    assert len(facet(facets="id")["fieldResult"]) == 30
    assert ask(FACETS, q="*:*") == []


def test_other_facets_show_names_for_codes(ask, session):
    names = "year,month,dataResourceUid,license,basisOfRecord"
    facets = {facet["fieldName"]: facet["fieldResult"] for facet in ask(FACETS, facets=names, flimit=-1)}
    assert list(facets) == names.split(",")
    for row in facets["month"][:-1]:
        assert row["label"] == calendar.month_name[int(row["i18nCode"].removeprefix("month."))]
    assert facets["month"][-1]["i18nCode"] == "month.novalue"
    assert "Open Naturalist Network" in {row["label"] for row in facets["dataResourceUid"]}
    assert {row["label"] for row in facets["basisOfRecord"]} == {"Human observation", "Preserved specimen"}
    assert session.get(FACETS, params={"facets": "nonsense"}, timeout=5).status_code == 400


# ---- records --------------------------------------------------------------------------------------------------------


def test_the_default_page_and_the_names_in_a_record(ask):
    reply = ask(SEARCH, q="*:*", fq="images:*")
    assert (reply["pageSize"], reply["startIndex"], reply["status"]) == (10, 0, "OK")
    assert len(reply["occurrences"]) == 10 < reply["totalRecords"]
    for record in reply["occurrences"]:
        assert record["classs"] in ("Insecta", "Arachnida") and record["speciesGuid"].startswith("https://")
        assert record["image"] == record["images"][0] and record["collectors"] == record["recordedBy"]
        assert all("proxyImageThumbnailLarge" in url for url in record["imageUrls"])
        assert record["imageUrl"].startswith(ADDRESS) and "firstLoadedDate" not in record


def test_records_past_the_page_depth_come_back_empty_without_a_word(search):
    assert search(start=60) == search(start=9999) | {"sort": "score"}
    beyond = search(start=60)
    assert (beyond["status"], beyond["startIndex"], beyond["pageSize"], beyond["occurrences"]) == ("OK", 0, 0, [])
    assert beyond["totalRecords"] == search(pageSize=0)["totalRecords"] > 60
    cut = search(start=50, pageSize=20)
    assert cut["pageSize"] == len(cut["occurrences"]) == 10


def test_sorted_pages_join_without_gaps(search):
    pages = [search(sort="id", pageSize=7, start=start)["occurrences"] for start in range(0, 56, 7)]
    ids = [record["uuid"] for page in pages for record in page]
    assert ids == sorted(set(ids)) and len(ids) == 56
    assert [record["uuid"] for record in search(pageSize=56)["occurrences"]] != ids


def test_only_the_fields_asked_for_come_back_and_images_also_where_there_are_none(search):
    (record,) = search("images:*", pageSize=1, fl="id,images,speciesID,firstLoadedDate,noSuchField")["occurrences"]
    assert {"uuid", "images", "speciesGuid", "firstLoadedDate"} <= set(record)
    assert not {"scientificName", "license", "noSuchField", "year"} & set(record)
    records = search("-multimedia:Image")["occurrences"]
    assert records and all(record["images"] is None and record["image"] is None for record in records)
    assert all("multimedia" not in record for record in records)


def test_dates_are_milliseconds_months_come_in_two_spellings_and_some_have_none(everything):
    records = everything()["occurrences"]
    undated = [record for record in records if "eventDate" not in record]
    assert 0 < len(undated) == everything("-year:*")["totalRecords"] < len(records) / 5
    kinds = Counter()
    for record in records:
        kinds[type(record.get("month"))] += 1
        if "eventDate" in record:
            when = datetime.fromtimestamp(record["eventDate"] / 1000, UTC)
            assert (when.year, when.month) == (record["year"], int(record["month"])) and 1998 <= when.year <= 2024
        else:
            assert "year" not in record and "month" not in record
    assert min(kinds[int], kinds[str]) > 10


QUERIES = {
    'species:"{species}"': lambda r, s: r.get("species") == s,
    "genus:{genus}": lambda r, s: r["genus"] == s.split()[0],
    'speciesID:"{id}"': lambda r, s: r.get("species") == s,
    "taxonConceptID:{id}": lambda r, s: r.get("species") == s,
    "year:[2005 TO 2012]": lambda r, s: 2005 <= r.get("year", 0) <= 2012,
    "year:{{2005 TO *]": lambda r, s: r.get("year", 0) > 2005,
    "month:06": lambda r, s: int(r.get("month", 0)) == 6,
    "(year:2010 OR year:2011)": lambda r, s: r.get("year") in (2010, 2011),
    'license:("CC0" OR CC-BY)': lambda r, s: r.get("license") in ("CC0", "CC-BY"),
    "-dataResourceUid:dr9001": lambda r, s: r["dataResourceUid"] != "dr9001",
    "NOT class:Insecta": lambda r, s: r["classs"] == "Arachnida",
    "basisOfRecord:PRESERVED_SPECIMEN AND images:*": lambda r, s: r["basisOfRecord"] == "PRESERVED_SPECIMEN",
    'stateProvince:"New South Wales"': lambda r, s: r.get("stateProvince") == "New South Wales",
    "country:Australia": lambda r, s: True,
    "-(stateProvince:* OR year:*)": lambda r, s: not {"stateProvince", "year"} & set(r),
    "taxonRankID:[7000 TO *]": lambda r, s: r["taxonRank"] == "species",
    "*:*": lambda r, s: True,
}


@pytest.mark.parametrize("query", QUERIES)
def test_queries_select_what_they_say(query, everything):
    records = everything()["occurrences"]
    one = next(record for record in records if "species" in record)
    text = query.format(species=one["species"], genus=one["genus"], id=one["speciesGuid"])
    expected = [record["uuid"] for record in records if QUERIES[query](record, one["species"])]
    found = everything(text)
    assert (found["status"], found["totalRecords"]) == ("OK", len(expected))
    assert [record["uuid"] for record in found["occurrences"]] == expected
    assert expected or "NOT" not in query


def test_an_id_of_a_group_finds_all_below_it_and_filters_are_joined(everything, ask):
    below = everything(f'lsid:"{ask(NAMES + "/api/search", q="insecta")["taxonConceptID"]}"')
    assert below["totalRecords"] == everything("class:Insecta")["totalRecords"] < everything()["totalRecords"]
    both = everything("class:Insecta", "firstLoadedDate:[* TO 2018-10-31T23:59:59Z]", fl="id,firstLoadedDate")
    late = everything("class:Insecta", "firstLoadedDate:[2018-11-01T00:00:00Z TO *]")
    assert both["totalRecords"] + late["totalRecords"] == below["totalRecords"]
    limit = datetime(2018, 11, 1, tzinfo=UTC).timestamp() * 1000
    assert both["occurrences"] and all(record["firstLoadedDate"] < limit for record in both["occurrences"])


@pytest.mark.parametrize(
    "query", ["noSuchField:1", "year:", "(year:2001", "year:2001)", "year:[2001", "year:old", "firstLoadedDate:2018"]
)
def test_a_bad_query_is_refused_in_the_body_with_status_200(query, session):
    response = session.get(SEARCH, params={"fq": query}, timeout=5)
    reply = response.json()
    assert response.status_code == 200 and reply["status"] != "OK" and reply["errorMessage"]
    assert reply["occurrences"] == [] and reply["totalRecords"] == 0


def test_names_are_matched_or_not(ask):
    found = ask(NAMES + "/api/search", q="Lepidoptera")
    assert found["success"] and found["rank"] == "order" and found["classs"] == "Insecta"
    assert found["taxonConceptID"] == found["orderID"]
    assert ask(NAMES + "/api/search", q="Nihil nullum")["success"] is False


# ---- images ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "legacy"),
    [("original", "proxyImage"), ("large", "proxyImageThumbnailLarge"), ("thumbnail", "proxyImageThumbnail")],
)
def test_an_image_comes_in_three_sizes_with_its_headers(atlas, session, size, legacy):
    image_id = plain(atlas)
    response = picture(session, image_id, size)
    right = tuple(atlas.truth.loc[image_id, ["width", "height"]])  # smaller than 300: never enlarged
    assert opened(response.content).size == right
    assert response.headers["Content-Type"] in ("image/jpeg", "image/png")
    assert int(response.headers["Content-Length"]) == len(response.content)
    assert response.headers["ETag"] and response.headers["Last-Modified"].endswith("GMT")
    again = session.get(f"{IMAGES}/image/{legacy}", params={"imageId": image_id}, timeout=5)
    assert again.content == response.content and again.headers["ETag"] == response.headers["ETag"]
    assert picture(session, image_id, "huge").status_code == 404


def test_large_pictures_are_reduced_for_the_large_size():
    with DemoAtlas(species=3, images=36, side=600) as atlas, polite_session(reroute=atlas.reroute) as session:
        image_id = plain(atlas)
        large, small = (opened(picture(session, image_id, size).content).size for size in ("large", "thumbnail"))
        assert max(large) <= 650 and max(small) == 300


def test_some_images_are_served_by_a_signed_address(atlas, session):
    image_id = plain(atlas, redirects=True)
    first = picture(session, image_id, allow_redirects=False)
    target = first.headers["Location"]
    assert first.status_code == 302 and target.startswith(f"{ADDRESS}/signed/{image_id}?")
    assert int(parse_qs(urlsplit(target).query)["expires"][0]) > time.time()
    followed = picture(session, image_id)
    assert followed.status_code == 200 and [each.status_code for each in followed.history] == [302]
    assert followed.content == picture(session, image_id, params={"nr": ""}, allow_redirects=False).content
    assert session.get(target.replace("expires=", "expires=9"), timeout=5).status_code == 403


def test_a_lost_file_is_a_404_with_a_picture_all_the_same_and_a_broken_one_is_served(atlas, session):
    missing, broken = (atlas.truth.index[atlas.truth["kind"] == kind] for kind in ("missing", "broken"))
    for image_id in [*missing, "00000000-0000-4000-8000-000000000000"]:
        response = picture(session, image_id, "large")
        assert response.status_code == 404 and response.headers["Content-Type"] == "image/png"
        assert opened(response.content).format == "PNG"
    assert len(broken)
    for image_id in broken:
        response = picture(session, image_id, "large")
        assert response.status_code == 200 and response.headers["Content-Type"] == "image/jpeg"
        with pytest.raises(OSError):
            opened(response.content).load()
        with pytest.raises(ValueError, match="broken"):
            atlas.mask(image_id)


def test_metadata_of_one_image_and_of_many(atlas, session, ask):
    image_id = plain(atlas)
    info, original = ask(f"{IMAGES}/ws/image/{image_id}"), picture(session, image_id)
    assert info["success"] and info["imageIdentifier"] == image_id
    assert info["sizeInBytes"] == len(original.content) and info["mimeType"] == original.headers["Content-Type"]
    assert (info["width"], info["height"]) == tuple(atlas.truth.loc[image_id, ["width", "height"]])
    assert datetime.strptime(info["dateUploaded"], "%Y-%m-%d %H:%M:%S")
    assert session.get(info["imageUrl"], timeout=5).content == original.content
    unknown = session.get(f"{IMAGES}/ws/image/nothing", timeout=5)
    assert unknown.status_code == 404 and unknown.json() == {"success": False, "message": "image id not found"}

    ids, url = atlas.truth.index[:5].tolist(), IMAGES + "/ws/getImageInfoForIdList"
    reply = session.post(url, json={"imageIds": [*ids, "nothing"]}, timeout=5).json()
    assert reply["success"] and list(reply["results"]) == ids and reply["invalidImageIds"] == ["nothing"]
    for image_id, info in reply["results"].items():  # under other names
        single = ask(f"{IMAGES}/ws/image/{image_id}")
        assert (info["filesize"], info["mimetype"]) == (single["sizeInBytes"], single["mimeType"])
        assert not {"dateUploaded", "recognisedLicence", "dataResourceUid"} & set(info)
    assert session.post(url, data="no json", timeout=5).status_code == 400


# ---- what has to be cleaned -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full():
    return DemoAtlas(**FULL)


def test_every_fault_of_a_download_is_there(full):
    truth, counts = full.truth, full.truth["kind"].value_counts()
    assert len(truth) == FULL["images"] and truth.index.is_unique
    assert 35 <= counts["sheet"] <= 55 and counts[["empty", "tiny", "broken", "missing"]].tolist() == [6, 3, 2, 3]
    wrong = truth[(truth["label"] != "") & (truth["true_species"] != "") & (truth["label"] != truth["true_species"])]
    assert 6 <= len(wrong) <= 9
    assert (truth["also_labels"] != "").sum() == 3 and (truth["duplicate_of"] != "").sum() == 11
    assert (truth["label"] == "").sum() == 4


def test_numbers_per_species_are_uneven_and_some_too_small(full):
    usable = full.truth.query(
        "kind in ('field', 'sheet') and duplicate_of == '' and also_labels == '' and label == true_species"
    )
    counts = usable.groupby("label").size()
    assert sum(counts >= 20) >= 9 and 3 <= sum(counts < 10) <= 5 and full.truth.groupby("label").size().max() > 38
    assert len({name.split()[0] for name in counts.index[counts >= 20]}) < sum(counts >= 20)  # sisters


def test_records_of_the_full_atlas(full):
    sightings = full._records.sightings
    images = Counter(len(one.pictures) for one in sightings)
    assert images[0] > 30 and images[2] + images[3] > 10
    hangs_on = Counter(picture.image_id for one in sightings for picture in one.pictures)
    assert set(hangs_on) == set(full.truth.index) and sum(count > 1 for count in hangs_on.values()) == 9
    owner = {picture.image_id: one for one in sightings for picture in one.pictures}
    pairs = 0
    for _, ids in full.truth[full.truth["duplicate_of"] == ""].groupby("cluster").groups.items():
        records = {owner[one].uuid: owner[one] for one in ids}
        pairs += len(records) > 1
        assert len({(one.observer, one.place, one.when and one.when.date()) for one in records.values()}) == 1
    assert pairs > 0
    assert any(one.place is None for one in sightings) and any(ord(c) > 127 for one in sightings for c in one.observer)
    places = [one.place for one in sightings if one.place]
    assert all(-43.7 < latitude < -10 and 113 < longitude < 153.7 for latitude, longitude, _ in places)


def test_licences_are_spelled_in_many_ways_and_disagree_with_the_records(full):
    known = list(filter(None, map(full._pictures.info, full.truth.index)))
    assert len(known) == FULL["images"] - 1  # one missing file is unknown altogether
    spellings = {info["license"] for info in known}
    assert "" in spellings and any("http://" in text for text in spellings) and len(spellings) > 9
    acronyms = {info["recognisedLicence"]["acronym"] for info in known if info["recognisedLicence"]}
    assert {"CC BY 4.0", "CC BY-NC 4.0", "CC0 1.0", "CC BY-SA 4.0", "ALL-RIGHTS-RESERVED"} <= acronyms
    assert any(info["recognisedLicence"] is None and info["license"] for info in known)
    assert any(info["rightsHolder"] == "" for info in known)
    both = {(one.licence_text, picture.licence) for one in full._records.sightings for picture in one.pictures}
    assert any(text == "CC0" and licence != "CC0 1.0" for text, licence in both)


def test_repeats_show_the_same_picture_and_masks_fit(full):
    def pixels(image_id):
        return opened(full._pictures.content(image_id, "original")).convert("L")

    seen = set()
    for row in full.truth[full.truth["duplicate_of"] != ""].itertuples():
        change, size = full._records.pictures[row.Index].change, "original"
        seen.add(change)
        one, other = pixels(row.Index), pixels(row.duplicate_of)
        one = ImageOps.mirror(one) if change == "mirrored" else one
        assert np.abs(np.asarray(one.resize(other.size), float) - np.asarray(other, float)).mean() < 12, change
        contents = {full._pictures.content(image_id, size) for image_id in (row.Index, row.duplicate_of)}
        assert len(contents) == (1 if change == "same" else 2)
        assert row.cluster == full.truth.loc[row.duplicate_of, "cluster"]
    assert seen == {"same", "recompressed", "smaller", "mirrored"}
    for row in full.truth[~full.truth["kind"].isin(["broken", "missing"])].itertuples():
        mask = full.mask(row.Index)
        assert mask.dtype == np.uint8 and mask.shape == (row.height, row.width) == pixels(row.Index).size[::-1]
        assert mask.any() == (row.kind != "empty")
        assert (min(mask.shape) == 20) == (row.kind == "tiny")


def test_the_boxes_of_a_sheet_hold_label_and_ruler(atlas):
    sheets = atlas.truth["kind"] == "sheet"
    assert (sheets == (atlas.truth["label_box"] != "")).all() and (sheets == (atlas.truth["ruler_box"] != "")).all()
    for row in atlas.truth[sheets].itertuples():
        image = opened(atlas._pictures.content(row.Index, "original")).convert("RGB")
        label, ruler = (tuple(map(int, box.split())) for box in (row.label_box, row.ruler_box))
        assert all(0 <= x0 < x1 <= row.width and 0 <= y0 < y1 <= row.height for x0, y0, x1, y1 in (label, ruler))
        assert label[2] <= ruler[0] or ruler[2] <= label[0]
        wood, paper = (np.asarray(image.crop(box), float) for box in (ruler, label))
        assert (wood[:, :, 0] - wood[:, :, 2]).mean() > (paper[:, :, 0] - paper[:, :, 2]).mean() + 8
        assert atlas.mask(row.Index)[label[1] : label[3], label[0] : label[2]].sum() == 0


def test_equal_arguments_give_equal_answers_in_any_order(atlas, tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))  # where no picture is kept yet
    server._holdings.cache_clear()
    twin, other = DemoAtlas(**SMALL), DemoAtlas(**SMALL | {"seed": 4})
    for image_id in reversed(atlas.truth.index):
        assert twin._pictures.content(image_id, "large") == atlas._pictures.content(image_id, "large")
    assert twin.truth.equals(atlas.truth)
    target = "/occurrences/occurrences/search?pageSize=59"
    assert twin.answer("GET", target, b"")[0].body == atlas.answer("GET", target, b"")[0].body
    assert not set(other._records.pictures) & set(atlas.truth.index)


def test_a_picture_is_drawn_once_for_all_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path))
    records = Records(3, 36, seed=5)
    drawn = pictures.Pictures(records, side=32, seed=5)
    truth = drawn.truth()
    monkeypatch.setattr(pictures, "draw_insect", None)
    monkeypatch.setattr(pictures, "draw_empty", None)
    kept = pictures.Pictures(records, side=32, seed=5)
    assert kept.truth().equals(truth)
    assert all(kept.content(image_id, "large") == drawn.content(image_id, "large") for image_id in truth.index)
    monkeypatch.setattr(pictures, "_version", lambda: "another way of drawing")
    with pytest.raises(TypeError):
        pictures.Pictures(records, side=32, seed=5).truth()


@pytest.mark.parametrize("wrong", [{"species": 2}, {"images": 100}, {"side": 20}])
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=str(*wrong.values())):
        DemoAtlas(**wrong)


@pytest.mark.parametrize("seed", range(20))
def test_small_atlases_hold_exactly_what_was_asked_for(seed):
    for species, images in ((3, 36), (5, 60), (8, 130), (30, 360)):
        pictures = Records(species, images, seed).pictures.values()
        assert {one.kind for one in pictures} == {"field", "sheet", "empty", "tiny", "broken", "missing"}
        assert len(pictures) == images and any(one.duplicate_of for one in pictures)


# ---- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cut", "truncate"])
def test_a_body_that_ends_early_is_an_error_and_the_next_is_whole(kind, atlas, session):
    image_id = plain(atlas)
    atlas.faults.set(image_id, kind, times=1)
    with pytest.raises(requests.RequestException) as caught:
        picture(session, image_id)
    assert ("reset" in str(caught.value).lower()) == (kind == "cut")
    assert picture(session, image_id).status_code == 200


def test_faults_that_answer_otherwise(atlas, session):
    image_id = plain(atlas)
    good = picture(session, image_id)

    def with_fault(kind):
        atlas.faults.set(image_id, kind)
        return picture(session, image_id)

    busy = with_fault("busy")
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "1")
    assert with_fault("unavailable").status_code == 503
    missing = with_fault("missing")
    assert missing.status_code == 404 and missing.content.startswith(b"\x89PNG")
    html = with_fault("html")
    assert html.status_code == 200 and "text/html" in html.headers["Content-Type"]
    mistyped = with_fault("wrong_type")
    assert mistyped.headers["Content-Type"] == "text/plain" and mistyped.content == good.content
    changed = with_fault("changed")
    assert changed.status_code == 200 and changed.content != good.content
    opened(changed.content).load()
    with pytest.raises(requests.TooManyRedirects):
        with_fault("redirect_loop")
    atlas.faults.clear()
    assert picture(session, image_id).content == good.content


def test_a_dripping_answer_arrives_byte_by_byte(atlas, session):
    image_id = plain(atlas)
    atlas.faults.set(image_id, "drip", times=1)
    with picture(session, image_id, stream=True) as response:
        start = time.monotonic()
        assert len(response.raw.read(3)) == 3
    assert time.monotonic() - start >= 0.19


def test_a_fault_that_passes_is_survived_by_a_retry_and_unknown_faults_are_refused(atlas):
    image_id, before = plain(atlas), len(atlas.log)
    with polite_session(per_second=0, reroute=atlas.reroute, tries=3) as patient:
        atlas.faults.retry_after = 0
        atlas.faults.set(image_id, "busy", times=2)
        assert picture(patient, image_id).status_code == 200
        atlas.faults.retry_after = 1
    assert [status for _, _, _, status in atlas.log[before:]] == [429, 429, 200]
    with pytest.raises(ValueError, match="flood"):
        atlas.faults.set(image_id, "flood")


def test_a_fault_without_a_body_to_spoil_does_not_hide_behind_a_redirect(atlas, session):
    image_id = plain(atlas, redirects=True)
    atlas.faults.set(image_id, "truncate")
    with pytest.raises(requests.RequestException):
        picture(session, image_id)


# ---- the server -----------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_and_answers_do_not_wait_for_acknowledgements(atlas, session):
    image_id, times = plain(atlas), []
    picture(session, image_id)
    for _ in range(50):
        start = time.monotonic()
        picture(session, image_id)
        times.append(time.monotonic() - start)
        moment, *rest = atlas.log[-1]
        assert rest == ["GET", f"/images/image/{image_id}/original", 200] and start <= moment <= time.monotonic()
    assert sorted(times)[25] < 0.04  # a delayed acknowledgement alone takes as long


def test_latency_is_added_to_pictures_only():
    with DemoAtlas(**SMALL, latency=0.2) as slow, polite_session(per_second=0, reroute=slow.reroute) as session:
        start = time.monotonic()
        session.get(FACETS, timeout=5)
        between = time.monotonic()
        picture(session, plain(slow))
        assert between - start < 0.2 <= time.monotonic() - between


def test_a_closed_atlas_answers_nobody_not_even_on_an_open_connection():
    with DemoAtlas(**SMALL) as atlas, polite_session(per_second=0, reroute=atlas.reroute, tries=1) as session:
        assert session.get(FACETS, timeout=5).status_code == 200
        atlas.__exit__()
        with pytest.raises(requests.ConnectionError):
            session.get(FACETS, timeout=5)


def test_it_can_be_run_by_itself():
    command = [sys.executable, "-u", "-m", "seran_lib", "demo"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "--images" in shown and "--seed" in shown
    with subprocess.Popen([*command, "--species", "3", "--images", "36"], stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline().strip() for _ in range(3)]
            assert requests.get(lines[0] + "/occurrences/search", timeout=10).json()["status"] == "OK"
        finally:
            process.terminate()
    refused = subprocess.run([*command, "--images", "5"], capture_output=True, text=True)
    assert refused.returncode == 2 and "5 images" in refused.stderr and "Traceback" not in refused.stderr


def test_the_client_finds_the_records_of_a_period():
    with DemoAtlas(species=4, images=60, side=32) as atlas:
        session = polite_session(per_second=0, reroute=atlas.reroute)
        client = ala.Atlas(session, occurrences=OCCURRENCES, images=IMAGES, names=NAMES)

        def days(query):
            records = (one for each in client.species(query) for one in client.occurrences(query, each.species_id))
            return {record["occurrence"]: record["event_date"] for record in records}

        ever = days(ala.Query())
        middle = sorted(filter(None, ever.values()))[len(ever) // 2]
        found = days(ala.Query(since=date.fromisoformat(middle), until=date(2020, 12, 31)))
    assert found == {uuid: day for uuid, day in ever.items() if middle <= day <= "2020-12-31"}
    assert 0 < len(found) < len(ever)
