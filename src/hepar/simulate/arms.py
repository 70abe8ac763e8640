"""Arms beside the body: skin, fat, muscle and bone, and what they do to the picture between them.

Arms that stay down lie between tube and body: the rays that run through both of them are weakened most, so dark and
bright bands run from one arm to the other and the noise between them grows, strongest where the bones are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .planes import Plane
from .shapes import Field
from .structure import Build


@dataclass(frozen=True)
class Arms:
    """One or two arms. sides: -1 right, 1 left. gap_mm: between body and arm. y_mm: height of the elbow's axis.
    streak_hu: standard deviation of the bands between the arms. level_mm: z of the elbow; below it two bones."""

    sides: tuple[int, ...]
    gap_mm: float
    y_mm: float
    streak_hu: float
    level_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Arms:
        """Both arms in two thirds, else one; the other is held up."""
        sides = (-1, 1) if rng.random() < 2 / 3 else (int(rng.choice((-1, 1))),)
        strong = float(rng.uniform(8, 20)) * (1.0 if len(sides) == 2 else 0.6)
        return cls(sides, float(rng.uniform(3, 18)), float(rng.uniform(-10, 40)), strong, float(rng.uniform(-60, 60)))


class ArmsBeside:
    """The arms of one phase, as an artefact of the scanner."""

    def __init__(self, arms: Arms, build: Build, rng: np.random.Generator) -> None:
        self.arms, self.rng = arms, rng
        half = build.cavity_half_width_mm + build.muscle_mm + build.fat_mm
        self.x_mm = half + arms.gap_mm + 40.0
        self.half_width_mm = half
        self.before: Field | None = None

    def add(self, plane: Plane, image: Field) -> None:
        """Paint the arms and the bands between them."""
        z = float(np.mean(plane.z))
        below = z < self.arms.level_mm
        bones = ((-9.0, 6.0), (9.0, 5.0)) if below else ((0.0, 11.0),)
        for side in self.arms.sides:
            x0 = side * (self.x_mm + 0.06 * (self.arms.level_mm - z))
            x, y = plane.x - np.float32(x0), plane.y - np.float32(self.arms.y_mm + 0.05 * z)
            body = np.hypot(x / np.float32(0.9), y) - np.float32(34.0 if below else 40.0)
            for offset, hu in ((0.0, 12.0), (-2.0, -100.0), (-7.0, 56.0)):
                _paint(image, body - np.float32(offset), hu)
            for shift, radius in bones:
                bone = np.hypot(x, y - np.float32(shift)) - np.float32(radius)
                _paint(image, bone, 900.0)
                _paint(image, bone + np.float32(2.6), 180.0)
        self._streak(plane, image, z)

    def _streak(self, plane: Plane, image: Field, z: float) -> None:
        """Bands along x, fine from front to back and nearly alike along it; those of the next slice are kin."""
        from scipy.ndimage import gaussian_filter1d

        rows, columns = plane.shape
        step = abs(float(np.diff(np.ravel(plane.y)[:: max(1, columns if plane.y.shape[1] > 1 else 1)])[0]))
        fine = gaussian_filter1d(self.rng.standard_normal((2, rows)), 1.6 / step, axis=1)
        broad = gaussian_filter1d(self.rng.standard_normal((2, rows)), 9.0 / step, axis=1)
        bands = (fine / fine.std() + 0.8 * broad / broad.std()).astype(np.float32)
        if self.before is not None:
            bands = np.float32(0.6) * self.before + np.float32(0.8) * bands
        self.before = bands
        # Strongest at the height of the arms, fading within some centimetres; one arm throws them to the middle.
        near = np.exp(-((plane.y - np.float32(self.arms.y_mm + 0.05 * z)) ** 2) / np.float32(2 * 38**2))
        side = np.clip(plane.x / np.float32(self.half_width_mm), -1, 1)
        turn = (side + 1) / 2
        across = bands[0][:, None] * (1 - turn) + bands[1][:, None] * turn
        reach = np.float32(1) if len(self.arms.sides) == 2 else np.clip((1 + self.arms.sides[0] * side) / 2 + 0.2, 0, 1)
        inside = (np.abs(plane.x) < np.float32(self.x_mm)) & (image > -900)
        image += np.where(inside, np.float32(self.arms.streak_hu) * near * across * reach, 0).astype(np.float32)


def _paint(image: Field, distance: Field, hu: float) -> None:
    share = np.clip(np.float32(0.5) - distance, 0, 1)
    image += (share * (np.float32(hu) - image)).astype(np.float32)
