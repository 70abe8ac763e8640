"""Older summaries that published reviews report, for comparison with them; none replaces the bivariate model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.likelihood import Array, Counts
from hepar.evidence.small_study import both_sides, corrected, log_dor
from hepar.evidence.table import Table


@dataclass(frozen=True)
class Line:
    """A weighted straight line. slope_t: slope over its standard error; slope_p: two-sided, k - 2 df."""

    intercept: float
    slope: float
    slope_t: float
    slope_p: float


@dataclass(frozen=True)
class Chi2:
    """A chi-square test."""

    chi2: float
    df: int
    p: float


def line(x: Array, y: Array, weight: Array) -> Line:
    """Weighted least squares of y on x; needs three points and different x."""
    from scipy.stats import t as student

    design = np.stack([np.ones(len(x)), x], axis=1)
    inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
    found = inverse @ design.T @ (weight * y)
    left = y - design @ found
    df = len(x) - 2
    t = float(found[1] / np.sqrt(inverse[1, 1] * (weight * left**2).sum() / df))
    return Line(float(found[0]), float(found[1]), t, float(2 * student.sf(abs(t), df)))


def egger(table: Table) -> Line:
    """Egger's regression of ln DOR on its standard error; it misleads for odds ratios, where `deeks` serves.

    0.5 is added to all cells of studies with a zero.
    """
    effect, error = log_dor(both_sides(table))
    return line(error, effect, error**-2)


def moses_littenberg(table: Table, *, weighted: bool = False) -> Line:
    """The old SROC line ln DOR = a + b S, S = logit TPR + logit FPR (Moses 1993); ignores sampling error in S."""
    table = both_sides(table)
    tp, fp, fn, tn = corrected(table)
    effect, error = log_dor(table)
    weight = error**-2 if weighted else np.ones(table.k)
    return line(np.log(tp / fn) + np.log(fp / tn), effect, weight)


def equal_proportions(hits: Counts, sizes: Counts) -> Chi2:
    """Pearson's test that the studies share one proportion, without correction; Meta-DiSc prints it."""
    from scipy.stats import chi2

    x, n = (np.asarray(values, dtype=np.float64)[np.asarray(sizes) > 0] for values in (hits, sizes))
    p = x.sum() / n.sum()
    statistic = float(((x - n * p) ** 2 / (n * p * (1 - p))).sum())
    return Chi2(statistic, len(n) - 1, float(chi2.sf(statistic, len(n) - 1)))


def deeks_corrected(table: Table) -> Line:
    """Deeks' test as midas computes it: sizes after 0.5 was added to the cells of studies with a zero."""
    table = both_sides(table)
    tp, fp, fn, tn = corrected(table)
    n1, n0 = tp + fn, fp + tn
    size = 4 * n1 * n0 / (n1 + n0)
    return line(1 / np.sqrt(size), log_dor(table)[0], size)
