"""Several thresholds, networks, non-evaluable results, imperfect references: against R, by hand and by recovery."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import SHARED, SIMULATED, fitted, need_shared, shared_json, shared_table, table_of
from hepar.cli.evidence import app
from hepar.errors import HeparError, Refused, WrongCall
from hepar.evidence import imperfect_reference, network, non_evaluable, thresholds
from hepar.evidence.fit import fit
from hepar.evidence.imperfect import latent
from hepar.evidence.likelihood import Problem, bivariate, evaluate
from hepar.evidence.nested import nested
from hepar.evidence.quantities import expit
from hepar.evidence.table import Table, clusters_of


def with_columns(table, **columns):
    return Table(table.study, table.tp, table.fp, table.fn, table.tn, {**table.covariates, **columns})


# several thresholds


@pytest.mark.parametrize(("name", "model"), [("DIDS_logistic_logcut", "DIDS"), ("CICS", "CICS")])
def test_thresholds_meet_diagmeta(name, model):
    """R 4.2.2, diagmeta 0.5.1 on the FeNO data; lme4 stops 5e-6 before the maximum."""
    stored = shared_json("extras_expected.json")["diagmeta_feno"][name]
    found = thresholds(shared_table("feno_multiple_thresholds"), model=model, log_scale=True)
    assert found.studies == stored["k"]
    assert found.loglik == pytest.approx(stored["REML"], abs=1e-5)
    assert found.fit.coefficients == pytest.approx(list(stored["fixef"].values()), abs=5e-5)
    for number, line in (("0", found.nondiseased), ("1", found.diseased)):
        regression, moments = stored["regr"], stored["dist"]
        assert line.intercept.estimate == pytest.approx(regression[f"alpha{number}"], abs=5e-5)
        assert line.slope.estimate == pytest.approx(regression[f"beta{number}"], abs=5e-5)
        assert line.covariance == pytest.approx(regression[f"cov.alpha{number}.beta{number}"], rel=1e-3)
        for own, key in (
            (line.intercept, f"var.alpha{number}"), (line.slope, f"var.beta{number}"), (line.mean, f"var.mean{number}"),
            (line.sd, f"var.sd{number}"),
        ):  # fmt: skip
            variance = {**regression, **moments}[key]
            assert (own.high - own.low) / (2 * 1.959964) == pytest.approx(np.sqrt(variance), rel=1e-3), key
        assert line.mean.estimate == pytest.approx(moments[f"mean{number}"], abs=5e-5)
        assert line.sd.estimate == pytest.approx(moments[f"sd{number}"], abs=5e-5)
    spread = found.fit.covariance
    assert spread[0, 0] + spread[0, 1] == pytest.approx(stored["regr"]["cov.alpha0.alpha1"], rel=1e-3)
    best = found.optimal
    assert best.threshold == pytest.approx(stored["optcut"], rel=1e-5)
    assert best.sensitivity.estimate == pytest.approx(stored["sens_at_optcut"], abs=1e-5)
    assert best.specificity.estimate == pytest.approx(stored["spec_at_optcut"], abs=1e-5)
    assert [best.sensitivity.low, best.sensitivity.high] == pytest.approx(stored["sens_ci"], abs=1e-5)
    assert [best.specificity.low, best.specificity.high] == pytest.approx(stored["spec_ci"], abs=1e-5)
    # diagmeta's two areas are sums over 1,000 points of either axis
    for own, key in ((found.auc_band_sensitivity, "AUCSens"), (found.auc_band_specificity, "AUCSpec")):
        assert own.estimate == pytest.approx(stored[key], abs=2e-4)
        assert [own.low, own.high] == pytest.approx(stored[f"{key}_ci"], abs=2e-4)
    assert found.auc.low < stored["AUCSens"] < found.auc.high


def feno_like():
    """Ten studies, three thresholds each, from normal markers: without disease N(10, 2), with N(13, 3)."""
    generator = np.random.default_rng(5)
    rows, study, cuts = [], [], []
    for i in range(10):
        shift = generator.normal(0, 0.4)
        without, diseased = generator.normal(10 + shift, 2, 300), generator.normal(13 + shift, 3, 300)
        for cut in (9.0, 11.0, 13.0):
            rows.append(
                ((diseased > cut).sum(), (without > cut).sum(), (diseased <= cut).sum(), (without <= cut).sum())
            )
            study.append(f"s{i}")
            cuts.append(f"{cut:g}")
    return Table(tuple(study), *(np.array(column) for column in zip(*rows, strict=True)), {"cutoff": tuple(cuts)})


def test_thresholds_find_the_marker_that_made_the_tables():
    """Youden's threshold of N(10, 2) and N(13, 3) by hand: where both densities cross, 11.96."""
    found = thresholds(feno_like(), distribution="normal", model="CI")
    assert found.nondiseased.mean.estimate == pytest.approx(10, abs=0.3)
    assert found.diseased.sd.estimate == pytest.approx(3, abs=0.3)
    assert found.optimal.threshold == pytest.approx(11.96, abs=0.3)
    assert [one.threshold for one in found.at] == [9, 11, 13]


def test_low_values_may_be_the_positive_ones():
    table = feno_like()
    turned = Table(
        table.study, table.tp, table.fp, table.fn, table.tn,
        {"cutoff": tuple(f"{-float(x):g}" for x in table.covariates["cutoff"])},
    )  # fmt: skip
    one, two = thresholds(table, model="CICS"), thresholds(turned, model="CICS", lower_is_positive=True)
    assert two.optimal.threshold == pytest.approx(-one.optimal.threshold, abs=1e-6)
    assert two.loglik == pytest.approx(one.loglik, abs=1e-8)
    with pytest.raises(Refused, match="low values are positive"):
        thresholds(turned)


@pytest.mark.parametrize(
    ("columns", "options", "error", "words"),
    [
        ({"cutoff": "5"}, {}, Refused, "single threshold"),
        ({"cutoff": "high"}, {}, Refused, "not a number"),
        ({"x": "5"}, {}, WrongCall, "no column holds thresholds"),
        ({"cutoff": "-1"}, {"log_scale": True}, Refused, "logarithms need thresholds above 0"),
        ({"cutoff": "5"}, {"model": "XX"}, WrongCall, "no model 'XX'"),
        ({"cutoff": "5"}, {"weight": 1.5}, WrongCall, "between 0 and 1"),
        ({"cutoff": "5"}, {"distribution": "gamma"}, WrongCall, "no distribution"),
    ],
)
def test_what_thresholds_cannot_be_computed_from_is_said(columns, options, error, words):
    table = table_of("sim_k10")
    values = {name: (value,) * table.k for name, value in columns.items()}
    if columns.get("cutoff") == "-1":
        values["cutoff"] = ("-1", *("2",) * 9)
    with pytest.raises(error, match=words):
        thresholds(with_columns(table, **values), **options)


# networks


def problem_of(table, by):
    order, index = clusters_of(table, table.study)
    values = [table.covariate(by)[i] for i in order]
    tests = sorted(set(values))
    design = np.array([[float(value == test) for test in tests] for value in values])
    columns = [column[order].astype(float) for column in (table.tp, table.n1, table.tn, table.n0)]
    return Problem(*columns, design, design, index, np.zeros(index.max() + 1, dtype=int))


LME4 = {
    # fixed effects (sensitivity, then specificity, of the tests in order), log likelihood, sd within studies
    "hpvcyto_network": (
        "test", [0.549045, 2.755367, 1.434881, 3.013639, 2.122442, 2.453805], -357.543, 0.81797, 0.44555
    ),
    "ascus": ("test", [2.4491473, 0.8494235, 0.4322648, 0.7644904], -143.3631, 0.37258, 0.47809),
    "melanoma_cad_vs_dermatologist": (
        "reader", [2.1551754, 1.9393103, 0.8079776, 1.3678641], -197.2536, 0.77663, 0.58777
    ),
}  # fmt: skip
"""R 4.2.2, lme4 1.1-31: glmer(cbind(x, n - x) ~ 0 + f:dis + f:non + (0 + dis + non | study) + (0 + dis | arm) +
(0 + non | arm), binomial), bobyqa; Laplace, so that log likelihoods are up to 0.2 lower."""


@pytest.mark.parametrize("name", ["hpvcyto_network", "ascus"])
def test_networks_agree_with_lme4_within_laplace(name):
    by, fixed, loglik, one, two = LME4[name]
    found = network(shared_table(name), by)
    assert found.converged
    assert found.fit.theta[: len(fixed)] == pytest.approx(fixed, abs=4e-3)
    assert loglik < found.loglik < loglik + 0.25
    assert found.fit.theta[-2:] == pytest.approx([one, two], abs=8e-3)
    assert found.node_difference < 1e-4


def test_the_nested_likelihood_is_the_plain_one_without_effects_within_studies():
    table = table_of("sim_k10")
    problem = fitted("sim_k10").problem
    theta = np.array([1.2, 0.9, 0.5, -0.4, 0.6])
    value, _ = nested(problem, np.array([*theta, 0.0, 0.0]), 15, 15)
    assert value == pytest.approx(evaluate(problem, theta, 15).loglik, abs=1e-8)
    # every table its own study: both kinds of effects only add up
    split, _ = nested(problem, np.array([1.2, 0.9, 0.3, 0.0, 0.4, 0.4, 0.3]), 21, 21)
    joint = evaluate(bivariate(table.tp, table.n1, table.tn, table.n0), np.array([1.2, 0.9, 0.5, 0.0, 0.5]), 21)
    assert split == pytest.approx(joint.loglik, abs=1e-6)


def test_the_gradient_of_the_nested_likelihood_is_its_slope():
    table = with_columns(table_of("sim_k10"), test=tuple("ab" * 5), paper=tuple(f"p{i // 2}" for i in range(10)))
    named = Table(table.covariates["paper"], table.tp, table.fp, table.fn, table.tn, table.covariates)
    problem = problem_of(named, "test")
    theta = np.array([1.0, 1.2, 0.8, 1.1, 0.7, -0.3, 0.5, 0.4, 0.3])
    _, gradient = nested(problem, theta, 15, 15)
    steps = 1e-5 * np.eye(9)
    slope = [(nested(problem, theta + h, 15, 15)[0] - nested(problem, theta - h, 15, 15)[0]) / 2e-5 for h in steps]
    assert gradient == pytest.approx(slope, abs=1e-4)


def small_network():
    table = table_of("sim_external40").take(list(range(24)))
    study = tuple(f"s{i // 2}" for i in range(24))
    return Table(study, table.tp, table.fp, table.fn, table.tn, {"test": tuple("AB" * 6 + "BC" * 6)})


def test_a_network_names_pairs_probabilities_and_links():
    found = network(small_network(), "TEST", reference="A")
    assert [arm.test for arm in found.arms] == ["A", "B", "C"]
    assert [(p.test, p.reference, p.head_to_head) for p in found.pairs] == [("B", "A", 6), ("C", "A", 0), ("C", "B", 6)]
    assert found.connected
    for part in ("best_sensitivity", "best_specificity", "best_dor"):
        assert sum(getattr(arm, part) for arm in found.arms) == pytest.approx(1)
    assert found.lrt.df == 4
    again = network(small_network(), "test", reference="B")
    assert again.loglik == pytest.approx(found.loglik)
    assert again.pairs[0].dor.estimate == pytest.approx(1 / found.pairs[0].dor.estimate, rel=1e-6)


def test_networks_say_what_is_wrong():
    table = small_network()
    with pytest.raises(WrongCall, match="no test 'X'"):
        network(table, "test", reference="X")
    with pytest.raises(WrongCall, match="no column"):
        network(table, "modality")
    with pytest.raises(Refused, match="at least two"):
        network(with_columns(table, test=("A",) * 24), "test")
    with pytest.raises(Refused, match="different numbers"):
        network(with_columns(table, test=tuple(str(i) for i in range(24))), "test")


# non-evaluable results

GLMER_CORONARY = {
    "intention to diagnose": (-131.09859420, 2.54786688, 1.32382902),
    "as positive": (-105.14096794, 4.04528019, 1.28884763), "as negative": (-123.84802428, 2.56512571, 2.25268718),
    "best case": (-91.84934878, 4.08344764, 2.25860613),
}  # fmt: skip
"""R 4.2.2, lme4 1.1-31, Laplace, bobyqa with rhoend 1e-9: glmer(cbind(x, n - x) ~ 0 + sens + spec + (0 + sens + spec |
study)) of the counts with NEP and NEN added to the side that the view says."""


def test_non_evaluable_results_each_way():
    found = non_evaluable(shared_table("coronary_ct_nonevaluable"))
    exact = shared_json("expected/coronary_ct_mid.json")["exact_agq21"]
    views = {view.name: view for view in found.views}
    assert views["excluded"].loglik == pytest.approx(exact["loglik"], abs=1e-4)
    assert views["excluded"].sensitivity.estimate == pytest.approx(exact["sens"]["est"], abs=1e-5)
    for name, (loglik, sens, spec) in GLMER_CORONARY.items():
        view = views[name]
        assert loglik < view.loglik < loglik + 0.15
        assert view.sensitivity.estimate == pytest.approx(float(expit(sens)), abs=1e-3)
        assert view.specificity.estimate == pytest.approx(float(expit(spec)), abs=1e-3)
    # lme4 for the evaluable share itself: logits 3.02434314 and 2.22048079
    assert found.evaluable_diseased.estimate == pytest.approx(float(expit(3.02434314)), abs=2e-3)
    assert found.evaluable_nondiseased.estimate == pytest.approx(float(expit(2.22048079)), abs=2e-3)
    assert views["intention to diagnose"].sensitivity.estimate < views["best case"].sensitivity.estimate


def test_without_non_evaluable_results_all_views_are_one():
    table = with_columns(table_of("sim_k10"), nep=("0",) * 10, NEN=("0",) * 10)
    found = non_evaluable(table)
    assert len({round(view.sensitivity.estimate, 9) for view in found.views}) == 1
    assert found.evaluable_diseased.estimate == 1
    assert "every result was evaluable" in found.evaluable_correlation.missing


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({}, WrongCall, "no column NEP"),
        ({"NEP": ("1",) * 10}, WrongCall, "no column NEN"),
        ({"NEP": ("-1",) * 10, "NEN": ("1",) * 10}, Refused, "NEP is '-1'"),
        ({"NEP": ("1.5",) * 10, "NEN": ("1",) * 10}, Refused, "whole numbers"),
    ],
)
def test_bad_columns_of_non_evaluable_results_are_refused(columns, error, words):
    with pytest.raises(error, match=words):
        non_evaluable(with_columns(table_of("sim_k10"), **columns))


def test_rows_without_non_evaluable_counts_are_listed_with_their_row():
    table = with_columns(table_of("sim_k10"), NEP=("1",) * 9 + ("NA",), NEN=("",) + ("2",) * 9)
    found = non_evaluable(table)
    assert [(one.row, one.reason) for one in found.data.excluded] == [(2, "no NEN"), (11, "no NEP")]
    assert found.data.k == 8


# imperfect references


def test_a_perfect_reference_gives_the_plain_model():
    """With S = C = 1 the likelihood is that of the bivariate model times that of the prevalences."""
    plain = fitted("sim_k20")
    found = imperfect_reference(table_of("sim_k20"), 1, 1)
    assert found.converged
    assert found.sensitivity.estimate == pytest.approx(found.naive_sensitivity.estimate, abs=1e-4)
    assert found.theta[:2] == pytest.approx(plain.theta[:2], abs=1e-3)
    assert found.theta[3:6] == pytest.approx(plain.theta[2:5], abs=3e-3)


def test_the_latent_likelihood_of_one_study_by_plain_integration():
    """The integral over a fine grid instead of the adaptive rule."""
    counts, theta = np.array([[30.0, 6, 8, 40]]), np.array([1.2, 1.5, -0.2, 0.6, -0.3, 0.5, 0.4])
    s, c = 0.9, 0.95
    x = np.linspace(-5, 5, 61)
    z = np.stack([axis.ravel() for axis in np.meshgrid(x, x, x, indexing="ij")], axis=1)
    se, sp, pi = expit(theta[:3] + z @ np.array([[0.6, -0.3, 0], [0, 0.5, 0], [0, 0, 0.4]])).T
    cells = np.stack([
        pi * se * s + (1 - pi) * (1 - sp) * (1 - c), pi * se * (1 - s) + (1 - pi) * (1 - sp) * c,
        pi * (1 - se) * s + (1 - pi) * sp * (1 - c), pi * (1 - se) * (1 - s) + (1 - pi) * sp * c,
    ])  # fmt: skip
    from scipy.special import gammaln

    logs = counts[0] @ np.log(cells) - (z**2).sum(axis=1) / 2 - 1.5 * np.log(2 * np.pi)
    by_hand = np.log(np.exp(logs).sum() * (x[1] - x[0]) ** 3) + gammaln(85) - gammaln(counts[0] + 1).sum()
    assert latent(counts, theta, s, c)[0] == pytest.approx(by_hand, abs=1e-4)


def test_the_corrected_accuracy_is_the_true_one():
    """Thirty studies against a reference of 0.85 and 0.90: the naive pool is far off, the corrected one is not."""
    generator = np.random.default_rng(3)
    k, s, c = 30, 0.85, 0.90
    n = generator.integers(100, 400, k)
    se, sp, pi = expit(np.array([1.7, 2.0, -0.5]) + generator.standard_normal((k, 3)) * [0.5, 0.6, 0.7]).T
    ill = generator.binomial(n, pi)
    cells = np.zeros((4, k), dtype=int)
    for people, positive, reference in ((ill, se, s), (n - ill, 1 - sp, 1 - c)):
        plus = generator.binomial(people, positive)
        both, neither = generator.binomial(plus, reference), generator.binomial(people - plus, reference)
        cells += np.array([both, plus - both, neither, people - plus - neither])
    found = imperfect_reference(Table(tuple(f"s{i}" for i in range(k)), *cells), s, c)
    assert found.naive_sensitivity.high < float(expit(1.7))
    assert found.sensitivity.low < float(expit(1.7)) < found.sensitivity.high
    assert found.specificity.low < float(expit(2.0)) + 0.01
    assert found.specificity.estimate == pytest.approx(float(expit(2.0)), abs=0.025)


def test_a_reference_worse_than_chance_is_a_wrong_call():
    with pytest.raises(WrongCall, match=r"above 0\.5"):
        imperfect_reference(table_of("sim_k5"), 0.4, 0.9)


# from the command line


def rows(table, **columns):
    head = ["study", "TP", "FP", "FN", "TN", *columns]
    lines = [",".join(head)]
    for i in range(table.k):
        counts = [table.tp[i], table.fp[i], table.fn[i], table.tn[i]]
        lines.append(",".join(map(str, [table.study[i], *counts, *(values[i] for values in columns.values())])))
    return "\n".join(lines) + "\n"


def test_thresholds_and_network_from_the_command_line(tmp_path):
    run = CliRunner()
    (tmp_path / "cuts.csv").write_text(rows(feno_like(), cutoff=feno_like().covariates["cutoff"]))
    cuts = run.invoke(app, ["thresholds", str(tmp_path / "cuts.csv"), "-o", str(tmp_path / "a"), "--model", "ci"])
    assert cuts.exit_code == 0, cuts.output
    assert "best threshold" in cuts.output
    document = json.loads((tmp_path / "a" / "results.json").read_text())
    assert document["kind"] == "thresholds"
    assert "Steinhauser" in (tmp_path / "a" / "report.html").read_text()
    table = small_network()
    (tmp_path / "net.csv").write_text(rows(table, test=table.covariates["test"]))
    net = run.invoke(app, ["network", str(tmp_path / "net.csv"), "--by", "test", "-o", str(tmp_path / "b"), "--json"])
    assert net.exit_code == 0, net.output
    assert json.loads(net.output) == json.loads((tmp_path / "b" / "results.json").read_text())
    assert "arm-based" in (tmp_path / "b" / "report.html").read_text()


def test_pool_with_everything_beside_it(tmp_path):
    table = table_of("sim_k5")
    (tmp_path / "t.csv").write_text(rows(table, NEP=(1, 0, 2, 0, 1), NEN=(0, 1, 0, 3, 0)))
    options = ["--bayes", "--compat", "mada", "--compat", "MIDAS", "--compat", "metandi", "--compat", "glmer"]
    more = ["--non-evaluable", "--reference", "0.97,0.98"]
    found = CliRunner().invoke(app, ["pool", str(tmp_path / "t.csv"), "-o", str(tmp_path / "o"), *options, *more])
    assert found.exit_code == 0, found.output
    document = json.loads((tmp_path / "o" / "results.json").read_text())
    assert [one["program"] for one in document["compat"]] == ["mada", "midas", "metandi", "glmer"]
    assert all(one["defects"] and one["numbers"] for one in document["compat"])
    assert document["bayes"]["quantities"]["sensitivity"]["interval"]["method"] == "central credible interval"
    assert len(document["non_evaluable"]["views"]) == 5
    assert document["imperfect_reference"]["reference_sensitivity"] == 0.97
    page = (tmp_path / "o" / "report.html").read_text()
    for words in ("Bayesian fit", "As midas sees it", "Non-evaluable results", "If the reference standard errs"):
        assert words in page
    assert "AUC_lo" in found.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--compat", "excel"], "no compatibility view"), (["--reference", "0.9"], "give sensitivity and specificity"),
        (["--reference", "0.3,0.9"], "above 0.5"), (["--non-evaluable"], "no column NEP"),
    ],
)  # fmt: skip
def test_what_pool_is_asked_wrongly_beside_leaves_nothing(tmp_path, options, words):
    (tmp_path / "t.csv").write_text(rows(table_of("sim_k5")))
    found = CliRunner().invoke(app, ["pool", str(tmp_path / "t.csv"), "-o", str(tmp_path / "o"), *options])
    assert isinstance(found.exception, HeparError)
    assert words in str(found.exception)
    assert not (tmp_path / "o").exists()


# odd tables of our own, against lme4


@pytest.mark.parametrize("name", ["few", "zeros", "many", "unequal", "twins"])
def test_odd_tables_agree_with_lme4(name):
    """reference/designs/odd.R: four studies, many zeros, 400 studies, sizes from 2 to 20,000, repeated names."""
    from pathlib import Path

    from hepar.evidence.compatibility import compat
    from hepar.evidence.table import read_table

    place = Path(__file__).parent / "reference" / "designs"
    stored = json.loads((place / "odd.json").read_text())[name]
    table = read_table(place / f"{name}.csv")
    exact = fit(bivariate(table.tp, table.n1, table.tn, table.n0))
    assert exact.converged
    assert exact.means == pytest.approx([stored["logit_sens"], stored["logit_spec"]], abs=0.02)
    assert bool(table.notices) == (name == "twins")
    if name != "many":
        numbers = compat(table, "glmer").numbers
        for key in ("loglik", "logit_sens", "logit_spec"):
            assert numbers[key] == pytest.approx(stored[key], abs=2e-3), key
        for key in ("var_logit_sens", "var_logit_spec"):
            assert numbers[key] == pytest.approx(stored[key], abs=2e-3, rel=2e-3), key


def test_the_references_are_where_they_belong():
    need_shared()
    assert (SHARED / "dta" / "feno_multiple_thresholds.csv").is_file()
    assert len(SIMULATED) == 10
