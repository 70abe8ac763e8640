"""Does a measure hold elsewhere: internal against external, site by site, and pooled over sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import AucComparison, compare_unpaired
from hepar.validate.inputs import Bools, Floats, Ints, paired, same_length
from hepar.validate.pulls import Pull, effective, estimate, pull, variance


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
    """`pooled` for the AUC."""
    return pooled("AUC", truth, score, site, smallest=smallest)


def pooled(
    name: str, truth: ArrayLike, score: ArrayLike, site: ArrayLike, *, threshold: float | None = None,
    cluster: Ints | None = None, smallest: int = 10,
) -> tuple[Pooling, list[str]]:  # fmt: skip
    """One measure of the sites pooled, and the sites left out, each with its reason.

    AUC and shares are pooled on the logit scale, observed / expected on the log scale (Debray 2017), and turned back;
    the others as they stand. A share of 0 or 1 gets half a case on either side. name: see `pulls.names`.
    A site needs `smallest` cases of each class and an AUC below 1. Raises WrongCall with fewer than two such sites.
    """
    positive, values = paired(truth, score)
    names = np.asarray(site)
    same_length(positive.size, names.size, "the truth", "the site")
    scale = "log" if name == "observed / expected" else "plain"
    found, out = [], []
    for one in np.unique(names):
        own = names == one
        n_pos = int(positive[own].sum())
        if min(n_pos, int(own.sum()) - n_pos) < smallest:
            rest = int(own.sum()) - n_pos
            out.append(f"{one}: {n_pos} positive and {rest} negative cases, {smallest} of each needed")
            continue
        part, own_cluster = pull(name, positive[own], values[own], threshold), None if cluster is None else cluster[own]
        if isinstance(part, str):
            out.append(f"{one}: {part}")
        elif name == "AUC" or part.count is not None:
            scale = "logit"
            on_logit = _on_logit(part, own_cluster)
            if on_logit is None:
                out.append(f"{one}: the separation is perfect, so its AUC has no variance")
            else:
                found.append(on_logit)
        else:
            spread = variance(part, own_cluster)
            if spread > 0 and np.isfinite(spread):
                found.append((part.value, spread))
            else:
                out.append(f"{one}: no variance")
    result = pool([value for value, _ in found], [spread for _, spread in found])
    return _turned(result, scale), out


def _on_logit(part: Pull, cluster: Ints | None) -> tuple[float, float] | None:
    if part.count is None:
        area = part.value
        if not 0.0 < area < 1.0:
            return None
        return float(np.log(area / (1 - area))), variance(part, cluster) / (area * (1 - area)) ** 2
    n = effective(part, cluster)
    x = part.value * n
    if x in (0.0, n):
        x, n = x + 0.5, n + 1.0
    return float(np.log(x / (n - x))), 1.0 / x + 1.0 / (n - x)


def _turned(found: Pooling, scale: str) -> Pooling:
    if scale == "plain":
        return found

    def back(x: float) -> float:
        return float(np.exp(x)) if scale == "log" else float(1.0 / (1.0 + np.exp(-x)))

    mean = found.mean
    assert mean.estimate is not None
    assert mean.low is not None
    assert mean.high is not None
    turned = Estimate(back(mean.estimate), back(mean.low), back(mean.high), mean.level, f"{mean.method}, {scale}")
    ends = None if found.prediction is None else (back(found.prediction[0]), back(found.prediction[1]))
    return Pooling(turned, ends, found.tau2, found.i2_percent)


def leave_one_site_out(
    truth: ArrayLike, score: ArrayLike, site: ArrayLike, *, name: str = "AUC", threshold: float | None = None,
    cluster: Ints | None = None,
) -> dict[str, Estimate]:  # fmt: skip
    """A measure of all other sites together, by the site left out: one site that carries the result shows."""
    positive, values = paired(truth, score)
    names = np.asarray(site)
    same_length(positive.size, names.size, "the truth", "the site")

    def without(one: str) -> Estimate:
        rest: Bools = names != one
        if not rest.any():
            return Estimate.cannot_tell("no other site")
        return estimate(
            name, positive[rest], values[rest], threshold, cluster=None if cluster is None else cluster[rest]
        )

    sites: Sequence[str] = np.unique(names).tolist()
    return {str(one): without(one) for one in sites}
