"""A liver with vessels and lesions below a lung, between ribs that stay while it moves; its truth is a formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from hepar.record import Geometry, OrganMap, Volume

CENTRE = np.array([-60.0, 0.0, 0.0])
RADII = np.array([85.0, 65.0, 70.0])
CONTRAST = {"arterial": (75.0, 80.0, 130.0), "portal_venous": (110.0, 170.0, 70.0), "native": (58.0, 45.0, 45.0)}
"""HU of parenchyma, vessels and lesions."""
LESION = (np.array([-75.0, 10.0, 15.0]), 18.0)


@dataclass(frozen=True)
class Motion:
    """Takes a point of the moving phase to the patient at rest: minus the shift, minus a wave across the body."""

    shift_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    bend_mm: float = 0.0

    def rest(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        out = points - np.array(self.shift_lps_mm)
        out[..., 2] -= self.bend_mm * np.sin(points[..., 0] / 45.0)
        out[..., 1] -= self.bend_mm * 0.6 * np.cos(points[..., 2] / 50.0)
        return out


def level(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Below 0 inside the liver, in mm (nearly): an ellipsoid with a lobe and a dent, so that no turn fits itself."""
    r = (points - CENTRE) / RADII
    bump = 0.16 * np.sin(3 * r[..., 0] + 1) * np.cos(2.5 * r[..., 1]) + 0.12 * np.sin(4 * r[..., 2] + 2 * r[..., 0])
    return (np.linalg.norm(r, axis=-1) - 1 + bump) * 70.0


def phase(contrast: str, motion: Motion, geometry: Geometry, *, noise_hu: float = 12.0, seed: int = 0,
          anatomy: int = 5, lesion_hu: float | None = None) -> Volume:  # fmt: skip
    """One phase; `anatomy` draws the vessel tree, another number is another patient inside."""
    axes = [np.arange(n, dtype=float) for n in geometry.shape]
    here = geometry.to_lps_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    rest = motion.rest(here)
    parenchyma, vessel, lesion = CONTRAST[contrast]
    image = np.full(geometry.shape, -90.0)  # fat
    image[rest[..., 2] > 55] = -850.0  # lung moves with the liver
    ribs = (np.abs(np.hypot(here[..., 0], here[..., 1] * 1.2) - 135) < 5) & (np.sin(here[..., 2] / 6) > 0)
    inside = level(rest)
    rng = np.random.default_rng(anatomy)
    image[inside < 0] = parenchyma
    for _ in range(22):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        off = rest - (CENTRE + rng.uniform(-45, 45, 3))
        away = np.linalg.norm(off - (off @ way)[..., None] * way, axis=-1)
        image[(away < rng.uniform(2.5, 6)) & (inside < -3)] = vessel
    image[np.linalg.norm(rest - LESION[0], axis=-1) < LESION[1]] = lesion if lesion_hu is None else lesion_hu
    image[ribs] = 600.0
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=geometry.shape), 0.6)
    image += noise_hu * noise / noise.std()
    return Volume(np.clip(np.rint(image), -1024, 3000).astype(np.int16), geometry, "CT")


def organs(motion: Motion, geometry: Geometry, *, wrong_mm: float = 0.0, seed: int = 0) -> OrganMap:
    """Outline on a 3 mm grid over the volume, wrong by a smooth `wrong_mm` (standard deviation); nothing outside it."""
    corners = geometry.to_lps_mm([[(0, n - 1)[b >> i & 1] for i, n in enumerate(geometry.shape)] for b in range(8)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (np.ceil((high - low) / 3).astype(int) + 1).tolist()
    grid = Geometry.regular((z, y, x), (3.0, 3.0, 3.0), (low[0], low[1], low[2]))
    points = grid.to_lps_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1).astype(float))
    error = gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), 3)
    index = geometry.to_index(points)
    held = ((index >= -0.5) & (index <= np.array(geometry.shape) - 0.5)).all(axis=-1)
    liver = (level(motion.rest(points)) < wrong_mm * error / error.std()) & held
    return OrganMap(liver.astype(np.uint8), np.zeros(grid.shape, np.uint8), grid)


def points_at_rest(*, surface: bool) -> NDArray[np.float64]:
    """Random points on the surface of the liver at rest, or inside it."""
    drawn = CENTRE + np.random.default_rng(1).uniform(-1.3, 1.3, (200_000, 3)) * RADII
    found = level(drawn)
    return drawn[np.abs(found) < 0.7] if surface else drawn[found < -2]
