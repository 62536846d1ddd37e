"""Credits: no picture without its line, no closed licence passed over, and a description that Croissant can read."""

import csv
import datetime
import json
import logging

import mlcroissant
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seran_lib.collect import credits
from seran_lib.collect.credits import write_credits, write_croissant

ROWS = [
    {
        "image_id": "a1",
        "file": "images/apis_mellifera/a1.jpg",
        "label": "Apis mellifera",
        "group": "o1",
        "sha256": "0" * 64,
        "width": "40",
        "height": "48",
        "licence": "CC BY 4.0",
        "creator": "Observer one",
        "rights_holder": "Museum | North",
        "data_resource": "Insects | of the North",
        "record": "https://atlas.example/occurrences/o1",
        "source_url": "https://atlas.example/images/image/a1/large",
    },
    {
        "image_id": "b2",
        "file": "images/apis_mellifera/b2.jpg",
        "label": "Apis mellifera",
        "group": "o2",
        "sha256": "1" * 64,
        "width": "41",
        "height": "49",
        "licence": "ALL-RIGHTS-RESERVED",
        "creator": "Observer two",
        "rights_holder": "",
        "data_resource": "Garden survey",
        "record": "https://atlas.example/occurrences/o2",
        "source_url": "https://atlas.example/images/image/b2/original",
    },
    {
        "image_id": "c3",
        "file": "images/bombus_terrestris/c3.jpg",
        "label": "Bombus terrestris",
        "group": "c3",
        "sha256": "2" * 64,
        "width": "42",
        "height": "50",
        "licence": "",
        "creator": "",
        "rights_holder": "",
        "data_resource": "Garden survey",
        "record": "",
        "source_url": "https://files.example/c3.jpg?download=1",
        "attribution": "The photographers of the survey",
    },
]
MANIFEST = pd.DataFrame(ROWS).fillna("")
QUERY = {"taxon": "Apidae", "region": "Tasmania", "listed": "2026-11-23"}


@pytest.fixture
def folder(tmp_path):
    MANIFEST.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def credit_rows(folder):
    with open(folder / "CREDITS.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_image_has_its_line(folder):
    write_credits(folder, MANIFEST)
    first, second, third = credit_rows(folder)
    assert list(first) == (
        "image_id,file,creator,rights_holder,data_resource,licence,licence_url,image_page,record".split(",")
    )
    assert first["licence_url"] == "https://creativecommons.org/licenses/by/4.0/"
    assert first["image_page"] == "https://atlas.example/images/image/a1"
    assert second["image_page"] == "https://atlas.example/images/image/b2"
    assert (second["licence"], second["creator"]) == ("ALL-RIGHTS-RESERVED", "Observer two")
    assert third["creator"] == "", "the credit line of a picture whose creator is unknown names others too"
    assert (third["licence"], third["licence_url"]) == ("", "")
    assert third["image_page"] == "https://files.example/c3.jpg"


def test_the_page_of_a_live_picture_is_the_one_people_see(folder):
    address = "https://api.ala.org.au/images/image/a-1/{}"
    write_credits(folder, ({"image_id": size, "source_url": address.format(size)} for size in ("large", "original")))
    assert {row["image_page"] for row in credit_rows(folder)} == {"https://images.ala.org.au/image/a-1"}


def test_one_credit_line_for_all_stands_where_no_column_names_creators(folder):
    write_credits(folder, MANIFEST.drop(columns="creator"))
    assert [row["creator"] for row in credit_rows(folder)] == ["", "", "The photographers of the survey"]


def test_the_summary_counts_and_warns_of_what_must_stay_here(folder):
    write_credits(folder, MANIFEST)
    text = (folder / "CREDITS.md").read_text(encoding="utf-8")
    assert "**2 of 3 images have no open licence**" in text
    assert "must not be redistributed" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert "| [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) | 1 | allowed, on its terms |" in rows
    assert "| unknown | 1 | no |" in rows
    assert rows[-2:] == ["| Garden survey | 2 |", "| Insects \\| of the North | 1 |"]  # most first


def test_an_open_set_is_not_warned_of(folder):
    write_credits(folder, MANIFEST[:1])
    assert "must not" not in (folder / "CREDITS.md").read_text(encoding="utf-8")


def test_a_manifest_without_any_credit_is_all_unknown(folder):
    write_credits(folder, MANIFEST[["image_id", "file", "label"]])
    assert [row["licence"] for row in credit_rows(folder)] == ["", "", ""]
    assert "**3 of 3 images have no open licence**" in (folder / "CREDITS.md").read_text(encoding="utf-8")


def test_rows_may_come_one_by_one(folder):
    def written():
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    write_credits(folder, MANIFEST)
    write_croissant(folder, MANIFEST, QUERY)
    whole = written()
    write_credits(folder, iter(ROWS))
    write_croissant(folder, credits.manifest_rows(folder), QUERY)
    assert written() == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.sampled_from(["CC BY 4.0", "", "\r\n", "CC0 1.0"])), max_size=5))
def test_any_name_survives(folder, values):
    rows = [
        {"image_id": str(number), "creator": creator, "data_resource": resource, "licence": licence}
        for number, (creator, resource, licence) in enumerate(values)
    ]
    rows = [{key: "".join(c for c in text if c.isprintable()) for key, text in row.items()} for row in rows]
    write_credits(folder, iter(rows))
    columns = ("image_id", "creator", "data_resource", "licence")
    assert [{column: row[column] for column in columns} for row in credit_rows(folder)] == rows
    table = (folder / "CREDITS.md").read_text(encoding="utf-8").split("|:--|--:|\n")[1].splitlines()
    assert sum(int(line.rsplit("|", 2)[1]) for line in table) == len(rows)


def test_croissant_reads_the_description_and_its_records(folder, caplog):
    write_croissant(folder, MANIFEST, QUERY)
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    assert "not standard" not in caplog.text
    assert dataset.metadata.name == "Photographs of Apidae Tasmania"
    assert dataset.metadata.date_published == datetime.datetime(2026, 11, 23)
    assert set(dataset.metadata.license) == {
        "ALL-RIGHTS-RESERVED",
        "https://creativecommons.org/licenses/by/4.0/",
        "unknown",
    }
    records = list(dataset.records("pictures_with_labels"))
    assert len(records) == 3
    first = {key.split("/")[1]: value for key, value in records[0].items()}
    assert first["file"] == b"images/apis_mellifera/a1.jpg"
    assert first["label"] == b"Apis mellifera"
    assert first["width"] == 40


def test_croissant_refuses_a_manifest_that_is_not_the_one_described(folder):
    """The checksum in the description is that of the manifest."""
    write_croissant(folder, MANIFEST, QUERY)
    described = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    (manifest,) = [entry for entry in described["distribution"] if entry["@type"] == "cr:FileObject"]
    write_croissant(folder, MANIFEST, QUERY)
    again = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert described == again
    (folder / "manifest.csv").write_text("image_id,file,label\n")
    write_croissant(folder, MANIFEST, QUERY)
    assert manifest["sha256"] not in (folder / "croissant.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("query", [{}, {"taxon": "", "region": None, "listed": ""}])
def test_a_plan_from_elsewhere_is_described_without_a_date(folder, query):
    short = MANIFEST[["image_id", "file", "label"]]
    short.to_csv(folder / "manifest.csv", index=False)
    write_croissant(folder, short, query)
    assert "datePublished" not in (folder / "croissant.json").read_text(encoding="utf-8")
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert len(list(dataset.records("pictures_with_labels"))) == 3


def test_a_set_without_a_picture_is_described_too(folder):
    empty = MANIFEST[:0]
    empty.to_csv(folder / "manifest.csv", index=False)
    write_credits(folder, empty)
    write_croissant(folder, empty, QUERY)
    assert not mlcroissant.Dataset(jsonld=folder / "croissant.json").metadata.ctx.issues.errors


def test_nothing_half_written_takes_the_place_of_the_old(folder):
    write_credits(folder, MANIFEST)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def breaks():
        yield ROWS[0]
        raise RuntimeError("the source of the rows fails")

    with pytest.raises(RuntimeError):
        write_credits(folder, breaks())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
