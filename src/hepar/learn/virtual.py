"""Virtual patients of `hepar.simulate` as anatomies for the generator."""

from __future__ import annotations

from typing import Final

import numpy as np

from hepar.learn.atlas import Atlas
from hepar.learn.classes import SPACING_MM, Tissue

# tissue of hepar.simulate: tissue here, HU above that tissue's mean, its own grain (sd in HU)
_TABLE: Final = {
    "liver": (Tissue.LIVER, 0, 8), "lesion": (Tissue.LIVER, 0, 8), "spleen": (Tissue.SPLEEN, 0, 8),
    "kidney_cortex": (Tissue.CORTEX, 0, 10), "aorta": (Tissue.AORTA, 0, 6), "vena_cava": (Tissue.VENA_CAVA, 0, 8),
    "portal_vein": (Tissue.PORTAL_VEIN, 0, 6), "bile": (Tissue.GALLBLADDER, 0, 4),
    "stomach_wall": (Tissue.BOWEL, 25, 10), "myocardium": (Tissue.MYOCARDIUM, 0, 10), "lung": (Tissue.LUNG, 0, 45),
    "portal_tree": (Tissue.LIVER, 0, 8), "hepatic_veins": (Tissue.LIVER, 0, 8), "skin": (Tissue.SOFT, -10, 8),
    "fat": (Tissue.FAT, 0, 10), "muscle": (Tissue.SOFT, 0, 12), "bone_cortical": (Tissue.BONE, 330, 90),
    "bone_marrow": (Tissue.BONE, -40, 50), "disc": (Tissue.SOFT, 35, 10), "spinal_canal": (Tissue.SOFT, -30, 8),
    "pancreas": (Tissue.PANCREAS, -15, 22), "adrenal": (Tissue.PANCREAS, -10, 8),
    "artery": (Tissue.ILIAC_ARTERY, 0, 8), "renal_vein": (Tissue.ILIAC_VEIN, 15, 8),
    "kidney_medulla": (Tissue.MEDULLA, 0, 10), "kidney_pelvis": (Tissue.MEDULLA, -20, 15),
    "gallbladder_wall": (Tissue.GALLBLADDER, 25, 5), "stomach_fluid": (Tissue.STOMACH, 0, 15),
    "bowel_gas": (Tissue.GUT_GAS, 0, 40), "bowel_wall": (Tissue.BOWEL, 25, 10), "bowel_fluid": (Tissue.STOMACH, 0, 12),
    "bowel_oral_contrast": (Tissue.STOMACH, 180, 40), "stool": (Tissue.BOWEL, -20, 90),
    "heart_left": (Tissue.HEART_LEFT, 0, 10), "heart_right": (Tissue.HEART_RIGHT, 0, 14),
    "oesophagus": (Tissue.SOFT, -5, 10), "liver_fissure_fat": (Tissue.FAT, 25, 15),
    "cartilage": (Tissue.BONE, -120, 20), "ascites": (Tissue.SOFT, -45, 6),
    "mesenteric_vein": (Tissue.ILIAC_VEIN, 20, 8),
    "lung_vessel": (Tissue.LUNG, 700, 120), "diaphragm": (Tissue.DIAPHRAGM, 0, 8),
}  # fmt: skip


def virtual_atlas(*, seed: int, shape: tuple[int, int, int] = (124, 104, 132), spacing_mm: float = SPACING_MM) -> Atlas:
    """One virtual patient on an even grid; without real texture, so grain is invented per tissue."""
    from scipy import ndimage

    from hepar.simulate.anatomy import TISSUES, draw_patient, patient_grid, patient_labels

    rng = np.random.default_rng([seed, 31])
    patient = draw_patient(rng)
    grid = patient_grid(patient, spacing_mm, shape, centre_z_mm=float(rng.uniform(0, 30)))
    labels = patient_labels(patient, grid)
    tissue = np.zeros(shape, np.uint8)
    extra = np.zeros(shape, np.float32)
    grain = np.zeros(shape, np.float32)
    for name, (code, above, rough) in _TABLE.items():
        here = labels == TISSUES[name].id
        tissue[here], extra[here], grain[here] = code, above, rough
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.6)
    noise *= rng.uniform(0.3, 1.3) / max(float(noise.std()), 1e-3)
    mean = np.zeros(len(Tissue), np.float32)
    mean[Tissue.BONE] = 220
    trees = [
        ndimage.gaussian_filter((labels == TISSUES[n].id).astype(np.float32), 0.35)
        for n in ("portal_tree", "hepatic_veins")
    ]
    near = ndimage.binary_dilation(tissue == Tissue.LIVER, iterations=round(12 / spacing_mm))
    tissue[near & (tissue == Tissue.FAT) & (extra == 0)] = Tissue.NEAR_LIVER_FAT
    return Atlas(f"virtual-{seed}", tissue, extra + grain * noise, mean, trees[0], trees[1], False)
