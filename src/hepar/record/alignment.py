"""How one phase lies on another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.record.estimate import Estimate
from hepar.record.geometry import Geometry

Box: TypeAlias = tuple[slice, slice, slice]
NOT_COVERED_HU = -32768
"""Stands in an aligned array where the phase holds no voxel."""


@dataclass(frozen=True, eq=False)
class Transform:
    """Maps points of the reference phase to points of another phase, both LPS millimetres.

    matrix: (4, 4) rigid or affine. displacement_mm: float32 (slice, row, column, 3) in LPS, added before the matrix,
    on `grid` (coarse); None for none. Outside `grid` the nearest displacement holds.
    """

    matrix: NDArray[np.float64]
    displacement_mm: NDArray[np.float32] | None = None
    grid: Geometry | None = None

    @classmethod
    def identity(cls) -> Transform:
        """No movement."""
        return cls(np.eye(4))

    def map_lps_mm(self, points_lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Reference points (n, 3) to points of the other phase (n, 3); displacements are interpolated linearly."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        if self.displacement_mm is not None and self.grid is not None:
            from scipy.ndimage import map_coordinates

            index = self.grid.to_index(points).T
            shift = [map_coordinates(self.displacement_mm[..., i], index, order=1, mode="nearest") for i in range(3)]
            points = points + np.stack(shift, axis=-1)
        result: NDArray[np.float64] = points @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return result


@dataclass(frozen=True)
class Residual:
    """How well a phase fits the reference after alignment, in the liver.

    liver_overlap: Dice of the two liver outlines. surface_mm: mean distance of the two liver surfaces.
    correlation: local normalised cross-correlation inside the liver. shift_mm: length of the mean displacement.
    """

    liver_overlap: Estimate
    surface_mm: Estimate
    correlation: Estimate
    shift_mm: float


@dataclass(frozen=True, eq=False)
class AlignedPhase:
    """One phase on the reference phase's native grid, inside a box around the liver.

    hu: int16, the shape of `box`; sampled once, linearly, from the native voxels; NOT_COVERED_HU outside the phase.
        For the reference itself it is the native voxels.
    accepted: False keeps the phase out of every measurement; `reason` then says why.
    """

    phase_id: str
    box: Box
    hu: NDArray[np.int16]
    transform: Transform
    residual: Residual
    accepted: bool = True
    reason: str = ""
