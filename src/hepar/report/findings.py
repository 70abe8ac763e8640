"""The document `findings.json`: what was measured, in the shape that other programs rely on.

Shapes. A measured key ends in its unit and is a plain number, or null with `<key>_missing` saying why; its interval
stands in `<key>_interval`. `label_probability` and `confidence` are scores from 0 to 1 and are written the same way,
since programs sort and filter by them. A statistic (`liver_overlap`, `correlation`) is an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hepar.errors import Fault
from hepar.record import (
    DISCLAIMER,
    AlignedPhase,
    Burden,
    Diameter,
    Enhancement,
    Estimate,
    Findings,
    LesionFinding,
    LiverFinding,
    Notice,
    OperatingPoint,
    Phase,
    PhaseMean,
    Provenance,
    Skipped,
    Study,
)

SCHEMA_VERSION = "1.0"
SCHEMA_FILE = Path(__file__).parent / "schema" / f"findings-{SCHEMA_VERSION}.schema.json"
NOT_MEASURED = "this phase was not measured"

DECIMALS = {"ml": 3, "mm": 2, "hu": 1, "s": 1, "deg": 2, "percent_of_liver": 4, "confidence": 4, "probability": 4}
"""Digits behind the point by the last word of a key, or by the whole key; finer than any reading, coarse enough to
be stable."""


def findings_document(
    study: Study,
    phases: Sequence[Phase],
    aligned: Sequence[AlignedPhase],
    findings: Findings,
    provenance: Provenance,
    *,
    with_identity: bool = False,
    warnings: Sequence[Notice] = (),
    operating_point: OperatingPoint | None = None,
) -> dict[str, Any]:
    """Everything that is known about one examination, as plain JSON values in a fixed order.

    phases: the study's phases under their final labels. aligned: those that were put onto the reference (it too).
    warnings: what the pipeline adds to the warnings of the study and of the findings; repeated ones are left out.
    operating_point: what decided which lesions are shown; left out where the engine states none.
    A phase without a measurement is listed all the same, with null and the reason. Patient data stand under
    `study.patient`, only with_identity.
    """
    by_id = {one.phase_id: one for one in aligned}
    started = [phase.acquired_s for phase in phases if phase.acquired_s is not None]
    first_s = min(started) if started else None
    absent = {phase.id: _absence(by_id.get(phase.id)) for phase in phases}
    head: dict[str, Any] = {"uid": study.uid, "date": study.date, "modality": study.modality}
    if with_identity:
        head["patient"] = {key: study.identity[key] for key in sorted(study.identity)}
    return {
        "schema_version": SCHEMA_VERSION,
        "disclaimer": DISCLAIMER,
        "study": head,
        "warnings": _notices(dict.fromkeys((*study.warnings, *findings.notices, *warnings))),
        "phases": [_phase(phase, by_id.get(phase.id), first_s) for phase in phases],
        "skipped": [_skipped(one) for one in study.skipped],
        "reference_phase": findings.reference_phase,
        "liver": _liver(findings.liver, absent),
        "burden": _burden(findings.burden),
        "lesions": [_lesion(one, absent) for one in findings.lesions],
        **({"operating_point": _operating_point(operating_point)} if operating_point else {}),
        "provenance": {
            "version": provenance.version,
            "settings_sha256": provenance.settings_sha256,
            "weights_sha256": provenance.weights_sha256,
            "input_sha256": provenance.input_sha256,
            "engine": provenance.engine,
            "precision": provenance.precision,
            "cpu": provenance.cpu,
        },
    }


def write_findings(document: dict[str, Any], path: Path) -> None:
    """Check the document and write it as UTF-8 with a newline at the end; the same document gives the same bytes."""
    validate_findings(document)
    path.write_bytes((json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode("utf-8"))


def validate_findings(document: dict[str, Any]) -> None:
    """Hold the document against the published schema, ids and phase ids included. Raises Fault for a mismatch."""
    from jsonschema import Draft202012Validator

    errors = sorted(Draft202012Validator(findings_schema()).iter_errors(document), key=lambda error: error.json_path)
    if errors:
        first = errors[0]
        raise Fault(
            f"findings.json breaks its schema {SCHEMA_VERSION} in {len(errors)} places, first at {first.json_path}:"
            f" {first.message[:300]}; nothing is delivered, please report this"
        )
    phase_ids = [phase["id"] for phase in document["phases"]]
    lesion_ids = [lesion["id"] for lesion in document["lesions"]]
    named = {document["reference_phase"]} | {one["phase_id"] for one in document["liver"]["mean_hu"]}
    named |= {one["phase_id"] for lesion in document["lesions"] for one in lesion["enhancement"]}
    if len(set(phase_ids)) != len(phase_ids) or not named <= set(phase_ids):
        raise Fault(f"findings.json names the phases {sorted(named)}, but lists {phase_ids}")
    if lesion_ids != list(range(1, len(lesion_ids) + 1)) or document["burden"]["lesion_count"] != len(lesion_ids):
        raise Fault(f"lesions must run 1, 2, ... and match the count, got {lesion_ids} and {document['burden']}")


@cache
def findings_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of `findings.json`."""
    schema: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def _phase(phase: Phase, aligned: AlignedPhase | None, first_s: float | None) -> dict[str, Any]:
    after = Estimate.cannot_tell("the files give no time of acquisition")
    if first_s is not None and phase.acquired_s is not None:
        after = Estimate(phase.acquired_s - first_s)
    thick = Estimate.cannot_tell("the files give no slice thickness")
    if phase.slice_thickness_mm is not None:
        thick = Estimate(phase.slice_thickness_mm)
    geometry = phase.volume.geometry
    guess = phase.guess
    names = ("native", "arterial", "portal_venous", "delayed")
    return {
        "id": phase.id,
        "label": guess.label,
        "arterial_timing": guess.arterial_timing,
        "label_probability": _round(guess.probability, "probability"),
        "label_probabilities": {
            name: _round(value, "probability") for name, value in zip(names, guess.probabilities, strict=True)
        },
        "label_source": guess.source,
        "series_uid": phase.series_uid,
        **_measured("after_first_s", after),
        "slices": geometry.shape[0],
        "rows": geometry.shape[1],
        "columns": geometry.shape[2],
        "slice_distance_mm": round(geometry.slice_distance_mm, 4),
        "row_spacing_mm": round(geometry.spacing_mm[1], 4),
        "column_spacing_mm": round(geometry.spacing_mm[2], 4),
        **_measured("slice_thickness_mm", thick),
        "tilt_deg": _round(phase.tilt_deg, "deg"),
        **_alignment(aligned),
        "quality": _notices(phase.quality),
    }


def _alignment(aligned: AlignedPhase | None) -> dict[str, Any]:
    if aligned is None:
        return {"alignment": None, "alignment_missing": NOT_MEASURED}
    residual = aligned.residual
    return {
        "alignment": {
            "accepted": aligned.accepted,
            "reason": "" if aligned.accepted else _reason(aligned),
            "shift_mm": _round(residual.shift_mm, "mm"),
            **_measured("surface_mm", residual.surface_mm),
            "liver_overlap": _statistic(residual.liver_overlap),
            "correlation": _statistic(residual.correlation),
        }
    }


def _skipped(one: Skipped) -> dict[str, Any]:
    return {
        "series_uid": one.series_uid,
        "modality": one.modality,
        "images": one.images,
        "reason": {"code": one.reason.code, "text": one.reason.text},
    }


def _liver(liver: LiverFinding, absent: dict[str, str]) -> dict[str, Any]:
    by_id = {one.phase_id: one for one in liver.mean_hu}
    means = [by_id.get(phase_id) or _no_mean(phase_id, why) for phase_id, why in absent.items()]
    return {
        **_measured("volume_ml", liver.volume_ml),
        "voxels": liver.voxels,
        "complete": liver.complete,
        "mean_hu": [
            {
                "phase_id": one.phase_id,
                **_measured("mean_hu", one.mean_hu),
                **_measured("sd_hu", one.sd_hu),
                "voxels": one.voxels,
            }
            for one in means
        ],
    }


def _burden(burden: Burden) -> dict[str, Any]:
    return {
        "lesion_count": burden.lesion_count,
        **_measured("total_volume_ml", burden.total_volume_ml),
        **_measured("percent_of_liver", burden.percent_of_liver),
        **_measured("largest_long_axis_mm", burden.largest_long_axis_mm),
    }


def _lesion(lesion: LesionFinding, absent: dict[str, str]) -> dict[str, Any]:
    by_id = {one.phase_id: one for one in lesion.enhancement}
    phases = [by_id.get(phase_id) or _no_enhancement(phase_id, why) for phase_id, why in absent.items()]
    return {
        "id": lesion.id,
        "tracking_uid": lesion.tracking_uid,
        **_measured("volume_ml", lesion.volume_ml),
        "voxels": lesion.voxels,
        **_diameter("long_axis", lesion.long_axis),
        **_diameter("short_axis", lesion.short_axis),
        **_diameter("max_3d_diameter", lesion.max_3d_diameter),
        "axial_slice": lesion.axial_slice,
        "centre_lps_mm": [_round(value, "mm") for value in lesion.centre_lps_mm],
        **_measured("confidence", lesion.confidence),
        "enhancement": [_enhancement(one) for one in phases],
        "notices": _notices(lesion.notices),
    }


def _diameter(name: str, diameter: Diameter) -> dict[str, Any]:
    ends = f"{name}_ends_lps_mm"
    result = _measured(f"{name}_mm", diameter.length_mm)
    if diameter.start_lps_mm is None or diameter.end_lps_mm is None:
        reason = diameter.length_mm.missing or "the place of the line was not kept"
        return {**result, ends: None, f"{ends}_missing": reason}
    points = (diameter.start_lps_mm, diameter.end_lps_mm)
    return {**result, ends: [[_round(value, "mm") for value in point] for point in points]}


def _enhancement(one: Enhancement) -> dict[str, Any]:
    return {
        "phase_id": one.phase_id,
        **_measured("mean_hu", one.lesion_hu),
        **_measured("sd_hu", one.lesion_sd_hu),
        "voxels": one.lesion_voxels,
        **_measured("shell_mean_hu", one.shell_hu),
        **_measured("shell_sd_hu", one.shell_sd_hu),
        "shell_voxels": one.shell_voxels,
        **_measured("difference_hu", one.difference_hu),
    }


def _no_mean(phase_id: str, why: str) -> PhaseMean:
    return PhaseMean(phase_id, Estimate.cannot_tell(why), Estimate.cannot_tell(why), 0)


def _no_enhancement(phase_id: str, why: str) -> Enhancement:
    no = Estimate.cannot_tell(why)
    return Enhancement(phase_id, no, no, 0, no, no, 0, no)


def _absence(aligned: AlignedPhase | None) -> str:
    return NOT_MEASURED if aligned is None or aligned.accepted else _reason(aligned)


def _reason(aligned: AlignedPhase) -> str:
    return aligned.reason or "it does not fit the reference phase"


def _measured(key: str, value: Estimate) -> dict[str, Any]:
    if value.estimate is None:
        return {key: None, f"{key}_missing": value.missing}
    result: dict[str, Any] = {key: _round(value.estimate, key)}
    if value.low is not None and value.high is not None:
        result[f"{key}_interval"] = {
            "low": _round(value.low, key),
            "high": _round(value.high, key),
            "level": value.level,
            "method": value.method,
        }
    return result


def _operating_point(point: OperatingPoint) -> dict[str, Any]:
    return {
        "name": point.name,
        "least_confidence": _round(point.least_confidence, "confidence"),
        "expected": {
            "phases": point.phases,
            "scans": point.scans,
            "fitted_on": point.fitted_on,
            "virtual_patients": point.virtual,
            "false_per_scan": _statistic(point.false_per_scan),
            "recall_by_size": [
                {"least_mm": one.least_mm, "below_mm": one.below_mm, "found": one.found, "lesions": one.lesions,
                 "recall": _statistic(one.recall)}
                for one in point.recall
            ],
        },
    }  # fmt: skip


def _statistic(value: Estimate) -> dict[str, Any]:
    result = {
        name: None if number is None else round(number, 4) + 0.0
        for name, number in (("estimate", value.estimate), ("low", value.low), ("high", value.high))
    }
    tail = {"level": value.level, "method": value.method}
    return {**result, **tail, "missing": value.missing} if value.missing else {**result, **tail}


def _notices(notices: Iterable[Notice]) -> list[dict[str, str]]:
    return [{"code": one.code, "text": one.text} for one in notices]


def _round(value: float, key: str) -> float:
    """Rounded by the unit at the end of the key; never minus zero."""
    return round(float(value), DECIMALS.get(key, DECIMALS.get(key.rsplit("_", 1)[-1], 4))) + 0.0
