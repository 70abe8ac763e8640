"""A virtual patient drawn from a distribution: who, which liver, which lesions, how scanned. Renders nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from .anatomy import Patient, draw_patient
from .breathing import Breathing
from .contrast import tissue_hu
from .devices import with_stents
from .distribution import PHASES, Distribution, drawn
from .ducts import with_ducts
from .extras import Extras, draw_extras
from .labelled import Labelled
from .perfusion import perfused_hu
from .real import real_patient
from .scanner import Scanner
from .seat import seat_tumours
from .settings import PhaseName, PhaseSettings, SimulationSettings
from .structure import Habitus
from .tumour import Inner, Shape, Tumour, draw_shape

_DESCRIPTION = {"native": "Native", "arterial": "Art late", "arterial_early": "Art early", "portal_venous": "PV",
                "delayed": "Delayed"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One drawn patient. settings: phases, grid and scanner, as for `simulate`; its own lesions are `tumours`.

    warp: the bend of the whole body. extras: clips, thrombus and the like. steatosis: whether the liver is fatty;
    liver_added_hu: native HU above the contrast table's. liver_hu: parenchyma per phase. grain_hu: of the liver.
    """

    number: int
    type: str
    cirrhosis: bool
    steatosis: bool
    habitus: Habitus
    liver_added_hu: float
    liver_hu: Mapping[str, float]
    grain_hu: float
    patient: Patient
    warp: Breathing
    tumours: tuple[Tumour, ...]
    settings: SimulationSettings
    noise_along: float
    extras: Extras


def draw_case(distribution: Distribution, number: int, anatomy: Labelled | None = None) -> Case:
    """Case `number` (from 0) of the distribution; the same file and number give the same case. anatomy: a labelled CT
    that the patient is built on, in place of invented solids."""
    d = distribution
    rng = d.rng(number, 0)
    share = np.array([float(one["share"]) for one in d.types])
    kind = d.types[int(rng.choice(len(share), p=share / share.sum()))]
    cirrhosis = bool(rng.random() < kind["cirrhosis"])
    steatosis = bool(rng.random() < d.draw("patient", "steatosis", rng)) and not cirrhosis
    strength = d.draw("patient", "strength", rng)
    added = float(rng.normal(0, d.draw("patient", "liver_hu_sd", rng)))
    if steatosis:
        added = d.draw("patient", "steatosis_hu", rng)
    state = "cirrhosis" if cirrhosis else "liver"
    volume_ml = d.draw(state, "volume_ml", rng)
    habitus, nodules_mm = Habitus(), 0.0
    grain = d.draw("cirrhosis", "grain_hu", rng) if cirrhosis else d.draw("patient", "liver_grain_hu", rng)
    if cirrhosis:
        nodules_mm = d.draw("cirrhosis", "nodules_mm", rng)
        ascites = d.draw("cirrhosis", "ascites_mm", rng) * (rng.random() < d.draw("cirrhosis", "ascites", rng))
        keys = ("right_shrink_mm", "caudate_mm", "left_mm", "spleen_scale")
        habitus = Habitus(**{key: d.draw("cirrhosis", key, rng) for key in keys}, ascites_mm=float(ascites))
    extras = draw_extras(d, "hcc" in str(kind["name"]), d.rng(number, 11))
    if extras.resected:  # what is left has grown, but not to what it was
        volume_ml *= 0.65
        edge = {"left": {"keep_to_mm": -12.0}, "right": {"keep_from_mm": -45.0}}[extras.resected]
        habitus = replace(habitus, **edge)
    if anatomy is None:
        patient = draw_patient(d.rng(number, 1), volume_ml, nodules_mm, habitus)
    else:
        patient = real_patient(anatomy, d.rng(number, 1), volume_ml, nodules_mm, habitus)
    warp = Breathing.draw(d.rng(number, 2), (0.0, 0.0, 0.0), d.draw("patient", "warp_mm", rng))
    phases = _phases(d, extras.early_arterial, d.rng(number, 3))
    liver_at = perfused_hu if extras.perfusion else tissue_hu
    livers: dict[str, float] = {phase_key(p): liver_at("liver", p.seconds, strength) for p in phases}
    tumours = draw_tumours(d, kind["kinds"], livers, added, d.rng(number, 4), extras.early_arterial)
    placed = seat_tumours(patient, tumours, d.rng(number, 5))
    patient, biliary = with_ducts(d, patient, placed, d.rng(number, 13))
    patient, devices = with_stents(d, patient, biliary, cirrhosis, d.rng(number, 14))
    extras = replace(extras, biliary=biliary, devices=devices)
    settings, along = _scan(d, patient, warp, phases, strength, d.rng(number, 6), extras)
    return Case(number, str(kind["name"]), cirrhosis, steatosis, habitus, added,
                {label: hu + added for label, hu in livers.items()}, grain, patient, warp, placed, settings,
                along, extras)  # fmt: skip


def draw_tumours(d: Distribution, kinds: Mapping[str, float], livers: Mapping[str, float], added: float,
                 rng: np.random.Generator, early: bool = False) -> list[Tumour]:  # fmt: skip
    """The lesions of a patient, without a place. livers: HU of a liver without fat per phase; added: this liver's.
    early: the arterial phase is an early one, with half of the contrast."""
    if not kinds:
        return []
    names, weights = list(kinds), np.array(list(kinds.values()), float)
    sizes = [str(d.pick("lesions", "sizes", rng)) for _ in range(int(d.pick("lesions", "count", rng)))]
    large = [k for k, size in enumerate(sizes) if size == "large"][int(d.tables["lesions"]["large_most"]) :]
    out = []
    for k, size in enumerate(sizes):
        diameter_mm = d.draw("lesions", f"{'middle' if k in large else size}_mm", rng)
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        out.append(_tumour(d, name, diameter_mm, livers, added, rng, early))
    return out


def _tumour(d: Distribution, name: str, diameter_mm: float, livers: Mapping[str, float], added: float,
            rng: np.random.Generator, early: bool) -> Tumour:  # fmt: skip
    kind = d.kind(name)
    edge_mm = min(float(drawn(kind["edge_mm"], rng)), 0.35 * diameter_mm)
    rough = 0.0 if name == "cyst" else min(1.0, float(rng.beta(1.3, 2.5)) + 0.08 * edge_mm)
    # Body against the liver, correlated between the phases; drawn again until one phase shows it.
    for _ in range(50):
        body = _body(kind, d.draw("lesions", "common_share", rng), livers, rng)
        if max(abs(body[p] - livers[p] - added) for p in PHASES) >= d.draw("lesions", "least_hu", rng):
            break
    if early and not kind.get("absolute"):
        body["arterial"] = livers["arterial"] + 0.5 * (body["arterial"] - livers["arterial"])
    shape = draw_shape(rng, rough)
    inner, traits = _inside(kind, diameter_mm, body, livers, shape, rng)
    seat = str(d.pick("lesions", "seat", rng))
    seat = str(kind.get("seat", seat))  # some lesions have their own place
    bulge = {"deep": 0.12, "subcapsular": 0.04, "exophytic": 0.5, "hilar": 0.2}[seat] * diameter_mm
    return Tumour(name, diameter_mm, seat, min(bulge, 35.0), edge_mm, traits, shape, inner)


def _body(kind: Mapping[str, Any], common: float, livers: Mapping[str, float],
          rng: np.random.Generator) -> dict[str, float]:  # fmt: skip
    shared, out = rng.normal(), {}
    for phase in PHASES:
        spread = kind[phase]
        z = np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal()
        value = float(np.clip(spread["mean"] + spread["sd"] * z, spread["low"], spread["high"]))
        out[phase] = value if kind.get("absolute") else livers[phase] + value
    return out


def _inside(kind: Mapping[str, Any], diameter_mm: float, body: Mapping[str, float], livers: Mapping[str, float],
            shape: Shape, rng: np.random.Generator) -> tuple[Inner, tuple[str, ...]]:  # fmt: skip
    """What the lesion looks like inside. Traits that need room are left out of small lesions."""
    has = {trait: rng.random() < float(kind.get(trait, 0)) for trait in
           ("capsule", "rim", "mosaic", "necrosis", "fat", "globules", "scar", "calcified")}  # fmt: skip
    for trait, least_mm in (("capsule", 12), ("rim", 8), ("mosaic", 22), ("necrosis", 18), ("fat", 8), ("scar", 20),
                            ("globules", 10), ("calcified", 12)):  # fmt: skip
        has[trait] &= diameter_mm >= least_mm
    rim_mm, rim = 0.0, dict.fromkeys(PHASES, 0.0)
    if has["capsule"]:  # darker than the liver early, brighter late
        rim_mm = float(rng.uniform(1.0, 2.2))
        rim = {p: livers[p] + v * rng.uniform(0.6, 1.3) for p, v in zip(PHASES, (-5, -5, 14, 26), strict=True)}
    elif has["rim"]:
        rim_mm = float(rng.uniform(1.5, 5.0)) * min(1.0, diameter_mm / 25)
        rim = {p: body[p] + v * rng.uniform(0.6, 1.3) for p, v in zip(PHASES, (3, 40, 32, 12), strict=True)}
    cells, cell_hu = np.zeros((0, 3)), {p: np.zeros(0) for p in PHASES}
    if has["mosaic"] or has["fat"]:
        cells = rng.normal(0, 0.55, (int(rng.integers(5, 13)), 3))
        height = rng.normal(0, 1, len(cells)) * has["mosaic"]
        fat = -rng.uniform(25, 70) * (rng.random(len(cells)) < 0.4) * has["fat"]
        cell_hu = {p: v * height + fat for p, v in zip(PHASES, (3, 14, 9, 7), strict=True)}
    cores, core_hu = np.zeros((0, 4)), dict.fromkeys(PHASES, 0.0)
    if has["necrosis"] or has["scar"]:
        count = 1 if has["scar"] else int(rng.integers(1, 4))
        cores = np.hstack([rng.normal(0, 0.05 if has["scar"] else 0.3, (count, 3)), np.zeros((count, 1))])
        cores[:, 3] = rng.uniform(0.08, 0.2, count) if has["scar"] else rng.uniform(0.2, 0.6, count)
        fluid = rng.normal(22, 8)
        core_hu = {p: fluid + v for p, v in zip(PHASES, (0, 1, 3, 4), strict=True)}
        if has["scar"]:
            core_hu = {p: livers[p] + v for p, v in zip(PHASES, (-12, -10, -8, 14), strict=True)}
    spots, spot_hu = np.zeros((0, 4)), dict.fromkeys(PHASES, 0.0)
    if has["globules"] or has["calcified"]:
        count = int(rng.integers(4, 10)) if has["globules"] else int(rng.integers(1, 5))
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        far = rng.uniform(0.7, 0.95, (count, 1)) if has["globules"] else rng.uniform(0.0, 0.6, (count, 1))
        spots = np.hstack([way * far, rng.uniform(0.12, 0.35, (count, 1)) * (1 if has["globules"] else 0.5)])
        blood = {p: 0.9 * livers[p] + v for p, v in zip(PHASES, (-8, 95, 55, 28), strict=True)}
        dense = float(rng.uniform(150, 500))
        spot_hu = blood if has["globules"] else dict.fromkeys(PHASES, dense)
    grain = float(rng.uniform(0.5, 6.0)) if not kind.get("absolute") else 0.5
    inner = Inner(body, rim_mm, rim, cells, cell_hu, cores, core_hu, spots, spot_hu, grain)
    return inner, tuple(sorted(trait for trait, there in has.items() if there))


def phase_key(phase: PhaseSettings) -> str:
    """The name of a phase in a distribution: early and late arterial are the arterial one."""
    return "arterial" if phase.label == "arterial_early" else phase.label


def _phases(d: Distribution, early: bool, rng: np.random.Generator) -> tuple[PhaseSettings, ...]:
    out = []
    for label in PHASES:
        delay_s = float(drawn(d.tables["phases"]["delay_s"][label], rng))
        shift = tuple(d.draw("phases", key, rng) for key in ("shift_xy_mm", "shift_xy_mm", "shift_z_mm"))
        bend = d.draw("phases", "bend_mm", rng)
        if label == "native":  # rest is where the native phase lies
            shift, bend = (0.0, 0.0, 0.0), 0.0
        if label == "arterial" and early:
            label, delay_s = "arterial_early", delay_s - 15.0
        out.append(PhaseSettings(cast(PhaseName, label), round(delay_s, 2), _DESCRIPTION[label],
                                 (shift[0], shift[1], shift[2]), bend))  # fmt: skip
    return tuple(out)


def _scan(d: Distribution, patient: Patient, warp: Breathing, phases: tuple[PhaseSettings, ...], strength: float,
          rng: np.random.Generator, extras: Extras) -> tuple[SimulationSettings, float]:  # fmt: skip
    """A grid that holds the whole liver in every phase, and the scanner."""
    step = float(d.pick("scanner", "spacing_mm", rng))
    pixel = d.draw("scanner", "pixel_mm", rng)
    scanner = Scanner(
        noise_hu=d.draw("scanner", "noise_hu", rng), blur_mm=d.draw("scanner", "blur_mm", rng),
        sharp=bool(rng.random() < d.draw("scanner", "sharp", rng)),
        thickness_mm=step * float(d.pick("scanner", "overlap", rng)),
    )  # fmt: skip
    low, high = patient.structure("liver").box[0][2], patient.build.dome_mm
    sway = warp.reach_mm * 0.5 + max(abs(p.shift_lps_mm[2]) for p in phases)
    low = max(low, _lowest(patient)) - sway - d.draw("scanner", "beyond_mm", rng)
    high += sway + d.draw("scanner", "beyond_mm", rng)
    build = patient.build
    if extras.cut_end:  # a scan that misses the dome (positive) or the tip
        share = abs(extras.cut_end) * (high - low)
        low, high = (low, high - share) if extras.cut_end > 0 else (low + share, high)
    wide = build.cavity_half_width_mm + build.muscle_mm + build.fat_mm + (14 if extras.arms is None else 40)
    deep = build.cavity_half_depth_mm + build.muscle_mm + build.fat_mm + 32
    shape = (int((high - low) / step) + 1, _quick(2 * deep / pixel), _quick(2 * wide * (1 - extras.cut_view) / pixel))
    settings = SimulationSettings(
        phases=phases, lesions=(), shape=shape, spacing_mm=(step, pixel, pixel), output="nifti",
        centre_lps_mm=(0.0, 0.0, (low + high) / 2), scanner=scanner, strength=strength,
    )  # fmt: skip
    return settings, d.draw("scanner", "noise_along", rng)


def _quick(size: float) -> int:
    """The next even number without prime factors above 5: what a Fourier transform does quickly."""
    count = 2 * int(size / 2)
    while True:
        rest = count
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and count % 2 == 0:
            return count
        count += 2


def _lowest(patient: Patient) -> float:
    """Height of the liver's lowest point, to 4 mm."""
    from .shapes import Grid

    box = patient.structure("liver").box
    shape = tuple(int((box[1][a] - box[0][a]) / 6) + 1 for a in (2, 1, 0))
    grid = Grid(box[0], (6.0, 6.0, 6.0), (shape[0], shape[1], shape[2]))
    inside = (patient.liver(grid) < 0).any(axis=(1, 2))
    return float(box[0][2] + 6.0 * np.flatnonzero(inside)[0]) - 6.0


def moved(tumour: Tumour, warp: Breathing, breathing: Breathing) -> Tumour:
    """The tumour where it lies in a phase."""
    return replace(tumour, centre_lps_mm=breathing.moved(warp.moved(tumour.centre_lps_mm)))
