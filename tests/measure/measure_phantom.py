"""A box of a liver with known values, small enough to work out by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.record import AlignedPhase, Anatomy, Box, Estimate, Geometry, Notice, Residual, Transform, Vein

SPACING = (2.0, 1.0, 1.0)
SHAPE = (60, 120, 120)
LIVER: Box = (slice(5, 55), slice(10, 110), slice(10, 110))
"""100 x 100 x 100 mm, one litre."""
CENTRE = (30, 60, 60)
RESIDUAL = Residual(Estimate.cannot_tell("made"), Estimate.cannot_tell("made"), Estimate.cannot_tell("made"), 0.0)


def geometry() -> Geometry:
    return Geometry.regular(SHAPE, SPACING, (-60.0, -60.0, 100.0))


def ball(centre: tuple[int, int, int], radius_mm: float) -> NDArray[np.bool_]:
    """Voxels of SHAPE whose centres lie within radius_mm of a voxel's centre."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    away = ((z - centre[0]) * 2.0) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    return np.asarray(away <= radius_mm**2)


def anatomy(
    *lesions: tuple[tuple[int, int, int], float],
    liver: Box = LIVER,
    vessels: NDArray[np.bool_] | None = None,
    notices: tuple[Notice, ...] = (),
) -> Anatomy:
    """The box liver with ball lesions, the largest first."""
    outline = np.zeros(SHAPE, bool)
    outline[liver] = True
    labels = np.zeros(SHAPE, np.uint16)
    for number, (centre, radius) in enumerate(lesions, start=1):
        labels[ball(centre, radius) & outline] = number
    veins = np.zeros(SHAPE, np.uint8)
    if vessels is not None:
        veins[vessels] = Vein.UNKNOWN
    return Anatomy(geometry(), outline, labels, veins, (0.8,) * len(lesions), notices)


def image(found: Anatomy, liver: float = 100.0, lesion: float = 60.0, vessel: float = 160.0) -> NDArray[np.float64]:
    """HU of every voxel: fat outside at -100."""
    hu = np.full(SHAPE, -100.0)
    hu[found.liver] = liver
    hu[found.vessels] = vessel
    hu[found.lesions > 0] = lesion
    return hu


def aligned(
    phase_id: str, hu: NDArray[np.float64], *, box: Box | None = None, accepted: bool = True, reason: str = ""
) -> AlignedPhase:
    """An aligned phase on the whole grid, or on a box of it."""
    where = box or (slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2]))
    voxels = np.round(hu[where]).astype(np.int16)
    return AlignedPhase(phase_id, where, voxels, Transform.identity(), RESIDUAL, accepted, reason)
