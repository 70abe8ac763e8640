"""Thin planes through sampled distance fields, the noise of a scan and the table under the patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry

from .shapes import Field, Grid

Window = tuple[slice, slice]


class Plane:
    """The pixels of one slice, moved by offset_mm. cover: the even grid whose sub-grids are to be sampled."""

    def __init__(self, geometry: Geometry, k: int, offset_mm: NDArray[np.float64], cover: Grid) -> None:
        _, rows, columns = geometry.shape
        a = geometry.affine
        start = a[:3, 3] + a[:3, 0] * k + offset_mm
        self.shape = (rows, columns)
        self.cover = cover
        self.straight = bool(np.allclose(a[[1, 2], 2], 0) and np.allclose(a[[0, 2], 1], 0) and a[0, 2] > 0 < a[1, 1])
        j, i = np.arange(rows)[:, None], np.arange(columns)[None, :]
        if self.straight:
            self.x = (start[0] + a[0, 2] * i).astype(np.float32)
            self.y = (start[1] + a[1, 1] * j).astype(np.float32)
            self.z = np.full((1, 1), start[2], np.float32)
        else:
            self.x, self.y, self.z = ((start[c] + a[c, 2] * i + a[c, 1] * j).astype(np.float32) for c in range(3))

    @cached_property
    def _index(self) -> Field:
        """Index of every pixel in the cover, (3, rows, columns)."""
        return np.stack([
            np.broadcast_to((p - np.float32(o)) / np.float32(s), self.shape)
            for p, o, s in zip((self.z, self.y, self.x), self.cover.origin_mm[::-1], self.cover.spacing_mm, strict=True)
        ])  # fmt: skip

    def sample(self, values: Field, grid: Grid, below: float | None = None) -> tuple[Window, Field] | None:
        """Values of a sub-grid at the pixels, as a window and its pixels; None where they do not meet.

        below: only the part of the plane where values under this are possible.
        """
        if self.straight:
            return self._sample_straight(values, grid, below)
        shift = [
            (g - c) / s
            for g, c, s in zip(grid.origin_mm[::-1], self.cover.origin_mm[::-1], grid.spacing_mm, strict=True)
        ]
        index = self._index
        inside = np.ones(self.shape, bool)
        for axis in range(3):
            inside &= (index[axis] >= shift[axis]) & (index[axis] <= shift[axis] + grid.shape[axis] - 1)
        window = _bounds(inside)
        if window is None:
            return None
        from scipy.ndimage import map_coordinates

        local = index[(slice(None), *window)] - np.asarray(shift, np.float32)[:, None, None]
        out = map_coordinates(values, local, order=1, mode="nearest", output=np.float32)
        if below is not None:
            out[~inside[window]] = below + 100
        return window, out

    def _sample_straight(self, values: Field, grid: Grid, below: float | None) -> tuple[Window, Field] | None:
        at = (float(self.z[0, 0]) - grid.origin_mm[2]) / grid.spacing_mm[0]
        if at < 0 or at > grid.shape[0] - 1:
            return None
        k = min(int(at), grid.shape[0] - 2) if grid.shape[0] > 1 else 0
        share = np.float32(at - k)
        flat = values[k] if share == 0 else values[k] + share * (values[k + 1] - values[k])
        wanted = (slice(0, flat.shape[0]), slice(0, flat.shape[1]))
        if below is not None:
            found = _bounds(flat < below + grid.spacing_mm[0])
            if found is None:
                return None
            wanted = (
                slice(max(found[0].start - 1, 0), min(found[0].stop + 1, flat.shape[0])),
                slice(max(found[1].start - 1, 0), min(found[1].stop + 1, flat.shape[1])),
            )
        rows = _steps(self.y[:, 0], grid.origin_mm[1], grid.spacing_mm[1], wanted[0])
        columns = _steps(self.x[0], grid.origin_mm[0], grid.spacing_mm[2], wanted[1])
        if rows is None or columns is None:
            return None
        (jw, j, js), (iw, i, iw_share) = rows, columns
        upper, lower = flat[j], flat[np.minimum(j + 1, flat.shape[0] - 1)]
        tall = upper + js[:, None] * (lower - upper)
        out = tall[:, i]
        out += iw_share * (tall[:, np.minimum(i + 1, flat.shape[1] - 1)] - out)
        return (jw, iw), out


class Places(Plane):
    """Any places of the world, (n, 3) in LPS mm, handled as a plane of one column."""

    def __init__(self, points_lps_mm: NDArray[np.float64], cover: Grid) -> None:
        self.shape, self.cover, self.straight = (len(points_lps_mm), 1), cover, False
        self.x, self.y, self.z = (np.asarray(points_lps_mm[:, [axis]], np.float32) for axis in range(3))


class Sampler:
    """One field, asked for plane after plane of the same scan: what all planes share is worked out once.

    below: as in `Plane.sample`; the windows may be larger than there, never smaller.
    """

    def __init__(self, values: Field, grid: Grid, below: float | None = None) -> None:
        self.values, self.grid, self.below = values, grid, below
        self._rows: NDArray[np.intp] | None = None
        self._ways: tuple[_Way, _Way] | None = None
        if below is not None:
            close: NDArray[np.bool_] = np.asarray(values < np.float32(below + grid.spacing_mm[0]))
            self._rows, self._columns = _ends(np.asarray(close.any(axis=2))), _ends(np.asarray(close.any(axis=1)))

    def at(self, plane: Plane) -> tuple[Window, Field] | None:
        """As `plane.sample`."""
        grid = self.grid
        if not plane.straight:
            return plane.sample(self.values, grid, self.below)
        at = (float(plane.z[0, 0]) - grid.origin_mm[2]) / grid.spacing_mm[0]
        if at < 0 or at > grid.shape[0] - 1:
            return None
        k = min(int(at), grid.shape[0] - 2) if grid.shape[0] > 1 else 0
        share = np.float32(at - k)
        top, bottom, left, right = 0, grid.shape[1], 0, grid.shape[2]
        if self._rows is not None:
            both = slice(k, k + 2)
            top, bottom = int(self._rows[both, 0].min()), int(self._rows[both, 1].max())
            left, right = int(self._columns[both, 0].min()), int(self._columns[both, 1].max())
            if top >= bottom:
                return None
            top, bottom = max(top - 1, 0), min(bottom + 1, grid.shape[1])
            left, right = max(left - 1, 0), min(right + 1, grid.shape[2])
        flat = self.values[k, top:bottom, left:right]
        if share:
            flat = flat + share * (self.values[k + 1, top:bottom, left:right] - flat)
        if self._ways is None:
            self._ways = (_Way.along(plane.y[:, 0], grid.origin_mm[1], grid.spacing_mm[1]),
                          _Way.along(plane.x[0], grid.origin_mm[0], grid.spacing_mm[2]))  # fmt: skip
        rows, columns = self._ways[0].within(top, bottom), self._ways[1].within(left, right)
        if rows is None or columns is None:
            return None
        (jw, j, js), (iw, i, iw_share) = rows, columns
        upper, lower = flat[j], flat[np.minimum(j + 1, flat.shape[0] - 1)]
        tall = upper + js[:, None] * (lower - upper)
        out = tall[:, i]
        out += iw_share * (tall[:, np.minimum(i + 1, flat.shape[1] - 1)] - out)
        return (jw, iw), out


@dataclass(frozen=True, eq=False)
class _Way:
    """Pixels along one axis as grid index, its floor and its share of the next."""

    index: Field
    low: NDArray[np.intp]
    share: Field

    @classmethod
    def along(cls, place: Field, origin: float, step: float) -> _Way:
        index = (place - np.float32(origin)) / np.float32(step)
        low = np.floor(index).astype(np.intp)
        return cls(index, low, (index - low).astype(np.float32))

    def within(self, start: int, stop: int) -> tuple[slice, NDArray[np.intp], Field] | None:
        """The pixels between two grid steps: their range, grid index from start, share of the next."""
        first = int(np.searchsorted(self.index, start, "left"))
        last = int(np.searchsorted(self.index, stop - 1, "right"))
        if first >= last:
            return None
        return slice(first, last), self.low[first:last] - start, self.share[first:last]


def _ends(lines: NDArray[np.bool_]) -> NDArray[np.intp]:
    """First and one past the last place of each line, (n, 2); first past the end and last 0 for an empty one."""
    length = lines.shape[1]
    some = lines.any(axis=1)
    first = np.where(some, lines.argmax(axis=1), length)
    last = np.where(some, length - lines[:, ::-1].argmax(axis=1), 0)
    return np.stack([first, last], axis=1)


def _bounds(mask: NDArray[np.bool_]) -> Window | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _steps(place: Field, origin: float, step: float, wanted: slice) -> tuple[slice, NDArray[np.intp], Field] | None:
    """Pixels along one axis that lie in the wanted grid steps: their range, lower grid index and share of the next."""
    index = (place - np.float32(origin)) / np.float32(step)
    inside = np.flatnonzero((index >= wanted.start) & (index <= wanted.stop - 1))
    if len(inside) == 0:
        return None
    window = slice(int(inside[0]), int(inside[-1]) + 1)
    low = np.floor(index[window]).astype(np.intp)
    return window, low, (index[window] - low).astype(np.float32)


@dataclass(frozen=True)
class NoiseShape:
    """along: correlation of the noise of one slice with that of the slice before (0 to below 1). cut: per mm, where the
    kernel ends (None: 0.62 sharp, 0.28 not). floor: per mm; the larger, the more noise there is at low frequencies.
    stretch: how much finer the noise is from front to back than from side to side, where the body is thicker.
    shade_hu: standard deviation of a slow shading on top, as beam hardening and scatter leave it.
    """

    along: float = 0.0
    cut: float | None = None
    floor: float = 0.015
    stretch: float = 1.0
    shade_hu: float = 0.0


SHADE_MM = 28.0
"""Standard deviation of the bell that smooths the shading; over this distance along the body it is another one."""


class NoiseMaker:
    """Correlated noise and in-plane blur of a scan.

    The noise power falls towards low frequencies and beyond the kernel's cut-off, as filtered back projection leaves
    it (Hsieh, Computed Tomography, 3rd ed., 2015, section 3.5); it is strongest in the middle of the body.
    """

    def __init__(self, geometry: Geometry, noise_hu: float, blur_mm: float, sharp: bool, rng: np.random.Generator,
                 shape: NoiseShape | None = None) -> None:  # fmt: skip
        shape = shape or NoiseShape()
        from scipy import fft

        _, rows, columns = geometry.shape
        _, sy, sx = geometry.spacing_mm
        self.rng, self.noise_hu, self.along = rng, noise_hu, np.float32(shape.along)
        self.before: Field | None = None
        self.shade: Field | None
        self.shaded: Field | None
        self.blur = (blur_mm / sy, blur_mm / sx)
        down, across = fft.fftfreq(rows, sy)[:, None], fft.rfftfreq(columns, sx)[None, :]
        frequency = np.hypot(down / np.sqrt(shape.stretch), across * np.sqrt(shape.stretch))
        cut = (0.62 if sharp else 0.28) if shape.cut is None else shape.cut
        weight = np.sqrt(frequency + shape.floor) * np.exp(-0.5 * (frequency / cut) ** 2)
        twice = np.full(weight.shape, 2.0)
        twice[:, 0] = 1.0
        if columns % 2 == 0:
            twice[:, -1] = 1.0
        self.weight = (weight / np.sqrt((twice * weight**2).sum() / (rows * columns))).astype(np.float32)
        self.shade_hu, self.shade, self.shaded = shape.shade_hu, None, None
        if shape.shade_hu:
            slow = np.exp(-0.5 * (2 * np.pi * SHADE_MM * np.hypot(down, across)) ** 2)
            self.shade = (slow / np.sqrt((twice * slow**2).sum() / (rows * columns))).astype(np.float32)
            self.shade_along = np.float32(np.exp(-geometry.spacing_mm[0] / SHADE_MM))
        j = (np.arange(rows) - (rows - 1) / 2) * sy
        i = (np.arange(columns) - (columns - 1) / 2) * sx
        self.strength = (0.6 + 0.4 * np.exp(-(j[:, None] ** 2 + i[None, :] ** 2) / 110**2)).astype(np.float32)

    def add(self, image: Field) -> Field:
        """The image (rows, columns) blurred, with noise."""
        from scipy import fft
        from scipy.ndimage import gaussian_filter

        out = np.asarray(gaussian_filter(image, self.blur, mode="nearest", truncate=3.5), np.float32)
        if self.noise_hu:
            white = self.rng.standard_normal(image.shape, dtype=np.float32)
            coloured = fft.irfft2(fft.rfft2(white) * self.weight, s=image.shape)
            if self.along:
                if self.before is not None:
                    coloured = self.along * self.before + np.sqrt(1 - self.along**2) * coloured
                self.before = coloured
            out += np.float32(self.noise_hu) * self.strength * coloured
        if self.shade is not None:
            white = self.rng.standard_normal(image.shape, dtype=np.float32)
            slow = fft.irfft2(fft.rfft2(white) * self.shade, s=image.shape)
            if self.shaded is not None:
                slow = self.shade_along * self.shaded + np.sqrt(1 - self.shade_along**2) * slow
            self.shaded = slow
            out += np.float32(self.shade_hu) * slow
        return out


def field_of_view(geometry: Geometry) -> NDArray[np.bool_]:
    """Pixels inside the round field of view; all of them unless the image is square."""
    _, rows, columns = geometry.shape
    if rows != columns:
        return np.ones((rows, columns), bool)
    j = (np.arange(rows) - (rows - 1) / 2) / (rows / 2)
    return np.asarray(j[:, None] ** 2 + j[None, :] ** 2 <= 1.0)


def draw_table(image: Field, x: Field, y: Field, back_mm: float) -> None:
    """Add the scanner's table under a back that touches it at back_mm: a curved plate and a flatter one below."""
    if y.shape[1] == 1:  # rows that the table may reach
        rows = np.flatnonzero(y[:, 0] > back_mm - 65)
        if len(rows) == 0:
            return
        image, y = image[rows[0] :], y[rows[0] :]
    for drop, curve, half in ((2.5, 30.0, 1.0), (42.0, 62.0, 0.9)):
        gap = np.abs(y - (back_mm + drop - curve * (x / 200) ** 2)) - half
        share = np.clip(0.5 - gap / 1.2, 0, 1) * (np.abs(x) < 205)
        image += np.where(image < -900, share * 820, 0).astype(np.float32)
