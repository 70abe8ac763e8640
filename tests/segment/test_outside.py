"""What lies beside the liver and is no tumour, whatever the region network says: other organs, free fluid."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.record import Geometry, Organ, OrganMap
from hepar.segment.outside import beside_liver
from hepar.segment.region import Region

SHAPE = (60, 60, 60)
GRID = Geometry.regular(SHAPE, (1.2, 1.2, 1.2), (0.0, 0.0, 0.0))
LEVELS = {1: 70.0, 2: 110.0}
Z, Y, X = np.indices(SHAPE)
LIVER = X < 30


def ball(centre: tuple[int, int, int], radius: float) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (Z - centre[0]) ** 2 + (Y - centre[1]) ** 2 + (X - centre[2]) ** 2 <= radius**2
    return inside


LAYER = (X >= 30) & (X < 37) & (abs(Y - 30) < 22) & (abs(Z - 30) < 22)
"""Beside the liver, 8 mm thick, 23 ml."""


def look(
    tumour: NDArray[np.bool_], hu: float, organ: Organ = Organ.BACKGROUND, arterial_hu: float | None = None
) -> NDArray[np.bool_]:
    """The answer where the network sees this tumour, of this HU, and the first network this organ."""
    image = np.zeros((4, *SHAPE), np.float32)
    noise = np.random.default_rng(5).normal(0, 0.1, SHAPE)
    for channel, level in LEVELS.items():
        value = arterial_hu if channel == 1 and arterial_hu is not None else hu
        image[channel] = np.where(tumour, (value - level) / 100, 0) + noise
    score = np.where(tumour, 250, 0).astype(np.uint8)
    whole = np.where(tumour | LIVER, 250, 0).astype(np.uint8)
    none = np.zeros(SHAPE, np.uint8)
    labels = np.where(tumour & ~LIVER, organ, np.where(LIVER, Organ.LIVER, Organ.BACKGROUND)).astype(np.uint8)
    return beside_liver(Region(GRID, score, whole, none, none, 2), OrganMap(labels, none, GRID), image, LEVELS)


def test_ascites_is_no_tumour() -> None:
    """A layer of 10 HU between liver and wall goes; the same of 60 HU, or enhancing in one phase, stays."""
    assert look(LAYER, 10)[LAYER].mean() > 0.95
    assert not look(LAYER, 10)[~LAYER].any()
    assert not look(LAYER, 60).any()
    assert not look(LAYER, 10, arterial_hu=50).any()


@pytest.mark.parametrize(
    "tumour",
    [ball((30, 30, 32), 12), LAYER & (abs(Y - 30) < 6) & (abs(Z - 30) < 8), ball((30, 30, 15), 10)],
    ids=["a cyst that grows outwards", "a thin fluid of 2 ml", "a cyst inside"],
)
def test_fluid_that_may_be_a_lesion_stays(tumour: NDArray[np.bool_]) -> None:
    assert not look(tumour, 10).any()


def test_fluid_all_around_which_is_liver_stays() -> None:
    """A flat dead part of 24 ml inside the liver."""
    assert not look((abs(X - 15) < 4) & (abs(Y - 30) < 14) & (abs(Z - 30) < 20), 10).any()


@pytest.mark.parametrize(("organ", "goes"), [(Organ.SPLEEN, True), (Organ.KIDNEY, True), (Organ.BOWEL, False)])
def test_what_the_first_network_names_is_no_tumour(organ: Organ, goes: bool) -> None:
    """Bright as liver in each phase; of bowel the first network is not sure enough."""
    tumour = ball((30, 30, 45), 8)
    assert (look(tumour, 110, organ)[tumour].mean() > 0.75) == goes


def test_nothing_seen_nothing_taken() -> None:
    assert not look(np.zeros(SHAPE, bool), 10).any()


def test_a_round_pool_away_from_the_liver_is_no_cyst_of_it() -> None:
    """10 ml between bowel and wall, 4 mm off the liver: fluid goes, anything denser stays."""
    pool = ball((30, 30, 44), 11)
    assert look(pool, 10)[pool].mean() > 0.95
    assert not look(pool, 50).any()
