"""What the network is taught to tell apart, and the finer tissues that the generator colours."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

CLASS_NAMES: Final = (
    "background",
    "liver",
    "lesion",
    "spleen",
    "kidney",
    "aorta",
    "vena_cava",
    "portal_vein",
    "gallbladder",
    "bowel",
    "heart",
    "lung",
    "liver_vessel",
)
"""The network's channels in order. The liver that is measured is liver + lesion + liver_vessel."""

LIVER_CLASSES: Final = (1, 2, 12)
LESION_CLASS: Final = 2
IGNORE: Final = 255
"""Target value of voxels whose class nobody knows; they take no part in the loss."""

NOT_LIVER: Final = 254
"""Target value of voxels that are surely no liver, but of a class that nobody wrote down."""

SOME_LIVER: Final = 252
"""Target value of voxels that are surely liver in the wide sense; nobody told parenchyma, lesion and vessel apart."""

SPACING_MM: Final = 3.0
STRIDE: Final = 16
"""The network halves the grid four times, so each side of its input is a multiple of this."""

AIR_HU: Final = -1024.0


class Tissue(IntEnum):
    """Tissues as the generator colours them (finer than the classes)."""

    AIR = 0
    FAT = 1
    SOFT = 2
    BONE = 3
    LIVER = 4
    SPLEEN = 5
    CORTEX = 6
    MEDULLA = 7
    AORTA = 8
    VENA_CAVA = 9
    PORTAL_VEIN = 10
    GALLBLADDER = 11
    STOMACH = 12
    BOWEL = 13
    HEART_RIGHT = 14
    HEART_LEFT = 15
    MYOCARDIUM = 16
    LUNG = 17
    PANCREAS = 18
    ILIAC_ARTERY = 19
    ILIAC_VEIN = 20
    NEAR_LIVER_FAT = 21
    GUT_GAS = 22
    UNKNOWN = 23
    PERICARDIAL_FAT = 24
    DIAPHRAGM = 25
    REAL_VESSEL = 26
    REAL_LESION = 27
    NOT_LIVER = 28


_CLASS_OF_TISSUE: Final = {
    Tissue.LIVER: 1,
    Tissue.REAL_LESION: 2,
    Tissue.SPLEEN: 3,
    Tissue.CORTEX: 4,
    Tissue.MEDULLA: 4,
    Tissue.AORTA: 5,
    Tissue.VENA_CAVA: 6,
    Tissue.PORTAL_VEIN: 7,
    Tissue.GALLBLADDER: 8,
    Tissue.STOMACH: 9,
    Tissue.BOWEL: 9,
    Tissue.GUT_GAS: 9,
    Tissue.HEART_RIGHT: 10,
    Tissue.HEART_LEFT: 10,
    Tissue.MYOCARDIUM: 10,
    Tissue.LUNG: 11,
    Tissue.REAL_VESSEL: 12,
    Tissue.UNKNOWN: IGNORE,
    Tissue.NOT_LIVER: NOT_LIVER,
}

CLASS_OF_TISSUE: Final = np.array([_CLASS_OF_TISSUE.get(t, 0) for t in Tissue], dtype=np.uint8)
"""Lookup table tissue -> class."""

REGION_CLASS_NAMES: Final = ("background", "liver", "lesion", "portal_vein", "hepatic_vein")
"""Channels of the second network, which looks at the liver region only. Veins: inside the liver."""

EITHER_VEIN: Final = 253
"""Target value of a vein inside the liver that nobody told apart."""

PHASE_SLOTS: Final = ("native", "arterial", "portal_venous", "delayed")
"""Input channels of the second network, one phase each; a phase that is not there is all zero."""
