"""Phantoms agree with numbers made by hand."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from hepar.simulate import phantom

UNEVEN = (2.5, 0.8, 0.7)


def test_ball_of_20_mm_has_4_19_ml() -> None:
    """4/3 pi 10^3 = 4188.8 mm3."""
    assert phantom.ball_volume_ml(20.0) == pytest.approx(4.1888, abs=1e-4)
    mask = phantom.ball((25.0, 20.0, 20.0), 20.0, UNEVEN, (21, 51, 58))
    assert mask.sum() * np.prod(UNEVEN) / 1000 == pytest.approx(4.1888, rel=0.02)


def test_turned_ellipsoid_keeps_its_volume_and_reach() -> None:
    turn = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    mask = phantom.ellipsoid((20, 20, 20), (6, 8, 15), (1, 1, 1), (41, 41, 41), turn)
    assert mask.sum() / 1000 == pytest.approx(4 / 3 * pi * 0.6 * 0.8 * 1.5, rel=0.02)
    assert [np.ptp(np.flatnonzero(mask.any(axes))) for axes in ((1, 2), (0, 2), (0, 1))] == [30, 16, 12]


def test_equal_balls_at_one_radius_share_five_sixteenths() -> None:
    """Two unit balls at distance 1: the lens is 5 pi / 12, so the union 8 pi / 3 - 5 pi / 12 = 7.0686."""
    assert phantom.merged_pair_volume_ml((20.0, 20.0), 10.0) == pytest.approx(7.0686, abs=1e-4)
    assert phantom.merged_pair_volume_ml((20.0, 20.0), 20.0) == pytest.approx(2 * 4.18879, abs=1e-4)
    assert phantom.merged_pair_volume_ml((20.0, 6.0), 3.0) == pytest.approx(4.18879, abs=1e-4)
    mask = phantom.merged_pair((15, 15, 15), (20.0, 20.0), 10.0, (1, 1, 1), (31, 31, 41))
    assert mask.sum() / 1000 == pytest.approx(7.0686, rel=0.01)
    assert phantom.merged_pair_long_axis_mm((20.0, 14.0), 12.0) == 29.0
