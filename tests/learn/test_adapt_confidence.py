"""What a site's few candidates may change of the shipped confidence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from small_site import CURVE, scored

from hepar.learn.adapt_confidence import expected, intercept_and_slope, moved
from hepar.learn.adapt_judge import logit
from hepar.segment.confidence import curve_of


def test_confidence_moves_by_a_penalised_fit() -> None:
    """The same minimum as scipy's general minimiser; without rows nothing moves; ten rows move less than a thousand."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    x = rng.normal(0, 2, 60)
    y = rng.random(60) < 1 / (1 + np.exp(-(1.5 + 0.6 * x)))

    def cost(beta: NDArray[np.float64]) -> float:
        z = beta[0] + beta[1] * x
        return float(np.logaddexp(0, z).sum() - (z * y).sum() + beta[0] ** 2 / 2 + (beta[1] - 1) ** 2 / 2 / 0.25**2)

    assert intercept_and_slope(x, y) == pytest.approx(tuple(minimize(cost, [0, 1], tol=1e-12).x), abs=1e-4)
    assert intercept_and_slope([], []) == (0.0, 1.0)
    few = intercept_and_slope(np.zeros(4), np.ones(4, bool))[0]
    many = intercept_and_slope(np.zeros(400), np.ones(400, bool))[0]
    assert 0 < few < many


def test_only_the_kind_of_scan_at_hand_moves() -> None:
    """Cases with one phase leave the curve for several phases as it is. Limits by hand: two lesions and nothing
    false, so F1 is 1 at any limit up to the confidence of the lower one."""
    point = {"least_confidence": 0.5, "scans": 9}
    one = {"coefficients": list(CURVE.coefficients), "intercept": -1.0, "operating_points": {"measuring": point}}
    document = json.loads(json.dumps({"one_phase": one, "several_phases": one}))
    rows = [scored([0.9, 0.3], [True, True], [1, 2], (30.0, 15.0)) for _ in range(5)]
    after = expected(rows, moved(rows, document))
    assert after["several_phases"] == document["several_phases"]
    assert after["one_phase"]["intercept"] > -1.0
    seen = after["one_phase"]["operating_points"]["measuring"]
    curve = curve_of(after, 1)
    lower = 1 / (1 + np.exp(-float(logit(rows[0], curve)[1])))
    assert seen["least_confidence"] == pytest.approx(int(100 * lower) / 100)
    assert (seen["scans"], seen["lesions_over_20_mm"], seen["lesions_10_to_20_mm"]) == (5, 5, 5)
    assert (seen["found_over_20_mm"], seen["found_10_to_20_mm"]) == (5, 5)
