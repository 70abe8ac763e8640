"""`hepar analyze`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hepar.cli.screen import Screen
from hepar.errors import WrongCall
from hepar.record import PHASE_LABELS, PhaseLabel

if TYPE_CHECKING:
    from hepar.segment import Consent, Licence

LABELS = tuple(label for label in PHASE_LABELS if label != "unknown")


def analyze_command(
    source: Path,
    output: Path,
    *,
    phase: Sequence[str],
    reference: str | None,
    study_uid: str | None,
    modality: str | None,
    precision: str,
    operating_point: str,
    engine: str,
    site: Path | None,
    accept_licence: bool,
    threads: int | None,
    max_memory: str | None,
    with_identity: bool,
    as_json: bool,
    quiet: bool,
    overwrite: bool,
) -> None:
    """Check the call, analyse, show the summary."""
    if not source.exists():
        raise WrongCall(f"{source} does not exist; give a folder, a zip or an image file")
    if reference is not None and reference not in LABELS:
        raise WrongCall(f"--reference {reference} is no phase; needed: one of {', '.join(LABELS)}")
    phase_paths = _phase_paths(phase)
    limit = _bytes(max_memory)
    threads = threads or _cores()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))

    from hepar.pipeline import Request, analyze
    from hepar.settings import Settings

    settings = Settings(reference=reference)
    chosen = replace(settings.segment, precision=precision, operating_point=operating_point, threads=threads)
    settings = replace(settings, segment=chosen)
    request = Request(
        source=source, study_uid=study_uid, modality=_modality(modality), phase_paths=phase_paths, engine=engine,
        site=site, with_identity=with_identity, max_memory_bytes=limit,
        consent=_consent(accept_licence, batch=quiet or as_json or not sys.stdin.isatty()),
    )  # fmt: skip
    with Screen(quiet=quiet) as screen:
        document = analyze(request, settings, output, overwrite=overwrite, progress=screen)
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
        print()
    elif not quiet:
        show(document, output)


def show(document: dict[str, Any], output: Path) -> None:
    """The summary: what was found, how sure, what to beware of, where the report is."""
    from rich.console import Console
    from rich.table import Table

    from hepar.report.wording import number, quantity

    console = Console(highlight=False)
    liver, burden = document["liver"], document["burden"]
    labels = {p["id"]: p["label"].replace("_", " ").replace("unknown", "cannot tell") for p in document["phases"]}
    shown = ", ".join(
        f"{p['id']} {labels[p['id']]} ({number(p['label_probability'], 'score')})" for p in document["phases"]
    )
    console.print(f"\n[bold]Phases[/]   {shown}; measured on {document['reference_phase']}")
    console.print(f"[bold]Liver[/]    {_number(liver, 'volume_ml', '.0f')} ml")
    share = _number(burden, "percent_of_liver", ".1f")
    console.print(
        f"[bold]Lesions[/]  {burden['lesion_count']}, {_number(burden, 'total_volume_ml', '.1f')} ml,"
        f" {share} % of the liver"
    )
    if document["lesions"]:
        table = Table("lesion", "volume ml", "long x short axis mm", "3D mm", "confidence", box=None, pad_edge=False)
        for lesion in document["lesions"][:10]:
            table.add_row(
                str(lesion["id"]),
                _number(lesion, "volume_ml", ".1f"),
                f"{_number(lesion, 'long_axis_mm', '.0f')} x {_number(lesion, 'short_axis_mm', '.0f')}",
                _number(lesion, "max_3d_diameter_mm", ".0f"),
                quantity(lesion, "confidence", "score"),
            )
        console.print(table)
        if len(document["lesions"]) > 10:
            console.print(f"... and {len(document['lesions']) - 10} more in the report")
    for warning in document["warnings"]:
        console.print(f"[yellow]Warning[/]  {warning['text']}", markup=True)
    console.print(f"[bold]Report[/]   {output / 'report.html'}", soft_wrap=True)
    console.print(document["disclaimer"], style="dim")


def _consent(accepted: bool, *, batch: bool) -> Consent | None:
    """Shows a licence and takes --accept-licence for an answer; asks only where somebody sits at a terminal."""
    if batch and not accepted:
        return None

    def agree(licence: Licence) -> bool:
        print(f"The engine {licence.engine} stands under this licence:\n\n{licence.text}\n", file=sys.stderr)
        if accepted:
            return True
        print("Do you accept it? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return agree


def _number(holder: dict[str, Any], key: str, form: str) -> str:
    value = holder.get(key)
    return "cannot tell" if value is None else format(value, form)


def _phase_paths(given: Sequence[str]) -> dict[PhaseLabel, Path]:
    paths: dict[PhaseLabel, Path] = {}
    for text in given:
        label, equals, path = text.partition("=")
        if not equals or label not in LABELS:
            raise WrongCall(f"--phase {text}: needed LABEL=PATH with LABEL one of {', '.join(LABELS)}")
        if not Path(path).exists():
            raise WrongCall(f"--phase {text}: {path} does not exist")
        if label in paths:
            raise WrongCall(f"--phase {label} is given twice; give each label once")
        paths[cast(PhaseLabel, label)] = Path(path)
    return paths


def _modality(given: str | None) -> str | None:
    if given is not None and given.upper() not in ("CT", "MR"):
        raise WrongCall(f"--modality {given} is not known; needed: CT or MR")
    return given.upper() if given else None


def _bytes(given: str | None) -> int | None:
    """`3G`, `3GiB`, `2500M` or a number of bytes."""
    if given is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", given.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise WrongCall(f"--max-memory {given} is not a size; needed: for example 3G or 2500M")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
