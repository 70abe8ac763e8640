"""Judge an exported region network on fixed simulated patches that no training draws, and on labelled CTs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import EITHER_VEIN, PHASE_SLOTS, REGION_CLASS_NAMES
from hepar.learn.evaluate import EVALUATION_SEED, compiled, dice_of
from hepar.learn.recipe import Recipe
from hepar.learn.region import RegionAtlas, stored_atlas
from hepar.learn.region_sample import RegionSample, make_region_sample
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM

RegionRun = Callable[[NDArray[np.float16]], NDArray[np.float32]]
"""One patch [4, slice, row, column], sides multiples of 16 -> class probabilities [5, slice, row, column]."""

SHAPE: Final = (96, 112, 112)
STRATA: Final = ((0.0, 10.0), (10.0, 20.0), (20.0, 1e3))
"""Diameter in mm of the ball of a lesion's volume."""
_VOXEL_ML = REGION_SPACING_MM**3 / 1000
_LEAST_ML = 0.03
_FOUND_SHARE = 0.2


@dataclass(frozen=True)
class RegionScore:
    """One patch or scan. vein_dice: None without labelled veins; lesions, found: per stratum; false: components."""

    case: str
    phases: int
    liver_dice: float | None
    vein_dice: float | None
    lesion_dice: float | None
    lesions: tuple[int, int, int]
    found: tuple[int, int, int]
    false: int


def region_cases(recipe: Recipe, count: int, keep: Path) -> Iterator[RegionSample]:
    """Patches of new domes, new trees and new virtual patients; half of them with the portal venous phase alone."""
    if count < 1:
        return
    sources = [replace(s, variants=3) for s in recipe.sources if s.kind in ("totalseg", "virtual")]
    pools: list[list[RegionAtlas]] = [[stored_atlas(s, EVALUATION_SEED + v, keep) for v in range(3)] for s in sources]
    number = made = 0
    while made < count:
        number += 1
        pool = pools[number % len(pools)]
        rng = np.random.default_rng([EVALUATION_SEED, 2, number])
        phases = [3] if number // 2 % 2 else [0, 2, 3, 4]
        sample = make_region_sample(pool[number // len(pools) % len(pool)], SHAPE, rng, phases=phases)
        if (sample.target == 1).sum() * _VOXEL_ML > 300:
            made += 1
            yield sample


def judge(name: str, p: NDArray[np.float32], sample: RegionSample, *, threshold: float = 0.5) -> RegionScore:
    """Compare class probabilities [5, ...] with one patch or scan. Voxels of unknown class count for nothing.

    A found lesion: a fifth of it is covered. A false one: a component from 0.03 ml that touches none.
    """
    from scipy import ndimage

    target = sample.target
    known = target <= EITHER_VEIN
    lesion = target == 2
    guess = (p[2] > threshold) & known
    truth, count = ndimage.label(lesion)
    sizes = np.bincount(truth.ravel(), minlength=count + 1)
    hit = np.bincount(truth[guess], minlength=count + 1)
    totals, found = [0, 0, 0], [0, 0, 0]
    for k in range(1, count + 1):
        ml = sizes[k] * _VOXEL_ML
        if ml < _LEAST_ML:
            continue
        across = (6 * ml * 1000 / np.pi) ** (1 / 3)
        stratum = next(i for i, (low, high) in enumerate(STRATA) if low <= across < high)
        totals[stratum] += 1
        found[stratum] += int(hit[k] >= _FOUND_SHARE * sizes[k])
    parts, number = ndimage.label(guess)
    wide = ndimage.binary_dilation(lesion, iterations=2)
    volume = np.bincount(parts.ravel(), minlength=number + 1)
    touched = np.bincount(parts[wide], minlength=number + 1) > 0
    false = int(((volume[1:] * _VOXEL_ML >= _LEAST_ML) & ~touched[1:]).sum())
    vein = (target == 3) | (target == 4) | (target == EITHER_VEIN)
    return RegionScore(
        name,
        len(sample.phases),
        dice_of((p[0] < 0.5) & known, (target > 0) & known),
        dice_of((p[3] + p[4] > 0.5) & known, vein),
        dice_of(guess, lesion),
        (totals[0], totals[1], totals[2]),
        (found[0], found[1], found[2]),
        false,
    )


def open_region(path: Path, *, threads: int = 2) -> RegionRun:
    """An exported network of stage region. Raises WrongCall for any other file."""
    classes = len(REGION_CLASS_NAMES)
    model = compiled(path, channels=len(PHASE_SLOTS), classes=classes, spacing_mm=REGION_SPACING_MM, threads=threads)

    def run(image: NDArray[np.float16]) -> NDArray[np.float32]:
        logits = model(image[None].astype(np.float32))[0][0]
        logits = np.exp(logits - logits.max(0))
        out: NDArray[np.float32] = logits / logits.sum(0)
        return out

    return run


def summary(scores: list[RegionScore]) -> dict[str, Any]:
    """Means, and recall per stratum as "found/all"."""

    def mean(values: list[float | None]) -> float | None:
        known = [v for v in values if v is not None]
        return round(float(np.mean(known)), 4) if known else None

    out: dict[str, Any] = {}
    for name, chosen in (
        ("portal venous", [s for s in scores if s.phases == 1]),
        ("four phases", [s for s in scores if s.phases > 1]),
    ):
        strata = [f"{sum(s.found[i] for s in chosen)}/{sum(s.lesions[i] for s in chosen)}" for i in range(3)]
        out[name] = {
            "patches": len(chosen),
            "liver_dice": mean([s.liver_dice for s in chosen]),
            "vein_dice": mean([s.vein_dice for s in chosen]),
            "lesion_dice": mean([s.lesion_dice for s in chosen]),
            "found_under_10_mm": strata[0],
            "found_10_to_20_mm": strata[1],
            "found_over_20_mm": strata[2],
            "false_per_patch": round(sum(s.false for s in chosen) / max(len(chosen), 1), 2),
        }
    return out
