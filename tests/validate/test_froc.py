"""FROC and AFROC: curves drawn by hand, and marks from masks."""

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.validate.candidates import gathered, marks_of_map, marks_of_points
from hepar.validate.froc import afroc, afroc_curve, froc_curve, froc_summary, luna_mean, marks, only_lesions
from hepar.validate.matching import match_lesions


def four_images():
    """Images with 2, 1, 0 and 0 lesions. Hits: 0.9 on the first lesion (marked again at 0.3), 0.5 on the third; the
    second is missed. False: 0.8 on image 0, 0.5 and 0.2 on image 2, none on image 3."""
    return marks([2, 1, 0, 0], [0, 0, 1], [0, 0, 0], [0.9, 0.3, 0.5], [0, 2, 2], [0.8, 0.5, 0.2])


def test_froc_curve_by_hand():
    """Thresholds 0.9, 0.8, 0.5, 0.2: 0, 1, 2, 3 false on 4 images; 1, 1, 2, 2 of 3 lesions."""
    curve = froc_curve(four_images())
    assert curve.thresholds.tolist() == [np.inf, 0.9, 0.8, 0.5, 0.2]
    assert curve.false_per_image.tolist() == [0, 0, 0.25, 0.5, 0.75]
    assert curve.sensitivity.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert curve.at(0.125) == pytest.approx(1 / 3)
    assert curve.at(0.499) == pytest.approx(1 / 3)
    assert curve.at(0.5) == pytest.approx(2 / 3)
    assert curve.at(8.0) == pytest.approx(2 / 3)
    assert [curve.threshold(rate) for rate in (0.0, 0.3, 8.0)] == [0.9, 0.8, 0.2]


def test_luna_mean_by_hand():
    """1/8 and 1/4: a third; 1/2 to 8: two thirds. (2 + 5 x 2) / 21 = 12/21."""
    found = froc_summary(four_images(), draws=200)
    assert [one.estimate for one in found.sensitivity] == pytest.approx([1 / 3, 1 / 3] + [2 / 3] * 5)
    assert found.mean.estimate == pytest.approx(12 / 21)
    assert luna_mean(four_images(), draws=0).estimate == pytest.approx(12 / 21)


def slowly(of, rates, patients, draws, seed):
    """The bootstrap written out: patients drawn, images and lesions copied, the curve made anew."""
    names, code = np.unique(patients, return_inverse=True)
    generator, seen = np.random.default_rng(seed), []
    pick = generator.integers(0, names.size, (draws, names.size))
    for line in pick:
        images = [i for who in line for i in np.flatnonzero(code == who)]
        hit = [s for i in images for s in of.lesion_scores[of.lesion_image == i]]
        false = [s for i in images for s in of.false_scores[of.false_image == i]]
        if not hit:
            continue
        row = []
        for rate in rates:
            cuts = [c for c in {*hit, *false} - {-np.inf} if sum(f >= c for f in false) / len(images) <= rate]
            row.append(max([sum(h >= c for h in hit) / len(hit) for c in cuts], default=0.0))
        seen.append(row)
    return np.array(seen)


def test_the_bootstrap_of_patients_is_the_plain_one():
    """Ten images of six patients with drawn marks and ties: the quantiles are those of copying images."""
    random = np.random.default_rng(4)
    count = random.integers(0, 3, 10)
    hit_image = np.repeat(np.arange(10), count)
    lesion = np.concatenate([np.arange(n) for n in count]).astype(int)
    some = random.random(hit_image.size) < 0.8
    false_image = random.integers(0, 10, 12)
    made = marks(count, hit_image[some], lesion[some], random.integers(3, 9, some.sum()) / 10, false_image,
                 random.integers(1, 8, 12) / 10)  # fmt: skip
    patients = np.array([0, 0, 1, 1, 1, 2, 3, 4, 5, 5])
    rates = (0.25, 1.0, 4.0)
    want = slowly(made, rates, patients, 300, 0)
    got = froc_summary(made, rates=rates, patients=patients, draws=300, seed=0)
    for one, line in zip(got.sensitivity, want.T, strict=True):
        low, high = np.quantile(line, (0.025, 0.975))
        assert (one.low, one.high) == pytest.approx((min(low, one.estimate), max(high, one.estimate)))
    low, high = np.quantile(want.mean(axis=1), (0.025, 0.975))
    assert (got.mean.low, got.mean.high) == pytest.approx((low, high))


def test_afroc_by_hand():
    """Healthy images: worst 0.5, and unmarked. Lesions 0.9 (above both), missed (below 0.5, even with the unmarked),
    0.5 (even, above): (1 + 1 + 0 + 0.5 + 0.5 + 1) / 6."""
    assert afroc(four_images()).estimate == pytest.approx(4 / 6)
    curve = afroc_curve(four_images())
    assert curve.false_share.tolist() == [0, 0, 0, 0.5, 0.5]
    assert curve.sensitivity.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert afroc(only_lesions(four_images(), np.zeros(3, bool))).missing.startswith("AFROC needs images with")


def test_afroc_by_patient_by_hand():
    """Patients a: images 0 and 2, b: 1 and 3. Without a: lesion 0.5 against the unmarked, 1. Without b: 0.9 and missed
    against 0.5, 0.5. Jackknife of two: variance 1/2 (0.25 squared twice) = 1/16."""
    found = afroc(four_images(), patients=["a", "b", "a", "b"])
    assert found.estimate == pytest.approx(4 / 6)
    assert found.method.startswith("jackknife of patients")
    assert found.low == pytest.approx(max(0.0, 4 / 6 - 1.959964 * 0.25), abs=1e-6)
    assert afroc(four_images(), patients=["a", "a", "c", "d"]).low is None


def test_a_stratum_keeps_every_false_mark():
    part = only_lesions(four_images(), np.array([False, False, True]))
    assert part.lesions.tolist() == [0, 1, 0, 0]
    assert froc_curve(part).at(0.5) == 1.0
    assert froc_curve(part).false_per_image.max() == 0.75


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(WrongCall, match="no image holds a lesion"):
        froc_curve(marks([0, 0], [], [], [], [1], [0.5]))
    with pytest.raises(WrongCall, match="every image holds a lesion"):
        afroc_curve(marks([1], [0], [0], [0.5], [], []))
    with pytest.raises(WrongCall, match="a hit names a lesion that its image does not hold"):
        marks([1, 0], [1], [0], [0.5], [], [])
    with pytest.raises(WrongCall, match="missing or infinite"):
        marks([1], [0], [0], [np.nan], [], [])


def boxes(*corners):
    made = np.zeros((6, 12, 40), bool)
    for low, high in corners:
        made[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return made


@pytest.fixture
def match():
    """Three lesions of the reference: A is hit by two pieces (the larger is its partner), B by one, C by none; one
    prediction is false. Predictions by number: 1 and 2 on A, 3 on B, 4 false."""
    ref = boxes(((1, 1, 1), (4, 5, 9)), ((1, 1, 15), (4, 5, 18)), ((1, 1, 25), (4, 5, 28)))
    pred = boxes(((1, 1, 1), (4, 5, 6)), ((1, 1, 7), (4, 5, 9)), ((1, 1, 15), (4, 5, 17)), ((1, 8, 32), (4, 10, 34)))
    return match_lesions(pred, ref)


def test_marks_of_points_share_the_fate_of_their_lesion(match):
    """In or near predicted lesions; a candidate on the missed lesion C is a hit, one in the void is false."""
    places = [(2, 2, 3), (2, 2, 8), (2, 2, 16), (2, 9, 36), (2, 2, 26), (5, 11, 22)]
    found = marks_of_points(match, [0.9, 0.8, 0.7, 0.6, 0.2, 0.1], places, (1.0, 1.0, 1.0))
    assert sorted(zip(found.hit_lesion.tolist(), found.hit_score.tolist(), strict=True)) == [
        (0, 0.9),
        (1, 0.7),
        (2, 0.2),
    ]
    assert sorted(found.false_score.tolist()) == [0.1, 0.6]
    of = gathered([found])
    assert of.lesion_scores.tolist() == [0.9, 0.7, 0.2]
    assert of.lesions.tolist() == [3]


def test_a_predicted_lesion_without_a_score_is_refused(match):
    with pytest.raises(WrongCall, match="case x: 3 of 4 predicted lesions have no score within 5 mm"):
        marks_of_points(match, [0.9], [(2, 2, 3)], (1.0, 1.0, 1.0), case="x")


def test_marks_of_a_map_take_the_largest_score_inside(match):
    scores = np.zeros((6, 12, 40), np.float32)
    scores[2, 2, 2], scores[2, 2, 8], scores[2, 2, 16], scores[2, 9, 33] = 0.5, 0.9, 0.25, 0.75
    found = marks_of_map(match, scores)
    assert sorted(zip(found.hit_lesion.tolist(), found.hit_score.tolist(), strict=True)) == [(0, 0.5), (1, 0.25)]
    assert found.false_score.tolist() == [0.75]
    with pytest.raises(WrongCall, match="needed: one grid"):
        marks_of_map(match, scores[1:])


def test_an_empty_prediction_has_no_marks():
    none = match_lesions(boxes(), boxes(((1, 1, 1), (3, 3, 3))))
    found = marks_of_points(none, [], [], (1, 1, 1))
    assert (found.lesions, found.hit_score.size, found.false_score.size) == (1, 0, 0)
    assert luna_mean(gathered([found, found]), draws=50).estimate == 0.0
