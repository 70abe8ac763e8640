"""clDice: how much of two tubular masks' centrelines lies in the other mask, and the centrelines themselves.

Source: Shit et al., clDice - a novel topology-preserving loss function for tubular structure segmentation, CVPR 2021,
pp. 16560-16569.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.validate.inputs import Bools
from hepar.validate.overlap import masks

_AROUND = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) != (0, 0, 0)])
_FACES = np.abs(_AROUND).sum(1) == 1
_NO_CORNERS = np.abs(_AROUND).sum(1) <= 2
_APART = np.abs(_AROUND[:, None] - _AROUND[None])
_TOUCH = (_APART.max(-1) == 1).astype(np.float32)
"""Which of the 26 neighbours touch each other at all, and which by a face (none of the latter a corner)."""
_TOUCH_BY_FACE = ((_APART.sum(-1) == 1) & _NO_CORNERS[:, None] & _NO_CORNERS[None]).astype(np.float32)


@dataclass(frozen=True)
class Centrelines:
    """precision: share of the prediction's centreline inside the reference; sensitivity: the other way round."""

    precision: float
    sensitivity: float

    @property
    def cl_dice(self) -> float:
        """Their harmonic mean; 0 when both are 0."""
        both = self.precision + self.sensitivity
        return 2 * self.precision * self.sensitivity / both if both else 0.0


def centrelines(pred: ArrayLike, ref: ArrayLike) -> Centrelines:
    """Topology precision and sensitivity of two masks on one three-dimensional grid, in voxels of the centrelines.

    Two empty masks agree perfectly (1, 1); one empty against one that is not gives 0, 0.
    Raises WrongCall for masks of other than three axes, of different shapes, or with values other than 0 and 1.
    """
    one, other = masks(pred, ref)
    if not one.any() or not other.any():
        same = 1.0 if one.any() == other.any() else 0.0
        return Centrelines(same, same)
    line, true_line = centreline(one), centreline(other)
    return Centrelines(float(other[line].mean()), float(one[true_line].mean()))


def centreline(mask: ArrayLike) -> Bools:
    """The mask thinned to lines one voxel wide, of the same topology (26-connected parts, holes, cavities).

    Layers are taken off in turn from six sides; a voxel goes when the topology stays and it is no line's end. Voxels of
    one parity never touch, so that those of a layer are looked at together and no order within them matters.
    Source of what can go (simple voxels): Bertrand and Malandain, Pattern Recognition Letters 1994;15:169.
    """
    solid = np.asarray(mask, np.bool_)
    if solid.ndim != 3:
        raise WrongCall(f"centrelines are of volumes, got {solid.ndim} axes; needed: 3")
    where = np.argwhere(solid)
    if not len(where):
        return solid.copy()
    low, high = where.min(0), where.max(0) + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    padded = np.pad(solid[box], 1)
    flat = padded.ravel()
    step = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    around = _AROUND @ step
    left = np.flatnonzero(flat)
    changed = True
    while changed:
        changed = False
        for side in around[_FACES]:
            layer = left[~flat[left + side]]
            # Who is an end is asked before the layer comes off: else its last voxels would all stay, as spurs.
            layer = layer[flat[layer[:, None] + around].sum(1) > 1]
            parity = sum((n % 2) << axis for axis, n in enumerate(np.unravel_index(layer, padded.shape)))
            for turn in range(8):
                chosen = layer[parity == turn]
                gone = chosen[_simple(flat[chosen[:, None] + around])]
                flat[gone] = False
                changed |= len(gone) > 0
        left = left[flat[left]]
    out = np.zeros_like(solid)
    out[box] = padded[1:-1, 1:-1, 1:-1]
    return out


def _simple(near: NDArray[np.bool_]) -> Bools:
    """near (n, 26): the neighbours that are set. Whether the voxel between them can go without a change of topology."""
    air = ~near & _NO_CORNERS
    result: Bools = _one_part(near, near, _TOUCH) & _one_part(air, air & _FACES, _TOUCH_BY_FACE)
    return result


def _one_part(members: NDArray[np.bool_], wanted: NDArray[np.bool_], touch: NDArray[np.float32]) -> Bools:
    """Whether all that is wanted (at least one) hangs together through the members."""
    reached = np.zeros(members.shape, np.bool_)
    some = wanted.any(1)
    reached[np.flatnonzero(some), wanted[some].argmax(1)] = True
    while True:
        wider = reached | (members & (reached.astype(np.float32) @ touch > 0))
        if (wider == reached).all():
            break
        reached = wider
    result: Bools = some & np.logical_not((wanted & ~reached).any(axis=1))
    return result
