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
NOISE_HU = 6.0
"""Contrast below this (on working voxels, after averaging) is noise and correlates with nothing."""
WINDOW_MM = 26.0
"""Side of the window of the local correlation."""
INNER_MM = 3.0
"""Deeper than this inside the outline a voxel of the working grid holds liver only."""
EDGE_WEIGHT = 0.5

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


def scene(volume: Volume, edge_mm: tuple[_Single, Geometry], grid: Geometry, settings: HarmoniseSettings) -> Scene:
    """The phase on `grid`; `edge_mm` as `signed_distance_mm` gives it."""
    image, edge = working_image(volume, grid), sample(*edge_mm, grid)
    low, high = settings.window_low_hu, settings.window_high_hu
    if volume.modality == "MR":
        low, high = (float(v) for v in np.percentile(image[edge < settings.rim_mm], (0.5, 99.5)))
    return Scene(
        grid=grid,
        image=np.clip(image, low, high).astype(np.float32),
        edge_mm=edge,
        covered=inside(volume.geometry, grid),
        edge_known=inside(volume.geometry, grid, deeper_mm=EDGE_REACH_MM),
    )


def signed_distance_mm(organs: OrganMap) -> tuple[_Single, Geometry]:
    """Distance to the surface of the liver, which must not be empty: negative inside, clipped at EDGE_REACH_MM.

    On the organ map's voxels around the liver; beyond them the nearest value holds. The surface lies between voxels.
    """
    from scipy.ndimage import distance_transform_edt

    spacing = organs.geometry.spacing_mm
    index = np.argwhere(organs.liver)
    reach = np.ceil(EDGE_REACH_MM / np.array(spacing)).astype(int) + 1
    start, stop = np.maximum(index.min(axis=0) - reach, 0), index.max(axis=0) + 1 + reach
    stop = np.minimum(stop, organs.geometry.shape)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    liver, half = organs.liver[z, y, x], min(spacing) / 2
    inner, outer = (distance_transform_edt(m, sampling=spacing) for m in (liver, ~liver))
    edge = np.clip(np.where(liver, half - inner, outer - half), -EDGE_REACH_MM, EDGE_REACH_MM)
    return edge.astype(np.float32), organs.geometry.crop((z, y, x))


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
        values = reference.image.ravel()[self.places]
        self._fixed = self._on_grid(values - values.mean())
        self._stack = np.stack([moving.image, moving.edge_mm], axis=-1)
        self._known = np.stack([moving.covered, moving.edge_known], axis=-1).astype(np.float32)
        self._to_index = np.linalg.inv(moving.grid.affine)
        self._size = max(3, 2 * round((WINDOW_MM / self.step_mm - 1) / 2) + 1)
        self.cover(self.points_lps_mm)

    def cover(self, moved_lps_mm: _Float) -> float:
        """Fix what the phase holds at these places for the evaluations to come; the liver's covered share."""
        held, known = (self._look_up(self._known, moved_lps_mm)[0] > 0.99).T
        self.held: NDArray[np.bool_] = held
        self._weight = self._on_grid(self._roi & held)
        self._band_held = self._band & known
        total = self._mean(self._weight)
        self._share = np.where(total > 0.02, 1 / np.maximum(total, 0.02), 0).astype(np.float32)
        counted = self._on_grid(self.inside & held) * (self._share > 0)
        self._counted = counted / np.float32(max(1.0, counted.sum()))
        self._fixed_mean = self._mean(self._weight * self._fixed) * self._share
        self._fixed_var = self._mean(self._weight * self._fixed**2) * self._share - self._fixed_mean**2
        liver = int(self.inside.sum())
        return float((self.inside & held).sum() / liver) if liver else 0.0

    def cost(self, moved_lps_mm: _Float) -> tuple[float, _Float]:
        """The cost at `points_lps_mm` moved to these places of the phase, and its slope by each place (n, 3)."""
        value, slope = self._look_up(self._stack, moved_lps_mm)
        similar, by_image = self._correlate(value[:, 0])
        off = value[:, 1] - self._edge
        soft = off**2 + EDGE_SCALE_MM**2
        share = EDGE_WEIGHT / max(1, int(self._band_held.sum())) * self._band_held
        by_edge = share * 2 * off * EDGE_SCALE_MM**2 / soft**2
        cost = -similar + float((share * off**2 / soft).sum())
        return cost, by_edge[:, None] * slope[:, :, 1] - by_image[:, None] * slope[:, :, 0]

    def edges_mm(self, moved_lps_mm: _Float) -> tuple[_Float, _Float, NDArray[np.bool_]]:
        """Signed distance to the reference liver and to the moved one at `points_lps_mm`, and where both are known."""
        return self._edge, self._look_up(self._stack, moved_lps_mm)[0][:, 1].astype(np.float64), self._band_held

    def inner_correlation(self, moved_lps_mm: _Float) -> tuple[_Float, NDArray[np.bool_]]:
        """Absolute local correlation at `points_lps_mm`, and where it is known: well inside both livers.

        Here the liver's edge, which fits any other liver too, is left out: vessels and lesions alone decide.
        """
        value = self._look_up(self._stack, moved_lps_mm)[0]
        deep = (self._edge < -INNER_MM) & (value[:, 1] < -INNER_MM) & self._roi & self.held
        weight = self._on_grid(deep)
        total = self._mean(weight)
        counted = deep & (total.ravel()[self.places] > 0.25)
        share = 1 / np.maximum(total, 0.25)
        middle = value[deep, 0].mean() if deep.any() else 0.0
        moving, fixed = self._on_grid(value[:, 0] - middle), self._fixed - self._fixed[weight > 0].mean()
        means = [self._mean(weight * a) * share for a in (fixed, moving)]
        f, m = (self._mean(weight * a * a) * share - b**2 for a, b in zip((fixed, moving), means, strict=True))
        cov = self._mean(weight * fixed * moving) * share - means[0] * means[1]
        noise = np.float32(NOISE_HU**2)
        found = np.abs(cov) / np.sqrt((np.maximum(f, 0) + noise) * (np.maximum(m, 0) + noise))
        return found.ravel()[self.places].astype(np.float64), counted

    def _mean(self, array: _Single) -> _Single:
        from scipy.ndimage import uniform_filter

        result: _Single = uniform_filter(array, self._size, mode="constant")
        return result

    def _on_grid(self, values: NDArray[np.generic]) -> _Single:
        """Values at `places` put on the grid, 0 elsewhere; float32."""
        array = np.zeros(self.grid.shape, np.float32)
        array.reshape(-1)[self.places] = values
        return array

    def _correlate(self, values: _Single) -> tuple[float, _Single]:
        """Mean squared local correlation in the liver, and its slope by each value."""
        w, share, fixed, fixed_mean = self._weight, self._share, self._fixed, self._fixed_mean
        moving = self._on_grid(values - values.mean())
        weighted = w * moving
        mean = self._mean(weighted) * share
        var = self._mean(weighted * moving) * share - mean**2
        cov = self._mean(weighted * fixed) * share - mean * fixed_mean
        noise = np.float32(NOISE_HU**2)
        f, m = np.maximum(self._fixed_var, 0) + noise, np.maximum(var, 0) + noise
        squared = cov**2 / (f * m)
        a = self._counted * share * 2 * cov / (f * m)
        b = self._counted * share * 2 * squared / m
        slope = fixed * self._mean(a) - self._mean(a * fixed_mean) - moving * self._mean(b) + self._mean(b * mean)
        return float((self._counted * squared).sum(dtype=np.float64)), (w * slope).ravel()[self.places]

    def _look_up(self, stack: _Single, points_lps_mm: _Float) -> tuple[_Single, _Single]:
        """Trilinear values (n, channels) of a stack on the moving grid, and their slopes by the place (n, 3, channels).

        Outside the grid the nearest value holds.
        """
        index = points_lps_mm @ self._to_index[:3, :3].T + self._to_index[:3, 3]
        top = np.array(stack.shape[:3]) - 1
        within = (index >= 0) & (index <= top)
        index = np.clip(index, 0, top)
        base = np.minimum(index.astype(np.int64), top - 1)
        part = (index - base).astype(np.float32)
        z, y, x = part[:, 0:1], part[:, 1:2], part[:, 2:3]
        flat = stack.reshape(-1, stack.shape[3])
        strides = np.array([stack.shape[1] * stack.shape[2], stack.shape[2], 1])
        at = base @ strides
        c = [flat[at + int(np.dot(corner, strides))] for corner in np.ndindex(2, 2, 2)]
        by_x = [c[i + 1] - c[i] for i in (0, 2, 4, 6)]
        r = [c[2 * i] + by_x[i] * x for i in range(4)]  # along columns, then rows, then slices
        by_y = [r[1] - r[0], r[3] - r[2]]
        p = [r[0] + by_y[0] * y, r[2] + by_y[1] * y]
        by_z = p[1] - p[0]
        x_low, x_high = by_x[0] + (by_x[1] - by_x[0]) * y, by_x[2] + (by_x[3] - by_x[2]) * y
        slope = np.stack([by_z, by_y[0] + (by_y[1] - by_y[0]) * z, x_low + (x_high - x_low) * z], axis=1)
        slope *= within[:, :, None]
        to_index = self._to_index[:3, :3].astype(np.float32)
        return p[0] + by_z * z, np.einsum("nik,ij->njk", slope, to_index)
