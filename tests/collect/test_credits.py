"""Credits: no picture without its line, no closed licence passed over, and a description that Croissant can read."""

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
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.files import file_sha256

ROWS = [
    {
        "image_id": "a1",
        "file": "images/apis_mellifera/a1.jpg",
        "label": "Apis mellifera",
        "width": "40",
        "height": "48",
        "licence": "CC BY 4.0",
        "creator": "Observer one",
        "rights_holder": "Museum | North",
        "data_resource": "Insects | of the North",
        "source_url": "https://atlas.example/images/image/a1/large",
    },
    {
        "image_id": "b2",
        "file": "images/apis_mellifera/b2.jpg",
        "label": "Apis mellifera",
        "licence": "ALL-RIGHTS-RESERVED",
        "creator": "Observer two",
        "data_resource": "Garden survey",
        "source_url": "https://atlas.example/images/image/b2/original",
    },
    {
        "image_id": "c3",
        "file": "images/bombus_terrestris/c3.jpg",
        "label": "Bombus terrestris",
        "data_resource": "Garden survey",
        "source_url": "https://files.example/c3.jpg?download=1",
        "attribution": "The photographers of the survey",
    },
]
MANIFEST = pd.DataFrame(ROWS).fillna("").to_dict("records")
SHORT = [{name: row[name] for name in ("image_id", "file", "label")} for row in MANIFEST]
QUERY = {"taxon": "Apidae", "region": "Tasmania", "listed": "2026-11-23"}


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path / "manifest.csv", list(MANIFEST[0]), MANIFEST)
    return tmp_path


def credit_rows(folder):
    return [row for _, row in read_rows(folder / "CREDITS.csv")]


def summary(folder):
    return (folder / "CREDITS.md").read_text(encoding="utf-8")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_one_credit_line_for_all_stands_where_no_column_names_creators(folder):
    write_credits(folder, ({name: row[name] for name in row if name != "creator"} for row in MANIFEST))
    assert [row["creator"] for row in credit_rows(folder)] == ["", "", "The photographers of the survey"]


def test_the_summary_counts_and_warns_of_what_must_stay_here(folder):
    write_credits(folder, MANIFEST)
    assert "**2 of 3 images have no open licence**" in summary(folder)
    assert "must not be redistributed" in summary(folder)
    rows = [line for line in summary(folder).splitlines() if line.startswith("| ")]
    assert "| [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) | 1 | allowed, on its terms |" in rows
    assert "| unknown | 1 | no |" in rows
    assert rows[-2:] == ["| Garden survey | 2 |", "| Insects \\| of the North | 1 |"]  # most first
    write_credits(folder, MANIFEST[:1])
    assert "must not" not in summary(folder)


def test_a_manifest_without_any_credit_is_all_unknown(folder):
    write_credits(folder, SHORT)
    assert [row["licence"] for row in credit_rows(folder)] == ["", "", ""]
    assert "**3 of 3 images have no open licence**" in summary(folder)


def test_rows_may_come_one_by_one(folder):
    write_credits(folder, MANIFEST)
    write_croissant(folder, MANIFEST, QUERY)
    whole = contents(folder)
    write_credits(folder, iter(MANIFEST))
    write_croissant(folder, credits.manifest_rows(folder), QUERY)
    assert contents(folder) == whole


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
    table = summary(folder).split("|:--|--:|\n")[1].splitlines()
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
    licences = {"ALL-RIGHTS-RESERVED", "https://creativecommons.org/licenses/by/4.0/", "unknown"}
    assert set(dataset.metadata.license) == licences
    records = list(dataset.records("pictures_with_labels"))
    assert len(records) == 3
    first = {key.split("/")[1]: value for key, value in records[0].items()}
    assert first["file"] == b"images/apis_mellifera/a1.jpg"
    assert first["label"] == b"Apis mellifera"
    assert first["width"] == 40


def test_croissant_refuses_a_manifest_that_is_not_the_one_described(folder):
    """The checksum in the description is that of the manifest."""
    described = []
    for manifest in ((folder / "manifest.csv").read_text(), "image_id,file,label\n"):
        (folder / "manifest.csv").write_text(manifest)
        write_croissant(folder, MANIFEST, QUERY)
        described.append(json.loads((folder / "croissant.json").read_text(encoding="utf-8"))["distribution"][0])
    assert [one["@type"] for one in described] == ["cr:FileObject"] * 2
    assert described[0]["sha256"] != described[1]["sha256"] == file_sha256(folder / "manifest.csv")


@pytest.mark.parametrize("query", [{}, {"taxon": "", "region": None, "listed": ""}])
@pytest.mark.parametrize("images", [0, 3])
def test_a_plan_from_elsewhere_is_described_without_a_date(folder, query, images):
    short = SHORT[:images]
    write_rows(folder / "manifest.csv", list(SHORT[0]), short)
    write_credits(folder, short)
    write_croissant(folder, short, query)
    assert "datePublished" not in (folder / "croissant.json").read_text(encoding="utf-8")
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not images or len(list(dataset.records("pictures_with_labels"))) == images


def test_nothing_half_written_takes_the_place_of_the_old(folder):
    write_credits(folder, MANIFEST)
    before = contents(folder)

    def breaks():
        yield ROWS[0]
        raise RuntimeError("the source of the rows fails")

    with pytest.raises(RuntimeError):
        write_credits(folder, breaks())
    assert contents(folder) == before
