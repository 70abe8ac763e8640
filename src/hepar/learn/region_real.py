"""Judge an exported region network on a labelled CT, in the crop that `hepar analyze` gives it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepar import pipeline
from hepar.errors import WrongCall
from hepar.ingest.label_map import VoxelMap, read_label_map
from hepar.learn.classes import EITHER_VEIN, IGNORE, NOT_LIVER, PHASE_SLOTS, REGION_CLASS_NAMES
from hepar.learn.evaluate import network_in
from hepar.learn.region_evaluate import judge
from hepar.learn.region_sample import RegionSample
from hepar.record import Geometry, Organ
from hepar.segment.builtin import Builtin
from hepar.segment.external.nifti import nearest
from hepar.segment.liver import liver_parts
from hepar.segment.region import Region, region_input
from hepar.segment.settings import SegmentSettings
from hepar.settings import Settings

_TARGET_OF: Final = {Organ.LIVER: 1, Organ.LESION: 2, Organ.HEPATIC_VESSEL: EITHER_VEIN, IGNORE: IGNORE}
"""Number in a label file -> class of the region network."""
_PHASE_OF: Final = (0, 2, 3, 4)
"""Input channel -> phase as `RegionSample` numbers it."""


def judge_real(name: str, network: Path, image: Path, labels: Path, *, threads: int = 2) -> dict[str, Any]:
    """What `judge` says of the network alone on a CT (anything that `hepar analyze` reads), as a plain row.

    labels: a label map in place, 1 liver, 2 lesion, 12 vein inside the liver, 255 unknown; anything else is no liver.
    Without a lesion in it lesions are not judged, since nobody knows whether there are none. What lies outside the crop
    counts for nothing. Raises WrongCall where the labels hold no liver in it, and whatever reading and outlining the
    scan raises.
    """
    network_in(network, channels=len(PHASE_SLOTS), classes=len(REGION_CLASS_NAMES))  # refused before the scan is read
    engine = Builtin(SegmentSettings(threads=threads), region_weights=network)
    region, sample, labelled = _seen(name, engine, image, labels)
    lesion, liver = (field * np.float32(1 / 255) for field in (region.lesion, region.liver))
    veins = [(region.veins == tree).astype(np.float32) for tree in (1, 2)]
    row = asdict(judge(name, np.stack([1 - liver, liver - lesion, lesion, *veins]), sample))
    if not labelled:
        why = "the labels hold no lesion (2), so only liver and veins are judged"
        row |= dict.fromkeys(("lesion_dice", "lesions", "found", "false")) | {"lesions_missing": why}
    return row


def _seen(name: str, engine: Builtin, image: Path, labels: Path) -> tuple[Region, RegionSample, bool]:
    """What the region network says of the scan, the labels on its grid, and whether they hold lesions at all."""
    drawn = read_label_map(labels)
    with tempfile.TemporaryDirectory() as folder:
        ready = pipeline.prepare(
            pipeline.Request(image, modality="CT"), Settings(segment=engine.settings), engine, Path(folder),
            pipeline.Clock(), lambda step, share: None,
        )  # fmt: skip
        organs, phases = ready.organs[ready.reference.id], ready.labels
        others = list(zip(ready.others, phases[1:], strict=True))
        coarse = liver_parts(organs, engine.settings)
        pixels, grid, levels = region_input(ready.reference.volume, phases[0], others, coarse, organs.geometry)
    target = target_of(drawn, grid)
    seen = engine.region.look(pixels, grid, len(levels))
    sample = RegionSample(pixels.astype(np.float16), target, tuple(_PHASE_OF[slot] for slot in sorted(levels)), name)
    return seen, sample, bool((drawn.values == Organ.LESION).any())


def target_of(drawn: VoxelMap, grid: Geometry) -> NDArray[np.uint8]:
    """Labels as classes of the region network on its grid, nearest voxel; IGNORE where they do not reach.

    Raises WrongCall where no voxel of it is liver.
    """
    codes = np.full(drawn.values.shape, NOT_LIVER, np.uint8)
    for number, code in _TARGET_OF.items():
        codes[drawn.values == number] = code
    target = nearest(codes, drawn.geometry, grid)
    target[target == 0] = IGNORE
    target[target == NOT_LIVER] = 0
    if not np.isin(target, (1, 2, EITHER_VEIN)).any():
        held = ", ".join(str(n) for n in np.unique(drawn.values)[:8])
        raise WrongCall(
            f"no liver is labelled where hepar sees the liver; the labels hold the numbers {held}; needed: 1 liver,"
            " 2 lesion, 12 vein inside the liver, in the scan's place; renumber or move them"
        )
    return target
