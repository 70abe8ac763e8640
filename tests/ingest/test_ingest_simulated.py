"""Studies of hepar's own simulation: another writer, real protocol habits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hepar.record import Geometry
from hepar.simulate import FOUR_PHASES, SimulationSettings, simulate

LABELS = ["native", "arterial", "portal_venous", "delayed"]


def settings(**changes):
    small = SimulationSettings.small(shape=(16, 48, 48), spacing_mm=(12.0, 8.0, 8.0), lesions=(), phases=FOUR_PHASES)
    return replace(small, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"one_series": True, "shuffle_names": True},
        {"output": "enhanced", "flip": ("slice", "row")},
        {"phases": tuple(replace(p, description="") for p in FOUR_PHASES), "tilt_deg": 12.0},
        {"phases": tuple(replace(p, tell_times=False) for p in FOUR_PHASES)},
    ],
)
def test_four_phases_are_found_labelled_and_in_place(tmp_path, read, changes):
    """In one series, as flipped enhanced objects, by times alone with a tilt, by words alone."""
    made = settings(**changes)
    simulate(tmp_path / "s", made, 1)
    study = read(tmp_path / "s" / "dicom")
    assert [p.guess.label for p in study.phases] == LABELS
    assert study.phases[1].guess.arterial_timing == "late"
    assert all(p.guess.probability > 0.9 for p in study.phases)
    for phase in study.phases:
        assert phase.volume.array.shape == made.shape
        assert phase.tilt_deg == pytest.approx(made.tilt_deg, abs=0.01)
        assert isinstance(phase.volume.geometry, Geometry)
        centre = phase.volume.geometry.to_lps_mm((np.array(made.shape) - 1) / 2)
        np.testing.assert_allclose(centre, made.centre_lps_mm, atol=0.01)


def test_phases_without_words_and_times_are_not_taken_for_duplicates(tmp_path, read):
    """Four alike series: all are read, none is labelled with confidence it cannot have."""
    made = settings(phases=tuple(replace(p, description="", tell_times=False) for p in FOUR_PHASES))
    simulate(tmp_path / "s", made, 1)
    study = read(tmp_path / "s" / "dicom")
    assert len(study.phases) == 4
    assert study.skipped == ()
