"""Small virtual studies and their analysis, shared by the tests of the whole run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from hepar.simulate import Lesion, PhaseSettings, SimulationSettings, simulate

SEED = 3
PHASES = (
    PhaseSettings("native", description="Native"),
    PhaseSettings("arterial", description="Art 35s", shift_lps_mm=(0.0, 0.0, 6.0)),
    PhaseSettings("portal_venous", description="PV"),
)
LESIONS = (Lesion.ball("hcc", 40.0), Lesion.ball("hcc", 26.0))


@dataclass(frozen=True)
class Run:
    """A finished command: exit code, what it printed, and the folder it wrote."""

    code: int
    out: str
    err: str
    folder: Path

    def document(self) -> dict[str, Any]:
        return json.loads((self.folder / "findings.json").read_text())

    def mask(self, name: str) -> np.ndarray:
        return np.asanyarray(nibabel.load(self.folder / "masks" / f"{name}.nii.gz").dataobj)


def hepar(*arguments: object, folder: Path = Path()) -> Run:
    """Run the command line in a process of its own, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "hepar", *map(str, arguments)], capture_output=True, text=True, timeout=600
    )
    return Run(done.returncode, done.stdout, done.stderr, folder)


def study(folder: Path, **changes: object) -> Path:
    """A small virtual study: three phases, two carcinomas of 40 and 26 mm. Gives the folder of its images."""
    settings = SimulationSettings.small(**({"phases": PHASES, "lesions": LESIONS} | changes))
    return simulate(folder, settings, SEED).study_dir


def analysed(source: Path, folder: Path, *options: object) -> Run:
    """`hepar analyze`, which must end well."""
    run = hepar("analyze", source, "-o", folder, *options, folder=folder)
    assert run.code == 0, run.err
    return run
