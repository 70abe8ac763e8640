"""A scan to NIfTI for another program, and its label map back onto the scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import PADDING_HU, Geometry, Volume

_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_REVERSED = np.eye(4)[[2, 1, 0, 3]]
_TOLERANCE_MM = 0.05


def upright(volume: Volume) -> Volume:
    """The scan itself, or, when its slices are tilted against their axis (gantry tilt), a copy on straight slices.

    Most programs refuse a sheared grid or read it wrongly. Each slice is only shifted within its plane.
    """
    from scipy import ndimage

    geometry = volume.geometry
    step, row, column = (geometry.affine[:3, k] for k in range(3))
    normal = np.cross(column, row)
    normal = normal / np.linalg.norm(normal) * np.sign(normal @ step)
    straight = normal * (step @ normal)
    lean = geometry.to_index(geometry.affine[:3, 3] + straight)[1:]
    if np.abs(lean * geometry.spacing_mm[1:]).max() * geometry.shape[0] < _TOLERANCE_MM:
        return volume
    # Room for the shift of the first against the last slice.
    shift = lean * (geometry.shape[0] - 1)
    low, high = np.floor(np.minimum(0, -shift)).astype(int), np.ceil(np.maximum(0, -shift)).astype(int)
    affine = geometry.affine.copy()
    affine[:3, 0] = straight
    affine[:3, 3] += affine[:3, 1] * low[0] + affine[:3, 2] * low[1]
    rows, columns = geometry.shape[1] + int(high[0] - low[0]), geometry.shape[2] + int(high[1] - low[1])
    target = Geometry((geometry.shape[0], rows, columns), affine)
    out = np.empty(target.shape, np.int16)
    for number, plane in enumerate(volume.array):
        offset = np.array([low[0], low[1]]) + lean * number
        moved = ndimage.affine_transform(
            plane.astype(np.float32), np.ones(2), offset, output_shape=(rows, columns), order=1, cval=PADDING_HU
        )
        out[number] = np.rint(moved)
    return Volume(out, target, volume.modality)


def write_scan(volume: Volume, path: Path) -> None:
    """Int16 voxels with the place in sform and qform; nothing else is said, so nobody can be known by it."""
    import nibabel

    affine = _RAS @ volume.geometry.affine @ _REVERSED
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.array.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nibabel.save(image, path)


def read_labels(
    path: Path, target: Geometry, *, engine: str, any_grid: bool, convert: Callable[[NDArray[Any]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """A label map (whole numbers, 3D) on the target's grid; axes may be swapped or turned against it.

    convert: from the program's labels to ours, before anything is moved. any_grid: a map on another grid is brought
    over (nearest voxel) as long as it lies over the scan. Raises WrongCall for anything else.
    """
    import nibabel

    try:
        image = nibabel.load(path)
        array = np.asanyarray(image.dataobj)
    except Exception as error:
        raise WrongCall(
            f"engine {engine} wrote a label map that cannot be read as NIfTI ({type(error).__name__}); its output in"
            " the engine's file must name a label map"
        ) from None
    if array.ndim > 3 and all(n == 1 for n in array.shape[3:]):
        array = array.reshape(array.shape[:3])
    if array.ndim != 3:
        raise WrongCall(f"engine {engine} wrote a map of {array.ndim} axes, needed are 3: one label per voxel")
    labels = np.ascontiguousarray(convert(whole_numbers(array, engine)).transpose(2, 1, 0))
    source = Geometry((labels.shape[0], labels.shape[1], labels.shape[2]), _RAS @ image.affine @ _REVERSED)
    same = _turned(labels, source, target)
    if same is not None:
        return same
    if not any_grid or not _over(source, target):
        raise WrongCall(
            f"engine {engine} answered on another grid: {_grid(source)}, the scan has {_grid(target)}; make it answer"
            ' on the grid of its input, or set grid = "any" in the engine\'s file when its place is right'
        )
    return nearest(labels, source, target)


def whole_numbers(array: NDArray[Any], engine: str) -> NDArray[Any]:
    """The array as integers. Raises WrongCall for probabilities and other numbers that are no labels."""
    if array.dtype.kind in "iub":
        return array
    rounded = np.rint(array)
    if array.dtype.kind != "f" or not np.array_equal(rounded, array) or np.abs(rounded).max(initial=0) > 2**31:
        raise WrongCall(f"engine {engine} wrote numbers that are no labels; it must write a label map, not scores")
    whole: NDArray[Any] = rounded.astype(np.int32)
    return whole


def nearest(labels: NDArray[np.uint8], source: Geometry, target: Geometry) -> NDArray[np.uint8]:
    """Labels on another grid by the nearest voxel; 0 where the source does not reach.

    The source reaches to the outer edges of its voxels ("constant" would lose the outermost ones by rounding).
    """
    from scipy import ndimage

    move = np.linalg.inv(source.affine) @ target.affine
    out: NDArray[np.uint8] = ndimage.affine_transform(
        labels, move[:3, :3], move[:3, 3], output_shape=target.shape, order=0, mode="grid-constant", prefilter=False
    )
    return out


def _turned(labels: NDArray[np.uint8], source: Geometry, target: Geometry) -> NDArray[np.uint8] | None:
    """The labels with axes swapped and turned so that they lie on the target's grid; None when no turn does that."""
    move = np.linalg.inv(source.affine) @ target.affine
    turn = np.rint(move[:3, :3])
    if sorted(np.abs(turn).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(turn).sum(axis=1)) != [1, 1, 1]:
        return None
    order = [int(np.abs(turn[:, k]).argmax()) for k in range(3)]
    out = labels.transpose(order)
    affine = source.affine[:, [*order, 3]].copy()
    for axis in range(3):
        if turn[order[axis], axis] < 0:
            out = np.flip(out, axis)
            affine[:3, 3] += affine[:3, axis] * (out.shape[axis] - 1)
            affine[:3, axis] *= -1
    place = Geometry((out.shape[0], out.shape[1], out.shape[2]), affine)
    return np.ascontiguousarray(out) if place.is_close(target, tolerance_mm=_TOLERANCE_MM) else None


def _over(source: Geometry, target: Geometry) -> bool:
    """Whether the two grids cover the same room: their boxes share at least half of the smaller one."""
    boxes = []
    for grid in (source, target):
        corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.array(grid.shape) - 1)
        places = grid.to_lps_mm(corners)
        boxes.append((places.min(axis=0), places.max(axis=0)))
    shared = np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0])
    smaller = min(float(np.prod(high - low)) for low, high in boxes)
    return bool((shared > 0).all() and float(np.prod(shared)) >= 0.5 * smaller)


def _grid(grid: Geometry) -> str:
    shape = " x ".join(str(n) for n in grid.shape)
    return f"{shape} voxels of {' x '.join(f'{mm:.2f}' for mm in grid.spacing_mm)} mm"
