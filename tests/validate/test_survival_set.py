"""Survival from a table: the open table of 227 resections beside the repository, and made-up ones."""

import csv

import numpy as np
import pytest
from score_tables import measure, results_of, write_rows

from hepar.cli.validate import scores
from hepar.errors import Refused, WrongCall
from hepar.validate.survival import concordance, kaplan_meier, log_rank


@pytest.fixture(scope="module")
def made_up():
    """400 cases; the hazard doubles per unit of the score; the risk by 24 is the true one."""
    random = np.random.default_rng(3)
    score = random.normal(size=400)
    hazard = 0.02 * np.exp(0.7 * score)
    event_at, censored_at = random.exponential(1 / hazard), random.uniform(12, 80, 400)
    time = np.round(np.minimum(event_at, censored_at), 3)
    risk = np.round(1 - np.exp(-24 * hazard), 6)
    return time, (event_at <= censored_at).astype(int), score, risk, np.where(np.arange(400) % 2, "F", "M")


@pytest.fixture(scope="module")
def judged(made_up, tmp_path_factory):
    folder = tmp_path_factory.mktemp("survival")
    path = write_rows(folder / "t.csv", ["time", "event", "score", "risk", "sex"], zip(*made_up, strict=True))
    scores(path, folder / "score", time="time", event="event", at=[12.0, 24.0], by=["sex"], quiet=True)
    scores(path, folder / "risk", time="time", event="event", score="risk", at=[24.0], risk=True, quiet=True)
    return results_of(folder / "score"), results_of(folder / "risk")


def test_the_measures_are_those_of_the_functions(judged, made_up):
    time, event, score, _, _ = made_up
    found = measure(judged[0], "C-index (Harrell)")
    assert found["estimate"] == pytest.approx(concordance(time, event, score).c.estimate)
    cuts = np.quantile(score, (1 / 3, 2 / 3))
    place = np.digitize(score, cuts)
    low = kaplan_meier(time[place == 0], event[place == 0])
    assert measure(judged[0], "free of the event at 24", "low risk")["estimate"] == pytest.approx(low.at(24))
    assert measure(judged[0], "still followed at 24", "low risk")["estimate"] == (time[place == 0] >= 24).sum()
    p = measure(judged[0], "p of no difference (log-rank)", "all groups")["estimate"]
    assert p == pytest.approx(log_rank(time, event, place).p, rel=1e-6)


def test_the_hazard_ratio_holds_the_true_one(judged, made_up):
    found = measure(judged[0], "hazard ratio", "score, per standard deviation")
    assert found["low"] < np.exp(0.7 * made_up[2].std(ddof=1)) < found["high"]
    assert measure(judged[0], "hazard ratio", "high risk against low risk")["low"] > 1.5


def test_a_true_risk_is_found_to_be_true(judged):
    ratio = measure(judged[1], "observed / expected", "by 24")
    assert ratio["low"] < 1 < ratio["high"]
    brier, null = (
        measure(judged[1], name, "by 24")["estimate"] for name in ("Brier score", "Brier score without a model")
    )
    assert brier < null
    assert {"Kaplan-Meier curves", "Calibration", "Decision curve"} <= {one["title"] for one in judged[1]["figures"]}


def test_groups_and_their_gap(judged):
    gap = next(one for one in judged[0]["measures"] if one["section"] == "By sex: largest gaps")
    ends = sorted(measure(judged[0], "C-index (Harrell)", group, "By sex")["estimate"] for group in "FM")
    assert gap["estimate"] == pytest.approx(ends[1] - ends[0])
    assert gap["low"] < gap["estimate"] < gap["high"]


def test_risk_groups_are_cut_on_one_split_and_judged_on_the_other(made_up, tmp_path):
    time, event, score, _, _ = made_up
    rows = zip(time, event, score, ["dev"] * 200 + ["ext"] * 200, strict=True)
    path = write_rows(tmp_path / "t.csv", ["time", "event", "score", "split"], rows)
    scores(
        path,
        tmp_path / "out",
        time="time",
        event="event",
        at=[24.0],
        split="split",
        fit_split="dev",
        risk_groups=2,
        quiet=True,
    )
    made = results_of(tmp_path / "out")
    cut = np.quantile(score[:200], 0.5)
    assert measure(made, "cases", "high risk")["estimate"] == (score[200:] >= cut).sum()
    assert measure(made, "events")["n"] == 200


def test_a_real_table(shared_data, tmp_path):
    """227 resections (Li 2014, CC0): TNM stage as the score. R: survival::concordance and coxph on the same columns."""
    with (shared_data / "tables" / "asaur-hepatocellular.csv").open() as file:
        rows = [[row["OS"], row["Death"], row["TNM"], row["Age"]] for row in csv.DictReader(file)]
    path = write_rows(tmp_path / "t.csv", ["os", "death", "tnm", "age"], rows)
    scores(path, tmp_path / "out", score="tnm", time="os", event="death", at=[12.0, 36.0], adjust=["age"], quiet=True)
    made = results_of(tmp_path / "out")
    assert measure(made, "events")["estimate"] == 97
    assert 0.55 < measure(made, "C-index (Harrell)")["estimate"] < 0.7
    assert measure(made, "hazard ratio", "score, per standard deviation, adjusted")["low"] > 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[5, 0, 0.1], [6, 0, 0.3]], "no case of the table had the event"),
        ([[5, 1, 0.1], [6, 0, 0.1]], "all scores are 0.1"),
        ([["", 1, 0.1], [6, "", 0.3]], "nothing can be judged"),
    ],
)
def test_what_cannot_be_judged_is_refused(tmp_path, rows, words):
    path = write_rows(tmp_path / "t.csv", ["time", "event", "score"], rows)
    with pytest.raises(Refused, match=words):
        scores(path, tmp_path / "out", time="time", event="event", at=[2.0], quiet=True)


def test_rows_that_cannot_be_used_are_counted(made_up, tmp_path):
    rows = [list(row) for row in zip(*made_up[:3], strict=True)]
    rows[0][0], rows[1][0], rows[2][1], rows[3][2] = -1, "NA", "", "high"
    path = write_rows(tmp_path / "t.csv", ["time", "event", "score"], rows)
    scores(path, tmp_path / "out", time="time", event="event", at=[24.0], quiet=True)
    made = results_of(tmp_path / "out")
    assert sorted(one["count"] for one in made["cases"]["left_out"]) == [1, 1, 1, 1]
    with pytest.raises(WrongCall, match="not within the longest in the table"):
        scores(path, tmp_path / "two", time="time", event="event", at=[9999.0], quiet=True)
