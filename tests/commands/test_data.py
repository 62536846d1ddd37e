"""`seran data` from the first question to the split, on a small demo atlas."""

import hashlib
import json
import os
import shutil
from functools import partial
from unittest import mock

import pandas as pd
import pytest
import requests

from seran_lib import cli, sources
from seran_lib.collect.ala import addresses
from seran_lib.commands import data as command
from seran_lib.data.manifest import read_manifest
from seran_lib.data.names import slug
from seran_lib.data.tables import read_rows, write_rows
from seran_lib.demo.atlas import server
from seran_lib.errors import DataError
from seran_lib.train.settings import resolve


@pytest.fixture(scope="module")
def small():
    """A demo atlas that is drawn in a moment, in place of the one of the book."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "DemoAtlas", partial(server.DemoAtlas, species=5, images=90, side=72, seed=3))
        yield


@pytest.fixture(scope="module")
def collected(small, tmp_path_factory):
    """A planned and fetched collection. Tests must not change it."""
    folder = tmp_path_factory.mktemp("collected") / "demo"
    assert cli.main(["data", "plan", str(folder), "--source", "demo", "--species", "4"]) == 0
    assert cli.main(["data", "fetch", str(folder)]) in (0, 1)  # 1: the atlas holds pictures that cannot be had
    return folder


def rows(path):
    return [row for _, row in read_rows(path)]


def test_plan_says_what_would_be_fetched_and_fetches_nothing(small, tmp_path, capsys):
    words = ["plan", str(tmp_path / "set"), "--source", "demo", "--per-species", "6", "--licence", "CC BY"]
    assert cli.main(["data", *words]) == 0
    said = capsys.readouterr().out
    planned = rows(tmp_path / "set" / "plan.csv")
    assert {row["licence"].split(" 3")[0].split(" 4")[0] for row in planned} == {"CC BY"}
    assert max(pd.Series([row["label"] for row in planned]).value_counts()) <= 6
    shown = ("licence CC BY 4.0", "about 0 min at 5 pictures a second", "next: seran data fetch", f"{len(planned)}")
    assert all(words in said for words in shown)
    assert not (tmp_path / "set" / "images").exists()


def test_what_is_fetched_is_a_set_that_the_book_can_read(collected):
    manifest = read_manifest(collected)
    planned = rows(collected / "plan.csv")
    failed = rows(collected / "failures.csv")
    assert len(manifest) + len(failed) == len(planned)
    assert manifest["label"].nunique() == 4
    for row in manifest.itertuples():
        assert (collected / row.file).is_file()
        assert row.file.split("/")[1] == slug(row.label)
        assert row.licence or "licence unknown" in row.attribution
    assert {row["image_id"] for row in rows(collected / "CREDITS.csv")} == set(manifest["image_id"])


def test_no_address_of_a_redirect_is_written_anywhere(collected):
    for path in collected.rglob("*"):
        if path.is_file() and path.suffix in (".csv", ".md", ".json", ".sqlite") and "listing" not in path.name:
            assert b"signature=" not in path.read_bytes(), path


def test_an_interrupted_plan_asks_nothing_twice(small, tmp_path):
    plans, asked = [], []
    with sources.service("demo") as service:
        for _ in range(2):
            command.collect_plan(service.atlas(tmp_path), command.client.Query(), tmp_path, species=3)
            plans.append((tmp_path / "plan.csv").read_bytes())
            asked.append(sum(status == 200 for _, _, _, status in service.demo.log))
    assert asked[0] == asked[1]
    assert plans[0] == plans[1]


@pytest.fixture
def folder(collected, tmp_path):
    """A copy of the collection, to be changed."""
    return shutil.copytree(collected, tmp_path / "set")


def test_verify_names_what_was_damaged_and_fetch_fixes_it(folder, capsys):
    assert cli.main(["data", "verify", str(folder)]) == 0
    damaged = folder / read_manifest(folder)["file"][0]
    original = damaged.read_bytes()
    damaged.write_bytes(original[:-50])
    assert cli.main(["data", "verify", str(folder)]) == 1
    assert damaged.relative_to(folder).as_posix() in capsys.readouterr().out
    cli.main(["data", "fetch", str(folder)])
    assert damaged.read_bytes() == original


def test_curate_and_split_end_with_a_set_to_train_on(folder, tmp_path, capsys):
    manifest = read_manifest(folder)
    unwanted = manifest["image_id"][0]
    (folder / "decisions.csv").write_text(f"image_id,decision,value,reason,sha256\n{unwanted},drop,,blurred,\n")
    out = tmp_path / "curated"
    words = ["curate", str(folder), str(out), "--accept-proposals", "--min-images", "12"]
    assert cli.main(["data", *words]) == 0
    curated = read_manifest(out)
    assert unwanted not in set(curated["image_id"])
    assert curated["label"].value_counts().min() >= 12
    assert len(rows(folder / "proposals.csv")) > 0
    counts = curated["label"].value_counts()
    lost = counts[counts == counts.min()].sum()
    assert cli.main(["data", "split", str(out), "--min-images", str(counts.min() + 1)]) == 0
    assert f"left out: {lost} images, too few images" in capsys.readouterr().out
    assert cli.main(["data", "split", str(out), "--min-images", "12", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert "left out" not in said
    parts = pd.read_csv(out / "split.csv")["part"].value_counts()
    assert f"{parts['train']} images to train, {parts['valid']} for validation, {parts['test']} for the test" in said
    assert "occurrence" in said
    shutil.copy(folder / "proposals.csv", out)  # as curating the curated would leave there
    assert cli.main(["data", *words]) == 0, "a second curation replaces the first and its split"
    assert not (out / "split.csv").exists()
    assert cli.main(["data", *words, "--decisions", str(folder / "desicions.csv")]) == 2
    assert "desicions.csv is no file" in capsys.readouterr().err


def test_proposals_are_made_once_and_again_for_a_new_manifest(folder, tmp_path, monkeypatch):
    (folder / "proposals.csv").unlink(missing_ok=True)
    calls = []
    propose = command.proposals.propose
    monkeypatch.setattr(command.proposals, "propose", lambda *given: calls.append(1) or propose(*given))
    words = ["curate", str(folder), str(tmp_path / "out"), "--min-images", "1", "--accept-proposals"]
    assert cli.main(["data", *words]) == 0
    first = (tmp_path / "out" / "manifest.csv").read_bytes()
    assert cli.main(["data", *words]) == 0
    assert (len(calls), (tmp_path / "out" / "manifest.csv").read_bytes()) == (1, first)
    os.utime(folder / "manifest.csv", (2e9, 2e9))
    assert cli.main(["data", *words]) == 0
    assert len(calls) == 2


def test_copies_stay_together_where_their_ids_look_like_numbers(folder, tmp_path):
    manifest = read_manifest(folder)
    manifest["image_id"] = [f"{number:05d}" for number in range(len(manifest))]
    manifest.to_csv(folder / "manifest.csv", index=False)
    members = manifest["image_id"][:2].tolist()
    pair = [(one, "group", "copies", "", other, 1.0) for one, other in (members, members[::-1])]
    pd.DataFrame(pair, columns=command.proposals.COLUMNS).to_csv(folder / "proposals.csv", index=False)
    os.utime(folder / "proposals.csv", (2e9, 2e9))
    words = ["curate", str(folder), str(tmp_path / "out"), "--min-images", "1", "--accept-proposals"]
    assert cli.main(["data", *words]) == 0
    groups = read_manifest(tmp_path / "out").set_index("image_id")["group"]
    assert groups[members[0]] == groups[members[1]]


def test_other_addresses_and_another_pace_reach_the_client(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "collect_plan", lambda atlas, *_, **__: seen.append(atlas) or 1 / 0)
    words = ["--occurrences", "http://o.example/ws", "--images", "http://i.example", "--per-second", "2"]
    with pytest.raises(ZeroDivisionError):
        cli.main(["data", "plan", str(tmp_path), *words])
    assert (seen[0].occurrences_base, seen[0].images_base) == ("http://o.example/ws", "http://i.example")
    assert seen[0].names_base == addresses.NAMES


def test_a_list_from_elsewhere_is_fetched_checked_and_credited(collected, tmp_path, monkeypatch):
    """As a list of Zenodo files: addresses and MD5, no atlas behind it."""
    known = read_manifest(collected).iloc[:3]
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    sums = [hashlib.md5((collected / file).read_bytes()).hexdigest() for file in known["file"]]
    columns = ["image_id", "label", "source_url", "source_md5", "licence", "record"]
    listed = known.assign(
        image_id=["x0", "x1", "x2"], source_md5=["0" * 32, *sums[1:]], licence="CC BY 4.0", record="1"
    )
    write_rows(folder / "plan.csv", columns, listed.to_dict("records"))
    with sources.service("demo") as service:
        monkeypatch.setattr(sources, "service", lambda source: sources.contextlib.nullcontext(service))
        assert cli.main(["data", "fetch", str(folder)]) == 1
    manifest = read_manifest(folder)
    assert manifest["image_id"].tolist() == ["x1", "x2"]
    assert manifest["group"].tolist() == ["x1", "x2"], "a record of Zenodo is a whole drawer, not one specimen"
    assert rows(folder / "failures.csv")[0]["reason"] == "its MD5 is not that of the plan"
    assert "CC BY 4.0" in (folder / "CREDITS.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch", "nowhere"], "holds no plan.csv"),
        (["verify", "nowhere"], "holds no manifest.csv"),
        (["split", "nowhere"], "is not a folder"),
        (["plan", "a file", "--source", "demo"], "a file cannot be read or written"),
        (["curate", "nowhere", "out"], "is not a folder"),
        (["plan", "set", "--source", "demo", "--taxon", "Insektae"], "knows no taxon of the name 'Insektae'"),
        (["plan", "set", "--source", "demo", "--licence", "free"], "not a licence: 'free'"),
        (["plan", "set", "--source", "demo", "--species", "0"], "must be positive"),
    ],
)
def test_wrong_questions_get_an_answer_in_words(small, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    assert cli.main(["data", *words]) in (1, 2)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (requests.ConnectionError("no route"), 1, "cannot be reached"),
        (KeyboardInterrupt(), 130, "Give the same command again"),
    ],
)
def test_a_service_that_is_not_reached_and_ctrl_c_are_answered_in_words(
    tmp_path, monkeypatch, capsys, error, code, said
):
    monkeypatch.setattr(sources.Service, "atlas", mock.Mock(side_effect=error))
    assert cli.main(["data", "plan", str(tmp_path / "set")]) == code
    assert said in capsys.readouterr().err


def test_the_words_for_data_lead_to_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("SERAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SERAN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(sources, "DRAWN", {"species": 2, "images_per_species": 3, "side": 32, "seed": 0})
    assert resolve("smoke", data=sources.folder("")).run_id.startswith("drawn-smoke-seran_d-")
    assert sources.folder("", "laptop") == "" and sources.folder("my/wasps", "laptop") == "my/wasps"
    (tmp_path / "data" / "ala-curated").mkdir(parents=True)
    assert sources.folder("ala", "paper") == str(tmp_path / "data" / "ala-curated")


def test_chapter_1_knows_what_its_data_means(tmp_path):
    assert [sources.source_for(data) for data in ("", "ala", str(tmp_path))] == ["demo", "ala", "demo"]
    with pytest.raises(DataError, match="'ALA', no folder"):
        sources.source_for("ALA")


def test_the_source_of_a_collection_is_read_from_its_question(tmp_path):
    assert sources.source_of(tmp_path) == "ala"
    (tmp_path / "query.json").write_text(json.dumps({"services": {"images": server.IMAGES}}))
    assert sources.source_of(tmp_path) == "demo"
    (tmp_path / "query.json").write_text("{")
    with pytest.raises(DataError, match="not readable as JSON"):
        sources.source_of(tmp_path)
    with pytest.raises(ValueError, match="unknown source 'gbif'"), sources.service("gbif"):
        pass
