"""Subgroups and meta-regression: does accuracy differ between levels of a covariate?

Four nested models (Cochrane Handbook, chapter 10): A nothing differs, B both sides free, C sensitivity common,
D specificity common. Joint test A against B; separate tests C against B (sensitivity) and D against B (specificity).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hepar.errors import WrongCall
from hepar.evidence import quantities as q
from hepar.evidence.fit import Fit, fit
from hepar.evidence.intervals import LEVEL, named, wald
from hepar.evidence.likelihood import Array, Problem
from hepar.evidence.result import BetweenStudy
from hepar.evidence.table import MISSING, Table, check_poolable, clusters_of
from hepar.record.estimate import Estimate

MOST_LEVELS = 6
"""A covariate of numbers with more different values than this enters as a slope, not as levels."""


@dataclass(frozen=True)
class Lrt:
    """A likelihood-ratio test."""

    chi2: float
    df: int
    p: float


@dataclass(frozen=True)
class Tests:
    """joint: of any difference; sensitivity, specificity: of that side, the other left free."""

    joint: Lrt
    sensitivity: Lrt
    specificity: Lrt


@dataclass(frozen=True)
class Difference:
    """One side of a contrast: level minus reference, and level over reference."""

    difference: Estimate
    ratio: Estimate
    logit_difference: Estimate
    p: float


@dataclass(frozen=True)
class DorRatio:
    """The diagnostic odds ratio of the level over that of the reference. difference: of their logarithms."""

    difference: Estimate
    ratio: Estimate
    p: float


@dataclass(frozen=True)
class Contrast:
    """A level against the reference level. p: Wald z test on the logit (or log) scale."""

    covariate: str
    level: str
    reference: str
    sensitivity: Difference
    specificity: Difference
    dor: DorRatio


@dataclass(frozen=True)
class Level:
    """Accuracy at one level, from model B. For a slope: at the mean, and one standard deviation above."""

    level: str
    tables: int
    sensitivity: Estimate
    specificity: Estimate
    dor: Estimate


@dataclass(frozen=True)
class LeftOut:
    """A covariate that could not be used, and why."""

    covariate: str
    reason: str


@dataclass(frozen=True, eq=False)
class Compared:
    """The comparison. covariance: "equal" or "unequal" between levels. clustered_by: column whose tables share effects.

    loglik: of the models A, B, C, D. left_out: set, and everything else empty, where the covariate cannot be used.
    """

    covariate: str
    covariance: str
    clustered_by: str | None
    tables: int
    studies: int
    levels: tuple[Level, ...]
    contrasts: tuple[Contrast, ...]
    lrt: Tests | None
    loglik: dict[str, float]
    between_study: dict[str, BetweenStudy]
    boundary: str
    left_out: tuple[LeftOut, ...]
    notices: tuple[str, ...]
    fit: Fit | None = field(default=None, repr=False)


def compare(
    table: Table, by: str, *, study: str | None = None, reference: str | None = None, unequal: bool = False
) -> Compared:
    """Compare levels of the covariate `by`.

    study: column that tells which tables belong to one study; they then share its random effects. reference: the
    level to compare with; default: the first in order. unequal: a covariance of its own for each level.
    A covariate that cannot be used is named in `left_out`, never refused. Raises WrongCall for a column that is not
    there, Refused for a table that cannot be pooled.
    """
    check_poolable(table)
    values = table.covariate(by)
    name = next((own for own in table.covariates if own.lower() == by.strip().lower()), by)
    clusters = table.covariate(study) if study else None
    reason = unusable(table, values)
    numbers = numeric(values) if not reason else None
    slope = numbers is not None and len(set(values)) > MOST_LEVELS
    levels: tuple[str, ...] = () if slope else tuple(dict.fromkeys(sorted(values, key=_order)))
    if reference is not None and not reason:
        if slope or reference not in levels:
            raise WrongCall(f"{name} has no level {reference!r}; its levels are {', '.join(levels) or 'numbers'}")
        levels = (reference, *(one for one in levels if one != reference))
    if not reason and unequal and (slope or (clusters and _mixed(clusters, values))):
        reason = "a covariance for each level needs levels, and each study within one of them"
    if reason:
        return Compared(
            name, "unequal" if unequal else "equal", study, table.k, len(set(clusters or range(table.k))), (), (), None,
            {}, {}, "none", (LeftOut(name, reason),), table.notices,
        )  # fmt: skip

    order, index = clusters_of(table, clusters)
    values = tuple(values[i] for i in order)
    if slope:
        assert numbers is not None
        x = numbers[order]
        full = np.stack([np.ones(table.k), (x - x.mean()) / x.std(ddof=1)], axis=1)
        shown = np.array([[1.0, 0.0], [1.0, 1.0]])
        names: tuple[str, ...] = (f"mean ({x.mean():.4g})", f"mean + 1 sd ({x.mean() + x.std(ddof=1):.4g})")
        counts = [table.k, table.k]
    else:
        full = np.array([[float(value == level) for level in levels] for value in values])
        shown, names, counts = np.eye(len(levels)), levels, [values.count(level) for level in levels]
    none = np.ones((table.k, 1))
    group = np.zeros(int(index.max()) + 1, dtype=np.intp)
    if unequal:
        group[index] = [levels.index(value) for value in values]
    counted = [column[order].astype(np.float64) for column in (table.tp, table.n1, table.tn, table.n0)]
    fits = {
        model: fit(Problem(counted[0], counted[1], counted[2], counted[3], one, two, index, group))
        for model, one, two in (("A", none, none), ("B", full, full), ("C", none, full), ("D", full, none))
    }
    free = full.shape[1] - 1
    best = fits["B"]
    tests = Tests(*(
        _test(fits[model], best, df) for model, df in (("A", 2 * free), ("C", free), ("D", free))
    ))  # fmt: skip
    between = {level: _between(best, g) for g, level in enumerate(levels if unequal else ("all",))}
    return Compared(
        name, "unequal" if unequal else "equal", study, table.k, int(index.max()) + 1,
        tuple(_level(best, row, level, n) for row, level, n in zip(shown, names, counts, strict=True)),
        tuple(
            _contrast(best, name, row, shown[0], level, names[0])
            for row, level in zip(shown[1:], names[1:], strict=True)
        ),
        tests, {model: one.loglik for model, one in fits.items()}, between, best.boundary, (),
        _notices(table, clusters, fits), best,
    )  # fmt: skip


def unusable(table: Table, values: tuple[str, ...]) -> str:
    """Why a covariate cannot enter a regression, in a sentence; "" where it can."""
    missing = sum(value.lower() in MISSING for value in values)
    if missing:
        return f"{missing} of {len(values)} tables have no value"
    different = len(set(values))
    if different == 1:
        return f"all tables have the same value ({values[0]})"
    if numeric(values) is not None and different > MOST_LEVELS:
        return ""
    if different > table.k / 3:
        return f"{different} levels in {table.k} tables are nearly one level for each table"
    for level in sorted(set(values)):
        rows = table.take([i for i, value in enumerate(values) if value == level])
        for cell, column in (("TP", rows.tp), ("FP", rows.fp), ("FN", rows.fn), ("TN", rows.tn)):
            if not column.any():
                return f"at the level {level} every {cell} is 0, so that one side has no finite logit there"
    return ""


def numeric(values: tuple[str, ...]) -> Array | None:
    """The values as numbers; None where one is none."""
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _order(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return np.inf, value


def _mixed(clusters: tuple[str, ...], values: tuple[str, ...]) -> bool:
    pairs = set(zip(clusters, values, strict=True))
    return len(pairs) > len(set(clusters))


def _test(smaller: Fit, larger: Fit, df: int) -> Lrt:
    from scipy.stats import chi2

    statistic = max(0.0, 2 * (larger.loglik - smaller.loglik))
    return Lrt(statistic, df, float(chi2.sf(statistic, df)))


def _sides(fit: Fit, row: Array) -> Array:
    """(2, parameter) rows that give logit sensitivity and logit specificity at one level."""
    rows = np.zeros((2, len(fit.theta)))
    rows[0, : len(row)] = row
    rows[1, len(row) : 2 * len(row)] = row
    return rows


def _z(value: float, variance: float) -> tuple[float, float]:
    """Standard error and two-sided p value."""
    from scipy.stats import norm

    error = float(np.sqrt(variance))
    return error, float(2 * norm.sf(abs(value) / error)) if error > 0 else 1.0


def _multiple() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + LEVEL) / 2))


def _level(fit: Fit, row: Array, name: str, tables: int) -> Level:
    rows = _sides(fit, row)
    means, spread = rows @ fit.theta, rows @ fit.covariance @ rows.T
    how = named("z", 0, "logit")
    one, two = (
        wald(float(means[i]), float(np.sqrt(spread[i, i])), _multiple(), lambda x: float(q.expit(x)), how)
        for i in (0, 1)
    )
    dor = wald(
        float(means.sum()), float(np.sqrt(spread.sum())), _multiple(), lambda x: float(np.exp(x)), named("z", 0, "log")
    )
    return Level(name, tables, one, two, dor)


def _contrast(fit: Fit, covariate: str, row: Array, base: Array, level: str, reference: str) -> Contrast:
    here, there = _sides(fit, row), _sides(fit, base)
    sides = []
    for i in (0, 1):
        shift = float((here[i] - there[i]) @ fit.theta)
        error, p = _z(shift, float((here[i] - there[i]) @ fit.covariance @ (here[i] - there[i])))
        a, b = (float(q.expit(rows[i] @ fit.theta)) for rows in (here, there))
        slope = a * (1 - a) * here[i] - b * (1 - b) * there[i]
        log_slope = (1 - a) * here[i] - (1 - b) * there[i]
        sides.append(Difference(
            wald(a - b, float(np.sqrt(slope @ fit.covariance @ slope)), _multiple(), float, named("z", 0, "own")),
            wald(
                float(np.log(a / b)), float(np.sqrt(log_slope @ fit.covariance @ log_slope)), _multiple(),
                lambda x: float(np.exp(x)), named("z", 0, "log"),
            ),
            wald(shift, error, _multiple(), float, named("z", 0, "logit")), p,
        ))  # fmt: skip
    both = (here - there).sum(axis=0)
    shift = float(both @ fit.theta)
    error, p = _z(shift, float(both @ fit.covariance @ both))
    dor = DorRatio(
        wald(shift, error, _multiple(), float, named("z", 0, "log")),
        wald(shift, error, _multiple(), lambda x: float(np.exp(x)), named("z", 0, "log")), p,
    )  # fmt: skip
    return Contrast(covariate, level, reference, sides[0], sides[1], dor)


def _between(fit: Fit, group: int) -> BetweenStudy:
    psi = fit.between(group)
    scale = float(np.sqrt(psi[0, 0] * psi[1, 1]))
    rho = Estimate(float(np.clip(psi[0, 1] / scale, -1, 1))) if scale > 0 else Estimate.cannot_tell("a variance is 0")
    return BetweenStudy(Estimate(float(psi[0, 0])), Estimate(float(psi[1, 1])), rho)


def _notices(table: Table, clusters: tuple[str, ...] | None, fits: dict[str, Fit]) -> tuple[str, ...]:
    found = [notice for notice in table.notices if clusters is None or "more than one table" not in notice]
    edges = [model for model, one in fits.items() if one.boundary != "none"]
    if edges:
        found.append(f"On a boundary of the parameter space: model {', '.join(edges)}; the means keep their meaning.")
    return tuple(found)
