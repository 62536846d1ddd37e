"""Decisions survive everything, and replaying them gives the collection that was asked for, always the same."""

import csv
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from seran_lib.collect.credits import write_credits
from seran_lib.curate import decisions as decisions_module
from seran_lib.curate.decisions import COLUMNS, Decision, is_box
from seran_lib.curate.replay import Decisions, check_proposals, curate, replay
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pack import pack
from seran_lib.errors import DataError

HEADER = ",".join(COLUMNS) + "\n"


def rows(decisions):
    return {row.image_id: (row.decision, row.value) for row in decisions}


def no_space(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---- decisions ------------------------------------------------------------------------------------------------------


def test_each_decision_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "new" / "decisions.csv"
    decisions = Decisions(path)
    assert len(decisions) == 0 and decisions.frame.columns.tolist() == list(COLUMNS)
    decisions.set("b", "drop", reason="no insect, a leaf", sha256="0" * 64)
    decisions.set("a", "crop", "0 0 20 30")
    decisions.set("b", "label", "Apis mellifera")
    assert path.read_bytes() == (HEADER + "b,label,Apis mellifera,,\na,crop,0 0 20 30,,\n").encode()
    assert rows(Decisions(path)) == {"b": ("label", "Apis mellifera"), "a": ("crop", "0 0 20 30")}
    assert Decisions(path).frame["image_id"].tolist() == ["b", "a"]


line_of_text = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8)
stripped = line_of_text.map(str.strip)
boxes = st.tuples(*[st.integers(0, 400)] * 4).map(lambda b: f"{b[0]} {b[1]} {b[0] + b[2] + 1} {b[1] + b[3] + 1}")
texts = {"keep": st.just(""), "drop": st.just(""), "crop": boxes, "label": stripped.filter(bool)}
values = st.one_of(*(st.tuples(st.just(decision), text) for decision, text in texts.items()))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(stripped.filter(bool), st.tuples(values, line_of_text), max_size=5))
def test_what_is_set_is_what_is_read_again(tmp_path, wanted):
    path = tmp_path / "decisions.csv"
    path.unlink(missing_ok=True)
    decisions = Decisions(path)
    for image_id, ((decision, value), reason) in wanted.items():
        decisions.set(image_id, decision, value, reason)
    assert list(Decisions(path)) == [Decision(key, *pair, reason) for key, (pair, reason) in wanted.items()]
    while decisions.undo() is not None:
        pass
    assert len(Decisions(path)) == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a,maybe,,,", "decision 'maybe' is not one of keep, drop, crop, label"),
        ("a,drop,", "3 values where the header has 5 columns"),
        ("a,crop,0 0 5,,", "is not a crop box"),
        ("a,crop,5 0 5 9,,", "is not a crop box"),
        ("a,crop,0 0 5 9.5,,", "is not a crop box"),
        ("a,crop,-1 0 5 9,,", "is not a crop box"),
        ("a,label,,,", "needs the new label"),
        ("a,label, Apis,,", "white space"),
        ("a,keep,Apis,,", "takes none"),
        (",keep,,,", "image_id is empty"),
        ("first,keep,,,", "stands on line 2 already"),
        ("a,keep,,,abc", "64 hexadecimal digits"),
        ('a,keep,,"two\nlines",', "line break"),
        ('a,keep,,"open', "not readable as CSV"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path, row, words):
    path = tmp_path / "decisions.csv"
    path.write_text(f"{HEADER}first,keep,,,\n\n{row}\n")
    with pytest.raises(DataError) as raised:
        Decisions(path)
    assert [problem for problem in raised.value.problems if problem.startswith("line 4: ") and words in problem]


def test_a_file_that_is_no_table_of_decisions_is_refused(tmp_path):
    path = tmp_path / "decisions.csv"
    for content in (b"", b"image_id,decision\n", b"a,keep,,,\n", HEADER.encode() + b"\xff,keep,,,\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"decisions\.csv"):
            Decisions(path)
        assert path.read_bytes() == content
    with pytest.raises(DataError, match="cannot be read"):
        Decisions(tmp_path)


def test_what_a_spreadsheet_saved_is_read(tmp_path):
    path = tmp_path / "decisions.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + "a,keep,,,\n").replace("\n", "\r\n").encode())
    decisions = Decisions(path)
    decisions.set("b", "drop")
    assert path.read_text() == HEADER + "a,keep,,,\nb,drop,,,\n"


@pytest.mark.parametrize(
    "given",
    [("a", "maybe"), ("", "keep"), ("a", "crop"), ("a", "label"), ("a", "keep", "x"), ("a", "label", "\ud800")]
    + [("a\nb", "keep"), ("a", "drop", "", "two\r\nlines"), ("a", "drop", "", "", "F" * 64)],
)
def test_a_row_that_could_not_be_read_back_is_not_written(tmp_path, given):
    decisions = Decisions(tmp_path / "decisions.csv")
    decisions.set("a", "keep")
    before = decisions.path.read_bytes()
    with pytest.raises(ValueError):
        decisions.set(*given)
    assert decisions.path.read_bytes() == before
    assert rows(decisions) == {"a": ("keep", "")}


def test_undo_goes_back_step_by_step_and_reports_the_picture(tmp_path):
    Decisions(tmp_path / "decisions.csv").set("old", "keep")
    decisions = Decisions(tmp_path / "decisions.csv")
    for step in [("a", "keep"), ("b", "drop"), ("a", "label", "Apis")]:
        decisions.set(*step)
    assert decisions.undo() == "a"
    assert rows(Decisions(decisions.path)) == {"old": ("keep", ""), "a": ("keep", ""), "b": ("drop", "")}
    assert [decisions.undo(), decisions.undo(), decisions.undo()] == ["b", "a", None]
    assert rows(Decisions(decisions.path)) == {"old": ("keep", "")}  # of an earlier session


@pytest.mark.parametrize("event", ["changed", "deleted", "appeared"])
def test_what_someone_else_did_is_never_written_over(tmp_path, event):
    path = tmp_path / "decisions.csv"
    if event != "appeared":
        Decisions(path).set("a", "keep")
    mine = Decisions(path)
    if event == "deleted":
        path.unlink()
    else:
        Decisions(path).set("b", "drop")
    theirs = rows(Decisions(path))
    with pytest.raises(DataError, match="changed by someone else"):
        mine.set("a", "drop")
    assert rows(Decisions(path)) == theirs
    mine.reload()
    mine.set("c", "keep")
    assert rows(Decisions(path)) == theirs | {"c": ("keep", "")}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_changes_nothing(tmp_path, monkeypatch, call):
    decisions = Decisions(tmp_path / "decisions.csv")
    decisions.set("a", "keep")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, no_space)
        for attempt in (lambda: decisions.set("b", "drop"), decisions.undo):
            with pytest.raises(DataError, match=r"No space left.*\n.*Free disk space"):
                attempt()
    assert rows(decisions) == rows(Decisions(decisions.path)) == {"a": ("keep", "")}
    assert {path.name for path in tmp_path.iterdir()} == {"decisions.csv", "decisions.csv.lock"}
    assert decisions.undo() == "a"  # the failed steps are none


def test_a_writer_that_holds_the_lock_for_long_is_reported(tmp_path, monkeypatch):
    decisions = Decisions(tmp_path / "decisions.csv")
    monkeypatch.setattr(decisions_module, "PATIENCE", 0.1)
    with FileLock(tmp_path / "decisions.csv.lock"), pytest.raises(DataError, match="could not be saved"):
        decisions.set("a", "keep")
    decisions.set("a", "keep")


WRITER = """
import itertools, sys
from seran_lib.curate.decisions import Decisions
decisions = Decisions(sys.argv[1])
for number in itertools.count(len(decisions)):
    decisions.set(f"picture {number}", "drop", reason="a reason " * 20)
    print(number, flush=True)
"""


def test_a_killed_session_loses_no_decision_that_was_made(tmp_path):
    path = tmp_path / "decisions.csv"
    for kill_after in (1, 60, 200):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            confirmed = [writer.stdout.readline() for _ in range(kill_after)]
            writer.send_signal(signal.SIGKILL)
            confirmed += writer.stdout.readlines()
        last = max(int(line) for line in confirmed if line.endswith("\n"))
        assert len(Decisions(path)) - 1 in (last, last + 1)


# ---- curate ---------------------------------------------------------------------------------------------------------


def picture(seed, size=(60, 40)):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def collection(folder, labels="aaabbb", contents=None, **columns):
    """Pictures p0, p1, ... with these labels, and the manifest as a collection writes it."""
    records = []
    for number, label in enumerate(labels):
        file = Path("images", label, f"p{number}.jpg")
        data = (contents or {}).get(number) or encoded(picture(number))
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
        row = {"image_id": f"p{number}", "file": file.as_posix(), "label": label, "species": label, "genus": label * 2}
        row |= {"sha256": hashlib.sha256(data).hexdigest(), "width": "60", "height": "40", "bytes": str(len(data))}
        records.append(row | {name: given[number] for name, given in columns.items()})
    pd.DataFrame(records).to_csv(folder / "manifest.csv", index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
    return read_manifest(folder)


def decided(**given):
    """Decisions from p0="drop", p1=("crop", "0 0 20 20"), ..."""
    pairs = [(key, *((value, "") if isinstance(value, str) else value), "", "") for key, value in given.items()]
    return pd.DataFrame(pairs, columns=list(COLUMNS), dtype=str)


def proposed(*given):
    return pd.DataFrame(given, columns=["image_id", "proposal", "crop", "related"])


def by_id(folder):
    return read_manifest(folder).set_index("image_id")


def steps(curated):
    return {row.rule: (row.images_dropped, row.images_left, row.species_left) for row in curated.table.itertuples()}


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_rules_run_in_order_and_say_what_they_dropped(source, out):
    collection(source, "aaabbbccd", label_conflict="000000110")
    choices = decided(p0="drop", p3=("label", "a"), p4=("crop", "0 0 20 20"), p6="keep", p8="keep")
    curated = curate(source, choices, out, min_images=2)
    counts = {"collected": (0, 9, 4), "drop": (1, 8, 4), "label": (0, 8, 4), "crop": (0, 8, 4)}
    counts |= {"label_conflict": (1, 7, 4)}  # p7; p6 was looked at
    assert steps(curated) == counts | {"group": (0, 7, 4), "min_images": (2, 5, 2)}  # p6 and p8
    assert (curated.images, curated.species, curated.folder) == (5, 2, out)
    table = by_id(out)
    assert table["label"].to_dict() == {"p1": "a", "p2": "a", "p3": "a", "p4": "b", "p5": "b"}
    assert table["curation"].tolist() == ["", "", "label (was b)", "crop 0 0 20 20", ""]
    pd.testing.assert_frame_equal(pd.read_csv(out / "curation.csv"), curated.table)


def test_a_settled_conflict_is_none_and_pictures_without_a_label_stay_and_are_no_species(source, out):
    manifest = collection(source, "aabb", label_conflict="1100")
    manifest.loc[3, "label"] = ""
    manifest.to_csv(source / "manifest.csv", index=False)
    curated = curate(source, decided(p0="keep", p2="keep"), out, min_images=1)
    assert (curated.images, curated.species) == (3, 2)
    table = by_id(out)
    assert table["label_conflict"].to_dict() == {"p0": "0", "p2": "0", "p3": "0"}
    assert table["label"].tolist() == ["a", "b", ""]


def test_a_new_label_brings_its_genus_or_none(source, out):
    collection(source, "aabb")
    curate(source, decided(p0=("label", "b"), p1=("label", "unheard of")), out, min_images=1)
    table = by_id(out)[["label", "species", "genus"]]
    assert table.loc["p0"].tolist() == ["b", "b", "bb"]
    assert table.loc["p1"].tolist() == ["unheard of", "unheard of", ""]


def test_a_crop_is_the_box_of_the_upright_picture(source, out):
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("red", (40, 0, 60, 20))  # the upper right corner as one sees it
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    lying = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)
    collection(source, "aab", contents={0: lying}, label_box=["50 10 60 20", "", ""])
    curate(source, decided(p0=("crop", "40 0 60 20")), out, min_images=1)
    row = by_id(out).loc["p0"]
    data = (out / row["file"]).read_bytes()
    cut = Image.open(io.BytesIO(data))
    assert (cut.format, cut.size, cut.getexif()) == ("JPEG", (20, 20), {})
    assert np.abs(np.asarray(cut, dtype=int)[2:-2, 2:-2] - [254, 0, 0]).max() < 30
    assert row["file"] == "images/a/p0-crop.jpg" and (row["width"], row["height"]) == ("20", "20")
    assert row["sha256"] == hashlib.sha256(data).hexdigest() and row["bytes"] == str(len(data))
    assert row["label_box"] == "10 10 20 20"
    assert not (out / "images/a/p0.jpg").exists()
    assert (source / "images/a/p0.jpg").read_bytes() == lying
    pack(out, read_manifest(out), size=64, cache=out.with_name("cache"))


def test_a_crop_takes_no_other_picture_s_name(source, out):
    collection(source, "aa")
    (source / "images/a/p1.jpg").rename(source / "images/a/p0-crop.jpg")
    text = (source / "manifest.csv").read_text().replace("images/a/p1.jpg", "images/a/p0-crop.jpg")
    (source / "manifest.csv").write_text(text)
    curate(source, decided(p0=("crop", "0 0 20 20")), out, min_images=1)
    assert by_id(out)["file"].to_dict() == {"p0": "images/a/p0-crop-crop.jpg", "p1": "images/a/p0-crop.jpg"}


@pytest.mark.parametrize(
    ("box", "words"), [("0 0 61 40", "leaves the picture of 60 x 40"), ("0 0 60 9", "narrower than 16")]
)
def test_an_impossible_crop_is_reported_and_nothing_is_written(source, out, box, words):
    collection(source)
    with pytest.raises(DataError, match=words):
        curate(source, decided(p0=("crop", box)), out, min_images=1)
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.lock", "source"]


def test_a_decision_about_another_picture_stops_everything(source, out):
    manifest = collection(source)
    choices = decided(p0="drop", p1="keep", p2="drop")
    choices.loc[0, "sha256"] = manifest["sha256"][0]
    choices.loc[1:, "sha256"] = "0" * 64
    for table in (manifest, manifest.drop(columns="sha256")):  # without, the files themselves are looked at
        table.to_csv(source / "manifest.csv", index=False)
        with pytest.raises(DataError) as raised:
            curate(source, choices, out, min_images=1)
        assert [problem.split(":")[0] for problem in raised.value.problems] == ["p1", "p2"]
        assert not out.exists()


def test_decisions_of_another_collection_are_refused_and_single_strangers_ignored(source, out):
    collection(source)
    with pytest.raises(DataError, match="none of the 1 decisions"):
        curate(source, decided(elsewhere="drop"), out, min_images=1)
    assert curate(source, decided(elsewhere="drop", p0="drop"), out, min_images=1).images == 5


def test_groups_and_clusters_that_share_a_picture_become_one(source, out):
    groups = ["g1", "g1", "g2", "g3", "g4", "g5"]
    collection(source, "aaaaaa", group=groups)
    clusters = proposed(
        ("p1", "group", "", "p2"),
        ("p2", "group", "", "p1"),
        ("p2", "group", "", "p3|unknown"),
        ("p9", "group", "", "p4"),
    )
    curate(source, decided(p2="drop"), out, min_images=1, proposals=clusters)
    table = by_id(out)
    # p2 is gone, and still p1 and p3 are near-duplicates of one picture.
    assert table["group"].to_dict() == {"p0": "g1", "p1": "g1", "p3": "g1", "p4": "g4", "p5": "g5"}
    assert table["curation"]["p3"] == "group (was g3)" and table["curation"]["p4"] == ""


def test_proposals_count_only_when_asked_and_where_nobody_decided(source, out):
    collection(source, "aaaaaa", label_conflict="000001")
    proposals = proposed(
        ("p0", "crop", "0 0 20 20", ""), ("p0", "drop", "", ""), ("p1", "drop", "", ""), ("p2", "relabel", "", "b"),
        ("p3", "crop", "0 0 30 30", ""), ("p4", "crop", "0 0 30 30", ""), ("p5", "crop", "0 0 30 30", ""),
    )  # fmt: skip
    choices = decided(p1="keep", p4=("crop", "9 9 39 39"))
    plain = curate(source, choices, out, min_images=1, proposals=proposals)
    assert plain.images == 5
    accepted = curate(source, choices, out, min_images=1, proposals=proposals, accept_proposals=True)
    dropped = steps(accepted)
    assert (dropped["drop"][0], dropped["label_conflict"][0]) == (1, 1)  # a proposal settles no conflict
    table = by_id(out)
    assert table["curation"].tolist() == ["keep", "", "crop 0 0 30 30 (proposed)", "crop 9 9 39 39"]
    assert table.index.tolist() == ["p1", "p2", "p3", "p4"] and set(table["label"]) == {"a"}


def test_proposals_as_a_spreadsheet_gives_them_and_bad_ones(tmp_path):
    table = pd.DataFrame({"image_id": ["p0"], "proposal": ["drop"], "crop": [float("nan")], "related": [None]})
    assert check_proposals(table).iloc[0].tolist() == ["p0", "drop", "", "", ""]
    with pytest.raises(DataError, match="no column proposal"):
        check_proposals(table.drop(columns="proposal"))
    with pytest.raises(DataError, match=r"2 problems:\n.*'burn' is not one of.*\n.*'1 2' is not a crop box"):
        check_proposals(proposed(("p0", "burn", "", ""), ("p1", "crop", "1 2", "")))


def test_the_same_input_gives_the_same_bytes(source, out, tmp_path):
    collection(source, "aabbab", attribution=["a\rb", "c\r\nd", 'q"', "x,y", "", "é"], licence=["CC BY 4.0"] * 6)
    write_credits(source, read_manifest(source).to_dict("records"))
    choices = decided(p0=("crop", "0 0 20 20"), p3="drop", p1=("label", "b"), p4="keep")
    clusters = proposed(("p4", "group", "", "p0"), ("p2", "group", "", "p5"))
    curate(source, choices, out, min_images=1, proposals=clusters)
    first = content(out)
    curate(source, choices, out, min_images=1, proposals=clusters)  # over the earlier result
    curate(source, choices[::-1], tmp_path / "other", min_images=1, proposals=clusters[::-1])
    assert content(out) == content(tmp_path / "other") == first
    assert by_id(out)["attribution"]["p0"] == "a\nb" and b"\r" not in first["manifest.csv"]


def test_a_replay_says_what_would_be_written_and_writes_nothing(source, out):
    collection(source, "aaabb")
    choices = decided(p0="drop", p1=("label", "b"), p2=("crop", "0 0 20 20"))
    before = content(source)
    table, boxes, curation = replay(source, choices, min_images=2)
    assert content(source) == before and not out.exists()
    assert (table["label"].to_dict(), boxes) == ({"p1": "b", "p3": "b", "p4": "b"}, {})
    assert curation.equals(curate(source, choices, out, min_images=2).table)
    assert replay(source, choices, min_images=1)[1] == {"p2": (0, 0, 20, 20)}


def test_unchanged_pictures_are_links_or_else_copies(source, out, monkeypatch):
    collection(source, "aab")
    (source / "images/a/p1.jpg").rename(source / "elsewhere.jpg")
    (source / "images/a/p1.jpg").symlink_to("../../elsewhere.jpg")
    curate(source, decided(), out, min_images=1)
    assert (out / "images/a/p0.jpg").samefile(source / "images/a/p0.jpg")
    linked = content(out)
    monkeypatch.setattr(os, "link", no_space)
    curate(source, decided(), out, min_images=1)
    assert not (out / "images/a/p0.jpg").samefile(source / "images/a/p0.jpg")
    assert content(out) == linked


def test_credits_name_what_is_left_and_what_was_changed_now_or_earlier(source, out, tmp_path):
    collection(source, "aabb", licence=["CC BY 4.0", "CC BY-ND 4.0", "CC BY 4.0", "CC0 1.0"], creator=list("wxyz"))
    curate(source, decided(p0="drop"), out, min_images=1)
    assert not (out / "CREDITS.csv").exists()  # the source had none
    write_credits(source, read_manifest(source).to_dict("records"))
    curate(source, decided(p0="drop", p1=("crop", "0 0 20 20")), out, min_images=1)
    curate(out, decided(p1="keep", p2=("crop", "0 0 20 20")), tmp_path / "twice", min_images=1)
    changed = "cropped and saved again as JPEG"
    for folder, changes in ((out, [changed, "", ""]), (tmp_path / "twice", [changed, changed, ""])):
        credits = pd.read_csv(folder / "CREDITS.csv", keep_default_na=False).set_index("image_id")
        assert credits["creator"].to_dict() == {"p1": "x", "p2": "y", "p3": "z"}
        assert credits["file"]["p1"] == "images/a/p1-crop.jpg"
        assert credits["changes"].tolist() == changes
        summary = (folder / "CREDITS.md").read_text()
        assert "3 images" in summary and f"`changes`: {changes.count(changed)}." in summary
        assert "**1 of them must not be passed on:**" in summary


def test_only_an_earlier_result_is_replaced(source, out):
    collection(source)
    out.mkdir()
    assert curate(source, decided(), out, min_images=1).images == 6  # an empty folder will do
    for stranger in ("notes.txt", "images/a/mine.jpg"):
        (out / stranger).write_text("mine")
        with pytest.raises(DataError, match=f"{stranger} is not of an earlier curation"):
            curate(source, decided(p0="drop"), out, min_images=1)
        (out / stranger).unlink()
    assert curate(source, decided(p0="drop"), out, min_images=1).images == 5
    for other in (source, source.parent):
        before = content(source)
        with pytest.raises(DataError, match="holds the collection itself"):
            curate(source, decided(), other, min_images=1)
        assert content(source) == before
    (out / "curation.csv").unlink()
    with pytest.raises(DataError, match="not an earlier result"):
        curate(source, decided(), out, min_images=1)


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
def test_a_full_disk_leaves_the_earlier_result(source, out, monkeypatch, call):
    collection(source)
    curate(source, decided(), out, min_images=1)
    before = content(out)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, no_space)
        with pytest.raises(DataError, match=r"No space left.*\nFree disk space"):
            curate(source, decided(p0=("crop", "0 0 20 20")), out, min_images=1)
    assert content(out) == before
    assert sorted(path.name for path in out.parent.iterdir()) == ["out", "out.lock", "source"]
    curate(source, decided(p0=("crop", "0 0 20 20")), out, min_images=1)
    assert content(out) != before


def test_nothing_left_is_said_with_the_reasons(source, out):
    collection(source)
    with pytest.raises(DataError, match="no picture of 6 is left; dropped: drop 1, min_images 5"):
        curate(source, decided(p0="drop"), out)
    with pytest.raises(ValueError, match="min_images is 0"):
        curate(source, decided(), out, min_images=0)


def test_a_curated_collection_may_be_curated_again(source, out, tmp_path):
    collection(source, "aabb")
    curate(source, Decisions(tmp_path / "none.csv"), out, min_images=1)
    curate(source, decided(p0=("label", "b"), p1="keep"), out, min_images=1)
    curate(out, decided(p0=("crop", "0 0 20 20")), tmp_path / "twice", min_images=1)
    notes = by_id(tmp_path / "twice")["curation"]
    assert notes.to_dict() == {"p0": "label (was a); crop 0 0 20 20", "p1": "keep", "p2": "", "p3": ""}


@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_a_box_is_a_box_only_with_an_area(box):
    assert is_box(" ".join(map(str, box))) == (box[0] < box[2] and box[1] < box[3])
