"""`hepar validate masks`: outlines from files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from hepar.cli.screen import Screen
from hepar.cli.validate_deliver import OWN_FILES, Output, Overwrite, Quiet, deliver
from hepar.errors import WrongCall

LIVER = "liver"
"""The structure that holds the lesions, for the scores of LiTS."""


def masks(
    pred: Annotated[Path, typer.Option(help="Folder of predicted label maps (NIfTI, NRRD, MHA, DICOM SEG).")],
    ref: Annotated[Path, typer.Option(help="Folder of reference label maps of the same names.")],
    output: Output,
    structure: Annotated[
        list[str] | None, typer.Option(help="NAME=LABEL,LABEL; may be repeated. Default: liver=1,2 and lesion=2.")
    ] = None,
    lesions: Annotated[str, typer.Option(help="Structure whose components are lesions; '' for none.")] = "lesion",
    criterion: Annotated[
        str, typer.Option(help="When a lesion is found: overlap, iou>0.1, iou>0.5, centroid.")
    ] = "overlap",
    tolerance_mm: Annotated[float, typer.Option(min=0.0, help="Tolerance of the surface Dice.")] = 2.0,
    ignore: Annotated[str, typer.Option(help="LABEL,LABEL that may occur and are not judged.")] = "",
    scores: Annotated[
        Path | None, typer.Option(help="CSV: case, score, x_mm, y_mm, z_mm (LPS) per predicted lesion or candidate.")
    ] = None,
    score_maps: Annotated[
        Path | None, typer.Option(help="Folder of maps with a score per voxel, named like the cases.")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="CSV: case, patient, where patients have several cases.")
    ] = None,
    lits: Annotated[
        bool, typer.Option("--lits", help="Add the scores of the LiTS challenge, as published and right.")
    ] = (False),
    about: Annotated[str, typer.Option(help="A sentence on the cases and the model, first in the report.")] = "",
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
    settings = _settings(
        structure or ["liver=1,2", "lesion=2"], lesions, criterion, tolerance_mm, ignore, resample, lits
    )
    if scores is not None and score_maps is not None:
        raise WrongCall("--scores and --score-maps were both given; needed: one of them")
    if (scores is not None or score_maps is not None) and not lesions:
        raise WrongCall("scores were given, but --lesions '' looks for no lesions; name the structure of the lesions")
    from hepar.cli.mask_files import Job, label_maps, marks_of, paired, patients_of, work
    from hepar.validate.mask_set import judge_masks
    from hepar.validate.results import Results

    results = Results("masks", "How good are the outlines?")
    if about.strip():
        results.notes.append(about.strip())
    pairs = paired(pred, ref, allow_missing, results)
    names, digests = [name for name, _, _ in pairs], []
    told: dict[str, str] = {}
    if patients is not None:
        told, digest = patients_of(patients, names)
        digests.append(digest)
    marks = maps = None
    if scores is not None:
        marks, digest = marks_of(scores, names, results)
        digests.append(digest)
    if score_maps is not None:
        maps = label_maps(score_maps, "maps of scores", results)
        missing = [name for name in names if name not in maps]
        if missing:
            raise WrongCall(
                f"{len(missing)} of {len(names)} cases have no map of scores (first: {missing[0]}); add them"
            )
    jobs = [
        Job(name, one, other, settings, told.get(name), None if marks is None else marks[name],
            None if maps is None else maps[name])
        for name, one, other in pairs
    ]  # fmt: skip
    measured = []
    with Screen(quiet=quiet) as screen:
        for done, one in enumerate(work(jobs, workers), 1):
            measured.append(one)
            screen("Measuring the cases", min(done / len(jobs), 0.999))
        screen("Measuring the cases", 1.0)
    for count, text in (
        (sum(one.moved for one in measured),
         "predictions lay on another grid and were resampled to the reference's (nearest neighbour); their measures "
         "include that step."),
        (sum(one.tilted for one in measured),
         "cases have tilted slices: their volumes are right, their distances slightly off."),
        (sum(one.ignored for one in measured),
         f"voxels of the labels {ignore} were not judged, as asked; what lies under them is cut out."),
    ):  # fmt: skip
        if count:
            results.notes.append(f"{count} {text}")
    judge_masks([one.case for one in measured], results)
    digest = hashlib.sha256("".join([*digests, *(one.digest for one in measured)]).encode()).hexdigest()
    deliver(results, settings, digest, output, ref, overwrite, quiet)


def _settings(
    given: list[str], lesions: str, criterion: str, tolerance_mm: float, ignore: str, resample: bool, lits: bool
) -> dict[str, Any]:
    from hepar.validate.matching import CRITERIA

    structures = _structures(given)
    if lesions and lesions not in structures:
        raise WrongCall(f"--lesions {lesions} names no structure; needed: one of {', '.join(structures)}, or ''")
    if criterion not in CRITERIA:
        raise WrongCall(f"--criterion {criterion} is not known; needed: one of {', '.join(CRITERIA)}")
    parts = [part.strip() for part in ignore.split(",") if part.strip()]
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise WrongCall(f"--ignore {ignore}: needed LABEL,LABEL with whole numbers above 0, for example 3,7")
    if lits and (not lesions or LIVER not in structures or not set(structures[lesions]) < set(structures[LIVER])):
        raise WrongCall("--lits needs the lesions and a structure 'liver' whose labels hold those of the lesions, for "
                        "example --structure liver=1,2 --structure lesion=2")  # fmt: skip
    return {
        "structures": {name: list(labels) for name, labels in structures.items()}, "lesions": lesions,
        "criterion": criterion, "tolerance_mm": tolerance_mm, "ignore": [int(part) for part in parts],
        "lits": LIVER if lits else "", "resample": resample,
    }  # fmt: skip


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
