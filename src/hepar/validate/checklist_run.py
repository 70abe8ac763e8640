"""A results document asked by name, for the rules of the checklists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from hepar.validate.pages import number

ANSWERED = "answered by this run"
PARTLY = "partly answered"
Told: TypeAlias = tuple[str, str] | None
"""Status and text; None where the run says nothing to an item."""
One: TypeAlias = Mapping[str, Any]
"""A measure of the document."""
SHORT_UNITS = ("mm", "ml")


class Run:
    """A results document, asked by name."""

    def __init__(self, made: Mapping[str, Any]) -> None:
        self.kind: str = made["kind"]
        self.cases: Mapping[str, Any] = made["cases"]
        self.measures: Sequence[One] = made["measures"]
        self.figures: Sequence[One] = made["figures"]
        self.notes: Sequence[str] = made["notes"]
        self.place: Mapping[str, Any] | None = made.get("place")
        self.version: str = made["provenance"]["version"]
        self.digest: str = made["provenance"]["settings_sha256"]
        self.settings: Mapping[str, Any] = made["provenance"]["settings"]

    def told(self, name: str, group: str = "", section: str = "") -> One | None:
        """The first measure of that name and group that has a number."""
        for one in self.measures:
            if one["name"] == name and one["group"] == group and one["section"].startswith(section):
                return one if one["estimate"] is not None else None
        return None

    def inside(self, section: str) -> list[One]:
        """The measures of a section that have a number."""
        return [one for one in self.measures if one["section"] == section and one["estimate"] is not None]

    def sections(self, start: str) -> list[str]:
        """Sections whose title starts so."""
        return [name for name in dict.fromkeys(one["section"] for one in self.measures) if name.startswith(start)]

    @property
    def judged(self) -> int:
        """Cases behind the main measures."""
        main = next((one["n"] for one in self.measures if not one["group"]), None) if self.kind == "scores" else None
        return int(self.cases["used"] if main is None else main)

    @property
    def classes(self) -> tuple[int, int] | None:
        """Positive and negative cases among those judged."""
        share = self.told("prevalence")
        if share is None:
            return None
        positive = round(share["estimate"] * share["n"])
        return positive, share["n"] - positive

    @property
    def columns(self) -> list[str]:
        """Columns of subgroups, site and split that were named."""
        asked = [*self.settings.get("by", ()), self.settings.get("site"), self.settings.get("split")]
        return list(dict.fromkeys(str(name).partition(":")[0] for name in asked if name))

    def groups(self, column: str) -> list[One]:
        """The main measure in each group of a column, groups too small to judge included."""
        own = [one for one in self.measures if one["section"] == f"By {column}" and _is_group(one)]
        return [one for one in own if one["name"] == own[0]["name"]]


def _is_group(one: One) -> bool:
    return not one["group"].startswith(("largest gap", "mean over", "expected at", "all but"))


def value(one: One) -> str:
    unit = f" {one['unit']}" if one["unit"] in SHORT_UNITS else ""
    if one["low"] is None:
        return f"{number(one['estimate'])}{unit}"
    return f"{number(one['estimate'])}{unit} ({number(one['low'])} to {number(one['high'])})"


def named(one: One) -> str:
    return f"{one['group']}: {one['name']} {value(one)}" if one["group"] else f"{one['name']} {value(one)}"


def cases(count: int) -> str:
    return f"{count} case" if count == 1 else f"{count} cases"


def listed(found: Sequence[One]) -> str:
    return ", ".join(
        f"{one['group']} {value(one)}" if one["estimate"] is not None else f"{one['group']} ({one['missing']})"
        for one in found
    )


def by_column(run: Run, column: str) -> str:
    """The main measure in each group of a column, in words; "" where there is none."""
    found = run.groups(column)
    return f"{found[0]['name']} by {column}: {listed(found)}" if found else ""


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def by_group(found: Sequence[One]) -> list[str]:
    """Measures with their values, those of one group together."""
    groups: dict[str, list[str]] = {}
    for one in found:
        groups.setdefault(one["group"], []).append(f"{one['name']} {value(one)}")
    return [f"{group}: {', '.join(told)}" if group else ", ".join(told) for group, told in groups.items()]
