"""The second network: the liver region at 1.2 mm, one to four contrast phases in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.record import NOT_COVERED_HU, PADDING_HU, AlignedPhase, Geometry, Organ, OrganMap, PhaseLabel, Volume
from hepar.segment.evidence import SCORE_LOGIT
from hepar.segment.grid import model_geometry, onto_model, onto_native, reached
from hepar.segment.network import STRIDE, OnnxNetwork, shipped, windows
from hepar.segment.place import native_box
from hepar.segment.trees import tell_trees

SPACING_MM = 1.2
OVERLAP = 32
RELATIVE_HU = 100.0
LIMIT = 2.5
"""Input: (HU - median of the liver in that phase) / RELATIVE_HU, cut at +-LIMIT; 0 where a phase has no voxel."""
CLASSES = ("background", "liver", "lesion", "portal_vein", "hepatic_vein")
SLOTS: Mapping[PhaseLabel, int] = {"native": 0, "arterial": 1, "portal_venous": 2, "delayed": 3}
"""Which input channel a phase goes to. A phase of unknown label goes to none, unless it is the reference."""
_UNKNOWN_SLOT = 2
_MARGIN_MM = 15.0


@dataclass(frozen=True, eq=False)
class Region:
    """The liver region on a 1.2 mm LPS-aligned grid; all arrays uint8 (slice, row, column).

    lesion, liver: 255 x probability (liver: lesions and inner veins included). veins: 0, 1 portal, 2 hepatic, as each
    voxel looks. portal: 255 x portal / (portal + hepatic). phases: how many phases the network saw.
    """

    geometry: Geometry
    lesion: NDArray[np.uint8]
    liver: NDArray[np.uint8]
    veins: NDArray[np.uint8]
    portal: NDArray[np.uint8]
    phases: int


class RegionNetwork(OnnxNetwork):
    """The network that looks at the liver region only."""

    def __init__(self, path: Path | None, precision: str, threads: int, window_voxels: int) -> None:
        super().__init__(path or shipped("region"), precision, threads, window_voxels)

    def look(self, image: NDArray[np.float32], geometry: Geometry, phases: int) -> Region:
        """image (4, slice, row, column): the input channels described above."""
        shape = image.shape[1:]
        lesion, liver, veins, share = (np.zeros(shape, np.uint8) for _ in range(4))
        for window, keep in windows(shape, self.window_voxels, OVERLAP):
            part = image[(slice(None), *window)]
            size = part.shape[1:]
            padded = np.zeros((1, len(image), *(-(-n // STRIDE) * STRIDE for n in size)), np.float32)
            padded[0, :, : size[0], : size[1], : size[2]] = part
            inner = tuple(slice(k.start - w.start, k.stop - w.start) for k, w in zip(keep, window, strict=True))
            scores = np.array(self.logits(padded, len(CLASSES))[(slice(None), *inner)])
            scores -= scores.max(axis=0)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=0)
            lesion[keep] = np.rint(255 * scores[2])
            liver[keep] = np.rint(255 * (1 - scores[0]))
            portal, hepatic = scores[3], scores[4]
            vein = portal + hepatic > np.maximum(np.maximum(scores[0], scores[1]), scores[2])
            veins[keep] = np.where(vein, np.where(portal >= hepatic, 1, 2), 0)
            share[keep] = np.rint(255 * portal / np.maximum(portal + hepatic, 1e-6))
        return Region(geometry, lesion, liver, veins, share, phases)


def region_input(
    reference: Volume,
    label: PhaseLabel,
    others: Sequence[tuple[AlignedPhase, PhaseLabel]],
    liver: NDArray[np.bool_],
    coarse: Geometry,
) -> tuple[NDArray[np.float32], Geometry, dict[int, float]]:
    """The input of the network, its grid, and the liver's median in HU of each channel that holds a phase.

    liver: on the organ network's grid `coarse`. Of two phases for one channel the first counts.
    """
    whole = model_geometry(reference.geometry, SPACING_MM)
    box = native_box(liver, coarse, whole, _MARGIN_MM)
    geometry = whole.crop(box)
    inside = onto_native(liver.astype(np.float32), coarse, geometry) > 0.75
    image = np.zeros((4, *geometry.shape), np.float32)
    levels: dict[int, float] = {}
    volumes = [(reference, SLOTS.get(label, _UNKNOWN_SLOT))]
    for phase, name in others:
        if name in SLOTS:
            volumes.append((Volume(phase.hu, reference.geometry.crop(phase.box), reference.modality), SLOTS[name]))
    for volume, slot in volumes:
        level = _fill(image[slot], volume, geometry, inside) if slot not in levels else None
        if level is not None:
            levels[slot] = level
    return image, geometry, levels


def _fill(channel: NDArray[np.float32], volume: Volume, geometry: Geometry, liver: NDArray[np.bool_]) -> float | None:
    """One phase relative to its liver, whose median is returned; None, and nothing written, where it reaches none."""
    gone = volume.array == NOT_COVERED_HU
    hu = Volume(np.where(gone, np.int16(PADDING_HU), volume.array), volume.geometry, volume.modality)
    values = onto_model(hu, geometry)
    seen = reached(volume.geometry, geometry)
    if gone.any():
        seen &= onto_native(gone.astype(np.float32), volume.geometry, geometry) < 0.25
    sample = values[liver & seen]
    if sample.size < 1000:
        return None
    level = float(np.median(sample))
    channel[...] = np.clip((values - level) / RELATIVE_HU, -LIMIT, LIMIT)
    channel[~seen] = 0
    return level


def finer_map(region: Region, organs: OrganMap) -> OrganMap:
    """What both networks say of the liver region, at 1.2 mm: the mean of their log-odds tells liver from the rest.

    Which tree a vein belongs to is told from where it leads (`tell_trees`); specks of vein become liver.
    organs: of the organ network; its stray parts of the liver are expected to be gone from its labels.
    """
    place = region.geometry
    first = organs.liver_score if organs.liver_score is not None else organs.liver.astype(np.uint8) * np.uint8(255)
    odds = 0.5 * (onto_native(SCORE_LOGIT[first], organs.geometry, place) + SCORE_LOGIT[region.liver])
    labels = np.where(odds > 0, np.uint8(Organ.LIVER), np.uint8(Organ.BACKGROUND))
    trunk, vena_cava = (
        onto_native((organs.labels == organ).astype(np.float32), organs.geometry, place) > 0.5
        for organ in (Organ.PORTAL_VEIN, Organ.VENA_CAVA)
    )
    portal = region.portal.astype(np.float32) / np.float32(255)
    veins = tell_trees(region.veins > 0, portal, odds > 0, trunk, vena_cava, SPACING_MM)
    labels[veins > 0] = Organ.HEPATIC_VESSEL
    labels[region.lesion > np.maximum(region.liver // 2, 127)] = Organ.LESION
    score = np.rint(255 / (1 + np.exp(-odds))).astype(np.uint8)
    return OrganMap(labels, region.lesion, place, score, np.where(labels == Organ.HEPATIC_VESSEL, veins, np.uint8(0)))
