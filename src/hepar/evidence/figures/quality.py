"""Risk of bias and applicability: the traffic light of every study, and the bars over all."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from hepar.evidence.figures.draw import INK, LINE, SOFT, Drawing, look, sheet, short
from hepar.evidence.figures.forest import ROW_INCH
from hepar.evidence.quality_summary import TO_SETTLE, Quality
from hepar.evidence.quality_table import label

MOST_ROWS = 40
"""More studies than this stand in two blocks side by side, so that the figure fits a page."""
GOOD, MIDDLE, BAD, OPEN = "#2b83ba", "#f3cf65", "#c8402f", "#ffffff"
"""Told apart with any colour vision, and by their signs in print."""
_SIGNS = {
    "low": (GOOD, "+", "white"), "unclear": (MIDDLE, "?", INK), "high": (BAD, "\u2212", "white"),
    "yes": (GOOD, "+", "white"), "no": (BAD, "\u2212", "white"), TO_SETTLE: (OPEN, "\u2260", INK),
}  # fmt: skip
_NAME_INCH, _COLUMN_INCH, _GAP_INCH, _HEAD_INCH = 2.7, 0.53, 0.2, 0.8
_KINDS = {"bias": "Risk of bias", "applicability": "Applicability concerns", "overall": ""}


def traffic_light(quality: Quality) -> Drawing:
    """Every study's judgements, in the order of the table."""
    at = [i for i, column in enumerate(quality.columns) if not column.startswith("item.")]
    columns = [quality.columns[i] for i in at]
    values = [[study.judgements[i] for i in at] for study in quality.studies]
    heads = ["\n".join(wrap(label(column).capitalize(), 11)) for column in columns]
    figure = _grid(quality, columns, heads, values, ("low", "unclear", "high"), "")
    return Drawing(
        "traffic_light", f"{quality.tool} judgements of each study",
        "Risk of bias and concerns regarding applicability in each domain: + low, ? unclear, \u2212 high"
        + ("; \u2260 to be settled between the reviewers." if _open(values) else "."), figure,
    )  # fmt: skip


def item_light(quality: Quality) -> Drawing | None:
    """Every study's answers to items (signalling questions), numbered, their words below. None without items."""
    at = [i for i, column in enumerate(quality.columns) if column.startswith("item.")]
    if not at:
        return None
    columns = [quality.columns[i] for i in at]
    values = [[study.judgements[i] for i in at] for study in quality.studies]
    words = "\n".join(
        line for number, column in enumerate(columns, 1)
        for line in wrap(f"{number}  {label(column)}", 110, subsequent_indent="    ")
    )  # fmt: skip
    figure = _grid(quality, columns, [str(i + 1) for i in range(len(at))], values, ("yes", "unclear", "no"), words)
    return Drawing(
        "items", f"{quality.tool} items of each study",
        "Answers to the signalling questions: + yes, ? unclear, \u2212 no" + (
            "; \u2260 to be settled between the reviewers." if _open(values) else "."
        ), figure,
    )  # fmt: skip


def bars(quality: Quality) -> Drawing:
    """The share of studies of each judgement, by domain; numbers of studies inside."""
    counts = [one for one in quality.counts if not one.column.startswith("item.")]
    kinds = list(dict.fromkeys(one.column.partition(".")[0] for one in counts))
    rows = len(counts) + len(kinds) - 1
    height = 0.34 * rows + 1.05
    total = len(quality.studies)
    with look():
        figure = sheet(7.2, height)
        ax = figure.add_axes((0.27, 0.72 / height, 0.70, 0.34 * rows / height))
        ax.set_ylim(rows - 0.5, -0.5)
        ax.set_xlim(0, 100)
        y, shown = 0.0, set()
        for kind in kinds:
            own = [one for one in counts if one.column.partition(".")[0] == kind]
            if kind != kinds[0]:
                y += 1
            if _KINDS[kind]:
                ax.text(-36.5, y - 0.62, _KINDS[kind], weight="bold", va="center", ha="left")
            for one in own:
                ax.text(-1.6, y, label(one.column).capitalize(), va="center", ha="right")
                left = 0.0
                parts = (("low", one.low), ("unclear", one.unclear), ("high", one.high), (TO_SETTLE, one.to_settle),
                         ("not judged", one.missing))  # fmt: skip
                for name, n in parts:
                    width = 100 * n / total
                    if n:
                        colour, _, ink = _SIGNS.get(name, ("#e7eaed", "", INK))
                        ax.barh(y, width, left=left, height=0.66, color=colour, edgecolor=SOFT, linewidth=0.6)
                        shown.add(name)
                    if width > 4:
                        ax.text(left + width / 2, y, str(n), ha="center", va="center", color=ink, fontsize=7.5)
                    left += width
                y += 1
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(f"Studies (%), of {total}")
        names = [name for name in ("low", "unclear", "high", TO_SETTLE, "not judged") if name in shown]
        _legend(figure, names, height)
    return Drawing(
        "bars", f"{quality.tool} judgements over all studies",
        "Share of studies by risk of bias and by concern regarding applicability; numbers of studies inside.", figure,
    )  # fmt: skip


def _open(values: list[list[str]]) -> bool:
    return any(TO_SETTLE in row for row in values)


def _grid(
    quality: Quality, columns: list[str], heads: list[str], values: list[list[str]], names: tuple[str, ...], words: str
) -> Any:
    """Blocks of rows beside each other: names to the left, a disc for each judgement."""
    blocks = 1 if len(values) <= MOST_ROWS else 2
    rows = -(-len(values) // blocks)
    places, x = [], _NAME_INCH
    for i, column in enumerate(columns):
        if i and column.partition(".")[0] != columns[i - 1].partition(".")[0]:
            x += _GAP_INCH
        wide = _COLUMN_INCH if words == "" else 0.3
        places.append(x + wide / 2)
        x += wide
    width, below = x + 0.15, 0.42 + 0.16 * (words.count("\n") + 1 if words else 0)
    size = (max(blocks * width + (blocks - 1) * 0.2, 5.2), _HEAD_INCH + rows * ROW_INCH + below)
    with look():
        figure = sheet(*size)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.set_axis_off()
        ax.set_xlim(0, size[0])
        ax.set_ylim(size[1], 0)
        discs: dict[str, list[tuple[float, float]]] = {}
        for block in range(blocks):
            left = block * (width + 0.2)
            _block(ax, left, columns, heads, places)
            for row, (study, judged) in enumerate(
                list(zip(quality.studies, values, strict=True))[block * rows : (block + 1) * rows]
            ):
                y = _HEAD_INCH + (row + 0.5) * ROW_INCH
                if row % 2:
                    ax.fill_between([left + 0.05, left + width - 0.05], y - ROW_INCH / 2, y + ROW_INCH / 2,
                                    color="#f4f6f8", linewidth=0)  # fmt: skip
                ax.text(left + 0.1, y, short(study.study), va="center", fontsize=7.5)
                for place, value in zip(places, judged, strict=True):
                    if value:
                        discs.setdefault(value, []).append((left + place, y))
        foot = size[1] - below + 0.16
        shown = [name for name in (*names, TO_SETTLE) if name != TO_SETTLE or _open(values)]
        for i, name in enumerate(shown):
            discs.setdefault(name, []).append((0.2 + 1.0 * i, foot))
            ax.text(0.34 + 1.0 * i, foot, name, va="center", fontsize=7.5, color=SOFT)
        _discs(ax, discs)
        if words:
            ax.text(0.1, foot + 0.18, words, va="top", fontsize=7.5, linespacing=1.35)
    return figure


def _block(ax: Any, left: float, columns: list[str], heads: list[str], places: list[float]) -> None:
    ax.text(left + 0.1, _HEAD_INCH - 0.1, "Study", weight="bold", va="bottom")
    for place, head in zip(places, heads, strict=True):
        ax.text(left + place, _HEAD_INCH - 0.1, head, ha="center", va="bottom", fontsize=6.8, linespacing=1.1)
    for kind, title in _KINDS.items():
        own = [p for p, column in zip(places, columns, strict=True) if column.partition(".")[0] == kind]
        if own and title:
            ax.text(left + (own[0] + own[-1]) / 2, 0.18, title, ha="center", va="center", weight="bold")
            ax.plot([left + own[0] - 0.24, left + own[-1] + 0.24], [0.31, 0.31], color=LINE, linewidth=0.8)


def _discs(ax: Any, discs: dict[str, list[tuple[float, float]]]) -> None:
    """A disc with its sign at every place."""
    for value, places in discs.items():
        colour, sign, ink = _SIGNS[value]
        ax.scatter(*zip(*places, strict=True), s=88, color=colour, edgecolor=SOFT, linewidth=0.5, zorder=2)
        for x, y in places:
            ax.text(x, y, sign, ha="center", va="center_baseline", color=ink, fontsize=8, weight="bold")


def _legend(figure: Any, names: list[str], height: float) -> None:
    from matplotlib.patches import Patch

    patches = [
        Patch(facecolor=_SIGNS.get(name, ("#e7eaed",))[0], edgecolor=SOFT, linewidth=0.6, label=name) for name in names
    ]
    figure.legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0.26, 0.02 / height), ncols=len(patches), handlelength=1.1,
        columnspacing=1.4,
    )  # fmt: skip
