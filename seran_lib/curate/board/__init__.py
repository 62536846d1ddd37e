"""The review board: pages of thumbnails in a notebook, each picture judged with one key.

Python holds the state and the front end (board.js) shows it: a key or a button sends a message, the decision is saved,
and only then does `state` say so. A decision that could not be saved is thus never shown as made. Pictures travel as
messages when the front end asks for them and never as part of the state, so none ends up in a saved notebook.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets
from PIL import Image

from seran_lib.curate.decisions import Decisions, check_box
from seran_lib.curate.replay import check_proposals
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pictures import decode, read_box

FILTERS = ("all", "with proposal", "undecided")
THUMBNAIL, LARGE = 160, 1200  # pixels of the longer side at most
JPEG_QUALITY = 85


class ReviewBoard(anywidget.AnyWidget):
    """A board for the pictures of the collection in `folder`; every decision is saved to `decisions_path` at once.

    `proposals` is what `propose` found, or None. `per_page` thumbnails are shown at a time. Keys: arrows move, k keep,
    d drop, l wrong label, c crop, a accept the proposal, u undo, n and p turn the page; each is a button too.

    The attribute `decisions` holds what was decided. Raises `DataError` for a collection, proposals or decisions that
    cannot be read, and `ValueError` for a `per_page` below 1.
    """

    _esm = Path(__file__).with_name("board.js")
    _css = Path(__file__).with_name("board.css")

    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self, folder: str | Path, proposals: pd.DataFrame | None, decisions_path: str | Path, per_page: int = 24
    ) -> None:
        if per_page < 1:
            raise ValueError(f"per_page is {per_page}: show at least 1")
        manifest = read_manifest(folder).set_index("image_id")
        self._paths: dict[str, Path] = {key: Path(folder, file) for key, file in manifest["file"].items()}
        self._labels: dict[str, str] = manifest["label"].to_dict()
        self._proposals: dict[str, list[dict[str, str]]] = {}
        for row in check_proposals(proposals).to_dict("records"):
            self._proposals.setdefault(row["image_id"], []).append(row)
        self.decisions = Decisions(decisions_path)
        self._per_page, self._answers = per_page, 0
        self._choose("all")
        super().__init__(labels=sorted(manifest["label"].unique()), state=self._state())
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        judged = f"{len(self._decided)} of {len(self._paths)} pictures judged"
        return f"ReviewBoard: {judged} (open it in JupyterLab to judge more)"

    # ---- what is shown ----

    @property
    def _decided(self) -> set[str]:
        return self._paths.keys() & {row.image_id for row in self.decisions}

    def _state(self, *, error: str = "", focus: str = "") -> dict[str, Any]:
        start = self._page * self._per_page
        return {
            "cards": [self._card(image_id) for image_id in self._chosen[start : start + self._per_page]],
            "page": self._page,
            "pages": max(1, -(-len(self._chosen) // self._per_page)),
            "filter": self._filter,
            "filters": FILTERS,
            "chosen": len(self._chosen),
            "judged": len(self._decided),
            "total": len(self._paths),
            "error": error,
            "focus": focus,  # the picture to select now, "" for no other
            "answer": self._answers,  # makes an answer that changes nothing an answer all the same
        }

    def _card(self, image_id: str) -> dict[str, Any]:
        """One picture: its label, the current decision, what is proposed, and the decision that would accept it."""
        decided = self.decisions.get(image_id)
        proposals = self._proposals.get(image_id, [])
        accepting = [("label", one["related"]) for one in proposals if one["proposal"] == "relabel"]
        accepting += [(one["proposal"], one["crop"]) for one in proposals if one["proposal"] in ("crop", "drop")]
        return {
            "id": image_id,
            "label": self._labels[image_id],
            "decision": decided.decision if decided else "",
            "value": decided.value if decided else "",
            "proposals": [f"{one['proposal']}? {one['reason']}".strip() for one in proposals],
            "crop": next((one["crop"] for one in proposals if one["proposal"] == "crop"), ""),
            "accept": accepting[-1] if accepting else None,  # dropped is dropped, so that a drop comes first
        }

    # ---- what is asked for ----

    def _receive(self, _: object, message: dict[str, Any], __: object) -> None:
        """Do what the front end asks for; what goes wrong is shown on the board."""
        what, arguments = message.get("do"), message.get("with", {})
        if what == "show":
            self._show(**arguments)
            return
        actions = {"decide": self._decide, "undo": self._undo, "page": self._turn, "filter": self._choose}
        actions["reload"] = self.decisions.reload
        error = ""
        try:
            focus = actions[what](**arguments)
        except ValueError as problem:  # a DataError is one
            error, focus = str(problem), arguments.get("image_id")
        self._answers += 1
        self.state = self._state(error=error, focus=focus or "")

    def _decide(self, image_id: str, decision: str, value: str = "") -> None:
        try:
            data = self._paths[image_id].read_bytes()
        except OSError:
            data = b""  # can still be dropped
        if decision == "crop":
            check_box(read_box(value), decode(data).size)
        reasons = [one["reason"] for one in self._proposals.get(image_id, []) if one["proposal"] == decision]
        sha256 = hashlib.sha256(data).hexdigest() if data else ""
        self.decisions.set(image_id, decision, value, reasons[0] if reasons else "", sha256)

    def _undo(self) -> str:
        image_id = self.decisions.undo()
        if image_id is None:
            raise ValueError("There is nothing to undo: every decision made on this board is taken back.")
        if image_id not in self._chosen:
            self._choose("all")
        self._page = self._chosen.index(image_id) // self._per_page
        return image_id

    def _turn(self, page: int) -> None:
        self._page = max(0, min(page, (len(self._chosen) - 1) // self._per_page))

    def _choose(self, choice: str) -> None:
        """Choose the pictures to turn through. They stay until the next choice, so that none vanishes when judged."""
        left_out = {"all": (), "with proposal": self._paths.keys() - self._proposals.keys(), "undecided": self._decided}
        self._filter, self._page = choice, 0
        self._chosen = [image_id for image_id in self._paths if image_id not in left_out[choice]]

    def _show(self, image_id: str, large: bool) -> None:
        """Send a picture as JPEG with the size of the original (width, height), or why it cannot be shown."""
        answer: dict[str, Any] = {"image_id": image_id, "large": large, "error": ""}
        try:
            image = decode(self._paths[image_id].read_bytes())
        except (OSError, ValueError) as error:
            self.send(answer | {"error": getattr(error, "strerror", "") or str(error)})
            return
        size = image.size
        image.thumbnail((LARGE, LARGE) if large else (THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, icc_profile=image.info.get("icc_profile"))
        self.send(answer | {"size": size}, [buffer.getvalue()])
