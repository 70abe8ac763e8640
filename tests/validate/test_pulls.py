"""Measures as values and pulls: against the closed forms that they must equal."""

import numpy as np
import pytest

from hepar.validate import auc
from hepar.validate.calibration import calibration
from hepar.validate.discrimination import compare_paired, compare_unpaired
from hepar.validate.proportion import difference, proportion
from hepar.validate.pulls import SHARES, Pull, estimate, gap, names, paired_gap, pull, variance

EVERY = names(threshold=0.4, risk=True)


@pytest.fixture(scope="module")
def cases():
    random = np.random.default_rng(8)
    positive = random.random(240) < 0.35
    return positive, np.clip(0.35 + 0.2 * positive + 0.18 * random.normal(size=240), 0.01, 0.99)


def test_pulls_add_up_to_nothing(cases):
    for name in EVERY:
        found = pull(name, *cases, 0.4)
        assert isinstance(found, Pull)
        assert abs(found.pull.sum()) < 1e-9


def test_the_auc_has_delongs_variance(cases):
    found = pull("AUC", *cases)
    wald = auc(*cases, method="delong")
    assert 1.959963985 * variance(found, None) ** 0.5 == pytest.approx(wald.high - wald.estimate, rel=1e-9)
    assert estimate("AUC", *cases) == auc(*cases)


def test_calibration_is_that_of_val_prob(cases):
    whole = calibration(*cases)
    assert estimate("calibration slope", *cases).low == pytest.approx(whole.slope.low, rel=1e-9)
    assert estimate("calibration in the large", *cases).high == pytest.approx(whole.offset_intercept.high, rel=1e-9)
    ratio = estimate("observed / expected", *cases)
    assert ratio.estimate == pytest.approx(whole.observed_expected)
    # Debray 2017: the standard error of ln(O/E) is sqrt((1 - O/n) / O)
    o, n = cases[0].sum(), cases[0].size
    assert np.log(ratio.high / ratio.estimate) == pytest.approx(1.959963985 * ((1 - o / n) / o) ** 0.5, rel=1e-9)
    assert estimate("Brier score", *cases).estimate == pytest.approx(whole.brier)


def test_shares_are_wilsons(cases):
    positive, score = cases
    hit = int((score[positive] >= 0.4).sum())
    assert estimate("sensitivity", *cases, 0.4) == proportion(hit, int(positive.sum()))


def test_one_row_per_patient_is_no_cluster(cases):
    """The sandwich with one row per cluster is the variance of independent rows, but for n / (n - 1)."""
    own = np.arange(240)
    for name in (*SHARES, "AUC", "Brier score"):
        free, held = (estimate(name, *cases, 0.4, cluster=cluster) for cluster in (None, own))
        assert held.high - held.low == pytest.approx(free.high - free.low, rel=0.02)


def test_every_row_twice_says_no_more_when_it_is_known(cases):
    """Two equal rows of one patient: the interval of the patients alone. Unknown, it is sqrt(2) narrower."""
    twice = [np.repeat(part, 2) for part in cases]
    for name in EVERY:
        once = estimate(name, *cases, 0.4, cluster=np.arange(240))
        known = estimate(name, *twice, 0.4, cluster=np.repeat(np.arange(240), 2))
        blind = estimate(name, *twice, 0.4)
        assert known.estimate == pytest.approx(once.estimate)
        assert known.high - known.low == pytest.approx(once.high - once.low, rel=0.02)
        assert blind.high - blind.low < 0.8 * (known.high - known.low)


def test_gaps_of_independent_groups_are_those_of_the_literature(cases):
    positive, score = cases
    one = np.arange(240) < 120
    area = compare_unpaired(positive[one], score[one], positive[~one], score[~one]).difference
    assert gap("AUC", positive, score, one, ~one) == area
    counts = [(int((score[k & positive] >= 0.4).sum()), int((k & positive).sum())) for k in (one, ~one)]
    assert gap("sensitivity", positive, score, one, ~one, 0.4) == difference(*counts[0], *counts[1])


def test_a_patient_in_both_groups_narrows_the_gap(cases):
    """The same rows in both groups, known as the same patients: no gap, and no doubt about it."""
    positive, score = (np.tile(part, 2) for part in cases)
    one = np.arange(480) < 240
    blind = gap("Brier score", positive, score, one, ~one)
    known = gap("Brier score", positive, score, one, ~one, cluster=np.tile(np.arange(240), 2))
    assert blind.estimate == known.estimate == 0.0
    assert blind.low < -0.01
    assert known.low is None


def test_the_paired_gap_of_two_aucs_is_delongs(cases):
    positive, score = cases
    other = np.clip(score + np.random.default_rng(1).normal(0, 0.2, 240), 0, 1)
    delong = compare_paired(positive, score, other)
    value, p = paired_gap("AUC", positive, score, other)
    assert value.low == pytest.approx(delong.difference.low, rel=1e-9)
    assert p == pytest.approx(delong.p, rel=1e-9)


def test_what_cannot_be_told_says_why():
    assert estimate("sensitivity", np.zeros(5, bool), np.arange(5.0), 2.0).missing == "no positive case"
    assert "both classes are needed" in estimate("calibration slope", np.ones(5, bool), np.full(5, 0.5)).missing
    apart = estimate("calibration slope", np.arange(40) > 19, np.linspace(0.1, 0.9, 40))
    assert "perfectly separated" in apart.missing
