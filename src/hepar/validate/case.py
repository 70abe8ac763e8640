"""Everything that is measured of one pair of label maps, and the tables over a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.candidates import CaseMarks, marks_of_map, marks_of_points
from hepar.validate.detection import CaseLesions, case_lesions
from hepar.validate.inputs import Bools
from hepar.validate.lits import VERSIONS, LitsCase, lits_case
from hepar.validate.matching import match_lesions
from hepar.validate.overlap import Counts, counts
from hepar.validate.surfaces import bounding_box, surface_distances


@dataclass(frozen=True)
class MaskMeasures:
    """One structure of one case. Distances in millimetres, volumes in millilitres; a missing one says why."""

    voxels: Counts
    pred_ml: float
    ref_ml: float
    dice: float
    jaccard: float
    voe: float
    rvd_over_ref: Estimate
    rvd_over_pred: Estimate
    assd_mm: Estimate
    rmsd_mm: Estimate
    hd95_mm: Estimate
    hd100_mm: Estimate
    nsd: float
    tolerance_mm: float


@dataclass(frozen=True, eq=False)
class CaseResult:
    """One case: its structures by name, and its lesions where lesions were asked for."""

    case: str
    structures: dict[str, MaskMeasures]
    lesions: CaseLesions | None
    merged: int
    split: int
    patient: str = ""
    lesion_structure: str = ""
    criterion: str = "overlap"
    marks: CaseMarks | None = None
    lits: dict[str, LitsCase] | None = None
    """By version of the rules."""


def measure_masks(
    pred: ArrayLike, ref: ArrayLike, spacing_mm: Sequence[float], *, tolerance_mm: float = 2.0
) -> MaskMeasures:
    """Overlap, volumes and distances of two masks (slice, row, column). nsd: at `tolerance_mm`."""
    one, other = np.asarray(pred), np.asarray(ref)
    shared = counts(one, other)
    voxel_ml = float(np.prod(np.asarray(spacing_mm, dtype=np.float64))) / 1000.0
    distances = surface_distances(one, other, spacing_mm)

    def number(value: float | None) -> Estimate:
        return Estimate.cannot_tell(distances.missing) if value is None else Estimate(value)

    return MaskMeasures(
        shared, shared.pred * voxel_ml, shared.ref * voxel_ml, shared.dice, shared.jaccard, shared.voe,
        shared.rvd_over_ref, shared.rvd_over_pred, number(distances.assd_mm), number(distances.rmsd_mm),
        number(distances.hd95_mm), number(distances.hd100_mm), distances.nsd(tolerance_mm), tolerance_mm,
    )  # fmt: skip


def measure_case(
    case: str, pred: NDArray[np.integer], ref: NDArray[np.integer], spacing_mm: Sequence[float], *,
    structures: Mapping[str, Sequence[int]], lesions: str | None, patient: str | None = None,
    criterion: str = "overlap", tolerance_mm: float = 2.0, ignore: Sequence[int] = (), liver: str | None = None,
    points: tuple[ArrayLike, ArrayLike] | None = None, score_map: NDArray[np.floating] | None = None,
) -> CaseResult:  # fmt: skip
    """Measure two label maps on one grid.

    structures: name -> the labels that make it up (the liver holds its lesions: (1, 2)). lesions: the structure whose
    connected components are lesions, or None. ignore: labels that are allowed and not judged; a label in neither list
    raises WrongCall. liver: the structure that holds the lesions, for the scores of LiTS; None leaves those out.
    points: scores of marks and their places, see `marks_of_points`; or score_map: a score for every voxel.
    """
    if pred.shape != ref.shape:
        raise WrongCall(f"case {case}: the prediction has the shape {pred.shape} and the reference {ref.shape}; the "
                        "same grid is needed; resample one to the other and say so")  # fmt: skip
    declared = sorted({0, *ignore, *(label for labels in structures.values() for label in labels)})
    box = bounding_box(pred, ref) or (slice(0, 1), slice(0, 1), slice(0, 1))
    one, other = np.ascontiguousarray(pred[box]), np.ascontiguousarray(ref[box])
    for name, array in (("prediction", one), ("reference", other)):
        if sum(int(np.count_nonzero(array == label)) for label in declared) < array.size:
            found = sorted({int(label) for label in np.unique(array)} - set(declared))
            raise WrongCall(f"case {case}: the {name} holds the labels {found}, which were not declared (declared: "
                            f"{declared}); name them, or take the right file")  # fmt: skip
    measured = {
        name: measure_masks(mask_of(one, labels), mask_of(other, labels), spacing_mm, tolerance_mm=tolerance_mm)
        for name, labels in structures.items()
    }
    if lesions is None:
        return CaseResult(case, measured, None, 0, 0, patient or case)
    pred_lesions, ref_lesions = mask_of(one, structures[lesions]), mask_of(other, structures[lesions])
    match = match_lesions(pred_lesions, ref_lesions, criterion=criterion)
    marks = None
    if points is not None:
        start = np.array([side.start for side in box])
        places = np.asarray(points[1], dtype=np.float64).reshape(-1, 3) - start
        marks = marks_of_points(match, points[0], places, spacing_mm, case=case)
    elif score_map is not None:
        marks = marks_of_map(match, score_map[box])
    lits = None
    if liver is not None:
        strict = match if criterion == "iou>0.5" else None
        livers = mask_of(one, structures[liver]), mask_of(other, structures[liver])
        lits = {
            version: lits_case(pred_lesions, ref_lesions, spacing_mm, version=version, pred_liver=livers[0],
                               ref_liver=livers[1], match=strict)
            for version in VERSIONS
        }  # fmt: skip
    detected = case_lesions(match, spacing_mm, patient=patient or case)
    return CaseResult(
        case,
        measured,
        detected,
        len(match.merged),
        len(match.split),
        patient or case,
        lesions,
        criterion,
        marks,
        lits,
    )


def mask_of(values: NDArray[np.integer], labels: Sequence[int]) -> Bools:
    """Where a label map holds any of the labels."""
    found: Bools = values == labels[0]
    for label in labels[1:]:
        found |= values == label
    return found
