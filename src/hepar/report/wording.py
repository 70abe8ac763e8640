"""How numbers and names are put into words for a reader: digits by unit, and "cannot tell" where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepar.page import Cell

PHASE_NAMES = {
    "native": "Native",
    "arterial": "Arterial",
    "portal_venous": "Portal venous",
    "delayed": "Delayed",
    "unknown": "Phase unknown",
}
SOURCES = {
    "user": "the user",
    "tags": "tags",
    "times": "times",
    "enhancement": "enhancement",
    "tags+enhancement": "tags, enhancement",
    "none": "nothing",
}
MINUS = "\u2212"


def number(value: float, unit: str) -> str:
    """A number with the digits that a reader of this unit needs; a real minus sign.

    A score that is not quite 1 or 0 never reads as certainty: ">0.99", "<0.01".
    """
    if unit == "score" and 0.995 <= value < 1:
        return ">0.99"
    if unit == "score" and 0 < value < 0.005:
        return "<0.01"
    if unit in ("ml", "%"):
        digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    else:
        digits = {"mm": 1, "HU": 0, "s": 0, "score": 2}[unit]
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value_hu: float) -> str:
    """HU with its sign."""
    text = number(value_hu, "HU")
    return text if text.startswith(MINUS) or text == "0" else f"+{text}"


def interval(holder: Mapping[str, Any], key: str, unit: str) -> str:
    """`low to high`, or nothing where the key has no interval."""
    between = holder.get(f"{key}_interval")
    return f"{number(between['low'], unit)} to {number(between['high'], unit)}" if between else ""


def cell(holder: Mapping[str, Any], key: str, unit: str, *, with_interval: bool = True) -> Cell:
    """The value of a measured key as a field of a table, or "cannot tell" with the reason."""
    if holder[key] is None:
        return Cell("cannot tell", holder[f"{key}_missing"], missing=True)
    return Cell(number(holder[key], unit), interval(holder, key, unit) if with_interval else "")


def quantity(holder: Mapping[str, Any], key: str, unit: str) -> str:
    """The value with its unit in running text."""
    if holder[key] is None:
        return "cannot tell"
    return number(holder[key], unit) + ("" if unit == "score" else f" {unit}")


def count(number_of: int, what: str) -> str:
    """`1 lesion`, `2 lesions`."""
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"


def phase_name(phase: Mapping[str, Any]) -> str:
    """`p2 Arterial (late)`."""
    timing = ""
    if phase["label"] == "arterial":
        timing = " (timing unknown)" if phase["arterial_timing"] == "unknown" else f" ({phase['arterial_timing']})"
    return f"{phase['id']} {PHASE_NAMES[phase['label']]}{timing}"


def patient_name(value: str) -> str:
    """`Family, Given` from DICOM's `Family^Given^Middle`."""
    family, _, given = value.partition("^")
    return ", ".join(part for part in (family.strip(), " ".join(given.replace("^", " ").split())) if part)
