"""The manifest reader: what it accepts, that it names every bad row at once, and what `select` drops."""

import csv
import os
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seran_lib.data.manifest import read_manifest, select
from seran_lib.errors import DataError


def write(folder, rows, columns=("image_id", "file", "label"), touch=True):
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    if touch:
        for row in rows:
            (folder / row[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / row[1]).touch()
    return folder


def problems_of(folder):
    with pytest.raises(DataError) as raised:
        read_manifest(folder)
    return raised.value.problems


def frame(tmp_path, labels, **columns):
    ids = [f"i{row}" for row in range(len(labels))]
    rows = list(zip(ids, [f"{name}.jpg" for name in ids], labels, *columns.values(), strict=True))
    return read_manifest(write(tmp_path, rows, ("image_id", "file", "label", *columns)))


def test_every_value_is_text_and_group_is_filled(tmp_path):
    rows = [("1", "a/1.jpg", "NA", "", "x", ""), ("007", "a/2.jpg", "", "pair", "", "AB" * 32)]
    table = read_manifest(write(tmp_path, rows, ("image_id", "file", "label", "group", "weather", "sha256")))
    assert table["image_id"].tolist() == ["1", "007"]
    assert table["label"].tolist() == ["NA", ""]
    assert table["group"].tolist() == ["1", "pair"]
    assert frame(tmp_path, "ab")["group"].tolist() == ["i0", "i1"]
    assert table["weather"].tolist() == ["x", ""]
    assert table["sha256"].tolist() == ["", "ab" * 32]
    assert all(isinstance(value, str) for value in table.to_numpy().ravel())


def test_spreadsheet_mark_blank_lines_and_quoted_line_breaks(tmp_path):
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).touch()
    text = '\ufeffimage_id,file,label,note\r\nx,1.jpg,bee,"two\r\nlines"\r\n\r\ny,2.jpg,fly ,\r\nz,3.jpg,fly,\r\n'
    (tmp_path / "manifest.csv").write_bytes(text.encode())
    assert problems_of(tmp_path) == [
        "line 5: label 'fly ' begins or ends with white space",
        "line 6: file '3.jpg' is missing or not a file",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "holds no manifest.csv"),
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"image_id,file,label\n", "no rows"),
        ("image_id,file,label\nx,é.jpg,bee\n".encode("latin-1"), r"not UTF-8 \(line 2\)"),
        (b"image_id;file;label\n", "missing column: image_id"),
        (b"image_id,file,label,label\nx,1.jpg,a,b\n", "occurs twice: label"),
        (b'image_id,file,label\nx,1.jpg,"bee\ny,2.jpg,fly\n', "line 2: not readable as CSV"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path, content, expected):
    (tmp_path / "1.jpg").touch()
    if content is not None:
        (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_manifest(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        read_manifest(tmp_path / "nowhere")


def test_all_problems_are_reported_at_once_with_their_lines(tmp_path):
    good = "0" * 64
    rows = [
        ("a", "a.jpg", "bee", good, "0"),
        ("a", "b.jpg", "bee", good, "1"),
        ("", "c.jpg", "bee", good, ""),
        ("d", "./a.jpg", "bee", good, ""),
        ("e", "e.jpg", "bee ", good[1:], ""),
        ("f", "f.jpg", "bee", "g" * 64, "yes"),
    ]
    write(tmp_path, rows, ("image_id", "file", "label", "sha256", "hybrid"))
    with open(tmp_path / "manifest.csv", "a", encoding="utf-8") as file:
        file.write("h,,bee,,\ni,gone.jpg,bee,,\nj,j.jpg\nk,k.jpg,bee,,,\n")
    assert problems_of(tmp_path) == [
        "line 3: image_id 'a' stands on line 2 already",
        "line 4: image_id is empty",
        "line 5: file 'a.jpg' stands on line 2 already",
        "line 6: label 'bee ' begins or ends with white space",
        f"line 6: sha256 '{good[1:]}' is not 64 hexadecimal digits",
        f"line 7: sha256 '{'g' * 64}' is not 64 hexadecimal digits",
        "line 7: hybrid 'yes' is not 0, 1 or empty",
        "line 8: file is empty",
        "line 9: file 'gone.jpg' is missing or not a file",
        "line 10: 2 values where the header has 5 columns",
        "line 11: 6 values where the header has 5 columns",
    ]


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../x.jpg", "a/../../x.jpg", "..", "C:/x.jpg", "c:x.jpg", "a\\x.jpg", "a\0.jpg"]
)
def test_paths_that_could_leave_the_folder_are_refused(tmp_path, path):
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "x.jpg").touch()
    write(folder, [("x", path, "bee")], touch=False)
    assert problems_of(folder) == [f"line 2: file {path!r} is not a path inside the folder"]


def test_links_may_stay_inside_but_not_lead_outside(tmp_path):
    folder = tmp_path / "set"
    (folder / "real").mkdir(parents=True)
    (tmp_path / "set-beside").mkdir()
    for path in (tmp_path / "secret.jpg", tmp_path / "set-beside" / "x.jpg", folder / "real" / "1.jpg"):
        path.touch()
    (folder / "inner.jpg").symlink_to("real/1.jpg")
    (folder / "inner").symlink_to("real")
    (folder / "outer.jpg").symlink_to("../secret.jpg")
    (folder / "outer").symlink_to("../set-beside")
    (folder / "dangling.jpg").symlink_to("nothing.jpg")
    names = ["inner.jpg", "inner/1.jpg", "outer.jpg", "outer/x.jpg", "dangling.jpg", "real"]
    write(folder, [(name, name, "bee") for name in names], touch=False)
    assert problems_of(folder) == [
        "line 4: file 'outer.jpg' leads outside the folder by a symbolic link",
        "line 5: file 'outer/x.jpg' leads outside the folder by a symbolic link",
        "line 6: file 'dangling.jpg' is missing or not a file",
        "line 7: file 'real' is missing or not a file",
    ]


def test_a_folder_reached_by_a_link_is_read(tmp_path):
    (tmp_path / "set").mkdir()
    write(tmp_path / "set", [("x", "a/x.jpg", "bee")])
    (tmp_path / "link").symlink_to("set")
    assert len(read_manifest(tmp_path / "link")) == 1


def test_message_shows_twenty_problems_a_count_and_the_cure_also_from_a_worker_process():
    first = DataError([f"problem {number}" for number in range(1, 31)], "Fix them.")
    for error in (first, pickle.loads(pickle.dumps(first))):
        assert "problem 20" in str(error) and "problem 21" not in str(error)
        assert "30 problems" in str(error) and "and 10 more" in str(error) and str(error).endswith("Fix them.")
        assert len(error.problems) == 30
    assert str(DataError("one thing", "Fix it.")) == "one thing\nFix it."


# Text a CSV file in UTF-8 can hold; an image file's name is given by its row, so only free columns take any text.
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(any_text, any_text), min_size=1, max_size=6))
def test_any_text_comes_back_as_it_was_written(tmp_path, values):
    rows = [(f"i{row}", f"i{row}.jpg", label.strip(), note) for row, (label, note) in enumerate(values)]
    table = read_manifest(write(tmp_path, rows, ("image_id", "file", "label", "note")))
    assert list(table[["image_id", "file", "label", "note"]].itertuples(index=False, name=None)) == rows


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80).map(lambda tail: b"image_id,file,label\n" + tail) | st.binary(max_size=80))
def test_any_bytes_are_read_or_refused_with_a_data_error(tmp_path, content):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_manifest(tmp_path)
    assert raised.value.problems


def test_only_links_are_looked_at_one_by_one(tmp_path, monkeypatch):
    """Large sets are read in seconds: of plain files a folder's list is enough."""
    rows = [(str(number), f"f{number % 10}/{number}.jpg", "bee") for number in range(500)]
    write(tmp_path, rows)
    for number in range(1, 6):
        path = tmp_path / rows[number][1]
        path.unlink()
        path.symlink_to("../f0/0.jpg")
    looks = []
    for name in ("realpath", "isfile"):
        look = getattr(os.path, name)
        monkeypatch.setattr(os.path, name, lambda path, look=look: looks.append(path) or look(path))
    assert len(read_manifest(tmp_path)) == 500
    assert 5 <= len(looks) < 30, "ten folders and five links"


def test_select_counts_each_row_under_the_first_rule_that_drops_it(tmp_path):
    labels = ["bee"] * 9 + ["fly"] * 8 + ["ant"] * 7 + [""] * 2
    hybrid = ["1"] + ["0"] * 24 + ["1"]
    conflict = ["0"] * 17 + ["1"] + ["0"] * 7 + ["1"]
    table = frame(tmp_path, labels, hybrid=hybrid, label_conflict=conflict)
    kept = select(table, min_images=7)
    assert kept["label"].value_counts().to_dict() == {"bee": 8, "fly": 8}
    assert kept.index.tolist() == list(range(16))
    assert kept["image_id"].tolist() == [f"i{row}" for row in range(1, 17)]
    assert kept.attrs["dropped"] == {"hybrid": 2, "label_conflict": 1, "no_label": 1, "too_few_images": 6}
    assert len(table) == 26, "the manifest itself is left as it was"


def test_select_refuses_what_cannot_be_split(tmp_path):
    table = frame(tmp_path, ["bee"] * 7 + ["fly"] * 6 + [""])
    with pytest.raises(DataError, match=r"only one label is left \(bee\) of 14 rows.*no_label 1, too_few_images 6"):
        select(table, min_images=7)
    with pytest.raises(DataError, match=r"no row is left.*too_few_images 13"):
        select(table, min_images=8)
    with pytest.raises(DataError, match=r"floor\(0.15 n\) = 0 test images"):
        select(table, min_images=6)
