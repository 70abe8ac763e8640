"""How well a score tells positive from negative: the area under the ROC curve and its variance after DeLong."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats, Ints, numbers, paired, quantile, same_length, two_sided

METHODS = ("logit-delong", "delong", "hanley-mcneil")


def auc(
    truth: ArrayLike, score: ArrayLike, *, method: str = "logit-delong", cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """Area under the ROC curve: the chance that a positive case scores higher than a negative one, ties counting half.

    truth: 0 and 1 or bool; score: any finite number, higher means positive.
    method: "logit-delong" (DeLong's variance on the logit scale, inside 0..1), "delong" (Wald, as pROC's ci.auc),
    "hanley-mcneil" (1982, Wald). One class only gives no number and the reason. Perfect separation has no variance; its
    interval is that of Clopper and Pearson for the smaller class all right. Scores all equal: 0.5 without interval.
    cluster: the patient of each case, where patients have several (lesions, segments); the variance is then
    Obuchowski's. Fewer than two patients with cases of a class: no interval.
    Source: DeLong 1988; Sun and Xu 2014 (mid-ranks); Pepe 2003, p. 107 (logit scale); Obuchowski, Biometrics 1997.
    """
    if method not in METHODS:
        raise WrongCall(f"method {method!r} is not known; needed: one of {', '.join(METHODS)}")
    positive, values = paired(truth, score)
    n_pos = int(positive.sum())
    if n_pos in (0, positive.size):
        only = "positive" if n_pos else "negative"
        return Estimate.cannot_tell(f"all {positive.size} cases are {only}; an AUC needs both classes")
    area, by_pos, by_neg = placements(positive, values)
    if cluster is not None:
        return _of_clusters(area, by_pos, by_neg, positive, cluster, method, level)
    variance = _variance(by_pos, by_neg)
    if method == "hanley-mcneil":
        variance = hanley_mcneil_variance(area, n_pos, positive.size - n_pos)
    return with_interval(area, variance, min(n_pos, positive.size - n_pos), method=method, level=level)


def _of_clusters(
    area: float, by_pos: Floats, by_neg: Floats, positive: Bools, cluster: ArrayLike, method: str, level: float
) -> Estimate:
    if method == "hanley-mcneil":
        raise WrongCall("Hanley and McNeil's variance takes every case for itself; with clusters use logit-delong")
    names, code = np.unique(np.asarray(cluster), return_inverse=True)
    same_length(positive.size, code.size, "the truth", "the cluster")
    smaller = min(np.unique(code[who]).size for who in (positive, ~positive))
    if smaller < 2:
        return Estimate(area)
    variance = clustered_variance(area, by_pos, by_neg, code[positive], code[~positive])
    made = with_interval(area, variance, smaller, method=method, level=level)
    if made.low is None:
        return made
    return replace(made, method=f"{made.method}, clustered ({names.size} patients)")


def clustered_variance(area: float, by_pos: Floats, by_neg: Floats, of_pos: Ints, of_neg: Ints) -> float:
    """Obuchowski's variance of an area (1997). by_pos, by_neg: see `placements`; of_pos, of_neg: the number of each
    case's cluster. With one case per cluster it is DeLong's."""
    k = int(max(of_pos.max(), of_neg.max())) + 1
    sums = [np.bincount(of, weights=by - area, minlength=k) for of, by in ((of_pos, by_pos), (of_neg, by_neg))]
    m, n = by_pos.size, by_neg.size
    with_pos, with_neg = (np.unique(of).size for of in (of_pos, of_neg))
    both = np.union1d(of_pos, of_neg).size
    return float(
        with_pos / (with_pos - 1) * (sums[0] @ sums[0]) / m**2
        + with_neg / (with_neg - 1) * (sums[1] @ sums[1]) / n**2
        + 2.0 * both / (both - 1) * (sums[0] @ sums[1]) / (m * n)
    )


def with_interval(area: float, variance: float, smaller_class: int, *, method: str, level: float) -> Estimate:
    """The Estimate of an area from its variance; see `auc` for the two cases without variance."""
    z = quantile(level)
    if area in (0.0, 1.0):
        end = ((1.0 - level) / 2.0) ** (1.0 / smaller_class)
        low, high = (end, 1.0) if area == 1.0 else (0.0, 1.0 - end)
        return Estimate(area, low, high, level, f"clopper-pearson on {smaller_class} cases, the separation is perfect")
    if variance <= 0.0 or not np.isfinite(variance):
        return Estimate(area)
    if method == "logit-delong":
        centre = np.log(area / (1.0 - area))
        half = z * np.sqrt(variance) / (area * (1.0 - area))
        low, high = (float(1.0 / (1.0 + np.exp(-(centre + sign * half)))) for sign in (-1.0, 1.0))
    else:
        half = z * np.sqrt(variance)
        low, high = max(0.0, area - half), min(1.0, area + half)
    return Estimate(area, float(low), float(high), level, method)


def placements(positive: Bools, values: Floats) -> tuple[float, Floats, Floats]:
    """The area; per positive case the share of negatives below it; per negative case the share of positives above."""
    cases, controls = values[positive], values[~positive]
    return placements_of(cases, controls)


def placements_of(cases: Floats, controls: Floats) -> tuple[float, Floats, Floats]:
    """As `placements`, from the scores of both classes."""
    up, down = np.argsort(cases, kind="stable"), np.argsort(controls, kind="stable")
    high, low = cases[up], controls[down]
    below, above = np.empty(high.size), np.empty(low.size)
    below[up] = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    above[down] = 2 * high.size - np.searchsorted(high, low, "left") - np.searchsorted(high, low, "right")
    by_pos, by_neg = below / (2.0 * low.size), above / (2.0 * high.size)
    return float(below.sum() / (2.0 * low.size * high.size)), by_pos, by_neg


def _variance(by_pos: Floats, by_neg: Floats) -> float:
    return sum(float(v.var(ddof=1)) / v.size if v.size > 1 else np.nan for v in (by_pos, by_neg))


def hanley_mcneil_variance(area: float, n_pos: int, n_neg: int) -> float:
    """Variance of an area from itself and the class sizes alone (Hanley and McNeil 1982, exponential scores)."""
    q1, q2 = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    spread = area * (1.0 - area) + (n_pos - 1) * (q1 - area**2) + (n_neg - 1) * (q2 - area**2)
    return spread / (n_pos * n_neg)


@dataclass(frozen=True)
class AucComparison:
    """Two areas and their difference (first minus second).

    variances, covariance: after DeLong; covariance 0 for different cases. statistic: z, or Welch's D with `df`.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    variances: tuple[float, float]
    covariance: float
    statistic: float | None
    df: float | None
    p: float | None


def compare_paired(truth: ArrayLike, first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> AucComparison:
    """Two scores on the same cases (DeLong 1988), as pROC's roc.test(paired = TRUE)."""
    positive, a = paired(truth, first, "the first score")
    b = numbers(second, "the second score")
    same_length(positive.size, b.size, "the truth", "the second score")
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        raise WrongCall("fewer than two cases of one class; a comparison needs at least two of each")
    area_a, pos_a, neg_a = placements(positive, a)
    area_b, pos_b, neg_b = placements(positive, b)
    covariance = float(np.cov(pos_a, pos_b)[0, 1] / pos_a.size + np.cov(neg_a, neg_b)[0, 1] / neg_a.size)
    va, vb = _variance(pos_a, neg_a), _variance(pos_b, neg_b)
    variance = va + vb - 2.0 * covariance
    gap = area_a - area_b
    one, other = auc(positive, a, level=level), auc(positive, b, level=level)
    if variance <= 1e-15:
        return AucComparison(one, other, Estimate(gap), (va, vb), covariance, None, None, None)
    z, half = gap / np.sqrt(variance), quantile(level) * np.sqrt(variance)
    difference = Estimate(gap, gap - half, gap + half, level, "delong, paired")
    return AucComparison(one, other, difference, (va, vb), covariance, float(z), None, two_sided(float(z)))


def compare_unpaired(
    truth_a: ArrayLike, score_a: ArrayLike, truth_b: ArrayLike, score_b: ArrayLike, *, level: float = 0.95
) -> AucComparison:
    """Two scores on different cases, as pROC's roc.test(paired = FALSE): Welch's D with its degrees of freedom."""
    from scipy.stats import t

    parts = [paired(truth_a, score_a), paired(truth_b, score_b)]
    if min(min(int(p.sum()), int((~p).sum())) for p, _ in parts) < 2:
        raise WrongCall("fewer than two cases of one class; a comparison needs at least two of each in both groups")
    areas = [placements(*part) for part in parts]
    va, vb = (_variance(by_pos, by_neg) for _, by_pos, by_neg in areas)
    na, nb = (part[0].size for part in parts)
    one, other = auc(*parts[0], level=level), auc(*parts[1], level=level)
    gap, variance = areas[0][0] - areas[1][0], va + vb
    if variance <= 1e-15:
        return AucComparison(one, other, Estimate(gap), (va, vb), 0.0, None, None, None)
    d = gap / np.sqrt(variance)
    df = variance**2 / (va**2 / (na - 1) + vb**2 / (nb - 1))
    half = float(t.ppf(0.5 + level / 2.0, df)) * np.sqrt(variance)
    difference = Estimate(gap, gap - half, gap + half, level, "delong, unpaired, Welch")
    return AucComparison(one, other, difference, (va, vb), 0.0, float(d), float(df), float(2 * t.sf(abs(d), df)))
