"""Five random shapes on uneven voxels, as unions of ellipsoids whose numbers stand in mask_expected.json."""

import numpy as np


def mask(shape, spacing_mm, balls):
    """balls: (centre, semi-axes) in millimetres along (slice, row, column) from the first voxel's centre."""
    axes = [np.arange(n) * s for n, s in zip(shape, spacing_mm, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    made = np.zeros(shape, bool)
    for centre, semi in balls:
        made |= sum(((g - c) / s) ** 2 for g, c, s in zip(grid, centre, semi, strict=True)) < 1
    return made
