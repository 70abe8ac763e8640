"""Boxes around the liver and small working images: nothing here runs at full resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.record import Box, Geometry, OrganMap, Volume

_Array = NDArray[np.float32]


def liver_box(organs: OrganMap, geometry: Geometry, margin_mm: float) -> Box:
    """Smallest box of `geometry` that holds the liver and a margin, clipped to the grid.

    An empty liver, or one outside the grid, gives the whole grid.
    """
    index = np.argwhere(organs.liver)
    whole = tuple(slice(0, n) for n in geometry.shape)
    if not len(index):
        return (whole[0], whole[1], whole[2])
    low, high = index.min(axis=0) - 0.5, index.max(axis=0) + 0.5
    corners = np.array([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)])
    margin = np.array([[(-margin_mm, margin_mm)[b >> i & 1] for i in range(3)] for b in range(8)])
    points = organs.geometry.to_lps_mm(corners)
    around = geometry.to_index((points[:, None] + margin[None]).reshape(-1, 3))
    start = np.maximum(np.floor(around.min(axis=0)).astype(int), 0)
    stop = np.minimum(np.ceil(around.max(axis=0)).astype(int) + 1, geometry.shape)
    if (stop <= start).any():
        return (whole[0], whole[1], whole[2])
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return z, y, x


def working_grid(organs: OrganMap, step_mm: float, margin_mm: float) -> Geometry:
    """An axis-aligned grid of cubic voxels around the liver, which must not be empty."""
    index = np.argwhere(organs.liver)
    low, high = index.min(axis=0) - 0.5, index.max(axis=0) + 0.5
    points = organs.geometry.to_lps_mm([[(low, high)[b >> i & 1][i] for i in range(3)] for b in range(8)])
    start, stop = points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm
    start = np.floor(start / step_mm) * step_mm  # on multiples of the step, so that two runs share their voxels
    x, y, z = (np.ceil((stop - start) / step_mm).astype(int) + 1).tolist()
    return Geometry.regular((z, y, x), (step_mm, step_mm, step_mm), (start[0], start[1], start[2]))


def lattice_lps_mm(grid: Geometry) -> NDArray[np.float64]:
    """Voxel centres of a grid, (slice, row, column, 3)."""
    axes = [np.arange(n, dtype=np.float64) for n in grid.shape]
    return grid.to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def sample(array: NDArray[np.generic], geometry: Geometry, grid: Geometry, *, order: int = 1) -> _Array:
    """`array` (on `geometry`) at the voxels of `grid`, nearest value outside; float32."""
    from scipy.ndimage import map_coordinates

    index = geometry.to_index(lattice_lps_mm(grid))
    result: _Array = map_coordinates(array, np.moveaxis(index, -1, 0), order=order, mode="nearest", output=np.float32)
    return result


def inside(geometry: Geometry, grid: Geometry, *, deeper_mm: float = 0.0) -> NDArray[np.bool_]:
    """Which voxels of `grid` the volume with this geometry holds, at least `deeper_mm` away from its faces."""
    index = geometry.to_index(lattice_lps_mm(grid))
    rim = deeper_mm * np.linalg.norm(np.linalg.inv(geometry.affine)[:3, :3], axis=1) - 0.5  # exact when sheared, too
    result: NDArray[np.bool_] = ((index >= rim) & (index <= np.array(geometry.shape) - 1 - rim)).all(axis=-1)
    return result


def working_image(volume: Volume, grid: Geometry) -> _Array:
    """The volume at the voxels of a coarser grid: means of whole blocks first (against aliasing and noise)."""
    step = min(grid.spacing_mm)
    factors = [max(1, int(step / s + 0.25)) for s in volume.geometry.spacing_mm]
    corners = [[(0, n - 1)[b >> i & 1] for i, n in enumerate(grid.shape)] for b in range(8)]
    near = volume.geometry.to_index(grid.to_lps_mm(corners))
    start = np.maximum(np.floor(near.min(axis=0)).astype(int) - factors, 0)
    stop = np.minimum(np.ceil(near.max(axis=0)).astype(int) + 1 + factors, volume.geometry.shape)
    start = np.minimum(start, np.array(volume.geometry.shape) - 1)
    blocks = np.maximum((stop - start) // factors, 1)
    factors = [min(f, int(n - a)) for f, n, a in zip(factors, volume.geometry.shape, start, strict=True)]
    box = tuple(slice(int(a), int(a + b * f)) for a, b, f in zip(start, blocks, factors, strict=True))
    split = [int(n) for pair in zip(blocks, factors, strict=True) for n in pair]
    mean = volume.array[box].reshape(split).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = volume.geometry.affine.copy()
    affine[:3, 3] = volume.geometry.to_lps_mm(start + (np.array(factors) - 1) / 2)
    affine[:3, :3] *= np.array(factors)
    z, y, x = mean.shape
    return sample(mean, Geometry((z, y, x), affine), grid)
