"""Which vessels inside the liver are branches of the portal vein and which are hepatic veins.

In the portal venous phase both are about equally bright, so that the network can hardly tell a branch from its looks.
What tells them apart is where they lead: hepatic veins into the vena cava, portal branches to the hilum. Each piece of
vessel goes to the root that it is nearer to along the vessels, where thick ones are cheap to follow and turns are dear:
where the two trees touch, a way from one into the other turns. Where the network is sure that it is the other tree,
the way is dear too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.record import Vein
from hepar.segment.pieces import cut_into_pieces

_ROOT_MM, _HILUM_MM = 6.0, 8.0
"""Vessels this near to the vena cava are ends of hepatic veins, this near to the portal trunk ends of its branches."""
_ABOVE_MM, _WIDER = 45.0, 0.3
"""How far the vena cava is prolonged where its label ends too low, and how much wider per millimetre: it bends."""
_AWAY_MM = 15.0
"""The portal root lies at least this far from the vena cava."""
_TRUNK_MM = 15.0
"""How much farther from the portal trunk weighs against the root like 1 / _OPINION more of the network's opinion."""
_OPINION = 12.0
_PER_MM = 0.15
_THICK_MM = 1.6
_ROOT_ML = 0.2
"""The portal root: so much of the vessel that the network takes for portal, thick and near to the trunk, besides all
that is at the trunk. These and the others were chosen on virtual patients (the tuning set), where all of them may be
doubled or halved for 0.03 clDice."""
_SURE, _LATE = 0.9, 6.0
"""A piece that the network is sure of is a root as well, but a late one: where it leads weighs more."""
_UNSURE_SHARE, _DEAREST = 0.3, 10.0
"""From this share of a tree on the network has no say: where it leans less, it leans the wrong way as often."""
_SPECK_ML = 0.05
_NOWHERE_MM = 200.0


def tell_trees(
    vessel: NDArray[np.bool_],
    portal: NDArray[np.float32],
    liver: NDArray[np.bool_],
    trunk: NDArray[np.bool_],
    vena_cava: NDArray[np.bool_],
    spacing_mm: float,
) -> NDArray[np.uint8]:
    """Values of `Vein` where there is vessel; isolated specks (below 0.05 ml) are taken out.

    portal: the network's share of portal in portal and hepatic vein, 0 to 1. trunk: portal vein outside the liver, may
    be empty. All on one cubic grid, slices from the feet upwards. A vessel that leads to neither root, and every vessel
    where a root is not seen, is of unknown tree, unless the network itself is sure (0.9).
    """
    out = np.zeros(vessel.shape, np.uint8)
    vessel = _without_specks(vessel & liver, spacing_mm)
    if not vessel.any():
        return out
    where = np.argwhere(vessel)
    box = tuple(slice(max(0, int(a) - 2), int(b) + 3) for a, b in zip(where.min(0), where.max(0), strict=True))
    inside, share = vessel[box], portal[box]
    to_cava = _distance_mm(_prolonged(vena_cava, spacing_mm), spacing_mm)[box]
    to_trunk = _distance_mm(trunk, spacing_mm)[box]
    roots = (
        _portal_root(inside, share, to_cava, to_trunk, spacing_mm),
        inside & (to_cava < _ROOT_MM) & (to_cava < to_trunk),
    )
    pieces = cut_into_pieces(inside, liver[box], spacing_mm)
    opinion = pieces.mean(share)
    told = np.full(len(opinion), Vein.UNKNOWN, np.uint8)
    told[opinion > _SURE], told[opinion < 1 - _SURE] = Vein.PORTAL, Vein.HEPATIC
    if all(root.any() for root in roots):
        far = [
            pieces.prices(
                np.where(pieces.any(root), 0, np.where(one > _SURE, _LATE, np.inf)),
                1 / np.clip(one / _UNSURE_SHARE, 1 / _DEAREST, 1),
            )
            for root, one in zip(roots, (opinion, 1 - opinion), strict=True)
        ]
        led = np.isfinite(np.minimum(*far))
        told[led] = np.where(far[0] < far[1], np.uint8(Vein.PORTAL), np.uint8(Vein.HEPATIC))[led]
    out[box][inside] = told[pieces.of_voxel[inside]]
    return out


def _portal_root(
    vessel: NDArray[np.bool_],
    share: NDArray[np.float32],
    to_cava: NDArray[np.float32],
    to_trunk: NDArray[np.float32],
    spacing_mm: float,
) -> NDArray[np.bool_]:
    """What is at the trunk, and the likeliest place: the trunk's label may end well before the liver.

    Without any trunk only a place that the network is sure of.
    """
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(np.where(vessel, share, 0), 2.0) / np.maximum(
        ndimage.gaussian_filter(vessel.astype(np.float32), 2.0), 1e-3
    )
    radius_mm = ndimage.distance_transform_edt(vessel).astype(np.float32) * np.float32(spacing_mm)
    radius_mm = ndimage.grey_dilation(radius_mm, size=3)
    likely = np.where(
        vessel & (to_cava > _AWAY_MM) & (radius_mm > _THICK_MM) & ((to_trunk < _NOWHERE_MM) | (smooth > _SURE)),
        _OPINION * smooth - to_trunk / _TRUNK_MM + _PER_MM * radius_mm,
        -np.inf,
    )
    count = max(1, round(_ROOT_ML * 1000 / spacing_mm**3))
    root: NDArray[np.bool_] = vessel & (to_trunk < _HILUM_MM) & (to_trunk < to_cava)
    best = np.argsort(-likely, axis=None, kind="stable")[:count]
    root.ravel()[best] |= np.isfinite(likely.ravel()[best])
    return root


def _prolonged(vena_cava: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """Upwards along the line of its last 30 mm, ever wider: the network's label may end below the hepatic veins."""
    slices = np.flatnonzero(vena_cava.any((1, 2)))[-round(30 / spacing_mm) :]
    out = vena_cava.copy()
    if len(slices) < 3:
        return out
    places = [np.argwhere(vena_cava[n]) for n in slices]
    slope, middle = np.polyfit(slices, np.array([at.mean(0) for at in places]), 1)
    radius = np.sqrt(np.median([len(at) for at in places]) / np.pi)
    rows, columns = np.indices(vena_cava.shape[1:])
    top = int(slices[-1])
    for n in range(top + 1, min(len(out), top + 1 + round(_ABOVE_MM / spacing_mm))):
        row, column = middle + slope * n
        out[n] |= np.hypot(rows - row, columns - column) <= radius + _WIDER * (n - top)
    return out


def _without_specks(vessel: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    parts, _ = ndimage.label(vessel, np.ones((3, 3, 3)))
    large = np.bincount(parts.ravel()) * spacing_mm**3 / 1000 >= _SPECK_ML
    large[0] = False
    kept: NDArray[np.bool_] = large[parts]
    return kept


def _distance_mm(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Of each voxel from the mask; the same everywhere (_NOWHERE_MM) when it is empty."""
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, _NOWHERE_MM, np.float32)
    far = ndimage.distance_transform_edt(~mask).astype(np.float32) * np.float32(spacing_mm)
    out: NDArray[np.float32] = np.minimum(far, np.float32(_NOWHERE_MM - 1))
    return out
