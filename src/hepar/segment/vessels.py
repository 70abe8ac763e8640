"""Vessels inside the liver on the scan's own grid: portal branches, hepatic veins, and those of unknown tree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.record import Organ, OrganMap, Vein, Volume
from hepar.segment.evidence import calm, smooth_field
from hepar.segment.grid import onto_native
from hepar.segment.place import native_box, slabs

_SPREADS = 1.5
_SMOOTH_MM = 0.6


def outline_vessels(
    volume: Volume, organs: OrganMap, liver: NDArray[np.bool_], lesions: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Native voxels of the liver near a vessel on the model's grid that are not as bright as the parenchyma: values of
    `Vein`, the tree of the nearest vessel there; `Vein.UNKNOWN` throughout where the map does not tell the trees apart.

    liver, lesions: on the native grid; lesions are never vessel. Where the vessels do not stand out, as in a native
    phase, the network's own label is taken. All zero when there is none.
    """
    from scipy import ndimage

    out = np.zeros(volume.array.shape, np.uint8)
    coarse = organs.labels == Organ.HEPATIC_VESSEL
    if not coarse.any() or not liver.any():
        return out
    box = native_box(coarse, organs.geometry, volume.geometry, 6.0)
    grid = volume.geometry.crop(box)
    close = ndimage.binary_dilation(coarse).astype(np.float32)
    trees = _spread(organs, coarse)
    plain = ndimage.binary_erosion(organs.labels == Organ.LIVER).astype(np.float32)
    rows, columns = slice(0, grid.shape[1]), slice(0, grid.shape[2])
    sample: list[NDArray[np.int16]] = []
    calmed = np.empty(grid.shape, np.int16)
    halo = int(np.ceil(3 / grid.spacing_mm[0])) + 1
    for wide, part, inner in slabs(grid.shape, halo):
        calmed[part] = calm(volume.array[box][wide], grid.crop((wide, rows, columns)), 0.8)[inner]
        inside = onto_native(plain, organs.geometry, grid.crop((part, rows, columns))) > 0.99
        sample.append(calmed[part][inside & liver[box][part] & (lesions[box][part] == 0)][::7])
    values = np.concatenate(sample)
    if values.size < 100:
        return out
    middle = float(np.median(values))
    spread = max(4.0, float(np.percentile(values, 84) - np.percentile(values, 16)) / 2)
    for wide, part, inner in slabs(grid.shape, halo):
        place = grid.crop((wide, rows, columns))
        member = onto_native(coarse.astype(np.float32), organs.geometry, place) - 0.5
        member += 0.25 * (np.abs(calmed[wide] - middle) / spread - _SPREADS).clip(-1, 1)
        found = smooth_field(member, place, _SMOOTH_MM)[inner] > 0
        part_grid = grid.crop((part, rows, columns))
        found &= onto_native(close, organs.geometry, part_grid) > 0.5
        found &= liver[box][part] & (lesions[box][part] == 0)
        places = part_grid.to_lps_mm(np.argwhere(found))
        index = np.clip(np.rint(organs.geometry.to_index(places)).astype(int), 0, np.array(trees.shape) - 1)
        out[box][part][found] = trees[tuple(index.T)]
    return out


def _spread(organs: OrganMap, coarse: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Everywhere the tree of the nearest vessel on the model's grid."""
    from scipy import ndimage

    if organs.veins is None:
        return np.full(coarse.shape, Vein.UNKNOWN, np.uint8)
    known = np.where(organs.veins > 0, organs.veins, np.uint8(Vein.UNKNOWN))
    nearest = ndimage.distance_transform_edt(~coarse, return_distances=False, return_indices=True)
    trees: NDArray[np.uint8] = known[tuple(nearest)]
    return trees
