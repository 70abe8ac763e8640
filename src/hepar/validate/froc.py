"""Marks with a confidence on images: FROC, AFROC and the scores drawn from them.

One mark near a lesion is a hit (LL) with the lesion's number; any other mark is false (NL).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import placements_of, with_interval
from hepar.validate.inputs import Floats, Ints, numbers

LUNA_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False marks per image at which LUNA16 averages the sensitivity."""


@dataclass(frozen=True, eq=False)
class Marks:
    """One reader's or model's marks on a set of images.

    lesions: lesions per image (0 for none). lesion_scores: the best hit of every lesion, -inf where it has none.
    lesion_image: the image of each. false_scores, false_image: every false mark.
    """

    lesions: Ints
    lesion_scores: Floats
    lesion_image: Ints
    false_scores: Floats
    false_image: Ints


def marks(
    lesions: ArrayLike, hit_image: ArrayLike, hit_lesion: ArrayLike, hit_score: ArrayLike, false_image: ArrayLike,
    false_score: ArrayLike,
) -> Marks:  # fmt: skip
    """Gather marks. lesions: how many each image holds; images from 0, lesions of an image from 0. Several hits on one
    lesion count once, with the best score. Raises WrongCall for a hit on a lesion that is not there."""
    count = np.asarray(lesions, dtype=np.int64)
    image, lesion = np.asarray(hit_image, dtype=np.int64), np.asarray(hit_lesion, dtype=np.int64)
    false_at = np.asarray(false_image, dtype=np.int64)
    scores, false_scores = numbers(hit_score, "the scores of hits"), numbers(false_score, "the scores of false marks")
    if count.size == 0 or any(v.size and (v.min() < 0 or v.max() >= count.size) for v in (image, false_at)):
        raise WrongCall(f"a mark lies on an image that is not there; needed: images 0 to {count.size - 1}")
    if image.size and (lesion.min() < 0 or bool((lesion >= count[image]).any())):
        raise WrongCall("a hit names a lesion that its image does not hold; needed: lesions from 0, as many as counted")
    first = np.concatenate(([0], np.cumsum(count)))
    best = np.full(int(first[-1]), -np.inf)
    np.maximum.at(best, first[image] + lesion, scores)
    return Marks(count, best, np.repeat(np.arange(count.size), count), false_scores, false_at)


@dataclass(frozen=True, eq=False)
class FrocCurve:
    """False marks per image (x), sensitivity by lesion (y), and the threshold of each point."""

    false_per_image: Floats
    sensitivity: Floats
    thresholds: Floats

    def at(self, rate: float) -> float:
        """Sensitivity at this many false marks per image: the best threshold that stays within it, no interpolation."""
        return float(self.sensitivity[int(np.searchsorted(self.false_per_image, rate + 1e-12, "right")) - 1])


def froc_curve(of: Marks) -> FrocCurve:
    """Every threshold from above the highest score down. Raises WrongCall without any lesion."""
    if of.lesion_scores.size == 0:
        raise WrongCall("no image holds a lesion; needed: one at least, for a sensitivity")
    hits = np.sort(of.lesion_scores[np.isfinite(of.lesion_scores)])
    wrong = np.sort(of.false_scores)
    cuts = np.concatenate(([np.inf], np.unique(np.concatenate((hits, wrong)))[::-1]))
    found, false = hits.size - np.searchsorted(hits, cuts, "left"), wrong.size - np.searchsorted(wrong, cuts, "left")
    return FrocCurve(false / of.lesions.size, found / of.lesion_scores.size, cuts)


def luna_mean(of: Marks, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> Estimate:
    """Mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false marks per image; interval by drawing images."""
    value = _luna(of)
    if draws == 0 or of.lesions.size < 2:
        return Estimate(value)
    generator, seen = np.random.default_rng(seed), []
    for _ in range(draws):
        weight = np.bincount(generator.integers(0, of.lesions.size, of.lesions.size), minlength=of.lesions.size)
        if weight[of.lesion_image].sum():
            seen.append(_luna(of, weight))
    low, high = np.quantile(seen, ((1 - level) / 2, (1 + level) / 2))
    return Estimate(
        value, min(value, float(low)), max(value, float(high)), level, f"bootstrap of images, {draws} draws"
    )


def _luna(of: Marks, weight: Ints | None = None) -> float:
    if weight is not None:
        of = Marks(of.lesions, np.repeat(of.lesion_scores, weight[of.lesion_image]), of.lesion_image,
                   np.repeat(of.false_scores, weight[of.false_image]), of.false_image)  # fmt: skip
    curve = froc_curve(of)
    return float(np.mean([curve.at(rate) for rate in LUNA_RATES]))


def afroc(of: Marks, *, level: float = 0.95) -> Estimate:
    """Area under the AFROC curve: the chance that a lesion scores higher than the worst false mark of an image without
    lesions (unmarked counts as lowest, ties half). Interval by jackknife of images, Wald. Source: Chakraborty 2017."""
    healthy = of.lesions == 0
    if not healthy.any() or of.lesion_scores.size == 0:
        return Estimate.cannot_tell("AFROC needs images with and images without lesions")
    worst = _worst(of)
    area, by_lesion, by_image = placements_of(_ranks(of.lesion_scores), _ranks(worst[healthy]))
    per_image = np.bincount(of.lesion_image, weights=by_lesion, minlength=healthy.size)[~healthy]
    count = of.lesions[~healthy]
    without = (per_image.sum() - per_image) / np.maximum(count.sum() - count, 1)
    n, m = without.size, by_image.size
    if n < 2 or m < 2:
        return Estimate(area)
    variance = (n - 1) / n * float(((without - without.mean()) ** 2).sum()) + float(by_image.var(ddof=1)) / m
    return with_interval(area, variance, min(n, m), method="jackknife of images", level=level)


def highest_rating(of: Marks) -> tuple[NDArray[np.bool_], Floats]:
    """Truth and score per image for an ordinary ROC: any lesion, and the highest mark of any kind (-inf as a finite
    lowest value where there is none)."""
    best = _worst(of)
    np.maximum.at(best, of.lesion_image, of.lesion_scores)
    return of.lesions > 0, _ranks(best)


def _worst(of: Marks) -> Floats:
    worst = np.full(of.lesions.size, -np.inf)
    np.maximum.at(worst, of.false_image, of.false_scores)
    return worst


def _ranks(values: Floats) -> Floats:
    """-inf (no mark) as a finite value below all others; the others unchanged."""
    return np.where(np.isfinite(values), values, -np.finfo(np.float64).max)
