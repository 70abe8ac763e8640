"""Two region networks on the same fixed simulated patches: the difference of each figure, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.learn.recipe import Recipe
from hepar.learn.region_evaluate import RegionScore, judge, open_region, region_cases
from hepar.record import Estimate
from hepar.validate.bootstrap import of_sums

Sums = NDArray[np.floating[Any]]


def score_networks(recipe: Recipe, networks: Sequence[Path], count: int, keep: Path) -> list[list[RegionScore]]:
    """The scores of every network on the same patches, one list per network.

    Raises WrongCall for a file that is no network of stage region, before any patch is made.
    """
    runs = [open_region(path) for path in networks]
    scores: list[list[RegionScore]] = [[] for _ in networks]
    for number, sample in enumerate(region_cases(recipe, count, keep), 1):
        for run, mine in zip(runs, scores, strict=True):
            mine.append(judge(f"{sample.atlas}-{number}", run(sample.image), sample))
    return scores


def differences(one: Sequence[RegionScore], other: Sequence[RegionScore]) -> dict[str, Estimate]:
    """Every figure of `one` minus that of `other`, patches drawn together (2,000 bootstrap draws, seed 0).

    recall_*: share of lesions found per stratum. false_per_patch: fewer is better. A figure without any case cannot
    be told.
    """
    rows = [(_row(a), _row(b)) for a, b in zip(one, other, strict=True)]
    table = np.array([[*a, *b] for a, b in rows], dtype=np.float64)
    width = len(rows[0][0]) if rows else 0

    def difference(top: int, bottom: int) -> Callable[[Sums], Sums]:
        return lambda s: np.asarray(s[..., top] / s[..., bottom] - s[..., width + top] / s[..., width + bottom])

    figures = {"liver_dice": (0, 1), "vein_dice": (2, 3), "recall_under_10_mm": (4, 7), "recall_10_to_20_mm": (5, 8),
               "recall_over_20_mm": (6, 9), "false_per_patch": (10, 11)}  # fmt: skip
    return {
        name: of_sums(table, difference(top, bottom), why_none="no such case in these patches")
        for name, (top, bottom) in figures.items()
    }


def _row(score: RegionScore) -> list[float]:
    """Sums that the figures are ratios of: (value, count) of both Dices, found and all per stratum, false, patches."""
    out: list[float] = []
    for value in (score.liver_dice, score.vein_dice):
        out += [value or 0.0, float(value is not None)]
    return [*out, *map(float, score.found), *map(float, score.lesions), float(score.false), 1.0]


def as_document(found: dict[str, Estimate]) -> dict[str, Any]:
    """Each difference as an object."""
    return {
        name: {"estimate": e.estimate, "low": e.low, "high": e.high, "level": e.level, "method": e.method}
        for name, e in found.items()
    }
