"""The confidence of a site: the shipped curve with another intercept and slope, never a new curve.

The curve was fitted on hundreds of candidates of the fixed tuning set; a site has a few dozen. So the site's candidates
may only move its log-odds, a + b x, and a penalty holds a at 0 and b at 1: `_FREE_A`, `_FREE_B` are the standard
deviations of a normal prior. The limits of the operating points are chosen anew on the same candidates: `measuring`
where lesion F1 is highest, `screening` as on the tuning set, the lowest with at most 2.5 false lesions a scan.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hepar.learn.adapt_judge import counts, logit
from hepar.learn.calibrate import FALSE_PER_SCAN, STRATA, Rows
from hepar.segment.confidence import Curve, curve_of

_FREE_A, _FREE_B = 1.0, 0.25
_LEAST_SLOPE = 0.3
KINDS = (("one_phase", True), ("several_phases", False))


def moved(rows: Sequence[Rows], document: dict[str, Any]) -> dict[str, Any]:
    """The confidence document with the curve of each kind of scan (one phase, several) that `rows` has moved."""
    out = copy.deepcopy(document)
    for kind, alone in KINDS:
        mine = [r for r in rows if (r.phases == 1) == alone]
        if not mine:
            continue
        curve = curve_of(document, 1 if alone else 2)
        x = np.concatenate([logit(r, curve) for r in mine])
        y = np.concatenate([r.true for r in mine])
        a, b = intercept_and_slope(x, y)
        out[kind]["coefficients"] = [round(b * c, 4) for c in curve.coefficients]
        out[kind]["intercept"] = round(a + b * curve.intercept, 4)
        limits = _limits(mine, curve_of(out, 1 if alone else 2), kind)
        for name, limit in limits.items():
            out[kind]["operating_points"].setdefault(name, {})["least_confidence"] = limit
        out[kind]["recalibrated"] = {
            "scans": len(mine), "candidates": len(y), "true_candidates": int(y.sum()),
            "added_log_odds": round(a, 4), "slope": round(b, 4),
        }  # fmt: skip
    return out


def _limits(rows: Sequence[Rows], curve: Curve, kind: str) -> dict[str, float]:
    """Least confidence of each operating point, in hundredths from 0.05 to 0.95; of equals the higher one."""
    f1: dict[float, float] = {}
    false: dict[float, float] = {}
    for limit in [round(0.01 * n, 2) for n in range(95, 4, -1)]:
        tried = replace(curve, limits={"measuring": limit})
        found, missed, wrong = np.sum([counts(r, tried) for r in rows], axis=0)
        f1[limit] = 2 * float(found) / max(1.0, float(2 * found + missed + wrong))
        false[limit] = float(wrong) / len(rows)
    measuring = max(f1, key=lambda limit: f1[limit])
    quiet = [limit for limit in f1 if false[limit] <= FALSE_PER_SCAN["screening"][kind]]
    return {"measuring": measuring, "screening": min([measuring, *quiet])}


def intercept_and_slope(x: Any, y: Any) -> tuple[float, float]:
    """Penalised logistic regression of y on a + b x, by Newton's method. No rows: 0 and 1."""
    z = np.column_stack([np.ones(len(x)), np.asarray(x, float)])
    precision = np.diag([_FREE_A**-2, _FREE_B**-2])
    beta, prior = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    truth = np.asarray(y, float)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        slope = z.T @ (truth - p) - precision @ (beta - prior)
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + precision, slope)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(max(beta[1], _LEAST_SLOPE))


def expected(rows: Sequence[Rows], document: dict[str, Any]) -> dict[str, Any]:
    """The document with what its operating points found on `rows`, in place of what they found on the tuning set."""
    out = copy.deepcopy(document)
    for kind, alone in KINDS:
        mine = [r for r in rows if (r.phases == 1) == alone]
        if not mine:
            continue
        curve = curve_of(document, 1 if alone else 2)
        for name, point in out[kind]["operating_points"].items():
            false = sum(counts(r, curve, name)[2] for r in mine)
            point.update(scans=len(mine), false_per_scan=round(false / len(mine), 2))
            for stratum, low, high in STRATA:
                sizes = [_of_size(r, low, high) for r in mine]
                found = sum(counts(r, curve, name)[0] for r in sizes)
                point[f"found_{stratum}"] = found
                point[f"lesions_{stratum}"] = found + sum(counts(r, curve, name)[1] for r in sizes)
    return out


def _of_size(rows: Rows, low: float, high: float) -> Rows:
    """The same scan with the sizes of other lesions set to 0, which are not counted."""
    sizes = tuple(s if low <= s < high else 0.0 for s in rows.sizes_mm)
    return Rows(rows.case, rows.phases, rows.features, rows.true, rows.hit, sizes)
