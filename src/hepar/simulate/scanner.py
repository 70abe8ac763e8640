"""From a patient to the CT numbers of one phase on any grid: breathing, partial volume, blur, noise, table.

The patient's solids are sampled as distances on an even grid of about 2 mm, moved by the breathing, and interpolated
to thin planes at the scan's own pixel size; the planes of one slice are averaged over its thickness. Lesions are
worked out exactly at the pixels. So an edge is as sharp as the scan is, not as the coarse grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hepar.record import Geometry

from .breathing import Breathing
from .contrast import lesion_hu, texture_hu, tissue_hu
from .lesions import PlacedLesion
from .planes import NoiseMaker, NoiseShape, Plane, Sampler, Window, draw_table, field_of_view
from .shapes import Field, Point
from .still import Sampled, StillPatient


@dataclass(frozen=True)
class Scanner:
    """How a phase is recorded.

    noise_hu: standard deviation in the middle of the body. blur_mm: standard deviation of the in-plane point spread.
    sharp: a sharp kernel has finer noise. thickness_mm: slice thickness. padding_hu: value outside the field of view.
    """

    noise_hu: float = 11.0
    blur_mm: float = 0.55
    sharp: bool = False
    thickness_mm: float = 2.5
    padding_hu: int = -1024
    table: bool = True


@dataclass(frozen=True)
class Looks:
    """How this patient's tissues differ from the contrast table in one phase: added HU and grain (sd, HU) by
    tissue. hu: mean HU of a tissue, by name, time and strength (default: the contrast table)."""

    added_hu: Mapping[str, float] = field(default_factory=dict)
    grain_hu: Mapping[str, float] = field(default_factory=dict)
    hu: Callable[[str, float, float], float] = tissue_hu


class Artefact(Protocol):
    """Something that the scanner makes of the patient, added before blur and noise."""

    def add(self, plane: Plane, image: Field) -> None:
        """Change the CT numbers of a plane."""


class Inlay(Protocol):
    """A lesion where it lies in a phase, painted over the finished anatomy."""

    def window(self, plane: Plane) -> Window | None:
        """The pixels of the plane that it may touch; None where it is elsewhere."""

    def paint(self, plane: Plane, window: Window, view: Field, grain: Field, soft: float) -> None:
        """Change the CT numbers of these pixels; grain: the tissue's pattern there; soft: width of an edge in mm."""

    def inside(self, plane: Plane, window: Window) -> NDArray[np.bool_]:
        """Which of these pixels are lesion."""


def render(
    still: StillPatient,
    lesions: tuple[PlacedLesion, ...],
    geometry: Geometry,
    scanner: Scanner,
    delay_s: float,
    phase_label: str,
    breathing: Breathing,
    rng: np.random.Generator,
    strength: float = 1.0,
    tick: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """CT numbers (int16) and truth labels (uint8) of one phase on the geometry.

    Labels: 0 background, 1 liver (parenchyma and vessels inside it), 10 + k the k-th lesion, k from 1.
    """
    inlays = [_Inlay(lesion, breathing.moved(lesion.centre_lps_mm), delay_s, phase_label, strength)
              for lesion in lesions]  # fmt: skip
    return scan(still, list(still.breathe(breathing)), inlays, geometry, scanner, delay_s, breathing, rng,
                strength=strength, tick=tick)  # fmt: skip


def scan(
    still: StillPatient,
    moved: Sequence[Sampled],
    inlays: Sequence[Inlay],
    geometry: Geometry,
    scanner: Scanner,
    delay_s: float,
    breathing: Breathing,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    looks: Looks | None = None,
    vessels: bool = False,
    noise_shape: NoiseShape | None = None,
    unlabelled: Sequence[Inlay] = (),
    artefact: Artefact | None = None,
    motion_mm: float = 0.0,
    tick: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """As `render`, with the parts already moved (`still.breathe`) and any kind of inlay, the k-th gets label 10 + k.

    vessels: label the portal tree 2 and the hepatic veins 3. unlabelled: painted before the inlays. motion_mm: some
    slices are a mixture of two places that far apart.
    """
    soft = 0.8 * geometry.spacing_mm[2]
    parts = [_Painted(part, delay_s, strength, looks or Looks(), soft) for part in moved]
    wanted = {"liver": 1} | ({"portal_tree": 2, "hepatic_veins": 3} if vessels else {})
    named = [(p.sampler, wanted[p.part.structure.name]) for p in parts if p.part.structure.name in wanted]
    named.sort(key=lambda pair: pair[1])
    texture = Sampler(*still.moved_texture(breathing))
    image = np.empty(geometry.shape, np.int16)
    labels = np.zeros(geometry.shape, np.uint8)
    normal = np.cross(geometry.affine[:3, 2], geometry.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    count = max(1, round(scanner.thickness_mm / max(1.25, 0.8 * geometry.spacing_mm[2])))
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * scanner.thickness_mm
    seen = field_of_view(geometry)
    noise = NoiseMaker(geometry, scanner.noise_hu, scanner.blur_mm, scanner.sharp, rng, noise_shape)
    build = still.patient.build
    back = build.centre_y_mm + build.cavity_half_depth_mm + 18 + 0.8 * build.fat_mm
    for k in range(geometry.shape[0]):
        mean: Field = np.zeros(geometry.shape[1:], np.float32)
        for offset in offsets:
            plane = Plane(geometry, k, normal * offset, still.cover)
            mean += _paint(plane, parts, texture, [*unlabelled, *inlays], soft)
        mean /= np.float32(count)
        if motion_mm and k % 9 < 4:  # four slices of every nine, as a breath or a heart beat comes and goes
            shift = np.array([0.3, 1.0, 0.0]) * motion_mm
            moved_too = _paint(Plane(geometry, k, shift, still.cover), parts, texture, [*unlabelled, *inlays], soft)
            mean = np.float32(0.6) * mean + np.float32(0.4) * moved_too
        middle = Plane(geometry, k, 0 * normal, still.cover)
        if scanner.table:
            draw_table(mean, middle.x, middle.y, back)
        if artefact is not None:
            artefact.add(middle, mean)
        _label(middle, named, inlays, labels[k])
        mean = noise.add(mean)
        image[k] = np.clip(np.rint(mean), -1024, 3071)
        image[k][~seen] = scanner.padding_hu
        if tick is not None:
            tick((k + 1) / geometry.shape[0])
    return image, labels


class _Painted:
    """A moved part with the HU and texture of its layers."""

    def __init__(self, part: Sampled, delay_s: float, strength: float, looks: Looks, soft: float) -> None:
        self.part = part
        self.layers = [
            (
                np.float32(offset),
                np.float32(looks.hu(tissue, delay_s, strength) + looks.added_hu.get(tissue, 0.0)),
                np.float32(looks.grain_hu.get(tissue, texture_hu(tissue, delay_s))),
            )
            for offset, tissue in part.structure.layers
        ]
        most = max(float(offset) for offset, _, _ in self.layers)
        self.sampler = Sampler(part.distance, part.grid, most + soft)


class _Inlay:
    """A lesion where it lies in this phase, with the HU of its parts."""

    def __init__(self, lesion: PlacedLesion, centre: Point, delay_s: float, phase_label: str, strength: float) -> None:
        self.lesion, self.centre = lesion, centre
        spec = lesion.spec
        body = dict(spec.hu).get(phase_label, lesion_hu(spec.kind, "body", delay_s, strength))
        rim = lesion_hu(spec.kind, "rim", delay_s, strength)
        self.layers = [(np.float32(0), np.float32(rim if spec.rim_mm else body))]
        if spec.rim_mm:
            self.layers.append((np.float32(-spec.rim_mm), np.float32(body)))
        self.core = np.float32(lesion_hu(spec.kind, "core", delay_s, strength))

    def window(self, plane: Plane) -> Window | None:
        return near(plane, self.centre, self.lesion.reach_mm + 3)

    def paint(self, plane: Plane, window: Window, view: Field, grain: Field, soft: float) -> None:
        x, y, z = points(plane, window)
        distance = self.lesion.distance(x, y, z, self.centre)
        for offset, hu in self.layers:
            _blend(view, distance - offset, hu, _LESION_TEXTURE_HU, grain, soft)
        if self.lesion.spec.core:
            core = self.lesion.distance(x, y, z, self.centre, self.lesion.spec.core)
            _blend(view, core, self.core, _LESION_TEXTURE_HU, grain, 3 * soft)

    def inside(self, plane: Plane, window: Window) -> NDArray[np.bool_]:
        x, y, z = points(plane, window)
        return np.asarray(self.lesion.distance(x, y, z, self.centre) <= 0)


def near(plane: Plane, centre: Point, reach_mm: float) -> Window | None:
    """The pixels of a plane within reach_mm of a point along each axis; None where there are none."""
    reach = np.float32(reach_mm)
    if plane.straight:
        if not abs(float(plane.z[0, 0]) - centre[2]) < reach:
            return None
        rows = np.flatnonzero(np.abs(plane.y[:, 0] - centre[1]) < reach)
        columns = np.flatnonzero(np.abs(plane.x[0] - centre[0]) < reach)
    else:
        close = (
            (np.abs(plane.x - centre[0]) < reach)
            & (np.abs(plane.y - centre[1]) < reach)
            & (np.abs(plane.z - centre[2]) < reach)
        )
        rows, columns = np.flatnonzero(close.any(1)), np.flatnonzero(close.any(0))
    if len(rows) == 0 or len(columns) == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def points(plane: Plane, window: Window) -> list[Field]:
    """x, y and z of the pixels of a window."""
    return [np.broadcast_to(c, plane.shape)[window] for c in (plane.x, plane.y, plane.z)]


def _paint(plane: Plane, parts: list[_Painted], texture: Sampler, inlays: Sequence[Inlay], soft: float) -> Field:
    """CT numbers of an infinitely thin plane, without blur and noise."""
    image: Field = np.full(plane.shape, -1000, np.float32)
    grain: Field = np.zeros(plane.shape, np.float32)
    found = texture.at(plane)
    if found is not None:
        grain[found[0]] = found[1]
    for one in parts:
        hit = one.sampler.at(plane)
        if hit is None:
            continue
        window, distance = hit
        view, rough = image[window], grain[window]
        for offset, hu, amplitude in one.layers:
            _blend(view, distance - offset, hu, amplitude, rough, soft)
    for inlay in inlays:
        box = inlay.window(plane)
        if box is not None:
            inlay.paint(plane, box, image[box], grain[box], soft)
    return image


_LESION_TEXTURE_HU = np.float32(1.5)


def _blend(view: Field, distance: Field, hu: np.float32, amplitude: np.float32, grain: Field, soft: float) -> None:
    share = np.clip(np.float32(0.5) - distance * np.float32(1 / soft), 0, 1)
    goal = hu + amplitude * grain if amplitude else hu
    view += share * (goal - view)


def _label(plane: Plane, named: list[tuple[Sampler, int]], inlays: Sequence[Inlay], out: NDArray[np.uint8]) -> None:
    for sampler, value in named:
        hit = sampler.at(plane)
        if hit is not None:
            out[hit[0]][hit[1] < 0] = value
    for number, inlay in enumerate(inlays, start=1):
        box = inlay.window(plane)
        if box is not None:
            out[box][inlay.inside(plane, box)] = 10 + number
