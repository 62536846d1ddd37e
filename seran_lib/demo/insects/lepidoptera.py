"""Butterflies and moths: four wings with a pattern of scales, and a furry body."""

import numpy as np

from seran_lib.demo.insects.geometry import Patch, Sketch, place, smooth, stroke
from seran_lib.demo.insects.parts import Individual, antennae, ball, fur, legs, round_off, tears, tube, wing
from seran_lib.demo.insects.species import BLACK, WHITE, Species, mix

Outline = dict[str, np.ndarray]  # "lead", "outer", "trail" -> points (n, 2) of the edges of a wing


def lepidopteran(sketch: Sketch, species: Species, one: Individual, rng: np.random.Generator) -> None:
    """Sketch a butterfly or a moth."""
    moth = species.plan == "moth"
    fore, hind = _outlines(species)
    girth = 0.085 * species.girth
    hips = [(0.4 * girth, -0.3), (0.5 * girth, -0.2), (0.4 * girth, -0.1)]
    legs(sketch, hips, [0.34, 0.36, 0.4], 0.022, species.dark, rng)
    for sign in (1, -1):
        turn = (26 if moth else 0) - one.opening + sign * one.lopsided
        for points, origin, degrees, is_fore in (
            (hind, (0.5 * girth, -0.1), 0.35 * turn, False),
            (fore, (0.6 * girth, -0.24), turn, True),
        ):
            patch = wing(points, origin, degrees, one, sign, species, tears(one, rng))
            if is_fore:
                sketch.fill(place(patch.outline, (0.0, 0.018)), BLACK, 0.3)
            _scales(sketch, patch, species, one.wing_stretch(sign), is_fore)
            sketch.fill(patch.region(0, 1, 0.5, 1), BLACK, 0.05 if sign > 0 else 0.0)
    coat = mix(species.dark, species.ground, 0.45 if moth else 0.2)
    abdomen = tube(-0.06, 0.1 + 0.44 * species.body_length, girth * np.array([0.7, 0.95, 0.92, 0.8, 0.55, 0.12]))
    sketch.fill(abdomen.outline, coat, solid=True)
    for k in range(1, species.rings + 2):
        s = k / (species.rings + 2)
        sketch.fill(abdomen.region(s, s + 0.06), mix(species.second, species.accent, 0.4), 0.55)
    round_off(sketch, abdomen, 0.6)
    antennae(sketch, (0.35 * girth, -0.44), 0.32 if moth else 0.42, 0.018, species, rng)
    ball(sketch, (0, -0.42), (0.75 * girth, 0.062), coat, 0.3)
    for sign in (1, -1):
        ball(sketch, (sign * 0.62 * girth, -0.435), (0.042, 0.042), mix(species.dark, BLACK, 0.5), 1.0)
    fur(sketch, (0, -0.22), (1.1 * girth, 0.175), mix(coat, species.second, 0.35), 0.1 + 0.12 * species.hair, rng)


def _outlines(species: Species) -> tuple[Outline, Outline]:
    """The edges of fore and hind wing from the hinge, in body coordinates."""
    long, high, apex, tail = species.wing_length, species.wing_breadth, species.apex, species.tail
    fore = {
        "lead": [(0, 0), (0.32, -0.21), (0.68, -0.49), (0.93, -0.63)],
        "outer": [(1.01, -0.57), (1.02 + apex, -0.38), (0.94 + apex, -0.14), (0.84 + 0.3 * apex, 0.08)],
        "trail": [(0, 0), (0.22, 0.12), (0.5, 0.19), (0.74, 0.22)],
    }
    hind = {
        "lead": [(0, 0), (0.3, -0.13), (0.62, -0.09), (0.86, 0.1)],
        "outer": [(0.93, 0.32), (0.82, 0.58), (0.58, 0.76), (0.34, 0.79)],
        "trail": [(0, 0), (0.0, 0.28), (0.04, 0.5), (0.13, 0.72)],
    }
    if tail:
        hind["outer"] = [(0.92, 0.34), (0.78, 0.62), (0.50 + 0.6 * tail, 0.80 + 1.5 * tail), (0.36, 0.82)]
    hind_size = (0.86 * long, 0.86 * long * (1 + 0.4 * (high - 1)))
    return (
        {edge: np.array(points) * (long, high * long) for edge, points in fore.items()},
        {edge: np.array(points) * hind_size for edge, points in hind.items()},
    )


def _scales(sketch: Sketch, patch: Patch, species: Species, stretch: float, fore: bool) -> None:
    """Paint one wing, foreshortened by `stretch`: ground, bands, apex, margin, veins, speckles, eyespots."""
    ground = species.ground if fore or species.plan == "butterfly" else mix(species.ground, species.second, 0.6)
    pattern = np.random.default_rng([species.pattern, fore])
    sketch.fill(patch.outline, ground, solid=True)
    for reach, alpha in ((0.62, 0.16), (0.48, 0.16), (0.34, 0.2)):
        sketch.fill(patch.region(0, reach), mix(species.second, ground, 0.3), alpha * 1.6)
    for reach, alpha in ((0.26, 0.2), (0.16, 0.28)):
        sketch.fill(patch.region(0, reach), species.dark, alpha)
    _bands(sketch, patch, species, pattern)
    if species.tip and fore:
        _apex(sketch, patch, species, stretch)
    if species.margin:
        _margin(sketch, patch, species, stretch)
    _veins(sketch, patch, species)
    if species.speckles:
        s, t = pattern.uniform(0.12, 0.96, species.speckles), pattern.uniform(0.04, 0.96, species.speckles)
        for k, point in enumerate(patch.at(s, t)):
            size = 0.006 + 0.010 * pattern.random()
            sketch.disc(point, (size * stretch, size), species.dark if k % 3 else mix(species.accent, WHITE, 0.2), 0.75)
    if species.plan == "moth" and fore:
        kidney = patch.at(0.5, 0.36)[0]
        sketch.disc(kidney, (0.045 * stretch, 0.034), species.dark, 0.8)
        sketch.disc(kidney, (0.027 * stretch, 0.02), species.second)
    _eyespots(sketch, patch, species, stretch, species.eyespots // 2 if fore else species.eyespots)


def _bands(sketch: Sketch, patch: Patch, species: Species, pattern: np.random.Generator) -> None:
    phase, waves = pattern.uniform(0, 6.28), pattern.uniform(1.5, 3.5)
    for k in range(species.bands):
        centre, half = species.band_at - 0.17 * k, species.band_width * (1 - 0.15 * k) / 2
        wave = (species.wave, waves, phase + k)
        if species.plan == "moth":
            sketch.fill(patch.region(centre - half - 0.018, centre + half + 0.018, wave=wave), species.dark, 0.75)
        sketch.fill(patch.region(centre - half, centre + half, wave=wave), species.accent, 0.95)


def _apex(sketch: Sketch, patch: Patch, species: Species, stretch: float) -> None:
    """The contrasting apex of a fore wing, with three pale spots."""
    for reach, alpha in ((1.12, 0.55), (1.0, 1.0)):
        corner = patch.at(*np.array([(1, 0), (1, 0.25), (1, 0.5), (1, species.tip * reach + 0.25)]).T)
        inner = patch.at(*np.array([(1 - 0.5 * species.tip * reach, 0.25), (1 - species.tip * reach, 0)]).T)
        front = patch.line(1 - species.tip * reach, 1, 0, 0)[1:]
        sketch.fill(np.concatenate([corner, smooth(inner), front]), species.dark, alpha)
    for t in (0.14, 0.27, 0.4):
        sketch.disc(patch.at(0.9 - 0.1 * t, t)[0], (0.026 * stretch, 0.022), mix(species.accent, WHITE, 0.5))


def _margin(sketch: Sketch, patch: Patch, species: Species, stretch: float) -> None:
    """A dark outer margin with a row of pale dots."""
    rim, wave = 1 - species.margin, (0.012, 5.5, 0.0)
    sketch.fill(patch.region(rim - 0.02, 1, wave=wave), species.dark, 0.45)
    sketch.fill(patch.region(rim, 1, wave=wave), species.dark)
    dot, pale = 0.2 * species.margin, mix(species.accent, WHITE, 0.45)
    for t in np.linspace(0.09, 0.91, 7):
        sketch.disc(patch.at(1 - 0.42 * species.margin, t)[0], (dot * stretch, dot), pale, 0.9)


def _veins(sketch: Sketch, patch: Patch, species: Species) -> None:
    """The fringe, the front edge, and the veins round the cell."""
    sketch.fill(patch.region(0.975, 1), mix(species.dark, species.second, 0.3), 0.75)
    sketch.fill(patch.region(0.05, 1, 0, 0.035), species.dark, 0.7)
    for t in np.linspace(0.1, 0.92, 7):
        vein = patch.line(0.42, 0.99, 0.35 + 0.4 * (t - 0.35), t)
        sketch.fill(stroke(vein, np.linspace(0.010, 0.005, 12)), species.dark, species.veins)
    sides = ((0.05, 0.42, 0.22, 0.2), (0.42, 0.42, 0.24, 0.58), (0.42, 0.05, 0.6, 0.6))
    cell = np.concatenate([patch.line(*side) for side in sides])
    sketch.fill(stroke(cell, 0.008), species.dark, species.veins)


def _eyespots(sketch: Sketch, patch: Patch, species: Species, stretch: float, count: int) -> None:
    places = np.linspace(0.3, 0.75, count) if count > 1 else np.array([0.45])
    rings = ((1.0, species.dark), (0.82, mix(species.accent, (236, 190, 90), 0.5)), (0.55, BLACK))
    for k, centre in enumerate(patch.at(0.76 - 0.5 * min(species.margin, 0.1), places[:count]) if count else ()):
        size = species.eyespot_size * (1.0 if k % 2 == 0 else 0.8)
        for share, colour in rings:
            sketch.disc(centre, (size * share * stretch, size * share), colour)
        sketch.disc(centre - 0.15 * size, (0.2 * size * stretch, 0.2 * size), WHITE)
