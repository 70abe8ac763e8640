"""Time to an event with censoring: Kaplan-Meier, log-rank, concordance, AUC and Brier score at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats, classes, numbers, quantile, same_length


def followed(time: ArrayLike, event: ArrayLike) -> tuple[Floats, Bools]:
    """Time under observation and whether it ended with the event. Raises WrongCall for a negative time."""
    times, events = numbers(time, "the time"), classes(event)
    same_length(times.size, events.size, "the time", "the event")
    if times.min() < 0:
        raise WrongCall(f"a time is {times.min():g}; needed: 0 or more")
    return times, events


@dataclass(frozen=True, eq=False)
class Survival:
    """A Kaplan-Meier curve: one value per different time. variance: Greenwood's sum (of log survival)."""

    times: Floats
    at_risk: Floats
    events: Floats
    survival: Floats
    variance: Floats

    def at(self, time: float) -> float:
        """Survival at a time (just after an event then)."""
        index = int(np.searchsorted(self.times, time, "right")) - 1
        return float(self.survival[index]) if index >= 0 else 1.0

    def before(self, time: Floats) -> Floats:
        """Survival just before each time."""
        index = np.searchsorted(self.times, time, "left") - 1
        return np.where(index >= 0, self.survival[np.maximum(index, 0)], 1.0)

    def estimate_at(self, time: float, *, level: float = 0.95) -> Estimate:
        """Survival at a time with Greenwood's interval on the log scale, as R's survfit."""
        index = int(np.searchsorted(self.times, time, "right")) - 1
        if index < 0:
            return Estimate(1.0)
        value = float(self.survival[index])
        if value <= 0.0:
            return Estimate(0.0)
        half = quantile(level) * float(np.sqrt(self.variance[index]))
        return Estimate(
            value, value * float(np.exp(-half)), min(1.0, value * float(np.exp(half))), level, "greenwood, log"
        )

    def median(self, *, level: float = 0.95) -> Estimate:
        """The time by which half have had the event, with the interval of R's survfit (log). Where the curve stays at
        one half for a while: the middle of that while. No upper end in reach: the number without an interval."""
        half = quantile(level) * np.sqrt(self.variance)
        with np.errstate(invalid="ignore"):
            low, high = self.survival * np.exp(-half), np.minimum(1.0, self.survival * np.exp(half))
        middle, early, late = (self._half(curve) for curve in (self.survival, low, high))
        if middle is None:
            return Estimate.cannot_tell("more than half are without the event to the end")
        if early is None or late is None:
            return Estimate(middle)
        return Estimate(middle, min(early, middle), max(late, middle), level, "greenwood, log")

    def _half(self, curve: Floats) -> float | None:
        known = ~np.isnan(curve)
        reached, passed = (np.flatnonzero(known & (curve <= 0.5 + slack)) for slack in (1.5e-8, -1.5e-8))
        if not reached.size:
            return None
        after = passed[0] if passed.size else self.times.size - 1
        return float(self.times[reached[0]] + self.times[after]) / 2.0

    def restricted_mean(self, until: float, *, level: float = 0.95) -> Estimate:
        """Mean time without the event within `until`, the area under the curve (as print(survfit, rmean =))."""
        inside = self.times < until
        edges = np.concatenate(([0.0], self.times[inside], [until]))
        steps = np.concatenate(([1.0], self.survival[inside])) * np.diff(edges)
        mean = float(steps.sum())
        rest = mean - np.cumsum(steps)[:-1]
        dead, risk = self.events[inside], self.at_risk[inside]
        with np.errstate(divide="ignore", invalid="ignore"):
            term = np.where(risk > dead, dead / (risk * (risk - dead)), 0.0)
        half = quantile(level) * float(np.sqrt((rest**2 * term).sum()))
        return Estimate(mean, mean - half, mean + half, level, "greenwood")


def kaplan_meier(time: ArrayLike, event: ArrayLike) -> Survival:
    """The product-limit curve; at equal times the events come before the censorings."""
    times, events = followed(time, event)
    points, inverse, leaving = np.unique(times, return_inverse=True, return_counts=True)
    dead: Floats = np.bincount(inverse, weights=events, minlength=points.size).astype(np.float64)
    risk = (times.size - np.concatenate(([0], np.cumsum(leaving)[:-1]))).astype(np.float64)
    with np.errstate(divide="ignore"):
        greenwood = np.where(
            risk > dead, dead / (risk * np.maximum(risk - dead, 1e-300)), np.where(dead > 0, np.inf, 0.0)
        )
    return Survival(points, risk, dead, np.cumprod(1.0 - dead / risk), np.cumsum(greenwood))


@dataclass(frozen=True)
class LogRank:
    """Log-rank test: chi-square with groups - 1 degrees of freedom."""

    chi2: float
    df: int
    p: float


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> LogRank:
    """Do the groups' survival curves differ? As R's survdiff."""
    from scipy.stats import chi2

    times, events = followed(time, event)
    names, code = np.unique(np.asarray(group), return_inverse=True)
    same_length(times.size, code.size, "the time", "the group")
    if names.size < 2:
        raise WrongCall("all cases are of one group; needed: two at least")
    seen, expected, cov = np.zeros(names.size), np.zeros(names.size), np.zeros((names.size, names.size))
    for point in np.unique(times[events]):
        risk = np.bincount(code[times >= point], minlength=names.size).astype(np.float64)
        dead = np.bincount(code[(times == point) & events], minlength=names.size).astype(np.float64)
        n, d = risk.sum(), dead.sum()
        seen, expected = seen + dead, expected + d * risk / n
        if n > 1:
            cov += d * (n - d) / (n - 1) * (np.diag(risk / n) - np.outer(risk, risk) / n**2)
    gap = (seen - expected)[1:]
    value = float(gap @ np.linalg.pinv(cov[1:, 1:]) @ gap)
    return LogRank(value, names.size - 1, float(chi2.sf(value, names.size - 1)))


@dataclass(frozen=True)
class Concordance:
    """C-index with its interval (infinitesimal jackknife, as R's survival::concordance), and the pairs behind it."""

    c: Estimate
    standard_error: float
    concordant: float
    discordant: float
    tied_score: float


def concordance(
    time: ArrayLike, event: ArrayLike, score: ArrayLike, *, weights: str = "harrell", until: float | None = None,
    level: float = 0.95,
) -> Concordance:  # fmt: skip
    """The chance that of two cases the one with the higher score has the event first, ties in the score counting half.

    weights: "harrell" (every comparable pair the same; depends on the censoring), "uno" (inverse probability of
    censoring, 1 / G(t-)^2, as survival's timewt = "n/G2") or "uno-2011" (as survC1: a case censored at the very time of
    an event is no pair with it and stays in the censoring curve's risk set). until: only events before that time.
    Memory grows with the cases, time with their square.
    """
    times, events = followed(time, event)
    values = numbers(score, "the score")
    same_length(times.size, values.size, "the time", "the score")
    if weights not in ("harrell", "uno", "uno-2011"):
        raise WrongCall(f"weights {weights!r}; needed: harrell, uno or uno-2011")
    weight, strict = np.ones(times.size), weights == "uno-2011"
    if weights != "harrell":
        followed_on = kaplan_meier(times, ~events) if strict else censoring(times, events)
        weight[events] = followed_on.before(times[events]) ** -2.0
    good, all_pairs = np.zeros(times.size), np.zeros(times.size)
    counts = np.zeros(3)
    for i in np.flatnonzero(events if until is None else events & (times < until)):
        later = (times > times[i]) | ((times == times[i]) & ~events & (not strict))
        gap = values[i] - values[later]
        won, tied = gap > 0, gap == 0
        worth = (won + 0.5 * tied) * weight[i]
        good[later] += worth
        all_pairs[later] += weight[i]
        good[i] += worth.sum()
        all_pairs[i] += weight[i] * gap.size
        counts += np.array([won.sum(), gap.size - won.sum() - tied.sum(), tied.sum()]) * weight[i]
    if counts.sum() == 0:
        why = Estimate.cannot_tell("no two cases can be compared: too few events")
        return Concordance(why, 0.0, 0.0, 0.0, 0.0)
    total = counts.sum()
    c = float((counts[0] + counts[2] / 2) / total)
    error = float(np.sqrt((((good - c * all_pairs) / total) ** 2).sum()))
    half = quantile(level) * error
    estimate = Estimate(c, max(0.0, c - half), min(1.0, c + half), level, f"{weights}, infinitesimal jackknife")
    return Concordance(estimate, error, *(float(v) for v in counts))


def censoring(times: Floats, events: Bools) -> Survival:
    """Kaplan-Meier curve of being still observed; at equal times the events come before the censorings."""
    points, inverse, leaving = np.unique(times, return_inverse=True, return_counts=True)
    dead: Floats = np.bincount(inverse, weights=events, minlength=points.size).astype(np.float64)
    lost = leaving - dead
    risk = times.size - np.concatenate(([0], np.cumsum(leaving)[:-1])) - dead
    left = np.cumprod(np.where(lost > 0, 1.0 - lost / np.maximum(risk, 1), 1.0))
    return Survival(
        points, risk.astype(np.float64), lost.astype(np.float64), left.astype(np.float64), np.zeros(points.size)
    )


@dataclass(frozen=True)
class AtTime:
    """How well a risk tells, and how true it is, at one time, by inverse probability of censoring. brier is None where
    no risk was given."""

    time: float
    auc: Estimate
    brier: Estimate | None
    brier_null: Estimate


def at_time(
    time: ArrayLike, event: ArrayLike, score: ArrayLike, when: float, *, risk: ArrayLike | None = None,
    level: float = 0.95,
) -> AtTime:  # fmt: skip
    """AUC between cases with the event by `when` and cases still free of it then (cumulative, dynamic; Blanche 2013).

    risk: probability of the event by `when`, for the Brier score; brier_null: that of Kaplan-Meier for everybody.
    Intervals: normal, from the influence function with the estimated censoring, as riskRegression's Score.
    """
    times, events = followed(time, event)
    values = numbers(score, "the score")
    same_length(times.size, values.size, "the time", "the score")
    curve = censoring(times, events)
    had, free = (times <= when) & events, times > when
    if not had.any() or not free.any():
        none = Estimate.cannot_tell(f"no case with the event by {when:g}, or none followed beyond")
        return AtTime(when, none, None, none)
    weight = np.where(had, 1.0 / curve.before(times), np.where(free, 1.0 / max(curve.at(when), 1e-300), 0.0))
    null = np.full(times.size, 1.0 - kaplan_meier(times, events).at(when))

    def brier(p: Floats) -> Estimate:
        part = weight * (p - had) ** 2
        own = part - part.mean() + _through_censoring(part, times, events, when)
        return _normal(float(part.mean()), own, level)

    area, own = _area(had, free, weight, values, times, events, when)
    return AtTime(
        when, _normal(area, own, level), None if risk is None else brier(numbers(risk, "the risk")), brier(null)
    )


def _area(
    had: Bools, free: Bools, weight: Floats, values: Floats, times: Floats, events: Bools, when: float
) -> tuple[float, Floats]:
    """The weighted area and every case's influence on it."""
    n = times.size
    by_had, by_free = np.zeros(n), np.zeros(n)
    by_had[had] = _below(values[free], weight[free], values[had])
    by_free[free] = _below(-values[had], weight[had], -values[free])
    mass_had, mass_free = weight[had].sum(), weight[free].sum()
    area = float(weight[had] @ by_had[had] / (mass_had * mass_free))
    bottom = mass_had * mass_free / n**2
    pairs = weight * (by_had + by_free - area * np.where(had, mass_free, mass_had)) / n
    return area, np.asarray((pairs + _through_censoring(pairs, times, events, when)) / bottom)


def _below(values: Floats, weight: Floats, at: Floats) -> Floats:
    """Weight of the values under each place, half of those on it."""
    order = np.argsort(values, kind="stable")
    mass, low = np.concatenate(([0.0], np.cumsum(weight[order]))), values[order]
    return np.asarray((mass[np.searchsorted(low, at, "left")] + mass[np.searchsorted(low, at, "right")]) / 2.0)


def _through_censoring(part: Floats, times: Floats, events: Bools, when: float) -> Floats:
    """Influence of each case on the mean of `part` through the censoring curve whose inverse weights it: the martingale
    of its censoring, up to just before each event and, for those free of it, up to `when`."""
    n = times.size
    points, inverse, leaving = np.unique(times, return_inverse=True, return_counts=True)
    risk = n - np.concatenate(([0], np.cumsum(leaving)[:-1]))
    lost = np.bincount(inverse, weights=~events, minlength=points.size)
    steps = np.concatenate(([0.0], np.cumsum(n * lost / risk**2)))  # steps[i]: before time i
    # where the weight of a part stops to depend on the censoring: before its event, or at `when`
    last = int(np.searchsorted(points, when, "right"))
    reach = np.where(times > when, last, inverse)
    order = np.argsort(reach, kind="stable")
    mass = np.concatenate(([0.0], np.cumsum(part[order])))
    drift = np.concatenate(([0.0], np.cumsum(part[order] * steps[reach[order]])))
    until = np.searchsorted(reach[order], inverse, "right")  # parts that end at or before the case's own time
    jump = np.where(events, 0.0, n / risk[inverse])
    return np.asarray((-drift[until] + (jump - steps[inverse + 1]) * (mass[-1] - mass[until])) / n)


def _normal(value: float, influence: Floats, level: float) -> Estimate:
    half = quantile(level) * float(influence.std(ddof=1) / np.sqrt(influence.size))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), level, "influence function")
