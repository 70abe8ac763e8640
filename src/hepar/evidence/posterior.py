"""The bivariate model's posterior by adaptive importance sampling; no sampler to install, no chains to judge.

The study effects are integrated out by quadrature as in the likelihood, so that five parameters remain. A multivariate
t distribution is fitted to the posterior in rounds; the last round's weighted draws are the answer, and the effective
number of draws tells how well it fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.errors import WrongCall
from hepar.evidence.fit import fit
from hepar.evidence.likelihood import Array, bivariate, log_likelihoods
from hepar.evidence.quantities import correlation, expit, log_ratios
from hepar.evidence.table import Table, check_poolable
from hepar.record.estimate import Estimate

NODES = 9
DEGREES = 5.0
"""Degrees of freedom of the proposal: tails heavier than any posterior here."""
WIDER = 0.2
"""Share of the draws from a distribution twice as wide."""
ROUNDS = 6


@dataclass(frozen=True)
class Priors:
    """mean_sd: of the normal priors of both logit means about 0. sd_low, sd_high: of the uniform priors of both
    between-study standard deviations. rho: the correlation is uniform between -rho and rho.
    """

    mean_sd: float = 2.0
    sd_low: float = 0.01
    sd_high: float = 4.0
    rho: float = 0.99

    def __post_init__(self) -> None:
        if not (self.mean_sd > 0 and 0 <= self.sd_low < self.sd_high and 0 < self.rho <= 1):
            raise WrongCall(f"these priors hold no values: {self}")


@dataclass(frozen=True)
class Posterior:
    """One quantity. median with its central 95 % credible interval in `interval`; error: Monte Carlo, of the mean."""

    mean: float
    sd: float
    interval: Estimate
    error: float


@dataclass(frozen=True)
class Bayes:
    """quantities: mu1, mu2, sd1, sd2, rho, sensitivity, specificity, lr_positive, lr_negative, dor.

    draws, effective: of the last round; an effective number below a tenth of the draws calls for more.
    """

    priors: Priors
    draws: int
    effective: float
    seed: int
    quantities: dict[str, Posterior]


def bayes(table: Table, *, priors: Priors | None = None, draws: int = 12_000, seed: int = 1) -> Bayes:
    """The posterior under `priors`. Raises Refused for a table that cannot be pooled."""
    if draws < 200:
        raise WrongCall(f"{draws} draws are too few for an interval; use at least 200")
    check_poolable(table)
    chosen = priors or Priors()
    problem = bivariate(table.tp, table.n1, table.tn, table.n0)
    generator = np.random.default_rng(seed)
    found = fit(problem)
    theta = found.theta
    # the likelihood's and the prior's means, weighted by their precisions
    error = np.maximum(np.diag(found.covariance)[:2], 1e-6)
    means = theta[:2] * chosen.mean_sd**2 / (chosen.mean_sd**2 + error)
    wide = 1.5 / np.sqrt(1 / error + 1 / chosen.mean_sd**2)
    sds = np.array([theta[2], np.hypot(theta[3], theta[4])])
    width = chosen.sd_high - chosen.sd_low
    share = np.clip((sds - chosen.sd_low) / width, 0.03, 0.97)
    rho = np.clip(((correlation(theta) or 0.0) / chosen.rho + 1) / 2, 0.1, 0.9)
    centre = np.array([*means, *np.log(share / (1 - share)), np.log(rho / (1 - rho))])
    spread = np.diag([*wide, 0.6, 0.6, 1.2]) ** 2

    def look(x: Array) -> tuple[Array, Array]:
        """Log posterior of draws (draw, 5), and their parameters as mu1, mu2, L11, L21, L22."""
        part = expit(x[:, 2:])
        one, two = chosen.sd_low + width * part[:, 0], chosen.sd_low + width * part[:, 1]
        r = chosen.rho * (2 * part[:, 2] - 1)
        points = np.stack([x[:, 0], x[:, 1], one, r * two, np.sqrt(np.maximum(0.0, 1 - r**2)) * two], axis=1)
        # the logistic transformation's Jacobian; the priors of sd and rho are flat
        jacobian = -(np.logaddexp(0, x[:, 2:]) + np.logaddexp(0, -x[:, 2:])).sum(axis=1)
        prior = -(x[:, :2] ** 2).sum(axis=1) / (2 * chosen.mean_sd**2)
        return log_likelihoods(problem, points, NODES) + prior + jacobian, points

    for number in range(ROUNDS):
        last = number == ROUNDS - 1
        count = draws if last else max(300, draws // 6)
        factor = np.linalg.cholesky(spread)
        # a part of the draws comes from twice as wide a distribution, for the corners that five parameters have
        wider = np.where(np.arange(count) < WIDER * count, 2.0, 1.0)
        scale = np.sqrt(generator.chisquare(DEGREES, count) / DEGREES)
        standard = generator.standard_normal((count, 5)) * (wider / scale)[:, None]
        x = centre + standard @ factor.T
        square = (standard**2).sum(axis=1) / DEGREES
        power = -(DEGREES + 5) / 2
        proposal = np.log((1 - WIDER) * (1 + square) ** power + WIDER * 2.0**-5 * (1 + square / 4) ** power)
        posterior, points = look(x)
        log_weight = posterior - proposal
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        if not last:
            # the largest weights are cut, so that one lucky draw does not become the whole proposal
            cut = np.minimum(weight, 10 / count)
            cut /= cut.sum()
            centre = cut @ x
            spread = 1.1 * ((x - centre) * cut[:, None]).T @ (x - centre) + 1e-6 * np.eye(5)
    return Bayes(
        chosen, draws, float(1 / (weight**2).sum()), seed,
        {name: _posterior(values, weight) for name, values in _quantities(points).items()},
    )  # fmt: skip


def _quantities(points: Array) -> dict[str, Array]:
    ratios = np.exp(np.array([log_ratios(point) for point in points]))
    two = np.hypot(points[:, 3], points[:, 4])
    return {
        "mu1": points[:, 0], "mu2": points[:, 1], "sd1": points[:, 2], "sd2": two, "rho": points[:, 3] / two,
        "sensitivity": expit(points[:, 0]), "specificity": expit(points[:, 1]), "lr_positive": ratios[:, 0],
        "lr_negative": ratios[:, 1], "dor": ratios[:, 2],
    }  # fmt: skip


def _posterior(values: Array, weight: Array) -> Posterior:
    mean = float(weight @ values)
    sd = float(np.sqrt(weight @ (values - mean) ** 2))
    order = np.argsort(values, kind="stable")
    low, middle, high = np.interp([0.025, 0.5, 0.975], np.cumsum(weight[order]), values[order])
    error = float(np.sqrt(((weight * (values - mean)) ** 2).sum()))
    interval = Estimate(float(middle), float(low), float(high), 0.95, "central credible interval")
    return Posterior(mean, sd, interval, error)
