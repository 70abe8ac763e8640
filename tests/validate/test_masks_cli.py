"""`hepar validate masks` from files to files: every kind of input, good and bad."""

import csv
import json

import nibabel
import numpy as np
import pytest

from hepar.cli.validate import masks
from hepar.errors import Refused, WrongCall
from hepar.validate.results import validate_results

AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def save(path, values, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), path)


def results_of(folder):
    made = json.loads((folder / "results.json").read_text())
    validate_results(made)
    return made


def measure(made, name, group="", section=""):
    return next(one for one in made["measures"]
                if one["name"] == name and one["group"] == group and one["section"].startswith(section))  # fmt: skip


def note(made, words):
    return any(words in text for text in made["notes"])


def liver(*lesions):
    """A liver of 10 x 36 x 36 voxels with lesions (first corner, size)."""
    made = np.zeros((12, 40, 40), np.uint8)
    made[1:11, 2:38, 2:38] = 1
    for corner, size in lesions:
        made[tuple(slice(a, a + n) for a, n in zip(corner, size, strict=True))] = 2
    return made


LARGE, SMALL = ((3, 5, 5), (4, 16, 21)), ((3, 25, 25), (2, 5, 5))
WRONG = ((8, 25, 5), (1, 4, 4))
CASES = {
    "a": (liver(LARGE, SMALL), liver(LARGE)),
    "b": (liver(LARGE), liver(LARGE, WRONG)),
    "c": (liver(), liver()),
    "d": (liver(), liver(SMALL)),
}


@pytest.fixture
def folder(tmp_path):
    """Four cases (reference, prediction): lesions of 26.4 mm (found twice) and 7.1 mm (missed), false ones of 5.7 and
    7.1 mm; two references are healthy."""
    for name, (ref, pred) in CASES.items():
        save(tmp_path / "ref" / f"{name}.nii.gz", ref)
        save(tmp_path / "pred" / f"{name}.nii.gz", pred)
    return tmp_path


def run(folder, out="out", **options):
    masks(folder / "pred", folder / "ref", folder / out, quiet=True, **options)
    return results_of(folder / out)


def table(path, header, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_lesions_are_counted_by_size_and_by_patient(folder):
    made = run(folder)
    for name, group, value in (("found (recall)", "all sizes", 2 / 3), ("found (recall)", "under 10 mm", 0.0),
                               ("found (recall)", "over 20 mm", 1.0), ("right (precision)", "all sizes", 0.5),
                               ("false findings per case", "under 10 mm", 0.5), ("suspected", "over 20 mm", 1.0),
                               ("found in its place", "all sizes", 1.0), ("sensitivity (any lesion)", "", 1.0),
                               ("specificity (no lesion)", "", 0.5)):  # fmt: skip
        assert measure(made, name, group)["estimate"] == pytest.approx(value), (name, group)
    assert measure(made, "found (recall)", "10 to 20 mm")["missing"] == "no lesion of this size"
    assert note(made, "in 1 of 4 cases either the prediction or the reference is empty")
    assert note(made, "in 1 of 4 cases both are empty")
    with (folder / "out" / "cases.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["structure"] == "lesion"]
    assert [(row["lesions"], row["lesions_found"], row["lesions_false"]) for row in rows] == [
        ("2", "1", "0"), ("1", "1", "1"), ("0", "0", "0"), ("0", "0", "1")]  # fmt: skip


def centre(corner, size):
    """LPS millimetres of the middle of a box: NIfTI's x and y point the other way."""
    z, y, x = (a + (n - 1) / 2 for a, n in zip(corner, size, strict=True))
    return -x, -y, 3 * z


def test_froc_from_a_table_of_scores(folder):
    """Scores 0.9 and 0.6 on the large lesions, 0.7 and 0.3 on the false ones; a candidate of 0.2 on the missed one. On
    four cases: 1/8 false per case allow none (1/3 found), 1/4 one (2/3), 1/2 two (all)."""
    rows = [["a", 0.9, *centre(*LARGE)], ["b", 0.6, *centre(*LARGE)], ["b", 0.7, *centre(*WRONG)],
            ["d", 0.3, *centre(*SMALL)], ["a", 0.2, *centre(*SMALL)], ["z", 0.2, 0, 0, 0]]  # fmt: skip
    path = table(folder / "scores.csv", ["case", "score", "x_mm", "y_mm", "z_mm"], *rows)
    made = run(folder, scores=path)
    found = [
        measure(made, f"found at {rate} false per case", "all sizes")["estimate"] for rate in ("1/8", "1/4", "1/2")
    ]
    assert found == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert measure(made, "mean, 1/8 to 8 false per case", "all sizes")["estimate"] == pytest.approx(
        (1 / 3 + 2 / 3 + 5) / 7
    )
    assert measure(made, "found at 1/2 false per case", "under 10 mm")["estimate"] == 1.0
    # healthy: c unmarked, d 0.3; lesions 0.9, 0.6 above both, 0.2 above one
    assert measure(made, "AFROC area", "all sizes")["estimate"] == pytest.approx(5 / 6)
    titles = [one["title"] for one in made["figures"] if "FROC" in one["section"]]
    assert [title.split("(")[1] for title in titles] == ["FROC)", "AFROC)"]
    assert note(made, "1 scores belong to cases that are not judged here")


def test_froc_from_maps_of_scores(folder):
    for name, (_, pred) in CASES.items():
        save(folder / "maps" / f"{name}.nii.gz", (pred == 2) * np.float32({"a": 0.9, "b": 0.6, "c": 0, "d": 0.7}[name]))
    made = run(folder, score_maps=folder / "maps")
    assert measure(made, "found at 1/4 false per case", "all sizes")["estimate"] == pytest.approx(1 / 3)
    assert measure(made, "found at 1/2 false per case", "all sizes")["estimate"] == pytest.approx(2 / 3)
    (folder / "maps" / "c.nii.gz").unlink()
    with pytest.raises(WrongCall, match="1 of 4 cases have no map of scores"):
        run(folder, "again", score_maps=folder / "maps")


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (["case", "score", "x", "y_mm", "z_mm"], ["a", 1, 0, 0, 0], "has no column 'x_mm'"),
        (["case", "score", "x_mm", "y_mm", "z_mm"], ["a", "high", 0, 0, 0], "row 2, holds something that is no number"),
        (["case", "score", "x_mm", "y_mm", "z_mm"], ["a", "nan", 0, 0, 0], "row 2, lacks a number"),
        (
            ["case", "score", "x_mm", "y_mm", "z_mm"],
            ["a", 1, 0, 0, 0],
            "case a: 1 of 1 predicted lesions have no score",
        ),
    ],
)
def test_bad_scores_are_refused(folder, header, row, words):
    with pytest.raises((Refused, WrongCall), match=words):
        run(folder, scores=table(folder / "scores.csv", header, row))


def test_the_lits_scores_stand_three_ways(folder):
    made = run(folder, lits=True)
    assert measure(made, "lesions: recall, IoU over 0.5", "corrected")["estimate"] == pytest.approx(2 / 3)
    assert measure(made, "lesions: precision, IoU over 0.5", "as published (scorer)")["estimate"] == 0.5
    assert measure(made, "found lesions: Dice", "corrected")["estimate"] == 1.0
    one, two = (int((CASES["a"][i] == 2).sum()) / int((CASES["a"][i] > 0).sum()) for i in (0, 1))
    others = [abs(int((ref == 2).sum()) - int((pred == 2).sum())) / 12960 for ref, pred in list(CASES.values())[1:]]
    rmse = float(np.sqrt(np.mean(np.square([one - two, *others]))))
    assert measure(made, "tumour burden: RMSE", "corrected")["estimate"] == pytest.approx(rmse)
    # only too little tumour shows as published: case a
    assert measure(made, "tumour burden: largest error", "as published (scorer)")["estimate"] == pytest.approx(
        one - two
    )
    assert measure(made, "tumour burden: largest error", "corrected")["estimate"] == pytest.approx(
        max(one - two, *others)
    )
    assert measure(made, "lesions of a case: mean surface distance", "as published (notebook)")["estimate"] is not None
    with pytest.raises(WrongCall, match="--lits needs the lesions and a structure 'liver'"):
        run(folder, "again", lits=True, structure=["organ=1,2", "lesion=2"])


def test_patients_with_several_cases_are_drawn_together(folder):
    path = table(folder / "patients.csv", ["case", "patient"], *zip("abcd", "1122", strict=True))
    made = run(folder, patients=path)
    assert measure(made, "sensitivity (any lesion)")["n"] == 1
    assert measure(made, "specificity (no lesion)")["n"] == 1
    alone = run(folder, "alone")
    assert measure(made, "Dice", "lesion")["low"] != measure(alone, "Dice", "lesion")["low"]
    for rows, words in (([["a", "1"]], "names no patient for 3 of 4 cases"),
                        ([[c, "1"] for c in "aabcd"], "names 1 cases twice")):  # fmt: skip
        with pytest.raises(Refused, match=words):
            run(folder, "again", patients=table(folder / "p.csv", ["case", "patient"], *rows))


def test_a_file_stored_the_other_way_round_is_the_same_case(folder):
    """Rows from the back, slices from above, axes swapped: no resampling, the same numbers."""
    straight = run(folder)
    for name, (_, pred) in CASES.items():
        affine = AFFINE[:, [1, 0, 2, 3]] @ np.diag([-1.0, 1.0, -1.0, 1.0])
        affine[:3, 3] = AFFINE[:3, :3] @ [0, 39, 11]
        nibabel.save(
            nibabel.Nifti1Image(pred.transpose(1, 2, 0)[::-1, :, ::-1], affine), folder / "pred" / f"{name}.nii.gz"
        )
    turned = run(folder, "turned")
    assert turned["measures"] == straight["measures"]
    assert turned["notes"] == straight["notes"]


def bad(values, **options):
    return lambda path: save(path, values, **options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bad(np.where(liver() > 0, np.float32(0.4), np.float32(0))), r"a.nii.gz holds fractions \(0.4, for one\)"),
        (bad(np.where(liver() > 0, np.float32(np.nan), np.float32(0))), "holds 12960 voxels that are no number"),
        (bad(liver().astype(np.int16) * -1), "a.nii.gz holds values from -1 to 0"),
        (bad(np.full((12, 40, 40), 70000, np.int32)), "a.nii.gz holds values from 70000 to 70000"),
        (lambda path: nibabel.save(nibabel.Nifti1Image(np.zeros((40, 40, 12, 3), np.uint8), AFFINE), path),
         r"a.nii.gz holds 3 volumes \(four axes\)"),
        (lambda path: nibabel.save(nibabel.Nifti1Image(liver().T, None), path), "neither sform nor qform"),
        (lambda path: path.write_bytes(b"not an image"), "a.nii.gz cannot be read as NIfTI, NRRD, MHA or DICOM SEG"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "a.nii.gz.*(cannot be read)"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "a.nii.gz.*(cannot be read|damaged)"),
        (bad(liver(((2, 4, 4), (2, 2, 2))) * np.uint8(3)), r"case a: the prediction holds the labels \[3, 6\]"),
    ],
)  # fmt: skip
def test_what_is_no_label_map_is_refused_in_a_sentence(folder, make, words):
    make(folder / "pred" / "a.nii.gz")
    with pytest.raises((Refused, WrongCall), match=words):
        run(folder)
    assert not (folder / "out").exists()


def test_whole_numbers_stored_as_floats_are_read(folder):
    before = run(folder)
    for name, (_, pred) in CASES.items():
        save(folder / "pred" / f"{name}.nii.gz", pred.astype(np.float64))
    assert run(folder, "floats")["measures"] == before["measures"]


def test_labels_that_are_to_be_ignored_are_and_the_report_says_so(folder):
    values = CASES["c"][1].copy()
    values[0, :5, :5] = 7
    save(folder / "pred" / "c.nii.gz", values)
    with pytest.raises(WrongCall, match=r"the labels \[7\], which were not declared"):
        run(folder)
    made = run(folder, ignore="7,9")
    assert note(made, "25 voxels of the labels 7,9 were not judged")
    with pytest.raises(WrongCall, match="--ignore seven"):
        run(folder, "again", ignore="seven")


def test_empty_folders_and_other_files(folder):
    (folder / "none").mkdir()
    with pytest.raises(WrongCall, match="holds no label map"):
        masks(folder / "none", folder / "ref", folder / "out", quiet=True)
    with pytest.raises(WrongCall, match="is no folder"):
        masks(folder / "nowhere", folder / "ref", folder / "out", quiet=True)
    (folder / "pred" / "README.txt").write_text("x")
    made = run(folder)
    assert note(made, "1 files of other kinds lie among the predictions")
    (folder / "ref" / "e.nii.gz").write_bytes((folder / "ref" / "a.nii.gz").read_bytes())
    (folder / "pred" / "f.nii.gz").write_bytes((folder / "pred" / "a.nii.gz").read_bytes())
    made = run(folder, "missing", allow_missing=True)
    assert made["cases"] == {"given": 6, "used": 4, "left_out": [{"count": 1, "reason": "no prediction"},
                                                                 {"count": 1, "reason": "no reference"}]}  # fmt: skip


def test_calls_that_make_no_sense_are_refused(folder):
    with pytest.raises(WrongCall, match="--criterion iou is not known"):
        run(folder, criterion="iou")
    with pytest.raises(WrongCall, match="needed: one of them"):
        run(folder, scores=folder / "s.csv", score_maps=folder)
    with pytest.raises(WrongCall, match="name the structure of the lesions"):
        run(folder, lesions="", scores=folder / "s.csv")


def test_the_report_explains_its_tables_and_names_no_file(folder):
    run(folder, about="Four phantoms made for this test.", lits=True)
    text = (folder / "out" / "report.html").read_text()
    assert "Four phantoms made for this test." in text
    assert "A lesion is a piece of the outline that hangs together." in text
    assert "For comparison with published figures" in text
    assert "nii" not in text
    assert str(folder) not in text


def test_two_workers_give_the_same_bytes(folder):
    path = table(folder / "s.csv", ["case", "score", "x_mm", "y_mm", "z_mm"], ["a", 0.9, *centre(*LARGE)],
                 ["b", 0.6, *centre(*LARGE)], ["b", 0.7, *centre(*WRONG)], ["d", 0.3, *centre(*SMALL)])  # fmt: skip
    for name, workers in (("one", 1), ("two", 2)):
        run(folder, name, workers=workers, scores=path, lits=True)
    for file in ("results.json", "report.html", "measures.csv", "cases.csv"):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()
