"""Where a voxel grid lies in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import Fault


@dataclass(frozen=True, eq=False)
class Geometry:
    """A voxel grid and its place in the patient.

    shape: voxels along (slice, row, column).
    affine: float64 (4, 4); maps the index (slice, row, column, 1) of a voxel centre to LPS millimetres.
        It may be sheared: a series taken with a tilted gantry keeps its slices where they were.
    Raises Fault for a shape below one voxel, a non-finite affine or one without volume.
    Source of the axes: DICOM PS3.3 C.7.6.2.1.1 (LPS).
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise Fault(f"a grid needs three sizes of at least 1, got {self.shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise Fault(f"a grid needs a finite 4 x 4 affine, got {affine.tolist()}")
        if self.voxel_volume_ml <= 0:
            raise Fault(f"a grid needs voxels with a volume, got the affine {affine.tolist()}")

    @classmethod
    def regular(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Geometry:
        """An axis-aligned grid: slices go up (+z), rows back (+y), columns to the patient's left (+x)."""
        affine = np.zeros((4, 4))
        affine[2, 0], affine[1, 1], affine[0, 2] = spacing_mm
        affine[:3, 3] = origin_lps_mm
        affine[3, 3] = 1.0
        return cls(shape, affine)

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along (slice, row, column), along each axis' own direction."""
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    @cached_property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel; exact for sheared grids too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @cached_property
    def slice_distance_mm(self) -> float:
        """Distance between the planes of neighbouring slices (less than the step when sheared)."""
        normal = np.cross(self.affine[:3, 1], self.affine[:3, 2])
        return float(abs(self.affine[:3, 0] @ (normal / np.linalg.norm(normal))))

    @property
    def origin_lps_mm(self) -> tuple[float, float, float]:
        """Centre of voxel (0, 0, 0)."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    def to_lps_mm(self, index: ArrayLike) -> NDArray[np.float64]:
        """Indices (..., 3) as (slice, row, column), fractions allowed, to LPS millimetres (..., 3)."""
        result: NDArray[np.float64] = np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return result

    def to_index(self, points_lps_mm: ArrayLike) -> NDArray[np.float64]:
        """LPS millimetres (..., 3) to fractional indices (..., 3) as (slice, row, column)."""
        inverse = np.linalg.inv(self.affine)
        result: NDArray[np.float64] = np.asarray(points_lps_mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]
        return result

    def crop(self, box: tuple[slice, slice, slice]) -> Geometry:
        """The grid of `array[box]`; slices with explicit start and stop, step 1."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_lps_mm([s.start for s in box])
        z, y, x = (s.stop - s.start for s in box)
        return Geometry((z, y, x), affine)

    def is_close(self, other: Geometry, *, tolerance_mm: float = 0.01) -> bool:
        """Same shape, and every corner voxel within the tolerance."""
        if self.shape != other.shape:
            return False
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(self.shape) - 1)
        return bool(np.abs(self.to_lps_mm(corners) - other.to_lps_mm(corners)).max() <= tolerance_mm)
