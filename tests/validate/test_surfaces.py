"""Surface distances: phantoms whose numbers were worked out by hand."""

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.validate.surfaces import SurfaceDistances, bounding_box, surface_distances


def box(shape, low, high):
    made = np.zeros(shape, bool)
    made[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return made


def test_distances_of_weighted_pieces_by_hand():
    """Pieces of 0 and 3 mm with 3 and 1 mm2 one way, of 4 mm with 4 mm2 the other: mean (3 + 16) / 8, mean square
    (9 + 64) / 8, largest 4; 3 of 8 mm2 lie within 2 mm, 4 within 3 mm."""
    made = SurfaceDistances(np.array([0.0, 3.0]), np.array([3.0, 1.0]), np.array([4.0]), np.array([4.0]))
    assert made.assd_mm == pytest.approx(19 / 8)
    assert made.rmsd_mm == pytest.approx((73 / 8) ** 0.5)
    assert made.hd100_mm == 4.0
    assert made.hd95_mm == 4.0
    assert made.hausdorff_mm(75.0) == 4.0
    assert made.nsd(2.0) == pytest.approx(3 / 8)
    assert made.nsd(3.0) == pytest.approx(4 / 8)


@pytest.mark.parametrize(("axis", "spacing"), [(0, 2.5), (1, 0.8), (2, 0.7)])
def test_a_large_slab_moved_along_an_axis_is_as_far_off_as_it_was_moved(axis, spacing):
    """Three voxels along one axis: the largest distance is three voxels of that axis, and by its sides (distance 0 or
    less than that) RMSD and mean lie between 0 and it, RMSD above the mean."""
    low, high = np.array([5, 8, 8]), np.array([15, 30, 30])
    moved = np.eye(3, dtype=int)[axis] * 3
    ref, pred = box((24, 40, 40), low, high), box((24, 40, 40), low + moved, high + moved)
    found = surface_distances(pred, ref, (2.5, 0.8, 0.7))
    assert found.hd100_mm == pytest.approx(3 * spacing)
    assert 0 < found.assd_mm < found.rmsd_mm < found.hd100_mm


def test_two_single_voxels_are_as_far_apart_as_their_centres():
    """Each voxel's surface is eight like pieces; those facing the other are nearest. Moved by (1, 3, 4) voxels of
    2 x 1 x 1 mm every piece has its nearest at a piece one voxel nearer along each axis, or at its own image."""
    ref, pred = box((6, 12, 12), (1, 1, 1), (2, 2, 2)), box((6, 12, 12), (2, 4, 5), (3, 5, 6))
    found = surface_distances(pred, ref, (2.0, 1.0, 1.0))
    corners = np.array([(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    moved = corners + np.array([1, 3, 4])
    apart = np.array([[np.linalg.norm((a - b) * (2, 1, 1)) for b in corners] for a in moved])
    nearest = np.sort(apart.min(axis=1))
    assert found.pred_to_ref_mm.tolist() == pytest.approx(nearest.tolist())
    assert found.hd100_mm == pytest.approx(nearest.max())
    assert found.rmsd_mm == pytest.approx(np.sqrt(np.mean(nearest**2)))
    assert found.assd_mm == pytest.approx(nearest.mean())


def test_a_false_lesion_far_away_sets_the_largest_distance_and_not_the_95_percent():
    """One voxel 90 mm beside a large box: HD100 about 90 mm, HD95 0."""
    ref = box((8, 30, 130), (1, 1, 1), (7, 29, 29))
    pred = ref.copy()
    pred[4, 15, 118] = True
    found = surface_distances(pred, ref, (1.0, 1.0, 1.0))
    assert found.hd100_mm == pytest.approx(90.0)
    assert found.hd95_mm == 0.0
    assert found.nsd(0.0) < 1.0


def test_the_same_mask_has_distance_zero_and_the_place_in_the_array_does_not_matter():
    one, other = box((9, 9, 9), (0, 0, 0), (3, 4, 5)), box((9, 9, 9), (6, 5, 4), (9, 9, 9))
    for mask in (one, other):
        found = surface_distances(mask, mask, (3.0, 1.0, 1.0))
        assert (found.assd_mm, found.rmsd_mm, found.hd100_mm, found.nsd(0.0)) == (0.0, 0.0, 0.0, 1.0)
    assert surface_distances(one, one, (3, 1, 1)).pred_area_mm2.sum() == pytest.approx(
        surface_distances(other, other, (3, 1, 1)).pred_area_mm2.sum()
    )


def test_empty_masks_follow_the_stated_rule():
    empty, full = np.zeros((4, 4, 4), bool), box((4, 4, 4), (0, 0, 0), (2, 2, 2))
    both = surface_distances(empty, empty, (1, 1, 1))
    assert (both.assd_mm, both.hd95_mm, both.nsd(1.0), both.missing) == (0.0, 0.0, 1.0, "")
    one = surface_distances(empty, full, (1, 1, 1))
    assert (one.assd_mm, one.rmsd_mm, one.hd100_mm, one.nsd(5.0)) == (None, None, None, 0.0)
    assert one.missing == "the prediction is empty"
    assert surface_distances(full, empty, (1, 1, 1)).missing == "the reference is empty"


def test_boxes_of_one_and_several_maps():
    one, other = box((5, 6, 7), (1, 2, 3), (2, 4, 5)), box((5, 6, 7), (3, 0, 6), (5, 1, 7))
    assert bounding_box(one) == (slice(1, 2), slice(2, 4), slice(3, 5))
    assert bounding_box(one, other) == (slice(1, 5), slice(0, 4), slice(3, 7))
    assert bounding_box(np.zeros((2, 2, 2), np.uint8)) is None
    assert bounding_box(-1 * one.astype(np.int16)) == bounding_box(one)


def test_what_is_no_pair_of_masks_is_refused():
    one = np.zeros((2, 2, 2), bool)
    with pytest.raises(WrongCall, match="three positive millimetres"):
        surface_distances(one, one, (1.0, 0.0, 1.0))
    with pytest.raises(WrongCall, match="2 axes; needed: three"):
        surface_distances(one[0], one[0], (1, 1, 1))
    with pytest.raises(WrongCall, match="the tolerance is -1 mm"):
        surface_distances(one, one, (1, 1, 1)).nsd(-1.0)
