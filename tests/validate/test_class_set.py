"""Several classes from a table, against sums made by hand."""

import numpy as np
import pytest
from score_tables import measure, results_of, write_rows

from hepar.cli.validate import scores
from hepar.errors import WrongCall
from hepar.validate import auc

NAMES = ("HCC", "ICC", "metastasis")
COLUMNS = ["HCC=p_hcc", "ICC=p_icc", "metastasis=p_met"]


@pytest.fixture(scope="module")
def cases():
    random = np.random.default_rng(6)
    truth = random.choice(3, 300, p=[0.5, 0.2, 0.3])
    odds = np.exp(random.normal(size=(300, 3)) + 1.8 * np.eye(3)[truth])
    return truth, np.round(odds / odds.sum(axis=1, keepdims=True), 6)


@pytest.fixture(scope="module")
def judged(cases, tmp_path_factory):
    truth, scored = cases
    folder = tmp_path_factory.mktemp("classes")
    rows = [[i, NAMES[t], "AB"[i % 2], *s] for i, (t, s) in enumerate(zip(truth, scored, strict=True))]
    path = write_rows(folder / "t.csv", ["id", "truth", "scanner", "p_hcc", "p_icc", "p_met"], rows)
    scores(path, folder / "out", multiclass=COLUMNS, by=["scanner"], patient="id", quiet=True)
    return results_of(folder / "out")


def test_the_confusion_table_is_counted(judged, cases):
    truth, scored = cases
    called = scored.argmax(axis=1)
    for i, name in enumerate(NAMES):
        for j, other in enumerate(NAMES):
            found = measure(judged, f"called {other}", f"truly {name}")
            assert found["estimate"] == ((truth == i) & (called == j)).sum()
    assert measure(judged, "accuracy")["estimate"] == pytest.approx((truth == called).mean())
    recalls = [(called[truth == i] == i).mean() for i in range(3)]
    balanced = measure(judged, "balanced accuracy (mean sensitivity)")
    assert balanced["estimate"] == pytest.approx(np.mean(recalls))
    assert balanced["low"] < balanced["estimate"] < balanced["high"]
    precisions = [(truth[called == i] == i).mean() for i in range(3)]
    f1 = [2 * p * r / (p + r) for p, r in zip(precisions, recalls, strict=True)]
    assert measure(judged, "macro F1")["estimate"] == pytest.approx(np.mean(f1))


def test_each_class_stands_against_the_rest(judged, cases):
    truth, scored = cases
    for i, name in enumerate(NAMES):
        assert measure(judged, "AUC", name)["estimate"] == pytest.approx(auc(truth == i, scored[:, i]).estimate)
    assert measure(judged, "AUC of all classes (Hand and Till)", "A", "By scanner")["low"] > 0.7


def test_probabilities_are_held_against_what_happened(judged, cases):
    truth, scored = cases
    brier = measure(judged, "Brier score", "all classes")
    assert brier["estimate"] == pytest.approx(((scored - np.eye(3)[truth]) ** 2).sum(axis=1).mean())
    assert measure(judged, "observed / expected", "ICC")["estimate"] == pytest.approx(
        (truth == 1).sum() / scored[:, 1].sum()
    )


def test_a_class_without_a_column_is_refused(tmp_path):
    path = write_rows(tmp_path / "t.csv", ["truth", "a", "b"], [["a", 0.1, 0.9], ["c", 0.2, 0.8]])
    with pytest.raises(WrongCall, match="the truth holds 'c', which is none of the classes named"):
        scores(path, tmp_path / "out", multiclass=["a", "b"], quiet=True)
    with pytest.raises(WrongCall, match="needed: two at least"):
        scores(path, tmp_path / "out", multiclass=["a"], quiet=True)


def test_gaps_ties_and_absent_classes_are_said(tmp_path):
    rows = [["a", 0.5, 0.5, 0.0], ["b", 0.2, 0.8, 0.0], ["a", "", 0.3, 0.1], ["", 0.1, 0.2, 0.7], ["b", 0.4, 0.3, 0.3]]
    path = write_rows(tmp_path / "t.csv", ["truth", "a", "b", "c"], rows)
    scores(path, tmp_path / "out", multiclass=["a", "b", "c"], quiet=True)
    made = results_of(tmp_path / "out")
    assert sorted(one["count"] for one in made["cases"]["left_out"]) == [1, 1]
    assert any("1 cases have two highest scores" in text for text in made["notes"])
    assert any("No case is c" in text for text in made["notes"])
    assert "needs cases of each" in measure(made, "AUC of all classes (Hand and Till)")["missing"]
