"""Marks with a confidence on images: FROC, AFROC and the scores drawn from them.

One mark near a lesion is a hit (LL) with the lesion's number; any other mark is false (NL).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bootstrap import ALL_ALIKE, draw_weights
from hepar.validate.discrimination import placements_of, with_interval
from hepar.validate.inputs import Floats, Ints, numbers
from hepar.validate.proportion import proportion

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
        return float(self.sensitivity[self._within(rate)])

    def threshold(self, rate: float) -> float:
        """The lowest score shown at this many false marks per image; inf where even the best mark is one too many."""
        return float(self.thresholds[self._within(rate)])

    def _within(self, rate: float) -> int:
        return int(np.searchsorted(self.false_per_image, rate + 1e-12, "right")) - 1


def froc_curve(of: Marks) -> FrocCurve:
    """Every threshold from above the highest score down. Raises WrongCall without any lesion."""
    if of.lesion_scores.size == 0:
        raise WrongCall("no image holds a lesion; needed: one at least, for a sensitivity")
    hits = np.sort(of.lesion_scores[np.isfinite(of.lesion_scores)])
    wrong = np.sort(of.false_scores)
    cuts = np.concatenate(([np.inf], np.unique(np.concatenate((hits, wrong)))[::-1]))
    found, false = hits.size - np.searchsorted(hits, cuts, "left"), wrong.size - np.searchsorted(wrong, cuts, "left")
    return FrocCurve(false / of.lesions.size, found / of.lesion_scores.size, cuts)


@dataclass(frozen=True)
class FrocSummary:
    """Sensitivity at each rate of false marks per image, and the mean of those (LUNA16's, at its seven rates)."""

    rates: tuple[float, ...]
    sensitivity: tuple[Estimate, ...]
    mean: Estimate


def froc_summary(
    of: Marks, *, rates: tuple[float, ...] = LUNA_RATES, patients: ArrayLike | None = None, draws: int = 1000,
    seed: int = 0, level: float = 0.95,
) -> FrocSummary:  # fmt: skip
    """Sensitivities at given rates, with percentile intervals from drawing patients.

    patients: who each image belongs to; None takes every image as a patient. Raises WrongCall without any lesion.
    """
    curve = froc_curve(of)
    values = np.array([curve.at(rate) for rate in rates])
    names = np.arange(of.lesions.size) if patients is None else np.asarray(patients)
    _, code = np.unique(names, return_inverse=True)
    n, method = int(code.max()) + 1, f"bootstrap of patients, {draws} draws"
    seen = [_drawn(of, code, curve.thresholds, rates, block) for block in draw_weights(n, draws, seed)] if n > 1 else []
    if not seen or draws == 0:
        plain = tuple(Estimate(float(v)) for v in values)
        return FrocSummary(rates, plain, Estimate(float(values.mean())))
    table = np.concatenate(seen)

    def estimate(value: float, line: Floats) -> Estimate:
        low, high = np.quantile(line, ((1 - level) / 2, (1 + level) / 2))
        if low < high:
            return Estimate(value, min(value, float(low)), max(value, float(high)), level, method)
        if value not in (0.0, 1.0):
            return Estimate(value)
        # all alike: drawing tells nothing, see `of_share`
        n = np.unique(code[of.lesion_image]).size
        found = proportion(n if value == 1.0 else 0, n, level=level)
        return Estimate(value, found.low, found.high, level, ALL_ALIKE)

    each = tuple(estimate(float(v), line) for v, line in zip(values, table.T, strict=True))
    return FrocSummary(rates, each, estimate(float(values.mean()), table.mean(axis=1)))


def _drawn(of: Marks, code: Ints, cuts: Floats, rates: tuple[float, ...], weights: Floats) -> Floats:
    """Sensitivity (draw, rate) for patients drawn `weights` (draw, patient) times; draws without lesions left out."""
    n = weights.shape[1]

    def at_least(scores: Floats, image: Ints) -> Floats:
        """Marks of each patient that reach each cut (patient, cut)."""
        marked = np.isfinite(scores)
        place = np.searchsorted(-cuts, -scores[marked], "left")
        flat = code[image[marked]] * cuts.size + place
        return np.bincount(flat, minlength=n * cuts.size).reshape(n, cuts.size).cumsum(axis=1).astype(np.float64)

    holds = np.bincount(code, weights=of.lesions, minlength=n)
    weights = weights[weights @ holds > 0]
    found = weights @ at_least(of.lesion_scores, of.lesion_image) / (weights @ holds)[:, None]
    images = weights @ np.bincount(code, minlength=n).astype(np.float64)
    false = weights @ at_least(of.false_scores, of.false_image) / images[:, None]
    last = [np.count_nonzero(false <= rate + 1e-12, axis=1) - 1 for rate in rates]
    return np.stack([found[np.arange(found.shape[0]), one] for one in last], axis=1)


def luna_mean(
    of: Marks, *, patients: ArrayLike | None = None, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false marks per image; interval by drawing patients."""
    return froc_summary(of, patients=patients, draws=draws, seed=seed, level=level).mean


def afroc(of: Marks, *, patients: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Area under the AFROC curve: the chance that a lesion scores higher than the worst false mark of an image without
    lesions (unmarked counts as lowest, ties half). Interval by jackknife, Wald: of images, lesions and healthy apart;
    with `patients`, of patients. Source: Chakraborty 2017."""
    healthy = of.lesions == 0
    if not healthy.any() or of.lesion_scores.size == 0:
        return Estimate.cannot_tell("AFROC needs images with and images without lesions")
    worst = _worst(of)
    area, by_lesion, by_image = placements_of(_ranks(of.lesion_scores), _ranks(worst[healthy]))
    if patients is not None:
        return _afroc_of_patients(of, np.asarray(patients), area, level)
    per_image = np.bincount(of.lesion_image, weights=by_lesion, minlength=healthy.size)[~healthy]
    count = of.lesions[~healthy]
    without = (per_image.sum() - per_image) / np.maximum(count.sum() - count, 1)
    n, m = without.size, by_image.size
    if n < 2 or m < 2:
        return Estimate(area)
    variance = (n - 1) / n * float(((without - without.mean()) ** 2).sum()) + float(by_image.var(ddof=1)) / m
    return with_interval(area, variance, min(n, m), method="jackknife of images", level=level)


def _afroc_of_patients(of: Marks, patients: NDArray[Any], area: float, level: float) -> Estimate:
    """Each patient left out in turn; no interval where one of them holds all lesions or all healthy images."""
    names, code = np.unique(patients, return_inverse=True)
    worst, healthy, left = _worst(of), of.lesions == 0, []
    for number in range(names.size):
        lesions, images = code[of.lesion_image] != number, healthy & (code != number)
        if not lesions.any() or not images.any():
            return Estimate(area)
        left.append(placements_of(_ranks(of.lesion_scores[lesions]), _ranks(worst[images]))[0])
    spread = np.array(left) - np.mean(left)
    n = names.size
    return with_interval(area, (n - 1) / n * float((spread**2).sum()), n, method="jackknife of patients", level=level)


@dataclass(frozen=True, eq=False)
class AfrocCurve:
    """Share of healthy images with a false mark (x), sensitivity by lesion (y), and the threshold of each point."""

    false_share: Floats
    sensitivity: Floats
    thresholds: Floats


def afroc_curve(of: Marks) -> AfrocCurve:
    """Every threshold from above the highest score down. Raises WrongCall without lesions or without healthy images."""
    worst = _worst(of)[of.lesions == 0]
    if worst.size == 0:
        raise WrongCall("every image holds a lesion; needed: one at least without, for false marks on healthy images")
    froc = froc_curve(of)
    ordered = np.sort(worst)
    reached = worst.size - np.searchsorted(ordered, froc.thresholds, "left")
    return AfrocCurve(reached / worst.size, froc.sensitivity, froc.thresholds)


def only_lesions(of: Marks, keep: NDArray[np.bool_]) -> Marks:
    """The same images and false marks with some of the lesions: a stratum. keep: one per lesion."""
    image = of.lesion_image[keep]
    return Marks(np.bincount(image, minlength=of.lesions.size), of.lesion_scores[keep], image, of.false_scores,
                 of.false_image)  # fmt: skip


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
