"""What the grey values say: how much more likely a value is inside than outside, learnt from the scan itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.record import NOT_COVERED_HU, Geometry

_LOW_HU, _HIGH_HU, _BIN_HU = -250, 450, 4
_BINS = (_HIGH_HU - _LOW_HU) // _BIN_HU
_LIMIT = 3.0
_BLUR_SHARE = 0.15
SCORE_LOGIT = np.log((np.arange(256) + 2.0) / (257.0 - np.arange(256))).astype(np.float32)
"""Lookup table: 255 x probability to log-odds, limited to about 4.9."""


class Evidence:
    """Log-likelihood ratio of a grey value, inside against outside (naive Bayes on two histograms).

    inside_hu, outside_hu: samples; with fewer than 30 of either nothing is known and every value gives 0.
    """

    def __init__(self, inside_hu: NDArray[np.int16], outside_hu: NDArray[np.int16], least_blur_hu: float = 8.0) -> None:
        from scipy import ndimage

        inside_hu = inside_hu[inside_hu != NOT_COVERED_HU]
        outside_hu = outside_hu[outside_hu != NOT_COVERED_HU]
        self.table = np.zeros(_BINS, np.float32)
        if min(inside_hu.size, outside_hu.size) < 30:
            return
        # Wide enough that values between two narrow peaks, which are edge voxels, fall to the nearer one.
        gap = abs(float(np.median(inside_hu)) - float(np.median(outside_hu)))
        blur = max(least_blur_hu, _BLUR_SHARE * gap) / _BIN_HU
        density = []
        for sample in (inside_hu, outside_hu):
            counts = np.bincount(_bin(sample).ravel(), minlength=_BINS).astype(np.float64)
            smooth = ndimage.gaussian_filter1d(counts, blur, mode="nearest")
            density.append(smooth / smooth.sum() + 0.02 / _BINS)
        self.table = np.clip(np.log(density[0] / density[1]), -_LIMIT, _LIMIT).astype(np.float32)

    def __call__(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """The ratio for every voxel; 0 where the phase does not reach."""
        out: NDArray[np.float32] = self.table[_bin(hu)]
        out[hu == NOT_COVERED_HU] = 0
        return out


def _bin(hu: NDArray[np.int16]) -> NDArray[np.int32]:
    return np.clip((hu.astype(np.int32) - _LOW_HU) // _BIN_HU, 0, _BINS - 1)


def calm(hu: NDArray[np.int16], geometry: Geometry, sigma_mm: float = 1.0) -> NDArray[np.int16]:
    """The volume smoothed against noise by a Gaussian of sigma_mm; voxels not covered stay so."""
    from scipy import ndimage

    gone = hu == NOT_COVERED_HU
    sigma = [sigma_mm / s if s < 2.5 * sigma_mm else 0.0 for s in geometry.spacing_mm]
    smooth = ndimage.gaussian_filter(np.where(gone, -1024, hu).astype(np.float32), sigma, truncate=2.5)
    out: NDArray[np.int16] = np.rint(smooth).astype(np.int16)
    out[gone] = NOT_COVERED_HU
    return out


def smooth_field(field: NDArray[np.float32], geometry: Geometry, sigma_mm: float) -> NDArray[np.float32]:
    """A log-odds field smoothed so that its zero line is a smooth outline."""
    from scipy import ndimage

    out: NDArray[np.float32] = ndimage.gaussian_filter(field, [sigma_mm / s for s in geometry.spacing_mm], truncate=2.5)
    return out
