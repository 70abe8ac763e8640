"""Which of several reconstructions of one acquisition is analysed.

The rule, in this order: named by the user; axial before other planes; as scanned before cut anew; soft-tissue kernel
before unknown before medium before sharp (lung, bone); slices 1 to 3 mm apart, of these the thinnest, else the nearest
to that range (thinner ones are noisier, thicker ones blur small lesions); the larger coverage; the smaller UID.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hepar.ingest import kind, tags
from hepar.ingest.label import words_label
from hepar.ingest.settings import IngestSettings
from hepar.record import Notice, Skipped

if TYPE_CHECKING:
    from hepar.ingest.dicom import Candidate

_BEST_STEP_MM = (1.0, 3.0)
_SHARP_WORDS = re.compile(r"LUNG|BONE|EDGE|ULTRA|CHST|SHARP|\bYB\b|^L$|^[DE]$")
_MEDIUM_WORDS = re.compile(r"DETAIL|\bYA\b|^C$")
_SOFT_WORDS = re.compile(r"STANDARD|SOFT|SMOOTH|BODY|^[AB]$|\bU[AB]\b")


@dataclass
class Choice:
    """What stays and what goes."""

    kept: list[Candidate] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def kernel_class(kernel: str) -> int:
    """0 soft, 1 unknown, 2 medium, 3 sharp.

    Source: the vendors' conformance statements; Siemens numbers its kernels by sharpness (B10 to B80, Br36, Bl57),
    Canon counts FC01-19 as body, FC30 bone, FC50-59 lung, FC80-89 high resolution.
    """
    name = kernel.upper().split("\\")[0].strip()
    if canon := re.fullmatch(r"FC(\d{2})\w*", name):
        number = int(canon[1])
        return 0 if number < 20 else 2 if number in (20, 21, 22, 23, 24, 25, 26) else 3
    if siemens := re.fullmatch(r"([A-Z])[A-Z]?(\d{2})[A-Z]?(\\.*)?", name):
        number = int(siemens[2])
        return 0 if number < 45 else 2 if number < 50 else 3
    for pattern, rank in ((_SHARP_WORDS, 3), (_MEDIUM_WORDS, 2), (_SOFT_WORDS, 0)):
        if pattern.search(name):
            return rank
    return 1


def choose(candidates: Sequence[Candidate], settings: IngestSettings) -> Choice:
    """One candidate per acquisition; the others are skipped with the reason."""
    choice = Choice()
    ordered = sorted(candidates, key=_rank)
    worn = _worn_starts(ordered)
    for candidate in ordered:
        better = next((k for k in choice.kept if _same_acquisition(k, candidate, worn, settings)), None)
        if better is None:
            choice.kept.append(candidate)
        else:
            choice.skipped.append(_skip(candidate, _why(candidate, better)))
    if any(c.stack.is_axial for c in choice.kept):
        flat = [c for c in choice.kept if not c.stack.is_axial and c.user_label is None and c.modality == "CT"]
        choice.skipped += [
            _skip(c, Notice("reformat", "not axial; CT is acquired in axial slices, and there are some")) for c in flat
        ]
        choice.kept = [c for c in choice.kept if c not in flat]
    if any(c.modality == "CT" for c in choice.kept):
        # One kind of scanner at a time: CT before MR, since only CT can be analysed.
        reason = Notice("other_modality", "MR beside CT; give --modality MR to read it")
        choice.skipped += [_skip(c, reason) for c in choice.kept if c.modality == "MR"]
        choice.kept = [c for c in choice.kept if c.modality != "MR"]
    by_series: dict[str, int] = {}
    for c in choice.kept:
        by_series[c.series_uid] = by_series.get(c.series_uid, 0) + 1
    many = {uid for uid, n in by_series.items() if n > settings.max_phases_in_series}
    reason = Notice("dynamic_series", f"more than {settings.max_phases_in_series} time points: a perfusion series")
    choice.skipped += [_skip(c, reason) for c in choice.kept if c.series_uid in many]
    choice.kept = [c for c in choice.kept if c.series_uid not in many]
    return choice


def _skip(candidate: Candidate, reason: Notice) -> Skipped:
    return Skipped(candidate.series_uid, candidate.modality, len(candidate.stack.frames), reason)


def _rank(candidate: Candidate) -> tuple[object, ...]:
    step = round(candidate.stack.step_mm, 2)
    low, high = _BEST_STEP_MM
    off = max(low - step, step - high, 0.0)
    shape = candidate.stack.geometry.shape
    return (
        candidate.user_label is None,
        not candidate.stack.is_axial,
        kind.is_reformat(candidate.first),
        kernel_class(candidate.first.kernel),
        off,
        step,
        -round(shape[0] * step),
        candidate.series_uid,
        candidate.first.key,
    )


def _why(worse: Candidate, better: Candidate) -> Notice:
    if not worse.stack.is_axial and better.stack.is_axial:
        return Notice("reformat", "cut in another plane out of a volume that is analysed")
    if kind.is_reformat(worse.first) and not kind.is_reformat(better.first):
        return Notice("reformat", "cut anew out of a volume that is analysed")
    return Notice(
        "duplicate_reconstruction",
        f"the same acquisition as another series, {worse.stack.step_mm:.1f} mm"
        f" {_KERNEL_NAMES[kernel_class(worse.first.kernel)]} against {better.stack.step_mm:.1f} mm"
        f" {_KERNEL_NAMES[kernel_class(better.first.kernel)]}; the other is better suited",
    )


_KERNEL_NAMES = ("soft kernel", "kernel", "medium kernel", "sharp kernel")


def _same_acquisition(a: Candidate, b: Candidate, worn: frozenset[float], settings: IngestSettings) -> bool:
    """Whether two volumes were reconstructed from one scan in two ways.

    Kernel, step, thickness, plane or pixel grid differ; frame of reference, acquisition number and phase words do not
    contradict; the start agrees and is not worn; they overlap in space. Where no start is known an equal acquisition
    number has to do.
    """
    if a.modality != b.modality or a.modality == "MR" or not _made_anew(a, b) or not _overlap(a, b):
        return False
    one, two = a.first.head.dataset, b.first.head.dataset
    frames = {tags.uid(one, "FrameOfReferenceUID"), tags.uid(two, "FrameOfReferenceUID")} - {""}
    labels = {
        words_label(tags.text(one, "SeriesDescription")),
        words_label(tags.text(two, "SeriesDescription")),
    } - {"unknown"}
    indices = {a.first.temporal_index, b.first.temporal_index} - {None}
    if len(frames) > 1 or len(labels) > 1 or len(indices) > 1:
        return False
    if a.user_label and b.user_label and a.user_label != b.user_label:
        return False
    numbers = (a.first.acquisition_number, b.first.acquisition_number)
    alike = None not in numbers and numbers[0] == numbers[1]
    if a.acquired is None or b.acquired is None:
        return alike
    if a.acquired in worn:
        return False
    return abs(a.acquired - b.acquired) <= settings.same_acquisition_s


def _made_anew(a: Candidate, b: Candidate) -> bool:
    return (
        a.first.kernel != b.first.kernel
        or abs(a.stack.step_mm - b.stack.step_mm) > 0.1
        or a.first.thickness_mm != b.first.thickness_mm
        or a.stack.is_axial != b.stack.is_axial
        or kind.is_reformat(a.first) != kind.is_reformat(b.first)
        or not np.allclose(a.stack.geometry.spacing_mm[1:], b.stack.geometry.spacing_mm[1:], rtol=1e-3)
    )


def _worn_starts(candidates: Sequence[Candidate]) -> frozenset[float]:
    """Starts that several volumes of one place and kind carry: an anonymiser gave all phases the same time."""
    worn = set()
    for n, a in enumerate(candidates):
        for b in candidates[n + 1 :]:
            if a.acquired is not None and a.acquired == b.acquired and not _made_anew(a, b) and _overlap(a, b):
                worn.add(a.acquired)
    return frozenset(worn)


def _overlap(a: Candidate, b: Candidate) -> bool:
    """Whether they share more than half of the smaller one along the body."""
    spans = []
    for c in (a, b):
        n = np.array(c.stack.geometry.shape) - 1
        corners = c.stack.geometry.to_lps_mm([[i, j, k] for i in (0, n[0]) for j in (0, n[1]) for k in (0, n[2])])
        spans.append((float(corners[:, 2].min()), float(corners[:, 2].max())))
    shared = min(s[1] for s in spans) - max(s[0] for s in spans)
    return shared > 0.5 * min(s[1] - s[0] for s in spans)
