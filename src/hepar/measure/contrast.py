"""How bright the organs of one series are: what the contrast phase is read from.

The same idea as TotalSegmentator's phase prediction (medians of organs; Wasserthal et al., 2023); what they
mean for the phase is told by `phase_model`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.record import PADDING_HU, Estimate, Organ, OrganMap, Volume

_ENOUGH = 30
"""Voxels below which an organ's core is not used alone, and nothing is judged."""
_MIXED_HU, _MIXED_NOISE = 25.0, 1.8
"""Spread of the portal vein's voxels above which it is a mixture: in HU, and in spreads of the liver."""
_MOST = 20_000


@dataclass(frozen=True)
class _Believable:
    """What an outlined organ must have to be believed: core of at least this volume, spread of at most this."""

    least_ml: float
    most_spread_hu: float


_BELIEVABLE: dict[Organ, _Believable] = {
    Organ.AORTA: _Believable(2.5, 60.0),
    Organ.PORTAL_VEIN: _Believable(0.8, 55.0),
    Organ.VENA_CAVA: _Believable(2.0, 70.0),
    Organ.LIVER: _Believable(20.0, 60.0),
    Organ.SPLEEN: _Believable(10.0, 50.0),
    Organ.KIDNEY: _Believable(10.0, 90.0),
    Organ.HEPATIC_VESSEL: _Believable(1.0, 60.0),
}
"""A fragment or a mixture is a wrong outline, not an organ. Noise of 20 to 30 HU, a mottled arterial spleen and a
corticomedullary kidney stay below the spreads; bone taken for aorta does not (80 to 120 HU seen)."""


@dataclass(frozen=True)
class OrganValue:
    """median_hu: of the organ's core, missing where too little of it is seen. spread_hu: robust standard deviation."""

    median_hu: Estimate
    spread_hu: float
    voxels: int


@dataclass(frozen=True)
class OrganHu:
    """Median HU of the organs of one series.

    kidney_cortex, kidney_medulla: 80th and 20th percentile in the kidneys, whose outline holds both; noise widens them.
    inner_vessels: portal and hepatic veins inside the liver.
    """

    aorta: OrganValue
    portal_vein: OrganValue
    vena_cava: OrganValue
    liver: OrganValue
    spleen: OrganValue
    kidney: OrganValue
    kidney_cortex: OrganValue
    kidney_medulla: OrganValue
    inner_vessels: OrganValue


def organ_enhancement(volume: Volume, organs: OrganMap) -> OrganHu:
    """Median HU of each organ's core in the native voxels.

    volume, organs: of the same series; voxels of the organ map are looked up at the nearest native voxel. Core: the
    outermost voxels of an organ are left out (part organ, part fat) where at least 30 remain; else all count. Voxels
    outside the volume or at its padding are left out, and above 20 000 voxels an even share is taken. An organ too
    small or too uneven to be what its label says is missing, with the reason.
    """

    def value(*classes: Organ, percentile: float = 50.0) -> OrganValue:
        return _value(volume, organs, np.isin(organs.labels, classes), percentile, classes[0])

    liver = value(Organ.LIVER)
    return OrganHu(
        aorta=value(Organ.AORTA),
        portal_vein=_unmixed(value(Organ.PORTAL_VEIN), liver),
        vena_cava=value(Organ.VENA_CAVA),
        liver=liver,
        spleen=value(Organ.SPLEEN),
        kidney=value(Organ.KIDNEY),
        kidney_cortex=value(Organ.KIDNEY, percentile=80.0),
        kidney_medulla=value(Organ.KIDNEY, percentile=20.0),
        inner_vessels=value(Organ.HEPATIC_VESSEL),
    )


def _value(volume: Volume, organs: OrganMap, mask: NDArray[np.bool_], percentile: float, organ: Organ) -> OrganValue:
    name = organ.name.lower().replace("_", " ")
    if not mask.any():
        return OrganValue(Estimate.cannot_tell(f"no {name} found"), 0.0, 0)
    index = np.argwhere(_core(mask))
    if len(index) < _ENOUGH:
        index = np.argwhere(mask)
    thinned = max(1, -(-len(index) // _MOST))
    values = _looked_up(volume, organs, index[::thinned])
    if values.size < _ENOUGH:
        reason = f"only {values.size} voxels of {name} seen, at least {_ENOUGH} needed"
        return OrganValue(Estimate.cannot_tell(reason), 0.0, int(values.size))
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    limit, core_ml = _BELIEVABLE[organ], values.size * thinned * organs.geometry.voxel_volume_ml
    if core_ml < limit.least_ml or spread > limit.most_spread_hu:
        reason = (
            f"the outlined {name} is no believable one: {core_ml:.1f} ml with a spread of {spread:.0f} HU, needed at"
            f" least {limit.least_ml} ml and at most {limit.most_spread_hu:.0f} HU"
        )
        return OrganValue(Estimate.cannot_tell(reason), spread, int(values.size))
    return OrganValue(Estimate(float(np.percentile(values, percentile))), spread, int(values.size))


def _unmixed(vein: OrganValue, liver: OrganValue) -> OrganValue:
    """The portal vein, unless its voxels spread far more than the liver's, which carry the same noise.

    The vein is one pool of blood; an outline that takes in fat, bowel or parenchyma beside it is not.
    """
    most = max(_MIXED_HU, _MIXED_NOISE * liver.spread_hu)
    if vein.median_hu.estimate is None or vein.spread_hu <= most:
        return vein
    reason = (
        f"the outlined portal vein is a mixture: its voxels spread by {vein.spread_hu:.0f} HU, at most {most:.0f} HU"
        " fit one pool of blood"
    )
    return OrganValue(Estimate.cannot_tell(reason), vein.spread_hu, vein.voxels)


def _looked_up(volume: Volume, organs: OrganMap, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """HU of the native voxels nearest to voxels (n, 3) of the organ map."""
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
