"""From a path to a Study: what is there, what is wanted, what can be read, in the order it happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.ingest import dicom, files, tags
from hepar.ingest.dicom import Candidate, Contents, Plan
from hepar.ingest.frame import FileHead, FrameKey
from hepar.ingest.header import lenient
from hepar.ingest.inspection import Inspection, SeriesSummary, StudySummary
from hepar.ingest.label import Evidence, guess_phases
from hepar.ingest.pixels import UnreadablePixels, fill, not_hounsfield
from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item, Listing, list_items
from hepar.ingest.user import user_guess
from hepar.record import (
    UNKNOWN_PHASE,
    Modality,
    Notice,
    Phase,
    PhaseGuess,
    PhaseLabel,
    Skipped,
    SourceFrame,
    Study,
    Volume,
)

_HEADERS_SHARE = 0.3
_MOST_LISTED = 10
_LEFT_OUT = {
    "nested_archive": "archives inside the input are not opened; unpack them first",
    "unsafe_path": "members of the zip whose path leads outside it were left out",
    "symbolic_link": "links inside the zip were left out",
    "encrypted": "encrypted members of the zip were left out; unpack the zip with its password first",
    "cannot_be_opened": "files that cannot be opened; check the permissions or copy them again",
    "not_a_file": "special files were left out",
}


@dataclass
class _Found:
    """Everything in the input, before a study is chosen."""

    contents: Contents
    images: list[Item]
    skipped: list[Skipped] = field(default_factory=list)
    user: dict[Path, PhaseLabel] = field(default_factory=dict)

    def user_label(self, item: Item) -> PhaseLabel | None:
        """The label of the innermost --phase path that holds the item."""
        inside = [p for p in self.user if item.place.absolute().is_relative_to(p)]
        return self.user[max(inside, key=lambda p: len(p.parts))] if inside else None


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
    report = progress or (lambda _: None)
    wanted = _modality(modality)
    found = _find(path, settings, phase_paths or {}, workspace, lambda part: report(part * _HEADERS_SHARE))
    later = _share(report)
    if found.contents.heads and (_imaging(found.contents.heads) or not found.images):
        study = _read_dicom(found, settings=settings, study_uid=study_uid, modality=wanted, progress=later)
    elif found.images:
        if study_uid is not None:
            raise WrongCall("--study chooses among DICOM studies; NIfTI, NRRD and MHA files have none: leave it out")
        study = files.read_files(
            found.images, settings=settings, modality=wanted, user_label=found.user_label, skipped=found.skipped,
            progress=later,
        )  # fmt: skip
    else:
        raise _nothing(found)
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
    found = _find(path, settings, phase_paths or {}, workspace, report)
    if found.contents.heads and (_imaging(found.contents.heads) or not found.images):
        return _inspect_dicom(found, settings=settings, study_uid=study_uid, modality=wanted, voxels=voxels)
    if found.images:
        return files.inspect_files(
            found.images, settings=settings, modality=wanted, user_label=found.user_label, skipped=found.skipped
        )
    raise _nothing(found)


def _modality(modality: str | None) -> Modality | None:
    if modality is None:
        return None
    if modality.upper() == "CT":
        return "CT"
    if modality.upper() == "MR":
        return "MR"
    raise WrongCall("this modality is not known; hepar reads CT and MR: give --modality CT or --modality MR")


def _share(report: Callable[[float], None]) -> Callable[[float], None]:
    return lambda part: report(_HEADERS_SHARE + (1.0 - _HEADERS_SHARE) * part)


def _find(
    path: Path,
    settings: IngestSettings,
    phase_paths: Mapping[PhaseLabel, Path],
    workspace: Path,
    tick: Callable[[float], None],
) -> _Found:
    user = {_inside(p, path).absolute(): label for label, p in phase_paths.items()}
    if len(user) < len(phase_paths):
        raise WrongCall("two phases were given the same path; give each phase its own")
    beside = [p for p in phase_paths.values() if p.exists() and not p.absolute().is_relative_to(path.absolute())]
    listing = list_items([path, *sorted(beside)], settings=settings, workspace=workspace)
    contents = dicom.read_heads(listing.items, tick)
    images, unread = files.recognise(contents.others)
    return _Found(contents, images, _left_out(listing, unread), user)


def _inside(path: Path, study: Path) -> Path:
    """Where a --phase path lies; one that points into a zip exists only as the place of its members."""
    if path.exists() or path.absolute().is_relative_to(study.absolute()):
        return path
    raise WrongCall(f"--phase: {path} does not exist; give a folder or file of the study")


def _left_out(listing: Listing, unread: int) -> list[Skipped]:
    skipped = [Skipped("", "unknown", n, Notice(code, _LEFT_OUT[code])) for code, n in listing.left_out.items()]
    if unread:
        reason = Notice("not_an_image_file", "files that are no images hepar reads, or too damaged to tell")
        skipped.append(Skipped("", "unknown", unread, reason))
    return dicom.sum_up(skipped)


def _imaging(heads: Sequence[FileHead]) -> list[FileHead]:
    return [h for h in heads if h.modality in ("CT", "MR")]


def _nothing(found: _Found) -> Refused:
    others = sum(s.images for s in found.skipped)
    if not others:
        return Refused("no files in there; give the folder or zip that holds the images")
    return Refused(
        f"no image among {others} files; hepar reads CT and MR as DICOM, NIfTI, NRRD or MHA: give the folder or zip"
        " that holds the images" + _because(found.skipped)
    )


def _because(skipped: Sequence[Skipped]) -> str:
    named = [s for s in skipped if s.reason.code in ("nested_archive", "encrypted", "cannot_be_opened")]
    return "".join(f" ({s.images}: {s.reason.text})" for s in named)


# --- one study among several ---------------------------------------------------------------------------------------


def _patient_key(head: FileHead) -> str:
    ds = head.dataset
    known = tags.text(ds, "PatientID")
    if known:
        return f"id {known}"
    name = tags.text(ds, "PatientName")
    return f"name {name} {tags.text(ds, 'PatientBirthDate')}" if name else ""


def _patients(heads: Sequence[FileHead]) -> int:
    """How many; files that name nobody belong to anybody."""
    keys = {_patient_key(h) for h in heads} - {""}
    if any(k.startswith("id ") for k in keys):
        keys = {k for k in keys if k.startswith("id ")}
    return max(1, len(keys))


def _date(heads: Sequence[FileHead]) -> str:
    days = sorted({d for h in heads if (d := tags.day_number(tags.text(h.dataset, "StudyDate")))})
    if not days:
        return ""
    from datetime import date

    return date.fromordinal(days[0]).isoformat()


def _studies(heads: Sequence[FileHead]) -> list[StudySummary]:
    imaging = _imaging(heads)
    found = []
    for uid in sorted({h.study_uid for h in imaging}):
        mine = [h for h in imaging if h.study_uid == uid]
        modalities = tuple(sorted({h.modality for h in mine}))
        series = len({h.series_uid for h in mine})
        found.append(StudySummary(uid, _date(mine), modalities, series, sum(h.frames for h in mine)))
    return found


def _listed(studies: Sequence[StudySummary]) -> str:
    told = [f"{s.uid} ({s.date or 'no date'}, {s.images} images)" for s in studies[:_MOST_LISTED]]
    more = len(studies) - len(told)
    return "; ".join(told) + (f"; and {more} more, which hepar inspect lists" if more > 0 else "")


def _one_study(heads: list[FileHead], study_uid: str | None) -> tuple[list[FileHead], list[Skipped]]:
    """The objects of the wanted study, and what was left aside; refused when that is not clear."""
    with lenient():
        studies = _studies(heads)
        if study_uid is not None and study_uid not in {s.uid for s in studies}:
            raise WrongCall(f"there is no study {study_uid}; there are: {_listed(studies) or 'none with CT or MR'}")
        if study_uid is None:
            patients = _patients(heads)
            if patients > 1:
                raise Refused(
                    f"images of {patients} patients; one examination of one patient is read at a time:"
                    f" choose with --study among {_listed(studies)}"
                )
            if len(studies) > 1:
                raise Refused(f"{len(studies)} studies; choose one with --study: {_listed(studies)}")
            study_uid = studies[0].uid if studies else None
        mine = [h for h in heads if study_uid is None or h.study_uid == study_uid]
        if _patients(mine) > 1:
            raise Refused(
                f"images of {_patients(mine)} patients under one study identifier; this cannot be one examination:"
                " ask the archive to send it again"
            )
    reason = Notice("other_study", "belongs to another study")
    rest = [
        Skipped(h.series_uid, dicom.clean_modality(h.modality), h.frames, reason)
        for h in heads
        if study_uid is not None and h.study_uid != study_uid
    ]
    return mine, rest


# --- DICOM ---------------------------------------------------------------------------------------------------------


def _read_dicom(
    found: _Found,
    *,
    settings: IngestSettings,
    study_uid: str | None,
    modality: Modality | None,
    progress: Callable[[float], None],
) -> Study:
    warnings = list(found.contents.warnings)
    heads = dicom.fill_in_uids(found.contents.heads, warnings)
    mine, rest = _one_study(heads, study_uid)
    plan, arrays = _decoded(mine, found, settings, modality, progress)
    skipped = dicom.sum_up([*found.skipped, *_unused_files(found), *rest, *plan.skipped])
    if not plan.candidates:
        raise _no_volume(skipped)
    with lenient():
        guesses = _guesses(plan.candidates, settings)
        phases = tuple(
            _phase(n + 1, candidate, array, guess)
            for n, (candidate, array, guess) in enumerate(zip(plan.candidates, arrays, guesses, strict=True))
        )
        uid = mine[0].study_uid
        return Study(
            uid=uid,
            date=_date(mine),
            modality=phases[0].volume.modality,
            phases=phases,
            input_sha256=input_sha256(uid, phases),
            dicom=True,
            skipped=tuple(skipped),
            warnings=tuple(warnings),
            identity=_identity(plan.candidates[0].first.head),
        )


def _unused_files(found: _Found) -> list[Skipped]:
    if not found.images:
        return []
    reason = Notice("beside_dicom", "NIfTI, NRRD or MHA files beside DICOM images; only the DICOM is read")
    return [Skipped("", "unknown", len(found.images), reason)]


def _no_volume(skipped: Sequence[Skipped]) -> Refused:
    reasons = sorted(skipped, key=lambda s: (-s.images, s.reason.code))[:3]
    told = "; ".join(f"{s.images} image{'s' if s.images != 1 else ''}: {s.reason.text}" for s in reasons)
    return Refused(f"no series can be analysed ({told})")


def _decoded(
    heads: list[FileHead],
    found: _Found,
    settings: IngestSettings,
    modality: Modality | None,
    progress: Callable[[float], None],
) -> tuple[Plan, list[NDArray[np.int16]]]:
    """The plan that holds after decoding, and its voxels: frames that fail are taken out and planned anew."""
    bad: set[FrameKey] = set()
    ready: dict[tuple[FrameKey, ...], NDArray[np.int16]] = {}
    while True:
        plan = _plan(heads, found, settings, modality, frozenset(bad))
        total = sum(len(c.stack.frames) for c in plan.candidates) or 1
        done = 0
        failed = False
        for candidate in plan.candidates:
            key = tuple(f.key for f in candidate.stack.frames)
            try:
                if key not in ready:
                    ready[key] = _voxels(candidate, partial(_tell, progress, done, total))
            except UnreadablePixels as error:
                bad.add(error.frame.key)
                failed = True
            done += len(key)
        if not failed:
            break
    kept: list[Candidate] = []
    arrays: list[NDArray[np.int16]] = []
    skipped = list(plan.skipped)
    for candidate in plan.candidates:
        array = ready[tuple(f.key for f in candidate.stack.frames)]
        reason = not_hounsfield(array) if candidate.modality == "CT" else None
        if any(
            np.array_equal(array, a) and candidate.stack.geometry.is_close(k.stack.geometry)
            for k, a in zip(kept, arrays, strict=True)
        ):
            reason = Notice("duplicate_series", "the same voxels as another series")
        if reason:
            skipped.append(Skipped(candidate.series_uid, candidate.modality, len(candidate.stack.frames), reason))
        else:
            kept.append(candidate)
            arrays.append(array)
    return Plan(kept, skipped), arrays


def _tell(progress: Callable[[float], None], before: int, total: int, done: int) -> None:
    progress(min(1.0, (before + done) / total))


def _voxels(candidate: Candidate, tick: Callable[[int], None]) -> NDArray[np.int16]:
    stack = candidate.stack
    array = np.empty(stack.geometry.shape, dtype=np.int16)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        tick(done)

    fill(stack, stack.layout.to_source(array), modality=candidate.modality, tick=one_more)
    return array


def _plan(
    heads: list[FileHead],
    found: _Found,
    settings: IngestSettings,
    modality: Modality | None,
    bad: frozenset[FrameKey],
) -> Plan:
    def label(head: FileHead) -> PhaseLabel | None:
        return found.user_label(head.item)

    plan = dicom.make_plan(heads, settings=settings, modality=modality, user_label=label, bad=bad)
    if plan.repeated:
        twins, broken = dicom.tell_repeats_apart(plan.repeated, settings)
        if twins or broken:
            plan = dicom.make_plan(
                heads, settings=settings, modality=modality, user_label=label, bad=bad | broken, twins=twins
            )
    plan.candidates = _in_order(plan.candidates)
    return plan


def _in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """By start of acquisition; then by number and time of the series, last by identifiers."""

    def key(c: Candidate) -> tuple[object, ...]:
        ds = c.first.head.dataset
        known = c.acquired is not None
        return (
            not known,
            c.acquired if known else tags.moment(ds, "Series") or 0.0,
            c.first.temporal_index or 0,
            tags.whole(ds, "SeriesNumber") or 0,
            c.first.acquisition_number or 0,
            min(f.instance or 0 for f in c.stack.frames),
            c.series_uid,
            c.first.key,
        )

    return sorted(candidates, key=key)


def _guesses(candidates: Sequence[Candidate], settings: IngestSettings) -> list[PhaseGuess]:
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


def _phase(number: int, candidate: Candidate, array: NDArray[np.int16], guess: PhaseGuess) -> Phase:
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


def _identity(head: FileHead) -> dict[str, str]:
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


def _check_labels(found: _Found, study: Study) -> None:
    """Every --phase path has to have labelled something."""
    given = set(found.user.values())
    used = {p.guess.label for p in study.phases if p.guess.source == "user"}
    missing = sorted(given - used)
    if missing:
        raise WrongCall(
            f"--phase {missing[0]}: no series that can be analysed lies there; hepar inspect shows what is in the study"
        )


# --- inspection ----------------------------------------------------------------------------------------------------


def _inspect_dicom(
    found: _Found, *, settings: IngestSettings, study_uid: str | None, modality: Modality | None, voxels: bool
) -> Inspection:
    warnings = list(found.contents.warnings)
    heads = dicom.fill_in_uids(found.contents.heads, warnings)
    with lenient():
        studies = _studies(heads)
        descriptions = {h.series_uid: tags.text(h.dataset, "SeriesDescription") for h in heads}
        patients = _patients(heads)
    try:
        _one_study(heads, study_uid)
        refusal = ""
    except Refused as error:
        refusal = str(error)
    rows: list[SeriesSummary] = []
    for uid in sorted({h.study_uid for h in heads}):
        if study_uid is not None and uid != study_uid:
            continue
        mine = [h for h in heads if h.study_uid == uid]
        if voxels:
            plan, _ = _decoded(mine, found, settings, modality, lambda _: None)
        else:
            plan = _plan(mine, found, settings, modality, frozenset())
        with lenient():
            guesses = _guesses(plan.candidates, settings)
            rows += [
                _row(uid, c, g, descriptions.get(c.series_uid, ""))
                for c, g in zip(plan.candidates, guesses, strict=True)
            ]
        rows += [_skipped_row(uid, s, descriptions.get(s.series_uid, "")) for s in plan.skipped]
    rows += [_skipped_row("", s, "") for s in dicom.sum_up([*found.skipped, *_unused_files(found)])]
    if not refusal and not any(row.analysed for row in rows):
        refusal = str(_no_volume([_as_skipped(row) for row in rows]))
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
