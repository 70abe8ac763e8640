"""The LiTS scores: beside the organisers' own code, and by hand where that goes wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.validate.lits import CORRECTED, LARGE, NOTEBOOK, SCORER, lits_case, lits_set
from hepar.validate.lits_published import found_as_published

THEIRS = json.loads((Path(__file__).parent / "reference" / "lits_expected.json").read_text())
NAMES = {"assd": "assd_mm", "rmsd": "rmsd_mm", "msd": "msd_mm"}


def mask(*boxes):
    made = np.zeros(THEIRS["shape"], bool)
    for box in boxes:
        made[tuple(slice(a, b) for a, b in box)] = True
    return made


def scored(case, version):
    pred, ref = mask(*case["pred"]), mask(*case["ref"])
    return lits_case(pred, ref, THEIRS["spacing_mm"], version=version, pred_liver=mask(case["pred_liver"]) | pred,
                     ref_liver=mask(case["ref_liver"]) | ref)  # fmt: skip


def number(outline, name):
    value = getattr(outline, NAMES.get(name, name))
    return value if isinstance(value, float) else value.estimate


@pytest.mark.parametrize("index", range(len(THEIRS["cases"])))
def test_every_case_as_the_scorer_scores_it(index):
    """calc_metric.py and evaluate.py of lits-challenge-scoring: see reference/make_lits.py."""
    case = THEIRS["cases"][index]
    want, got = case["scorer"], scored(case, SCORER)
    assert (got.true, got.false, got.missed) == (want["true"], want["false"], want["missed"])
    assert got.lesion.dice == pytest.approx(want["dice"])
    assert got.burden_error.estimate == pytest.approx(want["burden_error"])
    for name, value in want["liver"].items():
        assert number(got.liver, name) == pytest.approx(value)
    if want["true"] > 0:
        for name, values in want["found"].items():
            assert [number(one, name) for one in got.found] == pytest.approx(values)


@pytest.mark.parametrize("index", range(len(THEIRS["cases"])))
def test_every_case_as_the_notebook_scores_it(index):
    case = THEIRS["cases"][index]
    got = scored(case, NOTEBOOK)
    assert got.true is got.false is got.missed is None
    for name, value in case["notebook"].items():
        assert number(got.lesion, name) == (value if value is None else pytest.approx(value))


def test_the_phantoms_hold_what_sets_the_versions_apart():
    """Merges, nothing found, an empty prediction, an empty reference, and a count that the two slips change."""
    published = [scored(case, SCORER) for case in THEIRS["cases"]]
    corrected = [scored(case, CORRECTED) for case in THEIRS["cases"]]
    assert any(one.true < 0 for one in published)
    assert any(one.true > other.true for one, other in zip(published, corrected, strict=True))
    assert any(one.true < other.true for one, other in zip(published, corrected, strict=True))
    assert {bool(case["pred"]) for case in THEIRS["cases"]} == {bool(case["ref"]) for case in THEIRS["cases"]} == {
        True, False}  # fmt: skip


def boxes(shape, *corners):
    made = np.zeros(shape, bool)
    for low, high in corners:
        made[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return made


def test_one_prediction_over_two_lesions_is_found_as_published_and_not_when_corrected():
    """4 x 4 x 5 voxels over two of 4 x 4 x 2: merged, IoU 64/80; one by one 32/80. The scorer still counts a miss."""
    shape = (6, 12, 20)
    ref = boxes(shape, ((1, 2, 2), (5, 6, 4)), ((1, 2, 5), (5, 6, 7)))
    pred = boxes(shape, ((1, 2, 2), (5, 6, 7)))
    published, corrected = (lits_case(pred, ref, (1, 1, 1), version=v) for v in (SCORER, CORRECTED))
    assert (published.true, published.false, published.missed) == (1, 0, 1)
    assert (corrected.true, corrected.false, corrected.missed) == (0, 1, 2)
    assert published.found[0].dice == pytest.approx(128 / 144)
    assert published.found[0].rvd.estimate == pytest.approx((64 - 80) / 80)
    assert corrected.found == ()
    assert corrected.lesion.rvd.estimate == pytest.approx((80 - 64) / 64)


def test_the_published_union_takes_the_prediction_whose_number_is_that_of_the_reference():
    """Two lesions of 10 voxels; prediction 1 has 6 of lesion 2, prediction 2 has 10 of lesion 1. Rightly both IoUs are
    over 0.5 (6/10 and 10/10). In the code the union for lesion 2 is that of lesion 2 and of prediction 2: 20 voxels,
    6/20, not found; that for lesion 1 then takes what is left under number 2, nothing: 10/10, found."""
    count, groups = found_as_published(np.array([[0, 6], [10, 0]]), np.array([6, 10]), np.array([10, 10]))
    assert count == 1
    assert [one.ref for one in groups] == [(1,)]


def test_an_empty_prediction_is_scored_three_ways():
    ref, empty = boxes((6, 8, 8), ((1, 1, 1), (4, 4, 4))), np.zeros((6, 8, 8), bool)
    assert lits_case(empty, ref, (1, 1, 1), version=SCORER).lesion.assd_mm.estimate == LARGE
    assert lits_case(empty, ref, (1, 1, 1), version=NOTEBOOK).lesion.assd_mm.estimate == 0.0
    assert lits_case(empty, ref, (1, 1, 1)).lesion.assd_mm.missing == "the prediction is empty"


def test_corners_touching_are_two_lesions_as_published_and_one_corrected():
    ref = boxes((8, 8, 8), ((0, 0, 0), (3, 3, 3)), ((3, 3, 3), (6, 6, 6)))
    assert [lits_case(np.zeros_like(ref), ref, (1, 1, 1), version=v).missed for v in (SCORER, CORRECTED)] == [2, 1]


def test_found_lesions_are_measured_one_by_one_when_corrected():
    """A box of 4 x 4 x 4 hit exactly, and one of 4 x 4 x 6 predicted one column short: Dice 1 and 160/176."""
    shape = (8, 10, 24)
    ref = boxes(shape, ((1, 1, 1), (5, 5, 5)), ((1, 1, 10), (5, 5, 16)))
    pred = boxes(shape, ((1, 1, 1), (5, 5, 5)), ((1, 1, 10), (5, 5, 15)))
    case = lits_case(pred, ref, (2.0, 1.0, 1.0))
    assert [one.dice for one in case.found] == pytest.approx([1.0, 160 / 176])
    assert [one.rvd.estimate for one in case.found] == pytest.approx([0.0, -1 / 6])
    assert case.found[0].msd_mm.estimate == 0.0
    assert case.found[1].msd_mm.estimate == pytest.approx(1.0)
    one = lits_set([case])
    assert one.found["dice"].estimate == pytest.approx((1 + 160 / 176) / 2)
    assert (one.precision.estimate, one.recall.estimate) == (1.0, 1.0)
    assert one.lesion_dice_global.estimate == pytest.approx(2 * 144 / (160 + 144))


def burden_case(pred_lesion, ref_lesion, version):
    """A liver of 100 voxels in both, with so many lesion voxels."""

    def made(n):
        one = np.zeros((1, 1, 200), bool)
        one[0, 0, :n] = True
        return one

    return lits_case(made(pred_lesion), made(ref_lesion), (1, 1, 1), version=version, pred_liver=made(100),
                     ref_liver=made(100))  # fmt: skip


def test_tumour_burden_by_hand():
    """Errors (reference less prediction) 0.10, -0.30: RMSE sqrt(0.05); largest 0.10 as published, 0.30 corrected."""
    for version, largest in ((SCORER, 0.1), (CORRECTED, 0.3)):
        both = lits_set([burden_case(10, 20, version), burden_case(50, 20, version)])
        assert both.burden_rmse.estimate == pytest.approx(0.05**0.5)
        assert both.burden_largest.estimate == pytest.approx(largest)
        assert both.lesion_dice_global.estimate == pytest.approx(2 * 30 / 100)
    assert lits_set([burden_case(10, 20, NOTEBOOK)]).burden_rmse.estimate is None


def test_no_liver_predicted_is_9001_as_published_and_no_value_corrected():
    ref, empty = boxes((4, 8, 8), ((0, 0, 0), (4, 4, 4))), np.zeros((4, 8, 8), bool)
    lesion = boxes((4, 8, 8), ((1, 1, 1), (2, 2, 2)))
    for version, value in ((SCORER, 1 / 64 - LARGE), (CORRECTED, None)):
        found = lits_case(empty, lesion, (1, 1, 1), version=version, pred_liver=empty, ref_liver=ref).burden_error
        assert found.estimate == (value if value is None else pytest.approx(value))
    assert found.missing == "the prediction has no liver"


def test_nothing_found_gives_the_scorers_defaults():
    ref, empty = boxes((6, 8, 8), ((1, 1, 1), (4, 4, 4))), np.zeros((6, 8, 8), bool)
    made = lits_set([lits_case(empty, ref, (1, 1, 1), version=SCORER)])
    assert [made.found[name].estimate for name in ("dice", "voe", "assd_mm")] == [0.0, 1.0, LARGE]
    assert (made.precision.estimate, made.recall.estimate) == (0.0, 0.0)
    corrected = lits_set([lits_case(empty, ref, (1, 1, 1))])
    assert corrected.found["dice"].missing == "no lesion was found"
    assert corrected.precision.missing == "nothing was predicted"


def test_calls_that_make_no_sense_are_refused():
    one = np.zeros((2, 2, 2), bool)
    with pytest.raises(WrongCall, match="version 'lits' is not known"):
        lits_case(one, one, (1, 1, 1), version="lits")
    with pytest.raises(WrongCall, match="one of the two livers is missing"):
        lits_case(one, one, (1, 1, 1), pred_liver=one)
    with pytest.raises(WrongCall, match="2 cases of 2 versions"):
        lits_set([lits_case(one, one, (1, 1, 1)), lits_case(one, one, (1, 1, 1), version=SCORER)])
