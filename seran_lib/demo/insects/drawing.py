"""Anatomy: a `Species` and an `Individual` become the `Sketch` of one insect seen from above.

The body lies along y with the head up (negative y), about one unit from head to the end of the abdomen. Beetles, bees,
flies, butterflies and moths share head, thorax, abdomen, six legs and a pair of antennae; their wings differ.
"""

from dataclasses import replace

import numpy as np

from seran_lib.demo.insects.geometry import Patch, Sketch, place, smooth, stroke
from seran_lib.demo.insects.lepidoptera import lepidopteran
from seran_lib.demo.insects.parts import Individual, antennae, ball, fur, legs, round_off, tears, tube, wing
from seran_lib.demo.insects.species import BLACK, WHITE, Species, mix, shift_colour


def sketch_insect(species: Species, one: Individual) -> Sketch:
    """The whole animal in body coordinates, painting order from the legs up."""
    build = {"butterfly": lepidopteran, "moth": lepidopteran, "beetle": _beetle, "bee": _bee, "fly": _fly}
    worn = {}
    for name in ("ground", "second", "accent", "dark"):
        dusty = shift_colour(getattr(species, name), one.hue, 1.0, one.tone)
        worn[name] = mix(dusty, (178, 160, 132), 0.22 * one.wear)
    sketch = Sketch()
    build[species.plan](sketch, replace(species, **worn), one, np.random.default_rng(one.seed))
    return sketch


# ---- beetles --------------------------------------------------------------------------------------------------------

_SPOT_PLACES = [
    *((0.30, 0.45), (0.62, 0.50), (0.46, 0.82), (0.82, 0.62)),
    *((0.16, 0.78), (0.50, 0.22), (0.72, 0.84), (0.30, 0.12)),
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
        shoulder = [(0.62, -0.12), (0.96, -0.06), (1.06, 0.3 * end)]
        edge = smooth([*shoulder, (0.93, 0.66 * end), (0.5, 0.93 * end), (0.08, end)])
        outer, suture = edge * (width, 1), np.column_stack([np.zeros(25), np.linspace(-0.13, end, 25)])
        top = smooth([outer[0], (0.3 * width, -0.145), suture[0]])
        bottom = smooth([outer[-1], suture[-1]])
        halves = [place(line, (gap, 0), 0.3 * gap, 1.0, sign) for line in (outer, suture, top, bottom)]
        _elytron(sketch, species, Patch(*halves))
    plate = np.array([(0.18 * width, -0.14), (0, -0.02), (-0.18 * width, -0.14)])
    sketch.fill(plate, mix(species.dark, species.ground, 0.35))


# ---- bees and flies -------------------------------------------------------------------------------------------------

_CLEAR_WING = {
    "lead": [(0, 0), (0.3, -0.06), (0.62, -0.08), (0.88, -0.02)],
    "outer": [(0.95, 0.06), (0.9, 0.18)],
    "trail": [(0, 0), (0.12, 0.1), (0.42, 0.24), (0.74, 0.26)],
}


def _membrane(sketch: Sketch, patch: Patch, species: Species) -> None:
    """A wing that is nearly clear, smoky towards the tip, held by dark veins and cross veins."""
    tint = mix((206, 200, 184), species.dark, 0.5 * species.smoke)
    sketch.fill(patch.outline, tint, 0.36 + 0.3 * species.smoke, solid=True)
    sketch.fill(patch.region(0.62, 1), species.dark, 0.62 * species.smoke)
    sketch.fill(patch.region(0.2, 0.7, 0.3, 0.55), WHITE, 0.2)
    ink = mix(species.dark, (96, 70, 48), 0.35)
    sketch.fill(stroke(patch.outline, 0.008), ink, 0.55)
    front = stroke(patch.line(0, 0.92, 0.03, 0.02), [0.024] * 9 + [0.016, 0.010, 0.006])
    sketch.fill(front, ink, 0.4 + 0.6 * species.veins)
    sketch.fill(patch.region(0.6, 0.72, 0.02, 0.13), ink, 0.8)
    for start, stop, reach in ((0.2, 0.18, 0.86), (0.42, 0.36, 0.9), (0.6, 0.6, 0.88), (0.78, 0.82, 0.75)):
        sketch.fill(stroke(patch.line(0.02, reach, start, stop), 0.009), ink, species.veins)
    for s, t0, t1 in ((0.36, 0.4, 0.6), (0.52, 0.6, 0.78), (0.62, 0.19, 0.36), (0.78, 0.37, 0.6)):
        sketch.fill(stroke(patch.line(s, s + 0.05, t0, t1), 0.009), ink, species.veins)


def _bee(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    girth = 0.175 * species.girth
    _thin_legs(sketch, species, girth, rng)
    antennae(sketch, (0.05, -0.46), 0.26, 0.024, species, rng)
    belly = _ringed_abdomen(sketch, species, girth)
    for sign in (0, 1):
        for s in np.linspace(0.12, 0.9, 13):
            root = belly.at(s, float(sign))[0]
            hair = np.array([root, root + np.array([0.05 * species.hair * (1 - 2 * sign), 0.035])])
            sketch.fill(stroke(hair, [0.014, 0.003]), mix(species.second, species.accent, 0.3), 0.8)
    width = 0.92 * girth
    ball(sketch, (0, -0.42), (0.8 * width, 0.085), mix(species.dark, BLACK, 0.2), species.gloss)
    for sign in (1, -1):
        eye = mix(species.dark, (60, 40, 34), 0.5)
        ball(sketch, (sign * 0.66 * width, -0.42), (0.24 * width, 0.085), eye, 1.0)
    fur(sketch, (0, -0.42), (0.3 * girth, 0.055), species.second, 0.25, rng)
    fur(sketch, (0, -0.17), (1.0 * girth, 0.19), species.second, 0.1 + 0.16 * species.hair, rng)
    sketch.disc((0, -0.17), (0.42 * girth, 0.09), species.dark, 0.4)
    hind = {edge: np.array(points) * (0.64, 0.8) for edge, points in _CLEAR_WING.items()}
    for sign in (1, -1):
        turn, torn = _turn(one, sign, 30), tears(one, rng)
        _membrane(sketch, wing(hind, (0.55 * girth, -0.08), turn + 16, one, sign, species, 0.0 * torn), species)
        _membrane(sketch, wing(_fore(species), (0.7 * girth, -0.18), turn, one, sign, species, torn), species)


def _fly(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    """Large eyes, a striped thorax, and in place of hind wings a pair of knobs."""
    girth = 0.175 * species.girth
    _thin_legs(sketch, species, girth, rng)
    antennae(sketch, (0.05, -0.46), 0.09, 0.03, species, rng)
    _ringed_abdomen(sketch, species, girth)
    width = 0.95 * girth
    ball(sketch, (0, -0.42), (0.8 * width, 0.085), mix(species.dark, BLACK, 0.2), species.gloss)
    for sign in (1, -1):
        ball(sketch, (sign * 0.52 * width, -0.42), (0.52 * width, 0.1), species.second, 1.0)
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
    for sign in (1, -1):
        patch = wing(_fore(species), (0.7 * girth, -0.18), _turn(one, sign, 44), one, sign, species, tears(one, rng))
        _membrane(sketch, patch, species)


def _thin_legs(sketch: Sketch, species: Species, girth: float, rng: np.random.Generator) -> None:
    hips = [(0.6 * girth, -0.26), (0.75 * girth, -0.15), (0.6 * girth, -0.04)]
    legs(sketch, hips, [0.44, 0.46, 0.58], 0.034, mix(species.dark, BLACK, 0.2), rng)


def _ringed_abdomen(sketch: Sketch, species: Species, girth: float) -> Patch:
    """The abdomen of a bee or fly; s runs to its end, t from right to left."""
    end = 0.12 + 0.42 * species.body_length
    belly = tube(-0.01, end, girth * np.array([0.42, 0.92, 1.06, 1.0, 0.8, 0.46, 0.08]))
    sketch.fill(belly.outline, species.ground, solid=True)
    pitch, bow = 0.86 / species.rings, (0.012, 0.5, np.pi)
    for k in range(species.rings):
        s = 0.1 + k * pitch
        sketch.fill(belly.region(s, s + species.band_width * pitch, wave=bow), species.accent)
        sketch.fill(belly.region(s - 0.012, s, wave=bow), BLACK, 0.5)
    if species.tip:
        sketch.fill(belly.region(1 - species.tip, 1), mix(species.accent, WHITE, 0.6))
    round_off(sketch, belly, 0.4 + 0.6 * species.gloss)
    return belly


def _fore(species: Species) -> dict[str, np.ndarray]:
    return {edge: np.array(points) * species.wing_length for edge, points in _CLEAR_WING.items()}


def _turn(one: Individual, sign: int, rest: float) -> float:
    """Degrees by which a fore wing is turned back; `rest` is that of an animal at rest."""
    return rest - 1.2 * one.opening + sign * one.lopsided
