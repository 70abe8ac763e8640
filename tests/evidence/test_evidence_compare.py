"""Meta-regression against exact fits in R, and clustered fits against the Cochrane Handbook's lme4 code."""

from collections import Counter

import numpy as np
import pytest

from evidence.evidence_reference import shared_json, shared_table, table_of
from hepar.errors import WrongCall
from hepar.evidence.comparison import compare
from hepar.evidence.fit import fit
from hepar.evidence.likelihood import bivariate
from hepar.evidence.table import Table

JOBS = (
    "anticcp_generation", "schuetz_test", "schuetz_paired5", "ascus_test", "catheter_type", "scheidler_modality",
    "melanoma_independent", "melanoma_method", "melanoma_reader",
)  # fmt: skip


def job(name):
    stored = shared_json("metaregression_expected.json")[name]
    if name != "schuetz_paired5":
        return stored, shared_table(stored["dataset"])
    table = shared_table("schuetz_ct_mri")
    times = Counter(table.study)
    return stored, table.take([i for i, study in enumerate(table.study) if times[study] > 1])


def logit(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize("name", JOBS)
def test_models_and_tests_meet_the_reference(name):
    stored, table = job(name)
    found = compare(table, stored["covariate"])
    for model, value in stored["loglik"].items():
        assert found.loglik[model[0]] == pytest.approx(value, abs=1e-4)
    for own, theirs in (
        (found.lrt.joint, "LRT_any_difference"), (found.lrt.sensitivity, "LRT_sens_given_spec_free"),
        (found.lrt.specificity, "LRT_spec_given_sens_free"),
    ):  # fmt: skip
        assert own.chi2 == pytest.approx(stored[theirs]["chi2"], abs=1e-4)
        assert own.df == stored[theirs]["df"]
        assert own.p == pytest.approx(stored[theirs]["p"], rel=1e-3)
    for own, theirs in zip(found.levels, stored["levels"], strict=True):
        assert logit(own.sensitivity.estimate) == pytest.approx(theirs["logit_sens"], abs=1e-4)
        assert logit(own.specificity.estimate) == pytest.approx(theirs["logit_spec"], abs=1e-4)
    contrast = stored.get("contrast_level2_minus_level1")
    if contrast:
        for key, own in (("sens", found.contrasts[0].sensitivity), ("spec", found.contrasts[0].specificity)):
            theirs = contrast[key]
            assert own.logit_difference.estimate == pytest.approx(theirs["logit_diff"], abs=1e-4)
            assert own.difference.estimate == pytest.approx(theirs["prob_diff"], abs=1e-4)
            assert [own.difference.low, own.difference.high] == pytest.approx(theirs["prob_diff_ci"], abs=1e-4)
            assert [own.ratio.low, own.ratio.high] == pytest.approx(theirs["ratio_ci"], abs=1e-4)
            assert own.p == pytest.approx(theirs["p"], abs=1e-4)


@pytest.mark.parametrize("name", ["schuetz_paired5", "ascus_test", "melanoma_reader"])
def test_paired_tables_share_the_effects_of_their_study(name):
    """lme4's Laplace differs from the exact likelihood by less than 0.05 here."""
    stored, table = job(name)
    glmer = stored["study_clustered_glmer"]
    found = compare(table, stored["covariate"], study="study")
    assert found.studies == glmer["n_clusters"]
    for model, value in glmer["loglik"].items():
        assert found.loglik[model] == pytest.approx(value, abs=0.05)
    assert found.lrt.joint.chi2 == pytest.approx(glmer["LRT_AB"]["chi2"], abs=0.01)
    assert found.lrt.sensitivity.chi2 == pytest.approx(glmer["LRT_sens_CB"]["chi2"], abs=0.01)
    assert found.lrt.specificity.chi2 == pytest.approx(glmer["LRT_spec_DB"]["chi2"], abs=0.01)


def test_the_order_of_the_rows_does_not_matter():
    table = table_of("sim_external40")
    turned = table.take(np.arange(table.k)[::-1])
    first, second = (compare(one, "external") for one in (table, turned))
    assert first.lrt.joint.chi2 == pytest.approx(second.lrt.joint.chi2, abs=1e-7)


def test_unequal_covariances_are_separate_fits_when_both_sides_are_free():
    table = table_of("sim_external40")
    found = compare(table, "external", unequal=True)
    apart = 0.0
    for level in ("0", "1"):
        part = table.take([i for i, value in enumerate(table.covariate("external")) if value == level])
        apart += fit(bivariate(part.tp, part.n1, part.tn, part.n0)).loglik
    assert found.loglik["B"] == pytest.approx(apart, abs=1e-6)
    assert set(found.between_study) == {"0", "1"}


def test_the_reference_level_turns_the_sign():
    table = table_of("sim_external40")
    one, other = compare(table, "external"), compare(table, "EXTERNAL", reference="1")
    assert one.contrasts[0].dor.difference.estimate == pytest.approx(-other.contrasts[0].dor.difference.estimate)
    assert other.contrasts[0].reference == "1"
    with pytest.raises(WrongCall, match="no level"):
        compare(table, "external", reference="2")
    with pytest.raises(WrongCall, match="no column"):
        compare(table, "nowhere")


@pytest.mark.parametrize(
    ("values", "words"),
    [(["x"] * 10, "same value"), ([*"ab" * 4, "", "a"], "no value"), (list("abcdefghij"), "nearly one level")],
)
def test_what_cannot_be_a_covariate_is_left_out_with_a_sentence(values, words):
    table = table_of("sim_k10")
    table = Table(table.study, table.tp, table.fp, table.fn, table.tn, {"group": tuple(values)})
    found = compare(table, "group")
    assert words in found.left_out[0].reason
    assert found.lrt is None
    assert found.contrasts == ()


def test_many_numbers_enter_as_a_slope():
    table = table_of("sim_external40")
    year = tuple(str(1990 + i) for i in range(table.k))
    table = Table(table.study, table.tp, table.fp, table.fn, table.tn, {"year": year})
    found = compare(table, "year")
    assert found.lrt.joint.df == 2
    assert len(found.contrasts) == 1
    assert "sd" in found.contrasts[0].level
