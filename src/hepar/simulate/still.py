"""A patient sampled as distances on an even grid, and moved by the breathing of a phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hepar.record import Geometry

from .anatomy import Patient
from .breathing import Breathing
from .shapes import Field, Grid
from .structure import Structure


@dataclass(frozen=True, eq=False)
class Sampled:
    """One structure's distances on its part of the cover."""

    structure: Structure
    grid: Grid
    distance: Field


class StillPatient:
    """A patient sampled once at rest, for every phase. cover: the region, from `region_of`."""

    def __init__(self, patient: Patient, cover: Grid, rng: np.random.Generator) -> None:
        self.patient = patient
        self.cover = cover
        self.parts: list[Sampled] = []
        for structure in patient.structures:
            found = cover.window(structure.box)
            if found is not None:
                self.parts.append(Sampled(structure, found[1], structure.solid(found[1])))
        self.texture = _texture(rng, cover)

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
                clipped = np.maximum(moved.distance, self.patient.cavity(moved.grid) + np.float32(most))
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


def _texture(rng: np.random.Generator, cover: Grid) -> Field:
    """Smooth random pattern with unit variance, part fine and part coarse."""
    from scipy.ndimage import gaussian_filter

    out = np.zeros(cover.shape, np.float32)
    for size_mm, weight in ((2.5, 0.8), (8.0, 0.6)):
        layer = gaussian_filter(rng.standard_normal(cover.shape, dtype=np.float32), size_mm / cover.spacing_mm[0])
        out += np.float32(weight) * layer / layer.std()
    return out
