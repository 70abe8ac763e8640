"""Each key that others rely on, and each sentence for a table that cannot be pooled, from the command line."""

import json

import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import table_of
from hepar.cli.evidence import app
from hepar.errors import Refused, WrongCall
from hepar.evidence import compare, pool
from hepar.evidence.document import comparison_document, results_document
from hepar.evidence.table import Table, parse_table

HEAD = "study,TP,FP,FN,TN\n"
GOOD = "".join(f"s{i},{20 + i},{5 + i},{4 + i},{30 - i}\n" for i in range(5))
STATISTIC = {"estimate", "low", "high", "level", "method"}


@pytest.fixture(scope="module")
def document():
    return json.loads(json.dumps(results_document(pool(table_of("sim_k20")))))


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("data", "k n_diseased n_nondiseased excluded"),
        ("model", "name quadrature_points loglik converged boundary gradient_norm simpler"),
        ("logit", "sensitivity specificity covariance"),
        ("between_study", "var_logit_sensitivity var_logit_specificity correlation"),
        ("summary", "sensitivity specificity lr_positive lr_negative dor auc"),
        ("hsroc", "lambda theta beta s2_alpha s2_theta"),
        ("regions", "confidence prediction"),
        ("heterogeneity", "i2_sensitivity i2_specificity i2_bivariate univariate"),
        ("threshold", "spearman p model_correlation share"),
        ("small_study", "deeks lfk"),
    ],
)
def test_results_json_holds_what_others_rely_on(document, part, keys):
    assert set(keys.split()) <= set(document[part])


def test_the_lists_and_the_leaves_of_results_json(document):
    assert {"slope", "p"} <= set(document["small_study"]["deeks"])
    assert {"index", "warning"} <= set(document["small_study"]["lfk"])
    assert {"prior", "post_positive", "post_negative"} <= set(document["fagan"][0])
    assert len(document["influence"]) == 20
    for key in ("sensitivity", "specificity"):
        assert {"estimate", "se"} <= set(document["logit"][key])
    for one in document["summary"].values():
        assert set(one) >= STATISTIC
    for one in document["between_study"].values():
        assert set(one) >= STATISTIC
    assert set(document["fagan"][0]["post_positive"]) >= STATISTIC
    assert document["model"]["boundary"] in ("none", "rho=-1", "rho=+1", "var=0")


def test_compare_writes_contrasts_tests_and_clusters():
    table = table_of("sim_external40")
    found = json.loads(json.dumps(comparison_document(compare(table, "external", study="study"))))
    assert {"covariate", "level", "reference", "sensitivity", "specificity", "dor"} <= set(found["contrasts"][0])
    for side in ("sensitivity", "specificity", "dor"):
        assert {"difference", "ratio"} <= set(found["contrasts"][0][side])
    for test in ("joint", "sensitivity", "specificity"):
        assert {"chi2", "df", "p"} <= set(found["lrt"][test])
    assert found["clustered_by"] == "study"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + GOOD + "bad,9,8,-7,6\n", "row 7 (bad): FN is '-7'; counts are whole numbers of at least 0"),
        (HEAD + GOOD + "bad,9.5,8,7,6\n", "row 7 (bad): TP is '9.5'; counts are whole numbers of at least 0"),
        (HEAD + GOOD + "bad,many,8,7,6\n", "row 7 (bad): TP is 'many'"),
        (HEAD + "a,9,8,7,6\nb,9,8,7,6\nc,9,8,7,6\n", "3 usable studies in the table"),
        (HEAD + "".join(f"s{i},0,{3 + i},{4 + i},9\n" for i in range(6)), "TP is 0 in every study"),
        (HEAD + "".join(f"s{i},{3 + i},0,{4 + i},9\n" for i in range(6)), "FP is 0 in every study"),
        (HEAD + "".join(f"s{i},{3 + i},4,0,9\n" for i in range(6)), "FN is 0 in every study"),
        (HEAD + "".join(f"s{i},{3 + i},4,{5 + i},0\n" for i in range(6)), "TN is 0 in every study"),
        (HEAD + "".join(f"s{i},0,{i + 1},0,9\n" for i in range(6)), "no study has anyone with the disease (TP + FN)"),
        (HEAD + "".join(f"s{i},{i + 1},0,9,0\n" for i in range(6)), "no study has anyone without the disease"),
        (HEAD + 'a,"9,8,7,6\n', "not a well-formed CSV"),
        (HEAD + "a,9,8,7\n", "row 2 of the table has 4 fields and the header 5"),
        ("study,TP,FP,FN\na,9,8,7\n", "the table lacks the column TN"),
        ("", "the table is empty"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_in_a_sentence_and_leave_nothing(tmp_path, text, sentence):
    (tmp_path / "t.csv").write_text(text)
    found = CliRunner().invoke(app, ["pool", str(tmp_path / "t.csv"), "-o", str(tmp_path / "out")])
    assert isinstance(found.exception, Refused)
    assert sentence in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_a_missing_table_and_a_missing_column_are_the_users_error(tmp_path):
    run = CliRunner()
    found = run.invoke(app, ["pool", str(tmp_path / "none.csv"), "-o", str(tmp_path / "out")])
    assert isinstance(found.exception, WrongCall)
    (tmp_path / "t.csv").write_text(HEAD + GOOD)
    found = run.invoke(app, ["compare", str(tmp_path / "t.csv"), "--by", "nowhere"])
    assert "no column 'nowhere'" in str(found.exception)


def test_case_order_separator_and_gaps_change_nothing_but_the_list():
    one = pool(parse_table(HEAD + GOOD))
    cells = [line.split(",") for line in GOOD.splitlines()]
    turned = "Tn;fP;STUDY;tp;Fn\n" + "".join(f"{c[4]};{c[2]};{c[0]};{c[1]};{c[3]}\n" for c in cells)
    other = pool(parse_table(turned + "NA;1;gap;2;3\n;1;hole;2;3\n"))
    assert other.model.loglik == one.model.loglik
    assert [(x.row, x.study, x.reason) for x in other.data.excluded] == [(7, "gap", "no TN"), (8, "hole", "no TN")]
    assert "2 rows were left out" in other.data.notices[0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["x"] * 10, "all tables have the same value (x)"), ([*"ab" * 4, "", "b"], "1 of 10 tables have no value"),
        (list("abcdefghij"), "10 levels in 10 tables are nearly one level for each table"),
    ],
)  # fmt: skip
def test_a_useless_covariate_is_left_out_with_a_sentence_by_the_command(tmp_path, values, words):
    table = table_of("sim_k10")
    lines = [HEAD.strip() + ",group"]
    for i, value in enumerate(values):
        lines.append(f"{table.study[i]},{table.tp[i]},{table.fp[i]},{table.fn[i]},{table.tn[i]},{value}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = CliRunner().invoke(app, ["compare", str(tmp_path / "t.csv"), "--by", "group"])
    assert found.exit_code == 0, found.output
    assert words in found.output


def test_a_repeated_study_is_a_warning():
    table = table_of("sim_k5")
    twice = Table(("a", "a", "b", "c", "d"), table.tp, table.fp, table.fn, table.tn)
    text = HEAD + "".join(
        ",".join(map(str, (twice.study[i], twice.tp[i], twice.fp[i], twice.fn[i], twice.tn[i]))) + "\n"
        for i in range(5)
    )
    found = pool(parse_table(text))
    assert found.data.studies == 5
    assert "each row is treated as its own study" in found.data.notices[0]
