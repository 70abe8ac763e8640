"""How much the studies differ: I2 of the bivariate model, prediction intervals, normality of the effects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from hepar.evidence.fit import Fit
from hepar.evidence.intervals import LEVEL, named, quantile, wald
from hepar.evidence.likelihood import Array, Counts
from hepar.evidence.quantities import delta, expit, i2_bivariate, i2_zhou
from hepar.evidence.reitsma import corrected_cells
from hepar.evidence.result import Heterogeneity, Normality
from hepar.evidence.small_study import both_sides
from hepar.evidence.table import Table
from hepar.evidence.univariate import univariate
from hepar.record.estimate import Estimate


def heterogeneity(fit: Fit, table: Table, k: int, variances: tuple[Estimate, Estimate], interval: str) -> Heterogeneity:
    """k: studies. variances: between-study variances with their intervals, from which those of tau and of I2 follow."""
    psi, means = fit.between(), fit.means
    i2_1, within1 = i2_zhou(float(psi[0, 0]), float(means[0]), table.n1)
    i2_2, within2 = i2_zhou(float(psi[1, 1]), float(means[1]), table.n0)
    joint = i2_bivariate(psi, within1, within2)
    wide = quantile("t", k)
    how = f"prediction, t({k - 2}), logit scale"
    predictions = [
        wald(float(means[i]), float(np.sqrt(psi[i, i] + fit.covariance[i, i])), wide, lambda x: float(expit(x)), how)
        for i in (0, 1)
    ]
    sides = ((variances[0], i2_1, 0, table.n1), (variances[1], i2_2, 1, table.n0))
    i2s = [
        _carried(variance, value, partial(_i2, mean=float(means[i]), sizes=n), "from the interval of tau2")
        for variance, value, i, n in sides
    ]
    taus = [
        _carried(variance, float(np.sqrt(psi[i, i])), lambda t: float(np.sqrt(t)), "from the interval of tau2")
        for variance, _, i, _ in sides
    ]
    return Heterogeneity(
        i2s[0], i2s[1], _joint(fit, table, k, joint, interval), taus[0], taus[1], predictions[0], predictions[1],
        univariate(table), normality(fit, table),
    )  # fmt: skip


def _i2(tau2: float, mean: float, sizes: Counts) -> float:
    return i2_zhou(tau2, mean, sizes)[0]


def _carried(variance: Estimate, value: float, function: Callable[[float], float], how: str) -> Estimate:
    """The interval of a variance carried through a rising function of it."""
    if variance.low is None or variance.high is None:
        return Estimate(value)
    low, high = min(function(variance.low), value), max(function(variance.high), value)
    return Estimate(value, low, high, variance.level, how)


def _joint(fit: Fit, table: Table, k: int, value: float, interval: str) -> Estimate:
    """The joint I2 with a delta interval on its logit; none at 0, where the correlation is at its limit."""
    if not 1e-6 < value < 100 - 1e-6 or fit.boundary != "none":
        return Estimate(value)

    def logit(theta: Array) -> Array:
        l11, l21, l22 = theta[2:5]
        psi = np.array([[l11**2, l11 * l21], [l11 * l21, l21**2 + l22**2]])
        within = [i2_zhou(float(psi[i, i]), float(theta[i]), n)[1] for i, n in ((0, table.n1), (1, table.n0))]
        share = i2_bivariate(psi, within[0], within[1]) / 100
        return np.array([np.log(share / (1 - share))])

    centre, spread = delta(fit, logit)
    return wald(
        float(centre[0]), float(np.sqrt(spread[0, 0])), quantile(interval, k), lambda x: float(100 * expit(x)),
        named(interval, k, "logit"), LEVEL,
    )  # fmt: skip


def normality(fit: Fit, table: Table) -> Normality | None:
    """Mardia's skewness and kurtosis of the studies' logits, each standardised by its own marginal covariance."""
    from scipy.stats import chi2, norm

    table = both_sides(table)
    tp, fp, fn, tn = corrected_cells(table, "single")
    y = np.stack([np.log(tp / fn), np.log(tn / fp)], axis=1) - fit.means[:2]
    own = np.stack([1 / tp + 1 / fn, 1 / tn + 1 / fp], axis=1)
    psi = fit.between()
    white = np.array([np.linalg.solve(np.linalg.cholesky(psi + np.diag(v)), r) for v, r in zip(own, y, strict=True)])
    k = len(white)
    white = white - white.mean(axis=0)
    covariance = white.T @ white / k
    if k < 4 or np.linalg.cond(covariance) > 1e10:
        return None
    products = white @ np.linalg.solve(covariance, white.T)
    skewness, kurtosis = float((products**3).mean()), float((np.diag(products) ** 2).mean())
    tail = float(chi2.sf(k * skewness / 6, 4))
    z = (kurtosis - 8) / np.sqrt(64 / k)
    return Normality(skewness, tail, kurtosis, float(2 * norm.sf(abs(z))))
