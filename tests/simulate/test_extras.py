"""Clips, thrombus, resections and the noise's spectrum do what they are named for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hepar.record import Geometry
from hepar.simulate.anatomy import draw_patient
from hepar.simulate.distribution import load_distribution
from hepar.simulate.extras import Clot, Metal, draw_extras
from hepar.simulate.planes import NoiseMaker, NoiseShape, Plane
from hepar.simulate.shapes import Grid, tube
from hepar.simulate.still import Sampled
from hepar.simulate.structure import Habitus, Structure

FLAT = Geometry.regular((3, 64, 64), (3.0, 1.0, 1.0), (-32.0, -32.0, -3.0))
COVER = Grid((-40.0, -40.0, -10.0), (2.0, 2.0, 2.0), (11, 41, 41))


def test_a_clip_is_bright_and_streaks_only_in_its_slice() -> None:
    metal = Metal([(0.0, 0.0, 0.0)], 3.0, np.random.default_rng(0))
    through, beside = (np.full((64, 64), 50, np.float32) for _ in range(2))
    metal.add(Plane(FLAT, 1, np.zeros(3), COVER), through)
    metal.add(Plane(FLAT, 1, np.array([0.0, 0.0, 8.0]), COVER), beside)
    assert through.max() > 1500
    assert np.abs(through - 50)[:20].max() > 3, "streaks reach far"
    assert (beside == 50).all()


def test_a_thrombus_fills_the_vein_and_nothing_else() -> None:
    """A vein of 6 mm radius along x; the thrombus a ball of 10 mm."""
    solid = tube([(-40.0, 0.0, 0.0), (40.0, 0.0, 0.0)], [6.0, 6.0])
    vein = Sampled(Structure("portal_trunk", solid, ((0.0, "portal_vein"),)), COVER, solid(COVER))
    clot = Clot((0.0, 0.0, 0.0), 10.0, 80.0, [vein])
    plane, image = Plane(FLAT, 1, np.zeros(3), COVER), np.full((64, 64), 168, np.float32)
    window = clot.window(plane)
    assert window is not None
    clot.paint(plane, window, image[window], np.zeros((64, 64), np.float32)[window], 0.8)
    assert image[32, 32] == pytest.approx(80)
    assert image[32, 50] == 168, "further along the vein"
    assert image[32 + 8, 32] == 168, "beside the vein"


def test_after_a_left_resection_the_left_liver_is_gone() -> None:
    grid = Grid((-160.0, -120.0, -120.0), (6.0, 6.0, 6.0), (40, 40, 52))
    whole = draw_patient(np.random.default_rng(1), 1700.0)
    cut = draw_patient(np.random.default_rng(1), 900.0, None, Habitus(keep_to_mm=-12.0))
    left = grid.axes()[0] > -6
    assert ((whole.liver(grid) < 0) & left).sum() * 0.216 > 40
    assert ((cut.liver(grid) < 0) & left).sum() * 0.216 < 3
    assert cut.liver_ml == pytest.approx(900, rel=0.05)


def test_a_lower_cut_and_a_higher_floor_make_coarser_noise_of_the_same_strength() -> None:
    grid = Geometry.regular((1, 128, 128), (2.5, 0.8, 0.8))
    near = []
    for shape in (NoiseShape(), NoiseShape(0.0, 0.15, 0.1)):
        maker = NoiseMaker(grid, 10.0, 0.0, False, np.random.default_rng(1), shape)
        noise = maker.add(np.zeros((128, 128), np.float32))
        assert noise[48:80, 48:80].std() == pytest.approx(10, rel=0.25)
        near.append(np.corrcoef(noise[:, :-3].ravel(), noise[:, 3:].ravel())[0, 1])
    assert near[1] > near[0] + 0.15


def test_noise_of_neighbouring_slices_is_correlated_as_asked() -> None:
    grid = Geometry.regular((1, 128, 128), (2.5, 0.8, 0.8))
    maker = NoiseMaker(grid, 10.0, 0.0, False, np.random.default_rng(1), NoiseShape(along=0.5))
    slices = [maker.add(np.zeros((128, 128), np.float32)) for _ in range(6)]
    found = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in itertools.pairwise(slices)])
    assert found == pytest.approx(0.5, abs=0.05)


def test_the_fixed_set_has_no_extras_and_the_clinic_has_its_shares() -> None:
    fixed, clinic = load_distribution("virtual60"), load_distribution("clinic")
    assert draw_extras(fixed, True, fixed.rng(0, 11)).clips is None
    drawn = [draw_extras(clinic, True, clinic.rng(k, 11)) for k in range(400)]
    assert np.mean([e.thrombus is not None for e in drawn]) == pytest.approx(0.12, abs=0.05)
    assert np.mean([e.early_arterial for e in drawn]) == pytest.approx(0.25, abs=0.07)
    assert all(e.clips is not None for e in drawn if e.resected)
    assert draw_extras(clinic, False, clinic.rng(9, 11)).thrombus is None
