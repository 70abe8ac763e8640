"""Exact likelihood of the arm-based network model: effects of the study, and of each test within it.

TP of test j in study i ~ Bin(n1, expit(mu1_j + u1_i + d1_ij)), TN likewise; u = L z is the study's pair of effects, and
d1 ~ N(0, s1^2), d2 ~ N(0, s2^2) belong to one test in one study. Given u the d are independent, so that the integral is
nested: one dimension for each count inside two dimensions for each study, both by adaptive Gauss-Hermite quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hepar.evidence.fit import Mask, covariance_of, fit, invert
from hepar.evidence.likelihood import Array, Problem, _by_study, _grid

OUTER, INNER = 11, 11
"""Quadrature points of the study's effects (per axis) and of an effect within a study."""
ALL_BUT_ZERO = 0.02
"""Standard deviations below this are tried at 0."""


@dataclass(frozen=True, eq=False)
class NestedFit:
    """theta: fixed effects, L11, L21, L22, s1, s2. free: parameters that are not at a boundary.

    covariance: of theta by the observed information, zero where not free. boundary: in words, "" for none.
    """

    problem: Problem
    theta: Array
    free: Mask
    covariance: Array
    loglik: float
    gradient_norm: float
    converged: bool
    node_difference: float
    boundary: str

    @property
    def between(self) -> Array:
        """Covariance (2, 2) of the study's effects."""
        return covariance_of(self.theta[-5:-2])


def nested(problem: Problem, theta: Array, outer: int = OUTER, inner: int = INNER) -> tuple[float, Array]:
    """Log likelihood with binomial coefficients, and its gradient in theta."""
    p1, c = problem.design1.shape[1], problem.coefficients
    fixed = problem.design1 @ theta[:p1], problem.design2 @ theta[p1:c]
    l11, l21, l22, s1, s2 = theta[c : c + 5]
    t, studies = problem.study, len(problem.group)
    alone = len(t) == studies
    data = (problem.x1, problem.n1, abs(s1)), (problem.x2, problem.n2, abs(s2))

    def look(z1: Array, z2: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        shifts = l11 * z1, l21 * z1 + l22 * z2
        one, two = (_inside(fixed[i][:, None] + shifts[i][t], *data[i], inner) for i in (0, 1))
        return one, two

    z, step = np.zeros((studies, 2)), np.zeros((studies, 2))
    now: tuple[Array, ...] | None = None
    for _ in range(60):
        one, two = look(z[:, :1], z[:, 1:])
        value, a1, a2, b1, b2 = (
            _by_study(problem, part[:, 0], alone) for part in (one[0] + two[0], one[1], two[1], -one[2], -two[2])
        )
        value = value - (z**2).sum(axis=1) / 2
        if now is not None:
            worse = value < now[0] - 1e-10 * (1 + np.abs(now[0]))
            if worse.any():
                step[worse] /= 2
                z = now[1] + step
                continue
        g1, g2 = l11 * a1 + l21 * a2 - z[:, 0], l22 * a2 - z[:, 1]
        h11, h12, h22 = 1 + l11**2 * b1 + l21**2 * b2, l21 * l22 * b2, 1 + l22**2 * b2
        det = h11 * h22 - h12**2
        step = np.stack([(h22 * g1 - h12 * g2) / det, (h11 * g2 - h12 * g1) / det], axis=1)
        if np.abs(step).max() < 1e-8:
            break
        now = value, z
        z = z + step
    m11 = np.sqrt(h11)
    m21 = h12 / m11
    m22 = np.sqrt(h22 - m21**2)
    a, b, log_weight = _grid(outer)
    z2 = z[:, 1:] + np.sqrt(2) * b / m22[:, None]
    z1 = z[:, :1] + np.sqrt(2) * (a - b * (m21 / m22)[:, None]) / m11[:, None]
    one, two = look(z1, z2)
    joint = _by_study(problem, one[0] + two[0], alone) - (z1**2 + z2**2) / 2 + log_weight
    top = joint.max(axis=1, keepdims=True)
    weight = np.exp(joint - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    loglik = float((top[:, 0] + np.log(total[:, 0]) - np.log(m11 * m22) - np.log(np.pi)).sum()) + problem.constant

    w = weight[t]
    r1, r2 = w * one[1], w * two[1]
    gradient = np.concatenate([
        problem.design1.T @ r1.sum(axis=1), problem.design2.T @ r2.sum(axis=1),
        [(r1 * z1[t]).sum(), (r2 * z1[t]).sum(), (r2 * z2[t]).sum()],
        [np.sign(s1) * (w * one[3]).sum(), np.sign(s2) * (w * two[3]).sum()],
    ])  # fmt: skip
    return loglik, gradient


def _inside(shift: Array, x: Array, n: Array, sd: float, nodes: int) -> tuple[Array, Array, Array, Array]:
    """log of the integral of Bin(x; n, expit(shift + sd e)) over e ~ N(0, 1), its first two derivatives in shift, and
    the one in sd; without the binomial coefficient. shift: (row, any).
    """
    x, n = x[:, None], n[:, None]

    def parts(eta: Array) -> tuple[Array, Array, Array]:
        e = np.exp(-np.abs(eta))
        p = np.where(eta >= 0, 1.0, e) / (1.0 + e)
        return x * eta - n * (np.maximum(eta, 0.0) + np.log1p(e)), x - n * p, n * e / (1.0 + e) ** 2

    if sd == 0:
        value, r, w = parts(shift)
        return value, r, -w, np.zeros_like(r)
    e = np.zeros_like(shift)
    for _ in range(60):
        _, r, w = parts(shift + sd * e)
        # a bounded Newton step: the target is concave, and far out its curvature is that of the prior alone
        step = np.clip((sd * r - e) / (1 + sd**2 * w), -2.0, 2.0)
        e = e + step
        if np.abs(step).max() < 1e-7:
            break
    _, _, w = parts(shift + sd * e)
    scale = np.sqrt(2 / (1 + sd**2 * w))
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    logs, firsts, seconds, places = [], [], [], []
    for point, one in zip(points, weights, strict=True):
        at = e + scale * point
        value, r, w = parts(shift + sd * at)
        logs.append(value - at**2 / 2 + point**2 + np.log(one))
        firsts.append(r)
        seconds.append(w)
        places.append(at)
    joint = np.array(logs)
    top = joint.max(axis=0)
    share = np.exp(joint - top)
    total = share.sum(axis=0)
    share /= total
    first, place = np.array(firsts), np.array(places)
    mean = (share * first).sum(axis=0)
    curve = (share * (first - mean) ** 2).sum(axis=0) - (share * np.array(seconds)).sum(axis=0)
    return (
        top + np.log(total) + np.log(scale) - np.log(2 * np.pi) / 2,
        mean,
        curve,
        (share * first * place).sum(axis=0),
    )


def fit_nested(problem: Problem) -> NestedFit:
    """The maximum, at correlation -1 or +1 or with a variance of 0 where that is where it lies."""
    from scipy.optimize import minimize

    simple = fit(problem).theta
    size = len(simple) + 2

    def climb(start: Array, free: Mask, close: float = 1e-7) -> tuple[Array, float, Array]:
        def loss(x: Array) -> tuple[float, Array]:
            theta = start.copy()
            theta[free] = x
            value, gradient = nested(problem, theta)
            return -value, -gradient[free]

        found = minimize(loss, start[free], jac=True, method="BFGS", options={"gtol": close, "maxiter": 300})
        theta = start.copy()
        theta[free] = found.x
        return theta, -float(found.fun), -np.asarray(found.jac)

    everything = np.ones(size, dtype=bool)
    starts = []
    for share in (0.3, 0.7):
        start = np.concatenate([simple, [0.0, 0.0]])
        psi = covariance_of(start[-5:-2])
        s1, s2 = (max(0.1, float(np.sqrt(share * psi[i, i]))) for i in (0, 1))
        start[-5:] = [np.sqrt(1 - share) * max(simple[-3], 0.1), np.sqrt(1 - share) * simple[-2],
                      np.sqrt(1 - share) * max(simple[-1], 0.1), s1, s2]  # fmt: skip
        starts.append(start)
    theta, loglik, _ = max((climb(start, everything, 1e-4) for start in starts), key=lambda one: one[1])
    free, told = everything.copy(), []
    # each variance, then the correlation, is put on its boundary where nothing is lost by it
    for name, places in (
        ("no variation of sensitivity between tests of a study", [-2]),
        ("no variation of specificity between tests of a study", [-1]),
        ("no variation of sensitivity between studies", [-5, -4]),
        ("no variation of specificity between studies", [-4, -3]),
        ("correlation of the studies' effects at its limit", [-3]),
    ):
        if not free[places].all() or np.abs(theta[places]).max() > 5 * ALL_BUT_ZERO:
            continue
        edge, mask = theta.copy(), free.copy()
        edge[places] = 0.0
        mask[places] = False
        new, value, _ = climb(edge, mask, 1e-4)
        if value >= loglik - 1e-5:
            theta, loglik, free = new, value, mask
            told.append(name)
    theta, loglik, _ = climb(theta, free)
    if theta[-5] < 0:
        theta[-5:-3] *= -1
    theta[-3:] = np.abs(theta[-3:])
    theta, hessian, norm = _polish(problem, theta, free)
    loglik = nested(problem, theta)[0]
    finer = nested(problem, theta, 17, 17)[0]
    return NestedFit(
        problem, theta, free, invert(-hessian, free), loglik, norm, norm < 1e-4 * max(1.0, abs(loglik) / 100),
        abs(finer - loglik), "; ".join(told),
    )  # fmt: skip


def _polish(problem: Problem, theta: Array, free: Mask) -> tuple[Array, Array, float]:
    """Newton steps with the Hessian by differences of the gradient; theta, the Hessian there, the largest gradient."""
    for _ in range(3):
        hessian = np.zeros((len(theta), len(theta)))
        for i in np.flatnonzero(free):
            step = np.zeros(len(theta))
            step[i] = 1e-4
            hessian[i] = (nested(problem, theta + step)[1] - nested(problem, theta - step)[1]) / 2e-4
        hessian = (hessian + hessian.T) / 2
        gradient = nested(problem, theta)[1]
        norm = float(np.abs(gradient[free]).max())
        if norm < 1e-6:
            break
        move = np.zeros(len(theta))
        move[free] = (invert(-hessian, free) @ gradient)[free]
        if np.abs(move).max() > 0.01:
            break
        theta = theta + move
    return theta, hessian, norm


def common(problem: Problem) -> Problem:
    """The same tables with one mean of sensitivity and one of specificity."""
    ones = np.ones((len(problem.x1), 1))
    return replace(problem, design1=ones, design2=ones)
