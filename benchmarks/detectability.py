"""How many small lesions of the fixed virtual set stand out from the liver at all: a bound for what can be found.

    python benchmarks/detectability.py DIR [--first 0] [--cases 60] [--below 20] [--out FILE.json]

DIR: cases of `benchmarks/virtual60.py make` (prepared as its `judge` does, and kept in the same place). The observer is
linear and told more than any model: where the lesion is, and how it answers, noise and all. In the four phases as
aligned, at 1.2 mm as the region network sees them, it takes differences of Gaussians of four widths inside the true
liver, weighs the phases against the scatter of healthy liver (Hotelling: inverse covariance times the lesion's own
answer; Barrett, Proc Natl Acad Sci USA 1993;90:9758), and keeps the width that serves it best. Counted is how many
places of that scan's healthy liver, vessels among them, answer as strongly. It does not know shapes: a network that
does can do better, and one that must search for every kind of lesion at once will mostly do worse.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from hepar.learn.prepared import PreparedCase, prepare_case
from hepar.segment.builtin import Builtin
from hepar.segment.grid import onto_native
from hepar.segment.region import RELATIVE_HU, region_input
from hepar.segment.settings import SegmentSettings
from hepar.validate.bootstrap import of_sums, ratio

WIDTHS = (0.9, 1.25, 1.9, 2.75)
"""Of the inner Gaussian, voxels of 1.2 mm; the outer one is 1.8 times as wide."""
STRATA = ((0.0, 5.0), (5.0, 10.0), (0.0, 10.0), (10.0, 20.0))
ALLOWED = (0, 1, 3)


def answers(case: PreparedCase, below_mm: float) -> list[dict[str, Any]]:
    """Each lesion below this size: its distance from healthy liver (sd), and how many healthy places are as far."""
    labels = case.phase_labels
    named = tuple(zip(case.others, labels[1:], strict=True))
    image, grid, _ = region_input(case.reference, labels[0], named, case.organs.liver, case.organs.geometry)
    place = case.reference.geometry
    liver = onto_native((case.labels > 0).astype(np.float32), place, grid) > 0.5
    lesions = onto_native((case.labels > 10).astype(np.float32), place, grid) > 0.05
    image *= RELATIVE_HU * liver  # 0 is the liver's median: no edge
    healthy = ndimage.binary_erosion(liver, iterations=3) & ~ndimage.binary_dilation(lesions, iterations=4)
    seen = [k for k in range(len(image)) if image[k].any()]
    maps = [
        np.stack([ndimage.gaussian_filter(image[k], s) - ndimage.gaussian_filter(image[k], 1.8 * s) for k in seen])
        for s in WIDTHS
    ]
    inverse = [np.linalg.inv(np.atleast_2d(np.cov(m[:, healthy])) + 1e-3 * np.eye(len(seen))) for m in maps]
    found = []
    for lesion in np.unique(case.labels[case.labels > 10]):
        mask = case.labels == lesion
        size_mm = (6 * 1000 * mask.sum() * place.voxel_volume_ml / np.pi) ** (1 / 3)
        share = onto_native(mask.astype(np.float32), place, grid)
        if size_mm >= below_mm or not share.any():
            continue
        core = share > 0.25 * share.max()
        tried = [_as_strong(m, c, core, healthy) for m, c in zip(maps, inverse, strict=True)]
        rivals, distance = min(tried, key=lambda t: (t[0], -t[1]))
        found.append(
            {"case": case.name, "size_mm": round(float(size_mm), 2), "sd": round(distance, 2), "rivals": rivals}
        )
    return found


def _as_strong(answer: Any, inverse: Any, core: Any, healthy: Any) -> tuple[int, float]:
    inside = answer[:, core]
    distance = np.sqrt(np.einsum("in,ij,jn->n", inside, inverse, inside))
    best = int(distance.argmax())
    response = np.tensordot(inverse @ inside[:, best], answer, 1)
    peaks = (response == ndimage.maximum_filter(response, 5)) & healthy
    return int((response[peaks] >= response[core].max()).sum()), float(distance[best])


def summary(rows: list[dict[str, Any]], below_mm: float) -> dict[str, Any]:
    """Share of the lesions with at most so many rivals, by size; 95 % intervals that draw patients."""
    out: dict[str, Any] = {}
    for low, high in STRATA:
        mine = [r for r in rows if low <= r["size_mm"] < min(high, below_mm)]
        for allowed in ALLOWED if mine else ():
            table = np.array([[float(r["rivals"] <= allowed), 1.0] for r in mine])
            e = of_sums(table, ratio, why_none="no lesion", patients=[r["case"] for r in mine])
            out[f"{low:g} to {high:g} mm, at most {allowed} as strong"] = {
                "lesions": len(mine), "stand_out": int(table[:, 0].sum()),
                "share": e.estimate, "low": e.low, "high": e.high,
            }  # fmt: skip
    return out


def main() -> None:
    """Look at every case that is there, print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--below", type=float, default=20.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    engine = Builtin(SegmentSettings(threads=1))
    cases = sorted(p.parent for p in options.folder.glob("case-*/truth.json"))
    rows: list[dict[str, Any]] = []
    for folder in cases[options.first :][: options.cases]:
        rows += answers(prepare_case(folder, engine, options.folder / "prepared"), options.below)
    result = summary(rows, options.below)
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps({"summary": result, "lesions": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
