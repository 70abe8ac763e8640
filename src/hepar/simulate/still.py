"""A patient sampled as distances on an even grid, and moved by the breathing of a phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry

from .anatomy import Patient
from .breathing import Breathing
from .shapes import Box, Field, Grid
from .structure import Structure

GRAIN = ((2.5, 0.8), (8.0, 0.6))
"""Pattern of the tissues: standard deviation of the bell in mm, weight."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """One structure's distances on its part of the cover."""

    structure: Structure
    grid: Grid
    distance: Field


class StillPatient:
    """A patient sampled once at rest, for every phase. cover: the region, from `region_of`.

    warp: bends the whole body, wall and bones too, for good; with it a phase must bend or not move at all.
    grain: sizes in mm and weights of the tissues' pattern; the squares of the weights add up to 1.
    """

    def __init__(self, patient: Patient, cover: Grid, rng: np.random.Generator, warp: Breathing | None = None,
                 grain: Sequence[Sequence[float]] = GRAIN) -> None:  # fmt: skip
        self.patient = patient
        self.cover = cover
        self.parts: list[Sampled] = []
        self._cavity: Field | None = None
        if warp is None:
            for structure in patient.structures:
                found = cover.window(structure.box)
                if found is not None:
                    self.parts.append(Sampled(structure, found[1], structure.solid(found[1])))
        else:
            self._bend(warp)
        self.texture = _texture(rng, cover, grain)

    def _bend(self, warp: Breathing) -> None:
        u = warp.displacement(self.cover)
        step, reach = self.cover.spacing_mm[0], warp.reach_mm
        more = int(np.ceil(reach / step)) + 1
        start = [o - more * step for o in self.cover.origin_mm]
        count = [n + 2 * more for n in self.cover.shape]
        wide = Grid((start[0], start[1], start[2]), self.cover.spacing_mm, (count[0], count[1], count[2]))
        for structure in self.patient.structures:
            low = tuple(a - reach - step for a in structure.box[0])
            high = tuple(a + reach + step for a in structure.box[1])
            found = self.cover.window(((low[0], low[1], low[2]), (high[0], high[1], high[2])))
            source = wide.window(structure.box)
            if found is None or source is None:
                continue
            place, grid = found
            distance = structure.solid(source[1])
            # What lies further out than every layer is never painted: leave it out, here and in every phase.
            far = max(offset for offset, _ in structure.layers) + 3 * step
            room = _room(distance < far, source[1], structure.box)
            if room is None:
                continue
            low = tuple(a - reach - step for a in room[0])
            high = tuple(a + reach + step for a in room[1])
            found = self.cover.window(((low[0], low[1], low[2]), (high[0], high[1], high[2])))
            if found is None:
                continue
            place, grid = found
            index = _moved_index(grid, source[1], [a[place] for a in u], 1.0)
            bent = _interpolate(distance, index)
            tight = replace(structure, box=_room(bent < far, grid, structure.box) or structure.box)
            self.parts.append(Sampled(tight, grid, bent))
        self._cavity = _interpolate(self.patient.cavity(wide), _moved_index(self.cover, wide, list(u), 1.0))

    def cavity(self, grid: Grid) -> Field:
        """Distance to the wall of the body cavity, which no breathing moves, on a part of the cover."""
        if self._cavity is None:
            return self.patient.cavity(grid)
        first = [
            round((a - b) / s)
            for a, b, s in zip(grid.origin_mm[::-1], self.cover.origin_mm[::-1], grid.spacing_mm, strict=True)
        ]
        part = tuple(slice(at, at + n) for at, n in zip(first, grid.shape, strict=True))
        return self._cavity[part]

    def breathe(self, breathing: Breathing) -> Iterator[Sampled]:
        """The parts where they lie in a phase, in painting order."""
        u = breathing.displacement(self.cover) if breathing.bends else None
        for part in self.parts:
            structure, moved = part.structure, part
            if structure.motion and u is None:
                # Without a bend the whole grid of the part moves, and nothing is interpolated.
                origin = [
                    o + structure.motion * s for o, s in zip(part.grid.origin_mm, breathing.shift_lps_mm, strict=True)
                ]
                grid = Grid((origin[0], origin[1], origin[2]), part.grid.spacing_mm, part.grid.shape)
                moved = Sampled(structure, grid, part.distance)
            elif structure.motion and u is not None:
                reach = structure.motion * breathing.reach_mm + self.cover.spacing_mm[0]
                low = tuple(a - reach for a in structure.box[0])
                high = tuple(a + reach for a in structure.box[1])
                found = self.cover.window(((low[0], low[1], low[2]), (high[0], high[1], high[2])))
                if found is None:
                    continue
                place, grid = found
                index = _moved_index(grid, part.grid, [a[place] for a in u], structure.motion)
                moved = Sampled(structure, grid, _interpolate(part.distance, index))
            if structure.clipped:
                most = max(offset for offset, _ in structure.layers)
                clipped = np.maximum(moved.distance, self.cavity(moved.grid) + np.float32(most))
                moved = Sampled(structure, moved.grid, clipped)
            yield moved

    def moved_texture(self, breathing: Breathing) -> tuple[Field, Grid]:
        """The grain of the tissues, moved like the organs."""
        if not breathing.bends:
            origin = [o + s for o, s in zip(self.cover.origin_mm, breathing.shift_lps_mm, strict=True)]
            return self.texture, Grid((origin[0], origin[1], origin[2]), self.cover.spacing_mm, self.cover.shape)
        index = _moved_index(self.cover, self.cover, list(breathing.displacement(self.cover)), 1.0)
        return _interpolate(self.texture, index), self.cover


def region_of(geometries: list[Geometry], patient: Patient, margin_mm: float, spacing_mm: float) -> Grid:
    """An even grid that holds every part of the body that the geometries show, with a margin."""
    corners = np.vstack([
        g.to_lps_mm(np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(g.shape) - 1))
        for g in geometries])  # fmt: skip
    build = patient.build
    wide = build.cavity_half_width_mm + build.muscle_mm + build.fat_mm + 8
    deep = build.cavity_half_depth_mm + build.muscle_mm + build.fat_mm + 26
    limit = np.array([[-wide, -deep, -1e3], [wide, deep, 1e3]])
    low = np.maximum(corners.min(0) - margin_mm, limit[0])
    high = np.minimum(corners.max(0) + margin_mm, limit[1])
    shape = np.maximum(np.ceil((high - low) / spacing_mm).astype(int) + 1, 2)
    origin = (float(low[0]), float(low[1]), float(low[2]))
    return Grid(origin, (spacing_mm,) * 3, (int(shape[2]), int(shape[1]), int(shape[0])))


def _room(inside: NDArray[np.bool_], grid: Grid, otherwise: Box) -> Box | None:
    """The box that holds the points, None for none; `otherwise` where it spans the whole grid."""
    if not inside.any():
        return None
    low, high = [], []
    for axis in range(3):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != 2 - axis)))
        low.append(grid.origin_mm[axis] + float(line[0]) * grid.spacing_mm[2 - axis])
        high.append(grid.origin_mm[axis] + float(line[-1]) * grid.spacing_mm[2 - axis])
        if line[0] == 0:
            low[-1] = otherwise[0][axis]
        if line[-1] == grid.shape[2 - axis] - 1:
            high[-1] = otherwise[1][axis]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _moved_index(grid: Grid, source: Grid, u: list[Field], share: float) -> Field:
    """For each point of grid, the index in source of the place at rest that has come to lie there."""
    x, y, z = grid.axes()
    out = np.empty((3, *grid.shape), np.float32)
    for axis, (place, moved) in enumerate(((z, u[2]), (y, u[1]), (x, u[0]))):
        out[axis] = (place - share * moved - source.origin_mm[2 - axis]) / source.spacing_mm[axis]
    return out


def _interpolate(values: Field, index: Field) -> Field:
    from scipy.ndimage import map_coordinates

    return np.asarray(map_coordinates(values, index, order=1, mode="nearest", output=np.float32))


def _texture(rng: np.random.Generator, cover: Grid, grain: Sequence[Sequence[float]]) -> Field:
    """Smooth random pattern with unit variance, part fine and part coarse."""
    from scipy.ndimage import gaussian_filter

    out = np.zeros(cover.shape, np.float32)
    for size_mm, weight in grain:
        layer = gaussian_filter(rng.standard_normal(cover.shape, dtype=np.float32), size_mm / cover.spacing_mm[0])
        out += np.float32(weight) * layer / layer.std()
    return out
