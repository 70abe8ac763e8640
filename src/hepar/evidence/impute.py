"""Pooling tables that are not known for sure: multiple imputation over all tables that fit, by Rubin's rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.evidence.fit import fit
from hepar.evidence.intervals import named, quantile, wald
from hepar.evidence.likelihood import Array, bivariate
from hepar.evidence.quantities import expit
from hepar.evidence.reconstruct import Solution
from hepar.evidence.table import FEWEST_STUDIES
from hepar.record.estimate import Estimate


@dataclass(frozen=True, eq=False)
class Imputed:
    """The pool over imputed tables. covariance: of both logit means, within plus between imputations.

    share: of the variance of (sensitivity, specificity) that comes from not knowing the tables, 0 to 1.
    ambiguous: studies with more than one table; left_out: studies without any, with the reason.
    """

    imputations: int
    means: Array
    covariance: Array
    sensitivity: Estimate
    specificity: Estimate
    share: tuple[float, float]
    ambiguous: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def pool_imputed(solutions: list[Solution], *, imputations: int = 20, seed: int = 1) -> Imputed:
    """Draw one table for each study, each that fits alike likely, fit exactly, and combine (Rubin 1987)."""
    if imputations < 2:
        raise WrongCall("at least two imputations are needed to see how much they differ")
    known = [one for one in solutions if len(one.tables)]
    k = len(known)
    if k < FEWEST_STUDIES:
        raise Refused(f"{k} studies have a table that fits; the bivariate model needs at least {FEWEST_STUDIES}")
    generator = np.random.default_rng(seed)
    means, within = [], []
    for _ in range(imputations):
        rows = np.array([one.tables[generator.integers(len(one.tables))] for one in known])
        tp, fp, fn, tn = rows.T
        found = fit(bivariate(tp, tp + fn, tn, tn + fp))
        means.append(found.means)
        within.append(found.covariance[:2, :2])
    centre = np.mean(means, axis=0)
    inside, between = np.mean(within, axis=0), np.cov(np.array(means).T)
    covariance = inside + (1 + 1 / imputations) * between
    wide, how = quantile("t", k), named("t", k, "logit") + f", {imputations} imputations, seed {seed}"
    one, two = (
        wald(float(centre[i]), float(np.sqrt(covariance[i, i])), wide, lambda x: float(expit(x)), how) for i in (0, 1)
    )
    share = 1 - np.diag(inside) / np.diag(covariance)
    return Imputed(
        imputations, centre, covariance, one, two, (float(share[0]), float(share[1])),
        tuple(s.study for s in known if len(s.tables) > 1),
        tuple((s.study, s.why) for s in solutions if not len(s.tables)),
    )  # fmt: skip
