"""One training sample: an atlas warped, coloured for a contrast phase, given lesions and a scanner's imperfections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy import ndimage

from hepar.learn.atlas import Atlas
from hepar.learn.classes import AIR_HU, CLASS_OF_TISSUE, IGNORE, LESION_CLASS, SPACING_MM, Tissue
from hepar.learn.colour import PHASE_SHARE, draw_colours
from hepar.learn.lesions import Lesion, draw_radii_mm, paint_lesions

VESSEL_CLASS = 12


@dataclass(frozen=True)
class Sample:
    """hu: float32 (slice, row, column), 3 mm, AIR_HU outside the scan. target: classes, 255 = unknown."""

    hu: NDArray[np.float32]
    target: NDArray[np.uint8]
    lesions: tuple[Lesion, ...]
    phase: int
    atlas: str


def make_sample(atlas: Atlas, shape: tuple[int, int, int], rng: np.random.Generator, *, plain: bool = False) -> Sample:
    """Draw one sample of the given shape (slices, rows, columns) from one atlas.

    plain: no truncation and no field-of-view cut (for evaluation cases). All randomness comes from rng.
    """
    points, inside = _grid(atlas, shape, rng, plain=plain)
    tissue = take(torch.from_numpy(atlas.tissue)[None].float(), points, "nearest")[0].astype(np.uint8)
    tissue[~inside] = Tissue.AIR
    stack = torch.from_numpy(np.stack([atlas.residual_hu, atlas.portal, atlas.hepatic]))
    residual, portal, hepatic = take(stack, points, "bilinear")

    phase = int(rng.choice(len(PHASE_SHARE), p=PHASE_SHARE))
    colours, portal_hu, hepatic_hu = draw_colours(phase, rng)
    hu = _colour(atlas, tissue, residual, colours, rng)
    liver = (tissue == Tissue.LIVER) | (tissue == Tissue.REAL_VESSEL)
    target = CLASS_OF_TISSUE[tissue]
    liver_hu = float(np.median(hu[liver])) if liver.any() else float(colours[Tissue.LIVER])
    inhomogeneity(hu, liver, rng)
    if not atlas.contrast and liver.any():
        thin = rng.uniform(0.3, 1.0)
        for fraction, vessel_hu in ((hepatic, hepatic_hu), (portal, portal_hu)):
            hu += fraction * thin**0.5 * (vessel_hu - hu) * liver
        target[(np.maximum(portal, hepatic) > 0.5) & liver] = VESSEL_CLASS
    if rng.random() < 0.3:
        fissures(hu, target, liver, float(colours[Tissue.FAT]), rng)
        liver &= target != 0
    lesion, made = paint_lesions(
        hu, tissue, liver, draw_radii_mm(rng), liver_hu=liver_hu, phase=phase, keep_texture=atlas.contrast, rng=rng
    )
    target[lesion & (target != IGNORE)] = LESION_CLASS
    hu = _scanner(hu, rng, contrast=atlas.contrast)
    hu = _outside(hu, target, inside, rng, plain=plain)
    return Sample(np.clip(hu, AIR_HU, 3000).astype(np.float32), target, tuple(made), phase, atlas.name)


def take(volume: torch.Tensor, points: torch.Tensor, mode: str) -> NDArray[np.float32]:
    out = F.grid_sample(volume[None], points[None], mode=mode, padding_mode="border", align_corners=True)[0]
    array: NDArray[np.float32] = out.numpy()
    return array


def _grid(
    atlas: Atlas, shape: tuple[int, int, int], rng: np.random.Generator, *, plain: bool
) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """Where each output voxel comes from, in grid_sample's coordinates, and whether that lies in the atlas."""
    size = np.array(atlas.tissue.shape)
    liver = np.argwhere(np.isin(atlas.tissue, (Tissue.LIVER, Tissue.REAL_LESION, Tissue.REAL_VESSEL)))
    u = rng.random()
    if len(liver) == 0:
        centre = size / 2 + rng.normal(0, 8, 3)
    elif plain or u < 0.52:
        centre = liver.mean(0) + rng.normal(0, [5, 4, 6])
    elif u < 0.76:
        centre = liver[rng.integers(len(liver))] + rng.normal(0, 4, 3)
    elif u < 0.84:
        centre = rng.uniform(0.1, 0.9, 3) * size
    else:
        # Chest or pelvis with little or no liver in the field of view.
        centre = rng.uniform(0.3, 0.7, 3) * size
        reach = rng.uniform(5, 40)
        centre[0] = liver[:, 0].max() + reach if rng.random() < 0.35 else liver[:, 0].min() - reach
        centre[0] = np.clip(centre[0], 8, size[0] - 8)
    return bent_grid(
        shape, centre, size, rng, degrees=(6, 4, 4), limits=(0.7, 1.4),
        bends=((96.0, 20.0), (42.0, 9.0), (21.0, 3.0)), spacing_mm=SPACING_MM,
    )  # fmt: skip


def bent_grid(
    shape: tuple[int, int, int],
    centre: NDArray[np.float64],
    size: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    degrees: tuple[float, float, float],
    limits: tuple[float, float],
    bends: tuple[tuple[float, float], ...],
    spacing_mm: float,
) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """A grid of `shape` around a voxel of an anatomy of `size`: turned, scaled, sheared and bent at random.

    degrees: spread of yaw, pitch and roll. limits: of the scale per axis. bends: step and reach in mm.
    Returns points in grid_sample's coordinates, and whether each lies in the anatomy.
    """
    angles = np.radians(rng.normal(0, degrees))
    (cz, cx, cy), (sz, sx, sy) = np.cos(angles), np.sin(angles)
    turn = (
        np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
        @ np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
        @ np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    )
    scale = np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.08, 3))
    matrix = (turn + rng.normal(0, 0.05, (3, 3)) * (1 - np.eye(3))) / np.clip(scale, *limits)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    place = grid @ torch.from_numpy(matrix.T.astype(np.float32)) + torch.from_numpy(centre.astype(np.float32))
    for step_mm, reach_mm in bends:
        coarse = [max(2, int(n * spacing_mm / step_mm) + 2) for n in shape]
        bend = rng.normal(0, rng.uniform(0, reach_mm) / spacing_mm / 1.5, [3, *coarse]).astype(np.float32)
        place += F.interpolate(torch.from_numpy(bend)[None], size=shape, mode="trilinear", align_corners=True)[
            0
        ].permute(1, 2, 3, 0)
    limit = torch.from_numpy((size - 1).astype(np.float32))
    inside = ((place > -0.5) & (place < limit + 0.5)).all(-1).numpy()
    return (place / limit * 2 - 1).flip(-1), inside


def _colour(
    atlas: Atlas,
    tissue: NDArray[np.uint8],
    residual: NDArray[np.float32],
    colours: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Tissue means of the drawn phase plus the real texture, or nearly the real picture."""
    mean = atlas.mean_hu
    alpha = np.full(len(Tissue), rng.uniform(0, 1.2), np.float32)
    keep = [Tissue.LUNG, Tissue.BONE, Tissue.BOWEL, Tissue.STOMACH, Tissue.GUT_GAS, Tissue.FAT, Tissue.AIR]
    alpha[keep] = rng.uniform(0.8, 1.1)
    alpha[Tissue.SOFT] = rng.uniform(0.5, 1.1)
    table = colours.copy()
    alpha[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 1
    table[Tissue.BONE] = mean[Tissue.BONE] + rng.normal(0, 30)
    table[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 0
    real = rng.random()
    if atlas.contrast:
        alpha[:] = 1
        # Real contrast anatomies carry their own phase: usually keep it, sometimes move it to another one.
        if real < 0.65:
            table = mean + rng.normal(0, 6, len(mean)).astype(np.float32)
        else:
            table[[Tissue.STOMACH, Tissue.BOWEL, Tissue.GUT_GAS, Tissue.LUNG]] = mean[
                [Tissue.STOMACH, Tissue.BOWEL, Tissue.GUT_GAS, Tissue.LUNG]
            ]
            table[Tissue.SOFT] = mean[Tissue.SOFT] + rng.normal(0, 5)
        same = [Tissue.FAT, Tissue.NEAR_LIVER_FAT, Tissue.BONE, Tissue.AIR, Tissue.UNKNOWN, Tissue.NOT_LIVER]
        table[same] = mean[same]
    elif real < 0.06:
        table = np.where(mean != 0, mean, table)
        alpha[:] = 1
    hu: NDArray[np.float32] = table[tissue] + alpha[tissue] * residual
    return hu


def inhomogeneity(
    hu: NDArray[np.float32], liver: NDArray[np.bool_], rng: np.random.Generator, *, step: int = 10
) -> None:
    """Slow perfusion differences inside the liver, and grain finer than a lesion."""
    if rng.random() < 0.6:
        slow = rng.normal(0, 1, [n // step + 2 for n in hu.shape]).astype(np.float32)
        field = F.interpolate(torch.from_numpy(slow)[None, None], size=hu.shape, mode="trilinear", align_corners=True)
        hu += field[0, 0].numpy() * rng.uniform(0, 9) * liver
    if rng.random() < 0.35:
        grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), rng.uniform(0.7, 1.3))
        hu += grain / max(float(grain.std()), 1e-3) * rng.uniform(0, 9) * liver


def fissures(
    hu: NDArray[np.float32],
    target: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    fat_hu: float,
    rng: np.random.Generator,
    scale: float = 1.0,
) -> None:
    """Sheets and strands of fat that reach into the liver (ligaments, hilum): they belong to the background.

    scale: voxels per 3 mm.
    """
    where = np.argwhere(liver)
    if len(where) < 500:
        return
    for _ in range(int(rng.integers(1, 4))):
        centre = where[rng.integers(len(where))]
        rim = where[rng.integers(len(where), size=40)]
        centre = rim[np.argmax(np.abs(rim - where.mean(0)).sum(1))] if rng.random() < 0.7 else centre
        half = rng.uniform(3, 9) * scale
        low = np.maximum((centre - half * 1.5 - 2).astype(int), 0)
        high = np.minimum((centre + half * 1.5 + 3).astype(int), hu.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        axes = [np.arange(a, b) - c for a, b, c in zip(low, high, centre, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        normal = rng.normal(0, 1, 3) * [0.4, 1, 1]
        normal /= np.linalg.norm(normal)
        across = points @ normal
        along = np.linalg.norm(points - across[..., None] * normal, axis=-1)
        width = scale * rng.uniform(0.4, 1.6) * np.clip(1 - along / half, 0, 1) ** 0.5
        wavy = np.abs(across + 0.08 * along * np.sin(along * 0.4 / scale))
        share = np.clip(width - wavy + 0.5, 0, 1) * (width > 0) * liver[box]
        hu[box] += (share * (fat_hu + rng.uniform(0, 60) - hu[box])).astype(np.float32)
        part = target[box]
        part[(share > 0.5) & (part != IGNORE)] = 0


def _scanner(hu: NDArray[np.float32], rng: np.random.Generator, *, contrast: bool) -> NDArray[np.float32]:
    """Blur, slice thickness, coloured noise, streaks, calibration."""
    inplane = rng.uniform(0.25, 0.7) * (0.6 if contrast else 1)
    hu = ndimage.gaussian_filter(hu, (inplane * rng.uniform(0.4, 1.2), inplane, inplane), truncate=3)
    level = float(np.exp(rng.uniform(np.log(1.0), np.log(20)))) * (0.5 if contrast else 1)
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    sigma = rng.uniform(0, 0.9)
    if sigma > 0.25:
        noise = ndimage.gaussian_filter(noise, (sigma * rng.uniform(0.2, 1), sigma, sigma), truncate=3)
        noise /= max(float(noise.std()), 1e-3)
    hu = hu + noise * level * (hu > -980)
    if rng.random() < 0.4:
        hu = thick_slices(hu, rng.uniform(4, 8) / SPACING_MM, float(rng.random()))
    if rng.random() < 0.1:
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 6.28)
        y, x = np.indices(hu.shape[1:], dtype=np.float32)
        wave = np.sin((y * np.sin(angle) + x * np.cos(angle)) * rng.uniform(0.3, 1.2) + phase)
        strength = ndimage.gaussian_filter1d(rng.normal(0, 1, len(hu)), 2) * rng.uniform(2, 12)
        hu += (wave[None] * strength[:, None, None]).astype(np.float32)
    out: NDArray[np.float32] = (hu + 1000) * rng.normal(1, 0.008) - 1000 + rng.normal(0, 4)
    return out


def thick_slices(hu: NDArray[np.float32], thickness: float, start: float) -> NDArray[np.float32]:
    """Slices of `thickness` voxels with a rounded profile, put back on the grid by linear interpolation.

    start: where the first one lies, 0 to 1 of a slice.
    """
    blurred = ndimage.gaussian_filter1d(hu, thickness * 0.3, axis=0, truncate=3)
    first = start * thickness
    centres = np.arange(first, len(hu) - 1, thickness)
    if len(centres) < 2:
        return hu
    nodes = np.round(centres).astype(int)
    picked = blurred[nodes]
    at = np.clip((np.arange(len(hu)) - centres[0]) / thickness, 0, len(centres) - 1)
    low = np.minimum(at.astype(int), len(centres) - 2)
    share = (at - low).astype(np.float32)[:, None, None]
    out: NDArray[np.float32] = picked[low] * (1 - share) + picked[low + 1] * share
    return out


def _outside(
    hu: NDArray[np.float32],
    target: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    plain: bool,
) -> NDArray[np.float32]:
    """Air where nothing was scanned: beyond the atlas, above or below a short scan, outside a cut field of view."""
    gone = ~inside
    depth, rows, columns = hu.shape
    if not plain:
        if rng.random() < 0.3:
            low, high = sorted(rng.integers(0, depth + 1, 2))
            low, high = (low, high) if high - low >= 5 else (0, depth)
            gone[:low] = True
            gone[high:] = True
        cut = rng.random()
        if cut < 0.12:
            edges = rng.uniform(0, 0.22, 4)
            gone[:, : int(edges[0] * rows)] = True
            gone[:, rows - int(edges[1] * rows) :] = True
            gone[:, :, : int(edges[2] * columns)] = True
            gone[:, :, columns - int(edges[3] * columns) :] = True
        elif cut < 0.3:
            y, x = np.indices((rows, columns))
            middle = np.array([rows, columns]) / 2 + rng.normal(0, 5, 2)
            far = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 > (columns * rng.uniform(0.36, 0.6)) ** 2
            gone |= far[None]
    hu[gone] = AIR_HU
    target[gone] = 0
    return hu
