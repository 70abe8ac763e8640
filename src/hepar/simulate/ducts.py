"""Bile ducts wide enough to be seen: dilated above an obstruction, in one part of the liver or in all of it.

They run beside the portal branches and hold bile, which no contrast phase changes. Ducts inside the liver of more than
2 mm, or 40 % of the portal branch beside them, count as dilated; a common duct of more than 7 to 10 mm does (usual
limits in textbooks of abdominal imaging).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .anatomy import Patient
from .distribution import Distribution
from .seat import HILUM
from .shapes import Field, Grid, Solid, common, smooth_path, tube, tubes
from .structure import Structure, around
from .trees import Segment, grow
from .tumour import Tumour

OBSTRUCTING = ("icc_hilar",)
BESIDE = {"icc": 0.45, "hcc_infiltrative": 0.15, "cystadenoma": 0.2}
"""Kinds that narrow the ducts above them, and how often; a choice, where no source is at hand."""


def with_ducts(d: Distribution, patient: Patient, tumours: Sequence[Tumour],
               rng: np.random.Generator) -> tuple[Patient, str]:  # fmt: skip
    """The patient with dilated ducts where they are drawn, and which: "", "all", "right" or "left". `extras.ducts` is
    the share of patients with ducts dilated by what is not in the liver (stone, stricture, tumour of the pancreas)."""
    if "ducts" not in d.tables.get("extras", {}):
        return patient, ""
    which = "all" if rng.random() < float(d.tables["extras"]["ducts"]) else ""
    for one in tumours:
        if one.kind in OBSTRUCTING:
            which = "all"
        elif not which and rng.random() < BESIDE.get(one.kind, 0.0) and one.diameter_mm > 15:
            which = "right" if one.centre_lps_mm[0] < patient.build.at(*HILUM)[0] else "left"
    return (_dilated(patient, which, rng), which) if which else (patient, "")


def _dilated(patient: Patient, which: str, rng: np.random.Generator) -> Patient:
    build, box = patient.build, patient.structure("liver").box
    step = 6.0
    shape = tuple(int((box[1][a] - box[0][a]) / step) + 1 for a in (2, 1, 0))
    probe = Grid(box[0], (step, step, step), (shape[0], shape[1], shape[2]))
    inside = np.argwhere(patient.liver(probe) < -8)
    points = np.asarray(box[0]) + step * inside[:, ::-1]
    points = points[rng.choice(len(points), min(len(points), 90), replace=False)]
    middle = build.at(*HILUM)
    wide = float(rng.uniform(3.0, 6.5))
    # In front of the portal branches, whose roots are at (-52, -12, 6) and (0, -38, 14).
    sides = {"right": (build.at(-50, -17, 9), points[points[:, 0] < middle[0]], wide),
             "left": (build.at(-3, -41, 18), points[points[:, 0] >= middle[0]], 0.9 * wide)}  # fmt: skip
    segments: list[Segment] = []
    for side in ("right", "left") if which == "all" else (which,):
        start, targets, radius = sides[side]
        segments += [(middle, start, radius, radius), *grow(rng, start, targets, radius, 0.9)]
    core = tubes(segments)

    def within(grid: Grid) -> Field:
        return common(core(grid), patient.liver(grid) + np.float32(1.5), 0.5)

    more = [Structure("bile_ducts", within, ((0.0, "bile_duct"),), box, 1.0)]
    if which == "all":
        more.append(common_duct(patient, float(rng.uniform(3.5, 7.5))))
    return replace(patient, structures=(*patient.structures, *more))


def common_duct(patient: Patient, radius_mm: float) -> Structure:
    """The duct from the hilum to the duodenum, beside the portal trunk."""
    curve, radii = smooth_path(duct_way(patient), [0.8 * radius_mm, radius_mm, radius_mm, 0.5 * radius_mm], 5.0)
    solid: Solid = tube(curve, radii)
    return Structure("common_duct", solid, ((0.8, "gallbladder_wall"), (0.0, "bile_duct")), around(curve, 14), 1.0)


def duct_way(patient: Patient) -> list[tuple[float, float, float]]:
    """Places along the common duct, from above."""
    return patient.build.path(HILUM, (-30, -29, -12), (-30, -26, -36), (-40, -21, -60))
