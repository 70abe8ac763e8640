"""`hepar evidence quality`: risk of bias, agreement of two reviewers, flow of the review."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hepar.errors import WrongCall


def quality_command(
    judgements: Annotated[
        Path | None,
        typer.Argument(help="CSV: study, the domains of QUADAS, perhaps reviewer, overall and item_* columns."),
    ] = None,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")],
    flow: Annotated[Path | None, typer.Option("--flow", help="CSV or JSON of the PRISMA flow's numbers.")] = None,
    tool: Annotated[str, typer.Option(help="quadas-2 or quadas-ai.")] = "quadas-2",
    codes: Annotated[
        str | None, typer.Option(help="What other entries stand for, e.g. 1=low,2=high,3=unclear.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No summary; errors are still shown.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")
    ] = False,
) -> None:
    """Risk of bias (QUADAS-2, QUADAS-AI), agreement of two reviewers and PRISMA flow, counted and drawn."""
    from hepar.evidence.deliver import OWN_FILES
    from hepar.evidence.prisma import read_flow
    from hepar.evidence.quality_deliver import write_quality
    from hepar.evidence.quality_summary import quality
    from hepar.evidence.quality_table import read_quality
    from hepar.report import check_target, delivered

    table = read_quality(judgements, parse_codes(codes)) if judgements is not None else None
    counts = read_flow(flow) if flow is not None else None
    found = quality(table, tool=tool, flow=counts)
    sources = [path for path in (judgements, flow) if path is not None]
    for source in sources:
        check_target(output, source=source, overwrite=overwrite, own_files=OWN_FILES)
    with delivered(output) as folder:
        document = write_quality(found, folder, digest(sources))
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif not quiet:
        _show(document, output)


def parse_codes(text: str | None) -> dict[str, str]:
    """ "1=low,2=high" as a mapping. Raises WrongCall for another form."""
    found = {}
    for part in (text or "").split(","):
        code, equals, meaning = part.partition("=")
        if part.strip() and not (equals and code.strip()):
            raise WrongCall(f"--codes has {part.strip()!r}; needed: pairs like 1=low,2=high,3=unclear")
        if part.strip():
            found[code.strip()] = meaning.strip()
    return found


def digest(paths: list[Path]) -> str:
    """SHA-256 of the file, or of several after each other."""
    sum_ = hashlib.sha256()
    for path in paths:
        try:
            sum_.update(path.read_bytes())
        except OSError:
            raise WrongCall(f"{path} can no longer be read") from None
    return sum_.hexdigest()


def _show(document: dict[str, Any], output: Path) -> None:
    from hepar.evidence.quality_table import label

    if document["studies"]:
        print(f"{len(document['studies'])} studies, {document['tool']}")
    for one in document["counts"]:
        kind = one["column"].partition(".")[0]
        words = {"bias": "bias: ", "applicability": "applicability: "}.get(kind, "") + label(one["column"])
        good, bad = ("yes", "no") if kind == "item" else ("low", "high")
        parts = [f"{one['low']} {good}", f"{one['unclear']} unclear", f"{one['high']} {bad}"]
        parts += [f"{one['to_settle']} to settle"] * bool(one["to_settle"])
        print(f"  {words:<36} {', '.join(parts)}")
    for one in document["agreement"]:
        kappa = one["kappa"]
        text = one["kappa"]["missing"] or f"kappa {kappa['estimate']:.2f}" + (
            "" if kappa["low"] is None else f" ({kappa['low']:.2f} to {kappa['high']:.2f})"
        )
        print(f"  agreement in {label(one['column'])} ({one['column'].partition('.')[0]}): {text}")
    if document["flow"] is not None:
        print(f"The flow balances ({document['flow']['form']}).")
    for notice in document["notices"]:
        print(notice)
    print(f"Report: {output / 'report.html'}")
