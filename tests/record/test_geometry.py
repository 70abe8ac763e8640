"""Geometry: index and world agree, sheared grids too. Expected values by hand."""

import numpy as np
import pytest

from hepar.errors import Fault
from hepar.record import Geometry


def test_index_to_lps_by_hand():
    """Voxel (2, 3, 4) of a 5 x 0.8 x 0.7 mm grid at (10, 20, 30) lies at (12.8, 22.4, 40)."""
    grid = Geometry.regular((10, 20, 30), (5.0, 0.8, 0.7), (10.0, 20.0, 30.0))
    assert np.allclose(grid.to_lps_mm([2, 3, 4]), [12.8, 22.4, 40.0])
    assert np.allclose(grid.to_index([12.8, 22.4, 40.0]), [2, 3, 4])


def test_sheared_voxels_keep_their_volume():
    """Tilting by 15 degrees shifts each slice within its plane: the volume stays, the step grows by 1 / cos 15."""
    affine = Geometry.regular((10, 20, 30), (3.0, 1.0, 1.0)).affine.copy()
    affine[1, 0] = 3.0 * np.tan(np.radians(15.0))
    grid = Geometry((10, 20, 30), affine)
    assert grid.voxel_volume_ml == pytest.approx(0.003)
    assert grid.slice_distance_mm == pytest.approx(3.0)
    assert grid.spacing_mm[0] == pytest.approx(3.0 / np.cos(np.radians(15.0)))


def test_crop_keeps_places():
    grid = Geometry.regular((10, 20, 30), (5.0, 0.8, 0.7), (10.0, 20.0, 30.0))
    part = grid.crop((slice(2, 5), slice(3, 9), slice(4, 10)))
    assert part.shape == (3, 6, 6)
    assert np.allclose(part.to_lps_mm([1, 1, 1]), grid.to_lps_mm([3, 4, 5]))


def test_is_close_sees_a_shift_of_a_tenth():
    grid = Geometry.regular((10, 20, 30), (5.0, 0.8, 0.7))
    assert grid.is_close(Geometry.regular((10, 20, 30), (5.0, 0.8, 0.7), (0.005, 0.0, 0.0)))
    assert not grid.is_close(Geometry.regular((10, 20, 30), (5.0, 0.8, 0.7), (0.1, 0.0, 0.0)))
    assert not grid.is_close(Geometry.regular((10, 20, 31), (5.0, 0.8, 0.7)))


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.eye(3)])
def test_a_grid_without_volume_is_a_fault(bad):
    with pytest.raises(Fault):
        Geometry((2, 2, 2), bad)
