"""Every number that R and Stata left in the stored files, met or named with the reason why it is not compared."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from evidence.evidence_reference import ALL, expected, fitted, table_of
from hepar.evidence import quantities as q
from hepar.evidence.classical import deeks_corrected, egger, equal_proportions, moses_littenberg
from hepar.evidence.compatibility import compat
from hepar.evidence.figures.forest import exact_interval
from hepar.evidence.fit import maximise
from hepar.evidence.pooling import _fagan
from hepar.evidence.reitsma import reitsma
from hepar.evidence.result import Summary
from hepar.evidence.small_study import corrected, deeks, lfk, log_dor, spearman
from hepar.evidence.univariate import univariate
from hepar.record.estimate import Estimate

Z = norm.ppf(0.975)
NOT_COMPARED = {
    "seconds": "a run time", "total_seconds": "a run time", "dataset": "a name", "messages": "R's own words",
    "converged": "R's own word", "singular": "R's own word", "method": "a name", "correction_control": "a name",
    "max_abs_gradient": "of the other program", "n_quad": "of the other program",
    "SummaryPts_MCMC_2e5": "drawn at random; compared within its noise in test_summary_points",
    "HollingUnadjusted1": "mada's unpublished variants of I2", "HollingUnadjusted2": "as above",
    "HollingUnadjusted3": "as above", "HollingAdjusted1": "as above", "HollingAdjusted2": "as above",
    "HollingAdjusted3": "as above", "intercept_se": "of an intercept nobody reads", "intercept_p": "as above",
}  # fmt: skip
"""Keys of the stored files that no number of hepar stands beside, and why."""
GLMER_FAILED = {"sim_k10", "telomerase"}
"""lme4 stopped early there; see test_evidence_compat."""
PERCENT = {"I2_bivariate", "Zhou"}
"""In percent, and a root of 1 - correlation^2: where the others stop at a correlation of 0.9999998, 0.01 and not 0."""
MADA_WITHOUT_VARIANCE = {"sim_sparse12"}
"""mada's standard deviations are below 1e-4 there: correlation, curve and what follows from them are chance."""


def wald_points(mean, spread):
    """sens, spec, LR+, LR-, DOR with z limits from both logit means and their covariance."""
    slopes = {
        "sens": (mean[0], (1, 0)), "spec": (mean[1], (0, 1)),
        "LRpos": (q.log_ratios(mean)[0], (1 / (1 + np.exp(mean[0])), q.expit(mean[1]))),
        "LRneg": (q.log_ratios(mean)[1], (-q.expit(mean[0]), -1 / (1 + np.exp(mean[1])))),
        "DOR": (mean.sum(), (1, 1)),
    }  # fmt: skip
    found = {}
    for key, (value, slope) in slopes.items():
        half = Z * np.sqrt(np.array(slope) @ spread @ np.array(slope))
        back = q.expit if key in ("sens", "spec") else np.exp
        found[key] = {"est": back(value), "lo": back(value - half), "hi": back(value + half)}
    error = np.sqrt(np.diag(spread))
    return found | {
        "logit_sens": mean[0], "logit_sens_se": error[0], "logit_spec": mean[1], "logit_spec_se": error[1],
        "cov_logit_sens_logit_spec": spread[0, 1],
    }  # fmt: skip


@cache
def midas_numbers(name):
    return compat(table_of(name), "midas").numbers


def i2(psi, means, table):
    one, w1 = q.i2_zhou(psi[0, 0], means[0], table.n1)
    two, w2 = q.i2_zhou(psi[1, 1], means[1], table.n0)
    return {"I2_sens": one, "I2_spec": two, "I2_bivariate": q.i2_bivariate(psi, w1, w2)}


@cache
def exact(name):
    fit, table, stored = fitted(name), table_of(name), expected(name)["exact_agq21"]
    psi, means, edge = fit.between(), fit.means, fit.boundary != "none"
    own = fit.covariance[:2, :2]

    def others(theta):
        """log sd1, log sd2, atanh rho, as the stored parameters."""
        return np.array([*theta[:2], *(q.log_variances(theta) / 2), *(() if edge else q.atanh_correlation(theta))])

    theta, spread = q.delta(fit, others)
    se = np.sqrt(np.diag(spread))
    names = ("mu1", "mu2", "log_sd1", "log_sd2", "atanh_rho")[: len(theta)]
    logs, wide = q.delta(fit, q.log_variances)
    error = np.sqrt(np.diag(wide))
    values, slopes = q.delta(fit, q.hsroc)
    hsroc_se = np.sqrt(np.maximum(np.diag(slopes), 0))
    keys = ("Lambda", "Theta", "beta", "s2alpha", "s2theta")
    z = values[2] / hsroc_se[2]
    area, area_spread = q.delta(fit, q.logit_auc)
    auc_se = float(np.sqrt(area_spread[0, 0]))
    midas = midas_numbers(name)
    rates = np.arange(1, 100) / 100
    intercept, slope = q.hsroc_line(fit.theta)
    curve = q.expit(intercept + slope * np.log(rates / (1 - rates)))
    regions = {}
    for key, covariance in (("conf", own), ("pred", own + psi)):
        phi = np.array(stored["regions"][f"{key}_pts"]["phi"])
        one, two = q.ellipse(means, covariance, stored["regions"]["radius_F_metandi_midas"], phi)
        regions |= {f"{key}_cov": covariance, f"{key}_pts": {"phi": phi, "sens": one, "spec": two}}
    from scipy.stats import chi2, f

    k = table.k
    regions |= {
        "radius_F_metandi_midas": np.sqrt(2 * f.ppf(0.95, 2, k - 2)), "radius_chi2_mada": np.sqrt(chi2.ppf(0.95, 2))
    }  # fmt: skip
    ratios = [Estimate(float(np.exp(x))) for x in q.log_ratios(fit.theta)]
    fagan = _fagan(Summary(*[Estimate(0.5)] * 2, *ratios, Estimate(0.5)), table, (0.05, 0.10, 0.25, 0.40, 0.50, 0.75))
    rho = q.correlation(fit.theta)
    found = wald_points(means, own) | {
        "loglik": fit.loglik, "boundary": fit.boundary, "var_logit_sens": psi[0, 0], "var_logit_spec": psi[1, 1],
        "corr": rho, "cov": psi[0, 1], "theta": dict(zip(names, theta, strict=True)),
        "se_theta": dict(zip(names, se, strict=True)), "vcov_theta": spread, "AIC": 10 - 2 * fit.loglik,
        "BIC_nrow2k": 5 * np.log(2 * k) - 2 * fit.loglik, "var_logit_sens_ci": np.exp(logs[0] + Z * error[0] * PM),
        "var_logit_spec_ci": np.exp(logs[1] + Z * error[1] * PM), "threshold_proportion_rho2": rho**2,
        "HSROC": {
            "est": dict(zip(keys, values, strict=True)), "se": dict(zip(keys, hsroc_se, strict=True)), "beta_z": z,
            "beta_p": 2 * norm.sf(abs(z)),
        },
        "AUC": {
            "midas_auc": midas["AUC"], "midas_wilson_ci_n500": [midas["AUC_lo"], midas["AUC_hi"]],
            "exact_integral": q.auc(fit.theta),
            "mada_rule_on_this_fit": (curve.sum() - (curve[0] + curve[-1]) / 2) / 99,
            "delta_logit_ci_recommended": q.expit(area[0] + Z * auc_se * PM), "se_logit_auc": auc_se,
        },
        "regions": regions, "I2_zhou_dendukuri_correct": i2(psi, means, table), "ICC_sens": midas["ICC_SEN"],
        "ICC_spec": midas["ICC_SPE"], "MED_sens": midas["MED_SEN"], "MED_spec": midas["MED_SPE"],
        "fagan": [
            {"prior": one.prior, "post_pos": one.post_positive.estimate, "post_neg": one.post_negative.estimate}
            for one in fagan
        ],
    }  # fmt: skip
    if not edge:
        found["corr_ci"] = np.tanh(theta[4] + Z * se[4] * PM)
    return found


PM = np.array([-1, 1])


def small(name):
    table = table_of(name)
    test, corrected_test, index = deeks(table), deeks_corrected(table), lfk(table)
    # meta leaves out studies in which nobody, or everybody, tests positive
    some = np.flatnonzero((table.tp + table.fp > 0) & (table.fn + table.tn > 0))
    meta = deeks(table.take(some))
    tp, fp, fn, tn = corrected(table)
    rho, p = spearman(table)
    sens, spec = table.tp / table.n1, table.tn / table.n0
    own = univariate(table)
    pairs = {
        "logit_sens": "logit_sensitivity", "logit_spec": "logit_specificity", "lnDOR": "log_dor",
        "logLRpos": "log_lr_positive", "logLRneg": "log_lr_negative",
    }  # fmt: skip
    eg = egger(table)
    moses = moses_littenberg(table), moses_littenberg(table, weighted=True)
    raw = raw_spearman(sens, 1 - spec), raw_spearman(sens, spec)
    sides = {
        side: equal_proportions(x, n) for side, x, n in (("sens", table.tp, table.n1), ("spec", table.tn, table.n0))
    }
    low1, high1 = exact_interval(table.tp, table.n1)
    low0, high0 = exact_interval(table.tn, table.n0)
    effect, error = log_dor(table)
    return {
        "deeks_n_uncorrected": {
            "slope": test.slope.estimate, "slope_se": test.slope.estimate / test.t, "t": test.t, "df": test.df,
            "p": test.p, "intercept": test.intercept.estimate,
        },
        "deeks_meta_package": {"t": meta.t, "p": meta.p, "df": meta.df},
        "deeks_midas_n_corrected": {
            "slope": corrected_test.slope, "slope_se": corrected_test.slope / corrected_test.slope_t,
            "t": corrected_test.slope_t, "df": table.k - 2, "p": corrected_test.slope_p,
            "intercept": corrected_test.intercept,
        },
        "egger_lnDOR": {"slope": eg.slope, "t": eg.slope_t, "p": eg.slope_p},
        "lfk_lnDOR": {"index": index.index, "interpretation": index.reading},
        "spearman_logitTPR_logitFPR_cc_single": {"rho": rho, "p_asymptotic_t": p},
        "spearman_raw_sens_vs_raw_fpr": {"rho": raw[0][0], "p_asymptotic_t": raw[0][1]},
        "spearman_raw_sens_vs_raw_spec": {"rho": raw[1][0], "p_asymptotic_t": raw[1][1]},
        "pearson_logit_sens_logit_spec_cc_single": np.corrcoef(np.log(tp / fn), np.log(tn / fp))[0, 1],
        "univariate_I2": {
            key: {"Q": u.q, "df": u.df, "p": u.p, "I2": u.i2, "tau2_DL": u.tau2}
            for key, u in ((key, own[name]) for key, name in pairs.items())
        },
        "prop_test": {side: {"X2": one.chi2, "p": one.p} for side, one in sides.items()},
        "moses_littenberg": {
            "unweighted": {"a": moses[0].intercept, "b": moses[0].slope},
            "weighted": {"a": moses[1].intercept, "b": moses[1].slope}, "p_b_unweighted": moses[0].slope_p,
            "p_b_weighted": moses[1].slope_p,
        },
        "study_ci_first3": [
            {
                "sens": sens[i], "sens_CP": [low1[i], high1[i]], "spec": spec[i], "spec_CP": [low0[i], high0[i]],
                "lnDOR": effect[i], "lnDOR_se": error[i],
            }
            for i in range(3)
        ],
    }  # fmt: skip


def raw_spearman(x, y):
    from scipy.stats import spearmanr

    found = spearmanr(x, y)
    return found.statistic, found.pvalue


def midas(name):
    numbers = midas_numbers(name)
    from scipy.stats import chi2

    k = table_of(name).k
    sides = {
        side: {
            "Q": numbers[f"Q_{side}"], "df": k - 1, "p": chi2.sf(numbers[f"Q_{side}"], k - 1),
            "I2": numbers[f"I2_{side}"], "lo": numbers[f"I2_{side}_lo"], "hi": numbers[f"I2_{side}_hi"],
        }
        for side in ("sens", "spec")
    }  # fmt: skip
    return {
        "midas_shared_intercept_model": {
            "loglik": numbers["shared_loglik"], "logit_sens": numbers["shared_logit_sens"],
            "logit_spec": numbers["shared_logit_spec"], "sd_shared": numbers["shared_sd"],
        },
        "midas_heterogeneity": {"fsens": numbers["p0_sens"], "fspec": numbers["p0_spec"], **sides},
        "midas_LRT": {
            "Q": numbers["LRT_Q"], "df": 2, "p": 2 * numbers["LRT_p_halved"], "I2": numbers["LRT_I2"],
            "lo": numbers["LRT_I2_lo"], "hi": numbers["LRT_I2_hi"], "p_halved_as_midas": numbers["LRT_p_halved"],
        },
    }  # fmt: skip


def fixed(name):
    fit = fitted(name)
    theta, value = maximise(fit.problem, np.array([*fit.means, 0, 0, 0.0]), 15, np.array([1, 1, 0, 0, 0], dtype=bool))
    return {
        "sens": q.expit(theta[0]), "spec": q.expit(theta[1]), "loglik": value.loglik,
        "LRT_vs_bivariate_df3": 2 * (fit.loglik - value.loglik),
    }  # fmt: skip


def mada(name, method, correction):
    table = table_of(name)
    numbers = compat(table, "mada", method=method, correction=correction).numbers
    found = reitsma(table, method=method, correction=correction)
    turn = np.diag([1, -1])
    same = {
        key: numbers[key] for key in ("logLik", "AIC", "BIC", "tsens", "tfpr", "sd_tsens", "sd_tfpr", "AUC", "pAUC")
    }
    return wald_points(found.means, found.covariance) | same | {
        "vcov_tsens_tfpr": turn @ found.covariance @ turn, "Psi_tsens_tfpr": turn @ found.between @ turn,
        "corr_tsens_tfpr": numbers["corr_tsens_tfpr"], "AUC_naive": numbers["AUC_naive"],
        "HSROC": {key: numbers[key] for key in ("Theta", "Lambda", "beta", "sigma2theta", "sigma2alpha")},
        "i2_as_printed_by_mada": {"Zhou": numbers["I2_Zhou"]},
        "I2_zhou_dendukuri_correct": i2(found.between, found.means, table),
    }  # fmt: skip


def metafor(name, method):
    found = reitsma(table_of(name), method=method, correction="all")
    psi = found.between
    # metafor's restricted likelihood carries + log|X'X| / 2, which is log k here
    constant = np.log(table_of(name).k) if method == "REML" else 0.0
    return wald_points(found.means, found.covariance) | {
        "loglik": found.loglik + constant, "var_logit_sens": psi[0, 0], "var_logit_spec": psi[1, 1],
        "corr": psi[0, 1] / np.sqrt(psi[0, 0] * psi[1, 1]),
    }  # fmt: skip


def leaves(stored, own, place=()):
    """Each stored number with its place and hepar's; reasons are checked against NOT_COMPARED on the way."""
    if place and place[-1] in NOT_COMPARED:
        return
    if isinstance(stored, dict):
        for key, value in stored.items():
            mine = own.get(key) if isinstance(own, dict) else None
            yield from leaves(value, mine, (*place, key))
    elif isinstance(stored, list):
        # rows of parameters that rest on a boundary are stored as nulls
        for i, value in enumerate(stored):
            yield from leaves(value, own[i] if own is not None and i < len(own) else None, (*place, i))
    elif stored is not None:
        yield place, stored, own


def differences(stored, own, abs_tol, rel_tol, skip=()):
    """What is missing, and what differs by more than the tolerance."""
    found = []
    for place, theirs, mine in leaves(stored, own):
        if any(part in skip for part in place):
            continue
        if mine is None:
            found.append((place, theirs, "no number of ours"))
        elif isinstance(theirs, str):
            if theirs != mine:
                found.append((place, theirs, mine))
        elif not abs(float(mine) - theirs) <= (0.05 if place[-1] in PERCENT else abs_tol) + rel_tol * abs(theirs):
            found.append((place, theirs, float(mine)))
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_number_of_the_exact_fit(name):
    assert differences(expected(name)["exact_agq21"], exact(name), 2e-5, 2e-4) == []
    top = {key: value for key, value in expected(name).items() if not isinstance(value, dict)}
    table = table_of(name)
    cells = np.stack([table.tp, table.fp, table.fn, table.tn])
    assert differences(top, {
        "k": table.k, "n_diseased": table.n1.sum(), "n_nondiseased": table.n0.sum(),
        "any_zero_cell": bool((cells == 0).any()), "n_zero_cell_studies": (cells == 0).any(axis=0).sum(),
    }, 0, 0) == []  # fmt: skip
    assert differences(expected(name)["fixed_effect"], fixed(name), 1e-4, 1e-5) == []


@pytest.mark.parametrize("name", ALL)
def test_every_number_of_the_older_summaries_and_of_midas(name):
    stored = expected(name)
    # not ours: Wilson intervals of single studies, mada's univariate DOR (same as univariate_I2 with one correction)
    skip = ("sens_wilson", "spec_wilson", "madauni_DOR_DSL")
    assert differences(stored["small_study_and_univariate"], small(name), 1e-7, 1e-6, skip) == []
    found = midas(name)
    assert differences({key: stored[key] for key in found}, found, 1e-3, 1e-3) == []


@pytest.mark.parametrize("name", ALL)
def test_every_number_of_mada_and_metafor(name):
    chance = (
        ("corr_tsens_tfpr", "HSROC", "AUC", "pAUC", "AUC_naive", "I2_bivariate", "Zhou", "corr")
        if name in MADA_WITHOUT_VARIANCE else ()
    )  # fmt: skip
    for key, method, correction in (
        ("mada_reml", "REML", "all"), ("mada_ml", "ML", "all"), ("mada_reml_single", "REML", "single"),
    ):  # fmt: skip
        stored = expected(name).get(key)
        if stored is not None:
            assert differences(stored, mada(name, method, correction), 1e-3, 1e-3, chance) == [], key
    for key, method in (("rma_mv_reml", "REML"), ("rma_mv_ml", "ML")):
        stored = expected(name).get(key)
        if stored is not None:
            assert differences(stored, metafor(name, method), 1e-3, 1e-3, chance) == [], key


@pytest.mark.parametrize("name", [name for name in ALL if name not in GLMER_FAILED])
def test_every_number_of_lme4(name):
    numbers = compat(table_of(name), "glmer").numbers
    keys = ("loglik", "logit_sens", "logit_spec", "logit_sens_se", "logit_spec_se", "cov_logit_sens_logit_spec",
            "var_logit_sens", "var_logit_spec", "corr", "AUC_midas_rule")  # fmt: skip
    spread = np.array([
        [numbers["logit_sens_se"] ** 2, numbers["cov_logit_sens_logit_spec"]],
        [numbers["cov_logit_sens_logit_spec"], numbers["logit_spec_se"] ** 2],
    ])  # fmt: skip
    means = np.array([numbers["logit_sens"], numbers["logit_spec"]])
    own = wald_points(means, spread) | {key: numbers[key] for key in keys}
    # lme4's Hessian comes from finite differences, its standard errors are up to 0.7 % off; so are the limits
    loose = ("lo", "hi", "logit_sens_se", "logit_spec_se", "cov_logit_sens_logit_spec")
    stored = expected(name)["glmer_laplace"]
    assert differences(stored, own, 2e-3, 2e-3, loose) == []
    assert differences(stored, own, 2e-3, 1.2e-2) == []
    # it stops a little before the maximum
    assert numbers["loglik"] > stored["loglik"] - 1e-5


@pytest.mark.parametrize("name", ["telomerase", "auditc", "melanoma_cad", "catheter"])
def test_summary_points(name):
    """mada drew 200,000 times; its means carry half a percent of noise where the ratio's tail is heavy."""
    numbers = compat(table_of(name), "mada").numbers
    for ratio, stored in expected(name)["mada_reml"]["SummaryPts_MCMC_2e5"].items():
        for what, value in stored.items():
            assert numbers[f"{ratio}_{what.lower()}"] == pytest.approx(value, rel=0.015), (ratio, what)


def test_every_reason_is_needed():
    """A key in NOT_COMPARED that no file holds any more would hide a number of the same name one day."""
    seen = set()

    def walk(stored):
        for key, value in stored.items():
            seen.add(key)
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    walk(part)

    for name in ALL:
        walk(expected(name))
    assert set(NOT_COMPARED) <= seen
