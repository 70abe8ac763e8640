"""One network on the fixed patches: what `hepar learn evaluate` tells, the liver's edge, what it knows of lesions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import EITHER_VEIN
from hepar.learn.region_evaluate import judge
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM
from hepar.segment.region import RegionNetwork
from hepar.validate import auc
from hepar.validate.nearest import nearest_mm
from hepar.validate.surfaces import SurfaceDistances, surface


def judged(onnx: Path, cases: Iterable[Any]) -> list[dict[str, Any]]:
    """One row per patch: the fields of `RegionScore`, edge_mm and lesion_auc. OpenVINO in single precision."""
    network = RegionNetwork(onnx, "f32", 1, 10**8)
    rows = []
    for number, sample in enumerate(cases):
        logits = network.logits(sample.image[None].astype(np.float32), 5)
        p = np.exp(logits - logits.max(0))
        p /= p.sum(0)
        score = judge(f"{sample.atlas}-{number}", p, sample)
        known = sample.target < EITHER_VEIN
        edge = edge_mm((p[0] < 0.5) & known, (sample.target > 0) & known, known)
        rows.append({**asdict(score), "edge_mm": edge, "lesion_auc": lesion_auc(logits, sample.target)})
    return rows


def edge_mm(guess: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_]) -> float | None:
    """Mean distance of the two surfaces in mm, both directions, by area, at 1.2 mm voxels.

    Surface where the patch ends or beside voxels whose class nobody knows is no edge of the liver and is left out.
    None where one of the two has no surface.
    """
    spacing = (REGION_SPACING_MM,) * 3
    blind = np.pad(~known, 1, constant_values=True)
    for axis in range(3):
        first, second = [slice(None)] * 3, [slice(None)] * 3
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        blind = blind[tuple(first)] | blind[tuple(second)]
    places, areas = [], []
    for mask in (guess, truth):
        where, area = surface(np.ascontiguousarray(mask), spacing)
        seen = ~blind.ravel()[where]
        if not seen.any():
            return None
        places.append(where[seen])
        areas.append(area[seen])
    shape = (guess.shape[0] + 1, guess.shape[1] + 1, guess.shape[2] + 1)
    there, back = (nearest_mm(places[i], places[1 - i], shape, spacing) for i in range(2))
    return SurfaceDistances(there, areas[0], back, areas[1]).assd_mm


def lesion_auc(logits: NDArray[np.float32], target: NDArray[np.uint8]) -> float | None:
    """Chance that a voxel of a lesion looks more like one than a voxel of the rest of the liver; no limit is needed.

    logits [5, ...]. None without lesion or without healthy liver.
    """
    liver = np.isin(target, (1, 2, 3, 4))
    if not liver.any():
        return None
    margin = logits[2] - np.logaddexp(logits[1], np.logaddexp(logits[3], logits[4]))
    return auc(target[liver] == 2, margin[liver]).estimate
