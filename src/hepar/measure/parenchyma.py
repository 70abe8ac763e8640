"""Which voxels are plain liver: away from lesions, vessels and the liver's border, near a lesion or anywhere.

Distances are taken between the centres of blocks of about 2 mm in the plane; a block counts as lesion, vessel or
outside as soon as one of its voxels does, and half a block is added to what is asked for. Voxel by voxel it would
cost seconds and change nothing that a mean over a thousand voxels shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.measure.outline import Mask
from hepar.measure.settings import MeasureSettings
from hepar.record import Anatomy, Box, Geometry

_BLOCK_MM = 2.0


@dataclass(frozen=True, eq=False)
class Parenchyma:
    """Plain liver inside `box` of the native grid.

    plain: bool, inside `box`, kept away from the border too. wide: the same without the distance to the border.
    lesions: ids inside `box`. block: voxels per block. block_mm: its size.
    """

    box: Box
    plain: Mask
    wide: Mask
    lesions: NDArray[np.uint16]
    settings: MeasureSettings
    block: tuple[int, int, int]
    block_mm: tuple[float, float, float]

    @classmethod
    def of(cls, anatomy: Anatomy, box: Box, settings: MeasureSettings) -> Parenchyma:
        """From the outlines; box: where to look, it should hold the liver."""
        geometry = anatomy.geometry.crop(box)
        block, block_mm = _blocks(geometry)
        liver, lesions, vessels = anatomy.liver[box], anatomy.lesions[box], anatomy.veins[box] > 0
        inside = _reduced(liver, block, np.logical_and)
        clear = inside.copy()
        for mask, distance in ((lesions > 0, settings.lesion_clearance_mm), (vessels, settings.vessel_clearance_mm)):
            clear &= _farther(_reduced(mask, block, np.logical_or), distance, block_mm)
        deep = clear & _farther(~np.pad(inside, 1), settings.border_mm, block_mm)[1:-1, 1:-1, 1:-1]
        usable = liver & (lesions == 0) & ~vessels
        shape = liver.shape
        return cls(
            box, _expanded(deep, block, shape) & usable, _expanded(clear, block, shape) & usable, lesions,
            settings, block, block_mm,
        )  # fmt: skip

    def holds(self, box: Box) -> Box:
        """A box of the native grid, counted from `box`."""
        z, y, x = (slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, self.box, strict=True))
        return z, y, x

    def shell(self, lesion_box: Box, lesion_id: int) -> tuple[Box, Mask]:
        """Plain liver between the two shell distances from one lesion: a box inside `box`, and the mask in it.

        lesion_box: the lesion's bounding box, in the coordinates of `box`.
        """
        reach = [int(np.ceil(self.settings.shell_outer_mm / (mm / b))) for mm, b in
                 zip(self.block_mm, self.block, strict=True)]  # fmt: skip
        spans = []
        for span, margin, step, size in zip(lesion_box, reach, self.block, self.plain.shape, strict=True):
            start = max(0, (span.start - margin) // step * step)
            spans.append(slice(start, min(size, -(-(span.stop + margin) // step) * step)))
        near = (spans[0], spans[1], spans[2])
        from scipy.ndimage import distance_transform_edt

        lesion = _reduced(self.lesions[near] == lesion_id, self.block, np.logical_or)
        away = distance_transform_edt(~lesion, sampling=self.block_mm)
        inner = self.settings.shell_inner_mm + self.block_mm[1] / 2
        chosen = (away >= inner) & (away <= self.settings.shell_outer_mm)
        plain = self.plain[near]
        return near, _expanded(chosen, self.block, plain.shape) & plain


def _blocks(geometry: Geometry) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    z, y, x = (max(1, round(_BLOCK_MM / mm)) for mm in geometry.spacing_mm)
    dz, dy, dx = geometry.spacing_mm
    # Tilted grids: the distance between the planes is the smaller, and so the safer, one.
    dz = min(dz, geometry.slice_distance_mm)
    return (z, y, x), (z * dz, y * dy, x * dx)


def _reduced(mask: Mask, block: tuple[int, int, int], how: np.ufunc) -> Mask:
    """One value per block; the last blocks may be smaller."""
    result: Mask = mask
    for axis, step in enumerate(block):
        if step > 1:
            result = how.reduceat(result, np.arange(0, mask.shape[axis], step), axis=axis)
    return result


def _expanded(blocks: Mask, block: tuple[int, int, int], shape: tuple[int, ...]) -> Mask:
    for axis, step in enumerate(block):
        if step > 1:
            blocks = np.repeat(blocks, step, axis=axis)
    return blocks[: shape[0], : shape[1], : shape[2]]


def _farther(blocks: Mask, distance_mm: float, block_mm: tuple[float, float, float]) -> Mask:
    """Blocks farther than the distance (and half a block) from every marked block."""
    if not blocks.any():
        return np.ones_like(blocks)
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~blocks, sampling=block_mm)
    result: Mask = away > distance_mm + block_mm[1] / 2
    return result
