"""The exact fit and what follows from it, against an exact 21 x 21 quadrature fit made in R."""

import numpy as np
import pytest
from scipy.stats import norm

from evidence.evidence_reference import ALL, SIMULATED, expected, fitted, shared_json, table_of
from hepar.evidence import quantities as q
from hepar.evidence.fit import canonical
from hepar.evidence.intervals import bootstrap, profile
from hepar.evidence.likelihood import bivariate, evaluate

Z = norm.ppf(0.975)


@pytest.mark.parametrize("name", ALL)
def test_exact_fit_meets_the_reference(name):
    fit, exact = fitted(name), expected(name)["exact_agq21"]
    psi = fit.between()
    assert fit.converged
    assert fit.boundary == exact["boundary"]
    assert fit.loglik == pytest.approx(exact["loglik"], abs=1e-4)
    assert fit.means == pytest.approx([exact["logit_sens"], exact["logit_spec"]], abs=2e-5)
    assert np.sqrt(np.diag(fit.covariance)[:2]) == pytest.approx(
        [exact["logit_sens_se"], exact["logit_spec_se"]], rel=1e-4
    )
    assert fit.covariance[0, 1] == pytest.approx(exact["cov_logit_sens_logit_spec"], rel=1e-4)
    assert np.diag(psi) == pytest.approx([exact["var_logit_sens"], exact["var_logit_spec"]], rel=1e-4)
    assert q.correlation(fit.theta) == pytest.approx(exact["corr"], abs=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_quantities_and_their_delta_errors_meet_the_reference(name):
    fit, exact = fitted(name), expected(name)["exact_agq21"]
    logs, spread = q.delta(fit, q.log_ratios)
    error = np.sqrt(np.diag(spread))
    for i, key in enumerate(("LRpos", "LRneg", "DOR")):
        ends = np.exp([logs[i], logs[i] - Z * error[i], logs[i] + Z * error[i]])
        assert ends == pytest.approx([exact[key][part] for part in ("est", "lo", "hi")], rel=1e-4)
    values, spread = q.delta(fit, q.hsroc)
    for i, key in enumerate(("Lambda", "Theta", "beta", "s2alpha", "s2theta")):
        assert values[i] == pytest.approx(exact["HSROC"]["est"][key], rel=1e-4, abs=1e-5)
        assert np.sqrt(max(spread[i, i], 0)) == pytest.approx(exact["HSROC"]["se"][key] or 0.0, rel=1e-4, abs=1e-6)
    logit, spread = q.delta(fit, q.logit_auc)
    assert q.expit(logit[0]) == pytest.approx(exact["AUC"]["exact_integral"], abs=1e-5)
    assert np.sqrt(spread[0, 0]) == pytest.approx(exact["AUC"]["se_logit_auc"], rel=1e-4)
    logs, spread = q.delta(fit, q.log_variances)
    for i, key in enumerate(("var_logit_sens_ci", "var_logit_spec_ci")):
        ends = np.exp(logs[i] + Z * np.sqrt(spread[i, i]) * np.array([-1, 1]))
        assert ends == pytest.approx(exact[key], rel=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_regions_and_i2_meet_the_reference(name):
    fit, table, exact = fitted(name), table_of(name), expected(name)["exact_agq21"]
    own, psi = fit.covariance[:2, :2], fit.between()
    radius = exact["regions"]["radius_F_metandi_midas"]
    for key, covariance in (("conf_pts", own), ("pred_pts", own + psi)):
        points = exact["regions"][key]
        sensitivity, specificity = q.ellipse(fit.means, covariance, radius, np.array(points["phi"]))
        assert sensitivity == pytest.approx(points["sens"], abs=1e-4)
        assert specificity == pytest.approx(points["spec"], abs=1e-4)
    one, within1 = q.i2_zhou(psi[0, 0], fit.means[0], table.n1)
    two, within2 = q.i2_zhou(psi[1, 1], fit.means[1], table.n0)
    i2 = exact["I2_zhou_dendukuri_correct"]
    assert [one, two, q.i2_bivariate(psi, within1, within2)] == pytest.approx(
        [i2["I2_sens"], i2["I2_spec"], i2["I2_bivariate"]], abs=1e-3
    )


@pytest.mark.parametrize("name", ["telomerase", "auditc", "kertai", "audit_k4", "anticcp_ccp1", "scheidler_mri"])
def test_profile_intervals_meet_the_reference(name):
    stored = shared_json("extras_expected.json")["profile_likelihood"][name]
    fit = fitted(name)
    assert profile(fit, 0) == pytest.approx(stored["pl_logit_sens"], abs=2e-4)
    assert profile(fit, 1) == pytest.approx(stored["pl_logit_spec"], abs=2e-4)


@pytest.mark.parametrize("name", SIMULATED)
def test_gradient_and_information_are_the_derivatives_of_the_likelihood(name):
    problem = fitted(name).problem
    theta = np.array([1.0, 0.8, 0.7, -0.3, 0.5])
    value = evaluate(problem, theta, 25)
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-4
        up, down = evaluate(problem, theta + step, 25), evaluate(problem, theta - step, 25)
        assert value.gradient[i] == pytest.approx((up.loglik - down.loglik) / 2e-4, abs=2e-3)
        assert value.hessian[i] == pytest.approx((up.gradient - down.gradient) / 2e-4, rel=1e-3, abs=2e-2)


def test_likelihood_of_one_study_without_variance_is_the_binomial_one():
    """By hand: Bin(8; 10, 1/2) * Bin(15; 20, 1/2) = 45/1024 * 15504/1048576."""
    problem = bivariate(np.array([8.0]), np.array([10.0]), np.array([15.0]), np.array([20.0]))
    value = evaluate(problem, np.zeros(5), 15)
    assert value.loglik == pytest.approx(np.log(45 / 1024 * 15504 / 1048576), abs=1e-10)


def test_the_sign_of_the_cholesky_factor_means_nothing():
    problem = fitted("sim_k20").problem
    theta = np.array([1.0, 0.8, -0.7, 0.3, -0.5])
    assert evaluate(problem, theta, 21).loglik == pytest.approx(
        evaluate(problem, canonical(problem, theta), 21).loglik, abs=1e-8
    )


def test_area_under_the_symmetric_curve_has_a_closed_form():
    """AUC = DOR (DOR - 1 - ln DOR) / (DOR - 1)^2 for slope 1."""
    for dor in (2.0, 20.0, 300.0):
        assert q.line_auc(np.log(dor), 1.0) == pytest.approx(dor * (dor - 1 - np.log(dor)) / (dor - 1) ** 2, abs=1e-10)


def test_bootstrap_spread_agrees_with_the_information_and_repeats():
    fit = fitted("sim_k20")
    first, second = bootstrap(fit, 120, seed=3), bootstrap(fit, 120, seed=3)
    assert np.array_equal(first.theta, second.theta)
    spread = first.theta[:, :2].std(axis=0) / np.sqrt(np.diag(fit.covariance)[:2])
    assert (spread > 0.8).all()
    assert (spread < 1.25).all()
