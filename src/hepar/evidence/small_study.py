"""Small-study effects and threshold: Deeks' funnel, the Doi plot with its LFK index, Spearman's correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.intervals import LEVEL
from hepar.evidence.likelihood import Array
from hepar.evidence.table import Table
from hepar.record.estimate import Estimate

LFK_WARNING = (
    "The LFK index has a false-positive rate that depends on the number of studies (0 to 30 %) and should not be used"
    " to judge small-study effects (Schwarzer, Ruecker, Semaca 2024, Res Synth Methods 15:603). It is given because"
    " published reviews report it."
)
DEEKS_LEVEL = 0.10
"""Deeks 2005: asymmetry is commonly called at p < 0.10, as the test has little power under heterogeneity."""


@dataclass(frozen=True, eq=False)
class Deeks:
    """Regression of ln DOR on 1/sqrt(ESS), weights ESS. p: two-sided t test of the slope, k - 2 degrees of freedom.

    x: 1/sqrt(ESS); y: ln DOR of each study used. Source: Deeks, Macaskill, Irwig 2005, J Clin Epidemiol 58:882.
    """

    slope: Estimate
    intercept: Estimate
    t: float
    df: int
    p: float
    x: Array
    y: Array


@dataclass(frozen=True, eq=False)
class Lfk:
    """LFK index of ln DOR and the points of the Doi plot. reading: the words that its authors give the index.

    effect, z: the plot, sorted by effect; |z| is drawn downwards. Source: Furuya-Kanamori 2018, Int J Evid Based
    Healthc 16:195; computed without rounding the pseudo-counts, as metasens does.
    """

    index: float
    reading: str
    warning: str
    effect: Array
    z: Array


@dataclass(frozen=True)
class Threshold:
    """Two things that papers call the threshold effect.

    spearman, p: rank correlation of logit TPR and logit FPR of the studies and its test (t, k - 2 df).
    model_correlation: of logit sensitivity and logit specificity between studies; negative under a threshold effect.
    share: its square, in percent, which midas prints as "proportion of heterogeneity likely due to threshold effect".
    """

    spearman: Estimate
    p: float | None
    model_correlation: Estimate
    share: Estimate


def corrected(table: Table) -> tuple[Array, Array, Array, Array]:
    """TP, FP, FN, TN as floats, 0.5 added to all four in the studies that have a zero, and only there."""
    cells = np.stack([table.tp, table.fp, table.fn, table.tn]).astype(np.float64)
    cells += 0.5 * (cells == 0).any(axis=0)
    return cells[0], cells[1], cells[2], cells[3]


def log_dor(table: Table) -> tuple[Array, Array]:
    """ln DOR of each study and its standard error, after the correction."""
    tp, fp, fn, tn = corrected(table)
    return np.log(tp * tn / (fp * fn)), np.sqrt(1 / tp + 1 / fp + 1 / fn + 1 / tn)


def both_sides(table: Table) -> Table:
    """The studies that have people with and without the disease."""
    return table.take(np.flatnonzero((table.n1 > 0) & (table.n0 > 0)))


def deeks(table: Table) -> Deeks | None:
    """Deeks' test; sizes are the table's own, without correction. None where the sizes do not vary."""
    from scipy.stats import t as student

    table = both_sides(table)
    k = table.k
    size = 4 * table.n1 * table.n0 / (table.n1 + table.n0)
    x, (y, _) = 1 / np.sqrt(size), log_dor(table)
    if k < 3 or np.ptp(x) < 1e-12:
        return None
    design = np.stack([np.ones(k), x], axis=1)
    information = design.T @ (design * size[:, None])
    coefficient = np.linalg.solve(information, design.T @ (size * y))
    residual = y - design @ coefficient
    error = np.sqrt(np.diag(np.linalg.inv(information)) * (size * residual**2).sum() / (k - 2))
    if error[1] == 0:
        return None
    t = float(coefficient[1] / error[1])
    wide = float(student.ppf((1 + LEVEL) / 2, k - 2))
    how = f"t({k - 2}), weighted least squares"
    ends = [
        Estimate(float(c), float(c - wide * e), float(c + wide * e), LEVEL, how)
        for c, e in zip(coefficient, error, strict=True)
    ]
    return Deeks(ends[1], ends[0], t, k - 2, float(2 * student.sf(abs(t), k - 2)), x, y)


def lfk(table: Table) -> Lfk | None:
    """The LFK index of ln DOR; None where all effects are equal."""
    from scipy.stats import norm

    effect, error = log_dor(both_sides(table))
    order = np.argsort(effect, kind="stable")
    effect, error = effect[order], error[order]
    if len(effect) < 2 or np.ptp(effect) == 0:
        return None
    counts = 100 * (error**2).max() / error**2
    # the middle rank of each study's pseudo-counts, which start at rank 0, less a half
    z = norm.ppf((np.cumsum(counts) - counts / 2 - 0.5) / counts.sum())
    distance = effect - effect[np.argmin(np.abs(z))]
    index = float(5 / (2 * len(z)) * np.sum(z + np.ptp(z) / np.ptp(distance) * distance))
    reading = "no" if abs(index) <= 1 else "minor" if abs(index) <= 2 else "major"
    return Lfk(index, f"{reading} asymmetry", LFK_WARNING, effect, z)


def spearman(table: Table) -> tuple[float | None, float | None]:
    """Rank correlation of logit TPR and logit FPR and its p value (t, k - 2 df); None where a side does not vary."""
    from scipy.stats import rankdata
    from scipy.stats import t as student

    table = both_sides(table)
    tp, fp, fn, tn = corrected(table)
    a, b = rankdata(np.log(tp / fn)), rankdata(np.log(fp / tn))
    if table.k < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None, None
    rho = float(np.clip(np.corrcoef(a, b)[0, 1], -1, 1))
    if abs(rho) == 1:
        return rho, 0.0
    t = rho * np.sqrt((table.k - 2) / (1 - rho**2))
    return rho, float(2 * student.sf(abs(t), table.k - 2))
