"""Something a reader of the result must know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """code: short, stable, for programs (`slices_uneven`). text: a sentence or two for a person, without identity."""

    code: str
    text: str
