"""What one candidate lesion looks like: the numbers that its confidence is worked out from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepar.record import NOT_COVERED_HU, Geometry
from hepar.segment.confidence import Features
from hepar.segment.split import depth_mm

_FAT_HU = -10


def features_of(
    lesion: NDArray[np.bool_],
    shell: NDArray[np.bool_],
    chance: NDArray[np.float32],
    first: NDArray[np.float32],
    phases: Sequence[NDArray[np.int16]],
    liver: NDArray[np.bool_],
    grid: Geometry,
) -> Features:
    """What the confidence is worked out from; chance, first: 255 x P(lesion) of the two networks; phases: calmed HU."""
    from scipy import ndimage

    separations = [_separation(hu, lesion, shell) for hu in phases]
    depth, _ = depth_mm(lesion, grid.spacing_mm)
    inside_mm = 2 * max(grid.spacing_mm[1], 1.0)
    deep = liver
    steps = max(1, round(inside_mm / grid.spacing_mm[1]))
    for plane_axis in (1, 2):
        shape = [1, 1, 1]
        shape[plane_axis] = 2 * steps + 1
        deep = ndimage.binary_erosion(deep, np.ones(shape, np.bool_), border_value=1)
    volume_ml = float(lesion.sum()) * grid.voxel_volume_ml
    ball_mm = (volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3)
    return Features(
        score=float(chance[lesion].mean()) / 255,
        peak=float(chance[lesion].max()) / 255,
        volume_ml=volume_ml,
        separation=max((abs(s) for s in separations), default=0.0),
        reference_separation=separations[0],
        roundness=float(depth.max()) / ball_mm,
        on_surface=float((lesion & ~deep).sum() / lesion.sum()),
        fat=float((phases[0][lesion] < _FAT_HU).mean()),
        coarse=float(first[lesion].mean()) / 255,
    )


def difference_hu(hu: NDArray[np.int16], one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    """Median in one region minus median in the other; 0 where the phase does not reach."""
    first, second = hu[one], hu[two]
    first, second = first[first != NOT_COVERED_HU], second[second != NOT_COVERED_HU]
    if min(first.size, second.size) < 10:
        return 0.0
    return float(np.median(first)) - float(np.median(second))


def _separation(hu: NDArray[np.int16], lesion: NDArray[np.bool_], shell: NDArray[np.bool_]) -> float:
    """The difference in spreads of the shell (at least 3 HU)."""
    around = hu[shell]
    around = around[around != NOT_COVERED_HU]
    if not around.size:
        return 0.0
    spread = max(3.0, float(np.percentile(around, 84) - np.percentile(around, 16)) / 2)
    return difference_hu(hu, lesion, shell) / spread
