"""Reporting checklists: the items are those published, and an answer says what the document holds."""

import csv
import io
import json
import re

import numpy as np
import pytest

from hepar.cli.validate import compare, scores
from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.checklist import (
    CHECKLISTS,
    OF_KIND,
    PERSON,
    RULES,
    STATUSES,
    checklist_files,
    count,
    prefill,
)
from hepar.validate.checklist_page import checklist_sections
from hepar.validate.checklist_run import ANSWERED, PARTLY, Run
from hepar.validate.results import Chart, Results, document, series

TRIPOD_AI = [
    "1", "2", "3a", "3b", "3c", "4", "5a", "5b", "6a", "6b", "6c", "7", "8a", "8b", "8c", "9a", "9b", "9c", "10", "11",
    "12a", "12b", "12c", "12d", "12e", "12f", "12g", "13", "14", "15", "16", "17", "18a", "18b", "18c", "18d", "18e",
    "18f", "19", "20a", "20b", "20c", "21", "22", "23a", "23b", "24", "25", "26", "27a", "27b", "27c",
]  # fmt: skip
"""Numbers of Table 2 of BMJ 2024;385:e078378: 27 items, 52 with their parts."""


def share(value, low=None, high=None, method="wilson"):
    return Estimate(value, low, high, None if low is None else 0.95, "" if low is None else method)


def scores_document(**settings):
    """A made-up run: 100 rows, 10 without score, 30 that chose the threshold, 60 judged, 24 of them positive."""
    run = Results("scores", "How good is the score?", given=100, used=90)
    run.leave_out("no score", 10)
    section = "Telling positive from negative"
    run.add(section, "", "prevalence", share(0.4, 0.29, 0.53), 60)
    run.add(section, "", "AUC", share(0.8, 0.7, 0.875, "logit-delong"), 60)
    run.add(section, "", "threshold", 0.5, 60)
    run.add(section, "", "sensitivity", share(0.75, 0.55, 0.88), 60)
    run.add(section, "", "specificity", share(0.5, 0.34, 0.66), 60)
    run.add(section, "", "positive predictive value", share(0.5, 0.35, 0.65), 60)
    run.add("Is a risk of 30 % really 30 in 100?", "", "calibration slope", share(1.25, 0.5, 2, "wald"), 60)
    run.charts.append(Chart(section, "ROC curve", "", "x", "y", (series("score", "line", [0, 1], [0, 1]),)))
    run.notes += ["Acting on the score beats treating all at 5% to 50%.", "60 cases are few."]
    more = {"by": [], "site": None, "split": None, "fit_split": None, "patient": None, "threshold": None, **settings}
    return run, more


def answer(made, name, number):
    found = next(one for one in prefill(made, name) if one.item.number == number)
    return found.status, found.told


def made_of(run, settings):
    return document(run, settings, "0" * 64)


@pytest.fixture(scope="module")
def plain():
    return made_of(*scores_document())


@pytest.fixture(scope="module")
def full():
    """The same run with groups, sites, splits, recalibration, sizes and a place."""
    run, settings = scores_document(
        by=["sex", "age:50,65"], site="hospital", split="part", fit_split="dev", patient="case", validation="external"
    )
    for section, groups in (("By sex", ("F", "M")), ("By hospital", ("A", "B")), ("By part", ("internal", "external"))):
        for i, group in enumerate(groups):
            run.add(section, group, "AUC", share(0.75 + i / 10, 0.6, 0.9, "logit-delong"), 40 - 20 * i)
    run.add("By age", "under 50", "AUC", Estimate.cannot_tell("too small to judge"), 12)
    run.add("By sex: largest gaps", "AUC: M less F", "gap", share(0.1, -0.05, 0.25, "delong, unpaired"), 60)
    over = "Over hospital: pooled, and without each in turn"
    run.add(over, "mean over hospital, random effects", "AUC", share(0.8, 0.6, 0.9, "REML, Hartung-Knapp, logit"), 60)
    run.add(over, "expected at a new hospital", "AUC", share(0.8, 0.5, 0.95, "prediction interval"), 60)
    run.add(over, "all but A", "AUC", share(0.85, 0.7, 0.9), 20)
    run.add(over, "all but B", "AUC", share(0.75, 0.6, 0.9), 40)
    after = "Recalibrated on dev, judged on the others"
    run.add(after, "as given", "calibration slope", share(1.25, 0.5, 2, "wald"), 60)
    run.add(after, "after logistic", "calibration slope", share(1.125, 0.5, 1.75, "wald"), 60)
    run.add("Are there enough cases?", "", "cases needed: AUC", 304.0, 60, "for a 95 % interval 0.1 wide")
    run.place = place_part()
    return made_of(run, settings)


def place_part():
    one = {"estimate": 0.8, "low": None, "high": None, "level": None, "method": "", "missing": ""}
    names = ("sensitivity", "specificity", "pooled_sensitivity", "pooled_specificity", "sensitivity_difference",
             "specificity_difference")  # fmt: skip
    return {"modality": "CECT", "validation": "external", "subgroup": "CECT external validation", "own_subgroup": True,
            "published_sets": 4, **dict.fromkeys(names, one), "sentence": "Against 4 sets: no difference shown.",
            "verdict": "with care", "fairness": "Read the comparison with care: only 4 sets were pooled.", "points": [],
            "table_sha256": "0" * 64}  # fmt: skip


def masks_document(notes=(), **settings):
    run = Results("masks", "How good are the outlines?", given=6, used=5)
    run.leave_out("no prediction")
    section = "Overlap and distance, mean over cases"
    run.add(section, "liver", "Dice", share(0.9375, 0.875, 0.96875, "bootstrap of patients"), 5)
    run.add(section, "liver", "Hausdorff distance, 95 %", share(12.5, 8, 20, "bootstrap of patients"), 5, "mm")
    section = "Finding lesions, by lesion"
    for group, n, recall in (("all sizes", 8, 0.75), ("under 10 mm", 2, 0.0), ("over 20 mm", 6, 1.0)):
        run.add(section, group, "lesions", n, n)
        run.add(section, group, "found (recall)", share(recall, 0.0, 1.0, "bootstrap of patients"), n)
    run.add(section, "all sizes", "false findings per case", 0.4, 5)
    run.add("Finding lesions, by patient", "", "sensitivity (any lesion)", share(0.75, 0.3, 0.95), 5)
    run.notes += notes
    return made_of(run, {"structures": {"liver": [1, 2], "lesion": [2]}, **settings})


def compare_document(**settings):
    run = Results("compare", "Which is better?", given=50, used=50)
    section = "Telling positive from negative"
    run.add(section, "first", "AUC", share(0.875, 0.75, 0.9375, "logit-delong"), 50)
    run.add(section, "first less second", "AUC", share(0.125, -0.0625, 0.25, "delong, paired"), 50)
    run.add(section, "first less second", "p of no difference", 0.25, 50)
    return made_of(run, {"case": "case", "reader": None, **settings})


@pytest.mark.parametrize(("name", "numbers", "main"), [
    ("TRIPOD+AI", TRIPOD_AI, 27), ("CLAIM", [str(i) for i in range(1, 45)], 44)])  # fmt: skip
def test_the_items_are_those_of_the_checklist(name, numbers, main):
    checklist = CHECKLISTS[name]
    assert [item.number for item in checklist.items] == numbers
    assert len({re.match(r"\d+", number).group() for number in numbers}) == main == checklist.main_items
    for item in checklist.items:
        assert item.asks
        assert item.section
        assert item.clause.endswith(f"item {item.number}")
        assert not item.rule or item.rule in RULES


def test_what_concerns_making_a_model_is_marked():
    """D of Table 2: 9a, 12a to 12c, 15, 22, 27a, 27b. E: 12f, 12g, 20c, 24."""
    items = CHECKLISTS["TRIPOD+AI"].items
    assert [one.number for one in items if one.applies == "D"] == ["9a", "12a", "12b", "12c", "15", "22", "27a", "27b"]
    assert [one.number for one in items if one.applies == "E"] == ["12f", "12g", "20c", "24"]
    assert {one.applies for one in CHECKLISTS["CLAIM"].items} == {""}


def test_every_rule_is_named_by_an_item():
    assert {item.rule for one in CHECKLISTS.values() for item in one.items if item.rule} == set(RULES)


CASES = [
    ("4", PARTLY, "A score that exists was judged against the truth on 60 cases; no model was made."),
    ("7", PARTLY, "Truth and score were taken as they stand; rows without a readable truth or a finite score are left "
                  "out."),
    ("10", PARTLY, "24 positive and 36 negative cases were judged."),
    ("11", PARTLY, "10 of 100 rows were left out (10: no score); nothing was filled in."),
    ("12e", ANSWERED, "Measures and figures, by what they are for:\n[Telling positive from negative] prevalence; AUC; "
                      "threshold; sensitivity; specificity; positive predictive value; figure: ROC curve.\n"
                      "[Is a risk of 30 % really 30 in 100?] calibration slope."),
    ("12f", PARTLY, "Nothing was updated in this run."),
    ("15", PARTLY, "The score was read as a risk from 0 to 1. Positive from 0.500, chosen by Youden's index on the "
                   "same cases."),
    ("20a", PARTLY, "100 cases given, 90 used (10 left out: no score). Judged: 24 positive and 36 negative cases."),
    ("21", ANSWERED, "Judged: 24 positive and 36 negative cases."),
    ("23a", PARTLY, "AUC 0.800 (0.700 to 0.875); sensitivity 0.750 (0.550 to 0.880); specificity 0.500 (0.340 to "
                    "0.660); positive predictive value 0.500 (0.350 to 0.650); calibration slope 1.250 (0.500 to 2)."),
    ("24", PARTLY, "Nothing was updated in this run."),
    ("26", PARTLY, "60 cases are few."),
]  # fmt: skip


@pytest.mark.parametrize(("number", "status", "told"), CASES)
def test_tripod_ai_of_a_plain_run(plain, number, status, told):
    assert answer(plain, "TRIPOD+AI", number) == (status, told)


@pytest.mark.parametrize("number", ["12a", "12d", "14", "20b", "23b", "25", "1", "8a", "17", "18a", "27c"])
def test_what_a_plain_run_does_not_know_is_left_to_a_person(plain, number):
    assert answer(plain, "TRIPOD+AI", number) == (PERSON, "")


FULL = [
    ("7", PARTLY, "Truth and score were taken as they stand; rows without a readable truth or a finite score are left "
                  "out. No patient stands in two splits."),
    ("10", PARTLY, "24 positive and 36 negative cases were judged. Needed: AUC 304 for a 95 % interval 0.1 wide."),
    ("12a", PARTLY, "The column part divides the cases (internal 40, external 20). The split dev (30 cases) is not "
                    "judged: what has to be chosen from data (threshold, recalibration, risk groups) is chosen on it."),
    ("12d", ANSWERED, "Computed for each value of hospital, and pooled over them with random effects (REML, "
                      "Hartung-Knapp): AUC. The range expected at a new one is given, and AUC without each in turn."),
    ("12f", ANSWERED, "Recalibrated on dev, judged on the others: after logistic."),
    ("14", PARTLY, "Judged by sex, age: AUC. Groups too small to judge are named as such. By sex: largest "
                   "gaps, AUC: M less F 0.100 (-0.050 to 0.250)."),
    ("15", PARTLY, "The score was read as a risk from 0 to 1. Positive from 0.500, chosen by Youden's index on the "
                   "split dev."),
    ("20b", PARTLY, "Cases by sex: F 40, M 20; by age: under 50 12; by hospital: A 40, B 20; by part: internal 40, "
                    "external 20. 24 of 60 are positive."),
    ("21", ANSWERED, "Judged: 24 positive and 36 negative cases. Not judged, to choose on: 30 cases of the split dev."),
    ("23a", ANSWERED, "AUC 0.800 (0.700 to 0.875); sensitivity 0.750 (0.550 to 0.880); specificity 0.500 (0.340 to "
                      "0.660); positive predictive value 0.500 (0.350 to 0.650); calibration slope 1.250 (0.500 to "
                      "2).\nAUC by sex: F 0.750 (0.600 to 0.900), M 0.850 (0.600 to 0.900).\n"
                      "AUC by age: under 50 (too small to judge).\n"
                      "AUC by hospital: A 0.750 (0.600 to 0.900), B 0.850 (0.600 to 0.900).\n"
                      "AUC by part: internal 0.750 (0.600 to 0.900), external 0.850 (0.600 to 0.900)."),
    ("23b", ANSWERED, "AUC by hospital: A 0.750 (0.600 to 0.900), B 0.850 (0.600 to 0.900).\n"
                      "mean over hospital, random effects: AUC 0.800 (0.600 to 0.900).\n"
                      "expected at a new hospital: AUC 0.800 (0.500 to 0.950)."),
    ("24", ANSWERED, "Recalibrated on dev, judged on the others:\nas given: calibration slope 1.250 (0.500 to 2).\n"
                     "after logistic: calibration slope 1.125 (0.500 to 1.750)."),
    ("25", PARTLY, "Against 4 sets: no difference shown. Read the comparison with care: only 4 sets were pooled."),
]  # fmt: skip


@pytest.mark.parametrize(("number", "status", "told"), FULL)
def test_tripod_ai_of_a_full_run(full, number, status, told):
    assert answer(full, "TRIPOD+AI", number) == (status, told)


def test_the_software_is_named_with_its_settings(plain):
    status, told = answer(plain, "TRIPOD+AI", "18f")
    provenance = plain["provenance"]
    assert status == PARTLY
    assert f"hepar {provenance['version']}" in told
    assert provenance["settings_sha256"][:16] in told
    assert answer(plain, "CLAIM", "23")[1] == answer(plain, "CLAIM", "43")[1] == told


CLAIM = [
    ("6", PARTLY, "A score that exists was judged against the truth on 60 cases; no model was made."),
    ("12", PARTLY, "10 of 100 rows were left out (10: no score); nothing was filled in."),
    ("20", ANSWERED, "By patient: checked that no patient stands in two values of part."),
    ("30", PARTLY, "AUC without each site in turn: 0.750 to 0.850; AUC by sex: F 0.750 (0.600 to 0.900), M 0.850 "
                   "(0.600 to 0.900); AUC by age: under 50 (too small to judge); AUC by hospital: A 0.750 (0.600 to "
                   "0.900), B 0.850 (0.600 to 0.900); AUC by part: internal 0.750 (0.600 to 0.900), "
                   "external 0.850 (0.600 to 0.900)."),
    ("32", PARTLY, "AUC in internal 0.750 (0.600 to 0.900), 40 cases."),
    ("33", PARTLY, "AUC in external 0.850 (0.600 to 0.900), 20 cases."),
    ("38", ANSWERED, "At the threshold 0.500: sensitivity 0.750 (0.550 to 0.880); specificity 0.500 (0.340 to 0.660); "
                     "positive predictive value 0.500 (0.350 to 0.650)."),
    ("39", PARTLY, "At the threshold, 6 of 24 positive cases are missed and 18 of 36 negative cases are called "
                   "positive."),
    ("40", PARTLY, "60 cases are few."),
]  # fmt: skip


@pytest.mark.parametrize(("number", "status", "told"), CLAIM)
def test_claim_of_scores(full, number, status, told):
    assert answer(full, "CLAIM", number) == (status, told)


def test_intervals_are_told_with_how_they_were_made(plain):
    assert answer(plain, "CLAIM", "29") == (ANSWERED, (
        "Intervals and how each was made:\n"
        "95 % wilson: prevalence, sensitivity, specificity, positive predictive value.\n"
        "95 % logit-delong: AUC.\n95 % wald: calibration slope."
    ))  # fmt: skip


def test_parts_that_were_checked_for_shared_studies_and_images():
    assert answer(made_of(*scores_document(split="part")), "CLAIM", "20") == (PERSON, "")
    made = made_of(*scores_document(split="part", study="uid", image="path"))
    assert answer(made, "CLAIM", "20") == (
        ANSWERED, "By study and image: checked that no study or image stands in two values of part."
    )  # fmt: skip


def test_inside_and_outside_are_told_only_where_the_run_knows(plain):
    for number, kind in (("32", "internal"), ("33", "external")):
        assert answer(plain, "CLAIM", number)[0] == PERSON
        made = made_of(*scores_document(validation=kind))
        told = f"These cases were said to be {kind}: AUC 0.800 (0.700 to 0.875), 60 cases."
        assert answer(made, "CLAIM", number) == (PARTLY, told)
        assert answer(made, "CLAIM", "33" if number == "32" else "32")[0] == PERSON


MASKS = [
    ("6", PARTLY, "Outlines that exist (liver, lesion) were judged against reference outlines on 5 cases; nothing was "
                  "trained."),
    ("9", PARTLY, "Each prediction lay on the grid of its reference; nothing was resampled. Label values that were not "
                  "declared are refused."),
    ("12", PARTLY, "1 of 6 pairs of outlines were left out (1: no prediction); nothing was filled in."),
    ("21", PARTLY, "5 cases with 8 lesions were judged."),
    ("30", PARTLY, "Lesions found by size: under 10 mm 0 (0 to 1), over 20 mm 1 (0 to 1)."),
    ("35", PARTLY, "6 cases given, 5 used (1 left out: no prediction)."),
    ("37", ANSWERED, "liver: Dice 0.938 (0.875 to 0.969); liver: Hausdorff distance, 95 % 12.5 mm (8 to 20); all "
                     "sizes: found (recall) 0.750 (0 to 1)."),
    ("38", ANSWERED, "all sizes: found (recall) 0.750 (0 to 1); sensitivity (any lesion) 0.750 (0.300 to 0.950)."),
    ("39", PARTLY, "Lesions missed: all sizes 2 of 8, under 10 mm 2 of 2, over 20 mm 0 of 6. False findings: 0.400 per "
                   "case. Each case stands in cases.csv."),
]  # fmt: skip


@pytest.mark.parametrize(("number", "status", "told"), MASKS)
def test_claim_of_masks(number, status, told):
    assert answer(masks_document(), "CLAIM", number) == (status, told)


def test_resampled_predictions_are_told():
    note = "2 predictions lay on another grid and were resampled."
    assert answer(masks_document([note]), "CLAIM", "9")[1].startswith(note)


def test_lesions_cut_or_joined_are_told_among_the_failures():
    note = "1 predictions join several lesions and 0 lesions are cut."
    assert note in answer(masks_document([note]), "CLAIM", "39")[1]


def test_comparisons():
    made = compare_document()
    assert answer(made, "CLAIM", "6") == (
        PARTLY, "Two models that exist were compared on the same 50 cases; no model was made."
    )  # fmt: skip
    assert answer(made, "CLAIM", "12") == (PARTLY, "All 50 cases given were used; nothing was filled in.")
    assert answer(made, "TRIPOD+AI", "10") == (PARTLY, "50 cases were compared.")
    assert answer(made, "TRIPOD+AI", "21") == (PARTLY, "50 cases in each comparison.")
    assert "The truth of each case is the same in both tables." in answer(made, "TRIPOD+AI", "7")[1]
    assert answer(made, "CLAIM", "37") == (
        ANSWERED, "first: AUC 0.875 (0.750 to 0.938); first less second: AUC 0.125 (-0.062 to 0.250)."
    )  # fmt: skip
    assert answer(made, "CLAIM", "29")[1].endswith("Tests: p of no difference.")
    assert answer(made, "CLAIM", "38") == (PERSON, "")
    assert answer(made, "CLAIM", "39") == (PERSON, "")
    readers = compare_document(reader="reader")
    assert (
        answer(readers, "CLAIM", "6")[1]
        == "Two ways of reading by the same readers were compared on the same 50 cases."
    )


def test_a_site_with_too_few_cases_is_said_not_to_be_pooled():
    made = made_of(*scores_document(site="hospital"))
    assert answer(made, "TRIPOD+AI", "12d") == (
        PARTLY, "Measures were computed for each value of hospital; there were too few cases to pool them."
    )  # fmt: skip


def test_a_threshold_that_was_given_and_a_score_that_is_no_risk():
    run, settings = scores_document(threshold=0.5)
    run.measures = [one for one in run.measures if one.name != "calibration slope"]
    assert answer(made_of(run, settings), "TRIPOD+AI", "15")[1] == (
        "The score was not read as a risk. Positive from 0.500, given to the run."
    )
    run.measures = [one for one in run.measures if one.name != "threshold"]
    assert answer(made_of(run, settings), "TRIPOD+AI", "15")[1].endswith("No threshold was used.")


def test_what_is_left_is_told_beside_a_partial_answer_and_nothing_beside_a_whole_one(full):
    for name in CHECKLISTS:
        for one in prefill(full, name):
            assert bool(one.told) == (one.status != PERSON)
            if one.status == ANSWERED:
                assert one.left == ""
            if one.status == PARTLY:
                assert one.left
    left = {one.item.number: one.left for one in prefill(full, "TRIPOD+AI") if one.status == PERSON}
    assert left["22"] == "only where the report also tells how the model was made"
    assert left["5a"] == ""


def test_another_checklist_is_refused(plain):
    with pytest.raises(WrongCall, match=r"checklist 'STARD'; needed: one of TRIPOD\+AI, CLAIM"):
        prefill(plain, "STARD")


def test_the_files_hold_every_item_with_its_source(full):
    files = checklist_files(full)
    assert sorted(files) == ["checklist-claim.csv", "checklist-tripod-ai.csv"]
    assert sorted(checklist_files(masks_document())) == ["checklist-claim.csv"]
    rows = list(csv.DictReader(io.StringIO(files["checklist-tripod-ai.csv"])))
    assert [row["item"] for row in rows] == TRIPOD_AI
    assert rows[0]["source"].endswith("doi:10.1136/bmj-2023-078378, Table 2, item 1")
    assert {row["status"] for row in rows} == set(STATUSES)
    assert not any("\n" in row["told by this run"] for row in rows)


def test_the_report_counts_the_items_and_lists_what_is_left(full):
    sections = checklist_sections(full)
    assert [one.title for one in sections] == [f"Reporting checklist: {name}" for name in OF_KIND["scores"]]
    counts = count(prefill(full, "CLAIM"))
    text, told, _, left = sections[1].blocks
    assert sum(counts.values()) == 44
    told_first = f"Of 44 items, {counts[ANSWERED]} are answered by this run, {counts[PARTLY]} in part, and "
    assert text.text.startswith(f"{told_first}{counts[PERSON]} are left to a person.")
    assert (len(told.rows), len(left.rows)) == (counts[ANSWERED] + counts[PARTLY], counts[PERSON])


def test_a_run_is_asked_by_name(plain):
    run = Run(plain)
    assert (run.judged, run.classes, run.columns) == (60, (24, 36), [])
    assert run.told("sensitivity")["estimate"] == 0.75
    assert run.told("sensitivity", "F") is None


def test_real_runs_write_their_checklists(tmp_path):
    """120 cases, 60 positive: the numbers of the checklist are those of results.json."""
    random = np.random.default_rng(4)
    truth = np.arange(120) % 2
    paths = []
    for name in "ab":
        score = np.clip(0.4 + 0.2 * truth + 0.2 * random.normal(size=120), 0.01, 0.99)
        paths.append(tmp_path / f"{name}.csv")
        with paths[-1].open("w", newline="") as file:
            rows = [[i, truth[i], f"{score[i]:.4f}", "FM"[i % 4 > 1]] for i in range(120)]
            csv.writer(file).writerows([["case", "truth", "score", "sex"], *rows])
    scores(paths[0], tmp_path / "scores", patient="case", by=["sex"], threshold=0.5, risk=False, quiet=True)
    compare(*paths, tmp_path / "compare", threshold=0.5, quiet=True)
    for name in ("scores", "compare"):
        made = json.loads((tmp_path / name / "results.json").read_text())
        for file, text in checklist_files(made).items():
            assert (tmp_path / name / file).read_text() == text
    made = json.loads((tmp_path / "scores" / "results.json").read_text())
    area = next(one for one in made["measures"] if one["name"] == "AUC" and not one["group"])
    assert f"AUC {area['estimate']:.3f} ({area['low']:.3f} to {area['high']:.3f})" in answer(made, "CLAIM", "37")[1]
    assert answer(made, "TRIPOD+AI", "10")[1].startswith("60 positive and 60 negative cases were judged.")
    assert answer(made, "TRIPOD+AI", "23a")[0] == ANSWERED
    assert answer(made, "TRIPOD+AI", "20b")[1] == "Cases by sex: F 60, M 60. 60 of 120 are positive."
    assert "Reporting checklist: CLAIM" in (tmp_path / "scores" / "report.html").read_text()
    both = json.loads((tmp_path / "compare" / "results.json").read_text())
    assert answer(both, "CLAIM", "38")[0] == ANSWERED


def test_survival_is_told_in_events_and_times():
    """A made-up run of times to an event: 80 cases judged of 120, 32 events."""
    run = Results("scores", "Who has the event sooner?", given=120, used=120)
    section = "Who has the event sooner?"
    run.add(section, "", "events", 32.0, 80)
    run.add(section, "", "C-index (Harrell)", share(0.75, 0.65, 0.85, "jackknife"), 80)
    run.add(section, "", "median follow-up", share(24.5, 20, 30, "Brookmeyer"), 80)
    run.add("By a given time", "by 12", "AUC", share(0.8, 0.7, 0.9, "bootstrap"), 80)
    run.add("By a given time", "by 12", "free of the event", share(0.5, 0.4, 0.6, "greenwood"), 80)
    run.add("Curves by risk group", "high", "events", 20.0, 40)
    run.add("Hazard ratios", "score", "hazard ratio", share(2.5, 1.5, 4, "wald"), 80)
    run.add("Hazard ratios", "score", "p of no effect", 0.001, 80)
    run.add("By sex", "F", "C-index (Harrell)", share(0.7, 0.6, 0.8, "jackknife"), 45)
    made = made_of(run, {"by": ["sex"], "fit_split": "dev", "split": "part", "validation": "external"})
    assert answer(made, "TRIPOD+AI", "10") == (PARTLY, "80 cases with 32 events were judged.")
    assert answer(made, "TRIPOD+AI", "20a")[1] == (
        "120 cases given, 120 used. Judged: 80 cases with 32 events. Median follow-up 24.5 (20 to 30)."
    )
    assert answer(made, "TRIPOD+AI", "21") == (
        ANSWERED, "Judged: 80 cases with 32 events. Not judged, to choose on: 40 cases of the split dev."
    )  # fmt: skip
    assert answer(made, "TRIPOD+AI", "23a") == (ANSWERED, (
        "C-index (Harrell) 0.750 (0.650 to 0.850); by 12: AUC 0.800 (0.700 to 0.900); score: hazard ratio 2.500 "
        "(1.500 to 4).\nC-index (Harrell) by sex: F 0.700 (0.600 to 0.800)."
    ))  # fmt: skip
    assert answer(made, "TRIPOD+AI", "15") == (PERSON, "")
    assert answer(made, "CLAIM", "29")[1].endswith("Tests: p of no effect.")
    assert answer(made, "CLAIM", "33")[1] == (
        "These cases were said to be external: C-index (Harrell) 0.750 (0.650 to 0.850), 80 cases."
    )
    assert answer(made, "CLAIM", "38") == (PERSON, "")


def test_several_classes_are_told_with_their_counts():
    run = Results("scores", "How good are the classes?", given=50, used=50)
    run.add(
        "Telling the classes apart", "", "AUC of all classes (Hand and Till)", share(0.9, 0.8, 0.95, "bootstrap"), 50
    )
    for name, n in (("HCC", 20), ("ICC", 12), ("other", 18)):
        run.add("Each class against the rest", name, "cases", float(n), 50)
        run.add("Each class against the rest", name, "AUC", share(0.875, 0.75, 0.9375, "logit-delong"), 50)
    run.add("Each class against the rest", "HCC", "sensitivity", share(0.75, 0.5, 0.875), 20)
    made = made_of(run, {"by": [], "multiclass": ["HCC=p1", "ICC=p2", "other=p3"]})
    assert answer(made, "TRIPOD+AI", "10") == (PARTLY, "50 cases (HCC 20, ICC 12, other 18) were judged.")
    assert answer(made, "TRIPOD+AI", "23a") == (PARTLY, (
        "AUC of all classes (Hand and Till) 0.900 (0.800 to 0.950); HCC: AUC 0.875 (0.750 to 0.938); ICC: AUC 0.875 "
        "(0.750 to 0.938); other: AUC 0.875 (0.750 to 0.938); HCC: sensitivity 0.750 (0.500 to 0.875)."
    ))  # fmt: skip
    assert answer(made, "CLAIM", "38") == (ANSWERED, "HCC: sensitivity 0.750 (0.500 to 0.875).")
