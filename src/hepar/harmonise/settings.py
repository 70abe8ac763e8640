"""Settings of the alignment; every default has a unit and a source."""

from __future__ import annotations

from dataclasses import dataclass

from hepar.errors import WrongCall


@dataclass(frozen=True)
class HarmoniseSettings:
    """How phases are put onto the reference, and when one is kept out. Lengths in mm, CT windows in HU.

    Defaults were chosen on warped phantoms and on simulated examinations; see benchmarks/register.py.

    rim_mm: how far outside the liver voxels count. Enough for the liver's edge, too little for ribs and spine,
        along which the liver slides.
    window_low_hu, window_high_hu: CT is clipped here, so that neither air nor bone steers.
    coarse_mm, fine_mm: voxels of the linear and of the deformable stage.
    mesh_mm: distance of the B-spline's control points; breathing bends the liver over centimetres, not millimetres.
    deformable_above_mm: mean liver surface distance after the affine stage from which the liver is deformed.
    minimum_liver_ml: less liver than this in a phase is no liver to align.
    minimum_coverage: share of the reference liver that the phase must hold.
    minimum_overlap, maximum_surface_mm: a phase beyond one of them is kept out. They include the errors of both
        outlines (two outlines wrong by 2.5 mm each lie about 2.7 mm apart where the livers fit perfectly).
    unconfirmed_surface_mm, minimum_gain: surfaces further apart than this must be made up for by the inside: its local
        correlation has to be this many times that of the phase put beside (same patient 2.6 to 5, others 1.0 to 1.1).
    maximum_shift_mm: mean displacement that no breathing and no movement on the table explains.
    maximum_turn_deg: rotation that no patient makes between two phases.
    maximum_stretch: largest strain of the affine part (0.15: 15 %), and
    minimum_jacobian, maximum_jacobian: range of local volume change: the same liver does not grow within minutes.
    margin_mm: margin of the box around the liver.
    """

    rim_mm: float = 7.0
    window_low_hu: float = -150.0
    window_high_hu: float = 250.0
    coarse_mm: float = 5.0
    fine_mm: float = 4.0
    mesh_mm: float = 36.0
    deformable_above_mm: float = 0.5
    minimum_liver_ml: float = 100.0
    minimum_coverage: float = 0.5
    minimum_overlap: float = 0.80
    maximum_surface_mm: float = 5.0
    unconfirmed_surface_mm: float = 3.0
    minimum_gain: float = 1.5
    maximum_shift_mm: float = 150.0
    maximum_turn_deg: float = 20.0
    maximum_stretch: float = 0.15
    minimum_jacobian: float = 0.6
    maximum_jacobian: float = 1.6
    margin_mm: float = 20.0

    def __post_init__(self) -> None:
        for name in ("rim_mm", "coarse_mm", "fine_mm", "mesh_mm", "minimum_liver_ml", "margin_mm"):
            if not getattr(self, name) > 0:
                raise WrongCall(f"harmonise.{name} must be above 0, got {getattr(self, name)}")
        if not self.window_low_hu < self.window_high_hu:
            raise WrongCall(
                "harmonise.window_low_hu must lie below window_high_hu, got"
                f" {self.window_low_hu}, {self.window_high_hu}"
            )
        if not 0 < self.minimum_jacobian < 1 < self.maximum_jacobian:
            raise WrongCall(
                "harmonise.minimum_jacobian and maximum_jacobian must enclose 1 and be above 0, got"
                f" {self.minimum_jacobian}, {self.maximum_jacobian}"
            )
