"""A reference standard that errs: accuracy of the index test when the reference's own accuracy is given.

The table's four cells are agreement with the reference. With the reference's sensitivity S and specificity C, and both
tests erring independently given the disease, P(T+, R+) = pi se S + (1 - pi)(1 - sp)(1 - C) and so on (Hui and Walter
1980; Chu, Chen, Louis 2009, J Am Stat Assoc 104:512). se, sp and the prevalence pi differ between studies; their logits
are normal, pi independent of the others. The likelihood is exact, by adaptive quadrature over the three effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hepar.errors import WrongCall
from hepar.evidence.fit import Mask, covariance_of, fit, invert
from hepar.evidence.intervals import named, quantile, wald
from hepar.evidence.likelihood import Array, bivariate
from hepar.evidence.quantities import expit
from hepar.evidence.table import Table, check_poolable
from hepar.record.estimate import Estimate

FEW_NODES, NODES = 7, 11
"""Quadrature points per axis: to look round, and to fit."""
ASSUMPTION = (
    "The index test and the reference are taken to err independently of each other given the disease; where they err on"
    " the same people, the corrected accuracy is too high."
)


@dataclass(frozen=True)
class Imperfect:
    """reference_*: as given. naive_*: pooled against the reference as if it were perfect.

    sensitivity, specificity: of the index test against the disease. prevalence: the median study's. boundary: in
    words, "" for none. loglik_perfect: of the same model with a reference that never errs; a much higher one says that
    the given values contradict the table.
    """

    reference_sensitivity: float
    reference_specificity: float
    naive_sensitivity: Estimate
    naive_specificity: Estimate
    sensitivity: Estimate
    specificity: Estimate
    prevalence: Estimate
    var_logit_sensitivity: float
    var_logit_specificity: float
    correlation: Estimate
    var_logit_prevalence: float
    loglik: float
    loglik_perfect: float
    converged: bool
    boundary: str
    notices: tuple[str, ...]
    theta: tuple[float, ...] = field(repr=False)


def imperfect_reference(table: Table, sensitivity: float, specificity: float, *, interval: str = "t") -> Imperfect:
    """Pool against a reference standard of the given sensitivity and specificity (each above 0.5, at most 1).

    Raises WrongCall for other values, Refused for a table that cannot be pooled. Studies with one side only inform too.
    """
    for name, value in (("sensitivity", sensitivity), ("specificity", specificity)):
        if not 0.5 < value <= 1:
            raise WrongCall(f"the reference standard's {name} is {value}; it lies above 0.5 and is at most 1")
    if interval not in ("t", "z"):
        raise WrongCall(f"there is no interval {interval!r} for an imperfect reference; choose t or z")
    check_poolable(table)
    naive = fit(bivariate(table.tp, table.n1, table.tn, table.n0))
    counts = np.stack([table.tp, table.fp, table.fn, table.tn], axis=1).astype(np.float64)
    theta, free, covariance, loglik, gain, told = _fit(counts, naive.theta, sensitivity, specificity)
    perfect = loglik if sensitivity == specificity == 1 else _fit(counts, naive.theta, 1.0, 1.0)[3]
    k = table.k
    wide, how = quantile(interval, k), named(interval, k, "logit")

    def share(value: float, variance: float) -> Estimate:
        return wald(value, float(np.sqrt(max(variance, 0.0))), wide, lambda x: float(expit(x)), how)

    psi = covariance_of(theta[3:6])
    scale = float(np.sqrt(psi[0, 0] * psi[1, 1]))
    rho = (
        Estimate(float(np.clip(psi[0, 1] / scale, -1, 1))) if scale > 1e-8
        else Estimate.cannot_tell("a between-study variance is 0")
    )  # fmt: skip
    notices = [ASSUMPTION]
    if np.abs(theta[:2]).max() > 8 or not free[:2].all():
        notices.append(
            "The corrected accuracy runs to its limit of 1: the disagreements can all be laid to the reference, so that"
            " the table and the given values hardly fit together."
        )
    if loglik < perfect - 2:
        notices.append(
            f"The log likelihood is {perfect - loglik:.1f} lower than with a perfect reference: the given sensitivity"
            " and specificity of the reference contradict the table."
        )
    return Imperfect(
        sensitivity, specificity, share(float(naive.theta[0]), float(naive.covariance[0, 0])),
        share(float(naive.theta[1]), float(naive.covariance[1, 1])), share(float(theta[0]), float(covariance[0, 0])),
        share(float(theta[1]), float(covariance[1, 1])), share(float(theta[2]), float(covariance[2, 2])),
        float(psi[0, 0]), float(psi[1, 1]), rho, float(theta[6] ** 2), loglik, perfect, gain < 1e-3, told,
        tuple(notices),
        tuple(float(x) for x in theta),
    )  # fmt: skip


def latent(counts: Array, theta: Array, s: float, c: float, nodes: int = NODES) -> tuple[float, Array]:
    """Log likelihood (multinomial coefficients included) and gradient.

    counts: (study, 4) of T+R+, T+R-, T-R+, T-R-. theta: means of logit se, sp and prevalence, L11, L21, L22, and the
    standard deviation of logit prevalence.
    """
    from scipy.special import gammaln

    mu, (l11, l21, l22, sd) = theta[:3], theta[3:]
    factor = np.array([[l11, 0, 0], [l21, l22, 0], [0, 0, sd]])
    n = counts.sum(axis=1)

    def cells(eta: Array) -> tuple[Array, Array]:
        """Probabilities (..., 4) and their slopes (..., 4, 3) in eta (..., 3)."""
        se, sp, pi = np.moveaxis(expit(eta), -1, 0)
        plus, minus = pi * s, pi * (1 - s)
        wrong, right = (1 - pi) * (1 - c), (1 - pi) * c
        p = np.stack([
            plus * se + wrong * (1 - sp), minus * se + right * (1 - sp),
            plus * (1 - se) + wrong * sp, minus * (1 - se) + right * sp,
        ], axis=-1)  # fmt: skip
        a, b, d = se * (1 - se), sp * (1 - sp), pi * (1 - pi)
        slope = np.empty((*p.shape, 3))
        slope[..., 0] = np.stack([plus * a, minus * a, -plus * a, -minus * a], axis=-1)
        slope[..., 1] = np.stack([-wrong * b, -right * b, wrong * b, right * b], axis=-1)
        slope[..., 2] = d[..., None] * np.stack([
            s * se - (1 - c) * (1 - sp), (1 - s) * se - c * (1 - sp), s * (1 - se) - (1 - c) * sp,
            (1 - s) * (1 - se) - c * sp,
        ], axis=-1)  # fmt: skip
        return np.maximum(p, 1e-300), slope

    def look(z: Array) -> tuple[Array, Array, Array]:
        """Log density, its gradient in z, and the precision by expected information."""
        p, slope = cells(mu + z @ factor.T)
        score = np.einsum("kc,kca->ka", counts / p, slope)
        information = n[:, None, None] * np.einsum("kca,kcb->kab", slope / p[:, :, None], slope)
        value = (counts * np.log(p)).sum(axis=1) - (z**2).sum(axis=1) / 2
        return value, score @ factor - z, np.eye(3) + factor.T @ information @ factor

    z = np.zeros((len(counts), 3))
    value, gradient, precision = look(z)
    for _ in range(100):
        step = np.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
        step /= np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / 3)
        if np.abs(step).max() < 1e-6:
            break
        for _ in range(30):
            new = look(z + step)
            worse = new[0] < value - 1e-10 * (1 + np.abs(value))
            if not worse.any():
                break
            step[worse] /= 2
        z = z + step
        value, gradient, precision = new
    # the observed curvature at the mode where it is a precision, the expected one elsewhere
    observed = np.empty_like(precision)
    for i in range(3):
        step = 1e-5 * np.eye(3)[i]
        observed[:, i] = (look(z - step)[1] - look(z + step)[1]) / 2e-5
    observed = (observed + np.swapaxes(observed, 1, 2)) / 2
    sound = np.linalg.eigvalsh(observed)[:, 0] > 0.3
    precision = np.where(sound[:, None, None], observed, precision)
    root = np.linalg.cholesky(precision)
    points, log_weight = _cube(nodes)
    # z = mode + sqrt(2) root^-T x
    spread = np.linalg.solve(np.swapaxes(root, 1, 2), np.broadcast_to(points.T, (len(counts), *points.T.shape)))
    places = z[:, None, :] + np.sqrt(2) * np.swapaxes(spread, 1, 2)
    p, slope = cells(mu + places @ factor.T)
    joint = np.einsum("kc,kqc->kq", counts, np.log(p)) - (places**2).sum(axis=2) / 2 + log_weight
    top = joint.max(axis=1, keepdims=True)
    weight = np.exp(joint - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    size = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    loglik = float((top[:, 0] + np.log(total[:, 0]) - size).sum()) - 1.5 * len(counts) * np.log(np.pi)
    loglik += float((gammaln(n + 1) - gammaln(counts + 1).sum(axis=1)).sum())
    score = weight[:, :, None] * np.einsum("kqc,kqca->kqa", counts[:, None, :] / p, slope)
    along = np.einsum("kqa,kqb->ab", score, places)
    return loglik, np.array([*score.sum(axis=(0, 1)), along[0, 0], along[1, 0], along[1, 1], along[2, 2]])


def _fit(counts: Array, naive: Array, s: float, c: float) -> tuple[Array, Mask, Array, float, float, str]:
    """theta, which of it is free, its covariance, log likelihood, the gain still to come, boundary in words."""
    from scipy.optimize import minimize

    shares = (counts[:, 0] + counts[:, 2] + 0.5) / (counts.sum(axis=1) + 1)
    # Rogan and Gladen's prevalence for the start
    pi = np.clip((shares + c - 1) / (s + c - 1), 0.02, 0.98)
    logits = np.log(pi / (1 - pi))
    start = np.array([
        *np.clip(naive[:2], -4, 4), logits.mean(), max(naive[2], 0.1), naive[3], max(naive[4], 0.1),
        max(float(logits.std()), 0.1),
    ])  # fmt: skip

    def climb(start: Array, free: Mask, close: float, nodes: int = FEW_NODES) -> tuple[Array, float]:
        def loss(x: Array) -> tuple[float, Array]:
            theta = start.copy()
            theta[free] = x
            value, gradient = latent(counts, theta, s, c, nodes)
            return -value, -gradient[free]

        found = minimize(loss, start[free], jac=True, method="BFGS", options={"gtol": close, "maxiter": 200})
        theta = start.copy()
        theta[free] = found.x
        return theta, -float(found.fun)

    free = np.ones(7, dtype=bool)
    theta, loglik = climb(start, free, 1e-4)
    told = []
    for name, places in (
        ("no variation of sensitivity between studies", [3, 4]),
        ("no variation of specificity between studies", [4, 5]),
        ("correlation of logit sensitivity and logit specificity at its limit", [5]),
    ):
        if not free[places].all() or np.abs(theta[places]).max() > 0.1:
            continue
        edge, mask = theta.copy(), free.copy()
        edge[places], mask[places] = 0.0, False
        new, value = climb(edge, mask, 1e-4)
        if value >= loglik - 1e-5:
            theta, loglik, free = new, value, mask
            told.append(name)
    theta, loglik = climb(theta, free, 1e-5, NODES)
    if theta[3] < 0:
        theta[3:5] *= -1
    theta[5:] = np.abs(theta[5:])
    hessian = np.zeros((7, 7))
    for i in np.flatnonzero(free):
        step = np.zeros(7)
        step[i] = 1e-4
        hessian[i] = (latent(counts, theta + step, s, c)[1] - latent(counts, theta - step, s, c)[1]) / 2e-4
    value, gradient = latent(counts, theta, s, c)
    covariance = invert(-(hessian + hessian.T) / 2, free)
    return theta, free, covariance, float(value), float(gradient @ covariance @ gradient) / 2, "; ".join(told)


@lru_cache(maxsize=4)
def _cube(nodes: int) -> tuple[Array, Array]:
    """Gauss-Hermite points (point, 3) and their log weights, which carry exp(x^2)."""
    x, w = np.polynomial.hermite.hermgauss(nodes)
    points = np.stack([axis.ravel() for axis in np.meshgrid(x, x, x, indexing="ij")], axis=1)
    logs = np.log(w) + x**2
    return points, (logs[:, None, None] + logs[None, :, None] + logs[None, None, :]).ravel()
