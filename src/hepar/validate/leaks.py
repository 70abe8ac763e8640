"""Leaks between splits: the same patient or study, or an image that is nearly another's, on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import Refused
from hepar.validate.inputs import same_length
from hepar.validate.likeness import Signature, likeness, signature

__all__ = ["SAME", "Pair", "Signature", "near_duplicates", "refuse_shared", "shared", "signature"]


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


SAME = 0.7
"""Likeness from which two images are taken as the same scan. Measured: the same scan rescaled, windowed, mirrored,
cropped and noisy at once 0.79 to 0.97, different patients' scans up to 0.17; virtual patients of the simulator, who
share a torso, up to 0.8."""


@dataclass(frozen=True)
class Pair:
    """Two images, by their places in the list, and how alike they are."""

    first: int
    second: int
    likeness: float


def near_duplicates(
    images: Sequence[ArrayLike | Signature], *, groups: Sequence[str] | None = None, same: float = SAME,
    progress: Callable[[float], None] | None = None,
) -> tuple[Pair, ...]:  # fmt: skip
    """Pairs of images that are the same scan, though rescaled, windowed, mirrored, cropped by up to a tenth on each
    side or noisy; the most alike first.

    images: arrays (slice, row, column) or (row, column), any units, or their `signature`. groups: one per image (its
    split); then only pairs of different groups are compared. same: likeness from which a pair counts. progress: gets
    the share done. Two phases of one examination count as the same. Raises WrongCall for an image without content.
    """
    if groups is not None:
        same_length(len(images), len(groups), "the images", "the groups")
    signed = [one if isinstance(one, Signature) else signature(one) for one in images]
    wanted = [(i, j) for i, j in combinations(range(len(signed)), 2) if groups is None or groups[i] != groups[j]]
    found = []
    for done, (i, j) in enumerate(wanted, 1):
        value = likeness(signed[i], signed[j])
        if value >= same:
            found.append(Pair(i, j, value))
        if progress is not None:
            progress(done / len(wanted))
    return tuple(sorted(found, key=lambda pair: (-pair.likeness, pair.first, pair.second)))
