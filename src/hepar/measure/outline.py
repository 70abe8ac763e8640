"""Exact lines on the outline of a voxel mask: outer edge to outer edge, nothing corrected.

What these numbers mean for the lesion behind the voxels is in `digitisation`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]
_FEW = 300
"""Up to this many points all pairs are compared; beyond, the convex hull is taken first."""


@dataclass(frozen=True)
class Line:
    """A straight line between two outline points, as fractional indices of the mask's axes."""

    length_mm: float
    start: tuple[float, ...]
    end: tuple[float, ...]


def plane_metric(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 2) matrix that maps (row, column) to millimetres in the acquired slice plane, lengths and angles kept."""
    row, column = affine[:3, 1], affine[:3, 2]
    along = column / np.linalg.norm(column)
    shear = float(row @ along)
    return np.array([[float(np.linalg.norm(row - shear * along)), 0.0], [shear, float(np.linalg.norm(column))]])


def corner_points(mask: Mask) -> Points:
    """Corners of the outermost pixels of each row of a 2D mask, (n, 2) as (row, column); they hold the convex hull."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask[rows].argmax(axis=1) - 0.5
    right = mask.shape[1] - mask[rows][:, ::-1].argmax(axis=1) - 0.5
    edge = np.concatenate([left, right, left, right])
    return np.stack([np.concatenate([rows - 0.5, rows - 0.5, rows + 0.5, rows + 0.5]), edge], axis=1)


def face_points(mask: Mask) -> Points:
    """Centres of the outermost voxel faces along each line of a 3D mask, (n, 3).

    The vertices of the half-way surface mesh through a binary mask lie there, so the largest distance is that of
    the mesh. Source: IBSI reference manual, maximum 3D diameter (L0JK), mesh by marching cubes at 0.5.
    """
    found: list[Points] = []
    for axis in range(3):
        lines = mask.any(axis=axis)
        others = np.argwhere(lines).astype(np.float64)
        columns = np.moveaxis(mask, axis, -1)[lines]
        low = columns.argmax(axis=1) - 0.5
        high = columns.shape[1] - columns[:, ::-1].argmax(axis=1) - 0.5
        found += [np.insert(others, axis, low, axis=1), np.insert(others, axis, high, axis=1)]
    return np.concatenate(found)


def farthest_pair(points_mm: Points) -> tuple[float, int, int]:
    """Largest distance between any two points (n, 2 or 3), and the two; exact. The first pair of equals."""
    index = np.arange(len(points_mm))
    if len(points_mm) > _FEW:
        from scipy.spatial import ConvexHull

        index = _can_be_farthest(points_mm)
        if len(index) > _FEW:
            index = index[np.sort(ConvexHull(points_mm[index]).vertices)]
    hull = points_mm[index] - points_mm[index[0]]
    square = (hull**2).sum(axis=1)
    best, pair = -1.0, (0, 0)
    for start in range(0, len(hull), 1000):
        block = slice(start, start + 1000)
        distance = square[block, None] + square[None, :] - 2.0 * (hull[block] @ hull.T)
        at = int(distance.argmax())
        if distance.flat[at] > best + 1e-9:
            best, pair = float(distance.flat[at]), (start + at // len(hull), at % len(hull))
    a, b = int(index[pair[0]]), int(index[pair[1]])
    return float(np.linalg.norm(points_mm[a] - points_mm[b])), a, b


def _can_be_farthest(points_mm: Points) -> NDArray[np.intp]:
    """Indices of the points that the farthest pair can consist of.

    With a pair at distance d known and every point within r of its middle, a point closer than d - r to the middle
    cannot be part of a longer pair.
    """
    length, ends = 0.0, (0, 0)
    for axis in range(points_mm.shape[1]):
        a, b = int(points_mm[:, axis].argmin()), int(points_mm[:, axis].argmax())
        for _ in range(4):
            along = points_mm @ (points_mm[b] - points_mm[a])
            a, b = int(along.argmin()), int(along.argmax())
        if (found := float(np.linalg.norm(points_mm[b] - points_mm[a]))) > length:
            length, ends = found, (a, b)
    reach = np.linalg.norm(points_mm - points_mm[list(ends)].mean(axis=0), axis=1)
    result: NDArray[np.intp] = np.flatnonzero(reach >= length - float(reach.max()) - 1e-9)
    return result


def longest_line(mask: Mask, metric: NDArray[np.float64]) -> Line:
    """Longest straight line between two points of the outline of a 2D mask (row, column), not empty."""
    points = corner_points(mask)
    length, a, b = farthest_pair(points @ metric.T)
    return Line(length, tuple(points[a].tolist()), tuple(points[b].tolist()))


def longest_chord(mask: Mask, metric: NDArray[np.float64], along: Line) -> Line:
    """Longest straight line at right angles to `along` that stays inside the outline of a 2D mask.

    The length is linear between the places where the line passes a corner, so both ends of each such strip are
    tried: exact to a millionth of a strip.
    """
    unit = metric @ (np.array(along.end) - np.array(along.start))
    unit = unit / np.linalg.norm(unit)
    across = np.array([-unit[1], unit[0]])
    first, last = (edge @ metric.T for edge in _edges(mask))
    t0, t1 = first @ unit, last @ unit
    s0, s1 = first @ across, last @ across
    stops = np.unique(np.round(np.concatenate([t0, t1]), 9))
    wide = np.diff(stops) > 1e-6
    low, high = stops[:-1][wide], stops[1:][wide]
    lines = np.concatenate([low + 1e-6 * (high - low), high - 1e-6 * (high - low)])
    return _longest_inside(lines, t0, t1, s0, s1, unit, across, np.asarray(np.linalg.inv(metric), dtype=np.float64))


def _longest_inside(
    lines: Points, t0: Points, t1: Points, s0: Points, s1: Points, unit: Points, across: Points, back: Points
) -> Line:
    best = (-1.0, 0.0, 0.0, 0.0)
    for start in range(0, len(lines), 256):
        t = lines[start : start + 256, None]
        crosses = (np.minimum(t0, t1) < t) & (t < np.maximum(t0, t1))
        with np.errstate(divide="ignore", invalid="ignore"):
            s = np.where(crosses, s0 + (t - t0) / (t1 - t0) * (s1 - s0), np.inf)
        most = int(crosses.sum(axis=1).max())
        s = np.sort(s, axis=1)[:, : most + most % 2]
        with np.errstate(invalid="ignore"):
            inside = np.nan_to_num(s[:, 1::2] - s[:, 0::2], nan=-1.0, posinf=-1.0)
        at = np.unravel_index(int(inside.argmax()), inside.shape)
        if inside[at] > best[0] + 1e-9:
            best = (float(inside[at]), float(t[at[0], 0]), float(s[at[0], 2 * at[1]]), float(s[at[0], 2 * at[1] + 1]))
    length, t_best, s_start, s_end = best
    start_index, end_index = (back @ (t_best * unit + s * across) for s in (s_start, s_end))
    return Line(length, tuple(start_index.tolist()), tuple(end_index.tolist()))


def _edges(mask: Mask) -> tuple[Points, Points]:
    """Ends of the unit edges between inside and outside pixels, two (n, 2) arrays as (row, column)."""
    padded = np.pad(mask, 1)
    below = np.argwhere(padded[1:, :] != padded[:-1, :]) - np.array([0.5, 1.5])
    beside = np.argwhere(padded[:, 1:] != padded[:, :-1]) - np.array([1.5, 0.5])
    first = np.concatenate([below, beside])
    last = np.concatenate([below + np.array([0.0, 1.0]), beside + np.array([1.0, 0.0])])
    return first, last


@dataclass(frozen=True)
class OutlineSizes:
    """The exact lines on one mask's outline. long, short: (row, column) in slice `slice_index`; largest: 3D."""

    long: Line
    short: Line
    largest: Line
    slice_index: int


_DIRECTIONS = 16
"""Directions in which each slice's width is taken to leave out slices that cannot hold the longest line."""


def outline_sizes(mask: Mask, affine: NDArray[np.float64]) -> OutlineSizes:
    """Longest axial line over all slices, its longest perpendicular in the same slice, and the longest line in 3D.

    mask: bool (slice, row, column), not empty. affine: (4, 4), may be sheared: axial means the acquired plane.
    Of equal slices the first one.
    """
    metric = plane_metric(affine)
    slices, bounds = _widest(mask, metric)
    slack = 1.0 / np.cos(np.pi / (2 * _DIRECTIONS)) + 1e-9
    best: tuple[Line, int] | None = None
    for at in np.argsort(-bounds, kind="stable"):
        if best is not None and bounds[at] * slack <= best[0].length_mm:
            break
        line = longest_line(mask[slices[at]], metric)
        k = int(slices[at])
        longer = best is None or line.length_mm > best[0].length_mm + 1e-9
        if longer or (best is not None and line.length_mm > best[0].length_mm - 1e-9 and k < best[1]):
            best = (line, k)
    assert best is not None
    points = face_points(mask)
    length, a, b = farthest_pair(points @ affine[:3, :3].T)
    largest = Line(length, tuple(points[a].tolist()), tuple(points[b].tolist()))
    return OutlineSizes(best[0], longest_chord(mask[best[1]], metric, best[0]), largest, best[1])


def _widest(mask: Mask, metric: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The slices that are not empty, and the largest of each one's widths in a fan of directions, in millimetres."""
    angles = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    fan = metric.T @ np.stack([np.cos(angles), np.sin(angles)])
    slice_of, row = np.nonzero(mask.any(axis=2))
    lines = mask[slice_of, row]
    left = lines.argmax(axis=1) - 0.5
    right = mask.shape[2] - lines[:, ::-1].argmax(axis=1) - 0.5
    half_row = np.abs(fan[0]) / 2
    along_row = row[:, None] * fan[0]
    ends = [along_row + edge[:, None] * fan[1] for edge in (left, right)]
    slices, first = np.unique(slice_of, return_index=True)
    high = np.maximum.reduceat(np.maximum(*ends), first, axis=0) + half_row
    low = np.minimum.reduceat(np.minimum(*ends), first, axis=0) - half_row
    return slices, (high - low).max(axis=1)
