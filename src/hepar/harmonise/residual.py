"""How well a phase lies on the reference, and whether that is good enough to measure in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.harmonise.fit import Fit
from hepar.harmonise.settings import HarmoniseSettings
from hepar.record import Estimate, Residual, Transform

BLOCK_MM = 50.0
"""Neighbouring voxels err together; blocks of this side are taken as independent for the intervals."""
BESIDE_MM = 16.0
"""Vessels and lesions of the liver no longer meet themselves so far away."""

_Float = NDArray[np.float64]


def residual(fit: Fit, transform: Transform, settings: HarmoniseSettings) -> Residual:
    """Residual of `transform` on the voxels of `fit`, where the phase holds the liver.

    liver_overlap: Dice of the two outlines on working voxels. surface_mm: mean difference of the signed distances on
    either surface, errors of the outlines included. correlation: mean absolute local correlation well inside the
    livers, damped by noise, so that 0.1 to 0.3 is usual; unknown with the reason when it is hardly above that of
    the phase put BESIDE_MM beside, and the surfaces do not make up for it.
    The interval is the jackknife over blocks of the liver: how much the figure depends on the place.
    """
    points = fit.points_lps_mm
    moved = transform.map_lps_mm(points)
    fit.cover(moved)
    blocks = np.unique(np.floor(points / BLOCK_MM).astype(int), axis=0, return_inverse=True)[1].ravel()
    here, there, known = fit.edges_mm(moved)
    inner = fit.inside & fit.held
    other = (there < 0) & fit.held
    surface = known & ((np.abs(here) < fit.step_mm / 2) | (np.abs(there) < fit.step_mm / 2))
    overlap = _ratio(2 * (inner & other), inner.astype(int) + other, blocks)
    surface_mm = _ratio(np.abs(here - there) * surface, surface, blocks)
    local, counted = fit.inner_correlation(moved)
    correlation = _ratio(local * counted, counted, blocks)
    if correlation.estimate is not None and (surface_mm.estimate or 0.0) > settings.unconfirmed_surface_mm:
        beside = _beside(fit, moved)
        if correlation.estimate < settings.minimum_gain * beside:
            correlation = Estimate.cannot_tell(
                "this phase does not lie on the reference: the inside of the livers corresponds hardly better (local"
                f" correlation {correlation.estimate:.2f}) than {BESIDE_MM:.0f} mm beside ({beside:.2f}), and their"
                f" surfaces stay {surface_mm.estimate:.1f} mm apart on average"
            )
    shift = moved - points
    return Residual(overlap, surface_mm, correlation, float(np.linalg.norm(shift[fit.inside].mean(axis=0))))


def _beside(fit: Fit, moved_lps_mm: _Float) -> float:
    """Mean inner correlation of six phases put BESIDE_MM beside: what chance makes of noise and of soft slopes."""
    steps = BESIDE_MM * np.vstack([np.eye(3), -np.eye(3)])
    found = [fit.inner_correlation(moved_lps_mm + step) for step in steps]
    return float(np.mean([local[counted].mean() if counted.any() else 0.0 for local, counted in found]))


def perfect() -> Residual:
    """The residual of the reference on itself: nothing was moved, so every figure is exact."""
    one = Estimate(1.0, 1.0, 1.0, 0.95, "the reference itself")
    return Residual(one, Estimate(0.0, 0.0, 0.0, 0.95, "the reference itself"), one, 0.0)


def unknown(reason: str) -> Residual:
    """The residual of a phase that could not be put onto the reference."""
    nothing = Estimate.cannot_tell(reason)
    return Residual(nothing, nothing, nothing, 0.0)


def refusal(transform: Transform, found: Residual, settings: HarmoniseSettings) -> str:
    """Why a phase must be kept out of the measurements, in one sentence; "" when it may go in."""
    overlap, surface = found.liver_overlap.estimate, found.surface_mm.estimate
    if overlap is None or surface is None or found.correlation.estimate is None:
        return found.liver_overlap.missing or found.surface_mm.missing or found.correlation.missing
    turn, stretch = turn_deg_and_stretch(transform)
    low, high = jacobian_range(transform)
    checks = (
        (found.shift_mm > settings.maximum_shift_mm,
         f"the liver would have to move by {found.shift_mm:.0f} mm, more than {settings.maximum_shift_mm:.0f} mm"),
        (turn > settings.maximum_turn_deg,
         f"the liver would have to turn by {turn:.0f} degrees, more than {settings.maximum_turn_deg:.0f}"),
        (stretch > settings.maximum_stretch,
         f"the liver would have to be stretched by {100 * stretch:.0f} %, more than"
         f" {100 * settings.maximum_stretch:.0f} %"),
        (low < settings.minimum_jacobian or high > settings.maximum_jacobian,
         f"parts of the liver would have to change their volume to {100 * low:.0f}-{100 * high:.0f} %, beyond"
         f" {100 * settings.minimum_jacobian:.0f}-{100 * settings.maximum_jacobian:.0f} %"),
        (overlap < settings.minimum_overlap,
         f"the livers overlap by a Dice of {overlap:.2f} only, {settings.minimum_overlap:.2f} is needed"),
        (surface > settings.maximum_surface_mm,
         f"the liver surfaces stay {surface:.1f} mm apart on average, {settings.maximum_surface_mm:.1f} mm"
         " is the most"),
    )  # fmt: skip
    return next((f"this phase does not lie on the reference: {text}" for failed, text in checks if failed), "")


def turn_deg_and_stretch(transform: Transform) -> tuple[float, float]:
    """Rotation of the matrix in degrees, and its largest strain."""
    u, sizes, vt = np.linalg.svd(transform.matrix[:3, :3])
    if np.linalg.det(transform.matrix[:3, :3]) <= 0:
        return 180.0, float("inf")
    cosine = (np.trace(u @ vt) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))), float(np.abs(sizes - 1).max())


def jacobian_range(transform: Transform) -> tuple[float, float]:
    """Smallest and largest local volume factor of the whole transform; of the matrix alone without displacement."""
    whole = float(np.linalg.det(transform.matrix[:3, :3]))
    if transform.displacement_mm is None or transform.grid is None or min(transform.grid.shape) < 2:
        return whole, whole
    field = transform.displacement_mm.astype(np.float64)
    slopes = np.stack([np.gradient(field, axis=axis) for axis in range(3)], axis=-1)
    local = np.linalg.det(np.eye(3) + slopes @ np.linalg.inv(transform.grid.affine[:3, :3]))
    return whole * float(local.min()), whole * float(local.max())


def _ratio(above: NDArray[np.generic], below: NDArray[np.generic], blocks: NDArray[np.intp]) -> Estimate:
    """Sum over sum, with the delete-one-block jackknife. Source: Efron, The Jackknife, SIAM 1982, chapter 3."""
    a, b = np.bincount(blocks, above), np.bincount(blocks, below)
    a, b = a[b > 0], b[b > 0]
    if not len(b):
        return Estimate.cannot_tell("this phase does not lie on the reference: it holds nothing of the liver there")
    value = float(a.sum() / b.sum())
    if len(b) < 3:
        return Estimate(value)
    left_out = (a.sum() - a) / (b.sum() - b)
    spread = 1.96 * float(np.sqrt((len(b) - 1) / len(b) * ((left_out - left_out.mean()) ** 2).sum()))
    return Estimate(value, max(0.0, value - spread), value + spread, 0.95, "jackknife over 50 mm blocks of the liver")
