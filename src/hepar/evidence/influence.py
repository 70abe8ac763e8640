"""What each study does to the result: leaving it out, Cook's distance, and how far it lies from the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.fit import Fit, covariance_of, invert, maximise
from hepar.evidence.quantities import expit
from hepar.evidence.reitsma import corrected_cells
from hepar.evidence.table import Table

OUTLYING = 0.01
"""A study whose deleted residual has a smaller p value is named as an outlier."""
SETTLED = 1e-5


@dataclass(frozen=True)
class Influence:
    """One study left out. sensitivity, specificity, dor: pooled without it.

    cook: distance between both logit means with and without the study, in the metric of their covariance, halved.
    residual: squared Mahalanobis distance of the study's logits from the fit without it (deleted residual);
    p: its tail probability under chi-square with 2 df; None where the study has one side only or several tables.
    """

    study: str
    sensitivity: float
    specificity: float
    dor: float
    cook: float
    residual: float | None
    p: float | None
    outlier: bool


def influence(fit: Fit, table: Table) -> tuple[Influence, ...]:
    """Leave-one-out refits of a plain bivariate fit, each begun from the full fit."""
    from scipy.stats import chi2

    members = [np.flatnonzero(fit.problem.study == i) for i in range(len(fit.problem.group))]
    k = len(members)
    metric = np.linalg.inv(fit.covariance[:2, :2])
    tp, fp, fn, tn = corrected_cells(table, "single")
    start = fit.theta.copy()
    start[2], start[4] = max(start[2], 0.05), max(start[4], 0.05)
    free = np.ones(len(start), dtype=bool)
    found = []
    for i in range(k):
        rest = fit.problem.rows(np.delete(np.arange(k), i))
        theta, value = maximise(rest, start, fit.nodes, close=SETTLED)
        shift = fit.theta[:2] - theta[:2]
        residual = p = None
        at = members[i][0]
        if len(members[i]) == 1 and table.n1[at] and table.n0[at]:
            own = np.diag([1 / tp[at] + 1 / fn[at], 1 / tn[at] + 1 / fp[at]])
            spread = covariance_of(theta[2:5]) + invert(-value.hessian, free)[:2, :2] + own
            off = np.array([np.log(tp[at] / fn[at]), np.log(tn[at] / fp[at])]) - theta[:2]
            residual = float(off @ np.linalg.solve(spread, off))
            p = float(chi2.sf(residual, 2))
        found.append(Influence(
            table.study[at], float(expit(theta[0])), float(expit(theta[1])), float(np.exp(theta[0] + theta[1])),
            float(shift @ metric @ shift / 2), residual, p, p is not None and p < OUTLYING,
        ))  # fmt: skip
    return tuple(found)
