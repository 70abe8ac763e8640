"""Sampling a phase on the reference's voxels, and the boxes it happens in."""

from __future__ import annotations

import numpy as np
import pytest

from hepar.harmonise import HarmoniseSettings, align, identity, liver_box
from hepar.harmonise.residual import perfect, unknown
from hepar.record import NOT_COVERED_HU, Geometry, OrganMap, Transform, Volume

SETTINGS = HarmoniseSettings()


def _ramp(points: np.ndarray) -> np.ndarray:
    """Linear in space, so that linear sampling is exact."""
    return 3.0 * points[..., 0] - 2.0 * points[..., 1] + 4.0 * points[..., 2]


def _tilted() -> Volume:
    affine = np.array([[0.0, 0, 1.2, -30], [0, 1.1, 0.1, -28], [2.5, 0.4, 0, -30], [0, 0, 0, 1]])
    geometry = Geometry((26, 52, 50), affine)
    index = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1)
    return Volume(np.rint(10 * _ramp(geometry.to_lps_mm(index))).astype(np.int16), geometry, "CT")


def _bent() -> Transform:
    """A displacement on a grid that does not reach the box' edges: beyond it the nearest one holds."""
    matrix = np.eye(4)
    matrix[:3, :3] += [[0.02, 0.05, 0], [-0.03, 0.01, 0.04], [0, 0.02, -0.03]]
    matrix[:3, 3] = [1.0, -2.0, 3.0]
    affine = np.array([[0.0, 0.5, 6.0, -12], [0, 7.0, 0, -10], [6.5, 0, 0.3, -9], [0, 0, 0, 1]])
    field = np.random.default_rng(3).normal(0, 2, (4, 4, 5, 3)).astype(np.float32)
    return Transform(matrix, field, Geometry((4, 4, 5), affine))


@pytest.mark.parametrize("transform", [Transform.identity(), _bent()], ids=["identity", "bent"])
def test_every_voxel_comes_from_where_the_transform_says(transform: Transform) -> None:
    """A tilted phase with a linear ramp, ten units a HU: each sample is the ramp at `map_lps_mm`, rounded."""
    moving = _tilted()
    reference = Geometry.regular((40, 60, 60), (1.5, 1.0, 1.1), (-32.0, -31.0, -30.0))
    box = (slice(3, 38), slice(5, 57), slice(2, 60))
    hu = align(
        "p2", moving, reference=reference, box=box, transform=transform, residual=perfect(), settings=SETTINGS
    ).hu
    index = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    points = transform.map_lps_mm(reference.to_lps_mm(index).reshape(-1, 3)).reshape(*index.shape)
    at = moving.geometry.to_index(points)
    last = np.array(moving.geometry.shape) - 1
    within = ((at > 0.01) & (at < last - 0.01)).all(axis=-1)
    outside = ((at < -0.51) | (at > last + 0.51)).any(axis=-1)
    assert within.sum() > 20_000
    assert outside.sum() > 100
    assert (hu[outside] == NOT_COVERED_HU).all()
    assert np.abs(hu[within] - 10 * _ramp(points[within])).max() <= 1.1  # rounded when stored and when sampled
    assert abs(np.mean(hu[within] - 10 * _ramp(points[within]))) < 0.05


def test_the_reference_keeps_its_native_voxels() -> None:
    volume = _tilted()
    box = (slice(2, 9), slice(4, 30), slice(0, 50))
    same = identity("p1", volume, box)
    assert np.array_equal(same.hu, volume.array[box])
    assert same.accepted
    assert (same.residual.liver_overlap.estimate, same.residual.surface_mm.estimate) == (1.0, 0.0)


def test_a_phase_that_does_not_fit_is_sampled_but_not_accepted() -> None:
    volume = _tilted()
    box = (slice(0, 4), slice(0, 5), slice(0, 6))
    found = align(
        "p2", volume, reference=volume.geometry, box=box, transform=Transform.identity(),
        residual=unknown("no liver there"), settings=SETTINGS,
    )  # fmt: skip
    assert (found.accepted, found.reason) == (False, "no liver there")
    assert np.array_equal(found.hu, volume.array[box])


def test_a_folded_transform_is_not_accepted() -> None:
    """A displacement that turns space inside out somewhere."""
    field = np.zeros((3, 3, 3, 3), np.float32)
    field[1, 1, 1, 0] = -25.0
    transform = Transform(np.eye(4), field, Geometry.regular((3, 3, 3), (10.0, 10.0, 10.0)))
    volume = _tilted()
    found = align(
        "p2", volume, reference=volume.geometry, box=(slice(0, 2),) * 3, transform=transform, residual=perfect(),
        settings=SETTINGS,
    )  # fmt: skip
    assert not found.accepted
    assert "change their volume" in found.reason


def test_the_box_holds_the_liver_and_its_margin() -> None:
    """A cube of 30 mm around the origin on 1 x 2 x 3 mm voxels, margin 10 mm: from -25 to 25 mm along each axis."""
    grid = Geometry.regular((30, 30, 30), (3.0, 3.0, 3.0), (-43.5, -43.5, -43.5))
    labels = np.zeros((30, 30, 30), np.uint8)
    labels[10:20, 10:20, 10:20] = 1
    organs = OrganMap(labels, np.zeros_like(labels), grid)
    native = Geometry.regular((101, 51, 41), (1.0, 2.0, 3.0), (-60.0, -50.0, -50.0))
    box = liver_box(organs, native, 10.0)
    low = native.to_lps_mm([s.start for s in box])
    high = native.to_lps_mm([s.stop - 1 for s in box])
    assert (low <= -25).all()
    assert (high >= 25).all()
    assert (np.abs(low + 25) < 3).all()
    assert (np.abs(high - 25) < 4).all()
    nothing = OrganMap(np.zeros_like(labels), np.zeros_like(labels), grid)
    assert liver_box(nothing, native, 10.0) == (slice(0, 101), slice(0, 51), slice(0, 41))
