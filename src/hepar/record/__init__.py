"""What the steps hand on to each other: frozen, plain, valid once built. No files, no network."""

from hepar.record.alignment import NOT_COVERED_HU, AlignedPhase, Box, Residual, Transform
from hepar.record.anatomy import Anatomy, Organ, OrganMap, Vein
from hepar.record.estimate import Estimate
from hepar.record.finding import (
    Burden,
    Diameter,
    Enhancement,
    Findings,
    LesionFinding,
    LiverFinding,
    PhaseMean,
)
from hepar.record.geometry import Geometry
from hepar.record.notice import Notice
from hepar.record.operating import OperatingPoint, SizeRecall
from hepar.record.provenance import DISCLAIMER, Provenance
from hepar.record.study import (
    PHASE_LABELS,
    UNKNOWN_PHASE,
    ArterialTiming,
    LabelSource,
    Phase,
    PhaseGuess,
    PhaseLabel,
    Skipped,
    SourceFrame,
    SourceLayout,
    Study,
)
from hepar.record.uid import derived_uid
from hepar.record.volume import PADDING_HU, Modality, Volume

__all__ = [
    "DISCLAIMER", "NOT_COVERED_HU", "PADDING_HU", "PHASE_LABELS", "UNKNOWN_PHASE",
    "AlignedPhase", "Anatomy", "ArterialTiming", "Box", "Burden", "Diameter", "Enhancement", "Estimate", "Findings",
    "Geometry", "LabelSource", "LesionFinding", "LiverFinding", "Modality", "Notice", "OperatingPoint",
    "Organ", "OrganMap", "Phase",
    "PhaseGuess", "PhaseLabel", "PhaseMean", "Provenance", "Residual", "SizeRecall",
    "Skipped", "SourceFrame", "SourceLayout",
    "Study", "Transform", "Vein", "Volume", "derived_uid",
]  # fmt: skip
