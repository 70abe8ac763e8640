"""ROC and precision-recall curves, and the area under a part of the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
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
    """raw: the area of that part. corrected: McClish's, 0.5 for a blind score and 1 for a perfect one."""

    raw: float
    corrected: float


def partial_auc(truth: ArrayLike, score: ArrayLike, *, lowest_specificity: float) -> PartialArea:
    """The area where specificity runs from 1 down to `lowest_specificity` (McClish 1989), as pROC's partial.auc."""
    if not 0.0 <= lowest_specificity < 1.0:
        raise WrongCall(f"the lowest specificity is {lowest_specificity:g}; needed: from 0 to below 1")
    curve, end = roc_curve(truth, score), 1.0 - lowest_specificity
    inside = int(np.searchsorted(curve.x, end, "right"))
    x, y = curve.x[:inside], curve.y[:inside]
    if x[-1] < end:
        reach = y[-1] + (curve.y[inside] - y[-1]) * (end - x[-1]) / (curve.x[inside] - x[-1])
        x, y = np.append(x, end), np.append(y, reach)
    raw = float(np.trapezoid(y, x))
    blind = end * end / 2.0
    return PartialArea(raw, (1.0 + (raw - blind) / (end - blind)) / 2.0)


def _steps(truth: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats, Floats]:
    positive, values = paired(truth, score)
    order = np.argsort(-values, kind="stable")
    down, right = values[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(down) != 0), down.size - 1)
    tp = np.concatenate(([0.0], np.cumsum(right)[last]))
    fp = np.concatenate(([0.0], (last + 1) - np.cumsum(right)[last]))
    return tp, fp, np.concatenate(([np.inf], down[last]))
