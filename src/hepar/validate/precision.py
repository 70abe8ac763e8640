"""Average precision with its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import draw_weights
from hepar.validate.inputs import Floats, paired, same_length
from hepar.validate.roc import average_precision

DRAWS, FEWEST_DRAWS = 2000, 200
_WORK = 100_000_000
"""Draws times cases; a larger table gets fewer draws, 200 at least."""


def average_precision_interval(
    truth: ArrayLike, score: ArrayLike, *, patients: ArrayLike | None = None, draws: int | None = None, seed: int = 0,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """Average precision (as scikit-learn) with the percentile interval of drawing cases, or whole patients.

    One class only gives no number. draws: None takes 2,000, fewer for tables of more than 50,000 rows.
    """
    positive, values = paired(truth, score)
    if positive.all() or not positive.any():
        return Estimate.cannot_tell("all cases are of one class")
    value = average_precision(positive, values)
    code = np.arange(positive.size)
    if patients is not None:
        code = np.unique(np.asarray(patients), return_inverse=True)[1]
        same_length(positive.size, code.size, "the truth", "the patients")
    if draws is None:
        draws = int(np.clip(_WORK // positive.size, FEWEST_DRAWS, DRAWS))
    if draws < 1:
        raise WrongCall(f"{draws} draws; needed: one at least")
    order = np.argsort(-values, kind="stable")
    down, right, who = values[order], positive[order].astype(np.float64), code[order]
    last = np.append(np.flatnonzero(np.diff(down) != 0), down.size - 1)
    seen = []
    for block in draw_weights(int(code.max()) + 1, draws, seed):
        for weights in block:
            seen.append(_area(weights[who], right, last))
    found = np.array([v for v in seen if np.isfinite(v)])
    low, high = (float(v) for v in np.quantile(found, ((1 - level) / 2, (1 + level) / 2)))
    what = "cases" if patients is None else "patients"
    return Estimate(value, min(value, low), max(value, high), level, f"bootstrap of {what}, {draws} draws")


def _area(weight: Floats, right: Floats, last: Floats) -> float:
    hits, called = np.cumsum(weight * right)[last], np.cumsum(weight)[last]
    if hits[-1] <= 0:
        return float("nan")
    precision = np.divide(hits, called, out=np.ones(hits.size), where=called > 0)
    return float(np.diff(hits, prepend=0.0) @ precision / hits[-1])
