"""Exact lines on voxel outlines, against figures worked out by hand and the IBSI phantoms."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepar.measure.outline import (
    corner_points,
    face_points,
    farthest_pair,
    longest_chord,
    longest_line,
    outline_sizes,
    plane_metric,
)
from hepar.record import Geometry

SQUARE = np.eye(2)


def test_the_metric_of_an_upright_grid_is_its_spacing() -> None:
    """2.5 x 0.8 x 0.7 mm voxels: 0.8 mm per row, 0.7 mm per column."""
    np.testing.assert_allclose(plane_metric(Geometry.regular((1, 1, 1), (2.5, 0.8, 0.7)).affine), np.diag([0.8, 0.7]))


def test_the_metric_keeps_lengths_and_angles_of_an_oblique_plane() -> None:
    """Any in-plane vector is as long after the metric as in the world, sheared rows included."""
    affine = np.eye(4)
    affine[:3, :3] = [[0.1, 0.2, 0.6], [0.3, 0.7, 0.1], [2.0, -0.2, 0.3]]
    metric = plane_metric(affine)
    rng = np.random.default_rng(3)
    for _ in range(5):
        a, b = rng.normal(size=(2, 2))
        world = (affine[:3, 1:3] @ a) @ (affine[:3, 1:3] @ b)
        assert (metric @ a) @ (metric @ b) == pytest.approx(world)


def test_a_rectangle_measures_its_diagonal_corner_to_corner() -> None:
    """3 rows of 0.8 mm and 5 columns of 0.7 mm: sqrt(2.4^2 + 3.5^2) mm."""
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:8] = True
    line = longest_line(mask, np.diag([0.8, 0.7]))
    assert line.length_mm == pytest.approx(np.hypot(2.4, 3.5))
    assert {line.start, line.end} in ({(1.5, 2.5), (4.5, 7.5)}, {(1.5, 7.5), (4.5, 2.5)})


def test_the_perpendicular_of_a_rectangles_diagonal() -> None:
    """In a w x h rectangle (w > h) the longest chord at right angles to the diagonal d is h * d / w long."""
    mask = np.ones((3, 5), bool)
    metric = np.diag([0.8, 0.7])
    chord = longest_chord(mask, metric, longest_line(mask, metric))
    assert chord.length_mm == pytest.approx(2.4 * np.hypot(3.5, 2.4) / 3.5, abs=1e-4)


def test_the_perpendicular_stays_inside_a_hollow_outline() -> None:
    """A U of 1 x 9 with arms of 3: across the long axis no chord bridges the gap between the arms."""
    mask = np.zeros((4, 9), bool)
    mask[0] = mask[:, 0] = mask[:, 8] = True
    line = longest_line(mask, SQUARE)
    chord = longest_chord(mask, SQUARE, line)
    assert line.length_mm == pytest.approx(np.hypot(4, 9))
    assert chord.length_mm < 4.2
    along = np.array(line.end) - np.array(line.start)
    assert abs(along @ (np.array(chord.end) - np.array(chord.start))) < 1e-4


def test_one_pixel() -> None:
    """A single 1 mm pixel: its diagonal, and the other diagonal at right angles."""
    mask = np.ones((1, 1), bool)
    line = longest_line(mask, SQUARE)
    assert line.length_mm == pytest.approx(np.sqrt(2))
    assert longest_chord(mask, SQUARE, line).length_mm == pytest.approx(np.sqrt(2), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_longest_line_is_that_of_all_pairs_of_corners(seed: int) -> None:
    """Any mask: as long as the farthest of all its pixels' corners, tried one by one."""
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 7)) < 0.3
    mask[rng.integers(6), rng.integers(7)] = True
    at = np.argwhere(mask).astype(float)
    corners = np.concatenate([at + np.array([r, c]) for r in (-0.5, 0.5) for c in (-0.5, 0.5)]) * [0.8, 0.7]
    every = np.linalg.norm(corners[:, None] - corners[None], axis=2).max()
    assert longest_line(mask, np.diag([0.8, 0.7])).length_mm == pytest.approx(every)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3]))
def test_the_farthest_pair_of_many_points(seed: int, dimensions: int) -> None:
    """With hull and short cuts as without."""
    points = np.random.default_rng(seed).normal(size=(500, dimensions)) * np.arange(1, dimensions + 1)
    every = np.linalg.norm(points[:, None] - points[None], axis=2)
    length, a, b = farthest_pair(points)
    assert length == pytest.approx(every.max(), rel=1e-12)
    assert every[a, b] == pytest.approx(every.max(), rel=1e-12)


def test_the_slice_of_the_long_axis_is_the_widest_one() -> None:
    """Bars of 3, 7 and 5 pixels in three slices: slice 1, 7 x 1 mm."""
    mask = np.zeros((3, 2, 9), bool)
    for k, n in enumerate((3, 7, 5)):
        mask[k, 0, :n] = True
    found = outline_sizes(mask, Geometry.regular(mask.shape, (2.0, 1.0, 1.0)).affine)
    assert found.slice_index == 1
    assert found.long.length_mm == pytest.approx(np.hypot(7, 1))


def test_of_equal_slices_the_first_is_taken() -> None:
    """Three equal slices: slice 0."""
    mask = np.ones((3, 4, 4), bool)
    assert outline_sizes(mask, np.eye(4)).slice_index == 0


# The digital phantom of the Image Biomarker Standardisation Initiative (IBSI 1), CC BY 4.0, (column, row, slice).
# Zwanenburg et al., Radiology 2020;295:328. All voxels but these belong to it.
IBSI_OUTSIDE = [(0, 2, 1), (2, 2, 2), (3, 0, 2), (3, 0, 3), (4, 0, 2), (4, 0, 3)]


def test_ibsi_digital_phantom() -> None:
    """592 mm3 in 74 voxels (YEKZ, tolerance 4) and a largest diameter of 13.1 mm (L0JK, tolerance 0.1)."""
    mask = np.ones((5, 4, 4), bool)
    mask[tuple(np.array(IBSI_OUTSIDE).T)] = False
    assert mask.sum() * 8.0 == pytest.approx(592, abs=4)
    assert farthest_pair(face_points(mask) * 2.0)[0] == pytest.approx(13.1, abs=0.1)


def test_ibsi_ct_phantom(shared_data: Path) -> None:
    """The lung tumour of configuration A: 359 ml (tolerance 5) and 125 mm (tolerance 1)."""
    import nibabel

    image = nibabel.load(shared_data / "ibsi" / "ibsi_1_ct_radiomics_phantom" / "mask" / "mask.nii.gz")
    mask = np.asarray(image.dataobj) > 0
    spacing = np.array(image.header.get_zooms()[:3], dtype=float)
    assert mask.sum() * spacing.prod() / 1000 == pytest.approx(359, abs=5)
    assert farthest_pair(face_points(mask) * spacing)[0] == pytest.approx(125, abs=1)


def test_corners_hold_the_hull_of_every_row() -> None:
    """Four corners a row, at half pixels."""
    mask = np.array([[False, True, True], [True, False, False]])
    rows = {tuple(p) for p in corner_points(mask)}
    assert rows == {(-0.5, 0.5), (0.5, 0.5), (-0.5, 2.5), (0.5, 2.5), (1.5, -0.5), (0.5, -0.5), (1.5, 0.5)}


def test_a_longer_bar_never_measures_less() -> None:
    """One more pixel, a longer line."""
    lengths = [longest_line(np.ones((1, n), bool), SQUARE).length_mm for n in range(1, 8)]
    assert all(a < b for a, b in pairwise(lengths))
