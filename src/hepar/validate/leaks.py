"""Leaks between splits: the same patient or study, or an image that is nearly another's, on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import Refused
from hepar.validate.inputs import same_length


def shared(names: ArrayLike, splits: ArrayLike) -> tuple[int, int]:
    """How many names stand in more than one split, and how many there are. A row without name or split is skipped."""
    who: NDArray[Any] = np.asarray(names, dtype=object)
    part: NDArray[Any] = np.asarray(splits, dtype=object)
    same_length(who.size, part.size, "the names", "the splits")
    seen: dict[str, set[str]] = {}
    for name, split in zip(who, part, strict=True):
        if str(name) and str(split):
            seen.setdefault(str(name), set()).add(str(split))
    return sum(len(parts) > 1 for parts in seen.values()), len(seen)


def refuse_shared(names: ArrayLike, splits: ArrayLike, what: str) -> None:
    """Raise Refused when a name stands in two splits. what: "patients" or "studies"."""
    both, all_of_them = shared(names, splits)
    if both:
        one = "patient" if what == "patients" else "study"
        raise Refused(f"{both} of {all_of_them} {what} stand in more than one split, so the splits are not independent;"
                      f" a measure on them would flatter the model; put each {one} in one split only")  # fmt: skip
