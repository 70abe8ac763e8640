"""Planned volumes with their voxels to the phases of a Study."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hepar.ingest import tags
from hepar.ingest.dicom import Candidate
from hepar.ingest.frame import FileHead
from hepar.ingest.label import Evidence, guess_phases
from hepar.ingest.settings import IngestSettings
from hepar.ingest.user import user_guess
from hepar.record import Modality, Phase, PhaseGuess, SourceFrame, Volume


def guess_labels(candidates: Sequence[Candidate], settings: IngestSettings) -> list[PhaseGuess]:
    guesses = guess_phases([_evidence(c) for c in candidates], min_probability=settings.min_label_probability)
    return [user_guess(c.user_label) if c.user_label else g for c, g in zip(candidates, guesses, strict=True)]


def _evidence(candidate: Candidate) -> Evidence:
    ds = candidate.first.head.dataset
    agent = tags.text(ds, "ContrastBolusAgent").upper()
    none = agent in ("NONE", "NO", "OHNE", "N", "0") or "NO CONTRAST" in agent
    oral = agent != "" and tags.text(ds, "ContrastBolusRoute").upper() == "ORAL"
    start = tags.moment(ds, "ContrastBolusStart")
    if start is not None and start < 86400.0 and candidate.acquired is not None:
        start += candidate.acquired // 86400.0 * 86400.0
    return Evidence(
        description=tags.text(ds, "SeriesDescription"),
        protocol=tags.text(ds, "ProtocolName"),
        contrast=None if not agent or oral else not none,
        acquired_s=candidate.acquired,
        contrast_start_s=start,
        contrast_phase=candidate.first.contrast_phase,
    )


def make_phase(number: int, candidate: Candidate, array: NDArray[np.int16], guess: PhaseGuess) -> Phase:
    stack = candidate.stack
    modality: Modality = "CT" if candidate.modality == "CT" else "MR"
    frames = tuple(SourceFrame(f.head.item.path(), f.head.sop_uid, f.head.sop_class, f.number) for f in stack.frames)
    return Phase(
        id=f"p{number}",
        volume=Volume(array, stack.geometry, modality),
        guess=guess,
        series_uid=candidate.series_uid,
        frames=frames,
        layout=stack.layout,
        frame_of_reference_uid=tags.uid(candidate.first.head.dataset, "FrameOfReferenceUID"),
        acquired_s=seconds_of_study(candidate),
        slice_thickness_mm=candidate.first.thickness_mm,
        tilt_deg=candidate.tilt_deg,
        quality=candidate.notices,
    )


def seconds_of_study(candidate: Candidate) -> float | None:
    """Start of acquisition in seconds of the study's day; past midnight it runs on beyond 86 400."""
    if candidate.acquired is None:
        return None
    day = tags.day_number(tags.text(candidate.first.head.dataset, "StudyDate"))
    seconds = candidate.acquired % 86400.0
    if day is not None and candidate.acquired >= 86400.0 and 0 < candidate.acquired // 86400.0 - day < 2:
        seconds += 86400.0
    return round(seconds, 3)


def identity_of(head: FileHead) -> dict[str, str]:
    keywords = {"name": "PatientName", "id": "PatientID", "birth_date": "PatientBirthDate", "sex": "PatientSex"}
    return {key: tags.text(head.dataset, keyword) for key, keyword in keywords.items()}


def input_sha256(study_uid: str, phases: Sequence[Phase]) -> str:
    """Over identifiers, grids and voxels of what is analysed."""
    digest = hashlib.sha256(study_uid.encode())
    for phase in phases:
        digest.update(
            "\n".join([phase.series_uid, *(f"{f.sop_instance_uid} {f.frame_number}" for f in phase.frames)]).encode()
        )
        grid = phase.volume.geometry
        digest.update(repr((grid.shape, (np.round(grid.affine, 4) + 0.0).tolist())).encode())
        digest.update(np.ascontiguousarray(phase.volume.array).data)
    return digest.hexdigest()
