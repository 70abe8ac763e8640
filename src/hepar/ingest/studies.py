"""Whose images they are, and which examination is meant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from hepar.errors import Refused, WrongCall
from hepar.ingest import dicom, tags
from hepar.ingest.frame import FileHead
from hepar.ingest.header import lenient
from hepar.ingest.inspection import StudySummary
from hepar.record import Notice, Skipped

_MOST_LISTED = 10


def imaging(heads: Sequence[FileHead]) -> list[FileHead]:
    return [h for h in heads if h.modality in ("CT", "MR")]


def _patient_key(head: FileHead) -> str:
    ds = head.dataset
    known = tags.text(ds, "PatientID")
    if known:
        return f"id {known}"
    name = tags.text(ds, "PatientName")
    return f"name {name} {tags.text(ds, 'PatientBirthDate')}" if name else ""


def count_patients(heads: Sequence[FileHead]) -> int:
    """How many; files that name nobody belong to anybody."""
    keys = {_patient_key(h) for h in heads} - {""}
    if any(k.startswith("id ") for k in keys):
        keys = {k for k in keys if k.startswith("id ")}
    return max(1, len(keys))


def study_date(heads: Sequence[FileHead]) -> str:
    days = sorted({d for h in heads if (d := tags.day_number(tags.text(h.dataset, "StudyDate")))})
    if not days:
        return ""
    return date.fromordinal(days[0]).isoformat()


def list_studies(heads: Sequence[FileHead]) -> list[StudySummary]:
    scans = imaging(heads)
    found = []
    for uid in sorted({h.study_uid for h in scans}):
        mine = [h for h in scans if h.study_uid == uid]
        modalities = tuple(sorted({h.modality for h in mine}))
        series = len({h.series_uid for h in mine})
        found.append(StudySummary(uid, study_date(mine), modalities, series, sum(h.frames for h in mine)))
    return found


def _listed(studies: Sequence[StudySummary]) -> str:
    told = [f"{s.uid} ({s.date or 'no date'}, {s.images} images)" for s in studies[:_MOST_LISTED]]
    more = len(studies) - len(told)
    return "; ".join(told) + (f"; and {more} more, which hepar inspect lists" if more > 0 else "")


def one_study(heads: list[FileHead], study_uid: str | None) -> tuple[list[FileHead], list[Skipped]]:
    """The objects of the wanted study, and what was left aside; refused when that is not clear."""
    with lenient():
        studies = list_studies(heads)
        if study_uid is not None and study_uid not in {s.uid for s in studies}:
            raise WrongCall(f"there is no study {study_uid}; there are: {_listed(studies) or 'none with CT or MR'}")
        if study_uid is None:
            patients = count_patients(heads)
            if patients > 1:
                raise Refused(
                    f"images of {patients} patients; one examination of one patient is read at a time:"
                    f" choose with --study among {_listed(studies)}"
                )
            if len(studies) > 1:
                raise Refused(f"{len(studies)} studies; choose one with --study: {_listed(studies)}")
            study_uid = studies[0].uid if studies else None
        mine = [h for h in heads if study_uid is None or h.study_uid == study_uid]
        if count_patients(mine) > 1:
            raise Refused(
                f"images of {count_patients(mine)} patients under one study identifier; this cannot be one examination:"
                " ask the archive to send it again"
            )
    reason = Notice("other_study", "belongs to another study")
    rest = [
        Skipped(h.series_uid, dicom.clean_modality(h.modality), h.frames, reason)
        for h in heads
        if study_uid is not None and h.study_uid != study_uid
    ]
    return mine, rest
