"""Does a measure hold elsewhere: internal against external, site by site, and pooled over sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import AucComparison, auc, compare_unpaired, placements
from hepar.validate.inputs import Floats, paired, same_length


def drop(
    truth_internal: ArrayLike, score_internal: ArrayLike, truth_external: ArrayLike, score_external: ArrayLike
) -> AucComparison:
    """AUC inside less AUC outside; above 0 is a loss. Different patients: DeLong unpaired with Welch's degrees."""
    return compare_unpaired(truth_internal, score_internal, truth_external, score_external)


@dataclass(frozen=True, eq=False)
class Pooling:
    """Sites together: the mean over sites, the range in which a new site's value is expected, and the spread between
    sites (tau2 and I2, in percent), on the scale on which they were pooled."""

    mean: Estimate
    prediction: tuple[float, float] | None
    tau2: float
    i2_percent: float


def pool(values: ArrayLike, variances: ArrayLike, *, level: float = 0.95) -> Pooling:
    """Random effects: REML, interval after Hartung and Knapp, prediction interval with k - 2 degrees of freedom.

    values, variances: one per site, on a scale where a normal distribution fits. Two sites give no prediction interval.
    Source: Viechtbauer 2005; Hartung and Knapp 2001; Higgins, Thompson and Spiegelhalter 2009.
    """
    from scipy.stats import t

    y, v = np.asarray(values, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    same_length(y.size, v.size, "the values", "the variances")
    if y.size < 2 or not np.isfinite(y).all() or not bool((v > 0).all()):
        raise WrongCall(
            f"{y.size} sites, or a variance that is not above 0; needed: two sites at least, each with both"
        )
    k = y.size
    tau2 = _reml(y, v)
    w = 1.0 / (v + tau2)
    mean = float(w @ y / w.sum())
    spread = float(w @ (y - mean) ** 2 / (k - 1) / w.sum())
    half = float(t.ppf(0.5 + level / 2, k - 1)) * np.sqrt(spread)
    prediction = None
    if k > 2:
        reach = float(t.ppf(0.5 + level / 2, k - 2)) * np.sqrt(tau2 + 1.0 / w.sum())
        prediction = (mean - reach, mean + reach)
    fixed = 1.0 / v
    q = float(fixed @ (y - fixed @ y / fixed.sum()) ** 2)
    i2 = max(0.0, 100.0 * (q - (k - 1)) / q) if q > 0 else 0.0
    return Pooling(Estimate(mean, mean - half, mean + half, level, "REML, Hartung-Knapp"), prediction, tau2, i2)


def _reml(y: Floats, v: Floats) -> float:
    from scipy.optimize import minimize_scalar

    def minus_loglik(tau2: float) -> float:
        w = 1.0 / (v + tau2)
        mean = w @ y / w.sum()
        return float(0.5 * (np.log(v + tau2).sum() + np.log(w.sum()) + w @ (y - mean) ** 2))

    most = 10.0 * (float(y.var(ddof=1)) + float(v.max()))
    found = minimize_scalar(minus_loglik, bounds=(0.0, most), method="bounded", options={"xatol": 1e-12 * most})
    return 0.0 if minus_loglik(0.0) <= float(found.fun) else float(found.x)


def pooled_auc(truth: ArrayLike, score: ArrayLike, site: ArrayLike, *, smallest: int = 10) -> tuple[Pooling, list[str]]:
    """AUC of the sites pooled on the logit scale and turned back; and the sites left out, each with its reason.

    A site needs `smallest` cases of each class and an AUC below 1. Raises WrongCall with fewer than two such sites.
    """
    positive, values = paired(truth, score)
    names = np.asarray(site)
    same_length(positive.size, names.size, "the truth", "the site")
    logits, variances, out = [], [], []
    for name in np.unique(names):
        own = names == name
        n_pos = int(positive[own].sum())
        if min(n_pos, int(own.sum()) - n_pos) < smallest:
            out.append(
                f"{name}: {n_pos} positive and {int(own.sum()) - n_pos} negative cases, {smallest} of each needed"
            )
            continue
        area, by_pos, by_neg = placements(positive[own], values[own])
        if not 0.0 < area < 1.0:
            out.append(f"{name}: the separation is perfect, so its AUC has no variance")
            continue
        variance = float(by_pos.var(ddof=1) / by_pos.size + by_neg.var(ddof=1) / by_neg.size)
        logits.append(np.log(area / (1 - area)))
        variances.append(variance / (area * (1 - area)) ** 2)
    found = pool(logits, variances)

    def back(x: float) -> float:
        return float(1.0 / (1.0 + np.exp(-x)))

    mean = found.mean
    assert mean.estimate is not None
    assert mean.low is not None
    assert mean.high is not None
    turned = Estimate(back(mean.estimate), back(mean.low), back(mean.high), mean.level, f"{mean.method}, logit")
    ends = None if found.prediction is None else (back(found.prediction[0]), back(found.prediction[1]))
    return Pooling(turned, ends, found.tau2, found.i2_percent), out


def leave_one_site_out(truth: ArrayLike, score: ArrayLike, site: ArrayLike) -> dict[str, Estimate]:
    """The AUC of all other sites together, by the site left out: one site that carries the result shows."""
    positive, values = paired(truth, score)
    names = np.asarray(site)
    same_length(positive.size, names.size, "the truth", "the site")
    return {str(name): auc(positive[names != name], values[names != name]) for name in np.unique(names)}
