"""Whether a predicted risk of 30 % means 30 in 100."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import placements
from hepar.validate.inputs import Bools, Floats, Ints, paired, quantile, risks, same_length, two_sided
from hepar.validate.logistic import LogisticFit, logistic, loglik
from hepar.validate.smooth import SMOOTHERS, logit, smooth


@dataclass(frozen=True)
class Calibration:
    """slope (1 is right; below: too extreme), its intercept, and the interval by profile likelihood; offset_intercept:
    calibration in the large (0 is right; above: risks too low); observed_expected: events over sum of risks.

    u_chi2, u_p: likelihood-ratio test of slope 1 and intercept 0. spiegelhalter_z, _p: calibration in Brier's score.
    """

    n: int
    events: int
    slope: Estimate
    slope_profile: Estimate
    intercept: float
    offset_intercept: Estimate
    observed_expected: float
    brier: float
    brier_max: float
    brier_scaled: float
    log_loss: float
    nagelkerke_r2: float
    somers_d: float
    d: float
    d_chi2: float
    u: float
    u_chi2: float
    u_p: float
    q: float
    spiegelhalter_z: float
    spiegelhalter_p: float


def calibration(truth: ArrayLike, risk: ArrayLike, *, level: float = 0.95) -> Calibration:
    """Slope, intercept and the scores of a risk, as R's rms::val.prob. Needs both classes and risks that differ."""
    positive, p = risks(truth, risk)
    n, events = positive.size, int(positive.sum())
    if events in (0, n) or float(p.min()) == float(p.max()):
        raise WrongCall("all cases are of one class or all risks are equal; needed: both classes and different risks")
    y, x = positive.astype(np.float64), logit(p)
    ones = np.ones(n)
    both = logistic(np.column_stack([ones, x]), positive)
    large = logistic(ones[:, None], positive, offset=x)
    rate = events / n
    null = n * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    as_is = loglik(x, y)
    u_chi2, d_chi2 = 2 * (both.loglik - as_is), 2 * (as_is - null)
    z = quantile(level)

    def wald(value: float, variance: float) -> Estimate:
        half = z * float(np.sqrt(variance))
        return Estimate(value, value - half, value + half, level, "wald")

    brier = float(((p - y) ** 2).mean())
    d, u = (d_chi2 - 1) / n, (u_chi2 - 2) / n
    sz = float(((y - p) * (1 - 2 * p)).sum() / np.sqrt((((1 - 2 * p) ** 2) * p * (1 - p)).sum()))
    somers = 2 * placements(positive, p)[0] - 1
    slope = float(both.coefficients[1])
    return Calibration(
        n=n, events=events, slope=wald(slope, both.covariance[1, 1]),
        slope_profile=_profile(both, x, positive, level), intercept=float(both.coefficients[0]),
        offset_intercept=wald(float(large.coefficients[0]), large.covariance[0, 0]),
        observed_expected=events / float(p.sum()), brier=brier, brier_max=rate * (1 - rate),
        brier_scaled=1 - brier / (rate * (1 - rate)), log_loss=-as_is / n,
        nagelkerke_r2=float((1 - np.exp(-d_chi2 / n)) / (1 - np.exp(2 * null / n))), somers_d=somers,
        d=d, d_chi2=d_chi2, u=u, u_chi2=u_chi2, u_p=float(np.exp(-u_chi2 / 2)), q=d - u,
        spiegelhalter_z=sz, spiegelhalter_p=two_sided(sz),
    )  # fmt: skip


def _profile(fit: LogisticFit, x: Floats, positive: Bools, level: float) -> Estimate:
    from scipy.optimize import brentq

    slope, error, z = float(fit.coefficients[1]), float(np.sqrt(fit.covariance[1, 1])), quantile(level)
    ones = np.ones((x.size, 1))

    def over(value: float) -> float:
        return 2 * (fit.loglik - logistic(ones, positive, offset=value * x).loglik) - z * z

    ends = []
    for sign in (-1.0, 1.0):
        far = slope + sign * z * error
        while over(far) < 0:
            far += sign * error
        ends.append(float(brentq(over, slope, far, xtol=1e-12)))
    return Estimate(slope, ends[0], ends[1], level, "profile likelihood")


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Predicted and observed risk, sorted by the predicted one; low and high: a band, None without one.

    ici, e50, e90, emax: mean, median, 90th percentile and largest distance of the curve from the diagonal.
    ici_range, e50_range, e90_range: percentile intervals of the same draws as the band.
    """

    smoother: str
    predicted: Floats
    observed: Floats
    ici: float
    e50: float
    e90: float
    emax: float
    low: Floats | None = None
    high: Floats | None = None
    ici_range: tuple[float, float] | None = None
    e50_range: tuple[float, float] | None = None
    e90_range: tuple[float, float] | None = None


def calibration_curve(
    truth: ArrayLike, risk: ArrayLike, *, smoother: str = "loess", draws: int = 0, seed: int = 0, level: float = 0.95,
    patients: ArrayLike | None = None,
) -> CalibrationCurve:  # fmt: skip
    """Flexible calibration curve and its indices (Austin and Steyerberg 2019). smoother: see `smooth`.

    draws: bootstrap draws of the cases, or of whole `patients`, for a pointwise percentile band; 0 for none. Indices of
    a drawn sample are larger than those of the cases themselves where calibration is good: read their ranges as wide.
    Of 200 cases with a true index of 0.08, the range held it in 0.93 with rcs3 and in 0.89 with loess.
    """
    positive, p = risks(truth, risk)
    if smoother not in SMOOTHERS:
        raise WrongCall(f"smoother {smoother!r}; needed: one of {', '.join(SMOOTHERS)}")
    if np.unique(p).size < 10:
        raise WrongCall(f"{np.unique(p).size} different risks; needed: ten at least for a curve; use groups instead")
    observed = smooth(p, positive, smoother=smoother)
    order = np.argsort(p, kind="stable")
    away = np.abs(p - observed)
    low = high = None
    ranges: list[tuple[float, float] | None] = [None, None, None]
    if draws:
        lines, indices = [], []
        for pick in _draws(p.size, draws, seed, patients):
            if np.unique(p[pick]).size < 10 or positive[pick].all() or not positive[pick].any():
                continue
            try:
                curve, own = smooth(p[pick], positive[pick], smoother=smoother), np.argsort(p[pick], kind="stable")
            except WrongCall:  # a draw whose classes are separated
                continue
            lines.append(np.interp(p[order], p[pick][own], curve[own]))
            off = np.abs(p[pick] - curve)
            indices.append([float(off.mean()), *(float(v) for v in np.quantile(off, (0.5, 0.9)))])
        tail = (1 - level) / 2
        if lines:
            low, high = (np.clip(v, 0, 1) for v in np.quantile(np.array(lines), (tail, 1 - tail), axis=0))
            ranges = [(float(a), float(b)) for a, b in np.quantile(np.array(indices), (tail, 1 - tail), axis=0).T]
    half, ninety = (float(v) for v in np.quantile(away, (0.5, 0.9)))
    return CalibrationCurve(
        smoother, p[order], observed[order], float(away.mean()), half, ninety, float(away.max()), low, high, *ranges
    )


def _draws(n: int, draws: int, seed: int, patients: ArrayLike | None) -> Iterator[Ints]:
    """Row numbers of each draw, with whole patients where they are given."""
    generator = np.random.default_rng(seed)
    if patients is None:
        for _ in range(draws):
            yield generator.integers(0, n, n)
        return
    code = np.unique(np.asarray(patients), return_inverse=True)[1]
    same_length(n, code.size, "the risk", "the patients")
    order = np.argsort(code, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(code))[:-1])
    for _ in range(draws):
        yield np.concatenate([rows[i] for i in generator.integers(0, len(rows), len(rows))])


@dataclass(frozen=True, eq=False)
class Groups:
    """Cases grouped by risk: their number, mean risk and share of events."""

    n: Floats
    predicted: Floats
    observed: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: mean distance of the groups, weighted by their size."""
        return float(self.n @ np.abs(self.predicted - self.observed) / self.n.sum())


def grouped(truth: ArrayLike, risk: ArrayLike, *, groups: int = 10, equal: str = "count") -> Groups:
    """Groups of equal count (at quantiles, right-closed as R's cut) or equal width of risk; empty ones are left out."""
    positive, p = risks(truth, risk)
    if equal not in ("count", "width") or groups < 1:
        raise WrongCall(f"equal {equal!r} with {groups} groups; needed: count or width, and one group at least")
    share = np.linspace(0, 1, groups + 1)
    edges = np.quantile(p, share) if equal == "count" else share
    place = np.clip(np.searchsorted(edges, p, "left") - 1, 0, groups - 1)
    n = np.bincount(place, minlength=groups).astype(np.float64)
    full = n > 0
    mean, events = (
        np.bincount(place, weights=w, minlength=groups)[full] / n[full] for w in (p, positive.astype(float))
    )
    return Groups(n[full], mean, events)


@dataclass(frozen=True)
class HosmerLemeshow:
    """Chi-square over groups, with g - 2 degrees of freedom (development) and g (external validation)."""

    chi2: float
    groups: int
    p_development: float
    p_external: float


def hosmer_lemeshow(truth: ArrayLike, risk: ArrayLike, *, groups: int = 10) -> HosmerLemeshow:
    """The old test by deciles of risk. It misses smooth miscalibration and depends on the grouping: shown for readers
    who ask for it."""
    from scipy.stats import chi2

    by = grouped(truth, risk, groups=groups)
    value = float((by.n * (by.observed - by.predicted) ** 2 / (by.predicted * (1 - by.predicted))).sum())
    g = by.n.size
    return HosmerLemeshow(value, g, float(chi2.sf(value, max(g - 2, 1))), float(chi2.sf(value, g)))


@dataclass(frozen=True)
class BrierParts:
    """brier = reliability - resolution + uncertainty + within, over the groups (Stephenson 2008)."""

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(truth: ArrayLike, risk: ArrayLike, *, groups: int = 10) -> BrierParts:
    """Murphy's decomposition over groups of equal count; `within` is what the grouping leaves over."""
    positive, p = risks(truth, risk)
    by, rate = grouped(positive, p, groups=groups), float(positive.mean())
    brier = float(((p - positive) ** 2).mean())
    share = by.n / by.n.sum()
    reliability = float(share @ (by.predicted - by.observed) ** 2)
    resolution, uncertainty = float(share @ (by.observed - rate) ** 2), rate * (1 - rate)
    return BrierParts(brier, reliability, resolution, uncertainty, brier - reliability + resolution - uncertainty)


def recalibration(truth: ArrayLike, risk: ArrayLike, *, method: str = "logistic") -> Callable[[ArrayLike], Floats]:
    """A function that recalibrates risks, fitted on these cases; apply it to others and judge it there.

    method: "intercept" (shifts the log odds), "logistic" (shifts and stretches them), "isotonic" (any rising steps).
    """
    positive, p = risks(truth, risk)
    if positive.all() or not positive.any():
        raise WrongCall("all cases are of one class; needed: both, to recalibrate")
    if method == "isotonic":
        from scipy.optimize import isotonic_regression

        places, back = np.unique(p, return_inverse=True)
        n = np.bincount(back).astype(np.float64)
        steps = isotonic_regression(np.bincount(back, weights=positive) / n, weights=n).x
        return lambda new: np.asarray(np.interp(np.asarray(new, dtype=np.float64), places, steps))
    if method not in ("intercept", "logistic"):
        raise WrongCall(f"method {method!r}; needed: intercept, logistic or isotonic")
    x, ones = logit(p), np.ones(p.size)
    if method == "intercept":
        shift, slope = float(logistic(ones[:, None], positive, offset=x).coefficients[0]), 1.0
    else:
        shift, slope = (float(v) for v in logistic(np.column_stack([ones, x]), positive).coefficients)
    return lambda new: np.asarray(1 / (1 + np.exp(-(shift + slope * logit(np.asarray(new, dtype=np.float64))))))


def as_risk(truth: ArrayLike, score: ArrayLike) -> Callable[[ArrayLike], Floats]:
    """A function that turns a score that is no probability into a risk (Platt 1999: logistic regression on the score),
    fitted on these cases; apply it to others and judge it there."""
    positive, values = paired(truth, score)
    if positive.all() or not positive.any() or float(values.std()) == 0.0:
        raise WrongCall("all cases are of one class or all scores are equal; needed: both classes and different scores")
    centre, width = float(values.mean()), float(values.std())
    fit = logistic(np.column_stack([np.ones(values.size), (values - centre) / width]), positive)
    shift, slope = (float(v) for v in fit.coefficients)
    return lambda new: np.asarray(
        1 / (1 + np.exp(-(shift + slope * (np.asarray(new, dtype=np.float64) - centre) / width)))
    )
