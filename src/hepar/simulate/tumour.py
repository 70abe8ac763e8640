"""Lesions drawn from a distribution: lobed, rough bodies with capsule, mosaic, necrosis, fat, globules, scar.

Another construction than that of the training's lesions (`hepar.learn.lesions`), so that a network judged on these has
not learned their maker. Shape: a smooth union of one to four balls, stretched and roughened by waves, scaled to the
drawn volume; it ends at the liver's surface or bulges out of it by a drawn depth, and never reaches the body's wall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .planes import Plane, Sampler, Window
from .scanner import near, points
from .shapes import Field, Grid, Point, blend
from .still import Sampled

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shape:
    """A body of the volume of a unit ball, around 0. turn: (3, 3), world offsets to its own stretched axes.

    lobes: (n, 4), centre and radius in own axes. waves: (m, 5), wave vector, phase, height.
    """

    turn: Array
    lobes: Array
    waves: Array

    def distance(self, x: Field, y: Field, z: Field) -> tuple[Field, list[Field]]:
        """Signed distance (right to about the stretch) and the own coordinates, in units of the radius."""
        t = self.turn.astype(np.float32)
        own = [t[k, 0] * x + t[k, 1] * y + t[k, 2] * z for k in range(3)]
        out: Field | None = None
        for lobe in self.lobes.astype(np.float32):
            gap = np.sqrt((own[0] - lobe[0]) ** 2 + (own[1] - lobe[1]) ** 2 + (own[2] - lobe[2]) ** 2) - lobe[3]
            out = gap if out is None else blend(out, gap, 0.3)
        assert out is not None
        for kx, ky, kz, phase, height in self.waves.astype(np.float32):
            out = out + height * np.sin(kx * own[0] + ky * own[1] + kz * own[2] + phase)
        return np.asarray(out, np.float32), own

    @cached_property
    def reach(self) -> float:
        """No point is further from the centre than this many radii."""
        most = float((np.linalg.norm(self.lobes[:, :3], axis=1) + self.lobes[:, 3]).max())
        most += float(np.abs(self.waves[:, 4]).sum()) + 0.1
        return most / float(np.linalg.svd(self.turn, compute_uv=False).min())


def draw_shape(rng: np.random.Generator, rough: float) -> Shape:
    """A shape; rough: 0 for a smooth ball-like one, 1 for a lobed, infiltrating one."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    stretch = np.exp(rng.normal(0, 0.06 + 0.1 * rough, 3))
    turn = (turn.T * (stretch / np.prod(stretch) ** (1 / 3))).T
    count = 1 + int(rng.binomial(3, 0.15 + 0.5 * rough))
    lobes = np.zeros((count, 4))
    lobes[0, 3] = 1.0
    for k in range(1, count):
        way = rng.normal(size=3)
        lobes[k, 3] = rng.uniform(0.45, 0.9)
        lobes[k, :3] = way / np.linalg.norm(way) * rng.uniform(0.5, 0.95)
    waves = np.zeros((5, 5))
    way = rng.normal(size=(5, 3))
    waves[:, :3] = way / np.linalg.norm(way, axis=1, keepdims=True) * rng.uniform(2.5, 7.0, (5, 1))
    waves[:, 3] = rng.uniform(0, 2 * np.pi, 5)
    waves[:, 4] = (0.01 + 0.07 * rough) * rng.uniform(0.3, 1.0, 5)
    shape = Shape(turn, lobes, waves)
    step = np.float32(2 * shape.reach / 40)
    axis = (np.arange(40, dtype=np.float32) - np.float32(19.5)) * step
    inside = shape.distance(axis[None, None, :], axis[None, :, None], axis[:, None, None])[0] <= 0
    scale = (4 / 3 * np.pi / (float(inside.sum()) * float(step) ** 3)) ** (1 / 3)
    lobes[:, :] *= scale
    waves[:, :3] /= scale
    waves[:, 4] *= scale
    return Shape(turn, lobes, waves)


@dataclass(frozen=True, eq=False)
class Inner:
    """What a lesion looks like inside, per phase in HU; places in its own axes, in radii. Empty: without that trait.

    body: HU. rim: HU of capsule or edge, rim_mm thick. cells: (n, 3) seeds of the mosaic, cell_hu: (n,) added per
    phase. cores: (n, 4) centre and radius, core_hu: HU. spots: (n, 4), spot_hu: HU (globules, calcifications).
    """

    body: Mapping[str, float]
    rim_mm: float
    rim: Mapping[str, float]
    cells: Array
    cell_hu: Mapping[str, Array]
    cores: Array
    core_hu: Mapping[str, float]
    spots: Array
    spot_hu: Mapping[str, float]
    grain_hu: float


@dataclass(frozen=True, eq=False)
class Tumour:
    """A drawn lesion in its place (patient at rest, before warp and breathing).

    diameter_mm: of a ball of equal volume, before the liver's surface cuts it. seat: deep, subcapsular or exophytic.
    bulge_mm: how far it may stand out of the liver. edge_mm: width of its margin.
    """

    kind: str
    diameter_mm: float
    seat: str
    bulge_mm: float
    edge_mm: float
    traits: tuple[str, ...]
    shape: Shape
    inner: Inner
    centre_lps_mm: Point = (0.0, 0.0, 0.0)

    @property
    def reach_mm(self) -> float:
        """No point of it is further from its centre."""
        return self.shape.reach * self.diameter_mm / 2


class Envelope:
    """Where lesions may be in a phase: distances to the liver's surface and to the body's wall, plane by plane."""

    def __init__(self, liver: Sampled, cavity: Field, cover: Grid) -> None:
        self._fields = (Sampler(liver.distance, liver.grid), Sampler(cavity, cover))
        self._plane: Plane | None = None
        self._kept: tuple[Field, Field] | None = None

    def at(self, plane: Plane) -> tuple[Field, Field]:
        """Liver and wall distance at all pixels of a plane; far outside where nothing is sampled."""
        if self._kept is None or self._plane is not plane:
            kept = []
            for sampler in self._fields:
                out: Field = np.full(plane.shape, 100, np.float32)
                hit = sampler.at(plane)
                if hit is not None:
                    out[hit[0]] = hit[1]
                kept.append(out)
            self._plane, self._kept = plane, (kept[0], kept[1])
        return self._kept


class TumourInlay:
    """A tumour in one phase."""

    def __init__(self, tumour: Tumour, centre: Point, phase: str, envelope: Envelope) -> None:
        self.tumour, self.centre, self.phase, self.envelope = tumour, centre, phase, envelope
        self.radius = np.float32(tumour.diameter_mm / 2)

    def window(self, plane: Plane) -> Window | None:
        return near(plane, self.centre, self.tumour.reach_mm + 2)

    def _distance(self, plane: Plane, window: Window) -> tuple[Field, list[Field]]:
        """Distance in mm to the lesion's surface as it ends in this patient, and own coordinates in radii."""
        x, y, z = ((p - np.float32(c)) / self.radius for p, c in zip(points(plane, window), self.centre, strict=True))
        unit, own = self.tumour.shape.distance(x, y, z)
        liver, wall = self.envelope.at(plane)
        out = np.maximum(unit * self.radius, liver[window] - np.float32(self.tumour.bulge_mm))
        return np.asarray(np.maximum(out, wall[window] + np.float32(2.0)), np.float32), own

    def inside(self, plane: Plane, window: Window) -> NDArray[np.bool_]:
        return np.asarray(self._distance(plane, window)[0] <= 0)

    def paint(self, plane: Plane, window: Window, view: Field, grain: Field, soft: float) -> None:
        distance, own = self._distance(plane, window)
        share = np.clip(np.float32(0.5) - distance / np.float32(max(soft, self.tumour.edge_mm)), 0, 1)
        if not share.any():
            return
        inner, phase = self.tumour.inner, self.phase
        hu = np.float32(inner.body[phase]) + np.float32(inner.grain_hu) * grain
        if len(inner.cells):
            gaps = np.stack([_square(own, cell) for cell in inner.cells])
            hu = hu + inner.cell_hu[phase].astype(np.float32)[np.argmin(gaps, axis=0)]
        for core in inner.cores:
            hu = self._mix(hu, own, core, inner.core_hu[phase], 2.5)
        if inner.rim_mm:
            half = np.float32(inner.rim_mm / 2)
            ring = np.clip(np.float32(0.5) - (np.abs(distance + half) - half) / np.float32(soft), 0, 1)
            hu = hu + ring * (np.float32(inner.rim[phase]) - hu)
        for spot in inner.spots:
            hu = self._mix(hu, own, spot, inner.spot_hu[phase], 1.0)
        view += share * (hu - view)

    def _mix(self, hu: Field, own: list[Field], ball: Array, goal: float, soft_mm: float) -> Field:
        gap = (np.sqrt(_square(own, ball)) - np.float32(ball[3])) * self.radius
        part = np.clip(np.float32(0.5) - gap / np.float32(soft_mm), 0, 1)
        return np.asarray(hu + part * (np.float32(goal) - hu), np.float32)


def _square(own: list[Field], place: Array) -> Field:
    x, y, z = (np.float32(v) for v in place[:3])
    return np.asarray((own[0] - x) ** 2 + (own[1] - y) ** 2 + (own[2] - z) ** 2, np.float32)
