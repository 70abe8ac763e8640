"""The liver: a wedge under the diaphragm, dented by its neighbours, with portal tree and hepatic veins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .shapes import Field, Grid, Solid, common, ellipsoid, tubes, wobble
from .structure import Build, Habitus, Structure
from .trees import Segment, grow


@dataclass(frozen=True)
class Liver:
    """The drawn liver. volume_ml: parenchyma with the vessels inside it, on a 6 mm grid (about one percent off).
    big_vessels: branches of at least 2.6 mm radius; their distance is cut to 25 mm."""

    solid: Solid
    big_vessels: Solid
    volume_ml: float
    structures: tuple[Structure, ...]


def draw_liver(build: Build, rng: np.random.Generator, dome: Solid, cavity: Solid, dents: list[tuple[Solid, float]],
               target_ml: float, nodular_mm: float = 0.0, habitus: Habitus | None = None) -> Liver:  # fmt: skip
    """A liver of target_ml, met by moving its lower surface up or down.

    dents: (solid, gap_mm), neighbours that press into it. nodular_mm: height of the surface
    nodules of cirrhosis, crest over mean surface, about.
    """
    upper = _upper(build, rng, dome, cavity, dents, nodular_mm, habitus or Habitus())
    lower = _visceral(build, rng)
    box = ((-170.0, -140.0, -190.0), (140.0, 120.0, build.dome_mm + 25))
    probe = Grid((-168.0, -138.0, -188.0), (6.0, 6.0, 6.0), (52, 42, 50))
    fixed, plane = upper(probe), lower(probe)
    low, high = -70.0, 70.0
    for _ in range(14):
        offset = (low + high) / 2
        volume_ml = float(np.clip(0.5 - common(fixed, plane + np.float32(offset), 8.0) / 6, 0, 1).sum()) * 0.216
        low, high = (offset, high) if volume_ml > target_ml else (low, offset)

    @lru_cache(maxsize=1)  # the trees inside ask for the same grid again
    def solid(grid: Grid) -> Field:
        return common(upper(grid), lower(grid) + np.float32(offset), 8.0)

    inside = np.argwhere(common(fixed, plane + np.float32(offset), 8.0) < -7)
    points = np.asarray(probe.origin_mm) + 6.0 * inside[:, ::-1]
    portal, veins = _trees(build, rng, points)
    big = tubes([segment for segment in portal + veins if segment[3] >= 2.6], 25.0)

    def within(tree: Solid) -> Solid:
        return lambda grid: common(tree(grid), solid(grid) + np.float32(0.5), 0.5)

    return Liver(solid, big, volume_ml, (
        Structure("liver", solid, ((0.0, "liver"),), box, 1.0, True),
        Structure("hepatic_veins", within(tubes(veins)), ((0.0, "hepatic_veins"),), box, 1.0),
        Structure("portal_tree", within(tubes(portal)), ((0.0, "portal_tree"),), box, 1.0),
    ))  # fmt: skip


def _visceral(build: Build, rng: np.random.Generator) -> Solid:
    """Distance below the lower surface, which rises from the right tip over the hilum to the left lobe."""
    sx, sy, sz = build.scale
    right, left = float(rng.uniform(0.85, 1.15)), float(rng.uniform(0.3, 0.65))
    back = float(rng.uniform(0.1, 0.35))
    bumps = wobble(rng, 2.5, 80)

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        u = x[0] / sx + 25
        bend = 0.5 * (left + right) * u - 0.5 * (right - left) * (np.sqrt(u * u + 400) - 20)
        height = sz * (bend + back * (y[0] / sy + 22))
        return np.asarray((height[None] - z) / np.float32(1.38) + bumps(grid), dtype=np.float32)

    return distance


def _upper(build: Build, rng: np.random.Generator, dome: Solid, cavity: Solid, dents: list[tuple[Solid, float]],
           nodular_mm: float, habitus: Habitus) -> Solid:  # fmt: skip
    """Everything of the liver's shape but the lower surface."""
    sx, sy, sz = build.scale
    slope = float(rng.uniform(0.8, 1.05))
    behind = float(rng.uniform(14, 34)) * sy + habitus.caudate_mm
    reach = float(rng.uniform(45, 105)) * sx + habitus.left_mm
    cleft_x, cleft_half, cleft_top = (
        float(rng.normal(4, 7)) * sx,
        float(rng.uniform(0.6, 3)),
        float(rng.uniform(10, 40)),
    )
    venosum_half = float(rng.uniform(0.4, 2.0))
    porta = ellipsoid(build.at(-24, -25, -4), (15, 8, 11), (0, 0, 10))
    nodules = wobble(rng, max(0.35 * nodular_mm, 0.4), 14 if nodular_mm else 60, 8)

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        wall = cavity(grid) + np.float32(1.8)
        if habitus.right_shrink_mm:
            wall = wall + np.float32(habitus.right_shrink_mm) / (1 + np.exp((x + np.float32(55 * sx)) / np.float32(18)))
        out = common(wall, dome(grid) + np.float32(2.5), 8.0)
        rear = ((x + 6 * sx) * slope + y - behind) / np.float32(np.hypot(1, slope))
        out = common(out, rear + 0 * z, 14.0)
        out = common(out, np.asarray(x - reach - 0.25 * (z - 60) + 0 * y, np.float32), 20.0)
        if habitus.keep_from_mm is not None:
            out = common(out, np.asarray(np.float32(habitus.keep_from_mm) - x + 0 * y + 0 * z, np.float32), 6.0)
        if habitus.keep_to_mm is not None:
            out = common(out, np.asarray(x - np.float32(habitus.keep_to_mm) + 0 * y + 0 * z, np.float32), 6.0)
        out = out + nodules(grid)
        # The cleft of the round ligament, open to the front and below.
        cleft = common(np.abs(x - cleft_x - 0.1 * y) - np.float32(cleft_half), y + np.float32(30 * sy), 3.0)
        out = common(out, -common(cleft, z - np.float32(cleft_top * sz), 5.0), 4.0)
        # The fissure between caudate and left lobe.
        plane = (-0.45 * (x - 2) + 0.89 * (y + 17 * sy)).astype(np.float32)
        fissure = common(np.abs(plane) - np.float32(venosum_half), -12 * sx - x + 0 * z, 3.0)
        out = common(out, -common(fissure, z - np.float32(46 * sz), 5.0), 3.0)
        for solid, gap in dents:
            out = common(out, np.float32(gap) - solid(grid), 6.0)
        return common(out, -porta(grid), 5.0)

    return distance


def _trees(build: Build, rng: np.random.Generator, points: NDArray[np.float64]) -> tuple[list[Segment], list[Segment]]:
    """Portal tree from the hilum (right and left branch) and the three hepatic veins into the vena cava."""
    sx, sy, _ = build.scale
    bore = float(rng.uniform(0.85, 1.2))
    chosen = points[rng.choice(len(points), min(len(points), 240), replace=False)]
    hilum = build.at(-30, -24, 0)
    cut = 4 * sx
    right, left = chosen[chosen[:, 0] < -cut], chosen[chosen[:, 0] >= -cut]
    elbow = build.at(0, -38, 14)
    portal = grow(rng, build.at(-52, -12, 6), right, 5.2 * bore)
    portal.append((hilum, build.at(-52, -12, 6), 6.0 * bore, 5.2 * bore))
    portal.append((hilum, elbow, 5.0 * bore, 4.4 * bore))
    portal += grow(rng, elbow, left, 4.4 * bore)
    chosen = points[rng.choice(len(points), min(len(points), 200), replace=False)]
    top = build.dome_mm - 18
    angle = np.degrees(np.arctan2(chosen[:, 0] + 21 * sx, -(chosen[:, 1] + 12 * sy)))
    veins = []
    for low, high, radius, side in ((-181, -65, 5.0, -1), (-65, -12, 4.6, -0.4), (-12, 181, 4.0, 0.5)):
        part = chosen[(angle > low) & (angle <= high)]
        if len(part) > 1:
            mouth = (-20 * sx + 7 * side, -16 * sy, top)
            veins += grow(rng, mouth, part, radius * bore)
    return portal, veins
