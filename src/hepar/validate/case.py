"""Everything that is measured of one pair of label maps, and the tables over a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.detection import CaseLesions, case_lesions
from hepar.validate.inputs import Bools
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


@dataclass(frozen=True, eq=False)
class CaseResult:
    """One case: its structures by name, and its lesions where lesions were asked for."""

    case: str
    structures: dict[str, MaskMeasures]
    lesions: CaseLesions | None
    merged: int
    split: int


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
        number(distances.hd95_mm), number(distances.hd100_mm), distances.nsd(tolerance_mm),
    )  # fmt: skip


def measure_case(
    case: str, pred: NDArray[np.integer], ref: NDArray[np.integer], spacing_mm: Sequence[float], *,
    structures: dict[str, Sequence[int]], lesions: str | None, patient: str | None = None, criterion: str = "overlap",
    tolerance_mm: float = 2.0,
) -> CaseResult:  # fmt: skip
    """Measure two label maps on one grid.

    structures: name -> the labels that make it up (the liver holds its lesions: (1, 2)). lesions: the structure whose
    connected components are lesions, or None. A label in neither list raises WrongCall.
    """
    if pred.shape != ref.shape:
        raise WrongCall(f"case {case}: the prediction has the shape {pred.shape} and the reference {ref.shape}; the "
                        "same grid is needed; resample one to the other and say so")  # fmt: skip
    declared = sorted({0, *(label for labels in structures.values() for label in labels)})
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
        return CaseResult(case, measured, None, 0, 0)
    labels = list(structures[lesions])
    match = match_lesions(mask_of(one, labels), mask_of(other, labels), criterion=criterion)
    detected = case_lesions(match, spacing_mm, patient=patient or case)
    return CaseResult(case, measured, detected, len(match.merged), len(match.split))


def mask_of(values: NDArray[np.integer], labels: Sequence[int]) -> Bools:
    """Where a label map holds any of the labels."""
    found: Bools = values == labels[0]
    for label in labels[1:]:
        found |= values == label
    return found
