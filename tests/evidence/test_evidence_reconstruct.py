"""2x2 tables from reported numbers."""

import numpy as np
import pytest
from typer.testing import CliRunner

from evidence.evidence_reference import shared_json, table_of
from hepar.cli.evidence import app
from hepar.errors import Refused
from hepar.evidence.fit import fit
from hepar.evidence.impute import pool_imputed
from hepar.evidence.likelihood import bivariate
from hepar.evidence.pooling import pool
from hepar.evidence.reconstruct import Reported, Solution, measures, reconstructed_csv, solve
from hepar.evidence.table import read_table

SHORT = {"sens": "sensitivity", "spec": "specificity", "acc": "accuracy", "N": "n"}


@pytest.mark.parametrize("number", range(9))
def test_number_of_tables_meets_the_exhaustive_search(number):
    case = shared_json("mvi_two_by_two_inversion.json")["enumeration"][number]
    values = {SHORT.get(key, key): f"{value:.{case['decimals']}f}" for key, value in case["reported"].items()}
    values |= {SHORT.get(key, key): str(value) for key, value in case["given"].items()}
    found = solve(Reported("x", values))
    assert len(found.tables) == case["n_solutions"]
    assert [86, 31, 20, 129] in found.tables.tolist()
    assert {tuple(row) for row in case["first_solutions"]} <= {tuple(row) for row in found.tables.tolist()}


def test_a_table_comes_back_from_its_own_numbers():
    table = np.array([[43, 7, 12, 88]])
    values = {name: f"{value[0]:.4f}" for name, value in measures(table).items()}
    found = solve(Reported("x", {"n": "150", **values}))
    assert found.tables.tolist() == table.tolist()


def test_percent_and_share_are_the_same():
    one = solve(Reported("x", {"n_pos": "106", "n_neg": "160", "sensitivity": "81.1 %", "specificity": "80.6%"}))
    two = solve(Reported("x", {"n_pos": "106", "n_neg": "160", "sensitivity": "0.811", "specificity": "0.806"}))
    assert one.tables.tolist() == two.tables.tolist() == [[86, 31, 20, 129]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"n_pos": "13", "n_neg": "20", "sensitivity": "0.87", "specificity": "0.9"}, "0.87 cannot come from 13 cases"),
        ({"n": "50", "n_pos": "30", "n_neg": "30"}, "sum to 60, more than n of 50"),
        ({"n_pos": "10", "n_neg": "10", "sensitivity": "0.8", "specificity": "0.8", "accuracy": "0.95"}, "together"),
        ({"sensitivity": "0.8", "specificity": "0.8"}, "are needed"),
        ({"n": "100", "sensitivity": "0.8"}, "at least two"),
    ],
)
def test_the_impossible_is_explained(values, words):
    found = solve(Reported("x", values))
    assert not len(found.tables)
    assert words in found.why


def test_a_lost_digit_is_noticed():
    """The MVI paper prints "02" for 102."""
    found = solve(Reported("Zhang 2022", {"n": "02", "n_pos": "35", "sensitivity": "0.8", "specificity": "0.8"}))
    assert "more than n of 2" in found.why
    assert "'02'" in found.notices[0]


def test_a_lost_digit_is_proposed_and_never_applied():
    """The MVI paper's "02" for 102, with both groups known: no other digit in front makes them add up."""
    values = {"n": "02", "n_pos": "35", "n_neg": "67", "sensitivity": "0.80", "specificity": "0.81"}
    found = solve(Reported("Zhang 2022", values))
    assert not len(found.tables)
    assert [(one.name, one.printed, one.proposed) for one in found.proposals] == [("n", "02", "102")]
    assert "NA,NA,NA,NA,0" in reconstructed_csv([found])
    assert "with n 102 in place of 02 (a digit lost in front)" in reconstructed_csv([found])


def test_swapped_digits_are_proposed_where_they_fit():
    """By hand: 34 of 40 and 45 of 50 give accuracy 79/90 = 0.878; sensitivity 0.58 cannot, 0.85 does."""
    values = {"n_pos": "40", "n_neg": "50", "sensitivity": "0.58", "specificity": "0.90", "accuracy": "0.878"}
    found = solve(Reported("x", values))
    assert "together" in found.why
    assert ("sensitivity", "0.85", "two digits swapped") in [(p.name, p.proposed, p.kind) for p in found.proposals]
    assert solve(Reported("x", {**values, "sensitivity": "0.85"})).proposals == ()


@pytest.mark.parametrize("value", ["high", "1.2e9x", "-0.2", "130"])
def test_what_is_no_share_is_refused(value):
    with pytest.raises(Refused):
        solve(Reported("x", {"n_pos": "10", "n_neg": "10", "sensitivity": value}))


def test_imputing_known_tables_is_the_plain_fit_and_doubt_widens_it():
    table = table_of("sim_k10")
    rows = np.stack([table.tp, table.fp, table.fn, table.tn], axis=1)
    sure = [Solution(name, rows[i : i + 1], 0, "", ()) for i, name in enumerate(table.study)]
    plain = fit(bivariate(table.tp, table.n1, table.tn, table.n0))
    found = pool_imputed(sure, imputations=2)
    assert found.means == pytest.approx(plain.means, abs=1e-6)
    assert found.share == pytest.approx((0, 0), abs=1e-9)
    doubt = [Solution("d", np.array([rows[0], rows[0] + [-4, 5, 4, -5]]), 0, "", ()), *sure[1:]]
    wide = pool_imputed([*doubt, Solution("none", rows[:0], -1, "impossible", ())], imputations=6)
    assert min(wide.share) > 0
    assert wide.ambiguous == ("d",)
    assert wide.left_out == (("none", "impossible"),)


def test_the_command_writes_a_table_that_pool_reads(tmp_path):
    lines = ["study,n_pos,n_neg,sens,spec"]
    table = table_of("sim_k10")
    for i in range(10):
        one, zero = table.n1[i], table.n0[i]
        lines.append(f"{table.study[i]},{one},{zero},{table.tp[i] / one:.3f},{table.tn[i] / zero:.3f}")
    (tmp_path / "reported.csv").write_text("\n".join(lines) + "\nodd,13,20,0.87,0.9\n")
    run = CliRunner()
    made = run.invoke(app, ["tables", str(tmp_path / "reported.csv"), "-o", str(tmp_path / "table.csv")])
    assert made.exit_code == 0, made.output
    assert "cannot come from 13 cases" in made.output
    pooled = pool(read_table(tmp_path / "table.csv"))
    assert "1 row was left out" in pooled.data.notices[0]
