"""The outlines as NIfTI: `masks/liver.nii.gz`, `masks/lesions.nii.gz` and `masks/veins.nii.gz`."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record import Anatomy, Geometry

SCANNER = 1
"""NIfTI-1 code of an affine that leads to scanner coordinates; 0 says that there is none."""
SHEAR_LIMIT = 1e-4
"""Largest cosine between two axes that a rotation (qform) can still stand for; ITK's own limit."""


def write_masks(anatomy: Anatomy, folder: Path) -> tuple[Path, Path, Path]:
    """Write liver (0 or 1), lesions (0 or the lesion's id) and veins (values of `Vein`: 1 branches of the portal vein,
    2 hepatic veins, 3 of unknown tree) on the native grid; returns the paths.

    The arrays run (column, row, slice), as NIfTI's readers expect; the affine leads to RAS millimetres. A sheared
    grid (tilted gantry) has an sform only. Without lesions or veins their file is all zero. The same outlines give the
    same bytes. Each file is read back; Raises Fault when one holds anything else than what was meant.
    Source: NIfTI-1.1 (qform, sform).
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.uint8 if len(anatomy.confidence) < 256 else np.uint16
    liver, lesions, veins = (folder / f"{name}.nii.gz" for name in ("liver", "lesions", "veins"))
    _write(liver, anatomy.liver.astype(np.uint8), anatomy.geometry)
    _write(lesions, anatomy.lesions.astype(ids), anatomy.geometry)
    _write(veins, anatomy.veins, anatomy.geometry)
    return liver, lesions, veins


def ras_affine(geometry: Geometry) -> NDArray[np.float64]:
    """The affine from (column, row, slice) to RAS millimetres."""
    affine = geometry.affine[:, [2, 1, 0, 3]].copy()
    affine[:2] *= -1.0
    return affine


def _write(path: Path, array: NDArray[Any], geometry: Geometry) -> None:
    import nibabel

    affine = ras_affine(geometry)
    stored = array.transpose(2, 1, 0)
    image = nibabel.Nifti1Image(stored, affine)
    image.set_sform(affine, code=SCANNER)
    image.set_qform(affine, code=0 if _is_sheared(affine) else SCANNER)
    image.header.set_xyzt_units(xyz="mm")
    # Level 4: masks shrink a hundredfold at any level. No time stamp, so that the bytes repeat.
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))

    back = nibabel.Nifti1Image.from_bytes(gzip.decompress(path.read_bytes()))
    if not np.array_equal(np.asanyarray(back.dataobj), stored):
        raise Fault(f"{path.name} does not hold the outlines that were written; nothing is delivered")
    corner = np.array([*(n - 1 for n in stored.shape), 1.0])
    off_mm = max(np.abs((back.affine - affine) @ point)[:3].max() for point in (corner, np.array([0, 0, 0, 1.0])))
    if off_mm > 0.01:
        raise Fault(f"{path.name} lies {off_mm:.3f} mm off its place; nothing is delivered")


def _is_sheared(affine: NDArray[np.float64]) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_LIMIT)
