"""The built-in engine: one small network at 3 mm, outlines brought back to the scan's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused
from hepar.record import NOT_COVERED_HU, PADDING_HU, AlignedPhase, Anatomy, Organ, OrganMap, Volume
from hepar.segment.engine import Progress, silent
from hepar.segment.grid import model_geometry, onto_model
from hepar.segment.lesions import outline_lesions
from hepar.segment.liver import cut_notice, find_liver, liver_parts, outline_liver
from hepar.segment.network import Network
from hepar.segment.place import native_box
from hepar.segment.settings import SegmentSettings
from hepar.segment.vessels import outline_vessels

_CONTEXT_MM = 30.0
_LIVER = (Organ.LIVER, Organ.LESION, Organ.HEPATIC_VESSEL)


class Builtin:
    """Implements `Engine`. weights: another file than the one that ships, for tests and training."""

    name = "builtin"

    def __init__(self, settings: SegmentSettings, weights: Path | None = None) -> None:
        self.settings = settings
        self._network = Network(weights, settings.precision, settings.threads, settings.window_voxels)
        self.precision = settings.precision
        self.version = self._network.version
        self.weights_sha256 = self._network.sha256

    def organs(self, volume: Volume, progress: Progress = silent) -> OrganMap:
        """See `Engine.organs`."""
        if volume.modality != "CT":
            raise Refused(f"the built-in model outlines CT only, got {volume.modality}; no model supports it yet")
        geometry = model_geometry(volume.geometry)
        hu = onto_model(volume, geometry)
        progress(0.4)
        labels, lesion, score = self._network.probabilities(hu)
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
    ) -> Anatomy:
        """See `Engine.anatomy`."""
        liver = liver_parts(organs, self.settings)
        progress(0.05)
        native = outline_liver(reference, organs, liver, self.settings)
        progress(0.4)
        used = [phase for phase in others if phase.accepted]
        score = self.lesion_score(reference, organs, liver, used)
        progress(0.6)
        lesions = outline_lesions(reference, organs, score, liver, native, used, self.settings)
        native |= lesions.labels > 0
        progress(0.9)
        vessels = outline_vessels(reference, organs, native, lesions.labels)
        progress(1.0)
        return Anatomy(
            geometry=reference.geometry,
            liver=native,
            lesions=lesions.labels,
            vessels=vessels,
            confidence=lesions.confidence,
            notices=cut_notice(reference, native),
        )

    def lesion_score(
        self, reference: Volume, organs: OrganMap, liver: NDArray[np.bool_], others: Sequence[AlignedPhase]
    ) -> NDArray[np.uint8]:
        """255 x P(lesion), the highest of the reference and every other phase on it (each inside its own liver).

        liver: on the model's grid. The other phases are looked at in a box around it. The highest, because a carcinoma
        may show in one phase only; what that lets through is sorted out by the confidence.
        """
        highest = organs.lesion_score.copy()
        box = native_box(liver, organs.geometry, organs.geometry, _CONTEXT_MM)
        place = organs.geometry.crop(box)
        for phase in others:
            hu = np.where(phase.hu == NOT_COVERED_HU, PADDING_HU, phase.hu).astype(np.int16)
            part = Volume(hu, reference.geometry.crop(phase.box), reference.modality)
            labels, lesion, _ = self._network.probabilities(onto_model(part, place))
            highest[box] = np.maximum(highest[box], np.where(np.isin(labels, _LIVER), lesion, 0))
        return highest
