"""Subgroups from a column: as they stand, or a number cut into bands."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall

MOST_NUMBERS = 12
"""Different numbers in a column from which bands are asked for."""
NOT_STATED = "not stated"


def banded(name: str, values: NDArray[Any], cuts: str = "") -> tuple[NDArray[Any], list[str]]:
    """A group per row, and what is to be said of it.

    cuts: "50,65" makes "under 50", "50 to under 65", "65 and over"; "" takes the values as they stand. What is empty
    or no number is "not stated". Raises WrongCall for cuts that do not rise, and for many numbers without cuts.
    """
    empty = np.isin(values, ("", "NA", "NaN", "nan"))
    numbers = np.array([_number(str(value)) for value in values])
    if not cuts:
        seen = np.unique(numbers[~empty])
        if seen.size > MOST_NUMBERS and np.isfinite(seen).all():
            raise WrongCall(f"the column {name!r} holds {seen.size} different numbers; needed: bands, for example "
                            f"{name}:{seen[seen.size // 3]:g},{seen[2 * seen.size // 3]:g}")  # fmt: skip
        return np.where(empty, NOT_STATED, values), []
    edges = np.array([_number(part) for part in cuts.split(",")])
    if not np.isfinite(edges).all() or (edges.size > 1 and not (np.diff(edges) > 0).all()):
        raise WrongCall(f"the bands {cuts!r} of {name!r}; needed: rising numbers, for example {name}:50,65")
    names = [f"under {edges[0]:g}", *(f"{a:g} to under {b:g}" for a, b in pairwise(edges)),
             f"{edges[-1]:g} and over"]  # fmt: skip
    unknown = ~np.isfinite(numbers)
    found = np.array(names, dtype=object)[np.digitize(np.where(unknown, edges[0], numbers), edges)]
    found[unknown] = NOT_STATED
    strange = int((unknown & ~empty).sum())
    note = [f"{strange} rows have no number in the column {name}; they stand as {NOT_STATED}."] if strange else []
    return found, note


def in_order(groups: NDArray[Any]) -> list[str]:
    """The groups' names: bands by their first number, words by the alphabet, "not stated" last."""

    def key(name: str) -> tuple[bool, int, float, str]:
        words = name.split() or [""]
        under = len(words) == 2 and words[0] == "under"
        number = _number(words[1] if under else words[0])
        word = not np.isfinite(number)
        return name == NOT_STATED, int(word), 0.0 if word else number - under * 1e-9, name

    return sorted({str(one) for one in groups}, key=key)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")
