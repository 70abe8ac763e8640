"""What a validation hands over: measures, figures, notes, what was left out; and the files made from it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import hepar
from hepar.errors import Fault
from hepar.record import Estimate

SCHEMA_VERSION = "1.1"
SCHEMA_FILE = Path(__file__).parent / "schema" / f"results-{SCHEMA_VERSION}.schema.json"
DIGITS = 10
"""Significant digits of a stored number."""


@dataclass(frozen=True)
class Measure:
    """One number with its interval. section and group: where it stands in the report; n: cases behind it."""

    section: str
    group: str
    name: str
    value: Estimate
    n: int
    unit: str = ""


@dataclass(frozen=True)
class Series:
    """One line ("line", "dashed") or cloud ("points") of a figure."""

    name: str
    kind: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """A figure as numbers: the page draws it, results.json holds it."""

    section: str
    title: str
    caption: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


@dataclass
class Results:
    """One validation, filled while it runs. kind: "masks", "scores" or "compare"."""

    kind: str
    title: str
    given: int = 0
    used: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    measures: list[Measure] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    place: dict[str, Any] | None = None
    """Where the model stands among those published, see `place_report`."""

    def add(self, section: str, group: str, name: str, value: Estimate | float | None, n: int, unit: str = "") -> None:
        """Add one measure; a plain number has no interval, None no value."""
        if value is None:
            value = Estimate.cannot_tell("cannot be computed from these cases")
        elif not isinstance(value, Estimate):
            value = Estimate(float(value))
        self.measures.append(Measure(section, group, name, value, n, unit))

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count cases that are not used, and why."""
        if count:
            self.left_out[reason] = self.left_out.get(reason, 0) + count


def series(name: str, kind: str, x: ArrayLike, y: ArrayLike, *, most: int = 400) -> Series:
    """A series of at most about `most` points, first and last kept."""
    one, other = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    good = np.isfinite(one) & np.isfinite(other)
    one, other = one[good], other[good]
    if one.size > most:
        keep = np.unique(np.linspace(0, one.size - 1, most).round().astype(np.int64))
        one, other = one[keep], other[keep]
    return Series(name, kind, tuple(one.tolist()), tuple(other.tolist()))


def document(results: Results, settings: Mapping[str, Any], input_sha256: str) -> dict[str, Any]:
    """The content of results.json, held against its schema. Raises Fault for a mismatch."""
    made = {
        "schema_version": SCHEMA_VERSION,
        "kind": results.kind,
        "title": results.title,
        "cases": {
            "given": results.given,
            "used": results.used,
            "left_out": [{"count": n, "reason": reason} for reason, n in sorted(results.left_out.items())],
        },
        "measures": [_measure(one) for one in results.measures],
        "figures": [
            {
                "section": one.section, "title": one.title, "caption": one.caption, "x_label": one.x_label,
                "y_label": one.y_label,
                "series": [_series(line) for line in one.series],
            }
            for one in results.charts
        ],
        "notes": list(results.notes),
        **({} if results.place is None else {"place": results.place}),
        "provenance": {
            "version": hepar.__version__,
            "settings": dict(settings),
            "settings_sha256": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
            "input_sha256": input_sha256,
        },
    }  # fmt: skip
    validate_results(made)
    return made


def validate_results(made: Mapping[str, Any]) -> None:
    """Hold a document against the published schema of its version, an older one too. Raises Fault for a mismatch."""
    from jsonschema import Draft202012Validator

    version = str(made.get("schema_version"))
    published = {file.name: file for file in SCHEMA_FILE.parent.glob("results-*.schema.json")}
    file = published.get(f"results-{version}.schema.json", SCHEMA_FILE)
    schema = json.loads(file.read_text(encoding="utf-8"))
    errors = sorted(Draft202012Validator(schema).iter_errors(made), key=lambda error: error.json_path)
    if errors:
        raise Fault(f"results.json breaks its schema {version} at {errors[0].json_path}: "
                    f"{errors[0].message[:300]}; nothing is delivered, please report this")  # fmt: skip


def _series(one: Series) -> dict[str, Any]:
    return {"name": one.name, "kind": one.kind, "x": [_short(v) for v in one.x], "y": [_short(v) for v in one.y]}


def _measure(one: Measure) -> dict[str, Any]:
    value = one.value
    return {
        "section": one.section, "group": one.group, "name": one.name, "unit": one.unit, "n": one.n,
        "estimate": _short(value.estimate), "low": _short(value.low), "high": _short(value.high), "level": value.level,
        "method": value.method, "missing": value.missing,
    }  # fmt: skip


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def write(results: Results, made: Mapping[str, Any], folder: Path) -> None:
    """results.json, report.html, measures.csv, the checklists and (where there are any) cases.csv into a folder."""
    from hepar.page.html import html
    from hepar.validate.checklist import checklist_files
    from hepar.validate.checklist_page import checklist_sections
    from hepar.validate.pages import report_page

    (folder / "results.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(html(report_page(made, checklist_sections(made))), encoding="utf-8")
    (folder / "measures.csv").write_text(_csv(made["measures"]), encoding="utf-8")
    for name, text in checklist_files(made).items():
        (folder / name).write_text(text, encoding="utf-8")
    if results.cases:
        (folder / "cases.csv").write_text(_csv(results.cases), encoding="utf-8")


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
