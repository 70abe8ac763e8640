"""Training samples from a site's own cases: as they are, and with invented lesions in their own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hepar.learn.adapt_cases import ReadyCase, Truth
from hepar.learn.classes import EITHER_VEIN, IGNORE, Tissue
from hepar.learn.region import RegionAtlas
from hepar.learn.region_sample import RegionSample, make_region_sample
from hepar.learn.sample import bent_grid, take
from hepar.record import Geometry, Organ, OrganMap, Volume
from hepar.segment.grid import model_geometry, onto_model, onto_native
from hepar.segment.liver import liver_parts
from hepar.segment.place import native_box
from hepar.segment.region import LIMIT, SLOTS, region_input
from hepar.segment.region import SPACING_MM as REGION_SPACING_MM
from hepar.segment.settings import SegmentSettings

_MARGIN_MM = 30.0
_ON_LESION = 0.7
_PORTAL = 3


@dataclass(frozen=True, eq=False)
class SiteVolume:
    """One case at 1.2 mm. image: float16 (4, slice, row, column), the network's input. target: region classes; veins
    (portal or hepatic, left open) as the shipped network sees them, since the site's labels have none. lesions: uint16
    ids on the same grid. atlas: the portal venous phase as an anatomy that invented lesions are put into."""

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    lesions: NDArray[np.uint16]
    atlas: RegionAtlas


def site_volume(name: str, ready: ReadyCase, truth: Truth, seen: OrganMap, settings: SegmentSettings) -> SiteVolume:
    """Resample one case. seen: what the shipped networks say at 1.2 mm (`Builtin.propose`), for its veins.

    Raises Refused where they find no liver.
    """
    named = list(zip(ready.others, ready.phases[1:], strict=True))
    coarse = liver_parts(ready.organs, settings)
    image, geometry, _ = region_input(ready.reference, ready.phases[0], named, coarse, ready.organs.geometry)
    veins = seen.labels == Organ.HEPATIC_VESSEL
    native = ready.reference.geometry
    liver = onto_native(truth.liver.astype(np.float32), native, geometry) > 0.5
    lesions = _nearest(truth.lesions, ready.reference, geometry)
    target = liver.astype(np.uint8)
    target[liver & veins] = EITHER_VEIN
    target[lesions > 0] = 2
    return SiteVolume(image.astype(np.float16), target, lesions, _atlas(name, ready.reference, truth, veins, geometry))


def _nearest(labels: NDArray[np.uint16], reference: Volume, geometry: Geometry) -> NDArray[np.uint16]:
    """Ids on another grid, voxel by voxel the nearest."""
    from scipy import ndimage

    matrix = np.linalg.inv(reference.geometry.affine) @ geometry.affine
    out: NDArray[np.uint16] = ndimage.affine_transform(
        labels, matrix[:3, :3], matrix[:3, 3], output_shape=geometry.shape, order=0, mode="constant"
    )
    return out


def _atlas(name: str, reference: Volume, truth: Truth, veins: NDArray[np.bool_], place: Geometry) -> RegionAtlas:
    whole = model_geometry(reference.geometry, REGION_SPACING_MM)
    box = native_box(truth.liver, reference.geometry, whole, _MARGIN_MM)
    geometry = whole.crop(box)
    hu = onto_model(reference, geometry)
    tissue = np.full(hu.shape, Tissue.SOFT, np.uint8)
    tissue[hu < -25] = Tissue.FAT
    tissue[hu < -250] = Tissue.AIR
    tissue[hu > 140] = Tissue.BONE
    liver = onto_native(truth.liver.astype(np.float32), reference.geometry, geometry) > 0.5
    vein = onto_native(veins.astype(np.float32), place, geometry) > 0.5
    tissue[liver] = Tissue.LIVER
    tissue[liver & vein] = Tissue.REAL_VESSEL
    tissue[_nearest(truth.lesions, reference, geometry) > 0] = Tissue.REAL_LESION
    mean = np.zeros(len(Tissue), np.float32)
    for code in np.unique(tissue):
        mean[code] = np.median(hu[tissue == code])
    none = np.zeros(hu.shape, np.uint8)
    return RegionAtlas(name, tissue, (hu - mean[tissue]).astype(np.float16), mean, none, none, True)


def draw_site(volume: SiteVolume, shape: tuple[int, int, int], rng: np.random.Generator) -> RegionSample:
    """A patch of the case as it is: turned, bent, other level, contrast and a little more noise; a phase beside the
    portal venous one may be left out."""
    size = np.array(volume.target.shape)
    half = np.array(shape) / 2
    ids = np.unique(volume.lesions)[1:]
    if len(ids) and rng.random() < _ON_LESION:  # every lesion alike, so that small ones count
        where = np.flatnonzero(volume.lesions == ids[rng.integers(len(ids))])
    else:
        where = np.flatnonzero(volume.target)
    centre = np.array(np.unravel_index(where[rng.integers(len(where))], volume.target.shape)) + rng.normal(0, 6, 3)
    centre = np.clip(centre, np.minimum(half * 0.8, size / 2), np.maximum(size - half * 0.8, size / 2))
    points, inside = bent_grid(
        shape, centre, size, rng, degrees=(6, 4, 4), limits=(0.85, 1.2), bends=((60.0, 6.0), (30.0, 3.0)),
        spacing_mm=REGION_SPACING_MM,
    )  # fmt: skip
    target = take(torch.from_numpy(volume.target)[None].float(), points, "nearest")[0].astype(np.uint8)
    image = take(torch.from_numpy(volume.image.astype(np.float32)), points, "bilinear")
    phases = []
    noise = float(rng.uniform(0, 0.06))
    for slot in range(len(image)):
        if not volume.image[slot].any():
            continue
        if slot != SLOTS["portal_venous"] and rng.random() < 0.3:
            image[slot] = 0
            continue
        phases.append(slot)
        there = image[slot] != 0
        image[slot] = image[slot] * rng.uniform(0.88, 1.14) + rng.normal(0, 0.04)
        image[slot] += noise * rng.standard_normal(shape, dtype=np.float32)
        image[slot][~there] = 0
    image = np.clip(image, -LIMIT, LIMIT)
    image[:, ~inside] = 0
    target[~inside] = IGNORE
    return RegionSample(image.astype(np.float16), target, tuple(phases), volume.atlas.name)


def draw_painted(volume: SiteVolume, shape: tuple[int, int, int], rng: np.random.Generator) -> RegionSample:
    """A patch of the portal venous phase with invented lesions beside its own."""
    return make_region_sample(volume.atlas, shape, rng, phases=[_PORTAL])
