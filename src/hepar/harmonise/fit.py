"""How well a phase fits the reference at given places: liver edges and local correlation, with the slope.

Libraries offer one metric at a time, over random samples or over all voxels. Here the two that breathing livers need
run together on a few ten thousand voxels in and around the liver, sums always in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.harmonise.grid import inside, lattice_lps_mm, sample, working_image
from hepar.harmonise.settings import HarmoniseSettings
from hepar.record import Geometry, OrganMap, Volume

EDGE_REACH_MM = 14.0
"""Signed distances count up to here; voxels this near to the volume's end know no edge (the liver may be cut)."""
EDGE_SCALE_MM = 3.0
"""An edge off by this much costs half of the most: outlines of networks are wrong by a voxel here and there."""
NOISE_HU = 8.0
"""Contrast below this (on working voxels, after averaging) is noise and correlates with nothing."""
WINDOW_MM = 26.0
"""Side of the window of the local correlation."""
EDGE_WEIGHT = 1.0

_Float = NDArray[np.float64]
_Single = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scene:
    """One phase on a working grid: clipped intensity, signed distance to the liver (inside negative), what is known.

    image, edge_mm: float32. covered: held by the volume. edge_known: far enough from the volume's end.
    """

    grid: Geometry
    image: _Single
    edge_mm: _Single
    covered: NDArray[np.bool_]
    edge_known: NDArray[np.bool_]


def scene(volume: Volume, organs: OrganMap, grid: Geometry, settings: HarmoniseSettings) -> Scene:
    """The phase on `grid`; the liver of `organs` must not be empty."""
    from scipy.ndimage import distance_transform_edt

    image = working_image(volume, grid)
    low, high = settings.window_low_hu, settings.window_high_hu
    if volume.modality == "MR":
        liver = sample(organs.liver.astype(np.float32), organs.geometry, grid) > 0.5
        low, high = (float(v) for v in np.percentile(image[liver], (0.5, 99.5))) if liver.any() else (0.0, 1.0)
    covered = inside(volume.geometry, grid)
    from_end = distance_transform_edt(np.pad(covered, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    if covered.all():
        from_end = np.full(grid.shape, np.inf)
    return Scene(
        grid=grid,
        image=np.clip(image, low, high).astype(np.float32),
        edge_mm=np.clip(sample(signed_distance_mm(organs), organs.geometry, grid), -EDGE_REACH_MM, EDGE_REACH_MM),
        covered=covered,
        edge_known=from_end > EDGE_REACH_MM,
    )


def signed_distance_mm(organs: OrganMap) -> _Single:
    """Distance to the liver's surface on the organ map's grid, negative inside; the surface lies between voxels."""
    from scipy.ndimage import distance_transform_edt

    liver, spacing = organs.liver, organs.geometry.spacing_mm
    half = min(spacing) / 2
    outer = distance_transform_edt(~liver, sampling=spacing)
    inner = distance_transform_edt(liver, sampling=spacing)
    return np.where(liver, half - inner, outer - half).astype(np.float32)


class Fit:
    """The cost of putting a moving scene onto a reference scene.

    Lower is better: minus the mean squared local correlation (in [-1, 0]) plus EDGE_WEIGHT times the mean edge cost
    (in [0, 1]). The squared correlation does not mind which of two tissues is the brighter one, so vessels and
    lesions may change their contrast from phase to phase.
    """

    def __init__(self, reference: Scene, moving: Scene, settings: HarmoniseSettings) -> None:
        self.grid = reference.grid
        roi = (reference.edge_mm < settings.rim_mm) & reference.covered
        band = (np.abs(reference.edge_mm) < EDGE_REACH_MM) & reference.edge_known
        self.step_mm = min(self.grid.spacing_mm)
        self.places = np.flatnonzero(roi | band)
        self.points_lps_mm: _Float = lattice_lps_mm(self.grid).reshape(-1, 3)[self.places]
        self._roi = roi.ravel()[self.places]
        self._band = band.ravel()[self.places]
        self.inside: NDArray[np.bool_] = (reference.edge_mm < 0).ravel()[self.places]
        self._edge = reference.edge_mm.ravel()[self.places].astype(np.float64)
        self._reference = reference
        self._moving = moving
        stack = [moving.image, moving.edge_mm, moving.covered, moving.edge_known]
        self._stack = np.stack([a.astype(np.float32) for a in stack], axis=-1)
        self._to_index = np.linalg.inv(moving.grid.affine)
        self._size = max(3, 2 * round((WINDOW_MM / self.step_mm - 1) / 2) + 1)
        self.cover(self.points_lps_mm)

    def cover(self, moved_lps_mm: _Float) -> float:
        """Fix what the phase holds at these places for the evaluations to come; the liver's covered share."""
        value, _ = self._look_up(moved_lps_mm)
        held, known = value[:, 2] > 0.99, value[:, 3] > 0.99
        self.held: NDArray[np.bool_] = held
        weight = np.zeros(self._reference.image.size)
        weight[self.places] = self._roi & held
        self._weight = weight.reshape(self.grid.shape)
        self._band_held = self._band & known
        total = self._mean(self._weight)
        self._share = np.where(total > 0.02, 1.0 / np.maximum(total, 1e-6), 0.0)
        counted = np.zeros(self._reference.image.size)
        counted[self.places] = self.inside & held
        self._counted = (counted / max(1.0, counted.sum())).reshape(self.grid.shape) * (self._share > 0)
        fixed = self._reference.image.astype(np.float64)
        self._fixed = fixed - fixed.ravel()[self.places].mean()
        self._fixed_mean = self._mean(self._weight * self._fixed) * self._share
        self._fixed_var = self._mean(self._weight * self._fixed**2) * self._share - self._fixed_mean**2
        liver = int(self.inside.sum())
        return float((self.inside & held).sum() / liver) if liver else 0.0

    def cost(self, moved_lps_mm: _Float) -> tuple[float, _Float]:
        """The cost at `points_lps_mm` moved to these places of the phase, and its slope by each place (n, 3)."""
        value, slope = self._look_up(moved_lps_mm)
        similar, by_image, _ = self._correlate(value[:, 0])
        off = value[:, 1] - self._edge
        soft = off**2 + EDGE_SCALE_MM**2
        share = EDGE_WEIGHT / max(1, int(self._band_held.sum())) * self._band_held
        by_edge = share * 2 * off * EDGE_SCALE_MM**2 / soft**2
        cost = -similar + float((share * off**2 / soft).sum())
        return cost, -by_image[:, None] * slope[:, 0] + by_edge[:, None] * slope[:, 1]

    def correlation(self, moved_lps_mm: _Float) -> tuple[_Float, NDArray[np.bool_]]:
        """Absolute local correlation at each of `points_lps_mm`, and which of them lie in the covered liver."""
        _, _, squared = self._correlate(self._look_up(moved_lps_mm)[0][:, 0])
        return np.sqrt(squared.ravel()[self.places]), self._counted.ravel()[self.places] > 0

    def edges_mm(self, moved_lps_mm: _Float) -> tuple[_Float, _Float, NDArray[np.bool_]]:
        """Signed distance to the reference liver and to the moved one at `points_lps_mm`, and where both are known."""
        return self._edge, self._look_up(moved_lps_mm)[0][:, 1], self._band_held

    def _mean(self, array: _Float) -> _Float:
        from scipy.ndimage import uniform_filter

        result: _Float = uniform_filter(array, self._size, mode="constant")
        return result

    def _correlate(self, values: _Float) -> tuple[float, _Float, _Float]:
        """Mean squared local correlation in the liver, its slope by each value, and its map."""
        moving = np.zeros(self._weight.size)
        moving[self.places] = values - values.mean()
        moving = moving.reshape(self.grid.shape)
        w, share, fixed, fixed_mean = self._weight, self._share, self._fixed, self._fixed_mean
        mean = self._mean(w * moving) * share
        var = self._mean(w * moving**2) * share - mean**2
        cov = self._mean(w * moving * fixed) * share - mean * fixed_mean
        noise = NOISE_HU**2
        f, m = np.maximum(self._fixed_var, 0) + noise, np.maximum(var, 0) + noise
        squared = cov**2 / (f * m)
        a = self._counted * share * 2 * cov / (f * m)
        b = self._counted * share * 2 * squared / m
        slope = w * (fixed * self._mean(a) - self._mean(a * fixed_mean) - moving * self._mean(b) + self._mean(b * mean))
        return float((self._counted * squared).sum()), slope.ravel()[self.places], squared

    def _look_up(self, points_lps_mm: _Float) -> tuple[_Float, _Float]:
        """Trilinear values (n, channels) of the moving scene and their slopes by the place (n, channels, 3)."""
        index = points_lps_mm @ self._to_index[:3, :3].T + self._to_index[:3, 3]
        top = np.array(self._stack.shape[:3]) - 1
        within = (index >= 0) & (index <= top)
        index = np.clip(index, 0, top)
        base = np.minimum(index.astype(np.int64), np.maximum(top - 1, 0))
        z, y, x = ((index - base).T)[:, :, None]
        flat = self._stack.reshape(-1, self._stack.shape[3])
        stride = (self._stack.shape[1] * self._stack.shape[2], self._stack.shape[2], 1)
        at = base @ np.array(stride)
        c = [flat[at + (b >> 2) * stride[0] + (b >> 1 & 1) * stride[1] + (b & 1)].astype(np.float64) for b in range(8)]
        r = [c[i] + (c[i + 1] - c[i]) * x for i in (0, 2, 4, 6)]  # along columns, then rows, then slices
        p = [r[0] + (r[1] - r[0]) * y, r[2] + (r[3] - r[2]) * y]
        by_x = [c[i + 1] - c[i] for i in (0, 2, 4, 6)]
        d_x = [by_x[0] + (by_x[1] - by_x[0]) * y, by_x[2] + (by_x[3] - by_x[2]) * y]
        d_y = [r[1] - r[0], r[3] - r[2]]
        by_index = np.stack([p[1] - p[0], d_y[0] + (d_y[1] - d_y[0]) * z, d_x[0] + (d_x[1] - d_x[0]) * z], axis=-1)
        by_index *= within[:, None, :]
        return p[0] + (p[1] - p[0]) * z, by_index @ self._to_index[:3, :3]
