"""Distances between the surfaces of two masks, weighted by surface area, exact on uneven voxels.

The surface is cut into one piece per 2 x 2 x 2 neighbourhood of voxels that holds both inside and outside. Its area is
that of the polygon through the middles of the crossed edges (marching cubes) in millimetres; its place is the middle
of the neighbourhood. Same definition as surface-distance (Nikolov 2021), which looks nearest pieces up in a distance
map; `hepar.validate.nearest` finds the same distances faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.validate.inputs import Bools, Floats, Ints
from hepar.validate.nearest import nearest_mm
from hepar.validate.overlap import masks

_FACES = tuple(
    tuple(sum(bit << (2 - axis) for axis, bit in corner) for corner in
          ([(fixed, side), (u, 0), (v, 0)], [(fixed, side), (u, 1), (v, 0)], [(fixed, side), (u, 1), (v, 1)],
           [(fixed, side), (u, 0), (v, 1)]))
    for (fixed, u, v), side in product(((0, 1, 2), (1, 0, 2), (2, 0, 1)), (0, 1))
)  # fmt: skip
"""Four corners of each face of the cube in a ring; corner number = 4 z + 2 y + x."""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Directed distances of every surface piece and its area, sorted by distance.

    pred_to_ref_mm, ref_to_pred_mm: millimetres; pred_area_mm2, ref_area_mm2: the piece's area.
    missing: why there are no distances (one mask is empty), else "". Two empty masks: every distance is 0.
    """

    pred_to_ref_mm: Floats
    pred_area_mm2: Floats
    ref_to_pred_mm: Floats
    ref_area_mm2: Floats
    missing: str = ""

    @property
    def assd_mm(self) -> float | None:
        """Average symmetric surface distance: both directions together, weighted by area."""
        return self._mean(1)

    @property
    def rmsd_mm(self) -> float | None:
        """Root mean square symmetric surface distance."""
        square = self._mean(2)
        return None if square is None else float(np.sqrt(square))

    @property
    def hd95_mm(self) -> float | None:
        """The larger of both directed 95th percentiles (by area)."""
        return self.hausdorff_mm(95.0)

    @property
    def hd100_mm(self) -> float | None:
        """Hausdorff distance: the largest of all distances."""
        return self.hausdorff_mm(100.0)

    def hausdorff_mm(self, percent: float) -> float | None:
        """The larger of both directed percentiles, `percent` of the surface area lying within it."""
        if self.missing:
            return None
        return max(_percentile(self.pred_to_ref_mm, self.pred_area_mm2, percent),
                   _percentile(self.ref_to_pred_mm, self.ref_area_mm2, percent))  # fmt: skip

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of both surfaces that lies within `tolerance_mm` of the other."""
        if not tolerance_mm >= 0.0:
            raise WrongCall(f"the tolerance is {tolerance_mm:g} mm; needed: 0 or more")
        total = float(self.pred_area_mm2.sum() + self.ref_area_mm2.sum())
        if total == 0.0:
            return 1.0
        if self.missing:
            return 0.0
        near = self.pred_area_mm2[self.pred_to_ref_mm <= tolerance_mm].sum()
        near += self.ref_area_mm2[self.ref_to_pred_mm <= tolerance_mm].sum()
        return float(near / total)

    def _mean(self, power: int) -> float | None:
        if self.missing:
            return None
        total = float(self.pred_area_mm2.sum() + self.ref_area_mm2.sum())
        if total == 0.0:
            return 0.0
        there = self.pred_to_ref_mm**power @ self.pred_area_mm2
        back = self.ref_to_pred_mm**power @ self.ref_area_mm2
        return float(there + back) / total


def _percentile(distances: Floats, areas: Floats, percent: float) -> float:
    if distances.size == 0:
        return 0.0
    share = np.cumsum(areas) / areas.sum()
    return float(distances[min(int(np.searchsorted(share, percent / 100.0)), distances.size - 1)])


def surface_distances(pred: ArrayLike, ref: ArrayLike, spacing_mm: Sequence[float]) -> SurfaceDistances:
    """Distances between the surfaces of two masks, both directions.

    pred, ref: bool or 0/1 (slice, row, column) on one grid. spacing_mm: voxel size along the same three axes.
    Outside the array counts as outside the mask. Empty masks: see `hepar.validate.overlap`.
    """
    one, other = masks(pred, ref)
    if one.ndim != 3:
        raise WrongCall(f"the masks have {one.ndim} axes; needed: three (slice, row, column)")
    spacing = checked_spacing(spacing_mm)
    box = bounding_box(one, other)
    if box is None:
        nothing = np.zeros(0)
        return SurfaceDistances(nothing, nothing, nothing, nothing)
    places_a, areas_a = surface(one[box], spacing)
    places_b, areas_b = surface(other[box], spacing)
    if not areas_a.size or not areas_b.size:
        empty, which = np.zeros(0), "the prediction" if areas_b.size else "the reference"
        return SurfaceDistances(empty, areas_a, empty, areas_b, f"{which} is empty")
    shape = (one[box].shape[0] + 1, one[box].shape[1] + 1, one[box].shape[2] + 1)
    there = nearest_mm(places_a, places_b, shape, spacing)
    back = nearest_mm(places_b, places_a, shape, spacing)
    first, second = np.argsort(there, kind="stable"), np.argsort(back, kind="stable")
    return SurfaceDistances(there[first], areas_a[first], back[second], areas_b[second])


def checked_spacing(spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Three positive millimetres. Raises WrongCall for anything else."""
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not np.isfinite(spacing).all() or spacing.min() <= 0:
        raise WrongCall(f"the voxel size is {spacing_mm}; needed: three positive millimetres (slice, row, column)")
    return float(spacing[0]), float(spacing[1]), float(spacing[2])


def surface(mask: Bools, spacing: tuple[float, float, float]) -> tuple[Ints, Floats]:
    """All surface pieces: their places and their areas in mm2.

    A place is a flat index into a grid one larger than the mask along each axis; (0, 0, 0) lies half a voxel before
    the first voxel's centre along each axis.
    """
    code = np.pad(mask, 1).view(np.uint8)
    # corner number = 4 z + 2 y + x, one bit each
    code = code[:, :, :-1] | code[:, :, 1:] << np.uint8(1)
    code = code[:, :-1] | code[:, 1:] << np.uint8(2)
    code = (code[:-1] | code[1:] << np.uint8(4)).ravel()
    # neither 0 (outside) nor 255 (inside)
    border = np.flatnonzero(code - np.uint8(1) < np.uint8(254))
    return border, piece_areas(spacing)[code[border]]


def bounding_box(*maps: NDArray[Any]) -> tuple[slice, slice, slice] | None:
    """The smallest box around everything that is not 0 in maps of whole numbers or bool with three axes; None if all
    are empty."""
    sides: list[slice] = []
    flat = _any([np.asarray(np.bitwise_or.reduce(one, axis=0) != 0) for one in maps])
    for line in (flat.any(axis=1), flat.any(axis=0)):
        where = np.flatnonzero(line)
        if not where.size:
            return None
        sides.append(slice(int(where[0]), int(where[-1]) + 1))
    rows, columns = sides
    deep = np.flatnonzero(_any([np.asarray(one[:, rows, columns].any(axis=(1, 2))) for one in maps]))
    return slice(int(deep[0]), int(deep[-1]) + 1), rows, columns


def _any(lines: list[Bools]) -> Bools:
    found: Bools = np.logical_or.reduce(lines)
    return found


@cache
def piece_areas(spacing: tuple[float, float, float]) -> Floats:
    """Area in mm2 of the surface in a 2 x 2 x 2 neighbourhood, for its 256 fillings."""
    areas = np.zeros(256)
    for code in range(1, 255):
        for ring in _rings(code):
            corners = np.array([_middle(edge) for edge in ring]) * np.array(spacing)
            spokes = corners - corners.mean(axis=0)
            areas[code] += 0.5 * np.linalg.norm(np.cross(spokes, np.roll(spokes, -1, axis=0)), axis=1).sum()
    areas.flags.writeable = False
    return areas


def _middle(edge: frozenset[int]) -> tuple[float, float, float]:
    ends = sorted(edge)
    z, y, x = (sum(end >> shift & 1 for end in ends) / 2.0 for shift in (2, 1, 0))
    return z, y, x


def _rings(code: int) -> list[list[frozenset[int]]]:
    """The closed polygons of one filling: rings of crossed edges. On a face with two opposite corners inside, these
    are kept apart, so that voxels touching along an edge have two surfaces."""
    links: dict[frozenset[int], list[frozenset[int]]] = {}
    for face in _FACES:
        edges = [frozenset(pair) for pair in pairwise((*face, face[0]))]
        crossed = [i for i, edge in enumerate(edges) if len({code >> end & 1 for end in edge}) == 2]
        if len(crossed) == 2:
            joined = [(crossed[0], crossed[1])]
        else:
            joined = [((i - 1) % 4, i) for i in range(4) if crossed and code >> face[i] & 1]
        for a, b in joined:
            links.setdefault(edges[a], []).append(edges[b])
            links.setdefault(edges[b], []).append(edges[a])
    rings: list[list[frozenset[int]]] = []
    left = sorted(links, key=sorted)
    while left:
        ring = [left[0]]
        while after := [edge for edge in links[ring[-1]] if edge not in ring]:
            ring.append(after[0])
        rings.append(ring)
        left = [edge for edge in left if edge not in ring]
    return rings
