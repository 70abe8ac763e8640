"""`hepar validate`: masks, scores, compare."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepar.cli.validate_deliver import Output, Overwrite, Quiet, deliver, read_table
from hepar.cli.validate_masks import masks
from hepar.errors import WrongCall

if TYPE_CHECKING:
    from hepar.validate.results import Results

app = typer.Typer(
    name="validate",
    help="How good a model is: its masks, its scores, or two models compared. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Positive = Annotated[str | None, typer.Option(help="The value of the truth that is positive, when it isn't 0 and 1.")]
Threshold = Annotated[float | None, typer.Option(help="Positive from this score on.")]
TABLE = Annotated[Path, typer.Argument(help="CSV with a header; one row per case.")]


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
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column of subgroups, numbers with their cuts: sex, age:50,65. May be repeated."),
    ] = None,
    positive: Positive = None,
    threshold: Threshold = None,
    risk: Annotated[
        bool | None, typer.Option("--risk/--no-risk", help="Is the score a probability? Else by range.")
    ] = None,
    study_uid: Annotated[str | None, typer.Option(help="Column of the study UID, for the leak check.")] = None,
    internal: Annotated[
        str | None, typer.Option(help="Split that the others are held against; default: the one named internal.")
    ] = None,
    variables: Annotated[
        int | None, typer.Option(min=1, help="Candidate variables of the model, for events per variable.")
    ] = None,
    prevalence: Annotated[
        list[float] | None, typer.Option(help="Local prevalence (0 to 1) for the chance after a test. May be repeated.")
    ] = None,
    multiclass: Annotated[
        list[str] | None, typer.Option(help="CLASS=COLUMN: a class of the truth and its score column; once per class.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time under observation: judges survival.")] = None,
    event: Annotated[str | None, typer.Option(help="Column that tells whether the time ended with the event.")] = None,
    at: Annotated[
        list[float] | None, typer.Option(help="Time to judge at, in the unit of the table. May be repeated.")
    ] = None,
    risk_groups: Annotated[int, typer.Option(min=2, help="Risk groups of the Kaplan-Meier curves.")] = 3,
    adjust: Annotated[
        list[str] | None, typer.Option(help="Numeric column beside the score in a second Cox regression.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Column of image paths (NIfTI, or folder or zip of DICOM), for the leak check.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder that the paths of --image start from; default: the table's.")
    ] = None,
    place: Annotated[
        str | None, typer.Option(help="Hold it against published models of this modality: ct, cemri, mri, ceus, ...")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="What these cases are to the model: internal or external.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="What the truth says, for --place; mvi in the published table.")
    ] = None,
    place_table: Annotated[
        Path | None, typer.Option(help="Another table of pooled results for --place, with the same columns.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Judge a risk or score per patient or lesion against the truth; or several classes, or survival."""
    from dataclasses import asdict

    from hepar.cli.validate_images import refuse_same_images
    from hepar.validate.place_report import asked_place, place_settings

    columns, digest = read_table(table)
    placed = asked_place(place, validation, target, place_table)
    subgroups = tuple(by or ())
    results: Results
    told: dict[str, Any]
    if multiclass:
        from hepar.validate.class_set import ClassSettings, judge_classes

        _none_of("--multiclass", site=site, fit_split=fit_split, positive=positive, threshold=threshold, risk=risk,
                 internal=internal, variables=variables, prevalence=prevalence, time=time, place=place)  # fmt: skip
        classes = ClassSettings(tuple(multiclass), truth, patient, study_uid, split, subgroups)
        judged, told = partial(judge_classes, columns, classes), asdict(classes)
    elif time is not None or event is not None:
        from hepar.validate.survival_set import SurvivalSettings, judge_survival

        if time is None or event is None:
            raise WrongCall("--time and --event belong together: the time under observation, and whether it ended with "
                            "the event; name both columns")  # fmt: skip
        _none_of("--time", site=site, threshold=threshold, internal=internal, variables=variables,
                 prevalence=prevalence, place=place)  # fmt: skip
        survival = SurvivalSettings(
            time, event, score, tuple(at or ()), risk_groups, tuple(adjust or ()), bool(risk), patient, study_uid,
            split, fit_split, subgroups, positive,
        )  # fmt: skip
        judged, told = partial(judge_survival, columns, survival), asdict(survival)
    else:
        from hepar.validate.score_set import ScoreSettings, judge_scores, settings_of

        _none_of("a score without --time", at=at, adjust=adjust)
        settings = ScoreSettings(
            truth, score, patient, site, split, fit_split, subgroups, positive, threshold, risk, study_uid, internal,
            variables, tuple(prevalence or ()),
        )  # fmt: skip
        judged, told = partial(judge_scores, columns, settings, placed), settings_of(settings)
    results = judged()
    told |= {"validation": validation, "place": placed and place_settings(placed)}
    if image is not None:
        told["image"] = image
        results.notes += refuse_same_images(columns, image, split, patient, images or table.parent, quiet=quiet)
    deliver(results, plain(told), digest, output, table, overwrite, quiet)


def _none_of(what: str, **given: Any) -> None:
    """Raise WrongCall for an option that does not go with what is judged."""
    wrong = [name for name, value in given.items() if value not in (None, [], False)]
    if wrong:
        raise WrongCall(f"--{wrong[0].replace('_', '-')} does not go with {what}; leave one of them out")


def plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as results.json holds them: tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}


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
    patient: Annotated[
        str | None, typer.Option(help="Column that tells patients apart, where one has several cases.")
    ] = None,
    category: Annotated[
        list[float] | None, typer.Option(help="Risk that parts two categories, for the NRI. May be repeated.")
    ] = None,
    positive: Positive = None,
    threshold: Threshold = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Compare two models on the same cases, or readers with and without help."""
    from dataclasses import asdict

    from hepar.validate.compare_set import CompareSettings, judge_comparison

    (one, digest_one), (other, digest_other) = read_table(first), read_table(second)
    settings = CompareSettings(case, truth, score, reader, positive, threshold, patient, tuple(category or ()))
    digest = hashlib.sha256((digest_one + digest_other).encode()).hexdigest()
    deliver(judge_comparison(one, other, settings), plain(asdict(settings)), digest, output, first, overwrite, quiet)


app.command()(masks)
