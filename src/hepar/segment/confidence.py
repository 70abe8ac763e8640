"""How sure a lesion is: a logistic curve over a few plain features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Features:
    """What one candidate lesion looks like.

    score, peak: mean and highest probability of the network inside, in the phase where it is highest. agreement: mean
        over all phases. volume_ml: on the native grid.
    separation: median difference to the liver around it in spreads of that liver, in the phase where it is largest,
        without sign. reference_separation: the same in the reference phase with its sign (dark is negative).
    roundness: radius of the largest inscribed ball against the ball of the same volume, 0 to 1.
    on_surface: share of voxels within 2 mm of the liver's outline. fat: share of voxels below -10 HU.
    """

    score: float
    peak: float
    agreement: float
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


COEFFICIENTS = (2.5, 1.0, 0.68, 0.37, -0.68, 0.23, 7.9, -2.7, -9.5)
"""One per number of `Features.row`."""
INTERCEPT = -8.5


def confidence(features: Features) -> float:
    """Probability that the candidate is a lesion, rounded to three digits."""
    value = INTERCEPT + sum(c * v for c, v in zip(COEFFICIENTS, features.row(), strict=True))
    return round(float(1 / (1 + np.exp(-value))), 3)
