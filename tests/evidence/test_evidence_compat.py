"""What mada, midas, metandi and lme4 print, made again."""

import pytest

from evidence.evidence_reference import ALL, expected, fitted, table_of
from hepar.errors import WrongCall
from hepar.evidence.compatibility import compat

MADA_WITHOUT_VARIANCE = {"sim_sparse12"}
"""mada's standard deviations are below 1e-4 there, so that its correlation and its curve are chance."""
GLMER_FAILED = {"sim_k10", "telomerase"}
"""lme4 stopped early there: at variance 0 with a log likelihood 0.96 too low, and with "failed to converge"."""


@pytest.mark.parametrize("name", [name for name in ALL if name not in MADA_WITHOUT_VARIANCE])
def test_mada(name):
    for key, method, correction in (
        ("mada_reml", "REML", "all"), ("mada_ml", "ML", "all"), ("mada_reml_single", "REML", "single"),
    ):  # fmt: skip
        stored = expected(name).get(key)
        if stored is None:
            continue
        found = compat(table_of(name), "mada", method=method, correction=correction).numbers
        for own in ("logLik", "AUC", "tsens", "tfpr", "sd_tsens", "sd_tfpr", "corr_tsens_tfpr"):
            assert found[own] == pytest.approx(stored[own], abs=1e-3), own
        for own, value in stored["HSROC"].items():
            assert found[own] == pytest.approx(value, rel=1e-3, abs=1e-3), own


@pytest.mark.parametrize("name", ALL)
def test_midas(name):
    stored, found = expected(name), compat(table_of(name), "midas")
    numbers, auc = found.numbers, stored["exact_agq21"]["AUC"]
    assert numbers["AUC"] == pytest.approx(auc["midas_auc"], abs=1e-5)
    assert [numbers["AUC_lo"], numbers["AUC_hi"]] == pytest.approx(auc["midas_wilson_ci_n500"], abs=1e-5)
    assert numbers["shared_loglik"] == pytest.approx(stored["midas_shared_intercept_model"]["loglik"], abs=1e-4)
    for side in ("sens", "spec"):
        theirs = stored["midas_heterogeneity"][side]
        assert numbers[f"Q_{side}"] == pytest.approx(theirs["Q"], rel=1e-3)
        own = [numbers[f"I2_{side}{end}"] for end in ("", "_lo", "_hi")]
        assert own == pytest.approx([theirs[key] for key in ("I2", "lo", "hi")], abs=1e-2)
    assert numbers["LRT_Q"] == pytest.approx(stored["midas_LRT"]["Q"], abs=1e-3)
    assert numbers["LRT_p_halved"] == pytest.approx(stored["midas_LRT"]["p_halved_as_midas"], rel=1e-3)
    assert {one.name for one in found.defects} >= {"AUC_lo", "prediction_covariance", "I2_sens", "LRT_Q"}


@pytest.mark.parametrize("name", [name for name in ALL if name not in GLMER_FAILED])
def test_glmer(name):
    stored, found = expected(name)["glmer_laplace"], compat(table_of(name), "glmer").numbers
    for own in ("loglik", "logit_sens", "logit_spec"):
        assert found[own] == pytest.approx(stored[own], abs=2e-3), own
    # lme4 stops a little before the maximum, which moves its variances most
    assert found["loglik"] > stored["loglik"] - 1e-5
    for own in ("var_logit_sens", "var_logit_spec", "corr"):
        if stored[own] is not None:
            assert found[own] == pytest.approx(stored[own], abs=2e-3, rel=3e-3), own


@pytest.mark.parametrize("name", sorted(GLMER_FAILED))
def test_where_glmer_failed_our_laplace_fit_is_better(name):
    assert compat(table_of(name), "glmer").numbers["loglik"] > expected(name)["glmer_laplace"]["loglik"] + 5e-5


def test_metandi_takes_five_points():
    """metandi nip(7) prints -50.3866 on telomerase; five points are 0.005 off the exact value."""
    table, exact = table_of("telomerase"), fitted("telomerase")
    found = compat(table, "metandi")
    assert found.numbers["loglik"] == pytest.approx(exact.loglik, abs=0.01)
    assert found.numbers["Corr(logits)"] == -1
    assert found.defects[0].right == exact.loglik


def test_another_program_is_a_wrong_call():
    with pytest.raises(WrongCall, match="compatibility"):
        compat(table_of("sim_k10"), "excel")
