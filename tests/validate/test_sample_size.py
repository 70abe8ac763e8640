"""Cases needed, against figures of R's pmvalsampsize and pmsampsize and of the papers behind them."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from hepar.errors import WrongCall
from hepar.validate.sample_size import c_error, events_per_variable, needed, needed_to_develop


@pytest.mark.parametrize(
    ("prevalence", "c", "cases"), [(0.018, 0.8, 4252), (0.1, 0.7, 1154), (0.5, 0.8, 302), (0.018, 0.75, 5125)]
)
def test_the_c_statistic_of_riley_2021(prevalence, c, cases):
    """pmvalsampsize(type = "b", prevalence, cstatistic, cstatciwidth = 0.1); Riley 2021."""
    assert needed(prevalence, c).c_statistic == cases
    assert 2 * 1.96 * c_error(cases, c, prevalence) <= 0.1 < 2 * 1.96 * c_error(cases - 1, c, prevalence)


@pytest.mark.parametrize(("prevalence", "width", "cases"), [(0.018, 1.0, 905), (0.1, 0.2, 3461)])
def test_observed_over_expected_of_riley_2021(prevalence, width, cases):
    """pmvalsampsize looks for the standard error in steps of 0.0001 and the paper rounds it to 0.051: 0.3 % away."""
    assert needed(prevalence, 0.8, widths=(width, 0.2, 0.1)).observed_expected == pytest.approx(cases, rel=4e-3)


def test_the_slope_of_pmvalsampsize():
    """pmvalsampsize(prevalence = 0.018, cstatistic = 0.8, lpnormal = c(-5, 2.5), simobs = 1000): 4501 from 1,000 drawn
    linear predictors; the quantiles of that normal distribution give it but for the draw."""
    spread = norm.ppf((np.arange(20000) + 0.5) / 20000, -5, 2.5)
    assert needed(0.018, 0.8, risk=expit(spread)).slope == pytest.approx(4501, rel=0.06)


def test_the_slope_is_the_one_that_gives_the_width():
    """With the cases it asks for, the slope's interval is as wide as asked: checked by logistic regression."""
    from hepar.validate.calibration import calibration

    random = np.random.default_rng(4)
    risk = expit(random.normal(-1, 1, 40000))
    cases = needed(float(risk.mean()), 0.75, risk=risk).slope
    widths = []
    for _ in range(20):
        own = random.choice(risk, cases)
        slope = calibration(random.random(cases) < own, own).slope
        widths.append(slope.high - slope.low)
    assert np.mean(widths) == pytest.approx(0.2, rel=0.03)


def test_development_as_riley_2019():
    """Riley 2019: 20 parameters, Cox-Snell R2 0.1, shrinkage 0.9: 1698 (1699 rounded up, pmsampsize)."""
    assert needed_to_develop(20, 0.1) == 1699


def test_events_per_variable_count_the_rarer_class():
    assert events_per_variable(np.arange(100) < 70, 6) == 5.0


@pytest.mark.parametrize("wrong", [(0.0, 0.8), (0.2, 1.0)])
def test_impossible_expectations_are_refused(wrong):
    with pytest.raises(WrongCall, match="inside 0 to 1"):
        needed(*wrong)
