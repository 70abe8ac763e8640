"""The source slices as the written DICOM objects refer to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hepar.record import Phase, derived_uid

if TYPE_CHECKING:
    from pydicom import Dataset

TYPE_2 = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that the written objects must carry and that may be empty. Source: DICOM PS3.3 C.7.1.1, C.7.2.1."""
TEXT = ("PatientID", "PatientName", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription")
MULTIFRAME_ONLY = frozenset(
    {"PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "NumberOfFrames", "DimensionIndexSequence",
     "DimensionOrganizationSequence"}
)  # fmt: skip
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, eq=False)
class SourceSlice:
    """One source slice.

    header: as of a single-frame image, also where the slice is a frame of a multi-frame object; without pixels.
    sop_class_uid, sop_instance_uid, series_uid: as the archive knows them. frame_number: None for single-frame.
    """

    header: Dataset
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    frame_number: int | None


def source_slices(phase: Phase, study_uid: str) -> list[SourceSlice]:
    """The phase's slices in the order of its frames.

    What the files lack is filled in as the reader filled it in: UIDs from the record, empty values where allowed.
    """
    from pydicom import dcmread

    files: dict[Path, Dataset] = {}
    slices: list[SourceSlice] = []
    for frame in phase.frames:
        if frame.path not in files:
            files[frame.path] = dcmread(frame.path, stop_before_pixels=True, force=True)
        file = files[frame.path]
        multiframe = "PerFrameFunctionalGroupsSequence" in file
        series_uid = str(file.get("SeriesInstanceUID") or phase.series_uid)
        header = _as_single_frame(file, frame.frame_number) if multiframe else file
        _complete(header, phase, study_uid, frame.sop_instance_uid)
        number = frame.frame_number if multiframe else None
        slices.append(SourceSlice(header, frame.sop_class_uid, frame.sop_instance_uid, series_uid, number))
    return slices


def frame_of_reference_uid(phase: Phase) -> str:
    """The phase's frame of reference; one derived from the series where the files have none."""
    return phase.frame_of_reference_uid or derived_uid(phase.series_uid, "frame of reference")


def content_moment(slices: list[SourceSlice]) -> tuple[str, str]:
    """Date (YYYYMMDD) and time (HHMMSS) that a derived object carries: those of its source, never the clock's."""
    date = time = ""
    header = slices[0].header
    for keyword in ("ContentDate", "AcquisitionDate", "SeriesDate", "StudyDate"):
        date = date or "".join(c for c in str(header.get(keyword) or "") if c.isdigit())
    for keyword in ("ContentTime", "AcquisitionTime", "SeriesTime", "StudyTime"):
        time = time or "".join(c for c in str(header.get(keyword) or "").split(".")[0] if c.isdigit())
    return (date[:8] if len(date) >= 8 else "19000101"), (time[:6] if len(time) >= 6 else "000000")


def stamp(dataset: Dataset, moment: tuple[str, str]) -> None:
    """Replace every wall-clock date and time that the library wrote into a new object."""
    date, time = moment
    for keyword in ("ContentDate", "InstanceCreationDate", "SeriesDate"):
        if keyword in dataset:
            setattr(dataset, keyword, date)
    for keyword in ("ContentTime", "InstanceCreationTime", "SeriesTime"):
        if keyword in dataset:
            setattr(dataset, keyword, time)
    for item in dataset.get("ContributingEquipmentSequence", []):
        if "ContributionDateTime" in item:
            item.ContributionDateTime = date + time


def _complete(header: Dataset, phase: Phase, study_uid: str, sop_instance_uid: str) -> None:
    _in_utf8(header)
    for keyword in TYPE_2:
        if header.get(keyword) is None or not _readable(keyword, header.get(keyword)):
            setattr(header, keyword, "")
    header.StudyInstanceUID = study_uid
    # one series for the library, which allows no other; the true one stands in SourceSlice
    header.SeriesInstanceUID = phase.series_uid
    header.SOPInstanceUID = sop_instance_uid
    header.SOPClassUID = CT_IMAGE
    header.FrameOfReferenceUID = frame_of_reference_uid(phase)
    header.Modality = phase.volume.modality
    if header.get("PositionReferenceIndicator") is None:
        header.PositionReferenceIndicator = ""


def _in_utf8(header: Dataset) -> None:
    """Text as Unicode, whatever character set the file names, a wrong one included; written objects use UTF-8."""
    try:
        header.decode()
    except (LookupError, UnicodeError, ValueError, AttributeError, TypeError):
        for keyword in TEXT:
            if keyword in header:
                setattr(header, keyword, str(header.get(keyword)).encode("ascii", "replace").decode())
    header.SpecificCharacterSet = "ISO_IR 192"


def _readable(keyword: str, value: object) -> bool:
    """Whether a value may be written again: archives hold dates, times and sexes that the standard does not know."""
    from pydicom.valuerep import DA, TM

    text = str(value)
    if not text:
        return True
    if keyword == "PatientSex":
        return text in ("M", "F", "O")
    kinds = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
    if keyword not in kinds:
        return True
    try:
        kinds[keyword](text)
    except ValueError:
        return False
    return len(text) == 8 if kinds[keyword] is DA else True


def _as_single_frame(file: Dataset, number: int) -> Dataset:
    """A frame of a multi-frame object as a single-frame header. Source: DICOM PS3.3 C.7.6.16."""
    from pydicom import Dataset

    header = Dataset()
    for element in file:
        if element.keyword not in MULTIFRAME_ONLY:
            header.add(element)
    groups = [file.PerFrameFunctionalGroupsSequence[number - 1], *file.get("SharedFunctionalGroupsSequence", [])]
    for sequence, keywords in (
        ("PlanePositionSequence", ("ImagePositionPatient",)),
        ("PlaneOrientationSequence", ("ImageOrientationPatient",)),
        ("PixelMeasuresSequence", ("PixelSpacing", "SliceThickness")),
    ):
        for group in groups:
            if group.get(sequence):
                for keyword in keywords:
                    if keyword in group[sequence][0]:
                        setattr(header, keyword, group[sequence][0][keyword].value)
                break
    return header
