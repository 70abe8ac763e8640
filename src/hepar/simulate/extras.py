"""What a clinic's scans have besides anatomy and lesions: metal with streaks, thrombus, arms, movement, cut views.

All of it is optional in a distribution (table `extras`); the fixed test set draws none of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .arms import Arms, ArmsBeside
from .breathing import Breathing
from .devices import Device
from .distribution import PHASES, Distribution
from .planes import Plane, Sampler, Window
from .scanner import Artefact, near, points
from .shapes import Field, Point
from .still import Sampled
from .structure import Build

Thrombus = tuple[Point, float, Mapping[str, float]]
"""Place, radius in mm, HU per phase."""
CLOT_HU = dict(zip(PHASES, (45, 85, 80, 68), strict=True))


@dataclass(frozen=True, eq=False)
class Extras:
    """Drawn extras. resected: "", left or right. clips: (n, 3) places of metal clips at rest; coils: those of embolised
    vessels, which streak more. thrombus: place, radius and HU per phase of a tumour thrombus in the portal vein, or
    None; vein_thrombus: the same in hepatic veins and vena cava. cut_view: share of the columns that is missing.
    cut_end: share of the liver's height that the scan misses, above (positive) or below. arms: beside the body or None.
    motion_mm: how far the body moves while a slice is taken. noise_cut, noise_floor: spectrum of the noise, or None;
    noise_stretch, shade_hu: see `NoiseShape`. biliary: which bile ducts are dilated. devices: stents.
    """

    perfusion: bool = False
    early_arterial: bool = False
    resected: str = ""
    clips: NDArray[np.float64] | None = None
    thrombus: Thrombus | None = None
    cut_view: float = 0.0
    motion_mm: float = 0.0
    noise_cut: float | None = None
    noise_floor: float = 0.015
    noise_stretch: float = 1.0
    shade_hu: float = 0.0
    coils: NDArray[np.float64] | None = None
    vein_thrombus: Thrombus | None = None
    cut_end: float = 0.0
    arms: Arms | None = None
    biliary: str = ""
    devices: tuple[Device, ...] = ()

    @property
    def noise_shape(self) -> tuple[float | None, float, float, float]:
        """cut, floor, stretch and shading of the noise."""
        return self.noise_cut, self.noise_floor, self.noise_stretch, self.shade_hu


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
        hu = CLOT_HU
        where = (float(rng.uniform(-60, -20)), float(rng.uniform(-28, -10)), float(rng.uniform(0, 12)))
        thrombus = (where, float(rng.uniform(10, 32)), {p: v + float(rng.normal(0, 8)) for p, v in hu.items()})
    has = d.tables["extras"]
    extras = Extras(
        bool(has.get("perfusion", False)), chance["early_arterial"], resected, clips, thrombus,
        float(rng.uniform(0.06, 0.2)) * chance["cut_view"], float(rng.uniform(1.0, 4.0)) * chance["motion"],
        d.draw("extras", "noise_cut", rng) if "noise_cut" in has else None,
        d.draw("extras", "noise_floor", rng) if "noise_floor" in has else 0.015,
    )  # fmt: skip
    return _later(d, extras, tumour_patient, rng)


def _later(d: Distribution, extras: Extras, tumour_patient: bool, rng: np.random.Generator) -> Extras:
    """What came with later versions, drawn last, so that an older file still gives the same patients."""
    has = d.tables["extras"]
    if not {"arms", "coils", "vein_thrombus", "cut_end", "noise_stretch", "shade_hu"} & set(has):
        return extras
    chance = {key: rng.random() < float(has.get(key, 0)) for key in ("arms", "coils", "vein_thrombus", "cut_end")}
    coils, clot = None, None
    if chance["coils"]:  # of the gastroduodenal artery, before radioembolisation
        coils = np.array([-14.0, -34.0, -22.0]) + rng.normal(0, 3.0, (int(rng.integers(6, 14)), 3))
    if chance["vein_thrombus"] and tumour_patient:
        where = (float(rng.uniform(-42, -14)), float(rng.uniform(-24, -8)), float(rng.uniform(58, 84)))
        clot = (where, float(rng.uniform(9, 24)), {p: v + float(rng.normal(0, 8)) for p, v in CLOT_HU.items()})
    end = float(rng.uniform(0.08, 0.35)) * (1.0 if rng.random() < 0.5 else -1.0)
    return replace(
        extras, coils=coils, vein_thrombus=clot, cut_end=end * chance["cut_end"],
        arms=Arms.draw(rng) if chance["arms"] else None,
        noise_stretch=d.draw("extras", "noise_stretch", rng) if "noise_stretch" in has else 1.0,
        shade_hu=d.draw("extras", "shade_hu", rng) if "shade_hu" in has else 0.0,
    )  # fmt: skip


class Metal:
    """Clips of titanium where they lie in a phase, with the dark and bright rays that they throw in their slice.

    streak_hu: standard deviation of a ray's height. solid: whether the places themselves are metal, or only streak (the
    mesh of a stent, which is painted with the anatomy)."""

    def __init__(self, places: list[Point], thickness_mm: float, rng: np.random.Generator, streak_hu: float = 45.0,
                 solid: bool = True) -> None:  # fmt: skip
        self.places, self.reach_mm, self.solid = places, 1.5 + thickness_mm / 2, solid
        self.angle = rng.uniform(0, np.pi, (len(places), 7))
        self.height = rng.normal(0, streak_hu, (len(places), 7))

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
            if self.solid:
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


class Together:
    """Several artefacts, one after the other."""

    def __init__(self, parts: Sequence[Artefact]) -> None:
        self.parts = parts

    def add(self, plane: Plane, image: Field) -> None:
        """Change the CT numbers of a plane."""
        for one in self.parts:
            one.add(plane, image)


def clot_of(extras: Extras, build: Build, phase: str, warp: Breathing, breathing: Breathing,
            parts: list[Sampled]) -> list[Clot]:  # fmt: skip
    """The thrombi in a phase, none to two."""
    out = []
    for thrombus, names in ((extras.thrombus, ("portal_tree", "portal_trunk")),
                            (extras.vein_thrombus, ("hepatic_veins", "vena_cava"))):  # fmt: skip
        if thrombus is not None:
            place, radius_mm, hu = thrombus
            veins = [part for part in parts if part.structure.name in names]
            out.append(Clot(breathing.moved(warp.moved(build.at(*place))), radius_mm, hu[phase], veins))
    return out


def metal_of(extras: Extras, build: Build, warp: Breathing, breathing: Breathing, thickness_mm: float,
             rng: np.random.Generator, arms_rng: np.random.Generator | None = None) -> Artefact | None:  # fmt: skip
    """What metal and arms do to a phase, or None. rng: of the metal, alike in all phases; arms_rng: of this phase."""

    def here(places: NDArray[np.float64], scaled: bool = True) -> list[Point]:
        still: list[Point] = [(float(x), float(y), float(z)) for x, y, z in places]
        still = [build.at(*p) for p in still] if scaled else still
        return [breathing.moved(warp.moved(p)) for p in still]

    out: list[Artefact] = []
    if extras.clips is not None:
        out.append(Metal(here(extras.clips), thickness_mm, rng))
    if extras.coils is not None:
        out.append(Metal(here(extras.coils), thickness_mm, rng, 70.0))
    for device in extras.devices:
        if device.kind != "stent_plastic":
            out.append(Metal(here(device.places[::2], False), thickness_mm, rng, 16.0, solid=False))
    if extras.arms is not None:
        out.append(ArmsBeside(extras.arms, build, arms_rng or rng))
    return Together(out) if out else None
