"""Breathing livers whose movement is known: the error is measured against the truth, not against outlines."""

from __future__ import annotations

import numpy as np
import pytest
from harmonise_phantom import Motion, level, organs, phase, points_at_rest
from numpy.typing import NDArray

from hepar.harmonise import HarmoniseSettings, refusal, register
from hepar.harmonise.residual import jacobian_range
from hepar.record import Geometry, OrganMap, Residual, Transform, Volume

SETTINGS = HarmoniseSettings()
GRID = Geometry.regular((72, 96, 104), (3.0, 2.4, 2.4), (-185.0, -115.0, -106.0))
STILL = Motion()


@pytest.fixture(scope="module")
def reference() -> tuple[Volume, OrganMap]:
    return phase("portal_venous", STILL, GRID, seed=1), organs(STILL, GRID, wrong_mm=2.0, seed=1)


def _register(reference: tuple[Volume, OrganMap], volume: Volume, outline: OrganMap) -> tuple[Transform, Residual]:
    return register(reference[0], volume, reference_organs=reference[1], moving_organs=outline, settings=SETTINGS)


def _surface_error_mm(transform: Transform, motion: Motion) -> float:
    """How far, on average, points of the liver's surface end beside the surface of the moved liver."""
    points = points_at_rest(surface=True)
    there = motion.rest(transform.map_lps_mm(points))
    slope = np.stack([level(there + e) - level(there - e) for e in 0.5 * np.eye(3)], axis=-1)
    return float(np.mean(np.abs(level(there) - level(points)) / np.linalg.norm(slope, axis=-1)))


def _errors_mm(transform: Transform, motion: Motion) -> NDArray[np.float64]:
    """How far each of many points inside the liver ends beside its place, (n, 3)."""
    points = points_at_rest(surface=False)
    return motion.rest(transform.map_lps_mm(points)) - points


def test_a_shift_of_15_mm_is_found_within_1_mm(reference: tuple[Volume, OrganMap]) -> None:
    """Native against portal venous: vessels and lesions change their contrast, ribs stay behind."""
    motion = Motion((2.0, -3.0, 15.0))
    transform, found = _register(
        reference, phase("native", motion, GRID, seed=2), organs(motion, GRID, wrong_mm=2.0, seed=2)
    )
    error = _errors_mm(transform, motion)
    assert np.linalg.norm(error.mean(axis=0)) < 1.0
    assert np.linalg.norm(error, axis=-1).mean() < 1.5
    assert found.shift_mm == pytest.approx(np.linalg.norm(motion.shift_lps_mm), abs=1.0)
    assert refusal(transform, found, SETTINGS) == ""


def test_a_smooth_bend_is_followed_within_the_limits_of_volume_change(reference: tuple[Volume, OrganMap]) -> None:
    """The surface comes within 1.5 mm where a shift alone leaves more; no place is squeezed beyond the settings."""
    motion = Motion((0.0, 4.0, -12.0), bend_mm=5.0)
    transform, found = _register(
        reference, phase("arterial", motion, GRID, seed=3), organs(motion, GRID, wrong_mm=2.0, seed=3)
    )
    rigid = Transform(transform.matrix)
    assert _surface_error_mm(Transform.identity(), motion) > 4.0
    assert _surface_error_mm(transform, motion) < min(1.5, 0.8 * _surface_error_mm(rigid, motion))
    assert refusal(transform, found, SETTINGS) == ""
    low, high = jacobian_range(transform)
    assert SETTINGS.minimum_jacobian <= low <= high <= SETTINGS.maximum_jacobian


def test_a_lesion_that_changes_brightness_moves_nothing(reference: tuple[Volume, OrganMap]) -> None:
    """The same phase with a lesion of 70 or 190 HU: the lesion's place differs by less than half a millimetre."""
    from harmonise_phantom import LESION

    motion = Motion((1.0, 2.0, 8.0))
    outline = organs(motion, GRID, wrong_mm=2.0, seed=4)
    placed = [
        _register(reference, phase("portal_venous", motion, GRID, seed=4, lesion_hu=hu), outline)[0].map_lps_mm(
            [LESION[0]]
        )
        for hu in (70.0, 190.0)
    ]
    assert np.linalg.norm(placed[0] - placed[1]) < 0.5


def test_another_patient_is_refused(reference: tuple[Volume, OrganMap]) -> None:
    """Other vessels and another outline: whatever fits outside, the inside gives it away."""
    other = Motion((0.0, 0.0, 6.0), bend_mm=22.0)
    volume = phase("portal_venous", other, GRID, seed=5, anatomy=77)
    turned = Volume(np.ascontiguousarray(volume.array[::-1]), GRID, "CT")
    outline = organs(other, GRID, wrong_mm=2.0, seed=5)
    upside_down = OrganMap(np.ascontiguousarray(outline.labels[::-1]), outline.lesion_score, outline.geometry)
    transform, found = _register(reference, turned, upside_down)
    assert refusal(transform, found, SETTINGS).startswith("this phase does not lie on the reference: ")


def test_a_phase_without_liver_is_refused_with_the_reason(reference: tuple[Volume, OrganMap]) -> None:
    empty = OrganMap(np.zeros_like(reference[1].labels), reference[1].lesion_score, reference[1].geometry)
    transform, found = _register(reference, reference[0], empty)
    assert "0 ml of liver found in this phase" in refusal(transform, found, SETTINGS)
    assert np.array_equal(transform.matrix, np.eye(4))


@pytest.mark.parametrize(("first", "accepted"), [(24, True), (44, False)])
def test_a_cut_liver_fits_by_what_is_left(reference: tuple[Volume, OrganMap], first: int, accepted: bool) -> None:
    """The lower part of the liver lies outside the phase; below half of the liver it is refused."""
    motion = Motion((0.0, 2.0, 10.0))
    grid = GRID.crop((slice(first, 72), slice(0, 96), slice(0, 104)))
    transform, found = _register(
        reference, phase("portal_venous", motion, grid, seed=6), organs(motion, grid, wrong_mm=1.5, seed=6)
    )
    assert (refusal(transform, found, SETTINGS) == "") == accepted
    if accepted:
        points = points_at_rest(surface=False)
        seen = points[points[:, 2] > grid.origin_lps_mm[2]]
        error = np.linalg.norm(motion.rest(transform.map_lps_mm(seen)) - seen, axis=-1)
        assert error.mean() < 1.5


def test_a_tilted_phase_is_put_where_it_was(reference: tuple[Volume, OrganMap]) -> None:
    """Slices tilted by 20 degrees and stepped along the table: a sheared grid."""
    motion = Motion((1.0, 0.0, 9.0))
    affine = GRID.affine.copy()
    affine[:3, 1] = 2.4 * np.array([0, np.cos(np.radians(20)), np.sin(np.radians(20))])
    affine[:3, 3] += [0, 0, -40]
    grid = Geometry((80, 96, 104), affine)
    transform, found = _register(
        reference, phase("portal_venous", motion, grid, seed=7), organs(motion, grid, wrong_mm=1.5, seed=7)
    )
    error = _errors_mm(transform, motion)
    assert np.linalg.norm(error.mean(axis=0)) < 1.0
    assert np.linalg.norm(error, axis=-1).mean() < 1.5
    assert refusal(transform, found, SETTINGS) == ""


def test_two_runs_give_the_same_bytes(reference: tuple[Volume, OrganMap]) -> None:
    motion = Motion((1.0, 2.0, -7.0), bend_mm=3.0)
    volume, outline = phase("arterial", motion, GRID, seed=8), organs(motion, GRID, wrong_mm=2.0, seed=8)
    (first, one), (second, two) = (_register(reference, volume, outline) for _ in range(2))
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.displacement_mm is not None
    assert second.displacement_mm is not None
    assert first.displacement_mm.tobytes() == second.displacement_mm.tobytes()
    assert one == two
