"""A phase sampled once, from its native voxels, on the reference's native grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.harmonise.residual import perfect, refusal
from hepar.harmonise.settings import HarmoniseSettings
from hepar.record import NOT_COVERED_HU, AlignedPhase, Box, Geometry, Residual, Transform, Volume

SLAB_VOXELS = 4_000_000
"""Voxels sampled at a time, to keep the float copy small (16 MB)."""


def align(
    phase_id: str,
    moving: Volume,
    *,
    reference: Geometry,
    box: Box,
    transform: Transform,
    residual: Residual,
    settings: HarmoniseSettings,
) -> AlignedPhase:
    """`moving` at the voxels of `reference` inside `box`, linearly, rounded to whole HU.

    A voxel more than half a voxel outside the moving volume is NOT_COVERED_HU. A phase that does not fit is sampled
    all the same, for the reader's eye, but comes back with accepted False and the reason.
    """
    target = reference.crop(box)
    hu = np.empty(target.shape, np.int16)
    thick = max(1, SLAB_VOXELS // (target.shape[1] * target.shape[2]))
    slices, rows, columns = target.shape
    for first in range(0, slices, thick):
        last = min(first + thick, slices)
        part = target.crop((slice(first, last), slice(0, rows), slice(0, columns)))
        hu[first:last] = _resample(moving, part, transform)
    reason = refusal(transform, residual, settings)
    return AlignedPhase(phase_id, box, hu, transform, residual, accepted=not reason, reason=reason)


def identity(phase_id: str, volume: Volume, box: Box) -> AlignedPhase:
    """The reference itself: its native voxels inside `box`, untouched, with the perfect residual."""
    hu = np.ascontiguousarray(volume.array[box])
    if not hu.size:
        raise Fault(f"a box needs voxels, got {box} in {volume.geometry.shape}")
    return AlignedPhase(phase_id, box, hu, Transform.identity(), perfect())


def _resample(moving: Volume, target: Geometry, transform: Transform) -> NDArray[np.int16]:
    """Linear sampling by ITK on index grids: a sheared (tilted) affine is no ITK image, so it goes into the chain."""
    import SimpleITK as sitk  # noqa: N813

    chain = sitk.CompositeTransform(3)  # the last one added is applied first
    to_index = np.linalg.inv(moving.geometry.affine)
    chain.AddTransform(_affine(_SWAP @ to_index @ transform.matrix))
    if transform.displacement_mm is not None and transform.grid is not None:
        chain.AddTransform(_affine(transform.grid.affine @ _SWAP))
        chain.AddTransform(_displacement(transform.displacement_mm, transform.grid, target))
        chain.AddTransform(_affine(_SWAP @ np.linalg.inv(transform.grid.affine)))
    chain.AddTransform(_affine(target.affine @ _SWAP))
    image = sitk.GetImageFromArray(moving.array)
    resample = sitk.ResampleImageFilter()
    resample.SetSize(target.shape[::-1])
    resample.SetTransform(chain)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetDefaultPixelValue(float(NOT_COVERED_HU))
    resample.SetOutputPixelType(sitk.sitkFloat32)
    sampled = resample.Execute(image)  # a view does not keep it alive: it needs its name
    result: NDArray[np.int16] = np.rint(sitk.GetArrayViewFromImage(sampled)).astype(np.int16)
    return result


_SWAP = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
"""(slice, row, column) to ITK's (column, row, slice), and back."""


def _affine(matrix: NDArray[np.float64]) -> object:
    import SimpleITK as sitk  # noqa: N813

    step = sitk.AffineTransform(3)
    step.SetMatrix(matrix[:3, :3].ravel().tolist())
    step.SetTranslation(matrix[:3, 3].tolist())
    return step


def _displacement(displacement_mm: NDArray[np.float32], grid: Geometry, target: Geometry) -> object:
    """The displacement in the grid's own index units, its edge values carried on as far as `target` reaches."""
    import SimpleITK as sitk  # noqa: N813

    corners = [[(0, n - 1)[b >> i & 1] for i, n in enumerate(target.shape)] for b in range(8)]
    at = grid.to_index(target.to_lps_mm(corners))
    before = np.maximum(np.ceil(-at.min(axis=0)), 0).astype(int) + 1
    after = np.maximum(np.ceil(at.max(axis=0)) - np.array(grid.shape) + 1, 0).astype(int) + 1
    inward = displacement_mm.astype(np.float64) @ np.linalg.inv(grid.affine)[:3, :3].T
    padded = np.pad(inward[..., ::-1], [*zip(before.tolist(), after.tolist(), strict=True), (0, 0)], mode="edge")
    field = sitk.GetImageFromArray(np.ascontiguousarray(padded), isVector=True)
    field.SetOrigin([-float(n) for n in before[::-1]])
    return sitk.DisplacementFieldTransform(field)
