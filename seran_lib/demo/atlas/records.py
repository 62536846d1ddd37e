"""What the demo atlas holds: invented species, sightings of them, and their pictures with everything that is wrong.

The paper (section 2) cleaned its download by hand. Here the same faults are put in on purpose and written down, so
that a way of cleaning can be marked: pictures without an insect, collection sheets, wrong labels, repeats under other
ids, ids claimed by two species, files that are broken or gone.
"""

import datetime
import uuid
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from seran_lib.demo.atlas.taxa import Taxon, stranger, taxonomy
from seran_lib.demo.insects.species import make_species

ADDRESS = "http://demo-atlas.localhost"  # base of all addresses that the atlas hands out
IMAGES = ADDRESS + "/images"
RESOURCES = {
    "dr9001": "Open Naturalist Network",
    "dr9002": "Backyard Insect Survey",
    "dr9003": "Museum Drawers Online",
    "dr9004": "Light Trap Log",
}
MUSEUM = "dr9003"

# Share of all images, at least one each. Small species stay clean, so that their number alone makes them unfit.
SHARES = {
    **{"empty": 0.02, "tiny": 0.01, "broken": 0.006, "missing": 0.01},
    **{"repeated": 0.035, "mislabelled": 0.02, "claimed twice": 0.01, "uploaded again": 0.02},
}
SHEETS, BURSTS, PAIRS = 0.15, 0.07, 0.05  # shares of the sightings
SMALL_COUNTS = (5, 2, 8, 4)
DAMAGES = ("cut", "noise")  # what a broken file consists of
CHANGES = ("same", "recompressed", "smaller", "mirrored")  # how a repeat differs from its original

# Canonical licence -> page, spellings on images, spellings on records. Text the service recognises stands first.
_CC, _OLD_CC = "https://creativecommons.org/", "http://creativecommons.org/"
LICENCES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "CC BY 4.0": (
        f"{_CC}licenses/by/4.0/",
        (f"{_CC}licenses/by/4.0/", "CC BY 4.0", "CC-BY 4.0 (Int)"),
        ("CC-BY 4.0 (Int)", "CC-BY"),
    ),
    "CC BY 3.0 AU": (
        f"{_CC}licenses/by/3.0/au/",
        (f"{_OLD_CC}licenses/by/3.0/au/", "CC BY 3.0 AU"),
        ("CC-BY 3.0 (Au)",),
    ),
    "CC BY-NC 4.0": (
        f"{_CC}licenses/by-nc/4.0/",
        (f"{_OLD_CC}licenses/by-nc/4.0/", "CC BY-NC 4.0", "CC BY-NC-Int"),
        ("CC-BY-NC 4.0 (Int)", "CC-BY-NC", "CC BY-NC-Int"),
    ),
    "CC BY-SA 4.0": (f"{_CC}licenses/by-sa/4.0/", (f"{_CC}licenses/by-sa/4.0/",), ("CC-BY-SA 4.0 (Int)",)),
    "CC0 1.0": (f"{_CC}publicdomain/zero/1.0/", (f"{_OLD_CC}publicdomain/zero/1.0/", "CC0 1.0"), ("CC0",)),
    "ALL-RIGHTS-RESERVED": ("", ("All rights reserved", "ALL-RIGHTS-RESERVED"), ("other", "Custom")),
    "": ("", ("",), ("",)),
}
_OBSERVERS_LICENCES = (
    *["CC BY-NC 4.0"] * 8,
    *["CC BY 4.0"] * 6,
    *["CC BY 3.0 AU", "CC0 1.0", "CC BY-SA 4.0", "ALL-RIGHTS-RESERVED", ""] * 2,
)
_COLLECTORS_LICENCE = "CC BY 4.0"  # of the museum's collectors
_NOW = datetime.datetime(2025, 6, 30, 12)  # nothing was loaded later
# Latitude, longitude and reach (degrees) of places well inside their state.
_STATES = {
    "New South Wales": (-33.0, 148.5, 1.3),
    "Queensland": (-23.0, 146.0, 1.5),
    "Victoria": (-37.0, 144.8, 0.6),
    "South Australia": (-32.4, 138.5, 0.8),
    "Western Australia": (-31.5, 117.5, 1.0),
    "Tasmania": (-42.1, 146.7, 0.5),
    "Northern Territory": (-14.8, 132.5, 1.0),
    "Australian Capital Territory": (-35.4, 149.05, 0.08),
}


@dataclass
class Picture:
    """One image of the service. `subject` is the species to be seen, None where there is nothing to see.

    `kind` is field, sheet, empty, tiny, broken or missing. `animal` and `burst` decide what is drawn; `change` is one
    of `CHANGES` where it repeats the picture `duplicate_of`, and of `DAMAGES` where it is broken. `cluster` is shared
    by all pictures of one animal. `listed` is whether the image service knows the id.
    """

    image_id: str
    label: str
    subject: Taxon | None
    kind: str
    animal: int
    burst: int
    cluster: str
    creator: str
    rights_holder: str
    licence: str
    licence_text: str
    resource: str
    occurrence: str
    taken: datetime.datetime | None
    uploaded: datetime.datetime
    png: bool
    redirects: bool
    also_labels: str = ""
    duplicate_of: str = ""
    change: str = ""
    listed: bool = True


@dataclass
class Sighting:
    """One occurrence: who saw which taxon when and where, and the ids of its images."""

    uuid: str
    taxon: Taxon
    observer: str
    resource: str
    when: datetime.datetime | None
    place: tuple[float, float, str] | None
    loaded: datetime.datetime
    licence_text: str
    month_as_text: bool
    pictures: list[Picture] = field(default_factory=list)


class Records:
    """All sightings and pictures of a demo atlas with `species` species and exactly `images` pictures.

    `sightings` come in random order, `pictures` by id. Raises ValueError when there are too few images to show every
    fault.
    """

    def __init__(self, species: int, images: int, seed: int) -> None:
        if species < 3 or images < 12 * species:
            raise ValueError(f"{images} images of {species} species: ask for 3 species or more, 12 images for each")
        self._rng = np.random.default_rng([seed, 11])
        self._animals = 0
        self.sightings: list[Sighting] = []
        self.pictures: dict[str, Picture] = {}
        observers = [f"Observer {number:02d}" for number in range(1, len(_OBSERVERS_LICENCES) + 1)]
        observers[4] = "Observer 05 – Été"
        self._licence_of = dict(zip(observers, self._rng.permutation(_OBSERVERS_LICENCES).tolist(), strict=True))

        small = max(1, round(0.28 * species))
        strangers, genus_only = max(1, images // 100), max(1, images // 75)
        counts = self._counts(images - strangers - genus_only, species - small, small)
        order = self._rng.permutation(species).tolist()  # from the most common to the rarest
        self.species = taxonomy(make_species(species, seed), accented=order[1])
        for index, count in zip(order, counts, strict=True):
            self._observe(self.species[index], count)
        common = [self.species[index] for index in order[: species - small]]
        self._spoil(common, counts[species - small - 1], images)

        for taxon in common[:genus_only]:
            self._picture(self._sighting(taxon.parent, self._homes()), taxon)
            self._sighting(taxon.parent, self._homes())
        for extra in range(genus_only - len(common)):
            self._picture(self._sighting(common[extra % len(common)].parent, self._homes()), common[0])
        outsider = stranger(seed, {taxon.parent.name for taxon in self.species})
        for _ in range(strangers):
            self._picture(self._sighting(outsider, self._homes()), outsider)
        self.sightings = [self.sightings[k] for k in self._rng.permutation(len(self.sightings))]
        self.pictures = dict(sorted(self.pictures.items()))

    @staticmethod
    def _counts(images: int, common: int, small: int) -> list[int]:
        """Images per species, falling: the most common has nearly twice the images of the least common."""
        few = sorted((SMALL_COUNTS[k % len(SMALL_COUNTS)] for k in range(small)), reverse=True)
        share = 1 + 0.75 * np.linspace(1, 0, common) ** 3
        ends = np.cumsum(share) / share.sum() * (images - sum(few))
        return [*sorted(np.diff(ends.round(), prepend=0).astype(int).tolist(), reverse=True), *few]

    def _uuid(self) -> str:
        return str(uuid.UUID(bytes=self._rng.bytes(16), version=4))

    def _homes(self) -> list[tuple[float, float, str]]:
        """Two or three places where a species lives."""
        states = self._rng.permutation(list(_STATES))[: self._rng.integers(2, 4)].tolist()
        return [(*(_STATES[state][:2] + self._rng.uniform(-1, 1, 2) * _STATES[state][2]), state) for state in states]

    def _sighting(
        self, taxon: Taxon, homes: list[tuple[float, float, str]], *, sheet: bool = False, like: Sighting | None = None
    ) -> Sighting:
        """A new sighting; `like` another it has the same observer, day and place."""
        rng = self._rng
        lat, lon, state = homes[rng.integers(len(homes))]
        spread = 0.1 * _STATES[state][2]
        place = (*(np.array((lat, lon)) + rng.uniform(-spread, spread, 2)).round(5).tolist(), state)
        day = datetime.datetime(1998 + int(27 * rng.beta(1.8, 1)), 1, 1) + datetime.timedelta(
            days=int(rng.integers(365)), minutes=int(rng.integers(6 * 60, 20 * 60))
        )
        lag = int(rng.integers(2000)) if rng.random() < 0.1 else int(rng.integers(1, 200))  # some were loaded again
        observer = f"Collector {rng.integers(1, 4):02d}" if sheet else str(rng.choice(list(self._licence_of)))
        usual = self._licence_of.get(observer, _COLLECTORS_LICENCE)
        licence = usual if rng.random() < 0.93 else str(rng.choice(list(LICENCES)))
        sighting = Sighting(
            uuid=self._uuid(),
            taxon=taxon,
            observer=observer,
            resource=MUSEUM if sheet else str(rng.choice(["dr9001", "dr9002", "dr9004"], p=[0.6, 0.25, 0.15])),
            when=day if rng.random() > 0.04 else None,
            place=place if rng.random() > 0.06 else None,
            loaded=min(day + datetime.timedelta(days=lag, minutes=137), _NOW),
            licence_text=str(rng.choice(LICENCES[licence][2])),
            month_as_text=bool(rng.random() < 0.5),
        )
        if like:
            sighting.observer, sighting.place = like.observer, like.place
            sighting.when = like.when and like.when + datetime.timedelta(minutes=3)
            sighting.loaded = like.loaded + datetime.timedelta(days=1)
        self.sightings.append(sighting)
        return sighting

    def _picture(
        self, sighting: Sighting, subject: Taxon, kind: str = "field", *, animal: int = -1, burst: int = 0
    ) -> Picture:
        """A new picture of `sighting`, of a new animal unless `animal` is given."""
        rng = self._rng
        if animal < 0:
            animal, self._animals = self._animals, self._animals + 1
        image_id = self._uuid()
        first = next((one.image_id for one in self.pictures.values() if one.animal == animal), image_id)
        licence = self._licence_of.get(sighting.observer, _COLLECTORS_LICENCE)
        delay = datetime.timedelta(days=int(rng.integers(900)) if rng.random() < 0.1 else int(rng.integers(20)))
        picture = Picture(
            image_id=image_id,
            label=sighting.taxon.name if sighting.taxon.rank == "species" else "",
            subject=subject,
            kind=kind,
            animal=animal,
            burst=burst,
            cluster=first,
            creator=sighting.observer,
            rights_holder=sighting.observer if sighting.resource != MUSEUM and rng.random() < 0.6 else "",
            licence=licence,
            licence_text=str(rng.choice(LICENCES[licence][1])),
            resource=sighting.resource,
            occurrence=sighting.uuid,
            taken=sighting.when,
            uploaded=min(sighting.loaded + delay, _NOW),
            png=bool(rng.random() < 0.03),
            redirects=bool(rng.random() < 0.12),
        )
        sighting.pictures.append(picture)
        self.pictures[image_id] = picture
        return picture

    def _observe(self, taxon: Taxon, count: int) -> None:
        """Sightings of one species with `count` pictures in all, and some sightings without any."""
        homes, left = self._homes(), count
        while left:
            lot = 0.0 if left == count > 9 else self._rng.random()  # every common species has a sheet
            if lot < SHEETS:
                self._picture(self._sighting(taxon, homes, sheet=True), taxon, "sheet")
                left -= 1
                continue
            sighting = self._sighting(taxon, homes)
            first = self._picture(sighting, taxon)
            left -= 1
            if lot < SHEETS + BURSTS:
                for burst in range(1, 1 + min(left, int(self._rng.integers(1, 3)))):
                    self._picture(sighting, taxon, animal=first.animal, burst=burst)
                    left -= 1
            elif lot < SHEETS + BURSTS + PAIRS and left:
                again = self._sighting(taxon, homes, like=sighting)
                self._picture(again, taxon, animal=first.animal, burst=1)
                left -= 1
        for _ in range(1 + count // 8):
            self._sighting(taxon, homes)

    def _spoil(self, common: list[Taxon], floor: int, images: int) -> None:
        """Turn single field pictures of the common species into what has to be cleaned."""
        queue = self._spare(common, floor)

        def times(fault: str) -> range:
            return range(max(1, round(SHARES[fault] * images)))

        for kind in ("empty", "tiny", "broken", "missing"):
            for number in times(kind):
                (picture,) = queue.pop(0).pictures
                picture.kind, picture.png = kind, False
                picture.subject = picture.subject if kind == "tiny" else None
                picture.change = DAMAGES[number % 2] if kind == "broken" else ""
                picture.listed = kind != "missing" or number > 0  # one is unknown to the image service altogether
        for _, change in zip(times("repeated"), cycle(CHANGES[::-1]), strict=False):
            taken = queue.pop(0)
            original = next(one for one in queue if one.taxon == taken.taxon)
            queue.remove(original)
            _repeat(original, taken, change)
        for _ in times("mislabelled"):
            (picture,) = queue.pop(0).pictures
            picture.subject = self._relative(picture.subject)
        for _ in times("claimed twice"):
            (picture,) = (sighting := queue.pop(0)).pictures
            claim = self._sighting(self._relative(sighting.taxon), self._homes(), like=sighting)
            claim.pictures.append(picture)
            picture.label, picture.also_labels = sorted((sighting.taxon.name, claim.taxon.name))
        for _ in times("uploaded again"):  # equal bytes get one id, which then hangs on two records
            sighting = queue.pop(0)
            again = self._sighting(sighting.taxon, self._homes(), like=sighting)
            again.pictures += sighting.pictures

    def _spare(self, common: list[Taxon], floor: int) -> list[Sighting]:
        """Sightings of one animal with one field picture; first those of species that stay near `floor` images."""
        alone: dict[str, list[Sighting]] = {taxon.name: [] for taxon in common}
        size = dict.fromkeys(alone, 0)
        animals = [picture.animal for picture in self.pictures.values()]
        for sighting in self.sightings:
            if sighting.taxon.name in alone and sighting.pictures:
                size[sighting.taxon.name] += len(sighting.pictures)
                first = sighting.pictures[0]
                if first.kind == "field" and animals.count(first.animal) == 1:
                    alone[sighting.taxon.name].append(sighting)
        spare = [one for name, some in alone.items() for one in some[: size[name] - int(0.92 * floor)]]
        queue = [spare[k] for k in self._rng.permutation(len(spare))]
        return queue + [one for some in alone.values() for one in some if one not in queue]

    def _relative(self, taxon: Taxon) -> Taxon:
        """Another species, of the same genus if there is one."""
        others = [one for one in self.species if one != taxon]
        sisters = [one for one in others if one.parent == taxon.parent] or others
        return sisters[self._rng.integers(len(sisters))]


def _repeat(original: Sighting, again: Sighting, change: str) -> None:
    """Have the picture of a sighting show that of another, changed in one of the ways of `CHANGES`."""
    (source,), (picture,) = original.pictures, again.pictures
    picture.animal, picture.burst, picture.cluster = source.animal, source.burst, source.cluster
    picture.duplicate_of, picture.change = source.image_id, change
    picture.png = source.png if change == "same" else False
    again.observer, again.when, again.place = original.observer, original.when, original.place
    picture.creator, picture.taken, picture.rights_holder = source.creator, source.taken, ""
    picture.licence, picture.licence_text = source.licence, source.licence_text
