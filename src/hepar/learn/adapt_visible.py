"""Can the labelled lesions be seen: their contrast against that of the same shape put elsewhere in the liver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.learn.adapt_cases import ReadyCase, Truth
from hepar.record import NOT_COVERED_HU, Volume
from hepar.segment.grid import model_geometry, onto_model, onto_native
from hepar.segment.place import native_box

_STEP_MM = 2.0
_LEAST_MM, _MOST_MM = 7.0, 40.0
_PLACES, _TRIES = 15, 400
_SHELL_MM = (2.0, 10.0)
_SMOOTH_MM = 2.0
_HEALTHY = 0.95


def lesion_ranks(ready: ReadyCase, truth: Truth) -> list[float]:
    """Of each lesion of 7 to 40 mm the share of 15 places in healthy liver whose contrast is smaller (ties: half).

    Contrast: |mean inside - mean of the liver 2 to 10 mm around|, the largest over the phases, images smoothed. Labels
    without a meaning give 0.5 on average. The places depend on the labels alone (seed 0).
    """
    from scipy import ndimage

    native = ready.reference.geometry
    whole = model_geometry(native, _STEP_MM)
    geometry = whole.crop(native_box(truth.liver, native, whole, 4.0))
    liver = onto_native(truth.liver.astype(np.float32), native, geometry) > 0.5
    to_native = np.linalg.inv(native.affine) @ geometry.affine
    ids = ndimage.affine_transform(
        truth.lesions, to_native[:3, :3], to_native[:3, 3], output_shape=geometry.shape, order=0, mode="constant"
    )
    images = [_calm(onto_model(v, geometry)) for v in _volumes(ready)]
    healthy = liver & ~ndimage.binary_dilation(ids > 0, iterations=2)
    ground = ndimage.binary_erosion(healthy)
    ranks = []
    rng = np.random.default_rng(0)
    centres = np.argwhere(ground)
    for number, box in enumerate(ndimage.find_objects(ids), 1):
        if box is None or not len(centres):
            continue
        lesion = ids[box] == number
        across = (6 * lesion.sum() * _STEP_MM**3 / np.pi) ** (1 / 3)
        if not _LEAST_MM <= across <= _MOST_MM:
            continue
        shape, shell = _shape(lesion)
        start = [s.start - shell[1] for s in box]
        own = _contrast(images, shape, shell[0], start, liver & (ids == 0))
        if own is None:
            continue
        others: list[float] = []
        for _ in range(_TRIES):
            at = centres[rng.integers(len(centres))] - np.array(shape.shape) // 2
            inside = _cut(healthy, at, shape.shape)
            if inside is None or inside[shape].mean() < _HEALTHY:
                continue
            other = _contrast(images, shape, shell[0], at.tolist(), healthy)
            if other is not None:
                others.append(other)
            if len(others) == _PLACES:
                break
        if len(others) >= _PLACES // 2:
            ranks.append(float(np.mean([0.5 * (o == own) + (o < own) for o in others])))
    return ranks


def _volumes(ready: ReadyCase) -> list[Volume]:
    native = ready.reference.geometry
    others = [
        Volume(np.where(o.hu == NOT_COVERED_HU, np.int16(-1024), o.hu), native.crop(o.box), "CT") for o in ready.others
    ]
    return [ready.reference, *others]


def _calm(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import ndimage

    out: NDArray[np.float32] = ndimage.gaussian_filter(hu, _SMOOTH_MM / _STEP_MM)
    return out


def _shape(lesion: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], tuple[NDArray[np.bool_], int]]:
    """The lesion and the shell around it, padded alike; and by how many voxels."""
    from scipy import ndimage

    margin = int(_SHELL_MM[1] / _STEP_MM) + 1
    mask = np.pad(lesion, margin)
    away = ndimage.distance_transform_edt(~mask) * _STEP_MM
    return mask, ((away > _SHELL_MM[0]) & (away <= _SHELL_MM[1]), margin)


def _cut(array: NDArray[np.bool_], start: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """The part of the array at `start`, false beyond its edges; None where nothing of it is left."""
    out = np.zeros(shape, bool)
    low = np.maximum(start, 0)
    high = np.minimum(start + np.array(shape), array.shape)
    if (low >= high).any():
        return None
    source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    out[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))] = array[source]
    return out


def _contrast(
    images: list[NDArray[np.float32]],
    shape: NDArray[np.bool_],
    shell: NDArray[np.bool_],
    start: list[int],
    ground: NDArray[np.bool_],
) -> float | None:
    at = np.array(start)
    inside = _cut(np.ones(ground.shape, bool), at, shape.shape)
    around = _cut(ground, at, shape.shape)
    if inside is None or around is None:
        return None
    core, ring = np.argwhere(shape & inside) + at, np.argwhere(shell & around) + at
    if len(core) < 4 or len(ring) < 20:
        return None
    return max(abs(float(i[tuple(core.T)].mean()) - float(i[tuple(ring.T)].mean())) for i in images)
