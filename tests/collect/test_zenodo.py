"""A plan from Zenodo's list of files and a table of labels, with replies written by us after its REST API."""

import pytest
from misbehaving import answering

from seran_lib import cli
from seran_lib.collect import zenodo
from seran_lib.collect.zenodo import Label
from seran_lib.commands import data as command
from seran_lib.data.tables import read_rows
from seran_lib.errors import DataError


def record(number, *names, **metadata):
    address = f"https://zenodo.org/api/records/{number}/files/{{}}/content"
    files = [
        {"key": name, "size": 1000 + k, "checksum": f"md5:{k:032x}", "links": {"self": address.format(name)}}
        for k, name in enumerate(names)
    ]
    about = {
        "title": f"Drawer {number}",
        "creators": [{"name": "Collector, A."}, {"name": "Collector, B."}],
        "license": {"id": "cc-by-4.0"},
        "publication_date": "2020-10-08",
    }
    doi = f"10.5281/zenodo.{number}"
    return {"id": number, "doi": doi, "doi_url": f"https://doi.org/{doi}", "metadata": about | metadata, "files": files}


def session(*records):
    held = {str(one["id"]): one for one in records}
    return answering(lambda path, *_: held.get(path.rpartition("/")[2], (404, None)))[0]


def rows(folder):
    return [row for _, row in read_rows(folder / "plan.csv")]


LABELS = {"a1_d.JPG": Label("erato", "a1"), "a2_d.JPG": Label("cyrbia"), "b1.tif": Label("erato")}


def test_labelled_pictures_of_all_records_with_checksum_licence_and_authors(tmp_path):
    one, two = record(11, "a1_d.JPG", "a1_v.JPG", "a2_d.JPG", "about.csv"), record(12, "b1.tif")
    plan = zenodo.plan_records(session(one, two), ["11", "12"], LABELS, tmp_path)
    named = [(row["label"], row["image_id"], row["group"]) for row in rows(tmp_path)]
    assert named == [("cyrbia", "a2_d", ""), ("erato", "a1_d", "a1"), ("erato", "b1", "")]
    row = rows(tmp_path)[0]
    assert row["source_url"] == "https://zenodo.org/api/records/11/files/a2_d.JPG/content"
    assert (row["source_md5"], row["source_bytes"]) == (f"{2:032x}", "1002")
    assert (row["licence"], row["record"]) == ("CC BY 4.0", "https://doi.org/10.5281/zenodo.11")
    assert row["attribution"] == "Collector, A.; Collector, B. (2020), Drawer 11"
    assert (plan.images, plan.species, plan.bytes, plan.assumed) == (3, 2, 3002, 0)
    assert plan.counts == {"pictures": 4, "without_label": 1, "planned": 3}


def test_a_record_without_licence_is_not_given_one(tmp_path):
    zenodo.plan_records(session(record(11, "a1_d.JPG", license=None)), ["11"], LABELS, tmp_path)
    assert rows(tmp_path)[0]["licence"] == ""


@pytest.mark.parametrize(
    ("records", "wanted", "message"),
    [
        ([record(11, "x.jpg")], ["11"], "none of the 1 pictures of 11 has a label"),
        ([record(11, "a1_d.JPG"), record(12, "a1_d.JPG")], ["11", "12"], "a1_d names two files: .*11.*12"),
        ([], ["11"], "answers record 11 with status 404"),
        ([{"id": 11, "files": "none"}], ["11"], "not of the expected shape"),
        ([{"id": 11}], ["11"], "not of the expected shape"),
    ],
)
def test_what_cannot_be_planned_is_said_and_nothing_is_written(tmp_path, records, wanted, message):
    with pytest.raises(DataError, match=message):
        zenodo.plan_records(session(*records), wanted, LABELS, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_file_with_two_labels_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,erato\na.jpg,erato\nb.jpg,cyrbia\n")
    assert zenodo.read_labels(tmp_path / "labels.csv") == {"a.jpg": Label("erato"), "b.jpg": Label("cyrbia")}
    (tmp_path / "labels.csv").write_text("file,label,group\na.jpg,erato,a\n")
    assert zenodo.read_labels(tmp_path / "labels.csv") == {"a.jpg": Label("erato", "a")}
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,erato\na.jpg,cyrbia\n")
    with pytest.raises(DataError, match=r"line 3: a\.jpg has another label above"):
        zenodo.read_labels(tmp_path / "labels.csv")


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "polite_session", lambda **_: session(record(11, "a1_d.JPG", "a2_d.JPG")))
    (tmp_path / "labels.csv").write_text("file,label\na1_d.JPG,erato\na2_d.JPG,cyrbia\n")
    words = ["data", "plan", str(tmp_path / "set"), "--zenodo", "11", "--labels", str(tmp_path / "labels.csv")]
    assert cli.main(words) == 0
    assert "licence CC BY 4.0" in capsys.readouterr().out
    assert len(rows(tmp_path / "set")) == 2
    assert cli.main(words[:5]) == 2
    assert "give both" in capsys.readouterr().err
    assert cli.main([*words, "--per-species", "2", "--licence", "CC BY 4.0"]) == 2
    assert "leave out --per-species, --licence" in capsys.readouterr().err
    assert cli.main([*words, "--per-second", "2"]) == 0
    assert "at 2 pictures a second" in capsys.readouterr().out
