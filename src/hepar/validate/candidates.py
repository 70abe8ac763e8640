"""Predicted lesions and marks with a score, held against the lesions of the reference: what FROC needs of one case.

A mark is a score at a place. It belongs to the predicted lesion that it lies in, or that lies within `REACH_MM` (the
centre of a bent lesion lies beside it), and then shares its fate: a hit if that lesion was paired with one of the
reference, false if not. A mark away from every predicted lesion (a candidate below the threshold of the mask) is a hit
on the lesion of the reference that it lies in, or false. As in LUNA16, a further prediction that touches a lesion that
is found already is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.validate.froc import Marks, marks
from hepar.validate.inputs import Floats, Ints, numbers
from hepar.validate.matching import LesionMatch

REACH_MM = 5.0


@dataclass(frozen=True, eq=False)
class CaseMarks:
    """The marks of one case. hit_lesion: number of the lesion of the reference, from 0."""

    lesions: int
    hit_lesion: Ints
    hit_score: Floats
    false_score: Floats


def marks_of_points(
    match: LesionMatch, scores: ArrayLike, places: ArrayLike, spacing_mm: Sequence[float], *, case: str = ""
) -> CaseMarks:
    """Marks from scores at places. places: (n, 3) indices (slice, row, column) on the grid of the match, fractions
    allowed. Raises WrongCall where a predicted lesion has no mark."""
    score = numbers(scores, "the scores of marks")
    at = np.asarray(places, dtype=np.float64).reshape(-1, 3)
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    voxels = np.argwhere(match.pred_labels)
    of_voxel = match.pred_labels[tuple(voxels.T)]
    best = np.full(match.pred_voxels.size, -np.inf)
    hits: list[tuple[int, float]] = []
    false: list[float] = []
    for one, place in zip(score, at, strict=True):
        far = (((voxels - place) * spacing) ** 2).sum(axis=1) if len(voxels) else np.zeros(0)
        near = int(far.argmin()) if far.size else -1
        if near >= 0 and far[near] <= REACH_MM**2:
            number = int(of_voxel[near]) - 1
            best[number] = max(best[number], float(one))
            continue
        voxel = np.rint(place).astype(int)
        inside = bool((voxel >= 0).all()) and bool((voxel < np.array(match.ref_labels.shape)).all())
        lesion = int(match.ref_labels[tuple(voxel)]) if inside else 0
        if lesion:
            hits.append((lesion - 1, float(one)))
        else:
            false.append(float(one))
    without = int(np.count_nonzero(np.isneginf(best)))
    if without:
        raise WrongCall(f"case {case}: {without} of {best.size} predicted lesions have no score within {REACH_MM:g} "
                        "mm; needed: a score for each; add a row for each with a place inside it")  # fmt: skip
    return _fates(match, best, hits, false)


def marks_of_map(match: LesionMatch, score_map: NDArray[np.floating]) -> CaseMarks:
    """Marks from a map of scores: each predicted lesion has the largest score inside it."""
    if score_map.shape != match.pred_labels.shape:
        raise WrongCall(f"the scores have the shape {score_map.shape} and the labels {match.pred_labels.shape}; "
                        "needed: one grid")  # fmt: skip
    best = np.full(match.pred_voxels.size + 1, -np.inf)
    inside = match.pred_labels > 0
    np.maximum.at(best, match.pred_labels[inside], score_map[inside].astype(np.float64))
    return _fates(match, best[1:], [], [])


def _fates(match: LesionMatch, best: Floats, hits: list[tuple[int, float]], false: list[float]) -> CaseMarks:
    found = {pair.ref for pair in match.pairs}
    spare = {p for ref, several in match.split if ref in found for p in several}
    partner = {pair.pred: pair.ref for pair in match.pairs}
    for number, one in enumerate(best, start=1):
        if number in partner:
            hits.append((partner[number] - 1, float(one)))
        elif number not in spare:
            false.append(float(one))
    return CaseMarks(
        match.ref_voxels.size, np.array([lesion for lesion, _ in hits], dtype=np.int64),
        np.array([one for _, one in hits], dtype=np.float64), np.array(false, dtype=np.float64),
    )  # fmt: skip


def gathered(cases: Sequence[CaseMarks]) -> Marks:
    """The marks of a set of cases, each case an image."""

    def image(parts: list[int]) -> Ints:
        return np.repeat(np.arange(len(cases)), parts)

    return marks(
        [case.lesions for case in cases], image([case.hit_lesion.size for case in cases]),
        np.concatenate([case.hit_lesion for case in cases]), np.concatenate([case.hit_score for case in cases]),
        image([case.false_score.size for case in cases]), np.concatenate([case.false_score for case in cases]),
    )  # fmt: skip
