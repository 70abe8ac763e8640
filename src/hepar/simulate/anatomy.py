"""A virtual patient: lower chest and abdomen as smooth solids, drawn from a random generator.

    from hepar.simulate.anatomy import draw_patient, patient_labels
    patient = draw_patient(np.random.default_rng(7))
    labels = patient_labels(patient, patient_grid(patient, spacing_mm=3.0, shape=(130, 110, 110)))

`labels` are tissue ids (uint8, axes slice, row, column; slices from the feet up, rows from front to back, columns from
the patient's right to left, that is LPS with growing index); `tissues.network_classes()[labels]` are the 13 classes.
Nothing is stored as voxels: the same patient can be sampled on any axis-aligned grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import organs, torso
from .liver import draw_liver
from .shapes import Grid, Solid
from .structure import Build, Habitus, Structure
from .tissues import TISSUES, network_classes

__all__ = ["TISSUES", "Grid", "Patient", "draw_patient", "network_classes", "patient_grid", "patient_labels"]


@dataclass(frozen=True)
class Patient:
    """One virtual patient at rest (no breathing). structures are in painting order, the later over the earlier."""

    build: Build
    structures: tuple[Structure, ...]
    liver: Solid
    big_vessels: Solid
    cavity: Solid
    liver_ml: float

    def structure(self, name: str) -> Structure:
        """The structure with this name. KeyError where there is none."""
        for one in self.structures:
            if one.name == name:
                return one
        raise KeyError(name)


def draw_patient(rng: np.random.Generator, liver_ml: float | None = None, cirrhosis: float | None = None,
                 habitus: Habitus | None = None) -> Patient:  # fmt: skip
    """Draw a patient. liver_ml: liver volume with its vessels (default: drawn, 1200 to 2000). cirrhosis: height of
    the surface nodules in mm (default: 0 in two thirds of the patients, else drawn up to 2). habitus: what disease
    makes of the organs (default: nothing); it draws nothing, so the rest of the patient stays as it is."""
    habitus = habitus or Habitus()
    build = Build.draw(rng)
    drawn_ml, drawn_nodes = float(rng.uniform(1200, 2000)), float(rng.uniform(0, 2) * (rng.random() < 1 / 3))
    cavity = torso.outline(build, 0, 0, 0)
    dome = torso.diaphragm(build, rng)
    wall = torso.wall(build, cavity)
    chest = torso.chest(build, rng, dome, cavity)
    bones = torso.spine(build, rng) + torso.ribs(build, rng)
    bowel = organs.bowel(build, rng)
    stomach = organs.stomach(build, rng, dome, cavity)
    kidneys, kidney_solids = organs.kidneys(build, rng)
    spleen = organs.spleen(build, rng, dome, cavity, [kidney_solids[1]], habitus.spleen_scale)
    pancreas = organs.pancreas(build, rng)
    vessels = organs.vessels(build, rng)
    gallbladder = organs.gallbladder(build, rng)
    dents = [(kidney_solids[0], 5.0), (gallbladder.solid, 1.0), (organs.named(vessels, "vena_cava"), -0.8),
             (organs.named(vessels, "aorta"), 9.0), (organs.named(bones, "disc"), 7.0),
             (organs.named(stomach, "duodenum"), 2.0)]  # fmt: skip
    liver = draw_liver(build, rng, dome, cavity, dents, drawn_ml if liver_ml is None else liver_ml,
                       drawn_nodes if cirrhosis is None else cirrhosis, habitus)  # fmt: skip
    fluid = organs.ascites(build, liver.solid, dome, habitus.ascites_mm)
    diaphragm = Structure("diaphragm", lambda grid: np.abs(dome(grid)) - np.float32(1.3), ((0.0, "diaphragm"),),
                          ((-200, -200, -40), (200, 200, build.dome_mm + 20)), 1.0, True)  # fmt: skip
    order = [*wall, chest[0], chest[1], diaphragm, *chest[2:], *fluid, *bowel, *bones, torso.oesophagus(build, rng),
             *kidneys, *pancreas, *stomach, spleen, *vessels, gallbladder, *liver.structures]  # fmt: skip
    return Patient(build, tuple(order), liver.solid, liver.big_vessels, cavity, liver.volume_ml)


def patient_grid(patient: Patient, spacing_mm: float | tuple[float, float, float],
                 shape: tuple[int, int, int], centre_z_mm: float = 0.0) -> Grid:  # fmt: skip
    """A grid centred on the body in plane and on centre_z_mm (0 is the liver's hilum, the dome about +95)."""
    spacing = (spacing_mm,) * 3 if isinstance(spacing_mm, int | float) else spacing_mm
    sz, sy, sx = (float(s) for s in spacing)
    middle = patient.build.centre_y_mm + 4
    origin = (-(shape[2] - 1) * sx / 2, middle - (shape[1] - 1) * sy / 2, centre_z_mm - (shape[0] - 1) * sz / 2)
    return Grid(origin, (sz, sy, sx), shape)


def patient_labels(patient: Patient, grid: Grid) -> NDArray[np.uint8]:
    """Tissue ids of the patient at rest at every grid point (uint8, slice, row, column). Works slab by slab, so that
    a large grid needs little more memory than its labels."""
    labels = np.zeros(grid.shape, np.uint8)
    depth = max(4, _SLAB_VOXELS // (grid.shape[1] * grid.shape[2]))
    x, y, z = grid.origin_mm
    for start in range(0, grid.shape[0], depth):
        count = min(depth, grid.shape[0] - start)
        slab = Grid((x, y, z + start * grid.spacing_mm[0]), grid.spacing_mm, (count, *grid.shape[1:]))
        _paint(patient, slab, labels[start : start + count])
    return labels


_SLAB_VOXELS = 4_000_000


def _paint(patient: Patient, grid: Grid, labels: NDArray[np.uint8]) -> None:
    cavity = patient.cavity(grid)
    for one in patient.structures:
        found = grid.window(one.box)
        if found is None:
            continue
        part, near = found
        distance = one.solid(near)
        if one.clipped:
            distance = np.maximum(distance, cavity[part] + np.float32(max(offset for offset, _ in one.layers)))
        view = labels[part]
        for offset, tissue in one.layers:
            view[distance < np.float32(offset)] = TISSUES[tissue].id
