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

from seran_lib.data import ala, demo_atlas
from seran_lib.data.fetch import fetch
from seran_lib.data.http import polite_session
from seran_lib.data.manifest import DataError
from seran_lib.paths import ALA, COLLECTIONS, RUNS

SOURCES = ("demo", "ala")
POLITE = 5.0  # requests a second to one host; the atlas publishes no limit


@dataclass(frozen=True)
class Service:
    """Base addresses of an atlas, how fast it may be asked (requests a second to one host, 0: no limit), how its host
    is reached where that is not by its name, and the demo atlas itself where it is that one.
    """

    occurrences: str = ala.OCCURRENCES
    images: str = ala.IMAGES
    names: str = ala.NAMES
    per_second: float = POLITE
    reroute: dict[str, str] = field(default_factory=dict)
    demo: demo_atlas.DemoAtlas | None = None

    def atlas(self, folder: Path) -> ala.Atlas:
        """A client whose listing is remembered in `folder`: asked again after an interruption, it goes on."""
        session = ala.listing_session(folder, per_second=self.per_second, reroute=self.reroute)
        return ala.Atlas(session, occurrences=self.occurrences, images=self.images, names=self.names)

    def session(self, connections: int) -> Session:
        """A session for the pictures."""
        return polite_session(per_second=self.per_second, connections=connections, reroute=self.reroute)


@contextlib.contextmanager
def service(source: str) -> Iterator[Service]:
    """The service of that name, which for "demo" runs on this machine for as long as the context is open."""
    if source == "ala":
        yield Service()
    elif source == "demo":
        with demo_atlas.DemoAtlas(page_depth_max=20) as demo:  # few enough that a species exceeds it
            addresses = demo_atlas.OCCURRENCES, demo_atlas.IMAGES, demo_atlas.NAMES
            yield Service(*addresses, per_second=0, reroute=demo.reroute, demo=demo)
    else:
        raise ValueError(f"unknown source {source!r}: choose one of {', '.join(SOURCES)}")


def source_of(folder: str | Path) -> str:
    """The source a plan in `folder` was made from; a plan that is not ours, of Zenodo say, counts as live."""
    query = Path(folder) / "query.json"
    try:
        content = query.read_text(encoding="utf-8") if query.is_file() else ""
        json.loads(content or "{}")
    except ValueError:
        raise DataError(f"{query} is not readable as JSON", "Make the plan again; pictures are kept.") from None
    return "demo" if demo_atlas.ADDRESS in content else "ala"


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
    return RUNS / "demo-atlas" if source == "demo" else COLLECTIONS / source


def clear_demo(folder: str | Path) -> None:
    """Empty `folder`, so that the demo can be collected there anew; what was decided about its pictures stays.

    Raises `DataError`, and deletes nothing, where `folder` holds anything but a demo collection.
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
    shutil.rmtree(folder / "images", ignore_errors=True)
    for path in set(folder.glob("*.*")) - {folder / "decisions.csv"}:
        if path.is_file():
            path.unlink()


def collect(source: str, query: ala.Query, *, species: int) -> Path:
    """Plan and fetch in one go, into `folder_of(source)`; again: go on. Returns the folder.

    What failed is in its ``failures.csv``. Raises `DataError` for what stops everything.
    """
    folder = folder_of(source)
    with service(source) as opened:
        ala.collect_plan(opened.atlas(folder), query, folder, species=species)
        fetch(folder, session=opened.session(connections=4), connections=4)
    return folder
