"""The exact binomial likelihood of the bivariate model, with its gradient and its observed information.

Model (Reitsma 2005, Chu and Cole 2006): in study i, TP ~ Bin(n1, expit(X1 b1 + u1)), TN ~ Bin(n0, expit(X2 b2 + u2)),
u = L z, z ~ N(0, I), L lower triangular. The random effects are integrated out by adaptive Gauss-Hermite quadrature
over z, where the posterior precision is never singular, so that correlation -1 or +1 (L22 = 0) and zero variances
are ordinary points. Gradient by Fisher's identity, information by Louis' (JRSS B 1982;44:226).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Counts = NDArray[np.float64] | NDArray[np.int64]
ROWS_TOGETHER = 2000
"""Tables times parameter points that are evaluated at once: small enough for the processor's cache."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Tables to fit. Tables of one study lie together and share its random effects.

    x1, n1: diseased with a positive result, of how many; x2, n2: non-diseased with a negative result, of how many.
    design1, design2: (table, coefficient) of logit sensitivity and logit specificity.
    study: (table,) number of the study, rising from 0. group: (study,) which covariance the study's effects have.
    """

    x1: Array
    n1: Array
    x2: Array
    n2: Array
    design1: Array
    design2: Array
    study: Index
    group: Index

    @property
    def coefficients(self) -> int:
        """Number of fixed effects."""
        return int(self.design1.shape[1] + self.design2.shape[1])

    @property
    def size(self) -> int:
        """Number of parameters: fixed effects, then L11, L21, L22 of each group."""
        return self.coefficients + 3 * (int(self.group.max()) + 1)

    @property
    def starts(self) -> Index:
        """First table of each study."""
        return np.flatnonzero(np.diff(self.study, prepend=-1))

    @property
    def constant(self) -> float:
        """Sum of the logarithms of the binomial coefficients."""
        pairs = ((self.x1, self.n1), (self.x2, self.n2))
        return float(sum((gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)).sum() for x, n in pairs))

    def rows(self, studies: Index) -> Problem:
        """The problem of these studies alone (for leaving one out)."""
        keep = np.isin(self.study, studies)
        number = np.cumsum(np.diff(self.study[keep], prepend=self.study[keep][:1]) != 0)
        return Problem(
            self.x1[keep], self.n1[keep], self.x2[keep], self.n2[keep], self.design1[keep], self.design2[keep],
            number.astype(np.intp), self.group[studies],
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Value:
    """Log likelihood with binomial coefficients, its gradient and Hessian, and each study's own gradient.

    effect: (study, 2) posterior means of the random effects z. mode: (study, 2) their modes.
    """

    loglik: float
    gradient: Array
    hessian: Array
    scores: Array
    effect: Array
    mode: Array


def bivariate(x1: Counts, n1: Counts, x2: Counts, n2: Counts) -> Problem:
    """The plain bivariate model: two means, one covariance, every table its own study."""
    k = len(x1)
    ones = np.ones((k, 1))
    a, b, c, d = (np.asarray(column, dtype=np.float64) for column in (x1, n1, x2, n2))
    return Problem(a, b, c, d, ones, ones, np.arange(k), np.zeros(k, dtype=np.intp))


def evaluate(problem: Problem, theta: Array, nodes: int, start: Array | None = None) -> Value:
    """Log likelihood and derivatives at theta with `nodes` x `nodes` quadrature points; start: modes to begin from."""
    p1 = problem.design1.shape[1]
    fixed1 = problem.design1 @ theta[:p1]
    fixed2 = problem.design2 @ theta[p1 : problem.coefficients]
    l11, l21, l22 = theta[problem.coefficients :].reshape(-1, 3)[problem.group].T
    mode = _modes(problem, fixed1, fixed2, l11, l21, l22, start)
    h11, h12, h22 = _precision(problem, fixed1, fixed2, l11, l21, l22, mode)
    # Cholesky factor M of the precision, nodes at mode + sqrt(2) M^-T x
    m11 = np.sqrt(h11)
    m21 = h12 / m11
    m22 = np.sqrt(h22 - m21**2)
    a, b, log_weight = _grid(nodes)
    z2 = mode[:, 1:] + np.sqrt(2) * b / m22[:, None]
    z1 = mode[:, :1] + np.sqrt(2) * (a - b * (m21 / m22)[:, None]) / m11[:, None]
    u1, u2 = l11[:, None] * z1, l21[:, None] * z1 + l22[:, None] * z2

    alone = len(problem.study) == len(l11)
    t = slice(None) if alone else problem.study
    value1, r1, w1 = _binomial(fixed1[:, None] + u1[t], problem.x1, problem.n1)
    value2, r2, w2 = _binomial(fixed2[:, None] + u2[t], problem.x2, problem.n2)
    joint = _by_study(problem, value1 + value2, alone) - (z1**2 + z2**2) / 2 + log_weight
    top = joint.max(axis=1, keepdims=True)
    weight = np.exp(joint - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    # sqrt(2)^2 from the nodes, 1/(2 pi) from the normal density
    loglik = (top + np.log(total))[:, 0] - np.log(m11 * m22) - np.log(np.pi)

    # score of the complete data at each node, (study, node, parameter)
    c = problem.coefficients
    s1, s2 = _by_study(problem, r1, alone), _by_study(problem, r2, alone)
    score = np.zeros((*z1.shape, problem.size))
    score[:, :, :p1] = _by_study(problem, r1[:, :, None] * problem.design1[:, None, :], alone)
    score[:, :, p1:c] = _by_study(problem, r2[:, :, None] * problem.design2[:, None, :], alone)
    who = np.arange(len(l11))
    for place, product in enumerate((s1 * z1, s2 * z1, s2 * z2)):
        score[who, :, c + 3 * problem.group + place] = product
    scores = np.einsum("kq,kqp->kp", weight, score)
    gradient = scores.sum(axis=0)
    flat = (np.sqrt(weight)[:, :, None] * score).reshape(-1, problem.size)
    hessian = flat.T @ flat - scores.T @ scores - _complete_information(problem, weight, z1, z2, w1, w2, t)
    effect = np.stack([(weight * z1).sum(axis=1), (weight * z2).sum(axis=1)], axis=1)
    return Value(float(loglik.sum()) + problem.constant, gradient, hessian, scores, effect, mode)


def log_likelihoods(problem: Problem, thetas: Array, nodes: int) -> Array:
    """The value of `evaluate` alone at many points (point, 5); for tables that are each their own study."""
    k, points = len(problem.x1), np.atleast_2d(thetas)
    together = max(1, ROWS_TOGETHER // k)
    found = []
    for first in range(0, len(points), together):
        part = points[first : first + together]
        m1, m2, l11, l21, l22 = np.repeat(part.T, k, axis=1)
        x1, n1, x2, n2 = (np.tile(column, len(part)) for column in (problem.x1, problem.n1, problem.x2, problem.n2))
        ones = np.ones((len(m1), 1))
        many = Problem(x1, n1, x2, n2, ones, ones, np.arange(len(m1)), np.zeros(len(m1), dtype=np.intp))
        found.append(_inside(many, m1, m2, l11, l21, l22, nodes).reshape(len(part), k).sum(axis=1))
    return np.concatenate(found) + problem.constant


def _inside(problem: Problem, m1: Array, m2: Array, l11: Array, l21: Array, l22: Array, nodes: int) -> Array:
    """Log of the integral over the effects of each table, without binomial coefficients; parameters by table."""
    mode = _modes(problem, m1, m2, l11, l21, l22, None)
    h11, h12, h22 = _precision(problem, m1, m2, l11, l21, l22, mode)
    m11 = np.sqrt(h11)
    m21 = h12 / m11
    m22 = np.sqrt(h22 - m21**2)
    a, b, log_weight = _grid(nodes)
    z2 = mode[:, 1:] + np.sqrt(2) * b / m22[:, None]
    z1 = mode[:, :1] + np.sqrt(2) * (a - b * (m21 / m22)[:, None]) / m11[:, None]
    value1, _, _ = _binomial(m1[:, None] + l11[:, None] * z1, problem.x1, problem.n1)
    value2, _, _ = _binomial(m2[:, None] + l21[:, None] * z1 + l22[:, None] * z2, problem.x2, problem.n2)
    joint = value1 + value2 - (z1**2 + z2**2) / 2 + log_weight
    top = joint.max(axis=1, keepdims=True)
    inside = (top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True)))[:, 0]
    return np.asarray(inside - np.log(m11 * m22) - np.log(np.pi))


def _complete_information(
    problem: Problem, weight: Array, z1: Array, z2: Array, w1: Array, w2: Array, t: slice | Index
) -> Array:
    """Expected information of the complete data, given what was observed."""
    p1, c = problem.design1.shape[1], problem.coefficients
    w, a, b = weight[t], z1[t], z2[t]
    v1, v2 = w * w1, w * w2
    group = problem.group[problem.study]
    out = np.zeros((problem.size, problem.size))
    x1, x2 = problem.design1, problem.design2
    out[:p1, :p1] = (x1 * v1.sum(axis=1)[:, None]).T @ x1
    out[p1:c, p1:c] = (x2 * v2.sum(axis=1)[:, None]).T @ x2
    along1, along2, along3 = (v1 * a).sum(axis=1), (v2 * a).sum(axis=1), (v2 * b).sum(axis=1)
    squares = [(v1 * a * a).sum(axis=1), (v2 * a * a).sum(axis=1), (v2 * a * b).sum(axis=1), (v2 * b * b).sum(axis=1)]
    for g in range(int(problem.group.max()) + 1):
        mine, at = group == g, c + 3 * g
        out[:p1, at] = along1[mine] @ x1[mine]
        out[p1:c, at + 1] = along2[mine] @ x2[mine]
        out[p1:c, at + 2] = along3[mine] @ x2[mine]
        out[at, at] = squares[0][mine].sum()
        out[at + 1, at + 1] = squares[1][mine].sum()
        out[at + 1, at + 2] = squares[2][mine].sum()
        out[at + 2, at + 2] = squares[3][mine].sum()
    return np.triu(out) + np.triu(out, 1).T


def _binomial(eta: Array, x: Array, n: Array) -> tuple[Array, Array, Array]:
    """Log likelihood without coefficient, its first derivative and minus its second, in eta."""
    e = np.exp(-np.abs(eta))
    p = np.where(eta >= 0, 1.0, e) / (1.0 + e)
    value = x[:, None] * eta - n[:, None] * (np.maximum(eta, 0.0) + np.log1p(e))
    return value, x[:, None] - n[:, None] * p, n[:, None] * (e / (1.0 + e) ** 2)


def _by_study(problem: Problem, values: Array, alone: bool) -> Array:
    return values if alone else np.add.reduceat(values, problem.starts, axis=0)


def _precision(
    problem: Problem, fixed1: Array, fixed2: Array, l11: Array, l21: Array, l22: Array, z: Array
) -> tuple[Array, Array, Array]:
    t = problem.study
    alone = len(t) == len(l11)
    _, _, w1 = _binomial((fixed1 + (l11 * z[:, 0])[t])[:, None], problem.x1, problem.n1)
    _, _, w2 = _binomial((fixed2 + (l21 * z[:, 0] + l22 * z[:, 1])[t])[:, None], problem.x2, problem.n2)
    v1, v2 = _by_study(problem, w1[:, 0], alone), _by_study(problem, w2[:, 0], alone)
    return 1 + l11**2 * v1 + l21**2 * v2, l21 * l22 * v2, 1 + l22**2 * v2


def _modes(
    problem: Problem, fixed1: Array, fixed2: Array, l11: Array, l21: Array, l22: Array, start: Array | None
) -> Array:
    """Posterior modes of z, by Newton with step halving; the target is strictly concave."""
    t = problem.study
    alone = len(t) == len(l11)

    def look(z: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        v1, r1, w1 = _binomial((fixed1 + (l11 * z[:, 0])[t])[:, None], problem.x1, problem.n1)
        v2, r2, w2 = _binomial((fixed2 + (l21 * z[:, 0] + l22 * z[:, 1])[t])[:, None], problem.x2, problem.n2)
        v, s1, s2, q1, q2 = (_by_study(problem, a[:, 0], alone) for a in (v1 + v2, r1, r2, w1, w2))
        g1, g2 = l11 * s1 + l21 * s2 - z[:, 0], l22 * s2 - z[:, 1]
        return v - (z**2).sum(axis=1) / 2, g1, g2, 1 + l11**2 * q1 + l21**2 * q2, l21 * l22 * q2, 1 + l22**2 * q2

    z = np.zeros((len(l11), 2)) if start is None else start
    now = look(z)
    for _ in range(100):
        value, g1, g2, h11, h12, h22 = now
        det = h11 * h22 - h12**2
        step = np.stack([(h22 * g1 - h12 * g2) / det, (h11 * g2 - h12 * g1) / det], axis=1)
        if np.abs(step).max() < 1e-9:
            break
        scale = np.ones(len(value))
        for _ in range(40):
            new = look(z + scale[:, None] * step)
            worse = new[0] < value - 1e-12 * (1 + np.abs(value))
            if not worse.any():
                break
            scale[worse] /= 2
        z, now = z + scale[:, None] * step, new
    return z


@lru_cache(maxsize=16)
def _grid(nodes: int) -> tuple[Array, Array, Array]:
    """Gauss-Hermite points and log weights of a square grid, flattened; weights carry exp(x^2)."""
    x, w = np.polynomial.hermite.hermgauss(nodes)
    a, b = (m.ravel() for m in np.meshgrid(x, x, indexing="ij"))
    log_w = np.log(w) + x**2
    return a, b, (log_w[:, None] + log_w[None, :]).ravel()
