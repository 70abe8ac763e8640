"""The confidence curve and the limits of the operating points."""

from __future__ import annotations

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.learn.calibrate import Rows, fit, fit_curve, rows_of
from hepar.segment.confidence import Features
from hepar.segment.lesions import Lesions


def test_candidates_are_matched_by_hand() -> None:
    """Three candidates: one on a lesion, one beside, one that covers half of a small lesion with a fifth of itself."""
    labels, truth = np.zeros((20, 20, 20), np.uint16), np.zeros((20, 20, 20), np.uint16)
    labels[2:6, 2:6, 2:6] = 1
    truth[3:7, 3:7, 3:7] = 1
    labels[10:12, 2:4, 2:4] = 2
    labels[10:15, 10:15, 10:14] = 3
    truth[10:14, 10:14, 13:14] = 2
    truth[10:14, 10:14, 14:15] = 2
    features = tuple(Features(0.5, 0.5, 1, 1, -1, 0.5, 0, 0) for _ in range(3))
    rows = rows_of("a", 1, Lesions(labels, features, (0.5,) * 3), truth, 1.0)
    assert rows.true.tolist() == [True, False, True]
    assert rows.hit.tolist() == [1, 0, 2]
    assert rows.sizes_mm == pytest.approx([(6 * 64_000 / np.pi) ** (1 / 3), (6 * 32_000 / np.pi) ** (1 / 3)])


def _scans(count: int, each: int) -> list[Rows]:
    """Scans whose candidates are true with the chance that a known curve gives."""
    rng = np.random.default_rng(3)
    scans = []
    for number in range(count):
        x = rng.uniform(0, 1, (each, 10))
        true = rng.random(each) < 1 / (1 + np.exp(-(4 * x[:, 0] - 2 * x[:, 7] - 1)))
        hit = np.where(true, np.cumsum(true), 0)
        sizes = tuple(float(s) for s in rng.uniform(4, 40, int(true.sum())))
        scans.append(Rows(f"patient{number}", 4 if number % 2 else 1, x, true, hit, sizes))
    return scans


def test_fit_finds_the_curve_that_made_the_candidates() -> None:
    """4,000 candidates: coefficients of the two features that count within 0.6, error of calibration below 0.04."""
    scans = _scans(100, 40)
    made = fit_curve(scans, {"measuring": 0.7, "screening": 2.5})
    assert made["coefficients"][0] == pytest.approx(4, abs=0.6)
    assert made["coefficients"][7] == pytest.approx(-2, abs=0.6)
    assert made["expected_calibration_error"] < 0.04
    measuring, screening = (made["operating_points"][p] for p in ("measuring", "screening"))
    assert screening["least_confidence"] < measuring["least_confidence"]
    assert measuring["false_per_scan"] <= 0.7
    assert screening["false_per_scan"] <= 2.5
    assert screening["found_over_20_mm"] >= measuring["found_over_20_mm"]
    assert measuring["lesions_over_20_mm"] == sum(s > 20 for scan in scans for s in scan.sizes_mm)


def test_scans_with_one_phase_have_a_curve_of_their_own() -> None:
    """Both kinds stand in the document, each with its number of scans."""
    made = fit(_scans(80, 20), weights={"region": "x"}, source="test")
    for kind in ("one_phase", "several_phases"):
        assert made[kind]["operating_points"]["measuring"]["scans"] == 40


def test_too_few_candidates_are_refused() -> None:
    """One scan of 10 candidates cannot be fitted."""
    with pytest.raises(WrongCall, match="needed 20 of each"):
        fit(_scans(1, 10), weights={}, source="test")
