"""What a set of corrected cases must not be: checks before any training. Each objection is one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar.learn.adapt_cases import ReadyCase, SiteCase, Truth
from hepar.learn.adapt_visible import lesion_ranks
from hepar.record import Organ
from hepar.segment.grid import onto_native

LIVER_ML: Final = (300.0, 6000.0)
LIVER_HU: Final = (-20.0, 250.0)
LEAST_AGREEMENT = 0.7
"""Dice of the labelled liver with the organ network's. Shipped network on virtual and real scans: 0.9 and over."""
SHIFT_MM, SHIFT_OF_ALL_MM, SHIFT_GAIN, MIRROR_GAIN = 6.0, 3.0, 0.02, 0.1
SAME_SCAN = 0.9
"""Correlation of the detail of two livers from which they are one scan. Copies, noisy, rescaled or with other labels:
0.98; different virtual patients, who are more alike than real ones: up to 0.62."""
LEAST_RANK, LEAST_RANK_OF_CASE, RANKED = 0.75, 0.5, 4
"""Mean rank of the labelled lesions' contrast among places of healthy liver: 0.5 to 0.65 for labels without a meaning,
0.9 and over on the virtual patients of a noisy site with fatty livers."""
LEAST_LESIONS, LEAST_WITH = 8, 4
COUNTED_MM = 5.0
_MOST_LESIONS_OF_LIVER = 0.85


@dataclass(frozen=True)
class Checked:
    """What the checks measured of one case. shift_mm: (slice, row, column), in steps of 3 mm: by how much the
    labels would have to be moved to fit the organ network's liver best. objections: sentences; none: sound."""

    case: int
    sha256: str
    agreement: float
    shift_mm: tuple[float, float, float]
    lesions: int
    mean_rank: float | None
    objections: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Without a name."""
        return {
            "case": self.case, "image_sha256": self.sha256, "liver_dice_with_organ_network": round(self.agreement, 3),
            "shift_mm": list(self.shift_mm), "lesions": self.lesions,
            "mean_contrast_rank": None if self.mean_rank is None else round(self.mean_rank, 3),
            "objections": list(self.objections),
        }  # fmt: skip


def check_case(case: SiteCase, ready: ReadyCase, truth: Truth) -> Checked:
    """One case: HU, the liver where there is one, the lesions in it and to be seen."""
    found = _image(ready, truth) or _liver(truth, ready)
    agreement, shift_mm, place = _place(ready, truth)
    found = found or place
    ranks: list[float] = []
    if not found:
        found = _lesions(ready, truth)
        ranks = lesion_ranks(ready, truth)
        if not found and len(ranks) >= RANKED and np.mean(ranks) < LEAST_RANK_OF_CASE:
            found = [
                f"the labelled lesions differ from the liver around them less than random places do (mean rank"
                f" {np.mean(ranks):.2f}, needed {LEAST_RANK_OF_CASE}); correct the lesions or leave the case out"
            ]
    count = int((sizes_mm(ready, truth) >= COUNTED_MM).sum())
    mean = float(np.mean(ranks)) if ranks else None
    return Checked(case.number, ready.sha256, agreement, shift_mm, count, mean, tuple(found))


def sizes_mm(ready: ReadyCase, truth: Truth) -> NDArray[np.float64]:
    """Diameter of a ball of each lesion's volume."""
    voxels = np.bincount(truth.lesions.ravel(), minlength=1)[1:]
    return np.asarray((6000 * voxels * ready.reference.geometry.voxel_volume_ml / np.pi) ** (1 / 3))


def check_set(
    cases: Sequence[SiteCase], checked: Sequence[Checked], images: Sequence[NDArray[np.float32]], labels: Sequence[str]
) -> list[str]:
    """The set as a whole. images: `liver_detail` of each. labels: hash of each case's labels."""
    found = []
    for what, hashes in (("image", [c.sha256 for c in checked]), ("labels", list(labels))):
        twice = [h for h, n in Counter(hashes).items() if n > 1]
        if twice:
            same = [str(c.number) for c, h in zip(cases, hashes, strict=True) if h == twice[0]]
            found.append(f"cases {', '.join(same)} have the same {what}; needed different ones; leave all but one out")
    if not found:
        for (i, one), (j, other) in combinations(enumerate(images), 2):
            if cases[i].patient != cases[j].patient and _alike(one, other) >= SAME_SCAN:
                found.append(
                    f"cases {cases[i].number} and {cases[j].number} show the same liver but go by two patients, and"
                    " would stand on both sides of the split; name the patient in patients.csv or leave one out"
                )
    middle = np.median([c.shift_mm for c in checked], axis=0)
    if np.abs(middle).max() >= SHIFT_OF_ALL_MM and not any(c.objections for c in checked):
        mm = ", ".join(f"{v:+.0f}" for v in middle[::-1])
        found.append(
            f"the labels of half of the cases or more lie off by ({mm}) mm (left, back, up) from the livers that they"
            " mean; needed labels in place; export them again on the image's grid"
        )
    patients = len({c.patient for c in cases})
    if patients < LEAST_WITH:
        found.append(f"the cases are of {patients} patients, needed {LEAST_WITH}, half of them held out; add patients")
    lesions, having = sum(c.lesions for c in checked), sum(c.lesions > 0 for c in checked)
    if lesions < LEAST_LESIONS or having < LEAST_WITH:
        found.append(
            f"the cases hold {lesions} lesions of {COUNTED_MM:.0f} mm and over in {having} cases, needed"
            f" {LEAST_LESIONS} in {LEAST_WITH}: nothing could be learnt or judged; add corrected cases with lesions"
        )
    ranks = [(c.mean_rank, c.lesions) for c in checked if c.mean_rank is not None and c.lesions]
    if ranks and not any(c.objections for c in checked):
        mean = sum(r * n for r, n in ranks) / sum(n for _, n in ranks)
        if mean < LEAST_RANK:
            found.append(
                "the labelled lesions differ from the liver around them hardly more than random places do (mean rank"
                f" {mean:.2f}, needed {LEAST_RANK}, chance 0.50); look whether lesions are labelled on healthy tissue"
            )
    return found


def _image(ready: ReadyCase, truth: Truth) -> list[str]:
    hu = ready.reference.array
    low, middle = float(np.percentile(hu[:, ::4, ::4], 1)), _median(hu[truth.liver])
    if low > -300:
        return [
            f"the darkest parts of the image are at {low:.0f}, needed air below -300 HU; export it in HU, uncropped"
        ]
    if middle is not None and not LIVER_HU[0] - 20 <= middle <= LIVER_HU[1]:
        needed = f"{LIVER_HU[0]:.0f} to {LIVER_HU[1]:.0f}"
        return [f"the labelled liver has a median of {middle:.0f} HU, needed {needed}; export HU, look at the labels"]
    return []


def _median(values: NDArray[np.int16]) -> float | None:
    return float(np.median(values)) if values.size else None


def _liver(truth: Truth, ready: ReadyCase) -> list[str]:
    ml = float(truth.liver.sum()) * ready.reference.geometry.voxel_volume_ml
    if not LIVER_ML[0] <= ml <= LIVER_ML[1]:
        return [f"the labelled liver has {ml:.0f} ml, needed {LIVER_ML[0]:.0f} to {LIVER_ML[1]:.0f}; label all of it"]
    return []


def _place(ready: ReadyCase, truth: Truth) -> tuple[float, tuple[float, float, float], list[str]]:
    """Dice with the organ network's liver, the shift that would fit best, what is wrong with where the labels lie."""
    organs = ready.organs
    label = onto_native(truth.liver.astype(np.float32), ready.reference.geometry, organs.geometry) > 0.5
    liver = organs.liver
    if not label.any():
        return 0.0, (0.0, 0.0, 0.0), ["labels hold no liver; needed label 1 on all of it; correct the labels"]
    agreement = 2 * float((label & liver).sum()) / float(label.sum() + liver.sum())
    under = np.bincount(organs.labels[label], minlength=len(Organ)).astype(float)
    under[[Organ.BACKGROUND, Organ.LIVER, Organ.LESION, Organ.HEPATIC_VESSEL]] = 0
    if under.max() > 0.4 * label.sum():
        name = Organ(int(under.argmax())).name.lower().replace("_", " ")
        share = under.max() / label.sum()
        return (
            agreement,
            (0.0, 0.0, 0.0),
            [f"{share:.0%} of the labelled liver lies on the {name}; needed the liver; correct the labels"],
        )
    fit, shift = best_shift(label, liver)
    step_mm = organs.geometry.spacing_mm[0]
    away = (shift[0] * step_mm, shift[1] * step_mm, shift[2] * step_mm)
    mirrored = {
        name: best_shift(np.flip(label, axis), liver)[0] for axis, name in ((0, "upside down"), (1, "front to back"),
                                                                          (2, "left to right"))
    }  # fmt: skip
    way = max(mirrored, key=lambda name: mirrored[name])
    if agreement < LEAST_AGREEMENT and mirrored[way] > max(agreement + MIRROR_GAIN, fit + 0.03):
        text = f"the labels fit the scan mirrored {way} (Dice {mirrored[way]:.2f} instead of {agreement:.2f});"
        return agreement, away, [text + " needed labels as the image lies; export them again with their orientation"]
    if np.abs(away).max() >= SHIFT_MM and fit > agreement + SHIFT_GAIN:
        mm = ", ".join(f"{v:+.0f}" for v in away[::-1])
        text = f"the labels fit the scan when moved by ({mm}) mm (left, back, up), Dice {fit:.2f} not {agreement:.2f};"
        return agreement, away, [text + " needed labels in place; export them again on the image's grid"]
    if agreement < LEAST_AGREEMENT:
        text = f"the labelled liver and the organ network's have a Dice of {agreement:.2f}, needed {LEAST_AGREEMENT};"
        return agreement, away, [text + " correct the labels; if the network errs that far, adaptation cannot help it"]
    return agreement, away, []


def best_shift(label: NDArray[np.bool_], liver: NDArray[np.bool_]) -> tuple[float, tuple[int, int, int]]:
    """Largest Dice of two masks over whole-voxel shifts of the first, and that shift (slice, row, column)."""
    from scipy.signal import fftconvolve

    boxes = [_box(mask) for mask in (label, liver)]
    if any(box is None for box in boxes):
        return 0.0, (0, 0, 0)
    (a, b) = ((mask[box], box) for mask, box in zip((label, liver), boxes, strict=True))
    shared = fftconvolve(b[0].astype(np.float32), a[0][::-1, ::-1, ::-1].astype(np.float32))
    at = np.unravel_index(int(shared.argmax()), shared.shape)
    shift = [int(i) - (n - 1) + q.start - p.start for i, n, p, q in zip(at, a[0].shape, a[1], b[1], strict=True)]
    dice = 2 * float(shared[at]) / float(label.sum() + liver.sum())
    return dice, (shift[0], shift[1], shift[2])


def _box(mask: NDArray[np.bool_]) -> Any:
    """The slices that hold every true voxel; None for none."""
    from scipy import ndimage

    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else None


def _lesions(ready: ReadyCase, truth: Truth) -> list[str]:
    share = float((truth.lesions > 0).sum()) / max(1, int(truth.liver.sum()))
    if share > _MOST_LESIONS_OF_LIVER:
        return [f"lesions fill {share:.0%} of the labelled liver, needed at most {_MOST_LESIONS_OF_LIVER:.0%}; correct"
                " the labels"]  # fmt: skip
    sizes = sizes_mm(ready, truth)
    if len(sizes) > 100:
        return [f"{len(sizes)} lesions are labelled, needed at most 100; join what belongs together, remove specks"]
    return []


def liver_detail(ready: ReadyCase, truth: Truth) -> NDArray[np.float32]:
    """The detail of the image around the labelled liver on a coarse grid, by which copies are known. All zero without
    a liver of some size."""
    from hepar.validate.likeness import COARSE, signature

    box = _box(truth.liver)
    if box is None or min(s.stop - s.start for s in box[1:]) < 16 or box[0].stop - box[0].start < 2:
        return np.zeros(COARSE, np.float32)
    return signature(ready.reference.array[box]).coarse


def _alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Highest correlation over all shifts; a copy that was rescaled, windowed or made noisy stays near 1."""
    from scipy.fft import irfftn, rfftn

    return float(irfftn(rfftn(one) * np.conj(rfftn(other)), one.shape).max())
