"""The normal approximation of the bivariate model (Reitsma 2005), by ML or REML. For comparison only.

Empirical logits with a continuity correction stand in for the binomial counts. With sparse or few studies this is
visibly biased towards one half; the exact likelihood in `fit` is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.fit import covariance_of
from hepar.evidence.likelihood import Array
from hepar.evidence.table import Table


@dataclass(frozen=True, eq=False)
class Reitsma:
    """means: of logit sensitivity and logit specificity; covariance: theirs; between: of the studies' logits.

    loglik: of the logits, as mvmeta counts it (under REML metafor's rma.mv adds log k). correction: "all" (0.5 added
    everywhere if any cell anywhere is 0, mada's default), "single" (in the studies with a zero) or "none".
    """

    method: str
    correction: str
    means: Array
    covariance: Array
    between: Array
    loglik: float


def corrected_cells(table: Table, correction: str) -> Array:
    """(4, k) cells TP, FP, FN, TN with 0.5 added where the rule says."""
    cells = np.stack([table.tp, table.fp, table.fn, table.tn]).astype(np.float64)
    zero = (cells == 0).any(axis=0)
    if correction == "all":
        return cells + 0.5 * bool(zero.any())
    return cells + 0.5 * zero if correction == "single" else cells


def reitsma(table: Table, *, method: str = "REML", correction: str = "all") -> Reitsma:
    """Fit by `method` "ML" or "REML". Needs both sides of every study, or a correction that fills them."""
    from scipy.optimize import minimize

    tp, fp, fn, tn = corrected_cells(table, correction)
    y = np.stack([np.log(tp / fn), np.log(tn / fp)], axis=1)
    within = np.stack([1 / tp + 1 / fn, 1 / tn + 1 / fp], axis=1)
    restricted = method == "REML"

    def look(cholesky: Array) -> tuple[float, Array, Array, Array]:
        """Minus log likelihood, its gradient, means and their covariance."""
        psi = covariance_of(cholesky)
        a, b, c = psi[0, 0] + within[:, 0], psi[1, 1] + within[:, 1], psi[0, 1]
        det = a * b - c**2
        i11, i22, i12 = b / det, a / det, -c / det
        inverse = np.moveaxis(np.array([[i11, i12], [i12, i22]]), 2, 0)
        information = inverse.sum(axis=0)
        covariance = np.linalg.inv(information)
        means = covariance @ np.einsum("kij,kj->i", inverse, y)
        r = np.einsum("kij,kj->ki", inverse, y - means)
        value = 0.5 * (np.log(det).sum() + np.einsum("ki,ki->", y - means, r)) + len(y) * np.log(2 * np.pi)
        slope = 0.5 * (inverse - r[:, :, None] * r[:, None, :]).sum(axis=0)
        if restricted:
            value += 0.5 * np.linalg.slogdet(information)[1] - np.log(2 * np.pi)
            slope -= 0.5 * np.einsum("kij,jl,klm->im", inverse, covariance, inverse)
        l11, l21, l22 = cholesky
        gradient = np.array([
            2 * (slope[0, 0] * l11 + slope[0, 1] * l21), 2 * (slope[0, 1] * l11 + slope[1, 1] * l21),
            2 * slope[1, 1] * l22,
        ])  # fmt: skip
        return float(value), gradient, means, covariance

    s1, s2 = np.sqrt(np.maximum(y.var(axis=0, ddof=1) - within.mean(axis=0), 0.05))
    found = [
        minimize(
            lambda x: look(x)[:2], np.array([s1, rho * s2, np.sqrt(1 - rho**2) * s2]), jac=True, method="BFGS",
            options={"gtol": 1e-9, "maxiter": 500},
        )
        for rho in (0.0, -0.9, 0.9)
    ]  # fmt: skip
    best = min(found, key=lambda one: float(one.fun))
    value, _, means, covariance = look(best.x)
    return Reitsma(method, correction, means, covariance, covariance_of(best.x), -value)
