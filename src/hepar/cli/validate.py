"""`hepar validate`: masks, scores, compare."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from hepar.cli.validate_deliver import Output, Overwrite, Quiet, deliver, read_table
from hepar.cli.validate_masks import masks

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
    """Judge a risk or score per patient or lesion against the truth."""
    from hepar.validate.place_report import asked_place, place_settings
    from hepar.validate.score_set import ScoreSettings, judge_scores, settings_of

    columns, digest = read_table(table)
    settings = ScoreSettings(
        truth, score, patient, site, split, fit_split, tuple(by or ()), positive, threshold, risk, study_uid, internal,
        variables, tuple(prevalence or ()),
    )  # fmt: skip
    placed = asked_place(place, validation, target, place_table)
    told = {**settings_of(settings), "validation": validation, "place": placed and place_settings(placed)}
    deliver(judge_scores(columns, settings, placed), told, digest, output, table, overwrite, quiet)


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

    (one, digest_one), (other, digest_other) = read_table(first), read_table(second)
    settings = CompareSettings(case, truth, score, reader, positive, threshold)
    digest = hashlib.sha256((digest_one + digest_other).encode()).hexdigest()
    deliver(judge_comparison(one, other, settings), asdict(settings), digest, output, first, overwrite, quiet)


app.command()(masks)
