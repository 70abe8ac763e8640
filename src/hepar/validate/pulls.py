"""Every measure of a score in one form: its value and how far each row pulls it.

A row's pull is its influence on the measure; the sum of their squares is the variance, and where patients have several
rows, the sum of the squares of their sums (Obuchowski 1997 for the AUC, the sandwich of Liang and Zeger 1986 for the
rest). So subgroups, sites and splits get every measure, its interval and its gaps in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import auc, compare_unpaired, placements
from hepar.validate.inputs import Bools, Floats, Ints, quantile, two_sided
from hepar.validate.logistic import logistic
from hepar.validate.proportion import clustered, difference
from hepar.validate.proportion import proportion as share_of
from hepar.validate.smooth import logit

SHARES = ("sensitivity", "specificity", "positive predictive value", "negative predictive value")
CALIBRATION = ("calibration slope", "calibration in the large", "observed / expected")
OF_A_RISK = (*CALIBRATION, "Brier score")
"""Measures that need a probability."""
UNITS = {
    "AUC": "0.5 is blind, 1 perfect",
    "sensitivity": "positive cases called positive",
    "specificity": "negative cases called negative",
    "positive predictive value": "truly positive of those called so",
    "negative predictive value": "truly negative of those called so",
    "calibration slope": "1 is right; below: risks too extreme",
    "calibration in the large": "0 is right; above: risks too low",
    "observed / expected": "1 is right; above: risks too low",
    "Brier score": "0 is best",
}


@dataclass(frozen=True, eq=False)
class Pull:
    """value: on the scale where it is normal enough (the log of a ratio, else plain). pull: one per row, sum 0.

    count: x of n for a share, who: the n. variance: that of independent rows, where the literature has its own; None
    takes the sum of the squared pulls.
    """

    value: float
    pull: Floats
    count: tuple[int, int] | None = None
    who: Bools | None = None
    variance: float | None = None


def names(*, threshold: float | None, risk: bool) -> tuple[str, ...]:
    """The measures that can be made: shares need a threshold, calibration needs a risk."""
    return ("AUC", *(SHARES if threshold is not None else ()), *(OF_A_RISK if risk else ()))


def pull(name: str, positive: Bools, score: Floats, threshold: float | None = None) -> Pull | str:
    """One measure of these rows, or the reason why there is none."""
    n, n_pos = positive.size, int(positive.sum())
    if name in SHARES and threshold is not None:
        return _share(name, positive, score >= threshold)
    if name == "Brier score":
        away = (score - positive) ** 2
        return Pull(float(away.mean()), (away - away.mean()) / n, variance=float(away.var(ddof=1)) / n if n > 1 else 0)
    if n_pos in (0, n):
        return f"all {n} cases are {'positive' if n_pos else 'negative'}; both classes are needed"
    if name == "AUC":
        area, by_pos, by_neg = placements(positive, score)
        one = np.empty(n)
        one[positive], one[~positive] = (by_pos - area) / n_pos, (by_neg - area) / (n - n_pos)
        grow = [np.sqrt(k / (k - 1)) if k > 1 else np.nan for k in (n_pos, n - n_pos)]
        return Pull(area, one * np.where(positive, grow[0], grow[1]))
    if name == "observed / expected":
        if float(score.sum()) <= 0:
            return "the risks sum up to 0"
        ratio = float(np.log(n_pos / score.sum()))
        return Pull(ratio, positive / n_pos - score / score.sum(), variance=(1 - n_pos / n) / n_pos)
    if name not in CALIBRATION:
        raise WrongCall(f"measure {name!r} is not known, or its threshold is missing")
    return _regression(name, positive, score)


def _of_whom(name: str, positive: Bools, test: Bools) -> tuple[Bools, Bools, str]:
    """Rows that a share is of, those that count as hits, and the reason where there is no row."""
    return {
        "sensitivity": (positive, test, "no positive case"),
        "specificity": (~positive, ~test, "no negative case"),
        "positive predictive value": (test, positive, "no positive test"),
        "negative predictive value": (~test, ~positive, "no negative test"),
    }[name]


def _share(name: str, positive: Bools, test: Bools) -> Pull | str:
    who, hit, why = _of_whom(name, positive, test)
    n = int(who.sum())
    if n == 0:
        return why
    x = int((hit & who).sum())
    return Pull(x / n, np.where(who, (hit - x / n) / n, 0.0), (x, n), who)


def _regression(name: str, positive: Bools, score: Floats) -> Pull | str:
    x, ones = logit(score), np.ones(score.size)
    slope = name == "calibration slope"
    if slope and float(x.min()) == float(x.max()):
        return "all risks are equal"
    try:
        if slope:
            design = np.column_stack([ones, x])
            fit = logistic(design, positive)
            eta = design @ fit.coefficients
        else:
            design = ones[:, None]
            fit = logistic(design, positive, offset=x)
            eta = x + fit.coefficients[0]
    except WrongCall:
        return "the classes are perfectly separated"
    last = fit.covariance[-1]
    rest = positive - 1.0 / (1.0 + np.exp(-eta))
    return Pull(float(fit.coefficients[-1]), (design @ last) * rest, variance=float(fit.covariance[-1, -1]))


def variance(found: Pull, cluster: Ints | None, *, pulls: Floats | None = None) -> float:
    """Variance of a measure; rows of one cluster belong together. pulls: others in the place of the measure's own."""
    own = found.pull if pulls is None else pulls
    if cluster is None:
        return found.variance if found.variance is not None and pulls is None else float(own @ own)
    sums = np.bincount(cluster, weights=own)
    k = np.unique(cluster).size
    return float(sums @ sums) * (k / (k - 1) if k > 1 else np.nan)


def estimate(
    name: str, positive: Bools, score: Floats, threshold: float | None = None, *, cluster: Ints | None = None,
    level: float = 0.95,
) -> Estimate:  # fmt: skip
    """One measure with its interval: logit-DeLong, Wilson, Wald; with clusters the same on the effective number.

    Without a value it says why. The interval of observed / expected is made on the log scale (Debray 2017).
    """
    found = pull(name, positive, score, threshold)
    if isinstance(found, str):
        return Estimate.cannot_tell(found)
    if name == "AUC":
        return auc(positive, score, cluster=cluster, level=level)
    if cluster is None and found.count is not None:
        return share_of(*found.count, level=level)
    if found.count is not None and cluster is not None and threshold is not None:
        who, hit, _ = _of_whom(name, positive, np.asarray(score >= threshold))
        return clustered(hit[who], cluster[who], level=level)
    spread = variance(found, cluster)
    if not np.isfinite(spread) or spread <= 0:
        return Estimate(float(np.exp(found.value)) if name == "observed / expected" else found.value)
    half = quantile(level) * float(np.sqrt(spread))
    value, low, high = found.value, found.value - half, found.value + half
    how = "wald" if cluster is None else "wald, clustered by patient"
    if name == "observed / expected":
        value, low, high, how = float(np.exp(value)), float(np.exp(low)), float(np.exp(high)), f"log, {how}"
    return Estimate(value, low, high, level, how)


def effective(found: Pull, cluster: Ints | None) -> float:
    """Cases that a share is worth: fewer than its rows where patients have several of a kind (Rao and Scott 1992).

    A share of 0 or 1 shows no spread; then every patient counts once.
    """
    assert found.count is not None
    assert found.who is not None
    n = float(found.count[1])
    if cluster is None:
        return n
    spread = variance(found, cluster)
    if found.count[0] in (0, found.count[1]) or not np.isfinite(spread) or spread <= 0:
        return float(np.unique(cluster[found.who]).size)
    return min(n, found.value * (1 - found.value) / spread)


def gap(
    name: str, positive: Bools, score: Floats, one: Bools, other: Bools, threshold: float | None = None, *,
    cluster: Ints | None = None, level: float = 0.95,
) -> Estimate:  # fmt: skip
    """A measure of some rows less that of others: DeLong with Welch's degrees, Newcombe, else Wald; patients who have
    rows in both are taken into account. observed / expected: the difference of the two ratios' logs."""
    first, second = (pull(name, positive[k], score[k], threshold) for k in (one, other))
    for found in (first, second):
        if isinstance(found, str):
            return Estimate.cannot_tell(found)
    assert isinstance(first, Pull)
    assert isinstance(second, Pull)
    away = first.value - second.value
    if first.count is not None and second.count is not None:
        if cluster is None:
            return difference(*first.count, *second.count, level=level)
        a, b = (estimate(name, positive[k], score[k], threshold, cluster=cluster[k], level=level) for k in (one, other))
        if a.low is None or a.high is None or b.low is None or b.high is None:
            return Estimate(away)
        low = away - float(np.hypot(first.value - a.low, b.high - second.value))
        high = away + float(np.hypot(a.high - first.value, second.value - b.low))
        return Estimate(away, low, high, level, "newcombe, clustered by patient")
    if cluster is None and name == "AUC" and _two_each(positive[one]) and _two_each(positive[other]):
        return compare_unpaired(positive[one], score[one], positive[other], score[other], level=level).difference
    if cluster is None:
        spread = variance(first, None) + variance(second, None)
    else:
        both = np.zeros(positive.size)
        both[one] += first.pull
        both[other] -= second.pull
        spread = variance(first, cluster, pulls=both)
    if not np.isfinite(spread) or spread <= 0:
        return Estimate(away)
    half = quantile(level) * float(np.sqrt(spread))
    return Estimate(away, away - half, away + half, level, "wald" if cluster is None else "wald, clustered by patient")


def _two_each(positive: Bools) -> bool:
    return min(int(positive.sum()), int((~positive).sum())) > 1


def paired_gap(
    name: str, positive: Bools, first: Floats, second: Floats, threshold: float | None = None, *,
    cluster: Ints | None = None, level: float = 0.95,
) -> tuple[Estimate, float | None]:  # fmt: skip
    """A measure of one score less that of another on the same rows, and p of no difference: normal, from the rows'
    difference of pulls, so that what both scores share cancels out."""
    one, other = (pull(name, positive, score, threshold) for score in (first, second))
    for found in (one, other):
        if isinstance(found, str):
            return Estimate.cannot_tell(found), None
    assert isinstance(one, Pull)
    assert isinstance(other, Pull)
    away, spread = one.value - other.value, variance(one, cluster, pulls=one.pull - other.pull)
    if not np.isfinite(spread) or spread <= 0:
        return Estimate(away), None
    error = float(np.sqrt(spread))
    half, how = quantile(level) * error, "wald, paired" + ("" if cluster is None else ", clustered by patient")
    return Estimate(away, away - half, away + half, level, how), two_sided(away / error)
