"""Size of one body of voxels: volume, longest axial diameter and its perpendicular, largest diameter in 3D.

The estimates are those of the body behind the voxels: the exact length on the voxel outline (`outline`), less what
the voxels add to it on average (`digitisation`); the short axis and the largest diameter of a body that passes for an
ellipsoid are drawn towards its proportions, by precision. The interval holds the voxels' part of the error only, not
whether the outline is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.measure.digitisation import Deviation, Digitisation, digitise
from hepar.measure.outline import Mask
from hepar.record import Diameter, Estimate, Geometry

LEVEL = 0.95
DIAMETER_METHOD = "outer edges of the voxel outline, corrected for voxel size; the outline itself taken as right"
VOLUME_METHOD = "voxels times voxel volume; spread over voxel places; the outline itself taken as right"
_WIDER = 1.5
"""The spread over the cuts of one smooth body leaves out that the body itself is a guess; with this factor 95 %
intervals held the truth in at least 90 % (`benchmarks/measure_coverage.py`)."""
_LEAST_OF_VOXEL, _LEAST_OF_STEP = 1 / 20, 1 / 4
"""No half width is below this share of the voxel diagonal (axial diameters), or of the slice step (in 3D, where the
slices' tilt against the body is poorly known). From the same benchmark."""
_LIKE_SD = 0.02
"""How far a body that passes for an ellipsoid may have other proportions: 5 % of its volume is 2 % of a length."""
_LARGE_VOXELS = 200_000
"""From here on the volume's interval comes from the number of voxel columns instead of from cuts."""


@dataclass(frozen=True)
class Sizes:
    """All sizes of one body. slice_index: of the axial diameters, in the given grid."""

    volume_ml: Estimate
    long_axis: Diameter
    short_axis: Diameter
    max_3d: Diameter
    slice_index: int
    voxels: int


def sizes(mask: Mask, geometry: Geometry, *, level: float = LEVEL, note: str = "") -> Sizes:
    """Volume and diameters of one body.

    mask: bool (slice, row, column) on `geometry`, the body alone; an empty one raises Fault. Parts that do not touch
    are measured as one. Axial means the acquired slice plane, also of tilted or oblique series.
    long_axis: longest straight line between two outer edges within one slice, over all slices. short_axis: the longest
    line at right angles to it in the same slice that stays inside the outline. max_3d: the longest line in 3D.
    note: added to the method of every interval ("the part inside the volume").
    Sources: LI-RADS CT/MRI v2018 (size: outer edge to outer edge); RECIST 1.1 (longest diameter in the plane of
    measurement; perpendicular short axis); IBSI L0JK for the largest diameter's outline points.
    """
    box = bounding_box(mask)
    cropped = np.ascontiguousarray(mask[box])
    part = geometry.crop(box)
    found = digitise(cropped, part.affine)
    outline, first = found.outline, box[0].start
    k = outline.slice_index

    least_mm = float(np.linalg.norm(part.spacing_mm)) * _LEAST_OF_VOXEL
    least_3d_mm = part.spacing_mm[0] * _LEAST_OF_STEP

    def diameter(
        raw_mm: float,
        ends: list[tuple[float, ...]],
        deviation: Deviation,
        least: float,
        span: tuple[float, float],
        like_mm: float | None = None,
    ) -> tuple[float, Diameter]:
        corrected_mm = min(max(_pooled(raw_mm - deviation.bias, deviation.sd, like_mm), span[0]), span[1])
        half_mm = _half_width(deviation, least, level)
        low, high = max(corrected_mm - half_mm, 0.0), corrected_mm + half_mm
        estimate = Estimate(corrected_mm, low, high, level, _with(DIAMETER_METHOD, note))
        start, end = part.to_lps_mm(ends)
        middle, half = (start + end) / 2, (end - start) / 2 * (corrected_mm / raw_mm)
        return corrected_mm, Diameter(estimate, _point(middle - half), _point(middle + half))

    long, short, largest = outline.long, outline.short, outline.largest
    long_mm, long_axis = diameter(
        long.length_mm, [(k, *long.start), (k, *long.end)], found.long, least_mm, (0.0, np.inf)
    )
    like_short = None if found.short_of_long is None else found.short_of_long * long_mm
    like_largest = None if found.largest_of_long is None else found.largest_of_long * long_mm
    _, short_axis = diameter(
        short.length_mm, [(k, *short.start), (k, *short.end)], found.short, least_mm, (0.0, long_mm), like_short
    )
    _, max_3d = diameter(
        largest.length_mm, [largest.start, largest.end], found.largest, least_3d_mm, (long_mm, np.inf), like_largest
    )
    return Sizes(
        volume_ml=_volume(cropped, part, found, level, note),
        long_axis=long_axis,
        short_axis=short_axis,
        max_3d=max_3d,
        slice_index=first + k,
        voxels=int(cropped.sum()),
    )


def volume_ml(mask: Mask, geometry: Geometry, *, level: float = LEVEL, note: str = "") -> Estimate:
    """Voxels times voxel volume, in millilitres; 0.0 without interval for an empty mask. Source: IBSI YEKZ."""
    if not mask.any():
        return Estimate(0.0)
    box = bounding_box(mask)
    return _volume(mask[box], geometry.crop(box), None, level, note)


def axial_diameters(mask: Mask, geometry: Geometry) -> tuple[Diameter, Diameter, int]:
    """Longest axial diameter, its perpendicular and their slice; as in `sizes`."""
    found = sizes(mask, geometry)
    return found.long_axis, found.short_axis, found.slice_index


def long_axis_mm(mask: Mask, geometry: Geometry) -> Estimate:
    """Longest axial diameter in millimetres; as in `sizes`."""
    return sizes(mask, geometry).long_axis.length_mm


def max_3d_diameter(mask: Mask, geometry: Geometry) -> Diameter:
    """Largest diameter in 3D; as in `sizes`."""
    return sizes(mask, geometry).max_3d


def bounding_box(mask: Mask) -> tuple[slice, slice, slice]:
    """The smallest box that holds the mask; an empty one raises Fault."""
    spans = [mask.any(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    if not spans[0].any():
        raise Fault("a size needs at least one voxel, got an empty mask")
    found = [np.flatnonzero(span) for span in spans]
    z, y, x = (slice(int(f[0]), int(f[-1]) + 1) for f in found)
    return z, y, x


def _pooled(corrected_mm: float, sd_mm: float, like_mm: float | None) -> float:
    """The corrected length and that of an ellipsoid with the body's proportions, each weighted by its precision.

    On a small round lesion voxels decide which way the long axis points, so that its perpendicular is uncertain by far
    more than the lesion's proportions are.
    """
    if like_mm is None:
        return corrected_mm
    like_sd = _LIKE_SD * like_mm
    weight = sd_mm**2 / (sd_mm**2 + like_sd**2)
    return weight * like_mm + (1 - weight) * corrected_mm


def _half_width(deviation: Deviation, least_mm: float, level: float) -> float:
    """Student's half width, with the least there is for what the smooth body gets wrong."""
    from scipy.special import stdtrit

    quantile = float(stdtrit(deviation.cuts - 1, (1 + level) / 2))
    return float(np.hypot(_WIDER * quantile * deviation.sd, least_mm))


def _volume(mask: Mask, geometry: Geometry, found: Digitisation | None, level: float, note: str) -> Estimate:
    from scipy.special import ndtri, stdtrit

    voxels = int(mask.sum())
    volume = voxels * geometry.voxel_volume_ml
    if voxels >= _LARGE_VOXELS:
        columns = min(int(mask.any(axis=axis).sum()) for axis in range(3))
        half = float(ndtri((1 + level) / 2)) * float(np.sqrt(columns / 6)) * geometry.voxel_volume_ml
    else:
        spread = (found or digitise(np.ascontiguousarray(mask), geometry.affine)).volume
        half = _WIDER * float(stdtrit(spread.cuts - 1, (1 + level) / 2)) * spread.sd * volume
    return Estimate(volume, max(volume - half, 0.0), volume + half, level, _with(VOLUME_METHOD, note))


def _with(method: str, note: str) -> str:
    return f"{method}; {note}" if note else method


def _point(at: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = at
    return float(x), float(y), float(z)
