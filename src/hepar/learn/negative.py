"""Anatomies without a liver: heads, legs and test objects, so that the network does not find one everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hepar.learn.atlas import Atlas
from hepar.learn.classes import Tissue
from hepar.learn.dome import smooth_field

_SHAPE = (76, 84, 84)


def negative_atlas(*, seed: int) -> Atlas:
    """A head with neck, a pair of legs, or a soft object of simple shape, on a 3 mm grid."""
    rng = np.random.default_rng([seed, 41])
    tissue = np.zeros(_SHAPE, np.uint8)
    residual = np.zeros(_SHAPE, np.float32)
    z, y, x = (v.astype(np.float32) for v in np.indices(_SHAPE))
    middle = np.array(_SHAPE) / 2 + rng.normal(0, 2, 3)
    kind = seed % 4
    if kind < 2:
        _head(tissue, residual, z, y, x, middle, rng)
    elif kind == 2:
        _legs(tissue, residual, y, x, middle, rng)
    else:
        semi = rng.uniform(16, 36, 3)
        r = ((z - middle[0]) / semi[0]) ** 2 + ((y - middle[1]) / semi[1]) ** 2 + ((x - middle[2]) / semi[2]) ** 2
        if rng.random() < 0.6:
            r = ((y - middle[1]) / semi[1]) ** 2 + ((x - middle[2]) / semi[2]) ** 2
        tissue[r < 1] = Tissue.SOFT
        residual[r < 1] = rng.uniform(-60, 80)
        for _ in range(int(rng.integers(0, 6))):
            place = middle + rng.normal(0, 10, 3)
            inner = (y - place[1]) ** 2 + (x - place[2]) ** 2 < rng.uniform(2, 7) ** 2
            residual[inner & (r < 1)] = rng.uniform(-150, 300)
    residual += 6 * smooth_field(_SHAPE, 6, rng) * (tissue == Tissue.SOFT)
    mean = np.zeros(len(Tissue), np.float32)
    mean[Tissue.BONE] = 220
    zero = np.zeros(_SHAPE, np.float32)
    return Atlas(f"negative-{seed}", tissue, residual, mean, zero, zero, False)


Axis = NDArray[np.float32]


def _head(
    tissue: NDArray[np.uint8],
    residual: Axis,
    z: Axis,
    y: Axis,
    x: Axis,
    middle: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    semi = np.array([rng.uniform(22, 30), rng.uniform(27, 34), rng.uniform(22, 28)])
    top = middle[0] + rng.uniform(4, 10)
    r = np.sqrt(((z - top) / semi[0]) ** 2 + ((y - middle[1]) / semi[1]) ** 2 + ((x - middle[2]) / semi[2]) ** 2)
    r = r * (1 + 0.04 * smooth_field(_SHAPE, 12, rng))
    neck = (y - middle[1] - 7) ** 2 + (x - middle[2]) ** 2 < rng.uniform(15, 22) ** 2
    tissue[neck & (z < top)] = Tissue.SOFT
    tissue[r < 1.1] = Tissue.SOFT
    tissue[r < 1.0] = Tissue.BONE
    residual[r < 1.0] = rng.uniform(300, 900)
    brain = r < rng.uniform(0.86, 0.93)
    tissue[brain] = Tissue.SOFT
    residual[brain] = rng.uniform(-28, 25)
    ventricle = ((z - top) / 7) ** 2 + ((y - middle[1]) / 12) ** 2 + ((np.abs(x - middle[2]) - 4) / 3.5) ** 2 < 1
    residual[ventricle] -= rng.uniform(15, 40)
    sinus = (np.abs(x - middle[2]) < rng.uniform(4, 9)) & (y < middle[1] - 0.6 * semi[1]) & (z < top - 5) & (r < 1)
    tissue[sinus] = Tissue.AIR
    residual[sinus] = 0
    jaw = (np.abs(r - 1) < 0.2) & (z < top - 0.5 * semi[0]) & (y < middle[1]) & neck
    spine = ((y - middle[1] - 14) ** 2 + (x - middle[2]) ** 2 < 40) & (z < top - 0.7 * semi[0])
    for hard in (jaw, spine):
        tissue[hard] = Tissue.BONE
        residual[hard] = rng.uniform(0, 500)


def _legs(
    tissue: NDArray[np.uint8],
    residual: Axis,
    y: Axis,
    x: Axis,
    middle: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    apart, radius = rng.uniform(18, 26), rng.uniform(14, 22)
    for side in (-1, 1):
        r = np.sqrt((y - middle[1]) ** 2 + (x - middle[2] - side * apart) ** 2)
        tissue[r < radius + rng.uniform(1, 5)] = Tissue.FAT
        tissue[r < radius] = Tissue.SOFT
        tissue[r < 5] = Tissue.BONE
        residual[r < 5] = rng.uniform(300, 900)
        residual[r < 3] = -150
