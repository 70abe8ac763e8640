"""The flow diagram of a review, as PRISMA 2020 lays it out; boxes without a number are left away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hepar.evidence.figures.draw import ACCENT, BAND, INK, SOFT, Drawing, look, sheet, width_inch
from hepar.evidence.prisma import Flow

_LINE_INCH, _PAD_INCH, _BETWEEN_INCH = 0.165, 0.09, 0.24
_WIDTH_INCH, _SIDE_INCH = 2.55, 0.3
_SIZE = 7.8
"""Of the letters, in points."""
_LEAST_INCH = {"Identification": 0.98, "Screening": 0.72, "Included": 0.62}
"""The name of a stage needs this height."""


@dataclass(frozen=True)
class _Box:
    """Lines of text; stage: identification, screening or included; side: what leaves here, to the right."""

    stage: str
    lines: tuple[str, ...]
    side: tuple[str, ...] = ()

    @property
    def height(self) -> float:
        return _PAD_INCH * 2 + _LINE_INCH * max(len(self.lines), len(self.side))


def flow_diagram(flow: Flow) -> Drawing:
    """Numbers as they were given or follow; the second column of boxes is what left the flow."""
    main, other, last = _main(flow), _other(flow), _last(flow)
    rows = [(a, b) for a, b in zip(main, other, strict=True) if a or b]
    columns = 2 if any(b for _, b in rows) else 1
    span = 2 * _WIDTH_INCH + _SIDE_INCH
    width = 0.55 + columns * span + (columns - 1) * _SIDE_INCH + 0.1
    stages = [next(box.stage for box in row if box) for row in rows]
    heights = [max(box.height for box in row if box) for row in rows] + [max(last.height, _LEAST_INCH[last.stage])]
    heights = [
        max(tall, _LEAST_INCH[stage]) if stages.count(stage) == 1 else tall
        for tall, stage in zip(heights, [*stages, last.stage], strict=True)
    ]
    title = 0.36 if columns == 2 else 0.0
    height = 0.2 + title + sum(heights) + _BETWEEN_INCH * (len(heights) - 1)
    with look():
        figure = sheet(width, height)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set_xlim(0, width)
        ax.set_ylim(height, 0)
        if columns == 2:
            for column, words in enumerate(("Databases and registers", "Other methods")):
                x = 0.55 + column * (span + _SIDE_INCH)
                _draw(ax, x, 0.1, span, 0.28, (words,), fill=BAND, bold=True)
        y, tops = 0.1 + title, []
        before: dict[int, float | None] = {0: None, 1: None}
        earlier: float | None = None
        for row, tall in zip(rows, heights[:-1], strict=True):
            for column, box in enumerate(row):
                if box is not None:
                    before[column] = _place(ax, box, 0.55 + column * (span + _SIDE_INCH), y, tall, before[column])
            if row[0] is main[0] and row[0] is not None:
                # studies of an earlier version join at the end only
                before[0], earlier = None, y + tall / 2
            tops.append((next(box.stage for box in row if box), y, y + tall))
            y += tall + _BETWEEN_INCH
        _draw(ax, 0.55, y, _WIDTH_INCH, heights[-1], last.lines)
        tops.append((last.stage, y, y + heights[-1]))
        if earlier is not None:
            middle = y + heights[-1] / 2
            ax.plot([0.55, 0.47, 0.47], [earlier, earlier, middle], color=SOFT, linewidth=0.8)
            _arrow(ax, (0.47, middle), (0.55, middle))
        if before[0] is not None:
            _arrow(ax, (0.55 + _WIDTH_INCH / 2, before[0]), (0.55 + _WIDTH_INCH / 2, y))
        if before[1] is not None:
            x = 0.55 + span + _SIDE_INCH + _WIDTH_INCH / 2
            middle = y + heights[-1] / 2
            ax.plot([x, x], [before[1], middle], color=SOFT, linewidth=0.8)
            _arrow(ax, (x, middle), (0.55 + _WIDTH_INCH, middle))
        _stages(ax, tops)
    return Drawing(
        "flow", f"Flow of the review ({flow.form})",
        "Records, reports and studies from the search to the review. All numbers balance."
        + (" Computed from the others: " + ", ".join(_PLAIN[box] for box in flow.computed) + "." if flow.computed
           else ""), figure,
    )  # fmt: skip


_PLAIN = {
    "databases": "records from databases", "duplicates": "duplicates removed", "screened": "records screened",
    "records_excluded": "records excluded", "sought": "reports sought", "assessed": "reports assessed",
    "reports_excluded": "reports excluded", "other_sought": "other reports sought", "new_reports": "reports included",
    "other_assessed": "other reports assessed", "total_studies": "studies in all", "total_reports": "reports in all",
    "new_studies": "new studies", "previous_studies": "earlier studies", "previous_reports": "earlier reports",
}  # fmt: skip


def _n(flow: Flow, box: str, words: str) -> list[str]:
    if box not in flow.counts:
        return []
    lines = _wrapped(f"{words} {_number(flow.counts[box])}")
    for name, n in flow.parts.get(box, ()):
        lines += _wrapped(f"{name} {_number(n)}", "   ", "      ")
    return lines


def _wrapped(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines that fit into a box; a word that does not is broken."""
    lines, line = [], first
    for word in text.split(" "):
        for piece in (word,) if _inches(later + word) <= _WIDTH_INCH - 0.2 else _pieces(word, later):
            longer = line + piece if line in (first, later) else f"{line} {piece}"
            if _inches(longer) > _WIDTH_INCH - 0.2:
                lines.append(line)
                longer = later + piece
            line = longer
    return [*lines, line]


def _pieces(word: str, indent: str) -> list[str]:
    pieces, piece = [], ""
    for letter in word:
        if _inches(indent + piece + letter) > _WIDTH_INCH - 0.2:
            pieces.append(piece)
            piece = ""
        piece += letter
    return [*pieces, piece]


def _inches(text: str) -> float:
    return width_inch(text, _SIZE)


def _number(n: int) -> str:
    """With spaces at which no line breaks."""
    return f"(n\u00a0=\u00a0{n:,})"


def _box(stage: str, lines: list[str], side: list[str] | None = None) -> _Box | None:
    return _Box(stage, tuple(lines), tuple(side or ())) if lines or side else None


def _main(flow: Flow) -> list[_Box | None]:
    previous = _n(flow, "previous_studies", "Studies in the previous version") + _n(
        flow, "previous_reports", "Reports of them"
    )
    found = _n(flow, "databases", "Records from databases") + _n(flow, "registers", "Records from registers")
    removed = (
        _n(flow, "duplicates", "Duplicate records removed")
        + _n(flow, "automation", "Marked ineligible by automation tools")
        + _n(flow, "removed_other", "Removed for other reasons")
    )  # fmt: skip
    return [
        _box("Identification", previous),
        _box("Identification", found, removed),
        _box("Screening", _n(flow, "screened", "Records screened"), _n(flow, "records_excluded", "Records excluded")),
        _box("Screening", _n(flow, "sought", "Reports sought for retrieval"),
             _n(flow, "not_retrieved", "Reports not retrieved")),
        _box("Screening", _n(flow, "assessed", "Reports assessed for eligibility"),
             _n(flow, "reports_excluded", "Reports excluded")),
    ]  # fmt: skip


def _other(flow: Flow) -> list[_Box | None]:
    found = (
        _n(flow, "websites", "Records from websites") + _n(flow, "organisations", "Records from organisations")
        + _n(flow, "citations", "Records from citation searching")
    )  # fmt: skip
    return [
        None,
        _box("Identification", found),
        None,
        _box("Screening", _n(flow, "other_sought", "Reports sought for retrieval"),
             _n(flow, "other_not_retrieved", "Reports not retrieved")),
        _box("Screening", _n(flow, "other_assessed", "Reports assessed for eligibility"),
             _n(flow, "other_excluded", "Reports excluded")),
    ]  # fmt: skip


def _last(flow: Flow) -> _Box:
    new = "New studies included" if "previous_studies" in flow.counts else "Studies included in the review"
    lines = _n(flow, "new_studies", new)
    lines += _n(flow, "new_reports", "Reports of them" if lines else "Reports included in the review")
    lines += _n(flow, "total_studies", "Studies in all") + _n(flow, "total_reports", "Reports in all")
    lines += _n(flow, "meta_analysis", "Studies in the meta-analysis") + _n(flow, "tables", "2x2 tables")
    lines += _n(flow, "participants", "Participants")
    return _Box("Included", tuple(lines or ["Included: not given"]))


def _place(ax: Any, box: _Box, x: float, y: float, tall: float, before: float | None) -> float:
    """Draw a row's box and what leaves there; returns where the next arrow starts."""
    if box.lines:
        _draw(ax, x, y, _WIDTH_INCH, tall, box.lines)
        if before is not None:
            _arrow(ax, (x + _WIDTH_INCH / 2, before), (x + _WIDTH_INCH / 2, y))
    if box.side:
        _draw(ax, x + _WIDTH_INCH + _SIDE_INCH, y, _WIDTH_INCH, tall, box.side)
        _arrow(ax, (x + _WIDTH_INCH, y + tall / 2), (x + _WIDTH_INCH + _SIDE_INCH, y + tall / 2))
    return y + tall


def _draw(
    ax: Any, x: float, y: float, wide: float, tall: float, lines: tuple[str, ...], *, fill: str = "white",
    bold: bool = False,
) -> None:  # fmt: skip
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), wide, tall, facecolor=fill, edgecolor=SOFT, linewidth=0.8))
    top = y + tall / 2 - _LINE_INCH * len(lines) / 2
    for i, line in enumerate(lines):
        place = top + _LINE_INCH * (i + 0.5)
        text = line.replace("$", r"\$")
        ax.text(x + 0.1, place, text, va="center", fontsize=_SIZE, color=INK, weight="bold" if bold else "normal")


def _arrow(ax: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "linewidth": 0.8, "shrinkA": 0,
                                            "shrinkB": 0, "mutation_scale": 8})  # fmt: skip


def _stages(ax: Any, tops: list[tuple[str, float, float]]) -> None:
    """The names of the stages, set upright at the left edge."""
    from matplotlib.patches import Rectangle

    for stage in dict.fromkeys(one[0] for one in tops):
        first = min(top for name, top, _ in tops if name == stage)
        end = max(bottom for name, _, bottom in tops if name == stage)
        ax.add_patch(Rectangle((0.1, first), 0.3, end - first, facecolor=ACCENT, edgecolor="none"))
        ax.text(0.25, (first + end) / 2, stage, rotation=90, ha="center", va="center", color="white", weight="bold")
