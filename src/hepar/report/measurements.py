"""DICOM SR TID 1500: every number of the findings, tied to the segment it was measured on, read back after writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hepar.errors import Fault
from hepar.record import Diameter, Findings, Phase, Provenance, derived_uid
from hepar.report import codes
from hepar.report.segmentation import (
    LIVER_SEGMENT,
    MANUFACTURER,
    concept,
    liver_tracking_uid,
    segmentation_uid,
)
from hepar.report.source import SourceSlice, content_moment, frame_of_reference_uid, source_slices, stamp

if TYPE_CHECKING:
    from highdicom.sr import Measurement
    from pydicom import Dataset

SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


def write_measurements(
    path: Path,
    document: Mapping[str, Any],
    findings: Findings,
    phase: Phase,
    provenance: Provenance,
    *,
    segmentation: Path,
    study_uid: str,
) -> None:
    """Write one measurement group (TID 1411) for the liver and one per lesion, and read them back.

    A group of its own (TID 1501) repeats a lesion's diameters as lines in space, for viewers that draw those only.
    document: the findings document, whose numbers are written digit by digit; findings: the places of the axes.
    phase: the reference phase. segmentation: the written Segmentation, whose segments and tracking UIDs are named.
    A number that is missing in the document is left out here. Source: DICOM PS3.16 TID 1500, 1411, 300.
    Raises Fault when what was read back is not what was meant.
    """
    from highdicom import sr
    from pydicom import dcmread

    slices = source_slices(phase, study_uid)
    seg = dcmread(segmentation, stop_before_pixels=True)
    p = provenance
    identity = (p.input_sha256, p.version, p.settings_sha256, p.weights_sha256, p.precision, study_uid)
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", p.version, p.weights_sha256),
        name="hepar",
        manufacturer_name=MANUFACTURER,
        model_name=p.engine,
        serial_number=p.weights_sha256[:16] or "none",
    )
    from pydicom.sr.codedict import codes as dictionary

    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(dictionary.DCM.Device, device)
        ),
        procedure_reported=concept(codes.PROCEDURE),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(concept(codes.ENGLISH)),
        imaging_measurements=list(_groups(document, findings, phase, provenance, slices, seg, study_uid)),
    )
    dataset = sr.Comprehensive3DSR(
        evidence=_evidence(slices, seg, study_uid),
        content=report[0],
        series_instance_uid=derived_uid(*identity, "measurements series"),
        series_number=9002,
        sop_instance_uid=derived_uid(*identity, "measurements"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=p.engine,
        software_versions=p.version,
        device_serial_number=p.weights_sha256[:16] or "none",
        is_complete=True,
        is_final=False,
        series_description="hepar measurements (research use)",
    )
    dataset.SpecificCharacterSet = seg.get("SpecificCharacterSet", "ISO_IR 192")
    stamp(dataset, content_moment(slices))
    dataset.save_as(path)
    _check(path, document, findings, study_uid)


def expected_values(document: Mapping[str, Any]) -> dict[str, list[tuple[str, float]]]:
    """What each measurement group must hold: group name ("Liver", "Lesion 1", ...) to (code value, number) pairs."""
    liver = [(code.value, value) for code, _, value, _ in _liver_numbers(document)]
    groups = {"Liver": liver + [(codes.ATTENUATION.value, e["mean_hu"]) for e in _known(document["liver"]["mean_hu"])]}
    for lesion in document["lesions"]:
        numbers = [(code.value, value) for code, _, value, _ in _lesion_numbers(lesion)]
        numbers += [(codes.ATTENUATION.value, e["mean_hu"]) for e in _known(lesion["enhancement"])]
        groups[f"Lesion {lesion['id']}"] = numbers
    return groups


def _groups(
    document: Mapping[str, Any],
    findings: Findings,
    phase: Phase,
    provenance: Provenance,
    slices: Sequence[SourceSlice],
    seg: Dataset,
    study_uid: str,
) -> Iterator[Any]:
    from highdicom import sr

    algorithm = sr.AlgorithmIdentification(name=provenance.engine, version=provenance.version)
    frame_of_reference = frame_of_reference_uid(phase)

    def group(segment: int, tracking_uid: str, name: str, kind: codes.Coded, category: codes.Coded,
              measurements: list[Measurement]) -> Any:  # fmt: skip
        return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid, identifier=name),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=SEGMENTATION_CLASS,
                sop_instance_uid=segmentation_uid(provenance, study_uid),
                segment_number=segment,
                source_series=sr.SourceSeriesForSegmentation(slices[0].series_uid),
            ),
            finding_type=concept(kind),
            finding_category=concept(category),
            finding_sites=[sr.FindingSite(concept(codes.LIVER))],
            algorithm_id=algorithm,
            measurements=measurements,
        )

    labels = {p["id"]: p["label"] for p in document["phases"]}
    liver = [_measurement(code, unit, value, interval) for code, unit, value, interval in _liver_numbers(document)]
    liver += [_attenuation(entry, labels) for entry in _known(document["liver"]["mean_hu"])]
    yield group(LIVER_SEGMENT, liver_tracking_uid(study_uid), "Liver", codes.LIVER, codes.ANATOMICAL_STRUCTURE, liver)
    for number, (lesion, entry) in enumerate(zip(findings.lesions, document["lesions"], strict=True), start=1):
        measurements = [
            _measurement(code, unit, value, interval) for code, unit, value, interval in _lesion_numbers(entry)
        ]
        measurements += [_attenuation(item, labels) for item in _known(entry["enhancement"])]
        yield group(
            LIVER_SEGMENT + number, lesion.tracking_uid, f"Lesion {lesion.id}", codes.LESION,
            codes.MORPHOLOGICALLY_ABNORMAL, measurements,
        )  # fmt: skip
        axes = {
            codes.LONG_AXIS: lesion.long_axis,
            codes.SHORT_AXIS: lesion.short_axis,
            codes.MAX_3D_DIAMETER: lesion.max_3d_diameter,
        }
        lines = [
            _measurement(code, unit, value, interval, axes[code], frame_of_reference)
            for code, unit, value, interval in _lesion_numbers(entry)
            if code in axes and axes[code].start_lps_mm is not None
        ]
        if lines:
            yield sr.MeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(
                    uid=lesion.tracking_uid, identifier=f"Lesion {lesion.id} axes"
                ),
                finding_type=concept(codes.LESION),
                finding_sites=[sr.FindingSite(concept(codes.LIVER))],
                measurements=lines,
            )


Number = tuple[codes.Coded, codes.Coded, float, "Mapping[str, Any] | None"]


def _liver_numbers(document: Mapping[str, Any]) -> list[Number]:
    return _numbers(document["liver"], ((codes.VOLUME, codes.MILLILITRE, "volume_ml"),))


def _lesion_numbers(lesion: Mapping[str, Any]) -> list[Number]:
    return _numbers(
        lesion,
        (
            (codes.VOLUME, codes.MILLILITRE, "volume_ml"),
            (codes.LONG_AXIS, codes.MILLIMETRE, "long_axis_mm"),
            (codes.SHORT_AXIS, codes.MILLIMETRE, "short_axis_mm"),
            (codes.MAX_3D_DIAMETER, codes.MILLIMETRE, "max_3d_diameter_mm"),
            (codes.PROBABILITY, codes.NO_UNITS, "confidence"),
        ),
    )


def _numbers(holder: Mapping[str, Any], wanted: Sequence[tuple[codes.Coded, codes.Coded, str]]) -> list[Number]:
    return [
        (code, unit, float(holder[key]), holder.get(f"{key}_interval"))
        for code, unit, key in wanted
        if holder.get(key) is not None
    ]


def _known(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in entries if entry.get("mean_hu") is not None]


def _measurement(
    code: codes.Coded,
    unit: codes.Coded,
    value: float,
    interval: Mapping[str, Any] | None,
    diameter: Diameter | None = None,
    frame_of_reference: str = "",
) -> Measurement:
    """One number, its interval, and for a diameter the line it was measured along."""
    from highdicom import sr

    coordinates = None
    if diameter is not None and diameter.start_lps_mm is not None and diameter.end_lps_mm is not None:
        line = np.array([diameter.start_lps_mm, diameter.end_lps_mm])
        coordinates = [sr.CoordinatesForMeasurement3D(sr.GraphicTypeValues3D.POLYLINE, line, frame_of_reference)]
    properties = None
    if interval is not None and interval.get("low") is not None:
        properties = sr.MeasurementProperties(
            upper_measurement_uncertainty=round(float(interval["high"]) - value, 6),
            lower_measurement_uncertainty=round(value - float(interval["low"]), 6),
        )
    return sr.Measurement(
        name=concept(code),
        value=value,
        unit=concept(unit),
        method=concept(codes.VOXEL_SUM) if code is codes.VOLUME else None,
        properties=properties,
        referenced_coordinates=coordinates,
    )


def _attenuation(entry: Mapping[str, Any], labels: Mapping[str, str]) -> Measurement:
    """Mean attenuation in one phase; the phase stands as a modifier."""
    from highdicom import sr

    measurement = sr.Measurement(
        name=concept(codes.ATTENUATION),
        value=float(entry["mean_hu"]),
        unit=concept(codes.HOUNSFIELD),
        derivation=concept(codes.MEAN),
    )
    label = labels[entry["phase_id"]].replace("_", " ")
    measurement[0].ContentSequence.append(
        sr.TextContentItem(
            name=concept(codes.CONTRAST_PHASE),
            value=f"{entry['phase_id']} {label}",
            relationship_type=sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    return measurement


def _evidence(slices: Sequence[SourceSlice], seg: Dataset, study_uid: str) -> list[Dataset]:
    """What the report rests on: the Segmentation and every source object, as the archive knows them."""
    from copy import copy

    evidence = [seg]
    seen: set[str] = set()
    for s in slices:
        if s.sop_instance_uid not in seen:
            seen.add(s.sop_instance_uid)
            header = copy(s.header)
            header.SOPClassUID = s.sop_class_uid
            header.SeriesInstanceUID = s.series_uid
            evidence.append(header)
    return evidence


def _check(path: Path, document: Mapping[str, Any], findings: Findings, study_uid: str) -> None:
    """Read the report back: every group, tracking UID and number must be there, and no other."""
    from highdicom import sr

    read = sr.srread(path)
    tracking = {"Liver": liver_tracking_uid(study_uid)}
    tracking |= {f"Lesion {lesion.id}": lesion.tracking_uid for lesion in findings.lesions}
    meant = expected_values(document)
    groups = read.content.get_volumetric_roi_measurement_groups()
    found = {group.tracking_identifier: group for group in groups}
    if set(found) != set(meant) or len(groups) != len(meant):
        raise Fault(f"the measurement report holds the groups {sorted(found)}, meant were {sorted(meant)}")
    for name, group in found.items():
        numbers = [(m.name.value, float(m.value)) for m in group.get_measurements()]
        same = len(numbers) == len(meant[name]) and all(
            code == meant_code and abs(value - meant_value) <= 1e-6 * max(1.0, abs(meant_value))
            for (code, value), (meant_code, meant_value) in zip(numbers, meant[name], strict=True)
        )
        if not same or group.tracking_uid != tracking[name]:
            raise Fault(f"the measurement report read back differs from what was meant ({name})")
