"""Sites: pooling and leaving out."""

import numpy as np
import pytest

from hepar.errors import WrongCall
from hepar.validate import auc
from hepar.validate.sites import drop, leave_one_site_out, pool, pooled_auc


def test_equal_variances_have_a_closed_form():
    """REML with equal v: tau2 = s2 - v, mean plain, Hartung-Knapp = Student's t. Values 1, 2, 3, 6: s2 = 14/3."""
    found = pool([1, 2, 3, 6], [0.5] * 4)
    assert found.tau2 == pytest.approx(14 / 3 - 0.5, rel=1e-6)
    assert found.mean.estimate == pytest.approx(3.0)
    assert found.mean.high - 3.0 == pytest.approx(3.182446305 * (14 / 3 / 4) ** 0.5)
    assert found.prediction[1] - 3.0 == pytest.approx(4.30265273 * (14 / 3 - 0.5 + 14 / 3 / 4) ** 0.5, rel=1e-6)
    assert found.i2_percent == pytest.approx(100 * (28 - 3) / 28)


def test_sites_that_agree_have_no_spread():
    assert pool([1.0, 1.01, 0.99], [0.2, 0.1, 0.3]).tau2 == 0.0


def test_one_site_cannot_be_pooled():
    with pytest.raises(WrongCall, match="two sites at least"):
        pool([1.0], [0.1])


@pytest.fixture(scope="module")
def three_sites():
    random = np.random.default_rng(0)
    site = np.repeat(["a", "b", "c"], [150, 150, 12])
    truth = random.random(312) < 0.4
    return truth, random.normal(size=312) + 1.2 * truth, site


def test_a_small_site_is_left_out_with_its_reason(three_sites):
    found, out = pooled_auc(*three_sites)
    assert len(out) == 1
    assert out[0].startswith("c: ")
    truth, score, site = three_sites
    areas = sorted(auc(truth[site == name], score[site == name]).estimate for name in "ab")
    assert areas[0] < found.mean.estimate < areas[1]
    assert found.prediction is None


def test_leaving_a_site_out_is_the_auc_of_the_rest(three_sites):
    truth, score, site = three_sites
    found = leave_one_site_out(truth, score, site)
    assert sorted(found) == ["a", "b", "c"]
    assert found["b"] == auc(truth[site != "b"], score[site != "b"])


def test_the_drop_is_inside_less_outside(three_sites):
    truth, score, site = three_sites
    a, b = site == "a", site == "b"
    found = drop(truth[a], score[a], truth[b], score[b])
    assert found.difference.estimate == pytest.approx(found.first.estimate - found.second.estimate)
