"""Mean HU of lesions, of the parenchyma around them and of the whole parenchyma, phase by phase.

A mean's interval counts neighbouring voxels as what they are, correlated: the effective number of voxels is the
number divided by the noise's correlation volume, the product over the axes of 1 + 2 * (sum of the autocorrelations up
to the first that is not positive), measured in the plain parenchyma of the same phase.
Source: Bartlett 1946 (variance of a mean of correlated values).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.measure.outline import Mask
from hepar.measure.parenchyma import Parenchyma
from hepar.measure.settings import MeasureSettings
from hepar.record import NOT_COVERED_HU, AlignedPhase, Box, Enhancement, Estimate, Notice, PhaseMean

MEAN_METHOD = "mean and normal interval from the effective number of uncorrelated voxels"
_MOST_LAGS = 12
_NOISE_SLICES = 16
_ROBUST_SD = 1.4826
"""Median absolute deviation to standard deviation, normal distribution."""


@dataclass(frozen=True)
class Sample:
    """Voxels of one region in one phase: mean, spread, number, standard error."""

    mean: float
    sd: float
    voxels: int
    error: float

    def mean_estimate(self, z: float, level: float, note: str = "") -> Estimate:
        """The mean with its interval."""
        half = z * self.error
        method = f"{MEAN_METHOD}; {note}" if note else MEAN_METHOD
        return Estimate(self.mean, self.mean - half, self.mean + half, level, method)

    def sd_estimate(self) -> Estimate:
        """The spread, without interval."""
        return Estimate(self.sd)


@dataclass(frozen=True, eq=False)
class PhaseImage:
    """One accepted phase, ready to be measured.

    plain, wide: values of the plain parenchyma, clipped. correlation_voxels: correlation volume of its noise.
    """

    phase: AlignedPhase
    plain: Sample | None
    wide: Sample | None
    correlation_voxels: float

    @classmethod
    def of(cls, phase: AlignedPhase, parenchyma: Parenchyma, settings: MeasureSettings) -> PhaseImage:
        """Whole-parenchyma values of one phase."""
        hu = _on(phase, parenchyma.box)
        volume = correlation_volume(hu, parenchyma.plain if parenchyma.plain.any() else parenchyma.wide)
        plain, wide = (_parenchyma_sample(hu[mask], volume, settings) for mask in (parenchyma.plain, parenchyma.wide))
        return cls(phase, plain, wide, volume)


def liver_mean(phase: AlignedPhase, image: PhaseImage | None, settings: MeasureSettings) -> PhaseMean:
    """Mean of the plain parenchyma; without a distance to the border where the liver is too thin for one."""
    if image is None:
        missing = Estimate.cannot_tell(_not_aligned(phase))
        return PhaseMean(phase.phase_id, missing, missing, 0)
    sample = image.plain or image.wide
    if sample is None:
        missing = Estimate.cannot_tell("no plain parenchyma is left in this phase beside lesions, vessels and border")
        return PhaseMean(phase.phase_id, missing, missing, 0)
    note = "" if image.plain else "the liver's border included"
    return PhaseMean(
        phase.phase_id, sample.mean_estimate(z_of(settings), settings.level, note), sample.sd_estimate(), sample.voxels
    )


def lesion_enhancement(
    phase: AlignedPhase,
    image: PhaseImage | None,
    parenchyma: Parenchyma,
    lesion: tuple[Box, Mask],
    shell: tuple[Box, Mask],
    settings: MeasureSettings,
    voxel_ml: float,
) -> tuple[Enhancement, Notice | None]:
    """One lesion in one phase, against its shell.

    lesion, shell: box in the coordinates of `parenchyma.box`, and mask in it. The lesion's mean leaves out its
    outermost pixels (they are part lesion, part liver) where that leaves at least half of it, else it takes all.
    A notice when the whole parenchyma had to stand in for the shell.
    """
    if image is None:
        return _missing(phase.phase_id, _not_aligned(phase)), None
    z, level = z_of(settings), settings.level
    hu = _on(phase, parenchyma.box, lesion[0])
    core = _core(lesion[1])
    held = core & (hu != NOT_COVERED_HU)
    coverage = float(held.sum()) / float(core.sum())
    if coverage < settings.min_coverage:
        needed = f"at least {100 * settings.min_coverage:.0f} % needed"
        return _missing(phase.phase_id, f"the phase holds {100 * coverage:.0f} % of the lesion, {needed}"), None

    around, notice, note = _shell_sample(phase, image, parenchyma, shell, settings, voxel_ml)
    values = hu[held].astype(np.float64)
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    noise = max(spread, around.sd if around is not None else 0.0) if values.size < 10 else spread
    inner = Sample(float(values.mean()), spread, int(values.size), _error(noise, values.size, image.correlation_voxels))
    trimmed = "" if core.sum() == lesion[1].sum() else "outermost pixels left out"
    if around is None:
        missing = Estimate.cannot_tell("no plain parenchyma is left in this phase to compare with")
        found = Enhancement(
            phase.phase_id, inner.mean_estimate(z, level, trimmed), inner.sd_estimate(), inner.voxels,
            missing, missing, 0, missing,
        )  # fmt: skip
        return found, None
    difference, half = inner.mean - around.mean, z * float(np.hypot(inner.error, around.error))
    method = "lesion mean minus shell mean, errors added in squares" + (f"; {note}" if note else "")
    found = Enhancement(
        phase.phase_id, inner.mean_estimate(z, level, trimmed), inner.sd_estimate(), inner.voxels,
        around.mean_estimate(z, level, note), around.sd_estimate(), around.voxels,
        Estimate(difference, difference - half, difference + half, level, method),
    )  # fmt: skip
    return found, notice


def correlation_volume(hu: NDArray[np.int16], mask: Mask) -> float:
    """Voxels that carry the information of one: 1 for white noise; 1 too where the mask is too small to tell.

    Measured in the 16 neighbouring slices that hold most of the mask.
    """
    per_slice = mask.sum(axis=(1, 2))
    first = int(np.convolve(per_slice, np.ones(_NOISE_SLICES), "full")[_NOISE_SLICES - 1 :].argmax())
    slab = slice(first, first + _NOISE_SLICES)
    hu, known = hu[slab], mask[slab] & (hu[slab] != NOT_COVERED_HU)
    values = np.where(known, hu, 0).astype(np.float32)
    n = int(known.sum())
    if n < 100:
        return 1.0
    values -= np.float32(values[known].mean())
    values[~known] = 0.0
    variance = float((values[known].astype(np.float64) ** 2).mean())
    if variance <= 0:
        return 1.0
    volume = 1.0
    for axis in range(3):
        factor = 1.0
        for lag in range(1, min(_MOST_LAGS, hu.shape[axis] - 1) + 1):
            ahead = tuple(slice(lag, None) if a == axis else slice(None) for a in range(3))
            behind = tuple(slice(None, -lag) if a == axis else slice(None) for a in range(3))
            pairs = int((known[ahead] & known[behind]).sum())
            rho = float((values[ahead] * values[behind]).sum(dtype=np.float64)) / max(pairs, 1) / variance
            if pairs < 100 or rho <= 0.05:
                break
            factor += 2 * rho
        volume *= factor
    return volume


def z_of(settings: MeasureSettings) -> float:
    """Normal quantile of the level."""
    from scipy.special import ndtri

    return float(ndtri((1 + settings.level) / 2))


def _shell_sample(
    phase: AlignedPhase,
    image: PhaseImage,
    parenchyma: Parenchyma,
    shell: tuple[Box, Mask],
    settings: MeasureSettings,
    voxel_ml: float,
) -> tuple[Sample | None, Notice | None, str]:
    values = _on(phase, parenchyma.box, shell[0])[shell[1]]
    sample = _parenchyma_sample(values, image.correlation_voxels, settings)
    if sample is not None and sample.voxels * voxel_ml >= settings.shell_min_ml:
        return sample, None, ""
    whole = image.plain or image.wide
    if whole is None:
        return None, None, ""
    text = "too little plain parenchyma lies around it; it is compared with the whole parenchyma"
    return whole, Notice("shell_whole_liver", text), "whole parenchyma instead of a shell"


def _parenchyma_sample(values: NDArray[np.int16], correlation: float, settings: MeasureSettings) -> Sample | None:
    values = values[values != NOT_COVERED_HU]
    if values.size < 20:
        return None
    middle = float(np.median(values))
    robust = _ROBUST_SD * float(np.median(np.abs(values - middle)))
    kept = values[np.abs(values - middle) <= settings.clip_sd * max(robust, 1.0)].astype(np.float64)
    sd = float(kept.std(ddof=1))
    return Sample(float(kept.mean()), sd, int(kept.size), _error(sd, kept.size, correlation))


def _error(sd: float, voxels: int, correlation: float) -> float:
    return sd / float(np.sqrt(max(voxels / correlation, 1.0)))


def _core(lesion: Mask) -> Mask:
    """The lesion without its outermost pixels, slice by slice; all of it where less than half would be left."""
    padded = np.pad(lesion, ((0, 0), (1, 1), (1, 1)))
    core: Mask = (
        lesion & padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    )  # fmt: skip
    return core if 2 * core.sum() >= lesion.sum() else lesion


def _on(phase: AlignedPhase, box: Box, inner: Box | None = None) -> NDArray[np.int16]:
    """The phase's HU on `box` (native grid), or on `inner` counted from `box`; NOT_COVERED_HU where it has none."""
    inner = inner or (slice(0, box[0].stop - box[0].start), slice(0, box[1].stop - box[1].start),
                      slice(0, box[2].stop - box[2].start))  # fmt: skip
    wanted = [(b.start + i.start - p.start, b.start + i.stop - p.start) for b, i, p in
              zip(box, inner, phase.box, strict=True)]  # fmt: skip
    inside = [(max(0, a), min(n, b)) for (a, b), n in zip(wanted, phase.hu.shape, strict=True)]
    if [tuple(w) for w in wanted] == inside:
        return phase.hu[tuple(slice(a, b) for a, b in inside)]
    result = np.full([b - a for a, b in wanted], NOT_COVERED_HU, dtype=np.int16)
    if all(b > a for a, b in inside):
        there = tuple(slice(i[0] - w[0], i[1] - w[0]) for i, w in zip(inside, wanted, strict=True))
        result[there] = phase.hu[tuple(slice(a, b) for a, b in inside)]
    return result


def _not_aligned(phase: AlignedPhase) -> str:
    return f"the phase is kept out of measurements: {phase.reason or 'it does not align with the reference'}"


def _missing(phase_id: str, reason: str) -> Enhancement:
    missing = Estimate.cannot_tell(reason)
    return Enhancement(phase_id, missing, missing, 0, missing, missing, 0, missing)
