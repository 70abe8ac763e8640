"""What every measure asks of its arrays, and the sentence when it is not so."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]


def numbers(values: ArrayLike, name: str) -> Floats:
    """One finite number per case, float64. Raises WrongCall for another shape, text, NaN or infinity."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise WrongCall(f"{name} holds something that is no number; needed: one number per case") from error
    if array.ndim != 1:
        raise WrongCall(f"{name} has the shape {array.shape}; needed: one number per case, a single row")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise WrongCall(f"{name} holds {bad} of {array.size} values that are missing or infinite; leave those cases "
                        "out and say so, or complete them")  # fmt: skip
    return array


def classes(truth: ArrayLike) -> Bools:
    """True for the positive cases. Raises WrongCall for anything but two-valued truth (bool, or 0 and 1)."""
    array: NDArray[Any] = np.asarray(truth)
    if array.ndim != 1:
        raise WrongCall(f"the truth has the shape {array.shape}; needed: one value per case, a single row")
    if array.dtype == np.bool_:
        return array
    values = numbers(array, "the truth")
    if not np.isin(values, (0.0, 1.0)).all():
        other = values[~np.isin(values, (0.0, 1.0))][0]
        raise WrongCall(f"the truth holds {other:g}; needed: 0 or 1, or false or true; say which class is positive")
    positive: Bools = values == 1.0
    return positive


def paired(truth: ArrayLike, score: ArrayLike, name: str = "the score") -> tuple[Bools, Floats]:
    """Truth and one number per case. Raises WrongCall for lengths that differ or no case at all."""
    positive, values = classes(truth), numbers(score, name)
    same_length(positive.size, values.size, "the truth", name)
    return positive, values


def risks(truth: ArrayLike, risk: ArrayLike) -> tuple[Bools, Floats]:
    """Truth and a probability per case. Raises WrongCall for a value outside 0 to 1."""
    positive, values = paired(truth, risk, "the risk")
    if values.min() < 0.0 or values.max() > 1.0:
        raise WrongCall(f"the risk runs from {values.min():g} to {values.max():g}; needed: probabilities, 0 to 1; "
                        "recalibrate a score before it is read as a risk")  # fmt: skip
    return positive, values


def same_length(one: int, other: int, one_name: str, other_name: str) -> None:
    """Raises WrongCall for two lists of different length, or none."""
    if one != other:
        raise WrongCall(f"{one_name} has {one} cases and {other_name} has {other}; needed: one value per case in both, "
                        "in the same order")  # fmt: skip
    if one == 0:
        raise WrongCall("there is no case; needed: at least one")


def quantile(level: float) -> float:
    """Two-sided normal quantile of a level, 1.96 for 0.95."""
    from scipy.special import ndtri

    if not 0.0 < level < 1.0:
        raise WrongCall(f"the level is {level:g}; needed: between 0 and 1, for example 0.95")
    return float(ndtri(0.5 + level / 2.0))


def two_sided(z: float) -> float:
    """p of a normal deviate, both sides."""
    from scipy.special import erfc

    return float(erfc(abs(z) / np.sqrt(2.0)))
