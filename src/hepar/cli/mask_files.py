"""The files of `hepar validate masks`: which belong together, read and brought to one grid, several at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepar.cli.validate_deliver import read_table
from hepar.errors import Refused, WrongCall

if TYPE_CHECKING:
    from hepar.ingest.label_map import VoxelMap
    from hepar.record import Geometry
    from hepar.validate.case import CaseResult
    from hepar.validate.results import Results

TILTED_DEG = 1.0


@dataclass(frozen=True)
class Job:
    """One case. settings: those of the command, the same for every case."""

    name: str
    pred: Path
    ref: Path
    settings: dict[str, Any]
    patient: str | None = None
    marks: tuple[tuple[float, ...], ...] | None = None
    """Score and place (x, y, z, LPS millimetres) of each mark; None where there are no marks at all."""
    score_map: Path | None = None


@dataclass(frozen=True)
class Measured:
    """What came of a job. moved: resampled to the reference's grid. tilted: its slices are."""

    case: CaseResult
    digest: str
    moved: bool
    tilted: bool
    ignored: int = field(default=0)


def paired(pred: Path, ref: Path, allow_missing: bool, results: Results) -> list[tuple[str, Path, Path]]:
    """Predictions and references of the same file name without its ending, in the order of the names."""
    ours, theirs = label_maps(pred, "predictions", results), label_maps(ref, "references", results)
    missing, extra = sorted(theirs.keys() - ours.keys()), len(ours.keys() - theirs.keys())
    results.given = len(ours.keys() | theirs.keys())
    if missing and not allow_missing:
        raise Refused(f"{len(missing)} of {len(theirs)} references have no prediction of the same file name (first: "
                      f"{missing[0]}); add them, or go on without them with --allow-missing")  # fmt: skip
    results.leave_out("no prediction", len(missing))
    results.leave_out("no reference", extra)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise Refused("no prediction has the file name of a reference; name them alike")
    return [(name, ours[name], theirs[name]) for name in shared]


def label_maps(folder: Path, what: str, results: Results) -> dict[str, Path]:
    """Files of a folder by their name without ending. Raises WrongCall for an empty one, Refused for a name twice."""
    from hepar.ingest.label_map import SUFFIXES

    if not folder.is_dir():
        raise WrongCall(f"{folder} is no folder; give the folder of the {what}")
    found: dict[str, Path] = {}
    others = 0
    for path in sorted(folder.iterdir()):
        suffix = next((one for one in SUFFIXES if path.name.endswith(one)), None)
        if not path.is_file() or path.name.startswith("."):
            continue
        if suffix is None:
            others += 1
            continue
        name = path.name.removesuffix(suffix)
        if name in found:
            raise Refused(f"the {what} hold one name both as {found[name].name.removeprefix(name)} and as {suffix} "
                          f"({name}); needed: one file per case; remove one")  # fmt: skip
        found[name] = path
    if not found:
        raise WrongCall(f"{folder} holds no label map ({', '.join(SUFFIXES)}); give the folder of the {what}")
    if others:
        results.notes.append(f"{others} files of other kinds lie among the {what}; they were not looked at.")
    return found


def patients_of(path: Path, names: list[str]) -> tuple[dict[str, str], str]:
    """Whose case each is: a CSV with the columns case and patient. The hash of the file with it."""
    columns, digest = read_table(path)
    cases, patients = _columns(columns, path, ("case", "patient"))
    told = dict(zip(cases, patients, strict=True))
    if len(told) < len(cases):
        raise Refused(f"{path.name} names {len(cases) - len(told)} cases twice; needed: each once")
    missing = [name for name in names if not told.get(name)]
    if missing:
        raise Refused(f"{path.name} names no patient for {len(missing)} of {len(names)} cases (first: {missing[0]}); "
                      "needed: a row with case and patient for each")  # fmt: skip
    return told, digest


def marks_of(path: Path, names: list[str], results: Results) -> tuple[dict[str, tuple[tuple[float, ...], ...]], str]:
    """Scores with places: a CSV with the columns case, score, x_mm, y_mm, z_mm (LPS, as in DICOM)."""
    import math

    columns, digest = read_table(path)
    cases, *texts = _columns(columns, path, ("case", "score", "x_mm", "y_mm", "z_mm"))
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    elsewhere = 0
    for row, (name, *values) in enumerate(zip(cases, *texts, strict=True), start=2):
        try:
            mark = tuple(float(value) for value in values)
        except ValueError as error:
            raise Refused(f"{path.name}, row {row}, holds something that is no number; needed: score, x_mm, y_mm, z_mm "
                          "as numbers") from error  # fmt: skip
        if not all(math.isfinite(value) for value in mark):
            raise Refused(f"{path.name}, row {row}, lacks a number (NaN or infinite); needed: a score and a place")
        if name in found:
            found[name].append(mark)
        else:
            elsewhere += 1
    if elsewhere:
        results.notes.append(f"{elsewhere} scores belong to cases that are not judged here; they were left out.")
    return {name: tuple(marks) for name, marks in found.items()}, digest


def _columns(columns: dict[str, list[str]], path: Path, names: tuple[str, ...]) -> list[list[str]]:
    missing = [name for name in names if name not in columns]
    if missing:
        raise WrongCall(f"{path.name} has no column {missing[0]!r} (it has {', '.join(columns)}); needed: "
                        f"{', '.join(names)}")  # fmt: skip
    return [[value.strip() for value in columns[name]] for name in names]


def work(jobs: list[Job], workers: int) -> Iterator[Measured]:
    """Measure all, in their order whatever the number of workers."""
    if workers == 1 or len(jobs) == 1:
        yield from map(measure, jobs)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(measure, jobs)


def measure(job: Job) -> Measured:
    """Read one pair, bring it to one grid and measure it."""
    import numpy as np

    from hepar.ingest.label_map import read_label_map, read_score_map
    from hepar.validate.case import mask_of, measure_case

    settings = job.settings
    read, ref = read_label_map(job.pred), read_label_map(job.ref)
    pred, moved = _on(read, ref.geometry, settings["resample"], f"case {job.name}: the prediction")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (job.pred, job.ref)]
    points = score_map = None
    if job.marks is not None:
        table = np.array(job.marks, dtype=np.float64).reshape(-1, 4)
        points = table[:, 0], ref.geometry.to_index(table[:, 1:])
    if job.score_map is not None:
        scores = read_score_map(job.score_map)
        digests.append(hashlib.sha256(job.score_map.read_bytes()).hexdigest())
        score_map, _ = _on(scores, ref.geometry, settings["resample"], f"case {job.name}: the map of scores")
    ignored = 0
    if settings["ignore"]:
        ignored = sum(int(np.count_nonzero(mask_of(one, settings["ignore"]))) for one in (pred, ref.values))
    # slices of a tilted gantry stand closer than their corners: with this step volumes are right
    spacing = (ref.geometry.slice_distance_mm, *ref.geometry.spacing_mm[1:])
    case = measure_case(
        job.name, pred, ref.values, spacing, structures=settings["structures"], lesions=settings["lesions"] or None,
        patient=job.patient, criterion=settings["criterion"], tolerance_mm=settings["tolerance_mm"],
        ignore=settings["ignore"], liver=settings["lits"] or None, points=points, score_map=score_map,
    )  # fmt: skip
    return Measured(case, "".join(digests), moved, ref.tilt_deg >= TILTED_DEG, ignored)


def _on(own: VoxelMap, geometry: Geometry, resample: bool, what: str) -> tuple[Any, bool]:
    """The voxels on a grid, and whether they had to be resampled (nearest neighbour)."""
    same = own.on(geometry)
    if same is not None:
        return same.values, False
    if not resample:
        raise Refused(f"{what} has the grid {_grid(own.geometry)}, the reference {_grid(geometry)}; needed: one grid; "
                      "--resample brings it to the reference's")  # fmt: skip
    import numpy as np
    from scipy import ndimage

    to_own = np.linalg.inv(own.geometry.affine) @ geometry.affine
    moved = ndimage.affine_transform(own.values, to_own[:3, :3], to_own[:3, 3], output_shape=geometry.shape, order=0)
    return moved, True


def _grid(geometry: Geometry) -> str:
    shape, spacing = " x ".join(map(str, geometry.shape)), " x ".join(f"{v:.3g}" for v in geometry.spacing_mm)
    return f"{shape} voxels of {spacing} mm from ({', '.join(f'{v:.1f}' for v in geometry.origin_lps_mm)})"
