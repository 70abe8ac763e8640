"""Between a scan's own grid and the network's: LPS-aligned, 3 mm, slices up, rows back, columns left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.record import PADDING_HU, Geometry, Volume

SPACING_MM = 3.0
_MOST_LITRES = 1600
"""Of the box that a scan covers; a cube of about 1.2 m."""
_EDGE_VOXELS = 0.5 + 1e-6


def model_geometry(geometry: Geometry, spacing_mm: float = SPACING_MM) -> Geometry:
    """The LPS-aligned grid over the voxel centres of a (maybe flipped, oblique or sheared) grid.

    Raises Refused when it covers more than _MOST_LITRES.
    """
    last = np.array(geometry.shape) - 1
    corners = geometry.to_lps_mm(np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * last)
    low, high = np.round(corners.min(axis=0), 4), np.round(corners.max(axis=0), 4)
    x, y, z = (int(n) for n in np.floor((high - low) / spacing_mm + 1e-6) + 1)
    if x * y * z * spacing_mm**3 > _MOST_LITRES * 1e6:
        raise Refused(
            f"scan covers {high[0] - low[0]:.0f} x {high[1] - low[1]:.0f} x {high[2] - low[2]:.0f} mm, more than one"
            " body needs; its spacing is probably wrong, ask for the original series"
        )
    return Geometry.regular((z, y, x), (spacing_mm,) * 3, (float(low[0]), float(low[1]), float(low[2])))


def onto_model(volume: Volume, target: Geometry) -> NDArray[np.float32]:
    """HU of a CT on a coarser LPS-aligned grid, blurred against aliasing; PADDING_HU where the scan does not reach.

    Each native axis is first averaged with a Gaussian (standard deviation 0.4 times the difference of the steps) and
    thinned to at most half a step of the target, slice by slice, then sampled once, linearly, through the full affine.
    The thinned points lie symmetrically in the scan, so a flipped copy gives the same numbers.
    """
    from scipy import ndimage

    step_mm = target.spacing_mm[0]
    box = _needed(volume.geometry, target)
    array, source = volume.array[box], volume.geometry.crop(box)
    weights = [_thinning(n, s, step_mm) for n, s in zip(array.shape, source.spacing_mm, strict=True)]
    thin = _thin(array, [w for w, _, _ in weights])
    affine = np.round(source.affine, 6)
    to_native = np.linalg.inv(affine) @ target.affine
    factor = np.array([f for _, f, _ in weights], dtype=np.float64)
    first = np.array([o for _, _, o in weights], dtype=np.float64)
    matrix, offset = to_native[:3, :3] / factor[:, None], (to_native[:3, 3] - first) / factor
    out: NDArray[np.float32] = ndimage.affine_transform(
        thin,
        matrix,
        offset,
        output_shape=target.shape,
        output=np.dtype(np.float32),
        order=1,
        mode="nearest",
        prefilter=False,
    )
    out[~reached(volume.geometry, target)] = PADDING_HU
    return out


def _needed(source: Geometry, target: Geometry) -> tuple[slice, slice, slice]:
    """The part of the source that the target's voxels are averaged from; a voxel at least."""
    last = np.array(target.shape) - 1
    corners = target.to_lps_mm(np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * last)
    index = np.round(source.to_index(corners), 4)
    margin = 2 * np.ceil(target.spacing_mm[0] / np.array(source.spacing_mm)).astype(int)
    low = np.floor(index.min(axis=0)).astype(int) - margin
    high = np.ceil(index.max(axis=0)).astype(int) + 1 + margin
    ends = np.array(source.shape)
    low, high = np.clip(low, 0, ends - 1), np.clip(high, 1, ends)
    return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))


def reached(source: Geometry, target: Geometry) -> NDArray[np.bool_]:
    """Which voxels of the target lie in the source grid (half a voxel around its centres included)."""
    to_source = np.linalg.inv(np.round(source.affine, 6)) @ target.affine
    inside = np.ones(target.shape, np.bool_)
    i, j, k = np.ogrid[: target.shape[0], : target.shape[1], : target.shape[2]]
    for axis, count in enumerate(source.shape):
        row = to_source[axis]
        index = row[0] * i + row[1] * j + row[2] * k + row[3]
        inside &= (index >= -_EDGE_VOXELS) & (index <= count - 1 + _EDGE_VOXELS)
    return inside


def onto_native(field: NDArray[Any], source: Geometry, target: Geometry) -> NDArray[np.float32]:
    """One channel of the model's grid, interpolated linearly onto a native grid (or a part of it); edges hold on."""
    from scipy import ndimage

    to_source = np.linalg.inv(source.affine) @ np.round(target.affine, 6)
    matrix = to_source[:3, :3]
    if np.abs(matrix - np.diag(np.diag(matrix))).max() < 1e-9:
        matrix = np.diag(matrix)
    result: NDArray[np.float32] = ndimage.affine_transform(
        field,
        matrix,
        to_source[:3, 3],
        output_shape=target.shape,
        output=np.dtype(np.float32),
        order=1,
        mode="nearest",
        prefilter=False,
    )
    return result


def _thinning(count: int, native_mm: float, target_mm: float) -> tuple[Any, int, float]:
    """Sparse (thin, count) weights, how many native voxels one step takes, and where the first point lies."""
    from scipy import sparse

    factor = max(1, int(target_mm / 2 / native_mm))
    thin = (count - 1) // factor + 1
    first = ((count - 1) - factor * (thin - 1)) / 2
    sigma = 0.4 * max(0.0, target_mm / native_mm - 1)
    centre = first + factor * np.arange(thin)[:, None]
    reach = int(np.ceil(3 * sigma))
    index = np.floor(centre).astype(int) + np.arange(-reach, reach + 2)[None]
    distance = index - centre
    weight = np.exp(-0.5 * (distance / sigma) ** 2) if sigma > 0 else (np.abs(distance) < 0.5).astype(float)
    weight *= np.abs(distance) <= max(3 * sigma, 0.5)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(thin)[:, None], index.shape)
    matrix = sparse.csr_array(
        (weight.ravel().astype(np.float32), (rows.ravel(), np.clip(index, 0, count - 1).ravel())), shape=(thin, count)
    )
    matrix.sum_duplicates()
    return matrix, factor, first


def _thin(array: NDArray[np.int16], weights: list[Any]) -> NDArray[np.float32]:
    """The volume averaged along its own axes; one native slice in float at a time."""
    along_slices, along_rows, along_columns = weights
    out = np.zeros((along_slices.shape[0], along_rows.shape[0], along_columns.shape[0]), np.float32)
    share = along_slices.tocsc()
    for number in range(array.shape[0]):
        plane = np.maximum(array[number], PADDING_HU).astype(np.float32)
        small = (along_columns @ np.ascontiguousarray((along_rows @ plane).T)).T
        for at in range(share.indptr[number], share.indptr[number + 1]):
            out[share.indices[at]] += share.data[at] * small
    return out
