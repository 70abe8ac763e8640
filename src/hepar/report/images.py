"""Key images: what was outlined, where a reader can see at once whether it is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.page import Figure, Label, Stroke
from hepar.record import NOT_COVERED_HU, AlignedPhase, Anatomy, Vein

WINDOW_HU = (-50.0, 200.0)
"""Black and white of every picture: wide enough for native liver and for arterial enhancement at once."""
SIDE_MM, MARGIN_MM, LARGEST_MM = 110.0, 40.0, 200.0
"""Side of a lesion's picture: at least SIDE_MM, else the lesion and MARGIN_MM, at most LARGEST_MM."""
PIXELS = 280
"""Samples along the longer side of a picture: about two per screen pixel of the scanner at 110 mm."""
MOST_LESIONS, MOST_PICTURES = 10, 48
"""At about 60 kB a picture the report stays below 5 MB."""
AXIAL_VIEWS = 6

LESION, OTHER, LIVER, AXIS = "#ffd21f", "#ff8f3f", "#4fc3ff", "#ffffff"
VEINS = {Vein.PORTAL: "#d18cff", Vein.HEPATIC: "#43e08b"}


@dataclass(frozen=True, eq=False)
class KeyImages:
    """lesions: by id, one picture per accepted phase. overview: through the whole liver. left_out: lesions without."""

    lesions: Mapping[int, tuple[Figure, ...]]
    overview: tuple[Figure, ...]
    left_out: int


@dataclass(frozen=True)
class _View:
    """A flat cut: values HU (row, column) with their outlines, and the size of a pixel (down, across) in mm."""

    hu: NDArray[np.int16]
    liver: NDArray[np.bool_]
    lesions: NDArray[np.uint16]
    veins: NDArray[np.uint8]
    step_mm: tuple[float, float]


def key_images(
    document: Mapping[str, Any], anatomy: Anatomy, aligned: Sequence[AlignedPhase], names: Mapping[str, str]
) -> KeyImages:
    """Pictures of the largest lesions in every accepted phase, and cuts through the liver in the reference phase.

    document: the findings; gives slice and axes of each lesion. names: how to call each phase.
    Patient right is on the left of a picture, front (axial) or head is up; pixels have their true proportions.
    Without lesions `lesions` is empty; without liver `overview` is.
    """
    accepted = [one for one in aligned if one.accepted]
    lesions = document["lesions"]
    shown = min(len(lesions), MOST_LESIONS, max(1, MOST_PICTURES // max(1, len(accepted))))
    pictures = {
        lesion["id"]: tuple(_lesion(lesion, anatomy, phase, names[phase.phase_id]) for phase in accepted)
        for lesion in lesions[:shown]
    }
    reference = [one for one in accepted if one.phase_id == document["reference_phase"]]
    overview = _overview(anatomy, reference[0], names[reference[0].phase_id]) if reference else ()
    return KeyImages(pictures, overview, len(lesions) - shown)


def _lesion(lesion: Mapping[str, Any], anatomy: Anatomy, phase: AlignedPhase, name: str) -> Figure:
    number, slice_index = lesion["id"], lesion["axial_slice"]
    view = _axial(anatomy, phase, slice_index)
    rows, columns = np.nonzero(anatomy.lesions[slice_index] == number)
    if not len(rows):
        rows, columns = (np.array([axis]) for axis in anatomy.geometry.to_index(lesion["centre_lps_mm"])[1:])
    down, across = view.step_mm
    height_mm, width_mm = (np.ptp(rows) + 1) * down, (np.ptp(columns) + 1) * across
    side = float(np.clip(max(height_mm, width_mm) + MARGIN_MM, SIDE_MM, LARGEST_MM))
    middle = ((rows.min() + rows.max() + 1) / 2 * down, (columns.min() + columns.max() + 1) / 2 * across)
    corner = (middle[0] - side / 2, middle[1] - side / 2)
    strokes = _outlines(view, corner, (side, side), number)
    for axis, dashed in (("long_axis_ends_lps_mm", False), ("short_axis_ends_lps_mm", True)):
        if lesion[axis] is not None:
            index = anatomy.geometry.to_index(lesion[axis])[:, 1:]
            points = (index + 0.5) * view.step_mm - corner
            strokes.append(Stroke(points[:, ::-1], AXIS, 1.0, dashed=dashed))
    bar, label = _scale_bar(side, side)
    pixels, covered = _pixels(view, corner, (side, side))
    facts = f"slice {slice_index + 1}"
    if not covered:
        facts = "this slice is not covered by the phase"
    alt = f"Lesion {number} in phase {name}, axial slice {slice_index + 1}, outlined"
    return Figure(pixels, side, side, name, facts, alt, (*strokes, bar), (label, *_sides(side, side)))


def _overview(anatomy: Anatomy, phase: AlignedPhase, name: str) -> tuple[Figure, ...]:
    where = np.flatnonzero(anatomy.liver.any(axis=(1, 2)))
    if not len(where):
        return ()
    low, high = int(where[0]), int(where[-1])
    wanted = np.linspace(low, high, AXIAL_VIEWS + 2)[1:-1] if high - low > AXIAL_VIEWS else where
    figures = [
        _cut(_axial(anatomy, phase, int(index)), phase.box[1:], f"Axial, slice {int(index) + 1}", name)
        for index in sorted({round(value) for value in wanted.tolist()})
    ]
    flat = anatomy.liver.sum(axis=0)
    row, column = (int(np.average(np.arange(flat.shape[n]), weights=flat.sum(axis=1 - n))) for n in (0, 1))
    step = anatomy.geometry.spacing_mm
    box = phase.box
    upright = (slice(anatomy.liver.shape[0] - box[0].stop, anatomy.liver.shape[0] - box[0].start), box[2])
    coronal = _View(
        _spread(phase, anatomy, (slice(None), row, slice(None)))[::-1],
        anatomy.liver[::-1, row], anatomy.lesions[::-1, row], anatomy.veins[::-1, row],
        (anatomy.geometry.slice_distance_mm, step[2]),
    )  # fmt: skip
    figures.append(_cut(coronal, upright, "Coronal", name))
    sagittal = _View(
        _spread(phase, anatomy, (slice(None), slice(None), column))[::-1],
        anatomy.liver[::-1, :, column], anatomy.lesions[::-1, :, column], anatomy.veins[::-1, :, column],
        (anatomy.geometry.slice_distance_mm, step[1]),
    )  # fmt: skip
    figures.append(_cut(sagittal, (upright[0], box[1]), "Sagittal", name, sides=("A", "P")))
    return tuple(figures)


def _cut(view: _View, box: tuple[slice, ...], title: str, name: str, *, sides: tuple[str, str] = ("R", "L")) -> Figure:
    """A whole cut inside the box, with the outlines of liver and veins, and of every lesion with its number."""
    down, across = view.step_mm
    corner = (box[0].start * down, box[1].start * across)
    size = ((box[0].stop - box[0].start) * down, (box[1].stop - box[1].start) * across)
    strokes = _outlines(view, corner, size, None)
    labels = []
    for number in np.unique(view.lesions[view.lesions > 0]):
        rows, columns = np.nonzero(view.lesions == number)
        x = (columns.max() + 1) * across - corner[1] + 0.03 * size[1]
        labels.append(Label(float(x), float(rows.mean() * down - corner[0]), str(number), LESION))
    bar, label = _scale_bar(size[1], size[0])
    pixels, _ = _pixels(view, corner, size)
    alt = f"{title} cut through the liver in phase {name}, liver and lesions outlined"
    return Figure(
        pixels, size[1], size[0], title, "", alt, (*strokes, bar), (label, *_sides(size[1], size[0], sides), *labels)
    )


def _axial(anatomy: Anatomy, phase: AlignedPhase, index: int) -> _View:
    hu = _spread(phase, anatomy, (index, slice(None), slice(None)))
    return _View(
        hu, anatomy.liver[index], anatomy.lesions[index], anatomy.veins[index], anatomy.geometry.spacing_mm[1:]
    )


def _spread(phase: AlignedPhase, anatomy: Anatomy, cut: tuple[int | slice, ...]) -> NDArray[np.int16]:
    """The cut of a phase on the whole grid, though only the box around the liver is known."""
    shape = anatomy.geometry.shape
    flat = tuple(n for n, part in zip(shape, cut, strict=True) if isinstance(part, slice))
    result = np.full(flat, NOT_COVERED_HU, np.int16)
    inside: list[int | slice] = []
    for part, box in zip(cut, phase.box, strict=True):
        if isinstance(part, slice):
            inside.append(slice(None))
        elif box.start <= part < box.stop:
            inside.append(part - box.start)
        else:
            return result
    place = tuple(box for part, box in zip(cut, phase.box, strict=True) if isinstance(part, slice))
    result[place] = phase.hu[tuple(inside)]
    return result


def _pixels(view: _View, corner: tuple[float, float], size: tuple[float, float]) -> tuple[NDArray[np.uint8], bool]:
    """The cut sampled on square pixels, windowed; black where nothing was measured. And: was anything?"""
    from scipy.ndimage import map_coordinates

    step = max(size) / PIXELS
    rows = (corner[0] + (np.arange(round(size[0] / step)) + 0.5) * step) / view.step_mm[0] - 0.5
    columns = (corner[1] + (np.arange(round(size[1] / step)) + 0.5) * step) / view.step_mm[1] - 0.5
    low, high = WINDOW_HU
    grey = np.clip((view.hu.astype(np.float32) - low) / (high - low), 0, 1) * 255
    sampled = map_coordinates(grey, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="constant", cval=0.0)
    top, bottom = (int(np.clip(rows[n], 0, view.hu.shape[0] - 1)) for n in (0, -1))
    left, right = (int(np.clip(columns[n], 0, view.hu.shape[1] - 1)) for n in (0, -1))
    covered = bool((view.hu[top : bottom + 1, left : right + 1] != NOT_COVERED_HU).any())
    return np.round(sampled).astype(np.uint8), covered


def _outlines(view: _View, corner: tuple[float, float], size: tuple[float, float], number: int | None) -> list[Stroke]:
    """Outlines inside the window: the liver thin, other lesions, and on top the one that is meant (None: all, and the
    veins: beside a single lesion they would hide what its edge looks like)."""
    found = _contours(view.liver, view, corner, size, LIVER, 0.8 if number else 1.2)
    for tree, colour in VEINS.items() if number is None else ():
        found += _contours(view.veins == tree, view, corner, size, colour, 0.7)
    for other in np.unique(view.lesions[view.lesions > 0]):
        if other != number:
            colour = LESION if number is None else OTHER
            found += _contours(view.lesions == other, view, corner, size, colour, 1.2)
    if number is not None:
        found += _contours(view.lesions == number, view, corner, size, LESION, 1.5)
    return found


def _contours(
    mask: NDArray[np.bool_], view: _View, corner: tuple[float, float], size: tuple[float, float],
    colour: str, width_px: float,
) -> list[Stroke]:  # fmt: skip
    """Lines half-way between the voxels inside and outside, cut at the edge of the window."""
    from contourpy import contour_generator

    first = [max(0, int(np.floor(corner[n] / view.step_mm[n]))) for n in (0, 1)]
    last = [min(mask.shape[n], int(np.ceil((corner[n] + size[n]) / view.step_mm[n]))) for n in (0, 1)]
    part = mask[first[0] : last[0], first[1] : last[1]]
    if not part.any():
        return []
    edges = [1 if first[0] == 0 else 0, 1 if last[0] == mask.shape[0] else 0,
             1 if first[1] == 0 else 0, 1 if last[1] == mask.shape[1] else 0]  # fmt: skip
    padded = np.pad(part.astype(np.float64), ((edges[0], edges[1]), (edges[2], edges[3])))
    strokes = []
    for line in contour_generator(z=padded).lines(0.5):
        index = np.asarray(line)[:, ::-1] - (edges[0], edges[2]) + first
        points = ((index + 0.5) * view.step_mm - corner)[:, ::-1]
        closed = bool(np.allclose(points[0], points[-1]))
        strokes.append(Stroke(points[:-1] if closed else points, colour, width_px, closed=closed))
    return strokes


def _scale_bar(width: float, height: float) -> tuple[Stroke, Label]:
    length = 20.0 if width <= 150 else 50.0
    x, y = width * 0.04, height - width * 0.04
    bar = Stroke(np.array([[x, y], [x + length, y]]), AXIS, 2.0)
    return bar, Label(x + length / 2, y - width * 0.035, f"{length:.0f} mm", AXIS)


def _sides(width: float, height: float, sides: tuple[str, str] = ("R", "L")) -> tuple[Label, Label]:
    return (
        Label(width * 0.035, height / 2, sides[0], AXIS),
        Label(width * 0.965, height / 2, sides[1], AXIS),
    )
