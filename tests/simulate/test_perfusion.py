"""The perfusion model passes close to the contrast table and does what an injection does between its times."""

from __future__ import annotations

import numpy as np
import pytest

from hepar.simulate.contrast import TIMES_S, table_values
from hepar.simulate.perfusion import perfused_hu

PARENCHYMA = ("liver", "spleen", "pancreas", "muscle", "kidney_cortex", "portal_vein", "hepatic_veins", "vena_cava",
              "fat")  # fmt: skip


@pytest.mark.parametrize(("tissues", "within_hu"), [
    (PARENCHYMA, 10), (("aorta", "artery"), 25), (("heart_left", "heart_right"), 45)])  # fmt: skip
def test_the_table_is_reproduced_at_its_times(tissues: tuple[str, ...], within_hu: float) -> None:
    for tissue in tissues:
        for time_s, hu in zip(TIMES_S, table_values(tissue), strict=True):
            assert perfused_hu(tissue, time_s) == pytest.approx(hu, abs=within_hu), (tissue, time_s)


def test_arteries_fill_before_the_portal_vein_and_that_before_the_hepatic_veins() -> None:
    times = np.arange(0, 150, 1.0)
    half = {}
    for tissue in ("aorta", "portal_vein", "hepatic_veins"):
        rise = np.array([perfused_hu(tissue, t) for t in times]) - perfused_hu(tissue, 0)
        half[tissue] = times[np.argmax(rise > 0.5 * rise.max())]
    assert 10 < half["aorta"] < half["portal_vein"] - 8 < half["hepatic_veins"] - 8


def test_nothing_enhances_before_the_contrast_arrives_and_everything_fades_at_last() -> None:
    for tissue in ("aorta", "liver", "portal_vein"):
        assert perfused_hu(tissue, 5.0) == pytest.approx(table_values(tissue)[0], abs=0.5)
        assert table_values(tissue)[0] - 1 < perfused_hu(tissue, 800.0) < perfused_hu(tissue, 180.0)


def test_strength_scales_enhancement_and_not_the_native_value() -> None:
    native, once = perfused_hu("liver", 0), perfused_hu("liver", 70)
    assert perfused_hu("liver", 70, 1.3) - native == pytest.approx(1.3 * (once - native))
