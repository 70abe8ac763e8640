"""What mada, midas, metandi and lme4 print, made again."""

import pytest

from evidence.evidence_reference import expected, fitted, table_of
from hepar.errors import WrongCall
from hepar.evidence.compatibility import compat

GLMER_FAILED = {"sim_k10", "telomerase"}
"""lme4 stopped early there: at variance 0 with a log likelihood 0.96 too low, and with "failed to converge"."""


def test_defects_are_named_with_their_printed_numbers():
    """The numbers themselves are met one by one in test_evidence_every_number."""
    stored = expected("sim_k20")
    midas, mada = (compat(table_of("sim_k20"), program) for program in ("midas", "mada"))
    assert {one.name for one in midas.defects} >= {"AUC_lo", "prediction_covariance", "I2_sens", "LRT_Q"}
    assert midas.defects[0].printed == pytest.approx(stored["exact_agq21"]["AUC"]["midas_wilson_ci_n500"][0], abs=1e-5)
    right = stored["exact_agq21"]["AUC"]["delta_logit_ci_recommended"][0]
    assert midas.defects[0].right == pytest.approx(right, abs=1e-4)
    printed = {one.name: one.printed for one in mada.defects}
    assert printed["I2_Zhou"] == pytest.approx(stored["mada_reml"]["i2_as_printed_by_mada"]["Zhou"], abs=1e-3)
    correct = {one.name: one.right for one in mada.defects}["I2_Zhou"]
    assert correct == pytest.approx(stored["mada_reml"]["I2_zhou_dendukuri_correct"]["I2_bivariate"], abs=1e-2)


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
