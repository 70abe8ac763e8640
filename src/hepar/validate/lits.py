"""The LiTS challenge's scores, as its organisers' code computes them and as they ought to be.

Label 1 is liver, 2 lesion; the liver mask holds its lesions. Three versions, each named wherever a number stands:

"as published (scorer)": the challenge's scorer. Lesions are 6-neighbour components, merged before they are matched and
counted with the slips told in `lits_published`; outlines are scored on found lesions only; distances run between edge
voxels, each counting the same; RVD is (V_ref - V_pred) / V_pred; an empty mask gives 9001 for what has no value, and so
does tumour burden without a liver; the largest error of tumour burden keeps its sign, so that too much tumour never
shows.
"as published (notebook)": the evaluation notebook. Whole masks only, no lesions; distances to an empty mask are 0,
which rewards predicting nothing; the largest distance runs between 6-neighbour edges. It stops with an error where RVD
or Jaccard divide by nothing: no value here.
"corrected": 26 neighbours, one-to-one matching without merging, IoU over 0.5, distances weighted by area, RVD as in the
paper ((V_pred - V_ref) / V_ref), no value where there is none, the largest absolute error of burden.

Source: PatrickChrist/lits-challenge-scoring and LITS-CHALLENGE; Bilic, Med Image Anal 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats
from hepar.validate.lits_published import edge_distances, found_as_published
from hepar.validate.matching import LabelMap, LesionMatch, lesions, match_lesions, overlaps
from hepar.validate.overlap import Counts, counts, masks, pooled
from hepar.validate.surfaces import checked_spacing, surface_distances

SCORER, NOTEBOOK, CORRECTED = VERSIONS = ("as published (scorer)", "as published (notebook)", "corrected")
LARGE = 9001.0
"""What the published scorer gives where there is no value."""
_NOT_THERE = Estimate.cannot_tell("the notebook does not compute it")
_STOPS = "the notebook stops here: it divides by the voxels of an empty mask"


@dataclass(frozen=True)
class LitsOutline:
    """One outline against another: a found lesion, or a whole mask. assd, rmsd, msd: mean, root mean square and largest
    symmetric surface distance."""

    dice: float
    jaccard: Estimate
    voe: Estimate
    rvd: Estimate
    assd_mm: Estimate
    rmsd_mm: Estimate
    msd_mm: Estimate


@dataclass(frozen=True)
class LitsCase:
    """One case under one version of the rules.

    true, false, missed: lesions; None in the notebook, which finds none. found: the outlines of found lesions. liver:
    None where no liver was given. burden_error: tumour burden (lesion / liver) of the reference less the prediction's.
    """

    version: str
    true: int | None
    false: int | None
    missed: int | None
    found: tuple[LitsOutline, ...]
    lesion: LitsOutline
    liver: LitsOutline | None
    burden_error: Estimate
    lesion_voxels: Counts
    liver_voxels: Counts


def lits_case(
    pred: ArrayLike, ref: ArrayLike, spacing_mm: Sequence[float], *, version: str = CORRECTED,
    pred_liver: ArrayLike | None = None, ref_liver: ArrayLike | None = None, match: LesionMatch | None = None,
) -> LitsCase:  # fmt: skip
    """Score one case. pred, ref: lesions, bool or 0/1 (slice, row, column); pred_liver, ref_liver: the liver with its
    lesions. match: what `match_lesions` found with "iou>0.5", where that is known already (for "corrected")."""
    if version not in VERSIONS:
        raise WrongCall(f"version {version!r} is not known; needed: one of {', '.join(VERSIONS)}")
    if (pred_liver is None) != (ref_liver is None):
        raise WrongCall("one of the two livers is missing; needed: both or neither")
    one, other = masks(pred, ref)
    spacing = checked_spacing(spacing_mm)
    livers = None if pred_liver is None or ref_liver is None else masks(pred_liver, ref_liver)
    if livers is not None and livers[0].shape != one.shape:
        raise WrongCall(f"the liver has the shape {livers[0].shape} and the lesions {one.shape}; needed: one grid")
    true = false = missed = None
    found: list[LitsOutline] = []
    if version != NOTEBOOK:
        if version == SCORER:
            labels = lesions(one, "the prediction", 6, False), lesions(other, "the reference", 6, False)
            shared, pred_voxels, ref_voxels = overlaps(*labels)
            true, groups = found_as_published(shared, pred_voxels, ref_voxels)
            pairs = [(group.pred, group.ref) for group in groups]
        else:
            match = match or match_lesions(one, other, criterion="iou>0.5")
            labels, true = (match.pred_labels, match.ref_labels), len(match.pairs)
            pred_voxels, ref_voxels = match.pred_voxels, match.ref_voxels
            pairs = [((pair.pred,), (pair.ref,)) for pair in match.pairs]
        false, missed = int(pred_voxels.size) - true, int(ref_voxels.size) - true
        boxes = [ndimage.find_objects(one) for one in labels] if pairs else []
        found = [_outline(*_cut(labels, boxes, pair), spacing, version) for pair in pairs]
    in_lesions = counts(one, other)
    in_livers = Counts(0, 0, 0) if livers is None else counts(*livers)
    return LitsCase(
        version, true, false, missed, tuple(found), _outline(one, other, spacing, version, whole=True),
        None if livers is None else _liver(livers, one, spacing, version),
        Estimate.cannot_tell("no liver was given") if livers is None
        else _burden_error(in_lesions, in_livers, version == SCORER),
        in_lesions, in_livers,
    )  # fmt: skip


def _cut(
    labels: tuple[LabelMap, LabelMap], boxes: list[Any], numbers: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[Bools, Bools]:
    """The masks of some numbers of both maps, in the box around them. boxes: of every number, of both maps."""
    of_all = [boxes[i][number - 1] for i in (0, 1) for number in numbers[i]]
    box = tuple(slice(min(b[k].start for b in of_all), max(b[k].stop for b in of_all)) for k in range(3))
    one, other = (np.isin(labels[i][box], numbers[i]) for i in (0, 1))
    return one, other


def _outline(
    one: Bools, other: Bools, spacing: tuple[float, float, float], version: str, *, whole: bool = False
) -> LitsOutline:
    voxels = counts(one, other)
    if version == CORRECTED:
        far = surface_distances(one, other, spacing)

        def told(value: float | None) -> Estimate:
            return Estimate.cannot_tell(far.missing) if value is None else Estimate(value)

        return LitsOutline(voxels.dice, Estimate(voxels.jaccard), Estimate(voxels.voe), voxels.rvd_over_ref,
                           told(far.assd_mm), told(far.rmsd_mm), told(far.hd100_mm))  # fmt: skip
    nothing = voxels.pred == 0 and voxels.ref == 0
    # medpy gives 0 for two empty masks; the scorer sets 1 for lesions of a case
    dice = 0.0 if nothing and version == NOTEBOOK else voxels.dice
    jaccard = Estimate.cannot_tell(_STOPS) if nothing and version == NOTEBOOK else Estimate(voxels.jaccard)
    voe = jaccard if jaccard.estimate is None else Estimate(1.0 - jaccard.estimate)
    rvd = voxels.rvd_over_pred if voxels.pred else Estimate.cannot_tell(_STOPS)
    if voxels.pred == 0 or voxels.ref == 0:
        if version == NOTEBOOK:
            return LitsOutline(dice, jaccard, voe, rvd, Estimate(0.0), _NOT_THERE, Estimate(0.0))
        none = Estimate(LARGE)
        return LitsOutline(dice, jaccard, voe, none, none, none, none)
    if version == SCORER and whole:
        # the scorer never computes distances of all lesions of a case together
        none = Estimate.cannot_tell("the scorer scores found lesions only")
        return LitsOutline(dice, jaccard, voe, rvd, none, none, none)
    both = np.concatenate(edge_distances(one, other, spacing, 18))
    largest = float(both.max())
    if version == NOTEBOOK:
        largest = max(float(part.max()) for part in edge_distances(one, other, spacing, 6))
        root = _NOT_THERE
    else:
        root = Estimate(float(np.sqrt(np.mean(both**2))))
    return LitsOutline(dice, jaccard, voe, rvd, Estimate(float(both.mean())), root, Estimate(largest))


def _liver(
    livers: tuple[Bools, Bools], lesion: Bools, spacing: tuple[float, float, float], version: str
) -> LitsOutline:
    if version == SCORER and not bool((livers[0] & ~lesion).any()):
        none = Estimate(LARGE)
        return LitsOutline(0.0, Estimate(0.0), Estimate(1.0), none, none, none, none)
    return _outline(*livers, spacing, version)


def _burden_error(lesion: Counts, liver: Counts, published: bool) -> Estimate:
    if liver.ref == 0:
        return Estimate.cannot_tell("the reference has no liver")
    burden = lesion.ref / liver.ref
    # the scorer asks for voxels of label 1, liver outside the lesions
    if published and liver.pred == lesion.pred:
        return Estimate(burden - LARGE)
    if liver.pred == 0:
        return Estimate.cannot_tell("the prediction has no liver")
    return Estimate(burden - lesion.pred / liver.pred)


@dataclass(frozen=True)
class LitsSet:
    """A set of cases under one version. found, lesion, liver: means by name (dice, jaccard, voe, rvd, assd_mm, rmsd_mm,
    msd_mm) over found lesions, and over whole masks by case. Values that are missing are left out of a mean; how many
    went in stands in `n`."""

    version: str
    precision: Estimate
    recall: Estimate
    found: dict[str, Estimate]
    lesion: dict[str, Estimate]
    liver: dict[str, Estimate]
    lesion_dice_global: Estimate
    liver_dice_global: Estimate
    burden_rmse: Estimate
    burden_largest: Estimate
    n: dict[str, int]


MEASURES = ("dice", "jaccard", "voe", "rvd", "assd_mm", "rmsd_mm", "msd_mm")
_NOTHING_FOUND = {"dice": 0.0, "jaccard": 0.0, "voe": 1.0}


def lits_set(cases: Sequence[LitsCase]) -> LitsSet:
    """A set of cases of one version, at least one. Precision and recall are pooled over the set."""
    if not cases or len({case.version for case in cases}) > 1:
        raise WrongCall(f"{len(cases)} cases of {len({case.version for case in cases})} versions; needed: at least one "
                        "case, all of one version")  # fmt: skip
    version = cases[0].version
    found = [one for case in cases for one in case.found]
    livers = [case.liver for case in cases if case.liver is not None]
    means = _means(found, "no lesion was found")
    if version == SCORER and not found:
        means = {name: Estimate(_NOTHING_FOUND.get(name, LARGE)) for name in MEASURES}
    true, false, missed = (
        sum(v for v in (getattr(case, key) for case in cases) if v is not None) for key in ("true", "false", "missed")
    )
    none = "the notebook does not look for lesions" if version == NOTEBOOK else ""
    burden: Floats = np.array([v for v in (case.burden_error.estimate for case in cases) if v is not None])
    lesion = _means([case.lesion for case in cases], "no case")
    if version == SCORER:
        # only the Dice of a case's lesions together is computed by it
        lesion = {"dice": lesion["dice"]}
    largest = burden if version == SCORER else np.abs(burden)
    nothing = _NOT_THERE if version == NOTEBOOK else Estimate.cannot_tell("no liver, or in one of the masks only")
    return LitsSet(
        version, _share(true, true + false, none or "nothing was predicted", version == SCORER),
        _share(true, true + missed, none or "no lesion in any reference", version == SCORER),
        {} if version == NOTEBOOK else means, lesion, _means(livers, "no liver was given"),
        _dice([case.lesion_voxels for case in cases]),
        _dice([case.liver_voxels for case in cases]) if livers else Estimate.cannot_tell("no liver was given"),
        Estimate(float(np.sqrt(np.mean(burden**2)))) if burden.size and version != NOTEBOOK else nothing,
        Estimate(float(largest.max())) if burden.size and version != NOTEBOOK else nothing,
        {"cases": len(cases), "found": len(found), "predicted": true + false, "reference": true + missed,
         "burden": int(burden.size)},
    )  # fmt: skip


def _share(part: int, whole: int, why: str, published: bool) -> Estimate:
    if whole:
        return Estimate(part / whole)
    # the scorer gives 0
    return Estimate(0.0) if published else Estimate.cannot_tell(why)


def _dice(voxels: Sequence[Counts]) -> Estimate:
    return Estimate(pooled(voxels).dice)


def _means(outlines: Sequence[LitsOutline], why: str) -> dict[str, Estimate]:
    means = {}
    for name in MEASURES:
        raw = [getattr(one, name) for one in outlines]
        values = [v for v in (v.estimate if isinstance(v, Estimate) else v for v in raw) if v is not None]
        missing = next((v.missing for v in raw if isinstance(v, Estimate) and v.estimate is None), why)
        means[name] = Estimate(float(np.mean(values))) if values else Estimate.cannot_tell(missing)
    return means
