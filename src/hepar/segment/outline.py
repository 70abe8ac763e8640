"""The outline of a candidate on the scan's grid: the network's odds, corrected by the grey values of every phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.record import NOT_COVERED_HU, AlignedPhase, Box, Geometry, OrganMap, Volume
from hepar.segment.candidates import LARGE_ML, Candidates
from hepar.segment.confidence import Features
from hepar.segment.evidence import SCORE_LOGIT, Evidence, calm, smooth_field
from hepar.segment.features import difference_hu, features_of
from hepar.segment.grid import onto_native
from hepar.segment.place import native_box, signed_distance_mm
from hepar.segment.settings import SegmentSettings
from hepar.segment.split import split_touching

PART_ML = 0.065
"""A lesion is never divided into parts smaller than this, a ball of 5 mm."""
_MARGIN_MM = 16.0
_BAND_MM = 4.5
_SHELL_MM = (3.0, 12.0)
_OUTSIDE = -4.0
_SMOOTH_MM = 0.5
_PRIOR = 0.5
_FREE_MM = 3.0
_ROUNDS = 2
_LAYER_MM = 0.75
_CAPSULE_HU = 5.0
_FEW_VOXELS = 30
_BRIDGE_MM = 6.0


@dataclass(frozen=True, eq=False)
class Piece:
    """One lesion of a candidate: its mask in a box of the scan's grid."""

    box: Box
    mask: NDArray[np.bool_]
    features: Features


def outline(
    number: int,
    found: Candidates,
    volume: Volume,
    organs: OrganMap,
    coarse_score: NDArray[np.uint8],
    native_liver: NDArray[np.bool_],
    others: Sequence[AlignedPhase],
    settings: SegmentSettings,
) -> list[Piece]:
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
    if core.sum() * coarse.voxel_volume_ml >= LARGE_ML:
        # Calcium, iodised oil or dead parts cut a large tumour into pieces that its core holds together.
        mask |= _bridged(mask, grid.spacing_mm) & (deep > 0) & native_liver[box]
    mask = _with_capsule(mask, shell, calmed, native_liver[box], grid)
    labels, count = split_touching(mask, grid.spacing_mm, neck=settings.split_neck, min_ml=PART_ML)
    chance = onto_native(score[box3], place3, grid)
    first = onto_native(coarse_score[box3], place3, grid)
    pieces = []
    for index, at in enumerate(boxes_of(labels, count), 1):
        one = labels[at] == index
        if float(one.sum()) * grid.voxel_volume_ml < settings.lesion_min_ml:
            continue
        features = features_of(labels == index, shell, chance, first, calmed, native_liver[box], grid)
        # A splinter that only the grey values found is not a lesion of its own.
        if features.peak < settings.lesion_score:
            continue
        pieces.append(Piece(_shift(at, box), one, features))
    return pieces


def boxes_of(labels: NDArray[np.uint16], count: int) -> list[tuple[slice, ...]]:
    from scipy import ndimage

    boxes: list[tuple[slice, ...]] = ndimage.find_objects(labels, max_label=count)
    return boxes


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
        if difference_hu(hu, mask, shell) > -_CAPSULE_HU:
            continue
        rise = [difference_hu(hu, layer, shell) for layer in layers]
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
