"""Exact solids on a voxel grid, with the numbers that a measurement of them must give.

Places and sizes are millimetres in array order (slice, row, column); voxel (0, 0, 0) has its centre at (0, 0, 0).
A voxel belongs to a solid when its centre does (surface included). Nothing is blurred.
"""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.typing import NDArray

Triple = tuple[float, float, float]
Mask = NDArray[np.bool_]


def ellipsoid(
    centre_mm: Triple,
    semi_axes_mm: Triple,
    spacing_mm: Triple,
    shape: tuple[int, int, int],
    rotation: NDArray[np.float64] | None = None,
) -> Mask:
    """Mask of an ellipsoid. semi_axes_mm lie along (slice, row, column), then turned by rotation (3, 3), if given:
    its columns are the directions of the semi-axes in (slice, row, column)."""
    offset = [step * np.arange(n) - c for n, step, c in zip(shape, spacing_mm, centre_mm, strict=True)]
    grid = np.meshgrid(*offset, indexing="ij", sparse=True)
    turn = np.eye(3) if rotation is None else np.asarray(rotation, float)
    square = np.zeros(shape)
    for axis in range(3):
        along = grid[0] * turn[0, axis] + grid[1] * turn[1, axis] + grid[2] * turn[2, axis]
        square = square + (along / semi_axes_mm[axis]) ** 2
    return np.asarray(square <= 1.0)


def ball(centre_mm: Triple, diameter_mm: float, spacing_mm: Triple, shape: tuple[int, int, int]) -> Mask:
    """Mask of a ball."""
    r = diameter_mm / 2
    return ellipsoid(centre_mm, (r, r, r), spacing_mm, shape)


def merged_pair(
    centre_mm: Triple,
    diameters_mm: tuple[float, float],
    distance_mm: float,
    spacing_mm: Triple,
    shape: tuple[int, int, int],
) -> Mask:
    """Mask of two balls side by side along the columns: the first at centre_mm, the second distance_mm further."""
    other = (centre_mm[0], centre_mm[1], centre_mm[2] + distance_mm)
    return np.asarray(
        ball(centre_mm, diameters_mm[0], spacing_mm, shape) | ball(other, diameters_mm[1], spacing_mm, shape)
    )


def ball_volume_ml(diameter_mm: float) -> float:
    """Volume of a ball."""
    return pi * diameter_mm**3 / 6000


def merged_pair_volume_ml(diameters_mm: tuple[float, float], distance_mm: float) -> float:
    """Volume of the union of two balls: both volumes less the lens that they share.

    Source: Weisstein, E. W., "Sphere-Sphere Intersection", MathWorld, equation 16.
    """
    big, small = max(diameters_mm) / 2, min(diameters_mm) / 2
    both = ball_volume_ml(diameters_mm[0]) + ball_volume_ml(diameters_mm[1])
    d = distance_mm
    if d >= big + small:
        return both
    if d <= big - small:
        return ball_volume_ml(2 * big)
    lens = pi * (big + small - d) ** 2
    lens *= (d * d + 2 * d * small - 3 * small**2 + 2 * d * big + 6 * big * small - 3 * big**2) / (12 * d)
    return both - lens / 1000


def merged_pair_long_axis_mm(diameters_mm: tuple[float, float], distance_mm: float) -> float:
    """Longest diameter of the union of two balls side by side."""
    return max(distance_mm + sum(diameters_mm) / 2, *diameters_mm)
