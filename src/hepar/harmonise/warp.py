"""Families of movements that a phase may make: rigid, affine, and a smooth B-spline before either."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hepar.harmonise.fit import Fit
from hepar.record import Geometry

ARM_MM = 80.0
"""Turns and strains are counted as the millimetres they make at this distance, so that all parameters weigh alike."""
STRETCH_COST = 0.03
"""Cost of a root mean square strain of 10 %, in the unit of the fit."""
BEND_COST = 0.008
"""Cost of a root mean square second difference of 1 mm between control points."""

_Float = NDArray[np.float64]


def linear(fit: Fit, start: _Float, *, affine: bool, steps: int) -> _Float:
    """The best rigid or affine (4, 4) after at most `steps` steps from `start` (4, 4), LPS mm to LPS mm."""
    centre = fit.points_lps_mm.mean(axis=0)
    arms = fit.points_lps_mm - centre
    build = _affine if affine else _rigid
    fit.cover(arms @ start[:3, :3].T + start[:3, :3] @ centre + start[:3, 3])

    def cost(parameters: _Float) -> tuple[float, _Float]:
        turn, shift = build(parameters)
        turn = turn @ start[:3, :3]
        value, slope = fit.cost(arms @ turn.T + (start[:3, :3] @ centre + start[:3, 3]) + shift)
        by_turn = slope.T @ (arms @ start[:3, :3].T)
        by_parameter = np.array([(by_turn * d).sum() for d in _turn_slopes(build, parameters)])
        return value, np.concatenate([slope.sum(axis=0), by_parameter])

    parameters = _minimise(cost, 12 if affine else 6, steps)
    turn, shift = build(parameters)
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ start[:3, :3]
    matrix[:3, 3] = start[:3, :3] @ centre + start[:3, 3] + shift - matrix[:3, :3] @ centre
    return matrix


def deformable(
    fit: Fit, matrix: _Float, *, mesh_mm: float, stiffness: float, steps: int
) -> tuple[NDArray[np.float32], Geometry]:
    """The best smooth displacement (slice, row, column, 3) in LPS mm before `matrix`, and the grid it lives on.

    stiffness: 1 for the ordinary cost of strain and bending, more for a stiffer liver.
    The cubic B-spline (Rueckert 1999) is handed over on the grid of the fit's every second voxel.
    """
    bases = [_basis(n, s, mesh_mm) for n, s in zip(fit.grid.shape, fit.grid.spacing_mm, strict=True)]
    knots = tuple(b.shape[1] for b in bases)
    fit.cover(fit.points_lps_mm @ matrix[:3, :3].T + matrix[:3, 3])

    def cost(parameters: _Float) -> tuple[float, _Float]:
        mesh = parameters.reshape(*knots, 3)
        moved = fit.points_lps_mm + _spread(bases, mesh).reshape(-1, 3)[fit.places]
        value, slope = fit.cost(moved @ matrix[:3, :3].T + matrix[:3, 3])
        dense = np.zeros((int(np.prod(fit.grid.shape)), 3))
        dense[fit.places] = slope @ matrix[:3, :3]
        gathered = _spread([b.T for b in bases], dense.reshape(*fit.grid.shape, 3))
        stiff, by_stiff = _stiff(mesh, mesh_mm)
        return value + stiffness * stiff, (gathered + stiffness * by_stiff).ravel()

    mesh = _minimise(cost, int(np.prod(knots)) * 3, steps).reshape(*knots, 3)
    every = tuple(slice(0, n, 2) for n in fit.grid.shape)
    dense = _spread([b[e] for b, e in zip(bases, every, strict=True)], mesh)
    affine = fit.grid.affine.copy()
    affine[:3, :3] *= 2
    z, y, x = dense.shape[:3]
    return (np.round(dense * 1024) / 1024).astype(np.float32), Geometry((z, y, x), affine)


def _minimise(cost: Callable[[_Float], tuple[float, _Float]], size: int, steps: int) -> _Float:
    from scipy.optimize import minimize

    best = minimize(
        cost, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxcor": 8, "ftol": 1e-5}
    )
    result: _Float = best.x
    return result


def _rigid(p: _Float) -> tuple[_Float, _Float]:
    """Turn (3, 3) and shift (3,) from three millimetres and a rotation vector times ARM_MM (Rodrigues)."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(p[3:6] / ARM_MM).as_matrix(), p[:3]


def _affine(p: _Float) -> tuple[_Float, _Float]:
    return np.eye(3) + p[3:12].reshape(3, 3) / ARM_MM, p[:3]


def _turn_slopes(build: Callable[[_Float], tuple[_Float, _Float]], p: _Float) -> list[_Float]:
    """Slope of the turn by each of its parameters; central differences of a smooth 3 x 3 function."""
    step, slopes = 1e-4, []
    for i in range(3, len(p)):
        unit = np.zeros(len(p))
        unit[i] = step
        slopes.append((build(p + unit)[0] - build(p - unit)[0]) / (2 * step))
    return slopes


def _basis(voxels: int, spacing_mm: float, mesh_mm: float) -> _Float:
    """Cubic B-spline weights (voxels, control points); the control points reach one mesh beyond both ends."""
    at = np.arange(voxels) * spacing_mm / mesh_mm
    points = int(np.ceil(at[-1])) + 3
    distance = np.abs(at[:, None] - (np.arange(points)[None] - 1))
    near = 2 / 3 - distance**2 + distance**3 / 2
    result: _Float = np.where(distance < 1, near, np.where(distance < 2, (2 - distance) ** 3 / 6, 0.0))
    return result


def _spread(matrices: list[_Float], array: _Float) -> _Float:
    """Apply one matrix along each of the first three axes."""
    for axis in range(3):
        array = np.moveaxis(np.tensordot(matrices[axis], array, axes=(1, axis)), 0, axis)
    return array


def _stiff(mesh: _Float, mesh_mm: float) -> tuple[float, _Float]:
    """Cost of strain (first differences) and bending (second differences) of a mesh, and its slope."""
    cost, slope = 0.0, np.zeros_like(mesh)
    for order, unit, weight in ((1, 0.1 * mesh_mm, STRETCH_COST), (2, 1.0, BEND_COST)):
        for axis in range(3):
            step = np.diff(mesh, order, axis=axis)
            share = weight / (unit**2 * step.size)
            cost += share * float((step**2).sum())
            pulled = 2 * share * step
            for _ in range(order):
                pulled = -np.diff(pulled, axis=axis, prepend=0.0, append=0.0)
            slope += pulled
    return cost, slope
