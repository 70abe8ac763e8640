"""`hepar validate`: masks, scores, compare."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepar.cli.screen import Screen
from hepar.errors import Refused, WrongCall

if TYPE_CHECKING:
    from hepar.validate.case import CaseResult
    from hepar.validate.results import Results

app = typer.Typer(
    name="validate",
    help="How good a model is: its masks, its scores, or two models compared. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary; errors are still shown.")]
Positive = Annotated[str | None, typer.Option(help="The value of the truth that is positive, when it isn't 0 and 1.")]
Threshold = Annotated[float | None, typer.Option(help="Positive from this score on.")]
TABLE = Annotated[Path, typer.Argument(help="CSV with a header; one row per case.")]
OWN_FILES = frozenset({"results.json"})


@app.command()
def scores(
    table: TABLE,
    output: Output,
    truth: Annotated[str, typer.Option(help="Column of the truth.")] = "truth",
    score: Annotated[str, typer.Option(help="Column of the score; higher means positive.")] = "score",
    patient: Annotated[str | None, typer.Option(help="Column that tells patients apart.")] = None,
    site: Annotated[str | None, typer.Option(help="Column of the site.")] = None,
    split: Annotated[str | None, typer.Option(help="Column of the split (development, internal, external).")] = None,
    fit_split: Annotated[
        str | None, typer.Option(help="Split that chooses the threshold; the others are judged.")
    ] = None,
    by: Annotated[list[str] | None, typer.Option(help="Column of subgroups; may be repeated.")] = None,
    positive: Positive = None,
    threshold: Threshold = None,
    risk: Annotated[
        bool | None, typer.Option("--risk/--no-risk", help="Is the score a probability? Else by range.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Judge a risk or score per patient or lesion against the truth."""
    from hepar.validate.score_set import ScoreSettings, judge_scores, settings_of

    columns, digest = _read(table)
    settings = ScoreSettings(truth, score, patient, site, split, fit_split, tuple(by or ()), positive, threshold, risk)
    _deliver(judge_scores(columns, settings), settings_of(settings), digest, output, table, overwrite, quiet)


@app.command()
def compare(
    first: TABLE,
    second: TABLE,
    output: Output,
    case: Annotated[str, typer.Option(help="Column that tells cases apart, the same in both.")] = "case",
    truth: Annotated[str, typer.Option(help="Column of the truth.")] = "truth",
    score: Annotated[str, typer.Option(help="Column of the score; higher means positive.")] = "score",
    reader: Annotated[
        str | None, typer.Option(help="Column of the reader: several readers, two ways of reading.")
    ] = None,
    positive: Positive = None,
    threshold: Threshold = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Compare two models on the same cases, or readers with and without help."""
    from dataclasses import asdict

    from hepar.validate.compare_set import CompareSettings, judge_comparison

    (one, digest_one), (other, digest_other) = _read(first), _read(second)
    settings = CompareSettings(case, truth, score, reader, positive, threshold)
    digest = hashlib.sha256((digest_one + digest_other).encode()).hexdigest()
    _deliver(judge_comparison(one, other, settings), asdict(settings), digest, output, first, overwrite, quiet)


@app.command()
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
    _deliver(results, settings, digest, output, ref, overwrite, quiet)


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


def _read(path: Path) -> tuple[dict[str, list[str]], str]:
    """Columns of a CSV, and the hash of the file."""
    if not path.is_file():
        raise WrongCall(f"{path} is no file; give a CSV table")
    data = path.read_bytes()
    try:
        rows = list(csv.reader(data.decode("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise Refused(f"{path.name} is no text in UTF-8; save the table as CSV in UTF-8") from error
    if len(rows) < 2:
        raise Refused(f"{path.name} holds no row under its header; needed: one row per case")
    header, body = [name.strip() for name in rows[0]], [row for row in rows[1:] if row]
    if len(set(header)) < len(header):
        raise Refused(f"{path.name} names a column twice; needed: each column once")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise Refused(
                f"{path.name}, row {number}, has {len(row)} fields and the header {len(header)}; mend that row"
            )
    return {name: [row[i] for row in body] for i, name in enumerate(header)}, hashlib.sha256(data).hexdigest()


def _deliver(
    results: Results, settings: dict[str, Any], digest: str, output: Path, source: Path, overwrite: bool, quiet: bool
) -> None:
    from hepar.report import check_target, delivered
    from hepar.validate.results import document, write

    check_target(output, source=source, overwrite=overwrite, own_files=OWN_FILES)
    made = document(results, settings, digest)
    with delivered(output) as folder:
        write(results, made, folder)
    if not quiet:
        _show(made, output)


def _show(made: dict[str, Any], output: Path) -> None:
    """One screen: cases, the first numbers of each part, what to beware of."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from hepar.validate.pages import number

    console = Console(highlight=False)
    cases = made["cases"]
    console.print(f"[bold]Cases[/]  {cases['used']} of {cases['given']} used")
    for one in cases["left_out"]:
        console.print(f"  {one['count']} left out: {escape(one['reason'])}")
    table = Table("", "", "estimate", "95 % interval", "n", box=None, pad_edge=False)
    for one in made["measures"][:16]:
        value = "cannot tell" if one["estimate"] is None else number(one["estimate"])
        span = "" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
        table.add_row(escape(one["group"]), escape(one["name"]), value, span, str(one["n"]))
    console.print(table)
    if len(made["measures"]) > 16:
        console.print(f"... and {len(made['measures']) - 16} more in the report")
    for text in made["notes"]:
        console.print(f"[yellow]Note[/]   {escape(text)}")
    console.print(f"[bold]Report[/] {output / 'report.html'}", soft_wrap=True)
