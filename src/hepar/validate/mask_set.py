"""A set of label maps, judged: everything that `hepar validate masks` tells, from the measured cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import mean, of_sums
from hepar.validate.case import CaseResult
from hepar.validate.detection import lesion_wise, patient_wise
from hepar.validate.icc import icc
from hepar.validate.inputs import Floats
from hepar.validate.limits import bland_altman
from hepar.validate.results import Chart, Results, series

PER_CASE = (
    ("dice", "Dice", ""), ("jaccard", "Jaccard", ""), ("voe", "volumetric overlap error", ""),
    ("rvd_over_ref", "relative volume difference, (pred - ref) / ref", ""),
    ("rvd_over_pred", "relative volume difference, (ref - pred) / pred", "as the LiTS code"),
    ("assd_mm", "average surface distance", "mm"), ("rmsd_mm", "root mean square surface distance", "mm"),
    ("hd95_mm", "Hausdorff distance, 95 %", "mm"), ("hd100_mm", "Hausdorff distance, largest", "mm"),
    ("nsd", "normalised surface Dice", ""),
)  # fmt: skip


def judge_masks(cases: Sequence[CaseResult], results: Results, *, draws: int = 2000) -> Results:
    """Tables of overlap, distance, volume and detection over cases, added to `results`."""
    if not cases:
        raise WrongCall("there is no case; needed: at least one")
    results.used = len(cases)
    if len(cases) < 10:
        results.notes.append(
            f"{len(cases)} cases: too few for firm conclusions; intervals drawn from so few are too narrow."
        )
    for name in cases[0].structures:
        _structure(name, cases, results, draws)
    _volumes(cases, results)
    if cases[0].lesions is not None:
        _detection(cases, results, draws)
    for number, case in enumerate(cases, start=1):
        for name, one in case.structures.items():
            row: dict[str, object] = {"case": number, "structure": name, "pred_ml": one.pred_ml, "ref_ml": one.ref_ml}
            for key, _, _ in PER_CASE:
                value = getattr(one, key)
                row[key] = ("" if value.estimate is None else value.estimate) if isinstance(value, Estimate) else value
            results.cases.append(row)
    return results


def _structure(name: str, cases: Sequence[CaseResult], results: Results, draws: int) -> None:
    own = [case.structures[name] for case in cases]
    section = "Overlap and distance, mean over cases"
    for key, label, unit in PER_CASE:
        raw = [getattr(one, key) for one in own]
        values = [v.estimate if isinstance(v, Estimate) else v for v in raw]
        there = [v for v in values if v is not None]
        why = "in every case one of the two masks is empty"
        value = mean(there, draws=draws) if there else Estimate.cannot_tell(why)
        results.add(section, name, label, value, len(there), unit)
        if key == "assd_mm" and len(there) < len(values):
            results.notes.append(
                f"{name}: {len(values) - len(there)} cases have no distances, because one of the two "
                "is empty; the means of distances leave them out, Dice and NSD count them as 0."
            )
    sums = np.array([(one.voxels.both, one.voxels.pred, one.voxels.ref) for one in own], dtype=np.float64)
    why = "no voxel in any case"
    results.add(section, name, "Dice, all voxels together", of_sums(sums, _dice, why_none=why, draws=draws), len(own))


def _dice(sums: Floats) -> Floats:
    return np.asarray(2.0 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))


def _volumes(cases: Sequence[CaseResult], results: Results) -> None:
    section = "Volumes"
    for name in cases[0].structures:
        pred = np.array([case.structures[name].pred_ml for case in cases])
        ref = np.array([case.structures[name].ref_ml for case in cases])
        found = bland_altman(pred, ref)
        low, high = found.limits_of_agreement
        results.add(section, name, "bias (prediction less reference)", found.bias, pred.size, "ml")
        results.add(section, name, "lower limit of agreement", low, pred.size, "ml")
        results.add(section, name, "upper limit of agreement", high, pred.size, "ml")
        if pred.size >= 3 and float(np.ptp(ref)) > 0 and found.standard_deviation > 0:
            results.add(section, name, "ICC(2,1)", icc(np.column_stack([pred, ref]), form="2,1").icc, pred.size)
        span = [float(found.means.min()), float(found.means.max())]
        lines = [series("cases", "points", found.means, found.differences),
                 series("bias", "line", span, [float(found.differences.mean())] * 2)]  # fmt: skip
        if low.estimate is not None and high.estimate is not None:
            lines += [series("lower limit", "dashed", span, [low.estimate] * 2),
                      series("upper limit", "dashed", span, [high.estimate] * 2)]  # fmt: skip
        results.charts.append(Chart(section, f"Volume of {name}: Bland and Altman", "95 % lie within the limits.",
                                    "mean of both, ml", "prediction less reference, ml", tuple(lines)))  # fmt: skip


def _detection(cases: Sequence[CaseResult], results: Results, draws: int) -> None:
    lesions = [case.lesions for case in cases if case.lesions is not None]
    section = "Finding lesions, by lesion"
    for row in lesion_wise(lesions, draws=draws):
        results.add(section, row.name, "lesions", row.lesions, row.lesions)
        results.add(section, row.name, "found (recall)", row.recall, row.lesions)
        results.add(section, row.name, "right (precision)", row.precision, row.predictions)
        results.add(section, row.name, "F1", row.f1, row.lesions)
        results.add(section, row.name, "false findings per case", row.false_per_case, len(lesions))
    table = patient_wise(lesions)
    section, n = "Finding lesions, by patient", table.tp + table.fp + table.fn + table.tn
    for name, value in (("sensitivity (any lesion)", table.sensitivity), ("specificity (no lesion)", table.specificity),
                        ("positive predictive value", table.ppv), ("negative predictive value", table.npv),
                        ("accuracy", table.accuracy)):  # fmt: skip
        results.add(section, "", name, value, n)
    merged, split = sum(case.merged for case in cases), sum(case.split for case in cases)
    if merged or split:
        results.notes.append(
            f"{merged} predictions join several lesions and {split} lesions are cut into several "
            "predictions; one lesion of each counts as found, the others as missed or false."
        )
