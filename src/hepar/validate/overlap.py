"""How much of two masks is shared, and how their volumes differ.

The empty case, stated once for the whole folder: two empty masks agree perfectly (Dice, Jaccard, NSD 1; VOE, every
distance and the volume error 0), since "no lesion" was right. One empty mask against one that is not: Dice, Jaccard
and NSD 0, VOE 1; distances and, where its divisor is empty, RVD have no value and say why. Nothing is ever infinite.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools


@dataclass(frozen=True)
class Counts:
    """Voxels of the prediction, of the reference and of both."""

    pred: int
    ref: int
    both: int

    @property
    def dice(self) -> float:
        """2 both / (pred + ref); 1 for two empty masks."""
        total = self.pred + self.ref
        return 2.0 * self.both / total if total else 1.0

    @property
    def jaccard(self) -> float:
        """both / either; 1 for two empty masks."""
        union = self.pred + self.ref - self.both
        return self.both / union if union else 1.0

    @property
    def voe(self) -> float:
        """Volumetric overlap error, 1 - Jaccard."""
        return 1.0 - self.jaccard

    @property
    def rvd_over_ref(self) -> Estimate:
        """(V_pred - V_ref) / V_ref: the relative volume difference of the LiTS paper; positive means too large."""
        return _ratio(self.pred - self.ref, self.ref, "the reference is empty")

    @property
    def rvd_over_pred(self) -> Estimate:
        """(V_ref - V_pred) / V_pred: what the LiTS scorer computes (medpy's `ravd` with its arguments exchanged)."""
        return _ratio(self.ref - self.pred, self.pred, "the prediction is empty")


def _ratio(difference: int, divisor: int, why: str) -> Estimate:
    if divisor == 0:
        return Estimate(0.0) if difference == 0 else Estimate.cannot_tell(why)
    return Estimate(difference / divisor)


def masks(pred: ArrayLike, ref: ArrayLike) -> tuple[Bools, Bools]:
    """Both as bool. Raises WrongCall for different shapes, and for values other than 0 and 1."""
    return _mask(pred, "the prediction"), _same_shape(_mask(ref, "the reference"), pred)


def _same_shape(ref: Bools, pred: ArrayLike) -> Bools:
    if np.shape(pred) != ref.shape:
        raise WrongCall(f"the prediction has the shape {np.shape(pred)} and the reference {ref.shape}; needed: the "
                        "same grid; resample one to the other and say so")  # fmt: skip
    return ref


def _mask(values: ArrayLike, name: str) -> Bools:
    array: NDArray[Any] = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    if array.size and not bool(((array == 0) | (array == 1)).all()):
        raise WrongCall(f"{name} holds values other than 0 and 1; needed: one mask; choose the label first")
    return array.astype(np.bool_)


def counts(pred: ArrayLike, ref: ArrayLike) -> Counts:
    """Voxel counts of two masks on one grid."""
    one, other = masks(pred, ref)
    return Counts(int(np.count_nonzero(one)), int(np.count_nonzero(other)), int(np.count_nonzero(one & other)))


def dice(pred: ArrayLike, ref: ArrayLike) -> float:
    """Dice's coefficient, 2 |A and B| / (|A| + |B|); 1.0 for two empty masks. Bool or 0/1 on one grid, any axes."""
    return counts(pred, ref).dice


def pooled(cases: Iterable[Counts]) -> Counts:
    """The counts of all cases together: their `dice` is the global Dice of LiTS."""
    pred = ref = both = 0
    for one in cases:
        pred, ref, both = pred + one.pred, ref + one.ref, both + one.both
    return Counts(pred, ref, both)
