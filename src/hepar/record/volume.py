"""Voxels and their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault
from hepar.record.geometry import Geometry

Modality = Literal["CT", "MR"]
PADDING_HU = -1024
"""What stands where the scanner measured nothing: air, so that padding never becomes tissue."""


@dataclass(frozen=True, eq=False)
class Volume:
    """One series as voxels.

    array: int16 (slice, row, column); CT in HU, MR in the scanner's units. Padding is PADDING_HU in CT, 0 in MR.
        Slices go towards the head, rows towards the back, columns towards the patient's left, as nearly as the
        acquired planes allow: only axes are swapped or turned, nothing is resampled.
    Raises Fault when array and geometry do not fit.
    """

    array: NDArray[np.int16]
    geometry: Geometry
    modality: Modality

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape or self.array.dtype != np.int16:
            raise Fault(
                f"a volume needs int16 voxels of shape {self.geometry.shape}, got {self.array.dtype} {self.array.shape}"
            )
