"""Stents: plastic and metal ones of the bile ducts, and the shunt from a hepatic vein to the portal vein (TIPS).

Sizes are those in use: plastic biliary stents of 8.5 to 11.5 French (2.8 to 3.8 mm), self-expanding metal ones of 8 or
10 mm, TIPS of 8 or 10 mm. A mesh is thinner than a voxel, so its HU is that of the metal spread over its wall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .anatomy import Patient
from .distribution import Distribution
from .ducts import duct_way
from .seat import HILUM
from .shapes import Point, smooth_path, tube
from .structure import Structure, around

FRENCH_MM = 1 / 3


@dataclass(frozen=True, eq=False)
class Device:
    """One device. kind: stent_plastic, stent_metal or tips. places: (n, 3) along it at rest. diameter_mm: outer."""

    kind: str
    places: NDArray[np.float64]
    diameter_mm: float


def with_stents(d: Distribution, patient: Patient, biliary: str, cirrhosis: bool,
                rng: np.random.Generator) -> tuple[Patient, tuple[Device, ...]]:  # fmt: skip
    """The patient with the stents that are drawn: `extras.stents` is the share of those with dilated ducts that have
    one of the bile duct, `extras.tips` the share of those with cirrhosis that have a shunt."""
    table = d.tables.get("extras", {})
    if "stents" not in table and "tips" not in table:
        return patient, ()
    bile, shunt = rng.random() < float(table.get("stents", 0)), rng.random() < float(table.get("tips", 0))
    found: list[tuple[Structure, Device]] = []
    if bile and biliary:
        found.append(_biliary(patient, rng))
    if shunt and cirrhosis:
        found.append(_tips(patient, rng))
    structures = (*patient.structures, *(one for one, _ in found))
    return replace(patient, structures=structures), tuple(device for _, device in found)


def _biliary(patient: Patient, rng: np.random.Generator) -> tuple[Structure, Device]:
    build = patient.build
    side = build.at(-54, -17, 14) if rng.random() < 0.5 else build.at(-6, -40, 20)
    way = [side, build.at(*HILUM), *duct_way(patient)[1:]]
    filling = "duct_gas" if rng.random() < 0.4 else "bile_duct"
    if rng.random() < 0.5:
        diameter = float(rng.choice([8.5, 10.0, 11.5])) * FRENCH_MM
        kind, layers = "stent_plastic", ((0.0, "stent_plastic"), (-0.75, filling))
    else:
        diameter, way = float(rng.choice([8.0, 10.0])), way[1:]
        kind, layers = "stent_metal", ((0.0, "stent_metal"), (-0.7, filling))
    return _made(kind, way, diameter, layers)


def _tips(patient: Patient, rng: np.random.Generator) -> tuple[Structure, Device]:
    build = patient.build
    top = build.dome_mm - 18
    x, y, z = build.at(-46, -15, 6)
    bend = (x - 4 + float(rng.normal(0, 3)), y + 1 + float(rng.normal(0, 3)), 0.45 * top)
    way = [(-20 * build.scale[0] - 8, -16 * build.scale[1], top - 4), bend, (x, y, z), build.at(-30, -24, -2)]
    return _made("tips", way, float(rng.choice([8.0, 10.0])), ((0.0, "stent_metal"), (-0.7, "stent_blood")))


def _made(kind: str, way: list[Point], diameter_mm: float,
          layers: tuple[tuple[float, str], ...]) -> tuple[Structure, Device]:  # fmt: skip
    curve, radii = smooth_path(way, [diameter_mm / 2] * len(way), 4.0)
    structure = Structure(kind, tube(curve, radii), layers, around(curve, 12), 1.0)
    return structure, Device(kind, np.asarray(curve), diameter_mm)
