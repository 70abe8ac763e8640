"""The verb: a table of studies becomes a meta-analysis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.evidence import quantities as q
from hepar.evidence.fit import Fit, fit
from hepar.evidence.heterogeneity import heterogeneity
from hepar.evidence.influence import influence as influence_of
from hepar.evidence.intervals import LEVEL, METHODS, Bootstrap, bootstrap, named, profile, quantile, wald
from hepar.evidence.likelihood import Array, bivariate
from hepar.evidence.reitsma import reitsma
from hepar.evidence.result import (
    BetweenStudy,
    Coefficient,
    Comparison,
    Data,
    Fagan,
    Hsroc,
    Logit,
    Model,
    Region,
    Regions,
    Result,
    Settings,
    SmallStudy,
    Summary,
)
from hepar.evidence.simpler import simpler_models
from hepar.evidence.small_study import Threshold, both_sides, deeks, lfk, spearman
from hepar.evidence.table import FEWEST_STUDIES, Table, check_poolable, clusters_of
from hepar.record.estimate import Estimate

PRIORS = (0.05, 0.10, 0.25, 0.40, 0.50, 0.75)
OUTLINE = 180
"""Points of a region's outline."""
DRAWS = 400
"""Bootstrap draws where the bootstrap is asked for and no number is given."""


def pool(
    table: Table,
    *,
    study: str | None = None,
    interval: str = "t",
    draws: int = 0,
    seed: int = 1,
    priors: tuple[float, ...] = PRIORS,
) -> Result:
    """Pool 2x2 tables by the exact bivariate model; each row is a study of its own, unless `study` is given.

    study: column that tells which tables belong to one study; they then share its random effects, and the degrees of
    freedom count studies. interval: of the summary: "t" (Wald with k - 2 degrees of freedom, the default), "z",
    "profile" (likelihood, for sensitivity and specificity; the rest as "t") or "bootstrap". draws: bootstrap draws,
    400 with "bootstrap" unless given. priors: probabilities of disease for `fagan`; the pooled prevalence is added.
    Raises Refused for a table that cannot be pooled, WrongCall for an unknown interval.
    """
    if interval not in METHODS:
        raise WrongCall(f"there is no interval {interval!r}; choose one of {', '.join(METHODS)}")
    if draws < 0 or any(not 0 < p < 1 for p in priors):
        raise WrongCall("bootstrap draws must be at least 0 and prior probabilities lie between 0 and 1")
    check_poolable(table)
    draws = draws or (DRAWS if interval == "bootstrap" else 0)
    problem = bivariate(table.tp, table.n1, table.tn, table.n0)
    k = table.k
    if study is not None:
        order, index = clusters_of(table, table.covariate(study))
        k = int(index.max()) + 1
        if k < FEWEST_STUDIES:
            raise Refused(f"the tables come from {k} studies; the bivariate model needs at least {FEWEST_STUDIES}")
        notices = tuple(notice for notice in table.notices if "more than one table" not in notice)
        table = replace(table.take(order), excluded=table.excluded, notices=notices)
        one = bivariate(table.tp, table.n1, table.tn, table.n0)
        problem = replace(one, study=index, group=np.zeros(k, dtype=np.intp))
    found = fit(problem)
    sample = bootstrap(found, draws, seed) if draws else None
    wide = "z" if interval == "z" else "t"
    between = _between(found, k, wide)
    summary = _summary(found, k, interval, sample)
    two_sided = both_sides(table)
    return Result(
        Settings(interval, LEVEL, draws, seed), _data(table, k, study), _model(found, k, wide), _logit(found, k, wide),
        between, summary, _hsroc(found, k, wide), _regions(found, k),
        heterogeneity(found, table, k, (between.var_logit_sensitivity, between.var_logit_specificity), wide),
        _threshold(found, table, between), SmallStudy(deeks(table), lfk(table)), _fagan(summary, table, priors),
        influence_of(found, table), Comparison(reitsma(two_sided, method="ML"), reitsma(two_sided, method="REML")),
        table, found,
    )  # fmt: skip


def _data(table: Table, k: int, study: str | None) -> Data:
    return Data(table.k, k, study, int(table.n1.sum()), int(table.n0.sum()), table.excluded, table.notices)


def _model(found: Fit, k: int, wide: str) -> Model:
    words = {
        "none": "The maximum lies inside the parameter space.",
        "rho=-1": "The correlation of logit sensitivity and logit specificity is estimated at its limit of -1. The"
        " maximum is a proper one and the means keep their meaning; the data cannot tell the correlation more closely.",
        "rho=+1": "The correlation of logit sensitivity and logit specificity is estimated at its limit of +1. The"
        " maximum is a proper one and the means keep their meaning; the data cannot tell the correlation more closely.",
        "var=0": "A between-study variance is estimated as 0: that side differs between studies no more than chance"
        " explains. The maximum is a proper one.",
    }
    count = int(found.free.sum())
    return Model(
        "bivariate binomial, exact likelihood", found.nodes, found.loglik, 2 * 5 - 2 * found.loglik,
        5 * float(np.log(2 * len(found.problem.x1))) - 2 * found.loglik, found.converged, found.boundary,
        found.gradient_norm, found.node_difference, words[found.boundary] + f" {count} of 5 parameters are free there.",
        simpler_models(found, k, wide),
    )  # fmt: skip


def _coefficient(value: float, error: float, k: int, wide: str) -> Coefficient:
    half = quantile(wide, k) * error
    return Coefficient(value, error, value - half, value + half, LEVEL, named(wide, k, "own"))


def _logit(found: Fit, k: int, wide: str) -> Logit:
    errors = np.sqrt(np.diag(found.covariance))
    one, two = (_coefficient(float(found.theta[i]), float(errors[i]), k, wide) for i in (0, 1))
    return Logit(one, two, float(found.covariance[0, 1]))


def _between(found: Fit, k: int, wide: str) -> BetweenStudy:
    psi, multiple = found.between(), quantile(wide, k)
    how = named(wide, k, "log")
    if found.boundary == "var=0":
        one, two = (Estimate(float(psi[i, i])) for i in (0, 1))
        rho = q.correlation(found.theta)
        if rho is None or abs(rho) == 1:
            return BetweenStudy(one, two, Estimate.cannot_tell("a between-study variance is 0"))
        return BetweenStudy(one, two, Estimate(rho))
    values, spread = q.delta(found, q.log_variances)
    one, two = (
        wald(float(values[i]), float(np.sqrt(spread[i, i])), multiple, lambda x: float(np.exp(x)), how) for i in (0, 1)
    )
    rho = q.correlation(found.theta)
    if found.boundary != "none" or rho is None:
        return BetweenStudy(one, two, Estimate(float(np.sign(found.theta[3]))))
    centre, error = q.delta(found, q.atanh_correlation)
    correlation = wald(
        float(centre[0]), float(np.sqrt(error[0, 0])), multiple, lambda x: float(np.tanh(x)), named(wide, k, "Fisher z")
    )
    return BetweenStudy(one, two, correlation)


def _summary(found: Fit, k: int, interval: str, sample: Bootstrap | None) -> Summary:
    logs, spread = q.delta(found, q.log_ratios)
    area_of = q.logit_auc if found.boundary != "var=0" else q.logit_auc_symmetric
    area, area_spread = q.delta(found, area_of)
    functions: list[Callable[[Array], float]] = [
        lambda t: float(q.expit(t[0])), lambda t: float(q.expit(t[1])), lambda t: float(np.exp(q.log_ratios(t)[0])),
        lambda t: float(np.exp(q.log_ratios(t)[1])), lambda t: float(np.exp(q.log_ratios(t)[2])), q.auc,
    ]  # fmt: skip
    values = [*found.theta[:2], *logs, area[0]]
    errors = np.sqrt([*np.diag(found.covariance)[:2], *np.diag(spread), area_spread[0, 0]])
    backs: list[Callable[[float], Any]] = [q.expit, q.expit, np.exp, np.exp, np.exp, q.expit]
    if interval == "bootstrap" and sample is not None:
        return Summary(*(
            sample.interval(function, float(back(value)))
            for function, back, value in zip(functions, backs, values, strict=True)
        ))  # fmt: skip
    wide = "z" if interval == "z" else "t"
    scales = ["logit", "logit", "log", "log", "log", "logit"]
    out = [
        wald(float(v), float(e), quantile(wide, k), partial(_number, back), named(wide, k, scale))
        for v, e, back, scale in zip(values, errors, backs, scales, strict=True)
    ]
    if interval == "profile":
        for i in (0, 1):
            low, high = profile(found, i)
            ends = (0.0 if low is None else float(q.expit(low)), 1.0 if high is None else float(q.expit(high)))
            out[i] = Estimate(out[i].estimate, *ends, LEVEL, "profile likelihood")
    if sample is not None:
        out[5] = sample.interval(q.auc, float(q.expit(area[0])))
    return Summary(*out)


def _number(back: Callable[[float], Any], x: float) -> float:
    return float(back(x))


def _hsroc(found: Fit, k: int, wide: str) -> Hsroc:
    if found.boundary == "var=0":
        none = Coefficient(None, None, missing="a between-study variance is 0, where the HSROC form is not defined")
        return Hsroc(none, none, none, none, none)
    values, spread = q.delta(found, q.hsroc)
    errors = np.sqrt(np.maximum(np.diag(spread), 0.0))
    out = [_coefficient(float(v), float(e), k, wide) for v, e in zip(values[:3], errors[:3], strict=True)]
    for v, e in zip(values[3:], errors[3:], strict=True):
        # variances: their interval is made on the log scale, as metandi does
        value, error = max(float(v), 0.0), float(e)
        if value < 1e-12:
            out.append(Coefficient(0.0, 0.0))
            continue
        half = quantile(wide, k) * error / value
        out.append(Coefficient(
            value, error, value * float(np.exp(-half)), value * float(np.exp(half)), LEVEL, named(wide, k, "log")
        ))  # fmt: skip
    return Hsroc(*out)


def _regions(found: Fit, k: int) -> Regions:
    from scipy.stats import f

    radius = float(np.sqrt(2 * f.ppf(LEVEL, 2, k - 2)))
    phi = np.linspace(0, 2 * np.pi, OUTLINE + 1)
    own = found.covariance[:2, :2]
    confidence, prediction = (
        Region(c, radius, LEVEL, *q.ellipse(found.means, c, radius, phi)) for c in (own, found.between() + own)
    )
    return Regions(confidence, prediction)


def _threshold(found: Fit, table: Table, between: BetweenStudy) -> Threshold:
    rho, p = spearman(table)
    reason = "sensitivity or specificity does not differ between studies"
    share = between.correlation.estimate
    return Threshold(
        Estimate.cannot_tell(reason) if rho is None else Estimate(rho), p, between.correlation,
        Estimate.cannot_tell(between.correlation.missing) if share is None else Estimate(100 * share**2),
    )  # fmt: skip


def _fagan(summary: Summary, table: Table, priors: tuple[float, ...]) -> tuple[Fagan, ...]:
    prevalence = float(table.n1.sum() / (table.n1.sum() + table.n0.sum()))

    def after(prior: float, ratio: Estimate) -> Estimate:
        def probability(x: float) -> float:
            return prior * x / (prior * x + 1 - prior)

        assert ratio.estimate is not None
        if ratio.low is None or ratio.high is None:
            return Estimate(probability(ratio.estimate))
        return Estimate(
            probability(ratio.estimate), probability(ratio.low), probability(ratio.high), ratio.level,
            f"from the likelihood ratio: {ratio.method}",
        )  # fmt: skip

    return tuple(
        Fagan(p, after(p, summary.lr_positive), after(p, summary.lr_negative), last)
        for p, last in [*((p, False) for p in priors), (prevalence, True)]
    )
