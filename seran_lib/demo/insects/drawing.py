"""Anatomy: a `Species` and an `Individual` become the `Sketch` of one insect seen from above.

The body lies along y with the head up (negative y), about one unit from head to the end of the abdomen. Beetles, bees,
flies, butterflies and moths share head, thorax, abdomen, six legs and a pair of antennae; their wings differ.
"""

from dataclasses import replace

import numpy as np

from seran_lib.demo.insects.geometry import Patch, Sketch, place, smooth, stroke
from seran_lib.demo.insects.parts import BLACK, WHITE, Individual, antennae, ball, fur, legs, round_off, tube
from seran_lib.demo.insects.species import Colour, Species, mix, shift_colour


def sketch_insect(species: Species, one: Individual) -> Sketch:
    """The whole animal in body coordinates, painting order from the legs up."""
    dust = (178, 160, 132)

    def worn(colour: Colour) -> Colour:
        return mix(shift_colour(colour, one.hue, 1.0, one.tone), dust, 0.22 * one.wear)

    colours = {name: worn(getattr(species, name)) for name in ("ground", "second", "accent", "dark")}
    species = replace(species, **colours)
    build = {"butterfly": _lepidopteran, "moth": _lepidopteran, "beetle": _beetle, "bee": _bee, "fly": _bee}
    sketch = Sketch()
    build[species.plan](sketch, species, one, np.random.default_rng(one.seed))
    return sketch


# ---- butterflies and moths ------------------------------------------------------------------------------------------


def _wing(points: dict[str, list], origin, degrees, one: Individual, sign: int, species: Species, torn) -> Patch:
    """A wing as a patch: s from the hinge to the outer margin, t from the front edge to the hind edge."""
    lead, trail = smooth(points["lead"]), smooth(points["trail"])
    end = smooth([points["lead"][-1], *points["outer"], points["trail"][-1]])
    t = np.linspace(0, 1, 25)
    edge = np.sin(np.pi * t)
    scale = 1 + species.scallop * (np.abs(np.sin(6 * np.pi * t)) - 0.5) * edge - torn * edge
    end = end * scale[:, None]
    base = np.repeat(lead[:1], 25, axis=0)
    stretch = one.wing_stretch(sign)
    return Patch(*(place(side, origin, degrees, stretch, sign) for side in (lead, trail, base, end)))


def _tears(one: Individual, rng: np.random.Generator) -> np.ndarray:
    """Depth (fraction of the wing) of damage along the outer margin, (25,): rare notches that grow with wear."""
    depth = np.zeros(25)
    for _ in range(rng.poisson(1.6 * one.wear)):
        at = int(rng.integers(3, 20))
        depth[at : at + 3] += rng.uniform(0.03, 0.14) * np.array([0.5, 1.0, 0.6])
    return depth


def _scale_pattern(sketch: Sketch, patch: Patch, species: Species, stretch: float, fore: bool) -> None:
    """Paint one wing of a butterfly or moth: ground, bands, margin, veins, eyespots, speckles."""
    ground = species.ground if fore or species.plan == "butterfly" else mix(species.ground, species.second, 0.6)
    pattern = np.random.default_rng([species.pattern, fore])
    sketch.fill(patch.outline, ground, solid=True)
    for reach, alpha in ((0.62, 0.16), (0.48, 0.16), (0.34, 0.2)):
        sketch.fill(patch.region(0, reach), mix(species.second, ground, 0.3), alpha * 1.6)
    for reach, alpha in ((0.26, 0.2), (0.16, 0.28)):
        sketch.fill(patch.region(0, reach), species.dark, alpha)
    phase, waves = pattern.uniform(0, 6.28), pattern.uniform(1.5, 3.5)
    for k in range(species.bands):
        centre, width = species.band_at - 0.17 * k, species.band_width * (1 - 0.15 * k)
        wave = (species.wave, waves, phase + k)
        if species.plan == "moth":
            sketch.fill(
                patch.region(centre - width / 2 - 0.018, centre + width / 2 + 0.018, wave=wave), species.dark, 0.75
            )
        sketch.fill(patch.region(centre - width / 2, centre + width / 2, wave=wave), species.accent, 0.95)
    if species.tip and fore:
        for reach, alpha in ((1.12, 0.55), (1.0, 1.0)):
            corner = patch.at(*np.array([(1, 0), (1, 0.25), (1, 0.5), (1, species.tip * reach + 0.25)]).T)
            inner = patch.at(*np.array([(1 - 0.5 * species.tip * reach, 0.25), (1 - species.tip * reach, 0)]).T)
            front = patch.line(1 - species.tip * reach, 1, 0, 0)[1:]
            sketch.fill(np.concatenate([corner, smooth(inner), front]), species.dark, alpha)
        for t in (0.14, 0.27, 0.4):
            sketch.disc(patch.at(0.9 - 0.1 * t, t)[0], (0.026 * stretch, 0.022), mix(species.accent, WHITE, 0.5))
    if species.margin:
        rim = 1 - species.margin
        wave = (0.012, 5.5, 0.0)
        sketch.fill(patch.region(rim - 0.02, 1, wave=wave), species.dark, 0.45)
        sketch.fill(patch.region(rim, 1, wave=wave), species.dark)
        for t in np.linspace(0.09, 0.91, 7):
            dot = 0.2 * species.margin
            sketch.disc(
                patch.at(1 - 0.42 * species.margin, t)[0], (dot * stretch, dot), mix(species.accent, WHITE, 0.45), 0.9
            )
    fringe = mix(species.dark, species.second, 0.3)
    sketch.fill(patch.region(0.975, 1), fringe, 0.75)
    sketch.fill(patch.region(0.05, 1, 0, 0.035), species.dark, 0.7)
    for t in np.linspace(0.1, 0.92, 7):
        vein = patch.line(0.42, 0.99, 0.35 + 0.4 * (t - 0.35), t)
        sketch.fill(stroke(vein, np.linspace(0.010, 0.005, 12)), species.dark, species.veins)
    cell = np.concatenate(
        [patch.line(0.05, 0.42, 0.22, 0.2), patch.line(0.42, 0.42, 0.24, 0.58), patch.line(0.42, 0.05, 0.6, 0.6)]
    )
    sketch.fill(stroke(cell, 0.008), species.dark, species.veins)
    if species.speckles:
        s, t = pattern.uniform(0.12, 0.96, species.speckles), pattern.uniform(0.04, 0.96, species.speckles)
        for k, point in enumerate(patch.at(s, t)):
            size = 0.006 + 0.010 * pattern.random()
            sketch.disc(point, (size * stretch, size), species.dark if k % 3 else mix(species.accent, WHITE, 0.2), 0.75)
    if species.plan == "moth" and fore:
        kidney = patch.at(0.5, 0.36)[0]
        sketch.disc(kidney, (0.045 * stretch, 0.034), species.dark, 0.8)
        sketch.disc(kidney, (0.027 * stretch, 0.02), species.second)
    count = species.eyespots if not fore else species.eyespots // 2
    places = np.linspace(0.3, 0.75, count) if count > 1 else np.array([0.45])
    for k, centre in enumerate(patch.at(0.76 - 0.5 * min(species.margin, 0.1), places[:count]) if count else ()):
        size = species.eyespot_size * (1.0 if k % 2 == 0 else 0.8)
        rings = ((1.0, species.dark), (0.82, mix(species.accent, (236, 190, 90), 0.5)), (0.55, BLACK))
        for share, colour in rings:
            sketch.disc(centre, (size * share * stretch, size * share), colour)
        sketch.disc(centre - 0.15 * size, (0.2 * size * stretch, 0.2 * size), WHITE)


def _lepidopteran(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    long, high = species.wing_length, species.wing_breadth
    moth = species.plan == "moth"
    sweep = 26 if moth else 0
    fore = {
        "lead": [(0, 0), (0.32, -0.21), (0.68, -0.49), (0.93, -0.63)],
        "outer": [
            (1.01, -0.57),
            (1.02 + species.apex, -0.38),
            (0.94 + species.apex, -0.14),
            (0.84 + 0.3 * species.apex, 0.08),
        ],
        "trail": [(0, 0), (0.22, 0.12), (0.5, 0.19), (0.74, 0.22)],
    }
    hind = {
        "lead": [(0, 0), (0.3, -0.13), (0.62, -0.09), (0.86, 0.1)],
        "outer": [(0.92, 0.34), (0.78, 0.62), (0.50 + 0.6 * species.tail, 0.80 + 1.5 * species.tail), (0.36, 0.82)],
        "trail": [(0, 0), (0.0, 0.28), (0.04, 0.5), (0.13, 0.72)],
    }
    if not species.tail:
        hind["outer"] = [(0.93, 0.32), (0.82, 0.58), (0.58, 0.76), (0.34, 0.79)]
    fore = {edge: np.array(points) * (long, high * long) for edge, points in fore.items()}
    hind = {
        edge: np.array(points) * (0.86 * long, 0.86 * long * (1 + 0.4 * (high - 1))) for edge, points in hind.items()
    }
    girth = 0.085 * species.girth
    legs(
        sketch,
        [(0.4 * girth, -0.3), (0.5 * girth, -0.2), (0.4 * girth, -0.1)],
        [0.34, 0.36, 0.4],
        0.022,
        species.dark,
        rng,
    )
    for sign in (1, -1):
        stretch = one.wing_stretch(sign)
        turn = sweep - one.opening + sign * one.lopsided
        for points, origin, degrees, is_fore in (
            (hind, (0.5 * girth, -0.1), 0.35 * turn, False),
            (fore, (0.6 * girth, -0.24), turn, True),
        ):
            patch = _wing(points, origin, degrees, one, sign, species, _tears(one, rng))
            if is_fore:
                sketch.fill(place(patch.outline, (0.0, 0.018)), BLACK, 0.3)
            _scale_pattern(sketch, patch, species, stretch, is_fore)
            sketch.fill(patch.region(0, 1, 0.5, 1), BLACK, 0.05 if sign > 0 else 0.0)
    coat = mix(species.dark, species.ground, 0.45 if moth else 0.2)
    end = 0.1 + 0.44 * species.body_length
    abdomen = tube(-0.06, end, girth * np.array([0.7, 0.95, 0.92, 0.8, 0.55, 0.12]))
    sketch.fill(abdomen.outline, coat, solid=True)
    for k in range(1, species.rings + 2):
        s = k / (species.rings + 2)
        sketch.fill(abdomen.region(s, s + 0.06), mix(species.second, species.accent, 0.4), 0.55)
    round_off(sketch, abdomen, 0.6)
    antennae(sketch, (0.35 * girth, -0.44), 0.42 if not moth else 0.32, 0.018, species, rng)
    ball(sketch, (0, -0.42), (0.75 * girth, 0.062), coat, 0.3)
    for sign in (1, -1):
        ball(sketch, (sign * 0.62 * girth, -0.435), (0.042, 0.042), mix(species.dark, BLACK, 0.5), 1.0)
    fur(sketch, (0, -0.22), (1.1 * girth, 0.175), mix(coat, species.second, 0.35), 0.1 + 0.12 * species.hair, rng)


# ---- beetles --------------------------------------------------------------------------------------------------------

_SPOT_PLACES = [
    (0.30, 0.45),
    (0.62, 0.50),
    (0.46, 0.82),
    (0.82, 0.62),
    (0.16, 0.78),
    (0.50, 0.22),
    (0.72, 0.84),
    (0.30, 0.12),
]


def _elytron(sketch: Sketch, species: Species, patch: Patch) -> None:
    """One wing case: s from shoulder to apex, t from the outer edge to the suture."""
    sketch.fill(patch.outline, species.ground, solid=True)
    phase = float(np.random.default_rng(species.pattern).uniform(0, 6.28))
    for k in range(species.bands):
        at = species.band_at + 0.27 * k
        wave = (species.wave, 1.5, phase + k)
        sketch.fill(patch.region(at - species.band_width / 2, at + species.band_width / 2, wave=wave), species.accent)
    for k in range(species.stripes):
        middle = (k + 0.8) / (species.stripes + 0.6)
        half = 0.26 / (species.stripes + 1)
        sketch.fill(patch.region(0.04, 0.93, middle - half, middle + half), species.accent)
    for s, t in _SPOT_PLACES[: species.spots]:
        size = species.eyespot_size
        sketch.disc(patch.at(s, t)[0], (size, size * 1.1), species.accent)
    for t in np.linspace(0.15, 0.9, 6):
        sketch.fill(stroke(patch.line(0.03, 0.94, t, t), 0.007), BLACK, species.striae)
    for edge, alpha in ((0.12, 0.22), (0.26, 0.15), (0.42, 0.08)):
        sketch.fill(patch.region(0, 1, 0, edge), BLACK, alpha)
    sketch.fill(patch.region(0.85, 1), BLACK, 0.12)
    for half, alpha in ((0.15, 0.10), (0.08, 0.16), (0.03, 0.3)):
        sketch.fill(patch.region(0.16 - half / 3, 0.55 + half, 0.56 - half, 0.56 + half), WHITE, alpha * species.gloss)
    sketch.fill(stroke(patch.line(0, 0.98, 1, 1), 0.012), BLACK, 0.7)


def _beetle(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    width, end = 0.30 * species.girth, 0.08 + 0.50 * species.body_length
    limb = mix(species.dark, BLACK, 0.3)
    hips = [(0.55 * width, -0.24), (0.75 * width, -0.02), (0.75 * width, 0.16)]
    legs(sketch, hips, [0.48, 0.50, 0.60], 0.042, limb, rng)
    length = 0.62 if species.antenna == "long" else 0.32
    antennae(sketch, (0.32 * width, -0.44), length, 0.02, species, rng)
    head = (0.44 * width, 0.095)
    for sign in (1, -1):
        jaw = smooth([(0.1 * width, -0.5), (0.24 * width, -0.57), (0.06 * width, -0.61)], 8) * (sign, 1)
        sketch.fill(stroke(jaw, np.linspace(0.035, 0.008, 8)), limb, solid=True)
    ball(sketch, (0, -0.44), head, mix(species.dark, species.ground, 0.12), species.gloss)
    for sign in (1, -1):
        ball(sketch, (sign * 0.40 * width, -0.45), (0.042, 0.05), BLACK, 1.0)
    shield = tube(-0.40, -0.13, width * np.array([0.56, 0.76, 0.88, 0.9, 0.82]))
    shield_colour = species.second if species.collar else mix(species.ground, species.dark, 0.55)
    sketch.fill(shield.outline, shield_colour, solid=True)
    if species.collar:
        sketch.fill(shield.region(0.12, 0.9, 0.28, 0.72), mix(species.dark, species.ground, 0.1))
    round_off(sketch, shield, species.gloss)
    sketch.fill(shield.region(0.93, 1), BLACK, 0.35)
    gap = max(0.0, one.opening * 0.0006)
    for sign in (-1, 1):
        edge = smooth(
            [(0.62, -0.12), (0.96, -0.06), (1.06, 0.3 * end), (0.93, 0.66 * end), (0.5, 0.93 * end), (0.08, end)]
        )
        outer, suture = edge * (width, 1), np.column_stack([np.zeros(25), np.linspace(-0.13, end, 25)])
        top = smooth([outer[0], (0.3 * width, -0.145), suture[0]])
        bottom = smooth([outer[-1], suture[-1]])
        halves = [place(line, (gap, 0), 0.3 * gap, 1.0, sign) for line in (outer, suture, top, bottom)]
        _elytron(sketch, species, Patch(*halves))
    plate = np.array([(0.18 * width, -0.14), (0, -0.02), (-0.18 * width, -0.14)])
    sketch.fill(plate, mix(species.dark, species.ground, 0.35))


# ---- bees and flies -------------------------------------------------------------------------------------------------


def _clear_wing(sketch: Sketch, patch: Patch, species: Species) -> None:
    """A membrane: nearly clear, smoky towards the tip, held by dark veins and cross veins."""
    tint = mix((206, 200, 184), species.dark, 0.5 * species.smoke)
    sketch.fill(patch.outline, tint, 0.36 + 0.3 * species.smoke, solid=True)
    sketch.fill(patch.region(0.62, 1), species.dark, 0.62 * species.smoke)
    sketch.fill(patch.region(0.2, 0.7, 0.3, 0.55), WHITE, 0.2)
    ink = mix(species.dark, (96, 70, 48), 0.35)
    sketch.fill(stroke(patch.outline, 0.008), ink, 0.55)
    sketch.fill(
        stroke(patch.line(0, 0.92, 0.03, 0.02), [0.024] * 9 + [0.016, 0.010, 0.006]), ink, 0.4 + 0.6 * species.veins
    )
    sketch.fill(patch.region(0.6, 0.72, 0.02, 0.13), ink, 0.8)
    for start, stop, reach in ((0.2, 0.18, 0.86), (0.42, 0.36, 0.9), (0.6, 0.6, 0.88), (0.78, 0.82, 0.75)):
        sketch.fill(stroke(patch.line(0.02, reach, start, stop), 0.009), ink, species.veins)
    for s, t0, t1 in ((0.36, 0.4, 0.6), (0.52, 0.6, 0.78), (0.62, 0.19, 0.36), (0.78, 0.37, 0.6)):
        sketch.fill(stroke(patch.line(s, s + 0.05, t0, t1), 0.009), ink, species.veins)


def _bee(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    fly = species.plan == "fly"
    girth, end = 0.175 * species.girth, 0.12 + 0.42 * species.body_length
    limb = mix(species.dark, BLACK, 0.2)
    legs(
        sketch,
        [(0.6 * girth, -0.26), (0.75 * girth, -0.15), (0.6 * girth, -0.04)],
        [0.44, 0.46, 0.58],
        0.034,
        limb,
        rng,
    )
    antennae(sketch, (0.05, -0.46), 0.26 if not fly else 0.09, 0.024 if not fly else 0.03, species, rng)
    belly = tube(-0.01, end, girth * np.array([0.42, 0.92, 1.06, 1.0, 0.8, 0.46, 0.08]))
    sketch.fill(belly.outline, species.ground, solid=True)
    pitch = 0.86 / species.rings
    for k in range(species.rings):
        s = 0.1 + k * pitch
        bow = (0.012, 0.5, np.pi)
        sketch.fill(belly.region(s, s + species.band_width * pitch, wave=bow), species.accent)
        sketch.fill(belly.region(s - 0.012, s, wave=bow), BLACK, 0.5)
    if species.tip:
        sketch.fill(belly.region(1 - species.tip, 1), mix(species.accent, WHITE, 0.6))
    round_off(sketch, belly, 0.4 + 0.6 * species.gloss)
    if not fly:
        for sign in (0, 1):
            for s in np.linspace(0.12, 0.9, 13):
                root = belly.at(s, float(sign))[0]
                hair = np.array([root, root + np.array([0.05 * species.hair * (1 - 2 * sign), 0.035])])
                sketch.fill(stroke(hair, [0.014, 0.003]), mix(species.second, species.accent, 0.3), 0.8)
    head_width = 0.92 * girth if not fly else 0.95 * girth
    ball(sketch, (0, -0.42), (0.8 * head_width, 0.085), limb, species.gloss)
    eye = species.second if fly else mix(species.dark, (60, 40, 34), 0.5)
    for sign in (1, -1):
        radii, at = ((0.52 * head_width, 0.1), 0.52) if fly else ((0.24 * head_width, 0.085), 0.66)
        ball(sketch, (sign * at * head_width, -0.42), radii, eye, 1.0)
    if not fly:
        fur(sketch, (0, -0.42), (0.3 * girth, 0.055), species.second, 0.25, rng)
    if fly:
        chest = tube(-0.36, 0.05, girth * np.array([0.3, 0.8, 0.98, 1.04, 0.98, 0.78, 0.3]))
        sketch.fill(chest.outline, mix(species.ground, species.dark, 0.25), solid=True)
        for k in range(species.stripes):
            t = (k + 0.5) / species.stripes
            sketch.fill(chest.region(0.08, 0.8, t - 0.05, t + 0.05), mix(species.accent, species.dark, 0.25), 0.85)
        round_off(sketch, chest, species.gloss)
        sketch.fill(chest.region(0.8, 1, 0.25, 0.75), mix(species.accent, species.ground, 0.4))
        for sign in (1, -1):
            knob = np.array([(sign * 0.8 * girth, -0.02), (sign * 1.25 * girth, 0.05)])
            sketch.fill(stroke(knob, 0.012), species.accent, solid=True)
            sketch.disc(knob[1], (0.022, 0.022), species.accent, solid=True)
    else:
        fur(sketch, (0, -0.17), (1.0 * girth, 0.19), species.second, 0.1 + 0.16 * species.hair, rng)
        sketch.disc((0, -0.17), (0.42 * girth, 0.09), species.dark, 0.4)
    fore = {
        "lead": [(0, 0), (0.3, -0.06), (0.62, -0.08), (0.88, -0.02)],
        "outer": [(0.95, 0.06), (0.9, 0.18)],
        "trail": [(0, 0), (0.12, 0.1), (0.42, 0.24), (0.74, 0.26)],
    }
    hind = {edge: np.array(points) * (0.64, 0.8) for edge, points in fore.items()}
    fore = {edge: np.array(points) * species.wing_length for edge, points in fore.items()}
    for sign in (1, -1):
        turn = (44 if fly else 30) - 1.2 * one.opening + sign * one.lopsided
        torn = _tears(one, rng)
        if not fly:
            _clear_wing(sketch, _wing(hind, (0.55 * girth, -0.08), turn + 16, one, sign, species, 0.0 * torn), species)
        _clear_wing(sketch, _wing(fore, (0.7 * girth, -0.18), turn, one, sign, species, torn), species)
