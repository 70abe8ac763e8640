"""What to expect of a reading: the operating point, and what it found where that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepar.page import Cell, Column, Section, Table, Text
from hepar.report.wording import count, number

OPERATING_POINTS = {
    "measuring": "few false lesions, at the price of missed ones",
    "screening": "few missed lesions, at the price of false ones",
}


def expectation(document: Mapping[str, Any]) -> tuple[Section, ...]:
    """Which lesions are shown and what that choice found on virtual patients; nothing where the engine states none."""
    point = document.get("operating_point")
    if point is None:
        return ()
    expected, name = point["expected"], point["name"]
    aim = f" ({OPERATING_POINTS[name]})" if name in OPERATING_POINTS else ""
    shown = (
        f"Operating point {name}{aim}: lesions with a confidence of {number(point['least_confidence'], 'score')} or"
        " more are shown."
    )
    columns = (
        Column("What", share=1.6),
        Column("Expected", right=True),
        Column("95 % interval", right=True),
        Column("Seen", share=1.9),
    )
    rows = []
    for one in expected["recall_by_size"]:
        share, low, high = _percent(one["recall"])
        seen = f"{one['found']} of {count(one['lesions'], 'lesion')}"
        rows.append((Cell(f"Found, {_sizes(one)}"), share, Cell(f"{low} to {high}" if low else ""), Cell(seen)))
    false = expected["false_per_scan"]
    if false["estimate"] is None:
        rows.append((Cell("False lesions per scan"), Cell("cannot tell", false["missing"], missing=True), Cell(""),
                     Cell("")))  # fmt: skip
    else:
        between = f"{number(false['low'], 'score')} to {number(false['high'], 'score')}"
        rows.append((Cell("False lesions per scan"), Cell(number(false["estimate"], "score")), Cell(between),
                     Cell(f"{count(expected['scans'], 'scan')}")))  # fmt: skip
    phases = "one contrast phase" if expected["phases"] == "one" else "several contrast phases"
    whom, how = "the scans that it was fitted on", ", by the very curve and limit that were chosen on them"
    worth = "New patients are found less well than these."
    if expected["virtual_patients"]:
        whom, how = "virtual patients", ", each judged by a curve made without it"
        worth = "They are no evidence about real patients, in whom more may be missed and more may be false."
    note = (
        f"These figures are from {whom} ({expected['fitted_on']}), with {phases} as here{how}."
        f" {worth} Size: diameter of a ball of the lesion's volume."
    )
    return (Section("What to expect of this reading", (Text(shown), Table(columns, tuple(rows), note))),)


def _sizes(one: Mapping[str, Any]) -> str:
    if one["least_mm"] is None:
        return f"under {one['below_mm']:g} mm"
    if one["below_mm"] is None:
        return f"{one['least_mm']:g} mm and over"
    return f"{one['least_mm']:g} to {one['below_mm']:g} mm"


def _percent(share: Mapping[str, Any]) -> tuple[Cell, str, str]:
    if share["estimate"] is None:
        return Cell("cannot tell", share["missing"], missing=True), "", ""
    low, high = ("" if share[end] is None else f"{100 * share[end]:.0f}" for end in ("low", "high"))
    return Cell(f"{100 * share['estimate']:.0f} %"), low, f"{high} %" if high else ""
