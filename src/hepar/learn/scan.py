"""Scans and label files as 3 mm arrays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.learn.classes import SPACING_MM

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]
Place = tuple[float, float, float]


def read_lps(path: Path, *, order: int, spacing_mm: float = SPACING_MM) -> tuple[Volume, Place]:
    """A scan as (slice, row, column) in LPS directions on an even grid, and the LPS position of its first voxel.

    path: a NIfTI file, or DICOM (a zip or folder with one series). order 0 keeps labels, order 1 interpolates (after
    a blur against aliasing). Refused when the axes are oblique.
    """
    name = path.name.lower()
    array, step, first = _nifti(path) if name.endswith((".nii", ".nii.gz")) else _dicom(path)
    return resample(array, step, order=order, spacing_mm=spacing_mm), first


def _nifti(path: Path) -> tuple[Volume, Place, Place]:
    import nibabel

    image: Any = nibabel.as_closest_canonical(nibabel.load(str(path)))
    affine = np.asarray(image.affine)
    spacing = np.diag(affine)[:3]
    if np.abs(affine[:3, :3] - np.diag(spacing)).max() > 1e-3 * spacing.max():
        raise Refused("training volume: oblique axes, needed axial ones; resample it to an axial grid")
    # RAS and (x, y, z) in the file, LPS and (slice, row, column) here.
    array = np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0)[:, ::-1, ::-1]
    x = -(affine[0, 3] + spacing[0] * (array.shape[2] - 1))
    y = -(affine[1, 3] + spacing[1] * (array.shape[1] - 1))
    step = (float(spacing[2]), float(spacing[1]), float(spacing[0]))
    return array, step, (float(x), float(y), float(affine[2, 3]))


def _dicom(path: Path) -> tuple[Volume, Place, Place]:
    from hepar.ingest import IngestSettings, read_study

    with tempfile.TemporaryDirectory() as folder:
        study = read_study(path, settings=IngestSettings(), workspace=Path(folder))
        if len(study.phases) != 1:
            raise Refused(f"training scan: {len(study.phases)} series, needed one; put the others elsewhere")
        volume = study.phases[0].volume
        off_axis = np.abs(volume.geometry.affine[:3, :3]) > 1e-3
        if (off_axis.sum(0) != 1).any():
            raise Refused("training scan: oblique or tilted slices, needed axial ones; take another series")
        return volume.array.astype(np.float32), volume.geometry.spacing_mm, volume.geometry.origin_lps_mm


def resample(array: Volume, step_mm: Place, *, order: int, spacing_mm: float = SPACING_MM) -> Volume:
    """The array on an even grid that begins at the same first voxel. order 0 for labels, 1 for images."""
    from scipy import ndimage

    if order:
        array = ndimage.gaussian_filter(array, [0.4 * max(0.0, spacing_mm / s - 1) for s in step_mm])
    shape = [max(1, int(np.floor((n - 1) * s / spacing_mm)) + 1) for n, s in zip(array.shape, step_mm, strict=True)]
    if not np.allclose(step_mm, spacing_mm, atol=1e-3):
        matrix = np.array([spacing_mm / s for s in step_mm])
        method: Any = ndimage.affine_transform  # its stubs know no variable order
        array = method(array, matrix, output_shape=tuple(shape), order=order, mode="nearest")
    return np.ascontiguousarray(array, dtype=np.float32)


def onto(
    labels: Volume, first_mm: Place, shape: tuple[int, ...], target_mm: Place, *, spacing_mm: float = SPACING_MM
) -> Labels:
    """Labels moved by whole voxels onto another grid of the same spacing; 255 where they do not reach."""
    out = np.full(shape, 255, np.uint8)
    shift = [round((target_mm[a] - first_mm[a]) / spacing_mm) for a in (2, 1, 0)]
    source, target = [], []
    for axis in range(3):
        low, high = max(0, -shift[axis]), min(shape[axis], labels.shape[axis] - shift[axis])
        target.append(slice(low, max(low, high)))
        source.append(slice(low + shift[axis], max(low, high) + shift[axis]))
    out[tuple(target)] = labels[tuple(source)].astype(np.uint8)
    return out
