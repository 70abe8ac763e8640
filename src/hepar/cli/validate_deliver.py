"""What the verbs of `hepar validate` share: their options, the table read, the result delivered and shown."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hepar.errors import Refused, WrongCall

if TYPE_CHECKING:
    from hepar.validate.results import Results

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the result; must not exist yet.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result of hepar at the same place.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary; errors are still shown.")]
OWN_FILES = frozenset({"results.json"})


def read_table(path: Path) -> tuple[dict[str, list[str]], str]:
    """Columns of a CSV, and the hash of the file."""
    if not path.is_file():
        raise WrongCall(f"{path} is no file; give a CSV table")
    data = path.read_bytes()
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
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


def deliver(
    results: Results, settings: dict[str, Any], digest: str, output: Path, source: Path, overwrite: bool, quiet: bool
) -> None:
    """Write the result, all of it or nothing, and show it on one screen."""
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

    from hepar.validate.checklist import count, prefill, which
    from hepar.validate.checklist_run import ANSWERED, PARTLY
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
    if "place" in made:
        console.print(f"[bold]Place[/]  {escape(made['place']['sentence'])} {escape(made['place']['fairness'])}")
    for name in which(made):
        found = count(prefill(made, name))
        told = f"{found[ANSWERED]} of {sum(found.values())} items answered, {found[PARTLY]} in part"
        console.print(f"[bold]{name}[/]  {told}")
    console.print(f"[bold]Report[/] {output / 'report.html'}", soft_wrap=True)
