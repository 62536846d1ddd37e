"""Invented insect species: the traits that decide how a drawn insect looks.

Species come in genera. The first species of a genus is drawn at random; each sister copies it and changes exactly one
trait, so any two sisters differ in one or two traits only. That is the fine-grained case of the paper (section 1,
Fig. 1): species that a layman cannot tell apart.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

Colour = tuple[int, int, int]
Traits = dict[str, object]


BLACK: Colour = (12, 10, 10)
WHITE: Colour = (255, 255, 255)

PLANS = ("butterfly", "beetle", "bee", "moth", "fly")


@dataclass(frozen=True)
class Species:
    """Traits of one species. Lengths are fractions of the usual length for the body plan, counts are per wing or body.

    `ground`, `second`, `accent` and `dark` are RGB. `tip` is the size of the contrasting fore-wing apex or abdomen end,
    `smoke` the darkness of a clear wing, `collar` whether the shield behind a beetle's head takes the second colour.
    """

    name: str
    genus: str
    plan: str
    pattern: int
    ground: Colour
    second: Colour
    accent: Colour
    dark: Colour
    antenna: str
    body_length: float
    girth: float
    hair: float
    gloss: float
    wing_length: float = 1.0
    wing_breadth: float = 1.0
    apex: float = 0.0
    tail: float = 0.0
    scallop: float = 0.0
    margin: float = 0.0
    tip: float = 0.0
    bands: int = 0
    band_at: float = 0.5
    band_width: float = 0.1
    wave: float = 0.0
    eyespots: int = 0
    eyespot_size: float = 0.07
    veins: float = 0.0
    speckles: int = 0
    spots: int = 0
    stripes: int = 0
    striae: float = 0.0
    collar: bool = False
    rings: int = 5
    smoke: float = 0.0


# Per plan: (ground, second, accent, dark), after colours common in the living groups.
_PALETTES: dict[str, list[tuple[Colour, Colour, Colour, Colour]]] = {
    "butterfly": [
        ((208, 112, 40), (238, 176, 86), (248, 232, 198), (44, 30, 24)),
        ((78, 124, 188), (150, 186, 224), (232, 238, 244), (28, 32, 52)),
        ((116, 82, 52), (156, 114, 72), (224, 162, 78), (50, 36, 26)),
        ((236, 233, 220), (208, 208, 190), (232, 156, 62), (54, 50, 48)),
        ((236, 202, 76), (248, 228, 142), (212, 88, 50), (44, 36, 26)),
        ((58, 42, 40), (92, 68, 62), (204, 56, 46), (26, 20, 22)),
        ((62, 52, 48), (104, 90, 82), (242, 236, 220), (28, 24, 24)),
        ((44, 58, 54), (76, 100, 90), (118, 202, 166), (22, 26, 28)),
        ((164, 92, 58), (204, 142, 96), (106, 140, 176), (62, 38, 30)),
    ],
    "moth": [
        ((154, 142, 126), (186, 176, 158), (92, 80, 68), (60, 50, 42)),
        ((130, 100, 72), (168, 138, 102), (216, 192, 154), (62, 44, 32)),
        ((206, 188, 154), (226, 214, 188), (142, 106, 68), (92, 68, 46)),
        ((148, 154, 128), (186, 190, 164), (84, 92, 66), (54, 56, 42)),
        ((190, 138, 122), (220, 178, 158), (236, 212, 152), (98, 60, 56)),
        ((98, 90, 90), (136, 126, 122), (198, 104, 78), (46, 40, 42)),
        ((232, 228, 216), (210, 204, 190), (70, 62, 56), (64, 56, 50)),
    ],
    "beetle": [
        ((196, 48, 32), (232, 224, 206), (28, 22, 22), (28, 22, 22)),
        ((226, 160, 50), (238, 222, 178), (38, 30, 24), (34, 26, 22)),
        ((44, 116, 74), (96, 166, 98), (204, 184, 78), (20, 48, 38)),
        ((44, 68, 124), (78, 118, 166), (222, 122, 56), (20, 26, 48)),
        ((124, 70, 38), (162, 104, 60), (224, 188, 132), (56, 34, 24)),
        ((42, 36, 34), (126, 60, 42), (232, 194, 70), (24, 20, 20)),
        ((116, 96, 56), (152, 134, 84), (72, 118, 90), (48, 38, 28)),
        ((96, 38, 52), (150, 78, 74), (228, 206, 160), (42, 20, 28)),
    ],
    "bee": [
        ((62, 42, 28), (176, 132, 76), (212, 152, 64), (36, 28, 22)),
        ((34, 28, 28), (222, 178, 62), (238, 224, 188), (24, 22, 22)),
        ((40, 108, 84), (152, 168, 112), (216, 202, 112), (22, 40, 40)),
        ((38, 32, 26), (84, 68, 50), (238, 196, 52), (28, 24, 20)),
        ((114, 56, 34), (188, 114, 66), (234, 204, 160), (54, 30, 24)),
        ((36, 36, 44), (174, 126, 78), (126, 188, 220), (26, 26, 30)),
    ],
    "fly": [
        ((52, 92, 108), (150, 48, 38), (150, 188, 178), (26, 36, 42)),
        ((40, 34, 28), (122, 54, 38), (236, 188, 60), (30, 26, 24)),
        ((118, 116, 110), (158, 56, 44), (64, 62, 60), (44, 42, 42)),
        ((56, 116, 66), (150, 60, 44), (168, 196, 92), (24, 46, 32)),
        ((172, 110, 56), (96, 44, 60), (230, 194, 122), (62, 40, 28)),
    ],
}

# What the accent colour of a sister may turn into.
_TINTS: dict[str, list[Colour]] = {
    "butterfly": [(232, 150, 60), (206, 66, 48), (244, 236, 214), (120, 170, 208), (238, 206, 96)],
    "moth": [(92, 74, 58), (222, 204, 168), (176, 108, 70), (232, 226, 210)],
    "beetle": [(226, 160, 52), (190, 56, 38), (236, 226, 196), (30, 26, 24), (64, 112, 96)],
    "bee": [(226, 176, 58), (238, 226, 196), (170, 84, 44), (128, 180, 210)],
    "fly": [(232, 186, 64), (204, 206, 196), (98, 130, 134), (60, 50, 44)],
}

_GENUS_START = ["Vel", "Mor", "Zan", "Quil", "Tar", "Ebo", "Lum", "Pyx", "Osk", "Dra", "Nim", "Hux", "Kra", "Wib"]
_GENUS_MIDDLE = ["u", "a", "o", "i", "una", "ora", "ibo", "elu", "azi", "omu"]
_GENUS_END = ["graphia", "pictella", "fictia", "stilus", "pennia", "chartes", "tintoria"]
_EPITHET_START = ["lu", "ra", "be", "vo", "mi", "ta", "so", "ne", "qua", "zi", "fo", "du", "pe", "hy", "cro", "sti"]
_EPITHET_END = ["rina", "losa", "vata", "mella", "dica", "penta", "turna", "bilis", "lunda", "crena", "zonia"]


def shift_colour(colour: Colour, degrees: float = 0.0, saturation: float = 1.0, value: float = 1.0) -> Colour:
    """Turn the hue by `degrees` and scale saturation and value (HSV), each kept in its range."""
    hue, sat, val = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    rgb = colorsys.hsv_to_rgb((hue + degrees / 360) % 1.0, min(1.0, sat * saturation), min(1.0, val * value))
    return tuple(round(255 * channel) for channel in rgb)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour that lies `share` (0..1) of the way from `first` to `second`."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def _pick(rng: np.random.Generator, choices: Sequence):
    return choices[int(rng.integers(len(choices)))]


# ---- the first species of a genus: traits that only its body plan has -----------------------------------------------


def _butterfly(rng: np.random.Generator) -> Traits:
    return {
        "antenna": "clubbed",
        "apex": rng.uniform(-0.10, 0.10),
        "tail": _pick(rng, (0.0, 0.0, 0.0, 0.22, 0.32)),
        "scallop": _pick(rng, (0.0, 0.02, 0.04)),
        "margin": _pick(rng, (0.0, 0.07, 0.10, 0.14)),
        "tip": _pick(rng, (0.0, 0.0, 0.30, 0.42)),
        "bands": int(rng.integers(0, 3)),
        "band_at": rng.uniform(0.5, 0.66),
        "band_width": rng.uniform(0.07, 0.15),
        "wave": rng.uniform(0.0, 0.03),
        "eyespots": int(rng.integers(0, 4)),
        "eyespot_size": rng.uniform(0.06, 0.085),
        "veins": rng.uniform(0.15, 0.6),
        "speckles": int(_pick(rng, (0, 0, 14))),
    }


def _moth(rng: np.random.Generator) -> Traits:
    return {
        "antenna": _pick(rng, ("feathered", "thread")),
        "girth": rng.uniform(1.15, 1.6),
        "wing_breadth": rng.uniform(0.8, 1.05),
        "apex": rng.uniform(-0.04, 0.05),
        "scallop": _pick(rng, (0.0, 0.0, 0.025)),
        "margin": _pick(rng, (0.0, 0.05, 0.09)),
        "bands": int(rng.integers(1, 4)),
        "band_at": rng.uniform(0.6, 0.78),
        "band_width": rng.uniform(0.035, 0.09),
        "wave": rng.uniform(0.01, 0.035),
        "eyespots": int(rng.integers(0, 2)),
        "eyespot_size": rng.uniform(0.07, 0.1),
        "veins": rng.uniform(0.0, 0.25),
        "speckles": int(rng.integers(20, 60)),
    }


def _beetle(rng: np.random.Generator) -> Traits:
    markings = _pick(rng, ("spots", "stripes", "bands", "plain"))
    return {
        "antenna": _pick(rng, ("clubbed", "thread", "long", "fan")),
        "body_length": rng.uniform(0.85, 1.3),
        "girth": rng.uniform(0.85, 1.3),
        "spots": int(rng.integers(2, 6)) if markings == "spots" else 0,
        "stripes": int(rng.integers(1, 3)) if markings == "stripes" else 0,
        "bands": int(rng.integers(1, 4)) if markings == "bands" else 0,
        "band_at": rng.uniform(0.22, 0.3),
        "band_width": rng.uniform(0.09, 0.15),
        "wave": rng.uniform(0.0, 0.04),
        "eyespot_size": rng.uniform(0.05, 0.075),
        "striae": _pick(rng, (0.0, 0.25, 0.45)),
        "collar": bool(rng.integers(2)),
    }


def _bee(rng: np.random.Generator) -> Traits:
    return {
        "antenna": "elbowed",
        "girth": rng.uniform(0.8, 1.2),
        "band_width": rng.uniform(0.3, 0.6),
        "tip": _pick(rng, (0.0, 0.0, 0.22)),
        "smoke": _pick(rng, (0.0, 0.15, 0.6)),
        "veins": rng.uniform(0.5, 0.9),
    }


def _fly(rng: np.random.Generator) -> Traits:
    return {
        "antenna": "bristle",
        "hair": rng.uniform(0.1, 0.35),
        "band_width": rng.uniform(0.25, 0.5),
        "stripes": int(rng.integers(0, 4)),
        "smoke": _pick(rng, (0.0, 0.1, 0.5)),
        "veins": rng.uniform(0.4, 0.8),
    }


_FOUNDERS = {"butterfly": _butterfly, "moth": _moth, "beetle": _beetle, "bee": _bee, "fly": _fly}


def _founder(plan: str, palette: tuple[Colour, ...], name: str, rng: np.random.Generator) -> Species:
    """The first species of a genus: palette, proportions and pattern at random within its body plan."""
    turn, tone = rng.uniform(-9, 9), rng.uniform(0.92, 1.08)
    ground, second, accent, dark = (shift_colour(c, turn, 1.0, tone) for c in palette)
    traits: Traits = {
        "name": name,
        "genus": name.split()[0],
        "plan": plan,
        "pattern": int(rng.integers(2**31)),
        "ground": ground,
        "second": second,
        "accent": accent,
        "dark": dark,
        "body_length": rng.uniform(0.88, 1.15),
        "girth": rng.uniform(0.85, 1.2),
        "hair": rng.uniform(0.3, 1.0),
        "gloss": rng.uniform(0.3, 1.0),
        "rings": int(rng.integers(3, 7)),
        "wing_length": rng.uniform(0.9, 1.12),
        "wing_breadth": rng.uniform(0.86, 1.15),
    }
    return Species(**traits | _FOUNDERS[plan](rng))


def _sister_traits(one: Species, rng: np.random.Generator) -> list[tuple[str, object]]:
    """Single changes (trait, new value) that a close look at this species would show, in random order."""
    changes: list[tuple[str, object]] = []
    turn = _pick(rng, (-1, 1))
    if max(one.ground) > 90:
        changes.append(("ground", shift_colour(one.ground, 20 * turn, 1.15, 0.7)))
    far = [tint for tint in _TINTS[one.plan] if sum(abs(a - b) for a, b in zip(tint, one.accent, strict=True)) > 110]
    changes.append(("accent", _pick(rng, far)))
    if one.plan in ("butterfly", "moth"):
        changes += [
            ("eyespots", one.eyespots + 2),
            ("margin", 0.0 if one.margin > 0.08 else one.margin + 0.1),
            ("bands", one.bands + 1),
        ]
        if one.bands:
            changes += [("band_width", one.band_width * 1.9), ("band_at", one.band_at - 0.15)]
        if one.plan == "butterfly":
            changes += [("tip", 0.0 if one.tip else 0.4), ("tail", 0.0 if one.tail else 0.28)]
        else:
            changes.append(("speckles", one.speckles // 6 if one.speckles > 35 else one.speckles + 45))
    elif one.plan == "beetle":
        changes += [("collar", not one.collar), ("spots", one.spots + 2), ("girth", one.girth * 0.8)]
        if one.bands:
            changes += [("band_width", one.band_width * 0.5), ("bands", one.bands + 1)]
        if one.stripes:
            changes.append(("stripes", one.stripes + 1))
    else:
        changes += [
            ("rings", one.rings + 2),
            ("band_width", one.band_width * 0.5),
            ("second", shift_colour(one.second, 24 * turn, 1.2, 0.62)),
            ("smoke", 0.0 if one.smoke > 0.3 else 0.7),
        ]
        if one.plan == "bee":
            changes.append(("tip", 0.0 if one.tip else 0.3))
        else:
            changes.append(("stripes", one.stripes + 2))
    return [changes[i] for i in rng.permutation(len(changes))]


def _unused_name(rng: np.random.Generator, *parts: Sequence[str], used: set[str]) -> str:
    """One piece of each of `parts` at random, joined to a name that is not in `used` yet, and is then."""
    while (name := "".join(_pick(rng, part) for part in parts)) in used:
        pass
    used.add(name)
    return name


def make_species(count: int, seed: int) -> list[Species]:
    """Invent `count` species in genera of two to four sisters (the last genus may hold one), listed genus by genus.

    The genera go round the five body plans, and round the palettes of each plan. The same arguments give the same
    species; a larger `count` only adds species.

    Raises ValueError when `count` is not between 1 and 1000, where the stock of invented names would run short.
    """
    if not 1 <= count <= 1000:
        raise ValueError(f"count is {count}: ask for 1 to 1000 species")
    rng = np.random.default_rng([seed, 1])
    palettes = {plan: cycle([options[i] for i in rng.permutation(len(options))]) for plan, options in _PALETTES.items()}
    genera: set[str] = set()
    species: list[Species] = []
    for plan in cycle(PLANS):
        genus, epithets = _unused_name(rng, _GENUS_START, _GENUS_MIDDLE, _GENUS_END, used=genera), set()
        names = (f"{genus} {_unused_name(rng, _EPITHET_START, _EPITHET_END, used=epithets)}" for _ in range(4))
        founder = _founder(plan, next(palettes[plan]), next(names), rng)
        species.append(founder)
        for trait, value in _sister_traits(founder, rng)[: int(rng.integers(1, 4))]:
            species.append(replace(founder, name=next(names), **{trait: value}))
        if len(species) >= count:
            return species[:count]
