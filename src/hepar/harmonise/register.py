"""Rigid, then affine, then smoothly deformed: as little movement as makes the livers fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hepar.harmonise.fit import Fit, scene, signed_distance_mm
from hepar.harmonise.grid import working_grid
from hepar.harmonise.residual import jacobian_range, residual, turn_deg_and_stretch, unknown
from hepar.harmonise.settings import HarmoniseSettings
from hepar.harmonise.start import starting_shift_mm
from hepar.harmonise.warp import deformable, linear
from hepar.record import OrganMap, Residual, Transform, Volume

MOVING_MARGIN_MM = 45.0
"""Around the moving liver the working image goes on, for the reference may reach further than its outline."""
STEPS = 40
"""Most steps of an optimiser per stage; it ends sooner when a step gains less than 1e-5 of the cost."""
STIFFNESSES = (1.0, 4.0, 16.0)
"""Tried in turn until the local volume change stays within the settings."""


def register(
    reference: Volume,
    moving: Volume,
    *,
    reference_organs: OrganMap,
    moving_organs: OrganMap,
    settings: HarmoniseSettings,
    progress: Callable[[float], None] | None = None,
) -> tuple[Transform, Residual]:
    """Where each point of the reference liver lies in the moving phase, and how well that fits.

    The liver alone counts (with `rim_mm` around it): ribs and spine stay behind when it moves. The affine part must
    keep within `maximum_stretch`, else the rigid one stands; the deformation within the Jacobian limits, else
    a stiffer one is tried and at last none. progress gets a share between 0 and 1.
    A phase without enough liver, or one that holds too little of the reference's, gets the identity and a residual
    that says why; `refusal` gives the verdict for every other one. Same input, same bytes.
    """
    tell = progress or (lambda share: None)
    for organs, whose in ((reference_organs, "the reference"), (moving_organs, "this phase")):
        volume_ml = float(organs.liver.sum()) * organs.geometry.voxel_volume_ml
        if volume_ml < settings.minimum_liver_ml:
            return Transform.identity(), unknown(
                f"this phase does not lie on the reference: {volume_ml:.0f} ml of liver found in {whose},"
                f" at least {settings.minimum_liver_ml:.0f} ml are needed"
            )
    matrix = np.eye(4)
    matrix[:3, 3] = starting_shift_mm(reference, moving, reference_organs, moving_organs)
    tell(0.1)
    edges = signed_distance_mm(reference_organs), signed_distance_mm(moving_organs)

    def fit(step_mm: float) -> Fit:
        here = working_grid(reference_organs, step_mm, settings.rim_mm + 3 * step_mm)
        there = working_grid(moving_organs, step_mm, MOVING_MARGIN_MM)
        return Fit(scene(reference, edges[0], here, settings), scene(moving, edges[1], there, settings), settings)

    coarse = fit(settings.coarse_mm)
    matrix = linear(coarse, matrix, affine=False, steps=STEPS)
    tell(0.3)
    covered = coarse.cover(coarse.points_lps_mm @ matrix[:3, :3].T + matrix[:3, 3])
    if covered < settings.minimum_coverage:
        return _rounded(matrix), unknown(
            f"this phase does not lie on the reference: it holds {100 * covered:.0f} % of the liver,"
            f" at least {100 * settings.minimum_coverage:.0f} % are needed"
        )
    stretched = linear(coarse, matrix, affine=True, steps=STEPS)
    if turn_deg_and_stretch(_rounded(stretched))[1] <= settings.maximum_stretch:
        matrix = stretched
    tell(0.5)
    fine = coarse if settings.fine_mm == settings.coarse_mm else fit(settings.fine_mm)
    transform = _rounded(matrix)
    found = residual(fine, transform, settings)
    if found.surface_mm.estimate is not None and found.surface_mm.estimate > settings.deformable_above_mm:
        transform = _deformed(fine, transform, settings)
        found = residual(fine, transform, settings)
    tell(1.0)
    return transform, found


def _deformed(fit: Fit, transform: Transform, settings: HarmoniseSettings) -> Transform:
    """The softest deformation within the Jacobian limits that lowers the cost; the same transform when none does."""
    fit.cover(transform.map_lps_mm(fit.points_lps_mm))
    before = fit.cost(transform.map_lps_mm(fit.points_lps_mm))[0]
    for stiffness in STIFFNESSES:
        field, grid = deformable(fit, transform.matrix, mesh_mm=settings.mesh_mm, stiffness=stiffness, steps=STEPS)
        bent = replace(transform, displacement_mm=field, grid=grid)
        low, high = jacobian_range(bent)
        if settings.minimum_jacobian <= low and high <= settings.maximum_jacobian:
            return bent if fit.cost(bent.map_lps_mm(fit.points_lps_mm))[0] < before else transform
    return transform


def _rounded(matrix: NDArray[np.float64]) -> Transform:
    """Digits far below a micrometre say nothing and may differ between machines."""
    return Transform(np.round(matrix, 9))
