"""Curved shapes for drawings, kept as polygons until they are painted.

A `Sketch` is a list of polygons with colours, painted in order. Because it is geometry, the same sketch gives the
picture, the shadow and an exact mask of the insect, from any viewpoint. Outlines are Catmull-Rom splines; a `Patch` is
a Coons patch (S. A. Coons, "Surfaces for computer-aided design of space forms", MIT, 1967): a grid over a curved area,
so that bands, veins and spots follow the outline of a wing and never leave it.

Coordinates are (x, y) with y downwards, as in images. Point arrays have shape (n, 2).
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from seran_lib.demo.insects.species import Colour

_STEPS = 25  # points on every boundary of a patch
_STEP12, _STEP14, _ONES14 = np.linspace(0, 1, 12), np.linspace(0, 1, 14), np.ones(14)
_TURN = np.linspace(0, 2 * np.pi, 22, endpoint=False)
CIRCLE = np.column_stack([np.cos(_TURN), np.sin(_TURN)])


def smooth(points, steps: int = _STEPS) -> np.ndarray:
    """A Catmull-Rom spline through `points` (k, 2), sampled at `steps` evenly spaced parameters: (steps, 2)."""
    knots = np.asarray(points, dtype=float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    place = np.linspace(0, len(knots) - 1, steps)
    start = np.minimum(place.astype(int), len(knots) - 2)
    u = (place - start)[:, None]
    a, b, c, d = (padded[start + i] for i in range(4))
    return b + 0.5 * u * ((c - a) + u * ((2 * a - 5 * b + 4 * c - d) + u * (3 * (b - c) + d - a)))


def stroke(line: np.ndarray, widths) -> np.ndarray:
    """The polygon of a line (n, 2) whose width at each point is `widths` (a number, or n of them)."""
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    normal = along[:, ::-1] * (-1, 1) / (np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9)
    half = normal * (np.asarray(widths, dtype=float).reshape(-1, 1) / 2)
    return np.concatenate([line + half, (line - half)[::-1]])


def place(points, origin=(0.0, 0.0), degrees: float = 0.0, stretch: float = 1.0, sign: int = 1) -> np.ndarray:
    """Turn `points` clockwise by `degrees`, scale x by `stretch`, move to `origin`, and mirror x when `sign` is -1."""
    points = np.asarray(points, dtype=float)
    angle = np.deg2rad(degrees)
    x = (points[:, 0] * np.cos(angle) - points[:, 1] * np.sin(angle)) * stretch + origin[0]
    y = points[:, 0] * np.sin(angle) + points[:, 1] * np.cos(angle) + origin[1]
    return np.column_stack([sign * x, y])


def _between(table: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Rows of `table` (25, k) interpolated at `where` (n, 1) in 0..1: (n, k)."""
    position = where * (_STEPS - 1)
    low = np.minimum(position.astype(int), _STEPS - 2)
    below = table[low[:, 0]]
    return below + (position - low) * (table[low[:, 0] + 1] - below)


class Patch:
    """A curved four-sided area with coordinates s (0 at `base`, 1 at `end`) and t (0 at `lead`, 1 at `trail`).

    `lead` and `trail` run from base to end, `base` and `end` from lead to trail; each has shape (25, 2).
    """

    def __init__(self, lead: np.ndarray, trail: np.ndarray, base: np.ndarray, end: np.ndarray):
        self.outline = np.concatenate([lead, end[1:], trail[-2::-1], base[-2:0:-1]])
        # Columns: x, y of the first side and x, y of the opposite one, so that one look-up serves both.
        self._along = np.hstack([lead, trail])
        t = np.linspace(0, 1, _STEPS)[:, None]
        self._across = np.hstack([side - (1 - t) * side[0] - t * side[-1] for side in (base, end)])

    def at(self, s, t) -> np.ndarray:
        """Points (n, 2) at the patch coordinates `s` and `t` (numbers or arrays of n, clipped to 0..1)."""
        s = np.minimum(np.maximum(s, 0.0), 1.0).reshape(-1, 1)
        t = np.minimum(np.maximum(t, 0.0), 1.0).reshape(-1, 1)
        along, across = _between(self._along, s), _between(self._across, t)
        return (1 - t) * along[:, :2] + t * along[:, 2:] + (1 - s) * across[:, :2] + s * across[:, 2:]

    def region(self, s0: float, s1: float, t0: float = 0.0, t1: float = 1.0, wave=(0.0, 0.0, 0.0)) -> np.ndarray:
        """The polygon s0..s1 by t0..t1. `wave` (height, waves, phase) makes the two s edges wavy along t."""
        across = t0 + (t1 - t0) * _STEP14
        ripple = wave[0] * np.sin(2 * np.pi * wave[1] * across + wave[2])
        along = s0 + (s1 - s0) * _STEP14
        s = np.concatenate([s0 + ripple, along + ripple[-1], (s1 + ripple)[::-1], along[::-1] + ripple[0]])
        t = np.concatenate([across, t1 * _ONES14, across[::-1], t0 * _ONES14])
        return self.at(s, t)

    def line(self, s0: float, s1: float, t0: float, t1: float) -> np.ndarray:
        """A line (12, 2), straight in patch coordinates, from (s0, t0) to (s1, t1)."""
        return self.at(s0 + (s1 - s0) * _STEP12, t0 + (t1 - t0) * _STEP12)


@dataclass
class Sketch:
    """Polygons in painting order: (points (n, 2), RGBA, whether the polygon is part of the insect's body)."""

    shapes: list[tuple[np.ndarray, tuple[int, int, int, int], bool]] = field(default_factory=list)

    def fill(self, points: np.ndarray, colour: Colour, alpha: float = 1.0, solid: bool = False) -> None:
        """Add a polygon. `solid` polygons make up the mask; the others only colour what lies beneath them."""
        self.shapes.append((points, (*colour, round(255 * min(max(alpha, 0.0), 1.0))), solid))

    def disc(self, centre, radii, colour: Colour, alpha: float = 1.0, solid: bool = False) -> None:
        """Add an ellipse with half axes `radii` (x, y)."""
        self.fill(CIRCLE * radii + centre, colour, alpha, solid)

    def solid_points(self) -> np.ndarray:
        """All corners of the solid polygons, (n, 2)."""
        return np.concatenate([points for points, _, solid in self.shapes if solid])

    def through(self, project) -> "Sketch":
        """The same sketch with every point mapped by `project` ((n, 2) -> (n, 2))."""
        ends = np.cumsum([len(points) for points, _, _ in self.shapes])[:-1]
        moved = np.split(project(np.concatenate([points for points, _, _ in self.shapes])), ends)
        return Sketch([(points, *rest) for points, (_, *rest) in zip(moved, self.shapes, strict=True)])

    def paint(self, image: Image.Image, scale: float = 1.0) -> None:
        """Paint all polygons onto an RGB image in place, translucent ones blended; `scale` multiplies coordinates."""
        canvas = ImageDraw.Draw(image, "RGBA")
        for points, colour, _ in self.shapes:
            canvas.polygon((points * scale).ravel().tolist(), fill=colour)

    def silhouette(self, size: tuple[int, int], scale: float = 1.0) -> Image.Image:
        """The solid polygons in white on black: an "L" image of `size` (width, height)."""
        image = Image.new("L", size)
        canvas = ImageDraw.Draw(image)
        for points, _, solid in self.shapes:
            if solid:
                canvas.polygon((points * scale).ravel().tolist(), fill=255)
        return image
