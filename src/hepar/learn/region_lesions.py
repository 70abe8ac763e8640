"""Invented lesions as several contrast phases show them: one shape, one contrast to the liver per phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepar.learn.classes import Tissue
from hepar.learn.colour import PHASES
from hepar.learn.lesions import dense_foci, radius_field
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM

_WELCOME = (Tissue.FAT, Tissue.SOFT, Tissue.NEAR_LIVER_FAT, Tissue.BOWEL, Tissue.DIAPHRAGM)

# kind: share; contrast to the liver (mean, sd) in PHASES: native, early and late arterial, portal venous, delayed.
# The centres follow the appearances of LI-RADS v2018 (arterial hyperenhancement, washout, delayed enhancement) and
# textbook attenuation; the spreads are wide on purpose.
_KINDS: Final = {
    "hcc": (0.20, ((-9, 8), (10, 18), (38, 22), (-10, 20), (-20, 13))),
    "hcc_atypical": (0.09, ((-10, 8), (-6, 14), (-2, 20), (-14, 20), (-16, 15))),
    "metastasis": (0.22, ((-15, 9), (-18, 12), (-26, 18), (-46, 20), (-36, 20))),
    "cholangiocarcinoma": (0.07, ((-17, 9), (-18, 12), (-22, 18), (-30, 18), (4, 18))),
    "haemangioma": (0.13, ((-16, 8), (-12, 14), (-8, 26), (18, 26), (20, 14))),
    "focal_nodular_hyperplasia": (0.05, ((-5, 6), (18, 18), (46, 20), (10, 12), (4, 8))),
    # Bright still in the portal venous phase, as vessels are: the group that the third network found least often.
    "hypervascular": (0.12, ((-8, 8), (8, 18), (44, 22), (28, 18), (6, 14))),
    "any": (0.12, ((0, 22), (0, 30), (0, 40), (0, 38), (0, 28))),
}
_CYST_SHARE = 0.12
_LARGE_MM = 45.0
_OUTWARDS = {"inside": 0.3, "rim": 0.55}
"""Share of lesions that may grow out of the liver, by where they start. Those that hang on it are missed most often."""


@dataclass(frozen=True)
class _Look:
    """What one lesion shows in every phase: contrast, rim, core (None: no core) and whether it is a cyst.

    shell: how much of the contrast the living part around a core keeps; a necrotic tumour's may look like liver.
    """

    kind: str
    delta_hu: NDArray[np.float64]
    rim_hu: NDArray[np.float64]
    core_hu: float | None
    shell: float = 1.0


def draw_radii_mm(rng: np.random.Generator, *, many: bool = False) -> list[float]:
    """Radii of the lesions of one patch: none, small ones, middle-sized ones, or a part of a huge one.

    many: about twice as many, and smaller ones, a third of the patches holding only such of 3 to 8 mm: each step then
    teaches more of what a patch has room for. The huge ones may fill it.
    """
    plan = rng.random()
    if many:
        if plan < 0.08:
            return []
        if plan < 0.42:
            return [float(r) for r in np.exp(rng.uniform(np.log(1.5), np.log(4), int(rng.integers(6, 22))))]
        if plan < 0.64:
            return [float(r) for r in np.exp(rng.uniform(np.log(1.6), np.log(9), int(rng.integers(4, 18))))]
        if plan < 0.84:
            some = np.exp(rng.uniform(np.log(4), np.log(20), int(rng.integers(1, 5))))
            return [*(float(r) for r in some), *(float(r) for r in rng.uniform(1.8, 6, int(rng.integers(0, 5))))]
        huge = rng.uniform(16, _LARGE_MM) if rng.random() < 0.6 else rng.uniform(_LARGE_MM, 85)
        return [float(huge), *(float(r) for r in rng.uniform(1.8, 9, int(rng.integers(1, 8))))]
    if plan < 0.20:
        return []
    if plan < 0.65:
        return [float(r) for r in np.exp(rng.uniform(np.log(2.0), np.log(9), int(rng.integers(2, 10))))]
    if plan < 0.88:
        return [float(r) for r in np.exp(rng.uniform(np.log(5), np.log(22), int(rng.integers(1, 4))))]
    return [float(rng.uniform(22, 60)), *(float(r) for r in rng.uniform(2.5, 9, int(rng.integers(0, 5))))]


def paint(
    images: list[NDArray[np.float32]],
    phases: list[int],
    tissue: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    liver_hu: list[float],
    radii_mm: list[float],
    *,
    keep_texture: bool,
    noise_hu: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Paint lesions into every image (changed in place) and return the voxels they fill.

    images: HU (slice, row, column) at 1.2 mm, one per phase; phases: indices into PHASES. liver: where a lesion starts
    and, unless it grows outwards, ends; liver_hu: median of the liver per image. noise_hu: sd of the noise that the
    scanner will add; the fainter of it a scan has, the fainter the lesions taught. No liver, no lesion.
    """
    filled = np.zeros(liver.shape, bool)
    inside = np.flatnonzero(liver)
    if len(inside) < 1500:
        return filled
    ball_mm = (len(inside) * REGION_SPACING_MM**3 * 0.75 / np.pi) ** (1 / 3)
    rim = np.flatnonzero(liver & ~ndimage.binary_erosion(liver, iterations=3))
    for wanted in radii_mm:
        radius = min(wanted, (0.75 if wanted < _LARGE_MM else 1.1) * ball_mm)
        at = "rim" if rng.random() < 0.5 and len(rim) else "inside"
        places = rim if at == "rim" else inside
        outwards = rng.random() < _OUTWARDS[at]
        centre = np.array(np.unravel_index(rng.choice(places), liver.shape)) + rng.uniform(-0.5, 0.5, 3)
        look = _draw_look(radius, phases, noise_hu, rng)
        _paint_one(images, phases, tissue, liver, filled, centre, radius, outwards, look, liver_hu, keep_texture, rng)
    return filled


def _draw_look(radius: float, phases: list[int], noise_hu: float, rng: np.random.Generator) -> _Look:
    if rng.random() < _CYST_SHARE:
        return _Look("cyst", np.zeros(len(PHASES)), np.zeros(len(PHASES)), None)
    names = list(_KINDS)
    share = np.array([_KINDS[n][0] for n in names])
    kind = names[int(rng.choice(len(names), p=share / share.sum()))]
    table = np.array(_KINDS[kind][1], float)
    common = rng.normal()
    delta = table[:, 0] + table[:, 1] * (0.6 * common + 0.8 * rng.normal(size=len(PHASES)))
    # A lesion that no phase on hand shows cannot be taught; its strongest phase is lifted to what can be seen.
    least = 8 + 4 * noise_hu / max(radius, 2.5)
    strongest = max(phases, key=lambda p: abs(delta[p]))
    if abs(delta[strongest]) < least:
        delta[strongest] = np.copysign(least + rng.exponential(8), delta[strongest])
    rim = np.zeros(len(PHASES))
    if rng.random() < 0.35:
        rim = rng.normal([0, 10, 20, 12, 18], 15)
    core, shell = None, 1.0
    if radius > 6 and rng.random() < (0.65 if radius > 14 else 0.45):
        core = float(rng.uniform(5, 48))
        if rng.random() < 0.4:
            shell = float(rng.uniform(0.15, 0.8))
    return _Look(kind, delta, rim, core, shell)


def _paint_one(
    images: list[NDArray[np.float32]],
    phases: list[int],
    tissue: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    filled: NDArray[np.bool_],
    centre: NDArray[np.float64],
    radius: float,
    outwards: bool,
    look: _Look,
    liver_hu: list[float],
    keep_texture: bool,
    rng: np.random.Generator,
) -> None:
    step = REGION_SPACING_MM
    reach = 1.7 * radius / step + 2
    low = np.maximum(np.floor(centre - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, liver.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    r = radius_field(liver[box].shape, low, centre, radius, rng, step)
    edge = rng.uniform(0.3, 0.3 + min(3.0, 0.2 * radius))
    weight = 1 / (1 + np.exp(np.clip((r - 1) * radius / edge, -30, 30)))
    allowed = liver[box].copy()
    if outwards:
        allowed |= np.isin(tissue[box], _WELCOME) & (r < 1.25)
    weight = (weight * allowed).astype(np.float32)
    grain = ndimage.gaussian_filter(rng.standard_normal(r.shape, dtype=np.float32), rng.uniform(0.8, 3.5))
    grain /= max(float(grain.std()), 1e-3)
    rough = rng.uniform(10, 28) if rng.random() < 0.2 else rng.uniform(0, 9)
    rim_at, rim_mm = rng.uniform(0.85, 1.0), rng.uniform(0.8, 2.5)
    rim = np.exp(-(((r - rim_at) * radius / rim_mm) ** 2)).astype(np.float32)
    inner = None
    if look.core_hu is not None:
        bumps = ndimage.gaussian_filter(
            rng.standard_normal(r.shape, dtype=np.float32), rng.uniform(2.5, max(3.5, 0.25 * radius / step)), truncate=3
        )
        bumpy = r * (1 + 0.3 * bumps / max(float(bumps.std()), 1e-3))
        inner = 1 / (1 + np.exp(np.clip((bumpy - rng.uniform(0.35, 0.8)) * radius / 1.5, -30, 30)))
    foci = dense_foci(r.shape, r, radius, rng, step) if radius > 10 and rng.random() < 0.25 else None
    cyst_hu = rng.uniform(-4, 20)
    for image, phase, level in zip(images, phases, liver_hu, strict=True):
        view = image[box]
        if look.kind == "cyst":
            view += weight * (cyst_hu + 0.3 * grain - view)
            continue
        # Nothing solid is darker than water.
        field = max(float(look.delta_hu[phase]), -5 - level) + rough * grain + rim * look.rim_hu[phase]
        if inner is not None:
            field = look.shell * field * (1 - inner) + (look.core_hu + 0.5 * rough * grain - level) * inner
        if foci is not None:
            field = field + foci
        if keep_texture:
            view += (weight * field).astype(np.float32)
        else:
            view += (weight * (level + field - view)).astype(np.float32)
    filled[box] |= weight > 0.5
