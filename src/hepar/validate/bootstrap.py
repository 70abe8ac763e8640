"""Intervals for figures pooled over cases whose parts belong together: whole patients are drawn, not lesions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Floats
from hepar.validate.proportion import proportion

DRAWS = 2000
ALL_ALIKE = "Wilson, patients as units, since all are alike"
_AT_ONCE = 2_000_000
"""Weights held at a time, which bounds the memory."""


def draw_weights(n: int, draws: int, seed: int) -> Iterator[Floats]:
    """Blocks (draws, n) of how often each of n cases is drawn. The same seed gives the same draws."""
    generator = np.random.default_rng(seed)
    block = max(1, _AT_ONCE // max(n, 1))
    for start in range(0, draws, block):
        rows = min(block, draws - start)
        pick = generator.integers(0, n, (rows, n)) + (np.arange(rows) * n)[:, None]
        yield np.bincount(pick.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def of_sums(
    columns: ArrayLike, figure: Callable[[Floats], Floats], *, why_none: str, patients: ArrayLike | None = None,
    draws: int = DRAWS, seed: int = 0, level: float = 0.95,
) -> Estimate:  # fmt: skip
    """A figure made from sums over cases, with the percentile interval of drawing patients.

    columns: (cases, k). figure: takes sums (..., k) and gives the figure (...), NaN where it has no value. patients:
    who each case belongs to; None takes every case as a patient. One patient only, or every
    draw the same (all or none found): no interval, since drawing cannot tell how far it may be from the truth.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2:
        raise WrongCall(f"the sums have the shape {table.shape}; needed: cases x columns")
    if patients is not None:
        names, code = np.unique(np.asarray(patients), return_inverse=True)
        table = np.stack([np.bincount(code, weights=line, minlength=names.size) for line in table.T], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(figure(table.sum(axis=0)))
        if not np.isfinite(value):
            return Estimate.cannot_tell(why_none)
        if table.shape[0] < 2 or draws == 0:
            return Estimate(value)
        seen = np.concatenate([figure(block @ table) for block in draw_weights(table.shape[0], draws, seed)])
    seen = seen[np.isfinite(seen)]
    low, high = np.quantile(seen, ((1 - level) / 2, (1 + level) / 2)) if seen.size else (value, value)
    if low == high:
        return Estimate(value)
    return Estimate(
        value, min(value, float(low)), max(value, float(high)), level, f"bootstrap of patients, {draws} draws"
    )


def of_share(
    columns: ArrayLike, *, why_none: str, patients: ArrayLike | None = None, draws: int = DRAWS, seed: int = 0,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """First column over the second, a share of things that belong together in patients, with the interval of
    `of_sums`. Where all or none count, drawing tells nothing: then Wilson's interval, each patient with such things
    taken as one of them, which is the most that belonging together can cost."""
    value = of_sums(columns, ratio, why_none=why_none, patients=patients, draws=draws, seed=seed, level=level)
    if value.estimate not in (0.0, 1.0) or value.low is not None:
        return value
    there = np.asarray(columns, dtype=np.float64)[:, 1] > 0
    n = int(there.sum()) if patients is None else np.unique(np.asarray(patients)[there]).size
    found = proportion(n if value.estimate == 1.0 else 0, n, level=level)
    return Estimate(value.estimate, found.low, found.high, level, ALL_ALIKE)


def of_rate(
    columns: ArrayLike, *, patients: ArrayLike | None = None, draws: int = DRAWS, seed: int = 0, level: float = 0.95
) -> Estimate:
    """First column (events) over the second (cases). Without any event: Poisson's exact interval, patients as units."""
    value = of_sums(columns, ratio, why_none="no case", patients=patients, draws=draws, seed=seed, level=level)
    if value.estimate != 0.0 or value.low is not None:
        return value
    n = len(np.asarray(columns)) if patients is None else np.unique(np.asarray(patients)).size
    return Estimate(0.0, 0.0, float(-np.log((1 - level) / 2) / n), level, "Poisson, exact, patients as units")


def ratio(sums: Floats) -> Floats:
    """First column over the second."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def mean(values: ArrayLike, *, patients: ArrayLike | None = None, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Mean of one value per case, drawing patients."""
    column = np.asarray(values, dtype=np.float64)
    table = np.column_stack([column, np.ones(column.size)])
    return of_sums(table, ratio, why_none="no case", patients=patients, draws=draws, seed=seed)
