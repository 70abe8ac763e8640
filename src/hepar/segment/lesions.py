"""Lesions: candidates on the network's grid, outlines on the scan's own, each connected one with its confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.record import NOT_COVERED_HU, AlignedPhase, Box, Geometry, OrganMap, Volume
from hepar.segment.confidence import Curve, Features, confidence, shipped_curve
from hepar.segment.evidence import SCORE_LOGIT, Evidence, calm, smooth_field
from hepar.segment.grid import onto_native
from hepar.segment.place import native_box, signed_distance_mm
from hepar.segment.settings import SegmentSettings
from hepar.segment.split import depth_mm, split_touching

_MARGIN_MM = 16.0
_BAND_MM = 4.5
_SHELL_MM = (3.0, 12.0)
_OUTSIDE = -4.0
_SMOOTH_MM = 0.5
_PRIOR = 0.5
_FREE_MM = 3.0
_ROUNDS = 2
_FAT_HU = -10
_LAYER_MM = 0.75
_CAPSULE_HU = 5.0
_SPUR_MM = 2.5
_PART_SHARE = 0.25
_LARGE_ML = 8.1
_PART_ML = 0.065
"""A lesion is never divided into parts smaller than this, a ball of 5 mm."""
_FEW_VOXELS = 30
_CLEFT_MM = 9.0
_BRIDGE_MM = 6.0


@dataclass(frozen=True, eq=False)
class Lesions:
    """labels: uint16 on the native grid, ids 1, 2, ... by falling volume. features, confidence: in order of id."""

    labels: NDArray[np.uint16]
    features: tuple[Features, ...]
    confidence: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Piece:
    box: Box
    mask: NDArray[np.bool_]
    features: Features


@dataclass(frozen=True, eq=False)
class Candidates:
    """reach, core: int32 labels 1..count on the model's grid; a core lies in the reach of the same number."""

    reach: NDArray[np.int32]
    core: NDArray[np.int32]
    count: int


def candidates(
    score: NDArray[np.uint8], liver: NDArray[np.bool_], step_mm: float, settings: SegmentSettings
) -> Candidates:
    """Places near the liver that reach lesion_score somewhere.

    A core holds what is likely (half of the highest score of its surroundings, at most P = 0.5), its reach what is
    nearest to it down to lesion_grow: the reach says how far a lesion may go, the core what it looks like. Clefts of up
    to 18 mm in and beside a core of 8 ml or more are closed: a large tumour with dead or calcified parts is one. What
    that joins or parts wrongly is put right by the shape on the native grid.
    """
    from scipy import ndimage

    near = ndimage.binary_dilation(liver)
    wide = ndimage.binary_fill_holes((score >= 255 * settings.lesion_grow) & near)
    regions, count = ndimage.label(wide)
    none = np.zeros(score.shape, np.int32)
    if not count:
        return Candidates(none, none, 0)
    peak = np.asarray(ndimage.maximum(score, regions, np.arange(count + 1)), dtype=np.float64)
    level = np.where(peak >= 255 * settings.lesion_score, np.minimum(peak / 2, 128), 256)
    level[0] = 256
    core = ndimage.binary_fill_holes(score >= level[regions])
    parts, number = ndimage.label(core)
    large = np.flatnonzero(np.bincount(parts.ravel(), minlength=number + 1)[1:] * step_mm**3 >= 1000 * _LARGE_ML) + 1
    small = core & ~np.isin(parts, large)
    cleft = round(_CLEFT_MM / step_mm)
    boxes = ndimage.find_objects(parts)
    for one in large:
        at = tuple(slice(max(0, s.start - 3 * cleft), s.stop + 3 * cleft) for s in boxes[one - 1])
        here = parts[at] == one
        beside = ndimage.distance_transform_edt(~here) <= 2 * cleft
        core[at] |= _closed(here | (small[at] & beside), cleft) & near[at]
    cores, number = ndimage.label(core)
    if not number:
        return Candidates(none, none, 0)
    wide |= core
    regions, _ = ndimage.label(wide)
    nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    reach = np.where(wide, cores[tuple(nearest)], 0)
    # A region without a core, or beyond another one's, belongs to nobody.
    reach[regions != regions[tuple(nearest)]] = 0
    return Candidates(reach.astype(np.int32), cores.astype(np.int32), int(number))


def _closed(region: NDArray[np.bool_], cleft: int) -> NDArray[np.bool_]:
    """The region with its clefts of up to twice `cleft` voxels closed (by a ball) and its holes filled."""
    from scipy import ndimage

    around = np.pad(region, cleft + 1)
    thick = ndimage.distance_transform_edt(~around) <= cleft
    closed = ndimage.distance_transform_edt(thick) > cleft
    inner = slice(cleft + 1, -cleft - 1)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed[inner, inner, inner])
    return filled


def outline_lesions(
    volume: Volume,
    organs: OrganMap,
    coarse: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    native_liver: NDArray[np.bool_],
    others: Sequence[AlignedPhase],
    settings: SegmentSettings,
    curve: Curve | None = None,
) -> Lesions:
    """Every lesion on the native grid.

    organs (with the lesion score that counts), coarse (255 x P(lesion) of the organ network) and liver: on one grid.
    curve: of their confidence; None: the shipped one.
    """
    score = organs.lesion_score
    found = candidates(score, liver, organs.geometry.spacing_mm[0], settings)
    pieces: list[_Piece] = []
    for number in range(1, found.count + 1):
        pieces += _outline(number, found, volume, organs, coarse, native_liver, others, settings)
    curve = curve or shipped_curve(1 + len(others))
    rated = [(piece, confidence(piece.features, curve)) for piece in pieces]
    least = settings.lesion_min_confidence
    if least is None:
        least = curve.limits[settings.operating_point]
    return _joined([(p, c) for p, c in rated if c >= least], volume.geometry, settings)


def _joined(kept: list[tuple[_Piece, float]], geometry: Geometry, settings: SegmentSettings) -> Lesions:
    """One id for each connected region, divided only where its shape has a neck, whatever candidate found it.

    A lesion has the features and the confidence of the piece that holds most of it. Spurs go last, so that what they
    join is not counted twice.
    """
    out = np.zeros(geometry.shape, np.uint16)
    if not kept:
        return Lesions(out, (), ())
    starts = [min(piece.box[axis].start for piece, _ in kept) for axis in range(3)]
    stops = [max(piece.box[axis].stop for piece, _ in kept) for axis in range(3)]
    whole = (slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2]))
    owner = out[whole]
    for number, (piece, _) in sorted(enumerate(kept, 1), key=lambda item: int(item[1][0].mask.sum())):
        owner[tuple(slice(b.start - o, b.stop - o) for b, o in zip(piece.box, starts, strict=True))][piece.mask] = (
            number
        )
    labels, count = split_touching(owner > 0, geometry.spacing_mm, neck=settings.split_neck, min_ml=_PART_ML)
    found: list[tuple[int, int, int]] = []
    for number, at in enumerate(_boxes(labels, count), 1):
        whole_of_it = labels[at] == number
        here = _without_spurs(whole_of_it, geometry.spacing_mm)
        labels[at][whole_of_it & ~here] = 0
        size = int(here.sum())
        if size * geometry.voxel_volume_ml >= settings.lesion_min_ml:
            found.append((-size, number, int(np.bincount(owner[at][here]).argmax()) - 1))
    found.sort()
    # What another lesion cuts off from a candidate is no lesion of its own, with the candidate's confidence.
    largest: dict[int, int] = {}
    for size, _, owned in found:
        largest.setdefault(owned, size)
    found = [(size, number, owned) for size, number, owned in found if -size >= -_PART_SHARE * largest[owned]]
    lookup = np.zeros(count + 1, np.uint16)
    lookup[[number for _, number, _ in found]] = np.arange(1, len(found) + 1)
    owner[...] = lookup[labels]
    return Lesions(out, tuple(kept[k][0].features for *_, k in found), tuple(kept[k][1] for *_, k in found))


def _boxes(labels: NDArray[np.uint16], count: int) -> list[tuple[slice, ...]]:
    from scipy import ndimage

    boxes: list[tuple[slice, ...]] = ndimage.find_objects(labels, max_label=count)
    return boxes


def _outline(
    number: int,
    found: Candidates,
    volume: Volume,
    organs: OrganMap,
    coarse_score: NDArray[np.uint8],
    native_liver: NDArray[np.bool_],
    others: Sequence[AlignedPhase],
    settings: SegmentSettings,
) -> list[_Piece]:
    """The lesions that one candidate holds: its log-odds, corrected by the grey values of every phase, smoothed."""
    from scipy import ndimage

    coarse, score = organs.geometry, organs.lesion_score
    reach = found.reach == number
    box3 = native_box(reach, coarse, coarse, _MARGIN_MM + 6)
    place3 = coarse.crop(box3)
    part, core = reach[box3], found.core[box3] == number
    box = native_box(reach, coarse, volume.geometry, _MARGIN_MM)
    grid = volume.geometry.crop(box)
    logit = np.where(ndimage.binary_dilation(part), SCORE_LOGIT[score[box3]], _OUTSIDE)
    logit[core] = np.maximum(logit[core], 0.0)
    field = onto_native(np.clip(logit, _OUTSIDE, -_OUTSIDE), place3, grid)
    near = onto_native(signed_distance_mm(part, coarse.spacing_mm[0], _MARGIN_MM), place3, grid)
    deep = onto_native(signed_distance_mm(core, coarse.spacing_mm[0], _MARGIN_MM), place3, grid)
    other = onto_native((found.reach[box3] > 0).astype(np.float32), place3, grid) > 0.1
    inside = deep > 0
    if inside.sum() < _FEW_VOXELS:
        inside = deep > -1.5
    shell = native_liver[box] & (near < -_SHELL_MM[0]) & (near > -_SHELL_MM[1]) & ~other
    phases = [volume.array[box], *(_cut_out(o, box) for o in others)]
    calmed = [calm(hu, grid, 0.8) for hu in phases]
    # The network sees 3 mm; nearer than that to its outline the grey values decide, if they can tell.
    prior = np.clip(field, -_PRIOR, _PRIOR) - 2 * _PRIOR * np.clip((-near - _FREE_MM) / (_BAND_MM - _FREE_MM), 0, 1)
    # Deep inside nothing is taken out: dead tissue and calcium belong to the tumour.
    prior += 4 * np.clip((deep - _FREE_MM) / 2, 0, 1)
    allowed = (near > -_BAND_MM) & (native_liver[box] | (field > 0))
    mask = inside
    for _ in range(_ROUNDS):
        told = prior.copy()
        for hu in calmed:
            told += Evidence(hu[mask], hu[shell], least_blur_hu=10.0)(hu) / np.float32(np.sqrt(len(phases)))
        better = (smooth_field(told, grid, _SMOOTH_MM) > 0) & allowed
        if better.sum() < _FEW_VOXELS:
            # Too few voxels for a histogram: as far as both say, never the widened start.
            mask = better | ((deep > 0) & allowed)
            break
        mask = better
    mask = ndimage.binary_fill_holes(mask & allowed)
    if core.sum() * coarse.voxel_volume_ml >= _LARGE_ML:
        # Calcium, iodised oil or dead parts cut a large tumour into pieces that its core holds together.
        mask |= _bridged(mask, grid.spacing_mm) & (deep > 0) & native_liver[box]
    mask = _with_capsule(mask, shell, calmed, native_liver[box], grid)
    labels, count = split_touching(mask, grid.spacing_mm, neck=settings.split_neck, min_ml=_PART_ML)
    chance = onto_native(score[box3], place3, grid)
    first = onto_native(coarse_score[box3], place3, grid)
    pieces = []
    for index, at in enumerate(_boxes(labels, count), 1):
        one = labels[at] == index
        if float(one.sum()) * grid.voxel_volume_ml < settings.lesion_min_ml:
            continue
        features = _features(labels == index, shell, chance, first, calmed, native_liver[box], grid)
        # A splinter that only the grey values found is not a lesion of its own.
        if features.peak < settings.lesion_score:
            continue
        pieces.append(_Piece(_shift(at, box), one, features))
    return pieces


def _bridged(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The mask with gaps of up to twice _BRIDGE_MM closed and its holes filled."""
    from scipy import ndimage

    margin = [int(np.ceil(_BRIDGE_MM / s)) + 1 for s in spacing_mm]
    around = np.pad(mask, [(m, m) for m in margin])
    thick = ndimage.distance_transform_edt(~around, sampling=spacing_mm) <= _BRIDGE_MM
    closed = ndimage.distance_transform_edt(thick, sampling=spacing_mm) > _BRIDGE_MM
    inner = tuple(slice(m, n - m) for m, n in zip(margin, around.shape, strict=True))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed[inner])
    return filled


def _without_spurs(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The lesion without what is thinner than twice _SPUR_MM, such as blurred voxels along the liver's surface or a
    vessel that leads to it, and without knots of less than _PART_SHARE of the rest that hung on it only by that.
    A lesion that is thin throughout stays as it is.
    """
    from scipy import ndimage

    core = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1] > _SPUR_MM
    if not core.any():
        return mask
    opened = mask & (ndimage.distance_transform_edt(~core, sampling=spacing_mm) <= _SPUR_MM)
    parts, count = ndimage.label(opened)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    kept: NDArray[np.bool_] = np.isin(parts, 1 + np.flatnonzero(sizes >= _PART_SHARE * sizes.max()))
    return kept


def _with_capsule(
    mask: NDArray[np.bool_],
    shell: NDArray[np.bool_],
    phases: Sequence[NDArray[np.int16]],
    liver: NDArray[np.bool_],
    grid: Geometry,
) -> NDArray[np.bool_]:
    """The lesion with its enhancing capsule, which belongs to it (LI-RADS v2018: from outer edge to edge).

    Looked for in layers of 0.75 mm outside the lesion, up to 3 mm, in every phase where the lesion is darker than the
    liver: a capsule is a layer that is brighter than the liver by 5 HU, which blur alone never makes. The lesion then
    reaches to where that has fallen by a quarter (by half, simulated capsules come out 0.5 mm too wide).
    """
    from scipy import ndimage

    if not mask.any() or shell.sum() < 30:
        return mask
    distance = ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm)
    layers = [
        (distance > k * _LAYER_MM) & (distance <= (k + 1) * _LAYER_MM) & liver for k in range(round(4 / _LAYER_MM))
    ]
    outer = 0
    for hu in phases:
        if _difference_hu(hu, mask, shell) > -_CAPSULE_HU:
            continue
        rise = [_difference_hu(hu, layer, shell) for layer in layers]
        top = int(np.argmax(rise))
        if rise[top] > _CAPSULE_HU and (top + 1) * _LAYER_MM <= 3.0:
            fallen = [k for k in range(top, len(rise)) if rise[k] <= 0.75 * rise[top]]
            outer = max(outer, fallen[0] if fallen else top + 1)
    for layer in layers[:outer]:
        mask = mask | layer
    return mask


def _cut_out(phase: AlignedPhase, box: Box) -> NDArray[np.int16]:
    """The phase's voxels in a box of the reference grid; NOT_COVERED_HU where it has none."""
    out = np.full([s.stop - s.start for s in box], NOT_COVERED_HU, np.int16)
    target, source = [], []
    for want, have in zip(box, phase.box, strict=True):
        low, high = max(want.start, have.start), min(want.stop, have.stop)
        if low >= high:
            return out
        target.append(slice(low - want.start, high - want.start))
        source.append(slice(low - have.start, high - have.start))
    out[tuple(target)] = phase.hu[tuple(source)]
    return out


def _shift(at: tuple[slice, ...], box: Box) -> Box:
    z, y, x = (slice(b.start + a.start, b.start + a.stop) for a, b in zip(at, box, strict=True))
    return z, y, x


def _features(
    lesion: NDArray[np.bool_],
    shell: NDArray[np.bool_],
    chance: NDArray[np.float32],
    first: NDArray[np.float32],
    phases: Sequence[NDArray[np.int16]],
    liver: NDArray[np.bool_],
    grid: Geometry,
) -> Features:
    """What the confidence is worked out from; chance, first: 255 x P(lesion) of the two networks; phases: calmed HU."""
    from scipy import ndimage

    separations = [_separation(hu, lesion, shell) for hu in phases]
    depth, _ = depth_mm(lesion, grid.spacing_mm)
    inside_mm = 2 * max(grid.spacing_mm[1], 1.0)
    deep = liver
    steps = max(1, round(inside_mm / grid.spacing_mm[1]))
    for plane_axis in (1, 2):
        shape = [1, 1, 1]
        shape[plane_axis] = 2 * steps + 1
        deep = ndimage.binary_erosion(deep, np.ones(shape, np.bool_), border_value=1)
    volume_ml = float(lesion.sum()) * grid.voxel_volume_ml
    ball_mm = (volume_ml * 1000 * 3 / 4 / np.pi) ** (1 / 3)
    return Features(
        score=float(chance[lesion].mean()) / 255,
        peak=float(chance[lesion].max()) / 255,
        volume_ml=volume_ml,
        separation=max((abs(s) for s in separations), default=0.0),
        reference_separation=separations[0],
        roundness=float(depth.max()) / ball_mm,
        on_surface=float((lesion & ~deep).sum() / lesion.sum()),
        fat=float((phases[0][lesion] < _FAT_HU).mean()),
        coarse=float(first[lesion].mean()) / 255,
    )


def _difference_hu(hu: NDArray[np.int16], one: NDArray[np.bool_], two: NDArray[np.bool_]) -> float:
    """Median in one region minus median in the other; 0 where the phase does not reach."""
    first, second = hu[one], hu[two]
    first, second = first[first != NOT_COVERED_HU], second[second != NOT_COVERED_HU]
    if min(first.size, second.size) < 10:
        return 0.0
    return float(np.median(first)) - float(np.median(second))


def _separation(hu: NDArray[np.int16], lesion: NDArray[np.bool_], shell: NDArray[np.bool_]) -> float:
    """The difference in spreads of the shell (at least 3 HU)."""
    around = hu[shell]
    around = around[around != NOT_COVERED_HU]
    if not around.size:
        return 0.0
    spread = max(3.0, float(np.percentile(around, 84) - np.percentile(around, 16)) / 2)
    return _difference_hu(hu, lesion, shell) / spread
