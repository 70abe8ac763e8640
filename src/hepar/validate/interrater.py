"""Agreement of more than two raters on classes: Fleiss' kappa, Gwet's AC1, Krippendorff's alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Floats, Ints


def rating_table(ratings: ArrayLike) -> tuple[Ints, NDArray[Any]]:
    """How often each subject got each class (subjects x classes), and the classes in order. No rating may be missing.

    ratings: subjects x raters, any labels (numbers, text, bool).
    """
    array: NDArray[Any] = np.asarray(ratings)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise WrongCall(f"the ratings have the shape {array.shape}; needed: subjects x raters, two raters or more")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WrongCall("a rating is missing; needed: every rater's rating of every subject; leave the subject out")
    if array.dtype == object:
        if any(value is None or value != value for value in array.ravel()):
            raise WrongCall("a rating is missing; needed: every rater's rating of every subject; leave the subject out")
        array = array.astype(str)
    labels, code = np.unique(array, return_inverse=True)
    table = np.zeros((array.shape[0], labels.size), dtype=np.int64)
    np.add.at(table, (np.repeat(np.arange(array.shape[0]), array.shape[1]), code.ravel()), 1)
    return table, labels


def fleiss_kappa(ratings: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Fleiss' kappa: agreement beyond chance of any number of raters (1 = full).

    ratings: subjects x raters, any labels; none missing. All ratings equal: no value, since chance agrees as well.
    Interval: jackknife of the subjects on Fisher's z scale, Student's t; none at full agreement, and none where one
    subject alone holds the second class. It is too short where a class is rare: of 30 subjects with 18 % of the ratings
    in it, it holds the truth in about 0.90. Source: Fleiss 1971.
    """
    table, _ = rating_table(ratings)
    return _estimate(table, lambda share: (share * share).sum(axis=-1), level)


def gwet_ac1(ratings: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Gwet's AC1: agreement beyond chance that stays sensible when one class is rare.

    ratings and interval as in `fleiss_kappa`. One class only: no value, since the number of classes is unknown.
    Source: Gwet, Br J Math Stat Psychol 2008.
    """
    table, labels = rating_table(ratings)
    return _estimate(table, lambda share: (share * (1.0 - share)).sum(axis=-1) / max(labels.size - 1, 1), level)


def _estimate(table: Ints, chance: Callable[[Floats], Floats], level: float) -> Estimate:
    """Agreement beyond a chance that follows from the shares of the classes."""
    from scipy.special import stdtrit

    if table.shape[1] < 2:
        return Estimate.cannot_tell("all ratings are the same; agreement beyond chance cannot be told")
    n, raters = table.shape[0], int(table[0].sum())
    agree = (table * (table - 1)).sum(axis=1) / (raters * (raters - 1.0))

    def beyond(seen: Floats, share: Floats) -> Floats:
        by_chance = chance(share)
        return np.asarray((seen - by_chance) / (1.0 - by_chance))

    value = float(beyond(agree.mean(), table.mean(axis=0) / raters))
    rest = (table.sum(axis=0) - table) / (raters * max(n - 1.0, 1.0))
    if n < 2 or abs(value) >= 1.0 - 1e-12 or bool((rest.max(axis=1) >= 1.0).any()):
        return Estimate(value)
    without = beyond((agree.sum() - agree) / (n - 1.0), rest)
    error = float(np.sqrt((n - 1.0) / n * ((without - without.mean()) ** 2).sum()))
    half = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error / (1.0 - value**2)
    low, high = (float(np.tanh(np.arctanh(value) + sign * half)) for sign in (-1.0, 1.0))
    return Estimate(value, low, high, level, "jackknife of subjects, Fisher's z, t")


def krippendorff_alpha(ratings: ArrayLike, *, scale: str = "nominal") -> float:
    """Krippendorff's alpha for numbers, NaN for a missing rating. scale: "nominal", "ordinal" or "interval".

    ratings: subjects x raters. Raises WrongCall when no subject has two ratings or all ratings are equal.
    """
    array = np.asarray(ratings, dtype=np.float64)
    labels = np.unique(array[np.isfinite(array)])
    if scale not in ("nominal", "ordinal", "interval"):
        raise WrongCall(f"scale {scale!r} is not known; needed: nominal, ordinal or interval")
    table = np.stack([(array == value).sum(axis=1) for value in labels], axis=1).astype(np.float64)
    table = table[table.sum(axis=1) >= 2]
    if labels.size < 2 or not table.size:
        raise WrongCall("all ratings are equal or no subject has two; needed: two different ratings at least")
    weight = 1.0 / (table.sum(axis=1) - 1.0)
    together = (table * weight[:, None]).T @ table - np.diag((table * weight[:, None]).sum(axis=0))
    total = together.sum(axis=1)
    if scale == "nominal":
        distance = 1.0 - np.eye(labels.size)
    elif scale == "interval":
        distance = (labels[:, None] - labels[None, :]) ** 2
    else:
        rank = np.cumsum(total) - total / 2.0
        distance = (rank[:, None] - rank[None, :]) ** 2
    seen, expected = (together * distance).sum(), (np.outer(total, total) * distance).sum() / (total.sum() - 1.0)
    return float(1.0 - seen / expected)
