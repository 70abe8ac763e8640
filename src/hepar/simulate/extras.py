"""What a clinic's scans have besides anatomy and lesions: clips with streaks, thrombus, movement, a cut field of view.

All of it is optional in a distribution (table `extras`); the fixed test set draws none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .breathing import Breathing
from .distribution import PHASES, Distribution
from .planes import Plane, Sampler, Window
from .scanner import near, points
from .shapes import Field, Point
from .still import Sampled
from .structure import Build


@dataclass(frozen=True, eq=False)
class Extras:
    """Drawn extras. resected: "", left or right. clips: (n, 3) places of metal clips at rest. thrombus: place, radius
    and HU per phase of a tumour thrombus in the portal vein, or None. cut_view: share of the columns that is missing.
    motion_mm: how far the body moves while a slice is taken. noise_cut, noise_floor: spectrum of the noise, or None.
    """

    perfusion: bool = False
    early_arterial: bool = False
    resected: str = ""
    clips: NDArray[np.float64] | None = None
    thrombus: tuple[Point, float, Mapping[str, float]] | None = None
    cut_view: float = 0.0
    motion_mm: float = 0.0
    noise_cut: float | None = None
    noise_floor: float = 0.015


def draw_extras(d: Distribution, tumour_patient: bool, rng: np.random.Generator) -> Extras:
    """The extras of one case; none where the distribution has no such table. tumour_patient: may have a thrombus."""
    if "extras" not in d.tables:
        return Extras()
    chance = {key: rng.random() < float(d.tables["extras"].get(key, 0)) for key in
              ("early_arterial", "resected", "clips", "thrombus", "cut_view", "motion")}  # fmt: skip
    resected = ("left", "right")[int(rng.random() < 0.4)] if chance["resected"] else ""
    clips = None
    if chance["clips"] or resected:
        middle = np.array([-10.0, -30.0, 20.0]) if resected != "right" else np.array([-45.0, -10.0, 20.0])
        clips = middle + rng.normal(0, (3, 20, 25), (int(rng.integers(2, 9)), 3))
    thrombus = None
    if chance["thrombus"] and tumour_patient:
        hu = dict(zip(PHASES, (45, 85, 80, 68), strict=True))
        where = (float(rng.uniform(-60, -20)), float(rng.uniform(-28, -10)), float(rng.uniform(0, 12)))
        thrombus = (where, float(rng.uniform(10, 32)), {p: v + float(rng.normal(0, 8)) for p, v in hu.items()})
    has = d.tables["extras"]
    return Extras(
        bool(has.get("perfusion", False)), chance["early_arterial"], resected, clips, thrombus,
        float(rng.uniform(0.06, 0.2)) * chance["cut_view"], float(rng.uniform(1.0, 4.0)) * chance["motion"],
        d.draw("extras", "noise_cut", rng) if "noise_cut" in has else None,
        d.draw("extras", "noise_floor", rng) if "noise_floor" in has else 0.015,
    )  # fmt: skip


class Metal:
    """Clips of titanium where they lie in a phase, with the dark and bright rays that they throw in their slice."""

    def __init__(self, places: list[Point], thickness_mm: float, rng: np.random.Generator) -> None:
        self.places, self.reach_mm = places, 1.5 + thickness_mm / 2
        self.angle = rng.uniform(0, np.pi, (len(places), 7))
        self.height = rng.normal(0, 45, (len(places), 7))

    def add(self, plane: Plane, image: Field) -> None:
        """Change the CT numbers of a plane."""
        for place, angles, heights in zip(self.places, self.angle, self.height, strict=True):
            if abs(float(np.mean(plane.z)) - place[2]) > self.reach_mm:
                continue
            x, y = plane.x - np.float32(place[0]), plane.y - np.float32(place[1])
            far = np.hypot(x, y)
            for angle, height in zip(angles, heights, strict=True):
                across = x * np.float32(np.sin(angle)) - y * np.float32(np.cos(angle))
                image += np.float32(height) * np.exp(-((across / np.float32(1.6)) ** 2)) / (1 + far / np.float32(14))
            image += np.clip(np.float32(1.8) - far, 0, 1) * (np.float32(2400) - image)


class Clot:
    """Tumour thrombus: what fills the portal vein within a ball."""

    def __init__(self, place: Point, radius_mm: float, hu: float, veins: list[Sampled]) -> None:
        self.place, self.radius_mm, self.hu = place, radius_mm, hu
        self.veins = [Sampler(vein.distance, vein.grid) for vein in veins]

    def window(self, plane: Plane) -> Window | None:
        return near(plane, self.place, self.radius_mm + 1)

    def _distance(self, plane: Plane, window: Window) -> Field:
        x, y, z = (p - np.float32(c) for p, c in zip(points(plane, window), self.place, strict=True))
        ball = np.sqrt(x * x + y * y + z * z) - np.float32(self.radius_mm)
        vein: Field = np.full(plane.shape, 100, np.float32)
        for sampler in self.veins:
            hit = sampler.at(plane)
            if hit is not None:
                vein[hit[0]] = np.minimum(vein[hit[0]], hit[1])
        return np.asarray(np.maximum(ball, vein[window] + np.float32(0.4)), np.float32)

    def paint(self, plane: Plane, window: Window, view: Field, grain: Field, soft: float) -> None:
        share = np.clip(np.float32(0.5) - self._distance(plane, window) / np.float32(soft), 0, 1)
        view += share * (np.float32(self.hu) + np.float32(3) * grain - view)

    def inside(self, plane: Plane, window: Window) -> NDArray[np.bool_]:
        return np.asarray(self._distance(plane, window) <= 0)


def clot_of(extras: Extras, build: Build, phase: str, warp: Breathing, breathing: Breathing,
            parts: list[Sampled]) -> list[Clot]:  # fmt: skip
    """The thrombus in a phase, as a list of none or one."""
    if extras.thrombus is None:
        return []
    place, radius_mm, hu = extras.thrombus
    veins = [part for part in parts if part.structure.name in ("portal_tree", "portal_trunk")]
    return [Clot(breathing.moved(warp.moved(build.at(*place))), radius_mm, hu[phase], veins)]


def metal_of(extras: Extras, build: Build, warp: Breathing, breathing: Breathing, thickness_mm: float,
             rng: np.random.Generator) -> Metal | None:  # fmt: skip
    """The clips in a phase, or None."""
    if extras.clips is None:
        return None
    places = [build.at(float(p[0]), float(p[1]), float(p[2])) for p in extras.clips]
    return Metal([breathing.moved(warp.moved(p)) for p in places], thickness_mm, rng)
