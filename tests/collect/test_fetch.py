"""Fetching: what counts as an image, and that no fault, on the network, on disk or in time, loses or fakes anything."""

import errno
import hashlib
import io
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from misbehaving import Reply, Server
from PIL import Image

from seran_lib.collect import download
from seran_lib.collect.fetch import fetch, verify
from seran_lib.collect.http import polite_session
from seran_lib.collect.state import State
from seran_lib.data.manifest import read_manifest
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.errors import DataError

HEADER = "image_id,label,source_url,source_md5,occurrence,licence,creator,data_resource,record".split(",")
RESULTS = ("manifest.csv", "CREDITS.csv", "CREDITS.md", "croissant.json")


def picture(number, kind="JPEG", side=40):
    """The encoded picture of a number: another number, another picture."""
    pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((side, side + 8)).save(buffer, kind)
    return buffer.getvalue()


def bomb():
    """A PNG of 400 megapixels in a few hundred kilobytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (20_000 * 2501))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


FAULTS = {
    "page": Reply(b"<html>Sorry</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
    "noise": Reply(b"\xff\xd8" + bytes(500)),
    "svg": Reply(b"<svg xmlns='http://www.w3.org/2000/svg'/>", headers={"Content-Type": "image/svg+xml"}),
    "empty": Reply(b""),
    "gone": Reply(b"", 410),
    "forbidden": Reply(b"", 403),
    "busy": Reply(b"slower", 429, {"Retry-After": "1"}),
    "busy_for_long": Reply(b"slower", 429, {"Retry-After": "500"}),
    "unavailable": Reply(b"later", 503),
    "elsewhere": Reply(b"", 302, {"Location": "file:///etc/hostname"}),
}


class Source(Server):
    """A server of pictures at `/image/{number}/large` that misbehaves on request.

    `faults` maps a number to a fault, or to a list of faults for its next requests; `log` counts requests by number.
    """

    def __init__(self, latency=0.0):
        super().__init__(self.reply)
        self.faults, self.changed, self.latency, self.log = {}, set(), latency, Counter()

    def url(self, number):
        return f"{self.base}/image/{number}/large"

    def reply(self, asked):
        path, _, secret = asked.path.partition("?")
        number = int(path.split("/")[2])
        self.log[number] += 1
        fault = self.faults.get(number)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        time.sleep(self.latency)
        if fault == "hang":
            self.hang.wait(60)
        reply = FAULTS.get(fault) or self.pictured(number, path, fault, secret)
        return replace(reply, headers={"Content-Type": "image/jpeg"} | reply.headers)

    def pictured(self, number, path, fault, secret):
        body = picture(number + 1000 * (number in self.changed))
        match fault:
            case "missing":
                return Reply(picture(number, "PNG"), 404, {"Content-Type": "image/png"})
            case "wrong_type":
                return Reply(body, headers={"Content-Type": "application/octet-stream"})
            case "half":
                return Reply(body[: len(body) // 2])
            case "bomb":
                return Reply(bomb(), headers={"Content-Type": "image/png"})
            case "large":
                return Reply(body + bytes(100_000))
            case "loop":
                return Reply(b"", 302, {"Location": path})
            case "signed" | "signed_dead" if not secret:
                target = self.base if fault == "signed" else "http://127.0.0.1:9"  # nobody listens on the discard port
                return Reply(b"", 302, {"Location": f"{target}{path}?X-Signature=geheim"})
        return Reply(body, damage=fault or "")


@pytest.fixture
def source():
    with Source() as source:
        yield source


def rows_of(source, count, **columns):
    return [
        {
            "image_id": f"id-{number}",
            "label": f"Apis species{number % 3}",
            "source_url": source.url(number),
            "occurrence": f"occurrence-{number // 2}",
            "licence": "CC BY 4.0",
            **{name: values[number] for name, values in columns.items()},
        }
        for number in range(count)
    ]


def write_plan(folder, rows, header=HEADER):
    folder.mkdir(exist_ok=True)
    write_rows(folder / "plan.csv", header, rows)
    return folder


@pytest.fixture
def planned(source, tmp_path):
    """Writes a plan of so many pictures; returns its folder."""
    return lambda count, **columns: write_plan(tmp_path / "set", rows_of(source, count, **columns))


def run(folder, tries=1, **options):
    return fetch(folder, session=polite_session(per_second=0, connections=8, tries=tries), **options)


def failures(folder):
    path = folder / "failures.csv"
    return {row["image_id"]: row for _, row in read_rows(path)} if path.exists() else {}


def pictures(folder):
    return [path for path in (folder / "images").rglob("*") if path.is_file()]


def tree(folder):
    """Everything a reader of the collection sees, byte for byte."""
    files = pictures(folder) + [folder / name for name in RESULTS]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def record(folder, image_id):
    with sqlite3.connect(folder / "state.sqlite") as database:
        database.row_factory = sqlite3.Row
        row = database.execute("SELECT * FROM images WHERE image_id = ?", (image_id,)).fetchone()
    database.close()
    return dict(row)


# ---- the ordinary case ----------------------------------------------------------------------------------------------


def test_a_collection_is_complete_and_a_second_call_asks_for_nothing(source, planned, capfd):
    source.faults = {4: "chunks"}  # is as good
    folder = planned(12)
    report = run(folder)
    assert (report.planned, report.fetched, report.present, report.failed) == (12, 12, 12, 0)
    assert report.bytes == sum(len(picture(number)) for number in range(12))
    manifest = read_manifest(folder)
    assert manifest["image_id"].tolist() == [f"id-{number}" for number in range(12)]
    assert manifest["group"].tolist() == [f"occurrence-{number // 2}" for number in range(12)]
    assert manifest["file"][4] == "images/apis_species1/id-4.jpg"
    for number, row in manifest.iterrows():
        body = (folder / row["file"]).read_bytes()
        assert body == picture(number)
        assert row["sha256"] == hashlib.sha256(body).hexdigest()
        assert (row["width"], row["height"], row["bytes"]) == ("40", "48", str(len(body)))
    assert not failures(folder)
    assert verify(folder) == []

    before, requests = tree(folder), source.log.total()
    again = run(folder)
    assert (again.fetched, again.present, source.log.total()) == (0, 12, requests)
    assert tree(folder) == before
    assert capfd.readouterr().err == ""  # nobody watches: no bar


def test_connections_are_kept_and_no_more_than_asked_for(source, planned):
    run(planned(40), connections=3)
    assert source.connections <= 3


@pytest.mark.parametrize("column", ["group", "occurrence", ""])
def test_the_group_is_the_first_column_that_knows_it(source, tmp_path, column):
    row = {"image_id": "id-1", "label": "Apis mellifera", "source_url": source.url(1), "record": "a whole drawer"}
    known = ["group", "occurrence"]
    row |= {name: name.upper() for name in known[known.index(column) :]} if column else {}
    folder = write_plan(tmp_path / "set", [row], ["image_id", "label", "source_url", "record", *known])
    run(folder)
    assert read_manifest(folder)["group"].tolist() == [column.upper() or "id-1"]
    assert list(read_manifest(folder)).count("group") == 1


def test_columns_nobody_knows_are_kept_and_a_short_plan_is_enough(source, tmp_path):
    header = ["image_id", "label", "source_url", "elevation"]
    rows = [{"image_id": "A B/../c", "label": "../../Ünsafe", "source_url": source.url(1), "elevation": "12 m"}]
    folder = write_plan(tmp_path / "set", rows, header)
    run(folder)
    (row,) = read_manifest(folder).to_dict("records")
    assert (row["elevation"], row["label"], row["image_id"]) == ("12 m", "../../Ünsafe", "A B/../c")
    assert (folder / row["file"]).resolve().parent.parent == (folder / "images").resolve()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


# ---- what is no image -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault, reason",
    [
        ("missing", "missing at the source"),
        ("gone", "status 410"),
        ("forbidden", "status 403"),
        ("page", "not an image but text/html"),
        ("wrong_type", "not an image but application/octet-stream"),
        ("noise", "not an image of a known format"),
        ("svg", "not an image of a known format"),
        ("empty", "not an image of a known format"),
        ("half", "cannot be decoded"),
        ("bomb", "megapixels"),
        ("large", "larger than 0 MB"),
        ("loop", "circle"),
        ("elsewhere", "not a web address"),
    ],
)
def test_what_is_no_image_is_named_skipped_and_tried_by_the_next_call(source, planned, monkeypatch, fault, reason):
    monkeypatch.setattr(download, "MOST_BYTES", 500_000 if fault == "bomb" else 90_000)
    source.faults = {2: fault}
    folder = planned(5)
    report = run(folder)
    assert (report.planned, report.fetched, report.present, report.failed) == (5, 4, 4, 1)
    assert reason in failures(folder)["id-2"]["reason"]
    assert source.log[2] == (1 if fault != "loop" else 6)  # not again within one run
    assert len(read_manifest(folder)) == len(pictures(folder)) == 4

    source.faults = {}
    report = run(folder)
    assert (report.fetched, report.present, report.failed) == (1, 5, 0)
    assert not failures(folder)


@pytest.mark.parametrize("address", ["", "no address", "http://", "ftp://example.org/a.jpg", "http://[::1/a.jpg"])
def test_an_address_that_is_none_fails_alone(source, planned, address):
    folder = planned(3, source_url=[source.url(0), address, source.url(2)])
    assert run(folder).present == 2
    assert "not a web address" in failures(folder)["id-1"]["reason"]


def test_the_checksum_of_the_plan_is_compared(planned):
    right, wrong = hashlib.md5(picture(0)).hexdigest().upper(), hashlib.md5(b"").hexdigest()
    folder = planned(3, source_md5=[right, wrong, ""])
    assert run(folder).present == 2
    assert "MD5" in failures(folder)["id-1"]["reason"]


# ---- what may have gone in a moment ---------------------------------------------------------------------------------

TRANSIENT = dict.fromkeys(("cut", "truncate", "cut_chunks"), "cut")
TRANSIENT |= {"drip": "not complete", "busy": "429", "unavailable": "503"}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_what_may_pass_is_tried_again_in_the_same_call(source, planned, monkeypatch, fault):
    monkeypatch.setattr(download, "BODY_SECONDS", 0.3)
    source.faults = {1: [fault, fault], 3: fault}
    folder = planned(5)
    report = run(folder)
    assert (report.fetched, report.present, report.failed) == (4, 4, 1)
    assert report.seconds < 5
    failure = failures(folder)["id-3"]
    assert TRANSIENT[fault] in failure["reason"]
    assert failure["attempts"] == "3"
    assert source.log[1] == source.log[3] == 3
    assert (folder / "images/apis_species1/id-1.jpg").read_bytes() == picture(1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [("cut", "cut[^$]*fetch again: it goes on"), ("forbidden", "status 403\nThe service refuses us")],
)
def test_a_service_that_is_down_or_refuses_us_is_not_asked_for_every_picture(
    source, planned, monkeypatch, fault, message
):
    monkeypatch.setattr("seran_lib.collect.fetch.LOST", 4)
    source.faults = dict.fromkeys(range(2, 12), fault)
    folder = planned(12)
    with pytest.raises(DataError, match=f"more: 4 pictures .* {message}"):
        run(folder, connections=1)
    assert sum(source.log.values()) < 12
    assert len(read_manifest(folder)) == 2
    source.faults = {}
    assert run(folder).present == 12


@pytest.mark.parametrize("bad", [range(0, 12, 2), range(6)], ids=["among the others", "in a row"])
def test_pictures_that_always_fail_stop_the_others_once_at_most(source, planned, monkeypatch, bad):
    monkeypatch.setattr("seran_lib.collect.fetch.LOST", 4)
    source.faults = dict.fromkeys(bad, "unavailable")
    folder = planned(12)
    if bad == range(6):  # as if the service were down
        with pytest.raises(DataError, match=r"more: 4 pictures .* 503"):
            run(folder, connections=1)
        assert (folder / "manifest.csv").is_file()
        assert set(failures(folder)) == {"id-0", "id-1", "id-2", "id-3"}
    else:
        assert str(run(folder, connections=1)).endswith("6 failed, see failures.csv")
    report = run(folder, connections=1)
    assert (report.present, report.failed) == (6, 6)
    assert all(source.log[number] == 1 for number in range(12) if number not in bad)
    assert len(read_manifest(folder)) == 6

    tried = {image_id: int(row["attempts"]) for image_id, row in failures(folder).items()}
    least = min(reversed(tried), key=tried.get)
    del source.faults[int(least.removeprefix("id-"))]  # it must not wait behind those that never come
    assert run(folder, connections=1).present == 7


def test_a_server_that_asks_for_a_pause_gets_it(source, planned):
    source.faults = {0: ["busy"]}
    folder = planned(1)
    report = run(folder, tries=2)
    assert report.present == 1
    assert report.seconds >= 1
    assert record(folder, "id-0")["attempts"] == 1


def test_a_signed_address_is_followed_and_nowhere_kept(source, planned, capfd, caplog):
    source.faults = {0: "signed", 1: "signed_dead"}
    folder = planned(2)
    report = run(folder, tries=2)  # urllib3 warns of a retry with the address it failed at
    assert (report.present, report.failed) == (1, 1)
    assert failures(folder)["id-1"]["reason"] == "the connection failed or was cut"
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    output = capfd.readouterr()
    assert b"geheim" not in written
    assert "geheim" not in output.out + output.err + caplog.text + str(report)


def test_a_clock_that_jumps_changes_nothing(planned, monkeypatch):
    real, jumps = time.time, random.Random(0)
    monkeypatch.setattr(time, "time", lambda: real() + jumps.choice([-86_400, 0, 86_400]))
    report = run(planned(10))
    assert report.present == 10
    assert 0 <= report.seconds < 60


# ---- pictures that change -------------------------------------------------------------------------------------------


def test_other_bytes_than_the_first_are_refused_and_the_record_stays(source, planned):
    folder = planned(4)
    run(folder)
    first, damaged = record(folder, "id-2"), folder / "images/apis_species2/id-2.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert verify(folder) == ["images/apis_species2/id-2.jpg: its content is not that of the sha256 in the manifest"]

    source.changed = {2}
    report = run(folder)
    assert (report.fetched, report.present, report.failed) == (0, 3, 1)
    assert failures(folder)["id-2"]["reason"] == "changed at the source since it was first fetched"
    assert all(record(folder, "id-2")[key] == first[key] for key in ("sha256", "bytes", "width"))
    assert "id-2" not in read_manifest(folder)["image_id"].tolist()

    source.changed = set()
    assert run(folder).present == 4
    assert damaged.read_bytes() == picture(2)
    assert verify(folder) == []


# ---- plans that change ----------------------------------------------------------------------------------------------


def test_a_changed_plan_is_merged(source, tmp_path):
    rows = rows_of(source, 6)
    folder = write_plan(tmp_path / "set", rows)
    run(folder)
    source.log.clear()
    changed = [row for row in rows_of(source, 8) if row["image_id"] != "id-1"]
    changed[1]["source_url"] = source.url(20)  # id-2
    changed[2]["label"] = "Bombus terrestris"  # id-3
    write_plan(folder, changed)
    report = run(folder)
    assert (report.planned, report.fetched, report.present) == (7, 4, 7)
    assert verify(folder) == [], "a picture that is planned no longer is kept, and no fault"
    assert source.log == Counter({3: 1, 6: 1, 7: 1, 20: 1})
    manifest = read_manifest(folder).set_index("image_id")
    assert list(manifest.index) == [row["image_id"] for row in changed]
    assert (folder / manifest["file"]["id-2"]).read_bytes() == picture(20)
    assert manifest["file"]["id-3"] == "images/bombus_terrestris/id-3.jpg"
    assert not (folder / "images/apis_species0/id-3.jpg").exists()

    write_plan(folder, rows)  # as it was: what vanished is known still
    source.log.clear()
    assert run(folder).present == 6
    assert source.log == Counter({2: 1, 3: 1})


def test_other_columns_of_the_plan_change_the_manifest_only(source, planned):
    folder = planned(3)
    run(folder)
    write_plan(folder, rows_of(source, 3, licence=["CC0 1.0"] * 3))
    assert run(folder).fetched == 0
    assert read_manifest(folder)["licence"].tolist() == ["CC0 1.0"] * 3


def lines(*rows):
    return "\n".join(["image_id,label,source_url", *rows]) + "\n"


SAME = "line 4: image_id 'a' stands on line 2 already"


@pytest.mark.parametrize(
    "text, problems",
    [
        (lines("a,x,http://h/1", "b,x,http://h/2", "a,y,http://h/3"), [SAME]),
        (lines(",x,http://h/1", " b,x,http://h/2"), ["line 2: image_id is empty", "line 3: image_id ' b' begins"]),
        (lines("a,x"), ["line 2: 2 values where the header has 3 columns"]),
        (lines('a,x,"http://h/1'), ["not readable as CSV"]),
        ("image_id,label\na,x\n", ["missing column: source_url (found: image_id,label)"]),
        ("image_id,label,label,source_url\na,x,x,http://h/1\n", ["column occurs twice: label"]),
        ("", ["missing column: image_id"]),
        (lines("a,Bl\udcfcte,http://h/1"), ["not UTF-8"]),
    ],
)
def test_a_wrong_plan_is_refused_with_its_lines_and_changes_nothing(planned, text, problems):
    folder = planned(3)
    run(folder)
    before, plan = tree(folder), (folder / "plan.csv").read_bytes()
    (folder / "plan.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError) as caught:
        run(folder)
    for problem in problems:
        assert problem in str(caught.value)
    assert "plan.csv" in str(caught.value)
    (folder / "plan.csv").write_bytes(plan)
    assert run(folder).fetched == 0
    assert tree(folder) == before


def test_a_folder_without_a_plan_is_left_as_it_is(tmp_path):
    with pytest.raises(DataError, match=r"holds no plan\.csv"):
        run(tmp_path)
    with pytest.raises(DataError, match=r"holds no manifest\.csv"):
        verify(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_query_that_cannot_be_read_is_refused_before_anything_is_fetched(source, planned):
    folder = planned(1)
    (folder / "query.json").write_text("[1")
    with pytest.raises(DataError, match=r"query\.json"):
        run(folder)
    assert not source.log


def test_records_that_cannot_be_read_are_refused_with_a_cure(planned):
    folder = planned(2)
    (folder / "state.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(DataError, match="Move it away"):
        run(folder)
    (folder / "state.sqlite").unlink()
    assert run(folder).present == 2


# ---- one at a time, broken off, killed, no room ---------------------------------------------------------------------


def test_two_fetches_of_one_folder_refuse_each_other(source, planned):
    source.faults = {0: "hang"}
    folder = planned(2)
    first = threading.Thread(target=run, args=(folder,))
    first.start()
    while not source.log[0]:
        time.sleep(0.01)
    for call in (run, verify):
        with pytest.raises(DataError, match="another process is at work"):
            call(folder)
    source.hang.set()
    first.join()
    assert len(read_manifest(folder)) == 2


SCRIPT = """
import signal
import sys
from seran_lib.collect.fetch import fetch
from seran_lib.collect.http import polite_session
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs in the background
print("started", flush=True)
print(fetch(sys.argv[1], session=polite_session(per_second=0, connections=4, tries=2)), flush=True)
"""


def in_a_process(folder):
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_keeps_what_is_finished_and_waits_for_nobody(source, planned):
    source.faults = {4: "hang", 5: "busy_for_long"}
    folder = planned(8)
    process = in_a_process(folder)
    limit = time.monotonic() + 30
    while source.log.total() < 8 or len(list((folder / "images").glob("*/*.jpg"))) < 6:
        assert time.monotonic() < limit
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)  # the picture that hangs would take 60 s
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert "stopped: 6 of 8 images are here; fetch again to go on" in errors
    source.faults, requests = {}, source.log.total()
    assert run(folder).fetched == 2
    assert source.log.total() == requests + 2


def test_after_ctrl_c_in_a_notebook_nothing_goes_on_behind_the_cell(source, planned, monkeypatch):
    source.faults = {0: "hang"}
    folder = planned(20)
    real, recorded = State.succeeded, []

    def interrupted(self, task, outcome):
        if len(recorded) == 1:
            recorded.append("interrupt")
            time.sleep(0.3)  # others finish meanwhile, and wait to be recorded
            raise KeyboardInterrupt
        real(self, task, outcome)
        recorded.append(task.image_id)

    with monkeypatch.context() as patch:
        patch.setattr(State, "succeeded", interrupted)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(folder, connections=4)
        assert time.monotonic() - began < 5
    assert len(recorded) > 4
    requests = source.log.total()
    source.hang.set()  # the picture under way arrives after all
    time.sleep(0.3)
    assert source.log.total() == requests < 20
    assert not (folder / "images/apis_species0/id-0.jpg").exists()
    assert run(folder).present == 20


def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path):
    with Source(latency=0.04) as source:
        rows = rows_of(source, 150)
        whole = write_plan(tmp_path / "whole", rows)
        run(whole)
        killed = write_plan(tmp_path / "killed", rows)
        moments = random.Random(11)
        cut_short = 0
        for _ in range(10):
            process = in_a_process(killed)
            process.stdout.readline()
            time.sleep(moments.uniform(0.0, 0.3))
            process.kill()
            cut_short += process.wait() == -signal.SIGKILL
            process.communicate()
            for path in killed.glob("images/*/*.jpg"):  # a final name means a whole picture
                assert path.read_bytes() == picture(int(path.stem.removeprefix("id-")))
        leftover = killed / "images" / "apis_species0" / ".id-0.jpg.x.part"
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_bytes(b"half a pict")
        (killed / ".failures.csv.x.part").write_text("image")
        assert run(killed).present == 150
    assert cut_short >= 5
    assert tree(killed) == tree(whole)
    assert not list(killed.rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
@pytest.mark.parametrize("victim", ["id-4.jpg", "manifest.csv", "CREDITS.csv", "croissant.json"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_with_what_is_missing_and_loses_nothing(source, planned, monkeypatch, victim, code):
    folder = planned(8)
    real = os.fsync

    def full(descriptor):
        if f"/.{victim}." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match=r"no room left in .*still to fetch.*MB are free"):
            run(folder, connections=1)
    assert not list(folder.rglob("*.part"))
    requests = source.log.total()
    assert run(folder).present == 8
    assert source.log.total() - requests == (4 if victim == "id-4.jpg" else 0)
    assert verify(folder) == []


def test_a_database_without_room_stops_too(source, planned, monkeypatch):
    folder = planned(3)
    run(folder)
    write_plan(folder, rows_of(source, 600))
    opened = State.__init__

    def small(self, path):
        opened(self, path)
        self._db.execute("PRAGMA max_page_count = 20")

    with monkeypatch.context() as patch:
        patch.setattr(State, "__init__", small)
        with pytest.raises(DataError, match="no room left"):
            run(folder)
    write_plan(folder, rows_of(source, 4))
    assert run(folder).fetched == 1


def test_a_folder_that_cannot_be_written_is_named(planned):
    folder = planned(2)
    (folder / "images").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="set cannot be read or written"):
        run(folder)
    with pytest.raises(ValueError, match="connections is 0"):
        run(folder, connections=0)


# ---- verify ---------------------------------------------------------------------------------------------------------


def test_verify_names_what_is_missing_changed_undecodable_and_unknown(planned):
    folder = planned(6)
    run(folder)
    before, images = tree(folder), folder / "images"
    (images / "apis_species0/id-0.jpg").unlink()
    (images / "apis_species1/id-1.jpg").write_bytes(picture(99))
    (images / "apis_species2/unknown.jpg").write_bytes(picture(98))
    assert verify(folder) == [
        "images/apis_species0/id-0.jpg: missing",
        "images/apis_species1/id-1.jpg: its content is not that of the sha256 in the manifest",
        "images/apis_species2/unknown.jpg: not in the manifest",
    ]
    (images / "apis_species2/unknown.jpg").unlink()
    assert run(folder).fetched == 2
    assert verify(folder) == []
    (images / "apis_species0/id-0.jpg").unlink()
    (images / "apis_species1/id-1.jpg").write_bytes(b"")
    assert run(folder).fetched == 2, "what is lost or cut short is seen without verify"
    assert tree(folder) == before


def test_a_shared_set_without_records_is_verified_too(source, tmp_path):
    folder = tmp_path / "shared"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.jpg").write_bytes(picture(1))
    (folder / "images" / "b.jpg").write_bytes(picture(2)[:400])
    (tmp_path / "secret.jpg").write_bytes(picture(3))
    rows = ["image_id,file,label", "a,images/a.jpg,x", "b,images/b.jpg,x", "c,../secret.jpg,x"]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    cut, outside = verify(folder)
    assert cut.startswith("images/b.jpg: cannot be decoded")
    assert outside == "../secret.jpg: leads outside the folder"
    assert sorted(path.name for path in folder.iterdir()) == ["images", "manifest.csv"]
