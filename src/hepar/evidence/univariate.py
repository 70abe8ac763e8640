"""One number per study, pooled the classical way: inverse variances, Cochran's Q, DerSimonian and Laird's tau2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.intervals import LEVEL
from hepar.evidence.likelihood import Array
from hepar.evidence.small_study import both_sides, corrected, log_dor
from hepar.evidence.table import Table
from hepar.record.estimate import Estimate


@dataclass(frozen=True)
class Univariate:
    """Cochran's Q with its p value, I2 in percent, tau2 after DerSimonian and Laird, and the random-effects mean.

    pooled: on the scale of the study numbers (logit or natural logarithm).
    """

    q: float
    df: int
    p: float
    i2: float
    tau2: float
    pooled: Estimate


def pooled(effect: Array, error: Array) -> Univariate:
    """The classical random-effects summary of effects with known standard errors."""
    from scipy.stats import chi2, norm

    weight = 1 / error**2
    mean = (weight * effect).sum() / weight.sum()
    q = float((weight * (effect - mean) ** 2).sum())
    df = len(effect) - 1
    scale = weight.sum() - (weight**2).sum() / weight.sum()
    tau2 = max(0.0, (q - df) / scale) if scale > 0 else 0.0
    random = 1 / (error**2 + tau2)
    centre = float((random * effect).sum() / random.sum())
    half = float(norm.ppf((1 + LEVEL) / 2) / np.sqrt(random.sum()))
    estimate = Estimate(centre, centre - half, centre + half, LEVEL, "DerSimonian-Laird, Wald z")
    return Univariate(q, df, float(chi2.sf(q, df)), 100 * max(0.0, (q - df) / q) if q > 0 else 0.0, tau2, estimate)


def univariate(table: Table) -> dict[str, Univariate]:
    """Summaries of logit sensitivity, logit specificity, ln DOR, ln LR+ and ln LR-, each on its own.

    0.5 is added to all cells of the studies with a zero: these summaries are for comparison with older reviews.
    """
    table = both_sides(table)
    tp, fp, fn, tn = corrected(table)
    n1, n0 = tp + fn, fp + tn
    effects = {
        "logit_sensitivity": (np.log(tp / fn), np.sqrt(1 / tp + 1 / fn)),
        "logit_specificity": (np.log(tn / fp), np.sqrt(1 / tn + 1 / fp)),
        "log_dor": log_dor(table),
        "log_lr_positive": (np.log(tp / n1 / (fp / n0)), np.sqrt(1 / tp - 1 / n1 + 1 / fp - 1 / n0)),
        "log_lr_negative": (np.log(fn / n1 / (tn / n0)), np.sqrt(1 / fn - 1 / n1 + 1 / tn - 1 / n0)),
    }
    return {name: pooled(effect, error) for name, (effect, error) in effects.items()}
