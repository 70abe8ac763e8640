"""Every tissue of a virtual patient, as a table: internal id, name, and the class a network learns.

Network classes: 0 background, 1 liver parenchyma, 2 lesion, 3 spleen, 4 kidney, 5 aorta, 6 vena cava, 7 portal and
splenic vein outside the liver, 8 gallbladder, 9 stomach, duodenum and bowel, 10 heart, 11 lung, 12 vessel inside the
liver. Internal ids below 20 are the organ ids themselves (12 is the portal tree); from 20 on they are finer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = (
    "background", "liver", "lesion", "spleen", "kidney", "aorta", "vena_cava", "portal_vein", "gallbladder",
    "bowel", "heart", "lung", "liver_vessel",
)  # fmt: skip


@dataclass(frozen=True)
class Tissue:
    """One tissue: id (uint8), name, network_class (0 to 12)."""

    id: int
    name: str
    network_class: int


_TABLE = (
    (0, "air_outside", 0), (1, "liver", 1), (2, "lesion", 2), (3, "spleen", 3), (4, "kidney_cortex", 4),
    (5, "aorta", 5), (6, "vena_cava", 6), (7, "portal_vein", 7), (8, "bile", 8), (9, "stomach_wall", 9),
    (10, "myocardium", 10), (11, "lung", 11), (12, "portal_tree", 12), (13, "hepatic_veins", 12),
    (20, "skin", 0), (21, "fat", 0), (22, "muscle", 0), (23, "bone_cortical", 0), (24, "bone_marrow", 0),
    (25, "disc", 0), (26, "spinal_canal", 0), (27, "pancreas", 0), (28, "adrenal", 0), (29, "artery", 0),
    (30, "renal_vein", 0), (31, "kidney_medulla", 4), (32, "kidney_pelvis", 4), (33, "gallbladder_wall", 8),
    (34, "stomach_fluid", 9), (35, "bowel_gas", 9), (36, "bowel_wall", 9), (37, "bowel_fluid", 9),
    (38, "bowel_oral_contrast", 9), (39, "stool", 9), (40, "heart_left", 10), (41, "heart_right", 10),
    (42, "oesophagus", 0), (43, "liver_fissure_fat", 0), (44, "cartilage", 0), (45, "ascites", 0),
    (46, "mesenteric_vein", 0), (47, "lung_vessel", 11), (48, "diaphragm", 0),
    (50, "bile_duct", 0), (51, "duct_gas", 0), (52, "stent_plastic", 0), (53, "stent_metal", 0), (54, "stent_blood", 0),
    (60, "lesion_capsule", 2), (61, "lesion_necrosis", 2),
)  # fmt: skip

TISSUES: dict[str, Tissue] = {name: Tissue(number, name, network) for number, name, network in _TABLE}


def network_classes() -> NDArray[np.uint8]:
    """Lookup of 256 entries: `network_classes()[labels]` turns tissue ids into the 13 network classes."""
    table = np.zeros(256, np.uint8)
    for tissue in TISSUES.values():
        table[tissue.id] = tissue.network_class
    return table
