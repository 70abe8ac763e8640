"""Cox's proportional hazards: hazard ratios, tests, the risk by a time, and whether the hazards are proportional."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats, quantile, two_sided
from hepar.validate.survival import followed, kaplan_meier


@dataclass(frozen=True, eq=False)
class Cox:
    """Coefficients with standard errors; loglik without and with the terms; likelihood-ratio, Wald and score tests."""

    names: tuple[str, ...]
    coefficients: Floats
    standard_errors: Floats
    covariance: Floats
    hazard_ratios: tuple[Estimate, ...]
    z: Floats
    p: tuple[float, ...]
    loglik: tuple[float, float]
    likelihood_ratio: float
    wald: float
    score: float
    baseline_times: Floats
    baseline_hazard: Floats
    centre: Floats

    def linear_predictor(self, terms: ArrayLike) -> Floats:
        """Log hazard of each case against the average one."""
        return np.asarray((np.asarray(terms, dtype=np.float64) - self.centre) @ self.coefficients)

    def risk(self, terms: ArrayLike, when: float) -> Floats:
        """Probability of the event by `when`."""
        index = int(np.searchsorted(self.baseline_times, when, "right")) - 1
        hazard = float(self.baseline_hazard[index]) if index >= 0 else 0.0
        return np.asarray(1.0 - np.exp(-hazard * np.exp(self.linear_predictor(terms))))


def cox(
    time: ArrayLike,
    event: ArrayLike,
    terms: ArrayLike,
    names: Sequence[str],
    *,
    ties: str = "efron",
    level: float = 0.95,
) -> Cox:
    """Maximum partial likelihood, ties after Efron or Breslow, as R's coxph. terms: cases x names, no gaps."""
    times, events = followed(time, event)
    x = np.asarray(terms, dtype=np.float64)
    if x.shape != (times.size, len(names)) or not np.isfinite(x).all():
        raise WrongCall(f"the terms have the shape {x.shape} or a gap; needed: {times.size} cases x {len(names)} names")
    if ties not in ("efron", "breslow"):
        raise WrongCall(f"ties {ties!r}; needed: efron or breslow")
    if not events.any():
        raise WrongCall("no case had the event; needed: one at least, and ten or more per term to trust the result")
    centre = x.mean(axis=0)
    order = np.argsort(-times, kind="stable")
    z, t, d = (x - centre)[order], times[order], events[order]
    beta = np.zeros(x.shape[1])
    null, gradient, information, _ = _partial(z, t, d, beta, ties)
    last, score = null, float(gradient @ np.linalg.solve(information, gradient))
    for _ in range(50):
        step = np.linalg.solve(information, gradient)
        value, gradient_new, information_new, hazard = _partial(z, t, d, beta + step, ties)
        while value < last - 1e-9 * abs(last):
            step = step / 2
            value, gradient_new, information_new, hazard = _partial(z, t, d, beta + step, ties)
        beta, gradient, information, last = beta + step, gradient_new, information_new, value
        if float(np.abs(step).max()) < 1e-11:
            break
    else:
        raise WrongCall("the regression has no solution: a term separates the events; leave it out or group it")
    covariance = np.linalg.inv(information)
    error = np.sqrt(np.diag(covariance))
    width = quantile(level)
    ratios = tuple(
        Estimate(float(np.exp(b)), float(np.exp(b - width * e)), float(np.exp(b + width * e)), level, "wald, log")
        for b, e in zip(beta, error, strict=True)
    )
    points, steps = hazard
    return Cox(
        tuple(names), beta, error, covariance, ratios, beta / error, tuple(two_sided(float(v)) for v in beta / error),
        (null, last), 2 * (last - null), float(beta @ information @ beta), score, points, steps, centre,
    )  # fmt: skip


def _partial(
    z: Floats, t: Floats, d: Bools, beta: Floats, ties: str
) -> tuple[float, Floats, Floats, tuple[Floats, Floats]]:
    """Log partial likelihood, gradient, information and cumulative baseline hazard; cases by falling time."""
    k = z.shape[1]
    value, gradient, information = 0.0, np.zeros(k), np.zeros((k, k))
    points, jumps = [], []
    for when, own, eta, sums in _risk_sets(z, t, d, beta, ties):
        value += eta - float(np.log([e0 for e0, _, _ in sums]).sum())
        gradient = gradient + own - sum(e1 / e0 for e0, e1, _ in sums)
        information = information + sum(e2 / e0 - np.outer(e1, e1) / e0**2 for e0, e1, e2 in sums)
        points.append(when)
        jumps.append(sum(1.0 / e0 for e0, _, _ in sums))
    return value, gradient, information, (np.array(points[::-1]), np.cumsum(jumps[::-1]))


def _risk_sets(
    z: Floats, t: Floats, d: Bools, beta: Floats, ties: str
) -> Iterator[tuple[float, Floats, float, list[tuple[float, Floats, Floats]]]]:
    """Per time of events, from the last: the time, the sum of terms and of log hazards of those who had the event, and
    per event the risk set's sums of weight, weighted terms and their products."""
    k = z.shape[1]
    s0, s1, s2 = 0.0, np.zeros(k), np.zeros((k, k))
    eta = z @ beta
    w = np.exp(eta)
    starts = np.append(np.flatnonzero(np.concatenate(([True], np.diff(t) != 0))), t.size)
    for a, b in pairwise(starts):
        part, own = z[a:b], w[a:b]
        s0, s1, s2 = s0 + own.sum(), s1 + own @ part, s2 + (part * own[:, None]).T @ part
        dead = d[a:b]
        m = int(dead.sum())
        if m:
            xd, wd = part[dead], own[dead]
            d0, d1, d2 = wd.sum(), wd @ xd, (xd * wd[:, None]).T @ xd
            shares = [r / m if ties == "efron" else 0.0 for r in range(m)]
            sums: list[tuple[float, Floats, Floats]] = [
                (float(s0 - share * d0), s1 - share * d1, s2 - share * d2) for share in shares
            ]
            yield float(t[a]), np.asarray(xd.sum(axis=0)), float(eta[a:b][dead].sum()), sums


@dataclass(frozen=True)
class Proportionality:
    """Does a term's effect change with time? name "GLOBAL" tests all terms together."""

    name: str
    chi2: float
    df: int
    p: float


def proportional_hazards(
    time: ArrayLike, event: ArrayLike, terms: ArrayLike, names: Sequence[str], *, ties: str = "efron",
    scale: str = "km",
) -> tuple[Proportionality, ...]:  # fmt: skip
    """Score test of proportional hazards after Grambsch and Therneau (Schoenfeld residuals), as R's cox.zph since
    survival 3.0: one row per term and a last one for all.

    scale: what the effect may change with: "km" (1 - Kaplan-Meier just before, R's default), "identity", "log", "rank".
    """
    from scipy.stats import chi2, rankdata

    if scale not in ("km", "identity", "log", "rank"):
        raise WrongCall(f"scale {scale!r}; needed: km, identity, log or rank")
    fit = cox(time, event, terms, names, ties=ties)
    times, events = followed(time, event)
    g = times
    if scale == "km":
        g = 1.0 - kaplan_meier(times, events).before(times)
    elif scale != "identity":
        g = np.log(times) if scale == "log" else np.asarray(rankdata(times))
    g = g - g[events].mean()
    order = np.argsort(-times, kind="stable")
    z, t, d = (np.asarray(terms, dtype=np.float64) - fit.centre)[order], times[order], events[order]
    at = dict(zip(times.tolist(), g.tolist(), strict=True))
    k = len(names)
    score, information = np.zeros(2 * k), np.zeros((2 * k, 2 * k))
    for when, own, _, sums in _risk_sets(z, t, d, fit.coefficients, ties):
        weight = np.array([1.0, at[when]])
        score = score + np.kron(weight, own - sum(e1 / e0 for e0, e1, _ in sums))
        spread = sum(e2 / e0 - np.outer(e1, e1) / e0**2 for e0, e1, e2 in sums)
        information = information + np.kron(np.outer(weight, weight), spread)
    rows = []
    for name, which in [*((name, [i]) for i, name in enumerate(names)), ("GLOBAL", list(range(k)))]:
        keep = np.array([*range(k), *(k + i for i in which)])
        u = np.concatenate((np.zeros(k), score[keep[k:]]))
        value = float(u @ np.linalg.solve(information[np.ix_(keep, keep)], u))
        rows.append(Proportionality(name, value, len(which), float(chi2.sf(value, len(which)))))
    return tuple(rows)
