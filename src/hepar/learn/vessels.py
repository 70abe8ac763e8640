"""Procedural vessel trees inside a liver: constructive growth with Murray's radii."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import SPACING_MM


def vessel_fraction(
    liver: NDArray[np.bool_],
    roots: NDArray[np.float64],
    *,
    leaves: int,
    leaf_radius_mm: float,
    rng: np.random.Generator,
    spacing_mm: float = SPACING_MM,
) -> NDArray[np.float32]:
    """Share of each voxel (0 to 1) filled by a tree that grows from the roots into the liver.

    liver: bool (slice, row, column), cubic voxels of spacing_mm. roots: (n, 3) voxel indices, n >= 1.
    An empty liver gives an all-zero volume. Radii follow Murray (1926): r^3 adds up at a fork.
    """
    fraction = np.zeros(liver.shape, np.float32)
    inside = np.argwhere(liver)
    if len(inside) == 0:
        return fraction
    targets = inside[rng.choice(len(inside), size=min(leaves, len(inside)), replace=False)].astype(float)
    order = np.argsort(np.linalg.norm(targets - roots.mean(0), axis=1) * rng.uniform(0.7, 1.3, len(targets)))
    nodes = [np.asarray(r, float) for r in roots]
    parent = [-1] * len(nodes)
    depth = [0.0] * len(nodes)
    for target in targets[order]:
        positions = np.array(nodes)
        gap = np.linalg.norm(positions - target, axis=1)
        best = int(np.argmin(gap + 0.25 * np.array(depth)))
        pieces = max(1, int(gap[best] / 3))
        bend = rng.normal(0, 0.08 * gap[best], 3)
        start = nodes[best]
        for piece in range(1, pieces + 1):
            t = piece / pieces
            nodes.append(start * (1 - t) + target * t + bend * np.sin(np.pi * t))
            parent.append(best if piece == 1 else len(nodes) - 2)
            depth.append(depth[parent[-1]] + gap[best] / pieces)
    flow = np.zeros(len(nodes))
    flow[sorted(set(range(len(nodes))) - set(parent))] = 1.0
    for k in range(len(nodes) - 1, len(roots) - 1, -1):
        flow[parent[k]] += flow[k]
    radius_mm = leaf_radius_mm * np.maximum(flow, 1) ** (1 / 3)
    for k in range(len(roots), len(nodes)):
        _draw(fraction, nodes[parent[k]], nodes[k], min(radius_mm[k], 6.5) / spacing_mm)
    fraction[~liver] = 0
    return fraction


def _draw(fraction: NDArray[np.float32], a: NDArray[np.float64], b: NDArray[np.float64], radius: float) -> None:
    low = np.maximum(np.floor(np.minimum(a, b) - radius - 1).astype(int), 0)
    high = np.minimum(np.ceil(np.maximum(a, b) + radius + 2).astype(int), fraction.shape)
    if (high <= low).any():
        return
    grid = np.stack(np.meshgrid(*[np.arange(p, q) for p, q in zip(low, high, strict=True)], indexing="ij"), -1) - a
    axis = b - a
    t = np.clip(grid @ axis / max(float(axis @ axis), 1e-6), 0, 1)
    distance = np.linalg.norm(grid - t[..., None] * axis, axis=-1)
    # A tube thinner than a voxel never fills it: the peak falls with the square of the radius.
    peak = min(1.0, np.pi * radius * radius) if radius < 0.56 else 1.0
    share = np.clip(radius - distance + 0.5, 0, 1) * peak
    box = tuple(slice(p, q) for p, q in zip(low, high, strict=True))
    fraction[box] = np.maximum(fraction[box], share)
