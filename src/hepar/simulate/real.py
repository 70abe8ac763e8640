"""A virtual patient on a real anatomy: the organs of a labelled CT as solids, scaled, bent, made ill like the others.

Liver vessels are grown from where the real portal vein enters and where the real vena cava passes; lesions, contrast,
breathing and scanner are the same as everywhere. Frame (LPS): as in `structure.Build`, z = 0 where the portal vein
enters the liver.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import labelled as of
from . import organs
from .anatomy import Patient
from .labelled import Labelled, Mask, completed
from .shapes import Field, Grid, Point, Solid, common, tubes, wobble
from .structure import Build, Habitus, Structure
from .trees import Segment, grow

FAR_MM = 14.0
HILUM_LPS_MM = (-30.0, -24.0, 0.0)
"""Where the portal vein of the reference body enters the liver."""
_LAYERS: tuple[tuple[str, Sequence[int], tuple[tuple[float, str], ...], float], ...] = (
    ("lungs", of.LUNGS, ((0.0, "lung"),), 1.0),
    ("small_bowel", of.SMALL_BOWEL, ((0.0, "bowel_wall"), (-2.2, "bowel_fluid")), 0.6),
    ("colon", of.COLON, ((0.0, "bowel_wall"), (-2.0, "stool")), 0.6),
    ("bones", of.BONES, ((0.0, "bone_cortical"), (-1.8, "bone_marrow")), 0.0),
    ("canal", of.CORD, ((2.5, "fat"), (0.0, "spinal_canal")), 0.0),
    ("kidneys", of.KIDNEYS, ((0.0, "kidney_cortex"), (-7.0, "kidney_medulla")), 0.6),
    ("pancreas", (of.PANCREAS,), ((0.0, "pancreas"),), 0.6),
    ("adrenals", of.ADRENALS, ((0.0, "adrenal"),), 0.6),
    ("heart_fat", (of.PERICARDIUM, of.HEART, of.HEART_LEFT, of.HEART_RIGHT), ((0.0, "fat"),), 0.6),
    ("heart", (of.HEART, of.HEART_LEFT, of.HEART_RIGHT), ((0.0, "myocardium"),), 0.6),
    ("heart_left", (of.HEART_LEFT,), ((0.0, "heart_left"),), 0.6),
    ("heart_right", (of.HEART_RIGHT,), ((0.0, "heart_right"),), 0.6),
    ("stomach", (of.STOMACH,), ((0.0, "stomach_wall"), (-4.0, "stomach_fluid")), 1.0),
    ("arteries", of.ARTERIES, ((0.0, "artery"),), 0.0),
    ("iliac_veins", of.VEINS, ((0.0, "renal_vein"),), 0.0),
    ("portal_trunk", (of.PORTAL,), ((0.0, "portal_vein"),), 1.0),
    ("aorta", (of.AORTA,), ((0.0, "aorta"),), 0.0),
    ("vena_cava", (of.CAVA,), ((0.0, "vena_cava"),), 1.0),
    ("gallbladder", (of.GALLBLADDER,), ((0.0, "gallbladder_wall"), (-1.3, "bile")), 1.0),
)  # fmt: skip


def real_patient(source: Labelled, rng: np.random.Generator, liver_ml: float, nodular_mm: float,
                 habitus: Habitus) -> Patient:  # fmt: skip
    """The patient of a labelled volume, scaled along each axis by up to a seventh so that the whole liver comes near to
    liver_ml. nodular_mm, habitus: as in `draw_patient`."""
    one = completed(source, rng)
    own_ml = float((one.labels == of.LIVER).sum()) * float(np.prod(one.spacing_mm)) / 1000
    size = np.clip((liver_ml / own_ml) ** (1 / 3), 0.88, 1.14) * np.exp(rng.normal(0, 0.03, 3))
    step = tuple(float(s * k) for s, k in zip(one.spacing_mm, np.clip(size, 0.86, 1.16), strict=True))
    grid = _frame(one, (step[0], step[1], step[2]))
    build = _build(one, grid)

    def mask(numbers: Sequence[int]) -> Mask:
        return np.asarray(np.isin(one.labels, numbers))

    body = _body(one)
    bare = body & (one.labels == 0)
    flesh = (bare & (one.hu > -25) & (one.hu < 160)) | mask(range(80, 90))
    bony = bare & (one.hu >= 160)
    out = [_part("skin", body, grid, ((0.0, "skin"), (-1.8, "fat")), 0.0),
           _part("muscle_wall", flesh, grid, ((0.0, "muscle"),), 0.0),
           _part("cartilage", mask((117,)) | bony, grid, ((0.0, "cartilage"),), 0.0)]  # fmt: skip
    gas = one.hu < -250
    for name, numbers, layers, motion in _LAYERS:
        here = mask(numbers)
        out.append(_part(name, here, grid, layers, motion))
        if name in ("small_bowel", "colon", "stomach"):
            out.append(_part(f"{name}_gas", here & gas, grid, ((0.0, "bowel_gas"),), motion))
    parts = {part.name: part for part in out if part is not None}
    spleen = _part("spleen", mask((of.SPLEEN,)), grid, ((0.0, "spleen"),), 1.0)
    if spleen is not None:
        parts["spleen"] = _scaled(spleen, habitus.spleen_scale)
    cavity = _inside(one, body, grid)
    liver_mask = mask((of.LIVER,))
    liver = _liver(liver_mask, grid, rng, nodular_mm, habitus, cavity)
    box = _box(liver_mask, grid, 30.0)
    dome: Solid = _negative(parts["lungs"].solid) if "lungs" in parts else lambda g: np.full(g.shape, -50, np.float32)
    fluid = organs.ascites(build, liver, dome, habitus.ascites_mm)
    portal, veins = _trees(one, grid, build, liver, rng)
    big = tubes([s for s in portal + veins if s[3] >= 2.6], 25.0)

    def within(tree: Solid) -> Solid:
        return lambda g: common(tree(g), liver(g) + np.float32(0.5), 0.5)

    first = ["skin", "muscle_wall", "lungs"]
    order = [parts[n] for n in first if n in parts] + fluid + [p for n, p in parts.items() if n not in first]
    order += [Structure("liver", liver, ((0.0, "liver"),), box, 1.0, True),
              Structure("hepatic_veins", within(tubes(veins)), ((0.0, "hepatic_veins"),), box, 1.0),
              Structure("portal_tree", within(tubes(portal)), ((0.0, "portal_tree"),), box, 1.0)]  # fmt: skip
    volume_ml = float((liver(_probe(box, 4.0)) < 0).sum()) * 0.064
    return Patient(build, tuple(order), liver, big, cavity, volume_ml)


def _frame(one: Labelled, step: tuple[float, float, float]) -> Grid:
    """The volume's grid with the place where the portal vein enters the liver at the reference hilum."""
    from scipy import ndimage

    liver, portal = one.labels == of.LIVER, one.labels == of.PORTAL
    near = np.argwhere(portal & ndimage.binary_dilation(liver, iterations=3))
    if len(near) < 5:  # no portal vein labelled: the middle of the liver's lower half will do
        near = np.argwhere(liver)
        near = near[near[:, 0] < np.median(near[:, 0])]
    right = near[near[:, 2] <= np.quantile(near[:, 2], 0.35)]
    place = right.mean(0) * step
    hilum = HILUM_LPS_MM
    return Grid((hilum[0] - place[2], hilum[1] - place[1], hilum[2] - place[0]), step, one.labels.shape)


def _build(one: Labelled, grid: Grid) -> Build:
    """Size of the body, so that field of view and table fit it."""
    liver = np.flatnonzero((one.labels == of.LIVER).any((1, 2)))
    here: Mask = np.asarray(_body(one)[liver[0] : min(liver[-1] + 1, one.cut)].any(axis=0))
    rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
    x = grid.origin_mm[0] + grid.spacing_mm[2] * columns[[0, -1]]
    back = grid.origin_mm[1] + grid.spacing_mm[1] * float(rows[-1])
    top = grid.origin_mm[2] + grid.spacing_mm[0] * float(liver[-1])
    fat, muscle = 12.0, 12.0
    half_depth = (back + 2 - 18 - 0.8 * fat) / (1 - 6 / 90)
    return Build(float(np.abs(x).max()) - fat - muscle, float(half_depth), fat, muscle, 1.0, float(top))


def _body(one: Labelled) -> Mask:
    """The largest piece of what is no air, slice by slice without holes (lungs and gut belong to it)."""
    from scipy import ndimage

    solid = (one.hu > -250) | (one.labels > 0)
    named, _ = ndimage.label(ndimage.binary_opening(solid, iterations=1))
    counts = np.bincount(named.ravel())
    counts[0] = 0
    whole = named == int(counts.argmax())
    return np.stack([ndimage.binary_fill_holes(plane) for plane in whole])


def _distance(mask: Mask, grid: Grid) -> tuple[Field, Grid] | None:
    """Smoothed signed distance in mm on the part of the grid around the mask, cut at 14 mm."""
    from scipy import ndimage

    if not mask.any():
        return None
    more = [int(np.ceil(FAR_MM / s)) + 1 for s in grid.spacing_mm]
    lines = [np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    low = [max(0, int(line[0]) - m) for line, m in zip(lines, more, strict=True)]
    high = [min(n, int(line[-1]) + m + 1) for line, m, n in zip(lines, more, mask.shape, strict=True)]
    part = mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    out = ndimage.distance_transform_edt(~part, grid.spacing_mm) - ndimage.distance_transform_edt(part, grid.spacing_mm)
    half = 0.5 * float(np.mean(grid.spacing_mm))
    out = ndimage.gaussian_filter(out - np.sign(out) * half, 0.7, mode="nearest")
    origin = tuple(grid.origin_mm[a] + low[2 - a] * grid.spacing_mm[2 - a] for a in range(3))
    shape = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
    return np.clip(out, -60, FAR_MM).astype(np.float32), Grid((origin[0], origin[1], origin[2]), grid.spacing_mm, shape)


def _solid(values: Field, own: Grid) -> Solid:
    """A sampled distance as a solid; far outside beyond its grid, but on at the edges of the volume."""

    def distance(grid: Grid) -> Field:
        out = values
        for axis, place in enumerate(grid.axes()[::-1]):
            at = (place.ravel() - np.float32(own.origin_mm[2 - axis])) / np.float32(own.spacing_mm[axis])
            beyond = np.maximum(np.maximum(-at, at - (own.shape[axis] - 1)), 0) * np.float32(own.spacing_mm[axis])
            at = np.clip(at, 0, own.shape[axis] - 1)
            low = np.minimum(at.astype(np.intp), max(own.shape[axis] - 2, 0))
            share = (at - low).astype(np.float32)
            shape = tuple(-1 if a == axis else 1 for a in range(3))
            lower = np.take(out, low, axis)
            upper = np.take(out, np.minimum(low + 1, own.shape[axis] - 1), axis)
            out = lower + share.reshape(shape) * (upper - lower) + beyond.reshape(shape).astype(np.float32)
        return np.asarray(out, np.float32)

    return distance


def _part(name: str, mask: Mask, grid: Grid, layers: tuple[tuple[float, str], ...], motion: float) -> Structure | None:
    found = _distance(mask, grid)
    if found is None:
        return None
    return Structure(name, _solid(*found), layers, _box(mask, grid, 12.0), motion)


def _box(mask: Mask, grid: Grid, margin_mm: float) -> tuple[Point, Point]:
    low, high = [], []
    for axis in range(3):
        line = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != 2 - axis)))
        low.append(grid.origin_mm[axis] + float(line[0]) * grid.spacing_mm[2 - axis] - margin_mm)
        high.append(grid.origin_mm[axis] + float(line[-1]) * grid.spacing_mm[2 - axis] + margin_mm)
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _probe(box: tuple[Point, Point], step_mm: float) -> Grid:
    shape = [int((box[1][a] - box[0][a]) / step_mm) + 1 for a in (2, 1, 0)]
    return Grid(box[0], (step_mm, step_mm, step_mm), (shape[0], shape[1], shape[2]))


def _scaled(part: Structure, scale: float) -> Structure:
    """The structure with its diameters scaled about its middle."""
    if scale == 1.0:
        return part
    middle = [(a + b) / 2 for a, b in zip(*part.box, strict=True)]

    def distance(grid: Grid) -> Field:
        origin = tuple(m + (o - m) / scale for m, o in zip(middle, grid.origin_mm, strict=True))
        spacing = tuple(s / scale for s in grid.spacing_mm)
        near = Grid((origin[0], origin[1], origin[2]), (spacing[0], spacing[1], spacing[2]), grid.shape)
        return np.asarray(part.solid(near) * np.float32(scale), np.float32)

    box = tuple(tuple(m + (v - m) * scale for m, v in zip(middle, corner, strict=True)) for corner in part.box)
    return Structure(part.name, distance, part.layers, box, part.motion, part.clipped)  # type: ignore[arg-type]


def _negative(solid: Solid) -> Solid:
    return lambda grid: -solid(grid)


def _inside(one: Labelled, body: Mask, grid: Grid) -> Solid:
    """The cavity of chest and belly: what lies between organs, slice by slice, away from the wall."""
    from scipy import ndimage

    more = (of.HEART_LEFT, of.HEART_RIGHT, of.PERICARDIUM, of.AORTA, of.CAVA, of.PORTAL)
    organ = np.isin(one.labels, [*of.ORGANS, *more])
    closed = np.stack([
        ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(plane, 15), iterations=12)[15:-15, 15:-15])
        for plane in organ])  # fmt: skip
    found = _distance(closed & body & ~np.isin(one.labels, of.BONES), grid)
    assert found is not None
    return _solid(*found)


def _liver(mask: Mask, grid: Grid, rng: np.random.Generator, nodular_mm: float, habitus: Habitus,
           cavity: Solid) -> Solid:  # fmt: skip
    """The real liver's distance, with what disease and surgeon made of it."""
    found = _distance(mask, grid)
    assert found is not None
    core = _solid(*found)
    nodules = wobble(rng, max(0.35 * nodular_mm, 0.4), 14 if nodular_mm else 60, 8)
    wide = grid.spacing_mm[2] * float(np.ptp(np.argwhere(mask)[:, 2]))

    def distance(g: Grid) -> Field:
        x, y, z = g.axes()
        out = core(g) + nodules(g)
        if habitus.right_shrink_mm:
            right = 1 / (1 + np.exp((x + np.float32(0.3 * wide)) / np.float32(18)))
            out = out + np.float32(habitus.right_shrink_mm) * right
        for grown, at in ((habitus.left_mm, (25.0, -45.0, 10.0)), (habitus.caudate_mm, (-8.0, -2.0, 22.0))):
            if grown:  # only near the surface that is already there
                square = ((x - at[0]) / 30) ** 2 + ((y - at[1]) / 26) ** 2 + ((z - at[2]) / 30) ** 2
                out = out - np.float32(0.5 * grown) * np.exp(-square)
        if habitus.keep_from_mm is not None:
            out = common(out, np.asarray(np.float32(habitus.keep_from_mm) - x + 0 * y + 0 * z, np.float32), 6.0)
        if habitus.keep_to_mm is not None:
            out = common(out, np.asarray(x - np.float32(habitus.keep_to_mm) + 0 * y + 0 * z, np.float32), 6.0)
        return np.asarray(common(out, cavity(g) + np.float32(1.0), 3.0), np.float32)

    return distance


def _trees(one: Labelled, grid: Grid, build: Build, liver: Solid,
           rng: np.random.Generator) -> tuple[list[Segment], list[Segment]]:  # fmt: skip
    """Portal tree from the hilum, three hepatic veins into the vena cava below the dome."""
    probe = _probe(_box(one.labels == of.LIVER, grid, 12.0), 6.0)
    inside = np.argwhere(liver(probe) < -7)
    points = np.asarray(probe.origin_mm) + 6.0 * inside[:, ::-1]
    bore = float(rng.uniform(0.85, 1.2))
    chosen = points[rng.choice(len(points), min(len(points), 240), replace=False)]
    hilum = HILUM_LPS_MM
    right_root = (hilum[0] - 20, hilum[1] + 8, hilum[2] + 8)
    left_root = (hilum[0] + 24, hilum[1] - 12, hilum[2] + 14)
    cut = (right_root[0] + left_root[0]) / 2 + 12
    portal = grow(rng, right_root, chosen[chosen[:, 0] < cut], 5.2 * bore)
    portal += [(hilum, right_root, 6.0 * bore, 5.2 * bore), (hilum, left_root, 5.0 * bore, 4.4 * bore)]
    portal += grow(rng, left_root, chosen[chosen[:, 0] >= cut], 4.4 * bore)
    cava = np.argwhere(one.labels == of.CAVA)
    place = np.asarray(grid.origin_mm) + cava[:, ::-1] * np.asarray(grid.spacing_mm[::-1])
    height = build.dome_mm - 22
    mouth = place[np.abs(place[:, 2] - height) < 8] if len(place) else np.zeros((0, 3))
    centre = mouth.mean(0) if len(mouth) else np.array([-20.0, -14.0, height])
    chosen = points[rng.choice(len(points), min(len(points), 200), replace=False)]
    angle = np.degrees(np.arctan2(chosen[:, 0] - centre[0], -(chosen[:, 1] - centre[1])))
    veins = []
    for low, high, radius, side in ((-181, -65, 5.0, -1.0), (-65, -12, 4.6, -0.4), (-12, 181, 4.0, 0.5)):
        part = chosen[(angle > low) & (angle <= high)]
        if len(part) > 1:
            start = (float(centre[0]) + 7 * side, float(centre[1]) - 3, float(centre[2]))
            veins += grow(rng, start, part, radius * bore)
    return portal, veins
