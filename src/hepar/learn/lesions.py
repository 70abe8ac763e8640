"""Invented liver lesions: hypodense, hyperdense, cystic, mixed and necrotic ones, from a few voxels to a whole lobe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepar.learn.classes import SPACING_MM, Tissue

_WELCOME = (Tissue.FAT, Tissue.SOFT, Tissue.NEAR_LIVER_FAT, Tissue.BOWEL, Tissue.DIAPHRAGM)


@dataclass(frozen=True)
class Lesion:
    """One lesion as drawn: centre in voxels (slice, row, column), mean radius, kind, contrast to the liver."""

    centre: tuple[float, float, float]
    radius_mm: float
    kind: str
    delta_hu: float


def draw_radii_mm(rng: np.random.Generator) -> list[float]:
    """Radii of the lesions of one sample: none, many small ones, a few large ones, or one huge one with company."""
    plan = rng.random()
    if plan < 0.20:
        return []
    if plan < 0.52:
        return [float(r) for r in np.exp(rng.uniform(np.log(2.8), np.log(13), int(rng.integers(3, 20))))]
    if plan < 0.80:
        return [float(r) for r in rng.uniform(9, 30, int(rng.integers(1, 5)))]
    radii = [float(rng.uniform(28, 55))]
    return radii + [float(r) for r in np.exp(rng.uniform(np.log(3), np.log(18), int(rng.integers(0, 6))))]


def paint_lesions(
    hu: NDArray[np.float32],
    tissue: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    radii_mm: list[float],
    *,
    liver_hu: float,
    phase: int,
    keep_texture: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], list[Lesion]]:
    """Paint lesions into hu (changed in place) and return the voxels they fill and what was drawn.

    All arrays (slice, row, column) at 3 mm. liver: where a lesion may start and, unless it grows outwards, end.
    keep_texture adds the contrast to the real texture instead of replacing it.
    """
    filled = np.zeros(hu.shape, bool)
    made: list[Lesion] = []
    inside = np.flatnonzero(liver)
    if len(inside) < 200:
        return filled, made
    room_mm = 0.6 * (len(inside) * SPACING_MM**3 * 0.75 / np.pi) ** (1 / 3)
    for radius in radii_mm:
        radius = min(radius, room_mm)
        centre = np.array(np.unravel_index(rng.choice(inside), hu.shape)) + rng.uniform(-0.5, 0.5, 3)
        made.append(_paint_one(hu, tissue, liver, filled, centre, radius, liver_hu, phase, keep_texture, rng))
    return filled, made


def radius_field(
    shape: tuple[int, ...],
    origin: NDArray[np.int64],
    centre: NDArray[np.float64],
    radius: float,
    rng: np.random.Generator,
    spacing_mm: float = SPACING_MM,
) -> NDArray[np.float32]:
    """Distance from the centre in units of the (bumpy, direction-dependent) lesion radius."""
    axes = [np.arange(n, dtype=np.float32) + o - c for n, o, c in zip(shape, origin, centre, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1) * spacing_mm
    rotation, _ = np.linalg.qr(rng.normal(0, 1, (3, 3)))
    stretch = np.exp(rng.normal(0, 0.18, 3))
    stretch /= np.prod(stretch) ** (1 / 3)
    local = points @ (rotation / stretch).astype(np.float32)
    r = np.sqrt((local**2).sum(-1)) + 1e-3
    unit = local / r[..., None]
    bumps = np.zeros(shape, np.float32)
    rough = rng.uniform(0.0, 0.16)
    for _ in range(4):
        wave = rng.normal(0, rng.uniform(1.2, 4.0), 3).astype(np.float32)
        bumps += np.sin(unit @ wave + rng.uniform(0, 6.28)).astype(np.float32)
    out: NDArray[np.float32] = (r / (radius * (1 + rough * bumps / 2))).astype(np.float32)
    return out


def _paint_one(
    hu: NDArray[np.float32],
    tissue: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    filled: NDArray[np.bool_],
    centre: NDArray[np.float64],
    radius: float,
    liver_hu: float,
    phase: int,
    keep_texture: bool,
    rng: np.random.Generator,
) -> Lesion:
    reach = 1.9 * radius / SPACING_MM + 2
    low = np.maximum(np.floor(centre - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, hu.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    view = hu[box]
    r = radius_field(view.shape, low, centre, radius, rng)
    edge = rng.uniform(0.35, 0.35 + min(3.0, 0.25 * radius))
    weight = 1 / (1 + np.exp(np.clip((r - 1) * radius / edge, -30, 30)))
    allowed = liver[box].copy()
    if rng.random() < 0.25:
        allowed |= np.isin(tissue[box], _WELCOME) & (r < 1.25)
    weight = weight * allowed

    hyper_share = (0.22, 0.55, 0.50, 0.28, 0.25)[phase]
    u = rng.random()
    limits = (("hyper", hyper_share), ("cyst", hyper_share + 0.10), ("mixed", hyper_share + 0.25), ("hypo", 1.0))
    kind = next(name for name, limit in limits if u <= limit)
    # A small faint lesion is below the noise; teaching it would only teach noise.
    least = 12 + 60 / max(radius, 3)
    if kind == "hyper":
        delta = least + rng.exponential(30)
    elif kind == "cyst":
        delta = rng.uniform(-5, 22) - liver_hu
    else:
        delta = -(least + rng.exponential(26))
        delta = max(delta, -10 - liver_hu) if liver_hu > 30 else delta
    size = view.shape
    texture = ndimage.gaussian_filter(rng.normal(0, 1, size), rng.uniform(0.6, 2.5))
    texture *= (rng.uniform(10, 30) if kind == "mixed" else rng.uniform(0, 8)) / max(texture.std(), 1e-3)
    field = delta + texture
    if radius > 7 and kind != "cyst" and rng.random() < 0.5:
        core = rng.uniform(0.35, 0.8)
        bumps = ndimage.gaussian_filter(rng.normal(0, 1, size), 2.0)
        bumpy = r * (1 + 0.3 * bumps / max(bumps.std(), 1e-3))
        inner = 1 / (1 + np.exp(np.clip((bumpy - core) * radius / 1.5, -30, 30)))
        field = field * (1 - inner) + (rng.uniform(0, 42) - liver_hu + 0.5 * texture) * inner
    if rng.random() < 0.35:
        rim = np.exp(-(((r - rng.uniform(0.85, 1.0)) * radius / rng.uniform(1.0, 3.0)) ** 2))
        field = field + rim * rng.uniform(-20, 65)
    if radius > 10 and rng.random() < 0.30:
        field = field + dense_foci(size, r, radius, rng)
    if keep_texture and kind != "cyst":
        view += (weight * field).astype(np.float32)
    else:
        grain = 0.5 * (view - liver_hu) if keep_texture else 0.0
        view += (weight * (liver_hu + field + grain - view)).astype(np.float32)
    filled[box] |= weight > 0.5
    place = (float(centre[0]), float(centre[1]), float(centre[2]))
    return Lesion(place, float(radius), kind, float(delta))


def dense_foci(
    size: tuple[int, ...],
    r: NDArray[np.float32],
    radius: float,
    rng: np.random.Generator,
    spacing_mm: float = SPACING_MM,
) -> NDArray[np.float32]:
    """Dense spots inside a large lesion: calcification, iodised oil, blood."""
    out = np.zeros(size, np.float32)
    where = np.argwhere(r < 0.9)
    if len(where) == 0:
        return out
    strength = rng.uniform(40, 120) if rng.random() < 0.5 else rng.uniform(120, 700)
    grid = np.indices(size, dtype=np.float32)
    for _ in range(int(rng.integers(1, 9))):
        spot = where[rng.integers(len(where))]
        sigma = rng.uniform(1.5, min(9.0, 0.35 * radius)) / spacing_mm
        gap = ((grid - spot[:, None, None, None].astype(np.float32)) ** 2).sum(0)
        out = np.maximum(out, strength * rng.uniform(0.4, 1) * np.exp(-gap / (2 * sigma * sigma)))
    return out
