"""What is asked of the atlas, in the query language of its occurrence search, which is that of Solr."""

import datetime
import re
from dataclasses import dataclass

from seran_lib.collect import licences
from seran_lib.collect.ala.replies import version_3

AS_OF_STATEMENT = (
    "The atlas keeps no history, so this is what it holds today less whatever is dated later, not what it held then. "
    "Records and images deleted since are missing, among them photographs of iNaturalist without a Creative Commons "
    "licence, which went from 2020 on, and some 800,000 images that no record used any more, deleted in 2025. "
    "Names, species and ids are those of today: in 2021 and 2022 the atlas moved to a new system with a new taxonomy, "
    "and pictures that were loaded again have new ids. "
    "Moving and loading again may also have renewed the dates that are compared here, which hides what was there; an "
    "image whose date is unknown is left out. "
    "Counts of species and images, and which species have most, therefore differ from those of a listing made then."
)
_STATES = (
    *("Australian Capital Territory", "New South Wales", "Northern Territory", "Queensland", "South Australia"),
    *("Tasmania", "Victoria", "Western Australia"),
)
IDENTIFIER = re.compile(r"(?:https?://|urn:)\S+")


@dataclass(frozen=True)
class Query:
    """Which records with images are wanted; all conditions hold together, an empty one is none.

    `taxon` is a scientific name or an identifier (an address or an LSID), and includes all taxa below. `region` is a
    state or territory of Australia, or else a country. `since` and `until` are the first and last day of the event;
    records without a day fit neither. `basis` holds values such as PRESERVED_SPECIMEN, `exclude_resources` uids such as
    dr1411. `licences` are of the image, in any spelling; one without a version, "CC BY", stands for all its versions.
    `as_of` asks for what was there at the end of that day, as far as this can be known: see `AS_OF_STATEMENT`.

    Raises ValueError for an empty taxon, days in the wrong order and unknown licences.
    """

    taxon: str = "Insecta"
    region: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None
    basis: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    exclude_resources: tuple[str, ...] = ()
    as_of: datetime.date | None = None

    def __post_init__(self) -> None:
        if not self.taxon.strip():
            raise ValueError("the taxon is empty")
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"since {self.since} until {self.until}: the first day comes after the last")
        unknown = [text for text in self.licences if not licences.normalise(text)]
        if unknown:
            raise ValueError(f"not a licence: {', '.join(map(repr, unknown))}; write for example 'CC BY 4.0'")
        object.__setattr__(self, "licences", tuple(licences.normalise(text) for text in self.licences))

    def filters(self) -> list[str]:
        """The conditions as `fq` terms of the occurrence search, but for two kinds.

        The taxon's needs its identifier (`Atlas.terms` puts it in front); licences are conditions on images, which the
        index of occurrences does not know.
        """
        terms = ["multimedia:Image"]
        if self.region:
            state = next((state for state in _STATES if state.casefold() == self.region.strip().casefold()), "")
            terms.append(f"stateProvince:{quoted(state)}" if state else f"country:{quoted(self.region.strip())}")
        if self.since or self.until:
            first = f"{self.since:%Y-%m-%d}T00:00:00Z" if self.since else "*"
            last = f"{self.until:%Y-%m-%d}T23:59:59Z" if self.until else "*"
            terms.append(f"eventDate:[{first} TO {last}]")
        if self.basis:
            terms.append(" OR ".join(f"basisOfRecord:{quoted(version_3(value))}" for value in self.basis))
        terms += [f"-dataResourceUid:{quoted(uid)}" for uid in self.exclude_resources]
        if self.as_of:
            terms.append(f"firstLoadedDate:[* TO {self.as_of:%Y-%m-%d}T23:59:59Z]")
        return terms


def quoted(value: str) -> str:
    """`value` as a phrase of the query language, whatever characters it holds."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
