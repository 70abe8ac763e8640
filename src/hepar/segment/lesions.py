"""Lesions: from the candidates of the network to one object each on the scan's own grid, with its confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.record import AlignedPhase, Geometry, OrganMap, Volume
from hepar.segment.candidates import candidates
from hepar.segment.confidence import Curve, Features, confidence, shipped_curve
from hepar.segment.outline import PART_ML, Piece, boxes_of, outline
from hepar.segment.settings import SegmentSettings
from hepar.segment.split import split_touching

_SPUR_MM = 2.5
_PART_SHARE = 0.25


@dataclass(frozen=True, eq=False)
class Lesions:
    """labels: uint16 on the native grid, ids 1, 2, ... by falling volume. features, confidence: in order of id."""

    labels: NDArray[np.uint16]
    features: tuple[Features, ...]
    confidence: tuple[float, ...]


def outline_lesions(
    volume: Volume,
    organs: OrganMap,
    coarse: NDArray[np.uint8],
    liver: NDArray[np.bool_],
    native_liver: NDArray[np.bool_],
    others: Sequence[AlignedPhase],
    settings: SegmentSettings,
    curve: Curve | None = None,
) -> Lesions:
    """Every lesion on the native grid.

    organs (with the lesion score that counts), coarse (255 x P(lesion) of the organ network) and liver: on one grid.
    curve: of their confidence; None: the shipped one.
    """
    score = organs.lesion_score
    found = candidates(score, liver, organs.geometry.spacing_mm[0], settings)
    pieces: list[Piece] = []
    for number in range(1, found.count + 1):
        pieces += outline(number, found, volume, organs, coarse, native_liver, others, settings)
    curve = curve or shipped_curve(1 + len(others))
    rated = [(piece, confidence(piece.features, curve)) for piece in pieces]
    least = settings.lesion_min_confidence
    if least is None:
        least = curve.limits[settings.operating_point]
    return joined([(p, c) for p, c in rated if c >= least], volume.geometry, settings)


def joined(kept: list[tuple[Piece, float]], geometry: Geometry, settings: SegmentSettings) -> Lesions:
    """One id for each connected region, divided only where its shape has a neck, whatever candidate found it.

    A lesion has the features and the confidence of the piece that holds most of it. Spurs go last, so that what they
    join is not counted twice.
    """
    out = np.zeros(geometry.shape, np.uint16)
    if not kept:
        return Lesions(out, (), ())
    starts = [min(piece.box[axis].start for piece, _ in kept) for axis in range(3)]
    stops = [max(piece.box[axis].stop for piece, _ in kept) for axis in range(3)]
    whole = (slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2]))
    owner = out[whole]
    for number, (piece, _) in sorted(enumerate(kept, 1), key=lambda item: int(item[1][0].mask.sum())):
        owner[tuple(slice(b.start - o, b.stop - o) for b, o in zip(piece.box, starts, strict=True))][piece.mask] = (
            number
        )
    labels, count = split_touching(owner > 0, geometry.spacing_mm, neck=settings.split_neck, min_ml=PART_ML)
    found: list[tuple[int, int, int]] = []
    for number, at in enumerate(boxes_of(labels, count), 1):
        whole_of_it = labels[at] == number
        here = _without_spurs(whole_of_it, geometry.spacing_mm)
        labels[at][whole_of_it & ~here] = 0
        size = int(here.sum())
        if size * geometry.voxel_volume_ml >= settings.lesion_min_ml:
            found.append((-size, number, int(np.bincount(owner[at][here]).argmax()) - 1))
    found.sort()
    # What another lesion cuts off from a candidate is no lesion of its own, with the candidate's confidence.
    largest: dict[int, int] = {}
    for size, _, owned in found:
        largest.setdefault(owned, size)
    found = [(size, number, owned) for size, number, owned in found if -size >= -_PART_SHARE * largest[owned]]
    lookup = np.zeros(count + 1, np.uint16)
    lookup[[number for _, number, _ in found]] = np.arange(1, len(found) + 1)
    owner[...] = lookup[labels]
    return Lesions(out, tuple(kept[k][0].features for *_, k in found), tuple(kept[k][1] for *_, k in found))


def _without_spurs(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The lesion without what is thinner than twice _SPUR_MM, such as blurred voxels along the liver's surface or a
    vessel that leads to it, and without knots of less than _PART_SHARE of the rest that hung on it only by that.
    A lesion that is thin throughout stays as it is.
    """
    from scipy import ndimage

    core = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1] > _SPUR_MM
    if not core.any():
        return mask
    opened = mask & (ndimage.distance_transform_edt(~core, sampling=spacing_mm) <= _SPUR_MM)
    parts, count = ndimage.label(opened)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    kept: NDArray[np.bool_] = np.isin(parts, 1 + np.flatnonzero(sizes >= _PART_SHARE * sizes.max()))
    return kept
