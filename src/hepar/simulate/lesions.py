"""Lesions of the liver: what is asked for, where it comes to lie, and its exact shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall

from .anatomy import Patient
from .contrast import LesionKind
from .shapes import Field, Grid, Point, rotation


@dataclass(frozen=True)
class Lesion:
    """A lesion to be put into the liver.

    semi_axes_mm: along x, y and z before turning; a ball has three equal ones.
    centre_lps_mm: given, or None for a drawn place inside the liver, away from big vessels and other lesions.
    turn_deg: rotation about x, y, z. irregularity: 0 is an exact ellipsoid, 0.1 a knobbly one (share of the radius).
    rim_mm: thickness of a capsule (hcc) or of the enhancing edge (metastasis, haemangioma), inside the outer surface.
    core: radius of the necrotic core as a share of the lesion's, 0 for none.
    hu: HU of the body per phase label, overriding the contrast table, as ((label, hu), ...).
    """

    kind: LesionKind
    semi_axes_mm: Point
    centre_lps_mm: Point | None = None
    turn_deg: Point = (0.0, 0.0, 0.0)
    irregularity: float = 0.0
    rim_mm: float = 0.0
    core: float = 0.0
    hu: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if min(self.semi_axes_mm) <= 0 or not 0 <= self.core < 1 or not 0 <= self.irregularity <= 0.25:
            raise WrongCall(
                f"a lesion needs positive semi-axes, a core below 1 and an irregularity up to 0.25, got {self}"
            )

    @classmethod
    def ball(cls, kind: LesionKind, diameter_mm: float, centre_lps_mm: Point | None = None, *,
             irregularity: float = 0.0, rim_mm: float = 0.0, core: float = 0.0) -> Lesion:  # fmt: skip
        """A round lesion."""
        r = diameter_mm / 2
        return cls(kind, (r, r, r), centre_lps_mm, (0.0, 0.0, 0.0), irregularity, rim_mm, core)


@dataclass(frozen=True, eq=False)
class PlacedLesion:
    """A lesion with its place (patient at rest) and the waves of its surface."""

    spec: Lesion
    centre_lps_mm: Point
    waves: NDArray[np.float64]  # (n, 5): direction x, y, z times frequency; phase; height

    def scale(self, direction: NDArray[np.float64]) -> NDArray[np.float64]:
        """Radius as a share of the ellipsoid's, for unit directions (..., 3) in the lesion's own axes."""
        out = np.ones(direction.shape[:-1])
        for wave in self.waves:
            out = out + wave[4] * np.sin(direction @ wave[:3] + wave[3])
        return out

    def distance(self, x: Field, y: Field, z: Field, centre: Point, size: float = 1.0) -> Field:
        """Distance of points (broadcastable LPS mm) to the surface of the lesion, moved to centre and
        scaled by size; negative inside.
        Zero exactly on the surface; close to it, right to first order along the radius."""
        back = rotation(self.spec.turn_deg).T
        dx, dy, dz = ((p - np.float32(c)) / np.float32(size) for p, c in zip((x, y, z), centre, strict=True))
        local = [back[k, 0] * dx + back[k, 1] * dy + back[k, 2] * dz for k in range(3)]
        unit = [a / s for a, s in zip(local, self.spec.semi_axes_mm, strict=True)]
        share = np.sqrt(unit[0] ** 2 + unit[1] ** 2 + unit[2] ** 2)
        slope = np.sqrt(sum((a / s) ** 2 for a, s in zip(unit, self.spec.semi_axes_mm, strict=True)))
        if len(self.waves):
            way = np.stack(np.broadcast_arrays(*unit), -1) / np.maximum(share, 1e-6)[..., None]
            surface = self.scale(way)
        else:
            surface = np.ones_like(share)
        length = np.where(slope > 1e-5, share / np.maximum(slope, 1e-5), min(self.spec.semi_axes_mm))
        return np.asarray((share - surface) * length * size, dtype=np.float32)

    @property
    def reach_mm(self) -> float:
        """No point of the lesion is further from its centre than this."""
        return max(self.spec.semi_axes_mm) * (1 + float(np.abs(self.waves[:, 4]).sum()))

    def surface(self, count: int = 20000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Evenly spread unit directions in the lesion's own axes, and the surface points seen from the centre."""
        k = np.arange(count) + 0.5
        height, turn = 1 - 2 * k / count, pi * (1 + 5**0.5) * k
        radius = np.sqrt(1 - height**2)
        way = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], -1)
        local = way * self.scale(way)[:, None] * np.asarray(self.spec.semi_axes_mm)
        return way, local @ rotation(self.spec.turn_deg).T

    @property
    def volume_ml(self) -> float:
        """Analytic for an ellipsoid; for a knobbly lesion the integral of the cubed radius over 20,000 directions."""
        a, b, c = self.spec.semi_axes_mm
        share = 1.0 if not len(self.waves) else float((self.scale(self.surface()[0]) ** 3).mean())
        return 4 * pi * a * b * c * share / 3000

    @property
    def max_3d_diameter_mm(self) -> float:
        """Largest distance between two points of the surface."""
        if not len(self.waves):
            return 2 * max(self.spec.semi_axes_mm)
        points = self.surface(2500)[1]
        square = (points**2).sum(1)
        return float(np.sqrt((square[:, None] + square[None] - 2 * points @ points.T).max()))

    @property
    def axial_long_axis_mm(self) -> float:
        """Longest diameter in any axial plane: exact for an ellipsoid, to about 0.5 mm for a knobbly lesion."""
        if not len(self.waves):
            turn = rotation(self.spec.turn_deg)
            form = turn @ np.diag(1 / np.square(self.spec.semi_axes_mm)) @ turn.T
            return float(2 / np.sqrt(np.linalg.eigvalsh(form[:2, :2])[0]))
        from scipy.spatial import ConvexHull

        points = self.surface(60000)[1]
        longest = 0.0
        for z in np.arange(-self.reach_mm, self.reach_mm, 0.5):
            ring = points[np.abs(points[:, 2] - z) < 0.25, :2]
            if len(ring) > 3:
                ring = ring[ConvexHull(ring).vertices]
                longest = max(longest, float(np.linalg.norm(ring[:, None] - ring[None], axis=2).max()))
        return longest


def place_lesions(patient: Patient, lesions: tuple[Lesion, ...], rng: np.random.Generator) -> tuple[PlacedLesion, ...]:
    """Find a place for every lesion, big ones first. Raises WrongCall where one does not fit into the liver."""
    box = patient.structure("liver").box
    step = 4.0
    shape = tuple(int((box[1][a] - box[0][a]) / step) + 1 for a in (2, 1, 0))
    grid = Grid(box[0], (step, step, step), (shape[0], shape[1], shape[2]))
    liver, vessel = patient.liver(grid), patient.big_vessels(grid)
    placed: dict[int, PlacedLesion] = {}
    for index in sorted(
        range(len(lesions)), key=lambda i: (lesions[i].centre_lps_mm is None, -max(lesions[i].semi_axes_mm))
    ):
        spec = lesions[index]
        one = PlacedLesion(spec, (0.0, 0.0, 0.0), _waves(spec, rng))
        if spec.centre_lps_mm is not None:
            placed[index] = PlacedLesion(spec, spec.centre_lps_mm, one.waves)
            continue
        found = _find_place(patient, one, list(placed.values()), grid, liver, vessel, rng)
        if found is None:
            raise WrongCall(
                f"lesion {index + 1} of {2 * one.reach_mm:.0f} mm found no place in a liver of"
                f" {patient.liver_ml:.0f} ml; ask for smaller or fewer lesions, or give its centre"
            )
        placed[index] = PlacedLesion(spec, found, one.waves)
    return tuple(placed[i] for i in range(len(lesions)))


def _find_place(
    patient: Patient,
    lesion: PlacedLesion,
    others: list[PlacedLesion],
    grid: Grid,
    liver: Field,
    vessel: Field,
    rng: np.random.Generator,
) -> Point | None:
    """A drawn centre inside the liver and apart from the others; nearer to big vessels only where there is no other."""
    for clearance in (min(lesion.reach_mm, 24.0), 0.5 * min(lesion.reach_mm, 24.0), -1e3):
        deep = (liver < -0.75 * min(lesion.spec.semi_axes_mm) - 2) & (vessel > clearance)
        candidates = np.argwhere(deep)[:, ::-1] * grid.spacing_mm[0] + np.asarray(grid.origin_mm)
        rng.shuffle(candidates)
        for candidate in candidates[:300] + rng.uniform(-2, 2, (len(candidates[:300]), 3)):
            centre = (float(candidate[0]), float(candidate[1]), float(candidate[2]))
            apart = all(
                np.linalg.norm(candidate - other.centre_lps_mm) > lesion.reach_mm + other.reach_mm + 8
                for other in others
            )
            if apart and _inside(patient, lesion, centre):
                return centre
    return None


def _waves(spec: Lesion, rng: np.random.Generator) -> NDArray[np.float64]:
    if spec.irregularity == 0:
        return np.zeros((0, 5))
    count = 5
    way = rng.normal(size=(count, 3))
    way *= rng.uniform(2.0, 4.5, (count, 1)) / np.linalg.norm(way, axis=1, keepdims=True)
    height = spec.irregularity * rng.uniform(0.6, 1.0, (count, 1)) * np.sqrt(2 / count)
    return np.hstack([way, rng.uniform(0, 2 * pi, (count, 1)), height])


def _inside(patient: Patient, lesion: PlacedLesion, centre: Point) -> bool:
    """Whether the whole surface lies at least 2 mm inside the liver."""
    r = lesion.reach_mm
    count = int(np.ceil(2 * r / 3)) + 1
    grid = Grid((centre[0] - r, centre[1] - r, centre[2] - r), (3.0, 3.0, 3.0), (count, count, count))
    x, y, z = grid.axes()
    covered = lesion.distance(x, y, z, centre) < 2
    return bool((patient.liver(grid)[covered] < -2).all())
