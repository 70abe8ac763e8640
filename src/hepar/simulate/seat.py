"""Where drawn lesions come to lie: deep in the liver, against its capsule, or growing out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .anatomy import Patient
from .shapes import Grid, Point
from .tumour import Tumour

# Distance of the centre from the liver's surface (negative inside), in radii: nearest and furthest.
_DEPTH = {"deep": (-1e3, -1.15), "subcapsular": (-1.0, -0.6), "exophytic": (-0.45, 0.05)}
GAP_MM = 3.0


HILUM = (-32.0, -22.0, 6.0)
"""Where the bile ducts meet, in the reference body."""


def seat_tumours(patient: Patient, tumours: list[Tumour], rng: np.random.Generator) -> tuple[Tumour, ...]:
    """A place for every lesion, big ones first, none touching another. In the order given.

    A lesion too large for its seat lies as deep as the liver lets it and bulges; one that still finds no room between
    the others is made smaller by a fifth until it does.
    """
    box = patient.structure("liver").box
    step = 4.0
    shape = tuple(int((box[1][a] - box[0][a]) / step) + 1 for a in (2, 1, 0))
    grid = Grid(box[0], (step, step, step), (shape[0], shape[1], shape[2]))
    depth = patient.liver(grid)
    # Not where the liver's surface is the diaphragm's gap or the wall, far from parenchyma.
    flat = depth.ravel()
    candidates = np.flatnonzero(flat < 2.0)
    deepest = float(-flat[candidates].min())
    placed: dict[int, Tumour] = {}
    for index in sorted(range(len(tumours)), key=lambda i: -tumours[i].diameter_mm):
        one = tumours[index]
        while index not in placed:
            radius = one.diameter_mm / 2
            nearest, furthest = _DEPTH.get(one.seat, _DEPTH["deep"])
            fits = candidates[(flat[candidates] >= nearest * radius) & (flat[candidates] <= furthest * radius)]
            if len(fits) < 20:
                fits = candidates[flat[candidates] < -min(0.8 * deepest, 0.5 * radius)]
            if one.seat == "hilar":
                fits = _nearest(candidates, grid, patient.build.at(*HILUM))
            picked = rng.choice(fits, min(len(fits), 400), replace=False)
            k, j, i = np.unravel_index(picked, grid.shape)
            spots = np.stack([i, j, k], -1) * step + np.asarray(grid.origin_mm) + rng.uniform(-2, 2, (len(picked), 3))
            free = np.ones(len(spots), bool)
            for other in placed.values():
                apart = np.linalg.norm(spots - other.centre_lps_mm, axis=1)
                free &= apart > 0.8 * (one.reach_mm + other.reach_mm) + GAP_MM
            if free.any():
                x, y, z = spots[int(np.argmax(free))]
                bulge = max(one.bulge_mm, 0.12 * one.diameter_mm if radius > 0.75 * deepest else 0.0)
                placed[index] = replace(one, centre_lps_mm=(float(x), float(y), float(z)), bulge_mm=bulge)
            elif one.seat == "hilar":  # taken: it lies elsewhere
                one = replace(one, seat="deep")
            else:
                one = replace(one, diameter_mm=0.8 * one.diameter_mm, bulge_mm=0.8 * one.bulge_mm)
    return tuple(placed[i] for i in range(len(tumours)))


def _nearest(candidates: NDArray[np.intp], grid: Grid, place: Point) -> NDArray[np.intp]:
    """The forty grid points of the liver that lie nearest to a place."""
    k, j, i = np.unravel_index(candidates, grid.shape)
    spots = np.stack([i, j, k], -1) * grid.spacing_mm[0] + np.asarray(grid.origin_mm)
    return np.asarray(candidates[np.argsort(np.linalg.norm(spots - np.asarray(place), axis=1), kind="stable")[:40]])
