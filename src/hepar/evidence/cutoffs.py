"""Several thresholds of one test per study: accuracy at every threshold, and the best one.

The model of Steinhauser, Schumacher, Ruecker (2016, BMC Med Res Methodol 16:97), as the R package diagmeta fits it: the
distribution functions of the marker among people with and without the disease, on the scale of their distribution,
are straight lines in the threshold, with random intercepts or slopes of each study.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.evidence.intervals import LEVEL, named, wald
from hepar.evidence.likelihood import Array, Index
from hepar.evidence.mixed import Mixed, fit_mixed
from hepar.evidence.table import FEWEST_STUDIES, MISSING, Table, clusters_of
from hepar.record.estimate import Estimate

MODELS: dict[str, tuple[str, ...]] = {
    "CI": ("one",), "DI": ("one", "group"), "CS": ("cut",), "DS": ("cut", "both"), "CICS": ("one", "cut"),
    "DICS": ("one", "cut", "group"), "CIDS": ("one", "cut", "both"), "DIDS": ("one", "group", "cut", "both"),
}  # fmt: skip
"""Common or different random intercepts (CI, DI) and slopes (CS, DS), with the columns that vary between studies."""
COLUMNS = ("threshold", "cutpoint", "cutoff", "cut_point", "cut_off", "cut-off", "cut-point")
"""Names under which a column of thresholds is found without being named."""
CORRECTION = 0.5
GRID = 4001


@dataclass(frozen=True)
class Line:
    """A distribution: logit or probit of the share below a threshold x is intercept + slope x; mean and sd of it.

    covariance: of intercept and slope. within: variance added to intervals at one threshold, as diagmeta does.
    """

    intercept: Estimate
    slope: Estimate
    covariance: float
    mean: Estimate
    sd: Estimate
    within: float


@dataclass(frozen=True)
class AtThreshold:
    """Pooled accuracy at one threshold, in the marker's own unit. tables: how many 2x2 tables are at it."""

    threshold: float
    tables: int
    sensitivity: Estimate
    specificity: Estimate
    lr_positive: Estimate
    lr_negative: Estimate


@dataclass(frozen=True, eq=False)
class Thresholds:
    """The multiple-thresholds model. weight: of sensitivity in the sum that the best threshold maximises.

    auc: area under the ROC curve of both distributions, its interval by the delta method; auc_band_*: between the
    pointwise bands of one side, as diagmeta prints it. aic: of the restricted likelihood, for models of one scale.
    """

    model: str
    distribution: str
    log_scale: bool
    higher_is_positive: bool
    weight: float
    tables: int
    studies: int
    nondiseased: Line
    diseased: Line
    optimal: AtThreshold
    at: tuple[AtThreshold, ...]
    auc: Estimate
    auc_band_sensitivity: Estimate
    auc_band_specificity: Estimate
    loglik: float
    aic: float
    singular: bool
    notices: tuple[str, ...]
    fit: Mixed = field(repr=False)


def thresholds(
    table: Table,
    threshold: str | None = None,
    *,
    study: str = "study",
    model: str = "DICS",
    distribution: str = "logistic",
    log_scale: bool = False,
    lower_is_positive: bool = False,
    weight: float = 0.5,
) -> Thresholds:
    """Fit the model to a table with one row per study and threshold.

    threshold: the column; by default the one with a name of `COLUMNS`. log_scale: thresholds enter as logarithms.
    lower_is_positive: a result below the threshold is positive. weight: of sensitivity against specificity, 0 to 1.
    Raises WrongCall for an unknown name, Refused for data without several thresholds or with a wrong direction.
    """
    if model not in MODELS:
        raise WrongCall(f"there is no model {model!r}; choose one of {', '.join(MODELS)}")
    if distribution not in ("logistic", "normal"):
        raise WrongCall(f"there is no distribution {distribution!r}; choose logistic or normal")
    if not 0 < weight < 1:
        raise WrongCall(f"the weight of sensitivity is {weight}; it lies between 0 and 1")
    values = _values(table, threshold)
    keep = np.flatnonzero(np.isfinite(values) & (table.n1 > 0) & (table.n0 > 0))
    left = table.k - len(keep)
    cuts, table = values[keep], table.take(keep)
    if len(np.unique(cuts)) < 2:
        raise Refused("the table holds a single threshold; `pool` is the verb for it")
    if log_scale and cuts.min() <= 0:
        raise Refused(f"a threshold is {cuts.min():g}; logarithms need thresholds above 0; leave the log scale out")
    order, index = clusters_of(table, table.covariate(study))
    studies = int(index.max()) + 1
    if studies < FEWEST_STUDIES:
        raise Refused(f"the thresholds come from {studies} studies; the model needs at least {FEWEST_STUDIES}")
    if max(np.bincount(index)) < 2:
        raise Refused("every study reports one threshold only; this model needs several in some; use `pool`")
    table, cuts = table.take(order), cuts[order]
    # share with a result that is not positive: below the threshold, or above it where low values are positive
    x = np.log(cuts) if log_scale else cuts.copy()
    x = -x if lower_is_positive else x
    lines, fitted = _lines(table, x, index, model, distribution, studies)
    notices = []
    if left:
        notices.append(f"{left} row{'s' * (left > 1)} without a threshold or with one side only left out.")
    if fitted.singular:
        notices.append(
            f"The between-study covariance of model {model} has no full rank; a model with fewer random effects fits"
            " as well."
        )
    notices.append(
        "Thresholds of one study share its people; like diagmeta, the model takes them as independent given the"
        " study's effects and adds 0.5 to every cell."
    )
    back = _back(log_scale, lower_is_positive)
    places = np.unique(x)
    best = _optimum(lines, distribution, weight)
    if not places[0] <= best <= places[-1]:
        notices.append(f"The best threshold ({back(best):.4g}) lies outside those studied; it is an extrapolation.")
    counts = {float(place): int((x == place).sum()) for place in places}
    at = sorted((_at(lines, float(p), counts[float(p)], distribution, back) for p in places), key=lambda a: a.threshold)
    auc, one, two = _areas(lines, fitted, distribution)
    shown = [_line(line) for line in lines]
    parameters = 4 + len(MODELS[model]) * (len(MODELS[model]) + 1) // 2 + 1
    return Thresholds(
        model, distribution, log_scale, not lower_is_positive, weight, table.k, studies, shown[0], shown[1],
        _at(lines, best, 0, distribution, back), tuple(at), auc, one, two, fitted.loglik,
        2 * parameters - 2 * fitted.loglik, fitted.singular, tuple(notices), fitted,
    )  # fmt: skip


def _values(table: Table, threshold: str | None) -> Array:
    """The thresholds as numbers, NaN where a cell is empty."""
    if threshold is None:
        own = {name.lower(): name for name in table.covariates}
        found = [own[name] for name in COLUMNS if name in own]
        if not found:
            raise WrongCall(f"no column holds thresholds; name it, or call it one of {', '.join(COLUMNS[:3])}")
        threshold = found[0]
    values = []
    for study, cell in zip(table.study, table.covariate(threshold), strict=True):
        if cell.lower() in MISSING:
            values.append(np.nan)
            continue
        try:
            number = float(cell)
        except ValueError:
            number = np.nan
        if not np.isfinite(number):
            raise Refused(f"{study}: {threshold} is {cell!r}, which is not a number; correct it or leave it empty")
        values.append(number)
    return np.array(values)


@dataclass(frozen=True, eq=False)
class _Side:
    """Intercept and slope of one distribution and their covariance; within as in `Line`."""

    means: Array
    covariance: Array
    within: float


def _quantile(p: Array, distribution: str) -> Array:
    from scipy.special import ndtri

    return np.log(p / (1 - p)) if distribution == "logistic" else np.asarray(ndtri(p))


def _cumulative(x: Array | float, distribution: str) -> Array:
    from scipy.special import expit, ndtr

    return np.asarray(expit(x) if distribution == "logistic" else ndtr(x))


def _lines(
    table: Table, x: Array, index: Index, model: str, distribution: str, studies: int
) -> tuple[tuple[_Side, _Side], Mixed]:
    """The fitted distributions without and with the disease."""
    c = CORRECTION
    below = np.concatenate([table.tn, table.fn]) + c
    above = np.concatenate([table.fp, table.tp]) + c
    n = below + above
    if distribution == "logistic":
        inverse = below * above / n
    else:
        from scipy.stats import norm

        inverse = n**3 * norm.pdf(norm.ppf(below / n)) ** 2 / (below * above)
    group = np.repeat([0.0, 1.0], table.k)
    cut = np.concatenate([x, x])
    columns = {"one": np.ones_like(cut), "group": group, "cut": cut, "both": group * cut}
    fixed = np.stack([columns[name] for name in ("one", "group", "cut", "both")], axis=1)
    random = np.stack([columns[name] for name in MODELS[model]], axis=1)
    fitted = fit_mixed(
        _quantile(below / n, distribution), fixed, random, len(inverse) * inverse / inverse.sum(),
        np.concatenate([index, index]),
    )  # fmt: skip
    # (intercept, slope) without the disease, then with it, from (one, group, cut, both)
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    means, spread = turn @ fitted.coefficients, turn @ fitted.covariance @ turn.T
    k = table.k
    sides = tuple(
        _Side(means[i : i + 2], spread[i : i + 2, i : i + 2], float(studies / inverse[rows].sum()))
        for i, rows in ((0, slice(0, k)), (2, slice(k, 2 * k)))
    )
    if min(means[1], means[3]) <= 0:
        raise Refused(
            "the share of positive results rises with the threshold; check the column, or say that low values are"
            " positive"
        )
    if -means[2] / means[3] < -means[0] / means[1]:
        raise Refused(
            "people with the disease have lower values than those without; check the column, or say that low values"
            " are positive"
        )
    return (sides[0], sides[1]), fitted


def _back(log_scale: bool, lower_is_positive: bool) -> Callable[[float], float]:
    def back(x: float) -> float:
        x = -x if lower_is_positive else x
        return float(np.exp(x)) if log_scale else float(x)

    return back


def _at(
    lines: tuple[_Side, _Side], x: float, tables: int, distribution: str, back: Callable[[float], float]
) -> AtThreshold:
    how = f"Wald z, {'logit' if distribution == 'logistic' else 'probit'} scale, with the within-study variance"
    row = np.array([1.0, x])
    values = [float(row @ line.means) for line in lines]
    errors = [float(np.sqrt(row @ line.covariance @ row + line.within)) for line in lines]
    specificity = wald(values[0], errors[0], _z(), lambda v: float(_cumulative(v, distribution)), how)
    sensitivity = wald(-values[1], errors[1], _z(), lambda v: float(_cumulative(v, distribution)), how)
    assert sensitivity.estimate is not None
    assert specificity.estimate is not None
    se, sp = sensitivity.estimate, specificity.estimate
    # log of each share by the delta method; both sides are taken as independent, as in diagmeta
    slope = [float(_density(np.array(v), distribution)) for v in values]
    ratios = []
    for value, d1, d0 in (
        (np.log(se / (1 - sp)), slope[1] / se, slope[0] / (1 - sp)),
        (np.log((1 - se) / sp), slope[1] / (1 - se), slope[0] / sp),
    ):
        error = float(np.hypot(d1 * errors[1], d0 * errors[0]))
        ratios.append(wald(float(value), error, _z(), lambda v: float(np.exp(v)), named("z", 0, "log")))
    return AtThreshold(back(x), tables, sensitivity, specificity, ratios[0], ratios[1])


def _density(x: Array, distribution: str) -> Array:
    if distribution == "logistic":
        p = _cumulative(x, distribution)
        return np.asarray(p * (1 - p))
    return np.asarray(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def _z() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + LEVEL) / 2))


def _optimum(lines: tuple[_Side, _Side], distribution: str, weight: float) -> float:
    """Where weight * sensitivity + (1 - weight) * specificity is largest."""
    from scipy.optimize import minimize_scalar

    centres = [float(-line.means[0] / line.means[1]) for line in lines]
    widths = [float(1 / line.means[1]) for line in lines]

    def loss(x: float) -> float:
        below = [float(_cumulative(line.means[0] + line.means[1] * x, distribution)) for line in lines]
        return -(weight * (1 - below[1]) + (1 - weight) * below[0])

    grid = np.linspace(min(centres) - 8 * max(widths), max(centres) + 8 * max(widths), GRID)
    at = int(np.argmin([loss(float(x)) for x in grid]))
    ends = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, GRID - 1)])
    return float(minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": 1e-10}).x)


def _areas(lines: tuple[_Side, _Side], fitted: Mixed, distribution: str) -> tuple[Estimate, Estimate, Estimate]:
    """The area with its delta interval, then between the bands of sensitivity and of specificity."""
    far = 14.0 if distribution == "logistic" else 5.0
    low = min(float((-far - line.means[0]) / line.means[1]) for line in lines)
    high = max(float((far - line.means[0]) / line.means[1]) for line in lines)
    x = np.linspace(low, high, GRID)

    def area(a: Array, b: Array) -> float:
        """Over specificity from 0 to 1; a, b: positions on the scale of each distribution."""
        specificity, sensitivity = _cumulative(a, distribution), 1 - _cumulative(b, distribution)
        return float(np.sum(np.diff(specificity) * (sensitivity[1:] + sensitivity[:-1]) / 2))

    def of(four: Array) -> float:
        return area(four[0] + four[1] * x, four[2] + four[3] * x)

    four = np.concatenate([lines[0].means, lines[1].means])
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]])
    spread = turn @ fitted.covariance @ turn.T
    value = of(four)
    slope = np.array([(of(four + step) - of(four - step)) / 2e-5 for step in 1e-5 * np.eye(4)])
    error = float(np.sqrt(slope @ spread @ slope)) / (value * (1 - value))
    auc = wald(
        float(np.log(value / (1 - value))), error, _z(), lambda v: float(1 / (1 + np.exp(-v))), named("z", 0, "logit")
    )
    rows = np.stack([np.ones(GRID), x], axis=1)
    wide = [_z() * np.sqrt(np.einsum("xi,ij,xj->x", rows, line.covariance, rows) + line.within) for line in lines]
    a, b = rows @ lines[0].means, rows @ lines[1].means
    how = "pointwise band of one side, the other held"
    return (
        auc,
        Estimate(value, area(a, b + wide[1]), area(a, b - wide[1]), LEVEL, how),
        Estimate(value, area(a - wide[0], b), area(a + wide[0], b), LEVEL, how),
    )


def _line(line: _Side) -> Line:
    z, how = _z(), named("z", 0, "own")
    (a, b), c = line.means, line.covariance
    slope = np.array([-1 / b, a / b**2])
    values = (
        (float(a), c[0, 0]), (float(b), c[1, 1]), (float(-a / b), slope @ c @ slope), (float(1 / b), c[1, 1] / b**4)
    )  # fmt: skip
    one, two, mean, sd = (wald(value, float(np.sqrt(variance)), z, float, how) for value, variance in values)
    return Line(one, two, float(c[0, 1]), mean, sd, line.within)
