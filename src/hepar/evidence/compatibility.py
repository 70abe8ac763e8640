"""The numbers of other programs, made again, with each known defect named beside them. For comparison only.

What each does was read in its source: mada 0.5.12 (R), metandi and midas 2.00 (Stata), lme4 1.1-31 (R).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hepar.errors import WrongCall
from hepar.evidence import quantities as q
from hepar.evidence.fit import Fit, covariance_of, fit, invert, maximise
from hepar.evidence.likelihood import Array, Problem, bivariate, evaluate
from hepar.evidence.reitsma import corrected_cells, reitsma
from hepar.evidence.table import Table, check_poolable

PROGRAMS = ("mada", "midas", "metandi", "glmer")
Z = 1.959963984540054


@dataclass(frozen=True)
class Defect:
    """A printed number that is not what its name says, what is wrong with it, and the right one where there is one."""

    name: str
    printed: float
    what: str
    right: float | None = None


@dataclass(frozen=True)
class Compat:
    """numbers: under the program's own names where it has any. defects: of this program, with their printed values."""

    program: str
    numbers: dict[str, float]
    defects: tuple[Defect, ...]


def compat(table: Table, program: str, *, method: str = "REML", correction: str = "all") -> Compat:
    """A table as `program` ("mada", "midas", "metandi" or "glmer") sees it.

    method, correction: of mada ("REML" or "ML"; "all" or "single"). Raises WrongCall for another program.
    """
    if program not in PROGRAMS:
        raise WrongCall(f"there is no compatibility view of {program!r}; choose one of {', '.join(PROGRAMS)}")
    check_poolable(table)
    if program == "mada":
        return _mada(table, method, correction)
    problem = bivariate(table.tp, table.n1, table.tn, table.n0)
    if program == "glmer":
        return _glmer(problem)
    exact = fit(problem)
    return _metandi(problem, exact) if program == "metandi" else _midas(table, exact)


def _mada(table: Table, method: str, correction: str) -> Compat:
    found = reitsma(table, method=method, correction=correction)
    tp, fp, fn, tn = corrected_cells(table, correction)
    # mada counts the likelihood of proportions: logits plus the Jacobian of the transformation
    jacobian = -sum(float(np.log(a * b / (a + b) ** 2).sum()) for a, b in ((tp, fn), (fp, tn)))
    s1, s2 = np.sqrt(np.diag(found.between))
    rho = -float(found.between[0, 1] / (s1 * s2)) if s1 > 0 and s2 > 0 else float("nan")
    theta = np.array([*found.means, s1, found.between[0, 1] / s1, 0.0])
    theta[4] = np.sqrt(max(0.0, s2**2 - theta[3] ** 2))
    lam, big_theta, beta, s2_alpha, s2_theta = (float(x) for x in q.hsroc(theta))
    intercept, slope = q.hsroc_line(theta)
    rates = np.arange(1, 100) / 100
    curve = q.expit(intercept + slope * np.log(rates / (1 - rates)))
    area = _mada_area(curve)
    observed = np.clip(table.fp / np.maximum(table.n0, 1), 0.01, 0.99)
    x = np.linspace(float(observed.min()), float(observed.max()), 99)
    loglik = found.loglik + jacobian
    v11, v22 = found.covariance[0, 0], found.covariance[1, 1]
    # as it is printed: variances of the pooled means for those between studies, and n by test result
    zhou = float(np.sqrt(max(0.0, v11 * v22 * (1 - rho**2)))) if np.isfinite(rho) else float("nan")
    sizes = table.tp + table.fp, table.tn + table.fn
    within = [q.i2_zhou(float(v), float(m), n)[1] for v, m, n in zip((v11, v22), found.means, sizes, strict=True)]
    # one over 0 people is infinite there, and the I2 0
    share = zhou / (zhou + float(np.sqrt(within[0] * within[1]))) if min(map(np.min, sizes)) > 0 else 0.0
    numbers = {
        "tsens": float(found.means[0]), "tfpr": -float(found.means[1]), "sens": float(q.expit(found.means[0])),
        "fpr": float(q.expit(-found.means[1])), "se_tsens": float(np.sqrt(found.covariance[0, 0])),
        "se_tfpr": float(np.sqrt(found.covariance[1, 1])), "sd_tsens": float(s1), "sd_tfpr": float(s2),
        "corr_tsens_tfpr": rho, "logLik": loglik, "AIC": 10 - 2 * loglik,
        "BIC": 5 * float(np.log(2 * table.k)) - 2 * loglik,
        "Lambda": lam, "Theta": big_theta, "beta": beta,
        "sigma2alpha": s2_alpha, "sigma2theta": s2_theta, "AUC": area,
        "pAUC": _mada_area(q.expit(intercept + slope * np.log(x / (1 - x)))),
        "AUC_naive": _mada_area(q.expit(
            found.means[0] - found.between[0, 1] / found.between[1, 1]
            * (np.log(rates / (1 - rates)) + found.means[1])
        )) if s2 > 0 else float("nan"),
        "I2_Zhou": 100 * share, **_summary_points(found.means, found.covariance),
    }  # fmt: skip
    right = q.i2_bivariate(
        found.between, q.i2_zhou(float(s1**2), float(found.means[0]), table.n1)[1],
        q.i2_zhou(float(s2**2), float(found.means[1]), table.n0)[1],
    )  # fmt: skip
    exact = fit(bivariate(table.tp, table.n1, table.tn, table.n0))
    defects = (
        Defect("sens", numbers["sens"], "normal approximation and a correction of 0.5 pull the pooled sensitivity"
               " towards one half; its 95 % interval covered 48 % in a simulation of 68 studies",
               float(q.expit(exact.means[0]))),
        Defect("AUC", area, "the curve is averaged over false-positive rates of 0.01 to 0.99 and has no interval",
               q.auc(theta)),
        Defect("I2_Zhou", numbers["I2_Zhou"], "printed as Zhou and Dendukuri's I2; takes the variances of the pooled"
               " means for those between studies, and people by test result for people by disease", right),
        Defect("DOR_mean", numbers["DOR_mean"], "SummaryPts prints the mean of draws, which lies above the odds ratio"
               " at the summary point", float(np.exp(found.means.sum()))),
    )  # fmt: skip
    return Compat("mada", numbers, defects)


def _mada_area(curve: Array) -> float:
    """mada's rule: the trapezoid sum over 99 points divided by 99."""
    return float((curve.sum() - (curve[0] + curve[-1]) / 2) / 99)


def _summary_points(means: Array, covariance: Array) -> dict[str, float]:
    """What mada's SummaryPts draws: mean, median and limits of the ratios under the normal of both pooled logits."""
    values, vectors = np.linalg.eigh(covariance)
    draws = (
        np.random.default_rng(1).standard_normal((200_000, 2)) @ (vectors * np.sqrt(np.maximum(values, 0))).T + means
    )
    sens, spec = q.expit(draws[:, 0]), q.expit(draws[:, 1])
    found = {
        "posLR": sens / (1 - spec), "negLR": (1 - sens) / spec, "invnegLR": spec / (1 - sens),
        "DOR": np.exp(draws.sum(axis=1)),
    }  # fmt: skip
    return {
        f"{name}_{what}": float(value)
        for name, x in found.items()
        for what, value in zip(
            ("mean", "median", "2.5%", "97.5%"), (x.mean(), *np.quantile(x, [0.5, 0.025, 0.975])), strict=True
        )
    }


def _metandi(problem: Problem, exact: Fit) -> Compat:
    theta, value = maximise(problem, exact.theta, 5, exact.free)
    error = np.sqrt(np.diag(invert(-value.hessian, exact.free)))
    psi = covariance_of(theta[2:5])
    lam, big_theta, beta, s2_alpha, s2_theta = (float(x) for x in q.hsroc(theta))
    numbers = {
        "loglik": value.loglik, "E(logitSe)": float(theta[0]), "se(E(logitSe))": float(error[0]),
        "E(logitSp)": float(theta[1]), "se(E(logitSp))": float(error[1]), "Var(logitSe)": float(psi[0, 0]),
        "Var(logitSp)": float(psi[1, 1]), "Corr(logits)": q.correlation(theta) or 0.0, "Lambda": lam,
        "Theta": big_theta, "beta": beta, "s2alpha": s2_alpha, "s2theta": s2_theta, **_points(theta, error[:2]),
    }  # fmt: skip
    covariance = invert(-value.hessian, exact.free)
    logs, slopes = q.log_ratios(theta), np.array([
        [1 / (1 + np.exp(theta[0])), q.expit(theta[1])], [-q.expit(theta[0]), -1 / (1 + np.exp(theta[1]))], [1.0, 1.0]
    ])  # fmt: skip
    for name, at, slope in zip(("LR+", "LR-", "DOR"), logs, slopes, strict=True):
        half = Z * float(np.sqrt(slope @ covariance[:2, :2] @ slope))
        numbers |= {
            name: float(np.exp(at)),
            f"{name}_lo": float(np.exp(at - half)),
            f"{name}_hi": float(np.exp(at + half)),
        }
    what = "five quadrature points by default; the exact value needs more"
    defect = Defect("loglik", value.loglik, what, exact.loglik)
    return Compat("metandi", numbers, (defect,))


def _points(theta: Array, error: Array) -> dict[str, float]:
    """Sensitivity and specificity with Wald limits on the logit scale."""
    found = {}
    for name, at, e in (("Se", theta[0], error[0]), ("Sp", theta[1], error[1])):
        for end, shift in (("", 0.0), ("_lo", -Z), ("_hi", Z)):
            found[name + end] = float(q.expit(at + shift * e))
    return found


def _glmer(problem: Problem) -> Compat:
    """Laplace's approximation: one quadrature point."""
    from scipy.optimize import minimize

    start = fit(problem).theta
    found = min(
        (
            minimize(lambda t: -evaluate(problem, t, 1).loglik, start + shift, method="BFGS", options={"gtol": 1e-6})
            for shift in (0.0, np.array([0, 0, 0, 0, 0.1]))
        ),
        key=lambda one: float(one.fun),
    )
    theta = found.x
    psi = covariance_of(theta[2:5])
    # observed information of the approximate likelihood, by differences; without L22 where it rests at 0
    free = np.array([True, True, True, True, abs(theta[4]) > 1e-3])
    information = np.zeros((5, 5))
    for i, j in itertools.combinations_with_replacement(np.flatnonzero(free), 2):
        a, b = (1e-3 * np.eye(5)[at] for at in (i, j))
        four = (theta + a + b, theta + a - b, theta - a + b, theta - a - b)
        one, two, three, last = (evaluate(problem, at, 1).loglik for at in four)
        information[i, j] = information[j, i] = -(one - two - three + last) / 4e-6
    covariance = invert(information, free)[:2, :2]
    numbers = {
        "loglik": -float(found.fun), "logit_sens": float(theta[0]), "logit_spec": float(theta[1]),
        "logit_sens_se": float(np.sqrt(covariance[0, 0])), "logit_spec_se": float(np.sqrt(covariance[1, 1])),
        "cov_logit_sens_logit_spec": float(covariance[0, 1]), "AUC_midas_rule": _midas_area(psi, theta[:2]),
        "var_logit_sens": float(psi[0, 0]), "var_logit_spec": float(psi[1, 1]), "corr": q.correlation(theta) or 0.0,
    }  # fmt: skip
    exact = evaluate(problem, theta, 21).loglik
    defect = Defect("loglik", -float(found.fun), "Laplace's approximation; the exact value at the same point", exact)
    return Compat("glmer", numbers, (defect,))


def _midas(table: Table, exact: Fit) -> Compat:
    from scipy.stats import chi2

    psi, k = exact.between(), table.k
    numbers = {"loglik": exact.loglik}
    shared, baseline = _shared_intercept(exact)
    numbers |= {"shared_loglik": baseline, "shared_logit_sens": float(shared[0]),
                "shared_logit_spec": float(shared[1]), "shared_sd": abs(float(shared[2]))}  # fmt: skip
    for name, x, n, mean in (("sens", table.tp, table.n1, shared[0]), ("spec", table.tn, table.n0, shared[1])):
        p0 = float(q.expit(mean))
        share = x / np.maximum(n, 1)
        statistic = float((n * (share - p0) ** 2).sum() / (p0 * (1 - p0)))
        i2, low, high = _i2_interval(statistic, k - 1)
        numbers |= {f"Q_{name}": statistic, f"p0_{name}": p0, f"I2_{name}": i2}
        numbers |= {f"I2_{name}_lo": low, f"I2_{name}_hi": high}
    ratio = 2 * (exact.loglik - baseline)
    i2, low, high = _i2_interval(ratio, 2)
    numbers |= {"LRT_Q": ratio, "LRT_p_halved": float(chi2.sf(ratio, 2)) / 2, "LRT_I2": i2, "LRT_I2_lo": low,
                "LRT_I2_hi": high}  # fmt: skip
    # AUC by 500 specificities, with variances of at least .001; its interval takes the 500 for the sample size
    s1, s2 = np.sqrt(np.maximum(np.diag(psi), 0.001))
    area = _midas_area(psi, exact.means)
    low, high = _wilson(area, 500)
    numbers |= {"AUC": area, "AUC_lo": low, "AUC_hi": high}
    rho = q.correlation(exact.theta)
    for side, variance in (("SEN", float(psi[0, 0])), ("SPE", float(psi[1, 1]))):
        # share of the latent logistic variance, and the median difference between two studies, on the scale of 0 to 1
        numbers[f"ICC_{side}"] = variance / (variance + np.pi**2 / 3)
        numbers[f"MED_{side}"] = float(q.expit(np.sqrt(2 * variance) * 0.6744897501960817))
    numbers["share_threshold"] = 100 * rho**2 if rho is not None else 0.0
    logit, spread = q.delta(exact, q.logit_auc if exact.boundary != "var=0" else q.logit_auc_symmetric)
    right = float(q.expit(logit[0] - Z * np.sqrt(spread[0, 0])))
    zhou, _ = q.i2_zhou(float(psi[0, 0]), float(exact.means[0]), table.n1)
    wrong = (rho or 0.0) * float(np.log(s1) * np.log(s2))
    defects = (
        Defect("AUC_lo", low, "a Wilson interval whose sample size is the number of integration points (500), so that"
               " it does not depend on the data; where Stata finds a variable abbreviated N the interval is printed as"
               " 1.00-0.00", right),
        Defect("prediction_covariance", wrong, "the prediction ellipse takes log standard deviations for standard"
               " deviations in its covariance", float(psi[0, 1])),
        Defect("I2_sens", numbers["I2_sens"], "Q is centred at a model with one random intercept shared by both logits,"
               " not at the pooled sensitivity; the Zhou-Dendukuri value is given as the right one", zhou),
        Defect("LRT_Q", ratio, "the test's baseline is that same model, not one without heterogeneity"),
    )  # fmt: skip
    return Compat("midas", numbers, defects)


def _midas_area(psi: Array, means: Array) -> float:
    """midas' trapezoid over 500 specificities, ends at 1 and 0, variances of at least .001."""
    s1, s2 = np.sqrt(np.maximum(np.diag(psi), 0.001))
    b2 = s2 / s1
    specificity = np.linspace(0, 1, 500)
    curve = np.empty(500)
    curve[0], curve[-1] = 1.0, 0.0
    inner = specificity[1:-1]
    lam = np.sqrt(b2) * means[0] + means[1] / np.sqrt(b2)
    curve[1:-1] = q.expit(lam / np.sqrt(b2) - np.log(inner / (1 - inner)) / b2)
    return float(((curve[1:] + curve[:-1]) / 2).sum() / 499)


def _shared_intercept(exact: Fit) -> tuple[Array, float]:
    """(mu1, mu2, sd) of the model with one random intercept added to both logits, and its log likelihood."""
    from scipy.optimize import minimize

    def look(x: Array) -> tuple[float, Array]:
        value = evaluate(exact.problem, np.array([x[0], x[1], x[2], x[2], 0.0]), 21)
        g = value.gradient
        return -value.loglik, -np.array([g[0], g[1], g[2] + g[3]])

    starts = [np.array([*exact.means, s]) for s in (0.1, 1.0)]
    best = min((minimize(look, s, jac=True, method="BFGS") for s in starts), key=lambda one: float(one.fun))
    return np.asarray(best.x), -float(best.fun)


def _i2_interval(statistic: float, df: int) -> tuple[float, float, float]:
    """I2 in percent with midas' interval: Higgins' standard error of ln H carried over by the delta method."""
    i2 = max(0.0, (statistic - df) / statistic) if statistic > 0 else 0.0
    if statistic > df + 1:
        error = 0.5 * np.log(statistic / df) / (np.sqrt(2 * statistic) - np.sqrt(2 * df - 1))
    elif df > 1:
        error = np.sqrt(1 / (2 * (df - 1)) * (1 - 1 / (3 * (df - 1) ** 2)))
    else:
        error = 0.0
    half = Z * 2 * float(error) / max(1.0, statistic / df)
    return 100 * i2, 100 * max(0.0, i2 - half), 100 * min(1.0, i2 + half)


def _wilson(p: float, n: int) -> tuple[float, float]:
    z = Z
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    return centre - half, centre + half
