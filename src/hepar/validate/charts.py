"""A figure of results.json drawn: axes, lines, points and a legend, as vectors over a white ground."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hepar.page import Figure, Label, Stroke

COLOURS = ("#0b5a6b", "#c0561a", "#6b4fa0", "#3d7a33", "#a01f4b", "#555555")
INK, GRID = "#1c2329", "#e3e7ea"
WIDTH, PLOT = 560.0, 400.0
LEFT, RIGHT, TOP, BOTTOM, LEGEND = 64.0, 18.0, 40.0, 58.0, 23.0
TEXT = 0.029
"""Height of the words, as a share of the width."""


def chart(one: Mapping[str, Any]) -> Figure:
    """One entry of `figures` as a picture; lines of the kind "thin" are the band of the line before them."""
    xs = np.array([v for s in one["series"] for v in s["x"]] or [0.0, 1.0])
    ys = np.array([v for s in one["series"] for v in s["y"]] or [0.0, 1.0])
    (x0, x1), (y0, y1) = _range(xs), _range(ys)
    entries = list(dict.fromkeys((s["name"], s["kind"]) for s in one["series"] if s["kind"] != "thin" and s["x"]))
    names = list(dict.fromkeys(name for name, _ in entries))
    across, down = WIDTH - LEFT - RIGHT, PLOT - TOP

    def place(x: Any, y: Any) -> Any:
        px = LEFT + (np.asarray(x, dtype=np.float64) - x0) / (x1 - x0) * across
        py = TOP + (y1 - np.asarray(y, dtype=np.float64)) / (y1 - y0) * down
        return np.column_stack([np.atleast_1d(px), np.atleast_1d(py)])

    height = PLOT + BOTTOM + LEGEND * len(entries) + 6
    edge = np.array([[0.0, 0.0], [WIDTH, 0.0], [WIDTH, height], [0.0, height]])
    strokes = [Stroke(edge, "#ffffff", 4.0, closed=True)]  # the page's own ground is black and shows at the edge
    labels = [Label(LEFT + across / 2, PLOT + 40, one["x_label"], INK), Label(8, 18, one["y_label"], INK, "start")]
    for tick in _ticks(x0, x1):
        at = place(tick, y0)[0]
        strokes.append(Stroke(at + np.array([[0.0, 0.0], [0.0, 5.0]]), INK, 1.0))
        labels.append(Label(float(at[0]), float(at[1]) + 17, f"{tick:g}", INK))
    for tick in _ticks(y0, y1):
        at = place(x0, tick)[0]
        strokes.append(Stroke(place([x0, x1], [tick, tick]), GRID, 0.7))
        strokes.append(Stroke(at - np.array([[0.0, 0.0], [5.0, 0.0]]), INK, 1.0))
        labels.append(Label(float(at[0]) - 9, float(at[1]), f"{tick:g}", INK, "end"))
    strokes.append(Stroke(place([x0, x0, x1], [y1, y0, y0]), INK, 1.2))
    colour = COLOURS[0]
    for line in one["series"]:
        points = place(line["x"], line["y"])
        if line["kind"] == "thin":
            strokes.append(Stroke(points, colour, 0.7))
        elif line["name"] in names:
            colour = COLOURS[names.index(line["name"]) % len(COLOURS)]
            strokes += _drawn(points, line["kind"], colour)
    for i, (name, kind) in enumerate(entries):
        y, own = PLOT + BOTTOM + LEGEND * (i + 0.5), COLOURS[names.index(name) % len(COLOURS)]
        sample = [[LEFT + 15.0, y]] if kind == "points" else [[LEFT, y], [LEFT + 30.0, y]]
        strokes += _drawn(np.array(sample), kind, own)
        labels.append(Label(LEFT + 40.0, y, _shown(one, name), INK, "start"))
    said = f"{one['title']}: {one['y_label']} against {one['x_label']}. {one['caption']} Lines: {', '.join(names)}."
    return Figure(
        np.full((1, 1), 255, dtype=np.uint8), WIDTH, height, one["title"], one["caption"], said, tuple(strokes),
        tuple(labels), TEXT,
    )  # fmt: skip


def _shown(one: Mapping[str, Any], name: str) -> str:
    """The name in the legend; a line with a band says so."""
    last = ""
    for line in one["series"]:
        if line["kind"] == "thin" and last == name:
            return f"{name} (thin: {line['name'].removeprefix('its ')})"
        last = line["name"] if line["kind"] != "thin" else last
    return name


def _drawn(points: Any, kind: str, colour: str) -> list[Stroke]:
    if kind == "points":
        mark = np.array([[-3.5, -3.5], [3.5, -3.5], [3.5, 3.5], [-3.5, 3.5]])
        return [Stroke(point + mark, colour, 1.8, closed=True) for point in points]
    return [Stroke(points, colour, 2.0, dashed=kind == "dashed")]


def _range(values: Any) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0 if high > 0.5 or high <= 0.0 else high
    room = 0.05 * (high - low) or 1.0
    return (0.0 if low == 0.0 else low - room), high + room


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** np.floor(np.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 6)
    first = int(np.ceil(low / step - 1e-9))
    return [round(i * step, 10) for i in range(first, int(np.floor(high / step + 1e-9)) + 1)]
