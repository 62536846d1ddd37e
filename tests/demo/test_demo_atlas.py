"""The demo atlas answers as the real one does, quirks included, and holds what a collection has to be cleaned of."""

import calendar
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


@pytest.fixture
def search(session):
    return lambda *fq, **params: session.get(SEARCH, params={"fq": fq, "pageSize": 500} | params, timeout=5).json()


@pytest.fixture
def everything():
    """All records of a small atlas whose searches are not cut off."""
    with (
        DemoAtlas(**SMALL, page_depth_max=5000) as whole,
        polite_session(per_second=0, reroute=whole.reroute) as session,
    ):
        yield lambda *fq, **more: session.get(
            SEARCH, params={"fq": fq, "pageSize": 999, "sort": "id"} | more, timeout=5
        ).json()


def picture(session, image_id, size="original", **options):
    return session.get(f"{IMAGES}/image/{image_id}/{size}", timeout=5, **options)


def plain(atlas, kind="field"):
    """An id of that kind whose file is served at once, without a redirect."""
    pictures = atlas._records.pictures
    return next(one for one in atlas.truth.index if pictures[one].kind == kind and not pictures[one].redirects)


# ---- species counts -------------------------------------------------------------------------------------------------


def test_facets_list_species_by_id_and_name_and_records_of_a_genus_apart(session, search):
    params = {"fq": ["class:Insecta", "multimedia:Image"], "facets": "speciesID", "flimit": -1}
    (facet,) = session.get(FACETS, params=params, timeout=5).json()
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


def test_the_outer_count_of_a_facet_is_exact_only_when_all_are_asked_for(session):
    def facet(**params):
        return session.get(FACETS, params={"facets": "speciesID"} | params, timeout=5).json()[0]

    exact = facet(flimit=-1)["count"]
    assert facet(flimit=0)["count"] > exact and facet(flimit=0)["fieldResult"] == []
    first, second = facet(flimit=3), facet(flimit=3, foffset=3)
    assert first["count"] > exact and second["count"] == len(second["fieldResult"]) == 3
    whole = facet(flimit=-1)["fieldResult"]
    assert first["fieldResult"] + second["fieldResult"] == whole[:6]
    labels = [row["label"] for row in facet(flimit=-1, fsort="index", fq="speciesID:*")["fieldResult"]]
    assert sorted(labels) == sorted(row["label"] for row in whole[:-1])


def test_thirty_values_unless_more_are_asked_for_and_none_without_a_facet(session):
    assert session.get(FACETS, params={"q": "*:*"}, timeout=5).json() == []
    (facet,) = session.get(FACETS, params={"facets": "id"}, timeout=5).json()
    assert len(facet["fieldResult"]) == 30


def test_other_facets_show_names_for_codes(session):
    params = {"facets": "year,month,dataResourceUid,license,basisOfRecord", "flimit": -1}
    facets = {
        facet["fieldName"]: facet["fieldResult"] for facet in session.get(FACETS, params=params, timeout=5).json()
    }
    assert list(facets) == params["facets"].split(",")
    for row in facets["month"][:-1]:
        assert row["label"] == calendar.month_name[int(row["i18nCode"].removeprefix("month."))]
    assert facets["month"][-1]["i18nCode"] == "month.novalue"
    assert "Open Naturalist Network" in {row["label"] for row in facets["dataResourceUid"]}
    assert {row["label"] for row in facets["basisOfRecord"]} == {"Human observation", "Preserved specimen"}
    assert session.get(FACETS, params={"facets": "nonsense"}, timeout=5).status_code == 400


# ---- records --------------------------------------------------------------------------------------------------------


def test_the_default_page_and_the_names_in_a_record(session):
    reply = session.get(SEARCH, params={"q": "*:*", "fq": "images:*"}, timeout=5).json()
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


def test_only_the_fields_asked_for_come_back(search):
    (record,) = search("images:*", pageSize=1, fl="id,images,speciesID,firstLoadedDate,noSuchField")["occurrences"]
    assert {"uuid", "images", "speciesGuid", "firstLoadedDate"} <= set(record)
    assert not {"scientificName", "license", "noSuchField", "year"} & set(record)


def test_a_record_without_images_says_null(search):
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


def test_an_id_of_a_group_finds_all_below_it_and_filters_are_joined(everything, session):
    insects = session.get(NAMES + "/api/search", params={"q": "insecta"}, timeout=5).json()
    below = everything(f'lsid:"{insects["taxonConceptID"]}"')
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


def test_names_are_matched_or_not(session):
    def match(name):
        return session.get(NAMES + "/api/search", params={"q": name}, timeout=5).json()

    found = match("Lepidoptera")
    assert found["success"] and found["rank"] == "order" and found["classs"] == "Insecta"
    assert found["taxonConceptID"] == found["orderID"]
    assert match("Nihil nullum")["success"] is False


# ---- images ---------------------------------------------------------------------------------------------------------


def test_an_image_comes_in_three_sizes_with_its_headers(atlas, session):
    image_id = plain(atlas)
    for size, legacy in (
        ("original", "proxyImage"),
        ("large", "proxyImageThumbnailLarge"),
        ("thumbnail", "proxyImageThumbnail"),
    ):
        response = picture(session, image_id, size)
        image = Image.open(io.BytesIO(response.content))
        assert image.size == tuple(atlas.truth.loc[image_id, ["width", "height"]])  # smaller than 300: never enlarged
        assert response.headers["Content-Type"] in ("image/jpeg", "image/png")
        assert int(response.headers["Content-Length"]) == len(response.content)
        assert response.headers["ETag"] and response.headers["Last-Modified"].endswith("GMT")
        again = session.get(f"{IMAGES}/image/{legacy}", params={"imageId": image_id}, timeout=5)
        assert again.content == response.content and again.headers["ETag"] == response.headers["ETag"]
    assert picture(session, image_id, "huge").status_code == 404


def test_large_pictures_are_reduced_for_the_large_size():
    with DemoAtlas(species=3, images=36, side=600) as atlas, polite_session(reroute=atlas.reroute) as session:
        pictures = atlas._records.pictures
        image_id = next(one for one in pictures if pictures[one].kind == "field" and not pictures[one].change)
        sizes = [
            max(Image.open(io.BytesIO(picture(session, image_id, size).content)).size)
            for size in ("large", "thumbnail")
        ]
        assert sizes[0] <= 650 and sizes[1] == 300


def test_some_images_are_served_by_a_signed_address(atlas, session):
    pictures = atlas._records.pictures
    image_id = next(one for one in pictures if pictures[one].redirects and pictures[one].kind == "field")
    first = picture(session, image_id, allow_redirects=False)
    target = first.headers["Location"]
    assert first.status_code == 302 and target.startswith(f"{ADDRESS}/signed/{image_id}?")
    assert int(parse_qs(urlsplit(target).query)["expires"][0]) > time.time()
    followed = picture(session, image_id)
    assert followed.status_code == 200 and [each.status_code for each in followed.history] == [302]
    assert followed.content == picture(session, image_id, params={"nr": ""}, allow_redirects=False).content
    assert session.get(target.replace("expires=", "expires=9"), timeout=5).status_code == 403


def test_a_file_that_is_gone_is_a_404_with_a_picture_all_the_same(atlas, session):
    missing = atlas.truth.index[atlas.truth["kind"] == "missing"]
    for image_id in [*missing, "00000000-0000-4000-8000-000000000000"]:
        response = picture(session, image_id, "large")
        assert response.status_code == 404 and response.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(response.content)).format == "PNG"


def test_a_broken_file_is_served_as_if_it_were_whole(atlas, session):
    broken = atlas.truth.index[atlas.truth["kind"] == "broken"]
    assert len(broken)
    for image_id in broken:
        response = picture(session, image_id, "large")
        assert response.status_code == 200 and response.headers["Content-Type"] == "image/jpeg"
        with pytest.raises(OSError):
            Image.open(io.BytesIO(response.content)).load()
        with pytest.raises(ValueError, match="broken"):
            atlas.mask(image_id)


def test_metadata_of_one_image(atlas, session):
    image_id = plain(atlas)
    info = session.get(f"{IMAGES}/ws/image/{image_id}", timeout=5).json()
    original = picture(session, image_id)
    assert info["success"] and info["imageIdentifier"] == image_id
    assert info["sizeInBytes"] == len(original.content) and info["mimeType"] == original.headers["Content-Type"]
    assert (info["width"], info["height"]) == tuple(atlas.truth.loc[image_id, ["width", "height"]])
    assert datetime.strptime(info["dateUploaded"], "%Y-%m-%d %H:%M:%S")
    assert session.get(info["imageUrl"], timeout=5).content == original.content
    unknown = session.get(f"{IMAGES}/ws/image/nothing", timeout=5)
    assert unknown.status_code == 404 and unknown.json() == {"success": False, "message": "image id not found"}


def test_metadata_of_many_images_has_other_names_and_lists_unknown_ids(atlas, session):
    ids = atlas.truth.index[:5].tolist()
    url = IMAGES + "/ws/getImageInfoForIdList"
    reply = session.post(url, json={"imageIds": [*ids, "nothing"]}, timeout=5).json()
    assert reply["success"] and list(reply["results"]) == ids and reply["invalidImageIds"] == ["nothing"]
    for image_id, info in reply["results"].items():
        single = session.get(f"{IMAGES}/ws/image/{image_id}", timeout=5).json()
        assert (info["filesize"], info["mimetype"]) == (single["sizeInBytes"], single["mimeType"])
        assert not {"dateUploaded", "recognisedLicence", "dataResourceUid"} & set(info)
    assert session.post(url, data="no json", timeout=5).status_code == 400


# ---- what has to be cleaned -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full():
    with DemoAtlas(**FULL) as atlas:
        yield atlas


def test_every_fault_of_a_download_is_there(full):
    truth, counts = full.truth, full.truth["kind"].value_counts()
    assert len(truth) == FULL["images"] and truth.index.is_unique
    assert 35 <= counts["sheet"] <= 55 and counts[["empty", "tiny", "broken", "missing"]].tolist() == [6, 3, 2, 3]
    wrong = truth[(truth["label"] != "") & (truth["true_species"] != "") & (truth["label"] != truth["true_species"])]
    assert 6 <= len(wrong) <= 9
    assert (truth["also_labels"] != "").sum() == 3 and (truth["duplicate_of"] != "").sum() == 11
    assert (truth["label"] == "").sum() == 4


def test_numbers_per_species_are_uneven_and_some_too_small(full):
    truth = full.truth
    usable = truth[
        truth["kind"].isin(["field", "sheet"]) & (truth["duplicate_of"] == "") & (truth["also_labels"] == "")
    ]
    usable = usable[usable["label"] == usable["true_species"]]
    counts = usable.groupby("label").size()
    assert sum(counts >= 20) >= 9 and 3 <= sum(counts < 10) <= 5 and truth.groupby("label").size().max() > 38
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
        if len(records) > 1:
            pairs += 1
            assert len({(one.observer, one.place, one.when and one.when.date()) for one in records.values()}) == 1
    assert pairs > 0
    assert any(one.place is None for one in sightings) and any(ord(c) > 127 for one in sightings for c in one.observer)
    for one in sightings:
        if one.place:
            assert -43.7 < one.place[0] < -10 and 113 < one.place[1] < 153.7


def test_licences_are_spelled_in_many_ways_and_disagree_with_the_records(full):
    with polite_session(per_second=0, reroute=full.reroute) as session:
        infos = [session.get(f"{IMAGES}/ws/image/{one}", timeout=5).json() for one in full.truth.index]
    known = [info for info in infos if info["success"]]
    assert len(known) == len(infos) - 1  # one missing file is unknown altogether
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
        image = Image.open(io.BytesIO(full._pictures.content(image_id, "original"))).convert("L")
        return image

    pictures, seen = full._records.pictures, Counter()
    for image_id in full.truth.index[full.truth["duplicate_of"] != ""]:
        original = full.truth.loc[image_id, "duplicate_of"]
        change = pictures[image_id].change
        seen[change] += 1
        one, other = pixels(image_id), pixels(original)
        if change == "mirrored":
            one = ImageOps.mirror(one)
        difference = np.abs(np.asarray(one.resize(other.size), float) - np.asarray(other, float)).mean()
        assert difference < 12, change
        if change == "same":
            assert full._pictures.content(image_id, "large") == full._pictures.content(original, "large")
        else:
            assert full._pictures.content(image_id, "original") != full._pictures.content(original, "original")
        assert full.truth.loc[image_id, "cluster"] == full.truth.loc[original, "cluster"]
    assert set(seen) == {"same", "recompressed", "smaller", "mirrored"}
    for row in full.truth.itertuples():
        if row.kind not in ("broken", "missing"):
            mask = full.mask(row.Index)
            assert mask.dtype == np.uint8 and mask.shape == (row.height, row.width) == pixels(row.Index).size[::-1]
            assert mask.any() == (row.kind != "empty")
            assert (min(mask.shape) == 20) == (row.kind == "tiny")


def test_the_boxes_of_a_sheet_hold_label_and_ruler(atlas):
    for row in atlas.truth.itertuples():
        assert (row.kind == "sheet") == (row.label_box != "") == (row.ruler_box != "")
        if row.kind != "sheet":
            continue
        image = Image.open(io.BytesIO(atlas._pictures.content(row.Index, "original"))).convert("RGB")
        label, ruler = (tuple(map(int, box.split())) for box in (row.label_box, row.ruler_box))
        assert all(0 <= x0 < x1 <= row.width and 0 <= y0 < y1 <= row.height for x0, y0, x1, y1 in (label, ruler))
        assert label[2] <= ruler[0] or ruler[2] <= label[0]
        inside, beside = np.asarray(image.crop(ruler), float), np.asarray(image.crop(label), float)
        yellow = [(area[:, :, 0] - area[:, :, 2]).mean() for area in (inside, beside)]
        assert yellow[0] > yellow[1] + 8  # the ruler is of wood, the label of paper
        mask = atlas.mask(row.Index)
        assert mask[label[1] : label[3], label[0] : label[2]].sum() == 0


def test_equal_arguments_give_equal_answers_in_any_order(atlas):
    from seran_lib.demo.atlas import server

    server._holdings.cache_clear()
    with DemoAtlas(**SMALL) as twin:
        for image_id in reversed(atlas.truth.index):
            assert twin._pictures.content(image_id, "large") == atlas._pictures.content(image_id, "large")
        assert twin.truth.equals(atlas.truth)
        target = "/occurrences/occurrences/search?pageSize=59"
        assert twin.answer("GET", target, b"")[0].body == atlas.answer("GET", target, b"")[0].body
    with DemoAtlas(**SMALL | {"seed": 4}) as other:
        assert not set(other.truth.index) & set(atlas.truth.index)


@pytest.mark.parametrize("wrong", [{"species": 2}, {"images": 100}, {"side": 20}])
def test_impossible_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=str(*wrong.values())):
        DemoAtlas(**wrong)


@pytest.mark.parametrize("seed", range(20))
def test_small_atlases_hold_exactly_what_was_asked_for(seed):
    from seran_lib.demo.atlas.records import Records

    for species, images in ((3, 36), (5, 60), (8, 130), (30, 360)):
        records = Records(species, images, seed)
        kinds = {picture.kind for picture in records.pictures.values()}
        assert len(records.pictures) == images and kinds == {"field", "sheet", "empty", "tiny", "broken", "missing"}
        assert any(picture.duplicate_of for picture in records.pictures.values())


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
    Image.open(io.BytesIO(changed.content)).load()
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


def test_faults_for_the_next_requests_and_a_retry_that_survives_them(atlas):
    with polite_session(per_second=0, reroute=atlas.reroute, tries=3) as patient:
        atlas.faults.retry_after = 0
        atlas.faults.next("busy", 2)
        before = len(atlas.log)
        assert patient.get(FACETS, timeout=5).status_code == 200
        atlas.faults.retry_after = 1
    assert [status for _, _, _, status in atlas.log[before:]] == [429, 429, 200]


def test_a_fault_that_needs_a_picture_waits_for_one(atlas, session):
    atlas.faults.next("missing")
    assert session.get(FACETS, timeout=5).status_code == 200
    image_id = plain(atlas)
    assert [picture(session, image_id).status_code for _ in range(2)] == [404, 200]


def test_a_fault_without_a_body_to_spoil_does_not_hide_behind_a_redirect(atlas, session):
    pictures = atlas._records.pictures
    image_id = next(one for one in pictures if pictures[one].redirects and pictures[one].kind == "field")
    atlas.faults.set(image_id, "truncate")
    with pytest.raises(requests.RequestException):
        picture(session, image_id)


def test_unknown_faults_are_refused(atlas):
    with pytest.raises(ValueError, match="flood"):
        atlas.faults.next("flood")


# ---- the server -----------------------------------------------------------------------------------------------------


def test_the_log_keeps_time_method_path_and_status(atlas, session):
    image_id = plain(atlas)
    before = time.monotonic()
    picture(session, image_id)
    moment, *rest = atlas.log[-1]
    assert rest == ["GET", f"/images/image/{image_id}/original", 200] and before <= moment <= time.monotonic()


def test_a_connection_is_kept_and_answers_do_not_wait_for_acknowledgements(atlas, session):
    image_id = plain(atlas)
    picture(session, image_id)
    times = []
    for _ in range(50):
        start = time.monotonic()
        picture(session, image_id)
        times.append(time.monotonic() - start)
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


def test_the_client_finds_the_records_of_a_period(tmp_path):
    with DemoAtlas(species=4, images=60, side=32) as atlas:
        client = ala.Atlas(
            polite_session(per_second=0, reroute=atlas.reroute), occurrences=OCCURRENCES, images=IMAGES, names=NAMES
        )
        ever = {
            record["occurrence"]: record["event_date"]
            for one in client.species(ala.Query())
            for record in client.occurrences(ala.Query(), one.species_id)
        }
        middle = sorted(filter(None, ever.values()))[len(ever) // 2]
        period = ala.Query(since=date.fromisoformat(middle), until=date(2020, 12, 31))
        found = {
            record["occurrence"]
            for one in client.species(period)
            for record in client.occurrences(period, one.species_id)
        }
    assert found == {uuid for uuid, day in ever.items() if middle <= day <= "2020-12-31"}
    assert 0 < len(found) < len(ever)
