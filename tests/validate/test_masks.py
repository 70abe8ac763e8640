"""Masks: phantoms whose numbers were worked out by hand."""

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import mean, of_sums, ratio
from hepar.validate.case import measure_case, measure_masks
from hepar.validate.detection import (
    CaseLesions,
    case_lesions,
    lesion_wise,
    long_axes_mm,
    patient_wise,
    patients_by_size,
)
from hepar.validate.matching import match_lesions
from hepar.validate.overlap import counts, pooled
from hepar.validate.surfaces import piece_areas


def boxes(shape, *corners):
    mask = np.zeros(shape, bool)
    for low, high in corners:
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_overlap_measures_of_two_boxes_by_hand():
    """64 and 48 voxels, 32 shared: Dice 64/112, Jaccard 32/80, VOE 48/80, RVD -16/64 and 16/48."""
    ref, pred = boxes((6, 8, 8), ((0, 0, 0), (4, 4, 4))), boxes((6, 8, 8), ((0, 0, 2), (4, 4, 5)))
    found = counts(pred, ref)
    assert (found.pred, found.ref, found.both) == (48, 64, 32)
    assert found.dice == pytest.approx(64 / 112)
    assert found.jaccard == pytest.approx(0.4)
    assert found.voe == pytest.approx(0.6)
    assert found.rvd_over_ref.estimate == pytest.approx(-0.25)
    assert found.rvd_over_pred.estimate == pytest.approx(1 / 3)
    assert pooled([found, found]).dice == pytest.approx(64 / 112)


def test_volume_and_missing_distances():
    ref = boxes((4, 4, 4), ((0, 0, 0), (2, 2, 2)))
    found = measure_masks(np.zeros((4, 4, 4), bool), ref, (2.5, 2.0, 1.0))
    assert found.ref_ml == pytest.approx(8 * 5 / 1000)
    assert found.hd95_mm == Estimate.cannot_tell("the prediction is empty")
    assert found.rvd_over_ref.estimate == -1.0
    assert found.rvd_over_pred.missing == "the prediction is empty"
    both = measure_masks(np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool), (1, 1, 1))
    assert (both.dice, both.voe, both.hd100_mm.estimate, both.nsd, both.rvd_over_ref.estimate) == (
        1.0,
        0.0,
        0.0,
        1.0,
        0,
    )


def test_area_of_the_simplest_surface_pieces():
    """One corner cuts a triangle; four corners of a face a rectangle of y by x spacing; its complement the same."""
    areas = piece_areas((2.0, 0.5, 1.0))
    triangle = 0.5 * np.linalg.norm(np.cross([-1.0, 0.25, 0.0], [-1.0, 0.0, 0.5]))
    assert areas[1] == pytest.approx(triangle)
    assert areas[0b00001111] == pytest.approx(0.5)
    assert areas[0b11110000] == pytest.approx(0.5)
    assert areas[0b10000001] == pytest.approx(2 * triangle)
    assert areas[0] == areas[255] == 0.0


def test_every_surface_piece_is_mirrored_alike():
    """A filling and its mirror image along z have the same area."""
    areas = piece_areas((1.0, 1.0, 1.0))
    for code in range(256):
        assert areas[code] == pytest.approx(areas[(code >> 4) | ((code & 15) << 4)])


def test_long_axis_of_a_box_is_its_diagonal():
    """3 x 4 voxels of 1 mm in a slice: 5 mm, corner to corner; slice thickness does not count."""
    labels = boxes((9, 9, 9), ((0, 0, 0), (8, 3, 4))).astype(np.int32)
    assert long_axes_mm(labels, (7.0, 1.0, 1.0)).tolist() == [5.0]


def lesion_case(patient, ref, pred):
    """ref, pred: (millimetres, found or true) each."""
    columns = (np.array(pairs, float).reshape(-1, 2).T for pairs in (ref, pred))
    return CaseLesions(patient, *(line for both in columns for line in both))


def test_lesion_wise_table_by_size_by_hand():
    """Lesions of 5 (missed), 10, 20 (found), 30 mm (missed); predictions of 12, 18 (right) and 8 mm (false)."""
    cases = [
        lesion_case("a", [(5, 0), (10, 1)], [(12, 1)]),
        lesion_case("b", [(20, 1), (30, 0)], [(18, 1), (8, 0)]),
    ]
    every, small, middle, large = lesion_wise(cases, draws=50)
    assert (every.lesions, every.found, every.predictions, every.false) == (4, 2, 3, 1)
    assert every.recall.estimate == 0.5
    assert every.precision.estimate == pytest.approx(2 / 3)
    assert every.f1.estimate == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert every.false_per_case.estimate == 0.5
    assert (small.lesions, small.found, small.false) == (1, 0, 1)
    assert (middle.lesions, middle.found, middle.predictions) == (2, 2, 2)
    assert (large.lesions, large.found, large.predictions) == (1, 0, 0)
    assert large.precision.missing == "no prediction of this size"


def test_patient_wise_table_joins_the_examinations_of_a_patient():
    cases = [
        CaseLesions("a", np.array([5.0]), np.array([0.0]), np.zeros(0), np.zeros(0)),
        CaseLesions("a", np.zeros(0), np.zeros(0), np.array([9.0]), np.array([0.0])),
        CaseLesions("b", np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)),
        CaseLesions("c", np.zeros(0), np.zeros(0), np.array([9.0]), np.array([0.0])),
    ]
    table = patient_wise(cases)
    assert (table.tp, table.fp, table.fn, table.tn) == (1, 1, 0, 1)


def test_interval_draws_patients_and_not_lesions():
    """Ten lesions each of one fate per patient: the interval is that of 20 patients, wider than that of 200 lesions."""
    found = np.repeat([1.0, 0.0], 10)
    clustered = of_sums(np.column_stack([found * 10, np.full(20, 10.0)]), ratio, why_none="", draws=2000)
    assert clustered.high - clustered.low == pytest.approx(2 * 1.96 * (0.25 / 20) ** 0.5, rel=0.1)
    split = mean(np.repeat(found, 10), patients=np.repeat(np.arange(20), 10))
    assert split.high - split.low == pytest.approx(clustered.high - clustered.low, rel=0.1)


def test_the_same_seed_draws_the_same():
    values = np.arange(30.0)
    assert mean(values) == mean(values)


def test_a_case_is_measured_by_structure():
    ref = np.zeros((6, 12, 12), np.uint8)
    ref[1:5, 2:10, 2:10] = 1
    ref[2:4, 4:7, 4:8] = 2
    pred = ref.copy()
    pred[pred == 2] = 1
    found = measure_case(
        "x", pred, ref, (2.0, 1.0, 1.0), structures={"liver": (1, 2), "lesions": (2,)}, lesions="lesions"
    )
    assert found.structures["liver"].dice == 1.0
    assert found.structures["lesions"].dice == 0.0
    assert found.lesions.ref_mm.tolist() == [5.0]
    assert found.lesions.ref_found.tolist() == [0.0]


def test_labels_that_nobody_declared_are_refused():
    ref = np.full((3, 3, 3), 3, np.uint8)
    with pytest.raises(WrongCall, match="which were not declared"):
        measure_case("x", ref, ref, (1, 1, 1), structures={"liver": (1,)}, lesions=None)


def test_detection_of_one_case_from_its_match():
    ref, pred = boxes((4, 8, 16), ((0, 0, 0), (4, 4, 4))), boxes((4, 8, 16), ((0, 0, 1), (4, 4, 4)))
    found = case_lesions(match_lesions(pred, ref), (1, 1, 1), patient="a")
    assert found.ref_found.tolist() == found.pred_true.tolist() == [1.0]
    assert found.pred_mm.tolist() == [5.0]


def test_where_all_or_none_are_found_each_patient_counts_once():
    """Three patients with 12 lesions, all found: Wilson's interval of 3 of 3, not of 12; none false in 4 cases: at most
    3.69 / 4 a case (Poisson, 97.5 %)."""
    cases = [lesion_case(name, [(30, 1)] * 4, [(30, 1)] * 4) for name in "abc"]
    cases.append(lesion_case("d", [], []))
    every = lesion_wise(cases, draws=50)[0]
    assert (every.recall.estimate, every.recall.high) == (1.0, 1.0)
    # 3 / (3 + 1.959964 squared)
    assert every.recall.low == pytest.approx(3 / (3 + 1.959964**2), abs=1e-6)
    assert every.precision.low == every.recall.low
    assert every.false_per_case.high == pytest.approx(3.688879 / 4, abs=1e-6)
    assert lesion_wise(cases, draws=50)[1].recall.missing == "no lesion of this size"


def test_patients_are_sorted_by_their_largest_lesion():
    """a: 8 and 25 mm, only the small one found; b: 12 mm missed, a false one elsewhere; c: 9 mm missed, nothing."""
    cases = [lesion_case("a", [(8, 1), (25, 0)], [(8, 1)]), lesion_case("b", [(12, 0)], [(7, 0)]),
             lesion_case("c", [(9, 0)], []), lesion_case("d", [], [])]  # fmt: skip
    every, small, middle, large = patients_by_size(cases)
    assert [one.patients for one in (every, small, middle, large)] == [3, 1, 1, 1]
    assert [one.suspected.estimate for one in (small, middle, large)] == [0.0, 1.0, 1.0]
    assert [one.found.estimate for one in (small, middle, large)] == [0.0, 0.0, 1.0]
    assert every.found.estimate == pytest.approx(1 / 3)
