"""`hepar evidence`: meta-analysis of diagnostic accuracy."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hepar.cli.evidence_designs import beside, network_command, show_beside, thresholds_command
from hepar.cli.evidence_paper import paper_command
from hepar.cli.evidence_quality import quality_command
from hepar.errors import WrongCall

app = typer.Typer(
    name="evidence",
    help="What the literature says: meta-analysis of diagnostic accuracy.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

TableFile = Annotated[Path, typer.Argument(help="CSV with study, TP, FP, FN, TN and covariates; one table a row.")]
StudyColumn = Annotated[str | None, typer.Option("--study", help="Column that tells which tables belong to one study.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No summary; errors are still shown.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")]


@app.command("pool")
def pool_command(
    table: TableFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")],
    study: StudyColumn = None,
    interval: Annotated[str, typer.Option(help="t, z, profile or bootstrap.")] = "t",
    draws: Annotated[int, typer.Option(min=0, help="Bootstrap draws; 0: none, or 400 with --interval bootstrap.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 1,
    posterior: Annotated[bool, typer.Option("--bayes", help="The posterior too, priors stated.")] = False,
    programs: Annotated[
        list[str] | None,
        typer.Option("--compat", help="As mada, midas, metandi or glmer prints it, defects named; may be repeated."),
    ] = None,
    three_way: Annotated[
        bool, typer.Option("--non-evaluable", help="Columns NEP and NEN hold results that could not be read.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Sensitivity,specificity of a reference standard that errs, as 0.9,0.95."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Pool sensitivity and specificity: numbers, figures and a report."""
    from hepar.evidence import pool, read_table, write_results
    from hepar.evidence.deliver import OWN_FILES
    from hepar.report import check_target, delivered

    tables = read_table(table)
    check_target(output, source=table, overwrite=overwrite, own_files=OWN_FILES)
    result = pool(tables, study=study, interval=interval, draws=draws, seed=seed)
    further = beside(tables, posterior, programs or [], three_way, reference, interval)
    with delivered(output) as folder:
        document = write_results(result, folder, _sha256(table), further)
    if as_json:
        _print(document)
    elif not quiet:
        _show_pool(document, output)


@app.command("compare")
def compare_command(
    table: TableFile,
    by: Annotated[str, typer.Option("--by", help="Column of the covariate.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")
    ] = None,
    study: StudyColumn = None,
    reference: Annotated[str | None, typer.Option(help="Level to compare with; default: the first in order.")] = None,
    unequal: Annotated[bool, typer.Option("--unequal", help="A covariance of its own for each level.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare accuracy between the levels of a covariate."""
    from hepar.evidence import compare, read_table, write_comparison
    from hepar.evidence.deliver import OWN_FILES
    from hepar.evidence.document import comparison_document
    from hepar.report import check_target, delivered

    tables = read_table(table)
    if output is not None:
        check_target(output, source=table, overwrite=overwrite, own_files=OWN_FILES)
    compared = compare(tables, by, study=study, reference=reference, unequal=unequal)
    document = comparison_document(compared, _sha256(table))
    if output is not None:
        with delivered(output) as folder:
            write_comparison(compared, folder, _sha256(table))
    if as_json:
        _print(document)
    elif not quiet:
        _show_comparison(document)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise WrongCall(f"{path} can no longer be read") from None


def _print(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def _ci(one: dict[str, Any], form: str = ".2f") -> str:
    if one["estimate"] is None:
        return "-"
    text = format(one["estimate"], form)
    return text if one["low"] is None else f"{text} ({one['low']:{form}} to {one['high']:{form}})"


def _show_pool(document: dict[str, Any], output: Path) -> None:
    data, summary = document["data"], document["summary"]
    people = f"{data['n_diseased']} with and {data['n_nondiseased']} without the disease"
    print(f"{data['k']} tables from {data['studies']} studies, {people}")
    for label, key, form in (
        ("sensitivity", "sensitivity", ".3f"), ("specificity", "specificity", ".3f"), ("LR+", "lr_positive", ".2f"),
        ("LR-", "lr_negative", ".3f"), ("DOR", "dor", ".1f"), ("AUC", "auc", ".3f"),
    ):  # fmt: skip
        print(f"  {label:<12} {_ci(summary[key], form)}")
    if document["model"]["boundary"] != "none":
        print(document["model"]["words"])
    for notice in data["notices"]:
        print(notice)
    show_beside(document)
    print(f"Report: {output / 'report.html'}")


def _show_comparison(document: dict[str, Any]) -> None:
    for one in document["left_out"]:
        print(f"{one['covariate']} is left out: {one['reason']}.")
    for level in document["levels"]:
        sides = f"sensitivity {_ci(level['sensitivity'])}, specificity {_ci(level['specificity'])}"
        print(f"  {level['level']:<20} {sides}")
    for name, test in (document["lrt"] or {}).items():
        print(f"  test of {name:<12} chi2 {test['chi2']:.2f}, df {test['df']}, p {test['p']:.4g}")
    for notice in document["notices"]:
        print(notice)


@app.command("tables")
def tables_command(
    reported: Annotated[Path, typer.Argument(help="CSV of study and reported numbers: n_pos, sensitivity ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV to write; must not exist yet.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Find the 2x2 tables behind reported numbers: all that fit, and why none does."""
    from hepar.evidence.reconstruct import read_reported, reconstructed_csv, solutions_csv, solve

    every = output.with_name(output.stem + ".solutions.csv")
    for path in (output, every):
        if path.is_dir() or (path.exists() and (not overwrite or path.resolve() == reported.resolve())):
            raise WrongCall(f"{path} is there already; choose another -o, or replace it with --overwrite")
    if not output.resolve().parent.is_dir():
        raise WrongCall(f"there is no folder {output.parent}; make it first or choose another -o")
    solutions = [solve(one) for one in read_reported(reported)]
    try:
        output.write_text(reconstructed_csv(solutions), encoding="utf-8")
        every.write_text(solutions_csv(solutions), encoding="utf-8")
    except OSError:
        raise WrongCall(f"cannot write {output}; choose an -o in a folder that you may write to") from None
    if not quiet:
        for one in solutions:
            count = len(one.tables)
            said = one.why or ("1 table fits" if count == 1 else f"{count} tables fit; all stand in {every.name}")
            print("; ".join([f"{one.study}: {said}", *one.notices]))
            for proposal in one.proposals[:3]:
                print(f"  proposal, not applied: {proposal.words}")


app.command("quality")(quality_command)
app.command("paper")(paper_command)
app.command("thresholds")(thresholds_command)
app.command("network")(network_command)
