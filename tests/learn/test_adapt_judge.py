"""Counts, differences and the rule of promotion, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from small_site import CURVE, scored

from hepar.learn.adapt_judge import compare, compare_within, counts, folds_of, found_within, verdict
from hepar.record import Estimate


def test_counts_by_hand() -> None:
    """Log-odds 2 s - 1: scores 0.9 and 0.6 are shown, 0.4 is not. Lesion 1 found twice counts once, lesion 2 is missed,
    lesion 3 of 4 mm does not count."""
    rows = scored([0.9, 0.6, 0.6, 0.4], [True, True, False, True], [1, 1, 0, 2], (20.0, 12.0, 4.0))
    assert counts(rows, CURVE) == (1, 1, 1)
    assert counts(rows, CURVE, "screening") == (2, 0, 1)


def test_difference_of_f1_by_hand() -> None:
    """Found 3, missed 1, false 1: F1 6/8; found 1, missed 3, false 0: 2/5; difference 0.35, recall 0.5."""
    found = compare([[3, 1, 1, 0.9, 1]] * 4, [[1, 3, 0, 0.8, 1]] * 4, ["a", "b", "c", "d"])
    assert found["f1"]["candidate"].estimate == pytest.approx(0.75)
    assert found["f1"]["difference"].estimate == pytest.approx(0.35)
    assert found["recall"]["difference"].estimate == pytest.approx(0.5)
    assert found["false_per_scan"]["difference"].estimate == pytest.approx(1.0)
    assert found["liver_dice"]["difference"].estimate == pytest.approx(0.1)


def test_recall_at_equal_false_finds_by_hand() -> None:
    """Two scans, false finds at 0.8, 0.5 and 0.3: one a scan allows two, so that the limit is the first hit above 0.3.
    The lesion of 4 mm does not count, a second hit on one lesion neither."""
    one = scored([0.9, 0.8, 0.4, 0.4], [True, False, True, True], [1, 0, 1, 2], (20.0, 12.0, 4.0))
    other = scored([0.95, 0.5, 0.3, 0.2], [True, False, False, True], [1, 0, 0, 2], (4.0, 9.0))
    assert found_within([one, other], [CURVE, CURVE]) == [2, 0]
    assert found_within([one, other], [CURVE, CURVE], rate=0.0) == [1, 0]
    assert found_within([scored([], [], [], ())], [CURVE]) == [0]
    nothing = scored([], [], [], (20.0, 12.0, 4.0))
    got = compare_within(([one, other], [CURVE] * 2), ([nothing, other], [CURVE] * 2), ["a", "b"])
    assert got["candidate"].estimate == pytest.approx(2 / 3)
    # without the first scan's false finds, both of the other's are allowed
    assert got["difference"].estimate == pytest.approx(2 / 3 - 1 / 3)


def _of(**differences: Estimate) -> dict[str, dict[str, Estimate]]:
    same = Estimate(0.0, -0.005, 0.005, 0.9, "by hand")
    return {n: {"difference": differences.get(n, same)} for n in ("f1", "recall", "false_per_scan", "liver_dice")}


def test_the_rule() -> None:
    """Surely better there and not worse elsewhere passes; each clause alone stops it."""
    better = Estimate(0.1, 0.02, 0.2, 0.9, "by hand")
    assert verdict(_of(f1=better), _of()) == []
    for site, fixed, says in (
        (_of(f1=Estimate(0.1, -0.01, 0.2, 0.9, "x")), _of(), "F1 changes by +0.100 (-0.010 to 0.200)"),
        (_of(), _of(), "F1"),
        (_of(f1=better, recall=Estimate(-0.02, -0.1, 0.1, 0.9, "x")), _of(), "recall"),
        (_of(f1=better, liver_dice=Estimate(-0.02, -0.03, 0.0, 0.9, "x")), _of(), "Dice"),
        (_of(f1=better), _of(recall=Estimate(0.0, -0.06, 0.05, 0.9, "x")), "fixed simulated set lesion recall"),
        (_of(f1=better), _of(f1=Estimate.cannot_tell("no lesion")), "cannot tell (no lesion)"),
    ):
        (reason,) = verdict(site, fixed)
        assert says in reason


def test_halves_depend_on_content_alone() -> None:
    """Patients stay together, halves hold alike many lesions, and the order of the cases changes nothing."""
    patients = ["a", "a", "b", "c", "d", "e", "f", "g"]
    lesions = [2, 3, 5, 4, 3, 2, 1, 0]
    hashes = [f"{n * 7 % 8}" for n in range(8)]
    half = folds_of(patients, lesions, hashes)
    assert half[0] == half[1]
    assert abs(sum(n for n, h in zip(lesions, half, strict=True) if h) - 10) <= 2
    turned = folds_of(patients[::-1], lesions[::-1], hashes[::-1])
    assert np.array_equal(turned[::-1], half)
