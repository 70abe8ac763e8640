"""One series to the stacks inside it: by plane, by what the tags say, by time, by repeated places."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hepar.ingest.frame import Frame
from hepar.ingest.settings import IngestSettings
from hepar.ingest.stack import Stack, build_stack, has_repeats, projections_mm
from hepar.record import Notice


@dataclass(frozen=True, eq=False)
class Piece:
    """Some frames of one series: a stack, or the reason why they are none."""

    frames: tuple[Frame, ...]
    result: Stack | Notice
    split: bool = False


_Key = Callable[[Frame], Hashable]
# What differs between images that a scanner puts into one series, the surest first.
_KEYS: tuple[_Key, ...] = (
    lambda f: f.image_type[2:],
    lambda f: f.kernel,
    lambda f: f.echo_ms,
    lambda f: f.b_value,
    lambda f: f.acquisition_number,
    lambda f: f.temporal_index,
    lambda f: f.acquired,
    lambda f: f.trigger_ms,
    lambda f: f.content,
)
_ORDERS: tuple[Callable[[Frame], float | None], ...] = (
    lambda f: f.acquired,
    lambda f: f.trigger_ms,
    lambda f: f.content,
    lambda f: f.instance,
)
_DEPTH = 3


def split_series(frames: Sequence[Frame], settings: IngestSettings) -> list[Piece]:
    """Every frame in exactly one piece. The result does not depend on the order of `frames` but for exact ties."""
    placed = [f for f in frames if f.position is not None and f.row is not None]
    pieces = []
    homeless = [f for f in frames if f.position is None or f.row is None]
    if homeless:
        what = "where its slices lie" if homeless[0].position is None else "which way its slices face"
        reason = Notice("no_position", f"the series does not say {what}; ask for the original images")
        pieces.append(Piece(tuple(homeless), reason))
    planes = _by_plane(placed, settings)
    for plane in planes:
        pieces += _split_plane(plane, settings, several=len(planes) > 1)
    return [_torn_apart(piece, settings) for piece in pieces] if len(planes) > 1 else pieces


def _torn_apart(piece: Piece, settings: IngestSettings) -> Piece:
    """A stack with gaps, whose missing slices claim to face another way, is no volume: its files contradict."""
    if isinstance(piece.result, Notice):
        return piece
    thickness, step = piece.result.frames[0].thickness_mm, piece.result.step_mm
    if not thickness or step < settings.contradiction_gap * thickness:
        return piece
    reason = Notice(
        "orientation_contradicts",
        f"slices of {thickness:.1f} mm stand {step:.1f} mm apart while others of the series claim to face another way;"
        " ask the archive to send the series again",
    )
    return Piece(piece.frames, reason)


def _by_plane(frames: list[Frame], settings: IngestSettings) -> list[list[Frame]]:
    """Groups of one orientation, size and pixel spacing."""
    limit = np.cos(np.radians(settings.same_orientation_deg))
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            other = group[0]
            assert frame.row is not None
            assert other.row is not None
            if (
                frame.rows == other.rows
                and frame.columns == other.columns
                and float(frame.normal @ other.normal) >= limit
                and float(frame.row @ other.row) >= limit
                and _same_spacing(frame, other, settings)
            ):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_spacing(a: Frame, b: Frame, settings: IngestSettings) -> bool:
    if a.spacing is None or b.spacing is None:
        return a.spacing is b.spacing
    return bool(np.allclose(a.spacing, b.spacing, rtol=settings.same_pixel_spacing_fraction, atol=0))


def _split_plane(frames: list[Frame], settings: IngestSettings, *, several: bool) -> list[Piece]:
    result = build_stack(frames, settings)
    if isinstance(result, Stack):
        return [Piece(tuple(frames), result, split=several)]
    if result.code == "positions_repeated":
        parts = _by_keys(frames, settings, _KEYS, _DEPTH) or _by_order(frames, settings)
        parts = parts or _best_partition(frames, settings)
        if parts:
            return [Piece(tuple(part), build_stack(part, settings), split=True) for part in parts]
    if result.code in ("slice_missing", "slices_uneven"):
        parts = _by_keys(frames, settings, _KEYS[:6], _DEPTH)
        if parts and _differ_in_place(parts):
            return [Piece(tuple(part), build_stack(part, settings), split=True) for part in parts]
    if several and result.code == "single_slice":
        result = Notice(
            "orientation_contradicts", f"{len(frames)} images face another way than the rest of their series"
        )
    return [Piece(tuple(frames), result)]


def _groups(frames: Sequence[Frame], key: _Key) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    return list(groups.values())


def _clean(frames: Sequence[Frame], settings: IngestSettings) -> bool:
    return isinstance(build_stack(frames, settings), Stack)


def _by_keys(
    frames: list[Frame], settings: IngestSettings, keys: Sequence[_Key], depth: int
) -> list[list[Frame]] | None:
    """A partition by equal tag values (of one tag, or of a second within the first) into clean stacks only."""
    if _clean(frames, settings):
        return [frames]
    if depth == 0 or len(frames) < 2 * settings.min_slices:
        return None
    for n, key in enumerate(keys):
        groups = _groups(frames, key)
        if 1 < len(groups) <= len(frames) // settings.min_slices:
            parts: list[list[Frame]] = []
            for group in groups:
                below = _by_keys(group, settings, keys[n + 1 :], depth - 1) or _by_order(group, settings)
                if below is None:
                    break
                parts += below
            else:
                return parts
    return None


def _by_order(frames: list[Frame], settings: IngestSettings) -> list[list[Frame]] | None:
    """A partition of repeated places into clean stacks by running times or numbers.

    Either the scanner went through all places and began anew (a run ends where a place comes again), or it stayed at
    each place for all time points (the k-th image of every place belongs together; every place needs as many).
    """
    for order in _ORDERS:
        known = [(order(f), i) for i, f in enumerate(frames)]
        if any(value is None for value, _ in known) or len({value for value, _ in known}) < 2:
            continue
        ordered = [frames[i] for _, i in sorted(known, key=lambda pair: (pair[0] or 0.0, pair[1]))]
        places = np.round(projections_mm(ordered) / (2 * settings.same_position_mm)).astype(int).tolist()
        for parts in (_runs(ordered, places), _layers(ordered, places)):
            if len(parts) > 1 and all(_clean(part, settings) for part in parts):
                return parts
    return None


def _runs(ordered: list[Frame], places: list[int]) -> list[list[Frame]]:
    parts: list[list[Frame]] = [[]]
    taken: set[int] = set()
    for frame, place in zip(ordered, places, strict=True):
        if place in taken:
            parts.append([])
            taken = set()
        taken.add(place)
        parts[-1].append(frame)
    return parts


def _layers(ordered: list[Frame], places: list[int]) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    seen: dict[int, int] = defaultdict(int)
    for frame, place in zip(ordered, places, strict=True):
        if seen[place] == len(parts):
            parts.append([])
        parts[seen[place]].append(frame)
        seen[place] += 1
    return parts if len(set(seen.values())) == 1 else []


def _best_partition(frames: list[Frame], settings: IngestSettings) -> list[list[Frame]] | None:
    """When not every group is clean: the tag whose groups hold no place twice and most frames in clean stacks."""
    best: list[list[Frame]] | None = None
    most = 0
    for key in _KEYS:
        groups = _groups(frames, key)
        if len(groups) < 2 or any(has_repeats(group, settings) for group in groups if len(group) > 1):
            continue
        inside = sum(len(group) for group in groups if _clean(group, settings))
        if inside > most:
            best, most = groups, inside
    return best


def _differ_in_place(parts: list[list[Frame]]) -> bool:
    """Whether parts overlap, or have other steps: two acquisitions, and not one that lost a slice between them."""
    spans = [
        (min(along), max(along), float(np.median(np.diff(np.sort(along))))) for along in map(projections_mm, parts)
    ]
    spans.sort()
    for (_, end, step), (start, _, other) in itertools.pairwise(spans):
        if start > end and abs(step - other) < 0.1 * max(step, other) and start - end < 5 * step:
            return False
    return True
