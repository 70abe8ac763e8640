"""`hepar inspect`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepar.errors import Refused, WrongCall

if TYPE_CHECKING:
    from hepar.ingest import Inspection
    from hepar.ingest.inspection import SeriesSummary


def inspect_command(source: Path, *, study_uid: str | None, modality: str | None, as_json: bool) -> None:
    """Show what is in the study. Raises Refused when it would not be analysed, after showing what is there."""
    from hepar import ingest

    if not source.exists():
        raise WrongCall(f"{source} does not exist; give a folder, a zip or an image file")
    with tempfile.TemporaryDirectory(prefix="hepar-") as workspace:
        found = ingest.inspect(
            source,
            settings=ingest.IngestSettings(),
            study_uid=study_uid,
            modality=modality.upper() if modality else None,
            workspace=Path(workspace),
        )
    if as_json:
        print(json.dumps(as_document(found), indent=2, ensure_ascii=False))
    else:
        _show(found)
    if found.refusal:
        raise Refused(found.refusal)


def as_document(found: Inspection) -> dict[str, Any]:
    """What was found, as plain values, without descriptions: these may name a person."""
    return {
        "patients": found.patients,
        "studies": [
            {"uid": s.uid, "date": s.date, "modalities": list(s.modalities), "series": s.series, "images": s.images}
            for s in found.studies
        ],
        "series": [_series(s) for s in found.series],
        "warnings": [{"code": w.code, "text": w.text} for w in found.warnings],
        "refusal": found.refusal,
    }


def _series(series: SeriesSummary) -> dict[str, Any]:
    geometry = series.geometry
    return {
        "study_uid": series.study_uid,
        "series_uid": series.series_uid,
        "modality": series.modality,
        "images": series.images,
        "analysed": series.analysed,
        "refusal": None if series.refusal is None else {"code": series.refusal.code, "text": series.refusal.text},
        "label": series.guess.label,
        "label_probability": round(series.guess.probability, 3),
        "label_source": series.guess.source,
        "arterial_timing": series.guess.arterial_timing,
        "shape": None if geometry is None else list(geometry.shape),
        "spacing_mm": None if geometry is None else [round(v, 4) for v in geometry.spacing_mm],
        "slice_thickness_mm": series.slice_thickness_mm,
        "tilt_deg": round(series.tilt_deg, 2),
        "notices": [{"code": n.code, "text": n.text} for n in series.notices],
    }


def _show(found: Inspection) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for study in found.studies:
        modalities = ", ".join(study.modalities)
        console.print(f"Study {study.uid}  {study.date}  {modalities}, {study.series} series, {study.images} images")
    table = Table("series", "modality", "images", "phase", "slices x rows x columns", "spacing mm", box=None)
    for series in (s for s in found.series if s.analysed):
        geometry = series.geometry
        label = series.guess.label.replace("_", " ").replace("unknown", "cannot tell")
        timing = f" {series.guess.arterial_timing}" if series.guess.arterial_timing != "unknown" else ""
        table.add_row(
            escape(series.description or series.series_uid[-12:]),
            series.modality,
            str(series.images),
            f"{label}{timing} ({series.guess.probability:.2f}, {series.guess.source})",
            "" if geometry is None else " x ".join(map(str, geometry.shape)),
            "" if geometry is None else " x ".join(f"{v:.2f}" for v in geometry.spacing_mm),
        )
    console.print("\nWould be analysed")
    console.print(table if table.row_count else "  nothing")
    for series in (s for s in found.series if s.analysed):
        for notice in series.notices:
            console.print(f"  {escape(series.description or series.series_uid[-12:])}: {escape(notice.text)}")
    left_out = [s for s in found.series if s.refusal is not None]
    if left_out:
        console.print("\nWould be left out")
        for series in left_out:
            assert series.refusal is not None
            name = escape(series.description or series.series_uid[-12:] or "files")
            console.print(f"  {name}, {series.modality} {series.images} images: {escape(series.refusal.text)}")
    for warning in found.warnings:
        console.print(f"Warning: {escape(warning.text)}")
