"""More than two classes: the confusion table, each class against the rest, and their plain mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import auc, placements_of, with_interval
from hepar.validate.inputs import Ints
from hepar.validate.thresholds import TwoByTwo


@dataclass(frozen=True, eq=False)
class Confusion:
    """counts: truth (row) by prediction (column), in the order of `labels`."""

    labels: tuple[Any, ...]
    counts: Ints

    def against_rest(self, label: Any) -> TwoByTwo:
        """The two-by-two table of one class against all others."""
        i = self.labels.index(label)
        tp, row, column = int(self.counts[i, i]), int(self.counts[i].sum()), int(self.counts[:, i].sum())
        return TwoByTwo(tp, column - tp, row - tp, int(self.counts.sum()) - row - column + tp)

    @property
    def accuracy(self) -> float:
        """Share on the diagonal."""
        return float(np.trace(self.counts) / self.counts.sum())

    @property
    def macro_f1(self) -> float | None:
        """Mean of the classes' F1; None where a class is neither there nor predicted."""
        values = [self.against_rest(label).f1 for label in self.labels]
        return None if any(v is None for v in values) else float(np.mean([v for v in values if v is not None]))

    @property
    def macro_recall(self) -> float | None:
        """Mean of the classes' sensitivities (balanced accuracy)."""
        values = [self.against_rest(label).sensitivity.estimate for label in self.labels]
        return None if any(v is None for v in values) else float(np.mean([v for v in values if v is not None]))


def confusion(truth: ArrayLike, predicted: ArrayLike) -> Confusion:
    """Count every pair of true and predicted class; classes are sorted."""
    one: NDArray[Any] = np.asarray(truth)
    other: NDArray[Any] = np.asarray(predicted)
    if one.shape != other.shape or one.ndim != 1 or one.size == 0:
        raise WrongCall(
            f"the truth has the shape {one.shape}, the prediction {other.shape}; needed: one class per case"
        )
    labels, code = np.unique(np.concatenate((one, other)), return_inverse=True)
    n = labels.size
    joint = np.bincount(code[: one.size] * n + code[one.size :], minlength=n * n)
    return Confusion(tuple(labels.tolist()), joint.reshape(n, n))


def auc_one_against_rest(truth: ArrayLike, scores: ArrayLike, labels: ArrayLike) -> dict[Any, Estimate]:
    """The AUC of each class against the others. scores: cases x classes, in the order of `labels`."""
    classes: NDArray[Any] = np.asarray(truth)
    table, names = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if table.shape != (classes.size, names.size):
        raise WrongCall(f"the scores have the shape {table.shape}; needed: {classes.size} cases x {names.size} classes")
    return {name: auc(classes == name, table[:, i]) for i, name in enumerate(names.tolist())}


def hand_till(truth: ArrayLike, scores: ArrayLike, labels: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Hand and Till's AUC of several classes (2001), as pROC's multiclass.roc: the mean over every pair of classes,
    each class's own score telling it from the other. 0.5 is blind; how frequent a class is does not matter.

    scores: cases x classes, in the order of `labels`. Interval: as DeLong's, on the logit scale. A label without a
    case: no number. Raises WrongCall for a class that has no column.
    """
    classes: NDArray[Any] = np.asarray(truth)
    table, names = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if table.shape != (classes.size, names.size) or names.size < 2 or not np.isfinite(table).all():
        raise WrongCall(f"the scores have the shape {table.shape} or a gap; needed: {classes.size} cases x "
                        f"{names.size} classes, two at least")  # fmt: skip
    if not np.isin(classes, names).all():
        raise WrongCall(f"the truth holds {classes[~np.isin(classes, names)][0]}, which has no column of scores")
    own = [classes == name for name in names]
    if not all(who.any() for who in own):
        return Estimate.cannot_tell("a class has no case; an AUC of all classes needs cases of each")
    n = names.size
    areas, pull = [], np.zeros(classes.size)
    for i in range(n):
        for j in range(n):
            if i != j:
                area, by_pos, by_neg = placements_of(table[own[i], i], table[own[j], i])
                areas.append(area)
                pull[own[i]] += (by_pos - area) / (n * (n - 1))
                pull[own[j]] += (by_neg - area) / (n * (n - 1))
    smallest = min(int(who.sum()) for who in own)
    variance = sum(float(pull[who].var(ddof=1)) / int(who.sum()) for who in own) if smallest > 1 else float("nan")
    return with_interval(float(np.mean(areas)), variance, smallest, method="logit-delong", level=level)
