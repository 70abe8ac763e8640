"""Virtual patients with known truth: anatomy, contrast, breathing, scanner, DICOM.

`simulate(out_dir, SimulationSettings(), seed)` writes a study and its truth; `SimulationSettings.small()` is a quick
one for tests. `simulate_case(out_dir, load_distribution("virtual60"), number)` draws a patient from a stated
distribution. `hepar.simulate.anatomy` gives label volumes alone, `hepar.simulate.phantom` exact solids for measuring.
"""

from .case import simulate_case
from .contrast import LesionKind
from .distribution import Distribution, load_distribution
from .labelled import Labelled, load_labelled
from .lesions import Lesion
from .scanner import Scanner
from .settings import DEMO_LESIONS, FOUR_PHASES, PhaseSettings, SimulationSettings
from .study import SimulatedStudy, simulate

__all__ = [
    "DEMO_LESIONS", "FOUR_PHASES", "Distribution", "Labelled", "Lesion", "LesionKind", "PhaseSettings", "Scanner",
    "SimulatedStudy", "SimulationSettings", "load_distribution", "load_labelled", "simulate", "simulate_case",
]  # fmt: skip
