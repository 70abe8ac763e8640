"""From a path to a Study: what is there, what is wanted, what can be read, in the order it happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hepar.errors import WrongCall
from hepar.ingest import dicom, files
from hepar.ingest.decoding import decode_study
from hepar.ingest.found import Found, find, no_volume, nothing_found, unused_files
from hepar.ingest.header import lenient
from hepar.ingest.inspection import Inspection
from hepar.ingest.look import inspect_dicom
from hepar.ingest.phases import guess_labels, identity_of, input_sha256, make_phase
from hepar.ingest.settings import IngestSettings
from hepar.ingest.studies import imaging, one_study, study_date
from hepar.record import Modality, PhaseLabel, Study

_HEADERS_SHARE = 0.3


def read_study(
    path: Path,
    *,
    settings: IngestSettings,
    study_uid: str | None = None,
    modality: str | None = None,
    phase_paths: Mapping[PhaseLabel, Path] | None = None,
    workspace: Path,
    progress: Callable[[float], None] | None = None,
) -> Study:
    """One examination with its voxels.

    path: a folder, a zip or a file: DICOM in any nesting under any names, or NIfTI, NRRD, MHA.
    study_uid: which study, when there are several. modality: "CT" or "MR"; needed for NIfTI, NRRD and MHA.
    phase_paths: folders or files, in `path` or beside it, whose images get that label.
    workspace: members of a zip are unpacked here; it must outlive the Study, whose frames point into it.
    progress: called with the fraction done, rising from 0 to 1.
    Raises Refused when nothing can be analysed or it is not clear what, WrongCall for arguments that fit nothing.
    The result depends on the content only, not on names or order of files.
    """
    report = _rising(progress)
    wanted = _modality(modality)
    found = find(path, settings, phase_paths or {}, workspace, lambda part: report(part * _HEADERS_SHARE))
    later = _share(report)
    if found.contents.heads and (imaging(found.contents.heads) or not found.images):
        study = _read_dicom(found, settings=settings, study_uid=study_uid, modality=wanted, progress=later)
    elif found.images:
        if study_uid is not None:
            raise WrongCall("--study chooses among DICOM studies; NIfTI, NRRD and MHA files have none: leave it out")
        study = files.read_files(
            found.images, settings=settings, modality=wanted, user_label=found.user_label, skipped=found.skipped,
            progress=later,
        )  # fmt: skip
    else:
        raise nothing_found(found)
    _check_labels(found, study)
    report(1.0)
    return study


def inspect(
    path: Path,
    *,
    settings: IngestSettings,
    study_uid: str | None = None,
    modality: str | None = None,
    phase_paths: Mapping[PhaseLabel, Path] | None = None,
    workspace: Path,
    progress: Callable[[float], None] | None = None,
    voxels: bool = False,
) -> Inspection:
    """What is in the input and what `read_study` would do with it, from headers alone.

    voxels: decode every volume as well, so that damaged pixels show; as slow as reading.
    Raises Refused only when nothing at all can be read; WrongCall for paths that do not exist.
    """
    report = progress or (lambda _: None)
    wanted = _modality(modality)
    found = find(path, settings, phase_paths or {}, workspace, report)
    if found.contents.heads and (imaging(found.contents.heads) or not found.images):
        return inspect_dicom(found, settings=settings, study_uid=study_uid, modality=wanted, voxels=voxels)
    if found.images:
        return files.inspect_files(
            found.images, settings=settings, modality=wanted, user_label=found.user_label, skipped=found.skipped
        )
    raise nothing_found(found)


def _modality(modality: str | None) -> Modality | None:
    if modality is None:
        return None
    if modality.upper() == "CT":
        return "CT"
    if modality.upper() == "MR":
        return "MR"
    raise WrongCall("this modality is not known; hepar reads CT and MR: give --modality CT or --modality MR")


def _rising(progress: Callable[[float], None] | None) -> Callable[[float], None]:
    """Passes on only what is more than before: a damaged slice makes decoding start over."""
    highest = -1.0

    def report(part: float) -> None:
        nonlocal highest
        if progress is not None and part > highest:
            highest = part
            progress(part)

    return report


def _share(report: Callable[[float], None]) -> Callable[[float], None]:
    return lambda part: report(_HEADERS_SHARE + (1.0 - _HEADERS_SHARE) * part)


def _read_dicom(
    found: Found,
    *,
    settings: IngestSettings,
    study_uid: str | None,
    modality: Modality | None,
    progress: Callable[[float], None],
) -> Study:
    warnings = list(found.contents.warnings)
    heads = dicom.fill_in_uids(found.contents.heads, warnings)
    mine, rest = one_study(heads, study_uid)
    plan, arrays = decode_study(mine, found, settings, modality, progress)
    skipped = dicom.sum_up([*found.skipped, *unused_files(found), *rest, *plan.skipped])
    if not plan.candidates:
        raise no_volume(skipped)
    with lenient():
        guesses = guess_labels(plan.candidates, settings)
        phases = tuple(
            make_phase(n + 1, candidate, array, guess)
            for n, (candidate, array, guess) in enumerate(zip(plan.candidates, arrays, guesses, strict=True))
        )
        uid = mine[0].study_uid
        return Study(
            uid=uid,
            date=study_date(mine),
            modality=phases[0].volume.modality,
            phases=phases,
            input_sha256=input_sha256(uid, phases),
            dicom=True,
            skipped=tuple(skipped),
            warnings=tuple(warnings),
            identity=identity_of(plan.candidates[0].first.head),
        )


def _check_labels(found: Found, study: Study) -> None:
    """Every --phase path has to have labelled something."""
    given = set(found.user.values())
    used = {p.guess.label for p in study.phases if p.guess.source == "user"}
    missing = sorted(given - used)
    if missing:
        raise WrongCall(
            f"--phase {missing[0]}: no series that can be analysed lies there; hepar inspect shows what is in the study"
        )
