"""How bright the organs of one series are: what the contrast phase is read from.

The same idea as TotalSegmentator's phase prediction (medians of organs; Wasserthal et al., 2023), with a published
table of values instead of a trained model (`phase_table`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.record import PADDING_HU, Estimate, Organ, OrganMap, Volume

_ENOUGH = 30
"""Voxels (of about 3 mm) below which an organ cannot be judged; about 0.8 ml."""
_MOST = 20_000


@dataclass(frozen=True)
class OrganValue:
    """median_hu: of the organ's core, missing where too little of it is seen. spread_hu: robust standard deviation."""

    median_hu: Estimate
    spread_hu: float
    voxels: int


@dataclass(frozen=True)
class OrganHu:
    """Median HU of the organs of one series. kidney_cortex: 80th percentile in the kidneys, a hint only."""

    aorta: OrganValue
    portal_vein: OrganValue
    vena_cava: OrganValue
    liver: OrganValue
    spleen: OrganValue
    kidney: OrganValue
    kidney_cortex: OrganValue


def organ_enhancement(volume: Volume, organs: OrganMap) -> OrganHu:
    """Median HU of each organ's core in the native voxels.

    volume, organs: of the same series; voxels of the organ map are looked up at the nearest native voxel. Core: the
    outermost voxels of an organ are left out (part organ, part fat) where at least 30 remain; else all count. Voxels
    outside the volume or at its padding are left out.
    """

    def value(*classes: Organ, percentile: float = 50.0) -> OrganValue:
        return _value(volume, organs, np.isin(organs.labels, classes), percentile, classes[0])

    return OrganHu(
        aorta=value(Organ.AORTA),
        portal_vein=value(Organ.PORTAL_VEIN),
        vena_cava=value(Organ.VENA_CAVA),
        liver=value(Organ.LIVER),
        spleen=value(Organ.SPLEEN),
        kidney=value(Organ.KIDNEY),
        kidney_cortex=value(Organ.KIDNEY, percentile=80.0),
    )


def _value(volume: Volume, organs: OrganMap, mask: NDArray[np.bool_], percentile: float, organ: Organ) -> OrganValue:
    name = organ.name.lower().replace("_", " ")
    if not mask.any():
        return OrganValue(Estimate.cannot_tell(f"no {name} found"), 0.0, 0)
    values = _looked_up(volume, organs, np.argwhere(_core(mask)))
    if values.size < _ENOUGH:
        values = _looked_up(volume, organs, np.argwhere(mask))
    if values.size < _ENOUGH:
        reason = f"only {values.size} voxels of {name} seen, at least {_ENOUGH} needed"
        return OrganValue(Estimate.cannot_tell(reason), 0.0, int(values.size))
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return OrganValue(Estimate(float(np.percentile(values, percentile))), spread, int(values.size))


def _looked_up(volume: Volume, organs: OrganMap, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """HU of the native voxels nearest to voxels (n, 3) of the organ map; evenly thinned out above 20 000."""
    index = index[:: max(1, -(-len(index) // _MOST))]
    at = np.rint(volume.geometry.to_index(organs.geometry.to_lps_mm(index))).astype(np.intp)
    inside = ((at >= 0) & (at < volume.geometry.shape)).all(axis=1)
    z, y, x = at[inside].T
    values = volume.array[z, y, x]
    return np.asarray(values[values > PADDING_HU], dtype=np.float64)


def _core(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels whose six neighbours belong to the organ too."""
    from scipy.ndimage import binary_erosion, find_objects

    (box,) = find_objects(mask.astype(np.uint8))
    core = np.zeros_like(mask)
    core[box] = binary_erosion(np.pad(mask[box], 1))[1:-1, 1:-1, 1:-1]
    return core
