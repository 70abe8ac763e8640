"""The model that reads the contrast phase from organs: one mixture of normal distributions per phase.

What each organ's brightness looks like in a phase stands in `phase_model.json`, with what it was fitted on
(`benchmarks/phase_labels.py fit` makes the file again). Normal distributions, because an organ that was not seen is
then simply left out, and because they tell when a series lies far from all that the model knows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.measure.contrast import OrganHu
from hepar.measure.phase_table import STAGES

SCHEMA = "hepar-phase-model/1.0"
FEATURES = ("aorta", "portal_vein", "vena_cava", "liver", "spleen", "kidney_cortex", "kidney_contrast", "inner_vessels")
"""Organs' HU; kidney_contrast: cortex less medulla; inner_vessels: less the liver."""
MIDDLE_HU, SCALE_HU = 45.0, 30.0
_NOISE_IN_PERCENTILES = 1.683
"""Distance between the 20th and 80th percentile of a normal distribution, in standard deviations."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhaseModel:
    """Per stage (order of `STAGES`) components with weights (s, c), means (s, c, f) and covariances (s, c, f, f).

    before: probability of each stage before anything is seen. sharpness: power of the likelihoods, by number of
    features seen (index 0: none), that makes the probabilities come true. farthest: squared distance to the nearest
    component, by number of features seen, that one series of a thousand exceeds.
    """

    before: Array
    weights: Array
    means: Array
    covariances: Array
    sharpness: Array
    farthest: Array

    def __post_init__(self) -> None:
        s, c, f = self.means.shape if self.means.ndim == 3 else (0, 0, 0)
        wanted = ((s,), (s, c), (s, c, f, f), (f + 1,), (f + 1,))
        got = tuple(a.shape for a in (self.before, self.weights, self.covariances, self.sharpness, self.farthest))
        if (s, f) != (len(STAGES), len(FEATURES)) or got != wanted:
            raise Fault(f"the phase model has means of shape {self.means.shape} and parts of shapes {got}")

    def judge(self, features: Array) -> tuple[Array, bool]:
        """Probability of each stage, and whether the series lies far from all that the model knows.

        features: one value per entry of `FEATURES`, nan where not seen; none seen gives `before`.
        """
        seen = np.flatnonzero(np.isfinite(features))
        if not len(seen):
            return self.before / self.before.sum(), False
        likelihood, distance = self.likelihoods(features)
        log = np.log(self.before) + self.sharpness[len(seen)] * likelihood
        stages = np.exp(log - log.max())
        return stages / stages.sum(), bool(distance > self.farthest[len(seen)])

    def likelihoods(self, features: Array) -> tuple[Array, float]:
        """Log-likelihood of each stage for what was seen, and the squared distance to the nearest component."""
        seen = np.flatnonzero(np.isfinite(features))
        off = features[seen] - self.means[:, :, seen]
        spread = self.covariances[:, :, seen[:, None], seen[None, :]]
        distance = np.einsum("scf,scf->sc", off, np.linalg.solve(spread, off[..., None])[..., 0])
        each = np.log(self.weights) - 0.5 * (distance + np.linalg.slogdet(spread)[1] + len(seen) * np.log(2 * np.pi))
        return np.logaddexp.reduce(each, axis=1), float(distance.min())


def features_of(organ_hu: OrganHu) -> Array:
    """The model's features of one series, nan where an organ was not seen.

    HU are bent, straight around unenhanced blood and logarithmic far from it, since enhancement varies by a factor. The
    kidneys' contrast is freed from noise, in squares, by the liver's spread; without a liver it is missing.
    """
    hu = {name: getattr(organ_hu, name).median_hu.estimate for name in FEATURES if name != "kidney_contrast"}
    high, low, liver = organ_hu.kidney_cortex.median_hu, organ_hu.kidney_medulla.median_hu, organ_hu.liver
    values = {name: np.nan if at is None else at - MIDDLE_HU for name, at in hu.items()}
    contrast = np.nan
    if high.estimate is not None and low.estimate is not None and liver.median_hu.estimate is not None:
        noise = _NOISE_IN_PERCENTILES * liver.spread_hu
        contrast = float(np.sqrt(max((high.estimate - low.estimate) ** 2 - noise**2, 0.0)))
    values["kidney_contrast"] = contrast
    values["inner_vessels"] -= values["liver"]
    return bent(np.array([values[name] for name in FEATURES]))


def bent(hu: Array) -> Array:
    """HU above the middle, as the model takes them."""
    result: Array = np.arcsinh(hu / SCALE_HU)
    return result


@cache
def phase_model() -> PhaseModel:
    """The model that ships with hepar, read once."""
    text = (resources.files("hepar.measure") / "phase_model.json").read_text(encoding="utf-8")
    return from_document(json.loads(text))


def from_document(document: dict[str, object]) -> PhaseModel:
    """A model from its file's content. Raises Fault where it is of another schema, or its parts do not fit."""
    if document.get("schema") != SCHEMA or document.get("features") != list(FEATURES):
        raise Fault(f"not a phase model of schema {SCHEMA} with features {', '.join(FEATURES)}")
    parts = ("before", "weights", "means", "covariances", "sharpness", "farthest")
    return PhaseModel(*(np.array(document[part], np.float64) for part in parts))
