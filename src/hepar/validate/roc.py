"""ROC and precision-recall curves, and the area under a part of the ROC curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import with_interval
from hepar.validate.inputs import Floats, paired


@dataclass(frozen=True, eq=False)
class Curve:
    """x and y of a curve and the threshold of each point (positive when score >= threshold); first is +inf."""

    x: Floats
    y: Floats
    thresholds: Floats


def roc_curve(truth: ArrayLike, score: ArrayLike) -> Curve:
    """False-positive rate (x) and sensitivity (y) from (0, 0) to (1, 1). Raises WrongCall for one class only."""
    tp, fp, cuts = _steps(truth, score)
    if tp[-1] == 0 or fp[-1] == 0:
        raise WrongCall("all cases are of one class; needed: both, for a ROC curve")
    return Curve(fp / fp[-1], tp / tp[-1], cuts)


def precision_recall_curve(truth: ArrayLike, score: ArrayLike) -> Curve:
    """Recall (x) and precision (y); the first point, where nothing is called positive, has precision 1."""
    tp, fp, cuts = _steps(truth, score)
    if tp[-1] == 0:
        raise WrongCall("no case is positive; needed: at least one, for a precision-recall curve")
    called = tp + fp
    return Curve(tp / tp[-1], np.where(called > 0, tp / np.maximum(called, 1), 1.0), cuts)


def average_precision(truth: ArrayLike, score: ArrayLike) -> float:
    """Sum of precision over the steps of recall, as scikit-learn. A blind score has the prevalence."""
    curve = precision_recall_curve(truth, score)
    return float(np.diff(curve.x) @ curve.y[1:])


@dataclass(frozen=True)
class PartialArea:
    """raw: the area of that part. corrected: McClish's, 0.5 for a blind score and 1 for a perfect one (below 0.5 for
    one worse than blind, where pROC gives none)."""

    raw: Estimate
    corrected: Estimate


def partial_auc(
    truth: ArrayLike, score: ArrayLike, *, lowest_specificity: float | None = None,
    lowest_sensitivity: float | None = None, level: float = 0.95,
) -> PartialArea:  # fmt: skip
    """The area where specificity runs from 1 down to `lowest_specificity`, or beside the part of the curve where
    sensitivity does so to `lowest_sensitivity` (McClish 1989), as pROC's partial.auc; name one of both.

    Interval: the variance of Dodd and Pepe (Biometrics 2003), with that of the threshold which ends the part, on the
    logit scale of the share of the largest possible area. Area 0 or full, or one case of a class: no interval.
    """
    given = [v for v in (lowest_specificity, lowest_sensitivity) if v is not None]
    if len(given) != 1 or not 0.0 <= given[0] < 1.0:
        raise WrongCall(f"the lowest specificity is {lowest_specificity}, the lowest sensitivity {lowest_sensitivity}; "
                        "needed: one of both, from 0 to below 1")  # fmt: skip
    positive, values = paired(truth, score)
    if lowest_specificity is None:
        positive, values = ~positive, -values
    curve, end = roc_curve(positive, values), 1.0 - given[0]
    down, inverse = -curve.thresholds[1:], -values
    step = np.searchsorted(down, inverse, "left")  # which step of the curve each case belongs to
    left, right = curve.x[step], curve.x[step + 1]
    inside = np.clip(end - left, 0.0, right - left)
    width = np.where(right > left, right - left, 1.0)
    by_pos = np.where(right > left, np.maximum(end - right, 0.0) + inside * inside / (2.0 * width),
                      np.maximum(end - left, 0.0))[positive]  # fmt: skip
    reach = float(np.interp(end, *_highest(curve)))
    middle = (curve.y[step] + curve.y[step + 1]) / 2.0
    by_neg = (np.minimum(inside / width, 1.0) * (middle - reach))[~positive]
    raw = float(by_pos.mean())
    variance = sum(float(v.var(ddof=1)) / v.size if v.size > 1 else np.nan for v in (by_pos, by_neg))
    part = with_interval(raw / end, variance / end**2, 1, method="logit-delong", level=level)
    if raw in (0.0, end):
        part = Estimate(raw / end)
    blind = end * end / 2.0

    def turn(to: Callable[[float], float]) -> Estimate:
        if part.low is None or part.high is None:
            return Estimate(to(raw))
        return Estimate(to(raw), to(part.low * end), to(part.high * end), level, "Dodd and Pepe 2003, logit")

    return PartialArea(turn(lambda v: v), turn(lambda v: (1.0 + (v - blind) / (end - blind)) / 2.0))


def _highest(curve: Curve) -> tuple[Floats, Floats]:
    """The curve's points with one sensitivity, the highest, per false-positive rate."""
    last = np.append(np.diff(curve.x) > 0, True)
    return curve.x[last], curve.y[last]


def _steps(truth: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    positive, values = paired(truth, score)
    order = np.argsort(-values, kind="stable")
    down, right = values[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(down) != 0), down.size - 1)
    tp = np.concatenate(([0.0], np.cumsum(right)[last]))
    fp = np.concatenate(([0.0], (last + 1) - np.cumsum(right)[last]))
    return tp, fp, np.concatenate(([np.inf], down[last]))
