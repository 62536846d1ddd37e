"""The Python side of the review board, spoken to as its front end does: by messages."""

import hashlib
import io
import os
import tomllib

import pandas as pd
import pytest
from PIL import Image

from seran_lib.curate.board import LARGE, THUMBNAIL, ReviewBoard
from seran_lib.curate.decisions import Decisions
from seran_lib.curate.replay import curate
from seran_lib.data.manifest import read_manifest
from seran_lib.demo.dataset import draw_atlas
from seran_lib.errors import DataError
from seran_lib.paths import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_atlas(tmp_path_factory.mktemp("board") / "set", species=3, images_per_species=4, side=48, seed=1)


@pytest.fixture
def ids(folder):
    return read_manifest(folder)["image_id"].tolist()


@pytest.fixture
def board(folder, ids, tmp_path):
    """Four pictures a page; the first is proposed to be dropped and cropped, the second to get another label."""
    rows = [(ids[0], "crop", "a label", "0 0 30 30", ""), (ids[0], "drop", "no insect", "", "")]
    rows += [(ids[1], "relabel", "", "", "Another species"), (ids[5], "group", "near-duplicate", "", ids[0])]
    proposals = pd.DataFrame(rows, columns=["image_id", "proposal", "reason", "crop", "related"])
    return ReviewBoard(folder, proposals, tmp_path / "decisions.csv", per_page=4)


@pytest.fixture
def sent(monkeypatch):
    """What the board sends: the contents and the buffers of its messages."""
    messages = []
    monkeypatch.setattr(ReviewBoard, "send", lambda _, content, buffers=None: messages.append((content, buffers)))
    return messages


def say(board, what, **given):
    """What the front end's `ask` does. Returns the state that answers."""
    board._handle_custom_msg({"do": what, "with": given}, [])
    return board.state


def shown(state):
    return {card["id"]: card["decision"] for card in state["cards"]}


def saved(board):
    return {row.image_id: (row.decision, row.value, row.reason) for row in Decisions(board.decisions.path)}


def test_a_page_shows_labels_proposals_and_how_to_accept_them(board, ids, folder):
    state = board.state
    assert list(shown(state)) == ids[:4] and set(shown(state).values()) == {""}
    assert (state["page"], state["pages"], state["judged"], state["total"]) == (0, -(-len(ids) // 4), 0, len(ids))
    first, second, third, _ = state["cards"]
    assert first["proposals"] == ["crop? a label", "drop? no insect"] and first["crop"] == "0 0 30 30"
    assert first["accept"] == ("drop", "") and second["accept"] == ("label", "Another species")
    assert third["accept"] is None and third["proposals"] == []
    assert board.labels == sorted(set(read_manifest(folder)["label"]))


def test_a_decision_is_saved_before_it_is_shown(board, ids, folder):
    state = say(board, "decide", image_id=ids[0], decision="drop")
    assert saved(board) == {ids[0]: ("drop", "", "no insect")}
    assert shown(state)[ids[0]] == "drop" and state["judged"] == 1 and not state["error"]
    state = say(board, "decide", image_id=ids[0], decision="crop", value="1 2 31 32")
    assert saved(board) == {ids[0]: ("crop", "1 2 31 32", "a label")}
    assert state["cards"][0]["value"] == "1 2 31 32" and state["judged"] == 1
    picture = folder / read_manifest(folder)["file"][0]
    assert board.decisions.get(ids[0]).sha256 == hashlib.sha256(picture.read_bytes()).hexdigest()


@pytest.mark.parametrize("fault", ["changed by someone else", "No space left", "leaves the picture", "not a crop box"])
def test_what_cannot_be_saved_is_an_error_and_not_shown_as_made(board, ids, monkeypatch, fault):
    say(board, "decide", image_id=ids[0], decision="keep")
    decision, value = "drop", ""
    if fault == "changed by someone else":
        Decisions(board.decisions.path).set(ids[2], "keep")
    elif fault == "No space left":
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    else:
        decision, value = "crop", {"leaves the picture": "0 0 999 999", "not a crop box": "30 0 8 30"}[fault]
    before = board.decisions.path.read_bytes()
    state = say(board, "decide", image_id=ids[1], decision=decision, value=value)
    if fault != "not a crop box":
        assert fault in state["error"]
    assert state["error"] and state["focus"] == ids[1]
    assert shown(state)[ids[1]] == "" and state["judged"] == 1
    assert board.decisions.path.read_bytes() == before

    monkeypatch.undo()
    state = say(board, "reload")
    assert not state["error"] and state["judged"] == (2 if fault == "changed by someone else" else 1)
    state = say(board, "decide", image_id=ids[1], decision="drop")
    assert not state["error"] and shown(state)[ids[1]] == "drop"


def test_decisions_made_on_the_board_count_at_once_and_others_can_be_added(board, ids, folder, tmp_path):
    """As in chapter 02: the board is shown, somebody judges, and the next cells use what was decided."""
    decisions = board.decisions
    say(board, "decide", image_id=ids[0], decision="drop")
    decisions.set(ids[1], "drop")
    curated = curate(folder, decisions, tmp_path / "curated", min_images=1)
    assert curated.images == len(ids) - 2
    state = say(board, "decide", image_id=ids[2], decision="keep")
    assert not state["error"] and shown(state)[ids[1]] == "drop" and state["judged"] == 3


def test_undo_turns_to_the_picture_and_says_when_there_is_nothing_to_undo(board, ids):
    say(board, "decide", image_id=ids[6], decision="keep")
    say(board, "decide", image_id=ids[0], decision="keep")
    assert say(board, "undo")["focus"] == ids[0]
    say(board, "filter", choice="undecided")
    state = say(board, "undo")
    assert state["focus"] == ids[6] and state["page"] == 1 and shown(state)[ids[6]] == "" and state["filter"] == "all"
    assert saved(board) == {}
    state = say(board, "undo")
    assert "nothing to undo" in state["error"] and state["page"] == 1


def test_pages_end_at_both_ends(board, ids):
    assert list(shown(say(board, "page", page=1))) == ids[4:8]
    assert say(board, "page", page=-3)["page"] == 0
    last = say(board, "page", page=99)
    assert last["page"] == last["pages"] - 1 and list(shown(last))[-1] == ids[-1]


def test_filters_choose_pictures_which_stay_until_the_next_choice(board, ids):
    assert list(shown(say(board, "filter", choice="with proposal"))) == [ids[0], ids[1], ids[5]]
    assert list(shown(say(board, "filter", choice="undecided"))) == ids[:4]
    state = say(board, "decide", image_id=ids[1], decision="keep")
    assert list(shown(state)) == ids[:4]
    assert list(shown(say(board, "filter", choice="undecided"))) == [ids[0], *ids[2:5]]
    for image_id in ids:
        say(board, "decide", image_id=image_id, decision="keep")
    state = say(board, "filter", choice="undecided")
    assert (state["cards"], state["pages"], state["chosen"], state["judged"]) == ([], 1, 0, len(ids))
    assert say(board, "page", page=1)["page"] == 0


def test_every_message_is_answered_even_if_nothing_changes(board, ids):
    assert len({say(board, "decide", image_id=ids[0], decision="keep")["answer"] for _ in range(3)}) == 3


def test_pictures_are_sent_when_asked_for_and_are_not_part_of_the_state(board, ids, sent, folder):
    before = board.state
    say(board, "show", image_id=ids[0], large=False)
    say(board, "show", image_id=ids[0], large=True)
    assert board.state is before
    with Image.open(folder / read_manifest(folder)["file"][0]) as original:
        size = original.size
    for (content, (jpeg,)), side in zip(sent, (THUMBNAIL, LARGE), strict=True):
        image = Image.open(io.BytesIO(jpeg))
        assert content["size"] == size and content["error"] == "" and content["image_id"] == ids[0]
        assert image.format == "JPEG" and max(image.size) == min(side, max(size))
    assert [content["large"] for content, _ in sent] == [False, True]


def test_a_picture_that_cannot_be_shown_says_why_and_can_be_dropped(tmp_path, sent):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "b.jpg").write_bytes(b"gone soon")
    (tmp_path / "manifest.csv").write_text("image_id,file,label\n<b>a</b>,a.jpg,bee\nb,b.jpg,bee\n")
    board = ReviewBoard(tmp_path, None, tmp_path / "decisions.csv")
    (tmp_path / "b.jpg").unlink()
    say(board, "show", image_id="<b>a</b>", large=False)
    say(board, "show", image_id="b", large=True)
    assert [buffers for _, buffers in sent] == [None, None]
    assert "not an image" in sent[0][0]["error"] and sent[1][0]["error"] == "No such file or directory"
    assert not say(board, "decide", image_id="b", decision="drop")["error"]
    assert "not an image" in say(board, "decide", image_id="<b>a</b>", decision="crop", value="0 0 20 20")["error"]


def test_without_a_front_end_it_is_a_line_of_text(board, ids):
    say(board, "decide", image_id=ids[0], decision="keep")
    bundle, _ = board._repr_mimebundle_()
    assert bundle["text/plain"] == repr(board)
    assert repr(board).startswith(f"ReviewBoard: 1 of {len(ids)} pictures judged")


def test_what_cannot_work_is_refused_at_once(folder, tmp_path):
    with pytest.raises(ValueError, match="per_page is 0"):
        ReviewBoard(folder, None, tmp_path / "decisions.csv", per_page=0)
    (tmp_path / "decisions.csv").write_text("nonsense\n")
    with pytest.raises(DataError, match="not the header"):
        ReviewBoard(folder, None, tmp_path / "decisions.csv")


def test_the_front_end_is_installed_with_the_library(board):
    assert "export default" in board._esm and ".seran-board" in board._css
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {path.name for glob in settings["package-data"]["seran_lib"] for path in (ROOT / "seran_lib").glob(glob)}
    assert {"board.js", "board.css"} <= found
