"""Deeks, LFK, Spearman, univariate Q and the normal approximation, against R (metasens, meta, mada, metafor)."""

import numpy as np
import pytest

from evidence.evidence_reference import ALL, expected, fitted, table_of
from hepar.evidence.fit import fit
from hepar.evidence.influence import influence
from hepar.evidence.likelihood import bivariate
from hepar.evidence.reitsma import reitsma
from hepar.evidence.small_study import deeks, lfk, spearman
from hepar.evidence.univariate import univariate


@pytest.mark.parametrize("name", ALL)
def test_deeks_lfk_and_spearman_meet_the_reference(name):
    table, stored = table_of(name), expected(name)["small_study_and_univariate"]
    found, index = deeks(table), lfk(table)
    assert found is not None
    assert index is not None
    assert found.slope.estimate == pytest.approx(stored["deeks_n_uncorrected"]["slope"], rel=1e-8)
    assert found.p == pytest.approx(stored["deeks_n_uncorrected"]["p"], abs=1e-8)
    assert index.index == pytest.approx(stored["lfk_lnDOR"]["index"], abs=1e-8)
    assert index.reading == stored["lfk_lnDOR"]["interpretation"]
    rho, p = spearman(table)
    assert rho == pytest.approx(stored["spearman_logitTPR_logitFPR_cc_single"]["rho"], abs=1e-8)
    assert p == pytest.approx(stored["spearman_logitTPR_logitFPR_cc_single"]["p_asymptotic_t"], abs=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_cochran_q_meets_the_reference(name):
    found, stored = univariate(table_of(name)), expected(name)["small_study_and_univariate"]["univariate_I2"]
    pairs = {
        "logit_sensitivity": "logit_sens", "logit_specificity": "logit_spec", "log_dor": "lnDOR",
        "log_lr_positive": "logLRpos", "log_lr_negative": "logLRneg",
    }  # fmt: skip
    for own, theirs in pairs.items():
        values = [found[own].q, found[own].i2, found[own].tau2]
        assert values == pytest.approx([stored[theirs][key] for key in ("Q", "I2", "tau2_DL")], rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("key", "method", "correction"),
    [("mada_reml", "REML", "all"), ("mada_ml", "ML", "all"), ("mada_reml_single", "REML", "single")],
)
def test_normal_approximation_meets_mada(name, key, method, correction):
    stored = expected(name).get(key)
    if stored is None:
        pytest.skip("mada gives the same fit with both corrections where no cell is 0")
    found = reitsma(table_of(name), method=method, correction=correction)
    assert found.means == pytest.approx([stored["logit_sens"], stored["logit_spec"]], abs=1e-3)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(
        [stored["logit_sens_se"], stored["logit_spec_se"]], rel=1e-3
    )
    # mada speaks of the false-positive rate, so its covariance has the other sign
    assert found.between == pytest.approx(np.array(stored["Psi_tsens_tfpr"]) * [[1, -1], [-1, 1]], abs=1e-3)


def test_leaving_one_out_equals_a_fresh_fit_of_the_rest():
    table = table_of("sim_k10")
    found = influence(fitted("sim_k10"), table)
    for i in (0, 7):
        rest = table.take(np.delete(np.arange(table.k), i))
        fresh = fit(bivariate(rest.tp, rest.n1, rest.tn, rest.n0))
        assert found[i].dor == pytest.approx(np.exp(fresh.theta[0] + fresh.theta[1]), rel=1e-4)


def test_a_study_far_from_the_rest_is_named():
    table = table_of("sim_mvi68").take(list(range(20)))
    counts = {"tp": table.tp.copy(), "fn": table.fn.copy(), "fp": table.fp.copy(), "tn": table.tn.copy()}
    for name, value in {"tp": 3, "fn": 120, "fp": 150, "tn": 4}.items():
        counts[name][5] = value
    odd = type(table)(table.study, counts["tp"], counts["fp"], counts["fn"], counts["tn"])
    found = influence(fit(bivariate(odd.tp, odd.n1, odd.tn, odd.n0)), odd)
    assert [one.study for one in found if one.outlier] == [table.study[5]]
    assert max(found, key=lambda one: one.cook).study == table.study[5]
