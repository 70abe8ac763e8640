"""How sure a lesion is: a logistic curve over a few plain features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Features:
    """What one candidate lesion looks like.

    score, peak: mean and highest probability of the network inside. volume_ml: on the native grid.
    contrast_hu, separation: median difference to the liver around it in HU, and in spreads of that liver, in the
        phase where it is clearest. roundness: largest inscribed ball against the ball of the same volume, 0 to 1.
    on_surface: share of voxels within two voxels of the liver's outline. support: share of voxels that the network
        itself marked.
    """

    score: float
    peak: float
    volume_ml: float
    contrast_hu: float
    separation: float
    roundness: float
    on_surface: float
    support: float

    def row(self) -> tuple[float, ...]:
        """The numbers the curve works on."""
        return (
            self.score,
            self.peak,
            float(np.log10(max(self.volume_ml, 1e-3))),
            min(self.separation, 4.0),
            self.roundness,
            self.on_surface,
        )


COEFFICIENTS = (4.0, 2.0, 0.3, 0.3, 2.0, -1.0)
"""One per number of `Features.row`."""
INTERCEPT = -4.5


def confidence(features: Features) -> float:
    """Probability that the candidate is a lesion, rounded to three digits."""
    value = INTERCEPT + sum(c * v for c, v in zip(COEFFICIENTS, features.row(), strict=True))
    return round(float(1 / (1 + np.exp(-value))), 3)
