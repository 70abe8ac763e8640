"""The MVI review computed again: against the stored checks, and against what is printed."""

import csv
import json
import re
from importlib import resources

import numpy as np
import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import SHARED, need_shared, shared_json
from hepar.cli.evidence import app
from hepar.evidence.document import check
from hepar.evidence.paper_contrasts import contrasts, dependence
from hepar.evidence.paper_deliver import paper_document
from hepar.evidence.paper_review import paper
from hepar.evidence.paper_table1 import check_table1, doubts_of, read_table1, sets_of
from hepar.evidence.paper_table2 import read_table2, rounded, symmetric_auc, tally, wilson
from hepar.evidence.reconstruct import read_reported, solve


@pytest.fixture(scope="module")
def found():
    return paper()


def test_everything_printed_comes_out():
    """17 of 17 ratios and odds ratios, 10 of 10 probabilities after the test, 10 of 10 threshold shares."""
    counts = [(one.agree, one.of) for one in tally(read_table2())]
    assert counts == [(17, 17)] * 4 + [(5, 5), (5, 5), (10, 10), (14, 17)]


def test_table_2_of_the_validation_suite_is_reproduced_from_its_sensitivity_and_specificity():
    """The copy by which `hepar validate` places models; ratios and DOR by hand from its own first two columns."""
    text = resources.files("hepar.validate").joinpath("data/mvi_pooled_table2.csv").read_text(encoding="utf-8")
    lines = list(csv.DictReader(text.splitlines()))
    rows = read_table2()
    assert [(row.subgroup, row.tables) for row in rows] == [(x["subgroup"], int(x["n_tables"])) for x in lines]
    for row, line in zip(rows, lines, strict=True):
        se, sp = float(line["sens"]), float(line["spec"])
        expected = {"plr": se / (1 - sp), "nlr": (1 - se) / sp, "dor": se * sp / (1 - se) / (1 - sp)}
        for key, again in (("plr", row.lr_positive), ("nlr", row.lr_negative), ("dor", row.dor_again)):
            assert again.printed == float(line[key])
            assert again.computed == pytest.approx(expected[key])
            assert again.low <= expected[key] <= again.high
            assert again.agrees
    need_shared()
    assert text == (SHARED / "mvi_pooled_table2.csv").read_text(encoding="utf-8")


def test_ranges_are_those_of_the_stored_checks():
    for row, stored in zip(read_table2(), shared_json("mvi_table2_checks.json"), strict=True):
        assert row.subgroup == stored["subgroup"]
        for again, name in ((row.lr_positive, "LRpos"), (row.lr_negative, "LRneg"), (row.dor_again, "DOR")):
            assert again.computed == pytest.approx(stored[f"{name}_calc"])
            assert (again.low, again.high) == pytest.approx(stored[f"{name}_range"])
        assert row.dor_of_ratios.computed == pytest.approx(stored["DOR_from_LRs"])
        assert row.auc.computed == pytest.approx(stored["AUC_symmetric_from_DOR"])
        assert row.auc.agrees == stored["AUC_symmetric_ok"]
        assert (row.auc_interval.kind == "reversed") == stored["AUC_CI_inverted"]
        if row.post_positive and row.post_negative:
            assert row.post_positive.computed == pytest.approx(stored["post_pos_calc"])
            assert row.post_negative.computed == pytest.approx(stored["post_neg_calc"])
        if row.threshold_share:
            assert row.threshold_share.computed == pytest.approx(stored["rho_sq_pct"])
        if row.auc_interval.kind == "wilson":
            n = (row.auc_interval.n_low, row.auc_interval.n_high)
            assert n == pytest.approx(stored["wilson_n_matching_printed_CI"], abs=0.11)


def test_contrasts_are_those_stored():
    stored = shared_json("mvi_subgroup_contrasts.json")
    assert len(stored) == 8
    for pair, one in zip(contrasts(read_table2()), stored, strict=True):
        assert (pair.first, pair.second) == (one["a"], one["b"])
        for side, key in ((pair.sensitivity, "sens"), (pair.specificity, "spec"), (pair.dor, "dor")):
            assert side.difference == pytest.approx(one[key]["diff"], abs=6e-4)
            assert side.se == pytest.approx(one[key]["se"], abs=6e-4)
            assert side.p == pytest.approx(one[key]["p"], abs=6e-4)


def test_internal_against_external_tested_at_once():
    """By hand: d = (0.308, 0.199), se = (0.179, 0.207), var(log DOR) = 0.260^2 gives the covariance -0.0037."""
    pair = contrasts(read_table2())[0]
    cov = (pair.dor.se**2 - pair.sensitivity.se**2 - pair.specificity.se**2) / 2
    v = np.array([[pair.sensitivity.se**2, cov], [cov, pair.specificity.se**2]])
    d = np.array([pair.sensitivity.difference, pair.specificity.difference])
    assert cov == pytest.approx(-0.0037, abs=2e-4)
    assert pair.joint_chi2 == pytest.approx(float(d @ np.linalg.solve(v, d)))
    assert pair.joint_p == pytest.approx(np.exp(-pair.joint_chi2 / 2))
    assert pair.joint_p > 0.05 > pair.dor.p
    assert pair.dor.p_low < pair.dor.p < pair.dor.p_high < 0.05
    none, some, much = dependence(read_table2())
    assert none.joint_p == pytest.approx(pair.joint_p)
    assert none.dor_p > some.dor_p > much.dor_p


def test_holm_by_hand():
    """The smallest p times 8, the next times 7, never less than the one before."""
    found = sorted(contrasts(read_table2()), key=lambda one: one.dor.p)
    assert found[0].holm_dor == pytest.approx(8 * found[0].dor.p)
    assert found[1].holm_dor == pytest.approx(7 * found[1].dor.p)
    assert [one.holm_dor for one in found] == sorted(one.holm_dor for one in found)
    assert max(one.holm_dor for one in found) <= 1


def test_small_formulas():
    """R 4.2.2: prop.test(420, 500, correct = FALSE)$conf.int; the area is 0.5 at DOR 1 and 0.75 at about 5.0."""
    assert [float(x) for x in wilson(0.84, 500)] == pytest.approx([0.8053245, 0.8695081], abs=1e-4)
    assert symmetric_auc(1) == 0.5
    assert symmetric_auc(1 + 1e-5) == pytest.approx(0.5, abs=1e-4)
    x = np.linspace(0, 1, 200_001)[1:-1]
    assert symmetric_auc(19) == pytest.approx(float(np.mean(19 * x / (1 - x) / (1 + 19 * x / (1 - x)))), abs=1e-4)
    assert rounded("0.80") == pytest.approx((0.795, 0.805))
    assert rounded("19") == pytest.approx((18.5, 19.5))


def test_table_1_is_the_stored_one():
    need_shared()
    with (SHARED / "mvi_studies_table1.csv").open(encoding="utf-8") as file:
        lines = [line for line in csv.DictReader(file) if line["n_val"]]
    ours = sets_of(read_table1())
    assert [(int(x["n_mvi_val"]), int(x["n_val"]), x["external"] == "1") for x in lines] == [
        (one.n_mvi, one.n, one.external) for one in ours
    ]
    assert len(read_table1()) == 52


def test_errors_of_table_1_are_found_by_arithmetic():
    checks = check_table1(read_table1())
    wrong = {one.statement: (one.printed, one.computed) for one in checks if not one.agrees}
    assert wrong == {
        "individuals with HCC": ("19,531", "19,534"), "sets of CECT": ("20", "25"), "sets of Multimodal": ("10", "5"),
        "external sets": ("19", "17"), "sets of fewer than 100": ("38", "45"),
        "Zhang 2022 [42]: training and validation sets sum to the total": ("436", "301 + 02 + 33 = 336"),
    }  # fmt: skip
    (digit,) = [one for one in checks if one.place == "Table 1, row 22"]
    assert "stands for 102" in digit.words
    assert "35 patients with MVI cannot come from 2" in digit.words
    (mvi,) = [one for one in checks if one.statement == "MVI cases"]
    assert "47 would be the count of Zhou 2021" in mvi.words


def test_a_changed_number_no_longer_balances():
    from dataclasses import replace

    studies = read_table1()
    broken = (replace(studies[0], n_train=531), *studies[1:])
    assert any(one.place == "Table 1, row 1" and not one.agrees for one in check_table1(broken))


def test_doubts_name_possible_duplicates_and_a_denied_split():
    words = [one.words for one in doubts_of(read_table1())]
    assert any("Liu 2022 [43]" in one and "Huang 2022 [62]" in one and "43 patients" in one for one in words)
    (split,) = [one for one in words if "stated split" in one]
    assert split.startswith("Lei 2024 [22]")
    assert any(one.startswith("9 studies give internal and external sets") for one in words)


def test_no_table_is_made_up(found):
    """(n+ + 1)(n- + 1) tables fit a set of which only the sizes are known."""
    sets = sets_of(found.studies)
    alone = [(one.n_mvi + 1) * (one.n - one.n_mvi + 1) for one in sets]
    assert (found.recovery.sets, found.recovery.fewest, found.recovery.most) == (68, min(alone), max(alone))
    assert found.recovery.median == np.median(alone)
    assert not found.recovery.pooled
    assert "noise" in found.recovery.words


def test_the_document_keeps_to_its_schema_and_says_what_matters(found):
    document = paper_document(found)
    check(document)
    text = " ".join(found.conclusions)
    for words in ("17 of 17", "10 of 10 probabilities", "14 of 17 intervals", "not tested in the paper", '"02"',
                  "inferred"):  # fmt: skip
        assert words in text


def test_the_command_line_works_offline_and_gives_the_same_bytes(tmp_path, monkeypatch):
    import socket

    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    run = CliRunner()
    for name in ("one", "two"):
        done = run.invoke(app, ["paper", "-o", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    assert "17 of 17" in done.output
    files = sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*"))
    figures = ("auc_intervals", "contrasts", "flow", "subgroups")
    assert files == sorted([
        *(f"figures/{name}.{kind}" for name in figures for kind in ("pdf", "svg")), "checks.csv", "contrasts.csv",
        "report.html", "results.json", "table1.csv", "table2.csv", "to_fill.csv",
    ])  # fmt: skip
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    page = (tmp_path / "one" / "report.html").read_text()
    assert "[[figure" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    check(json.loads((tmp_path / "one" / "results.json").read_text()))
    reported = read_reported(tmp_path / "one" / "to_fill.csv")
    assert len(reported) == 68
    filled = type(reported[0])(reported[0].study, {**reported[0].values, "sensitivity": "0.90", "specificity": "0.85"})
    assert len(solve(filled).tables) >= 1
