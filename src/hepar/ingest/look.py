"""DICOM contents as rows for a reader."""

from __future__ import annotations

from hepar.errors import Refused
from hepar.ingest import dicom, tags
from hepar.ingest.decoding import decode_study, plan_study
from hepar.ingest.dicom import Candidate
from hepar.ingest.found import Found, no_volume, unused_files
from hepar.ingest.header import lenient
from hepar.ingest.inspection import Inspection, SeriesSummary
from hepar.ingest.phases import guess_labels, seconds_of_study
from hepar.ingest.settings import IngestSettings
from hepar.ingest.studies import count_patients, list_studies, one_study
from hepar.record import UNKNOWN_PHASE, Modality, Notice, PhaseGuess, Skipped


def inspect_dicom(
    found: Found, *, settings: IngestSettings, study_uid: str | None, modality: Modality | None, voxels: bool
) -> Inspection:
    warnings = list(found.contents.warnings)
    heads = dicom.fill_in_uids(found.contents.heads, warnings)
    with lenient():
        studies = list_studies(heads)
        descriptions = {h.series_uid: tags.text(h.dataset, "SeriesDescription") for h in heads}
        patients = count_patients(heads)
    try:
        one_study(heads, study_uid)
        refusal = ""
    except Refused as error:
        refusal = str(error)
    rows: list[SeriesSummary] = []
    for uid in sorted({h.study_uid for h in heads}):
        if study_uid is not None and uid != study_uid:
            continue
        mine = [h for h in heads if h.study_uid == uid]
        if voxels:
            plan, _ = decode_study(mine, found, settings, modality, lambda _: None)
        else:
            plan = plan_study(mine, found, settings, modality, frozenset())
        with lenient():
            guesses = guess_labels(plan.candidates, settings)
            rows += [
                _row(uid, c, g, descriptions.get(c.series_uid, ""))
                for c, g in zip(plan.candidates, guesses, strict=True)
            ]
        rows += [_skipped_row(uid, s, descriptions.get(s.series_uid, "")) for s in plan.skipped]
    rows += [_skipped_row("", s, "") for s in dicom.sum_up([*found.skipped, *unused_files(found)])]
    if not refusal and not any(row.analysed for row in rows):
        refusal = str(no_volume([_as_skipped(row) for row in rows]))
    return Inspection(patients, tuple(studies), tuple(rows), tuple(warnings), refusal)


def _row(study_uid: str, c: Candidate, guess: PhaseGuess, description: str) -> SeriesSummary:
    return SeriesSummary(
        study_uid=study_uid,
        series_uid=c.series_uid,
        modality=c.modality,
        images=len(c.stack.frames),
        description=description,
        guess=guess,
        acquired_s=seconds_of_study(c),
        geometry=c.stack.geometry,
        tilt_deg=c.tilt_deg,
        slice_thickness_mm=c.first.thickness_mm,
        notices=c.notices,
        refusal=None,
    )


def _skipped_row(study_uid: str, s: Skipped, description: str) -> SeriesSummary:
    return SeriesSummary(
        study_uid, s.series_uid, s.modality, s.images, description, UNKNOWN_PHASE, None, None, 0.0, None, (), s.reason
    )


def _as_skipped(row: SeriesSummary) -> Skipped:
    return Skipped(row.series_uid, row.modality, row.images, row.refusal or Notice("analysed", ""))
