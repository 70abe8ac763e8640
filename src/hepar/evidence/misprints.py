"""What a printed number may have meant: one digit lost in front, or two neighbours swapped. Proposed, never applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOST = 12
"""More proposals for one study than this would be guessing."""


@dataclass(frozen=True)
class Proposal:
    """One number read otherwise, with which at least one table fits. tables: how many do.

    kind: "a digit lost in front" or "two digits swapped".
    """

    name: str
    printed: str
    proposed: str
    kind: str
    tables: int

    @property
    def words(self) -> str:
        """The proposal in a sentence."""
        fits = "1 table fits" if self.tables == 1 else f"{self.tables} tables fit"
        return f"with {self.name} {self.proposed} in place of {self.printed} ({self.kind}) {fits}; ask the authors"


def proposals(values: dict[str, str], fitting: Callable[[dict[str, str]], int]) -> tuple[Proposal, ...]:
    """Readings of one number that make the whole fit, most likely first.

    values: as printed, by name. fitting: how many tables give a set of values. A lost digit comes first where the
    printed number begins with a zero; then the readings that leave fewer tables. Values of which `fitting` refuses the
    reading are passed over.
    """
    found = []
    for name, printed in values.items():
        for proposed, kind in _readings(printed):
            count = fitting({**values, name: proposed})
            if count:
                found.append(Proposal(name, printed, proposed, kind, count))
    return tuple(sorted(found, key=lambda one: (one.kind != "a digit lost in front", one.tables))[:MOST])


def _readings(text: str) -> Iterator[tuple[str, str]]:
    whole = text.isdigit()
    if whole and len(text) > 1 and text.startswith("0"):
        for digit in "123456789":
            yield digit + text, "a digit lost in front"
    digits = text
    for i in range(len(digits) - 1):
        a, b = digits[i], digits[i + 1]
        if a.isdigit() and b.isdigit() and a != b:
            swapped = digits[:i] + b + a + digits[i + 2 :]
            if not (whole and swapped.startswith("0")):
                yield swapped, "two digits swapped"
