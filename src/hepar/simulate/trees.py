"""Branching vessels that fill an organ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shapes import Point

Segment = tuple[Point, Point, float, float]

MURRAY = 3.0  # r^3 of the parent = sum of r^3 of the children (Murray 1926, PNAS 12:207)


def grow(rng: np.random.Generator, root: Point, targets: NDArray[np.float64], root_radius_mm: float,
         least_radius_mm: float = 0.8) -> list[Segment]:  # fmt: skip
    """A tree from root that feeds every target point (n, 3), as round cones (start, end, start and end radius).

    At each branching the targets are parted across their longest direction and each half gets a branch towards its
    centre; radii follow Murray's law with the number of targets as flow. Branches thinner than least_radius_mm end.
    """
    out: list[Segment] = []
    total = max(len(targets), 1)  # no target is fed by no tree
    stack: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = [
        (np.asarray(root, float), targets, root_radius_mm)
    ]
    while stack:
        place, points, before = stack.pop()
        radius = root_radius_mm * (len(points) / total) ** (1 / MURRAY)
        if len(points) == 0 or radius < least_radius_mm:
            continue
        aim = points.mean(0)
        reach = 0.55 if len(points) > 2 else 0.9
        end = place + reach * (aim - place) + rng.normal(0, 1.2, 3)
        middle = (place + end) / 2 + rng.normal(0, 0.05 * float(np.linalg.norm(end - place)), 3)
        start_radius = min(before, 1.15 * radius)
        out.append((_point(place), _point(middle), start_radius, radius))
        out.append((_point(middle), _point(end), radius, radius))
        if len(points) < 2:
            continue
        spread = points - aim
        axis = np.linalg.svd(spread, full_matrices=False)[2][0]
        order = np.argsort(spread @ axis, kind="stable")
        cut = round(len(points) * rng.uniform(0.35, 0.65))
        cut = min(max(cut, 1), len(points) - 1)
        stack += [(end, points[order[:cut]], radius), (end, points[order[cut:]], radius)]
    return out


def _point(p: NDArray[np.float64]) -> Point:
    return float(p[0]), float(p[1]), float(p[2])
