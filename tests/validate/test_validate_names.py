"""The names that others rely on, in the core environment."""

import subprocess
import sys

import numpy as np
import pytest

from hepar import validate
from hepar.errors import WrongCall
from hepar.validate import auc, bland_altman, dice, fleiss_kappa, match_lesions, net_benefit, surface_distances


def test_every_public_name_is_there():
    for name in validate.__all__:
        assert callable(getattr(validate, name))
    with pytest.raises(AttributeError):
        _ = validate.nothing_of_the_kind


def test_importing_the_folder_loads_neither_numpy_nor_scipy():
    code = "import sys, hepar.validate; print('numpy' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_auc_by_hand():
    """Pairs (positive above negative): 3 of 4 wins and one tie in 6 give 4.5 / 6."""
    value = auc([1, 1, 0, 0, 0], [3.0, 2.0, 2.0, 1.0, 2.5])
    assert value.estimate == pytest.approx(4.5 / 6)


def test_auc_of_one_class_says_so_and_constant_scores_give_a_half():
    assert "needs both classes" in auc([1, 1], [0.1, 0.2]).missing
    same = auc([1, 0, 1, 0], [1.0, 1.0, 1.0, 1.0])
    assert same.estimate == 0.5
    assert same.low is None


def test_auc_of_a_perfect_score_has_the_interval_of_the_smaller_class():
    """Clopper-Pearson for 3 of 3: lower end 0.025 ** (1/3)."""
    value = auc([1, 1, 1, 0, 0, 0, 0], [5, 6, 7, 1, 2, 3, 4])
    assert (value.estimate, value.low, value.high) == (1.0, pytest.approx(0.025 ** (1 / 3)), 1.0)


@pytest.mark.parametrize(
    ("truth", "score", "words"),
    [
        ([0, 1], [0.1], "in the same order"),
        ([0, 1], [0.1, float("nan")], "missing or infinite"),
        ([0, 2], [0.1, 0.2], "holds 2"),
        ([], [], "no case"),
        ([0, 1], ["a", "b"], "no number"),
    ],
)
def test_auc_refuses_bad_input_in_a_sentence(truth, score, words):
    with pytest.raises(WrongCall, match=words):
        auc(truth, score)


def test_net_benefit_by_hand():
    """4 patients, risk >= 0.2 for three of them: 2 true, 1 false positive; 2/4 - 1/4 x 0.25."""
    curve = net_benefit([1, 1, 0, 0], [0.9, 0.2, 0.3, 0.1], [0.2])
    assert curve.model[0] == pytest.approx(0.5 - 0.25 * 0.25)
    assert curve.treat_all[0] == pytest.approx(0.5 - 0.5 * 0.25)
    assert curve.treat_none[0] == 0.0
    assert curve.interventions_avoided[0] == pytest.approx(0.25)


def test_net_benefit_interval_is_that_of_a_mean():
    """The contributions are 1, 1, -0.25, 0: their mean and standard error."""
    curve = net_benefit([1, 1, 0, 0], [0.9, 0.2, 0.3, 0.1], [0.2])
    own = np.array([1.0, 1.0, -0.25, 0.0])
    assert curve.model_high[0] - curve.model[0] == pytest.approx(1.959963984540054 * own.std(ddof=1) / 2)


def test_net_benefit_refuses_scores_that_are_no_risk():
    with pytest.raises(WrongCall, match="probabilities"):
        net_benefit([0, 1], [0.2, 3.0], [0.1])
    with pytest.raises(WrongCall, match="threshold"):
        net_benefit([0, 1], [0.2, 0.3], [1.0])


def test_bland_altman_by_hand():
    """Differences 1, 2, 3: bias 2, sd 1, limits 2 -/+ 1.96; bias interval 2 -/+ 4.3027/sqrt(3)."""
    result = bland_altman([2, 4, 6], [1, 2, 3])
    low, high = result.limits_of_agreement
    assert result.bias.estimate == 2.0
    assert (low.estimate, high.estimate) == (pytest.approx(2 - 1.959963985), pytest.approx(2 + 1.959963985))
    assert result.bias.high == pytest.approx(2 + 4.302652730 / 3**0.5)


def test_fleiss_kappa_of_the_table_of_fourteen_raters():
    """Ten subjects, fourteen raters, five classes (the worked example of Wikipedia's article): 0.210."""
    rows = ["0 0 0 0 14", "0 2 6 4 2", "0 0 3 5 6", "0 3 9 2 0", "2 2 8 1 1", "7 7 0 0 0", "3 2 6 3 0", "2 5 3 2 2",
            "6 5 2 1 0", "0 2 2 3 7"]  # fmt: skip
    ratings = [[label for label, n in enumerate(map(int, row.split())) for _ in range(n)] for row in rows]
    value = fleiss_kappa(ratings)
    assert value.estimate == pytest.approx(0.20993070442195522, rel=1e-12)
    named = fleiss_kappa([["abcde"[label] for label in row] for row in ratings])
    assert named == value


def test_fleiss_kappa_without_variation_is_no_number():
    assert "all ratings are the same" in fleiss_kappa([["a", "a"], ["a", "a"]]).missing


def test_dice_of_empty_masks():
    empty, full = np.zeros((2, 2, 2), bool), np.ones((2, 2, 2), bool)
    assert dice(empty, empty) == 1.0
    assert dice(empty, full) == 0.0
    assert dice(full, full) == 1.0
    with pytest.raises(WrongCall, match="same grid"):
        dice(empty, np.zeros((2, 2, 3), bool))
    with pytest.raises(WrongCall, match="0 and 1"):
        dice(empty, np.full((2, 2, 2), 2))


def boxes(shape, *corners):
    mask = np.zeros(shape, bool)
    for low, high in corners:
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def test_shifted_slabs_are_apart_by_their_shift_in_millimetres():
    """Two plates that fill the plane except for the rim, three slices of 2.5 mm apart; the largest distance is 7.5."""
    one = boxes((20, 60, 60), ((4, 5, 5), (5, 55, 55)))
    other = boxes((20, 60, 60), ((7, 5, 5), (8, 55, 55)))
    found = surface_distances(one, other, (2.5, 0.8, 0.7))
    assert found.hd100_mm == pytest.approx(7.5)
    assert found.hd95_mm == pytest.approx(7.5)
    assert found.nsd(7.5) == 1.0
    assert found.nsd(4.9) == 0.0


def test_distance_is_weighted_by_area_and_not_by_voxels():
    """A box of 10 x 10 x 10 mm and one that reaches 2 mm further along one axis: only that end and its sides differ.

    The end plate (its middle part, 1 voxel in from the edges) lies 2 mm away; the directed 100th percentile is 2 mm.
    """
    one = boxes((20, 20, 20), ((5, 5, 5), (15, 15, 15)))
    other = boxes((20, 20, 20), ((5, 5, 5), (17, 15, 15)))
    found = surface_distances(one, other, (1.0, 1.0, 1.0))
    assert found.hd100_mm == pytest.approx(2.0)
    assert 0 < found.assd_mm < 0.4
    assert found.rmsd_mm > found.assd_mm


def test_surface_area_of_a_box_comes_near_its_faces():
    """40 x 30 x 20 voxels of 1 x 0.5 x 2 mm: faces 2 (40 x 15 + 40 x 40 + 15 x 40) = 5600 mm2, less bevelled edges."""
    found = surface_distances(boxes((60, 60, 60), ((5, 5, 5), (45, 35, 25))), np.zeros((60, 60, 60), bool), (1, 0.5, 2))
    assert found.pred_area_mm2.sum() == pytest.approx(5600, rel=0.02)
    assert found.pred_area_mm2.sum() < 5600


def test_empty_masks_never_give_infinity():
    empty, full = np.zeros((4, 4, 4), bool), np.ones((4, 4, 4), bool)
    both = surface_distances(empty, empty, (1, 1, 1))
    assert (both.assd_mm, both.rmsd_mm, both.hd95_mm, both.hd100_mm, both.nsd(1.0)) == (0.0, 0.0, 0.0, 0.0, 1.0)
    one = surface_distances(empty, full, (1, 1, 1))
    assert (one.assd_mm, one.hd95_mm, one.nsd(1.0)) == (None, None, 0.0)
    assert one.missing == "the prediction is empty"
    assert surface_distances(full, empty, (1, 1, 1)).missing == "the reference is empty"


def test_lesions_are_paired_one_to_one_and_merges_and_splits_are_told():
    shape = (6, 20, 40)
    ref = boxes(shape, ((1, 2, 2), (4, 6, 6)), ((1, 2, 8), (4, 6, 12)), ((1, 10, 20), (4, 14, 32)),
                ((1, 16, 2), (4, 19, 5)))  # fmt: skip
    pred = boxes(shape, ((1, 2, 2), (4, 6, 11)), ((1, 10, 20), (4, 14, 25)), ((1, 10, 27), (4, 14, 32)),
                 ((1, 2, 35), (4, 4, 38)))  # fmt: skip
    found = match_lesions(pred, ref)
    assert len(found.pairs) == 2
    assert len(found.missed) == 2
    assert len(found.false) == 2
    assert [len(refs) for _, refs in found.merged] == [2]
    assert [len(preds) for _, preds in found.split] == [2]


def test_the_criterion_decides_and_is_strict():
    """Half of a box: IoU exactly 0.5 is not over 0.5."""
    ref, pred = boxes((4, 8, 8), ((0, 0, 0), (4, 4, 4))), boxes((4, 8, 8), ((0, 0, 0), (4, 4, 2)))
    assert len(match_lesions(pred, ref, criterion="iou>0.1").pairs) == 1
    assert len(match_lesions(pred, ref, criterion="iou>0.5").pairs) == 0
    assert len(match_lesions(pred, ref, criterion="centroid").pairs) == 1
    pair = match_lesions(pred, ref).pairs[0]
    assert (pair.iou, pair.dice) == (0.5, pytest.approx(2 / 3))
    with pytest.raises(WrongCall, match="not known"):
        match_lesions(pred, ref, criterion="touch")


def test_no_lesions_on_both_sides_is_an_empty_match():
    empty = np.zeros((3, 3, 3), bool)
    found = match_lesions(empty, empty)
    assert (found.pairs, found.missed, found.false, found.merged, found.split) == ((), (), (), (), ())
    assert found.recall is None


def test_a_map_of_numbers_holds_one_lesion_per_number():
    """Two touching lesions numbered 7 and 3 stay two."""
    ref = np.zeros((3, 4, 8), int)
    ref[:, :, :4], ref[:, :, 4:] = 7, 3
    found = match_lesions(ref, ref)
    assert [(p.pred, p.ref, p.iou) for p in found.pairs] == [(1, 1, 1.0), (2, 2, 1.0)]
    assert len(match_lesions(ref > 0, ref > 0).pairs) == 1
