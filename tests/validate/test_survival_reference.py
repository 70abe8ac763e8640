"""Time to an event: every figure that R made (survival, survC1, riskRegression)."""

import numpy as np
import pytest
from scipy.stats import chi2
from validate_reference import close, error, expected, full, pick, table

from hepar.validate.cox import cox, proportional_hazards
from hepar.validate.survival import at_time, concordance, kaplan_meier, log_rank

Z95 = 1.959963984540054
NAMES = ("age", "sex", "ph.ecog")


@pytest.fixture(scope="module")
def lung():
    want, data = expected("survival"), table("lung_complete.csv")
    return want, data["time"], data["event"], np.column_stack([data[name] for name in NAMES])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_coefficients(lung, ties):
    """coxph(Surv(time, event) ~ age + sex + ph.ecog, ties = ...)."""
    want, time, event, terms = lung
    found, block = cox(time, event, terms, NAMES, ties=ties), want[f"cox_{ties}"]
    close(found.coefficients, pick(block["coef"], *NAMES))
    close(found.standard_errors, block["se"])


def test_cox_hazard_ratios_and_tests(lung):
    want, time, event, terms = lung
    found, block = cox(time, event, terms, NAMES), want["cox_efron"]
    for name, ratio in zip(NAMES, found.hazard_ratios, strict=True):
        close(full(ratio), [block["HR"][name], *block["HR_ci"][name]])
    close([*found.z, *found.p, *found.loglik], [*block["z"], *block["p"], *block["loglik"]])
    close([found.likelihood_ratio, found.score], [block["LRT"][0], block["score"][0]])
    assert found.wald == pytest.approx(block["wald"][0], abs=0.005)  # R rounds it to two decimals
    tests = (found.likelihood_ratio, found.wald, found.score)
    close(chi2.sf(tests, 3), [block["LRT"][2], block["wald"][2], block["score"][2]])


def test_concordance_after_harrell_and_uno(lung):
    """concordance(fit), and with timewt = "n/G2"."""
    want, time, event, terms = lung
    score = cox(time, event, terms, NAMES).linear_predictor(terms)
    found = concordance(time, event, score)
    close([found.c.estimate, found.standard_error, found.concordant, found.discordant, found.tied_score],
          pick(want["harrell_c"], "c", "se", "concordant", "discordant", "tied_x"))  # fmt: skip
    uno = concordance(time, event, score, weights="uno")
    close([uno.c.estimate, uno.standard_error], pick(want["uno_c_survival_pkg_n_over_G2"], "c", "se"))
    cut = concordance(time, event, score, weights="uno-2011", until=500.0)
    close(cut.c.estimate, want["uno_c_survC1"]["Dhat"])
    close(cut.standard_error, want["uno_c_survC1"]["se"], rel=0.02)  # made by random perturbation there


def test_kaplan_meier_by_sex(lung):
    """survfit(Surv(time, event) ~ sex): median, at 365 days (log), restricted mean at 500."""
    want, time, event, terms = lung
    for i, sex in enumerate((1, 2)):
        who = terms[:, 1] == sex
        curve = kaplan_meier(time[who], event[who])
        at = curve.estimate_at(365)
        close(full(at), [want["km_at_365"][key][i] for key in ("surv", "lo", "hi")])
        close(at.estimate * np.log(at.high / at.estimate) / Z95, want["km_at_365"]["se"][i])
        close([curve.at_risk[0], curve.events.sum()], pick(want["km_median"][i], "records", "events"))
        close(full(curve.median()), pick(want["km_median"][i], "median", "0.95LCL", "0.95UCL"))
        mean = curve.restricted_mean(500)
        close([mean.estimate, error(mean)], [want["rmst_500"][key][i] for key in ("rmean", "se")])


def test_log_rank(lung):
    want, time, event, terms = lung
    found = log_rank(time, event, terms[:, 1])
    close([found.chi2, found.p], pick(want["logrank"], "chi2", "p"))


@pytest.mark.parametrize("when", [180, 365])
def test_auc_and_brier_at_a_time(lung, when):
    """riskRegression::Score(list(cox = fit), times = c(180, 365))."""
    want, time, event, terms = lung
    fit = cox(time, event, terms, NAMES)
    found = at_time(time, event, fit.linear_predictor(terms), when, risk=fit.risk(terms, when))
    block = next(row for row in want["riskRegression_Score"]["auc"] if row["times"] == when)
    brier = {row["model"]: row for row in want["riskRegression_Score"]["brier"] if row["times"] == when}
    close([*full(found.auc), error(found.auc)], pick(block, "AUC", "lower", "upper", "se"))
    for estimate, model in ((found.brier, "cox"), (found.brier_null, "Null model")):
        close([*full(estimate), error(estimate)], pick(brier[model], "Brier", "lower", "upper", "se"))


def test_proportional_hazards(lung):
    """cox.zph(fit)."""
    want, time, event, terms = lung
    found = proportional_hazards(time, event, terms, NAMES)
    assert [row.name for row in found] == [row["_row"] for row in want["cox_zph_km"]]
    close([[row.chi2, row.df, row.p] for row in found], [pick(row, "chisq", "df", "p") for row in want["cox_zph_km"]])
