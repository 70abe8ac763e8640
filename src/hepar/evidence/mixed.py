"""A weighted linear mixed model with one grouping factor, by restricted maximum likelihood.

y = X b + Z u + e, u = s L z, e ~ N(0, s^2 / w); L lower triangular and free to be singular. The criterion is profiled
over b and s^2 as in lme4 (Bates, Maechler, Bolker, Walker 2015, J Stat Softw 67(1), section 3.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.likelihood import Array, Index


@dataclass(frozen=True, eq=False)
class Mixed:
    """coefficients and their covariance; between: covariance of the random effects; residual: variance at weight 1.

    loglik: restricted, with all constants. singular: the random effects' covariance has no full rank.
    """

    coefficients: Array
    covariance: Array
    between: Array
    residual: float
    loglik: float
    singular: bool


def fit_mixed(y: Array, fixed: Array, random: Array, weight: Array, group: Index) -> Mixed:
    """REML fit. y, weight: (row,). fixed: (row, p). random: (row, q). group: (row,) numbers from 0 without gaps."""
    from scipy.optimize import minimize

    rows, p = fixed.shape
    q, groups = random.shape[1], int(group.max()) + 1
    # uncorrelated columns of one size; their covariance is unrestricted, so any such turn leaves the model the same
    turn = np.linalg.inv(np.linalg.cholesky(random.T @ (weight[:, None] * random) / weight.sum())).T
    random = random @ turn
    zwz, zwx, zwy = np.zeros((groups, q, q)), np.zeros((groups, q, p)), np.zeros((groups, q))
    np.add.at(zwz, group, weight[:, None, None] * random[:, :, None] * random[:, None, :])
    np.add.at(zwx, group, weight[:, None, None] * random[:, :, None] * fixed[:, None, :])
    np.add.at(zwy, group, weight[:, None] * random * y[:, None])
    xwx, xwy, ywy = fixed.T @ (weight[:, None] * fixed), fixed.T @ (weight * y), float(weight @ y**2)
    lower = np.tril_indices(q)
    constant = float(np.log(weight).sum())
    free = rows - p

    def look(theta: Array) -> tuple[float, Array, Array, Array, float]:
        """Minus twice the restricted log likelihood, its gradient, b, inverse of X'V^-1 X at s = 1, and s^2."""
        factor = np.zeros((q, q))
        factor[lower] = theta
        inner = factor.T @ zwz @ factor + np.eye(q)
        # V^-1 = W - W Z H Z' W
        h = factor @ np.linalg.solve(inner, np.broadcast_to(factor.T, inner.shape))
        zvz = zwz - zwz @ h @ zwz
        zvx = zwx - zwz @ h @ zwx
        zvy = zwy - np.einsum("gij,gjk,gk->gi", zwz, h, zwy)
        information = xwx - np.einsum("gip,gij,gjr->pr", zwx, h, zwx)
        inverse = np.linalg.inv(information)
        b = inverse @ (xwy - np.einsum("gip,gij,gj->p", zwx, h, zwy))
        squares = ywy - float(np.einsum("gi,gij,gj->", zwy, h, zwy)) - float(b @ information @ b)
        logs = float(np.linalg.slogdet(inner)[1].sum()) + float(np.linalg.slogdet(information)[1]) - constant
        left = zvy - zvx @ b
        slope = zvz.sum(axis=0) - np.einsum("gip,pr,gjr->ij", zvx, inverse, zvx) - left.T @ left * free / squares
        value = logs + free * (1 + float(np.log(2 * np.pi * squares / free)))
        return value, (2 * slope @ factor)[lower], b, inverse, squares / free

    best = None
    for size in (1.0, 0.3, 3.0):
        start = np.zeros(len(lower[0]))
        start[lower[0] == lower[1]] = size
        found = minimize(lambda t: look(t)[:2], start, jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
        if best is None or found.fun < best.fun - 1e-9:
            best = found
    assert best is not None
    value, _, b, inverse, residual = look(best.x)
    factor = np.zeros((q, q))
    factor[lower] = best.x
    spread = np.linalg.svd(factor, compute_uv=False)
    singular = bool(spread.min() < 1e-4 * max(1.0, float(spread.max())))
    between = residual * turn @ factor @ factor.T @ turn.T
    return Mixed(b, residual * inverse, between, residual, -value / 2, singular)
