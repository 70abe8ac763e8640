"""A small four-phase study built by hand: every number in it is known, nothing comes from a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hepar.page import Page
from hepar.record import (
    NOT_COVERED_HU,
    AlignedPhase,
    Anatomy,
    Burden,
    Diameter,
    Enhancement,
    Estimate,
    Findings,
    Geometry,
    LesionFinding,
    LiverFinding,
    Notice,
    OperatingPoint,
    Phase,
    PhaseGuess,
    PhaseMean,
    Provenance,
    Residual,
    SizeRecall,
    Skipped,
    SourceFrame,
    Study,
    Transform,
    Vein,
    Volume,
    derived_uid,
)

SECRET = "SECRET^NAME"
IDENTITY = {"name": SECRET, "id": "SECRET-4711", "birth_date": "SECRET-1950-01-02", "sex": "F"}
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
LABELS = ("native", "arterial", "portal_venous", "delayed")
LIVER_HU = (55, 68, 112, 90)
LESION_HU = (48, 125, 84, 70)
GEOMETRY = Geometry.regular((30, 80, 100), (5.0, 2.5, 2.0), (-100.0, -90.0, 10.0))
CENTRES = ((15, 40, 40), (20, 30, 60), (9, 45, 55), (15, 52, 70))


def _centre(number: int) -> tuple[float, float, float]:
    """Index of a lesion's centre; further ones lie on a ring of their own in every third slice."""
    if number <= len(CENTRES):
        return CENTRES[number - 1]
    turn = 2.4 * number
    return 5.0 + 3 * (number % 7), 40.0 + 21 * float(np.sin(turn)), 50.0 + 26 * float(np.cos(turn))


def interval(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half, 0.95, "half a voxel on the edge")


def anatomy(lesions: int = 2) -> Anatomy:
    """An ellipsoid liver with balls of falling radius in it."""
    grid = np.indices(GEOMETRY.shape).transpose(1, 2, 3, 0)
    points = GEOMETRY.to_lps_mm(grid)
    centre = GEOMETRY.to_lps_mm([15, 40, 50])
    liver = (((points - centre) / (85.0, 75.0, 62.0)) ** 2).sum(-1) < 1
    labels = np.zeros(GEOMETRY.shape, np.uint16)
    for number in range(lesions, 0, -1):
        radius = 18.0 - 3.0 * min(number - 1, 4)
        place = GEOMETRY.to_lps_mm(_centre(number))
        if number > len(CENTRES):
            radius = 4.5
        labels[((points - place) ** 2).sum(-1) < radius**2] = number
    veins = np.zeros(GEOMETRY.shape, np.uint8)
    veins[12:18, 38:42, 30:50] = Vein.PORTAL
    veins[12:18, 38:42, 50:70] = Vein.HEPATIC
    veins[labels > 0] = Vein.NONE
    confidence = tuple(max(0.2, 0.93 - 0.06 * n) for n in range(lesions))
    return Anatomy(GEOMETRY, liver, labels, veins, confidence)


def aligned(outline: Anatomy, *, refused: tuple[str, ...] = (), phases: int = 4) -> tuple[AlignedPhase, ...]:
    """Each phase as flat tissue with a little noise, in a box around the liver."""
    where = np.argwhere(outline.liver)
    low, high = where.min(0), where.max(0)
    box = tuple(
        slice(max(int(a) - 4, 0), min(int(b) + 5, n)) for a, b, n in zip(low, high, GEOMETRY.shape, strict=True)
    )
    rng = np.random.default_rng(5)
    result = []
    for number in range(phases):
        hu = np.full(GEOMETRY.shape, -80.0)
        hu[outline.liver] = LIVER_HU[number % 4]
        hu[outline.vessels] = LIVER_HU[number % 4] + 40
        hu[outline.lesions > 0] = LESION_HU[number % 4]
        values = np.round(hu + rng.normal(0, 9, hu.shape)).astype(np.int16)
        if number == 3:
            values[:8] = NOT_COVERED_HU
        name = f"p{number + 1}"
        residual = Residual(
            Estimate(0.953), Estimate(1.26, 0.9, 1.7, 0.95, "over the surface"), Estimate(0.71), 3.4 + number
        )
        ok = name not in refused
        result.append(
            AlignedPhase(
                name, box, values[box], Transform.identity(), residual, ok,
                "" if ok else "the liver surfaces stay 6.3 mm apart; 2.0 mm is the limit",
            )
        )  # fmt: skip
    return tuple(result)


def study(phases: int = 4, *, skipped: int = 2) -> Study:
    rows = []
    for number in range(phases):
        label = LABELS[number] if number < 4 else "unknown"
        timing = "late" if label == "arterial" else "unknown"
        guess = PhaseGuess(label, timing, 0.94 if number < 4 else 0.31, "tags+enhancement", (0.02, 0.94, 0.03, 0.01))
        volume = Volume(np.full(GEOMETRY.shape, -1000, np.int16), GEOMETRY, "CT")
        frames = tuple(
            SourceFrame(Path(f"/in/{SECRET}/{n}"), derived_uid("frame", str(number), str(n)), CT_STORAGE)
            for n in range(GEOMETRY.shape[0])
        )
        quality = (Notice("slices_thick", "Slices are 5.0 mm thick; lesions under 10 mm can be missed."),)
        rows.append(
            Phase(
                f"p{number + 1}", volume, guess, derived_uid("series", str(number)), frames,
                acquired_s=36000.0 + 30 * number, slice_thickness_mm=5.0 if number else None,
                quality=quality if number < 2 else (),
            )
        )  # fmt: skip
    left_out = tuple(
        Skipped(derived_uid("skipped", str(n)), ("CT", "SR")[n % 2], 1 + n, Notice("localizer", "A scout view."))
        for n in range(skipped)
    )
    warnings = (Notice("no_time", "One series states no time; its order was taken from its number."),)
    return Study(
        derived_uid("study"), "2024-03-05", "CT", tuple(rows), "a" * 64, True, left_out, warnings, dict(IDENTITY)
    )


def findings(outline: Anatomy, *, phases: int = 4, refused: tuple[str, ...] = ()) -> Findings:
    """Numbers made by hand, simple to recognise in a document."""
    no = Estimate.cannot_tell("the phase is kept out of the measurements")
    ids = [f"p{n + 1}" for n in range(phases)]
    lesions = []
    for number in range(1, len(outline.confidence) + 1):
        where = np.argwhere(outline.lesions == number)
        centre = GEOMETRY.to_lps_mm(where.mean(0))
        radius = 18.0 - 3.0 * min(number - 1, 4)
        axis = np.array([radius, 0.0, 0.0])
        across = np.array([0.0, radius - 2, 0.0])
        middle = GEOMETRY.to_lps_mm([round(where.mean(0)[0]), *where.mean(0)[1:]])
        enhancement = tuple(
            Enhancement(one, no, no, 0, no, no, 0, no) if one in refused else Enhancement(
                one, interval(LESION_HU[n % 4] + 0.25, 1.5), Estimate(9.1), len(where),
                interval(LIVER_HU[n % 4] + 0.14, 0.8), Estimate(8.9), 4 * len(where),
                interval(LESION_HU[n % 4] - LIVER_HU[n % 4] + 0.11, 1.7),
            )
            for n, one in enumerate(ids)
        )  # fmt: skip
        lesions.append(
            LesionFinding(
                number, derived_uid("lesion", str(number)), interval(24.43 / number + 0.0004, 1.2 / number), len(where),
                Diameter(interval(2 * radius + 0.123, 1.1), _point(middle - axis), _point(middle + axis)),
                Diameter(interval(2 * radius - 4, 1.1), _point(middle - across), _point(middle + across)),
                Diameter(interval(2 * radius + 1.5, 1.4), _point(centre - axis), _point(centre + axis)),
                round(where.mean(0)[0]), _point(centre), Estimate(outline.confidence[number - 1]), enhancement,
                (Notice("lesion_split", "Two touching lesions were parted here."),) if number == 2 else (),
            )
        )  # fmt: skip
    means = tuple(
        PhaseMean(one, no, no, 0)
        if one in refused
        else PhaseMean(one, interval(LIVER_HU[n % 4], 0.2), Estimate(9.0), 99)
        for n, one in enumerate(ids)
    )
    liver = LiverFinding(interval(1660.5, 20.0), int(outline.liver.sum()), means, True)
    none = Estimate.cannot_tell("no lesion was found")
    burden = Burden(
        len(lesions),
        interval(40.7, 2.0) if lesions else Estimate(0.0),
        interval(2.45, 0.12) if lesions else Estimate(0.0),
        interval(36.123, 1.1) if lesions else none,
    )
    return Findings(ids[2 % phases], liver, burden, tuple(lesions), (Notice("check_lesions", "Check every lesion."),))


def _point(point: np.ndarray) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])


def operating_point() -> OperatingPoint:
    """Intervals from R 4.2.2: prop.test(k, n, correct = FALSE), poisson.test(6, 24)."""
    shares = ((None, 10.0, 3, 40, 0.026, 0.199), (10.0, 20.0, 21, 30, 0.521, 0.833), (20.0, None, 36, 36, 0.904, 1.0))
    recall = tuple(SizeRecall(least, below, found, of, Estimate(found / of, low, high, 0.95, "Wilson"))
                   for least, below, found, of, low, high in shares)  # fmt: skip
    false = Estimate(0.25, 0.0917, 0.5441, 0.95, "Poisson, exact (Garwood)")
    return OperatingPoint("measuring", 0.42, "several", 24, false, recall, "virtual patients of an example")


PROVENANCE = Provenance("0.1.0", "b" * 64, "c" * 64, "a" * 64, "builtin liver3mm 1", "f32", "Example CPU (avx2)")


def report(
    lesions: int = 2, *, phases: int = 4, refused: tuple[str, ...] = (), with_identity: bool = False, **changes: Any
) -> tuple[dict[str, Any], Page]:
    """The document and the report of the example; changes: fields of `Study` to replace."""
    from hepar.report import findings_document, report_content

    outline = anatomy(lesions)
    examined = replace(study(phases), **changes)
    lying = aligned(outline, refused=refused, phases=phases)
    made = findings_document(
        examined, examined.phases, lying, findings(outline, phases=phases, refused=refused), PROVENANCE,
        with_identity=with_identity, operating_point=operating_point(),
    )  # fmt: skip
    return made, report_content(made, outline, lying)
