"""Which vessels inside the liver are branches of the portal vein and which are hepatic veins.

In the portal venous phase both are about equally bright, so that the network can hardly tell a branch from its looks.
What tells them apart is where they lead: hepatic veins into the vena cava, portal branches to the hilum. Each vessel
goes to the root that it is nearer to along the vessels, where thick ones are cheap to follow, so that a thin contact
of the two trees is no short cut, and where the network is sure that it is the other tree, the way is dear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.record import Vein

_ROOT_MM = 6.0
"""Vessels this near to the vena cava are the ends of hepatic veins."""
_AWAY_MM = 15.0
"""The portal root lies at least this far from the vena cava."""
_TRUNK_MM = 15.0
"""How much farther from the portal trunk weighs against the root like 1 / _OPINION more of the network's opinion."""
_OPINION = 12.0
_PER_MM = 0.15
_THICK_MM = 1.6
_ROOT_ML = 0.2
"""The portal root: so much of the vessel that the network takes for portal, thick and near to the trunk. These and the
others were chosen on virtual patients (the tuning set), where all of them may be doubled or halved for 0.03 clDice."""
_SURE = 0.9
_UNSURE_SHARE, _DEAREST = 0.2, 10.0
"""From this share of a tree on the network has no say: where it leans less, it leans the wrong way as often."""
_GAP = 12.0
_SPECK_ML = 0.05
_STEPS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0)])


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
    be empty. All on one cubic grid. A vessel that leads to neither root, and every vessel where a root is not seen, is
    of unknown tree, unless the network itself is sure (0.9).
    """
    from scipy import ndimage

    out = np.zeros(vessel.shape, np.uint8)
    vessel = _without_specks(vessel & liver, spacing_mm)
    if not vessel.any():
        return out
    where = np.argwhere(vessel)
    box = tuple(slice(max(0, int(a) - 2), int(b) + 3) for a, b in zip(where.min(0), where.max(0), strict=True))
    inside, share = vessel[box], portal[box]
    smooth = ndimage.gaussian_filter(np.where(inside, share, 0), 2.0) / np.maximum(
        ndimage.gaussian_filter(inside.astype(np.float32), 2.0), 1e-3
    )
    radius_mm = ndimage.distance_transform_edt(inside).astype(np.float32) * np.float32(spacing_mm)
    radius_mm = ndimage.grey_dilation(radius_mm, size=3)
    to_cava = _distance_mm(vena_cava, spacing_mm)[box]
    to_trunk = _distance_mm(trunk, spacing_mm)[box]
    hepatic_root = inside & (to_cava < _ROOT_MM)
    likely = np.where(
        inside & (to_cava > _AWAY_MM) & (radius_mm > _THICK_MM),
        _OPINION * smooth - to_trunk / _TRUNK_MM + _PER_MM * radius_mm,
        -np.inf,
    )
    count = max(1, round(_ROOT_ML * 1000 / spacing_mm**3))
    portal_root = np.zeros_like(inside)
    best = np.argsort(-likely, axis=None, kind="stable")[:count]
    portal_root.ravel()[best] = np.isfinite(likely.ravel()[best])
    both = portal_root.any() and hepatic_root.any()
    sure = (inside & (smooth > _SURE), inside & (smooth < 1 - _SURE))
    starts = (portal_root | sure[0], hepatic_root | sure[1]) if both else sure
    near = ndimage.binary_dilation(inside, np.ones((3, 3, 3))) & liver[box]
    plain = np.where(inside, 1 / np.maximum(radius_mm, spacing_mm / 2), np.float32(_GAP))
    paths = _Paths(near)
    far = [
        paths.lengths(start, plain / np.clip(one / _UNSURE_SHARE, 1 / _DEAREST, 1), spacing_mm)
        for start, one in zip(starts, (share, 1 - share), strict=True)
    ]
    told = np.where(far[0] < far[1], np.uint8(Vein.PORTAL), np.uint8(Vein.HEPATIC))
    told[~np.isfinite(np.minimum(*far))] = Vein.UNKNOWN
    if not both:
        told[~(sure[0] | sure[1])] = Vein.UNKNOWN
    out[box][inside] = told[inside]
    return out


class _Paths:
    """Ways between touching voxels (26 neighbours) of a mask."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        padded = np.pad(mask, 1)
        self.shape, self.flat = mask.shape, np.flatnonzero(mask)
        ids = np.full(padded.size, -1, np.int32)
        place = np.flatnonzero(padded)
        ids[place] = np.arange(len(place), dtype=np.int32)
        self.ids = np.full(mask.size, -1, np.int32)
        self.ids[self.flat] = np.arange(len(place), dtype=np.int32)
        stride = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
        ends = [ids[place + int(step @ stride)] for step in _STEPS]
        self.tail = np.concatenate([np.flatnonzero(end >= 0) for end in ends]).astype(np.int32)
        self.head = np.concatenate([end[end >= 0] for end in ends])
        lengths = np.sqrt(np.abs(_STEPS).sum(1))
        self.length = np.repeat(lengths, [int((end >= 0).sum()) for end in ends]).astype(np.float32)

    def lengths(self, start: NDArray[np.bool_], price: NDArray[Any], spacing_mm: float) -> NDArray[np.float64]:
        """Price of the cheapest way from any start voxel to each voxel; inf where there is none."""
        from scipy import sparse
        from scipy.sparse.csgraph import dijkstra

        out = np.full(self.shape, np.inf)
        first = self.ids[np.flatnonzero(start)]
        if len(first):
            cost = price.ravel()[self.flat]
            weight = 0.5 * spacing_mm * self.length * (cost[self.tail] + cost[self.head])
            count = len(self.flat)
            graph = sparse.csr_array((weight, (self.tail, self.head)), shape=(count, count))
            out.ravel()[self.flat] = dijkstra(graph, directed=False, indices=first, min_only=True)
        return out


def _without_specks(vessel: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    from scipy import ndimage

    parts, _ = ndimage.label(vessel, np.ones((3, 3, 3)))
    large = np.bincount(parts.ravel()) * spacing_mm**3 / 1000 >= _SPECK_ML
    large[0] = False
    kept: NDArray[np.bool_] = large[parts]
    return kept


def _distance_mm(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.float32]:
    """Of each voxel from the mask; the same everywhere (200 mm) when it is empty."""
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, 200.0, np.float32)
    out: NDArray[np.float32] = ndimage.distance_transform_edt(~mask).astype(np.float32) * np.float32(spacing_mm)
    return out
