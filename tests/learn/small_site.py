"""What the tests of adapting to a site share: a case of balls, and candidates with their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.learn.adapt_cases import ReadyCase, SiteCase, Truth
from hepar.learn.calibrate import Rows
from hepar.record import Geometry, Organ, OrganMap, Volume
from hepar.segment.confidence import Curve

SHAPE = (36, 96, 96)
GEOMETRY = Geometry.regular(SHAPE, (5.0, 3.0, 3.0))


def ball(centre_mm: tuple[float, float, float], radius_mm: Any) -> NDArray[np.bool_]:
    """A ball; with three radii an ellipsoid."""
    axes = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    spacing = GEOMETRY.spacing_mm
    radii = np.broadcast_to(radius_mm, 3)
    terms = [((a * s - c) / r) ** 2 for a, s, c, r in zip(axes, spacing, centre_mm, radii, strict=True)]
    return np.asarray(terms[0] + terms[1] + terms[2] < 1)


LIVER = ball((95, 130, 95), (60, 55, 70)) | ball((115, 110, 150), (25, 30, 40))
SPLEEN = ball((95, 150, 225), (35, 30, 25))
LESIONS = ((75, 130, 70), (110, 140, 110), (95, 105, 90), (90, 150, 130), (60, 120, 95), (120, 120, 70))


def site_case(seed: int = 0) -> tuple[SiteCase, ReadyCase, Truth]:
    """A liver with six balls of 20 mm that are 40 HU darker, in a body of noise; the organ network is right."""
    rng = np.random.default_rng(seed)
    body = ball((90, 143, 143), (500, 100, 130))
    lesions = np.zeros(SHAPE, np.uint16)
    for number, centre in enumerate(LESIONS, 1):
        lesions[ball(centre, 10.0) & LIVER] = number
    hu = np.where(body, 40.0, -1000.0)
    hu[LIVER], hu[SPLEEN] = 105, 120
    hu[lesions > 0] -= 40
    hu[body] += rng.normal(0, 18, SHAPE)[body]
    # The detail of real livers, which no two share.
    from scipy import ndimage

    hu[LIVER] += 250 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3)[LIVER]
    organs = np.zeros(SHAPE, np.uint8)
    organs[LIVER], organs[SPLEEN] = Organ.LIVER, Organ.SPLEEN
    coarse = Geometry.regular((60, 96, 96), (3.0, 3.0, 3.0))
    at = np.clip(np.rint(np.arange(60) * 3 / 5).astype(int), 0, SHAPE[0] - 1)
    organ_map = OrganMap(organs[at], np.zeros((60, 96, 96), np.uint8), coarse)
    reference = Volume(np.rint(hu).astype(np.int16), GEOMETRY, "CT")
    ready = ReadyCase(f"image {seed}", reference, organ_map, (), ("portal_venous",))
    case = SiteCase(seed + 1, {"portal_venous": Path("x.nii")}, (Path("labels.nii"),), False, f"patient {seed}")
    return case, ready, Truth(LIVER.copy(), lesions, f"labels {seed}")


CURVE = Curve((2.0, *[0.0] * 9), -1.0, {"measuring": 0.5, "screening": 0.2})
"""Log-odds are twice the first feature minus 1."""


def scored(scores: list[float], true: list[bool], hit: list[int], sizes: tuple[float, ...]) -> Rows:
    """Candidates of one scan of whose features the curve weighs the first alone."""
    features = np.zeros((len(scores), 10))
    features[:, 0] = scores
    return Rows("a", 1, features, np.array(true), np.array(hit), sizes)
