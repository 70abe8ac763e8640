"""Wall of the body, bones, diaphragm, lungs and heart."""

from __future__ import annotations

import numpy as np

from .shapes import Field, Grid, Point, Solid, common, ellipsoid, smooth_path, tube, tubes, union, wobble
from .structure import Build, Structure, around


def outline(build: Build, grow_side: float, grow_front: float, grow_back: float, taper: float = 0.05) -> Solid:
    """An upright, slightly tapering superelliptic cylinder: the cavity of the body, grown to each side."""
    a = build.cavity_half_width_mm + grow_side
    b = build.cavity_half_depth_mm + (grow_front + grow_back) / 2
    yc = build.centre_y_mm + (grow_back - grow_front) / 2

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        x, y = x[0], y[0] - np.float32(yc)
        unit = (np.abs(x / a) ** 2.4 + np.abs(y / b) ** 2.4) ** np.float32(1 / 2.4) + np.float32(1e-6)
        radius = np.sqrt(x * x + y * y)
        size = 1 - taper * np.clip((z - 60) / 140, 0, 1.2) ** 2 - taper * np.clip((-z - 40) / 140, 0, 1.2) ** 2
        return np.asarray(radius - (radius / unit) * size.astype(np.float32), dtype=np.float32)

    return distance


def diaphragm(build: Build, rng: np.random.Generator) -> Solid:
    """Height of the grid point above the diaphragm: two domes, the right one higher, with the
    heart's seat between them, falling to the wall."""
    sx, sy, _ = build.scale
    right = build.dome_mm
    left, middle = right - rng.uniform(8, 22), right - rng.uniform(16, 26)
    domes = (
        (-62 * sx, -8 * sy, right, 66 * sx, 92 * sy),
        (66 * sx, 2 * sy, left, 62 * sx, 86 * sy),
        (12 * sx, -34 * sy, middle, 80 * sx, 80 * sy),
    )
    ripple = wobble(rng, 1.2, 90)

    def distance(grid: Grid) -> Field:
        x, y, z = grid.axes()
        heights = []
        for cx, cy, top, rx, ry in domes:
            square = ((x[0] - cx) / rx) ** 2 + ((y[0] - cy) / ry) ** 2
            heights.append(top - 30 * square - 14 * square**2)
        height = 9 * np.logaddexp.reduce([h / 9 for h in heights])
        slope = np.hypot(*np.gradient(height, grid.spacing_mm[1], grid.spacing_mm[2])) if min(height.shape) > 1 else 1
        return np.asarray((z - height[None]) / np.sqrt(1 + slope**2)[None] + ripple(grid), dtype=np.float32)

    return distance


def wall(build: Build, cavity: Solid) -> list[Structure]:
    """Skin, fat, muscle and the fatty cavity."""
    fat, muscle = build.fat_mm, build.muscle_mm
    skin = outline(build, muscle + fat, 0.7 * muscle + 0.9 * fat, 18 + 0.8 * fat)
    flesh = outline(build, muscle, 0.7 * muscle, 18)
    return [
        Structure("skin", skin, ((0.0, "skin"), (-1.8, "fat"))),
        Structure("muscle_wall", flesh, ((0.0, "muscle"),)),
        Structure("cavity", cavity, ((0.0, "fat"),)),
    ]


def spine(build: Build, rng: np.random.Generator) -> list[Structure]:
    """Vertebrae with discs, canal, arches and processes, and the muscles beside them."""
    period = 33 * build.height_scale
    first = float(rng.uniform(0, period))
    cy = 34 * build.scale[1]
    wide, deep = float(rng.uniform(20, 24)), float(rng.uniform(15.5, 18.5))
    waist = wobble(rng, 0.5, 40)

    def beyond(grid: Grid) -> Field:
        """Height from the middle of the nearest vertebra."""
        z = grid.axes()[2]
        return np.asarray(np.abs((z - first + period / 2) % period - period / 2), dtype=np.float32)

    def column(grid: Grid) -> Field:
        x, y, _ = grid.axes()
        dent = 2.0 * np.clip(1 - beyond(grid) / 13, 0, 1)
        unit = np.sqrt((x / wide) ** 2 + ((y - cy) / deep) ** 2)
        return np.asarray((unit - 1) * deep + dent + waist(grid), dtype=np.float32)

    def body(grid: Grid) -> Field:
        return common(column(grid), beyond(grid) - np.float32(period / 2 - 4.5), 3.0)

    canal_y = cy + deep + 9

    def arch(grid: Grid) -> Field:
        x, y, _ = grid.axes()
        ring = np.abs(np.sqrt((x / 1.15) ** 2 + (y - canal_y) ** 2) - 11.5) - np.float32(2.6)
        return common(np.asarray(ring, np.float32), beyond(grid) - np.float32(period * 0.36), 3.0)

    processes: list[tuple[Point, Point, float, float]] = []
    for k in range(-9, 10):
        z = first + k * period
        processes.append(((0, canal_y + 12, z - 2), (0, canal_y + 36, z - 14), 3.4, 3.0))
        for side in (-1, 1):
            processes.append(((side * 12, canal_y - 1, z + 3), (side * 34, canal_y + 8, z + 4), 4.5, 3.0))
    canal = tube([(0, canal_y, -400), (0, canal_y, 400)], [8.5, 8.5])
    reach = ((-60.0, cy - 30, -400.0), (60.0, canal_y + 50, 400.0))
    muscles = union(
        ellipsoid((0, canal_y + 13, 0), (24, 17, 900)),
        *(ellipsoid((s * 33, canal_y + 14, 0), (26, 17, 900), (0, 0, 10 * s)) for s in (-1, 1)),
        *(tube([(s * 26, cy, 10), (s * 40, cy + 2, -60), (s * 55, cy - 4, -220)], [3, 15, 24]) for s in (-1, 1)),
    )
    return [
        Structure("spine_muscles", muscles, ((0.0, "muscle"),), ((-95, cy - 40, -400), (95, canal_y + 50, 400))),
        Structure("disc", column, ((3.5, "muscle"), (0.0, "disc")), reach),
        Structure("vertebra", body, ((0.0, "bone_cortical"), (-1.6, "bone_marrow")), reach),
        Structure("canal", canal, ((1.0, "fat"), (-1.5, "spinal_canal")), reach),
        Structure("arch", arch, ((0.0, "bone_cortical"), (-1.8, "bone_marrow")), reach),
        Structure("processes", tubes(processes), ((0.0, "bone_cortical"), (-2.0, "bone_marrow")), reach),
    ]


def ribs(build: Build, rng: np.random.Generator) -> list[Structure]:
    """Ribs 5 to 12 on both sides, sloping down to the front, with sternum and cartilage."""
    a, b = build.cavity_half_width_mm + 4.5, build.cavity_half_depth_mm + 4.5
    segments: list[tuple[Point, Point, float, float]] = []
    gristle: list[tuple[Point, Point, float, float]] = []
    lowest = float(rng.uniform(0, 22))
    for k in range(10):
        turn = min(1.15 + 0.28 * k, 2.55)
        for side in (-1, 1):
            angle = np.linspace(0.32, turn, 18)
            x = side * a * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / 2.4)
            y = build.centre_y_mm + b * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / 2.4)
            size = 1 - 0.05 * np.clip((lowest + 28 * k - 60) / 140, 0, 1.2) ** 2
            z = lowest + 28 * k - 62 * (angle / 2.5) ** 1.2
            p = [(float(u * size), float(v * size), float(w)) for u, v, w in zip(x, y, z, strict=True)]
            segments += [(p[i], p[i + 1], 5.2, 5.2) for i in range(len(p) - 1)]
            if k >= 4:
                end = (0.0, build.centre_y_mm - b, 60.0 + 20 * k)
                gristle.append((p[-1], (end[0] + side * 12, end[1], max(end[2], 95.0)), 5.0, 6.0))
    front = build.centre_y_mm - b * 0.98
    sternum = union(*(tube([(s * 9, front, 108), (s * 12, front, 330)], [3.5, 5.5]) for s in (-1, 0, 1)))
    return [
        Structure("cartilage", tubes(gristle), ((0.0, "cartilage"),)),
        Structure("ribs", tubes(segments), ((0.0, "bone_cortical"), (-1.7, "bone_marrow"))),
        Structure("sternum", sternum, ((0.0, "bone_cortical"), (-1.4, "bone_marrow")),
                  ((-30, front - 12, 90), (30, front + 12, 340))),
    ]  # fmt: skip


def chest(build: Build, rng: np.random.Generator, dome: Solid, cavity: Solid) -> list[Structure]:
    """Lungs above the diaphragm, mediastinal fat, the heart with its chambers in fat, lung vessels."""
    sx, sy, _ = build.scale
    base = build.dome_mm - 24
    centre = (22 * sx + float(rng.normal(0, 4)), -40 * sy, base + float(rng.uniform(34, 46)))
    size = float(rng.uniform(0.9, 1.12))
    turn = (float(rng.normal(0, 5)), float(rng.normal(15, 6)), float(rng.normal(28, 8)))
    muscle = ellipsoid(centre, (64 * size, 45 * size, 52 * size), turn)
    shape = wobble(rng, 2.0, 70)

    def lung(grid: Grid) -> Field:
        return common(cavity(grid) + 2.5, 1.5 - dome(grid), 4.0)

    def rested(solid: Solid, gap: float) -> Solid:
        return lambda grid: common(solid(grid) + shape(grid), gap - dome(grid), 6.0)

    def chamber(shift: Point, semi: Point) -> Solid:
        place = (centre[0] + shift[0] * size, centre[1] + shift[1] * size, centre[2] + shift[2] * size)
        return rested(ellipsoid(place, (semi[0] * size, semi[1] * size, semi[2] * size), turn), 7.0)

    middle = ellipsoid((4, 4, base + 130), (34 * sx, 42 * sy, 135))
    mediastinum: Solid = lambda grid: common(middle(grid), 0.5 - dome(grid), 5.0)  # noqa: E731
    box = around([centre], 90)
    vessels: list[tuple[Point, Point, float, float]] = []
    for _ in range(70):
        side = rng.choice((-1, 1))
        start = np.array([side * 40 * sx, 5, base + rng.uniform(20, 120)])
        way = np.array([side * rng.uniform(0.2, 1.4), rng.normal(0, 0.7), rng.normal(-0.5, 0.8)])
        end = start + way * rng.uniform(25, 60)
        r = float(rng.uniform(0.8, 2.6))
        vessels.append(((float(start[0]), float(start[1]), float(start[2])),
                        (float(end[0]), float(end[1]), float(end[2])), r, 0.5 * r))  # fmt: skip
    bronchi = tubes(vessels, 3.0)
    inside: Solid = lambda grid: common(bronchi(grid), lung(grid) + 5, 1.0)  # noqa: E731
    return [
        Structure("lungs", lung, ((0.0, "lung"),), ((-200, -200, -200), (200, 200, 500)), 1.0, True),
        Structure("lung_vessels", inside, ((0.0, "lung_vessel"),), ((-140, -90, base - 40), (140, 90, 400)), 0.6),
        Structure("mediastinum", mediastinum, ((0.0, "fat"),), ((-60, -90, base - 40), (60, 80, 500)), 0.6, True),
        Structure("heart", rested(muscle, 3.0), ((float(rng.uniform(3, 9)), "fat"), (0.0, "myocardium")), box, 0.6,
                  True),
        Structure("heart_left", chamber((16, 4, 4), (30, 20, 28)), ((0.0, "heart_left"),), box, 0.6),
        Structure("heart_left_atrium", chamber((-16, 26, 26), (22, 13, 18)), ((0.0, "heart_left"),), box, 0.6),
        Structure("heart_right", chamber((-12, -20, -2), (34, 14, 30)), ((0.0, "heart_right"),), box, 0.6),
        Structure("heart_right_atrium", chamber((-38, 4, 8), (15, 20, 26)), ((0.0, "heart_right"),), box, 0.6),
    ]  # fmt: skip


def oesophagus(build: Build, rng: np.random.Generator) -> Structure:
    points, radii = smooth_path(build.path((2, 4, 260), (4, 2, 130), (12, -4, 85), (34, -8, 66)), [7, 7, 8, 9], 8)
    return Structure("oesophagus", tube(points, radii), ((0.0, "oesophagus"),), around(points, 22), 0.6)
