"""Single values from DICOM data sets that may be broken: a value that cannot be read counts as missing."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def value(ds: Any, keyword: str) -> Any:
    """The value, or None where it is missing, empty or broken."""
    try:
        found = ds.get(keyword) if ds is not None else None
    except Exception:
        # pydicom converts on access and passes on whatever a broken value raises.
        return None
    return None if found is None or found == "" else found


def text(ds: Any, keyword: str) -> str:
    """As one line of text; several values joined by a backslash."""
    found = value(ds, keyword)
    if found is None:
        return ""
    try:
        if isinstance(found, list | tuple) or type(found).__name__ == "MultiValue":
            return "\\".join(str(part).strip() for part in found)
        return str(found).strip().strip("\x00").strip()
    except Exception:
        return ""


def words(ds: Any, keyword: str) -> tuple[str, ...]:
    """A code string with several values, in capitals."""
    return tuple(part.strip().upper() for part in text(ds, keyword).split("\\")) if text(ds, keyword) else ()


def numbers(ds: Any, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Exactly `count` finite numbers, else None."""
    found = value(ds, keyword)
    if found is None:
        return None
    try:
        many = list(found) if not isinstance(found, str | int | float) else [found]
        array = np.array([float(part) for part in many], dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.shape == (count,) and bool(np.isfinite(array).all()) else None


def number(ds: Any, keyword: str) -> float | None:
    """One finite number, else None; of several the first."""
    found = value(ds, keyword)
    try:
        if isinstance(found, str | int | float):
            result = float(found)
        elif found is None or len(found) == 0:
            return None
        else:
            result = float(found[0])
    except (TypeError, ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def whole(ds: Any, keyword: str) -> int | None:
    """One whole number, else None."""
    found = number(ds, keyword)
    return int(found) if found is not None and found == int(found) else None


def uid(ds: Any, keyword: str) -> str:
    """A valid UID, else "" (PS3.5 9.1: digits and dots, at most 64 characters)."""
    found = text(ds, keyword)
    return found if len(found) <= 64 and _UID.fullmatch(found) else ""


def items(ds: Any, keyword: str) -> list[Any]:
    """The items of a sequence; [] where there are none."""
    found = value(ds, keyword)
    if found is None or isinstance(found, str | bytes | int | float):
        return []
    try:
        return [item for item in found if hasattr(item, "get")]
    except Exception:
        return []


def first(ds: Any, *keywords: str) -> Any:
    """The first item of nested sequences, or None."""
    for keyword in keywords:
        below = items(ds, keyword)
        if not below:
            return None
        ds = below[0]
    return ds


def seconds_of_day(time_text: str) -> float | None:
    """HHMMSS.FFFFFF, HH:MM:SS or parts of it, to seconds; None when it is no time."""
    match = re.match(r"(\d{2}):?(\d{2})?:?(\d{2}(?:\.\d*)?)?", time_text.strip())
    if not match:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2] or 0), float(match[3] or 0)
    if hours > 23 or minutes > 59 or seconds >= 61:
        return None
    return hours * 3600.0 + minutes * 60.0 + seconds


def day_number(date_text: str) -> int | None:
    """YYYYMMDD (or with dots or dashes) to a running day; None when it is no date."""
    match = re.match(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", date_text.strip())
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal()
    except ValueError:
        return None


def moment(ds: Any, prefix: str) -> float | None:
    """Seconds since day 0 from <prefix>DateTime, or <prefix>Date and <prefix>Time; day 0 when no date is given."""
    both = text(ds, f"{prefix}DateTime")
    if len(both) >= 10:
        seconds = seconds_of_day(both[8:])
        if seconds is not None:
            return (day_number(both[:8]) or 0) * 86400.0 + seconds
    seconds = seconds_of_day(text(ds, f"{prefix}Time"))
    if seconds is None:
        return None
    day = day_number(text(ds, f"{prefix}Date")) or day_number(text(ds, "StudyDate")) or 0
    return day * 86400.0 + seconds
