"""Are two images the same scan: a comparison that survives rescaling, another window, mirroring, cropping and noise.

An image becomes a small grid of its soft-tissue detail, each place judged against its neighbourhood, so that neither
window nor bias counts. Two grids are laid over each other in all mirrorings and in nine crops, all shifts at once
(Fourier); a pair that fits is aligned better, and the correlation of its finest detail is its likeness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.validate.inputs import Floats

GRID, COARSE = (24, 96, 96), (12, 48, 48)
"""Places of the fine and the coarse grid, whatever the image's size; a single slice has one in its direction."""
SCALES = tuple((z, xy) for z, xy in product((0.8, 0.9, 1.0, 1 / 0.9, 1.25), repeat=2) if z == xy or 1.0 in (z, xy))
"""Crops that are tried: how much of the other image one covers, along the slices and within them."""
SOFT = (0.4, 0.95)
FIT = 0.45
"""Likeness of the coarse grids from which a pair is aligned further."""
LEAST_OVERLAP = 0.6


@dataclass(frozen=True, eq=False)
class Signature:
    """What is kept of an image: its soft tissue on the fine grid, and the detail of the coarse one."""

    grid: NDArray[np.float16]
    coarse: NDArray[np.float32]


def signature(image: ArrayLike) -> Signature:
    """Of one image, (slice, row, column) or (row, column), any units. Raises WrongCall for another shape, fewer than 16
    rows or columns, or an image that is the same everywhere."""
    values = np.asarray(image)
    if values.ndim == 2:
        values = values[None]
    if values.ndim != 3 or min(values.shape[1:]) < 16:
        raise WrongCall(f"the image has the shape {values.shape}; needed: (slice, row, column), 16 rows and columns")
    grid = GRID if values.shape[0] > 1 else (1, *GRID[1:])
    small = _resample(_soft(_reduced(values, grid)), grid)
    spread = float(small.std())
    if not spread > 0:
        raise WrongCall("the image is the same everywhere; it cannot be told from another")
    small = (small - small.mean()) / spread
    coarse = COARSE if grid[0] > 1 else (1, *COARSE[1:])
    return Signature(small.astype(np.float16), _detail(_resample(small, coarse), 1.0, 4.0))


def _reduced(values: NDArray[Any], grid: Sequence[int]) -> NDArray[np.float32]:
    """Means of whole blocks, so that at least twice the grid is left: quick, and harmless for what follows."""
    step = [max(1, n // (2 * m)) for n, m in zip(values.shape, grid, strict=True)]
    ends = [n // s * s for n, s in zip(values.shape, step, strict=True)]
    cut = values[: ends[0], : ends[1], : ends[2]]
    total: NDArray[np.float32] = np.zeros([e // s for e, s in zip(ends, step, strict=True)], dtype=np.float32)
    for a, b, c in product(*(range(s) for s in step)):
        total += np.nan_to_num(cut[a :: step[0], b :: step[1], c :: step[2]].astype(np.float32))
    return total / np.float32(np.prod(step))


def _soft(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clipped to the soft tissue: the brighter 60 % of the image's middle, but for the brightest 5 %. Shares of places
    stay where they are under any window that shows soft tissue, numbers do not."""
    middle = tuple(slice(n // 4, n - n // 4) if n > 3 else slice(None) for n in values.shape)
    low, high = np.quantile(values[middle], SOFT)
    return np.clip(values, low, high) if high > low else values


def _resample(values: NDArray[np.float32], grid: Sequence[int]) -> NDArray[np.float32]:
    """Means over the places of another grid, one axis after the other."""
    for axis, n in enumerate(grid):
        values = np.moveaxis(np.tensordot(_averages(values.shape[axis], n), values, (1, axis)), 0, axis)
    return values


@lru_cache(maxsize=64)
def _averages(size: int, n: int) -> NDArray[np.float32]:
    """(n, size): how much of each old place lies in each new one."""
    edges, places = np.linspace(0, size, n + 1), np.arange(size)
    inside = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    weights = np.maximum(inside, 0.0)
    made: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return made


def _detail(values: NDArray[np.float32], fine: float, wide: float) -> NDArray[np.float32]:
    """What differs from the neighbourhood (`wide` places), in units of its spread, smoothed by `fine`; norm 1."""
    from scipy.ndimage import gaussian_filter

    ratio = [0.0 if n == 1 else n / values.shape[1] for n in values.shape]
    away = values - gaussian_filter(values, [wide * r for r in ratio], mode="nearest")
    spread = np.sqrt(gaussian_filter(away * away, [wide * r for r in ratio], mode="nearest"))
    found = gaussian_filter(away / (spread + 0.1), [fine * r for r in ratio])
    found -= found.mean()
    made: NDArray[np.float32] = (found / max(float(np.linalg.norm(found)), 1e-9)).astype(np.float32)
    return made


def likeness(one: Signature, other: Signature) -> float:
    """Up to 1 for the same scan; see `leaks.SAME` for where the line is drawn. An image and a volume: 0."""
    if one.grid.shape != other.grid.shape:
        return 0.0
    fit, mirrored, start = _laid_over(one, other)
    if fit < FIT:
        return 0.0
    return _aligned(one, other, mirrored, start)


def _laid_over(one: Signature, other: Signature) -> tuple[float, tuple[int, ...], Floats]:
    """The best coarse fit: its correlation, the axes mirrored, and scale (log) and shift (share) of each axis."""
    from scipy.fft import irfftn, rfftn

    shape = one.coarse.shape
    spectrum = rfftn(one.coarse)
    best, start = 0.0, np.zeros(6)
    axes: tuple[int, ...] = ()
    for z, xy in SCALES:
        if shape[0] == 1 and z != 1.0:
            continue
        scale = np.log([z, xy, xy])
        moved, _ = _moved(other.coarse, np.concatenate([scale, np.zeros(3)]))
        moved = moved / max(float(np.linalg.norm(moved)), 1e-9)
        for mirrored in _mirrorings(shape):
            found = irfftn(spectrum * np.conj(rfftn(np.flip(moved, mirrored))), shape)
            at = np.unravel_index(int(found.argmax()), shape)
            if float(found[at]) > best:
                shift = [
                    -((int(i) + n // 2) % n - n // 2) / n * s for i, n, s in zip(at, shape, (z, xy, xy), strict=True)
                ]
                best, axes, start = float(found[at]), mirrored, np.concatenate([scale, shift])
    return best, axes, start


def _mirrorings(shape: Sequence[int]) -> list[tuple[int, ...]]:
    own = [axis for axis, n in enumerate(shape) if n > 1]
    return [
        tuple(a for a, yes in zip(own, pick, strict=True) if yes) for pick in product((False, True), repeat=len(own))
    ]


def _aligned(one: Signature, other: Signature, mirrored: tuple[int, ...], start: Floats) -> float:
    """The correlation of the finest detail after the best scale and shift of each axis."""
    from scipy.optimize import minimize

    grids = [signed.grid.astype(np.float32) for signed in (one, other)]
    free = [i for i in range(6) if one.grid.shape[i % 3] > 1]
    place, value = start.copy(), 0.0
    for fine, wide, step, tries in ((2.0, 8.0, 0.03, 120), (0.6, 1.5, 0.01, 160)):
        a, b = _detail(grids[0], fine, wide), np.flip(_detail(grids[1], fine, wide), mirrored)

        def cost(part: Floats, a: Any = a, b: Any = b, base: Floats = place) -> float:
            whole = base.copy()
            whole[free] = part
            return -_correlation(a, b, whole)

        simplex = np.vstack([place[free], place[free] + step * np.eye(len(free))])
        limits = {"initial_simplex": simplex, "maxfev": tries, "xatol": 1e-4, "fatol": 1e-4}
        found = minimize(cost, place[free], method="Nelder-Mead", options=limits)
        place[free], value = found.x, -float(found.fun)
    return value


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32], place: Floats) -> float:
    moved, inside = _moved(b, place)
    if any(part.sum() < LEAST_OVERLAP * part.size for part in inside):
        return 0.0
    at = np.ix_(*inside)
    x, y = a[at], moved[at]
    below = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / below if below > 0 else 0.0


def _moved(values: NDArray[np.float32], place: Floats) -> tuple[NDArray[np.float32], list[NDArray[np.bool_]]]:
    """The grid scaled and shifted along its axes (linear), and which places of each axis it still covers."""
    inside = []
    for axis, n in enumerate(values.shape):
        weights, covered = _line(n, float(np.exp(place[axis])), float(place[3 + axis]))
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
        inside.append(covered)
    return values, inside


def _line(n: int, scale: float, shift: float) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    at = (((np.arange(n) + 0.5) / n - 0.5) * scale + 0.5 + shift) * n - 0.5
    covered: NDArray[np.bool_] = (at >= -0.5) & (at <= n - 0.5)
    low = np.floor(at).astype(np.int64)
    weights: NDArray[np.float32] = np.zeros((n, n), dtype=np.float32)
    rows = np.arange(n)
    weights[rows, np.clip(low, 0, n - 1)] += 1 - (at - low)
    weights[rows, np.clip(low + 1, 0, n - 1)] += at - low
    weights[~covered] = 0.0
    return weights, covered
