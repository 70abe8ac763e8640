"""Which predicted lesion is which lesion of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.validate.inputs import Floats, Ints
from hepar.validate.surfaces import bounding_box

CRITERIA = ("overlap", "iou>0.1", "iou>0.5", "centroid")
LabelMap = NDArray[np.int32]


@dataclass(frozen=True)
class Pair:
    """A prediction and the reference lesion that it found. iou and dice in voxels; both 0 may be with "centroid"."""

    pred: int
    ref: int
    iou: float
    dice: float


@dataclass(frozen=True, eq=False)
class LesionMatch:
    """The outcome for one examination; lesions go by their number in `pred_labels` and `ref_labels` (from 1).

    pairs: found, one to one. missed: lesions of the reference without a partner. false: predictions without one.
    merged: (prediction, lesions of the reference) where one prediction meets the criterion with, or touches, several.
    split: (lesion of the reference, predictions), likewise. A merge or split says why something counts as missed or
    false; it changes no count.
    """

    pairs: tuple[Pair, ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]
    merged: tuple[tuple[int, tuple[int, ...]], ...]
    split: tuple[tuple[int, tuple[int, ...]], ...]
    pred_labels: LabelMap
    ref_labels: LabelMap
    pred_voxels: Ints
    ref_voxels: Ints

    @property
    def recall(self) -> float | None:
        """Found / all of the reference; None where the reference holds no lesion."""
        return len(self.pairs) / self.ref_voxels.size if self.ref_voxels.size else None

    @property
    def precision(self) -> float | None:
        """Found / all predicted; None where nothing is predicted."""
        return len(self.pairs) / self.pred_voxels.size if self.pred_voxels.size else None


def match_lesions(
    pred: ArrayLike,
    ref: ArrayLike,
    *,
    criterion: str = "overlap",
    connectivity: int = 26,
    instances: bool | None = None,
) -> LesionMatch:
    """Pair the lesions of a prediction with those of the reference, one to one.

    pred, ref: (slice, row, column) on one grid. A mask (bool, or 0 and 1) is cut into connected components (6, 18 or
    26 neighbours); a map with other numbers holds one lesion per number. `instances` forces either.
    criterion: who may be paired. "overlap": any shared voxel; "iou>0.1", "iou>0.5": strictly more than that;
    "centroid": the centre of the prediction lies in the lesion. Among those the pairing with the largest sum of IoU is
    taken. No lesions on both sides: everything is empty.
    """
    if criterion not in CRITERIA:
        raise WrongCall(f"criterion {criterion!r} is not known; needed: one of {', '.join(CRITERIA)}")
    one = lesions(pred, "the prediction", connectivity, instances)
    other = lesions(ref, "the reference", connectivity, instances)
    if one.shape != other.shape:
        raise WrongCall(f"the prediction has the shape {one.shape} and the reference {other.shape}; needed: the "
                        "same grid; resample one to the other and say so")  # fmt: skip
    shared, size_pred, size_ref = overlaps(one, other)
    iou = shared / np.maximum(size_pred[:, None] + size_ref[None, :] - shared, 1)
    may = _eligible(criterion, one, other, shared, iou)
    rows, columns = _assign(iou, may)
    pairs = tuple(
        Pair(int(p) + 1, int(r) + 1, float(iou[p, r]), float(2.0 * shared[p, r] / (size_pred[p] + size_ref[r])))
        for p, r in zip(rows, columns, strict=True)
    )
    touch = may | (shared > 0)
    return LesionMatch(
        pairs=pairs,
        missed=tuple(sorted(set(range(1, size_ref.size + 1)) - {pair.ref for pair in pairs})),
        false=tuple(sorted(set(range(1, size_pred.size + 1)) - {pair.pred for pair in pairs})),
        merged=_several(touch),
        split=_several(touch.T),
        pred_labels=one,
        ref_labels=other,
        pred_voxels=size_pred,
        ref_voxels=size_ref,
    )


def lesions(values: ArrayLike, name: str, connectivity: int, instances: bool | None) -> LabelMap:
    """Lesions numbered 1..n in the order in which they appear in the array."""
    from scipy import ndimage

    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 3:
        raise WrongCall(f"{name} has {array.ndim} axes; needed: three (slice, row, column)")
    if connectivity not in (6, 18, 26):
        raise WrongCall(f"connectivity {connectivity}; needed: 6, 18 or 26 neighbours")
    if array.dtype != np.bool_ and array.dtype.kind not in "iu":
        if not bool((array == np.rint(array)).all()):
            raise WrongCall(f"{name} holds fractions; needed: a mask, or whole numbers that name the lesions")
        array = np.rint(array).astype(np.int64)
    inside = array != 0
    numbered = np.zeros(array.shape, dtype=np.int32)
    box = bounding_box(inside)
    if box is None:
        return numbered
    part = array[box]
    if array.dtype != np.bool_ and int(part.min()) < 0:
        raise WrongCall(f"{name} holds the label {int(part.min())}; needed: 0 for nothing and 1 or more for lesions")
    if instances is None:
        instances = array.dtype != np.bool_ and int(part.max()) > 1
    if instances:
        present, first, inverse = np.unique(part, return_index=True, return_inverse=True)
        order = np.argsort(np.where(present == 0, -1, first), kind="stable")
        number = np.empty(present.size, dtype=np.int32)
        number[order] = np.arange(present.size) + (0 if present[order[0]] == 0 else 1)
        numbered[box] = number[inverse].reshape(part.shape)
        return numbered
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    ndimage.label(inside[box], structure=structure, output=numbered[box])
    return numbered


def overlaps(one: LabelMap, other: LabelMap) -> tuple[Ints, Ints, Ints]:
    """Shared voxels (prediction, reference) and the voxels of each, for maps numbered 1..n."""
    n_one, n_other = int(one.max(initial=0)), int(other.max(initial=0))
    where = np.flatnonzero((one != 0) | (other != 0))
    joint = one.ravel()[where].astype(np.int64) * (n_other + 1) + other.ravel()[where]
    table = np.bincount(joint, minlength=(n_one + 1) * (n_other + 1)).reshape(n_one + 1, n_other + 1)
    return table[1:, 1:], table[1:].sum(axis=1), table[:, 1:].sum(axis=0)


def _eligible(criterion: str, one: LabelMap, other: LabelMap, shared: Ints, iou: Floats) -> NDArray[np.bool_]:
    if criterion == "overlap":
        return shared > 0
    if criterion.startswith("iou>"):
        return iou > float(criterion[4:])
    from scipy import ndimage

    may = np.zeros(shared.shape, dtype=np.bool_)
    centres = ndimage.center_of_mass(one > 0, one, np.arange(1, shared.shape[0] + 1)) if shared.shape[0] else []
    for number, centre in enumerate(centres):
        found = int(other[tuple(int(np.rint(c)) for c in centre)])
        if found:
            may[number, found - 1] = True
    return may


def _assign(iou: Floats, may: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    from scipy.optimize import linear_sum_assignment

    if not may.any():
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    gain = np.where(may, iou + 1e-9, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    good = may[rows, columns]
    return rows[good], columns[good]


def _several(touch: NDArray[np.bool_]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple(
        (row + 1, tuple(int(c) + 1 for c in np.flatnonzero(line)))
        for row, line in enumerate(touch)
        if np.count_nonzero(line) > 1
    )
