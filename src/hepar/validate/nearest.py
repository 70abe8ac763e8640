"""How far one set of voxels lies from another, exactly, on uneven grids.

A map holds, for every place, how many rows away the nearest target in its own line of rows is. Looking through the
neighbouring lines from near to far then finds the nearest target of a place with few looks, since surfaces that are
compared mostly run close together. What is still open after `LINES` lines (a false lesion far from all others) is
looked up in a k-d tree, which gives the same distances.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hepar.validate.inputs import Floats, Ints

LINES = 160
"""Neighbouring lines looked through before the k-d tree takes over; measured: more cost more than they save."""
FAR = 254
"""Rows, in the map, beyond which it says nothing."""


def nearest_mm(places: Ints, targets: Ints, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Floats:
    """Distance in millimetres from every place to the nearest target.

    places, targets: flat indices into a grid of `shape` (slice, row, column), at least one target. spacing: millimetres
    along the three axes. Exact to float64.
    """
    lines = _lines(spacing[0], spacing[2])
    margin_z, margin_x = int(np.abs(lines[0]).max()), int(np.abs(lines[1]).max())
    depth, rows, columns = shape
    wide = columns + 2 * margin_x
    padded = _padded(targets, shape, margin_z, margin_x)
    away = np.full((depth + 2 * margin_z, rows, wide), FAR, dtype=np.uint8)
    away.ravel()[padded] = 0
    for y in range(1, rows):
        np.minimum(away[:, y], away[:, y - 1] + np.uint8(1), out=away[:, y])
    for y in range(rows - 2, -1, -1):
        np.minimum(away[:, y], away[:, y + 1] + np.uint8(1), out=away[:, y])
    square = (np.arange(256) * spacing[1]) ** 2
    square[FAR:] = np.inf
    flat, at = away.ravel(), _padded(places, shape, margin_z, margin_x)
    best = square[flat[at]]
    open_, inside, found = np.arange(at.size), at, best.copy()
    for step_z, step_x, beside in zip(*lines, strict=True):
        still = found > beside
        if np.count_nonzero(still) < 0.8 * still.size:
            best[open_] = found
            open_, inside, found = open_[still], inside[still], found[still]
            if not open_.size:
                break
        offset = int(step_z) * rows * wide + int(step_x)
        np.minimum(found, square[flat[inside + offset]] + beside, out=found)
    best[open_] = found
    distances: Floats = np.sqrt(best)
    # what lies farther than the lines or the map reach may have a nearer target that neither shows
    left = np.flatnonzero(best > min(lines[2][-1], float((FAR * spacing[1]) ** 2)))
    if left.size:
        from scipy.spatial import KDTree

        scale = np.asarray(spacing)
        tree = KDTree(np.stack(np.unravel_index(targets, shape), axis=1) * scale, balanced_tree=False)
        distances[left] = tree.query(np.stack(np.unravel_index(places[left], shape), axis=1) * scale)[0]
    return distances


def _padded(flat: Ints, shape: tuple[int, int, int], margin_z: int, margin_x: int) -> Ints:
    """Flat indices into the same grid with a margin of slices and columns around it."""
    line, x = np.divmod(flat, shape[2])
    return (line + margin_z * shape[1]) * (shape[2] + 2 * margin_x) + x + margin_x


@cache
def _lines(slice_mm: float, column_mm: float) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Steps (slice, column) to neighbouring lines, and how far each line lies squared, from near to far."""
    reach = float(np.sqrt(LINES * slice_mm * column_mm / np.pi)) * 1.5 + max(slice_mm, column_mm)
    z, x = int(min(reach / slice_mm, LINES)) + 1, int(min(reach / column_mm, LINES)) + 1
    step_z, step_x = (v.ravel() for v in np.meshgrid(np.arange(-z, z + 1), np.arange(-x, x + 1), indexing="ij"))
    beside = (step_z * slice_mm) ** 2 + (step_x * column_mm) ** 2
    order = np.argsort(beside, kind="stable")[1 : LINES + 1]
    return step_z[order], step_x[order], beside[order]
