"""Every setting of the measuring step, with unit and source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MeasureSettings:
    """How findings are measured.

    level: coverage that the intervals aim at.
    shell_inner_mm, shell_outer_mm: the local parenchyma lies this far from the lesion's outline.
    lesion_clearance_mm, vessel_clearance_mm, border_mm: kept away from any lesion, vessel and the liver's border.
        The five distances follow the practical definition for measuring arterial hyperenhancement and washout that
        hepar was specified with (docs/reference/measurement.md); only the use of the neighbourhood is published.
    shell_min_ml: a smaller shell is replaced by the whole parenchyma, and a notice says so. 2 ml is some 1500 voxels
        of 0.8 x 0.8 x 2 mm, so that the noise of the mean stays under 1 HU.
    min_coverage: share of a lesion that a phase must hold to be measured there.
    clip_sd: parenchyma further than this many robust standard deviations from the median is left out (vessels and
        cysts nobody outlined). 3: keeps 99.7 % of a normal distribution.
    cut_area_mm2: the liver counts as cut by the volume's edge when at least this area of it lies in an outermost
        slice, row or column; below, it just ends there.
    """

    level: float = 0.95
    shell_inner_mm: float = 10.0
    shell_outer_mm: float = 30.0
    lesion_clearance_mm: float = 5.0
    vessel_clearance_mm: float = 2.0
    border_mm: float = 10.0
    shell_min_ml: float = 2.0
    min_coverage: float = 0.9
    clip_sd: float = 3.0
    cut_area_mm2: float = 100.0
