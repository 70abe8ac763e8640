"""What a virtual patient is made of: structures painted one over the other, the later over the earlier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import EVERYWHERE, Box, Point, Solid
from .tissues import TISSUES


@dataclass(frozen=True)
class Structure:
    """One solid with its tissues.

    layers: (offset_mm, tissue name), painted in order wherever the signed distance is below the offset: a positive
    offset is a halo of fat around an organ, a negative one its inner part. motion: the share of the breathing
    movement that it takes (0 stays, as wall and spine do). clipped: ends at the wall of the body cavity, which stays.
    """

    name: str
    solid: Solid
    layers: tuple[tuple[float, str], ...]
    box: Box = EVERYWHERE
    motion: float = 0.0
    clipped: bool = False

    def __post_init__(self) -> None:
        for _, tissue in self.layers:
            if tissue not in TISSUES:
                raise ValueError(f"structure {self.name}: unknown tissue {tissue!r}; add it to tissues.py")


@dataclass(frozen=True)
class Habitus:
    """What disease makes of the organs; the default changes nothing.

    right_shrink_mm: how far the right lobe draws back from the wall. caudate_mm, left_mm: how much further caudate and
    left lobe reach. spleen_scale: of its diameters. ascites_mm: depth of fluid around the liver. keep_from_mm,
    keep_to_mm: after a resection only the liver between these planes (to the patient's left) is there.
    """

    right_shrink_mm: float = 0.0
    caudate_mm: float = 0.0
    left_mm: float = 0.0
    spleen_scale: float = 1.0
    ascites_mm: float = 0.0
    keep_from_mm: float | None = None
    keep_to_mm: float | None = None


@dataclass(frozen=True)
class Build:
    """Drawn size and proportions of one body. Reference patient: cavity 128 x 90 mm semi-axes, centre y = -6 mm.

    Frame (LPS): x to the patient's left, y to the back, z to the head; z = 0 at the liver's hilum.
    """

    cavity_half_width_mm: float
    cavity_half_depth_mm: float
    fat_mm: float
    muscle_mm: float
    height_scale: float
    dome_mm: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Build:
        """Draw a body between slim and obese."""
        return Build(
            cavity_half_width_mm=float(np.clip(rng.normal(128, 9), 108, 150)),
            cavity_half_depth_mm=float(np.clip(rng.normal(90, 7), 76, 110)),
            fat_mm=float(np.clip(rng.lognormal(np.log(17), 0.45), 5, 45)),
            muscle_mm=float(rng.uniform(10, 16)),
            height_scale=float(np.clip(rng.normal(1, 0.05), 0.9, 1.12)),
            dome_mm=float(np.clip(rng.normal(94, 8), 78, 112)),
        )

    @property
    def scale(self) -> tuple[float, float, float]:
        return self.cavity_half_width_mm / 128, self.cavity_half_depth_mm / 90, self.height_scale

    def at(self, x: float, y: float, z: float) -> Point:
        """A place of the reference patient in this one."""
        sx, sy, sz = self.scale
        return x * sx, y * sy, z * sz

    def path(self, *places: tuple[float, float, float]) -> list[Point]:
        return [self.at(*place) for place in places]

    @property
    def centre_y_mm(self) -> float:
        return -6 * self.scale[1]


def around(points: list[Point], margin_mm: float) -> Box:
    """The box that holds the points with a margin."""
    p = np.asarray(points)
    low, high = p.min(0) - margin_mm, p.max(0) + margin_mm
    return (float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))
