"""A real anatomy: a CT without contrast with organ labels, read at run time, completed where its upper edge cuts it.

Labels are TotalSegmentator's (Wasserthal 2023, class map of task "total"). What carries no label is fat, muscle or bone
by its HU. A volume that ends inside the liver gets an invented upper end: the chest wall mirrored, lungs, a domed
liver, spleen and stomach, a heart.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall

Mask = NDArray[np.bool_]

SPLEEN, GALLBLADDER, LIVER, STOMACH, PANCREAS, HEART, AORTA, CAVA, PORTAL = 1, 4, 5, 6, 7, 51, 52, 63, 64
KIDNEYS, ADRENALS, LUNGS, SMALL_BOWEL, COLON = (2, 3), (8, 9), (10, 11, 12, 13, 14), (18, 19), (20,)
ARTERIES, VEINS, CORD = (65, 66), (67, 68), (79,)
BONES = (*range(25, 51), *range(69, 79), *range(91, 117))
ORGANS = (SPLEEN, *KIDNEYS, GALLBLADDER, LIVER, STOMACH, PANCREAS, *ADRENALS, *LUNGS, *SMALL_BOWEL, *COLON, HEART)
HEART_LEFT, HEART_RIGHT, PERICARDIUM = 200, 201, 202
"""Numbers beyond the class map, for the chambers and the fat of an invented heart."""
LEAST_ML = 300.0


@dataclass(frozen=True, eq=False)
class Labelled:
    """hu: float32, labels: int16, both (slice, row, column), from the feet, the front and the patient's right.

    spacing_mm: slice, row, column. sha256: over both files. cut: slices below which nothing is invented.
    """

    hu: NDArray[np.float32]
    labels: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    sha256: str
    cut: int


def load_labelled(image: Path, labels: Path) -> Labelled:
    """Read a CT and its labels, two NIfTI files on the same grid. Raises WrongCall where one cannot be read, where they
    do not fit each other, or where they show no liver of at least 300 ml."""
    import nibabel as nib

    for file in (image, labels):
        if not file.is_file():
            raise WrongCall("an anatomy is two NIfTI files, a CT and its labels; one of them is not there")
    (hu, spacing), (values, other) = _lps(nib, image, "CT"), _lps(nib, labels, "labels")
    if hu.shape != values.shape or not np.allclose(spacing, other, atol=1e-3):
        raise WrongCall(f"the CT has {hu.shape} voxels of {spacing} mm, its labels {values.shape} of {other} mm;"
                        " needed: the same grid")  # fmt: skip
    digest = hashlib.sha256(image.read_bytes() + labels.read_bytes()).hexdigest()
    ml = float((values == LIVER).sum()) * float(np.prod(spacing)) / 1000
    if ml < LEAST_ML:
        raise WrongCall(f"the labels hold {ml:.0f} ml of liver (label {LIVER}); needed: {LEAST_ML:.0f} ml or more, in"
                        " TotalSegmentator's numbers")  # fmt: skip
    return Labelled(hu.astype(np.float32), values.astype(np.int16), spacing, digest, hu.shape[0])


def _lps(nib: Any, file: Path, what: str) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    unreadable = (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError, OSError, EOFError, ValueError,
                  zlib.error)  # fmt: skip
    try:
        image = nib.as_closest_canonical(nib.load(file))
        values = np.asarray(image.dataobj)
    except unreadable:
        raise WrongCall(f"the anatomy's {what} cannot be read as NIfTI; needed: two whole NIfTI files, a CT and its"
                        " labels") from None  # fmt: skip
    if values.ndim != 3:
        raise WrongCall(f"the anatomy's {what} has {values.ndim} dimensions; needed: 3, one volume")
    x, y, z = (float(v) for v in image.header.get_zooms()[:3])
    return values.transpose(2, 1, 0)[:, ::-1, ::-1], (z, y, x)


def completed(one: Labelled, rng: np.random.Generator) -> Labelled:
    """The volume with an invented upper end where its last slice shows liver; else as it is."""
    from scipy import ndimage

    top = one.labels[-1]
    if not (top == LIVER).any():
        return one
    dz, dy, dx = one.spacing_mm
    rise_mm = float(rng.uniform(28, 58))
    extra, cut = round((rise_mm + 75) / dz), one.labels.shape[0]
    depth = max(2, round(24 / dz))
    mirror = [cut - 1 - min(j % (2 * depth), 2 * depth - j % (2 * depth)) for j in range(1, extra + 1)]
    hu, labels = one.hu[mirror].copy(), one.labels[mirror].copy()
    organs = np.isin(one.labels[-3:], [SPLEEN, LIVER, STOMACH, *LUNGS]).any(0)
    cavity = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(organs, 25), iterations=20)[25:-25, 25:-25])
    spine = ndimage.binary_dilation(np.isin(top, [*BONES, AORTA, *CORD]), iterations=1)
    middle_row = np.argwhere(cavity)[:, 0].mean()
    cavity &= ~(spine & (np.arange(cavity.shape[0])[:, None] > middle_row - 5))
    inside = np.broadcast_to(cavity, labels.shape)
    # The mirrored wall, without the organs that the mirror brought along.
    stray = np.isin(labels, [v for v in np.unique(labels) if v in ORGANS or v in (CAVA, PORTAL)])
    labels[stray | inside] = 0
    hu[stray] = 50.0
    hu[inside] = -100.0
    labels[inside] = LUNGS[0]
    z = (np.arange(1, extra + 1) * dz)[:, None, None]
    rest_mm = ndimage.distance_transform_edt(cavity & ~np.isin(top, LUNGS), (dy, dx))
    under = z < (rise_mm * 0.55) * np.sqrt(np.clip(rest_mm / max(rest_mm.max(), 1), 0, 1))
    labels[under & inside] = 0  # fat below the diaphragm
    for number, share in ((STOMACH, 0.5), (SPLEEN, 0.55), (LIVER, 1.0)):
        base = ndimage.binary_closing(top == number, iterations=2) & cavity
        if base.any():
            deep = ndimage.distance_transform_edt(base, (dy, dx))
            height = share * rise_mm * np.sqrt(1 - (1 - np.clip(deep / deep.max(), 0, 1)) ** 2)
            labels[(z < height) & base] = number
    _add_heart(labels, inside, z, (dy, dx), rise_mm, rng)
    cava = top == CAVA
    if cava.any():
        labels[: round((rise_mm + 8) / dz)][:, cava] = CAVA
    full = np.concatenate([one.labels, labels]).astype(np.int16)
    return Labelled(np.concatenate([one.hu, hu]).astype(np.float32), full, one.spacing_mm, one.sha256, cut)


def _add_heart(labels: NDArray[np.int16], inside: Mask, z: NDArray[Any], pixel: tuple[float, float],
               rise_mm: float, rng: np.random.Generator) -> None:  # fmt: skip
    """A tilted ellipsoid with two chambers and fat around it, left of the middle and in front, above the liver."""
    where = np.argwhere(inside[0])
    rows, columns = np.indices(inside.shape[1:])
    front, middle = np.quantile(where[:, 0], 0.03) * pixel[0], where[:, 1].mean() * pixel[1]
    x = columns * pixel[1] - (middle + float(rng.uniform(14, 26)))
    y = rows * pixel[0] - (front + float(rng.uniform(44, 54)))
    height = z - (rise_mm * float(rng.uniform(0.85, 1.05)) + 22)
    turn = np.radians(float(rng.uniform(25, 45)))
    u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    radius = np.sqrt((u / 60) ** 2 + (v / 42) ** 2 + (height / 46) ** 2)
    free = inside & ~np.isin(labels, [LIVER, STOMACH, SPLEEN])
    labels[free & (radius < 1.1)] = PERICARDIUM
    labels[free & (radius < 1)] = HEART
    labels[free & (radius < 0.78) & (v - 0.2 * u > 7)] = HEART_LEFT
    labels[free & (radius < 0.86) & (v - 0.2 * u < -3)] = HEART_RIGHT
