"""How sure a lesion is: a logistic curve over a few plain features, and the limits of the two operating points.

The numbers stand in weights/confidence.json and belong to the weights whose hashes it names: `benchmarks/calibrate.py`
makes that file from virtual patients (which ones, it says). Nothing real goes into it: on real scans the order is to be
trusted, not the figure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from hepar.record import Estimate, OperatingPoint, SizeRecall


@dataclass(frozen=True)
class Features:
    """What one candidate lesion looks like.

    score, peak: mean and highest probability of the network inside, in the phase where it is highest.
    volume_ml: on the native grid.
    separation: median difference to the liver around it in spreads of that liver, in the phase where it is largest,
        without sign. reference_separation: the same in the reference phase with its sign (dark is negative).
    roundness: radius of the largest inscribed ball against the ball of the same volume, 0 to 1.
    coarse: mean probability of the organ network (3 mm, reference phase) inside.
    on_surface: share of voxels within 2 mm of the liver's outline. fat: share of voxels below -10 HU.
    """

    score: float
    peak: float
    volume_ml: float
    separation: float
    reference_separation: float
    roundness: float
    on_surface: float
    fat: float
    coarse: float = 0.0

    def row(self) -> tuple[float, ...]:
        """The numbers the curve works on."""
        return (
            self.score,
            self.peak,
            float(np.log10(max(self.volume_ml, 1e-3))),
            min(self.separation, 4.0),
            min(max(self.reference_separation, 0.0), 4.0),
            min(max(-self.reference_separation, 0.0), 4.0),
            min(self.roundness, 0.75),
            self.on_surface,
            min(self.fat, 0.5),
            self.coarse,
        )


@dataclass(frozen=True)
class Curve:
    """coefficients: one per number of `Features.row`. limits: least confidence of each operating point."""

    coefficients: tuple[float, ...]
    intercept: float
    limits: dict[str, float]


def confidence(features: Features, curve: Curve) -> float:
    """Probability that the candidate is a lesion, rounded to three digits."""
    value = curve.intercept + sum(c * v for c, v in zip(curve.coefficients, features.row(), strict=True))
    return round(float(1 / (1 + np.exp(-value))), 3)


@cache
def shipped_curve(phases: int) -> Curve:
    """The curve in weights/confidence.json for scans with one phase, or with several."""
    return curve_of(confidence_file(), phases)


def curve_of(document: Mapping[str, Any], phases: int) -> Curve:
    """The curve of a confidence file for scans with one phase, or with several."""
    read = document["one_phase" if phases == 1 else "several_phases"]
    limits = {name: float(point["least_confidence"]) for name, point in read["operating_points"].items()}
    return Curve(tuple(read["coefficients"]), float(read["intercept"]), limits)


def operating_point(document: Mapping[str, Any], phases: int, name: str) -> OperatingPoint | None:
    """What an operating point found on the scans that it was fitted on: virtual patients, each judged by a curve made
    without it, or (`recalibrated`) scans of a site by the very curve and limit that were chosen on them.

    document: a confidence file; None where it holds no such figures. phases: of the scan in hand. Recall has Wilson's
    interval, false finds per scan Garwood's exact one for a count of independent events, both of 95 % coverage (the
    finds of one scan belong together, so they are narrow).
    Sources: Wilson 1927, J Am Stat Assoc 22:209; Garwood 1936, Biometrika 28:437.
    """
    point = document["one_phase" if phases == 1 else "several_phases"]["operating_points"][name]
    needed = {"scans", "false_per_scan", *(f"{what}_{key}" for what in ("found", "lesions") for key, _, _ in _SIZES)}
    if not needed <= set(point):
        return None
    scans, fitted_on = int(point["scans"]), str(document["fitted_on"])
    of_site = "recalibrated" in document["one_phase" if phases == 1 else "several_phases"]
    recall = tuple(
        SizeRecall(least, below, found, lesions, _wilson(found, lesions))
        for least, below, found, lesions in (
            (least, below, int(point[f"found_{key}"]), int(point[f"lesions_{key}"])) for key, least, below in _SIZES
        )
    )
    return OperatingPoint(
        name=name,
        least_confidence=float(point["least_confidence"]),
        phases="one" if phases == 1 else "several",
        scans=scans,
        false_per_scan=_garwood(round(float(point["false_per_scan"]) * scans), scans),
        recall=recall,
        fitted_on=fitted_on,
        virtual="virtual" in fitted_on and not of_site,
    )


_SIZES = (("under_10_mm", None, 10.0), ("10_to_20_mm", 10.0, 20.0), ("over_20_mm", 20.0, None))
_LEVEL, _Z = 0.95, 1.959963984540054


def _wilson(found: int, lesions: int) -> Estimate:
    if not lesions:
        return Estimate.cannot_tell("no lesion of this size was among them")
    share, square = found / lesions, _Z**2 / lesions
    middle = (share + square / 2) / (1 + square)
    half = _Z * float(np.sqrt(share * (1 - share) / lesions + square / (4 * lesions))) / (1 + square)
    return Estimate(share, max(middle - half, 0.0), min(middle + half, 1.0), _LEVEL, "Wilson")


def _garwood(events: int, scans: int) -> Estimate:
    from scipy.stats import chi2

    if not scans:
        return Estimate.cannot_tell("no scan was judged")
    tail = (1 - _LEVEL) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    high = float(chi2.ppf(1 - tail, 2 * events + 2)) / 2
    return Estimate(events / scans, low / scans, high / scans, _LEVEL, "Poisson, exact (Garwood)")


def confidence_file() -> dict[str, Any]:
    """weights/confidence.json: curves, operating points with what to expect of each, and what it was fitted on."""
    read: dict[str, Any] = json.loads(_bytes())
    return read


def confidence_sha256() -> str:
    """Hash of that file, since it decides what is shown."""
    return hashlib.sha256(_bytes()).hexdigest()


def _bytes() -> bytes:
    return (resources.files("hepar.segment") / "weights" / "confidence.json").read_bytes()
