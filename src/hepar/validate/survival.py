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
    dead = np.bincount(inverse, weights=events, minlength=points.size)
    risk = times.size - np.concatenate(([0], np.cumsum(leaving)[:-1])).astype(np.float64)
    with np.errstate(divide="ignore"):
        greenwood = np.where(
            risk > dead, dead / (risk * np.maximum(risk - dead, 1e-300)), np.where(dead > 0, np.inf, 0.0)
        )
    return Survival(points, risk, dead, np.cumprod(1.0 - dead / risk), np.cumsum(greenwood))
