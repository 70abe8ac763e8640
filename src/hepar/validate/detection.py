"""Lesion detection over a set of examinations: recall, precision and F1, by size, by lesion and by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import of_rate, of_share, of_sums
from hepar.validate.inputs import Bools, Floats, Ints
from hepar.validate.matching import LabelMap, LesionMatch
from hepar.validate.proportion import proportion
from hepar.validate.thresholds import TwoByTwo

STRATA = (
    ("all sizes", 0.0, np.inf),
    ("under 10 mm", 0.0, 10.0),
    ("10 to 20 mm", 10.0, 20.0),
    ("over 20 mm", 20.0, np.inf),
)
"""Name, from (over), to (inclusive); "under 10 mm" holds everything up to but not at 10, and 10 to 20 both ends."""


@dataclass(frozen=True, eq=False)
class CaseLesions:
    """Lesions of one examination: the size of each lesion of the reference and whether it was found, and the size of
    each prediction and whether it found one. Sizes: longest diameter in a slice, millimetres."""

    patient: str
    ref_mm: Floats
    ref_found: Floats
    pred_mm: Floats
    pred_true: Floats


def case_lesions(match: LesionMatch, spacing_mm: Sequence[float], *, patient: str) -> CaseLesions:
    """What the detection tables need of one examination."""
    found, true = np.zeros(match.ref_voxels.size), np.zeros(match.pred_voxels.size)
    for pair in match.pairs:
        found[pair.ref - 1] = true[pair.pred - 1] = 1.0
    return CaseLesions(
        patient, long_axes_mm(match.ref_labels, spacing_mm), found, long_axes_mm(match.pred_labels, spacing_mm), true
    )


def long_axes_mm(labels: LabelMap, spacing_mm: Sequence[float]) -> Floats:
    """Longest diameter of each lesion within one slice, outer edge to outer edge of its voxels; one per number 1..n."""
    from scipy import ndimage

    _, row_mm, column_mm = (float(v) for v in spacing_mm)
    sizes = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[box] == number
        # no slice is longer than the diagonal of its box: those with the largest come first, the others are left out
        diagonals = np.hypot(_spans(part.any(axis=2)) * row_mm, _spans(part.any(axis=1)) * column_mm)
        longest = 0.0
        for plane in np.argsort(-diagonals, kind="stable"):
            if diagonals[plane] * (1 + 1e-9) <= longest:
                break
            longest = max(longest, _diameter(part[plane], row_mm, column_mm))
        sizes.append(longest)
    return np.array(sizes)


def _spans(lines: Bools) -> Ints:
    """From the first to the last place of each line, both counted; 0 for an empty line."""
    span: Ints = lines.shape[1] - lines.argmax(axis=1) - lines[:, ::-1].argmax(axis=1)
    return np.where(lines.any(axis=1), span, 0)


def _diameter(plane: Bools, row_mm: float, column_mm: float) -> float:
    """Longest distance between two corners of voxels, of which the outermost on every line between rows will do."""
    rows = np.flatnonzero(plane.any(axis=1))
    first, last = plane[rows].argmax(axis=1), plane.shape[1] - plane[rows][:, ::-1].argmax(axis=1)
    left, right = np.full(plane.shape[0] + 1, plane.shape[1]), np.full(plane.shape[0] + 1, -1)
    for edge in (rows, rows + 1):
        left[edge], right[edge] = np.minimum(left[edge], first), np.maximum(right[edge], last)
    edges = np.flatnonzero(right >= 0)
    y, x = np.tile(edges, 2) * row_mm, np.concatenate((left[edges], right[edges])) * column_mm
    return float(np.sqrt(((y[:, None] - y) ** 2 + (x[:, None] - x) ** 2).max()))


@dataclass(frozen=True)
class LesionWise:
    """One stratum. lesions, predictions: their number; found, false: of them."""

    name: str
    lesions: int
    found: int
    predictions: int
    false: int
    recall: Estimate
    precision: Estimate
    f1: Estimate
    false_per_case: Estimate


def lesion_wise(cases: Sequence[CaseLesions], *, draws: int = 2000, seed: int = 0) -> tuple[LesionWise, ...]:
    """The lesion-wise table by size stratum, with intervals that draw whole patients.

    Recall goes by the size of the lesion in the reference, precision by that of the prediction; F1 joins both.
    """
    if not cases:
        raise WrongCall("there is no case; needed: at least one")
    patients = [case.patient for case in cases]
    rows = []
    for name, low, high in STRATA:
        counts = np.array([_counts(case, low, high) for case in cases])
        n_ref, found, n_pred, true = (int(v) for v in counts.sum(axis=0))

        def estimate(columns: ArrayLike, why: str) -> Estimate:
            return of_share(columns, why_none=why, patients=patients, draws=draws, seed=seed)

        per_case = np.column_stack([counts[:, 2] - counts[:, 3], np.ones(len(cases))])
        f1 = of_sums(counts, _f1, why_none="no lesion and no prediction of this size", patients=patients, draws=draws,
                     seed=seed)  # fmt: skip
        rows.append(
            LesionWise(
                name, n_ref, found, n_pred, n_pred - true,
                estimate(counts[:, [1, 0]], "no lesion of this size"),
                estimate(counts[:, [3, 2]], "no prediction of this size"),
                f1,
                of_rate(per_case, patients=patients, draws=draws, seed=seed),
            )
        )  # fmt: skip
    return tuple(rows)


def _f1(sums: Floats) -> Floats:
    recall, precision = sums[..., 1] / sums[..., 0], sums[..., 3] / sums[..., 2]
    return np.asarray(np.where(recall + precision > 0, 2 * recall * precision / (recall + precision), 0.0 * recall))


def _counts(case: CaseLesions, low: float, high: float) -> tuple[float, float, float, float]:
    ref, pred = inside_stratum(case.ref_mm, low, high), inside_stratum(case.pred_mm, low, high)
    return float(ref.sum()), float(case.ref_found[ref].sum()), float(pred.sum()), float(case.pred_true[pred].sum())


def inside_stratum(sizes: Floats, low: float, high: float) -> Bools:
    """Which sizes fall into a stratum, see `STRATA`."""
    if high == 10.0:
        return np.asarray(sizes < high)
    return np.asarray((sizes >= low if low == 10.0 else sizes > low) & (sizes <= high))


def patient_wise(cases: Sequence[CaseLesions], *, method: str = "wilson") -> TwoByTwo:
    """The patient-wise table: is any lesion predicted, against is any lesion there? Right place or not does not count.

    Several examinations of a patient are one: positive if any is.
    """
    truth: dict[str, bool] = {}
    test: dict[str, bool] = {}
    for case in cases:
        truth[case.patient] = truth.get(case.patient, False) or case.ref_mm.size > 0
        test[case.patient] = test.get(case.patient, False) or case.pred_mm.size > 0
    pairs = [(truth[name], test[name]) for name in sorted(truth)]
    return TwoByTwo(
        pairs.count((True, True)), pairs.count((False, True)), pairs.count((True, False)), pairs.count((False, False)),
        method,
    )  # fmt: skip


@dataclass(frozen=True)
class PatientsBySize:
    """Patients with lesions, by their largest. suspected: any lesion was predicted anywhere; found: one of the
    patient's lesions was found in its place."""

    name: str
    patients: int
    suspected: Estimate
    found: Estimate


def patients_by_size(cases: Sequence[CaseLesions], *, method: str = "wilson") -> tuple[PatientsBySize, ...]:
    """The patient-wise table by size stratum. Several examinations of a patient are one."""
    names = sorted({case.patient for case in cases if case.ref_mm.size})
    own = {name: [case for case in cases if case.patient == name] for name in names}
    largest = np.array([max(float(case.ref_mm.max(initial=0.0)) for case in own[name]) for name in names])
    suspected = np.array([any(case.pred_mm.size for case in own[name]) for name in names], dtype=bool)
    found = np.array([any(case.ref_found.any() for case in own[name]) for name in names], dtype=bool)
    rows = []
    for name, low, high in STRATA:
        inside = inside_stratum(largest, low, high)
        n, why = int(inside.sum()), "no patient whose largest lesion has this size"
        shares = [proportion(int(part[inside].sum()), n, method=method, why_none=why) for part in (suspected, found)]
        rows.append(PatientsBySize(name, n, shares[0], shares[1]))
    return tuple(rows)
