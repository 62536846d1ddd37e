"""Where the words lead that stand for data: "" to the drawn insects, "demo" to the demo atlas, "ala" to the live one.

``demo`` is the embedded atlas of drawn insects, served on this machine under an address of its own. ``ala`` is the
Atlas of Living Australia, asked with the same client. Only this module knows both; whatever trains, explains or
compares is given a folder.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from requests import Session

from seran_lib import paths
from seran_lib.collect.ala import addresses, client
from seran_lib.collect.ala.listing import collect_plan
from seran_lib.collect.fetch import fetch
from seran_lib.collect.http import polite_session
from seran_lib.collect.plan import read_question
from seran_lib.demo.atlas import server
from seran_lib.demo.dataset import draw_atlas
from seran_lib.errors import DataError
from seran_lib.paths import ALA

SOURCES = ("demo", ALA)
DRAWN = {"species": 6, "images_per_species": 60, "side": 80, "seed": 7}  # what the smoke profile learns from
POLITE = 5.0  # requests a second to one host; the atlas publishes no limit


def folder(data: str, profile: str = "smoke") -> str:
    """The folder of images that `data` names: itself; for "ala" the curated copy that chapter 02 wrote of the live
    atlas; for "", in the smoke profile, the drawn insects, drawn now where they are missing.

    The other profiles are for photographs: "" stays "", and `profiles.resolve` asks for a folder. Raises DataError
    where the atlas has not been collected yet.
    """
    if data != ALA:
        return data if data or profile != "smoke" else str(draw_atlas(paths.cache() / "drawn", **DRAWN))
    curated = paths.collections() / f"{ALA}-curated"
    if not curated.is_dir():
        raise DataError(
            "nothing has been collected from the live atlas yet",
            f"Run 01_collect_from_ala and 02_curate_and_split with --data {ALA} first.",
        )
    return str(curated)


@dataclass(frozen=True)
class Service:
    """Base addresses of an atlas, how fast it may be asked (requests a second to one host, 0: no limit), how its host
    is reached where that is not by its name, and the demo atlas itself where it is that one.
    """

    occurrences: str = addresses.OCCURRENCES
    images: str = addresses.IMAGES
    names: str = addresses.NAMES
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
    if source == ALA:
        yield Service()
    elif source == "demo":
        with server.DemoAtlas(page_depth_max=20) as demo:  # few enough that a species exceeds it
            addresses = server.OCCURRENCES, server.IMAGES, server.NAMES
            yield Service(*addresses, per_second=0, reroute=demo.reroute, demo=demo)
    else:
        raise ValueError(f"unknown source {source!r}: choose one of {', '.join(SOURCES)}")


def source_of(folder: str | Path) -> str:
    """The source a plan in `folder` was made from; a plan that is not ours, of Zenodo say, counts as live."""
    return "demo" if server.ADDRESS in json.dumps(read_question(folder)) else ALA


def source_for(data: str) -> str:
    """The source from which chapter 01 collects for its parameter `data`: "ala" for the live atlas, else "demo".

    A folder has its pictures already, so that the chapter shows the demo beside it. Raises `DataError` for what is
    neither empty, nor "ala", nor a folder.
    """
    if data and data != ALA and not Path(data).is_dir():
        raise DataError(f"data is {data!r}, no folder", f'Leave it empty for the demo atlas, or say "{ALA}".')
    return ALA if data == ALA else "demo"


def folder_of(source: str) -> Path:
    """Where the collection of a source lies: the demo among the runs, which may be deleted; live ones in `data/`."""
    return paths.runs() / "demo-atlas" if source == "demo" else paths.collections() / source


def collect(source: str, query: client.Query, *, species: int) -> Path:
    """Plan and fetch in one go, into `folder_of(source)`; again: go on. Returns the folder.

    What failed is in its ``failures.csv``. Raises `DataError` for what stops everything.
    """
    folder = folder_of(source)
    with service(source) as opened:
        collect_plan(opened.atlas(folder), query, folder, species=species)
        fetch(folder, session=opened.session(connections=4), connections=4)
    return folder
