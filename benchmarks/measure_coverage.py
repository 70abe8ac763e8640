"""How right the sizes of small bodies are, and how often their intervals hold the truth.

    python benchmarks/measure_coverage.py [--centres 50] [--quick]

Balls, ellipsoids (semi-axes 1 : 0.6 : 0.7 in the plane and across, and 0.6 : 0.5 : 1 standing up) and pairs of merged
balls (centres 0.6 diameters apart) are cut into voxels whose centres lie inside, at random sub-voxel centres and a
random turn in the plane. Printed per body, grid and size (in slice steps): mean error and standard deviation in percent
of the truth, and the share of intervals that hold the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hepar.measure.size import Sizes, sizes
from hepar.record import Geometry

GRIDS = ((2.5, 0.8, 0.8), (5.0, 0.7, 0.7), (1.6, 0.743, 0.743), (3.0, 1.5, 1.0), (1.0, 1.0, 1.0))
STEPS = (2, 3, 4, 6, 8)
BODIES = ("ball", "flat ellipsoid", "standing ellipsoid", "pair")
MEASURES = ("volume", "long", "short", "max 3D")


def truth(body: str, diameter: float) -> tuple[float, float, float, float]:
    """Volume in ml, long and short axial diameter and largest diameter in millimetres."""
    r = diameter / 2
    if body == "ball":
        return 4 / 3 * np.pi * r**3 / 1000, diameter, diameter, diameter
    if body == "flat ellipsoid":
        return 4 / 3 * np.pi * r**3 * 0.6 * 0.7 / 1000, diameter, 0.6 * diameter, diameter
    if body == "standing ellipsoid":
        return 4 / 3 * np.pi * r**3 * 0.6 * 0.5 / 1000, 0.6 * diameter, 0.5 * diameter, diameter
    gap = 0.6 * diameter
    lens = np.pi * (4 * r + gap) * (2 * r - gap) ** 2 / 12
    return (2 * 4 / 3 * np.pi * r**3 - lens) / 1000, diameter + gap, diameter, diameter + gap


def drawn(
    body: str, diameter: float, spacing: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """One body cut into voxels at a random place; cropped by the measuring itself."""
    reach = diameter * (0.85 if body == "pair" else 0.55)
    axes = [np.arange(-np.ceil(reach / s) - 1, np.ceil(reach / s) + 2) * s for s in spacing]
    z, y, x = np.meshgrid(*(a - s * (rng.random() - 0.5) for a, s in zip(axes, spacing, strict=True)),
                          indexing="ij", sparse=True)  # fmt: skip
    turn = rng.uniform(0, np.pi)
    along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    r = diameter / 2
    if body == "pair":
        gap = 0.3 * diameter
        near = (across**2 + z**2 + (along - gap) ** 2 <= r * r) | (across**2 + z**2 + (along + gap) ** 2 <= r * r)
        return np.asarray(near)
    a, b, c = {"ball": (1, 1, 1), "flat ellipsoid": (1, 0.6, 0.7), "standing ellipsoid": (0.6, 0.5, 1)}[body]
    return np.asarray((along / a) ** 2 + (across / b) ** 2 + (z / c) ** 2 <= r * r)


def row(
    body: str, spacing: tuple[float, float, float], steps: float, centres: int
) -> dict[str, tuple[float, float, float, float]]:
    """Per measure: mean error, its standard deviation, largest error (all shares of the truth), coverage."""
    rng = np.random.default_rng([centres, round(100 * steps), round(1000 * sum(spacing)), BODIES.index(body)])
    diameter = steps * spacing[0]
    true = truth(body, diameter)
    errors, held = [], []
    for mask in _some(body, diameter, spacing, rng, centres):
        found = sizes(mask, Geometry.regular(mask.shape, spacing))
        estimates = _estimates(found)
        errors.append([e.estimate / t - 1 for e, t in zip(estimates, true, strict=True)])
        held.append([e.low <= t <= e.high for e, t in zip(estimates, true, strict=True)])
    table, cover = np.array(errors), np.array(held)
    return {
        name: (table[:, i].mean(), table[:, i].std(), np.abs(table[:, i]).max(), cover[:, i].mean())
        for i, name in enumerate(MEASURES)
    }


def _some(
    body: str, diameter: float, spacing: tuple[float, float, float], rng: np.random.Generator, n: int
) -> Iterator[NDArray[np.bool_]]:
    done = 0
    while done < n:
        mask = drawn(body, diameter, spacing, rng)
        if mask.any():
            done += 1
            yield mask


def _estimates(found: Sizes) -> list:
    return [found.volume_ml, found.long_axis.length_mm, found.short_axis.length_mm, found.max_3d.length_mm]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--centres", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="one grid and three sizes")
    chosen = parser.parse_args()
    grids, steps = (GRIDS[:1], (3, 4, 6)) if chosen.quick else (GRIDS, STEPS)
    print("| body | voxels mm | slice steps |", " | ".join(f"{m}: error % (sd), held %" for m in MEASURES), "|")
    print("|---|---|---|" + "---|" * len(MEASURES))
    for body in BODIES:
        for spacing in grids:
            for n in steps:
                found = row(body, spacing, n, chosen.centres)
                cells = [f"{100 * m:+.1f} ({100 * s:.1f}), {100 * c:.0f}" for m, s, _, c in found.values()]
                print(f"| {body} | {' x '.join(map(str, spacing))} | {n} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
