"""Poisoned cases are refused: labels, grey values, copies and patients are looked at before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_site import GEOMETRY, LIVER, SHAPE, SPLEEN, ball, site_case

from hepar.learn.adapt_cases import SiteCase, Truth
from hepar.learn.adapt_checks import Checked, best_shift, check_case, check_set, liver_detail
from hepar.record import Organ, OrganMap, Volume


def _moved(truth: Truth, how: Any) -> Truth:
    return Truth(np.ascontiguousarray(how(truth.liver)), np.ascontiguousarray(how(truth.lesions)), truth.sha256)


def test_a_sound_case_has_no_objections() -> None:
    """Dice with the organ network near 1, no shift, six lesions, all of which stand out."""
    found = check_case(*site_case())
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
    case, ready, truth = site_case()
    (objection,) = check_case(case, ready, _moved(truth, how)).objections
    import re

    assert re.search(says, objection), objection


def test_another_organ_is_refused() -> None:
    """A liver label on the spleen."""
    case, ready, truth = site_case()
    spleen = SPLEEN | np.roll(SPLEEN, 4, 0)  # of the size of a liver that passes
    organs = ready.organs.labels.copy()
    organs[ready.organs.labels == Organ.BACKGROUND] = Organ.SPLEEN
    ready = replace(ready, organs=OrganMap(organs, ready.organs.lesion_score, ready.organs.geometry))
    wide = ball((95, 150, 215), (45, 45, 45)) | spleen
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
    case, ready, truth = site_case()
    hu = change(ready.reference.array.astype(float)).astype(np.int16)
    ready = replace(ready, reference=Volume(hu, GEOMETRY, "CT"))
    (objection,) = check_case(case, ready, truth).objections
    assert says in objection


def test_lesions_on_healthy_tissue_are_refused() -> None:
    """Six labelled balls in a liver without any difference: their rank is that of chance."""
    cases, checked = [], []
    for seed in range(5):
        case, ready, truth = site_case(seed)
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

    _, ready, truth = site_case(1)
    own = liver_detail(ready, truth)
    hu = ready.reference.array * 0.8 + np.random.default_rng(9).normal(0, 8, SHAPE)
    copy = replace(ready, reference=Volume(hu.astype(np.int16), GEOMETRY, "CT"))
    assert _alike(own, liver_detail(copy, truth)) > SAME_SCAN
    _, other, same_labels = site_case(2)
    assert _alike(own, liver_detail(other, same_labels)) < SAME_SCAN


def test_best_shift_by_hand() -> None:
    """A box moved by (2, -3, 5) comes back by its opposite, with Dice 1."""
    one = np.zeros((20, 20, 20), bool)
    one[5:10, 6:12, 4:9] = True
    assert best_shift(np.roll(one, (2, -3, 5), (0, 1, 2)), one) == (pytest.approx(1.0), (-2, 3, -5))
