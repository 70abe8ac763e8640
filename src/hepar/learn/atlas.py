"""Labelled anatomies for the generator: real CT with labels, extended upwards by an invented dome where it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import AIR_HU, SPACING_MM, Tissue
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


def read_lps(path: Path, *, order: int) -> tuple[Volume, tuple[float, float, float]]:
    """A NIfTI file as (slice, row, column) in LPS directions at 3 mm, and the LPS position of its first voxel.

    order 0 keeps labels, order 1 interpolates (after a blur against aliasing). Oblique files are refused.
    """
    import nibabel
    from scipy import ndimage

    from hepar.errors import Refused

    image = nibabel.as_closest_canonical(nibabel.load(str(path)))
    affine = np.asarray(image.affine)
    spacing = np.diag(affine)[:3]
    if np.abs(affine[:3, :3] - np.diag(spacing)).max() > 1e-3 * spacing.max():
        raise Refused("training volume: oblique axes, needed axial ones; resample it to an axial grid")
    array = np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0)[:, ::-1, ::-1]
    step = spacing[::-1]
    first = (
        -(affine[0, 3] + spacing[0] * (array.shape[2] - 1)),
        -(affine[1, 3] + spacing[1] * (array.shape[1] - 1)),
        affine[2, 3],
    )
    if order:
        array = ndimage.gaussian_filter(array, [0.4 * max(0.0, SPACING_MM / s - 1) for s in step])
    shape = [max(1, int(np.floor((n - 1) * s / SPACING_MM)) + 1) for n, s in zip(array.shape, step, strict=True)]
    if not np.allclose(step, SPACING_MM, atol=1e-3):
        matrix = np.array([SPACING_MM / s for s in step])
        method: Any = ndimage.affine_transform  # its stubs know no variable order
        array = method(array, matrix, output_shape=tuple(shape), order=order, mode="nearest")
    return np.ascontiguousarray(array, dtype=np.float32), (float(first[0]), float(first[1]), float(first[2]))


def _finish(name: str, hu: Volume, tissue: Labels, rng: np.random.Generator, *, contrast: bool, trees: bool) -> Atlas:
    mean = np.zeros(len(Tissue), np.float32)
    for code in np.unique(tissue):
        mean[code] = np.median(hu[tissue == code])
    mean[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 0
    residual = hu - mean[tissue]
    liver = tissue == Tissue.LIVER
    zero = np.zeros(tissue.shape, np.float32)
    portal, hepatic = (_trees(tissue, liver, rng)) if trees else (zero, zero)
    return Atlas(name, tissue, residual.astype(np.float32), mean, portal, hepatic, contrast)


def _trees(tissue: Labels, liver: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Volume, Volume]:
    """Portal tree from the liver voxels next to the portal vein, hepatic veins from the upper vena cava."""
    where = np.argwhere(liver)
    portal_vein = np.argwhere(tissue == Tissue.PORTAL_VEIN)
    cava = np.argwhere(tissue == Tissue.VENA_CAVA)
    middle = where.mean(0)
    near = middle
    if len(portal_vein):
        near = where[np.argmin(((where[:, None] - portal_vein[None, ::5]) ** 2).sum(-1).min(1))]
    # The portal bifurcation lies well inside the hull of the liver, so the root moves towards its middle.
    root = near + (middle - near) * rng.uniform(0.15, 0.35)
    if len(cava):
        top = np.quantile(where[:, 0], rng.uniform(0.7, 0.85))
        ring = cava[np.argsort(np.abs(cava[:, 0] - top))[:20]].mean(0)
        roots = ring + rng.normal(0, [0.7, 1.5, 1.5], (3, 3))
    else:
        roots = np.array([[np.quantile(where[:, axis], q) for axis, q in enumerate((0.8, 0.8, 0.6))]])

    def tree(start: NDArray[np.float64], least: int, most: int) -> Volume:
        leaves, radius_mm = int(rng.integers(least, most)), float(rng.uniform(0.7, 1.1))
        return vessel_fraction(liver, start, leaves=leaves, leaf_radius_mm=radius_mm, rng=rng)

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


def _refine(tissue: Labels, hu: Volume) -> Labels:
    """Medulla inside the kidney, gas inside the gut, fat near the liver."""
    from scipy import ndimage

    kidney = tissue == Tissue.CORTEX
    tissue[ndimage.binary_erosion(kidney, iterations=2)] = Tissue.MEDULLA
    gut = (tissue == Tissue.BOWEL) | (tissue == Tissue.STOMACH)
    tissue[gut & (hu < -200)] = Tissue.GUT_GAS
    near = ndimage.binary_dilation(tissue == Tissue.LIVER, iterations=4)
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
    hu, tissue = _add_dome(hu, tissue, rng, height_slices)
    return _finish(f"totalseg-{seed}", hu, _refine(tissue, hu), rng, contrast=False, trees=True)


_OF_CLASS = {
    1: Tissue.LIVER, 2: Tissue.REAL_LESION, 3: Tissue.SPLEEN, 4: Tissue.CORTEX, 5: Tissue.AORTA, 6: Tissue.VENA_CAVA,
    7: Tissue.PORTAL_VEIN, 8: Tissue.GALLBLADDER, 9: Tissue.BOWEL, 10: Tissue.HEART_LEFT, 11: Tissue.LUNG,
    12: Tissue.REAL_VESSEL, 255: Tissue.UNKNOWN,
}  # fmt: skip


def hepar_atlas(image: Path, labels: Path, *, seed: int) -> Atlas:
    """A real contrast CT with labels in hepar's own classes (255 = unknown), both NIfTI."""
    from scipy import ndimage

    hu, first = read_lps(image, order=1)
    drawn, first_labels = read_lps(labels, order=0)
    organs = _onto(drawn, first_labels, hu.shape, first)
    tissue = _tissue_by_hu(hu)
    for number, code in _OF_CLASS.items():
        tissue[organs == number] = code
    # Unknown voxels well away from the liver are surely something else: they still teach where no liver is.
    liver = np.isin(tissue, [Tissue.LIVER, Tissue.REAL_LESION, Tissue.REAL_VESSEL])
    near = ndimage.binary_dilation(liver, iterations=2)
    tissue[(tissue == Tissue.UNKNOWN) & ~near] = Tissue.NOT_LIVER
    rng = np.random.default_rng([seed, 23])
    hu = np.maximum(hu, AIR_HU)
    return _finish(f"labelled-{seed}", hu, _refine(tissue, hu), rng, contrast=True, trees=False)


def _onto(
    labels: Volume, first_mm: tuple[float, float, float], shape: tuple[int, ...], target_mm: tuple[float, float, float]
) -> Labels:
    """Labels moved by whole 3 mm voxels onto another grid; 255 where they do not reach."""
    out = np.full(shape, 255, np.uint8)
    shift = [round((target_mm[a] - first_mm[a]) / SPACING_MM) for a in (2, 1, 0)]
    source, target = [], []
    for axis in range(3):
        low, high = max(0, -shift[axis]), min(shape[axis], labels.shape[axis] - shift[axis])
        target.append(slice(low, max(low, high)))
        source.append(slice(low + shift[axis], max(low, high) + shift[axis]))
    out[tuple(target)] = labels[tuple(source)].astype(np.uint8)
    return out


def _add_dome(hu: Volume, tissue: Labels, rng: np.random.Generator, extra: int) -> tuple[Volume, Labels]:
    """Slices above the cut: mirrored chest wall, lungs, tapering liver, spleen and stomach, a heart with its fat."""
    from scipy import ndimage

    depth = int(rng.integers(8, 13))
    cut, (_, rows, columns) = tissue.shape[0], tissue.shape
    mirror = [cut - 1 - min(j % (2 * depth), 2 * depth - j % (2 * depth)) for j in range(1, extra + 1)]
    wall_hu, wall = hu[mirror].copy(), tissue[mirror].copy()
    top = tissue[cut - 3 : cut]
    organs = np.isin(top, [Tissue.LIVER, Tissue.SPLEEN, Tissue.STOMACH, Tissue.LUNG, Tissue.GALLBLADDER]).any(0)
    cavity = ndimage.binary_closing(np.pad(organs, 25), iterations=20)[25:-25, 25:-25]
    cavity = ndimage.binary_fill_holes(cavity)
    keep = np.isin(top[-1], [Tissue.AORTA, Tissue.BONE])
    behind = np.arange(rows)[:, None] > np.argwhere(cavity)[:, 0].mean()
    cavity &= ~ndimage.binary_dilation(keep & behind, iterations=2)
    organ_in_wall = ~np.isin(wall, (Tissue.AIR, Tissue.FAT, Tissue.SOFT, Tissue.BONE, Tissue.AORTA))
    wall[organ_in_wall] = Tissue.SOFT
    wall_hu[organ_in_wall] = rng.normal(45, 14, int(organ_in_wall.sum()))

    z = np.arange(1, extra + 1)[:, None, None] * SPACING_MM
    y, x = np.mgrid[:rows, :columns]
    grow = _smooth_field((extra, rows, columns), 10, rng)

    def taper(code: Tissue, height_mm: float, sharp: float) -> NDArray[np.bool_]:
        base = ndimage.binary_closing(tissue[cut - 1] == code, iterations=2) & cavity
        if not base.any():
            return np.zeros((extra, rows, columns), bool)
        inside_mm = ndimage.distance_transform_edt(base) * SPACING_MM
        limit = height_mm * (1 - (1 - np.clip(inside_mm / inside_mm.max(), 0, 1)) ** 2) ** sharp
        out: NDArray[np.bool_] = (z + 5 * grow < limit[None]) & base[None]
        return out

    liver = taper(Tissue.LIVER, rng.uniform(35, 85), rng.uniform(0.5, 1.0))
    spleen = taper(Tissue.SPLEEN, rng.uniform(15, 60), rng.uniform(0.5, 1.0))
    stomach = taper(Tissue.STOMACH, rng.uniform(15, 55), rng.uniform(0.5, 1.0))

    block = wall
    inside = np.broadcast_to(cavity, block.shape)
    block[inside] = Tissue.LUNG
    # The left half of the diaphragm carries fat and colon as well; without it the lungs would end in a flat floor.
    rest = ndimage.distance_transform_edt(cavity & (tissue[cut - 1] != Tissue.LUNG)) * SPACING_MM
    lid = rng.uniform(10, 55) * np.sqrt(np.clip(rest / max(rest.max(), 1.0), 0, 1))
    block[(z + 6 * grow < lid[None]) & inside] = Tissue.FAT
    heart, chamber = _heart(cavity, liver, z, y, x, rng)
    fat_mm = rng.uniform(1, 14)
    around = ndimage.distance_transform_edt(~heart) * SPACING_MM
    below = np.clip(1.2 - (z - z[0]) / 60, 0.3, 1.2)
    block[inside & (around < fat_mm * (below + 0.5 * grow))] = Tissue.PERICARDIAL_FAT
    block[heart & inside] = chamber[heart & inside]
    block[stomach] = Tissue.STOMACH
    block[spleen] = Tissue.SPLEEN
    if rng.random() < 0.5:
        block[ndimage.binary_dilation(liver) & inside & (rng.random() < 0.7)] = Tissue.DIAPHRAGM
    elif rng.random() < 0.5:
        pad = ndimage.binary_dilation(liver, iterations=int(rng.integers(1, 3)))
        block[pad & inside & (around < 10)] = Tissue.PERICARDIAL_FAT
    block[liver] = Tissue.LIVER
    cava = tissue[cut - 1] == Tissue.VENA_CAVA
    if cava.any():
        start = np.argwhere(cava).mean(0)
        middle = np.argwhere(chamber == Tissue.HEART_RIGHT)
        goal = middle.mean(0)[1:] if len(middle) else start
        reach = float(rng.uniform(30, 55))
        t = np.clip((z[:, 0, 0] - 6) / reach, 0, 1)
        for j in range(extra):
            centre = start + (goal - start) * t[j] ** 2 * 0.6
            ball = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (cava.sum() / np.pi) * rng.uniform(0.9, 1.2)
            if z[j, 0, 0] > reach + 12:
                break
            block[j][ball & ~np.isin(block[j], [Tissue.HEART_RIGHT, Tissue.HEART_LEFT])] = Tissue.VENA_CAVA
    base_hu = np.zeros(len(Tissue), np.float32)
    for code in Tissue:
        seen = tissue == code
        base_hu[code] = np.median(hu[seen]) if seen.any() else 40
    base_hu[[Tissue.PERICARDIAL_FAT, Tissue.LUNG, Tissue.DIAPHRAGM]] = -95, -850, 45
    noise = ndimage.gaussian_filter(rng.normal(0, 1, block.shape), 0.6) / 0.42 * rng.uniform(8, 15)
    made = inside | liver
    wall_hu[made] = (base_hu[block] + noise * np.where(block == Tissue.LUNG, 2.5, 1.0))[made]
    lung = made & (block == Tissue.LUNG)
    branches = ndimage.gaussian_filter((rng.random(block.shape) < 0.02).astype(float), 0.7) * 2500
    wall_hu[lung] += np.minimum(branches, 700)[lung]
    return np.concatenate([hu, wall_hu]).astype(np.float32), np.concatenate([tissue, block]).astype(np.uint8)


def _smooth_field(shape: tuple[int, int, int], step: int, rng: np.random.Generator) -> Volume:
    """Smooth noise of about unit range on a grid of the given shape."""
    from scipy import ndimage

    coarse = rng.normal(0, 1, [n // step + 3 for n in shape]).astype(np.float32)
    big = ndimage.zoom(coarse, step, order=1)
    out: Volume = np.clip(big[: shape[0], : shape[1], : shape[2]], -1, 1)
    return out


def _heart(
    cavity: NDArray[np.bool_],
    liver: NDArray[np.bool_],
    z_mm: NDArray[Any],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], Labels]:
    """A tilted ellipsoid of myocardium with four blood chambers, resting on the liver left of the midline."""
    where = np.argwhere(cavity)
    middle_x, front_y = where[:, 1].mean(), np.quantile(where[:, 0], 0.02)
    width = np.ptp(where[:, 1])
    semi = np.array([rng.uniform(36, 52), rng.uniform(36, 50), rng.uniform(48, 66)])
    centre = np.array(
        [
            rng.uniform(28, 62),
            (front_y * SPACING_MM) + semi[1] + rng.uniform(0, 20),
            (middle_x + width * rng.uniform(0.02, 0.13)) * SPACING_MM,
        ]
    )
    dz, dy, dx = z_mm - centre[0], y[None] * SPACING_MM - centre[1], x[None] * SPACING_MM - centre[2]
    roll, pitch = np.radians(rng.uniform(10, 45)), np.radians(rng.uniform(-25, 25))
    u = dx * np.cos(roll) + dy * np.sin(roll)
    v = -dx * np.sin(roll) + dy * np.cos(roll)
    w, u = dz * np.cos(pitch) + u * np.sin(pitch), u * np.cos(pitch) - dz * np.sin(pitch)
    wobble = 0.12 * _smooth_field(liver.shape, 9, rng)
    radius = np.sqrt((w / semi[0]) ** 2 + (v / semi[1]) ** 2 + (u / semi[2]) ** 2) * (1 + wobble)
    heart = (radius < 1) & ~liver
    chamber = np.full(liver.shape, Tissue.MYOCARDIUM, np.uint8)
    wall = rng.uniform(0.08, 0.2)
    septum = rng.uniform(4, 9)
    right = radius < 1 - wall * 0.35
    left = radius < 1 - wall
    across = -u * 0.25 + v + rng.uniform(-8, 8) + 6 * wobble / 0.12
    is_left = (u > septum) & left & (across > -8)
    is_right = ((u < -septum) & right) | ((across < -8 - septum) & right)
    chamber[is_left] = Tissue.HEART_LEFT
    chamber[is_right] = Tissue.HEART_RIGHT
    return heart, chamber
