"""Records are valid once built."""

import numpy as np
import pytest

from hepar.errors import Fault
from hepar.record import Anatomy, Estimate, Geometry, SourceLayout, Transform, Vein, Volume, derived_uid


def test_an_estimate_has_a_number_or_a_reason():
    assert Estimate.cannot_tell("no lesion").missing == "no lesion"
    for wrong in ({"estimate": None}, {"estimate": 1.0, "missing": "why"}, {"estimate": float("nan")}):
        with pytest.raises(Fault):
            Estimate(**wrong)
    with pytest.raises(Fault):
        Estimate(1.0, low=2.0, high=1.0)
    with pytest.raises(Fault):
        Estimate(1.0, low=2.0)


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (False, True, False)])
def test_layout_goes_there_and_back(permutation, flips):
    source = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    layout = SourceLayout(permutation, flips)
    assert np.array_equal(layout.to_source(layout.from_source(source)), source)


def test_volume_and_grid_must_fit():
    grid = Geometry.regular((2, 3, 4), (1.0, 1.0, 1.0))
    with pytest.raises(Fault):
        Volume(np.zeros((2, 3, 5), np.int16), grid, "CT")
    with pytest.raises(Fault):
        Volume(np.zeros((2, 3, 4), np.float32), grid, "CT")


def test_every_lesion_has_a_confidence():
    grid = Geometry.regular((1, 1, 2), (1.0, 1.0, 1.0))
    lesions = np.array([[[0, 1]]], np.uint16)
    flat, veins = np.zeros((1, 1, 2), bool), np.zeros((1, 1, 2), np.uint8)
    assert Anatomy(grid, flat, lesions, veins, (0.5,)).confidence == (0.5,)
    with pytest.raises(Fault):
        Anatomy(grid, flat, lesions, veins, ())


def test_veins_are_values_of_their_list():
    """A mask of vessels alone does not say which tree they belong to, and is not taken for portal veins."""
    grid = Geometry.regular((1, 1, 4), (1.0, 1.0, 1.0))
    nothing = np.zeros((1, 1, 4), np.uint16)
    veins = np.array([[[Vein.NONE, Vein.PORTAL, Vein.HEPATIC, Vein.UNKNOWN]]], np.uint8)
    assert Anatomy(grid, nothing > 0, nothing, veins).vessels.tolist() == [[[False, True, True, True]]]
    for wrong in (veins > 0, veins + np.uint8(1), veins[..., :2]):
        with pytest.raises(Fault):
            Anatomy(grid, nothing > 0, nothing, wrong)


def test_transform_by_hand():
    """A displacement of (1, 0, 0) everywhere, then a shift of (0, 0, 10)."""
    grid = Geometry.regular((2, 2, 2), (10.0, 10.0, 10.0))
    field = np.zeros((2, 2, 2, 3), np.float32)
    field[..., 0] = 1.0
    matrix = np.eye(4)
    matrix[2, 3] = 10.0
    moved = Transform(matrix, field, grid).map_lps_mm([[5.0, 5.0, 5.0], [99.0, 0.0, 0.0]])
    assert np.allclose(moved, [[6.0, 5.0, 15.0], [100.0, 0.0, 10.0]])


def test_derived_uids_are_valid_and_repeat():
    """DICOM PS3.5 9.1: at most 64 characters of digits and dots; the same parts give the same UID."""
    uid = derived_uid("a", "b")
    assert uid == derived_uid("a", "b") != derived_uid("ab")
    assert uid.startswith("2.25.")
    assert len(uid) <= 44
    assert not uid.split(".")[2].startswith("0")
