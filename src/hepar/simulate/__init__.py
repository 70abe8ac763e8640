"""Virtual patients with known truth: anatomy, contrast, breathing, scanner, DICOM.

`simulate(out_dir, SimulationSettings(), seed)` writes a study and its truth; `SimulationSettings.small()` is a quick
one for tests. `hepar.simulate.anatomy` gives label volumes alone, `hepar.simulate.phantom` exact solids for measuring.
"""

from .contrast import LesionKind
from .lesions import Lesion
from .scanner import Scanner
from .settings import DEMO_LESIONS, FOUR_PHASES, PhaseSettings, SimulationSettings
from .study import SimulatedStudy, simulate

__all__ = [
    "DEMO_LESIONS", "FOUR_PHASES", "Lesion", "LesionKind", "PhaseSettings", "Scanner", "SimulatedStudy",
    "SimulationSettings", "simulate",
]  # fmt: skip
