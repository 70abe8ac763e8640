"""Candidate lesions on the network's grid: where a lesion may be, what is surely part of it, how far it may reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.segment.settings import SegmentSettings

LARGE_ML = 8.1
_CLEFT_MM = 9.0


@dataclass(frozen=True, eq=False)
class Candidates:
    """reach, core: int32 labels 1..count on the model's grid; a core lies in the reach of the same number."""

    reach: NDArray[np.int32]
    core: NDArray[np.int32]
    count: int


def candidates(
    score: NDArray[np.uint8], liver: NDArray[np.bool_], step_mm: float, settings: SegmentSettings
) -> Candidates:
    """Places near the liver that reach lesion_score somewhere.

    A core holds what is likely (half of the highest score of its surroundings, at most P = 0.5), its reach what is
    nearest to it down to lesion_grow: the reach says how far a lesion may go, the core what it looks like. Clefts of up
    to 18 mm in and beside a core of 8 ml or more are closed: a large tumour with dead or calcified parts is one. What
    that joins or parts wrongly is put right by the shape on the native grid.
    """
    from scipy import ndimage

    near = ndimage.binary_dilation(liver)
    wide = ndimage.binary_fill_holes((score >= 255 * settings.lesion_grow) & near)
    regions, count = ndimage.label(wide)
    none = np.zeros(score.shape, np.int32)
    if not count:
        return Candidates(none, none, 0)
    peak = np.asarray(ndimage.maximum(score, regions, np.arange(count + 1)), dtype=np.float64)
    level = np.where(peak >= 255 * settings.lesion_score, np.minimum(peak / 2, 128), 256)
    level[0] = 256
    core = ndimage.binary_fill_holes(score >= level[regions])
    parts, number = ndimage.label(core)
    large = np.flatnonzero(np.bincount(parts.ravel(), minlength=number + 1)[1:] * step_mm**3 >= 1000 * LARGE_ML) + 1
    small = core & ~np.isin(parts, large)
    cleft = round(_CLEFT_MM / step_mm)
    boxes = ndimage.find_objects(parts)
    for one in large:
        at = tuple(slice(max(0, s.start - 3 * cleft), s.stop + 3 * cleft) for s in boxes[one - 1])
        here = parts[at] == one
        beside = ndimage.distance_transform_edt(~here) <= 2 * cleft
        core[at] |= _closed(here | (small[at] & beside), cleft) & near[at]
    cores, number = ndimage.label(core)
    if not number:
        return Candidates(none, none, 0)
    wide |= core
    regions, _ = ndimage.label(wide)
    nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    reach = np.where(wide, cores[tuple(nearest)], 0)
    # A region without a core, or beyond another one's, belongs to nobody.
    reach[regions != regions[tuple(nearest)]] = 0
    return Candidates(reach.astype(np.int32), cores.astype(np.int32), int(number))


def _closed(region: NDArray[np.bool_], cleft: int) -> NDArray[np.bool_]:
    """The region with its clefts of up to twice `cleft` voxels closed (by a ball) and its holes filled."""
    from scipy import ndimage

    around = np.pad(region, cleft + 1)
    thick = ndimage.distance_transform_edt(~around) <= cleft
    closed = ndimage.distance_transform_edt(thick) > cleft
    inner = slice(cleft + 1, -cleft - 1)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed[inner, inner, inner])
    return filled
