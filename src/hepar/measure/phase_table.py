"""Typical HU of the organs in each contrast phase: a table, for a radiologist to check.

Values are mean and standard deviation between patients, 120 kV. Sources:
[1] Goshima et al., AJR 2006;187:W25 (171 patients): late arterial, 10 to 15 s after 50 HU in the aorta: enhancement of
    the aorta 300 to 336, spleen 97 to 108, portal vein 75 to 104, liver 15 to 25 HU; portal venous, 45 to 55 s after:
    liver 59 to 63, aorta 117 to 125, spleen 73 to 82 HU. Routine portal venous scans are taken 65 to 90 s after the
    injection began, those of [1] at its beginning: blood and spleen are set 5 to 10 HU lower.
[2] Radiopaedia, "Late arterial phase": aorta 290 to 360, portal vein 145 (sd 20), liver 20 to 30 HU above unenhanced.
[3] Unenhanced: blood 40, liver 55 (38 to 70 and lower with fat), spleen 48, kidney 30 HU; textbook values, added to
    the enhancements of [1].
[4] Delayed (3 to 5 min) and early arterial: our reading of time-attenuation curves (blood, liver and spleen come close
    to each other; in the early arterial phase the portal vein is not enhanced yet); no single source, hence wide.
The standard deviations are ours: wide enough for doses and tube voltages of other places. One of the sources that the
model of `phase_model` was fitted on.
"""

from __future__ import annotations

from typing import Literal

Feature = Literal["aorta", "aorta-liver", "portal_vein-liver", "liver", "spleen", "spleen-liver", "kidney"]
Stage = Literal["native", "arterial_early", "arterial_late", "portal_venous", "delayed"]

STAGES: tuple[Stage, ...] = ("native", "arterial_early", "arterial_late", "portal_venous", "delayed")

TYPICAL_HU: dict[Feature, dict[Stage, tuple[float, float]]] = {
    "aorta": {
        "native": (40, 10), "arterial_early": (300, 90), "arterial_late": (350, 80),
        "portal_venous": (150, 28), "delayed": (107, 15),
    },
    "aorta-liver": {
        "native": (-12, 16), "arterial_early": (240, 90), "arterial_late": (275, 80),
        "portal_venous": (37, 22), "delayed": (14, 12),
    },
    "portal_vein-liver": {
        "native": (-12, 16), "arterial_early": (-5, 18), "arterial_late": (60, 25),
        "portal_venous": (46, 24), "delayed": (16, 12),
    },
    "liver": {
        "native": (53, 12), "arterial_early": (60, 14), "arterial_late": (75, 15),
        "portal_venous": (112, 18), "delayed": (92, 14),
    },
    "spleen": {
        "native": (46, 8), "arterial_early": (95, 35), "arterial_late": (148, 28),
        "portal_venous": (119, 20), "delayed": (95, 14),
    },
    "spleen-liver": {
        "native": (-7, 14), "arterial_early": (35, 30), "arterial_late": (75, 28),
        "portal_venous": (8, 18), "delayed": (3, 12),
    },
    "kidney": {
        "native": (31, 8), "arterial_early": (120, 45), "arterial_late": (165, 40),
        "portal_venous": (190, 38), "delayed": (165, 45),
    },
}  # fmt: skip
"""Feature -> phase -> (mean, standard deviation) in HU; a feature "a-b" is the difference of two organs."""
