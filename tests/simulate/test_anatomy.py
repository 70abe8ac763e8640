"""The virtual patient is plausible, repeatable and cheap."""

from __future__ import annotations

import numpy as np
import pytest

from hepar.simulate.anatomy import draw_patient, network_classes, patient_grid, patient_labels
from hepar.simulate.tissues import TISSUES

# Volumes in ml between which a plausible adult lies (partly cut organs have only a lower limit of presence).
PLAUSIBLE_ML = {1: (1100, 2050), 3: (70, 600), 4: (180, 480), 5: (40, 250), 6: (40, 250), 7: (4, 60), 8: (5, 110),
                9: (300, 3500), 10: (250, 1100), 11: (700, 6000), 12: (15, 150)}  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_every_organ_has_a_plausible_volume(seed: int) -> None:
    patient = draw_patient(np.random.default_rng(seed))
    classes = network_classes()[patient_labels(patient, patient_grid(patient, 4.0, (96, 80, 100)))]
    for organ, (low, high) in PLAUSIBLE_ML.items():
        assert low < (classes == organ).sum() * 0.064 < high, f"class {organ}"


def test_liver_volume_is_the_one_asked_for() -> None:
    patient = draw_patient(np.random.default_rng(5), liver_ml=1500.0)
    classes = network_classes()[patient_labels(patient, patient_grid(patient, 3.0, (80, 100, 120)))]
    assert np.isin(classes, (1, 12)).sum() * 0.027 == pytest.approx(1500, rel=0.04)


def test_same_generator_gives_same_labels_and_another_gives_others() -> None:
    def labels(seed: int) -> np.ndarray:
        patient = draw_patient(np.random.default_rng(seed))
        return patient_labels(patient, patient_grid(patient, 6.0, (60, 60, 60)))

    assert (labels(3) == labels(3)).all()
    assert (labels(3) != labels(4)).any()


def test_sampling_a_part_of_the_grid_gives_the_same_tissue() -> None:
    patient = draw_patient(np.random.default_rng(8))
    grid = patient_grid(patient, 6.0, (50, 50, 60))
    found = grid.window(((-60.0, -60.0, -60.0), (60.0, 60.0, 60.0)))
    assert found is not None
    part, near = found
    assert (patient_labels(patient, near) == patient_labels(patient, grid)[part]).mean() > 0.995


def test_liver_lies_on_the_right_and_spleen_on_the_left() -> None:
    patient = draw_patient(np.random.default_rng(2))
    grid = patient_grid(patient, 4.0, (96, 80, 100))
    labels = patient_labels(patient, grid)
    x = np.broadcast_to(grid.axes()[0], grid.shape)
    assert x[labels == TISSUES["liver"].id].mean() < -30
    assert x[labels == TISSUES["spleen"].id].mean() > 60
