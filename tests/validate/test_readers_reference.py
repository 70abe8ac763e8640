"""Readers: every figure that R made (vcd, irr, psych, RJafroc)."""

import numpy as np
import pytest
from scipy.stats import t as student
from validate_reference import close, ends, expected, full, pick, table

from hepar.record import Estimate
from hepar.validate import auc
from hepar.validate.froc import afroc, highest_rating, marks
from hepar.validate.icc import icc
from hepar.validate.interrater import fleiss_kappa, gwet_ac1, krippendorff_alpha
from hepar.validate.kappa import cohen_kappa, kappa_of_table
from hepar.validate.mrmc import mrmc


@pytest.mark.parametrize(
    ("name", "block", "weights"),
    [("t2x2", "vcd", "linear"), ("t3x3", "vcd_linear", "linear"), ("t3x3", "vcd_quadratic", "quadratic")],
)
def test_kappa_is_that_of_vcd(name, block, weights):
    want = expected("kappa")[name]
    rows, want = want["rows"], want[block]
    plain, weighted = kappa_of_table(rows), kappa_of_table(rows, weights=weights)
    close([plain.kappa.estimate, plain.standard_error, *ends(plain.kappa)],
          [want["kappa"], want["ase"], *want["ci"]])  # fmt: skip
    close([weighted.kappa.estimate, weighted.standard_error, *ends(weighted.kappa)],
          [want["weighted"], want["weighted_ase"], *want["weighted_ci"]])  # fmt: skip


@pytest.mark.parametrize(("name", "weights"), [("t2x2", "linear"), ("t3x3", "quadratic")])
def test_kappa_interval_is_that_of_psych(name, weights):
    """psych::cohen.kappa(table)$confid: plain and weighted."""
    want = expected("kappa")[name]
    for row, by in zip(want["psych_confid" if name == "t2x2" else "psych"], ("none", weights), strict=True):
        found = kappa_of_table(want["rows"], weights=by, method="psych").kappa
        close([found.low, found.estimate, found.high], row)


def test_kappa_interval_on_the_z_scale():
    """vcd's error of the quadratic kappa, 0.07872 of 100 cases; Student's t of 99 is 1.98422."""
    want = expected("kappa")["t3x3"]
    value, error = want["vcd_quadratic"]["weighted"], want["vcd_quadratic"]["weighted_ase"]
    half = 1.9842169515086827 * error / (1 - value**2)
    found = kappa_of_table(want["rows"], weights="quadratic", method="fisher-z").kappa
    close(ends(found), np.tanh(np.arctanh(value) + half * np.array([-1, 1])))


def test_kappa_without_variance_has_no_interval():
    assert kappa_of_table([[5, 0], [0, 5]]).kappa == Estimate(1.0)
    one_class = kappa_of_table([[5, 5], [0, 0]])
    assert (one_class.kappa, one_class.z, one_class.p) == (Estimate(0.0), 0.0, 1.0)


def test_kappa_test_pabak_and_ac1():
    want = expected("kappa")["t2x2"]
    found = kappa_of_table(want["rows"])
    close([found.z, found.p, found.pabak], [want["irr_z"]["z"], want["irr_z"]["p"], want["PABAK"]])
    ratings = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], np.ravel(want["rows"]), axis=0)
    close(gwet_ac1(ratings).estimate, want["gwet_AC1"])


def anxiety():
    return np.column_stack(list(table("anxiety.csv").values()))


def test_weighted_kappa_of_two_raters():
    """irr::kappa2(anxiety[, 1:2], weight)."""
    want, data = expected("kappa")["anxiety_raters12"], anxiety()
    for weights, key in (("none", "unweighted"), ("linear", "equal"), ("quadratic", "squared")):
        close(cohen_kappa(data[:, 0], data[:, 1], weights=weights).kappa.estimate, want[key])


@pytest.mark.parametrize("measure", [fleiss_kappa, gwet_ac1])
def test_intervals_of_many_raters_leave_each_subject_out_in_turn(measure):
    data = np.minimum(anxiety(), 4)
    n, found = len(data), measure(data)
    without = np.array([measure(np.delete(data, i, axis=0)).estimate for i in range(n)])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()) / (1 - found.estimate**2)
    middle = np.arctanh(found.estimate)
    close(ends(found), np.tanh([middle - 2.093024054408263 * error, middle + 2.093024054408263 * error]))  # t of 19


def test_full_agreement_and_a_class_of_one_subject_have_no_interval():
    assert fleiss_kappa([["a", "a"], ["b", "b"], ["a", "a"]]) == Estimate(1.0)
    assert gwet_ac1([["a", "b"], ["b", "a"]]).low is None
    assert fleiss_kappa([["a", "b"], ["a", "a"], ["a", "a"]]).low is None


@pytest.mark.parametrize("scale", ["nominal", "ordinal", "interval"])
def test_krippendorff_alpha(scale):
    """irr 0.84.1 divides a subject's pairs by the raters less one only where some rating is missing. Here none is: it
    counts 120 (20 subjects, 6 ordered pairs) where Krippendorff counts 60 values, 119/120 instead of 59/60."""
    want = expected("icc")["krippendorff_anxiety"][scale]
    value = krippendorff_alpha(anxiety(), scale=scale)
    close(1 - (1 - value) * (119 / 120) / (59 / 60), want)


def test_krippendorff_alpha_with_missing_ratings():
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): four observers, twelve units, gaps."""
    rows = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    data = np.array([[np.nan if c == "." else float(c) for c in row] for row in rows]).T
    for scale, published in (("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)):
        assert krippendorff_alpha(data, scale=scale) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(("row", "form"), list(enumerate(("1,1", "2,1", "3,1", "1,k", "2,k", "3,k"))))
def test_icc_is_that_of_psych(row, form):
    """psych::ICC(shrout_fleiss, lmer = FALSE)."""
    want = expected("icc")["psych_table"][row]
    data = np.column_stack(list(table("shrout_fleiss.csv").values()))
    found = icc(data, form=form)
    published = expected("icc")["published_shrout_fleiss_1979"]["ICC" + form.replace(",", "_")]
    assert round(found.icc.estimate, 2) == published
    close([*full(found.icc), found.f, found.df1, found.df2, found.p],
          pick(want, "ICC", "lower.bound", "upper.bound", "F", "df1", "df2", "p"))  # fmt: skip


@pytest.mark.parametrize("form", ["1,1", "2,1", "3,1", "2,k", "3,k"])
def test_icc_is_that_of_irr(form):
    """irr::icc(shrout_fleiss, model, type, unit)."""
    want = expected("icc")["irr_ICC" + form.replace(",", "_")]
    data = np.column_stack(list(table("shrout_fleiss.csv").values()))
    found = icc(data, form=form, method="irr")
    close([*full(found.icc), found.f, found.df1, found.df2, found.p],
          [want["icc"], *want["ci"], *pick(want, "F", "df1", "df2", "p")])  # fmt: skip


def test_raters_who_agree_in_everything():
    assert icc([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]], form="3,1").icc == Estimate(1.0)
    shifted = icc([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0]], form="2,1").icc
    assert shifted.estimate == pytest.approx(14 / 3 / (14 / 3 + 2 * 1.5 / 3))  # subjects 14/3, raters 3/2, rest 0
    assert shifted.low is None


def van_dyke(method="or"):
    data = table("mrmc_roc_vandyke_dataset02.csv")
    modality, reader, case = (data[key].astype(int) for key in ("modality", "reader", "case"))
    names, place = np.unique(case, return_inverse=True)
    ratings, truth = np.full((2, 5, names.size), np.nan), np.zeros(names.size)
    ratings[modality - 1, reader - 1, place] = data["rating"]
    truth[place] = data["diseased"]
    return mrmc(truth, ratings, method=method)


def test_obuchowski_rockette_is_that_of_rjafroc():
    """RJafroc: St(dataset02, FOM = "Wilcoxon", method = "OR")."""
    want = expected("mrmc_froc")["vandyke_dataset02_wilcoxon_OR"]
    found = van_dyke()
    close(found.aucs, [[row[f"rdr{i}"] for i in range(5)] for row in want["FOM"]])
    close(found.means, [row["Estimate"] for row in want["trt_means"]])
    one, two, three = (found.random_readers_random_cases, found.fixed_readers_random_cases,
                       found.random_readers_fixed_cases)  # fmt: skip
    row = want["RRRC_diff"][0]
    close([one.statistic, one.df2, one.p, *full(one.difference)],
          [want["RRRC_F"][0]["FStat"], *pick(row, "DF", "PrGTt", "Estimate", "CILower", "CIUpper")])  # fmt: skip
    row = want["FRRC_diff"][0]
    close([two.statistic, two.p, *full(two.difference)],
          [want["FRRC"][0]["Chisq"], *pick(row, "PrGTz", "Estimate", "CILower", "CIUpper")])  # fmt: skip
    close([three.statistic, three.df2, three.p],
          [want["RRFC"][0]["F"], want["RRFC"][1]["DF"], want["RRFC"][0]["p"]])  # fmt: skip
    for case, row, stat, spread in ((one, want["RRRC_diff"][0], "t", student(one.df2).ppf(0.975)),
                                    (two, want["FRRC_diff"][0], "z", student(1e12).ppf(0.975))):  # fmt: skip
        gap, error = case.difference, (case.difference.high - case.difference.low) / 2 / spread
        close([error, gap.estimate / error], pick(row, "StdErr", stat))
    errors = [found.ms_modality / case.statistic for case in (one, two, three)]
    for error, block in zip(errors, ("RRRC_F", "FRRC", "RRFC"), strict=True):
        close([found.ms_modality, error], [row["MS"] for row in want[block]])
    rhos = [row["Rhos"] for row in want["VarCom"]][2:5]
    close([found.cov1 / found.var, found.cov2 / found.var, found.cov3 / found.var], rhos)
    parts = {row["_row"]: row["Estimates"] for row in want["VarCom"]}
    close([found.var_reader, found.var_modality_reader, found.cov1, found.cov2, found.cov3, found.var],
          pick(parts, "VarR", "VarTR", "Cov1", "Cov2", "Cov3", "Var"))  # fmt: skip


def test_the_analysis_of_pseudovalues_says_the_same():
    """RJafroc, method = "DBM": the same F, and its variance components are the covariances times the cases."""
    want, found = expected("mrmc_froc")["vandyke_dataset02_wilcoxon_DBM"], van_dyke("dbm")
    for name, block in (("random_readers_random_cases", "RRRC"), ("fixed_readers_random_cases", "FRRC")):
        case, row = getattr(found, name), want[f"{block}_diff"][0]
        table = want["RRRC_F" if block == "RRRC" else block][0]
        close([case.statistic, case.df1, case.p], pick(table, "FStat", "DF", "p"))
        close([case.df2, case.p, *full(case.difference)], pick(row, "DF", "PrGTt", "Estimate", "CILower", "CIUpper"))
        assert (case.difference.estimate < 0) == (row["t"] < 0)
        error = (case.difference.high - case.difference.low) / 2 / student(case.df2).ppf(0.975)
        close([error, case.difference.estimate / error], pick(row, "StdErr", "t"))
        square = want["RRRC_F" if block == "RRRC" else block]
        close([114 * found.ms_modality, 114 * found.ms_modality / case.statistic], [row["MS"] for row in square])
    three = found.random_readers_fixed_cases
    close([three.statistic, three.df2, three.p],
          [want["RRFC"][0]["FStat"], want["RRFC"][1]["DF"], want["RRFC"][0]["p"]])  # fmt: skip
    close([114 * found.ms_modality, 114 * found.ms_modality_reader], [row["MS"] for row in want["RRFC"]])
    parts = {row["_row"]: row["Estimates"] for row in want["VarCom"]}
    n = 114
    close([n * found.cov3, n * (found.cov2 - found.cov3), n * (found.cov1 - found.cov3)],
          pick(parts, "VarC", "VarTC", "VarRC"))  # fmt: skip
    close([found.var_reader, found.var_modality_reader], pick(parts, "VarR", "VarTR"))
    close(n * (found.var - found.cov1 - found.cov2 + found.cov3), parts["VarErr"])


def test_afroc_and_highest_rating_are_those_of_rjafroc():
    """RJafroc: UtilFigureOfMerit(dataset04, "AFROC") and "HrAuc": 100 images without and 100 with 142 lesions.

    Lesions that nobody marked are not in the table; where the last six lie changes neither figure.
    """
    want, data = expected("mrmc_froc"), table("froc_dataset04.csv")
    modality, reader, image = (data[key].astype(int) for key in ("modality", "reader", "case"))
    hit = data["mark"] == "LL"
    lesions = np.zeros(200, int)
    lesions[100:] = 1
    np.maximum.at(lesions, image[hit] - 1, data["lesion"][hit].astype(int))
    lesions[100] += 142 - lesions.sum()
    for i in range(5):
        for name, key in zip((1, 2, 3, 4), ("rdr1", "rdr3", "rdr4", "rdr5"), strict=True):
            who = (modality == i + 1) & (reader == name)
            own, false = who & hit, who & ~hit
            made = marks(lesions, image[own] - 1, data["lesion"][own].astype(int) - 1, data["rating"][own],
                         image[false] - 1, data["rating"][false])  # fmt: skip
            close(afroc(made).estimate, want["froc_dataset04_AFROC"][i][key])
            close(auc(*highest_rating(made)).estimate, want["froc_dataset04_HrAuc"][i][key])
