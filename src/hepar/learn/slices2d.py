"""Single 2D slices with a mask of the whole liver as weak teachers: 8-bit grey, no HU, no spacing, nothing above or
below. They say where liver is and where none is, and no more.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hepar.errors import WrongCall
from hepar.learn.classes import AIR_HU, IGNORE, NOT_LIVER, SOME_LIVER, SPACING_MM, STRIDE
from hepar.learn.colour import PHASES
from hepar.learn.recipe import SliceSettings
from hepar.learn.sample import Sample

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BLACK: Final = 6
"""Grey values up to here are cut off below (fat, lung, gas, air); JPEG leaves a few steps of ringing there."""
_WHITE: Final = 250
_DEPTH: Final = STRIDE
_TAUGHT: Final = slice(_DEPTH // 4, _DEPTH - _DEPTH // 4)
"""The slices of a sample that the loss sees: the outer ones only keep the edge of the grid away."""


@dataclass(frozen=True)
class SliceSet:
    """Slices as (row, column) with the patient's face up and the liver on the left of the picture (LPS).

    by_patient: per patient its slices, each grey value (uint8) and liver mask. hu_per_grey: so many HU a grey step,
    grey 0 being 0 HU, so that the liver's median is what `SliceSettings.liver_hu` says.
    """

    name: str
    by_patient: tuple[tuple[tuple[NDArray[np.uint8], Mask], ...], ...]
    hu_per_grey: float
    pixel_mm: float


def read_slices(archive: Path, settings: SliceSettings) -> SliceSet:
    """A zip or folder with images/NAME and masks/NAME (any depth), NAME = [turn_]PATIENT_SLICE.jpg or .png.

    WrongCall when there is no image, a mask is missing or has another size, or no mask holds any liver.
    """
    files = _files(archive)
    images = {p.name: p for p in files if p.parent.name == "images"}
    masks = {p.name: p for p in files if p.parent.name == "masks"}
    missing = sorted(images.keys() - masks.keys())
    if not images or missing:
        raise WrongCall(
            f"2D slices: {len(images)} images, {len(missing)} of them without mask; needed: images/NAME and masks/NAME"
            " for every slice; add what is missing"
        )
    patients: dict[str, list[tuple[NDArray[np.uint8], Mask]]] = {}
    liver_grey = []
    for name in sorted(images):
        turns, patient = _turns(name, settings)
        grey = np.rot90(_grey(files[images[name]]), turns)
        mask = np.rot90(_grey(files[masks[name]]) > 127, turns)
        if grey.shape != mask.shape:
            raise WrongCall(f"2D slices: an image of {grey.shape} with a mask of {mask.shape}; needed: the same size")
        patients.setdefault(patient, []).append((np.ascontiguousarray(grey), np.ascontiguousarray(mask)))
        if mask.any():
            liver_grey.append(float(np.median(grey[mask])))
    if not liver_grey or np.median(liver_grey) <= _BLACK:
        raise WrongCall("2D slices: no mask holds liver that can be seen; needed: white where liver is")
    gain = settings.liver_hu / float(np.median(liver_grey))
    return SliceSet("slices", tuple(tuple(patients[k]) for k in sorted(patients)), gain, settings.pixel_mm)


def slice_sample(slices: SliceSet, shape: tuple[int, int, int], rng: np.random.Generator) -> Sample:
    """One slice as a sample of 16 slices of `shape`'s rows and columns at 3 mm, every patient equally often.

    The slice is repeated, growing or shrinking a little along the body; the middle eight carry the target: SOME_LIVER,
    NOT_LIVER, IGNORE on the liver's edge, and background in the air around the patient. Whether a dark part is fat or
    lung, 8 bits do not tell: thick ones are drawn as either.
    """
    patient = slices.by_patient[int(rng.integers(len(slices.by_patient)))]
    grey, liver = patient[int(rng.integers(len(patient)))]
    hu, body = hounsfield(grey, liver, slices.hu_per_grey, rng)
    where = _places(liver if liver.any() and rng.random() < 0.7 else body, shape, slices.pixel_mm, rng)
    step = SPACING_MM / slices.pixel_mm
    sharp = 0.4 * max(0.0, step - 1)
    planes = [ndimage.gaussian_filter(v, sharp) for v in (hu, liver.astype(np.float32), body.astype(np.float32))]
    seen, share, inside = (
        ndimage.map_coordinates(plane, where, order=1, mode="constant", cval=outside).astype(np.float32)
        for plane, outside in zip(planes, (AIR_HU, 0.0, 0.0), strict=True)
    )
    target = np.full(seen.shape, IGNORE, np.uint8)
    part = target[_TAUGHT]
    part[share[_TAUGHT] < 0.25] = NOT_LIVER
    part[share[_TAUGHT] > 0.75] = SOME_LIVER
    part[inside[_TAUGHT] < 0.05] = 0
    noise = ndimage.gaussian_filter(rng.standard_normal(seen.shape, dtype=np.float32), (0.2, 0.5, 0.5))
    noise *= float(rng.uniform(0, 10)) / max(float(noise.std()), 1e-3)
    seen = np.where(seen > -980, (seen + noise) * rng.normal(1, 0.06) + rng.normal(0, 6), seen)
    seen = np.clip(seen, AIR_HU, 3000).astype(np.float32)
    return Sample(seen, target, (), PHASES.index("portal_venous"), slices.name)


def hounsfield(
    grey: NDArray[np.uint8], liver: Mask, hu_per_grey: float, rng: np.random.Generator
) -> tuple[Plane, Mask]:
    """HU of a windowed slice (row, column), and the patient's outline; what the window cut off is drawn."""
    body = _body((grey > 20) | liver, int(rng.integers(2, 9)))
    dark = body & ~liver & (grey <= _BLACK)
    hu = grey.astype(np.float32) * np.float32(hu_per_grey)
    hu[grey >= _WHITE] += np.float32(rng.uniform(0, 350))
    hu[dark] = rng.normal(-100, 8) + rng.normal(0, 10, int(dark.sum()))
    core = ndimage.distance_transform_edt(dark) > 8
    parts, count = ndimage.label(ndimage.binary_dilation(core, iterations=8, mask=dark))
    for k in range(1, count + 1):
        if rng.random() < 0.5:
            hu[parts == k] = rng.normal(-840, 45)
    hu[~body] = AIR_HU
    return hu, body


def _body(seen: Mask, rim: int) -> Mask:
    """The patient: the convex outline of what is seen, without the table, and a rim of unseen fat around it."""
    from scipy.spatial import ConvexHull

    parts, count = ndimage.label(ndimage.binary_opening(seen, iterations=2))
    if count == 0:
        return np.zeros(seen.shape, bool)
    sizes = np.bincount(parts.ravel())[1:]
    kept = []
    for k, (rows, columns) in enumerate(ndimage.find_objects(parts)):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        table = width > 40 and height < width / 4  # in pixels: wide and flat, as no other piece but the largest may be
        if sizes[k] == sizes.max() or not table:
            kept.append(k + 1)
    edge = ConvexHull(np.argwhere(np.isin(parts, kept))).equations
    row, column = np.indices(seen.shape)
    off = (edge[:, 0, None, None] * row + edge[:, 1, None, None] * column + edge[:, 2, None, None]).max(0)
    out: Mask = off <= rim
    return out


def _places(around: Mask, shape: tuple[int, int, int], pixel_mm: float, rng: np.random.Generator) -> Plane:
    """Row and column in the picture of every voxel of the sample, [2, 16, rows, columns]: turned, scaled and bent."""
    seen = np.argwhere(around)
    centre = (seen.mean(0) if len(seen) else np.array(around.shape) / 2) + rng.normal(0, 8, 2)
    angle = np.radians(rng.normal(0, 6))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) + rng.normal(0, 0.04, (2, 2))
    step = SPACING_MM / pixel_mm * np.exp(rng.normal(0, 0.1)) * np.exp(rng.normal(0, 0.05, 2))
    axes = [np.arange(n) - (n - 1) / 2 for n in (_DEPTH, shape[1], shape[2])]
    depth, row, column = np.meshgrid(*axes, indexing="ij")
    grows = 1 + rng.normal(0, 0.006) * depth
    plane = np.stack([row * grows * step[0], column * grows * step[1]])
    bend = rng.normal(0, rng.uniform(0, 8) / pixel_mm, (2, 5, 6))
    bend = ndimage.zoom(bend, (1, shape[1] / 5, shape[2] / 6), order=3, grid_mode=True, mode="nearest")
    out: Plane = (np.einsum("ij,j...->i...", turn, plane) + centre[:, None, None, None] + bend[:, None]).astype("f4")
    return out


def _turns(name: str, settings: SliceSettings) -> tuple[int, str]:
    """Quarter turns of a file and its patient, from its name."""
    stem = PurePosixPath(name).stem
    for start, turns in settings.turns:
        if stem.startswith(start):
            return turns, stem.removeprefix(start).strip("_").rpartition("_")[0]
    return 0, stem.rpartition("_")[0]


def _files(archive: Path) -> dict[PurePosixPath, bytes]:
    """The pictures of a zip or folder by their place in it; {} where there is neither."""
    kinds = (".jpg", ".jpeg", ".png")
    if archive.is_dir():
        found = sorted(p for p in archive.rglob("*") if p.suffix.lower() in kinds)
        return {PurePosixPath(p.relative_to(archive).as_posix()): p.read_bytes() for p in found}
    if not zipfile.is_zipfile(archive):
        return {}
    with zipfile.ZipFile(archive) as packed:
        names = sorted(n for n in packed.namelist() if PurePosixPath(n).suffix.lower() in kinds)
        return {PurePosixPath(n): packed.read(n) for n in names}


def _grey(picture: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        return np.asarray(opened.convert("L"))
