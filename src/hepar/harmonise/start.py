"""Where to begin: the shift that brings the two livers together best, over all shifts at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.harmonise.grid import inside, sample
from hepar.record import Geometry, OrganMap, Volume

STEP_MM = 7.0
REACH_MM = 84.0
"""Shifts are tried this far along each axis, and as far again beyond the distance of the two centres."""
FAR_COST_PER_MM = 0.0005
"""Phases of one examination share their coordinates: of two shifts alike the shorter one is meant."""
UNSEEN_COST = 0.2
"""A shift that moves the liver out of the other volume must not win by hiding what does not fit."""


def starting_shift_mm(
    reference: Volume, moving: Volume, reference_organs: OrganMap, moving_organs: OrganMap
) -> NDArray[np.float64]:
    """LPS shift (3,) from the reference to the moving phase with the best overlap of the livers, to STEP_MM.

    Voxels that one of the volumes does not hold count neither for nor against a shift, so a cut liver may fit.
    Neither liver may be empty.
    """
    from scipy.fft import irfftn, next_fast_len, rfftn

    points = [o.geometry.to_lps_mm(np.argwhere(o.liver)) for o in (reference_organs, moving_organs)]
    apart = np.abs(points[1].mean(axis=0) - points[0].mean(axis=0))
    reach = STEP_MM * np.ceil((np.where(apart > REACH_MM, apart, 0) + REACH_MM) / STEP_MM)
    low = np.minimum(points[0].min(axis=0), points[1].min(axis=0)) - reach
    high = np.maximum(points[0].max(axis=0), points[1].max(axis=0)) + reach
    low = STEP_MM * np.floor(low / STEP_MM)
    x, y, z = (next_fast_len(int(n), real=True) for n in np.ceil((high - low) / STEP_MM) + 1)
    frame = Geometry.regular((z, y, x), (STEP_MM,) * 3, (low[0], low[1], low[2]))
    spectra = []
    for volume, organs in ((reference, reference_organs), (moving, moving_organs)):
        away = organs.geometry.to_index(frame.to_lps_mm(np.array(np.unravel_index(range(z * y * x), frame.shape)).T))
        beyond = ((away < -0.5) | (away > np.array(organs.geometry.shape) - 0.5)).any(axis=1).reshape(frame.shape)
        liver = (sample(organs.liver.astype(np.float32), organs.geometry, frame) > 0.5) & ~beyond
        held = inside(volume.geometry, frame)
        spectra.append((rfftn(liver.astype(np.float64)), rfftn(held.astype(np.float64)), liver.sum()))
    (liver_r, held_r, size_r), (liver_m, held_m, size_m) = spectra
    both, seen_r, seen_m = (
        irfftn(np.conj(a) * b, frame.shape) for a, b in ((liver_r, liver_m), (liver_r, held_m), (held_r, liver_m))
    )
    steps = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in frame.shape], indexing="ij"), axis=-1)
    shift = steps[..., ::-1] * STEP_MM  # (slice, row, column) to (x, y, z)
    unseen = 1 - np.minimum(seen_r / max(1, size_r), seen_m / max(1, size_m))
    score = 2 * both / np.maximum(seen_r + seen_m, 1) - UNSEEN_COST * unseen
    score -= FAR_COST_PER_MM * np.linalg.norm(shift, axis=-1)
    score[(np.abs(shift) > reach).any(axis=-1)] = -np.inf
    best: NDArray[np.float64] = shift.reshape(-1, 3)[int(np.argmax(np.round(score, 9)))]
    return best
