"""A set of label maps, judged: everything that `hepar validate masks` tells, from the measured cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import mean, of_sums
from hepar.validate.case import CaseResult
from hepar.validate.icc import icc
from hepar.validate.inputs import Floats
from hepar.validate.limits import bland_altman
from hepar.validate.mask_lesions import challenge, detection, thresholds
from hepar.validate.mask_words import OVERLAP, VOLUMES
from hepar.validate.results import Chart, Results, series

PER_CASE = (
    ("dice", "Dice", ""), ("nsd", "surface Dice", ""), ("assd_mm", "mean surface distance", "mm"),
    ("rmsd_mm", "root mean square surface distance", "mm"), ("hd95_mm", "Hausdorff distance, 95 %", "mm"),
    ("hd100_mm", "Hausdorff distance, largest", "mm"), ("jaccard", "Jaccard", ""), ("voe", "overlap error (VOE)", ""),
    ("rvd_over_ref", "volume difference (RVD), share of the reference", ""),
    ("rvd_over_pred", "RVD as the LiTS code has it, share of the prediction, sign reversed", ""),
)  # fmt: skip
FEW_CASES = 30


def judge_masks(cases: Sequence[CaseResult], results: Results, *, draws: int = 2000) -> Results:
    """Tables of overlap, distance, volume and detection over cases, added to `results`."""
    if not cases:
        raise WrongCall("there is no case; needed: at least one")
    results.used = len(cases)
    patients = [case.patient for case in cases]
    if len(cases) < FEW_CASES:
        results.notes.append(
            f"{len(cases)} cases are few: no firm conclusions; intervals drawn from fewer than {FEW_CASES} are rough "
            "and tend to be too narrow."
        )
    if len(set(patients)) < len(patients):
        results.notes.append(f"{len(cases)} cases of {len(set(patients))} patients; intervals draw patients.")
    for name in cases[0].structures:
        _structure(name, cases, patients, results, draws)
    _volumes(cases, results)
    if cases[0].lesions is not None:
        detection(cases, results, draws)
        if cases[0].marks is not None:
            thresholds(cases, results, draws)
        if cases[0].lits is not None:
            challenge(cases, results)
    for number, case in enumerate(cases, start=1):
        for name in case.structures:
            results.cases.append(_row(number, case, name))
    return results


def _structure(name: str, cases: Sequence[CaseResult], patients: Sequence[str], results: Results, draws: int) -> None:
    own = [case.structures[name] for case in cases]
    for key, label, unit in PER_CASE:
        raw = [getattr(one, key) for one in own]
        values = [v.estimate if isinstance(v, Estimate) else v for v in raw]
        there = [(v, patient) for v, patient in zip(values, patients, strict=True) if v is not None]
        value = Estimate.cannot_tell("in every case one of the two masks is empty")
        if there:
            value = mean([v for v, _ in there], patients=[patient for _, patient in there], draws=draws)
        label = f"surface Dice, tolerance {own[0].tolerance_mm:g} mm" if key == "nsd" else label
        results.add(OVERLAP, name, label, value, len(there), unit)
    empty = sum(one.assd_mm.estimate is None for one in own)
    if empty:
        results.notes.append(
            f"{name}: in {empty} of {len(own)} cases either the prediction or the reference is empty and the other is "
            "not. Such a case has no distance and is left out of the means of distances; in Dice, Jaccard and surface "
            "Dice it counts as 0."
        )
    both = sum(one.voxels.pred == 0 and one.voxels.ref == 0 for one in own)
    if both:
        results.notes.append(
            f"{name}: in {both} of {len(own)} cases both are empty. That is right, and counts as Dice 1 and distance 0."
        )
    sums = np.array([(one.voxels.both, one.voxels.pred, one.voxels.ref) for one in own], dtype=np.float64)
    together = of_sums(sums, _dice, why_none="no voxel in any case", patients=patients, draws=draws)
    results.add(OVERLAP, name, "Dice, all voxels of all cases together", together, len(own))


def _dice(sums: Floats) -> Floats:
    return np.asarray(2.0 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))


def _volumes(cases: Sequence[CaseResult], results: Results) -> None:
    for name in cases[0].structures:
        pred = np.array([case.structures[name].pred_ml for case in cases])
        ref = np.array([case.structures[name].ref_ml for case in cases])
        found = bland_altman(pred, ref)
        low, high = found.limits_of_agreement
        results.add(VOLUMES, name, "mean difference (bias)", found.bias, pred.size, "ml")
        results.add(VOLUMES, name, "lower limit of agreement", low, pred.size, "ml")
        results.add(VOLUMES, name, "upper limit of agreement", high, pred.size, "ml")
        absolute = np.abs(pred - ref)
        results.add(VOLUMES, name, "mean absolute error", mean(absolute), pred.size, "ml")
        if pred.size >= 3 and float(np.ptp(ref)) > 0 and found.standard_deviation > 0:
            results.add(VOLUMES, name, "ICC(2,1)", icc(np.column_stack([pred, ref]), form="2,1").icc, pred.size)
        span = [float(found.means.min()), float(found.means.max())]
        lines = [series("cases", "points", found.means, found.differences),
                 series("mean difference", "line", span, [float(found.differences.mean())] * 2)]  # fmt: skip
        if low.estimate is not None and high.estimate is not None:
            lines += [series("lower limit", "dashed", span, [low.estimate] * 2),
                      series("upper limit", "dashed", span, [high.estimate] * 2)]  # fmt: skip
        results.charts.append(Chart(VOLUMES, f"Volume of {name}: difference against size (Bland and Altman)",
                                    "Above 0 the prediction is too large.", "mean of both, ml",
                                    "prediction less reference, ml", tuple(lines)))  # fmt: skip


def _row(number: int, case: CaseResult, name: str) -> dict[str, object]:
    one = case.structures[name]
    row: dict[str, object] = {"case": number, "structure": name, "pred_ml": one.pred_ml, "ref_ml": one.ref_ml}
    for key, _, _ in PER_CASE:
        value = getattr(one, key)
        row[key] = ("" if value.estimate is None else value.estimate) if isinstance(value, Estimate) else value
    lesions = case.lesions if name == case.lesion_structure else None
    row["lesions"] = "" if lesions is None else lesions.ref_mm.size
    row["lesions_found"] = "" if lesions is None else int(lesions.ref_found.sum())
    row["lesions_false"] = "" if lesions is None else int(lesions.pred_true.size - lesions.pred_true.sum())
    return row
