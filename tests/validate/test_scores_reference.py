"""Scores against a yes-or-no truth: every figure that R made (pROC, prop.test, rms, dcurves, Hmisc)."""

import numpy as np
import pytest
from validate_reference import close, ends, error, expected, full, pick, table

from hepar.validate import auc, net_benefit
from hepar.validate.calibration import calibration, calibration_curve, grouped, hosmer_lemeshow
from hepar.validate.discrimination import compare_paired, compare_unpaired
from hepar.validate.proportion import difference, proportion
from hepar.validate.reclassification import idi, nri
from hepar.validate.roc import partial_auc
from hepar.validate.thresholds import TwoByTwo, at_threshold, choose_threshold, mcnemar_counts
from hepar.validate.utility import net_benefit_survival


@pytest.fixture(scope="module")
def asah():
    want = expected("roc_delong_asah")
    data = table("asah.csv")
    return want, data["outcome"] == "Poor", data


@pytest.mark.parametrize("marker", ["s100b", "wfns"])
def test_auc_with_both_intervals_is_that_of_proc(asah, marker):
    """pROC: ci.auc(roc(outcome, marker)), and the logit-transformed interval."""
    want, truth, data = asah
    close(full(auc(truth, data[marker], method="delong")), [want[marker]["auc"], *want[marker]["ci"]])
    close(ends(auc(truth, data[marker])), want[marker]["ci_logit_transformed"])


def test_hanley_and_mcneil(asah):
    want, truth, data = asah
    found = auc(truth, data["s100b"], method="hanley-mcneil")
    close([*ends(found), error(found)], [*want["hanley_mcneil_s100b"]["ci"], want["hanley_mcneil_s100b"]["se"]])


@pytest.mark.parametrize("other", ["wfns", "ndka"])
def test_paired_comparison_is_that_of_proc(asah, other):
    """pROC: roc.test(s100b, other, paired = TRUE)."""
    want, truth, data = asah
    block, found = want[f"paired_s100b_vs_{other}"], compare_paired(truth, data["s100b"], data[other])
    close([found.statistic, found.p, found.covariance], pick(block, "z", "p", "cov"))
    close([found.first.estimate, found.second.estimate, *ends(found.difference)], [*block["auc"], *block["diff_ci"]])
    close(found.variances[0], want["s100b"]["var"])
    if other in want:
        close(found.variances[1], want[other]["var"])


def test_unpaired_comparison_is_that_of_proc(asah):
    """pROC: roc.test(s100b, ndka, paired = FALSE)."""
    want, truth, data = asah
    found = compare_unpaired(truth, data["s100b"], truth, data["ndka"])
    close([found.statistic, found.df, found.p], pick(want["unpaired_test_example"], "D", "df", "p"))


def test_youden_threshold_and_its_table_are_those_of_proc(asah):
    """pROC: coords(roc, "best")."""
    want, truth, data = asah
    threshold = choose_threshold(truth, data["s100b"])
    found = at_threshold(truth, data["s100b"], threshold)
    shares = [getattr(found, name).estimate for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy")]
    block = want["youden_s100b"]
    keys = ("threshold", "sensitivity", "specificity", "ppv", "npv", "accuracy", "youden")
    close([threshold, *shares, found.youden + 1], pick(block, *keys))


def test_partial_area_is_that_of_proc(asah):
    want, truth, data = asah
    found = partial_auc(truth, data["s100b"], lowest_specificity=0.9)
    close(
        [found.raw.estimate, found.corrected.estimate],
        pick(want["pAUC_s100b_spec_1_to_0.9"], "raw", "mcclish_corrected"),
    )


METHODS = {
    "wilson": "wilson", "clopper_pearson": "clopper-pearson", "agresti_coull": "agresti-coull", "wald": "wald",
    "jeffreys_equal_tail": "jeffreys", "wilson_cc": "wilson-cc",
}  # fmt: skip


@pytest.mark.parametrize("key", METHODS)
def test_intervals_of_a_share_are_those_of_binom(key):
    for block in expected("proportion_ci"):
        close(ends(proportion(block["x"], block["n"], method=METHODS[key])), block[key])


def test_every_measure_of_a_two_by_two_table():
    want, found = expected("two_by_two"), TwoByTwo(86, 31, 20, 129)
    shares = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "lr_positive", "lr_negative", "odds_ratio")
    keys = ("sens_wilson", "spec_wilson", "ppv_wilson", "npv_wilson", "acc_wilson", "LRpos", "LRneg", "DOR")
    for name, key in zip(shares, keys, strict=True):
        close(full(getattr(found, name)), want[key])
    close([found.f1, found.mcc, found.youden, found.balanced_accuracy],
          pick(want, "F1", "MCC", "youden", "balanced_accuracy"))  # fmt: skip


def test_newcombe_difference():
    want, found = expected("newcombe_difference"), full(difference(56, 70, 48, 80))
    close(found, want["diff_lo_hi"])
    assert [round(v, 4) for v in found] == want["published_newcombe1998_case_a"]


def test_mcnemar_in_its_four_forms():
    want, found = expected("mcnemar"), mcnemar_counts(150, 86)
    close([found.chi2_corrected, found.p_corrected, found.chi2, found.p, found.p_exact],
          pick(want, "chi2_cc", "p_cc", "chi2", "p", "exact_p"))  # fmt: skip
    small = mcnemar_counts(2, 9)
    close([small.p_exact, small.p_mid, small.p_corrected, small.p],
          pick(want["small"], "exact_p", "midp", "chi2_cc_p", "chi2_p"))  # fmt: skip


@pytest.fixture(scope="module")
def calibrated():
    want, data = expected("calibration"), table("calibration_test.csv")
    return want, data["y"], data["p"]


def test_calibration_slope_intercept_and_brier(calibrated):
    want, truth, risk = calibrated
    found = calibration(truth, risk)
    close(
        [found.slope.estimate, found.intercept, found.offset_intercept.estimate, found.observed_expected],
        pick(want, "slope", "intercept_in_slope_model", "calibration_in_the_large_offset_intercept", "O_over_E"),
    )
    close([found.brier, found.brier_max, found.brier_scaled, found.log_loss],
          pick(want, "brier", "brier_max", "brier_scaled", "log_loss"))  # fmt: skip
    close(ends(found.slope_profile), want["slope_ci_profile"], rel=1e-5)  # R's confint interpolates by a spline
    close([found.u_chi2, found.u_p], pick(want["LRT_slope1_int0"], "chi2", "p"))
    close([found.spiegelhalter_z, found.spiegelhalter_p], pick(want["spiegelhalter"], "z", "p"))


def test_calibration_intervals_are_those_of_glm(calibrated):
    """confint.default(glm(...)). R stops once the deviance moves by less than 1e-8 of itself and takes the errors of
    the step before; the same steps and the same stop give its figures. Ours are converged: 3e-5 and 1e-4 apart."""
    want, truth, risk = calibrated
    found, x, one = calibration(truth, risk), np.log(risk / (1 - risk)), np.ones(truth.size)
    slope, slope_error = glm(np.column_stack([one, x]), truth, 0.0)
    shift, shift_error = glm(one[:, None], truth, x)
    z = 1.959963984540054
    close([slope[1] - z * slope_error[1], slope[1] + z * slope_error[1]], want["slope_ci_wald"])
    close([shift[0] - z * shift_error[0], shift[0] + z * shift_error[0]], want["citl_ci_wald"])
    close(ends(found.slope), want["slope_ci_wald"], rel=3e-5)
    close(ends(found.offset_intercept), want["citl_ci_wald"], rel=1e-4)


def glm(design, y, offset):
    """R's glm.fit(family = binomial()): coefficients of its last step, errors with the weights of the one before."""
    mu = (y + 0.5) / 2
    eta, deviance = np.log(mu / (1 - mu)), np.inf
    while True:
        weight = mu * (1 - mu)
        information = (design * weight[:, None]).T @ design
        beta = np.linalg.solve(information, design.T @ (weight * (eta - offset) + y - mu))
        eta = offset + design @ beta
        mu = 1 / (1 + np.exp(-eta))
        old, deviance = deviance, -2 * np.log(np.where(y == 1, mu, 1 - mu)).sum()
        if abs(deviance - old) / (abs(deviance) + 0.1) < 1e-8:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def test_calibration_is_that_of_val_prob(calibrated):
    """rms::val.prob. Its Dxy and C come from risks in 5,000 bins (lrm.fit of rms 6.5.0); ours from the risks."""
    want, truth, risk = calibrated
    found, block = calibration(truth, risk), want["rms_val_prob"]
    close([found.nagelkerke_r2, found.d, found.d_chi2, found.u, found.u_chi2, found.u_p, found.q, found.brier],
          pick(block, "R2", "D", "D:Chi-sq", "U", "U:Chi-sq", "U:p", "Q", "Brier"))  # fmt: skip
    close(found.nagelkerke_r2, want["nagelkerke_R2_of_recalibrated"])
    close([found.intercept, found.slope.estimate, found.spiegelhalter_z, found.spiegelhalter_p],
          pick(block, "Intercept", "Slope", "S:z", "S:p"))  # fmt: skip
    curve, binned = calibration_curve(truth, risk, smoother="lowess"), auc(truth, np.floor(risk * 5000)).estimate
    close([curve.emax, curve.e90, curve.ici], pick(block, "Emax", "E90", "Eavg"))
    close([2 * binned - 1, binned, binned], [*pick(block, "Dxy", "C (ROC)"), want["c_statistic"]])
    # pROC's auc and Hmisc's somers2 of the same cases, R 4.2.2
    close([found.somers_d, auc(truth, risk).estimate], [0.62853462157810, 0.81426731078905])


SMOOTHERS = {
    "ICI_loess_span075_degree2": "loess", "ICI_loess_span075_degree1": "loess1", "ICI_lowess_f23_iter0": "lowess",
    "ICI_rcs5_logit": "rcs5", "ICI_rcs3_logit": "rcs3",
}  # fmt: skip


@pytest.mark.parametrize("key", SMOOTHERS)
def test_every_smoother_gives_the_indices_of_r(calibrated, key):
    want, truth, risk = calibrated
    found = calibration_curve(truth, risk, smoother=SMOOTHERS[key])
    close([found.ici, found.e50, found.e90, found.emax], pick(want[key], "ICI", "E50", "E90", "Emax"))


def test_grouped_calibration(calibrated):
    want, truth, risk = calibrated
    found, block = hosmer_lemeshow(truth, risk), want["hosmer_lemeshow_deciles"]
    close([found.chi2, found.groups - 2, found.p_development, found.p_external],
          pick(block, "chi2", "df", "p", "p_external_df_g"))  # fmt: skip
    close([grouped(truth, risk, equal="width").ece, grouped(truth, risk).ece],
          pick(want, "ECE_10_equal_width", "ECE_10_quantile"))  # fmt: skip


@pytest.mark.parametrize("model", ["cancerpredmarker", "famhistory"])
def test_decision_curve_is_that_of_dcurves(model):
    """dcurves::dca(cancer ~ cancerpredmarker + famhistory, thresholds = ...)."""
    want, data = expected("dca_binary"), table("dca_binary.csv")
    found = net_benefit(data["cancer"] == "TRUE", data[model], want["thresholds"])
    rows = [row for row in want["rows"] if row["variable"] == model]
    close([found.model, found.tp_rate, found.fp_rate],
          [[row[key] for row in rows] for key in ("net_benefit", "tp_rate", "fp_rate")])  # fmt: skip
    for name, key, act in (("treat_all", "all", 1.0), ("treat_none", "none", 0.0)):
        rows = [row for row in want["rows"] if row["variable"] == key]
        close(getattr(found, name), [row["net_benefit"] for row in rows])
        every = net_benefit(data["cancer"] == "TRUE", np.full(data["cancer"].size, act), want["thresholds"])
        close([every.tp_rate, every.fp_rate], [[row[rate] for row in rows] for rate in ("tp_rate", "fp_rate")])
        close(every.model, getattr(found, name))
        share = [row["pos_rate"] for row in want["rows"]]
        close(np.full(len(share), (data["cancer"] == "TRUE").mean()), share)
    if model == "cancerpredmarker":
        close(found.interventions_avoided,
              [row["net_intervention_avoided"] for row in want["net_intervention_avoided"]])  # fmt: skip


def test_decision_curve_at_another_prevalence():
    """dcurves::dca(..., prevalence = 0.15)."""
    want, data = expected("dca_binary"), table("dca_binary.csv")
    for model in ("cancerpredmarker", "all"):
        rows = [row for row in want["prevalence_adjusted_15pct"] if row["variable"] == model]
        cuts = [row["threshold"] for row in rows]
        risk = data[model] if model in data else np.ones(data["cancer"].size)
        found = net_benefit(data["cancer"] == "TRUE", risk, cuts, prevalence=0.15)
        close(found.model if model in data else found.treat_all, [row["net_benefit"] for row in rows])
        close([found.tp_rate, found.fp_rate], [[row[rate] for row in rows] for rate in ("tp_rate", "fp_rate")])


def test_decision_curve_of_survival():
    """dcurves::dca(Surv(ttcancer, cancer) ~ cancerpredmarker, time = 1.5)."""
    want, data = expected("dca_survival"), table("dca_survival.csv")
    rows = [row for row in want["rows"] if row["variable"] == "cancerpredmarker"]
    cuts = [row["threshold"] for row in rows]
    event = data["cancer"] == "TRUE"
    found = net_benefit_survival(data["ttcancer"], event, data["cancerpredmarker"], cuts, at=want["time"])
    close([found.model, found.tp_rate, found.fp_rate],
          [[row[key] for row in rows] for key in ("net_benefit", "tp_rate", "fp_rate")])  # fmt: skip
    rows = [row for row in want["rows"] if row["variable"] == "all"]
    every = net_benefit_survival(data["ttcancer"], event, np.ones(event.size), cuts, at=want["time"])
    close(found.treat_all, [row["net_benefit"] for row in rows])
    close([every.model, every.tp_rate, every.fp_rate],
          [[row[key] for row in rows] for key in ("net_benefit", "tp_rate", "fp_rate")])  # fmt: skip
    close(every.tp_rate, [row["pos_rate"] for row in rows])


def test_continuous_nri_and_idi_are_those_of_hmisc():
    """Hmisc::improveProb(p_old, p_new, y)."""
    want, data = expected("nri_idi"), table("nri_idi.csv")
    block = want["Hmisc_improveProb"]
    net, gain = nri(data["y"], data["p_old"], data["p_new"]), idi(data["y"], data["p_old"], data["p_new"])
    close([net.nri.estimate, error(net.nri), net.z, net.p],
          [*pick(block, "nri", "se.nri", "z.nri"), want["continuous_nri_p"]])  # fmt: skip
    for part, key in ((net.nri_events, "ev"), (net.nri_nonevents, "ne")):
        close([part.estimate, error(part), part.estimate / error(part)],
              pick(block, f"nri.{key}", f"se.nri.{key}", f"z.nri.{key}"))  # fmt: skip
        up = (1 + (part.estimate if key == "ev" else -part.estimate)) / 2  # no risk stays the same
        close([up, 1 - up], pick(block, f"pup.{key}", f"pdown.{key}"))
    close([gain.events, gain.nonevents, gain.idi.estimate, error(gain.idi), gain.z, gain.p],
          [*pick(block, "improveSens", "improveSpec", "idi", "se.idi", "z.idi"), want["idi_p"]])  # fmt: skip
    assert "adds nothing" in net.warning


def test_categorical_nri():
    want, data = expected("nri_idi")["categorical"], table("nri_idi.csv")
    found = nri(data["y"], data["p_old"], data["p_new"], cutoffs=want["cutoffs"])
    close([found.nri.estimate, found.se_null, found.z, found.p, error(found.nri)],
          pick(want, "nri", "se_pencina_null", "z", "p", "se_alternative"))  # fmt: skip
    close([found.nri_events.estimate, found.nri_nonevents.estimate], pick(want, "nri_events", "nri_nonevents"))
    assert np.array_equal(found.table_events, want["table_events"])
    assert np.array_equal(found.table_nonevents, want["table_nonevents"])
