"""How sure a lesion is: a logistic curve over a few plain features, and the limits of the two operating points.

The numbers stand in weights/confidence.json and belong to the weights whose hashes it names: `hepar learn calibrate`
makes that file from virtual patients (which ones, it says). Nothing real goes into it: on real scans the order is to be
trusted, not the figure.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Features:
    """What one candidate lesion looks like.

    score, peak: mean and highest probability of the network inside, in the phase where it is highest.
    volume_ml: on the native grid.
    separation: median difference to the liver around it in spreads of that liver, in the phase where it is largest,
        without sign. reference_separation: the same in the reference phase with its sign (dark is negative).
    roundness: radius of the largest inscribed ball against the ball of the same volume, 0 to 1.
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
        )


@dataclass(frozen=True)
class Curve:
    """coefficients: one per number of `Features.row`.

    limits: least confidence of each operating point, with several phases and with one.
    """

    coefficients: tuple[float, ...]
    intercept: float
    limits: dict[str, tuple[float, float]]

    def limit(self, point: str, phases: int) -> float:
        """The least confidence of a lesion that is shown."""
        return self.limits[point][0 if phases > 1 else 1]


def confidence(features: Features, curve: Curve | None = None) -> float:
    """Probability that the candidate is a lesion, rounded to three digits; by the curve that ships, unless given."""
    used = curve or shipped_curve()
    value = used.intercept + sum(c * v for c, v in zip(used.coefficients, features.row(), strict=True))
    return round(float(1 / (1 + np.exp(-value))), 3)


@cache
def shipped_curve() -> Curve:
    """The curve in weights/confidence.json."""
    read = confidence_file()
    limits = {
        name: (float(p["several_phases"]["least_confidence"]), float(p["one_phase"]["least_confidence"]))
        for name, p in read["operating_points"].items()
    }
    return Curve(tuple(read["coefficients"]), float(read["intercept"]), limits)


def confidence_file() -> dict[str, Any]:
    """weights/confidence.json: curve, operating points with what to expect of each, and what it was fitted on."""
    read: dict[str, Any] = json.loads(_bytes())
    return read


def confidence_sha256() -> str:
    """Hash of that file, since it decides what is shown."""
    return hashlib.sha256(_bytes()).hexdigest()


def _bytes() -> bytes:
    return (resources.files("hepar.segment") / "weights" / "confidence.json").read_bytes()
