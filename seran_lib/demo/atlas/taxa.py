"""The invented taxonomy of the demo atlas: drawn species below genera, families, orders and classes, with their ids."""

import re
import unicodedata
import uuid
from dataclasses import dataclass

from seran_lib.demo.insects.species import Species, make_species

TAXA = "https://taxa.demo-atlas.localhost/"
RANKS = {
    **{"kingdom": 1000, "phylum": 2000, "class": 3000, "order": 4000},
    **{"family": 5000, "genus": 6000, "species": 7000},
}
_ORDERS = {
    "butterfly": ("Lepidoptera", "Insecta"),
    "moth": ("Lepidoptera", "Insecta"),
    "beetle": ("Coleoptera", "Insecta"),
    "bee": ("Hymenoptera", "Insecta"),
    "fly": ("Diptera", "Insecta"),
    "stranger": ("Araneae", "Arachnida"),  # drawn as a beetle, but no insect to the taxonomy
}


@dataclass(frozen=True)
class Taxon:
    """A named group at one rank, below its `parent`; `drawn` says how a species looks."""

    name: str
    rank: str
    parent: "Taxon | None" = None
    drawn: Species | None = None

    @property
    def id(self) -> str:
        return TAXA + str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.rank}/{self.name}"))

    def lineage(self) -> dict[str, "Taxon"]:
        """Rank -> taxon, from the kingdom down to this one."""
        return (self.parent.lineage() if self.parent else {}) | {self.rank: self}


def taxonomy(members: list[Species], accented: int) -> list[Taxon]:
    """Each species below its genus, family, order and class; number `accented` gets a letter beyond ASCII."""
    families: dict[str, Taxon] = {}
    taxa = []
    for index, one in enumerate(members):
        if one.plan not in families:
            families[one.plan] = _family(one.genus, *_ORDERS[one.plan])
        genus, epithet = one.name.split()
        if index == accented:
            epithet = unicodedata.normalize("NFC", re.sub("([aeiou])", "\\1\u0308", epithet, count=1))
        taxa.append(Taxon(f"{genus} {epithet}", "species", Taxon(genus, "genus", families[one.plan]), one))
    return taxa


def _family(genus: str, order: str, of_class: str) -> Taxon:
    taxon = None
    stem = re.sub("[aeiou]?[a-z]$", "", genus)
    names = ("Animalia", "Arthropoda", of_class, order, f"{stem}idae")
    for rank, name in zip(RANKS, names, strict=False):
        taxon = Taxon(name, rank, taxon)
    return taxon


def stranger(seed: int, genera: set[str]) -> Taxon:
    """A species outside the insects, of a genus that is not in use."""
    one = next(one for one in make_species(40, seed + 1) if one.plan == "beetle" and one.genus not in genera)
    return Taxon(one.name, "species", Taxon(one.genus, "genus", _family(one.genus, *_ORDERS["stranger"])), one)
