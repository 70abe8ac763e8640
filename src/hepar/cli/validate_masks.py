"""`hepar validate masks`: outlines from files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepar.cli.screen import Screen
from hepar.cli.validate_deliver import OWN_FILES, Output, Overwrite, Quiet, deliver
from hepar.errors import Refused, WrongCall

if TYPE_CHECKING:
    from hepar.validate.case import CaseResult
    from hepar.validate.results import Results


def masks(
    pred: Annotated[Path, typer.Option(help="Folder of predicted label maps (NIfTI), named like the references.")],
    ref: Annotated[Path, typer.Option(help="Folder of reference label maps (NIfTI).")],
    output: Output,
    structure: Annotated[
        list[str] | None, typer.Option(help="NAME=LABEL,LABEL; may be repeated. Default: liver=1,2 and lesion=2.")
    ] = None,
    lesions: Annotated[str, typer.Option(help="Structure whose components are lesions; '' for none.")] = "lesion",
    criterion: Annotated[
        str, typer.Option(help="When a lesion is found: overlap, iou>0.1, iou>0.5, centroid.")
    ] = "overlap",
    tolerance_mm: Annotated[float, typer.Option(min=0.0, help="Tolerance of the normalised surface Dice.")] = 2.0,
    resample: Annotated[
        bool, typer.Option("--resample", help="Bring predictions on another grid to the reference's.")
    ] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without cases that have no prediction, and say so.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Cases at a time; each needs memory for two label maps.")] = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Judge segmentations and the finding of lesions."""
    from hepar.report import check_target

    for folder in (pred, ref):
        check_target(output, source=folder, overwrite=overwrite, own_files=OWN_FILES)
    structures = _structures(structure or ["liver=1,2", "lesion=2"])
    if lesions and lesions not in structures:
        raise WrongCall(f"--lesions {lesions} names no structure; needed: one of {', '.join(structures)}, or ''")
    settings: dict[str, Any] = {
        "structures": {name: list(labels) for name, labels in structures.items()}, "lesions": lesions,
        "criterion": criterion, "tolerance_mm": tolerance_mm, "resample": resample,
    }  # fmt: skip
    from hepar.validate.mask_set import judge_masks
    from hepar.validate.results import Results

    results = Results("masks", "How good are the outlines?")
    jobs = [
        (number, one, other, settings)
        for number, (one, other) in enumerate(_pairs(pred, ref, allow_missing, results), 1)
    ]
    measured, digests, moved = [], [], 0
    with Screen(quiet=quiet) as screen:
        for done, (case, digest, was_moved) in enumerate(_work(jobs, workers), 1):
            measured.append(case)
            digests.append(digest)
            moved += was_moved
            screen("Measuring the cases", min(done / len(jobs), 0.999))
        screen("Measuring the cases", 1.0)
    if moved:
        results.notes.append(f"{moved} predictions lay on another grid and were resampled to the reference's (nearest "
                             "neighbour); their measures include that step.")  # fmt: skip
    judge_masks(measured, results)
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    deliver(results, settings, digest, output, ref, overwrite, quiet)


def _structures(given: list[str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for text in given:
        name, equals, labels = text.partition("=")
        parts = labels.split(",")
        if not name or not equals or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise WrongCall(
                f"--structure {text}: needed NAME=LABEL,LABEL with whole numbers above 0, for example liver=1,2"
            )
        found[name] = tuple(int(part) for part in parts)
    return found


def _pairs(pred: Path, ref: Path, allow_missing: bool, results: Results) -> list[tuple[Path, Path]]:
    """Predictions and references of the same file name, in the order of the names."""
    found = []
    for folder, what in ((pred, "predictions"), (ref, "references")):
        if not folder.is_dir():
            raise WrongCall(f"{folder} is no folder; give the folder of the {what}")
        paths = sorted([*folder.glob("*.nii"), *folder.glob("*.nii.gz")])
        files = {path.name.removesuffix(".gz").removesuffix(".nii"): path for path in paths}
        if len(files) < len(paths):
            raise Refused(
                f"the {what} hold one name both as .nii and as .nii.gz; needed: one file per case; remove one"
            )
        if not files:
            raise WrongCall(f"{folder} holds no NIfTI file (.nii, .nii.gz); give the folder of the {what}")
        found.append(files)
    ours, theirs = found
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
    return [(ours[name], theirs[name]) for name in shared]


def _work(jobs: list[Any], workers: int) -> Any:
    if workers == 1 or len(jobs) == 1:
        yield from map(_measure, jobs)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_measure, jobs)


def _measure(job: tuple[int, Path, Path, dict[str, Any]]) -> tuple[CaseResult, str, bool]:
    """Read one pair, bring it to one grid and measure it."""
    import numpy as np

    from hepar.validate.case import measure_case

    number, pred_path, ref_path, settings = job
    (pred, pred_affine), (ref, ref_affine) = _load(pred_path), _load(ref_path)
    digest = hashlib.sha256(pred_path.read_bytes()).hexdigest() + hashlib.sha256(ref_path.read_bytes()).hexdigest()
    same = pred.shape == ref.shape and bool(np.abs(pred_affine - ref_affine).max() < 0.01)
    if not same:
        if not settings["resample"]:
            raise Refused(
                f"case {pred_path.name}: the prediction has the grid {_grid(pred, pred_affine)}, the reference "
                f"{_grid(ref, ref_affine)}; needed: one grid; --resample brings it to the reference's"
            )
        from scipy import ndimage

        to_pred = np.linalg.inv(pred_affine) @ ref_affine
        pred = ndimage.affine_transform(pred, to_pred[:3, :3], to_pred[:3, 3], output_shape=ref.shape, order=0)
    spacing = tuple(float(v) for v in np.linalg.norm(ref_affine[:3, :3], axis=0))
    case = measure_case(
        str(number), pred, ref, spacing, structures=settings["structures"], lesions=settings["lesions"] or None,
        criterion=settings["criterion"], tolerance_mm=settings["tolerance_mm"],
    )  # fmt: skip
    return case, digest, not same


def _load(path: Path) -> tuple[Any, Any]:
    """A label map as (slice, row, column), and the affine of those indices."""
    import nibabel
    import numpy as np

    try:
        image: Any = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
    except Exception as error:
        raise Refused(f"{path.name} cannot be read as NIfTI ({type(error).__name__}); make it again") from error
    if values.ndim != 3:
        raise Refused(f"{path.name} has {values.ndim} axes; needed: three")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or not (values == np.rint(values)).all():
            raise Refused(f"{path.name} holds fractions or NaN; needed: a map of whole-numbered labels")
        values = np.rint(values)
    labels = np.ascontiguousarray(values.transpose(2, 1, 0)).astype(np.int32)
    return labels, np.asarray(image.affine, dtype=np.float64)[:, [2, 1, 0, 3]]


def _grid(values: Any, affine: Any) -> str:
    import numpy as np

    shape = " x ".join(map(str, values.shape))
    spacing = " x ".join(f"{v:.3g}" for v in np.linalg.norm(affine[:3, :3], axis=0))
    return f"{shape} voxels of {spacing} mm from ({', '.join(f'{v:.1f}' for v in affine[:3, 3])})"
