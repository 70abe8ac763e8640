"""The ladder of simpler models beside the full one. Source: Takwoingi 2015, Stat Methods Med Res 26:1896."""

from __future__ import annotations

import numpy as np

from hepar.evidence.fit import Fit, invert, maximise
from hepar.evidence.intervals import named, quantile, wald
from hepar.evidence.quantities import expit
from hepar.evidence.result import Simpler

_LADDER = (
    ("independent", "no correlation: one random-effects model for sensitivity and one for specificity", (1,)),
    ("sensitivity varies", "specificity is the same in all studies", (1, 2)),
    ("specificity varies", "sensitivity is the same in all studies", (0, 1)),
    ("common", "sensitivity and specificity are the same in all studies", (0, 1, 2)),
)
"""Name, what is assumed, and which of L11, L21, L22 are 0."""


def simpler_models(fit: Fit, k: int, interval: str) -> tuple[Simpler, ...]:
    """Each rung fitted by the same exact likelihood, from the full fit's means."""
    multiple, how = quantile(interval, k), named(interval, k, "logit")
    rungs = []
    for name, words, zero in _LADDER:
        theta = fit.theta.copy()
        theta[2:5] = np.where(np.abs(theta[2:5]) < 0.05, 0.3, theta[2:5])
        theta[[2 + z for z in zero]] = 0.0
        free = np.ones(5, dtype=bool)
        free[[2 + z for z in zero]] = False
        theta, value = maximise(fit.problem, theta, fit.nodes, free)
        error = np.sqrt(np.diag(invert(-value.hessian, free)))
        sensitivity, specificity = (
            wald(float(theta[i]), float(error[i]), multiple, lambda x: float(expit(x)), how) for i in (0, 1)
        )
        count = int(free.sum())
        rungs.append(Simpler(
            name, words, count, value.loglik, 2 * count - 2 * value.loglik, sensitivity, specificity
        ))  # fmt: skip
    return tuple(rungs)
