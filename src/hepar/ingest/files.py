"""NIfTI, NRRD and MHA files to a Study: one phase per file, or per volume of a 4D file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.ingest.formats import Header, kind_of, read_header, read_volume
from hepar.ingest.inspection import Inspection, SeriesSummary, StudySummary
from hepar.ingest.label import Evidence, guess_phases
from hepar.ingest.pixels import not_hounsfield
from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item
from hepar.ingest.stack import canonical_layout, grid_notices, laid_out, tilt_deg
from hepar.ingest.user import user_guess
from hepar.record import (
    PADDING_HU,
    PHASE_LABELS,
    UNKNOWN_PHASE,
    Geometry,
    Modality,
    Notice,
    Phase,
    PhaseGuess,
    PhaseLabel,
    Skipped,
    SourceLayout,
    Study,
    Volume,
    derived_uid,
)

_INT16 = np.iinfo(np.int16)
_MOST_LABELS = 256


@dataclass(frozen=True, eq=False)
class _Loaded:
    item: Item
    header: Header
    array: NDArray[np.int16]
    geometry: Geometry
    layout: SourceLayout
    tilt_deg: float
    notices: tuple[Notice, ...]
    is_mask: bool
    sha256: str
    number: int


def recognise(items: Sequence[Item]) -> tuple[list[Item], int]:
    """Items that look like NIfTI, NRRD or MHA by their first bytes; and the number of all others."""
    images = [item for item in items if kind_of(item)]
    return images, len(items) - len(images)


def read_files(
    items: Sequence[Item],
    *,
    settings: IngestSettings,
    modality: Modality | None,
    user_label: Callable[[Item], PhaseLabel | None],
    skipped: Sequence[Skipped],
    progress: Callable[[float], None],
) -> Study:
    """A Study from image files. Label masks on the grid of an image are skipped. Raises Refused and WrongCall."""
    if modality is None:
        raise WrongCall("NIfTI, NRRD and MHA files do not say what they are; give --modality CT or --modality MR")
    left = list(skipped)
    loaded: list[_Loaded] = []
    for n, item in enumerate(items):
        result = _load(item, settings, modality)
        if isinstance(result, Notice):
            left.append(Skipped("", modality, 1, result))
        else:
            loaded += result
        progress((n + 1) / len(items))
    images = _images(loaded, modality, left)
    if len(images) > settings.max_phases_in_series:
        raise Refused(
            f"{len(images)} volumes, at most {settings.max_phases_in_series} phases make one study; give the files of"
            " one examination"
        )
    if not images:
        raise Refused(f"no file can be analysed ({left[-1].reason.text})" if left else "no file can be analysed")
    return _study(images, modality, user_label, settings, left)


def _load(item: Item, settings: IngestSettings, modality: Modality) -> list[_Loaded] | Notice:
    header = read_header(item, settings)
    if isinstance(header, Notice):
        return header
    layout = canonical_layout(header.affine)
    geometry = laid_out(header.shape, header.affine, layout)
    tilt = round(tilt_deg(header.affine), 3)
    tilt = tilt if tilt >= settings.min_tilt_deg else 0.0
    grid = grid_notices(tilt, geometry.slice_distance_mm, settings)
    found = []
    for number in range(header.volumes):
        values = read_volume(item, header, number)
        if isinstance(values, Notice):
            return values
        array, notices, is_mask = _to_int16(values, modality)
        array = np.ascontiguousarray(layout.from_source(array))
        digest = hashlib.sha256(repr((geometry.shape, (np.round(geometry.affine, 4) + 0.0).tolist())).encode())
        digest.update(array.data)
        every = (*grid, *header.notices, *notices)
        found.append(_Loaded(item, header, array, geometry, layout, tilt, every, is_mask, digest.hexdigest(), number))
    return found


def _to_int16(values: NDArray[np.generic], modality: Modality) -> tuple[NDArray[np.int16], tuple[Notice, ...], bool]:
    """Rounded and clipped; not-a-number becomes padding. Also whether it looks like a label mask."""
    result = np.empty(values.shape, dtype=np.int16)
    rounded = 0
    for k in range(values.shape[0]):
        plane = np.asarray(values[k], dtype=np.float64) if values.dtype.kind == "f" else values[k]
        if values.dtype.kind == "f":
            hole = ~np.isfinite(plane)
            whole = np.rint(np.where(hole, PADDING_HU if modality == "CT" else 0, plane))
            rounded += int((np.abs(whole - plane)[~hole] > 1e-3).sum())
        else:
            whole = plane
        low = PADDING_HU if modality == "CT" else _INT16.min
        result[k] = np.clip(whole, low, _INT16.max)
    notices: tuple[Notice, ...] = ()
    if rounded:
        notices = (Notice("rounded", "values with fractions were rounded to whole numbers"),)
    return result, notices, not rounded and _few_levels(result)


def _few_levels(array: NDArray[np.int16]) -> bool:
    if int(array.min()) < 0 or int(array.max()) >= _MOST_LABELS:
        return False
    counts = np.bincount(array.ravel(), minlength=_MOST_LABELS)
    # Labels come as background and solid bodies; a picture of 8 bits fills most levels.
    return int((counts > 0).sum()) <= 2 or int(counts.max()) > 0.5 * array.size


def _images(loaded: list[_Loaded], modality: Modality, skipped: list[Skipped]) -> list[_Loaded]:
    images = []
    seen: set[str] = set()
    for one in loaded:
        others = [o for o in loaded if o is not one and not o.is_mask and o.geometry.is_close(one.geometry)]
        if one.is_mask and (others or modality == "CT"):
            reason: Notice | None = Notice("label_mask", "whole numbers of a few values: a label mask, not a scan")
        elif one.sha256 in seen:
            reason = Notice("duplicate_series", "the same voxels as another file")
        else:
            reason = not_hounsfield(one.array) if modality == "CT" else None
        seen.add(one.sha256)
        if reason:
            skipped.append(Skipped("", modality, 1, reason))
        else:
            images.append(one)
    return images


def _study(
    images: list[_Loaded],
    modality: Modality,
    user_label: Callable[[Item], PhaseLabel | None],
    settings: IngestSettings,
    skipped: list[Skipped],
) -> Study:
    from hepar.ingest.dicom import sum_up

    guesses = _guesses([(one.item, one.number) for one in images], user_label, settings)
    pairs = sorted(
        zip(images, guesses, strict=True),
        key=lambda p: (PHASE_LABELS.index(p[1].label), p[0].number, p[0].sha256),
    )
    uid = derived_uid("study", *sorted(one.sha256 for one in images))
    phases = tuple(
        Phase(
            id=f"p{n + 1}",
            volume=Volume(one.array, one.geometry, modality),
            guess=guess,
            series_uid=derived_uid("series", uid, one.sha256),
            layout=one.layout,
            tilt_deg=one.tilt_deg,
            quality=one.notices,
        )
        for n, (one, guess) in enumerate(pairs)
    )
    digest = hashlib.sha256("\n".join([uid, *(one.sha256 for one, _ in pairs)]).encode()).hexdigest()
    return Study(
        uid=uid,
        date="",
        modality=modality,
        phases=phases,
        input_sha256=digest,
        dicom=False,
        skipped=tuple(sum_up(skipped)),
    )


def _guesses(
    items: Sequence[tuple[Item, int]], user_label: Callable[[Item], PhaseLabel | None], settings: IngestSettings
) -> list[PhaseGuess]:
    """From the words of the file's name, which go no further; volumes of one 4D file share theirs and cannot tell."""
    count = {id(item): sum(other is item for other, _ in items) for item, _ in items}
    evidence = [Evidence(name=item.place.name if count[id(item)] == 1 else "") for item, _ in items]
    found = guess_phases(evidence, min_probability=settings.min_label_probability)
    return [
        user_guess(label) if (label := user_label(item)) else guess
        for (item, _), guess in zip(items, found, strict=True)
    ]


def inspect_files(
    items: Sequence[Item],
    *,
    settings: IngestSettings,
    modality: Modality | None,
    user_label: Callable[[Item], PhaseLabel | None],
    skipped: Sequence[Skipped],
) -> Inspection:
    """What the headers of image files say. Masks of 8 bits are told apart; the rest shows when voxels are read."""
    kind = modality or "unknown"
    guesses = _guesses([(item, 0) for item in items], user_label, settings)
    rows = []
    for item, guess in zip(items, guesses, strict=True):
        header = read_header(item, settings)
        refusal = header if isinstance(header, Notice) else None
        geometry = None
        notices: tuple[Notice, ...] = ()
        count = 1
        if not isinstance(header, Notice):
            layout = canonical_layout(header.affine)
            geometry = laid_out(header.shape, header.affine, layout)
            notices, count = header.notices, header.volumes
            if header.one_byte and modality != "MR":
                refusal = Notice("label_mask", "numbers from 0 to 255 only: a label mask or a picture, not a CT scan")
        rows.append(
            SeriesSummary("", "", kind, count, item.place.name, guess if refusal is None else UNKNOWN_PHASE, None,
                          geometry, 0.0, None, notices, refusal)
        )  # fmt: skip
    rows.sort(key=lambda row: (row.refusal is not None, row.description))
    rows += [
        SeriesSummary("", "", s.modality, s.images, "", UNKNOWN_PHASE, None, None, 0.0, None, (), s.reason)
        for s in skipped
    ]
    usable = [row for row in rows if row.analysed]
    refusal_text = ""
    if not usable:
        refusal_text = "no file can be analysed"
    elif modality is None:
        refusal_text = "NIfTI, NRRD and MHA files do not say what they are; give --modality CT or --modality MR"
    study = StudySummary("", "", () if modality is None else (modality,), len(usable), sum(r.images for r in usable))
    return Inspection(1, (study,) if usable else (), tuple(rows), (), refusal_text)
