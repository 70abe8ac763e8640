"""What was measured."""

from __future__ import annotations

from dataclasses import dataclass

from hepar.record.estimate import Estimate
from hepar.record.notice import Notice

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Diameter:
    """A straight line on the outline. start, end: LPS millimetres, outer edges; None when there is no number."""

    length_mm: Estimate
    start_lps_mm: Point | None = None
    end_lps_mm: Point | None = None


@dataclass(frozen=True)
class Enhancement:
    """A lesion against its surroundings in one phase, in HU.

    shell_hu: local parenchyma around the lesion, without vessels and lesions. *_sd_hu, *_voxels: spread and number.
    difference_hu: lesion mean minus shell mean.
    """

    phase_id: str
    lesion_hu: Estimate
    lesion_sd_hu: Estimate
    lesion_voxels: int
    shell_hu: Estimate
    shell_sd_hu: Estimate
    shell_voxels: int
    difference_hu: Estimate


@dataclass(frozen=True)
class LesionFinding:
    """One lesion. id runs 1, 2, ... by falling volume. axial_slice: slice index (native grid) of the long axis.

    tracking_uid: derived from study and place, the same in SEG and SR.
    """

    id: int
    tracking_uid: str
    volume_ml: Estimate
    voxels: int
    long_axis: Diameter
    short_axis: Diameter
    max_3d_diameter: Diameter
    axial_slice: int
    centre_lps_mm: Point
    confidence: Estimate
    enhancement: tuple[Enhancement, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class PhaseMean:
    """Mean of the liver parenchyma (without lesions and vessels) in one phase, in HU."""

    phase_id: str
    mean_hu: Estimate
    sd_hu: Estimate
    voxels: int


@dataclass(frozen=True)
class LiverFinding:
    """The liver: parenchyma, lesions and inner vessels. complete: False when the volume's edge cuts it."""

    volume_ml: Estimate
    voxels: int
    mean_hu: tuple[PhaseMean, ...]
    complete: bool


@dataclass(frozen=True)
class Burden:
    """All lesions together."""

    lesion_count: int
    total_volume_ml: Estimate
    percent_of_liver: Estimate
    largest_long_axis_mm: Estimate


@dataclass(frozen=True)
class Findings:
    """Everything measured in one examination, on the reference phase's native grid."""

    reference_phase: str
    liver: LiverFinding
    burden: Burden
    lesions: tuple[LesionFinding, ...]
    notices: tuple[Notice, ...] = ()
