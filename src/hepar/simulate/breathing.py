"""How the organs lie in each phase: nobody holds the breath twice in the same place.

The patient's wall, spine and aorta stay. What hangs on the diaphragm is shifted, mostly along the body, and slightly
bent; kidneys, pancreas and bowel follow with six tenths of it. A lesion moves as a whole and keeps its volume.
Sources: liver, spleen and kidneys move 5 to 25 mm along the body in quiet breathing, the kidneys less than the liver
(Langen and Jones 2001, Int J Radiat Oncol Biol Phys 50:265).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shapes import Field, Grid, Point


@dataclass(frozen=True, eq=False)
class Breathing:
    """Displacement of the organs in one phase: shift_lps_mm plus waves that bend.

    waves: (n, 7): direction times wave number (3), phase, height along x, y, z in mm. The height stands across the
    direction, as in a shear wave, so that volumes stay.
    """

    shift_lps_mm: Point
    waves: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, shift_lps_mm: Point, bend_mm: float) -> Breathing:
        """A movement with a smooth bend whose root mean square is about bend_mm."""
        count = 5
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        across = np.cross(way, rng.normal(size=(count, 3)))
        across *= bend_mm * np.sqrt(2 / count) / np.linalg.norm(across, axis=1, keepdims=True)
        way *= 2 * np.pi / rng.uniform(180, 320, (count, 1))
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        return cls(shift_lps_mm, np.hstack([way, phase, across]))

    def displacement(self, grid: Grid) -> tuple[Field, Field, Field]:
        """Displacement in x, y and z at the points of a grid."""
        x, y, z = grid.axes()
        out = [np.full(grid.shape, shift, np.float32) for shift in self.shift_lps_mm]
        for kx, ky, kz, phase, *height in self.waves:
            if not any(height):
                continue
            plane, turn = np.exp(1j * (kx * x + ky * y + phase)), np.exp(1j * kz * z)
            wave = plane.real.astype(np.float32) * turn.real.astype(np.float32)
            wave -= plane.imag.astype(np.float32) * turn.imag.astype(np.float32)
            for axis in range(3):
                out[axis] += np.float32(height[axis]) * wave
        return out[0], out[1], out[2]

    def at(self, point: Point) -> NDArray[np.float64]:
        """Displacement at one point."""
        grid = Grid(point, (1.0, 1.0, 1.0), (1, 1, 1))
        return np.array([float(u[0, 0, 0]) for u in self.displacement(grid)])

    def moved(self, point: Point) -> Point:
        """Where a point of the patient at rest lies in this phase."""
        start = np.asarray(point)
        now = start
        for _ in range(8):
            now = start + self.at((float(now[0]), float(now[1]), float(now[2])))
        return float(now[0]), float(now[1]), float(now[2])

    @property
    def bends(self) -> bool:
        """Whether there is more than a shift."""
        return bool((self.waves[:, 4:] != 0).any())

    @property
    def reach_mm(self) -> float:
        """No displacement is larger than this."""
        return float(np.linalg.norm(self.shift_lps_mm) + np.linalg.norm(self.waves[:, 4:], axis=1).sum())
