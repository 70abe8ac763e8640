"""DICOM objects to the volumes of one examination."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hepar.ingest import kind, tags
from hepar.ingest.choose import choose
from hepar.ingest.frame import FileHead, Frame, FrameKey, frames_of
from hepar.ingest.header import UNCOMPRESSED, lenient, read_head
from hepar.ingest.merge import merge_pieces
from hepar.ingest.pixels import UnreadablePixels, can_decode, decode, syntax_name
from hepar.ingest.settings import IngestSettings
from hepar.ingest.source import Item
from hepar.ingest.split import Piece, split_series
from hepar.ingest.stack import Stack, grid_notices
from hepar.record import Notice, PhaseLabel, Skipped, derived_uid


@dataclass(frozen=True, eq=False)
class Candidate:
    """A volume that could be analysed. notices: what to know about it. user_label: from --phase, else None."""

    stack: Stack
    series_uid: str
    notices: tuple[Notice, ...] = ()
    user_label: PhaseLabel | None = None

    @property
    def first(self) -> Frame:
        """Stands for the whole where all frames agree."""
        return self.stack.frames[0]

    @property
    def modality(self) -> str:
        """CT or MR."""
        return self.first.head.modality

    @property
    def tilt_deg(self) -> float:
        """Rounded; 0.0 unless told in `notices`."""
        return round(self.stack.tilt_deg, 3) if any(n.code == "gantry_tilt" for n in self.notices) else 0.0

    @property
    def acquired(self) -> float | None:
        """Start of acquisition in seconds since day 0, the earliest of all slices; None where no file says."""
        known = [f.acquired for f in self.stack.frames if f.acquired is not None]
        return min(known) if known else None


@dataclass
class Contents:
    """All DICOM objects of an input."""

    heads: list[FileHead] = field(default_factory=list)
    others: list[Item] = field(default_factory=list)
    warnings: list[Notice] = field(default_factory=list)


@dataclass
class Plan:
    """What would be analysed, and what not. repeated: frames of series refused because places repeat."""

    candidates: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    repeated: list[Frame] = field(default_factory=list)


def read_heads(items: Sequence[Item], tick: Callable[[float], None]) -> Contents:
    """The header of every item, in an order that depends on the content only; tick gets the fraction done."""
    contents = Contents()
    with lenient():
        for n, item in enumerate(items):
            head = read_head(item)
            if head is None:
                contents.others.append(item)
            else:
                contents.heads.append(head)
            tick((n + 1) / len(items))
    contents.heads = _without_copies(contents)
    return contents


def _without_copies(contents: Contents) -> list[FileHead]:
    """Objects sorted by UID; byte-equal copies dropped."""
    by_uid: dict[str, list[FileHead]] = defaultdict(list)
    for head in contents.heads:
        by_uid[head.sop_uid].append(head)
    kept: list[FileHead] = []
    copies = clashes = 0
    for uid in sorted(by_uid):
        heads = by_uid[uid]
        if len(heads) > 1:
            whole = [h for h in heads if not h.damage]
            distinct = {h.item.sha256(): h for h in (whole or heads)}
            copies += len(heads) - len(distinct)
            heads = [distinct[sha] for sha in sorted(distinct)]
            heads, same = _without_equal_pixels(heads)
            copies += same
            clashes += len(heads) - 1
            heads = [replace(head, namesake=n) for n, head in enumerate(heads)]
        kept += heads
    if copies:
        contents.warnings.append(Notice("duplicate_images", f"{copies} images were there twice; copies were left out"))
    if clashes:
        contents.warnings.append(
            Notice("sop_uid_repeated", f"{clashes} images carry the identifier of another image with other content")
        )
    return kept


def _without_equal_pixels(heads: list[FileHead]) -> tuple[list[FileHead], int]:
    """Of objects under one UID those that differ in series, place or pixels; and the number dropped."""
    kept: dict[tuple[str, ...], FileHead] = {}
    for head in heads:
        try:
            frame = frames_of(head)[0]
            pixels = hashlib.sha256(decode(frame).tobytes()).hexdigest()
            place = [] if frame.position is None else [f"{x:.3f}" for x in frame.position]
            kept.setdefault((head.series_uid, head.study_uid, pixels, *place), head)
        except (UnreadablePixels, IndexError):
            kept.setdefault((head.item.sha256(),), head)
    return list(kept.values()), len(heads) - len(kept)


def fill_in_uids(heads: list[FileHead], warnings: list[Notice]) -> list[FileHead]:
    """Heads with study and series UIDs; a missing one is taken from its company or derived from the content."""
    studies = sorted({h.study_uid for h in heads if h.study_uid and h.modality in ("CT", "MR")})
    lost_study = [h for h in heads if not h.study_uid]
    lost_series = [h for h in heads if not h.series_uid]
    if lost_study:
        uid = studies[0] if len(studies) == 1 else derived_uid("study", *sorted(h.sop_uid for h in lost_study))
        heads = [h if h.study_uid else replace(h, study_uid=uid) for h in heads]
        how = "they were taken as part of the only study" if len(studies) == 1 else "one was derived"
        warnings.append(Notice("study_uid_missing", f"{len(lost_study)} images name no study; {how}"))
    if lost_series:
        groups: dict[tuple[str, ...], list[FileHead]] = defaultdict(list)
        for head in heads:
            if not head.series_uid:
                groups[(head.study_uid, *_likeness(head))].append(head)
        new = {
            id(head): derived_uid("series", *sorted(h.sop_uid for h in group))
            for group in groups.values()
            for head in group
        }
        heads = [replace(h, series_uid=new[id(h)]) if id(h) in new else h for h in heads]
        warnings.append(
            Notice("series_uid_missing", f"{len(lost_series)} images name no series; they were grouped by likeness")
        )
    return heads


def _likeness(head: FileHead) -> tuple[str, ...]:
    ds = head.dataset
    keywords = ("Modality", "SeriesNumber", "SeriesDescription", "FrameOfReferenceUID", "ConvolutionKernel", "Rows")
    return tuple(tags.text(ds, keyword) for keyword in keywords)


def make_plan(
    heads: Iterable[FileHead],
    *,
    settings: IngestSettings,
    modality: str | None,
    user_label: Callable[[FileHead], PhaseLabel | None],
    bad: frozenset[FrameKey] = frozenset(),
    twins: frozenset[FrameKey] = frozenset(),
) -> Plan:
    """The volumes in the objects of one study. bad: keys of frames that could not be decoded."""
    plan = Plan()
    codecs: dict[str, bool] = {}
    series: dict[str, list[Frame]] = defaultdict(list)
    with lenient():
        for head in heads:
            problem = kind.object_problem(head)
            if problem is None and modality and head.modality != modality:
                problem = Notice("other_modality", f"not {modality}, which was asked for")
            if problem is None and not codecs.setdefault(head.transfer_syntax, can_decode(head.transfer_syntax)):
                problem = Notice(
                    "codec_missing",
                    f"compressed as {syntax_name(head.transfer_syntax)}, which no installed decoder reads;"
                    " install hepar[codecs]",
                )
            if problem is None and not bad.isdisjoint(
                {(head.sop_uid, head.namesake, n + 1) for n in range(head.frames)}
            ):
                problem = _undecoded(head)
            if problem:
                plan.skipped.append(Skipped(head.series_uid, clean_modality(head.modality), head.frames, problem))
                continue
            for frame in frames_of(head):
                if frame.key in twins:
                    continue
                problem = kind.frame_problem(frame)
                if problem:
                    plan.skipped.append(Skipped(head.series_uid, head.modality, 1, problem))
                else:
                    series[head.series_uid].append(frame)
        pieces: list[tuple[str, Piece]] = []
        for uid in sorted(series):
            pieces += [(uid, piece) for piece in split_series(series[uid], settings)]
        merged = merge_pieces(pieces, settings)
        candidates = []
        for uid, piece, notices in merged:
            if isinstance(piece.result, Notice):
                skip = Skipped(uid, piece.frames[0].head.modality, len(piece.frames), piece.result)
                plan.skipped.append(skip)
                if piece.result.code == "positions_repeated":
                    plan.repeated += piece.frames
            else:
                found = _candidate(uid, piece, piece.result, notices, settings)
                candidates.append(replace(found, user_label=_one_label(found, user_label)))
        chosen = choose(candidates, settings)
        plan.candidates = chosen.kept
        plan.skipped = sum_up([*plan.skipped, *chosen.skipped])
    return plan


def _undecoded(head: FileHead) -> Notice:
    if head.transfer_syntax in UNCOMPRESSED:
        return Notice("damaged_file", "files whose pixels cannot be decoded; copy them again")
    return Notice(
        "damaged_file",
        f"files whose pixels, compressed as {syntax_name(head.transfer_syntax)}, cannot be decoded; copy them again, or"
        " install hepar[codecs] for more decoders",
    )


def _one_label(candidate: Candidate, user_label: Callable[[FileHead], PhaseLabel | None]) -> PhaseLabel | None:
    labels = {user_label(frame.head) for frame in candidate.stack.frames}
    return labels.pop() if len(labels) == 1 else None


def _candidate(uid: str, piece: Piece, stack: Stack, merged: tuple[Notice, ...], settings: IngestSettings) -> Candidate:
    notices = list(merged)
    first = stack.frames[0]
    if piece.split:
        notices.append(Notice("series_split", "one of several volumes in its series"))
    notices += grid_notices(stack.tilt_deg, stack.step_mm, settings)
    straight = stack.tilt_deg < settings.min_tilt_deg and abs(first.normal[2]) > 0.999
    if straight and abs(first.tilt_tag_deg or 0.0) >= 1.0:
        notices.append(
            Notice(
                "tilt_tag_contradicts",
                f"the files speak of a tilt of {first.tilt_tag_deg:.1f} degrees, the positions show none; the positions"
                " are believed",
            )
        )
    if stack.jitter_mm > settings.quiet_jitter_mm:
        notices.append(Notice("slices_uneven", f"slice distances vary by up to {stack.jitter_mm:.2f} mm"))
    thickness = first.thickness_mm
    if thickness and thickness < 0.9 * stack.step_mm:
        notices.append(
            Notice("slices_apart", f"slices of {thickness:.1f} mm stand {stack.step_mm:.1f} mm apart; gaps are unseen")
        )
    if kind.is_derived(first):
        notices.append(Notice("derived_series", "the scanner marks these images as processed"))
    return Candidate(stack, uid, tuple(notices))


def clean_modality(modality: str) -> str:
    """Two to sixteen capitals, else "unknown": nothing else may reach a record."""
    return modality if modality.isalpha() and modality.isascii() and len(modality) <= 16 else "unknown"


def sum_up(skipped: Iterable[Skipped]) -> list[Skipped]:
    """One entry per series and reason, in an order that depends on the content only."""
    counts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for entry in skipped:
        counts[(entry.series_uid, entry.modality, entry.reason.code, entry.reason.text)] += entry.images
    return [
        Skipped(uid, modality, images, Notice(code, text))
        for (uid, modality, code, text), images in sorted(counts.items())
    ]


def tell_repeats_apart(
    frames: Sequence[Frame], settings: IngestSettings
) -> tuple[frozenset[FrameKey], frozenset[FrameKey]]:
    """Of frames that share places: those equal in pixels to an earlier one (sent again under new identifiers), and
    those that cannot be decoded."""
    seen: set[tuple[int, str]] = set()
    twins, broken = set(), set()
    for frame in sorted(frames, key=lambda f: f.key):
        assert frame.position is not None
        place = int(np.round(float(frame.position @ frame.normal) / (2 * settings.same_position_mm)))
        try:
            pixels = hashlib.sha256(decode(frame).tobytes()).hexdigest()
        except UnreadablePixels:
            broken.add(frame.key)
            continue
        if (place, pixels) in seen:
            twins.add(frame.key)
        seen.add((place, pixels))
    return frozenset(twins), frozenset(broken)
