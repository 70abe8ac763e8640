"""Sizes of balls, ellipsoids and merged pairs that are cut into uneven voxels at random places."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.measure import axial_diameters, long_axis_mm, max_3d_diameter, volume_ml
from hepar.measure.size import Sizes, sizes
from hepar.record import Geometry

Spacing = tuple[float, float, float]


def body(
    semi_axes_mm: tuple[float, float, float], spacing: Spacing, rng: np.random.Generator, gap_mm: float = 0.0
) -> NDArray[np.bool_]:
    """An ellipsoid (z, y, x), or two of them gap_mm apart along x, at a random sub-voxel place, turned in the plane."""
    reach = max(semi_axes_mm) + gap_mm / 2
    grids = [np.arange(-np.ceil(reach / s) - 1, np.ceil(reach / s) + 2) * s + s * (rng.random() - 0.5) for s in spacing]
    z, y, x = np.meshgrid(*grids, indexing="ij", sparse=True)
    turn = rng.uniform(0, np.pi)
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    c, b, a = semi_axes_mm
    inside = [(z / c) ** 2 + (across / b) ** 2 + ((along + side * gap_mm / 2) / a) ** 2 <= 1 for side in (-1, 1)]
    return np.asarray(inside[0] | inside[1])


def measured(mask: NDArray[np.bool_], spacing: Spacing) -> Sizes:
    return sizes(mask, Geometry.regular(mask.shape, spacing))


LARGE = [
    ((12.8, 12.8, 12.8), (3.2, 0.8, 0.7), 0.0),
    ((20.0, 20.0, 20.0), (5.0, 0.7, 0.7), 0.0),
    ((8.0, 6.0, 12.0), (2.0, 0.9, 0.6), 0.0),
    ((10.0, 10.0, 10.0), (2.5, 0.8, 0.8), 12.0),
]


@pytest.mark.parametrize(("semi_axes", "spacing", "gap"), LARGE)
def test_bodies_of_eight_slice_steps_are_right_within_a_voxel(
    semi_axes: tuple[float, float, float], spacing: Spacing, gap: float
) -> None:
    """From eight slice steps in diameter: volume within 2 %, each diameter within one voxel diagonal."""
    found = measured(body(semi_axes, spacing, np.random.default_rng(1), gap), spacing)
    c, b, a = semi_axes
    diagonal = float(np.linalg.norm(spacing))
    ball = 4 / 3 * np.pi * a * b * c
    volume = 2 * ball - np.pi * (4 * a + gap) * (2 * a - gap) ** 2 / 12 if gap else ball
    assert found.volume_ml.estimate == pytest.approx(volume / 1000, rel=0.02)
    assert found.long_axis.length_mm.estimate == pytest.approx(2 * a + gap, abs=diagonal)
    assert found.short_axis.length_mm.estimate == pytest.approx(2 * b, abs=diagonal)
    assert found.max_3d.length_mm.estimate == pytest.approx(2 * a + gap, abs=diagonal)


SMALL = [
    ((5.0, 5.0, 5.0), (2.5, 0.8, 0.8), 0.0),
    ((15.0, 15.0, 15.0), (5.0, 0.7, 0.7), 0.0),
    ((6.0, 4.0, 9.0), (3.0, 1.0, 0.8), 0.0),
    ((5.0, 5.0, 5.0), (2.5, 0.8, 0.8), 6.0),
]


@pytest.mark.parametrize(("semi_axes", "spacing", "gap"), SMALL)
def test_small_bodies_are_right_on_average_and_their_intervals_hold(
    semi_axes: tuple[float, float, float], spacing: Spacing, gap: float
) -> None:
    """Below eight slice steps, over 50 random places: mean volume and long axis within 1 %, intervals hold in 90 %."""
    rng = np.random.default_rng(20)
    found = [measured(body(semi_axes, spacing, rng, gap), spacing) for _ in range(50)]
    c, b, a = semi_axes
    ball = 4 / 3 * np.pi * a * b * c / 1000
    volume = 2 * ball - np.pi * (4 * a + gap) * (2 * a - gap) ** 2 / 12000 if gap else ball
    checks = [([f.volume_ml for f in found], volume), ([f.long_axis.length_mm for f in found], 2 * a + gap)]
    for estimates, true in checks:
        assert np.mean([e.estimate for e in estimates]) == pytest.approx(true, rel=0.01)
    for estimates, true in [*checks, ([f.short_axis.length_mm for f in found], 2 * b)]:
        assert np.mean([e.low <= true <= e.high for e in estimates]) >= 0.9


def test_the_three_diameters_keep_their_order() -> None:
    """Of round bodies too, where voxels decide which line is the longest: short <= long <= largest."""
    rng = np.random.default_rng(9)
    for _ in range(12):
        found = measured(body((5.0, 5.0, 5.0), (1.6, 0.8, 0.8), rng), (1.6, 0.8, 0.8))
        short, long, largest = (d.length_mm.estimate or 0.0 for d in (found.short_axis, found.long_axis, found.max_3d))
        assert 0.0 < short <= long <= largest


def test_the_outline_alone_would_be_too_long() -> None:
    """What the correction is for: a 10 mm ball's voxel corners lie 5 % or more apart than the ball is wide."""
    from hepar.measure.outline import outline_sizes

    rng = np.random.default_rng(2)
    spacing = (2.5, 0.8, 0.8)
    masks = [body((5.0, 5.0, 5.0), spacing, rng) for _ in range(20)]
    raw = [outline_sizes(m, Geometry.regular(m.shape, spacing).affine).long.length_mm for m in masks]
    assert np.mean(raw) > 10.5


def test_the_ends_of_a_diameter_are_as_far_apart_as_it_says() -> None:
    """start and end: LPS points at the estimated length, in the slice that is named."""
    spacing = (2.5, 0.8, 0.7)
    mask = body((8.0, 6.0, 9.0), spacing, np.random.default_rng(4))
    geometry = Geometry.regular(mask.shape, spacing, (10.0, -20.0, 30.0))
    found = sizes(mask, geometry)
    for diameter in (found.long_axis, found.short_axis, found.max_3d):
        ends = np.array([diameter.start_lps_mm, diameter.end_lps_mm])
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(diameter.length_mm.estimate)
    for diameter in (found.long_axis, found.short_axis):
        assert geometry.to_index([diameter.start_lps_mm])[0, 0] == pytest.approx(found.slice_index)
    across = np.subtract(found.short_axis.end_lps_mm, found.short_axis.start_lps_mm)
    along = np.subtract(found.long_axis.end_lps_mm, found.long_axis.start_lps_mm)
    assert abs(across @ along) < 1e-3


def test_a_tilted_series_measures_in_its_own_planes() -> None:
    """Slices sheared by a tilted gantry: the volume is that of the body, the diameters those in the acquired planes."""
    spacing = (2.0, 0.8, 0.8)
    mask = body((9.0, 9.0, 9.0), spacing, np.random.default_rng(5))
    upright = Geometry.regular(mask.shape, spacing)
    affine = upright.affine.copy()
    affine[1, 0] = 0.7
    tilted = Geometry(mask.shape, affine)
    a, b = sizes(mask, upright), sizes(mask, tilted)
    assert b.volume_ml.estimate == pytest.approx(a.volume_ml.estimate)
    assert b.long_axis.length_mm.estimate == pytest.approx(a.long_axis.length_mm.estimate, abs=0.3)


def test_turned_and_flipped_grids_measure_the_same() -> None:
    """The same mask with its axes turned in space: the same sizes."""
    spacing = (2.5, 0.8, 0.7)
    mask = body((8.0, 6.0, 9.0), spacing, np.random.default_rng(6))
    upright = Geometry.regular(mask.shape, spacing)
    angle = 0.4
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    a, b = sizes(mask, upright), sizes(mask, Geometry(mask.shape, turn @ upright.affine))
    for one, other in ((a.long_axis, b.long_axis), (a.short_axis, b.short_axis), (a.max_3d, b.max_3d)):
        assert other.length_mm.estimate == pytest.approx(one.length_mm.estimate, rel=1e-6)


def test_one_voxel_has_a_size() -> None:
    """A single voxel: its own volume, and diameters that hold an interval from zero up."""
    mask = np.zeros((3, 3, 3), bool)
    mask[1, 1, 1] = True
    found = measured(mask, (2.0, 1.0, 1.0))
    assert found.volume_ml.estimate == pytest.approx(0.002)
    assert found.long_axis.length_mm.estimate is not None
    assert 0.5 < found.long_axis.length_mm.estimate < 2.0
    assert found.long_axis.length_mm.low is not None
    assert found.long_axis.length_mm.low >= 0.0
    assert found.slice_index == 1


def test_two_runs_give_the_same_numbers() -> None:
    """Nothing is random."""
    mask = body((5.0, 4.0, 6.0), (2.5, 0.8, 0.8), np.random.default_rng(7), 7.0)
    assert measured(mask, (2.5, 0.8, 0.8)) == measured(mask, (2.5, 0.8, 0.8))


def test_an_empty_mask() -> None:
    """Volume 0.0 without interval; a diameter of nothing is our fault."""
    mask = np.zeros((2, 2, 2), bool)
    geometry = Geometry.regular((2, 2, 2), (1.0, 1.0, 1.0))
    empty = volume_ml(mask, geometry)
    assert (empty.estimate, empty.low) == (0.0, None)
    with pytest.raises(Fault, match="at least one voxel"):
        long_axis_mm(mask, geometry)


def test_the_volume_of_a_large_body() -> None:
    """A box of 100 x 60 x 50 voxels of 1 x 0.8 x 0.8 mm: 192 ml; its interval is far below a percent."""
    mask = np.zeros((102, 62, 52), bool)
    mask[1:101, 1:61, 1:51] = True
    found = volume_ml(mask, Geometry.regular(mask.shape, (1.0, 0.8, 0.8)))
    assert found.estimate == pytest.approx(192.0)
    assert found.low is not None
    assert 0.99 * 192 < found.low < 192


def test_the_single_functions_are_those_of_sizes() -> None:
    """axial_diameters, long_axis_mm and max_3d_diameter read the same result."""
    spacing = (2.5, 0.8, 0.8)
    mask = body((6.0, 6.0, 6.0), spacing, np.random.default_rng(8))
    geometry = Geometry.regular(mask.shape, spacing)
    whole = sizes(mask, geometry)
    assert axial_diameters(mask, geometry) == (whole.long_axis, whole.short_axis, whole.slice_index)
    assert long_axis_mm(mask, geometry) == whole.long_axis.length_mm
    assert max_3d_diameter(mask, geometry) == whole.max_3d
