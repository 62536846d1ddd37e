"""The plan: every image once, whatever records claim it; counted at each step; whole on disk or not there at all."""

import datetime
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seran_lib.collect import plan
from seran_lib.collect.ala import client
from seran_lib.collect.ala.listing import collect_plan
from seran_lib.collect.ala.query import AS_OF_STATEMENT
from seran_lib.data.tables import read_rows
from seran_lib.errors import DataError

COLUMNS = (
    "image_id, label, species, genus, family, order, species_id, record, occurrence, source_url, source_md5, "
    "source_bytes, source_width, source_height, licence, record_licence, creator, rights_holder, attribution, "
    "data_resource, recorded_by, event_date, basis_of_record, latitude, longitude, date_uploaded, also_labels, "
    "label_conflict, group"
).split(", ")
INFO = {
    **{"licence": "CC BY 4.0", "creator": "Ada", "rights_holder": "", "date_uploaded": "2017-01-01"},
    **{"bytes": "1000", "width": "40", "height": "30"},
}


DAY = datetime.date(2018, 10, 31)


class Stub:
    """An atlas of `records` (label -> {uuid: images}), whose images are as INFO but for what `info` says."""

    occurrences_base = images_base = names_base = "http://atlas.example"
    oldest = datetime.datetime(2031, 5, 17, 12, tzinfo=datetime.UTC)

    def __init__(self, records, info=None, changes=0):
        self.records, self.info, self.changes = records, info or {}, changes
        self.details, self.fresh = [], []

    def taxon_id(self, taxon):
        return f"id of {taxon}"

    def terms(self, query):
        return [f"lsid:{self.taxon_id(query.taxon)}", *query.filters()]

    def species(self, query):
        counts = [client.SpeciesCount(f"id of {name}", name, len(records)) for name, records in self.records.items()]
        return sorted(counts, key=lambda one: (-one.records, one.name))

    def occurrences(self, query, species_id, *, fresh=False):
        self.fresh.append(fresh)
        name = species_id.removeprefix("id of ")
        for number, (uuid, images) in enumerate(list(self.records[name].items())):
            if number == 1 and self.changes:
                self.changes -= 1
                del self.records[name][next(iter(self.records[name]))]
                raise client.ChangedError("a record went")
            columns = dict.fromkeys(
                "family order record_licence event_date basis_of_record latitude longitude".split(), ""
            )
            yield columns | {
                **{"occurrence": uuid, "record": f"http://atlas.example/{uuid}", "images": list(images)},
                **{"species": name, "species_id": species_id, "genus": "", "recorded_by": "Bo", "data_resource": "Log"},
            }

    def image_info(self, ids, *, details=False):
        self.details.append(details)
        for image_id in ids:
            info = self.info.get(image_id, {})
            yield image_id, INFO | info if isinstance(info, dict) else info

    def image_url(self, image_id, size):
        return f"http://atlas.example/image/{image_id}/{size}"


def collect(folder, records, info=None, query=None, **options):
    return collect_plan(Stub(records, info), query or client.Query(), folder, **options)


def rows(folder):
    return {row["image_id"]: row for _, row in read_rows(folder / "plan.csv")}


def question(folder):
    return json.loads((folder / "query.json").read_text(encoding="utf-8"))


SHARED = {
    "Bombus zeta": {"r3": ["both", "z1"], "r1": ["z1", "z2"], "r2": ["z1"]},
    "Apis alpha": {"r4": ["both", "a1"], "r5": []},
}


def test_every_image_once_under_the_first_label_with_all_its_records(tmp_path):
    found = collect(tmp_path, SHARED)
    table = rows(tmp_path)
    named = [("Apis alpha", "a1"), ("Apis alpha", "both"), ("Bombus zeta", "z1"), ("Bombus zeta", "z2")]
    assert [(row["label"], row["image_id"]) for row in table.values()] == named
    assert table["z1"]["occurrence"] == "r1 | r2 | r3"
    assert table["z1"]["record"] == "http://atlas.example/r1"
    assert (table["z1"]["label_conflict"], table["z1"]["also_labels"]) == ("0", "")
    assert (table["both"]["label_conflict"], table["both"]["also_labels"]) == ("1", "Bombus zeta")
    assert table["both"]["occurrence"] == "r4"
    assert {row["group"] for row in table.values()} == {"r1"}  # a1 and both, both and z1, z1 and z2 share a record
    assert (found.species, found.images) == (2, 4)
    assert found.images_per_species == {"Apis alpha": 2, "Bombus zeta": 2}
    dropped = ("unknown_to_image_service", "without_answer", "by_licence", "by_as_of", "by_per_species")
    assert found.counts == question(tmp_path)["counts"]
    assert found.counts == dict.fromkeys((f"dropped_{reason}" for reason in dropped), 0) | {
        **{"species_found": 2, "species_taken": 2, "records_in_ranking": 5, "records": 5, "records_without_image": 1},
        **{"image_ids": 4, "ids_in_several_records": 2, "ids_under_several_species": 1, "planned": 4},
    }


def test_a_row_has_the_agreed_columns(tmp_path):
    collect(tmp_path, {"Apis alpha": {"r1": ["a1"]}}, {"a1": {"creator": "", "licence": ""}})
    row = rows(tmp_path)["a1"]
    assert list(row) == COLUMNS
    filled = {column: value for column, value in row.items() if value}
    assert filled == {
        **{"image_id": "a1", "label": "Apis alpha", "species": "Apis alpha", "genus": "Apis"},
        **{"species_id": "id of Apis alpha", "record": "http://atlas.example/r1", "occurrence": "r1"},
        **{"source_url": "http://atlas.example/image/a1/large", "date_uploaded": "2017-01-01", "label_conflict": "0"},
        **{"data_resource": "Log", "recorded_by": "Bo", "group": "r1"},
        "attribution": "recorded by Bo, Log; licence unknown; http://atlas.example/image/a1",
    }


def test_sizes_are_stated_for_the_file_that_is_fetched(tmp_path):
    found = collect(tmp_path, SHARED, size="original")
    row = rows(tmp_path)["a1"]
    assert row["source_url"].endswith("/a1/original")
    assert (row["source_bytes"], row["source_width"], row["source_height"]) == ("1000", "40", "30")
    assert (found.bytes, found.assumed) == (4000, 0)
    found = collect(tmp_path, SHARED)
    assert rows(tmp_path)["a1"]["source_bytes"] == ""
    assert (found.bytes, found.assumed) == (4 * plan.ASSUMED_BYTES["large"], 4)
    assert "4 of unknown size" in found.summary().loc["megabytes", "remark"]


def test_most_recorded_species_first(tmp_path):
    found = collect(tmp_path, SHARED | {"Cydia tie": {"r6": ["c1"], "r7": ["c2"]}}, species=2)
    assert list(found.images_per_species) == ["Apis alpha", "Bombus zeta"]
    assert (found.counts["species_found"], found.counts["species_taken"]) == (3, 2)


def test_licences_of_images_are_filtered_before_anything_is_fetched(tmp_path):
    licences = {"a": "CC BY 4.0", "b": "CC BY 3.0 AU", "c": "CC BY-NC 4.0", "d": "", "e": "CC0 1.0", "f": "CC BY"}
    info = {image_id: {"licence": licence} for image_id, licence in licences.items()}
    records = {"Apis alpha": {"r1": list(licences)}}
    found = collect(tmp_path, records, info, client.Query(licences=("cc-by", "CC0")))
    assert sorted(rows(tmp_path)) == ["a", "b", "e", "f"]
    assert found.counts["dropped_by_licence"] == 2
    collect(tmp_path, records, info, client.Query(licences=("CC BY 4.0",)))
    assert sorted(rows(tmp_path)) == ["a"]
    assert collect(tmp_path, records, info).licences[""] == 1


def test_as_of_drops_later_uploads_and_says_what_cannot_be_known(tmp_path):
    dates = {"a": "2018-10-31", "b": "2018-11-01", "c": "", "d": "2009-01-01"}
    atlas = Stub({"Apis alpha": {"r1": list(dates)}}, {one: {"date_uploaded": day} for one, day in dates.items()})
    found = collect_plan(atlas, client.Query(as_of=DAY), tmp_path)
    assert sorted(rows(tmp_path)) == ["a", "d"]
    assert found.counts["dropped_by_as_of"] == 2
    assert atlas.details == [True]
    assert found.note == question(tmp_path)["as_of_statement"] == AS_OF_STATEMENT
    assert " ".join(found.summary()["remark"]).endswith(AS_OF_STATEMENT)
    assert collect(tmp_path, SHARED).note == ""


def test_images_that_the_service_does_not_know_are_left_out(tmp_path):
    found = collect(tmp_path, SHARED, {"z1": client.UNKNOWN, "a1": client.UNAVAILABLE})
    assert not {"z1", "a1"} & set(rows(tmp_path))
    assert found.counts["dropped_unknown_to_image_service"] == found.counts["dropped_without_answer"] == 1


MANY = {"Apis alpha": {f"a{n}": [f"a{n:03}"] for n in range(60)}, "Bombus zeta": {f"b{n}": [f"b{n}"] for n in range(3)}}


def test_a_draw_is_repeatable_and_each_species_has_its_own(tmp_path):
    found = collect(tmp_path, MANY, per_species=5, seed=1)
    assert found.images_per_species == {"Apis alpha": 5, "Bombus zeta": 3}
    assert found.counts["dropped_by_per_species"] == 55
    first = (tmp_path / "plan.csv").read_bytes()
    drawn = {one for one in rows(tmp_path) if one.startswith("a")}
    collect(tmp_path, MANY, per_species=5, seed=1)
    assert (tmp_path / "plan.csv").read_bytes() == first
    collect(tmp_path, MANY, per_species=5, seed=1, species=1)
    assert set(rows(tmp_path)) == drawn
    collect(tmp_path, MANY, per_species=5, seed=2)
    assert {one for one in rows(tmp_path) if one.startswith("a")} != drawn


def test_species_of_one_size_are_not_drawn_alike(tmp_path):
    records = {name: {name: [f"{name}{n:03}" for n in range(100)]} for name in ("Apis", "Bombus")}
    collect(tmp_path, records, per_species=9)
    assert len({one[-3:] for one in rows(tmp_path)}) > 9


@pytest.mark.parametrize("changes", [1, 2])
def test_a_species_that_changes_is_listed_again_once_and_afresh(tmp_path, changes):
    records = {"Apis alpha": {"r1": ["gone"], "r2": ["a2"], "r3": ["a3"]}, "Bombus zeta": {"r4": ["z"]}}
    atlas = Stub(records, changes=changes)
    if changes == 2:
        with pytest.raises(client.ChangedError):
            collect_plan(atlas, client.Query(), tmp_path)
        assert not list(tmp_path.iterdir())
        return
    collect_plan(atlas, client.Query(), tmp_path)
    assert atlas.fresh == [False, True, False]
    assert sorted(rows(tmp_path)) == ["a2", "a3", "z"]
    assert question(tmp_path)["counts"]["records"] == 3


def test_the_question_is_written_down(tmp_path):
    query = client.Query(taxon="Apoidea", region="Tasmania", since=datetime.date(2000, 1, 1), as_of=DAY)
    collect(tmp_path, SHARED, query=query, per_species=9, seed=4, species=7)
    written = question(tmp_path)
    expected = {
        **{"taxon": "Apoidea", "taxon_id": "id of Apoidea", "region": "Tasmania", "since": "2000-01-01", "until": ""},
        **{"as_of": "2018-10-31", "species": 7, "per_species": 9, "seed": 4, "size": "large"},
        "services": dict.fromkeys(("occurrences", "images", "names"), "http://atlas.example"),
        "filters": ["lsid:id of Apoidea", *query.filters()],
    }
    assert {key: written[key] for key in expected} == expected
    assert written["listed"] == "2031-05-17", "the day of the oldest answer"
    assert list(written) == sorted(written)


@pytest.mark.parametrize("records", [{}, {"Apis alpha": {"r1": []}}])
def test_a_plan_of_nothing_is_an_error_and_replaces_nothing(tmp_path, records):
    collect(tmp_path, SHARED)
    before = (tmp_path / "plan.csv").read_bytes(), question(tmp_path)
    with pytest.raises(DataError, match="no image fits"):
        collect(tmp_path, records)
    assert ((tmp_path / "plan.csv").read_bytes(), question(tmp_path)) == before


@pytest.mark.parametrize("wrong", [{"species": 0}, {"per_species": -1}, {"size": "huge"}])
def test_impossible_arguments(tmp_path, wrong):
    with pytest.raises(ValueError):
        collect(tmp_path / "new", SHARED, **wrong)
    assert not (tmp_path / "new").exists()


def test_a_record_without_any_name_is_not_given_one(tmp_path):
    with pytest.raises(DataError, match="names no species"):
        collect(tmp_path, {"": {"r1": ["a1"]}})


@pytest.mark.parametrize("failing", ["plan.csv", "query.json"])
def test_a_failure_while_writing_leaves_whole_files(tmp_path, monkeypatch, failing):
    collect(tmp_path, SHARED)
    before = (tmp_path / failing).read_bytes()
    replace = os.replace

    def fail(source, target):
        if Path(target).name == failing:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        collect(tmp_path, MANY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan.csv", "query.json"]
    assert (tmp_path / failing).read_bytes() == before
    # Between the two files: the old counts are not told of the new rows.
    assert plan.read_plan(tmp_path).counts == (question(tmp_path)["counts"] if failing == "plan.csv" else {})


NAMES = st.sampled_from(["Apis alpha", "Apis beta", "Bombus zeta"])
IDS = st.lists(st.text("ab,\"'| é", min_size=1, max_size=3), max_size=4)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(NAMES, IDS), min_size=1, max_size=12).filter(lambda claims: any(ids for _, ids in claims)))
def test_the_plan_holds_what_the_records_hold(tmp_path_factory, claims):
    folder = tmp_path_factory.mktemp("plan")
    records: dict = {}
    for number, (name, images) in enumerate(claims):
        records.setdefault(name, {})[f"r{number:02}"] = images
    wanted = {image for _, images in claims for image in images}
    assert collect(folder, records).images == len(wanted)
    table = rows(folder)
    assert set(table) == wanted
    order = [(row["label"], row["image_id"]) for row in table.values()]
    assert order == sorted(order)
    for image, row in table.items():
        names = sorted({name for name, images in claims if image in images})
        assert [row["label"], *row["also_labels"].split("|")] == [names[0], *(names[1:] or [""])]
        assert row["occurrence"].split(" | ") == sorted(u for u, images in records[names[0]].items() if image in images)
    groups = [{table[image]["group"] for image in images} for _, images in claims if images]
    assert all(len(found) == 1 for found in groups)  # pictures of one record are never separated
    alone = {images[0] for _, images in claims if len(images) == 1}
    once = {image for image in alone if sum(image in images for _, images in claims) == 1}
    assert len({table[image]["group"] for image in once}) == len(once)  # and what shares nothing is not joined


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    class Long(Stub):
        def occurrences(self, query, species_id, *, fresh=False):
            for number in range(self.length):
                self.records = {"Apis alpha": {f"r{number}": [f"i{number}"]}}
                yield from super().occurrences(query, species_id)

    def peak(length):
        atlas = Long({"Apis alpha": {"r": ["i"]}})
        atlas.length = length
        tracemalloc.start()
        assert collect_plan(atlas, client.Query(), tmp_path).images == length
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    assert peak(8000) < peak(1000) + 200_000  # a list of seven thousand short texts alone takes twice that


# ---- plans on disk ---------------------------------------------------------------------------------------------------


def test_a_plan_from_elsewhere(tmp_path):
    (tmp_path / "plan.csv").write_text(
        "image_id,label,source_url,source_bytes,licence\n1,NA,http://x/1,500000,CC0 1.0\n2,b,http://x/2,,\n", "utf-8"
    )
    found = plan.read_plan(tmp_path)
    assert (found.species, found.images, found.bytes, found.assumed) == (2, 2, 2_000_000, 1)
    assert found.licences == {"CC0 1.0": 1, "": 1}
    assert found.counts == {} and found.note == ""
    assert found.summary().loc["licence unknown", "number"] == 1
    assert found.seconds(0.5) == 4
    with pytest.raises(ValueError):
        found.seconds(0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("plan.csv", "image_id,label\n1,a\n", "missing column: source_url"),
        ("plan.csv", "image_id,label,source_url,source_bytes\n1,a,u,12\n2,a,u,many\n", "line 3: source_bytes 'many'"),
        ("plan.csv", "image_id,label,source_url,source_bytes\n1,a,u,²\n", "source_bytes"),
        ("plan.csv", "image_id,label,source_url\n1,a\n", "line 2"),
        ("plan.csv", None, "holds no"),
        *(("query.json", content, "not readable") for content in ("{", "[]", b"\xff")),
    ],
)
def test_a_plan_or_question_that_cannot_be_read(tmp_path, name, content, problem):
    collect(tmp_path, SHARED)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=name) as raised:
        plan.read_plan(tmp_path)
    assert problem in str(raised.value)
