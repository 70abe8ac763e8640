"""Nearest targets, against every pair measured."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hepar.validate.nearest import nearest_mm


@pytest.mark.parametrize("seed", range(24))
def test_nearest_distances_are_those_of_every_pair(seed):
    """Random sets on random uneven grids, a few targets or many, so that map, lines and tree are all needed."""
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.integers(1, 60, 3))
    spacing = tuple(float(v) for v in random.choice([0.05, 0.5, 0.8, 1.0, 2.5, 9.0], 3))
    size = int(np.prod(shape))
    targets = np.unique(random.integers(0, size, int(random.choice([1, 3, 200]))))
    places = np.unique(random.integers(0, size, 300))
    a, b = (np.stack(np.unravel_index(v, shape), axis=1) * np.array(spacing) for v in (places, targets))
    np.testing.assert_allclose(nearest_mm(places, targets, shape, spacing), cdist(a, b).min(axis=1), rtol=1e-12)


def test_a_target_farther_along_a_line_than_the_map_reaches_is_found():
    """Rows of 0.05 mm: the nearest lies 300 rows away in the same line (15 mm), another 16 mm away beside it."""
    shape = (1, 400, 40)
    places, targets = np.array([0]), np.array([32, 300 * 40])
    assert nearest_mm(places, targets, shape, (1.0, 0.05, 0.5)).tolist() == pytest.approx([15.0])
    assert nearest_mm(places, targets, shape, (1.0, 0.06, 0.5)).tolist() == pytest.approx([16.0])
