"""What drawn insects share: the traits of an `Individual`, and body parts, fur, legs, antennae and wings to sketch."""

from dataclasses import dataclass

import numpy as np

from seran_lib.demo.insects.geometry import Patch, Sketch, place, smooth, stroke
from seran_lib.demo.insects.species import BLACK, WHITE, Colour, Species, mix


@dataclass(frozen=True)
class Individual:
    """What tells one animal of a species from another, and how it holds itself.

    Angles in degrees: `opening` moves the fore wings forward, `slope` raises both wings, `roll` leans the body,
    `lopsided` turns left and right wings apart. `wear` (0..1) fades colours and breaks wing margins; `seed` fixes
    the small irregularities.
    """

    hue: float
    tone: float
    wear: float
    opening: float
    slope: float
    roll: float
    lopsided: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, *, spread: bool) -> "Individual":
        """A random animal; a `spread` one is set flat and even, as in a collection."""
        return cls(
            hue=rng.normal(0, 3.0),
            tone=rng.normal(1.0, 0.05),
            wear=rng.beta(1.2, 4.0),
            opening=rng.normal(4, 3) if spread else rng.normal(-3, 8),
            slope=rng.uniform(0, 8) if spread else rng.uniform(0, 42),
            roll=rng.normal(0, 2) if spread else rng.normal(0, 9),
            lopsided=rng.normal(0, 1.0) if spread else rng.normal(0, 3.5),
            seed=int(rng.integers(2**31)),
        )

    def wing_stretch(self, sign: int) -> float:
        """How much the wings of one side (1 right, -1 left) are foreshortened when seen from above."""
        return float(np.cos(np.deg2rad(np.clip(self.slope + sign * self.roll, -55, 60))))


def tube(top: float, bottom: float, widths) -> Patch:
    """A body part along y whose half widths from top to bottom are `widths`; s runs down, t from right to left."""
    y = np.linspace(top, bottom, len(widths))
    right = smooth(np.column_stack([widths, y]))
    left = right * (-1, 1)
    t = np.linspace(0, 1, len(right))[:, None]
    return Patch(right, left, right[0] + t * (left[0] - right[0]), right[-1] + t * (left[-1] - right[-1]))


def round_off(sketch: Sketch, patch: Patch, gloss: float) -> None:
    """Shade a body part as a cylinder: dark flanks, a lighter ridge."""
    for edge, alpha in ((0.10, 0.20), (0.20, 0.16), (0.30, 0.10)):
        sketch.fill(patch.region(0, 1, 0, edge), BLACK, alpha)
        sketch.fill(patch.region(0, 1, 1 - edge, 1), BLACK, alpha)
    for half, alpha in ((0.16, 0.10), (0.08, 0.16)):
        sketch.fill(patch.region(0.06, 0.92, 0.42 - half, 0.42 + half), WHITE, alpha * gloss)


def ball(sketch: Sketch, centre, radii, colour: Colour, gloss: float) -> None:
    """An ellipsoid lit from the upper left."""
    centre, radii = np.asarray(centre), np.asarray(radii)
    sketch.disc(centre, radii, mix(colour, BLACK, 0.35), solid=True)
    sketch.disc(centre - 0.04 * radii, 0.88 * radii, mix(colour, BLACK, 0.15))
    sketch.disc(centre - 0.10 * radii, 0.70 * radii, colour)
    sketch.disc(centre - 0.22 * radii, 0.40 * radii, WHITE, 0.10 + 0.12 * gloss)
    sketch.disc(centre - 0.32 * radii, 0.17 * radii, WHITE, 0.45 * gloss)


def fur(sketch: Sketch, centre, radii, colour: Colour, length: float, rng: np.random.Generator) -> None:
    """A coat of hair over an ellipse: ragged rims from dark to light, and loose strands."""
    centre, radii = np.asarray(centre), np.asarray(radii)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    for share, tone, alpha in ((1.0, -0.35, 1.0), (0.84, 0.0, 0.9), (0.6, 0.12, 0.7)):
        ragged = share * (1 + length * np.where(np.arange(72) % 2, rng.uniform(0.3, 1.0, 72), -0.15))
        tint = mix(colour, BLACK, -tone) if tone < 0 else mix(colour, WHITE, tone)
        sketch.fill(ring * ragged[:, None] * radii + centre, tint, alpha, solid=share == 1.0)
    for angle, reach in zip(rng.uniform(0, 2 * np.pi, 16), rng.uniform(0.15, 0.85, 16), strict=True):
        root = centre + reach * radii * (np.cos(angle), np.sin(angle))
        strand = np.array([root, root + 0.3 * radii * (np.cos(angle), np.sin(angle))])
        sketch.fill(stroke(strand, [0.016, 0.004]), mix(colour, BLACK if angle > np.pi else WHITE, 0.3), 0.55)


def legs(sketch: Sketch, hips, reach, width: float, colour: Colour, rng: np.random.Generator) -> None:
    """Three pairs of legs (femur, tibia, tarsus). `hips` are three (x, y), `reach` three leg lengths."""
    for sign in (1, -1):
        for hip, length, heading, bend in zip(hips, reach, (-48, 4, 42), (-22, 34, 36), strict=True):
            first = np.deg2rad(heading + rng.normal(0, 6))
            second = first + np.deg2rad(bend + rng.normal(0, 7))
            third = second + np.deg2rad(0.4 * bend + rng.normal(0, 6))
            joints = [np.asarray(hip, dtype=float)]
            for angle, share in ((first, 0.42), (second, 0.36), (third, 0.26)):
                joints.append(joints[-1] + share * length * np.array([np.cos(angle), np.sin(angle)]))
            for part, (thick, thin) in enumerate(((1.25, 0.95), (0.85, 0.6), (0.5, 0.34))):
                segment = np.array(joints[part : part + 2]) * (sign, 1)
                sketch.fill(stroke(segment, [width * thick, width * thin]), colour, solid=True)
            knee = joints[1] * (sign, 1)
            sketch.disc(knee, (width * 0.55, width * 0.55), colour, solid=True)
            femur = np.array(joints[:2]) * (sign, 1)
            sketch.fill(stroke(femur, width * 0.3), mix(colour, WHITE, 0.4), 0.5)


def antennae(sketch: Sketch, root, length: float, width: float, species: Species, rng: np.random.Generator) -> None:
    """A pair of antennae of the species, from `root` (right-hand side) forward and outward."""
    kind, colour = species.antenna, mix(species.dark, BLACK, 0.2)
    curves = {
        "clubbed": [(0, 0), (0.22, -0.45), (0.42, -0.85), (0.52, -1.0)],
        "feathered": [(0, 0), (0.35, -0.35), (0.72, -0.6), (1.0, -0.7)],
        "thread": [(0, 0), (0.35, -0.3), (0.7, -0.65), (0.85, -1.0)],
        "long": [(0, 0), (0.42, -0.28), (0.85, 0.05), (1.15, 0.65), (1.25, 1.2)],
        "fan": [(0, 0), (0.3, -0.2), (0.5, -0.35)],
        "elbowed": [(0, 0), (0.28, -0.42), (0.36, -0.5), (0.7, -0.56), (1.0, -0.45)],
        "bristle": [(0, 0), (0.2, -0.5)],
    }
    for sign in (1, -1):
        line = place(smooth(curves[kind]) * length, root, rng.normal(0, 5), 1.0, sign)
        sketch.fill(stroke(line, np.linspace(width, 0.7 * width, len(line))), colour, solid=True)
        tip, ahead = line[-1], line[-1] - line[-3]
        if kind == "clubbed":
            sketch.fill(stroke(line[-5:], width * np.array([1, 2.2, 2.8, 2.6, 1.2])), colour, solid=True)
        elif kind == "feathered":
            for k in range(4, 25, 2):
                barb = 0.2 * length * np.sin(np.pi * k / 28)
                for turn in (-70, 70):
                    direction = place([(line[k] - line[k - 1])], degrees=turn)[0]
                    direction = direction / (np.hypot(*direction) + 1e-9)
                    hair = np.array([line[k], line[k] + barb * direction])
                    sketch.fill(stroke(hair, 0.55 * width), colour, solid=True)
        elif kind == "fan":
            for turn in (-50, -10, 30):
                leaf = place([ahead / np.hypot(*ahead)], degrees=turn * sign)[0] * 0.4 * length
                sketch.fill(stroke(np.array([tip, tip + leaf]), [width, 1.8 * width]), colour, solid=True)


def wing(points: dict[str, list], origin, degrees: float, one: Individual, sign: int, species: Species, torn) -> Patch:
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


def tears(one: Individual, rng: np.random.Generator) -> np.ndarray:
    """Depth (fraction of the wing) of damage along the outer margin, (25,): rare notches that grow with wear."""
    depth = np.zeros(25)
    for _ in range(rng.poisson(1.6 * one.wear)):
        at = int(rng.integers(3, 20))
        depth[at : at + 3] += rng.uniform(0.03, 0.14) * np.array([0.5, 1.0, 0.6])
    return depth
