"""Touching lesions are divided where the shape has a neck, and only there."""

import numpy as np
import pytest
from scipy import ndimage

from hepar.segment.split import split_touching

FINE = (1.0, 1.0, 1.0)
UNEVEN = (2.5, 0.8, 0.8)


def _ball(spacing: tuple[float, float, float], centre: tuple[float, float, float], radius: float) -> np.ndarray:
    shape = [int(80 / s) for s in spacing]
    z, y, x = np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2


def _split(mask: np.ndarray, spacing: tuple[float, float, float]) -> tuple[np.ndarray, int]:
    return split_touching(mask, spacing, neck=0.72, min_ml=0.065)


def test_nothing_stays_nothing() -> None:
    """An empty mask holds no part."""
    labels, count = _split(np.zeros((4, 5, 6), bool), FINE)
    assert count == 0
    assert not labels.any()


@pytest.mark.parametrize("spacing", [FINE, UNEVEN])
@pytest.mark.parametrize(("direction", "gap"), [((0, 0.6, 0.8), 18.0), ((0.48, 0.6, 0.64), 21.0), ((0, 0, 1), 22.0)])
def test_merged_pair_is_cut_at_the_neck(
    spacing: tuple[float, float, float], direction: tuple[float, float, float], gap: float
) -> None:
    """Two balls of 12 mm radius whose centres are 18 to 22 mm apart are two; each holds its share within 5 %."""
    first = np.array([40.0, 40, 40]) - np.array(direction) * gap / 2
    second = first + np.array(direction) * gap
    one, two = _ball(spacing, tuple(first), 12), _ball(spacing, tuple(second), 12)
    labels, count = _split(one | two, spacing)
    assert count == 2
    cap = np.pi * (12 - gap / 2) ** 2 * (2 * 12 + gap / 2) / 3
    expected = (4 / 3 * np.pi * 12**3 - cap) / 1000
    for part in (1, 2):
        assert (labels == part).sum() * np.prod(spacing) / 1000 == pytest.approx(expected, rel=0.05)


def test_small_ball_on_a_large_one_is_cut_off() -> None:
    """Radii 15 and 8 mm, 21 mm apart: the small part is the small ball within 10 %."""
    both = _ball(FINE, (40, 40, 30), 15) | _ball(FINE, (40, 40, 51), 8)
    labels, count = _split(both, FINE)
    assert count == 2
    small = min((labels == 1).sum(), (labels == 2).sum()) / 1000
    assert small == pytest.approx(4 / 3 * np.pi * 8**3 / 1000, rel=0.1)


@pytest.mark.parametrize("spacing", [FINE, UNEVEN, (5.0, 0.8, 0.8)])
def test_deeply_merged_pair_and_egg_stay_one(spacing: tuple[float, float, float]) -> None:
    """Balls of 12 mm, 14 mm apart, have a neck of 81 %: nobody could say that these are two."""
    assert _split(_ball(spacing, (40, 33, 40), 12) | _ball(spacing, (40, 47, 40), 12), spacing)[1] == 1


@pytest.mark.parametrize("spacing", [FINE, UNEVEN])
@pytest.mark.parametrize("seed", range(6))
def test_irregular_single_lesion_stays_one(spacing: tuple[float, float, float], seed: int) -> None:
    """Ellipsoids with a wavy surface (12 % of the radius) do not fall apart."""
    rng = np.random.default_rng(seed)
    shape = [int(90 / s) for s in spacing]
    z, y, x = np.meshgrid(*[np.arange(n) * s - 45 for n, s in zip(shape, spacing, strict=True)], indexing="ij")
    axes = rng.uniform(9, 22, 3)
    wave = ndimage.gaussian_filter(rng.normal(size=shape), [6 / s for s in spacing])
    radius = np.sqrt((z / axes[0]) ** 2 + (y / axes[1]) ** 2 + (x / axes[2]) ** 2) * (1 + 0.12 * wave / wave.std())
    parts, _ = ndimage.label(radius < 1)
    assert _split(parts == np.bincount(parts.ravel())[1:].argmax() + 1, spacing)[1] == 1


def test_large_tumour_is_divided_on_all_its_voxels() -> None:
    """A region of over a million voxels is looked at thinned; every voxel still gets its part."""
    shape = (90, 140, 200)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    pair = ((z - 45) ** 2 + (y - 70) ** 2 + (x - 60) ** 2 < 40**2) | (
        (z - 45) ** 2 + (y - 70) ** 2 + (x - 135) ** 2 < 40**2
    )
    labels, count = _split(pair, FINE)
    assert count == 2
    assert ((labels > 0) == pair).all()
    assert (labels == 1).sum() == pytest.approx((labels == 2).sum(), rel=0.03)


def test_parts_that_do_not_touch_are_different() -> None:
    """Three separate balls are three."""
    far = _ball(FINE, (15, 15, 15), 6) | _ball(FINE, (15, 50, 15), 8) | _ball(FINE, (60, 60, 60), 10)
    assert _split(far, FINE)[1] == 3
