"""`hepar evidence thresholds` and `hepar evidence network`, and what `pool` can compute beside the pool."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepar.errors import WrongCall

if TYPE_CHECKING:
    from hepar.evidence import Further, Table

TableFile = Annotated[Path, typer.Argument(help="CSV with study, TP, FP, FN, TN and further columns; one table a row.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")]
Study = Annotated[str, typer.Option("--study", help="Column that tells which tables belong to one study.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No summary; errors are still shown.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")]


def thresholds_command(
    table: TableFile,
    output: Output,
    threshold: Annotated[
        str | None,
        typer.Option("--threshold", help="Column of the thresholds; default: threshold, cutpoint or cutoff."),
    ] = None,
    study: Study = "study",
    model: Annotated[str, typer.Option(help="CI, DI, CS, DS, CICS, DICS, CIDS or DIDS.")] = "DICS",
    distribution: Annotated[str, typer.Option(help="logistic or normal.")] = "logistic",
    log_scale: Annotated[bool, typer.Option("--log", help="Thresholds enter as logarithms.")] = False,
    lower: Annotated[
        bool, typer.Option("--lower-is-positive", help="A result below the threshold is positive.")
    ] = False,
    weight: Annotated[float, typer.Option(help="Weight of sensitivity for the best threshold, 0 to 1.")] = 0.5,
    as_json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Pool studies that report several thresholds of one test: accuracy at each, and the best one."""
    from hepar.evidence import read_table, thresholds, write_thresholds
    from hepar.evidence.deliver import OWN_FILES
    from hepar.report import check_target, delivered

    tables = read_table(table)
    check_target(output, source=table, overwrite=overwrite, own_files=OWN_FILES)
    found = thresholds(
        tables, threshold, study=study, model=model.upper(), distribution=distribution, log_scale=log_scale,
        lower_is_positive=lower, weight=weight,
    )  # fmt: skip
    with delivered(output) as folder:
        document = write_thresholds(found, folder, _sha256(table))
    if as_json:
        _print(document)
    elif not quiet:
        best = document["optimal"]
        print(f"{document['tables']} tables from {document['studies']} studies, {len(document['at'])} thresholds")
        print(f"  best threshold {best['threshold']:.4g}: sensitivity {_ci(best['sensitivity'])},"
              f" specificity {_ci(best['specificity'])}")  # fmt: skip
        print(f"  AUC {_ci(document['auc'], '.3f')}")
        _finish(document, output)


def network_command(
    table: TableFile,
    by: Annotated[str, typer.Option("--by", help="Column that names the test of each row.")],
    output: Output,
    study: Study = "study",
    reference: Annotated[
        str | None, typer.Option(help="Test to compare with; default: the one with most tables.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the probabilities of being best.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
    overwrite: Overwrite = False,
) -> None:
    """Compare several tests at once, some of them in the same studies (arm-based network)."""
    from hepar.evidence import network, read_table, write_network
    from hepar.evidence.deliver import OWN_FILES
    from hepar.report import check_target, delivered

    tables = read_table(table)
    check_target(output, source=table, overwrite=overwrite, own_files=OWN_FILES)
    found = network(tables, by, study=study, reference=reference, seed=seed)
    with delivered(output) as folder:
        document = write_network(found, folder, _sha256(table))
    if as_json:
        _print(document)
    elif not quiet:
        print(f"{document['tables']} tables from {document['studies']} studies, {len(document['arms'])} tests")
        for arm in document["arms"]:
            sides = f"sensitivity {_ci(arm['sensitivity'])}, specificity {_ci(arm['specificity'])}"
            print(f"  {arm['test']:<20} {sides}")
        for pair in document["pairs"]:
            print(f"  {pair['test']} against {pair['reference']}: DOR ratio {_ci(pair['dor'])}, p {pair['dor_p']:.3g}")
        lrt = document["lrt"]
        print(f"  any difference: chi2 {lrt['chi2']:.2f}, df {lrt['df']}, p {lrt['p']:.4g}")
        for one in document["left_out"]:
            print(f"Left out: {one['reason']}.")
        _finish(document, output)


def beside(
    tables: Table, posterior: bool, programs: list[str], non_evaluable: bool, reference: str | None, interval: str
) -> Further:
    """What `pool --bayes --compat --non-evaluable --reference` ask for. Raises WrongCall for what is not understood."""
    from hepar.evidence import Further, bayes, compat, imperfect_reference
    from hepar.evidence import non_evaluable as three_way

    wide = "z" if interval == "z" else "t"
    pair = _pair(reference)
    return Further(
        bayes(tables) if posterior else None,
        tuple(compat(tables, program.lower()) for program in dict.fromkeys(programs)),
        three_way(tables, interval=wide) if non_evaluable else None,
        imperfect_reference(tables, *pair, interval=wide) if pair else None,
    )


def show_beside(document: dict[str, Any]) -> None:
    """A few lines for each part that was asked for."""
    if "non_evaluable" in document:
        print("Non-evaluable results:")
        for view in document["non_evaluable"]["views"]:
            print(
                f"  {view['name']:<22} sensitivity {_ci(view['sensitivity'])}, specificity {_ci(view['specificity'])}"
            )
    if "imperfect_reference" in document:
        part = document["imperfect_reference"]
        print(f"With a reference of sensitivity {part['reference_sensitivity']:g} and specificity"
              f" {part['reference_specificity']:g}: sensitivity {_ci(part['sensitivity'])},"
              f" specificity {_ci(part['specificity'])}")  # fmt: skip
        for notice in part["notices"]:
            print(notice)
    if "bayes" in document:
        part = document["bayes"]["quantities"]
        print(f"Bayesian fit: sensitivity {_ci(part['sensitivity']['interval'], '.3f')},"
              f" specificity {_ci(part['specificity']['interval'], '.3f')}")  # fmt: skip
    for part in document.get("compat", []):
        print(f"As {part['program']} sees it:")
        for one in part["defects"]:
            right = "" if one["right"] is None else f"; right: {one['right']:.4g}"
            printed = "-" if one["printed"] is None else f"{one['printed']:.4g}"
            print(f"  {one['name']} {printed}{right}: {one['what']}")


def _pair(text: str | None) -> tuple[float, float] | None:
    """Sensitivity and specificity of the reference from "0.9,0.95"."""
    if text is None:
        return None
    parts = text.replace(";", ",").split(",")
    try:
        one, two = (float(part) for part in parts)
    except ValueError:
        raise WrongCall(
            f"--reference is {text!r}; give sensitivity and specificity of the reference standard, such as 0.9,0.95"
        ) from None
    return one, two


def _finish(document: dict[str, Any], output: Path) -> None:
    for notice in document["notices"]:
        print(notice)
    print(f"Report: {output / 'report.html'}")


def _ci(one: dict[str, Any], form: str = ".2f") -> str:
    if one["estimate"] is None:
        return "-"
    text = format(one["estimate"], form)
    return text if one["low"] is None else f"{text} ({one['low']:{form}} to {one['high']:{form}})"


def _print(document: dict[str, Any]) -> None:
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    print()


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise WrongCall(f"{path} can no longer be read") from None
