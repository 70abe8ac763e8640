"""What `pool` and `compare` hand over: names, schema, figures, the same bytes each time, and the command line."""

import base64
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import OWN, expected, table_of
from hepar.cli.evidence import app
from hepar.errors import Fault, HeparError, Refused, WrongCall
from hepar.evidence import compare, pool, write_comparison, write_results
from hepar.evidence.document import check, comparison_document, results_document
from hepar.evidence.figures import paired_forest, save
from hepar.evidence.report import pool_report, studies_csv
from hepar.evidence.table import Table


@pytest.fixture(scope="module")
def k10():
    return pool(table_of("sim_k10"))


def test_results_json_has_the_names_and_numbers(k10):
    document = results_document(k10)
    check(document)
    exact = expected("sim_k10")["exact_agq21"]
    assert document["model"]["loglik"] == pytest.approx(exact["loglik"], abs=1e-4)
    assert document["model"]["boundary"] == "rho=+1"
    assert document["summary"]["auc"]["estimate"] == pytest.approx(exact["AUC"]["exact_integral"], abs=1e-5)
    assert document["hsroc"]["lambda"]["estimate"] == pytest.approx(exact["HSROC"]["est"]["Lambda"], abs=1e-4)
    assert document["between_study"]["correlation"]["estimate"] == 1
    assert [one["prior"] for one in document["fagan"]][:3] == [0.05, 0.1, 0.25]
    assert len(document["influence"]) == 10
    assert len(document["model"]["simpler"]) == 4
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize("name", ["sim_k4_small", "sim_homogeneous", "sim_large_het", "sim_sparse12"])
def test_every_document_keeps_to_the_schema(name):
    document = results_document(pool(table_of(name)))
    check(document)
    for prior, stored in zip(document["fagan"], expected(name)["exact_agq21"]["fagan"], strict=True):
        assert prior["post_positive"]["estimate"] == pytest.approx(stored["post_pos"], abs=1e-5)
        assert prior["post_negative"]["estimate"] == pytest.approx(stored["post_neg"], abs=1e-5)
    common = document["model"]["simpler"][-1]
    assert common["loglik"] == pytest.approx(expected(name)["fixed_effect"]["loglik"], abs=1e-4)


def test_the_schema_catches_a_missing_part(k10):
    document = results_document(k10)
    del document["summary"]["auc"]
    with pytest.raises(Fault, match="auc"):
        check(document)


def test_z_intervals_are_the_reference_and_t_intervals_are_wider(k10):
    exact = expected("sim_k10")["exact_agq21"]
    z = pool(table_of("sim_k10"), interval="z").summary
    ends = [exact["sens"]["lo"], exact["sens"]["hi"]]
    assert [z.sensitivity.low, z.sensitivity.high] == pytest.approx(ends, abs=1e-5)
    assert [z.auc.low, z.auc.high] == pytest.approx(exact["AUC"]["delta_logit_ci_recommended"], abs=1e-5)
    assert k10.summary.sensitivity.low < z.sensitivity.low
    assert "t(8)" in k10.summary.sensitivity.method


def test_a_variance_of_zero_is_an_ordinary_result():
    """Four equal studies: nothing varies, and the pooled value is the common proportion, by hand 80/100 and 90/100."""
    counts = [np.full(5, n) for n in (80, 10, 20, 90)]
    result = pool(Table(tuple("abcde"), *counts))
    assert result.model.boundary == "var=0"
    assert result.summary.sensitivity.estimate == pytest.approx(0.8, abs=1e-7)
    assert result.summary.specificity.estimate == pytest.approx(0.9, abs=1e-7)
    assert result.logit.sensitivity.se == pytest.approx(np.sqrt(1 / (500 * 0.8 * 0.2)), rel=1e-4)
    assert result.hsroc.beta.missing
    dor = 36.0
    assert result.summary.auc.estimate == pytest.approx(dor * (dor - 1 - np.log(dor)) / (dor - 1) ** 2, abs=1e-7)
    check(results_document(result))


def test_tables_of_one_study_share_its_effects():
    table = table_of("sim_k10")
    twice = Table(
        tuple(f"s{i // 2}" for i in range(10)), table.tp, table.fp, table.fn, table.tn,
        {"paper": tuple(f"p{i // 2}" for i in range(10))},
    )  # fmt: skip
    result = pool(twice, study="paper")
    assert (result.data.k, result.data.studies, result.data.clustered_by) == (10, 5, "paper")
    assert len(result.influence) == 5
    assert result.model.loglik != pytest.approx(pool(twice).model.loglik)
    check(results_document(result))
    with pytest.raises(Refused, match="3 studies"):
        pool(Table(twice.study, *counts_of(table), {"paper": tuple("aaabbbcccc")}), study="paper")


def counts_of(table):
    return table.tp, table.fp, table.fn, table.tn


def test_the_folder_is_whole_self_contained_and_the_same_twice(k10, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_results(k10, tmp_path / name, "0" * 64)
    files = sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*"))
    figures = ["crosshair", "deeks", "doi", "fagan", "forest", "influence", "sroc"]
    assert files == sorted(
        [f"figures/{name}.{kind}" for name in figures for kind in ("pdf", "svg")]
        + ["report.html", "results.json", "studies.csv"]
    )
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    page = (tmp_path / "one" / "report.html").read_text()
    assert "[[figure" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert len(re.findall("data:image/svg", page)) == 7
    assert "exact binomial likelihood" in page
    inside = re.search(r'alt="Summary ROC" src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert base64.b64decode(inside[1]) == (tmp_path / "one" / "figures" / "sroc.svg").read_bytes()
    rows = (tmp_path / "one" / "studies.csv").read_text().splitlines()
    assert len(rows) == 11


def test_names_from_the_table_are_escaped_and_no_formula(tmp_path):
    table = table_of("sim_k5")
    wild = pool(Table(("<b>x</b>", "=1+1", "$a$ & b", "s4", "s5"), *counts_of(table)))
    drawing = paired_forest(wild)
    assert "<b>x</b>" not in pool_report(wild, {"forest": (drawing, save(drawing, tmp_path))})
    assert "\n'=1+1," in studies_csv(wild)


def test_comparison_documents_keep_to_their_schema(tmp_path):
    table = table_of("sim_external40")
    for number, compared in enumerate((compare(table, "external"), compare(table, "external", unequal=True))):
        place = tmp_path / str(number)
        place.mkdir()
        document = write_comparison(compared, place)
        assert document["contrasts"][0]["reference"] == "0"
        assert "likelihood-ratio" in (place / "report.html").read_text().lower()
    left = compare(Table(table.study, *counts_of(table), {"same": ("x",) * table.k}), "same")
    check(comparison_document(left))


def test_the_command_line_pools_and_compares(tmp_path):
    run = CliRunner()
    table = str(OWN / "sim_external40.csv")
    pooled = run.invoke(app, ["pool", table, "-o", str(tmp_path / "out"), "--json"])
    assert pooled.exit_code == 0, pooled.output
    assert json.loads(pooled.output) == json.loads((tmp_path / "out" / "results.json").read_text())
    assert str(tmp_path) not in (tmp_path / "out" / "report.html").read_text()
    assert "sim_external40" not in (tmp_path / "out" / "results.json").read_text()
    compared = run.invoke(app, ["compare", table, "--by", "external"])
    assert compared.exit_code == 0
    assert "chi2" in compared.output
    again = run.invoke(app, ["pool", table, "-o", str(tmp_path / "out"), "--quiet"])
    assert isinstance(again.exception, WrongCall)


def test_errors_leave_nothing_behind(tmp_path):
    run = CliRunner()
    (tmp_path / "bad.csv").write_text("study,TP,FP,FN,TN\na,1,2,3,-4\n")
    found = run.invoke(app, ["pool", str(tmp_path / "bad.csv"), "-o", str(tmp_path / "out")])
    assert isinstance(found.exception, HeparError)
    assert not (tmp_path / "out").exists()
    with pytest.raises(WrongCall):
        pool(table_of("sim_k10"), interval="magic")
