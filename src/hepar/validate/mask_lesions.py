"""The lesion tables of a set of label maps: by lesion, by patient, at every threshold, and as LiTS scores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hepar.record import Estimate
from hepar.validate.candidates import gathered
from hepar.validate.detection import STRATA, inside_stratum, lesion_wise, patient_wise, patients_by_size
from hepar.validate.froc import afroc, afroc_curve, froc_curve, froc_summary, only_lesions
from hepar.validate.lits import VERSIONS, lits_set
from hepar.validate.mask_words import BY_LARGEST, BY_LESION, BY_PATIENT, FROC, LITS
from hepar.validate.results import Chart, Results, series

if TYPE_CHECKING:
    from hepar.validate.case import CaseResult

RATE_NAMES = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
FOUND_WHEN = {
    "overlap": "A lesion counts as found as soon as prediction and reference share one voxel of it: a generous rule.",
    "iou>0.1": "A lesion counts as found when over a tenth of what either outline covers is shared (IoU over 0.1).",
    "iou>0.5": "A lesion counts as found when over half of what either outline covers is shared (IoU over 0.5): a "
               "strict rule, small lesions fail it easily.",
    "centroid": "A lesion counts as found when the centre of a predicted lesion lies in it.",
}  # fmt: skip
LITS_NAMES = {
    "dice": ("Dice", ""), "jaccard": ("Jaccard", ""), "voe": ("overlap error", ""), "rvd": ("RVD", ""),
    "assd_mm": ("mean surface distance", "mm"), "rmsd_mm": ("root mean square distance", "mm"),
    "msd_mm": ("largest distance", "mm"),
}  # fmt: skip


def detection(cases: Sequence[CaseResult], results: Results, draws: int) -> None:
    """Recall, precision and F1 by size, with intervals that draw patients; sensitivity and specificity by patient."""
    lesions = [case.lesions for case in cases if case.lesions is not None]
    for row in lesion_wise(lesions, draws=draws):
        results.add(BY_LESION, row.name, "lesions", row.lesions, row.lesions)
        results.add(BY_LESION, row.name, "found (recall)", row.recall, row.lesions)
        results.add(BY_LESION, row.name, "right (precision)", row.precision, row.predictions)
        results.add(BY_LESION, row.name, "F1", row.f1, row.lesions)
        results.add(BY_LESION, row.name, "false findings per case", row.false_per_case, len(lesions))
    table = patient_wise(lesions)
    with_lesions, without = table.tp + table.fn, table.fp + table.tn
    for name, value, n, words in (
        (
            "sensitivity (any lesion)",
            table.sensitivity,
            with_lesions,
            "of patients with lesions: any is predicted",
        ),
        ("specificity (no lesion)", table.specificity, without, "of patients without: none is predicted"),
        (
            "positive predictive value",
            table.ppv,
            table.tp + table.fp,
            "of patients with any predicted: rightly so",
        ),
        (
            "negative predictive value",
            table.npv,
            table.tn + table.fn,
            "of patients with none predicted: rightly so",
        ),
        ("accuracy", table.accuracy, with_lesions + without, "of all patients: told rightly"),
    ):
        results.add(BY_PATIENT, "", name, value, n, words)
    for one in patients_by_size(lesions):
        results.add(BY_LARGEST, one.name, "suspected", one.suspected, one.patients)
        results.add(BY_LARGEST, one.name, "found in its place", one.found, one.patients)
    results.notes.append(FOUND_WHEN[cases[0].criterion])
    merged, split = sum(case.merged for case in cases), sum(case.split for case in cases)
    if merged or split:
        results.notes.append(
            f"Lesions that run together or fall apart: {merged} predicted lesions cover several lesions of the "
            f"reference, and {split} lesions of the reference are covered by several predicted ones. One of each "
            "counts as found, the others as missed or false."
        )


def thresholds(cases: Sequence[CaseResult], results: Results, draws: int) -> None:
    """FROC by size stratum with LUNA16's mean, and AFROC."""
    marked = [case.marks for case in cases if case.marks is not None]
    lesions = [case.lesions for case in cases if case.lesions is not None]
    of = gathered(marked)
    if of.lesion_scores.size == 0:
        results.notes.append("No case holds a lesion, so there is no FROC.")
        return
    patients = [one.patient for one in lesions]
    sizes = np.concatenate([one.ref_mm for one in lesions])
    lines = []
    for name, low, high in STRATA:
        keep = inside_stratum(sizes, low, high)
        if not keep.any():
            results.add(FROC, name, "mean, 1/8 to 8 false per case", Estimate.cannot_tell("no lesion of this size"), 0)
            continue
        part = only_lesions(of, keep)
        found, n = froc_summary(part, patients=patients, draws=min(draws, 1000)), int(keep.sum())
        results.add(FROC, name, "mean, 1/8 to 8 false per case", found.mean, n)
        for rate, value in zip(RATE_NAMES, found.sensitivity, strict=True):
            results.add(FROC, name, f"found at {rate} false per case", value, n)
        curve = froc_curve(part)
        steps = _steps(curve.false_per_image, curve.sensitivity)
        lines.append(series(name, "line" if name == "all sizes" else "dashed", *steps))
    distinct = len(set(patients)) == len(patients)
    area = afroc(of, patients=None if distinct else patients)
    results.add(FROC, "all sizes", "AFROC area", area, of.lesions.size)
    results.charts.append(
        Chart(
            FROC, "Lesions found against false findings (FROC)", "False findings of all sizes count for every line.",
            "false findings per case", "share of lesions found", tuple(lines),
        )
    )  # fmt: skip
    if area.estimate is not None:
        own = afroc_curve(of)
        line = series("AFROC", "line", *_steps(own.false_share, own.sensitivity))
        chance = series("chance", "dashed", [0.0, 1.0], [0.0, 1.0])
        results.charts.append(
            Chart(
                FROC, "Lesions found against healthy cases called ill (AFROC)", "",
                "share of cases without lesions that have a false finding", "share of lesions found", (line, chance),
            )
        )  # fmt: skip


def _steps(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a curve that goes up before it goes right."""
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]


def challenge(cases: Sequence[CaseResult], results: Results) -> None:
    """The LiTS scores under their three versions."""
    own = [case.lits for case in cases if case.lits is not None]
    for version in VERSIONS:
        one = lits_set([case[version] for case in own])
        n, many = one.n, len(own)
        rows: list[tuple[str, Estimate, int, str]] = [
            ("lesions: Dice per case", one.lesion["dice"], many, ""),
            ("lesions: Dice global", one.lesion_dice_global, many, ""),
            ("lesions: precision, IoU over 0.5", one.precision, n["predicted"], ""),
            ("lesions: recall, IoU over 0.5", one.recall, n["reference"], ""),
        ]
        rows += [(f"found lesions: {LITS_NAMES[name][0]}", value, n["found"], LITS_NAMES[name][1])
                 for name, value in one.found.items()]  # fmt: skip
        rows += [(f"lesions of a case: {LITS_NAMES[name][0]}", value, many, LITS_NAMES[name][1])
                 for name, value in one.lesion.items() if name != "dice"]  # fmt: skip
        rows += [
            (f"liver: {LITS_NAMES[name][0]}", value, many, LITS_NAMES[name][1]) for name, value in one.liver.items()
        ]
        rows += [
            ("liver: Dice global", one.liver_dice_global, many, ""),
            ("tumour burden: RMSE", one.burden_rmse, n["burden"], ""),
            ("tumour burden: largest error", one.burden_largest, n["burden"], ""),
        ]
        for name, value, count, unit in rows:
            results.add(LITS, version, name, value, count, unit)
