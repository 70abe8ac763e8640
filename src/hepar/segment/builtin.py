"""The built-in engine: organs at 3 mm, the liver region at 1.2 mm, outlines on the scan's own grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.record import AlignedPhase, Anatomy, Geometry, Notice, OperatingPoint, Organ, OrganMap, PhaseLabel, Volume
from hepar.segment.confidence import confidence_file, confidence_sha256, curve_of, operating_point
from hepar.segment.engine import Progress, silent
from hepar.segment.grid import model_geometry, onto_model, onto_native
from hepar.segment.lesions import Lesions, outline_lesions
from hepar.segment.liver import cut_notice, find_liver, liver_parts, outline_liver
from hepar.segment.network import Network
from hepar.segment.outside import beside_liver
from hepar.segment.region import RegionNetwork, finer_map, region_input
from hepar.segment.settings import SegmentSettings
from hepar.segment.site import SiteModel
from hepar.segment.vessels import outline_vessels

_MISSED_ML, _MISSED_SHARE = 3.0, 0.1
_LIVER = (Organ.LIVER, Organ.LESION, Organ.HEPATIC_VESSEL)


class Builtin:
    """Implements `Engine`. weights, region_weights: other files than those that ship, for tests and training.

    site: a site's own region network and confidence in place of the shipped ones.
    """

    name = "builtin"

    def __init__(
        self,
        settings: SegmentSettings,
        weights: Path | None = None,
        region_weights: Path | None = None,
        site: SiteModel | None = None,
    ) -> None:
        self.settings = settings
        region_weights = site.region if site else region_weights
        self.network = Network(weights, settings.precision, settings.threads, settings.window_voxels)
        self.region = RegionNetwork(region_weights, settings.precision, settings.threads, settings.window_voxels)
        self.precision = settings.precision
        self.version = f"{self.network.version} {self.region.version}"
        self.described = site.described if site else None
        self._confidence = json.loads(site.confidence) if site else None
        shown_by = site.files["confidence.json"] if site else confidence_sha256()
        if site:
            self.version += f" site-{site.version}-{site.sha256[:12]}"
        self.weights_sha256 = hashlib.sha256((self.network.sha256 + self.region.sha256 + shown_by).encode()).hexdigest()

    def organs(self, volume: Volume, progress: Progress = silent) -> OrganMap:
        """See `Engine.organs`."""
        if volume.modality != "CT":
            raise Refused(f"the built-in model outlines CT only, got {volume.modality}; no model supports it yet")
        geometry = model_geometry(volume.geometry)
        hu = onto_model(volume, geometry)
        progress(0.4)
        labels, lesion, score = self.network.probabilities(hu)
        liver = find_liver(OrganMap(labels, lesion, geometry, score), hu, self.settings)
        stray = np.isin(labels, _LIVER) & ~liver
        labels[stray] = Organ.BACKGROUND
        progress(1.0)
        return OrganMap(labels, lesion, geometry, score)

    def anatomy(
        self,
        reference: Volume,
        organs: OrganMap,
        others: Sequence[AlignedPhase] = (),
        progress: Progress = silent,
        *,
        labels: Sequence[PhaseLabel] = (),
    ) -> Anatomy:
        """See `Engine.anatomy`."""
        native, finer, lesions = self.propose(reference, organs, others, progress, labels=labels)
        outside = (lesions.labels > 0) & ~native
        notices = cut_notice(reference, native) + _missed(outside, lesions.labels, reference.geometry)
        native |= lesions.labels > 0
        progress(0.9)
        veins = outline_vessels(reference, finer, native, lesions.labels)
        progress(1.0)
        return Anatomy(
            geometry=reference.geometry,
            liver=native,
            lesions=lesions.labels,
            veins=veins,
            confidence=lesions.confidence,
            notices=notices,
            operating_point=self._operating_point(sum(phase.accepted for phase in others)),
        )

    def _operating_point(self, others: int) -> OperatingPoint | None:
        """The one that was applied; None where a limit of its own was, or other weights than the figures belong to."""
        document = self._confidence or confidence_file()
        weights = {"liver3mm": self.network.sha256, "region": self.region.sha256}
        if self.settings.lesion_min_confidence is not None or document.get("weights", weights) != weights:
            return None
        return operating_point(document, 1 + others, self.settings.operating_point)

    def propose(
        self,
        reference: Volume,
        organs: OrganMap,
        others: Sequence[AlignedPhase] = (),
        progress: Progress = silent,
        *,
        labels: Sequence[PhaseLabel] = (),
    ) -> tuple[NDArray[np.bool_], OrganMap, Lesions]:
        """The liver on the native grid, what the networks say at 1.2 mm, and the lesions with their features."""
        names = labels or ["unknown"] * (1 + len(others))
        named = [(phase, name) for phase, name in zip(others, names[1:], strict=True) if phase.accepted]
        coarse = liver_parts(organs, self.settings)
        image, geometry, levels = region_input(reference, names[0], named, coarse, organs.geometry)
        progress(0.1)
        self.network.release()
        region = self.region.look(image, geometry, len(levels))
        self.region.release()
        none = beside_liver(region, organs, image, levels)
        region.lesion[none], region.liver[none] = 0, 0
        del image, none
        finer = finer_map(region, organs)
        liver = liver_parts(finer, self.settings)
        progress(0.3)
        native = outline_liver(reference, finer, liver, self.settings)
        progress(0.6)
        coarse_score = np.rint(onto_native(organs.lesion_score, organs.geometry, finer.geometry)).astype(np.uint8)
        lesions = outline_lesions(
            reference, finer, coarse_score, liver, native, [phase for phase, _ in named], self.settings,
            curve_of(self._confidence, 1 + len(named)) if self._confidence else None,
        )  # fmt: skip
        return native, finer, lesions


def _missed(outside: NDArray[np.bool_], lesions: NDArray[np.uint16], geometry: Geometry) -> tuple[Notice, ...]:
    """`liver_missed_tumour` when much of the tumour lies beyond the liver's outline as first drawn."""
    ml = float(outside.sum()) * geometry.voxel_volume_ml
    share = float(outside.sum()) / max(1, int((lesions > 0).sum()))
    if ml < _MISSED_ML or share < _MISSED_SHARE:
        return ()
    text = (
        f"{ml:.0f} ml of tumour lie beyond the liver's outline as first drawn and were added to it: look whether"
        " the liver holds all of the tumour"
    )
    return (Notice("liver_missed_tumour", text),)
