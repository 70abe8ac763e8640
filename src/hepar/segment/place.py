"""Boxes on native grids, and distances on the model's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hepar.record import Box, Geometry


def native_box(mask: NDArray[np.bool_], source: Geometry, target: Geometry, margin_mm: float) -> Box:
    """The part of the target grid that holds every true voxel of the mask (not empty) on the source grid."""
    bounds = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    ends = [(float(b[0]) - 0.5, float(b[-1]) + 0.5) for b in bounds]
    corners = source.to_lps_mm(np.array([[i, j, k] for i in ends[0] for j in ends[1] for k in ends[2]]))
    index = target.to_index(corners)
    margin = margin_mm / np.array(target.spacing_mm)
    low = np.clip(np.floor(index.min(axis=0) - margin), 0, np.array(target.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + margin) + 1, low + 1, target.shape).astype(int)
    return (
        slice(int(low[0]), int(high[0])),
        slice(int(low[1]), int(high[1])),
        slice(int(low[2]), int(high[2])),
    )


def slabs(shape: tuple[int, ...], halo: int, voxels: int = 6_000_000) -> Iterator[tuple[slice, slice, slice]]:
    """Slices in portions: (with halo, the portion, the portion within the halo), so that memory stays small."""
    step = max(1, voxels // (shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        stop = min(shape[0], start + step)
        low, high = max(0, start - halo), min(shape[0], stop + halo)
        yield slice(low, high), slice(start, stop), slice(start - low, stop - low)


def signed_distance_mm(mask: NDArray[np.bool_], spacing_mm: float, limit_mm: float) -> NDArray[np.float32]:
    """Distance to the outline, positive inside, cut at +-limit_mm; everywhere -limit_mm for an empty mask."""
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, -limit_mm, np.float32)
    box = native_box(mask, _unit(mask.shape), _unit(mask.shape), limit_mm / spacing_mm + 2)
    part = np.pad(mask[box], 1, mode="edge")
    near = ndimage.distance_transform_edt(part) - ndimage.distance_transform_edt(~part)
    near = near[1:-1, 1:-1, 1:-1] * spacing_mm
    out = np.full(mask.shape, -limit_mm, np.float32)
    out[box] = np.clip(near - np.sign(near) * spacing_mm / 2, -limit_mm, limit_mm)
    return out


def _unit(shape: tuple[int, ...]) -> Geometry:
    return Geometry.regular((shape[0], shape[1], shape[2]), (1.0, 1.0, 1.0))
