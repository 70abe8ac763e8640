"""Frames to a stack: order, gaps, tilt, and the axes turned so that slices go up, rows back and columns left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from hepar.ingest.frame import Frame
from hepar.ingest.settings import IngestSettings
from hepar.record import Geometry, Notice, SourceLayout


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames that make one volume, in source slice order, and the volume's grid (after `layout`).

    tilt_deg: angle between the line of slice corners and the slice normal. jitter_mm: largest deviation of one gap.
    """

    frames: tuple[Frame, ...]
    geometry: Geometry
    layout: SourceLayout
    tilt_deg: float
    step_mm: float
    jitter_mm: float

    @property
    def is_axial(self) -> bool:
        """Slices stand across the long axis of the body (within 45 degrees)."""
        return self.layout.permutation[0] == 0


def projections_mm(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Distance of each frame's corner along the common normal; frames need position and orientation."""
    normal = frames[0].normal
    return np.array([float(_corner(frame) @ normal) for frame in frames])


def has_repeats(frames: Sequence[Frame], settings: IngestSettings) -> bool:
    """Whether two frames lie on each other."""
    gaps = np.diff(np.sort(projections_mm(frames)))
    return bool((gaps < settings.same_position_mm).any())


def build_stack(frames: Sequence[Frame], settings: IngestSettings) -> Stack | Notice:
    """A stack of frames of one orientation and size, or the reason why they are none. Order of `frames`: any."""
    if len(frames) < settings.min_slices:
        count = "a single slice" if len(frames) == 1 else f"{len(frames)} slices"
        return Notice("single_slice", f"{count}, at least {settings.min_slices} are needed to measure a volume")
    problem = _plane_problem(frames[0], settings)
    if problem:
        return problem
    along = projections_mm(frames)
    order = np.argsort(along, kind="stable")
    ordered = [frames[i] for i in order]
    gaps = np.diff(along[order])
    problem = _gap_problem(gaps, settings)
    if problem:
        return problem
    corners = np.array([_corner(frame) for frame in ordered])
    step = (corners[-1] - corners[0]) / (len(corners) - 1)
    drift = np.linalg.norm(corners - (corners[0] + np.arange(len(corners))[:, None] * step), axis=1).max()
    limit = max(settings.max_drift_mm, settings.max_jitter_fraction * float(np.median(gaps)))
    if drift > limit:
        return Notice(
            "slices_shifted",
            f"slice corners leave their line by {drift:.1f} mm, at most {limit:.1f} mm fit one volume;"
            " ask for a new reconstruction",
        )
    voxels = len(frames) * frames[0].rows * frames[0].columns
    if voxels > settings.max_volume_voxels:
        return Notice(
            "too_large", f"{voxels / 1e6:.0f} million voxels, at most {settings.max_volume_voxels / 1e6:.0f} are read"
        )
    jitter = float(np.abs(gaps - np.median(gaps)).max())
    return _oriented(ordered, corners[0], step, jitter)


def _corner(frame: Frame) -> NDArray[np.float64]:
    assert frame.position is not None
    return frame.position


def _plane_problem(frame: Frame, settings: IngestSettings) -> Notice | None:
    spacing = frame.spacing
    if spacing is None:
        return Notice("no_spacing", "the files do not say how large a pixel is; ask for the original images")
    if not all(settings.min_spacing_mm <= s <= settings.max_spacing_mm for s in spacing):
        return Notice(
            "spacing_implausible",
            f"pixels of {spacing[0]:g} x {spacing[1]:g} mm, expected {settings.min_spacing_mm:g} to"
            f" {settings.max_spacing_mm:g} mm; ask for the original images",
        )
    if min(frame.rows, frame.columns) < settings.min_rows_and_columns:
        return Notice(
            "too_small",
            f"{frame.rows} x {frame.columns} pixels, at least {settings.min_rows_and_columns} each way are needed",
        )
    return None


def _gap_problem(gaps: NDArray[np.float64], settings: IngestSettings) -> Notice | None:
    step = float(np.median(gaps))
    if gaps.min() < settings.same_position_mm:
        n = int((gaps < settings.same_position_mm).sum())
        return Notice(
            "positions_repeated",
            f"{n} slices lie at a place that another slice has already, and nothing in the files tells them apart;"
            " ask for each phase as its own series",
        )
    if not settings.min_spacing_mm <= step <= settings.max_spacing_mm:
        return Notice(
            "spacing_implausible",
            f"{step:.2f} mm between slices, expected {settings.min_spacing_mm:g} to {settings.max_spacing_mm:g} mm;"
            " ask for a thinner reconstruction",
        )
    tolerance = max(settings.max_jitter_mm, settings.max_jitter_fraction * step)
    worst = int(np.abs(gaps - step).argmax())
    gap = float(gaps[worst])
    if abs(gap - step) <= tolerance:
        return None
    if gaps.max() > 1.5 * step:
        worst = int(gaps.argmax())
        return Notice(
            "slice_missing",
            f"{gaps[worst]:.1f} mm between slices {worst + 1} and {worst + 2}, expected {step:.1f} mm;"
            " a slice is missing; ask the archive to send it again",
        )
    return Notice(
        "slices_uneven",
        f"{gap:.2f} mm between slices {worst + 1} and {worst + 2}, expected {step:.2f} mm within {tolerance:.2f} mm;"
        " ask for a reconstruction with even steps",
    )


def canonical_layout(affine: NDArray[np.float64]) -> SourceLayout:
    """The swap and turn of axes that brings them nearest to +z, +y, +x. affine: source (slice, row, column) to LPS."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    wanted = (2, 1, 0)
    best = max(permutations(range(3)), key=lambda p: sum(abs(directions[w, a]) for w, a in zip(wanted, p, strict=True)))
    flips = tuple(bool(directions[w, a] < 0) for w, a in zip(wanted, best, strict=True))
    return SourceLayout((best[0], best[1], best[2]), (flips[0], flips[1], flips[2]))


def laid_out(shape: tuple[int, int, int], affine: NDArray[np.float64], layout: SourceLayout) -> Geometry:
    """The volume's grid from the source's shape and affine.

    Rounded to a millionth of a millimetre, so that the way round in which a series was stored leaves no trace.
    """
    turned = np.eye(4)
    turned[:3, 3] = affine[:3, 3]
    for axis, (source, flip) in enumerate(zip(layout.permutation, layout.flips, strict=True)):
        column = affine[:3, source]
        turned[:3, axis] = -column if flip else column
        if flip:
            turned[:3, 3] += column * (shape[source] - 1)
    a, b, c = (shape[source] for source in layout.permutation)
    return Geometry((a, b, c), np.round(turned, 6) + 0.0)


def _oriented(ordered: list[Frame], corner: NDArray[np.float64], step: NDArray[np.float64], jitter: float) -> Stack:
    head = ordered[0]
    assert head.row is not None
    assert head.column is not None
    assert head.spacing is not None
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = head.column * head.spacing[0]
    affine[:3, 2] = head.row * head.spacing[1]
    affine[:3, 3] = corner
    layout = canonical_layout(affine)
    if layout.flips[layout.permutation.index(0)]:
        # The source's slice order is ours to choose: take it upwards, so that only in-plane axes are ever turned.
        ordered = ordered[::-1]
        affine[:3, 3] = corner + step * (len(ordered) - 1)
        affine[:3, 0] = -step
        layout = canonical_layout(affine)
    return Stack(
        frames=tuple(ordered),
        geometry=laid_out((len(ordered), head.rows, head.columns), affine, layout),
        layout=layout,
        tilt_deg=tilt_deg(affine),
        step_mm=abs(float(step @ head.normal)),
        jitter_mm=jitter,
    )


def tilt_deg(affine: NDArray[np.float64]) -> float:
    """Angle between the line of slice corners and the slice normal; affine: (slice, row, column) to LPS."""
    normal = np.cross(affine[:3, 1], affine[:3, 2])
    normal = normal / np.linalg.norm(normal)
    along = float(affine[:3, 0] @ normal)
    across = float(np.linalg.norm(affine[:3, 0] - along * normal))
    return float(np.degrees(np.arctan2(across, abs(along))))


def grid_notices(tilt: float, step_mm: float, settings: IngestSettings) -> list[Notice]:
    """What a reader must know about a grid: tilted planes, slices far apart."""
    notices = []
    if tilt >= settings.min_tilt_deg:
        notices.append(
            Notice("gantry_tilt", f"taken with a tilt of {tilt:.1f} degrees; measured on the slices as taken")
        )
    if step_mm > settings.thick_slice_mm + settings.max_jitter_mm:
        notices.append(
            Notice(
                "thick_slices",
                f"slices are {step_mm:.1f} mm apart; lesions near that size are missed or badly measured",
            )
        )
    return notices
