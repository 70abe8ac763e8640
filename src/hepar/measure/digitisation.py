"""What voxels do to a size: the same lesion, cut into voxels at other places, measures differently.

The lesion behind a mask is modelled by a smooth body of the mask's volume: an ellipsoid with the mask's moments where
the mask looks like one, else the mask's own surface, blurred by 0.7 voxel. The body's sizes are known; it is cut into
voxels at many sub-voxel places, each cut is measured like the mask, and the differences give the bias that the voxels
bring (corners stick out, slices miss the widest place) and its spread. This is a parametric bootstrap
(Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 10 and 6.5); the places are a fixed
low-discrepancy sequence, so nothing is random. What it leaves out: whether the outline itself is right.
`benchmarks/measure_coverage.py` says how well it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.measure.outline import Mask, OutlineSizes, Points, farthest_pair, outline_sizes, plane_metric

_BLUR_VOXELS = 0.7
_FINES = ((6, 4, 4), (4, 3, 3), (3, 2, 2), (2, 2, 2))
"""Sub-voxel places along (slice, row, column) of the blurred body, the finest that stays below the limit."""
_MOST_FINE_CELLS = 1_000_000
_BLURRED_WIDER = 1.4
_MISFIT, _TIMES_OWN = 0.05, 2.0
"""A mask looks like an ellipsoid up to this share of differing voxels, or this many times the worst of the ellipsoid's
own cuts. Merged pairs of balls differ by 0.15, cuts of true ellipsoids by at most these."""


@dataclass(frozen=True)
class Deviation:
    """Measured minus true over the cuts. bias, sd in millimetres (volume: share of the volume)."""

    bias: float
    sd: float
    cuts: int


@dataclass(frozen=True)
class Digitisation:
    """One mask's exact outline sizes and what the voxels did to each of them.

    short_of_long, largest_of_long: the body's own proportions where it is an ellipsoid, else None.
    """

    outline: OutlineSizes
    long: Deviation
    short: Deviation
    largest: Deviation
    volume: Deviation
    short_of_long: float | None
    largest_of_long: float | None


@dataclass(frozen=True)
class _Truth:
    long: float
    short: float
    largest: float
    voxels: float


def digitise(mask: Mask, affine: NDArray[np.float64]) -> Digitisation:
    """Sizes on the outline of one lesion, and their deviations.

    mask: bool (slice, row, column), cropped tightly, not empty. affine: (4, 4) of the grid; its origin does not matter.
    """
    outline = outline_sizes(mask, affine)
    ellipsoid = _Ellipsoid.of(mask, affine)
    body: _Ellipsoid | _Blurred = ellipsoid
    cells = np.prod([n + 6 for n in mask.shape])
    fine = next((f for f in _FINES if cells * np.prod(f) <= _MOST_FINE_CELLS), None)
    if fine is not None and not ellipsoid.explains(mask):
        body = _Blurred.of(mask, affine, fine)
    errors = []
    for cut in body.cuts(_cuts_for(int(mask.sum()))):
        sizes = outline_sizes(cut, affine)
        errors.append(
            (
                sizes.long.length_mm - body.truth.long,
                sizes.short.length_mm - body.truth.short,
                sizes.largest.length_mm - body.truth.largest,
                cut.sum() / body.truth.voxels - 1.0,
            )
        )
    table = np.array(errors)
    bias, sd = table.mean(axis=0), table.std(axis=0, ddof=1)
    if body is not ellipsoid:
        # The blur evens out what thick slices do to a volume, and keeps some of the mask's own steps.
        counts = [cut.sum() / ellipsoid.truth.voxels for cut in ellipsoid.cuts(len(table))]
        sd = np.append(_BLURRED_WIDER * sd[:3], max(sd[3], np.std(counts, ddof=1)))
    long, short, largest, volume = (Deviation(float(b), float(s), len(table)) for b, s in zip(bias, sd, strict=True))
    if body is not ellipsoid:
        return Digitisation(outline, long, short, largest, volume, None, None)
    true = ellipsoid.truth
    return Digitisation(outline, long, short, largest, volume, true.short / true.long, true.largest / true.long)


def _cuts_for(voxels: int) -> int:
    return 32 if voxels < 3_000 else 16 if voxels < 30_000 else 8


def places(n: int) -> Points:
    """n sub-voxel places in [-0.5, 0.5)^3, evenly spread. Source: Roberts' R3 sequence (generalised golden ratio)."""
    ratio = 1.22074408460575947536
    return (0.5 + np.outer(np.arange(1, n + 1), ratio ** -np.arange(1.0, 4.0))) % 1.0 - 0.5


@dataclass(frozen=True, eq=False)
class _Ellipsoid:
    form: NDArray[np.float64]
    """(3, 3): points with x.form.x <= 1, x in indices from the centre, are inside."""
    spread: NDArray[np.float64]
    """Inverse of form."""
    truth: _Truth

    @classmethod
    def of(cls, mask: Mask, affine: NDArray[np.float64]) -> _Ellipsoid:
        """The mask's moments, pulled towards a ball as far as a ball's own cuts deviate from a ball.

        Without the pull, the longest axis of a small ball would come out too long (the largest of three noisy axes).
        """
        index_to_mm = affine[:3, :3]
        moments = index_to_mm @ _moments(mask) @ index_to_mm.T
        voxels = float(mask.sum())
        ball = cls._from_mm(np.eye(3), voxels, affine)
        noise = np.mean([_unevenness(index_to_mm @ _moments(cut) @ index_to_mm.T) for cut in ball.cuts(16)])
        weight = min(1.0, float(noise / max(_unevenness(moments), 1e-12))) ** 2
        ball_moments = np.eye(3) * np.linalg.det(moments) ** (1 / 3)
        return cls._from_mm((1 - weight) * moments + weight * ball_moments, voxels, affine)

    @classmethod
    def _from_mm(cls, moments_mm: NDArray[np.float64], voxels: float, affine: NDArray[np.float64]) -> _Ellipsoid:
        back = np.linalg.inv(affine[:3, :3])
        spread = back @ moments_mm @ back.T
        volume = 4 / 3 * np.pi * np.sqrt(np.linalg.det(spread))
        scale = (voxels / volume) ** (2 / 3)
        spread = spread * scale
        form = np.linalg.inv(spread)
        to_index = np.linalg.inv(plane_metric(affine))
        section = np.linalg.eigvalsh(to_index.T @ form[1:, 1:] @ to_index)
        axes = np.linalg.eigvalsh(moments_mm * scale)
        long, short = 2 / np.sqrt(section[0]), 2 / np.sqrt(section[1])
        return cls(form, spread, _Truth(float(long), float(short), 2 * float(np.sqrt(axes[2])), voxels))

    def at(self, place: Points) -> Mask:
        """The voxels whose centres lie inside, with the body's centre at `place` from a voxel centre."""
        reach = np.ceil(np.sqrt(np.diag(self.spread))).astype(int) + 1
        z, y, x = np.meshgrid(*(np.arange(-n, n + 1) - s for n, s in zip(reach, place, strict=True)),
                              indexing="ij", sparse=True)  # fmt: skip
        f = self.form
        square = f[0, 0] * z * z + f[1, 1] * y * y + f[2, 2] * x * x
        inside: Mask = square + 2 * (f[0, 1] * z * y + f[0, 2] * z * x + f[1, 2] * y * x) <= 1.0
        return inside

    def cuts(self, n: int) -> Iterator[Mask]:
        """n cuts that hold a voxel; at least two even where most hold none."""
        full = [cut for cut in map(self.at, places(n)) if cut.any()]
        while len(full) < 2:
            full.append(self.at(np.zeros(3)))
        yield from full

    def explains(self, mask: Mask) -> bool:
        """Whether the mask differs from this ellipsoid no more than voxels explain."""
        own = self._misfit(mask)
        return own <= _MISFIT or own <= _TIMES_OWN * max(self._misfit(cut) for cut in self.cuts(12))

    def _misfit(self, mask: Mask) -> float:
        """Share of voxels that differ, with this ellipsoid laid on the mask's centre."""
        centre = np.argwhere(mask).mean(axis=0)
        whole = np.round(centre).astype(int)
        mine = self.at(centre - whole)
        reach = np.array(mine.shape) // 2
        padded = np.pad(mask, [(max(0, r - w), max(0, w + r + 1 - n)) for r, w, n in
                               zip(reach, whole, mask.shape, strict=True)])  # fmt: skip
        start = np.maximum(whole - reach, 0)
        window = padded[tuple(slice(s, s + n) for s, n in zip(start, mine.shape, strict=True))]
        differ = int((window ^ mine).sum()) + int(mask.sum()) - int(window.sum())
        return differ / float(mask.sum())


def _moments(mask: Mask) -> NDArray[np.float64]:
    """Second central moments of the voxel centres in indices, times 5: an ellipsoid's squared semi-axes.

    A mask one voxel thick keeps the spread of a voxel (1/12), so that the body stays three-dimensional.
    """
    points = np.argwhere(mask).astype(np.float64)
    points -= points.mean(axis=0)
    moments = points.T @ points / len(points)
    np.fill_diagonal(moments, np.maximum(np.diag(moments), 1 / 12) + 1e-9)
    return 5.0 * moments


def _unevenness(moments_mm: NDArray[np.float64]) -> float:
    logs = np.log(np.maximum(np.linalg.eigvalsh(moments_mm), 1e-12))
    return float(((logs - logs.mean()) ** 2).sum())


@dataclass(frozen=True, eq=False)
class _Blurred:
    field: NDArray[np.float64]
    """The blurred mask at sub-voxel places."""
    level: float
    fine: tuple[int, int, int]
    truth: _Truth

    @classmethod
    def of(cls, mask: Mask, affine: NDArray[np.float64], fine: tuple[int, int, int]) -> _Blurred:
        field = np.pad(mask, 3).astype(np.float64)
        for axis, steps in enumerate(fine):
            kernel = _kernel(field.shape[axis], steps)
            field = np.moveaxis(np.tensordot(kernel, field, axes=(1, axis)), 0, axis)
        cells = int(mask.sum()) * int(np.prod(fine))
        level = float(np.partition(field.ravel(), field.size - cells)[field.size - cells]) - 1e-12
        fine_affine = affine.copy()
        fine_affine[:3, :3] = affine[:3, :3] / np.array(fine)
        long, short = _axial_of_field(field, level, plane_metric(fine_affine))
        points = _crossings(field, level)
        largest = farthest_pair(points @ fine_affine[:3, :3].T)[0]
        return cls(field, level, fine, _Truth(long, short, largest, float(mask.sum())))

    def cuts(self, n: int) -> Iterator[Mask]:
        for place in places(n):
            first = np.floor((place + 0.5) * self.fine).astype(int)
            cut = self.field[tuple(slice(a, None, f) for a, f in zip(first, self.fine, strict=True))] > self.level
            if cut.any():
                yield cut


def _kernel(n: int, fine: int) -> NDArray[np.float64]:
    """(n * fine, n): Gaussian weights of the voxels at each sub-voxel place."""
    at = (np.arange(n * fine) + 0.5) / fine - 0.5
    voxels = np.arange(-4, n + 4)
    weights = np.exp(-((at[:, None] - voxels) ** 2) / (2 * _BLUR_VOXELS**2))
    result: NDArray[np.float64] = (weights / weights.sum(axis=1, keepdims=True))[:, 4:-4]
    return result


def _crossings(field: NDArray[np.float64], level: float) -> Points:
    """Where the outermost crossings of the level lie along each grid line, (n, ndim), by linear interpolation."""
    inside = field > level
    found: list[Points] = []
    for axis in range(field.ndim):
        hit = inside.any(axis=axis)
        others = np.argwhere(hit).astype(np.float64)
        values, flags = np.moveaxis(field, axis, -1)[hit], np.moveaxis(inside, axis, -1)[hit]
        line = np.arange(len(values))
        first = flags.argmax(axis=1)
        last = flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1)
        low = first - (values[line, first] - level) / (values[line, first] - values[line, first - 1])
        high = last + (values[line, last] - level) / (values[line, last] - values[line, last + 1])
        found += [np.insert(others, axis, low, axis=1), np.insert(others, axis, high, axis=1)]
    return np.concatenate(found)


def _axial_of_field(field: NDArray[np.float64], level: float, metric: NDArray[np.float64]) -> tuple[float, float]:
    """Longest line over all planes of the field and the longest perpendicular chord in its plane."""
    best, best_plane, pair = -1.0, 0, np.zeros((2, 2))
    for k in np.flatnonzero((field > level).any(axis=(1, 2))):
        points = _crossings(field[k], level)
        length, a, b = farthest_pair(points @ metric.T)
        if length > best:
            best, best_plane, pair = length, int(k), points[[a, b]]
    return best, _chord_of_field(field[best_plane], level, metric, pair)


def _chord_of_field(
    plane: NDArray[np.float64], level: float, metric: NDArray[np.float64], pair: NDArray[np.float64]
) -> float:
    """Longest run above the level at right angles to the pair, sampled at half a fine step."""
    from scipy.ndimage import map_coordinates

    unit = metric @ (pair[1] - pair[0])
    length = float(np.linalg.norm(unit))
    unit = unit / length
    across = np.array([-unit[1], unit[0]])
    step = float(min(np.linalg.norm(metric, axis=0))) / 2
    middle = metric @ pair.mean(axis=0)
    along = np.arange(-length / 2, length / 2, step)
    reach = np.arange(-length * 0.75, length * 0.75, step)
    lines = middle + along[:, None, None] * unit + reach[None, :, None] * across
    index = np.moveaxis(lines @ np.linalg.inv(metric).T, -1, 0)
    values = map_coordinates(plane, index, order=1, mode="constant", cval=0.0) - level
    values[:, [0, -1]] = -level
    up = np.argwhere((values[:, :-1] <= 0) & (values[:, 1:] > 0))
    down = np.argwhere((values[:, :-1] > 0) & (values[:, 1:] <= 0))

    def cross(at: NDArray[np.intp]) -> Points:
        a, b = values[at[:, 0], at[:, 1]], values[at[:, 0], at[:, 1] + 1]
        result: Points = at[:, 1] - a / (b - a)
        return result

    return float((cross(down) - cross(up)).max()) * step
