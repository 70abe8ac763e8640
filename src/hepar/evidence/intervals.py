"""Intervals: Wald with z or t(k-2), profile likelihood, parametric bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hepar.evidence.fit import Fit, maximise
from hepar.evidence.likelihood import Array
from hepar.record.estimate import Estimate

LEVEL = 0.95
METHODS = ("t", "z", "profile", "bootstrap")
BOOTSTRAP_NODES = 9
"""Quadrature points per axis in bootstrap refits, whose own noise is far larger than the difference to more."""


def quantile(method: str, k: int, level: float = LEVEL) -> float:
    """Multiple of the standard error: normal for "z", Student with k - 2 degrees of freedom otherwise."""
    from scipy.stats import norm, t

    return float(norm.ppf((1 + level) / 2) if method == "z" else t.ppf((1 + level) / 2, k - 2))


def named(method: str, k: int, scale: str) -> str:
    """How a Wald interval was made, in words."""
    return f"Wald {'z' if method == 'z' else f't({k - 2})'}, {scale} scale"


def wald(
    value: float, error: float, multiple: float, back: Callable[[float], float], how: str, level: float = LEVEL
) -> Estimate:
    """Estimate with its interval, made on a scale and carried back by a rising function."""
    ends = back(value - multiple * error), back(value + multiple * error)
    if not np.isfinite(ends).all():
        return Estimate(back(value))
    return Estimate(back(value), *ends, level, how)


def profile(fit: Fit, at: int, level: float = LEVEL) -> tuple[float | None, float | None]:
    """Ends of the profile-likelihood interval of one fixed effect; None where the likelihood never falls far enough."""
    from scipy.stats import chi2

    limit = float(chi2.ppf(level, 1))
    free = fit.free.copy()
    free[at] = False
    error = float(np.sqrt(fit.covariance[at, at]))
    ends: list[float | None] = []
    for side in (-1.0, 1.0):
        theta, x = fit.theta.copy(), fit.theta[at] + side * error * np.sqrt(limit)
        # only the mean is held; a variance that rests at 0 or a correlation at its limit may leave it
        open_mask = np.ones(len(theta), dtype=bool)
        open_mask[at] = False
        if "var" in fit.boundary:
            open_mask = free
        elif fit.boundary != "none":
            theta[-1] = 1e-3
        inside, outside = float(fit.theta[at]), np.inf * side
        found: float | None = None
        for _ in range(60):
            theta[at] = x
            theta, value = maximise(fit.problem, theta, fit.nodes, open_mask, close=1e-6)
            excess = 2 * (fit.loglik - value.loglik) - limit
            if abs(excess) < 1e-6:
                found = float(x)
                break
            inside, outside = (inside, x) if excess > 0 else (x, outside)
            slope = -2 * value.gradient[at]
            new = x - excess / slope if slope * side > 0 else np.nan
            if not (np.isfinite(new) and min(inside, outside) < new < max(inside, outside)):
                new = (inside + outside) / 2 if np.isfinite(outside) else x + side * error
            x = new if abs(new - x) < 4 * error else x + 4 * side * error
            if abs(x - fit.theta[at]) > 60:
                break
        ends.append(found)
    return ends[0], ends[1]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Parameters refitted to data drawn from the fitted model, (draw, parameter), and the seed behind them."""

    theta: Array
    seed: int
    redrawn: int

    def interval(self, function: Callable[[Array], float], value: float, level: float = LEVEL) -> Estimate:
        """Percentile interval of what a function makes of the parameters."""
        values = np.array([function(theta) for theta in self.theta])
        values = values[np.isfinite(values)]
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        low, high = min(float(low), value), max(float(high), value)
        return Estimate(value, low, high, level, f"parametric bootstrap, {len(values)} draws, seed {self.seed}")


def bootstrap(fit: Fit, draws: int, seed: int = 1) -> Bootstrap:
    """Draw tables from a plain bivariate fit and fit each again, from the fitted parameters.

    Drawn tables without any event on one side have no maximum; they are drawn again and counted.
    """
    generator = np.random.default_rng(seed)
    problem, theta = fit.problem, fit.theta
    k = len(problem.group)
    n1, n2 = problem.n1.astype(np.int64), problem.n2.astype(np.int64)
    factor = np.array([[theta[2], 0.0], [theta[3], theta[4]]])
    start = theta.copy()
    # away from an exact boundary, where the gradient across it vanishes by symmetry
    start[2], start[4] = max(start[2], 0.05), max(start[4], 0.05)
    found: list[Array] = []
    redrawn = 0
    while len(found) < draws:
        logits = theta[:2] + (generator.standard_normal((k, 2)) @ factor.T)[problem.study]
        p = 1 / (1 + np.exp(-logits))
        x1, x2 = generator.binomial(n1, p[:, 0]), generator.binomial(n2, p[:, 1])
        if 0 in (x1.sum(), x2.sum(), (n1 - x1).sum(), (n2 - x2).sum()):
            redrawn += 1
            if redrawn > 10 * draws:
                break
            continue
        drawn = replace(problem, x1=x1.astype(np.float64), x2=x2.astype(np.float64))
        found.append(maximise(drawn, start, BOOTSTRAP_NODES, most=40, close=1e-3)[0])
    return Bootstrap(np.array(found), seed, redrawn)
