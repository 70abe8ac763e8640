"""`hepar validate` from files to files."""

import csv
import json

import nibabel
import numpy as np
import pytest

from hepar.cli.validate import compare, masks, scores
from hepar.errors import Refused, WrongCall
from hepar.validate.results import validate_results


def write_table(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """200 made-up patients: the score is right up to noise; two rows lack a score, one the truth."""
    random = np.random.default_rng(5)
    truth = random.random(200) < 0.3
    score = np.clip(0.3 + 0.25 * truth + 0.2 * random.normal(size=200), 0.001, 0.999)
    rows = [[i, int(truth[i]), f"{score[i]:.5f}", "FM"[i % 2], "ab"[i % 3 > 0], "small" if i < 8 else "large"]
            for i in range(200)]  # fmt: skip
    rows[3][2] = rows[9][2] = "NaN"
    rows[11][1] = ""
    header = ["case", "truth", "score", "sex", "split", "group"]
    return write_table(tmp_path_factory.mktemp("tables") / "patients.csv", header, rows)


def results_of(folder):
    made = json.loads((folder / "results.json").read_text())
    validate_results(made)
    return made


def measure(made, name, group=""):
    return next(one for one in made["measures"] if one["name"] == name and one["group"] == group)


def test_scores_gives_its_files_and_counts_what_it_left_out(table, tmp_path, capsys):
    scores(table, tmp_path / "out", by=["sex", "group"], threshold=0.5)
    made = results_of(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checklist-claim.csv", "checklist-tripod-ai.csv", "measures.csv", "report.html", "results.json",
    ]  # fmt: skip
    assert (made["cases"]["given"], made["cases"]["used"]) == (200, 197)
    assert sorted(one["count"] for one in made["cases"]["left_out"]) == [1, 2]
    shown = capsys.readouterr().out
    assert "197 of 200 used" in shown
    assert "too small to judge" in measure(made, "AUC", "small")["missing"]
    assert 0.7 < measure(made, "AUC")["low"] < measure(made, "AUC")["estimate"] < 0.95


def test_the_same_call_gives_the_same_bytes(table, tmp_path):
    for name in ("one", "two"):
        scores(table, tmp_path / name, quiet=True)
    for file in ("results.json", "report.html", "measures.csv", "checklist-claim.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_report_names_no_file_and_needs_nothing_else(table, tmp_path):
    scores(table, tmp_path / "out", quiet=True)
    text = (tmp_path / "out" / "report.html").read_text()
    assert "patients.csv" not in text
    assert "<svg" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_a_threshold_chosen_on_one_split_is_judged_on_the_other(table, tmp_path):
    scores(table, tmp_path / "out", split="split", fit_split="a", quiet=True)
    made = results_of(tmp_path / "out")
    assert any("chosen on the split a" in text for text in made["notes"])
    assert measure(made, "AUC")["n"] < 140


def test_a_patient_in_two_splits_stops_the_run(tmp_path):
    rows = [["p1", 1, 0.9, "a"], ["p1", 0, 0.2, "b"], ["p2", 0, 0.1, "a"]]
    made = write_table(tmp_path / "t.csv", ["patient", "truth", "score", "split"], rows)
    with pytest.raises(Refused, match="1 of 2 patients stand in more than one split"):
        scores(made, tmp_path / "out", patient="patient", split="split", quiet=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0, 0.1], [0, 0.2]], "are of one class"),
        ([[0, 0.5], [1, 0.5], [1, 0.5]], "All scores are 0.5"),
    ],
)
def test_one_class_and_constant_scores_get_a_sentence(tmp_path, rows, words):
    scores(write_table(tmp_path / "t.csv", ["truth", "score"], rows), tmp_path / "out", quiet=True)
    assert any(words in text for text in results_of(tmp_path / "out")["notes"])


def test_bad_tables_are_refused_in_a_sentence(tmp_path):
    good = write_table(tmp_path / "good.csv", ["truth", "score"], [["maybe", 0.1], [1, 0.2]])
    with pytest.raises(WrongCall, match="say which value is positive"):
        scores(good, tmp_path / "out", quiet=True)
    with pytest.raises(WrongCall, match="no column 'risk'"):
        scores(good, tmp_path / "out", score="risk", quiet=True)
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("truth,score\n1,0.2\n1\n")
    with pytest.raises(Refused, match="row 3, has 1 fields"):
        scores(ragged, tmp_path / "out", quiet=True)


def test_two_models_are_compared_on_the_cases_both_hold(table, tmp_path):
    with table.open() as file:
        rows = list(csv.reader(file))
    random = np.random.default_rng(1)
    worse = [[r[0], r[1], r[2] if r[2] == "NaN" else f"{np.clip(float(r[2]) + 0.2 * random.normal(), 0, 1):.5f}"]
             for r in rows[1:150]]  # fmt: skip
    other = write_table(tmp_path / "b.csv", ["case", "truth", "score"], worse)
    compare(table, other, tmp_path / "out", threshold=0.5, quiet=True)
    made = results_of(tmp_path / "out")
    assert made["cases"]["given"] == 200
    assert {one["reason"]: one["count"] for one in made["cases"]["left_out"]}["only in the first table"] == 51
    assert measure(made, "AUC", "first less second")["estimate"] > 0


def test_readers_with_and_without_help(tmp_path):
    random = np.random.default_rng(2)
    truth = np.arange(40) % 2
    for name, noise in (("with", 0.5), ("without", 1.2)):
        rows = [[c, r, truth[c], f"{truth[c] + noise * random.normal():.4f}"] for r in "xyz" for c in range(40)]
        write_table(tmp_path / f"{name}.csv", ["case", "reader", "truth", "score"], rows)
    compare(tmp_path / "with.csv", tmp_path / "without.csv", tmp_path / "out", reader="reader", quiet=True)
    made = results_of(tmp_path / "out")
    assert measure(made, "difference", "holds for other readers and cases")["estimate"] > 0
    assert measure(made, "AUC, first", "mean of readers")["n"] == 40


def test_tables_with_other_truths_are_refused(table, tmp_path):
    other = write_table(tmp_path / "b.csv", ["case", "truth", "score"], [[0, 1, 0.2], [1, 1, 0.3], [2, 0, 0.4]])
    third = write_table(tmp_path / "c.csv", ["case", "truth", "score"], [[0, 0, 0.2], [1, 1, 0.3], [2, 0, 0.4]])
    with pytest.raises(Refused, match="1 of 3 cases have another truth"):
        compare(other, third, tmp_path / "out", quiet=True)


def save(folder, name, values, affine):
    folder.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), folder / name)


@pytest.fixture
def outlines(tmp_path):
    """Two cases on 1 x 1 x 3 mm: the first right, the second without its lesion."""
    ref = np.zeros((8, 20, 20), np.uint8)
    ref[1:7, 3:17, 3:17] = 1
    ref[3:5, 6:12, 6:14] = 2
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    for name in ("one.nii.gz", "two.nii.gz"):
        save(tmp_path / "ref", name, ref, affine)
    save(tmp_path / "pred", "one.nii.gz", ref, affine)
    save(tmp_path / "pred", "two.nii.gz", np.minimum(ref, 1), affine)
    return tmp_path, ref, affine


def test_masks_from_folders(outlines):
    folder, _, _ = outlines
    masks(folder / "pred", folder / "ref", folder / "out", quiet=True)
    made = results_of(folder / "out")
    assert measure(made, "Dice", "liver")["estimate"] == 1.0
    assert measure(made, "Dice", "lesion")["estimate"] == 0.5
    assert measure(made, "found (recall)", "all sizes")["estimate"] == 0.5
    assert measure(made, "found (recall)", "10 to 20 mm")["n"] == 2
    assert measure(made, "sensitivity (any lesion)")["estimate"] == 0.5
    with (folder / "out" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["1", "1", "2", "2"]
    assert float(rows[1]["ref_ml"]) == pytest.approx(2 * 6 * 8 * 3 / 1000)


def test_two_workers_give_what_one_gives(outlines):
    folder, _, _ = outlines
    masks(folder / "pred", folder / "ref", folder / "one", quiet=True)
    masks(folder / "pred", folder / "ref", folder / "two", workers=2, quiet=True)
    assert (folder / "one" / "results.json").read_bytes() == (folder / "two" / "results.json").read_bytes()


def test_missing_and_extra_cases(outlines):
    folder, ref, affine = outlines
    save(folder / "ref", "three.nii.gz", ref, affine)
    save(folder / "pred", "four.nii.gz", ref, affine)
    with pytest.raises(Refused, match="1 of 3 references have no prediction"):
        masks(folder / "pred", folder / "ref", folder / "out", quiet=True)
    masks(folder / "pred", folder / "ref", folder / "out", allow_missing=True, quiet=True)
    made = results_of(folder / "out")
    assert made["cases"]["used"] == 2
    assert {one["reason"] for one in made["cases"]["left_out"]} == {"no prediction", "no reference"}


def test_another_grid_is_refused_with_both_or_resampled_when_asked(outlines):
    folder, ref, _ = outlines
    thick = np.diag([1.0, 1.0, 6.0, 1.0])
    thick[2, 3] = 1.5
    save(folder / "pred", "two.nii.gz", ref[::2], thick)
    with pytest.raises(Refused, match=r"4 x 20 x 20 voxels of 6 x 1 x 1 mm.*8 x 20 x 20 voxels of 3 x 1 x 1 mm"):
        masks(folder / "pred", folder / "ref", folder / "out", quiet=True)
    masks(folder / "pred", folder / "ref", folder / "out", resample=True, quiet=True)
    assert any("1 predictions lay on another grid" in text for text in results_of(folder / "out")["notes"])


def test_one_name_in_two_formats_is_refused(outlines):
    folder, ref, affine = outlines
    save(folder / "pred", "one.nii", ref, affine)
    with pytest.raises(Refused, match="one name both as"):
        masks(folder / "pred", folder / "ref", folder / "out", quiet=True)


def test_labels_that_were_not_declared_are_refused(outlines):
    folder, _, _ = outlines
    with pytest.raises(WrongCall, match=r"the labels \[2\], which were not declared"):
        masks(folder / "pred", folder / "ref", folder / "out", structure=["liver=1"], lesions="", quiet=True)
    assert not (folder / "out").exists()


def test_sites_are_pooled_and_left_out_in_turn(table, tmp_path):
    scores(table, tmp_path / "out", site="sex", quiet=True)
    made = results_of(tmp_path / "out")
    pooled = measure(made, "AUC", "mean over sex, random effects")
    ends = sorted(measure(made, "AUC", group)["estimate"] for group in "FM")
    assert ends[0] <= pooled["estimate"] <= ends[1]
    assert measure(made, "AUC", "all but F")["estimate"] == measure(made, "AUC", "M")["estimate"]
