"""The report: what results.json holds, for a reader who never saw the tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hepar.page import Cell, Column, Facts, Figures, Note, Notes, Page, Section, Table, Text, Tile, Tiles
from hepar.page.blocks import Block
from hepar.validate.charts import chart
from hepar.validate.mask_words import WORDS as MASK_WORDS
from hepar.validate.mask_words import mask_tiles
from hepar.validate.place_report import SECTION as PLACE
from hepar.validate.place_report import place_blocks
from hepar.validate.score_words import WORDS as SCORE_WORDS
from hepar.validate.score_words import tiles, words_of

WORDS = {**MASK_WORDS, **SCORE_WORDS}
BANNER = "Research use, not a certified device"


def report_page(made: Mapping[str, Any], more: Sequence[Section] = ()) -> Page:
    """The whole report from the content of results.json. more: sections after the results."""
    cases, provenance = made["cases"], made["provenance"]
    sections = [_first(made)]
    for name in dict.fromkeys(one["section"] for one in made["measures"]):
        sections.append(_section(name, made))
    sections += more
    rows = [(key, _plain(value)) for key, value in provenance["settings"].items()]
    rows += [("Version", provenance["version"]), ("Settings, SHA-256", provenance["settings_sha256"]),
             ("Input, SHA-256", provenance["input_sha256"])]  # fmt: skip
    sections.append(Section("How it was made", (Facts(tuple(rows)),)))
    return Page(
        title=made["title"],
        banner=BANNER,
        facts=(("Cases given", str(cases["given"])), ("Cases used", str(cases["used"])),
               ("Left out", str(sum(one["count"] for one in cases["left_out"])))),
        sections=tuple(sections),
        footer=f"hepar {provenance['version']} · {BANNER.lower()} · input {provenance['input_sha256'][:16]}",
    )  # fmt: skip


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return {None: "not given", True: "yes", False: "no"}.get(value, str(value)) if not isinstance(value, str) else value


def _first(made: Mapping[str, Any]) -> Section:
    count = len(made["notes"])
    notes = [Note(f"Note {i} of {count}" if count > 1 else "Note", one) for i, one in enumerate(made["notes"], 1)]
    shown = tuple(Tile(*one) for one in (*tiles(made), *mask_tiles(made)))
    blocks: list[Block] = [Tiles(shown)] if shown else []
    blocks += [Notes(tuple(notes))] if notes else []
    left = made["cases"]["left_out"]
    if left:
        rows = tuple((Cell(str(one["count"])), Cell(one["reason"])) for one in left)
        blocks.append(Table((Column("Left out", share=0.2, right=True), Column("Why")), rows))
    else:
        blocks.append(Text("Every case that was given is used."))
    blocks.append(Text("Each number stands with its interval in brackets (95 % unless said otherwise) and the number "
                       "of cases behind it; how the interval was made is in measures.csv.", muted=True))  # fmt: skip
    return Section("Cases, and what to beware of", tuple(blocks))


def _section(name: str, made: Mapping[str, Any]) -> Section:
    own = [one for one in made["measures"] if one["section"] == name]
    groups, names = (list(dict.fromkeys(one[key] for one in own)) for key in ("group", "name"))
    found = {(one["group"], one["name"]): one for one in own}
    above, below = place_blocks(made) if name == PLACE else ((), ())
    words = words_of(name, WORDS)
    blocks: list[Block] = [*above, *([Text(words, muted=True)] if words else [])]
    charts = [chart(one) for one in made["figures"] if one["section"] == name]
    if charts:
        blocks.append(Figures("", tuple(charts), columns=2))
    alike = len({one["n"] for one in own}) == 1
    note = f"{own[0]['n']} cases behind each number." if alike else ""
    if min(len(groups), len(names)) == 1:
        columns: tuple[Column, ...] = (
            Column("", share=2.2), Column("value" if len(groups) == 1 else names[0], right=True),
            Column("95 % interval", right=True), Column("cases", share=0.6, right=True),
            Column("how to read it", share=3.0),
        )  # fmt: skip
        blocks.append(Table(columns, tuple(_line(one, len(groups) == 1) for one in found.values())))
    # the longer side goes down the page
    elif len(groups) > len(names) or len(groups) > 4:
        for start in range(0, len(names), 5):
            part = names[start : start + 5]
            columns = (Column(""), *(Column(one, small=_unit(own, one), right=True) for one in part))
            rows = tuple((Cell(group), *(_cell(found.get((group, one)), alike) for one in part)) for group in groups)
            blocks.append(Table(columns, rows, note=note if start + 5 >= len(names) else ""))
    else:
        columns = (Column(""), *(Column(group or "value", right=True) for group in groups))
        rows = tuple(
            (Cell(one, small=_unit(own, one)), *(_cell(found.get((group, one)), alike) for group in groups))
            for one in names
        )
        blocks.append(Table(columns, rows, note=note))
    return Section(name, (*blocks, *below))


def _unit(own: Sequence[Mapping[str, Any]], name: str) -> str:
    return str(next(one["unit"] for one in own if one["name"] == name))


def _line(one: Mapping[str, Any], by_name: bool) -> tuple[Cell, ...]:
    """A measure of its own in a row: its name or its group, value, interval, cases, what it means."""
    value = Cell("cannot tell", missing=True) if one["estimate"] is None else Cell(_value(one))
    span = "" if one["low"] is None else f"{number(one['low'])} to {number(one['high'])}"
    meant = one["missing"] or one["unit"]
    return Cell(one["name" if by_name else "group"]), value, Cell(span), Cell(str(one["n"])), Cell(meant)


def _value(one: Mapping[str, Any]) -> str:
    """A number as it is shown; a small p as what it is below."""
    if one["name"].startswith("p of") and one["estimate"] < 0.001:
        return "< 0.001"
    return number(one["estimate"])


def _cell(one: Mapping[str, Any] | None, alike: bool) -> Cell:
    """A number over its interval and its cases. alike: the cases are the same all over and stand below the table."""
    if one is None:
        return Cell("")
    if one["estimate"] is None:
        return Cell("cannot tell", small=one["missing"], missing=True)
    small = [] if one["low"] is None else [f"({number(one['low'])} to {number(one['high'])})"]
    counted = one["low"] is None and float(one["estimate"]).is_integer()
    small += [] if alike or counted else [f"n = {one['n']}"]
    return Cell(_value(one), small=", ".join(small))


def number(value: float) -> str:
    """Three decimals below 10, one from there, none from 1000."""
    size = abs(value)
    if value == int(value) and size < 1e6:
        return str(int(value))
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"
