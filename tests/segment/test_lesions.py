"""Lesions: candidates, capsules, ids, confidence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from segment_phantom import LESION_HU, LIVER_HU, phantom

from hepar.record import Geometry, Organ, OrganMap, Volume
from hepar.segment import SegmentSettings
from hepar.segment.builtin import Builtin
from hepar.segment.candidates import candidates
from hepar.segment.confidence import Curve, Features, confidence, shipped_curve
from hepar.segment.lesions import joined, outline_lesions
from hepar.segment.outline import Piece

SETTINGS = SegmentSettings()


def _ball(centre: tuple[float, float, float], radius: float, size: int = 60) -> NDArray[np.bool_]:
    z, y, x = np.ogrid[:size, :size, :size]
    inside: NDArray[np.bool_] = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2
    return inside


LIVER = _ball((30, 30, 30), 28)


def _score(*balls: tuple[NDArray[np.bool_], float]) -> NDArray[np.uint8]:
    score = np.zeros(LIVER.shape, np.uint8)
    for ball, chance in balls:
        score[ball] = round(255 * chance)
    return score


def test_a_large_tumour_with_dead_and_calcified_parts_is_one_candidate() -> None:
    """A ball of 14 voxels (310 ml) with four clefts of 6 mm, a hole, and a splinter of 1 ml cut off: one again."""
    tumour = _ball((30, 30, 30), 14)
    seen = tumour.copy()
    for start in range(20, 42, 6):
        seen[start : start + 2, :, :36] = False
    seen[_ball((32, 30, 40), 2)] = False
    seen[:, 19:21] = False
    found = candidates(_score((seen, 0.9)), LIVER, 3.0, SETTINGS)
    assert found.count == 1
    assert (found.core > 0)[tumour].mean() > 0.95


def test_neighbours_whose_surroundings_touch_are_two_candidates() -> None:
    """Two cores of P = 0.9 in one cloud of P = 0.2: two; each keeps its own half of the cloud."""
    one, two = _ball((30, 30, 22), 5), _ball((30, 30, 38), 5)
    cloud = _ball((30, 30, 22), 8) | _ball((30, 30, 38), 8)
    found = candidates(_score((cloud, 0.2), (one | two, 0.9)), LIVER, 3.0, SETTINGS)
    assert found.count == 2
    assert ((found.reach > 0) == cloud).all()
    for core in (one, two):
        number = found.core[core].max()
        assert (found.core[core] == number).all()
        assert abs((found.reach == number).sum() / cloud.sum() - 0.5) < 0.05


def test_doubtful_and_distant_places_are_no_candidates() -> None:
    """P = 0.25 is not enough (a lesion needs 0.3 somewhere), P = 1 outside the liver does not count."""
    found = candidates(_score((_ball((30, 30, 30), 5), 0.25), (_ball((2, 2, 2), 2), 1.0)), LIVER, 3.0, SETTINGS)
    assert found.count == 0
    assert not found.reach.any()
    assert candidates(_score(), LIVER, 3.0, SETTINGS).count == 0


def test_a_bright_capsule_belongs_to_the_lesion(outliner: Builtin) -> None:
    """A dark ball of 10 mm radius in a shell of 2 mm at liver + 20 HU measures 12 mm in radius within 8 %."""
    grid = Geometry.regular((68, 236, 170), (2.5, 1.0, 1.0), (-149.0, -105.0, -84.0))
    centre = (-60.0, -10.0, 0.0)
    bare = phantom(grid, [(centre, 10.0, LESION_HU)], noise_hu=6)
    capsule = phantom(grid, [(centre, 12.0, LIVER_HU + 20), (centre, 10.0, LESION_HU)], noise_hu=6)
    radius = []
    for volume in (bare, capsule):
        anatomy = outliner.anatomy(volume, outliner.organs(volume))
        number = anatomy.lesions[tuple(np.rint(grid.to_index(centre)).astype(int))]
        assert number
        radius.append((3 * (anatomy.lesions == number).sum() * grid.voxel_volume_ml * 1000 / 4 / math.pi) ** (1 / 3))
    assert radius[0] == pytest.approx(10, rel=0.03)
    assert radius[1] == pytest.approx(12, rel=0.08)


def test_merged_pair_in_a_scan_gets_two_ids(outliner: Builtin) -> None:
    """Two balls of 14 mm radius, 24 mm apart, come out as lesions 1 and 2 of nearly equal volume that touch."""
    grid = Geometry.regular((68, 236, 170), (2.5, 1.0, 1.0), (-149.0, -105.0, -84.0))
    centres = [(-72.0, -10.0, 0.0), (-48.0, -10.0, 0.0)]
    volume = phantom(grid, [(c, 14.0, LESION_HU) for c in centres], noise_hu=6)
    anatomy = outliner.anatomy(volume, outliner.organs(volume))
    assert anatomy.lesions.max() == len(anatomy.confidence) == 2
    sizes = np.bincount(anatomy.lesions.ravel())[1:]
    assert sizes[0] >= sizes[1] > 0.9 * sizes[0]
    ids = [int(anatomy.lesions[tuple(np.rint(grid.to_index(c)).astype(int))]) for c in centres]
    assert sorted(ids) == [1, 2]


SURE = Features(
    score=0.9,
    peak=1.0,
    volume_ml=10.0,
    separation=4.0,
    reference_separation=-4.0,
    roundness=0.75,
    on_surface=0.0,
    fat=0.0,
)


CURVE = Curve((2.16, 1.48, 0.276, 0.291, -0.668, 0.256, 4.92, -2.71, -11.6, 1.0), -5.97, {})


def test_confidence_is_the_logistic_of_the_features() -> None:
    """By hand: 2.16 x 0.9 + 1.48 + 0.276 x 1 + 0.291 x 4 + 0.256 x 4 + 4.92 x 0.75 - 5.97 = 3.608; logistic 0.974."""
    assert (
        len(shipped_curve(1).coefficients)
        == len(shipped_curve(4).coefficients)
        == len(SURE.row())
        == len(CURVE.coefficients)
    )
    assert confidence(SURE, CURVE) == 0.974


@pytest.mark.parametrize(
    "change",
    [
        {"score": 0.2},
        {"peak": 0.3},
        {"roundness": 0.3},
        {"on_surface": 0.9},
        {"fat": 0.4},
        {"reference_separation": 4.0},
        {"volume_ml": 0.1},
        {"separation": 0.5},
    ],
)
def test_each_doubt_lowers_the_confidence(change: dict[str, float]) -> None:
    """A vessel (bright), fat, a thin or marginal shape, a low score, low contrast or a small size."""
    from dataclasses import replace

    assert confidence(replace(SURE, **change), CURVE) < confidence(SURE, CURVE)


@pytest.mark.parametrize("diameter_mm", [4.0, 5.0, 7.0])
def test_a_tiny_lesion_is_outlined_as_small_as_it_is(diameter_mm: float) -> None:
    """A dark ball of 4 to 7 mm on voxels of 2.5 x 0.8 x 0.8 mm, seen by the network where it is: volume 0.6 to 1.5
    times the truth, though 4 mm has 21 voxels only."""
    grid = Geometry.regular((24, 80, 80), (2.5, 0.8, 0.8), (0.0, 0.0, 0.0))
    fine = Geometry.regular((40, 42, 42), (1.5, 1.5, 1.5), (0.0, 0.0, 0.0))
    centre = np.array([31.0, 32.0, 30.0])

    def ball(of: Geometry) -> NDArray[np.bool_]:
        place = np.stack(np.indices(of.shape), -1) * of.spacing_mm
        inside: NDArray[np.bool_] = ((place - centre[::-1]) ** 2).sum(-1) <= (diameter_mm / 2) ** 2
        return inside

    noise = np.random.default_rng(3).normal(0, 6, grid.shape)
    hu = np.where(ball(grid), 60, 110) + noise
    score = np.where(ball(fine), 230, 5).astype(np.uint8)
    labels = np.where(ball(fine), Organ.LESION, Organ.LIVER).astype(np.uint8)
    organs = OrganMap(labels, score, fine)
    settings = replace(SETTINGS, lesion_min_confidence=0.0)
    volume = Volume(np.rint(hu).astype(np.int16), grid, "CT")
    whole = np.ones(grid.shape, bool)
    found = outline_lesions(volume, organs, score, labels > 0, whole, (), settings)
    assert found.labels.max() == 1
    truth_ml = math.pi / 6 * diameter_mm**3 / 1000
    assert 0.6 < (found.labels > 0).sum() * grid.voxel_volume_ml / truth_ml < 1.5


def test_a_fragment_of_a_candidate_is_no_lesion_of_its_own() -> None:
    """A candidate of 2 ml and a crumb of 0.1 ml apart from it is one lesion; with the crumb a candidate itself, two."""
    grid = Geometry.regular((60, 60, 60), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    whole = tuple(slice(0, 60) for _ in range(3))
    look = Features(0.7, 0.9, 2.0, 3.0, -3.0, 0.6, 0.0, 0.0)
    large, crumb = _ball((30, 30, 20), 8), _ball((30, 30, 40), 3)
    one = joined([(Piece(whole, large | crumb, look), 0.9)], grid, SETTINGS)
    assert one.labels.max() == 1
    assert one.labels[large].mean() > 0.95
    assert not one.labels[~large].any()
    two = joined([(Piece(whole, large, look), 0.9), (Piece(whole, crumb, look), 0.8)], grid, SETTINGS)
    assert two.confidence == (0.9, 0.8)
