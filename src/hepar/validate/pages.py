"""The report: what results.json holds, for a reader who never saw the tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hepar.page import Cell, Column, Facts, Figure, Figures, Label, Note, Notes, Page, Section, Stroke, Table, Text
from hepar.page.blocks import Block
from hepar.validate.mask_words import WORDS
from hepar.validate.place_report import SECTION as PLACE
from hepar.validate.place_report import place_blocks

BANNER = "Research use, not a certified device"
COLOURS = ("#0b5a6b", "#c0561a", "#6b4fa0", "#3d7a33", "#a01f4b", "#555555")
WIDTH, HEIGHT = 480.0, 410.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 40.0, 64.0


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
    notes = [Note("Read this first", text) for text in made["notes"]]
    blocks: list[Block] = [Notes(tuple(notes))] if notes else []
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
    blocks: list[Block] = [*above, *([Text(WORDS[name], muted=True)] if name in WORDS else [])]
    charts = [_chart(one) for one in made["figures"] if one["section"] == name]
    if charts:
        blocks.append(Figures("", tuple(charts), columns=2))
    # the longer side goes down the page
    if len(groups) > len(names) or len(groups) > 4:
        for start in range(0, len(names), 5):
            part = names[start : start + 5]
            columns = (Column(""), *(Column(one, small=_unit(own, one), right=True) for one in part))
            rows = tuple((Cell(group), *(_cell(found.get((group, one))) for one in part)) for group in groups)
            blocks.append(Table(columns, rows))
    else:
        columns = (Column(""), *(Column(group or "value", right=True) for group in groups))
        rows = tuple(
            (Cell(one, small=_unit(own, one)), *(_cell(found.get((group, one))) for group in groups)) for one in names
        )
        blocks.append(Table(columns, rows))
    return Section(name, (*blocks, *below))


def _unit(own: Sequence[Mapping[str, Any]], name: str) -> str:
    return str(next(one["unit"] for one in own if one["name"] == name))


def _cell(one: Mapping[str, Any] | None) -> Cell:
    if one is None:
        return Cell("")
    if one["estimate"] is None:
        return Cell("cannot tell", small=one["missing"], missing=True)
    small = f"n = {one['n']}"
    if one["low"] is not None:
        small = f"({number(one['low'])} to {number(one['high'])}), n = {one['n']}"
    return Cell(number(one["estimate"]), small=small)


def number(value: float) -> str:
    """Three decimals below 10, one from there, none from 1000."""
    size = abs(value)
    if value == int(value) and size < 1e6:
        return str(int(value))
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"


def _chart(one: Mapping[str, Any]) -> Figure:
    """Axes, lines and points as vectors over a white ground."""
    xs = np.array([v for s in one["series"] for v in s["x"]] or [0.0, 1.0])
    ys = np.array([v for s in one["series"] for v in s["y"]] or [0.0, 1.0])
    (x0, x1), (y0, y1) = _range(xs), _range(ys)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: Any, y: Any) -> Any:
        px = LEFT + (np.asarray(x, dtype=np.float64) - x0) / (x1 - x0) * across
        py = TOP + (y1 - np.asarray(y, dtype=np.float64)) / (y1 - y0) * down
        return np.column_stack([np.atleast_1d(px), np.atleast_1d(py)])

    strokes = [Stroke(place([x0, x0, x1], [y1, y0, y0]), "#1c2329", 1.2)]
    labels = [Label(LEFT + across / 2, HEIGHT - 12, one["x_label"], "#1c2329"),
              Label(LEFT + across / 2, 14, one["y_label"] + " (upward)", "#1c2329")]  # fmt: skip
    for tick in _ticks(x0, x1):
        at = place(tick, y0)[0]
        strokes.append(Stroke(at + np.array([[0.0, 0.0], [0.0, 5.0]]), "#1c2329", 1.0))
        labels.append(Label(float(at[0]), float(at[1]) + 17, f"{tick:g}", "#1c2329"))
    for tick in _ticks(y0, y1):
        at = place(x0, tick)[0]
        strokes.append(Stroke(at - np.array([[0.0, 0.0], [5.0, 0.0]]), "#1c2329", 1.0))
        strokes.append(Stroke(place([x0, x1], [tick, tick]), "#e3e7ea", 0.7))
        labels.append(Label(float(at[0]) - 26, float(at[1]), f"{tick:g}", "#1c2329"))
    legend = []
    names = list(dict.fromkeys(line["name"] for line in one["series"] if line["kind"] != "thin"))
    i = 0
    for line in one["series"]:
        if line["kind"] == "thin":  # a band belongs to the line before it
            strokes.append(Stroke(place(line["x"], line["y"]), COLOURS[i % len(COLOURS)], 0.8))
            continue
        i = names.index(line["name"])
        colour = COLOURS[i % len(COLOURS)]
        points = place(line["x"], line["y"])
        if line["kind"] == "points":
            strokes += [
                Stroke(p + np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]]), colour, 1.2, closed=True) for p in points
            ]
        else:
            strokes.append(Stroke(points, colour, 2.0, dashed=line["kind"] == "dashed"))
        legend.append(
            f"{COLOUR_NAMES[i % len(COLOURS)]}{', dashed' if line['kind'] == 'dashed' else ''}: {line['name']}"
        )
    if any(line["kind"] == "thin" for line in one["series"]):
        legend.append("thin: its 95 % band")
    caption = f"{one['caption']} {'; '.join(legend)}.".strip()
    return Figure(
        np.full((1, 1), 255, dtype=np.uint8), WIDTH, HEIGHT, one["title"], caption,
        f"{one['title']}: {one['y_label']} against {one['x_label']}. {caption}", tuple(strokes), tuple(labels),
    )  # fmt: skip


COLOUR_NAMES = ("blue-green", "orange", "violet", "green", "red", "grey")


def _range(values: Any) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0 if high > 0.5 or high <= 0.0 else high
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 6)
    first = int(np.ceil(low / step - 1e-9))
    return [round(i * step, 10) for i in range(first, int(np.floor(high / step + 1e-9)) + 1)]
