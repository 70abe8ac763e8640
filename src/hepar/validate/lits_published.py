"""What the LiTS organisers' code does with lesions and surfaces, step by step, from counts of voxels.

Source: PatrickChrist/lits-challenge-scoring, helpers/calc_metric.py and surface.py (commit 0cbafa55 and evaluate.py of
the same state), read there and written anew; `tests/validate/reference/make_lits.py` runs theirs beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.validate.inputs import Bools, Floats, Ints
from hepar.validate.nearest import nearest_mm
from hepar.validate.surfaces import bounding_box


@dataclass(frozen=True)
class Found:
    """Lesions of the reference that one group of predictions found together; numbers from 1, as in the label maps."""

    ref: tuple[int, ...]
    pred: tuple[int, ...]


def found_as_published(shared: Ints, pred_voxels: Ints, ref_voxels: Ints) -> tuple[int, tuple[Found, ...]]:
    """How many lesions count as found, and the groups whose outlines are scored.

    shared: voxels (prediction, reference). Lesions of the reference that have their largest overlap with one prediction
    become one; each prediction goes to the reference that it shares most with; a group is found when its IoU is over
    0.5. Two slips of the code are kept, since its published figures have them: in the union of that IoU stand the
    predictions given to the reference whose *number* is that of the prediction, not the group's own; and a group
    that is not found takes as many off the count as it merged lesions, though it had added one (the count may
    fall below 0).
    """
    rows = [p for p in range(shared.shape[0]) if shared[p].any()]
    columns = list(range(shared.shape[1]))
    members, merged = {g: [g] for g in columns}, dict.fromkeys(columns, 1)
    table = shared[rows].copy()
    for i in range(len(rows)):
        own = [int(k) for k in np.flatnonzero(table[i]) if int(table[:, k].argmax()) == i]
        for k in own:
            merged[columns[k]] = len(own)
        if len(own) > 1:
            for k in own[1:]:
                members[columns[own[0]]] += members[columns[k]]
            table[:, own[0]] = table[:, own].sum(axis=1)
            table = np.delete(table, own[1:], axis=1)
            columns = [g for k, g in enumerate(columns) if k not in own[1:]]
    given: dict[int, list[int]] = {}
    for i, p in enumerate(rows):
        given.setdefault(columns[int(table[i].argmax())], []).append(p)
    groups = sorted(given.items(), key=lambda one: one[1][0])
    count, left = len(groups), dict(given)
    for g, predictions in groups:
        own = [i for i, p in enumerate(rows) if p in predictions]
        both = int(table[own, columns.index(g)].sum())
        counted = left.get(predictions[0], [])
        union = int(pred_voxels[counted].sum() + ref_voxels[members[g]].sum())
        union -= int(shared[np.ix_(counted, members[g])].sum()) if counted else 0
        if both / union <= 0.5:
            left.pop(g, None)
            count -= merged[g]
    return count, tuple(
        Found(tuple(r + 1 for r in members[g]), tuple(p + 1 for p in predictions))
        for g, predictions in sorted(left.items())
    )


def edge_distances(
    pred: Bools, ref: Bools, spacing: tuple[float, float, float], neighbours: int
) -> tuple[Floats, Floats]:
    """Distances between the edge voxels of two masks (not empty), from the centre of each to the nearest of the other.

    An edge voxel is one that erosion by its 6 or 18 neighbours takes away; each counts the same, whatever its area.
    """
    box = bounding_box(pred, ref)
    assert box is not None, "masks are not empty"
    one, other = pred[box], ref[box]
    a, b = (np.flatnonzero(v & ~_eroded(v, neighbours)) for v in (one, other))
    shape = (one.shape[0], one.shape[1], one.shape[2])
    return nearest_mm(a, b, shape, spacing), nearest_mm(b, a, shape, spacing)


def _eroded(mask: Bools, neighbours: int) -> Bools:
    """Eroded; outside the array lies nothing. 18 neighbours are the three squares through a voxel."""
    along = [_line(mask, axis) for axis in range(3)]
    if neighbours == 18:
        along = [_line(along[0], 1), _line(along[0], 2), _line(along[1], 2)]
    result: Bools = along[0] & along[1] & along[2]
    return result


def _line(mask: Bools, axis: int) -> Bools:
    kept = np.zeros_like(mask)
    inner, before, after = ([slice(None)] * 3 for _ in range(3))
    inner[axis], before[axis], after[axis] = slice(1, -1), slice(None, -2), slice(2, None)
    kept[tuple(inner)] = mask[tuple(inner)] & mask[tuple(before)] & mask[tuple(after)]
    return kept
