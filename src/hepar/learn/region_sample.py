"""One training sample of the liver region at 1.2 mm: the same patch in one to four contrast phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from scipy import ndimage

from hepar.learn.classes import EITHER_VEIN, IGNORE, NOT_LIVER, SPACING_MM, Tissue
from hepar.learn.colour import draw_colours
from hepar.learn.region import RegionAtlas
from hepar.learn.region_lesions import draw_radii_mm, paint
from hepar.learn.sample import bent_grid, fissures, inhomogeneity, take, thick_slices
from hepar.segment.region import LIMIT, RELATIVE_HU
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM

_SLOT_OF_PHASE = (0, 1, 1, 2, 3)
_PORTAL = 3
_SOFT_NEIGHBOURS = (Tissue.LUNG, Tissue.BONE, Tissue.BOWEL, Tissue.STOMACH, Tissue.GUT_GAS, Tissue.FAT, Tissue.AIR)

_WHOLE_LIVER_SHARE = 0.15
"""Share of samples seen relative to liver and lesions, the others relative to the healthy liver: a patch may lie
in a tumour, a liver seldom does."""
_RULER_VOXELS = 1500
_ASCITES_SHARE = 0.15
_REFERENCE_FIRST = (3, 4, 2, 1, 0)
"""Which phase of a study the others are aligned to, and so the target lies on: as `hepar.measure.choose_reference`."""
_MISALIGNED_MM = (2.0, 0.35)
"""Gamma law (shape, scale) of what alignment leaves along each axis, mean 0.7 mm. Lesions of 10 to 30 mm of the tuning
set lie 1.0 (arterial) to 1.8 mm (delayed) off in space, measured to 0.7 mm."""


@dataclass(frozen=True)
class RegionSample:
    """image: float16 (4, slice, row, column) relative to the liver. target: region classes, 253 to 255 as codes."""

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    phases: tuple[int, ...]
    atlas: str


def draw_phases(rng: np.random.Generator) -> list[int]:
    """Which phases a study has (indices into colour.PHASES), at most one per input channel."""
    u = rng.random()
    arterial = 1 if rng.random() < 0.2 else 2
    if u < 0.38:
        return [_PORTAL]
    if u < 0.74:
        return [0, arterial, _PORTAL, 4]
    if u < 0.83:
        return [arterial, _PORTAL]
    if u < 0.91:
        return [arterial, _PORTAL, 4]
    chosen = [p for p in (0, arterial, _PORTAL, 4) if rng.random() < 0.4]
    return chosen or [int(rng.choice([0, arterial, 4]))]


def make_region_sample(
    atlas: RegionAtlas,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    *,
    phases: list[int] | None = None,
    many_lesions: bool = False,
) -> RegionSample:
    """Draw one sample of the given shape from one anatomy. All randomness comes from rng.

    phases: indices into colour.PHASES; None draws them. many_lesions: as `draw_radii_mm`.
    """
    points, inside = _points(atlas, shape, rng)
    tissue = take(torch.from_numpy(atlas.tissue)[None].float(), points, "nearest")[0].astype(np.uint8)
    tissue[~inside] = Tissue.AIR
    stack = torch.from_numpy(np.stack([atlas.residual_hu, atlas.portal, atlas.hepatic]).astype(np.float32))
    residual, portal, hepatic = take(stack, points, "bilinear")
    portal, hepatic = portal / 255, hepatic / 255
    liver = np.isin(tissue, (Tissue.LIVER, Tissue.REAL_VESSEL, Tissue.REAL_LESION))
    phases = phases or draw_phases(rng)
    colour_seed = int(rng.integers(2**31))
    alpha = _texture_share(rng, contrast=atlas.contrast)
    keep_real = bool(rng.random() < 0.65)
    thin = float(rng.uniform(0.3, 1.0)) ** 0.5
    noise_hu = float(np.exp(rng.uniform(np.log(2.5), np.log(22)))) * (0.5 if atlas.contrast else 1)
    fluid = _ascites(tissue, liver, rng) if rng.random() < _ASCITES_SHARE else None
    fluid_hu = rng.uniform(-2, 25)
    images, levels = [], []
    for phase in phases:
        # One seed for all phases: a fatty liver is fatty in each, a strong enhancer enhances strongly in each.
        colours, portal_hu, hepatic_hu = draw_colours(phase, np.random.default_rng(colour_seed))
        table = _table(atlas, colours, keep_real=keep_real and phase == _PORTAL)
        hu = table[tissue] + alpha[tissue] * residual
        if fluid is not None:
            hu[fluid] = fluid_hu + 0.3 * residual[fluid]
        level = float(np.median(hu[liver])) if liver.any() else float(table[Tissue.LIVER])
        if atlas.contrast and phase != _PORTAL:
            hu[tissue == Tissue.REAL_VESSEL] += 0.5 * (portal_hu + hepatic_hu) - table[Tissue.REAL_VESSEL]
        if not atlas.contrast:
            for share, vein_hu in ((hepatic, hepatic_hu), (portal, portal_hu)):
                hu += share * thin * (vein_hu - hu) * liver
        images.append(hu.astype(np.float32))
        levels.append(level)
    target = _target(tissue, portal, hepatic, liver, contrast=atlas.contrast)
    field_seed = int(rng.integers(2**31))
    for image in images:
        inhomogeneity(image, liver, np.random.default_rng(field_seed), step=round(30 / REGION_SPACING_MM))
    fat_seed = int(rng.integers(2**31))
    if rng.random() < 0.3:
        before = liver.copy()
        for image in images:
            fissures(image, target, before, -100.0, np.random.default_rng(fat_seed), SPACING_MM / REGION_SPACING_MM)
        liver &= target != 0
    free = liver & (tissue != Tissue.REAL_LESION)
    radii = draw_radii_mm(rng, many=many_lesions)
    lesion = paint(images, phases, tissue, free, levels, radii, keep_texture=atlas.contrast, noise_hu=noise_hu, rng=rng)
    target[lesion & (target != IGNORE)] = 2
    ruler = liver if rng.random() < _WHOLE_LIVER_SHARE else liver & ~lesion
    image = _scan(images, phases, levels, ruler, inside, noise_hu, rng, contrast=atlas.contrast)
    target[~inside] = IGNORE
    return RegionSample(image, target, tuple(phases), atlas.name)


def _points(
    atlas: RegionAtlas, shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[torch.Tensor, NDArray[np.bool_]]:
    """Where each voxel comes from, in grid_sample's coordinates, and whether that lies in the anatomy."""
    size = np.array(atlas.tissue.shape)
    half = np.array(shape) / 2
    liver = np.flatnonzero(np.isin(atlas.tissue, (Tissue.LIVER, Tissue.REAL_LESION, Tissue.REAL_VESSEL)))
    centre = np.array(np.unravel_index(liver[rng.integers(len(liver))], atlas.tissue.shape))
    centre = centre + rng.normal(0, 12 / REGION_SPACING_MM, 3)
    if rng.random() < 0.08:
        centre = rng.uniform(0.15, 0.85, 3) * size
    centre = np.clip(centre, np.minimum(half * 0.8, size / 2), np.maximum(size - half * 0.8, size / 2))
    return bent_grid(
        shape, centre, size, rng, degrees=(8, 5, 5), limits=(0.75, 1.35),
        bends=((60.0, 14.0), (30.0, 6.0), (15.0, 2.0)), spacing_mm=REGION_SPACING_MM,
    )  # fmt: skip


def _ascites(tissue: NDArray[np.uint8], liver: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Fat that becomes fluid: a layer around the liver, 2 to 24 mm thick, thicker here and thinner there."""
    if not liver.any():
        return np.zeros(liver.shape, bool)
    knots = [int(n * REGION_SPACING_MM / 36) + 2 for n in liver.shape]
    uneven = torch.from_numpy(np.exp(rng.normal(0, 0.5, knots)).astype(np.float32))
    uneven = F.interpolate(uneven[None, None], size=liver.shape, mode="trilinear", align_corners=True)[0, 0]
    reach_mm = rng.uniform(2, 24) * uneven.numpy()
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~liver) * REGION_SPACING_MM < reach_mm
    return near & np.isin(tissue, (Tissue.FAT, Tissue.NEAR_LIVER_FAT))


def _texture_share(rng: np.random.Generator, *, contrast: bool) -> NDArray[np.float32]:
    """How much of the real texture each tissue keeps."""
    share = np.full(len(Tissue), rng.uniform(0, 1.1), np.float32)
    share[list(_SOFT_NEIGHBOURS)] = rng.uniform(0.8, 1.1)
    share[Tissue.SOFT] = rng.uniform(0.5, 1.1)
    share[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 1
    if contrast:
        share[:] = 1
    return share


def _table(atlas: RegionAtlas, colours: NDArray[np.float32], *, keep_real: bool) -> NDArray[np.float32]:
    """HU per tissue in one phase; what has no colour of its own keeps its real value."""
    mean = atlas.mean_hu
    table = colours.copy()
    table[Tissue.BONE] = mean[Tissue.BONE]
    table[[Tissue.UNKNOWN, Tissue.NOT_LIVER]] = 0
    if atlas.contrast:
        if keep_real:
            return mean.copy()
        same = [Tissue.FAT, Tissue.NEAR_LIVER_FAT, Tissue.AIR, Tissue.STOMACH, Tissue.BOWEL, Tissue.GUT_GAS,
                Tissue.LUNG, Tissue.SOFT]  # fmt: skip
        table[same] = mean[same]
        # A real lesion keeps its own contrast to the liver.
        table[Tissue.REAL_LESION] = table[Tissue.LIVER] + mean[Tissue.REAL_LESION] - mean[Tissue.LIVER]
        table[Tissue.REAL_VESSEL] = table[Tissue.LIVER] + mean[Tissue.REAL_VESSEL] - mean[Tissue.LIVER]
    return table


def _target(
    tissue: NDArray[np.uint8],
    portal: NDArray[np.float32],
    hepatic: NDArray[np.float32],
    liver: NDArray[np.bool_],
    *,
    contrast: bool,
) -> NDArray[np.uint8]:
    target = liver.astype(np.uint8)
    target[tissue == Tissue.REAL_LESION] = 2
    target[tissue == Tissue.REAL_VESSEL] = EITHER_VEIN
    if not contrast:
        vein = np.maximum(portal, hepatic) > 0.4
        target[vein & liver & (portal >= hepatic)] = 3
        target[vein & liver & (portal < hepatic)] = 4
    target[tissue == Tissue.UNKNOWN] = IGNORE
    target[tissue == Tissue.NOT_LIVER] = NOT_LIVER
    return target


def _scan(
    images: list[NDArray[np.float32]],
    phases: list[int],
    levels: list[float],
    ruler: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    noise_hu: float,
    rng: np.random.Generator,
    *,
    contrast: bool,
) -> NDArray[np.float16]:
    """Blur, misalignment, noise, slice thickness and cut fields of view; then relative to the median of the ruler, or,
    where that is too small to tell, to the level that the liver was given.
    """
    shape = ruler.shape
    enough = int(ruler.sum()) >= _RULER_VOXELS
    out = np.zeros((4, *shape), np.float32)
    kernel = rng.uniform(0.25, 0.8) * (0.5 if contrast else 1)
    thick = rng.uniform(1.5, 6.0) if rng.random() < 0.6 and not contrast else 0.0
    colour = rng.uniform(0.15, 0.9)
    mottle = 0.0 if contrast else rng.uniform(0, 0.6)
    reference = min(phases, key=_REFERENCE_FIRST.index)
    for image, phase, level in zip(images, phases, levels, strict=True):
        hu = image
        if phase != reference and rng.random() < 0.8:
            hu = _shift(hu, float(rng.gamma(*_MISALIGNED_MM)), rng)
        hu = ndimage.gaussian_filter(hu, (kernel * rng.uniform(0.5, 1.3), kernel, kernel), truncate=3)
        noise = rng.standard_normal(shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, (colour * rng.uniform(0.2, 1), colour, colour), truncate=3)
        noise /= max(float(noise.std()), 1e-3)
        if mottle:
            # Reconstructed CT noise is coarse too: at 4 mm real livers correlate 0.2 to 0.34 (docs, virtual patients).
            grain = rng.uniform(1.7, 3.3) / REGION_SPACING_MM
            coarse = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), grain)
            noise += coarse * (mottle / max(float(coarse.std()), 1e-3))
        hu += noise * (noise_hu * rng.uniform(0.7, 1.4)) * (hu > -980)
        if thick:
            hu = thick_slices(hu, max(1.0, thick / REGION_SPACING_MM), float(rng.random()))
        middle = float(np.median(hu[ruler])) if enough else level
        relative = np.clip((hu - middle + rng.normal(0, 4)) / RELATIVE_HU, -LIMIT, LIMIT)
        relative[~inside] = 0
        if phase != reference and rng.random() < 0.08:  # a phase that does not reach as far as the others
            edge = int(rng.uniform(0, 0.5) * shape[0])
            relative[(slice(0, edge) if rng.random() < 0.5 else slice(shape[0] - edge, None))] = 0
        out[_SLOT_OF_PHASE[phase]] = relative
    return out.astype(np.float16)


def _shift(hu: NDArray[np.float32], sd_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Moved by a smooth field of about sd_mm: what alignment leaves behind."""
    shape = hu.shape
    coarse = (
        rng.normal(0, sd_mm / REGION_SPACING_MM, (3, 3, 3, 3))
        + rng.normal(0, 0.7 * sd_mm / REGION_SPACING_MM, 3)[:, None, None, None]
    )
    field = F.interpolate(
        torch.from_numpy(coarse.astype(np.float32))[None], size=shape, mode="trilinear", align_corners=True
    )[0].permute(1, 2, 3, 0)
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) + field
    limit = torch.tensor([n - 1 for n in shape], dtype=torch.float32)
    out: NDArray[np.float32] = take(torch.from_numpy(hu)[None], (place / limit * 2 - 1).flip(-1), "bilinear")[0]
    return out
