"""Touching lesions: one connected region is divided where its shape has a neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MIN_STEP_MM = 1.0
_MAX_SITES = 150
_MAX_VOXELS = 150_000
"""A larger region is thinned before its shape is looked at; the cut is made on all of its voxels."""

Steps = tuple[float, float, float]


def split_touching(
    mask: NDArray[np.bool_], spacing_mm: Steps, *, neck: float, min_ml: float
) -> tuple[NDArray[np.uint16], int]:
    """Labels 1..n (n parts) of a region, bool (slice, row, column); 0 outside, n = 0 for an empty one.

    Regions that do not touch are different parts. Within one region the depth (distance to the outline) has hills;
    two hills are two parts when the pass between them is less deep than `neck` times the lower hill, the lower hill
    rises by at least 1 mm above the pass, and both parts hold min_ml. The cut runs where the inscribed balls of both
    sides meet. Axes are taken as perpendicular, which is off by the tilt on a sheared grid.
    Source: h-maxima of the distance transform, Soille, Morphological Image Analysis, 2003, ch. 9.
    """
    from scipy import ndimage

    regions, _ = ndimage.label(mask)
    out = np.zeros(mask.shape, np.uint16)
    total = 0
    for number, box in enumerate(ndimage.find_objects(regions), 1):
        region = regions[box] == number
        parts, found = _split_one(region, spacing_mm, neck, min_ml)
        out[box][region] = parts[region] + total
        total += found
    return out, total


def depth_mm(region: NDArray[np.bool_], spacing_mm: Steps) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Distance to the outline inside a region, of a thinned copy with one voxel around, and the strides of thinning."""
    from scipy import ndimage

    strides = [1, 1, 1]
    while region.size / np.prod(strides) > _MAX_VOXELS:
        finest = int(np.argmin([s * n for s, n in zip(spacing_mm, strides, strict=True)]))
        strides[finest] += 1
    thin = np.pad(region[:: strides[0], :: strides[1], :: strides[2]], 1)
    steps = [s * n for s, n in zip(spacing_mm, strides, strict=True)]
    depth = ndimage.distance_transform_edt(thin, sampling=steps)
    # A little blur takes the single-voxel hills that the grid makes.
    return ndimage.gaussian_filter(depth, 0.5) * thin, (strides[0], strides[1], strides[2])


def _split_one(
    region: NDArray[np.bool_], spacing_mm: Steps, neck: float, min_ml: float
) -> tuple[NDArray[np.uint16], int]:
    whole = region.astype(np.uint16)
    ml = float(np.prod(spacing_mm)) / 1000
    if region.sum() * ml < 2 * min_ml:
        return whole, 1
    depth, strides = depth_mm(region, spacing_mm)
    markers, count = _hills(depth, neck)
    if count < 2:
        return whole, 1
    parts = _cut(depth, _flood(depth, markers), region, spacing_mm, strides)
    keep = np.flatnonzero(np.bincount(parts.ravel(), minlength=count + 1)[1:] * ml >= min_ml) + 1
    if len(keep) < 2:
        return whole, 1
    if len(keep) < count:
        lookup = np.zeros(count + 1, np.uint16)
        lookup[keep] = np.arange(1, len(keep) + 1)
        parts = _cut(depth, _flood(depth, lookup[markers]), region, spacing_mm, strides)
    return parts, len(keep)


def _hills(depth: NDArray[np.float64], neck: float) -> tuple[NDArray[np.uint16], int]:
    """Markers of the hills that count, by lowering a water line from the deepest point in steps of 4 %.

    A new hill joins the one it meets unless the meeting level is below `neck` times its own height.
    """
    from scipy import ndimage

    top = float(depth.max())
    markers = np.zeros(depth.shape, np.uint16)
    heights: list[float] = []
    level = top * 0.999
    while level > max(0.15 * top, 0.1):
        dry, _ = ndimage.label(depth >= level)
        for number, box in enumerate(ndimage.find_objects(dry), 1):
            here = dry[box] == number
            inside = markers[box]
            held = np.unique(inside[here & (inside > 0)])
            if len(held) == 0:
                heights.append(float(depth[box][here].max()))
                inside[here] = len(heights)
                continue
            if len(held) == 1:
                continue
            low = [int(h) for h in held if not _counts(heights[h - 1], level, neck)]
            high = [int(h) for h in held if h not in low]
            target = high[0] if high else max((int(h) for h in held), key=lambda h: heights[h - 1])
            for gone in low:
                if gone != target:
                    inside[inside == gone] = target
        level *= 0.96
    ids = np.unique(markers[markers > 0])
    lookup = np.zeros(len(heights) + 1, np.uint16)
    lookup[ids] = np.arange(1, len(ids) + 1)
    return lookup[markers], len(ids)


def _counts(height: float, level: float, neck: float) -> bool:
    return level < neck * height and height - level >= _MIN_STEP_MM


def _flood(depth: NDArray[np.float64], markers: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Markers grown downhill, level by level, until they fill the region."""
    from scipy import ndimage

    parts = markers.copy()
    for level in [*(depth.max() * np.linspace(0.98, 0.02, 40)), 1e-9]:
        dry = depth >= level
        while True:
            grown = ndimage.maximum_filter(parts, size=3)
            new = dry & (parts == 0) & (grown > 0)
            if not new.any():
                break
            parts[new] = grown[new]
    return parts


def _cut(
    depth: NDArray[np.float64],
    flooded: NDArray[np.uint16],
    region: NDArray[np.bool_],
    spacing_mm: Steps,
    strides: tuple[int, int, int],
) -> NDArray[np.uint16]:
    """The flooded parts brought to the whole region, the border where the inscribed balls of both sides meet.

    A flood breaks ties by label and its border leans; for two balls the power diagram of their inscribed balls is the
    true plane. Every local maximum of the depth is a ball, so that long parts are covered too.
    """
    from scipy import ndimage

    peak = (flooded > 0) & (depth >= ndimage.maximum_filter(depth, size=3) - 1e-9)
    order = np.argsort(-depth[peak], kind="stable")[:_MAX_SITES]
    sites = np.argwhere(peak)[order]
    scaled = ((sites - 1) * np.array(strides) * np.array(spacing_mm)).astype(np.float32)
    points = (np.argwhere(region) * np.array(spacing_mm)).astype(np.float32)
    best = np.full(len(points), np.inf, np.float32)
    owner = np.zeros(len(points), np.uint16)
    for site, radius, label in zip(scaled, depth[tuple(sites.T)], flooded[tuple(sites.T)], strict=True):
        power = ((points - site) ** 2).sum(axis=1) - np.float32(radius**2)
        nearer = power < best
        best[nearer] = power[nearer]
        owner[nearer] = label
    parts = np.zeros(region.shape, np.uint16)
    parts[region] = owner
    return parts
