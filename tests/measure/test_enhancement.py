"""HU of lesions and parenchyma, with values put in by hand."""

from __future__ import annotations

import numpy as np
import pytest
from measure_phantom import CENTRE, LIVER, SHAPE, aligned, anatomy, ball, image
from scipy.ndimage import find_objects

from hepar.measure import MeasureSettings, measure
from hepar.measure.enhancement import PhaseImage, correlation_volume, lesion_enhancement
from hepar.measure.parenchyma import Parenchyma
from hepar.record import NOT_COVERED_HU, AlignedPhase, Anatomy, Findings

SETTINGS = MeasureSettings()


def found(outlines: Anatomy, *phases: AlignedPhase) -> Findings:
    return measure(outlines, phases, reference_phase=phases[0].phase_id, study_uid="1.2.3", settings=SETTINGS)


def test_a_lesion_is_measured_against_the_liver_around_it() -> None:
    """Lesion 60, liver 100, vessels 160 HU without noise: difference -40 HU, the vessels beside it not in it."""
    vessels = np.zeros(SHAPE, bool)
    vessels[LIVER] = True
    vessels[:, :, :78], vessels[:, :, 82:] = False, False
    outlines = anatomy((CENTRE, 10.0), vessels=vessels)
    entry = found(outlines, aligned("p1", image(outlines))).lesions[0].enhancement[0]
    assert entry.phase_id == "p1"
    assert entry.lesion_hu.estimate == pytest.approx(60.0)
    assert entry.shell_hu.estimate == pytest.approx(100.0)
    assert entry.difference_hu.estimate == pytest.approx(-40.0)
    assert entry.shell_voxels > 10_000


def test_the_shell_keeps_its_distances() -> None:
    """10 to 30 mm from the lesion, 10 mm from the liver's border, 5 mm from another lesion, 2 mm from vessels."""
    from scipy.ndimage import distance_transform_edt

    vessels = np.zeros(SHAPE, bool)
    vessels[LIVER] = True
    vessels[:, :58], vessels[:, 61:] = False, False
    other = ((30, 60, 85), 6.0)
    outlines = anatomy((CENTRE, 9.0), other, vessels=vessels)
    parenchyma = Parenchyma.of(outlines, LIVER, SETTINGS)
    lesion = np.argwhere(outlines.lesions == 1)
    low, high = lesion.min(axis=0), lesion.max(axis=0) + 1
    box = parenchyma.holds((slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])))
    where, mask = parenchyma.shell(box, 1)
    shell = np.zeros(SHAPE, bool)
    shell[LIVER][where] = mask

    def nearest(to: np.ndarray) -> tuple[float, float]:
        away = distance_transform_edt(~to, sampling=(2.0, 1.0, 1.0))[shell]
        return float(away.min()), float(away.max())

    block = 2.0
    assert nearest(outlines.lesions == 1)[0] >= 10.0 - block / 2
    assert nearest(outlines.lesions == 1)[1] <= 30.0 + 2 * block
    assert nearest(outlines.lesions == 2)[0] >= 5.0 - block / 2
    assert nearest(vessels)[0] >= 2.0
    assert nearest(~outlines.liver)[0] >= 10.0
    assert not (shell & (vessels | (outlines.lesions > 0))).any()


def test_the_outermost_pixels_of_a_lesion_do_not_count() -> None:
    """A rim of one pixel at 80 HU around a lesion of 60 HU: still 60."""
    from scipy.ndimage import binary_erosion

    outlines = anatomy((CENTRE, 10.0))
    hu = image(outlines)
    cross = np.zeros((3, 3, 3), bool)
    cross[1, 1, :] = cross[1, :, 1] = True
    inner = binary_erosion(outlines.lesions > 0, structure=cross)
    hu[(outlines.lesions > 0) & ~inner] = 80.0
    entry = found(outlines, aligned("p1", hu)).lesions[0].enhancement[0]
    assert entry.lesion_hu.estimate == pytest.approx(60.0)
    assert entry.lesion_voxels == inner.sum()
    assert "outermost" in entry.lesion_hu.method


def test_a_lesion_too_thin_for_a_core_is_measured_whole() -> None:
    """Radius 2 mm: the core would be less than half of it."""
    outlines = anatomy((CENTRE, 2.0))
    entry = found(outlines, aligned("p1", image(outlines))).lesions[0].enhancement[0]
    assert entry.lesion_voxels == int((outlines.lesions == 1).sum())


def test_a_phase_that_does_not_hold_the_lesion_says_so() -> None:
    """The phase ends in the lesion's middle: no number, and how much of it is held."""
    outlines = anatomy((CENTRE, 10.0))
    hu = image(outlines)
    part = hu.copy()
    part[:30] = NOT_COVERED_HU
    lesion = found(outlines, aligned("p1", hu), aligned("p2", part)).lesions[0]
    whole, half = lesion.enhancement
    assert whole.lesion_hu.estimate == pytest.approx(60.0)
    assert half.phase_id == "p2"
    assert half.lesion_hu.estimate is None
    assert "% of the lesion" in half.lesion_hu.missing
    assert half.difference_hu.estimate is None


def test_a_smaller_box_counts_as_not_covered() -> None:
    """A phase whose box ends before the lesion."""
    outlines = anatomy((CENTRE, 10.0))
    hu = image(outlines)
    small = aligned("p2", hu, box=(slice(0, 20), slice(0, 120), slice(0, 120)))
    entry = found(outlines, aligned("p1", hu), small).lesions[0].enhancement[1]
    assert "holds 0 % of the lesion" in entry.lesion_hu.missing


def test_a_refused_phase_keeps_its_entries_without_numbers() -> None:
    """accepted=False: the reason stands in every number."""
    outlines = anatomy((CENTRE, 10.0))
    hu = image(outlines)
    result = found(outlines, aligned("p1", hu), aligned("p2", hu, accepted=False, reason="too far off"))
    entry = result.lesions[0].enhancement[1]
    assert "too far off" in entry.lesion_hu.missing
    assert "too far off" in result.liver.mean_hu[1].mean_hu.missing
    assert result.liver.mean_hu[0].mean_hu.estimate == pytest.approx(100.0)


def test_without_room_for_a_shell_the_whole_parenchyma_stands_in() -> None:
    """A lesion surrounded by vessels: compared with all the parenchyma, and a notice says so."""
    vessels = ball(CENTRE, 50.0)
    outlines = anatomy((CENTRE, 8.0), vessels=vessels & ~ball(CENTRE, 8.0))
    lesion = found(outlines, aligned("p1", image(outlines))).lesions[0]
    assert lesion.enhancement[0].shell_hu.estimate == pytest.approx(100.0)
    assert [notice.code for notice in lesion.notices] == ["shell_whole_liver"]
    assert "whole parenchyma" in lesion.enhancement[0].shell_hu.method


def test_noise_gives_the_interval() -> None:
    """White noise of 20 HU: the mean of n voxels is known to 1.96 * 20 / sqrt(n), the spread is 20."""
    outlines = anatomy((CENTRE, 10.0))
    rng = np.random.default_rng(1)
    hu = image(outlines) + rng.normal(0, 20, SHAPE)
    result = found(outlines, aligned("p1", hu))
    entry = result.lesions[0].enhancement[0]
    assert entry.lesion_sd_hu.estimate == pytest.approx(20.0, rel=0.1)
    assert entry.lesion_hu.high is not None
    assert entry.lesion_hu.estimate is not None
    half = entry.lesion_hu.high - entry.lesion_hu.estimate
    assert half == pytest.approx(1.96 * 20 / np.sqrt(entry.lesion_voxels), rel=0.15)
    assert result.liver.mean_hu[0].mean_hu.estimate == pytest.approx(100.0, abs=0.5)
    assert result.liver.mean_hu[0].sd_hu.estimate == pytest.approx(20.0, rel=0.03)


def test_smooth_noise_counts_for_fewer_voxels() -> None:
    """Noise averaged over 3 x 3 pixels: triangular autocorrelation, 3 voxels for one along each axis, 9 in all."""
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng(2)
    hu = uniform_filter(rng.normal(0, 60, (30, 100, 100)), size=(1, 3, 3), mode="wrap")
    mask = np.ones(hu.shape, bool)
    assert correlation_volume(np.round(hu).astype(np.int16), mask) == pytest.approx(9.0, rel=0.1)
    white = np.round(rng.normal(0, 20, hu.shape)).astype(np.int16)
    assert correlation_volume(white, mask) == pytest.approx(1.0, abs=0.05)


def test_the_intervals_of_correlated_noise_hold() -> None:
    """40 noisy images: the interval of the difference holds the true -40 HU in at least 90 %."""
    from scipy.ndimage import gaussian_filter

    outlines = anatomy((CENTRE, 8.0))
    parenchyma = Parenchyma.of(outlines, LIVER, SETTINGS)
    (where,) = find_objects((outlines.lesions[LIVER] > 0).astype(int))
    lesion = (where, outlines.lesions[LIVER][where] == 1)
    shell = parenchyma.shell(where, 1)
    rng = np.random.default_rng(3)
    held = []
    for _ in range(40):
        noise = gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), (0.6, 1.0, 1.0))
        phase = aligned("p1", image(outlines) + noise * (15 / noise.std()))
        measured = PhaseImage.of(phase, parenchyma, SETTINGS)
        entry, _ = lesion_enhancement(phase, measured, parenchyma, lesion, shell, SETTINGS, 0.002)
        low, high = entry.difference_hu.low, entry.difference_hu.high
        assert low is not None
        assert high is not None
        held.append(low <= -40.0 <= high)
    assert np.mean(held) >= 0.9


def test_vessels_nobody_outlined_are_left_out() -> None:
    """5 % of the parenchyma at 170 HU, not outlined: the mean stays that of the parenchyma."""
    outlines = anatomy((CENTRE, 10.0))
    rng = np.random.default_rng(4)
    hu = image(outlines) + rng.normal(0, 10, SHAPE)
    hu[(rng.random(SHAPE) < 0.05) & outlines.liver] = 170.0
    result = found(outlines, aligned("p1", hu))
    assert result.liver.mean_hu[0].mean_hu.estimate == pytest.approx(100.0, abs=0.5)


def test_a_liver_too_thin_for_its_border_is_measured_with_it() -> None:
    """A slab of 16 mm: nothing is 10 mm away from the border; the border is included and the method says so."""
    thin = (slice(26, 34), slice(10, 110), slice(10, 110))
    outlines = anatomy(liver=thin)
    mean = found(outlines, aligned("p1", image(outlines))).liver.mean_hu[0]
    assert mean.mean_hu.estimate == pytest.approx(100.0)
    assert "border" in mean.mean_hu.method
