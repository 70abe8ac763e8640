"""The plan that holds once the pixels are decoded, and the voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hepar.ingest import dicom, tags
from hepar.ingest.dicom import Candidate, Plan
from hepar.ingest.found import Found
from hepar.ingest.frame import FileHead, FrameKey
from hepar.ingest.pixels import UnreadablePixels, fill, not_hounsfield
from hepar.ingest.settings import IngestSettings
from hepar.record import Modality, Notice, PhaseLabel, Skipped


def decode_study(
    heads: list[FileHead],
    found: Found,
    settings: IngestSettings,
    modality: Modality | None,
    progress: Callable[[float], None],
) -> tuple[Plan, list[NDArray[np.int16]]]:
    """The plan that holds after decoding, and its voxels: frames that fail are taken out and planned anew."""
    bad: set[FrameKey] = set()
    ready: dict[tuple[FrameKey, ...], NDArray[np.int16]] = {}
    while True:
        plan = plan_study(heads, found, settings, modality, frozenset(bad))
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


def plan_study(
    heads: list[FileHead],
    found: Found,
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
    plan.candidates = in_order(plan.candidates)
    return plan


def in_order(candidates: Sequence[Candidate]) -> list[Candidate]:
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
