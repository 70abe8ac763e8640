"""How bright each tissue is, in Hounsfield units, at a time after the start of the contrast injection.

One table of values at five times; between them the value follows a straight line, after the last one it stays.

Sources of the levels: aorta 290 to 360 and portal vein 145 +- 20 HU at late arterial phase, liver 20 to 30 HU above
native (Radiopaedia, "Late arterial phase", 2023); native liver 50 to 70 HU, about 10 above the spleen; arterial phase
at 35 s and portal venous phase at 65 to 70 s (usual multiphasic liver protocols). Hepatocellular carcinoma: in the
delayed phase the ratio of liver to lesion has a median of 121 % (PMID 23255745), hyperenhancing in the arterial phase
in 86 to 96 % (PMID 14975963). The rest (organs, bowel, metastasis, cyst, haemangioma) are typical textbook values:
they make plausible pictures and are no claim about any patient.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

LesionKind = Literal["hcc", "metastasis", "cyst", "haemangioma"]

TIMES_S = (0.0, 20.0, 35.0, 70.0, 180.0)
DELAY_S = {"native": 0.0, "arterial_early": 20.0, "arterial": 35.0, "portal_venous": 70.0, "delayed": 180.0}

# Native, early arterial, late arterial, portal venous, delayed.
_HU: dict[str, tuple[float, float, float, float, float]] = {
    "air_outside": (-1000, -1000, -1000, -1000, -1000), "liver": (57, 60, 72, 110, 90),
    "spleen": (48, 92, 122, 120, 92), "kidney_cortex": (34, 130, 185, 185, 150),
    "kidney_medulla": (30, 42, 85, 170, 155), "kidney_pelvis": (6, 6, 6, 12, 260), "aorta": (42, 290, 310, 155, 110),
    "artery": (42, 280, 300, 152, 110), "vena_cava": (42, 48, 80, 125, 108), "portal_vein": (42, 48, 130, 168, 114),
    "portal_tree": (42, 48, 128, 166, 114), "hepatic_veins": (42, 43, 55, 155, 112),
    "mesenteric_vein": (42, 46, 115, 168, 114), "renal_vein": (42, 90, 170, 160, 115), "bile": (8, 8, 8, 8, 8),
    "gallbladder_wall": (30, 36, 48, 70, 62), "pancreas": (42, 72, 108, 95, 76), "adrenal": (22, 35, 62, 70, 48),
    "muscle": (54, 55, 59, 66, 67), "diaphragm": (50, 52, 56, 62, 62), "skin": (10, 12, 16, 22, 22),
    "fat": (-104, -104, -103, -102, -102), "liver_fissure_fat": (-95, -95, -95, -94, -94),
    "bone_cortical": (520, 520, 522, 525, 525), "bone_marrow": (165, 168, 172, 182, 180), "disc": (75, 75, 77, 80, 80),
    "spinal_canal": (22, 22, 24, 26, 26), "cartilage": (95, 95, 96, 98, 98), "stomach_wall": (38, 52, 75, 85, 74),
    "stomach_fluid": (14, 14, 14, 14, 14), "bowel_wall": (38, 56, 88, 92, 78), "bowel_fluid": (20, 20, 20, 20, 20),
    "bowel_oral_contrast": (230, 230, 230, 230, 230), "bowel_gas": (-960, -960, -960, -960, -960),
    "stool": (25, 25, 25, 25, 25), "oesophagus": (38, 44, 58, 66, 62), "heart_left": (42, 320, 270, 155, 112),
    "heart_right": (42, 240, 180, 150, 111), "myocardium": (44, 70, 112, 108, 94),
    "lung": (-840, -838, -835, -835, -838), "lung_vessel": (42, 230, 200, 145, 105), "ascites": (8, 8, 8, 8, 8),
    "bile_duct": (6, 6, 6, 7, 7), "duct_gas": (-700, -700, -700, -700, -700),
    "stent_plastic": (320, 320, 320, 320, 320), "stent_metal": (1500, 1500, 1500, 1500, 1500),
    "stent_blood": (60, 68, 130, 165, 118),
}  # fmt: skip

# Each kind of lesion has a body, a rim and a core; which of them a lesion has is drawn in its `Lesion`.
_LESION_HU: dict[str, dict[str, tuple[float, float, float, float, float]]] = {
    "hcc": {"body": (48, 76, 118, 97, 73), "rim": (54, 58, 70, 122, 118), "core": (24, 24, 26, 28, 28)},
    "metastasis": {"body": (42, 45, 52, 68, 70), "rim": (46, 62, 90, 88, 78), "core": (30, 30, 32, 34, 36)},
    "cyst": {"body": (7, 7, 7, 8, 8), "rim": (7, 7, 7, 8, 8), "core": (7, 7, 7, 8, 8)},
    "haemangioma": {"body": (42, 44, 50, 82, 106), "rim": (42, 110, 175, 152, 110), "core": (40, 40, 42, 60, 95)},
}

# Standard deviation of a tissue's own texture in HU (not noise); the spleen is mottled in the arterial phase.
TEXTURE_HU = {
    "liver": 2.0, "spleen": 2.0, "kidney_cortex": 5.0, "kidney_medulla": 5.0, "pancreas": 8.0, "muscle": 6.0,
    "fat": 5.0, "bone_marrow": 35.0, "bone_cortical": 60.0, "stool": 60.0, "bowel_fluid": 8.0, "stomach_fluid": 6.0,
    "lung": 18.0, "myocardium": 4.0, "bowel_wall": 5.0, "stomach_wall": 5.0, "bowel_oral_contrast": 30.0,
}  # fmt: skip
_MOTTLE_HU = {"spleen": (0.0, 26.0, 12.0, 0.0, 0.0)}


def table_values(tissue: str) -> tuple[float, ...]:
    """HU of a tissue at `TIMES_S`."""
    return _HU[tissue]


def tissue_hu(tissue: str, delay_s: float, strength: float = 1.0) -> float:
    """Mean HU of a tissue, delay_s after the start of injection (0 is native). strength scales the enhancement."""
    values = _HU[tissue]
    return values[0] + strength * (float(np.interp(delay_s, TIMES_S, values)) - values[0])


def lesion_hu(kind: LesionKind, part: str, delay_s: float, strength: float = 1.0) -> float:
    """Mean HU of a lesion's part: body, rim or core."""
    values = _LESION_HU[kind][part]
    return values[0] + strength * (float(np.interp(delay_s, TIMES_S, values)) - values[0])


def texture_hu(tissue: str, delay_s: float) -> float:
    """Standard deviation of a tissue's texture."""
    mottle = float(np.interp(delay_s, TIMES_S, _MOTTLE_HU[tissue])) if tissue in _MOTTLE_HU else 0.0
    return TEXTURE_HU.get(tissue, 0.0) + mottle
