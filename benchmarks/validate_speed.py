"""Speed of the validation suite, as ratios within one run.

    python benchmarks/validate_speed.py [SHRINK]      SHRINK 2 halves every side of the label maps

The full mask measures of two label maps of 512 x 512 x 120 with 20 lesions, against surface-distance with
scipy.ndimage.label (where surface-distance is installed); AUC with its interval on a million scores; 2,000 bootstrap
draws on 10,000 cases. Peak memory is that of the process.
"""

import resource
import sys
import time

import numpy as np

from hepar.validate import auc
from hepar.validate.bootstrap import mean
from hepar.validate.case import measure_case

SPACING_MM = (2.5, 0.8, 0.8)


def label_maps(shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """A liver-like ellipsoid (1) with 20 balls (2) that do not touch, and the same shifted and resized a little."""
    shape = tuple(n // shrink for n in (120, 512, 512))
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    random = np.random.default_rng(0)

    def ball(centre: np.ndarray, radii: tuple[float, float, float]) -> np.ndarray:
        return ((z - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + (
            (x - centre[2]) / radii[2]
        ) ** 2 < 1

    middle = np.array(shape) / 2
    size = tuple(v / shrink for v in (34.0, 110.0, 140.0))
    maps = []
    for grow, shift in ((1.0, 0.0), (1.03, 2.0 / shrink)):
        maps.append(ball(middle + shift, tuple(v * grow for v in size)).astype(np.uint8))
    placed: list[tuple[np.ndarray, float]] = []
    while len(placed) < 20:
        away, radius = (random.random(3) - 0.5) * np.array(size) * 1.1, random.uniform(4, 18) / shrink
        # on a grid three times as thick as wide; 1.1 times as large in the prediction
        apart = [np.linalg.norm((away - other) / (0.32, 1.0, 1.0)) for other, _ in placed]
        if any(gap < 1.15 * (radius + other) + 6 / shrink for gap, (_, other) in zip(apart, placed, strict=True)):
            continue
        placed.append((away, radius))
        for one, grow, shift in zip(maps, (1.0, 1.1), (0.0, 1.0 / shrink), strict=True):
            one[ball(middle + away + shift, (radius * grow * 0.32, radius * grow, radius * grow))] = 2
    return maps[0], maps[1]


def others(ref: np.ndarray, pred: np.ndarray) -> float:
    """Seconds of surface-distance (liver and lesions) and scipy labelling with overlaps."""
    import surface_distance
    from scipy import ndimage

    start = time.perf_counter()
    for labels in ((1, 2), (2,)):
        a, b = np.isin(ref, labels), np.isin(pred, labels)
        found = surface_distance.compute_surface_distances(a, b, SPACING_MM)
        surface_distance.compute_average_surface_distance(found)
        surface_distance.compute_robust_hausdorff(found, 95)
        surface_distance.compute_surface_dice_at_tolerance(found, 2.0)
        surface_distance.compute_dice_coefficient(a, b)
    one, n = ndimage.label(ref == 2)
    other, _ = ndimage.label(pred == 2)
    for i in range(1, n + 1):
        for j in np.unique(other[one == i]):
            if j:
                np.count_nonzero((one == i) & (other == j))
    return time.perf_counter() - start


def main(shrink: int) -> None:
    for small in (label_maps(8),):  # imports and tables, once for both
        measure_case("0", *small, SPACING_MM, structures={"lesion": (1, 2)}, lesions="lesion")
    ref, pred = label_maps(shrink)
    start = time.perf_counter()
    found = measure_case("1", pred, ref, SPACING_MM, structures={"liver": (1, 2), "lesion": (2,)}, lesions="lesion")
    own = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"masks {ref.shape}: {own:.2f} s, peak {peak:.2f} GiB, {found.lesions.ref_mm.size} lesions")
    try:
        theirs = others(ref, pred)
        print(f"surface-distance and scipy: {theirs:.2f} s, {theirs / own:.1f} times as long")
    except ImportError:
        print("surface-distance is not installed; no ratio")
    random = np.random.default_rng(0)
    truth, score = random.random(1_000_000) < 0.3, random.normal(size=1_000_000)
    start = time.perf_counter()
    auc(truth, score)
    print(f"AUC with interval, 1,000,000 scores: {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    mean(random.random(10_000), draws=2000)
    print(f"2,000 bootstrap draws of 10,000 cases: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
