"""What follows from a bivariate fit: accuracy, likelihood ratios, the HSROC curve and its area, with delta errors.

Parameters are theta = (mu1, mu2, L11, L21, L22): logit means and the Cholesky factor of the between-study covariance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hepar.evidence.fit import Fit, covariance_of
from hepar.evidence.likelihood import Array, Counts

STEP = 1e-5
"""Step of the central differences of the delta method; their error is of the order of its square."""


def expit(x: Array | float) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(np.asarray(x) >= 0, 1.0, e) / (1.0 + e))


def delta(fit: Fit, function: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Values of a smooth function of theta and their covariance, to first order."""
    theta = fit.theta
    value = np.asarray(function(theta))
    slopes = np.zeros((len(value), len(theta)))
    for i in np.flatnonzero(fit.free):
        step = np.zeros(len(theta))
        step[i] = STEP
        slopes[:, i] = (np.asarray(function(theta + step)) - np.asarray(function(theta - step))) / (2 * STEP)
    return value, slopes @ fit.covariance @ slopes.T


def log_ratios(theta: Array) -> Array:
    """log LR+, log LR-, log DOR."""
    m1, m2 = theta[0], theta[1]
    log_se, log_fn = -np.logaddexp(0, -m1), -np.logaddexp(0, m1)
    log_sp, log_fp = -np.logaddexp(0, -m2), -np.logaddexp(0, m2)
    return np.array([log_se - log_fp, log_fn - log_sp, m1 + m2])


def log_variances(theta: Array) -> Array:
    """Logarithms of both between-study variances."""
    return np.log(np.diag(covariance_of(theta[2:5])))


def atanh_correlation(theta: Array) -> Array:
    """Fisher's z of the correlation of logit sensitivity and logit specificity."""
    _, l21, l22 = theta[2:5]
    return np.array([np.arcsinh(np.sign(theta[2] or 1.0) * l21 / abs(l22))])


def correlation(theta: Array) -> float | None:
    """Of logit sensitivity and logit specificity; None where a variance is 0."""
    psi = covariance_of(theta[2:5])
    if psi[0, 0] <= 0 or psi[1, 1] <= 0:
        return None
    return float(np.clip(psi[0, 1] / np.sqrt(psi[0, 0] * psi[1, 1]), -1.0, 1.0))


def hsroc(theta: Array) -> Array:
    """Lambda, Theta, beta, s2_alpha, s2_theta of Rutter and Gatsonis. Source: Harbord 2007, Biostatistics 8:239."""
    psi = covariance_of(theta[2:5])
    s1, s2, both = np.sqrt(psi[0, 0]), np.sqrt(psi[1, 1]), psi[0, 1]
    b = np.sqrt(s2 / s1)
    m1, m2 = theta[0], theta[1]
    return np.array([
        b * m1 + m2 / b, (b * m1 - m2 / b) / 2, np.log(s2 / s1), 2 * (s1 * s2 + both), (s1 * s2 - both) / 2
    ])  # fmt: skip


def hsroc_line(theta: Array) -> tuple[float, float]:
    """The curve logit sensitivity = intercept + slope * logit(1 - specificity)."""
    lam, _, beta, _, _ = hsroc(theta)
    return float(lam * np.exp(-beta / 2)), float(np.exp(-beta))


def auc(theta: Array) -> float:
    """Area under the HSROC curve, its integral over false-positive rates from 0 to 1."""
    return line_auc(*hsroc_line(theta))


def line_auc(intercept: float, slope: float) -> float:
    """Integral over 0..1 of expit(intercept + slope * logit(x)), by the trapezoid rule on the logit scale.

    The area is P(V <= intercept + slope U) for independent logistic U and V, so the flatter of the two ways round is
    integrated; the integrand is smooth and falls off exponentially, where the rule is exact to rounding.
    """
    if slope > 1:
        intercept, slope = intercept / slope, 1 / slope
    u = np.linspace(-42.0, 42.0, 1681)
    density = np.exp(-np.abs(u)) / (1 + np.exp(-np.abs(u))) ** 2
    return float(np.sum(density * expit(intercept + slope * u)) * (u[1] - u[0]))


def logit_auc(theta: Array) -> Array:
    """The area on the logit scale, where the delta method is used."""
    area = auc(theta)
    return np.array([np.log(area / (1 - area))])


def logit_auc_symmetric(theta: Array) -> Array:
    """The same for the symmetric curve through the summary point, used where a variance is 0."""
    area = line_auc(float(theta[0] + theta[1]), 1.0)
    return np.array([np.log(area / (1 - area))])


def ellipse(means: Array, covariance: Array, radius: float, phi: Array) -> tuple[Array, Array]:
    """Sensitivity and specificity along an ellipse about the means on the logit scale (metandi's parametrisation)."""
    s1, s2 = np.sqrt(np.diag(covariance))
    rho = covariance[0, 1] / (s1 * s2) if s1 > 0 and s2 > 0 else 0.0
    turn = np.arccos(np.clip(rho, -1, 1))
    return expit(means[0] + radius * s1 * np.cos(phi + turn)), expit(means[1] + radius * s2 * np.cos(phi))


def i2_zhou(tau2: float, mean: float, sizes: Counts) -> tuple[float, float]:
    """I2 in percent and the within-study variance behind it. Source: Zhou and Dendukuri 2014, Stat Med 33:2701."""
    n = sizes[sizes > 0]
    # an interval's end may be huge: the within-study part then overflows to infinity, and I2 is 0 as it should
    with np.errstate(over="ignore"):
        within = (np.exp(tau2 / 2 + mean) + np.exp(tau2 / 2 - mean) + 2) * np.mean(1 / n)
    return float(100 * tau2 / (tau2 + within)), float(within)


def i2_bivariate(psi: Array, within1: float, within2: float) -> float:
    """Joint I2 in percent from the determinants. Source: Zhou and Dendukuri 2014."""
    between = np.sqrt(max(0.0, float(np.linalg.det(psi))))
    return float(100 * between / (between + np.sqrt(within1 * within2)))
