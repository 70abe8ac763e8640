"""Abdominal organs and vessels outside the liver."""

from __future__ import annotations

import numpy as np

from .shapes import Field, Grid, Point, Solid, common, ellipsoid, smooth_path, tube, union, wobble
from .structure import Build, Structure, around


def pipe(name: str, points: list[Point], radii: list[float], layers: tuple[tuple[float, str], ...], motion: float,
         rough: Solid | None = None, clipped: bool = True, reach_mm: float = 12.0) -> Structure:  # fmt: skip
    """A structure along a smooth curve."""
    curve, widths = smooth_path(points, radii, 6.0)
    core = tube(curve, widths, reach_mm)
    solid: Solid = core if rough is None else (lambda grid: core(grid) + rough(grid))
    return Structure(name, solid, layers, around(curve, max(radii) + 8), motion, clipped)


def bowel(build: Build, rng: np.random.Generator) -> list[Structure]:
    """Loops of small bowel and the colon, each with its own content."""
    out = []
    kinds = ("bowel_fluid", "bowel_wall", "bowel_oral_contrast", "bowel_gas")
    weights = np.array([0.5, 0.25, 0.15, 0.10]) if rng.random() < 0.5 else np.array([0.6, 0.3, 0.0, 0.1])
    for k in range(int(rng.integers(18, 27))):
        start = np.array([rng.uniform(-70, 90), rng.uniform(-76, -15), rng.uniform(-200, -70)])
        high = -58.0
        if k % 3 == 0:  # jejunum, higher on the left
            start, high = np.array([rng.uniform(25, 90), rng.uniform(-76, 5), rng.uniform(-80, -20)]), -8.0
        steps = rng.normal(size=(6, 3)) * (26, 14, 18)
        path = np.clip(
            start + np.vstack([np.zeros(3), steps.cumsum(0)]),
            (-85 if high < -50 else 12, -82, -260),
            (100, -8 if high < -50 else 10, high),
        )
        radius = float(rng.uniform(8, 13))
        content = kinds[int(rng.choice(4, p=weights))]
        points = build.path(*((float(p[0]), float(p[1]), float(p[2])) for p in path))
        out.append(pipe(f"small_bowel_{k}", points, [radius] * 7,
                        ((1.5, "fat"), (0.0, "bowel_wall"), (-2.2, content)), 0.6))  # fmt: skip
    radii = [float(rng.uniform(15, 22)) for _ in range(11)]
    places = ((-100, -8, -260), (-104, -10, -160), (-106, -14, -115), (-84, -36, -96), (-40, -72, -92), (20, -76, -84),
              (78, -64, -58), (108, -16, -12), (112, 14, -60), (112, 16, -160), (104, 12, -260))  # fmt: skip
    points = build.path(*((x + rng.normal(0, 4), y, z + rng.normal(0, 6)) for x, y, z in places))
    rough = wobble(rng, 1.8, 26)
    out.append(pipe("colon", points, radii, ((1.0, "fat"), (0.0, "bowel_wall"), (-2.0, "stool")), 0.6, rough))
    gas = wobble(rng, 9.0, 90)
    colon = out[-1].solid

    def bubble(grid: Grid) -> Field:
        y = grid.axes()[1]
        return common(colon(grid) + 3.0, np.asarray(y + 40 * build.scale[1] + gas(grid), np.float32), 2.0)

    out.append(Structure("colon_gas", bubble, ((0.0, "bowel_gas"),), out[-1].box, 0.6, True))
    return out


def stomach(build: Build, rng: np.random.Generator, dome: Solid, cavity: Solid) -> list[Structure]:
    """Stomach with fluid and a gas bubble in front (the patient lies on the back), and the duodenum."""
    full = float(rng.uniform(0.85, 1.4))
    places = ((58, 16, 70), (70, -18, 48), (66, -46, 16), (36, -60, -14), (4, -58, -28), (-28, -45, -22))
    curve, radii = smooth_path(build.path(*places), [30 * full, 31 * full, 25 * full, 19 * full, 15, 9], 6.0)
    core, shape = tube(curve, radii, 20.0), wobble(rng, 1.6, 60)

    def whole(grid: Grid) -> Field:
        return common(common(core(grid) + shape(grid), dome(grid) + 3.5, 6.0), cavity(grid) + 4.0, 6.0)

    level = float(rng.uniform(-62, -30)) * build.scale[1]

    def gas(grid: Grid) -> Field:
        return common(whole(grid) + 4.5, np.asarray(grid.axes()[1] - level, np.float32), 1.0)

    box = around(curve, 40)
    layers = ((1.5, "fat"), (0.0, "stomach_wall"), (-4.0, "stomach_fluid"))
    way = build.path((-28, -45, -22), (-48, -32, -34), (-52, -20, -66), (-28, -15, -88), (10, -19, -86), (40, -35, -66))
    return [
        Structure("stomach", whole, layers, box, 1.0, True),
        Structure("stomach_gas", gas, ((0.0, "bowel_gas"),), box, 1.0, True),
        pipe(
            "duodenum",
            way,
            [9, 11, 12, 11, 10, 9],
            ((1.5, "fat"), (0.0, "bowel_wall"), (-2.5, "bowel_fluid")),
            0.6,
            reach_mm=45,
        ),
    ]


def kidneys(build: Build, rng: np.random.Generator) -> tuple[list[Structure], list[Solid]]:
    """Both kidneys with cortex, medulla and sinus fat. Also their outer solids, right then left."""
    out, outer = [], []
    for side, height in ((-1, -48.0), (1, -34.0)):
        size = float(rng.uniform(0.9, 1.08))
        centre = build.at(side * 70, 28, height + float(rng.normal(0, 7)))
        turn = (-14.0, side * float(rng.uniform(10, 20)), side * float(rng.uniform(20, 45)))
        shape = wobble(rng, 0.9, 40)
        bean = ellipsoid(centre, (28 * size, 24 * size, 54 * size), turn)
        hilum = ellipsoid((centre[0] - side * 22, centre[1] - 10, centre[2]), (17, 9, 24), turn)

        def kidney(grid: Grid, bean: Solid = bean, hilum: Solid = hilum, shape: Solid = shape) -> Field:
            return common(bean(grid) + shape(grid), -hilum(grid), 5.0)

        name = "right" if side < 0 else "left"
        box = around([centre], 75)
        outer.append(bean)
        out.append(Structure(f"{name}_kidney", kidney, ((4.0, "fat"), (0.0, "kidney_cortex"), (-7.0, "kidney_medulla")),
                             box, 0.6))  # fmt: skip
        pelvis = ellipsoid((centre[0] - side * 14, centre[1] - 5, centre[2]), (8, 5, 14), turn)
        out.append(Structure(f"{name}_pelvis", pelvis, ((3.5, "fat"), (0.0, "kidney_pelvis")), box, 0.6))
    return out, outer


def spleen(build: Build, rng: np.random.Generator, dome: Solid, cavity: Solid, avoid: list[Solid],
           scale: float = 1.0) -> Structure:  # fmt: skip
    """A spleen of about 120 to 400 ml between diaphragm, wall, left kidney and stomach; scale: of its diameters."""
    size = float(np.clip(rng.normal(1.08, 0.12), 0.8, 1.45)) * scale
    centre = build.at(101, 32, 32 + float(rng.normal(0, 6)))
    whole = ellipsoid(centre, (38 * size, 52 * size, 52 * size), (float(rng.normal(-25, 8)), 15, -20))
    shape = wobble(rng, 1.5, 60)

    def solid(grid: Grid) -> Field:
        out = common(common(whole(grid) + shape(grid), cavity(grid) + 4.5, 6.0), dome(grid) + 3.5, 6.0)
        for other in avoid:
            out = common(out, 6.0 - other(grid), 6.0)
        return out

    return Structure("spleen", solid, ((1.5, "fat"), (0.0, "spleen")), around([centre], 75 * scale), 1.0, True)


def ascites(build: Build, liver: Solid, dome: Solid, depth_mm: float) -> list[Structure]:
    """Fluid around the liver and in the flanks; none for a depth of 0. Painted before the organs that lie in it."""
    if depth_mm <= 0:
        return []
    flank = 0.72 * build.cavity_half_width_mm

    def fluid(grid: Grid) -> Field:
        x, y, z = grid.axes()
        beside = np.maximum(np.float32(flank) - np.abs(x) + 0 * y, z + np.float32(20.0))
        pool = np.minimum(liver(grid) - np.float32(depth_mm), beside + np.float32(max(0.0, 14 - depth_mm)))
        return common(np.asarray(pool, np.float32), dome(grid) + np.float32(2.0), 3.0)

    box = ((-180.0, -140.0, -260.0), (180.0, 130.0, build.dome_mm + 25))
    return [Structure("ascites", fluid, ((0.0, "ascites"),), box, 1.0, True)]


def pancreas(build: Build, rng: np.random.Generator) -> list[Structure]:
    way = build.path((-25, -25, -52), (-10, -31, -40), (8, -40, -27), (32, -31, -14), (64, -6, -2), (84, 12, 8))
    size = float(rng.uniform(0.8, 1.1))
    radii = [r * size for r in (13, 12, 8, 9, 9.5, 7)]
    out = [pipe("pancreas", way, radii, ((1.0, "fat"), (0.0, "pancreas")), 0.6, wobble(rng, 1.4, 16))]
    for name, x, y in (("right_adrenal", -33, 6), ("left_adrenal", 44, 2)):
        for side in (-1, 1):
            points = build.path((x, y, 14), (x + side * 5, y + 10, 8), (x + side * 8, y + 20, 2))
            out.append(pipe(f"{name}_{side}", points, [2.4, 2.2, 1.6], ((0.0, "adrenal"),), 0.6))
    return out


def vessels(build: Build, rng: np.random.Generator) -> list[Structure]:
    """Aorta with its branches, vena cava, portal trunk, splenic and mesenteric veins."""
    bore = float(rng.uniform(0.85, 1.15))
    p = build.path
    still, loose = 0.0, 0.6
    aorta = p((20, 12, 400), (18, 10, 150), (14, 4, 40), (12, 0, -60), (10, 0, -180), (8, 2, -300))
    cava = p((-14, 4, -300), (-16, 0, -120), (-16, -4, -50), (-19, -8, 0), (-21, -8, 45), (-21, -13, 78))
    cava.append((-17 * build.scale[0], -28 * build.scale[1], build.dome_mm + 14))
    trunk = p((3, -28, -34), (-12, -27, -18), (-28, -24, -2))
    artery = (("coeliac", ((13, -6, 6), (11, -20, 9), (4, -30, 4), (-14, -31, -2), (-26, -29, 3)), 2.6),
              ("splenic_artery", ((11, -20, 9), (30, -20, 2), (48, -14, 8), (66, 0, 2), (88, 16, 14)), 2.5),
              ("mesenteric_artery", ((12, -10, -12), (11, -24, -30), (10, -33, -70), (6, -38, -180)), 3.4),
              ("right_renal_artery", ((8, 2, -28), (-18, 10, -32), (-48, 22, -42)), 2.6),
              ("left_renal_artery", ((16, 2, -28), (34, 10, -28), (50, 22, -32)), 2.6))  # fmt: skip
    vein = (
        ("right_renal_vein", ((-18, -4, -38), (-34, 6, -40), (-52, 20, -46)), 4.2, "renal_vein"),
        ("left_renal_vein", ((-14, -6, -34), (10, -14, -34), (34, 4, -34), (52, 20, -36)), 4.2, "renal_vein"),
        ("mesenteric_vein", ((3, -28, -34), (2, -34, -60), (0, -40, -180)), 5.2, "mesenteric_vein"),
        ("splenic_vein", ((3, -28, -34), (32, -21, -14), (62, 2, -4), (90, 18, 12)), 4.4, "portal_vein"),
    )
    out = [pipe(name, p(*way), [r * bore] * len(way), ((1.0, "fat"), (0.0, "artery")), loose)
           for name, way, r in artery]  # fmt: skip
    out += [pipe(name, p(*way), [r * bore] * len(way), ((1.0, "fat"), (0.0, tissue)), loose)
            for name, way, r, tissue in vein]  # fmt: skip
    out.append(pipe("portal_trunk", trunk, [6.8 * bore] * 3, ((1.5, "fat"), (0.0, "portal_vein")), 1.0))
    out.append(pipe("aorta", aorta, [r * bore for r in (12.5, 12, 11.5, 10, 9, 8.5)],
                    ((1.5, "fat"), (0.0, "aorta")), still, clipped=False, reach_mm=45))  # fmt: skip
    out.append(pipe("vena_cava", cava, [r * bore for r in (9.5, 10, 11, 11, 11, 12, 12)],
                    ((0.0, "vena_cava"),), 1.0, clipped=False, reach_mm=45))  # fmt: skip
    return out


def gallbladder(build: Build, rng: np.random.Generator) -> Structure:
    size = float(rng.uniform(0.8, 1.45))
    points, radii = smooth_path(
        build.path((-68, -72, -50), (-62, -62, -36), (-52, -50, -20), (-40, -38, -10)),
        [12 * size, 13 * size, 9 * size, 3.5], 5.0)  # fmt: skip
    return Structure("gallbladder", tube(points, radii, 45.0), ((0.0, "gallbladder_wall"), (-1.3, "bile")),
                     around(points, 26), 1.0, True)  # fmt: skip


def named(structures: list[Structure], *names: str) -> Solid:
    """Union of the solids with these names."""
    return union(*(s.solid for s in structures if s.name in names))
