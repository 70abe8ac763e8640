"""What is simulated: every setting of a virtual study, frozen, with its unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hepar.errors import WrongCall

from .contrast import DELAY_S
from .lesions import Lesion
from .scanner import Scanner
from .shapes import Point

PhaseName = Literal["native", "arterial_early", "arterial", "portal_venous", "delayed"]
Axis = Literal["slice", "row", "column"]
Output = Literal["dicom", "enhanced", "nifti"]


@dataclass(frozen=True)
class PhaseSettings:
    """One contrast phase.

    label: what it is; arterial means late arterial. delay_s: seconds after the start of injection (default: usual for
    the label). description: SeriesDescription as a hospital would write it ("" for none). shift_lps_mm: where the
    organs lie against rest (z positive: towards the head, that is breathed out further). bend_mm: root mean square of
    the smooth bend on top. tell_times: whether the tags give acquisition and injection times that allow the delay.
    """

    label: PhaseName
    delay_s: float | None = None
    description: str = ""
    shift_lps_mm: Point = (0.0, 0.0, 0.0)
    bend_mm: float = 0.0
    tell_times: bool = True

    def __post_init__(self) -> None:
        if self.label not in DELAY_S:
            raise WrongCall(f"phase label {self.label!r} is unknown; take one of {', '.join(DELAY_S)}")

    @property
    def seconds(self) -> float:
        return DELAY_S[self.label] if self.delay_s is None else self.delay_s

    @property
    def clinical_label(self) -> str:
        """The label as `findings.json` writes it: native, arterial, portal_venous or delayed."""
        return "arterial" if self.label.startswith("arterial") else self.label

    @property
    def arterial_timing(self) -> str:
        """early, late, or unknown for the other phases."""
        return {"arterial_early": "early", "arterial": "late"}.get(self.label, "unknown")


FOUR_PHASES = (
    PhaseSettings("native", None, "Native", (0.0, 0.0, 0.0), 0.0),
    PhaseSettings("arterial", None, "Art 35s", (0.6, -1.2, 5.0), 0.8),
    PhaseSettings("portal_venous", None, "PV", (-0.5, 0.8, -3.0), 0.8),
    PhaseSettings("delayed", None, "Delayed 3min", (0.4, -0.6, 2.0), 0.8),
)

DEMO_LESIONS = (
    Lesion("hcc", (23.0, 20.5, 21.5), irregularity=0.06, rim_mm=1.6, core=0.4),
    Lesion("hcc", (11.5, 10.5, 11.0), irregularity=0.05),
    Lesion.ball("hcc", 13.0),
    Lesion.ball("cyst", 9.0),
)


@dataclass(frozen=True)
class SimulationSettings:
    """A virtual study. The defaults are the demo's: four phases of 120 slices of 512 x 512, three carcinomas, a cyst.

    shape: slices, rows, columns. spacing_mm: along the slice axis (of the table, when tilted), row, column.
    centre_lps_mm: middle of the volume; z = 0 is the liver's hilum, its dome lies at about +95, its tip at -90.
    scanner: noise, blur, thickness, padding. liver_ml, cirrhosis_mm: as in `draw_patient`.
    strength: scales all enhancement (1 is the contrast table).
    flip: axes along which the stored pixel order is reversed (the anatomy stays where it is).
    tilt_deg: gantry tilt; slices are tilted about x and stepped along the table, so the grid is sheared.
    oblique_deg: the whole grid turned about z and then x, slices staying perpendicular to their axis.
    one_series: all phases in a single series, told apart by acquisition number and time.
    shuffle_names: random file names without extension, in no order. output: classic DICOM (a file per slice),
    enhanced multi-frame DICOM (a file per phase), or NIfTI.
    """

    phases: tuple[PhaseSettings, ...] = FOUR_PHASES
    lesions: tuple[Lesion, ...] = DEMO_LESIONS
    shape: tuple[int, int, int] = (120, 512, 512)
    spacing_mm: tuple[float, float, float] = (2.5, 0.75, 0.75)
    centre_lps_mm: Point = (0.0, 4.0, 10.0)
    scanner: Scanner = field(default_factory=Scanner)
    liver_ml: float | None = None
    cirrhosis_mm: float | None = None
    strength: float = 1.0
    age_years: int = 62
    sex: Literal["M", "F"] = "M"
    output: Output = "dicom"
    flip: tuple[Axis, ...] = ()
    tilt_deg: float = 0.0
    oblique_deg: float = 0.0
    one_series: bool = False
    shuffle_names: bool = False

    def __post_init__(self) -> None:
        if not self.phases:
            raise WrongCall("a study needs at least one phase, got none")
        if min(self.shape) < 2 or min(self.spacing_mm) <= 0:
            raise WrongCall(f"a study needs at least 2 voxels and a positive spacing along each axis, got shape"
                            f" {self.shape} and spacing {self.spacing_mm} mm")  # fmt: skip
        if abs(self.tilt_deg) > 30 or (self.tilt_deg and (self.oblique_deg or self.output != "dicom")):
            raise WrongCall(f"gantry tilt goes up to 30 degrees, in plain DICOM only and not together with"
                            f" oblique_deg; got tilt {self.tilt_deg}, output {self.output}")  # fmt: skip
        if not 0 <= len(self.lesions) <= 200:
            raise WrongCall(f"at most 200 lesions, got {len(self.lesions)}")

    @classmethod
    def small(cls, **changes: object) -> SimulationSettings:
        """A study for tests: 40 slices of 128 x 128 at 5 x 3 x 3 mm, one ball of 30 mm in one portal venous phase."""
        values: dict[str, object] = {
            "phases": (PhaseSettings("portal_venous", description="PV"),),
            "lesions": (Lesion.ball("hcc", 30.0),),
            "shape": (40, 128, 128),
            "spacing_mm": (5.0, 3.0, 3.0),
            "scanner": Scanner(thickness_mm=5.0, blur_mm=1.2),
        }
        return cls(**(values | changes))  # type: ignore[arg-type]
