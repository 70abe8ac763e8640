"""What was outlined: organs on the model's grid, liver, vessels and lesions on the native grid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record.geometry import Geometry
from hepar.record.notice import Notice
from hepar.record.operating import OperatingPoint


class Organ(IntEnum):
    """Classes of the built-in network and of every label map that hepar hands on."""

    BACKGROUND = 0
    LIVER = 1
    """Parenchyma; in `OrganMap.liver` the lesions and vessels inside count too."""
    LESION = 2
    SPLEEN = 3
    KIDNEY = 4
    AORTA = 5
    VENA_CAVA = 6
    PORTAL_VEIN = 7
    """Portal and splenic vein outside the liver."""
    GALLBLADDER = 8
    BOWEL = 9
    """Stomach, duodenum and bowel."""
    HEART = 10
    LUNG = 11
    HEPATIC_VESSEL = 12
    """Portal and hepatic veins inside the liver."""


class Vein(IntEnum):
    """Which tree a vessel inside the liver belongs to; what `masks/veins.nii.gz` holds."""

    NONE = 0
    PORTAL = 1
    """Branches of the portal vein."""
    HEPATIC = 2
    UNKNOWN = 3
    """A vessel, but nothing tells of which tree."""


@dataclass(frozen=True, eq=False)
class OrganMap:
    """Organs of one series on the model's grid (about 3 mm, LPS-aligned).

    labels: uint8 (slice, row, column), values of `Organ`.
    lesion_score: uint8, 255 times the network's probability of lesion, same grid.
    liver_score: the same for liver, lesions and inner vessels together; None when the map has no scores.
    veins: uint8, values of `Vein`, where the labels say HEPATIC_VESSEL; None when the trees are not told apart.
    """

    labels: NDArray[np.uint8]
    lesion_score: NDArray[np.uint8]
    geometry: Geometry
    liver_score: NDArray[np.uint8] | None = None
    veins: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape or self.lesion_score.shape != self.geometry.shape:
            raise Fault(f"organ map and grid differ: {self.labels.shape}, {self.geometry.shape}")
        if self.liver_score is not None and self.liver_score.shape != self.geometry.shape:
            raise Fault(f"liver score and grid differ: {self.liver_score.shape}, {self.geometry.shape}")
        if self.veins is not None and self.veins.shape != self.geometry.shape:
            raise Fault(f"veins and grid differ: {self.veins.shape}, {self.geometry.shape}")

    @property
    def liver(self) -> NDArray[np.bool_]:
        """Parenchyma, lesions and inner vessels."""
        result: NDArray[np.bool_] = np.isin(self.labels, (Organ.LIVER, Organ.LESION, Organ.HEPATIC_VESSEL))
        return result


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Outlines on the native grid of the reference phase.

    liver: bool (slice, row, column), lesions and inner vessels included.
    lesions: uint16, 0 or the lesion's id; ids run 1, 2, ... by falling volume.
    veins: uint8, values of `Vein`: the vessels inside the liver, none of them lesion (left out of parenchyma).
    confidence: one probability per lesion, in order of id; None where the engine gives none.
    notices: e.g. `liver_cut` when the volume's edge cuts the liver.
    operating_point: what decided which lesions are shown, with its expected figures; None where the engine states none.
    """

    geometry: Geometry
    liver: NDArray[np.bool_]
    lesions: NDArray[np.uint16]
    veins: NDArray[np.uint8]
    confidence: tuple[float | None, ...] = ()
    notices: tuple[Notice, ...] = ()
    operating_point: OperatingPoint | None = None

    def __post_init__(self) -> None:
        for array in (self.liver, self.lesions, self.veins):
            if array.shape != self.geometry.shape:
                raise Fault(f"outline and grid differ: {array.shape}, {self.geometry.shape}")
        if self.veins.dtype != np.uint8 or int(self.veins.max(initial=0)) > max(Vein):
            raise Fault(
                f"veins are {self.veins.dtype} up to {self.veins.max(initial=0)}, needed uint8 up to {max(Vein):d}"
            )
        if int(self.lesions.max(initial=0)) != len(self.confidence):
            raise Fault(f"{int(self.lesions.max(initial=0))} lesions but {len(self.confidence)} confidences")

    @property
    def vessels(self) -> NDArray[np.bool_]:
        """Vessels inside the liver, of whichever tree."""
        result: NDArray[np.bool_] = self.veins > 0
        return result
