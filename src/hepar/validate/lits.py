"""The LiTS challenge's detection and distance scores, as its organisers' code computes them and as they ought to be.

"as published" keeps four habits of the scorer: 6-neighbour components; lesions of the reference bridged by one
prediction (and the other way round) merged before matching; an empty mask against a lesion scored with distances of
9001 (`scorer`) or 0 (`notebook`, the public evaluation notebook, which rewards predicting nothing); RVD as
(V_ref - V_pred) / V_pred. "corrected" uses 26 neighbours, no merging, no value for a distance to nothing, and RVD as in
the paper. Both find a lesion when the IoU is over 0.5. Distances are those of the whole mask; the challenge's means
over found lesions are not computed here. Source: PatrickChrist/lits-challenge-scoring and LITS-CHALLENGE; Bilic 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Ints
from hepar.validate.matching import LabelMap, lesions, match_lesions, overlaps
from hepar.validate.overlap import counts, masks
from hepar.validate.surfaces import surface_distances

VERSIONS = ("as published (scorer)", "as published (notebook)", "corrected")
EMPTY_MM = 9001.0
"""What the published scorer gives for every distance to an empty mask."""


@dataclass(frozen=True)
class LitsCase:
    """One case under one version of the rules. assd, rmsd, msd: mean, root mean square and largest symmetric surface
    distance in mm, of the whole mask; true, false, missed: lesions."""

    version: str
    dice: float
    jaccard: float
    voe: float
    rvd: Estimate
    assd_mm: Estimate
    rmsd_mm: Estimate
    msd_mm: Estimate
    true: int
    false: int
    missed: int


def lits_case(pred: ArrayLike, ref: ArrayLike, spacing_mm: Sequence[float], *, version: str = "corrected") -> LitsCase:
    """Score one lesion mask. pred, ref: bool or 0/1 (slice, row, column)."""
    if version not in VERSIONS:
        raise WrongCall(f"version {version!r} is not known; needed: one of {', '.join(VERSIONS)}")
    one, other = masks(pred, ref)
    shared = counts(one, other)
    distances = surface_distances(one, other, spacing_mm)
    published = version != "corrected"
    values = []
    for value in (distances.assd_mm, distances.rmsd_mm, distances.hd100_mm):
        if published and (shared.pred == 0 or shared.ref == 0):
            values.append(Estimate(EMPTY_MM if "scorer" in version else 0.0))
        else:
            values.append(Estimate.cannot_tell(distances.missing) if value is None else Estimate(value))
    if published:
        true, false, missed = _published(one, other)
        rvd = shared.rvd_over_pred
    else:
        match = match_lesions(one, other, criterion="iou>0.5")
        true, false, missed = len(match.pairs), len(match.false), len(match.missed)
        rvd = shared.rvd_over_ref
    return LitsCase(
        version, shared.dice, shared.jaccard, shared.voe, rvd, values[0], values[1], values[2], true, false, missed
    )


def _published(one: ArrayLike, other: ArrayLike) -> tuple[int, int, int]:
    pred, ref = lesions(one, "the prediction", 6, False), lesions(other, "the reference", 6, False)
    ref = _bridged(pred, ref)
    pred = _bridged(ref, pred)
    shared, size_pred, size_ref = overlaps(pred, ref)
    if not size_pred.size or not size_ref.size:
        return 0, int(size_pred.size), int(size_ref.size)
    found: set[int] = set()
    for number in range(size_pred.size):
        best = int(shared[number].argmax())
        both = int(shared[number, best])
        if both and both / (size_pred[number] + size_ref[best] - both) > 0.5:
            found.add(best)
    return len(found), int(size_pred.size) - len(found), int(size_ref.size) - len(found)


def _bridged(by: LabelMap, of: LabelMap) -> LabelMap:
    """`of` with the lesions that one lesion of `by` touches given one number."""
    shared, _, sizes = overlaps(by, of)
    number: Ints = np.arange(sizes.size + 1)
    for line in shared:
        touched = np.flatnonzero(line) + 1
        if touched.size > 1:
            groups = number[touched]
            number[np.isin(number, groups)] = groups.min()
    _, packed = np.unique(number, return_inverse=True)
    return packed.astype(np.int32)[of]


@dataclass(frozen=True)
class LitsSet:
    """A set of cases: Dice per case (mean) and of all voxels together, precision and recall pooled over the set."""

    version: str
    dice_per_case: float
    dice_global: float
    precision: float | None
    recall: float | None


def lits_set(cases: Sequence[LitsCase], voxels: Sequence[tuple[int, int, int]]) -> LitsSet:
    """voxels: (prediction, reference, shared) of each case."""
    if not cases or len(cases) != len(voxels):
        raise WrongCall(f"{len(cases)} cases and {len(voxels)} counts; needed: one of each per case, at least one")
    pred, ref, both = np.sum(voxels, axis=0)
    true, false, missed = (sum(getattr(case, key) for case in cases) for key in ("true", "false", "missed"))
    return LitsSet(
        cases[0].version,
        float(np.mean([case.dice for case in cases])),
        float(2 * both / (pred + ref)) if pred + ref else 1.0,
        true / (true + false) if true + false else None,
        true / (true + missed) if true + missed else None,
    )
