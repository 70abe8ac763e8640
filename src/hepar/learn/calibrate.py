"""The confidence of lesions: a logistic curve fitted on virtual patients, and the limits of the operating points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.learn.prepared import PreparedCase
from hepar.segment.builtin import Builtin
from hepar.segment.confidence import Features
from hepar.segment.lesions import Lesions

STRATA: Final = (("under_10_mm", 0.0, 10.0), ("10_to_20_mm", 10.0, 20.0), ("over_20_mm", 20.0, 1e9))
"""Diameter of the ball of a lesion's volume."""
FALSE_PER_SCAN: Final = {
    "measuring": {"several_phases": 0.5, "one_phase": 0.15},
    "screening": {"several_phases": 2.5, "one_phase": 2.5},
}
"""Mean number of false lesions per virtual scan up to which an operating point takes candidates. `measuring` keeps half
of what hepar allows itself on unseen virtual patients (one a scan), and less with one phase: on the real scans 1004 and
1006 more looks like a lesion than in simulation."""
_PENALTY = 20.0
_PRIOR: Final = (4.0, 2.0, 0.3, 0.3, -0.5, 0.3, 3.0, -1.0, -5.0, 4.0)
"""What the coefficients are drawn towards, set by hand: simulated scans are cleaner than real ones, and alone would let
shape and the second network's opinion count for little."""
_FOUND_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Rows:
    """Candidates of one scan against its truth.

    features: (n, 10) `Features.row`. true: (n,) the candidate is a lesion. hit: (n,) number of the true lesion that it
    finds, 0 for none. sizes_mm: of every true lesion; phases: how many the scan has; case: patient.
    """

    case: str
    phases: int
    features: NDArray[np.float64]
    true: NDArray[np.bool_]
    hit: NDArray[np.int64]
    sizes_mm: tuple[float, ...]


def rows_of(case: str, phases: int, lesions: Lesions, truth: NDArray[np.uint16], voxel_ml: float) -> Rows:
    """Compare candidates with the truth, label maps on one grid.

    A candidate is a lesion when a quarter of it, or half of the true lesion, overlaps; it then finds the true lesion
    that it overlaps most.
    """
    count = int(truth.max(initial=0))
    size = np.bincount(truth.ravel(), minlength=count + 1)
    features, true, hit = [], [], []
    for number, one in enumerate(lesions.features, 1):
        mask = lesions.labels == number
        shared = np.bincount(truth[mask], minlength=count + 1)
        shared[0] = 0
        best = int(shared.argmax())
        is_one = bool(shared[best] >= _FOUND_SHARE * mask.sum() or (best > 0 and shared[best] >= 0.5 * size[best]))
        features.append(one.row())
        true.append(is_one and best > 0)
        hit.append(best if is_one else 0)
    across = tuple(float((6 * n * voxel_ml * 1000 / np.pi) ** (1 / 3)) for n in size[1:])
    width = len(Features(0, 0, 1, 0, 0, 0, 0, 0).row())
    return Rows(
        case,
        phases,
        np.array(features, float).reshape(-1, width),
        np.array(true, bool),
        np.array(hit, np.int64),
        across,
    )


def collect(case: PreparedCase, engine: Builtin) -> tuple[Rows, Rows]:
    """Every candidate of one patient down to confidence 0: with all phases, and with the portal venous one alone."""
    _, ids = np.unique(np.where(case.labels > 10, case.labels, 0), return_inverse=True)
    truth = ids.reshape(case.labels.shape).astype(np.uint16)
    voxel_ml = case.reference.geometry.voxel_volume_ml
    *_, several = engine.propose(case.reference, case.organs, case.others, labels=case.phase_labels)
    *_, alone = engine.propose(case.reference, case.organs, (), labels=case.phase_labels[:1])
    return (
        rows_of(case.name, len(case.others) + 1, several, truth, voxel_ml),
        rows_of(case.name, 1, alone, truth, voxel_ml),
    )


def fit(rows: Sequence[Rows], *, weights: dict[str, str], source: str) -> dict[str, Any]:
    """The confidence file: for scans with one phase and with several a curve, its limits, what to expect of them."""
    document: dict[str, Any] = {"weights": weights, "fitted_on": source}
    for kind, alone in (("one_phase", True), ("several_phases", False)):
        allowed = {point: most[kind] for point, most in FALSE_PER_SCAN.items()}
        document[kind] = fit_curve([r for r in rows if (r.phases == 1) == alone], allowed)
    return document


def fit_curve(rows: Sequence[Rows], allowed: dict[str, float]) -> dict[str, Any]:
    """Curve by penalised logistic regression, and per operating point its limit.

    allowed: false lesions per scan of each operating point. Every figure of the operating points comes from curves that
    did not see the patient. Raises WrongCall with fewer than 20 true and 20 false candidates.
    """
    if not rows:
        raise WrongCall("no scan of this kind; needed: scans with one phase and with several")
    x, y = _stacked(rows)
    if min(y.sum(), (~y).sum()) < 20:
        raise WrongCall(f"{int(y.sum())} true and {int((~y).sum())} false candidates; needed 20 of each; add cases")
    curve, intercept = _logistic(x, y)
    left_out = np.empty(len(y))
    patients = np.concatenate([np.full(len(r.true), i) for i, r in enumerate(rows)])
    cases = [r.case for r in rows]
    for case in sorted(set(cases)):
        out = np.isin(patients, [i for i, c in enumerate(cases) if c == case])
        if out.any():
            one, base = _logistic(x[~out], y[~out])
            left_out[out] = 1 / (1 + np.exp(-(x[out] @ one + base)))
    points = {}
    for name, most in allowed.items():
        limit = _limit(left_out, y, len(rows), most)
        points[name] = {"least_confidence": limit, **_expected(rows, left_out, patients, limit)}
    group = np.clip((left_out * 10).astype(int), 0, 9)
    error = sum(abs(left_out[group == g].mean() - y[group == g].mean()) * (group == g).mean()
                for g in range(10) if (group == g).any())  # fmt: skip
    return {
        "candidates": len(y),
        "true_candidates": int(y.sum()),
        "expected_calibration_error": round(float(error), 4),
        "coefficients": [round(float(c), 4) for c in curve],
        "intercept": round(float(intercept), 4),
        "operating_points": points,
    }


def _stacked(rows: Sequence[Rows]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.concatenate([r.features for r in rows]), np.concatenate([r.true for r in rows])


def _logistic(x: NDArray[np.float64], y: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    """Logistic regression on standardised columns, penalised towards _PRIOR, by Newton's method."""
    middle, spread = x.mean(0), np.maximum(x.std(0), 1e-6)
    z = np.column_stack([np.ones(len(x)), (x - middle) / spread])
    penalty = np.diag([0.0, *[_PENALTY] * x.shape[1]])
    prior = np.concatenate([[0.0], np.array(_PRIOR) * spread])
    beta = np.zeros(z.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ beta))
        slope = z.T @ (y - p) - penalty @ (beta - prior)
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + penalty + 1e-9 * np.eye(len(beta)), slope)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    curve = beta[1:] / spread
    return curve, float(beta[0] - curve @ middle)


def _limit(p: NDArray[np.float64], y: NDArray[np.bool_], scans: int, allowed: float) -> float:
    """The lowest limit, in hundredths, with at most `allowed` false candidates per scan."""
    for limit in np.arange(0.05, 0.96, 0.01):
        if ((p >= limit) & ~y).sum() / scans <= allowed:
            return round(float(limit), 2)
    return 0.95


def _expected(
    rows: Sequence[Rows], p: NDArray[np.float64], patients: NDArray[np.int64], limit: float
) -> dict[str, Any]:
    found = {name: [0, 0] for name, *_ in STRATA}
    false = 0
    for number, row in enumerate(rows):
        shown = p[patients == number] >= limit
        seen = set(row.hit[shown & row.true].tolist())
        false += int((shown & ~row.true).sum())
        for k, across in enumerate(row.sizes_mm, 1):
            name = next(n for n, low, high in STRATA if low <= across < high)
            found[name][0] += int(k in seen)
            found[name][1] += 1
    return {
        "scans": len(rows),
        "false_per_scan": round(false / len(rows), 2),
        **{f"found_{name}": hits[0] for name, hits in found.items()},
        **{f"lesions_{name}": hits[1] for name, hits in found.items()},
    }


def write(document: dict[str, Any], path: Path) -> None:
    """As JSON that a person can read."""
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
