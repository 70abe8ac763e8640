"""Labelled anatomies for the generator: real CT with labels, extended upwards by an invented dome where it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import AIR_HU, IGNORE, LIVER_CLASSES, NOT_LIVER, SPACING_MM, Tissue
from hepar.learn.dome import add_dome
from hepar.learn.scan import onto, read_lps
from hepar.learn.vessels import vessel_fraction

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Atlas:
    """One anatomy on a 3 mm LPS grid, arrays (slice, row, column).

    tissue: Tissue codes. residual_hu: CT minus the mean of its tissue. mean_hu: that mean per tissue code.
    portal, hepatic: share of the voxel filled by invented liver vessels (0 to 1; zero where real ones are visible).
    contrast: the CT carries real contrast medium, so its own texture is worth keeping.
    """

    name: str
    tissue: Labels
    residual_hu: Volume
    mean_hu: Volume
    portal: Volume
    hepatic: Volume
    contrast: bool


def _finish(name: str, hu: Volume, tissue: Labels, rng: np.random.Generator, *, contrast: bool, trees: bool) -> Atlas:
    mean = np.zeros(len(Tissue), np.float32)
    for code in np.unique(tissue):
        mean[code] = np.median(hu[tissue == code])
    mean[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 0
    residual = hu - mean[tissue]
    liver = tissue == Tissue.LIVER
    zero = np.zeros(tissue.shape, np.float32)
    portal, hepatic = (vein_trees(tissue, liver, rng)) if trees else (zero, zero)
    return Atlas(name, tissue, residual.astype(np.float32), mean, portal, hepatic, contrast)


def vein_trees(
    tissue: Labels, liver: NDArray[np.bool_], rng: np.random.Generator, *, spacing_mm: float = SPACING_MM
) -> tuple[Volume, Volume]:
    """Portal tree from the liver voxels next to the portal vein, hepatic veins from the upper vena cava."""
    from scipy.spatial import KDTree

    where = np.argwhere(liver)
    portal_vein = np.argwhere(tissue == Tissue.PORTAL_VEIN)
    cava = np.argwhere(tissue == Tissue.VENA_CAVA)
    middle = where.mean(0)
    near = middle
    if len(portal_vein):
        near = where[np.argmin(KDTree(portal_vein[::5]).query(where)[0])]
    # The portal bifurcation lies well inside the hull of the liver, so the root moves towards its middle.
    root = near + (middle - near) * rng.uniform(0.15, 0.35)
    if len(cava):
        top = np.quantile(where[:, 0], rng.uniform(0.7, 0.85))
        ring = cava[np.argsort(np.abs(cava[:, 0] - top))[: round(20 * (SPACING_MM / spacing_mm) ** 3)]].mean(0)
        roots = ring + rng.normal(0, [0.7, 1.5, 1.5], (3, 3)) * SPACING_MM / spacing_mm
    else:
        roots = np.array([[np.quantile(where[:, axis], q) for axis, q in enumerate((0.8, 0.8, 0.6))]])

    finer = SPACING_MM / spacing_mm

    def tree(start: NDArray[np.float64], least: int, most: int) -> Volume:
        leaves, radius_mm = int(finer * rng.integers(least, most)), float(rng.uniform(0.7, 1.1) * finer**0.3)
        return vessel_fraction(liver, start, leaves=leaves, leaf_radius_mm=radius_mm, rng=rng, spacing_mm=spacing_mm)

    return tree(root[None], 70, 160), tree(roots, 50, 130)


def _tissue_by_hu(hu: Volume) -> Labels:
    """Fat, soft tissue, bone and air for whatever carries no organ label."""
    tissue = np.full(hu.shape, Tissue.SOFT, np.uint8)
    tissue[hu < -25] = Tissue.FAT
    tissue[hu < -250] = Tissue.AIR
    tissue[hu > 140] = Tissue.BONE
    return tissue


_TOTALSEG = {
    1: Tissue.SPLEEN, 2: Tissue.CORTEX, 3: Tissue.CORTEX, 4: Tissue.GALLBLADDER, 5: Tissue.LIVER, 6: Tissue.STOMACH,
    7: Tissue.PANCREAS, 8: Tissue.PANCREAS, 9: Tissue.PANCREAS, 10: Tissue.LUNG, 11: Tissue.LUNG, 12: Tissue.LUNG,
    13: Tissue.LUNG, 14: Tissue.LUNG, 18: Tissue.BOWEL, 19: Tissue.BOWEL, 20: Tissue.BOWEL, 52: Tissue.AORTA,
    63: Tissue.VENA_CAVA, 64: Tissue.PORTAL_VEIN, 65: Tissue.ILIAC_ARTERY, 66: Tissue.ILIAC_ARTERY,
    67: Tissue.ILIAC_VEIN, 68: Tissue.ILIAC_VEIN,
}  # fmt: skip
"""TotalSegmentator v2 numbers -> tissue (Wasserthal 2023, class map of task "total")."""


def _refine(tissue: Labels, hu: Volume, spacing_mm: float = SPACING_MM) -> Labels:
    """Medulla inside the kidney, gas inside the gut, fat near the liver."""
    from scipy import ndimage

    kidney = tissue == Tissue.CORTEX
    tissue[ndimage.binary_erosion(kidney, iterations=round(6 / spacing_mm))] = Tissue.MEDULLA
    gut = (tissue == Tissue.BOWEL) | (tissue == Tissue.STOMACH)
    tissue[gut & (hu < -200)] = Tissue.GUT_GAS
    near = ndimage.binary_dilation(tissue == Tissue.LIVER, iterations=round(12 / spacing_mm))
    tissue[near & (tissue == Tissue.FAT)] = Tissue.NEAR_LIVER_FAT
    return tissue


def totalseg_atlas(image: Path, labels: Path, *, seed: int, height_slices: int = 40) -> Atlas:
    """The TotalSegmentator example with an invented dome, heart and chest above its upper cut (one variant a seed)."""
    hu, _ = read_lps(image, order=1)
    organs = read_lps(labels, order=0)[0].astype(np.int32)
    rng = np.random.default_rng([seed, 17])
    tissue = _tissue_by_hu(hu)
    for number, code in _TOTALSEG.items():
        tissue[organs == number] = code
    hu, tissue = add_dome(hu, tissue, rng, height_slices)
    return _finish(f"totalseg-{seed}", hu, _refine(tissue, hu), rng, contrast=False, trees=True)


_OF_CLASS = {
    1: Tissue.LIVER, 2: Tissue.REAL_LESION, 3: Tissue.SPLEEN, 4: Tissue.CORTEX, 5: Tissue.AORTA, 6: Tissue.VENA_CAVA,
    7: Tissue.PORTAL_VEIN, 8: Tissue.GALLBLADDER, 9: Tissue.BOWEL, 10: Tissue.HEART_LEFT, 11: Tissue.LUNG,
    12: Tissue.REAL_VESSEL, NOT_LIVER: Tissue.NOT_LIVER, IGNORE: Tissue.UNKNOWN,
}  # fmt: skip


def hepar_atlas(image: Path, labels: Path, *, seed: int, spacing_mm: float = SPACING_MM) -> Atlas:
    """A real contrast CT with labels in hepar's own classes (NIfTI, 255 = unknown)."""
    from scipy import ndimage

    hu, first = read_lps(image, order=1, spacing_mm=spacing_mm)
    drawn, first_labels = read_lps(labels, order=0, spacing_mm=spacing_mm)
    organs = onto(drawn, first_labels, hu.shape, first, spacing_mm=spacing_mm)
    # Unknown voxels well away from the liver are surely something else: they still teach where no liver is.
    near = ndimage.binary_dilation(np.isin(organs, LIVER_CLASSES), iterations=round(6 / spacing_mm))
    organs[(organs == IGNORE) & ~near] = NOT_LIVER
    return atlas_of_classes(f"labelled-{seed}", hu, organs, seed=seed, spacing_mm=spacing_mm)


def atlas_of_classes(name: str, hu: Volume, organs: Labels, *, seed: int, spacing_mm: float = SPACING_MM) -> Atlas:
    """A real contrast CT whose voxels carry hepar's classes, NOT_LIVER or IGNORE, on one LPS grid."""
    tissue = _tissue_by_hu(hu)
    for number, code in _OF_CLASS.items():
        tissue[organs == number] = code
    rng = np.random.default_rng([seed, 23])
    hu = np.maximum(hu, AIR_HU)
    tissue = _refine(tissue, hu, spacing_mm)
    return _finish(name, hu, tissue, rng, contrast=True, trees=False)
