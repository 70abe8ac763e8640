"""Mean attenuation of each tissue, drawn for one contrast phase.

The centres are textbook values for 120 kVp abdominal CT (e.g. Radiology 1999;210:29, AJR 2012;198:W1); the spreads are
wide on purpose, since contrast randomisation is what carries a network from one native CT to real contrast studies.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepar.learn.classes import Tissue

PHASES: Final = ("native", "early_arterial", "late_arterial", "portal_venous", "delayed")
PHASE_SHARE: Final = (0.14, 0.10, 0.18, 0.43, 0.15)

# tissue: one (centre, spread) per phase
_TABLE: Final = {
    Tissue.LIVER: ((56, 8), (60, 8), (75, 12), (108, 16), (95, 13)),
    Tissue.SPLEEN: ((47, 6), (105, 28), (128, 22), (120, 16), (102, 12)),
    Tissue.CORTEX: ((33, 5), (130, 35), (175, 30), (180, 28), (165, 30)),
    Tissue.MEDULLA: ((33, 5), (55, 15), (95, 30), (165, 30), (165, 35)),
    Tissue.AORTA: ((42, 6), (320, 80), (270, 65), (152, 26), (112, 18)),
    Tissue.VENA_CAVA: ((42, 6), (60, 22), (95, 30), (138, 26), (112, 16)),
    Tissue.PORTAL_VEIN: ((42, 6), (60, 18), (130, 35), (165, 28), (118, 16)),
    Tissue.GALLBLADDER: ((10, 8), (10, 8), (10, 8), (11, 9), (12, 10)),
    Tissue.HEART_RIGHT: ((42, 6), (220, 110), (190, 60), (148, 24), (112, 16)),
    Tissue.HEART_LEFT: ((42, 6), (320, 80), (260, 60), (152, 24), (112, 16)),
    Tissue.MYOCARDIUM: ((42, 6), (90, 25), (120, 22), (115, 16), (98, 13)),
    Tissue.PANCREAS: ((40, 8), (85, 18), (110, 16), (95, 14), (80, 12)),
    Tissue.ILIAC_ARTERY: ((42, 6), (300, 90), (260, 60), (150, 26), (112, 18)),
    Tissue.ILIAC_VEIN: ((42, 6), (45, 8), (60, 18), (100, 30), (110, 16)),
    Tissue.SOFT: ((52, 7), (54, 7), (57, 7), (62, 8), (62, 8)),
    Tissue.DIAPHRAGM: ((50, 8), (55, 8), (60, 8), (65, 8), (65, 8)),
    Tissue.BOWEL: ((25, 15), (40, 22), (55, 25), (55, 25), (50, 22)),
    Tissue.FAT: ((-102, 7),) * 5,
    Tissue.PERICARDIAL_FAT: ((-95, 15),) * 5,
    Tissue.LUNG: ((-840, 45),) * 5,
    Tissue.GUT_GAS: ((-900, 60),) * 5,
    Tissue.REAL_LESION: ((35, 10), (45, 12), (55, 15), (65, 18), (60, 16)),
    Tissue.AIR: ((-1000, 8),) * 5,
}


def draw_colours(phase: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], float, float]:
    """Mean HU per tissue code for one study, and the HU of portal branches and hepatic veins inside the liver.

    phase: index into PHASES. Bone is not coloured here (its real values stay).
    """
    hu = np.zeros(len(Tissue), np.float32)
    body = rng.normal(0, 4)
    for tissue, rows in _TABLE.items():
        centre, spread = rows[phase]
        hu[tissue] = rng.normal(centre, spread) + (body if centre > 0 else 0)
    if rng.random() < 0.15:
        hu[Tissue.LIVER] -= rng.uniform(20, 55)  # fatty liver
    if phase > 1:
        # Liver, spleen and veins of one patient rise and fall together with the dose of contrast medium.
        dose = rng.normal(0, 12)
        for tissue in (Tissue.LIVER, Tissue.SPLEEN, Tissue.PORTAL_VEIN, Tissue.VENA_CAVA, Tissue.AORTA):
            hu[tissue] += dose
    hu[Tissue.AORTA] = max(hu[Tissue.AORTA], 20)
    hu[Tissue.NEAR_LIVER_FAT] = hu[Tissue.FAT]
    if rng.random() < 0.10:
        hu[Tissue.NEAR_LIVER_FAT] = rng.uniform(-15, 25)  # ascites
    elif rng.random() < 0.15:
        hu[Tissue.NEAR_LIVER_FAT] += rng.uniform(10, 60)  # stranding
    if rng.random() < 0.15:
        hu[Tissue.GALLBLADDER] = rng.uniform(25, 130)  # sludge, stones, excreted contrast medium
    kind = rng.random()
    hu[Tissue.STOMACH] = (
        rng.uniform(-10, 30) if kind < 0.4 else rng.uniform(20, 75) if kind < 0.8 else rng.uniform(100, 420)
    )
    if rng.random() < 0.15:
        hu[Tissue.BOWEL] = rng.uniform(100, 300)  # positive oral contrast medium
    portal = float(hu[Tissue.PORTAL_VEIN] + rng.normal(0, 6))
    hepatic_centre = (42, 45, 65, 0, 0)[phase]  # from the portal phase on they follow the portal vein
    if phase < 3:
        hepatic = float(rng.normal(hepatic_centre, 8))
    else:
        hepatic = float(hu[Tissue.PORTAL_VEIN] + rng.normal(-10 if phase == 3 else 0, 15))
    hu[Tissue.REAL_VESSEL] = portal
    if rng.random() < 0.15:
        jitter = rng.uniform(-30, 30, len(Tissue)).astype(np.float32)
        jitter[[Tissue.FAT, Tissue.AIR, Tissue.LUNG, Tissue.GUT_GAS, Tissue.BONE]] = 0
        hu += jitter
    return hu, portal, hepatic
