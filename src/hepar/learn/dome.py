"""The upper end of a liver that the scan cut off: an invented dome, lungs, heart and chest wall."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import SPACING_MM, Tissue
from hepar.learn.scan import Labels, Volume


def add_dome(hu: Volume, tissue: Labels, rng: np.random.Generator, extra: int) -> tuple[Volume, Labels]:
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
    grow = smooth_field((extra, rows, columns), 10, rng)

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


def smooth_field(shape: tuple[int, int, int], step: int, rng: np.random.Generator) -> Volume:
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
    wobble = 0.12 * smooth_field(liver.shape, 9, rng)
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
