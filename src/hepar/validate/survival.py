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
        """The time by which half have had the event, with the interval of R's survfit (log)."""
        half = quantile(level) * np.sqrt(self.variance)
        with np.errstate(invalid="ignore"):
            low, high = self.survival * np.exp(-half), np.minimum(1.0, self.survival * np.exp(half))
        middle, early, late = (self._first(curve) for curve in (self.survival, low, high))
        if middle is None:
            return Estimate.cannot_tell("more than half are without the event to the end")
        if early is None or late is None:
            return Estimate(middle)
        return Estimate(middle, early, late, level, "greenwood, log")

    def _first(self, curve: Floats) -> float | None:
        reached = np.flatnonzero(curve <= 0.5 + 1e-12)
        return float(self.times[reached[0]]) if reached.size else None

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

    weights: "harrell" (every comparable pair the same; depends on the censoring) or "uno" (inverse probability of
    censoring, 1 / G(t-)^2; Uno 2011). until: only events before that time. Memory grows with the cases, time with
    their square.
    """
    times, events = followed(time, event)
    values = numbers(score, "the score")
    same_length(times.size, values.size, "the time", "the score")
    if weights not in ("harrell", "uno"):
        raise WrongCall(f"weights {weights!r}; needed: harrell or uno")
    weight = np.ones(times.size) if weights == "harrell" else censoring(times, events).before(times) ** -2.0
    good, all_pairs = np.zeros(times.size), np.zeros(times.size)
    counts = np.zeros(3)
    for i in np.flatnonzero(events if until is None else events & (times < until)):
        later = (times > times[i]) | ((times == times[i]) & ~events)
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
    """How well a risk tells, and how true it is, at one time, by inverse probability of censoring."""

    time: float
    auc: Estimate
    brier: float | None
    brier_null: float


def at_time(
    time: ArrayLike, event: ArrayLike, score: ArrayLike, when: float, *, risk: ArrayLike | None = None, draws: int = 0,
    seed: int = 0, level: float = 0.95,
) -> AtTime:  # fmt: skip
    """AUC between cases with the event by `when` and cases still free of it then (cumulative, dynamic; Blanche 2013).

    risk: probability of the event by `when`, for the Brier score; brier_null: that of Kaplan-Meier for everybody.
    draws: bootstrap draws for the interval of the AUC; 0 for none.
    """
    times, events = followed(time, event)
    values = numbers(score, "the score")
    same_length(times.size, values.size, "the time", "the score")
    had, free, weight = _weights(times, events, when)
    if not had.any() or not free.any():
        none = Estimate.cannot_tell(f"no case with the event by {when:g}, or none followed beyond")
        return AtTime(when, none, None, float("nan"))
    area = _weighted_auc(had, free, weight, values)
    estimate = Estimate(area)
    if draws:
        generator, seen = np.random.default_rng(seed), []
        for _ in range(draws):
            pick = generator.integers(0, times.size, times.size)
            a, b, w = _weights(times[pick], events[pick], when)
            if a.any() and b.any():
                seen.append(_weighted_auc(a, b, w, values[pick]))
        low, high = np.quantile(seen, ((1 - level) / 2, (1 + level) / 2))
        estimate = Estimate(area, min(float(low), area), max(float(high), area), level, f"bootstrap, {draws} draws")
    null = 1.0 - kaplan_meier(times, events).at(when)
    brier = None if risk is None else _brier(had, weight, numbers(risk, "the risk"))
    return AtTime(when, estimate, brier, _brier(had, weight, np.full(times.size, null)))


def _weights(times: Floats, events: Bools, when: float) -> tuple[Bools, Bools, Floats]:
    curve = censoring(times, events)
    had, free = (times <= when) & events, times > when
    weight = np.where(had, 1.0 / curve.before(times), np.where(free, 1.0 / max(curve.at(when), 1e-300), 0.0))
    return had, free, weight


def _weighted_auc(had: Bools, free: Bools, weight: Floats, values: Floats) -> float:
    order = np.argsort(values[free], kind="stable")
    low = values[free][order]
    mass = np.concatenate(([0.0], np.cumsum(weight[free][order])))
    below = mass[np.searchsorted(low, values[had], "left")] + mass[np.searchsorted(low, values[had], "right")]
    return float(weight[had] @ below / (2.0 * weight[had].sum() * mass[-1]))


def _brier(had: Bools, weight: Floats, risk: Floats) -> float:
    return float((weight * (risk - had) ** 2).mean())
