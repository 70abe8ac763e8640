"""MONAI and surface-distance on five random shapes -> mask_expected.json.

python make_masks.py          (monai 1.5.1, torch 2.13, surface-distance 0.1 were used)
"""

import json
import random
import sys
from pathlib import Path

import monai
import numpy as np
import surface_distance
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)

sys.path.insert(0, str(Path(__file__).parents[1]))
from mask_shapes import mask

GRIDS = (
    ((20, 48, 44), (5.0, 0.7, 0.9)), ((40, 40, 40), (1.0, 1.0, 1.0)), ((24, 60, 56), (2.5, 0.8, 0.8)),
    ((50, 18, 40), (0.6, 3.0, 1.2)), ((36, 40, 16), (1.5, 1.5, 4.0)),
)  # fmt: skip
TOLERANCE_MM = 2.0


def balls(draw, shape, spacing):
    """Four to seven ellipsoids around the middle, and the same shifted by up to 2.5 mm and resized by up to a sixth."""
    size = [n * s for n, s in zip(shape, spacing, strict=True)]
    one, other = [], []
    for _ in range(draw.randint(4, 7)):
        centre = [v * draw.uniform(0.35, 0.65) for v in size]
        semi = [min(size) * draw.uniform(0.12, 0.3) for _ in size]
        one.append([[round(v, 3) for v in centre], [round(v, 3) for v in semi]])
        other.append([[round(v + draw.uniform(-2.5, 2.5), 3) for v in centre],
                      [round(v * draw.uniform(0.85, 1.17), 3) for v in semi]])  # fmt: skip
    return one, other


def by_monai(pred, ref, spacing):
    a, b = (torch.from_numpy(v[None, None].astype(np.float32)) for v in (pred, ref))
    spacing = list(spacing)
    return {
        "dice": compute_dice(a, b).item(),
        "jaccard": compute_iou(a, b).item(),
        "hd95_mm": compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=spacing).item(),
        "hd100_mm": compute_hausdorff_distance(a, b, include_background=True, spacing=spacing).item(),
        "assd_mm": compute_average_surface_distance(
            a, b, include_background=True, symmetric=True, spacing=spacing
        ).item(),
        "surface_dice": compute_surface_dice(
            a, b, [TOLERANCE_MM], include_background=True, spacing=spacing, use_subvoxels=True
        ).item(),
    }


def by_surface_distance(pred, ref, spacing):
    found = surface_distance.compute_surface_distances(ref, pred, spacing)
    one, other = surface_distance.compute_average_surface_distance(found)
    areas = [float(found[key].sum()) for key in ("surfel_areas_gt", "surfel_areas_pred")]
    return {
        "dice": float(surface_distance.compute_dice_coefficient(ref, pred)),
        "hd95_mm": float(surface_distance.compute_robust_hausdorff(found, 95)),
        "hd100_mm": float(surface_distance.compute_robust_hausdorff(found, 100)),
        "mean_from_ref_mm": float(one), "mean_from_pred_mm": float(other),
        "assd_mm": float((one * areas[0] + other * areas[1]) / sum(areas)),
        "surface_dice": float(surface_distance.compute_surface_dice_at_tolerance(found, TOLERANCE_MM)),
        "ref_area_mm2": areas[0], "pred_area_mm2": areas[1],
    }  # fmt: skip


def main():
    draw, cases = random.Random(3), []
    for shape, spacing in GRIDS:
        one, other = balls(draw, shape, spacing)
        ref, pred = mask(shape, spacing, one), mask(shape, spacing, other)
        cases.append({
            "shape": shape, "spacing_mm": spacing, "ref": one, "pred": other,
            "voxels": [int(ref.sum()), int(pred.sum())],
            "monai": by_monai(pred, ref, spacing), "surface_distance": by_surface_distance(pred, ref, spacing),
        })  # fmt: skip
    made = {"monai": monai.__version__, "torch": torch.__version__, "surface_distance": "0.1",
            "tolerance_mm": TOLERANCE_MM, "cases": cases}  # fmt: skip
    Path(__file__).with_name("mask_expected.json").write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
