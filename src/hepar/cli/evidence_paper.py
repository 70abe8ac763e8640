"""`hepar evidence paper`: the shipped example, a published review computed again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def paper_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No summary; errors are still shown.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")
    ] = False,
) -> None:
    """The MVI review of 2026 computed again from its own tables: what comes out, and which errors it has."""
    from hepar.evidence.deliver import OWN_FILES
    from hepar.evidence.paper_deliver import write_paper
    from hepar.evidence.paper_review import paper
    from hepar.report import check_target, delivered

    check_target(output, source=None, overwrite=overwrite, own_files=OWN_FILES)
    found = paper()
    with delivered(output) as folder:
        document = write_paper(found, folder)
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif not quiet:
        for one in found.tally:
            print(f"  {one.what:<58} {one.agree} of {one.of}")
        for text in found.conclusions[1:]:
            print(f"\n{text}")
        print(f"\nReport: {output / 'report.html'}")
