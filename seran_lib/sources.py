"""Where a collection comes from and where it lies: the live atlas or the demo atlas, with the same client.

``demo`` is the embedded atlas of drawn insects, served on this machine under an address of its own. ``ala`` is the
Atlas of Living Australia. Nothing else in the book asks which of the two it is talking to.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from requests import Session

from seran_lib import paths
from seran_lib.collect.ala import client
from seran_lib.collect.credits import CREDITS, CROISSANT, SUMMARY
from seran_lib.collect.download import IMAGES
from seran_lib.collect.fetch import FAILURES, LOCK, fetch
from seran_lib.collect.http import polite_session
from seran_lib.collect.plan import PLAN, QUERY, read_question
from seran_lib.collect.state import STATE, State
from seran_lib.curate.decisions import DECISIONS
from seran_lib.curate.proposals import PROPOSALS
from seran_lib.data.manifest import MANIFEST
from seran_lib.data.split import SPLIT
from seran_lib.demo.atlas import server
from seran_lib.errors import DataError
from seran_lib.paths import ALA

SOURCES = ("demo", "ala")
# What collecting and proposing write into a folder, besides the pictures and what reviewers decided.
_FILES = (
    *(PLAN, QUERY, STATE, MANIFEST, FAILURES, CREDITS, SUMMARY, CROISSANT, PROPOSALS, SPLIT, client.LISTING, LOCK),
    DECISIONS + ".lock",
)
_OF_SQLITE = ("-wal", "-shm", "-journal")
POLITE = 5.0  # requests a second to one host; the atlas publishes no limit


@dataclass(frozen=True)
class Service:
    """Base addresses of an atlas, how fast it may be asked (requests a second to one host, 0: no limit), how its host
    is reached where that is not by its name, and the demo atlas itself where it is that one.
    """

    occurrences: str = client.OCCURRENCES
    images: str = client.IMAGES
    names: str = client.NAMES
    per_second: float = POLITE
    reroute: dict[str, str] = field(default_factory=dict)
    demo: server.DemoAtlas | None = None

    def atlas(self, folder: Path) -> client.Atlas:
        """A client whose listing is remembered in `folder`: asked again after an interruption, it goes on."""
        session = client.listing_session(folder, per_second=self.per_second, reroute=self.reroute)
        return client.Atlas(session, occurrences=self.occurrences, images=self.images, names=self.names)

    def session(self, connections: int) -> Session:
        """A session for the pictures."""
        return polite_session(per_second=self.per_second, connections=connections, reroute=self.reroute)


@contextlib.contextmanager
def service(source: str) -> Iterator[Service]:
    """The service of that name, which for "demo" runs on this machine for as long as the context is open."""
    if source == "ala":
        yield Service()
    elif source == "demo":
        with server.DemoAtlas(page_depth_max=20) as demo:  # few enough that a species exceeds it
            addresses = server.OCCURRENCES, server.IMAGES, server.NAMES
            yield Service(*addresses, per_second=0, reroute=demo.reroute, demo=demo)
    else:
        raise ValueError(f"unknown source {source!r}: choose one of {', '.join(SOURCES)}")


def source_of(folder: str | Path) -> str:
    """The source a plan in `folder` was made from; a plan that is not ours, of Zenodo say, counts as live."""
    return "demo" if server.ADDRESS in json.dumps(read_question(folder)) else "ala"


def source_for(data: str) -> str:
    """The source from which chapter 01 collects for its parameter `data`: "ala" for the live atlas, else "demo".

    A folder has its pictures already, so that the chapter shows the demo beside it. Raises `DataError` for what is
    neither empty, nor "ala", nor a folder.
    """
    if data and data != ALA and not Path(data).is_dir():
        raise DataError(f"data is {data!r}, no folder", f'Leave it empty for the demo atlas, or say "{ALA}".')
    return "ala" if data == ALA else "demo"


def folder_of(source: str) -> Path:
    """Where the collection of a source lies: the demo among the runs, which may be deleted; live ones in `data/`."""
    return paths.runs() / "demo-atlas" if source == "demo" else paths.collections() / source


def clear_demo(folder: str | Path) -> None:
    """Empty `folder`, so that the demo can be collected there anew; what was decided about its pictures stays.

    Raises `DataError`, and deletes nothing, where `folder` holds anything but a demo collection: another one, or any
    file that a collection has not.
    """
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    # the demo's own place may hold what is left of a listing that was interrupted, which has no source yet
    if folder.resolve() != folder_of("demo").resolve() and source_of(folder) != "demo":
        raise DataError(
            f"{folder} is no demo collection, and is not emptied for one",
            "Let `out` name a new folder or an empty one, or leave it empty.",
        )
    pictures: set[str] = set()
    if (folder / STATE).is_file():
        with State(folder) as state:
            pictures = set(state.files())
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    own = {path for path in files if path.suffix == ".part" or path.relative_to(folder).as_posix() in pictures}
    own |= {folder / f"{name}{ending}" for name in _FILES for ending in ("", ".lock", *_OF_SQLITE)}
    if foreign := sorted(set(files) - own - {folder / DECISIONS}):
        raise DataError(
            [f"{path} is no part of a demo collection" for path in foreign],
            "Let `out` name a new folder or an empty one, or move these files: nothing was deleted.",
        )
    for path in own:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / IMAGES, ignore_errors=True)  # empty folders by now


def collect(source: str, query: client.Query, *, species: int) -> Path:
    """Plan and fetch in one go, into `folder_of(source)`; again: go on. Returns the folder.

    What failed is in its ``failures.csv``. Raises `DataError` for what stops everything.
    """
    folder = folder_of(source)
    with service(source) as opened:
        client.collect_plan(opened.atlas(folder), query, folder, species=species)
        fetch(folder, session=opened.session(connections=4), connections=4)
    return folder
