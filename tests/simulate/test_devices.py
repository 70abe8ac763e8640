"""Stents, shunts, dilated ducts and arms are where they belong and look as they are named."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hepar.record import Geometry
from hepar.simulate.anatomy import Patient, draw_patient
from hepar.simulate.arms import Arms, ArmsBeside
from hepar.simulate.contrast import tissue_hu
from hepar.simulate.devices import with_stents
from hepar.simulate.distribution import Distribution, load_distribution
from hepar.simulate.draw import draw_case
from hepar.simulate.ducts import with_ducts
from hepar.simulate.extras import draw_extras
from hepar.simulate.planes import NoiseMaker, NoiseShape, Plane
from hepar.simulate.shapes import Grid, Point

GRID = Geometry.regular((3, 160, 260), (3.0, 2.0, 2.0), (-260.0, -160.0, -3.0))
COVER = Grid((-260.0, -160.0, -10.0), (4.0, 4.0, 4.0), (6, 80, 130))


def clinic(**changes: dict[str, Any]) -> Distribution:
    one = load_distribution("clinic")
    tables = copy.deepcopy(dict(one.tables))
    for table, values in changes.items():
        tables[table] = {**tables[table], **values}
    return replace(one, tables=tables)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return draw_patient(np.random.default_rng(3), 1500.0)


def at(patient: Patient, name: str, places: np.ndarray) -> np.ndarray:
    """Distance of a structure at places (n, 3)."""
    solid = patient.structure(name).solid
    points: list[Point] = [(float(x), float(y), float(z)) for x, y, z in places]
    return np.array([float(solid(Grid(p, (1.0, 1.0, 1.0), (1, 1, 1)))[0, 0, 0]) for p in points])


def around_liver(patient: Patient, step_mm: float) -> Grid:
    low, high = patient.structure("liver").box
    z, y, x = (int((high[a] - low[a]) / step_mm) for a in (2, 1, 0))
    return Grid(low, (step_mm, step_mm, step_mm), (z, y, x))


def test_dilated_ducts_lie_in_the_liver_and_come_from_the_distribution(patient: Patient) -> None:
    d = clinic(extras={"ducts": 1.0})
    ill, which = with_ducts(d, patient, (), np.random.default_rng(1))
    assert which == "all"
    grid = around_liver(patient, 3.0)
    ducts, liver = ill.structure("bile_ducts").solid(grid) < 0, patient.liver(grid) < 0
    assert 2 < ducts.sum() * 0.027 < 90, "ml"
    assert (liver & ducts).sum() == ducts.sum()
    assert ill.structure("common_duct").layers[-1][1] == "bile_duct"
    assert {tissue_hu("bile_duct", t) for t in (0.0, 35.0, 70.0)} <= {6.0, 7.0}, "never enhances"
    assert with_ducts(load_distribution("virtual60"), patient, (), np.random.default_rng(1)) == (patient, "")


def test_a_tumour_at_the_hilum_dilates_all_ducts_and_only_one_lies_there() -> None:
    d = clinic(lesions={"count": 2, "sizes": "middle"}, extras={"stents": 1.0, "tips": 0.0})
    kinds = {"name": "cholangiocarcinoma", "share": 1.0, "cirrhosis": 0.0, "kinds": {"icc_hilar": 1.0}}
    case = draw_case(replace(d, tables={**d.tables, "type": [kinds]}), 3)
    assert sorted(t.seat for t in case.tumours) == ["deep", "hilar"]
    assert case.extras.biliary == "all"
    assert case.extras.devices[0].kind in ("stent_plastic", "stent_metal")
    first = next(t for t in case.tumours if t.seat == "hilar")
    hilum = np.array(case.patient.build.at(-32, -22, 6))
    assert np.linalg.norm(np.array(first.centre_lps_mm) - hilum) < 45


def test_a_shunt_runs_from_hepatic_vein_to_portal_vein(patient: Patient) -> None:
    d = clinic(extras={"tips": 1.0, "stents": 1.0})
    ill, devices = with_stents(d, patient, "", True, np.random.default_rng(2))
    assert [one.kind for one in devices] == ["tips"], "no stent of the ducts where they are not dilated"
    places = devices[0].places
    assert (at(ill, "tips", places) < -3).all(), "the middle of a tube of 8 mm or more"
    assert at(patient, "portal_trunk", places[-2:]).min() < 8, "ends at the portal vein"
    assert at(patient, "vena_cava", places[:1])[0] < 25
    assert at(patient, "liver", places[len(places) // 2 :][:1])[0] < 0, "through the liver"
    assert ill.structure("tips").layers == ((0.0, "stent_metal"), (-0.7, "stent_blood"))
    assert with_stents(d, patient, "", False, np.random.default_rng(2))[1] == (), "only with cirrhosis"


def test_arms_lie_beside_the_body_and_throw_bands_between_them(patient: Patient) -> None:
    build = patient.build
    arms = Arms((-1, 1), 10.0, 0.0, 12.0, -40.0)
    image = np.full((160, 260), -1000, np.float32)
    x = -260.0 + 2.0 * np.arange(260)
    body = np.abs(x) < build.cavity_half_width_mm
    image[20:140, body] = 50
    ArmsBeside(arms, build, np.random.default_rng(0)).add(Plane(GRID, 1, np.zeros(3), COVER), image)
    beside = np.abs(x) > build.cavity_half_width_mm + build.muscle_mm + build.fat_mm
    assert (image[:, beside] > 700).sum() > 20, "bone"
    assert (image[:, beside & (x > 0)] > 0).sum() > 300, "an arm on the left"
    change = image[20:140, body] - 50
    assert change[50:70].std() > 5 * change[:6].std(), "strongest at the height of the arms"
    assert change[60].std() < 0.5 * change[40:80].std(), "bands run from side to side"


def test_noise_is_longer_from_side_to_side_and_a_shading_is_slow() -> None:
    grid = Geometry.regular((1, 160, 160), (2.5, 0.8, 0.8))

    def field(shape: NoiseShape) -> np.ndarray:
        return NoiseMaker(grid, 10.0, 0.0, False, np.random.default_rng(1), shape).add(np.zeros((160, 160), np.float32))

    noise = field(NoiseShape(0.0, 0.3, 0.02, 2.2))
    across, down = (np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in
                    ((noise[:, :-2], noise[:, 2:]), (noise[:-2], noise[2:])))  # fmt: skip
    assert across > down + 0.15
    slow = field(NoiseShape(0.0, 0.3, 0.02, 2.2, 3.0)) - noise
    assert 1.0 < slow.std() < 6.0
    assert np.corrcoef(slow[:, :-10].ravel(), slow[:, 10:].ravel())[0, 1] > 0.8, "8 mm away it is nearly the same"


def test_shading_of_neighbouring_slices_belongs_together() -> None:
    grid = Geometry.regular((1, 96, 96), (2.5, 2.0, 2.0))
    maker = NoiseMaker(grid, 0.0, 0.0, False, np.random.default_rng(1), NoiseShape(shade_hu=3.0))
    slices = [maker.add(np.zeros((96, 96), np.float32)) for _ in range(12)]
    assert np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in itertools.pairwise(slices)]) > 0.75


def test_shares_of_the_newer_extras_are_the_stated_ones() -> None:
    d = load_distribution("clinic")
    drawn = [draw_extras(d, True, d.rng(k, 11)) for k in range(500)]
    for key, share in (("arms", 0.08), ("coils", 0.02), ("vein_thrombus", 0.04)):
        assert np.mean([getattr(e, key) is not None for e in drawn]) == pytest.approx(share, abs=0.035)
    assert np.mean([e.cut_end != 0 for e in drawn]) == pytest.approx(0.08, abs=0.04)
    assert all(1.2 <= e.noise_stretch <= 2.4 for e in drawn)
    fixed = load_distribution("virtual60")
    assert draw_extras(fixed, True, fixed.rng(0, 11)).noise_shape == (None, 0.015, 1.0, 0.0)


def test_a_scan_that_misses_an_end_is_shorter() -> None:
    whole, cut = (draw_case(clinic(extras={"cut_end": v, "arms": 0.0, "resected": 0.0}), 5) for v in (0.0, 1.0))
    assert cut.extras.cut_end != 0
    lost = 1 - cut.settings.shape[0] / whole.settings.shape[0]
    assert lost == pytest.approx(abs(cut.extras.cut_end), abs=0.03)
