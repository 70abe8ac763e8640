"""Smooth solids as signed distances in millimetres: negative inside, zero on the surface, positive outside.

A solid is a function that takes an axis-aligned `Grid` and returns its distance at every grid point. Distances are
exact for round tubes and close to the surface for the others, which is all that painting and partial volume need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]
Box = tuple[Point, Point]
EVERYWHERE: Box = ((-1e4, -1e4, -1e4), (1e4, 1e4, 1e4))


@dataclass(frozen=True)
class Grid:
    """Axis-aligned sampling points. origin_mm is (x, y, z) of the first point; spacing_mm and shape are (z, y, x)."""

    origin_mm: Point
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]

    def axes(self) -> tuple[Field, Field, Field]:
        """x, y and z of the points, shaped to broadcast against each other."""
        nz, ny, nx = self.shape
        sz, sy, sx = self.spacing_mm
        x = (self.origin_mm[0] + sx * np.arange(nx)).astype(np.float32)
        y = (self.origin_mm[1] + sy * np.arange(ny)).astype(np.float32)
        z = (self.origin_mm[2] + sz * np.arange(nz)).astype(np.float32)
        return x[None, None, :], y[None, :, None], z[:, None, None]

    def window(self, box: Box) -> tuple[tuple[slice, slice, slice], Grid] | None:
        """The part of the grid inside the box (x, y, z limits), as slices and as a grid; None where they miss."""
        low, high = [], []
        for axis in range(3):
            start, step, count = self.origin_mm[axis], self.spacing_mm[2 - axis], self.shape[2 - axis]
            low.append(max(0, int(np.ceil((box[0][axis] - start) / step))))
            high.append(min(count, int(np.floor((box[1][axis] - start) / step)) + 1))
            if low[-1] >= high[-1]:
                return None
        origin = tuple(self.origin_mm[axis] + low[axis] * self.spacing_mm[2 - axis] for axis in range(3))
        part = (slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0]))
        shape = (high[2] - low[2], high[1] - low[1], high[0] - low[0])
        return part, Grid((origin[0], origin[1], origin[2]), self.spacing_mm, shape)


Solid = Callable[[Grid], Field]


def rotation(degrees: Point) -> NDArray[np.float64]:
    """Rotation about x, then y, then z."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rx = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    ry = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    rz = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx, dtype=np.float64)


def ellipsoid(centre: Point, semi: Point, turn: Point = (0.0, 0.0, 0.0)) -> Solid:
    """Ellipsoid with semi-axes semi, turned by degrees about x, y, z."""
    back = rotation(turn).T.astype(np.float32)

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        x, y, z = x - np.float32(centre[0]), y - np.float32(centre[1]), z - np.float32(centre[2])
        unit = np.float32(0)
        gradient = np.float32(0)
        for axis in range(3):
            local = back[axis, 0] * x + back[axis, 1] * y + back[axis, 2] * z
            local /= np.float32(semi[axis])
            local *= local
            unit = unit + local
            local /= np.float32(semi[axis] ** 2)
            gradient = gradient + local
        length = np.sqrt(unit)
        return np.asarray(length * (length - 1) / np.sqrt(gradient + np.float32(1e-9)), dtype=np.float32)

    return distance


def tube(points: Sequence[Point], radii: Sequence[float], reach_mm: float = 12.0) -> Solid:
    """A chain of round cones through the points. Beyond reach_mm from the surface the distance is cut to reach_mm."""
    pairs = [(points[i], points[i + 1], radii[i], radii[i + 1]) for i in range(len(points) - 1)]
    return tubes(pairs, reach_mm)


def tubes(segments: Sequence[tuple[Point, Point, float, float]], reach_mm: float = 6.0) -> Solid:
    """Union of round cones (start, end, start radius, end radius), each worked out only near itself."""

    def distance(grid: Grid) -> Field:
        out = np.full(grid.shape, reach_mm, np.float32)
        for start, end, r0, r1 in segments:
            margin = max(r0, r1) + reach_mm
            low = tuple(min(a, b) - margin for a, b in zip(start, end, strict=True))
            high = tuple(max(a, b) + margin for a, b in zip(start, end, strict=True))
            found = grid.window(((low[0], low[1], low[2]), (high[0], high[1], high[2])))
            if found is None:
                continue
            part, near = found
            x, y, z = near.axes()
            a, b = np.asarray(start, np.float32), np.asarray(end, np.float32)
            along = b - a
            square = float(along @ along)
            x, y, z = x - a[0], y - a[1], z - a[2]
            if square < 1e-6:
                gap = np.sqrt(x * x + y * y + z * z) - np.float32(max(r0, r1))
            else:
                t = np.clip((x * along[0] + y * along[1] + z * along[2]) / np.float32(square), 0, 1)
                gap = np.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2 + (z - t * along[2]) ** 2)
                gap -= np.float32(r0) + t * np.float32(r1 - r0)
            np.minimum(out[part], gap, out=out[part])
        return out

    return distance


def smooth_path(points: Sequence[Point], radii: Sequence[float], step_mm: float) -> tuple[list[Point], list[float]]:
    """A Catmull-Rom curve through the points, sampled about every step_mm, with the radii interpolated along."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    places, widths = [], []
    for i in range(1, len(p) - 2):
        count = max(1, round(float(np.linalg.norm(p[i + 1] - p[i])) / step_mm))
        for t in np.arange(count) / count:
            curve = 2 * p[i] + (p[i + 1] - p[i - 1]) * t
            curve = curve + (2 * p[i - 1] - 5 * p[i] + 4 * p[i + 1] - p[i + 2]) * t**2
            curve = (curve + (3 * p[i] - p[i - 1] - 3 * p[i + 1] + p[i + 2]) * t**3) / 2
            places.append(curve)
            widths.append(radii[i - 1] + (radii[i] - radii[i - 1]) * t)
    places.append(p[-2])
    widths.append(radii[-1])
    return [(float(q[0]), float(q[1]), float(q[2])) for q in places], [float(w) for w in widths]


def wobble(rng: np.random.Generator, amplitude_mm: float, wavelength_mm: float, waves: int = 6) -> Solid:
    """A smooth random displacement with the given standard deviation and wavelengths around wavelength_mm."""
    direction = rng.normal(size=(waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wave = direction * (2 * np.pi / (wavelength_mm * rng.uniform(0.7, 1.6, size=(waves, 1))))
    phase = rng.uniform(0, 2 * np.pi, waves)
    height = amplitude_mm * np.sqrt(2 / waves)

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        out = np.zeros(grid.shape, np.float32)
        for (kx, ky, kz), shift in zip(wave, phase, strict=True):
            plane = height * np.exp(1j * (kx * x + ky * y + shift))
            turn = np.exp(1j * kz * z)
            out += plane.real.astype(np.float32) * turn.real.astype(np.float32)
            out -= plane.imag.astype(np.float32) * turn.imag.astype(np.float32)
        return out

    return distance


def blend(a: Field, b: Field, width_mm: float) -> Field:
    """Smooth minimum (union) with a fillet of width_mm."""
    h = np.clip(0.5 + (b - a) * np.float32(0.5 / width_mm), 0, 1)
    return np.asarray(b + (a - b) * h - np.float32(width_mm) * h * (1 - h), dtype=np.float32)


def common(a: Field, b: Field, width_mm: float) -> Field:
    """Smooth maximum (intersection)."""
    return -blend(-a, -b, width_mm)


def union(*solids: Solid) -> Solid:
    """Sharp union."""
    return lambda grid: reduce(np.minimum, (solid(grid) for solid in solids))
