"""clDice against numbers made by hand and by scikit-image's centrelines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.validate.centreline import centreline, centrelines

FULL = np.ones((3, 3, 3))


def bar(first: int, last: int, *, row: int = 6, half: int = 2) -> NDArray[np.bool_]:
    out = np.zeros((13, 13, 60), bool)
    out[6 - half : 7 + half, row - half : row + half + 1, first:last] = True
    return out


def test_a_square_bars_centreline_is_its_axis() -> None:
    """5 x 5 x 30 voxels: the middle row; 2 voxels of either end go with the layers."""
    line = centreline(bar(10, 40))
    assert np.argwhere(line)[:, :2].tolist() == [[6, 6]] * line.sum()
    assert 24 <= line.sum() <= 30


def test_cl_dice_by_hand() -> None:
    """Lines one voxel thick are their own centreline. 30 voxels against 20 of them and 5 others: precision 20/25,
    sensitivity 20/30, clDice 2 * 0.8 * 2/3 / (0.8 + 2/3) = 8/11."""
    truth, found = bar(10, 40, half=0), bar(20, 45, half=0)
    got = centrelines(found, truth)
    assert (got.precision, got.sensitivity) == (20 / 25, 20 / 30)
    assert got.cl_dice == pytest.approx(8 / 11)


def test_thickness_counts_only_where_it_loses_the_line() -> None:
    """A thinner bar about the same axis is perfect; beside the axis, outside the other's centreline, it is worth 0."""
    assert centrelines(bar(10, 40, half=1), bar(10, 40)).cl_dice == 1.0
    assert centrelines(bar(10, 40, row=10, half=1), bar(10, 40)).cl_dice == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_centreline_keeps_parts_holes_and_thickness_one(seed: int) -> None:
    """A ring, a tube and noise: as many parts, as many holes (Euler number); thinning again changes nothing."""
    from scipy import ndimage

    grid = np.indices((24, 40, 40))
    ring = np.hypot(np.hypot(grid[1] - 18, grid[2] - 18) - 11, grid[0] - 12) < 3.2
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=ring.shape), 1.5)
    solid = ring | (noise > 0.16)
    line = centreline(solid)
    assert (solid | ~line).all()
    assert ndimage.label(line, FULL)[1] == ndimage.label(solid, FULL)[1]
    assert euler(line) == euler(solid)
    assert (centreline(line) == line).all()
    only_ring = centreline(ring)
    assert euler(only_ring) == 0
    assert 2 * np.pi * 11 * 0.6 < only_ring.sum() < 2 * np.pi * 11 * 1.1


def euler(mask: NDArray[np.bool_]) -> int:
    """Vertices - edges + faces - cubes of the closed voxels (26-connected), counted on the grid of their corners."""
    total = 0
    solid = np.pad(mask, 1)
    for across in np.ndindex(2, 2, 2):
        seen = solid
        for axis, wide in enumerate(across):
            if not wide:  # a corner, edge or face belongs to every voxel that it touches
                seen = seen | np.roll(seen, -1, axis)
        total += (-1) ** sum(across) * int(seen.sum())
    return total


def test_as_with_the_centrelines_of_scikit_image() -> None:
    """Three branches of falling thickness against two of them, shifted by 2.5 voxels.

    scikit-image 0.26.0: S = skimage.morphology.skeletonize; tp, ts = truth[S(found)].mean(), found[S(truth)].mean();
    2 * tp * ts / (tp + ts). Lines lie a voxel apart here and there, the shares are near.
    """
    truth, found = branches(0.0, 3), branches(2.5, 2)
    got = centrelines(found, truth)
    assert (got.precision, got.sensitivity) == pytest.approx((SKIMAGE_PRECISION, SKIMAGE_SENSITIVITY), abs=0.02)


def branches(shift: float, count: int) -> NDArray[np.bool_]:
    grid = np.stack(np.indices((40, 40, 64)), -1).astype(float)
    out = np.zeros(grid.shape[:3], bool)
    for end, radius in (((8, 20, 60), 4.5), ((30, 8, 58), 3.5), ((34, 34, 50), 2.5))[:count]:
        a, along = np.array((20.0, 20.0 + shift, 6.0)), np.subtract(end, (20, 20, 6))
        t = np.clip(((grid - a) @ along) / (along @ along), 0, 1)
        out |= np.linalg.norm(grid - a - t[..., None] * along, axis=-1) <= radius
    return out


SKIMAGE_PRECISION, SKIMAGE_SENSITIVITY = 1.0, 0.7424


def test_empty_masks() -> None:
    """Two empty ones agree; one empty against one that is not shares nothing."""
    nothing = np.zeros((4, 4, 4), bool)
    assert centrelines(nothing, nothing).cl_dice == 1.0
    assert centrelines(nothing, ~nothing).cl_dice == centrelines(~nothing, nothing).cl_dice == 0.0


def test_what_has_no_centreline_is_refused() -> None:
    """A plane, and labels in place of a mask."""
    with pytest.raises(WrongCall, match="2 axes"):
        centrelines(np.ones((4, 4), bool), np.ones((4, 4), bool))
    with pytest.raises(WrongCall, match="other than 0 and 1"):
        centrelines(np.full((4, 4, 4), 2), np.ones((4, 4, 4), bool))
