"""`hepar validate scores` and `compare` on what only a full table shows: groups, sites, splits, patients, bad input."""

import numpy as np
import pytest
from score_tables import measure, results_of, write_rows

from hepar.cli.validate import compare, scores
from hepar.errors import Refused, WrongCall
from hepar.validate import auc
from hepar.validate.calibration import calibration, recalibration
from hepar.validate.thresholds import at_threshold, choose_threshold

HEADER = ["patient", "site", "split", "sex", "age", "truth", "risk"]


@pytest.fixture(scope="module")
def patients():
    """900 made-up patients of four sites; risks too extreme outside Berlin, worse in women."""
    random = np.random.default_rng(12)
    site = random.choice(["Berlin", "Lyon", "Seoul", "Pune"], 900, p=[0.4, 0.25, 0.2, 0.15])
    split = np.where(site == "Berlin", np.where(random.random(900) < 0.5, "development", "internal"), "external")
    sex, age = random.choice(["F", "M"], 900), random.integers(30, 85, 900)
    log_odds = random.normal(-0.9, 1.3, 900)
    truth = (random.random(900) < 1 / (1 + np.exp(-log_odds))).astype(int)
    seen = log_odds * np.where(site == "Berlin", 1.0, 2.5) + random.normal(0, np.where(sex == "F", 3.0, 0.3))
    return {"patient": np.arange(900), "site": site, "split": split, "sex": sex, "age": age, "truth": truth,
            "risk": np.round(1 / (1 + np.exp(-seen)), 6)}  # fmt: skip


@pytest.fixture(scope="module")
def table(patients, tmp_path_factory):
    return write_rows(
        tmp_path_factory.mktemp("scores") / "t.csv", HEADER, zip(*(patients[k] for k in HEADER), strict=True)
    )


@pytest.fixture(scope="module")
def judged(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged") / "out"
    scores(table, out, score="risk", patient="patient", site="site", split="split", fit_split="development",
           by=["sex", "age:50,65"], variables=8, prevalence=[0.1, 0.4], quiet=True)  # fmt: skip
    return results_of(out)


def test_every_measure_stands_in_every_group(judged, patients):
    names = {"AUC", "sensitivity", "specificity", "positive predictive value", "negative predictive value",
             "calibration slope", "calibration in the large", "observed / expected", "Brier score"}  # fmt: skip
    for section, groups in (("By sex", "FM"), ("By age", ["under 50", "50 to under 65", "65 and over"]),
                            ("By site", ["Berlin", "Lyon", "Pune", "Seoul"])):  # fmt: skip
        for group in groups:
            own = [one for one in judged["measures"] if one["section"] == section and one["group"] == group]
            assert {one["name"] for one in own} == names
            assert all(one["low"] < one["estimate"] < one["high"] for one in own)
    women = (patients["sex"] == "F") & (patients["split"] != "development")
    assert measure(judged, "AUC", "F")["estimate"] == pytest.approx(
        auc(patients["truth"][women], patients["risk"][women]).estimate
    )


def test_the_largest_gap_of_each_measure_has_an_interval(judged):
    gaps = [one for one in judged["measures"] if one["section"] == "By sex: largest gaps"]
    assert len(gaps) == 8
    assert all(one["low"] < one["estimate"] < one["high"] and one["estimate"] >= 0 for one in gaps)
    area = next(one for one in gaps if one["group"] == "AUC: M less F")
    assert area["estimate"] == pytest.approx(
        measure(judged, "AUC", "M")["estimate"] - measure(judged, "AUC", "F")["estimate"]
    )
    assert area["low"] > 0
    four = [one for one in judged["measures"] if one["section"] == "By site: largest gaps"]
    assert all("Bonferroni over 6 pairs" in one["method"] for one in four)


def test_the_drop_is_internal_less_external_in_every_measure(judged):
    drops = {one["name"]: one for one in judged["measures"] if one["section"] == "Drop from internal to elsewhere"}
    assert len(drops) == 8
    inside, outside = (
        measure(judged, "calibration slope", group, "By split")["estimate"] for group in ("internal", "external")
    )
    assert drops["calibration slope"]["estimate"] == pytest.approx(inside - outside)
    assert all(one["low"] < one["estimate"] < one["high"] for one in drops.values())


def test_sites_are_pooled_in_every_measure_with_what_to_expect_elsewhere(judged):
    for name in ("AUC", "specificity", "calibration slope", "calibration in the large", "observed / expected"):
        own = [measure(judged, name, group, "By site")["estimate"] for group in ("Berlin", "Lyon", "Pune", "Seoul")]
        mean = measure(judged, name, "mean over site, random effects")
        ahead = measure(judged, name, "expected at a new site")
        assert min(own) < mean["estimate"] < max(own)
        assert ahead["high"] - ahead["low"] > mean["high"] - mean["low"]
        assert measure(judged, name, "all but Lyon")["low"] is not None


def test_recalibration_is_fitted_on_one_split_and_shown_on_the_others(judged, patients):
    own = patients["split"] == "development"
    turn = recalibration(patients["truth"][own], patients["risk"][own], method="logistic")
    there = calibration(patients["truth"][~own], turn(patients["risk"][~own]))
    found = measure(judged, "calibration slope", "after logistic")
    assert found["estimate"] == pytest.approx(there.slope.estimate, rel=1e-6)
    assert (
        measure(judged, "calibration slope", "as given")["estimate"] == measure(judged, "calibration slope")["estimate"]
    )
    assert {"after intercept", "after isotonic"} < {one["group"] for one in judged["measures"]}


def test_the_chance_after_the_test_is_that_of_bayes(judged, patients):
    own = patients["split"] == "development"
    cut = choose_threshold(patients["truth"][own], patients["risk"][own])
    found = at_threshold(patients["truth"][~own], patients["risk"][~own], cut)
    sens, spec = found.sensitivity.estimate, found.specificity.estimate
    after = measure(judged, "after a positive test", "0.1 before the test")
    assert after["estimate"] == pytest.approx(0.1 * sens / (0.1 * sens + 0.9 * (1 - spec)))
    missed = measure(judged, "after a negative test", "0.4 before the test")
    assert missed["estimate"] == pytest.approx(0.4 * (1 - sens) / (0.4 * (1 - sens) + 0.6 * spec))


def test_too_few_cases_and_events_per_variable_are_said(judged, patients):
    own = patients["split"] == "development"
    rarer = min(patients["truth"][own].sum(), own.sum() - patients["truth"][own].sum())
    assert measure(judged, "events per variable")["estimate"] == rarer / 8
    assert any("events per variable" in text for text in judged["notes"])
    assert any("fewer than a precise external validation" in text for text in judged["notes"])


def test_figures_that_the_issue_names_are_there(judged):
    titles = {one["title"] for one in judged["figures"]}
    assert {"ROC curve", "Precision and recall", "Calibration", "Decision curve", "Interventions avoided",
            "Before and after the test", "Calibration before and after"} <= titles  # fmt: skip


def test_lesions_of_one_patient_widen_the_intervals(patients, tmp_path):
    """Every patient three times: with --patient the intervals are those of the patients, else too narrow."""
    columns = [np.repeat(patients[name], 3) for name in ("patient", "truth", "risk")]
    path = write_rows(tmp_path / "t.csv", ["patient", "truth", "risk"], zip(*columns, strict=True))
    widths = {}
    for name, who in (("known", "patient"), ("blind", None)):
        scores(path, tmp_path / name, score="risk", patient=who, threshold=0.4, quiet=True)
        made = results_of(tmp_path / name)
        widths[name] = {one: measure(made, one)["high"] - measure(made, one)["low"]
                        for one in ("AUC", "sensitivity", "calibration slope", "average precision",
                                    "likelihood ratio of a positive")}  # fmt: skip
    for one, width in widths["known"].items():
        assert width / widths["blind"][one] == pytest.approx(3**0.5, rel=0.15)


def test_a_score_that_is_no_risk_is_made_one_on_the_fitted_split(patients, tmp_path):
    logit = np.log(patients["risk"] / (1 - patients["risk"]))
    path = write_rows(
        tmp_path / "t.csv", ["split", "truth", "score"], zip(patients["split"], patients["truth"], logit, strict=True)
    )
    scores(path, tmp_path / "out", split="split", fit_split="development", quiet=True)
    made = results_of(tmp_path / "out")
    assert 0.3 < measure(made, "calibration slope", "after logistic")["estimate"] < 1.1


def test_a_study_in_two_splits_stops_the_run(tmp_path):
    rows = [["1.2.3", 1, 0.9, "a"], ["1.2.3", 0, 0.2, "b"], ["1.2.4", 0, 0.1, "a"]]
    path = write_rows(tmp_path / "t.csv", ["uid", "truth", "score", "split"], rows)
    with pytest.raises(Refused, match="1 of 2 studies stand in more than one split"):
        scores(path, tmp_path / "out", study_uid="uid", split="split", quiet=True)


def test_a_leak_is_found_in_rows_without_a_score_too(tmp_path):
    rows = [["p", 1, "", "a"], ["p", 0, 0.2, "b"], ["q", 1, 0.1, "b"]]
    path = write_rows(tmp_path / "t.csv", ["patient", "truth", "score", "split"], rows)
    with pytest.raises(Refused, match="1 of 2 patients"):
        scores(path, tmp_path / "out", patient="patient", split="split", quiet=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no row"),
        ("truth,score\n", "holds no row"),
        ("truth,score,score\n1,2,3\n", "names a column twice"),
        ("truth;score\n1;0.2\n", "no column 'truth'"),
        ("truth,score\n1,x\n0,\n", "no row of the table has both"),
        ('truth,score\n1,"0.2\n0,0.4\n', "row 2, has 2 fields|no row|broken|quote"),
    ],
)
def test_broken_tables_get_a_sentence(tmp_path, content, words):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises((Refused, WrongCall), match=words):
        scores(path, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_counted_by_reason(tmp_path):
    rows = [[i % 2, i / 60] for i in range(60)]
    rows[0][1], rows[1][1], rows[2][1], rows[3][0] = "", "0,75", "inf", "NA"
    path = write_rows(tmp_path / "t.csv", ["truth", "score"], rows)
    scores(path, tmp_path / "out", quiet=True)
    made = results_of(tmp_path / "out")
    assert {one["reason"]: one["count"] for one in made["cases"]["left_out"]} == {
        "no truth in column truth": 1,
        "the score in column score is missing": 1,
        "the score in column score is no finite number": 2,
    }
    assert made["cases"]["used"] == 56


def test_options_that_do_not_go_together_are_refused(table, tmp_path):
    with pytest.raises(WrongCall, match="--threshold does not go with --multiclass"):
        scores(table, tmp_path / "out", multiclass=["a=risk", "b=risk"], threshold=0.5, quiet=True)
    with pytest.raises(WrongCall, match="--at does not go with a score without --time"):
        scores(table, tmp_path / "out", score="risk", at=[12.0], quiet=True)
    with pytest.raises(WrongCall, match="--time and --event belong together"):
        scores(table, tmp_path / "out", score="risk", time="age", quiet=True)


def test_two_models_of_the_same_patients_lesions(patients, tmp_path):
    """Rows three times: with --patient the interval of the difference is sqrt(3) wider."""
    random = np.random.default_rng(0)
    other = np.clip(patients["risk"] + random.normal(0, 0.1, 900), 0, 1)
    for name, score in (("a", patients["risk"]), ("b", other)):
        rows = [
            [f"{i}-{k}", i, t, s]
            for i, (t, s) in enumerate(zip(patients["truth"], score, strict=True))
            for k in range(3)
        ]
        write_rows(tmp_path / f"{name}.csv", ["case", "patient", "truth", "score"], rows)
    spans = []
    for who in (None, "patient"):
        compare(
            tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / f"out{who}", patient=who, category=[0.2, 0.5], quiet=True
        )
        made = results_of(tmp_path / f"out{who}")
        found = measure(made, "AUC", "first less second")
        spans.append(found["high"] - found["low"])
    assert spans[1] / spans[0] == pytest.approx(3**0.5, rel=0.05)
    moved = [one["estimate"] for one in made["measures"] if one["section"].endswith(": events")]
    assert sum(moved) == 3 * patients["truth"].sum()
    assert any("favour a new model that is badly calibrated" in text for text in made["notes"])


def test_a_large_table_is_judged_in_bounded_time(tmp_path):
    """50,000 rows; the time is that of the machine, so only the counting is held."""
    random = np.random.default_rng(1)
    truth = random.random(50_000) < 0.1
    score = 1 / (1 + np.exp(-(random.normal(-3, 1, 50_000) + 1.5 * truth)))
    path = write_rows(tmp_path / "t.csv", ["truth", "score"], zip(truth.astype(int), score, strict=True))
    scores(path, tmp_path / "out", quiet=True)
    assert results_of(tmp_path / "out")["cases"]["used"] == 50_000
    assert (tmp_path / "out" / "report.html").stat().st_size < 1_000_000
