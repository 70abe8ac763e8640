"""The liver: is there one, and where does it end on the scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.record import PADDING_HU, Box, Notice, Organ, OrganMap, Volume
from hepar.segment.evidence import SCORE_LOGIT, Evidence, calm, smooth_field
from hepar.segment.grid import onto_native
from hepar.segment.place import native_box, signed_distance_mm, slabs
from hepar.segment.settings import SegmentSettings

_PART_SHARE = 0.1
_OUTSIDE = -4.0
_SMOOTH_MM = 1.2
_HOLE_MM2 = 150.0
_CUT_MM2 = 150.0
_GAP_MM = 3.0
_MAX_DISTANCE_MM = 12.0
_WATER_HU = -10.0


def liver_parts(organs: OrganMap, settings: SegmentSettings) -> NDArray[np.bool_]:
    """The liver on the model's grid without thin spurs and stray parts, holes filled.

    Raises Refused ("no liver found") when what is left is too small.
    """
    from scipy import ndimage

    ml = organs.geometry.voxel_volume_ml
    liver = organs.liver
    core = ndimage.binary_erosion(liver)
    parts, count = ndimage.label(core)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if not count:
        raise Refused(_no_liver("nothing that looks like one"))
    kept = np.isin(parts, 1 + np.flatnonzero(sizes >= _PART_SHARE * sizes.max()))
    kept = ndimage.binary_dilation(kept, iterations=2, mask=liver)
    volume_ml = kept.sum() * ml
    if volume_ml < settings.liver_min_ml:
        found = f"only {volume_ml:.0f} ml that look like one, {settings.liver_min_ml:.0f} ml are needed"
        raise Refused(_no_liver(found))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(kept)
    return filled


@dataclass(frozen=True)
class Plausibility:
    """What tells a liver from something that the network took for one; shares run from 0 to 1.

    score: mean probability. median_hu: of the inside. alike: share of the inside, lesions left out, within 50 HU
        of that, or between water and that: a large dark tumour is not always known for a lesion at 3 mm.
    fat, bone: shares of the body in the scan. encased: share of the outline that lies against bone.
    right: how far its middle lies to the patient's right of the body's, in half widths of the body; it counts
        for small volumes only, since a narrow field of view may hold little but the liver.
    """

    volume_ml: float
    score: float
    median_hu: float
    alike: float
    fat: float
    bone: float
    encased: float
    right: float

    def objection(self, settings: SegmentSettings) -> str:
        """Why this is no liver; "" when it may be one.

        The limits lie between livers (real and simulated: score above 0.94, alike above 0.9, fat above 0.05, bone above
        0.02, encased below 0.1) and heads, pelves, chests, cylinders of water and noise.
        """
        checks = (
            (self.score >= settings.liver_score_min, f"with a mean probability of {self.score:.2f} only"),
            (-40 <= self.median_hu <= 250, f"with {self.median_hu:.0f} HU, which no liver has"),
            (self.alike >= 0.8, f"but only {self.alike:.0%} of it is of one density"),
            (self.fat >= 0.005 and self.bone >= 0.002, "but there is no fat or no bone around, so this is no body"),
            (self.bone <= 0.15, f"but {self.bone:.0%} of what is around is bone, as in a head"),
            (
                self.right >= settings.liver_right_min or self.volume_ml >= settings.liver_sure_ml,
                "but on the wrong side of the body",
            ),
            (self.encased <= 0.35, f"but {self.encased:.0%} of its surface lies against bone"),
        )
        return next((text for passed, text in checks if not passed), "")


def plausibility(liver: NDArray[np.bool_], organs: OrganMap, hu: NDArray[np.float32]) -> Plausibility:
    """Measured on the model's grid; hu: the scan on it."""
    from scipy import ndimage

    core = ndimage.binary_erosion(liver, iterations=2)
    core = core if core.any() else liver
    plain = core & (organs.labels != Organ.LESION)
    plain = plain if plain.any() else core
    score = organs.liver_score if organs.liver_score is not None else organs.liver.astype(np.uint8) * np.uint8(255)
    median = float(np.median(hu[plain]))
    body = hu > -250
    rim = ndimage.binary_dilation(liver, iterations=3) & ~ndimage.binary_dilation(liver)
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    middle = float(body.sum(axis=(0, 1)) @ np.arange(hu.shape[2])) / float(body.sum())
    liver_middle = float(liver.sum(axis=(0, 1)) @ np.arange(hu.shape[2])) / float(liver.sum())
    return Plausibility(
        volume_ml=float(liver.sum()) * organs.geometry.voxel_volume_ml,
        score=float(score[liver].mean()) / 255,
        median_hu=median,
        alike=float(((hu[plain] > min(_WATER_HU, median - 50)) & (hu[plain] < median + 50)).mean()),
        fat=float(((hu > -150) & (hu < -40)).sum() / body.sum()),
        bone=float((hu > 200).sum() / body.sum()),
        encased=float((hu[rim] > 250).mean()),
        right=2 * (middle - liver_middle) / float(columns[-1] - columns[0] + 1),
    )


def find_liver(organs: OrganMap, hu: NDArray[np.float32], settings: SegmentSettings) -> NDArray[np.bool_]:
    """`liver_parts`, and Refused ("no liver found") when they are not plausible as a liver in a body."""
    liver = liver_parts(organs, settings)
    found = plausibility(liver, organs, hu)
    objection = found.objection(settings)
    if objection:
        raise Refused(_no_liver(f"{found.volume_ml:.0f} ml look like one, {objection}"))
    return liver


def _no_liver(found: str) -> str:
    return f"no liver found: {found}; hepar needs a CT of the upper abdomen, choose another series or study"


def outline_liver(
    volume: Volume, organs: OrganMap, liver: NDArray[np.bool_], settings: SegmentSettings
) -> NDArray[np.bool_]:
    """The liver on the native grid: the network's log-odds, corrected by the grey values near its outline, smoothed.

    liver: on the model's grid. The scores are interpolated as one channel, slab by slab, inside the liver's box.
    """
    score = organs.liver_score if organs.liver_score is not None else organs.liver.astype(np.uint8) * np.uint8(255)
    step = organs.geometry.spacing_mm[0]
    distance = signed_distance_mm(liver, step, _MAX_DISTANCE_MM)
    logit = SCORE_LOGIT[score]
    # Removed spurs and other organs' false liver stay out; holes that were filled stay in.
    logit = np.where(distance > -step, logit, _OUTSIDE)
    logit = np.where(liver & (logit < 1), 1.0, np.clip(logit, _OUTSIDE, -_OUTSIDE)).astype(np.float32)
    trust = np.where(organs.labels == Organ.LESION, 0, 255).astype(np.uint8)
    box = native_box(liver, organs.geometry, volume.geometry, _MAX_DISTANCE_MM)
    grid = volume.geometry.crop(box)
    hu = volume.array[box]
    calmed = np.empty(hu.shape, np.int16)
    near = np.empty(hu.shape, np.int8)
    halo = int(np.ceil(3 / grid.spacing_mm[0])) + 1
    for wide, part, inner in slabs(hu.shape, halo):
        calmed[part] = calm(hu[wide], grid.crop(_planes(wide, grid.shape)))[inner]
        near[part] = np.rint(8 * onto_native(distance, organs.geometry, grid.crop(_planes(part, grid.shape))))
    inside = near > 8 * settings.edge_band_mm
    outside = (near < -8 * 1.5) & (near > -8 * 10.0)
    evidence = Evidence(calmed[inside], calmed[outside])
    mask = np.zeros(hu.shape, np.bool_)
    for wide, part, inner in slabs(hu.shape, halo):
        place = grid.crop(_planes(wide, grid.shape))
        field = onto_native(logit, organs.geometry, place)
        band = np.clip(2 - np.abs(near[wide].astype(np.float32)) / (4 * settings.edge_band_mm), 0, 1)
        band *= onto_native(trust, organs.geometry, place) / 255
        field += settings.edge_weight * band * evidence(calmed[wide])
        mask[part] = smooth_field(field, place, _SMOOTH_MM)[inner] > 0
    whole = np.zeros(volume.array.shape, np.bool_)
    whole[box] = _tidy(mask, near, grid.spacing_mm)
    return whole


def _planes(part: slice, shape: tuple[int, int, int]) -> Box:
    return part, slice(0, shape[1]), slice(0, shape[2])


def _tidy(mask: NDArray[np.bool_], near: NDArray[np.int8], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Large parts only, without inner holes and without small holes in any slice."""
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = np.bincount(parts.ravel())[1:]
        mask = np.isin(parts, 1 + np.flatnonzero(sizes >= 0.5 * _PART_SHARE * sizes.max()))
    for plane in mask:
        gaps, count = ndimage.label(~plane)
        if count > 1:
            area = np.bincount(gaps.ravel()) * spacing_mm[1] * spacing_mm[2]
            area[0] = np.inf
            plane |= (area < _HOLE_MM2)[gaps]
    holes, count = ndimage.label(~mask)
    if count > 1:
        rim = np.unique(
            np.concatenate(
                [holes[0].ravel(), holes[-1].ravel(), holes[:, 0].ravel(), holes[:, -1].ravel(),
                 holes[..., 0].ravel(), holes[..., -1].ravel()]
            )
        )  # fmt: skip
        inner = np.ones(count + 1, np.bool_)
        inner[rim] = False
        inner[0] = False
        mask |= inner[holes]
    return mask


def cut_notice(volume: Volume, liver: NDArray[np.bool_]) -> tuple[Notice, ...]:
    """`liver_cut` when more than 1.5 cm2 of the liver lie on a face of the volume, or 3 cm2 on padding; else nothing.

    Padding stands outside a round field of view; a liver within 3 mm of it is cut by it.
    """
    if not liver.any():
        return ()
    steps = volume.geometry.spacing_mm
    area = (steps[1] * steps[2], steps[0] * steps[2], steps[0] * steps[1])
    edges = []
    for axis, names in enumerate((("lowest slice", "highest slice"), ("front", "back"), ("right", "left"))):
        for index, name in zip((0, -1), names, strict=True):
            if liver.take(index, axis=axis).sum() * area[axis] > _CUT_MM2:
                edges.append(name)
    seen = np.flatnonzero(liver.any(axis=(1, 2)))
    inside, padding = liver[seen[0] : seen[-1] + 1], volume.array[seen[0] : seen[-1] + 1] == PADDING_HU
    contact = 0.0
    for axis in (1, 2):
        gap = max(1, round(_GAP_MM / steps[axis]))
        for flip in (False, True):
            one, other = np.moveaxis(inside, axis, 0), np.moveaxis(padding, axis, 0)
            if flip:
                one, other = one[::-1], other[::-1]
            # Only padding that reaches the array's edge counts, so never a dark voxel of the lung.
            outside = np.logical_and.accumulate(other, axis=0)
            near = outside[:-gap] & one[gap:]
            contact += float(near.any(axis=0).sum()) * area[axis]
    if contact > 2 * _CUT_MM2:
        edges.append("round field of view")
    if not edges:
        return ()
    text = f"the liver is cut by the scan's edge ({', '.join(edges)}): its volume and what depends on it are too small"
    return (Notice("liver_cut", text),)
