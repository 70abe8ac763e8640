"""Made-up tables with ties, few cases and odd shapes: every figure beside R's (reference/make.R made r_values.json)."""

import json
from pathlib import Path

import numpy as np
import pytest
from validate_reference import close, ends, error, full, pick

from hepar.validate import auc
from hepar.validate.calibration import brier_parts, calibration, calibration_curve, recalibration
from hepar.validate.cox import cox, proportional_hazards
from hepar.validate.discrimination import clustered_variance, compare_paired, compare_unpaired, placements
from hepar.validate.icc import icc
from hepar.validate.kappa import kappa_of_table
from hepar.validate.multiclass import hand_till
from hepar.validate.proportion import clustered
from hepar.validate.reclassification import idi, nri
from hepar.validate.roc import partial_auc
from hepar.validate.smooth import smooth
from hepar.validate.survival import at_time, concordance, kaplan_meier, log_rank
from hepar.validate.thresholds import at_threshold, choose_threshold

MADE = json.loads((Path(__file__).parent / "reference" / "r_values.json").read_text())
Z95 = 1.959963984540054


@pytest.fixture(params=MADE["roc"], ids=lambda case: case["name"])
def roc(request):
    return request.param


def test_auc_is_that_of_proc(roc):
    """ci.auc(roc(truth, a)); var(); its logit transformed."""
    wald = auc(roc["truth"], roc["a"], method="delong", level=roc["level"])
    close(full(wald), [roc["auc"], max(0.0, roc["wald"][0]), min(1.0, roc["wald"][1])])
    close(ends(auc(roc["truth"], roc["a"], level=roc["level"])), roc["logit"])


def test_comparisons_are_those_of_proc(roc):
    """roc.test(a, b, paired = TRUE), and FALSE on the same cases."""
    found = compare_paired(roc["truth"], roc["a"], roc["b"])
    close(
        [found.statistic, found.p, found.covariance, found.variances[0]], pick(roc, "z", "p", "covariance", "variance")
    )
    found = compare_unpaired(roc["truth"], roc["a"], roc["truth"], roc["b"])
    close([found.statistic, found.df, found.p], roc["welch"])


@pytest.mark.parametrize(
    ("key", "part"),
    [("specificity_90", {"lowest_specificity": 0.9}), ("specificity_70", {"lowest_specificity": 0.7}),
     ("sensitivity_80", {"lowest_sensitivity": 0.8})],
)  # fmt: skip
def test_partial_areas_are_those_of_proc(roc, key, part):
    """auc(roc, partial.auc = c(1, ...), partial.auc.focus = ..., partial.auc.correct = ...)."""
    found = partial_auc(roc["truth"], roc["a"], **part)
    close(found.raw.estimate, roc[key][0])
    if roc[key][1] is None:  # pROC corrects none below the diagonal
        assert found.corrected.estimate < 0.5
    else:
        close(found.corrected.estimate, roc[key][1])


def test_best_threshold_is_that_of_proc(roc):
    """coords(roc, "best"), the last row. Where no threshold beats none at all, pROC calls nobody positive (Inf)."""
    cut = choose_threshold(roc["truth"], roc["a"])
    table = at_threshold(roc["truth"], roc["a"], cut)
    if roc["best"]["threshold"] is None:
        assert table.youden == 0
        return
    close([table.sensitivity.estimate, table.specificity.estimate], pick(roc["best"], "sensitivity", "specificity"))
    close(cut, roc["best"]["threshold"])


def test_partial_area_without_a_limit_is_the_area():
    """Its variance then is DeLong's."""
    case = MADE["roc"][0]
    found = partial_auc(case["truth"], case["a"], lowest_specificity=0.0)
    close(full(found.raw), [case["auc"], *case["logit"]])
    close(full(found.corrected), full(found.raw))


def test_auc_of_cases_in_clusters():
    """Obuchowski's formula, pair by pair in R; and DeLong's where every cluster holds one case."""
    case = MADE["clustered_auc"]
    found = auc(case["truth"], case["score"], cluster=case["patient"], method="delong")
    close(found.estimate, case["auc"])
    truth, score, patient = (np.array(case[key]) for key in ("truth", "score", "patient"))
    positive = truth == 1
    area, by_pos, by_neg = placements(positive, score)
    variance = clustered_variance(area, by_pos, by_neg, patient[positive], patient[~positive])
    close(variance, case["variance"])
    close(found.low, area - Z95 * variance**0.5)
    alone = auc(case["truth"], case["score"], cluster=np.arange(len(case["truth"])))
    close(full(alone), full(auc(case["truth"], case["score"])))
    assert "clustered (18 patients)" in auc(case["truth"], case["score"], cluster=case["patient"]).method


def test_auc_of_one_patient_has_no_interval():
    assert auc([1, 0, 1, 0], [3, 2, 1, 0], cluster=["a", "a", "a", "a"]).low is None
    assert auc([1, 0, 1, 0], [3, 2, 1, 0], cluster=["a", "a", "a", "b"]).low is None


def test_share_of_cases_in_clusters():
    """survey::svyciprop(~hit, svydesign(id = ~patient, ...), method = "beta")."""
    case = MADE["clustered_share"]
    found = clustered(case["hit"], case["patient"], method="clopper-pearson")
    close(full(found), [case["share"], *case["beta"]])
    wilson = clustered(case["hit"], case["patient"])
    assert found.low < wilson.low < wilson.estimate < wilson.high < found.high
    everything = clustered([1, 1, 1, 1], ["a", "a", "b", "c"], method="clopper-pearson")
    close(full(everything), [1.0, 0.025 ** (1 / 3), 1.0])
    assert clustered([1, 0], ["a", "a"]).low is None


def test_hand_and_till():
    """pROC::multiclass.roc(truth, scores)."""
    case = MADE["hand_till"]
    found = hand_till(case["truth"], case["scores"], ["a", "b", "c", "d"])
    close(found.estimate, case["auc"])
    assert found.low < found.estimate < found.high


def test_hand_and_till_of_two_classes_is_the_area():
    """Both classes' scores the same but for the sign: the AUC and its interval."""
    case = MADE["roc"][0]
    a = np.array(case["a"])
    found = hand_till(case["truth"], np.column_stack([-a, a]), [0, 1])
    close(full(found), [case["auc"], *case["logit"]])
    assert "no case" in hand_till([0, 0], [[1, 2], [2, 1]], [0, 1]).missing


@pytest.fixture(scope="module")
def risks():
    case = MADE["calibration"]
    return case, np.array(case["y"]), np.array(case["p"])


def test_calibration_is_that_of_glm_and_val_prob(risks):
    """glm(..., epsilon = 1e-15); rms::val.prob."""
    case, y, p = risks
    found, block = calibration(y, p), case["val_prob"]
    close([found.intercept, found.slope.estimate], case["slope"])
    close([error(found.slope), found.offset_intercept.estimate, error(found.offset_intercept)],
          [case["slope_se"][1], case["large"], case["large_se"]])  # fmt: skip
    close([found.nagelkerke_r2, found.d, found.d_chi2, found.u, found.u_chi2, found.u_p, found.q, found.brier],
          pick(block, "R2", "D", "D:Chi-sq", "U", "U:Chi-sq", "U:p", "Q", "Brier"))  # fmt: skip
    close([found.spiegelhalter_z, found.spiegelhalter_p], pick(block, "S:z", "S:p"))
    curve = calibration_curve(y, p, smoother="lowess")
    close([curve.emax, curve.e90, curve.ici], pick(block, "Emax", "E90", "Eavg"))


def test_calibration_curve_is_that_of_loess(risks):
    case, y, p = risks
    close(calibration_curve(y, p).observed, np.array(case["loess"])[np.argsort(p, kind="stable")])


@pytest.mark.parametrize("smoother", ["loess", "loess1", "lowess"])
def test_smooth_curves_through_ties(smoother):
    """predict(loess(y ~ p, degree = ...)); lowess(p, y, iter = 0)."""
    for case in MADE["ties"]:
        close(smooth(np.array(case["p"]), np.array(case["y"]) == 1, smoother=smoother), case[smoother])


def test_calibration_band_is_that_of_a_bootstrap_in_r(risks):
    """4,000 draws there, 300 here; the ends differ by chance, seen to stay below 0.03."""
    _, y, p = risks
    band, curve = MADE["band"], calibration_curve(y, p, draws=300)
    for here, there in ((curve.low, band["low"]), (curve.high, band["high"])):
        there = np.clip(there, 0, 1)
        assert np.abs(np.interp(band["at"], curve.predicted, here) - there).max() < 0.05


def test_recalibration_is_that_of_r(risks):
    """fitted(glm), with and without a slope; isoreg."""
    case, y, p = risks
    for method, key in (("logistic", "logistic"), ("intercept", "shifted"), ("isotonic", "isotonic")):
        close(recalibration(y, p, method=method)(p), case[key])


def test_parts_of_the_brier_score(risks):
    """Stephenson 2008: what the grouping leaves over is the variance within less the covariance within."""
    case, y, p = risks
    found, want = brier_parts(y, p), case["parts"]
    close([found.brier, found.reliability, found.resolution, found.uncertainty],
          pick(want, "brier", "reliability", "resolution", "uncertainty"))  # fmt: skip
    close(found.within, want["within_variance"] - want["within_covariance"])


def test_nri_and_idi_are_those_of_improve_prob(risks):
    _, y, p = risks
    want = MADE["improve"]
    net, gain = nri(y, p, want["q"]), idi(y, p, want["q"])
    close([net.nri.estimate, error(net.nri), net.z, gain.idi.estimate, error(gain.idi), gain.z],
          pick(want, "nri", "se.nri", "z.nri", "idi", "se.idi", "z.idi"))  # fmt: skip
    close([net.nri_events.estimate, error(net.nri_events), net.nri_nonevents.estimate, error(net.nri_nonevents)],
          pick(want, "nri.ev", "se.nri.ev", "nri.ne", "se.nri.ne"))  # fmt: skip


@pytest.mark.parametrize("case", MADE["kappa"])
def test_kappa_is_that_of_vcd_and_psych(case):
    for weights, key in (("none", "plain"), ("linear", "linear"), ("quadratic", "quadratic")):
        found = kappa_of_table(case["rows"], weights=weights)
        close([found.kappa.estimate, found.standard_error], case[key])
    for row, weights in zip(case["psych"], ("none", "quadratic"), strict=True):
        close(np.clip(full(kappa_of_table(case["rows"], weights=weights, method="psych").kappa), -1, 1),
              [row[1], row[0], row[2]])  # fmt: skip


@pytest.mark.parametrize("case", MADE["icc"])
def test_icc_is_that_of_psych(case):
    for form, row in zip(("1,1", "2,1", "3,1", "1,k", "2,k", "3,k"), case["table"], strict=True):
        found = icc(case["ratings"], form=form)
        close([found.icc.estimate, found.f, found.df1, found.df2, found.p], row[:5])
        if found.icc.low is not None:
            close(ends(found.icc), row[5:])
        else:  # psych goes through the pole and gives a lower end above the upper one
            assert row[5] > row[6]


@pytest.fixture(scope="module")
def followed():
    case = MADE["survival"]
    return (
        case,
        *(np.array(case[key]) for key in ("time", "event", "marker")),
        np.column_stack([case["x1"], case["x2"]]),
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_with_many_ties(followed, ties):
    case, time, event, _, terms = followed
    found, want = cox(time, event, terms, ("x1", "x2"), ties=ties), case[ties]
    close([*found.coefficients, *found.standard_errors, *found.loglik, found.score],
          [*want["coef"], *want["se"], *want["loglik"], want["score"]])  # fmt: skip


@pytest.mark.parametrize("scale", ["km", "identity", "log", "rank"])
def test_proportional_hazards_with_many_ties(followed, scale):
    """cox.zph(fit, transform = ...)."""
    case, time, event, _, terms = followed
    found = proportional_hazards(time, event, terms, ("x1", "x2"), scale=scale)
    close([[row.chi2, row.df, row.p] for row in found], case["zph"][scale])


def test_concordance_with_many_ties(followed):
    """concordance(Surv ~ marker, reverse = TRUE, timewt = ...); Hmisc::rcorr.cens."""
    case, time, event, marker, _ = followed
    for weights in ("harrell", "uno"):
        found = concordance(time, event, marker, weights=weights)
        close([found.c.estimate, found.standard_error], case[weights])
    close(concordance(time, event, marker).c.estimate, case["rcorr_cens"])


def test_survival_with_many_ties(followed):
    """survfit, quantile(., 0.5), the restricted mean, survdiff of three groups."""
    case, time, event, _, _ = followed
    curve = kaplan_meier(time, event)
    close(full(curve.estimate_at(5)), case["at_5"])
    close(full(curve.median()), case["median"])
    mean = curve.restricted_mean(10)
    close([mean.estimate, error(mean)], case["rmean_10"])
    found = log_rank(time, event, case["group"])
    close([found.chi2, found.p], case["log_rank"])


def test_median_on_a_flat_piece_is_its_middle():
    """Half have had the event from 4 to 6: R's quantile(survfit) gives 5, and no upper end."""
    flat = MADE["survival"]["flat"]
    found = kaplan_meier(flat["time"], flat["event"]).median()
    assert found.estimate == flat["median"][0] == 5
    assert flat["median"][2] is None
    assert found.low is None


def test_auc_and_brier_at_a_time_with_many_ties(followed):
    """riskRegression::Score(list(risk), times = c(4, 8), cens.model = "km")."""
    case, time, event, marker, _ = followed
    for want in case["score"]:
        found = at_time(time, event, marker, want["time"], risk=1 / (1 + np.exp(-marker)))
        close([found.auc.estimate, error(found.auc)], want["auc"][:2])
        close([found.brier.estimate, error(found.brier)], want["brier"])
        close([found.brier_null.estimate, error(found.brier_null)], want["null"])
