"""Step 4: outlines and aligned phases in, findings out; and the phase labels that enhancement confirms."""

from hepar.measure.contrast import OrganHu, OrganValue, organ_enhancement
from hepar.measure.findings import measure
from hepar.measure.phase import PhaseEvidence, choose_reference, fuse, fuse_study, phase_evidence
from hepar.measure.settings import MeasureSettings
from hepar.measure.size import axial_diameters, long_axis_mm, max_3d_diameter, volume_ml

__all__ = [
    "MeasureSettings", "OrganHu", "OrganValue", "PhaseEvidence", "axial_diameters", "choose_reference", "fuse",
    "fuse_study", "long_axis_mm", "max_3d_diameter", "measure", "organ_enhancement", "phase_evidence", "volume_ml",
]  # fmt: skip
