"""Volumes whose slices came in several series."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from hepar.ingest import tags
from hepar.ingest.frame import Frame
from hepar.ingest.label import words_label
from hepar.ingest.settings import IngestSettings
from hepar.ingest.split import Piece
from hepar.ingest.stack import Stack, build_stack, projections_mm
from hepar.record import Notice

Found = tuple[str, Piece, tuple[Notice, ...]]
_MERGEABLE = ("single_slice", "slice_missing", "slices_uneven", "orientation_contradicts")


def merge_pieces(pieces: Sequence[tuple[str, Piece]], settings: IngestSettings) -> list[Found]:
    """(series UID, piece, notices) for each volume or leftover.

    Pieces of several series become one volume when they share frame of reference, orientation, pixel grid, kernel,
    thickness and acquisition, no place is taken twice, and together they make an even stack. The merged volume goes
    under the series that gave most slices.
    """
    groups: dict[Hashable, list[tuple[str, Piece]]] = defaultdict(list)
    found: list[Found] = []
    for uid, piece in pieces:
        if isinstance(piece.result, Notice) and piece.result.code not in _MERGEABLE:
            found.append((uid, piece, ()))
        else:
            groups[_signature(piece.frames[0])].append((uid, piece))
    for group in groups.values():
        for cluster in _acquisitions(group, settings):
            found += _merged(cluster, settings)
    return sorted(found, key=lambda entry: (entry[0], entry[1].frames[0].key))


def _signature(frame: Frame) -> Hashable:
    assert frame.row is not None
    assert frame.column is not None
    ds = frame.head.dataset
    return (
        tags.uid(ds, "FrameOfReferenceUID"),
        frame.head.modality,
        frame.rows,
        frame.columns,
        tuple(np.round([*frame.row, *frame.column], 3) + 0.0),
        None if frame.spacing is None else tuple(np.round(frame.spacing, 4)),
        frame.kernel,
        None if frame.thickness_mm is None else round(frame.thickness_mm, 2),
        frame.image_type[2:],
        frame.echo_ms,
        frame.b_value,
        frame.temporal_index,
        words_label(tags.text(ds, "SeriesDescription")),
    )


def _span(piece: Piece) -> tuple[float, float] | None:
    times = [f.acquired for f in piece.frames if f.acquired is not None]
    return (min(times), max(times)) if times else None


def _acquisitions(group: list[tuple[str, Piece]], settings: IngestSettings) -> list[list[tuple[str, Piece]]]:
    """Pieces that may stem from one acquisition: one number (or none), and no pause between them."""
    by_number: dict[int | None, list[tuple[str, Piece]]] = defaultdict(list)
    for entry in group:
        by_number[entry[1].frames[0].acquisition_number].append(entry)
    clusters: list[list[tuple[str, Piece]]] = []
    for entries in by_number.values():
        timed = sorted((e for e in entries if _span(e[1])), key=lambda e: _span(e[1]) or (0.0, 0.0))
        end = float("-inf")
        for entry in timed:
            start, stop = _span(entry[1]) or (0.0, 0.0)
            if start - end > settings.merge_gap_s:
                clusters.append([])
            clusters[-1].append(entry)
            end = max(end, stop)
        clusters.append([e for e in entries if not _span(e[1])])
    return [c for c in clusters if c]


def _merged(cluster: list[tuple[str, Piece]], settings: IngestSettings) -> list[Found]:
    apart: list[Found] = [(uid, piece, ()) for uid, piece in cluster]
    if len({uid for uid, _ in cluster}) < 2:
        return apart
    whole = _joined(cluster, settings)
    if whole:
        return [whole]
    # One of several series may be a volume of its own that lies on the others: try the incomplete ones alone.
    broken = [entry for entry in cluster if isinstance(entry[1].result, Notice)]
    whole = _joined(broken, settings) if len({uid for uid, _ in broken}) > 1 else None
    if whole:
        return [whole, *[(uid, piece, ()) for uid, piece in cluster if isinstance(piece.result, Stack)]]
    return apart


def _joined(cluster: list[tuple[str, Piece]], settings: IngestSettings) -> Found | None:
    frames = [frame for _, piece in cluster for frame in piece.frames]
    result = build_stack(frames, settings)
    if isinstance(result, Notice) or not _plausible(cluster):
        return None
    sizes: dict[str, int] = defaultdict(int)
    for uid, piece in cluster:
        sizes[uid] += len(piece.frames)
    main = min(sizes, key=lambda uid: (-sizes[uid], uid))
    notice = Notice("series_merged", f"its slices came in {len(sizes)} series and were put together")
    return main, Piece(tuple(frames), result), (notice,)


def _plausible(cluster: list[tuple[str, Piece]]) -> bool:
    """Complete stacks that only interleave are two scans unless their times say that they are one."""
    if any(isinstance(piece.result, Notice) or _span(piece) for _, piece in cluster):
        return True
    spans = sorted((min(a), max(a)) for a in (projections_mm(piece.frames) for _, piece in cluster))
    return all(end < start for (_, end), (start, _) in itertools.pairwise(spans))
