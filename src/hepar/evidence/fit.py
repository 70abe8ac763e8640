"""Maximum likelihood of a `Problem`: Newton from several starts, boundaries recognised, quadrature checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.evidence.likelihood import Array, Problem, Value, evaluate

FEW_NODES, NODES, MORE_NODES = 7, 15, (21, 31)
"""Points per axis: to look round from the starts, to fit, and to check with."""
QUADRATURE_TOLERANCE = 1e-5
"""Log likelihoods with two numbers of nodes that are closer count as equal."""
GRADIENT_TOLERANCE = 1e-6
TIE = 1e-6
"""A boundary point whose log likelihood is lower by less than this is the maximum."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fit:
    """A maximum. theta: fixed effects, then L11, L21, L22 of each group. free: parameters that are not at a boundary.

    covariance: of theta by the observed information, zero in rows of parameters that are not free.
    boundary: "none", "rho=-1", "rho=+1" or "var=0" (of the first group that is on one).
    node_difference: how much the log likelihood changes with more nodes.
    """

    problem: Problem
    theta: Array
    free: Mask
    covariance: Array
    loglik: float
    value: Value
    nodes: int
    node_difference: float
    boundary: str
    gradient_norm: float
    converged: bool

    @property
    def means(self) -> Array:
        """The fixed effects."""
        return self.theta[: self.problem.coefficients]

    def between(self, group: int = 0) -> Array:
        """Between-study covariance (2, 2) of logit sensitivity and logit specificity."""
        return covariance_of(self.theta[self.problem.coefficients + 3 * group :][:3])


def covariance_of(cholesky: Array) -> Array:
    """(2, 2) from (L11, L21, L22)."""
    l11, l21, l22 = cholesky
    return np.array([[l11**2, l11 * l21], [l11 * l21, l21**2 + l22**2]])


def maximise(
    problem: Problem, theta: Array, nodes: int, free: Mask | None = None, *, most: int = 100, close: float = 1e-7
) -> tuple[Array, Value]:
    """Climb from theta in the free parameters until the largest gradient is below `close`."""
    mask = np.ones(problem.size, dtype=bool) if free is None else free
    theta = theta.copy()
    now = evaluate(problem, theta, nodes)
    if not mask.any():
        return theta, now
    for _ in range(most):
        gradient, hessian = now.gradient[mask], now.hessian[np.ix_(mask, mask)]
        if np.abs(gradient).max() < close:
            break
        values, vectors = np.linalg.eigh(-hessian)
        # a direction that curves upwards or not at all is climbed by its gradient, with a bounded step
        step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-6))
        step *= min(1.0, 2.0 / max(1e-300, float(np.abs(step).max())))
        # the gain still to come; below the rounding of the log likelihood there is nothing left to climb
        gain = float(gradient @ step)
        for _ in range(30):
            new_theta = theta.copy()
            new_theta[mask] += step
            new = evaluate(problem, new_theta, nodes, now.mode)
            if np.isfinite(new.loglik) and new.loglik >= now.loglik - 1e-9 * (1 + abs(now.loglik)):
                break
            step /= 2
        else:
            break
        theta, now = new_theta, new
        if abs(gain) < 1e-13 * (1 + abs(now.loglik)):
            break
    return theta, now


def fit(problem: Problem, starts: list[Array] | None = None) -> Fit:
    """The maximum of the likelihood over all starts, on a boundary where that is where it lies.

    starts: parameters to begin from; by default moments of the data and several correlations.
    """
    best = _climb(problem, starts)
    nodes = NODES
    theta, value = maximise(problem, best[0], nodes)
    free = np.ones(problem.size, dtype=bool)
    theta, value, free, boundary = _settle(problem, theta, value, free, nodes)
    difference = 0.0
    for more in MORE_NODES:
        finer = evaluate(problem, theta, more, value.mode)
        difference = abs(finer.loglik - value.loglik)
        if difference < QUADRATURE_TOLERANCE and np.abs(finer.gradient[free]).max() < 1e-3:
            break
        nodes = more
        theta, value = maximise(problem, theta, nodes, free)
    theta = canonical(problem, theta)
    value = evaluate(problem, theta, nodes)
    gradient_norm = float(np.abs(value.gradient[free]).max())
    return Fit(
        problem, theta, free, invert(-value.hessian, free), value.loglik, value, nodes, difference, boundary,
        gradient_norm, gradient_norm < GRADIENT_TOLERANCE * max(1.0, abs(value.loglik)),
    )  # fmt: skip


def canonical(problem: Problem, theta: Array) -> Array:
    """The same point with L11 and L22 not negative."""
    theta = theta.copy()
    for at in range(problem.coefficients, problem.size, 3):
        if theta[at] < 0:
            theta[at : at + 2] *= -1
        theta[at + 2] = abs(theta[at + 2])
    return theta + 0.0


def invert(information: Array, free: Mask) -> Array:
    """Inverse over the free parameters, zero elsewhere; directions without information get none."""
    out = np.zeros_like(information)
    part = information[np.ix_(free, free)]
    out[np.ix_(free, free)] = np.linalg.pinv((part + part.T) / 2, rcond=1e-13, hermitian=True)
    return out


def start_points(problem: Problem) -> list[Array]:
    """Means by least squares on corrected logits; covariance by moments, and with correlations of either sign."""
    y1 = np.log((problem.x1 + 0.5) / (problem.n1 - problem.x1 + 0.5))
    y2 = np.log((problem.x2 + 0.5) / (problem.n2 - problem.x2 + 0.5))
    beta1 = np.linalg.lstsq(problem.design1, y1, rcond=None)[0]
    beta2 = np.linalg.lstsq(problem.design2, y2, rcond=None)[0]
    r1, r2 = y1 - problem.design1 @ beta1, y2 - problem.design2 @ beta2
    noise1 = np.mean(1 / (problem.x1 + 0.5) + 1 / (problem.n1 - problem.x1 + 0.5))
    noise2 = np.mean(1 / (problem.x2 + 0.5) + 1 / (problem.n2 - problem.x2 + 0.5))
    s1 = float(np.sqrt(max(np.var(r1) - noise1, 0.05)))
    s2 = float(np.sqrt(max(np.var(r2) - noise2, 0.05)))
    rho = float(np.clip(np.mean(r1 * r2) / (s1 * s2), -0.9, 0.9))
    groups = (problem.size - problem.coefficients) // 3
    return [
        np.concatenate([beta1, beta2, np.tile([s1, r * s2, np.sqrt(1 - r**2) * s2], groups)])
        for r in dict.fromkeys((rho, -0.8, 0.8))
    ]


def _climb(problem: Problem, starts: list[Array] | None) -> tuple[Array, Value]:
    """The best of a coarse climb from each start."""
    found = []
    for start in starts or start_points(problem):
        theta, value = maximise(problem, start, FEW_NODES, most=40, close=1e-3)
        found.append((theta, value))
    return max(found, key=lambda pair: pair[1].loglik)


def _settle(problem: Problem, theta: Array, value: Value, free: Mask, nodes: int) -> tuple[Array, Value, Mask, str]:
    """Put the maximum on a boundary where nothing is lost by it."""
    boundary = "none"
    for at in range(problem.coefficients, problem.size, 3):
        psi = covariance_of(theta[at : at + 3])
        s1, s2 = np.sqrt(np.diag(psi))
        tries: list[tuple[str, list[int]]] = []
        if s1 < 0.02 and s2 < 0.02:
            tries.append(("var=0", [at, at + 1, at + 2]))
        if s1 < 0.02:
            tries.append(("var=0", [at, at + 1]))
        if s2 < 0.02:
            tries.append(("var=0", [at + 1, at + 2]))
        if abs(theta[at + 2]) < 0.05 * s2:
            tries.append(("rho=-1" if theta[at] * theta[at + 1] < 0 else "rho=+1", [at + 2]))
        for name, zero in tries:
            mask = free.copy()
            mask[zero] = False
            edge = theta.copy()
            edge[zero] = 0.0
            edge, there = maximise(problem, edge, nodes, mask)
            if there.loglik >= value.loglik - TIE:
                theta, value, free = edge, there, mask
                boundary = name if boundary == "none" else boundary
                break
    return theta, value, free, boundary
