"""A site's cases: read, checked, judged, promoted, rolled back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.learn.adapt_cases import ReadyCase, SiteCase, Truth, find_cases, read_truth
from hepar.learn.adapt_checks import Checked, best_shift, check_case, check_set, liver_detail
from hepar.learn.adapt_confidence import expected, intercept_and_slope, moved
from hepar.learn.adapt_judge import compare, compare_within, counts, folds_of, found_within, logit, verdict
from hepar.learn.adapt_site import attempt, check_trace, open_site, promote, rollback
from hepar.learn.calibrate import Rows
from hepar.record import Estimate, Geometry, Organ, OrganMap, Volume
from hepar.segment.confidence import Curve, curve_of
from hepar.segment.site import current, site_model

SHAPE = (36, 96, 96)
GEOMETRY = Geometry.regular(SHAPE, (5.0, 3.0, 3.0))


def _ball(centre_mm: tuple[float, float, float], radius_mm: Any) -> NDArray[np.bool_]:
    axes = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    spacing = GEOMETRY.spacing_mm
    radii = np.broadcast_to(radius_mm, 3)
    terms = [((a * s - c) / r) ** 2 for a, s, c, r in zip(axes, spacing, centre_mm, radii, strict=True)]
    return np.asarray(terms[0] + terms[1] + terms[2] < 1)


LIVER = _ball((95, 130, 95), (60, 55, 70)) | _ball((115, 110, 150), (25, 30, 40))
SPLEEN = _ball((95, 150, 225), (35, 30, 25))
LESIONS = ((75, 130, 70), (110, 140, 110), (95, 105, 90), (90, 150, 130), (60, 120, 95), (120, 120, 70))


def _case(seed: int = 0) -> tuple[SiteCase, ReadyCase, Truth]:
    """A liver with six balls of 20 mm that are 40 HU darker, in a body of noise; the organ network is right."""
    rng = np.random.default_rng(seed)
    body = _ball((90, 143, 143), (500, 100, 130))
    lesions = np.zeros(SHAPE, np.uint16)
    for number, centre in enumerate(LESIONS, 1):
        lesions[_ball(centre, 10.0) & LIVER] = number
    hu = np.where(body, 40.0, -1000.0)
    hu[LIVER], hu[SPLEEN] = 105, 120
    hu[lesions > 0] -= 40
    hu[body] += rng.normal(0, 18, SHAPE)[body]
    # The detail of real livers, which no two share.
    from scipy import ndimage

    hu[LIVER] += 250 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)[LIVER]
    organs = np.zeros(SHAPE, np.uint8)
    organs[LIVER], organs[SPLEEN] = Organ.LIVER, Organ.SPLEEN
    coarse = Geometry.regular((60, 96, 96), (3.0, 3.0, 3.0))
    at = np.clip(np.rint(np.arange(60) * 3 / 5).astype(int), 0, SHAPE[0] - 1)
    organ_map = OrganMap(organs[at], np.zeros((60, 96, 96), np.uint8), coarse)
    reference = Volume(np.rint(hu).astype(np.int16), GEOMETRY, "CT")
    ready = ReadyCase(f"image {seed}", reference, organ_map, (), ("portal_venous",))
    case = SiteCase(seed + 1, {"portal_venous": Path("x.nii")}, (Path("labels.nii"),), False, f"patient {seed}")
    return case, ready, Truth(LIVER.copy(), lesions, f"labels {seed}")


def _moved(truth: Truth, how: Any) -> Truth:
    return Truth(np.ascontiguousarray(how(truth.liver)), np.ascontiguousarray(how(truth.lesions)), truth.sha256)


def test_a_sound_case_has_no_objections() -> None:
    """Dice with the organ network near 1, no shift, six lesions, all of which stand out."""
    found = check_case(*_case())
    assert found.objections == ()
    assert found.agreement > 0.95
    assert found.shift_mm == (0, 0, 0)
    assert found.lesions == 6
    assert found.mean_rank is not None
    assert found.mean_rank > 0.9


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (lambda a: a[:, :, ::-1], "mirrored left to right"),
        (lambda a: np.roll(a, 5, 2), r"moved by \(-15, \+0, \+0\) mm"),
        (lambda a: np.roll(a, 2, 0), r"moved by \(\+0, \+0, -\d+\) mm"),
        (lambda a: np.zeros_like(a), "0 ml, needed 300 to 6000"),
    ],
)
def test_labels_beside_the_liver_are_refused(how: Any, says: str) -> None:
    """Mirrored, shifted, empty: the sentence says which."""
    case, ready, truth = _case()
    (objection,) = check_case(case, ready, _moved(truth, how)).objections
    import re

    assert re.search(says, objection), objection


def test_another_organ_is_refused() -> None:
    """A liver label on the spleen."""
    case, ready, truth = _case()
    spleen = SPLEEN | np.roll(SPLEEN, 4, 0)  # of the size of a liver that passes
    organs = ready.organs.labels.copy()
    organs[ready.organs.labels == Organ.BACKGROUND] = Organ.SPLEEN
    ready = replace(ready, organs=OrganMap(organs, ready.organs.lesion_score, ready.organs.geometry))
    wide = _ball((95, 150, 215), (45, 45, 45)) | spleen
    (objection,) = check_case(case, ready, Truth(wide & ~LIVER, truth.lesions * 0, "")).objections
    assert "lies on the spleen" in objection


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda hu: (hu / 8 + 128).clip(0, 255), "darkest parts of the image"),
        (lambda hu: hu + 400, "median of"),
    ],
)
def test_grey_values_that_are_no_hu_are_refused(change: Any, says: str) -> None:
    """A window of 256 grey values; an offset."""
    case, ready, truth = _case()
    hu = change(ready.reference.array.astype(float)).astype(np.int16)
    ready = replace(ready, reference=Volume(hu, GEOMETRY, "CT"))
    (objection,) = check_case(case, ready, truth).objections
    assert says in objection


def test_lesions_on_healthy_tissue_are_refused() -> None:
    """Six labelled balls in a liver without any difference: their rank is that of chance."""
    cases, checked = [], []
    for seed in range(5):
        case, ready, truth = _case(seed)
        hu = ready.reference.array.copy()
        hu[truth.lesions > 0] += 40  # healed
        cases.append(case)
        checked.append(check_case(case, replace(ready, reference=Volume(hu, GEOMETRY, "CT")), truth))
    ranks = [c.mean_rank for c in checked if c.mean_rank is not None]
    assert 0.3 < float(np.mean(ranks)) < 0.7
    bad = [o for c in checked for o in c.objections]
    bad += check_set(cases, checked, [np.zeros((2, 2, 2), np.float32)] * 5, [str(n) for n in range(5)])
    assert any("random places" in o for o in bad)


def _checked(number: int, **changes: Any) -> Checked:
    return replace(Checked(number, f"image {number}", 0.95, (0.0, 0.0, 0.0), 4, 0.9, ()), **changes)


def _set(count: int = 6, **changes: Any) -> tuple[list[SiteCase], list[Checked], list[Any], list[str]]:
    cases = [SiteCase(n, {}, (), False, f"patient {n}") for n in range(1, count + 1)]
    rng = np.random.default_rng(1)
    images = [rng.standard_normal((4, 8, 8)).astype(np.float32) for _ in cases]
    images = [i / np.linalg.norm(i) for i in images]
    return cases, [_checked(n, **changes) for n in range(1, count + 1)], images, [f"labels {n}" for n in range(count)]


def test_a_sound_set_has_no_objections() -> None:
    """Six cases of six patients with four lesions each."""
    assert check_set(*_set()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "one"}, "have the same image"),
        ({"lesions": 0, "mean_rank": None}, "0 lesions of 5 mm and over"),
        ({"shift_mm": (3.0, 0.0, 0.0)}, r"lie off by (+0, +0, +3) mm"),
        ({"mean_rank": 0.6}, "needed 0.75, chance 0.50"),
    ],
)
def test_poisoned_sets_are_refused(changes: Any, says: str) -> None:
    """One image for all, no lesions, a small shift of all, contrast of chance."""
    assert any(says in text for text in check_set(*_set(**changes)))


def test_copies_and_few_patients_are_refused() -> None:
    """The same labels twice; a noisy copy of a liver under another patient's name; all of two patients."""
    cases, checked, images, labels = _set()
    assert "cases 1, 2 have the same labels" in check_set(cases, checked, images, [labels[1], *labels[1:]])[0]
    copied = [images[1] + 1e-3, *images[1:]]
    assert "show the same liver" in check_set(cases, checked, copied, labels)[0]
    two = [replace(c, patient=f"patient {c.number % 2}") for c in cases]
    assert "2 patients, needed 4" in check_set(two, checked, images, labels)[0]


def test_a_noisy_copy_is_known_by_its_detail() -> None:
    """Rescaled and noisy: near 1; another liver: far below."""
    from hepar.learn.adapt_checks import SAME_SCAN, _alike

    _, ready, truth = _case(1)
    own = liver_detail(ready, truth)
    hu = ready.reference.array * 0.8 + np.random.default_rng(9).normal(0, 8, SHAPE)
    copy = replace(ready, reference=Volume(hu.astype(np.int16), GEOMETRY, "CT"))
    assert _alike(own, liver_detail(copy, truth)) > SAME_SCAN
    _, other, same_labels = _case(2)
    assert _alike(own, liver_detail(other, same_labels)) < SAME_SCAN


def test_best_shift_by_hand() -> None:
    """A box moved by (2, -3, 5) comes back by its opposite, with Dice 1."""
    one = np.zeros((20, 20, 20), bool)
    one[5:10, 6:12, 4:9] = True
    assert best_shift(np.roll(one, (2, -3, 5), (0, 1, 2)), one) == (pytest.approx(1.0), (-2, 3, -5))


# --- files ----------------------------------------------------------------------------------------------------------


def _write(path: Path, array: NDArray[Any], spacing: float = 3.0) -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([spacing, spacing, spacing, 1])), str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five cases with labels in the four forms that are taken."""
    image = np.zeros((24, 26, 28), np.int16)
    labels = np.zeros((24, 26, 28), np.uint8)
    labels[1:7, 1:7, 1:7] = 1
    labels[2, 2, 2] = labels[5, 5, 5] = 2
    for number in range(5):
        _write(tmp_path / f"case{number}" / "portal_venous.nii.gz", image)
    _write(tmp_path / "case0" / "labels.nii.gz", labels)
    _write(tmp_path / "case1" / "masks" / "liver.nii.gz", (labels == 1).astype(np.uint8))
    _write(tmp_path / "case1" / "masks" / "lesions.nii.gz", (labels == 2).astype(np.uint8))
    _write(tmp_path / "case2" / "labels.nii", np.where(labels == 2, 11, labels).astype(np.uint8))
    veins = labels.copy()
    veins[3, 3, 3], veins[2, 2, 2], veins[5, 5, 5] = 3, 11, 12
    veins[4, 4, 4] = 2
    _write(tmp_path / "case3" / "truth" / "labels.nii.gz", veins)
    (tmp_path / "case3" / "truth.json").write_text("{}")
    _write(tmp_path / "case4" / "labels.nii.gz", labels)
    _write(tmp_path / "case4" / "2_arterial.nii.gz", image)
    return tmp_path


def _grid_of(folder: Path, number: int) -> Geometry:
    from hepar.ingest.label_map import read_label_map

    return read_label_map(folder / f"case{number}" / "portal_venous.nii.gz").geometry


def test_labels_in_every_form_say_the_same(folder: Path) -> None:
    """216 voxels of liver with its lesions in each; two lesions (one where both have one number)."""
    cases = find_cases(folder)
    assert [len(c.images) for c in cases] == [1, 1, 1, 1, 2]
    truths = [read_truth(c, _grid_of(folder, n)) for n, c in enumerate(cases)]
    assert [int(t.liver.sum()) for t in truths] == [216] * 5
    assert [int(t.lesions.max()) for t in truths] == [2, 2, 1, 2, 2]
    assert [int((t.lesions > 0).sum()) for t in truths] == [2] * 5


def test_files_that_do_not_fit_are_refused(folder: Path) -> None:
    """A number that means nothing, another grid, no labels, no image, too few cases: each in one sentence."""
    odd = np.full((24, 26, 28), 7, np.uint8)
    _write(folder / "case0" / "labels.nii.gz", odd)
    with pytest.raises(Refused, match=r"case 1 .* hold the number 7; needed 0, 1 for liver, and 2 or 11"):
        read_truth(find_cases(folder)[0], _grid_of(folder, 0))
    _write(folder / "case0" / "labels.nii.gz", odd, spacing=2.5)
    with pytest.raises(Refused, match=r"labels has .* 2\.50 .* needed the same grid"):
        read_truth(find_cases(folder)[0], _grid_of(folder, 0))
    (folder / "case0" / "labels.nii.gz").unlink()
    with pytest.raises(Refused, match="no corrected labels"):
        find_cases(folder)
    (folder / "case1" / "portal_venous.nii.gz").unlink()
    _write(folder / "case0" / "labels.nii.gz", odd)
    with pytest.raises(Refused, match="no portal venous image"):
        find_cases(folder)
    import shutil

    shutil.rmtree(folder / "case1")
    with pytest.raises(Refused, match="holds 4 cases, needed 5 to 20"):
        find_cases(folder)


def test_patients_come_from_a_table(folder: Path) -> None:
    """Two cases of one patient go together; a case without a patient is refused; no name of a folder is said."""
    rows = ["case,patient", *(f"case{n},{'a' if n < 2 else n}" for n in range(5))]
    (folder / "patients.csv").write_text("\n".join(rows))
    assert [c.patient for c in find_cases(folder)] == ["a", "a", "2", "3", "4"]
    (folder / "patients.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(Refused, match="no patient for 1 of 5") as reason:
        find_cases(folder)
    assert "case4" not in str(reason.value)


# --- judging --------------------------------------------------------------------------------------------------------

CURVE = Curve((2.0, *[0.0] * 9), -1.0, {"measuring": 0.5, "screening": 0.2})


def _rows(scores: list[float], true: list[bool], hit: list[int], sizes: tuple[float, ...]) -> Rows:
    features = np.zeros((len(scores), 10))
    features[:, 0] = scores
    return Rows("a", 1, features, np.array(true), np.array(hit), sizes)


def test_counts_by_hand() -> None:
    """Log-odds 2 s - 1: scores 0.9 and 0.6 are shown, 0.4 is not. Lesion 1 found twice counts once, lesion 2 is missed,
    lesion 3 of 4 mm does not count."""
    rows = _rows([0.9, 0.6, 0.6, 0.4], [True, True, False, True], [1, 1, 0, 2], (20.0, 12.0, 4.0))
    assert counts(rows, CURVE) == (1, 1, 1)
    assert counts(rows, CURVE, "screening") == (2, 0, 1)


def test_difference_of_f1_by_hand() -> None:
    """Found 3, missed 1, false 1: F1 6/8; found 1, missed 3, false 0: 2/5; difference 0.35, recall 0.5."""
    found = compare([[3, 1, 1, 0.9, 1]] * 4, [[1, 3, 0, 0.8, 1]] * 4, ["a", "b", "c", "d"])
    assert found["f1"]["candidate"].estimate == pytest.approx(0.75)
    assert found["f1"]["difference"].estimate == pytest.approx(0.35)
    assert found["recall"]["difference"].estimate == pytest.approx(0.5)
    assert found["false_per_scan"]["difference"].estimate == pytest.approx(1.0)
    assert found["liver_dice"]["difference"].estimate == pytest.approx(0.1)


def test_recall_at_equal_false_finds_by_hand() -> None:
    """Two scans, false finds at 0.8, 0.5 and 0.3: one a scan allows two, so that the limit is the first hit above 0.3.
    The lesion of 4 mm does not count, a second hit on one lesion neither."""
    one = _rows([0.9, 0.8, 0.4, 0.4], [True, False, True, True], [1, 0, 1, 2], (20.0, 12.0, 4.0))
    other = _rows([0.95, 0.5, 0.3, 0.2], [True, False, False, True], [1, 0, 0, 2], (4.0, 9.0))
    assert found_within([one, other], [CURVE, CURVE]) == [2, 0]
    assert found_within([one, other], [CURVE, CURVE], rate=0.0) == [1, 0]
    assert found_within([_rows([], [], [], ())], [CURVE]) == [0]
    nothing = _rows([], [], [], (20.0, 12.0, 4.0))
    got = compare_within(([one, other], [CURVE] * 2), ([nothing, other], [CURVE] * 2), ["a", "b"])
    assert got["candidate"].estimate == pytest.approx(2 / 3)
    # without the first scan's false finds, both of the other's are allowed
    assert got["difference"].estimate == pytest.approx(2 / 3 - 1 / 3)


def _of(**differences: Estimate) -> dict[str, dict[str, Estimate]]:
    same = Estimate(0.0, -0.005, 0.005, 0.9, "by hand")
    return {n: {"difference": differences.get(n, same)} for n in ("f1", "recall", "false_per_scan", "liver_dice")}


def test_the_rule() -> None:
    """Surely better there and not worse elsewhere passes; each clause alone stops it."""
    better = Estimate(0.1, 0.02, 0.2, 0.9, "by hand")
    assert verdict(_of(f1=better), _of()) == []
    for site, fixed, says in (
        (_of(f1=Estimate(0.1, -0.01, 0.2, 0.9, "x")), _of(), "F1 changes by +0.100 (-0.010 to 0.200)"),
        (_of(), _of(), "F1"),
        (_of(f1=better, recall=Estimate(-0.02, -0.1, 0.1, 0.9, "x")), _of(), "recall"),
        (_of(f1=better, liver_dice=Estimate(-0.02, -0.03, 0.0, 0.9, "x")), _of(), "Dice"),
        (_of(f1=better), _of(recall=Estimate(0.0, -0.06, 0.05, 0.9, "x")), "fixed simulated set lesion recall"),
        (_of(f1=better), _of(f1=Estimate.cannot_tell("no lesion")), "cannot tell (no lesion)"),
    ):
        (reason,) = verdict(site, fixed)
        assert says in reason


def test_halves_depend_on_content_alone() -> None:
    """Patients stay together, halves hold alike many lesions, and the order of the cases changes nothing."""
    patients = ["a", "a", "b", "c", "d", "e", "f", "g"]
    lesions = [2, 3, 5, 4, 3, 2, 1, 0]
    hashes = [f"{n * 7 % 8}" for n in range(8)]
    half = folds_of(patients, lesions, hashes)
    assert half[0] == half[1]
    assert abs(sum(n for n, h in zip(lesions, half, strict=True) if h) - 10) <= 2
    turned = folds_of(patients[::-1], lesions[::-1], hashes[::-1])
    assert np.array_equal(turned[::-1], half)


def test_confidence_moves_by_a_penalised_fit() -> None:
    """The same minimum as scipy's general minimiser; without rows nothing moves; ten rows move less than a thousand."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(4)
    x = rng.normal(0, 2, 60)
    y = rng.random(60) < 1 / (1 + np.exp(-(1.5 + 0.6 * x)))

    def cost(beta: NDArray[np.float64]) -> float:
        z = beta[0] + beta[1] * x
        return float(np.logaddexp(0, z).sum() - (z * y).sum() + beta[0] ** 2 / 2 + (beta[1] - 1) ** 2 / 2 / 0.25**2)

    assert intercept_and_slope(x, y) == pytest.approx(tuple(minimize(cost, [0, 1], tol=1e-12).x), abs=1e-4)
    assert intercept_and_slope([], []) == (0.0, 1.0)
    few = intercept_and_slope(np.zeros(4), np.ones(4, bool))[0]
    many = intercept_and_slope(np.zeros(400), np.ones(400, bool))[0]
    assert 0 < few < many


def test_only_the_kind_of_scan_at_hand_moves() -> None:
    """Cases with one phase leave the curve for several phases as it is. Limits by hand: two lesions and nothing
    false, so F1 is 1 at any limit up to the confidence of the lower one."""
    point = {"least_confidence": 0.5, "scans": 9}
    one = {"coefficients": list(CURVE.coefficients), "intercept": -1.0, "operating_points": {"measuring": point}}
    document = json.loads(json.dumps({"one_phase": one, "several_phases": one}))
    rows = [_rows([0.9, 0.3], [True, True], [1, 2], (30.0, 15.0)) for _ in range(5)]
    after = expected(rows, moved(rows, document))
    assert after["several_phases"] == document["several_phases"]
    assert after["one_phase"]["intercept"] > -1.0
    seen = after["one_phase"]["operating_points"]["measuring"]
    curve = curve_of(after, 1)
    lower = 1 / (1 + np.exp(-float(logit(rows[0], curve)[1])))
    assert seen["least_confidence"] == pytest.approx(int(100 * lower) / 100)
    assert (seen["scans"], seen["lesions_over_20_mm"], seen["lesions_10_to_20_mm"]) == (5, 5, 5)
    assert (seen["found_over_20_mm"], seen["found_10_to_20_mm"]) == (5, 5)


# --- the site folder ------------------------------------------------------------------------------------------------


def _attempt(site: Path, content: str) -> str:
    with attempt(site) as (number, folder):
        (folder / "region.onnx").write_bytes(content.encode())
        (folder / "confidence.json").write_text(json.dumps({"made": content}))
    return number


def _clock() -> str:
    return "2026-01-01T00:00:00+00:00"


def test_promotion_and_rollback_are_read_back(tmp_path: Path) -> None:
    """Shipped, 0001, 0002, back to 0001, back to shipped, and no further; each step leaves a line with hashes."""
    site = tmp_path / "site"
    open_site(site, now=_clock)
    assert site_model(site) is None
    for number in ("0001", "0002"):
        assert promote(site, _attempt(site, number), now=_clock).version == number
    used = site_model(site)
    assert used is not None
    assert used.region.read_bytes() == b"0002"
    assert used.described["site_version"] == "0002"
    assert str(tmp_path) not in json.dumps(used.described)
    assert rollback(site, now=_clock) == "0001"
    assert rollback(site, now=_clock) is None
    assert site_model(site) is None
    with pytest.raises(WrongCall, match="nothing to roll back"):
        rollback(site)
    assert promote(site, _attempt(site, "again"), now=_clock).version == "0003"
    assert check_trace(site) == 6
    lines = [json.loads(line) for line in (site / "log.jsonl").read_text().splitlines()]
    assert [one["event"] for one in lines] == [
        "opened",
        "promoted",
        "promoted",
        "rolled back",
        "rolled back",
        "promoted",
    ]
    assert lines[2]["region.onnx"] == used.files["region.onnx"]


def test_a_changed_trace_is_known(tmp_path: Path) -> None:
    """A line that was edited no longer fits the one after it."""
    open_site(tmp_path, now=_clock)
    promote(tmp_path, _attempt(tmp_path, "a"), now=_clock)
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().replace("opened", "closed"))
    with pytest.raises(Refused, match="changed before line 2"):
        check_trace(tmp_path)


@pytest.mark.parametrize("name", ["region.onnx", "confidence.json", "version.json"])
def test_damage_is_refused_and_rolled_back(tmp_path: Path, name: str) -> None:
    """A byte more in any file, or none of it: refused with both hashes; rollback passes the version over."""
    open_site(tmp_path, now=_clock)
    for content in ("a", "b", "c"):
        promote(tmp_path, _attempt(tmp_path, content), now=_clock)
    file = tmp_path / "0003" / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(Refused, match=r"site version 0003 is damaged: .* needed [0-9a-f]{12}"):
        site_model(tmp_path)
    (tmp_path / "0002" / name).unlink()
    assert rollback(tmp_path, now=_clock) == "0001"
    assert site_model(tmp_path) is not None


def test_other_shipped_weights_are_refused(tmp_path: Path) -> None:
    """A version that was judged against another shipped network is not used with this one."""
    import hashlib

    open_site(tmp_path, now=_clock)
    promote(tmp_path, _attempt(tmp_path, "a"), now=_clock)
    about = json.loads((tmp_path / "0001" / "version.json").read_text())
    about["shipped"]["region"] = "0" * 64
    (tmp_path / "0001" / "version.json").write_text(json.dumps(about))
    pointer = json.loads((tmp_path / "current.json").read_text())
    pointer["version_sha256"] = hashlib.sha256((tmp_path / "0001" / "version.json").read_bytes()).hexdigest()
    (tmp_path / "current.json").write_text(json.dumps(pointer))
    with pytest.raises(Refused, match="judged against region 000000000000, this hepar ships"):
        site_model(tmp_path)


def test_folders_that_are_no_sites(tmp_path: Path) -> None:
    """Other people's files are not touched; a pointer of rubbish is refused, and rollback mends it."""
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(WrongCall, match="holds other things"):
        open_site(tmp_path)
    with pytest.raises(WrongCall, match=r"no current\.json"):
        site_model(tmp_path)
    site = tmp_path / "site"
    open_site(site, now=_clock)
    for rubbish in ("{", '{"version": "../../x", "version_sha256": "a"}'):
        (site / "current.json").write_text(rubbish)
        with pytest.raises(Refused, match="damaged"):
            current(site)
    assert rollback(site, now=_clock) is None
    assert current(site)["version"] is None


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    """The folder of an attempt appears whole or not at all."""
    open_site(tmp_path, now=_clock)
    with pytest.raises(RuntimeError), attempt(tmp_path) as (_, folder):
        (folder / "region.onnx").write_bytes(b"x")
        raise RuntimeError
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current.json", "log.jsonl"]


def test_the_engine_says_which_model_it_is(tmp_path: Path) -> None:
    """A promoted copy of the shipped model changes version, hash and settings, and another engine refuses --site."""
    from hepar import segment
    from hepar.segment.confidence import confidence_file
    from hepar.segment.network import shipped

    open_site(tmp_path, now=_clock)
    plain = segment.engine("builtin", site=tmp_path)
    assert segment.described(plain) is None
    with attempt(tmp_path) as (number, folder):
        (folder / "region.onnx").write_bytes(shipped("region").read_bytes())
        (folder / "confidence.json").write_text(json.dumps({**confidence_file(), "fitted_on": "here"}))
    promote(tmp_path, number, now=_clock)
    own = segment.engine("builtin", site=tmp_path)
    assert "site-0001-" in own.version
    assert own.weights_sha256 != plain.weights_sha256
    added = segment.described(own)
    assert added is not None
    assert added["site_version"] == "0001"
    with pytest.raises(WrongCall, match="built-in engine only"):
        segment.engine("totalsegmentator", site=tmp_path)


# --- training -------------------------------------------------------------------------------------------------------


def test_an_exported_network_comes_back_whole(tmp_path: Path) -> None:
    """Every weight, the group norms' too: torch and the file agree to half precision; other sizes are refused."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from hepar.errors import Fault
    from hepar.learn.adapt import RECIPE
    from hepar.learn.export import export
    from hepar.learn.exported import load_exported
    from hepar.learn.recipe import read_recipe
    from hepar.learn.region_evaluate import run_region
    from hepar.learn.train import Trainer, new_network

    recipe = replace(read_recipe(RECIPE), widths=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1))
    trainer = Trainer(recipe)
    with torch.no_grad():
        for value in trainer.net.parameters():
            value.add_(0.1 * torch.randn_like(value))
    trainer.mean = {k: v.clone() for k, v in trainer.net.state_dict().items()}
    torch.save(trainer.state(), tmp_path / "state.pt")
    path = export(tmp_path / "state.pt", tmp_path, recipe)
    net = new_network("region", recipe.widths, recipe.blocks)
    load_exported(net, path)
    net.eval()
    image = np.random.default_rng(0).normal(size=(4, 16, 32, 32)).astype(np.float16)
    with torch.no_grad():
        own = net(torch.from_numpy(image.astype(np.float32))[None])[0].softmax(0).numpy()
    assert np.abs(own - run_region(path, image)).max() < 0.01
    with pytest.raises(Fault, match="architecture"):
        load_exported(new_network("region", recipe.widths, (1, 2, 1, 1)), path)


def test_site_samples_are_of_the_case_and_repeat() -> None:
    """The same seed gives the same patch; lesions, veins and the case's phases are in it; nothing beyond is known."""
    pytest.importorskip("torch")
    from hepar.learn.adapt_sample import SiteVolume, draw_painted, draw_site
    from hepar.learn.classes import Tissue
    from hepar.learn.region import RegionAtlas

    shape = (40, 48, 48)
    target = np.zeros(shape, np.uint8)
    target[8:32, 8:40, 8:40] = 1
    target[10:12] *= 3
    lesions = np.zeros(shape, np.uint16)
    lesions[18:24, 20:26, 20:26] = 1
    target[lesions > 0] = 2
    image = np.zeros((4, *shape), np.float16)
    image[2] = np.where(target > 0, 0.05, -0.8) - 0.4 * (target == 2)
    tissue = np.where(target > 0, Tissue.LIVER, Tissue.FAT).astype(np.uint8)
    tissue[target == 2] = Tissue.REAL_LESION
    mean = np.zeros(len(Tissue), np.float32)
    mean[Tissue.LIVER], mean[Tissue.FAT], mean[Tissue.REAL_LESION] = 60, -90, 30
    none = np.zeros(shape, np.uint8)
    volume = SiteVolume(
        image, target, lesions, RegionAtlas("site", tissue, none.astype(np.float16), mean, none, none, True)
    )
    seen = set()
    for seed in range(8):
        one, two = (draw_site(volume, (32, 32, 32), np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(one.image, two.image)
        assert one.phases == (2,)
        assert not one.image[[0, 1, 3]].any()
        seen |= set(np.unique(one.target).tolist())
        sick = one.image[2][one.target == 2].astype(np.float32)
        if sick.size > 50:
            assert sick.mean() < one.image[2][one.target == 1].astype(np.float32).mean() - 0.15
    assert {1, 2, 3} <= seen
    painted = draw_painted(volume, (32, 32, 32), np.random.default_rng(0))
    assert painted.phases == (3,)
    assert painted.image[2].any()
