"""Paper, pens and the printer: how every figure looks, and how it is written without a trace of clock or chance."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

INK, SOFT, LINE = "#1c2329", "#5a6670", "#cdd4da"
ACCENT, SECOND, BAND = "#0b5a6b", "#b4541a", "#cfe3e8"
NAME_INCH, NAME_SIZE = 2.5, 7.5
"""A study name wider than this, at this size in points, loses its middle; its end (a year, a number) tells it."""
_END = 12
"""Letters of the end that stay."""
_LOOK = {
    "font.family": "DejaVu Sans", "font.size": 8.0, "axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK,
    "xtick.color": SOFT, "ytick.color": SOFT, "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "hepar", "svg.fonttype": "path",
    "pdf.fonttype": 42, "legend.frameon": False, "legend.fontsize": 7.5, "axes.titlesize": 9.0,
    "axes.titleweight": "bold", "path.simplify": False,
    "figure.dpi": 100.0, "axes.unicode_minus": True, "text.usetex": False,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure (of matplotlib), what it is called, and what is to be seen on it."""

    name: str
    title: str
    caption: str
    figure: Any


@contextmanager
def look() -> Iterator[None]:
    """Our style, whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def sheet(width: float, height: float) -> Any:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def short(name: str) -> str:
    """A study name that fits; a dollar sign is no formula."""
    cut, head = name, len(name) - _END
    while width_inch(cut, NAME_SIZE) > NAME_INCH and head > 1:
        head -= 1
        cut = name[:head].rstrip() + "\u2026" + name[-_END:].lstrip()
    return cut.replace("$", r"\$")


@cache
def width_inch(text: str, size: float) -> float:
    """Width of one line in our font, `size` in points. Spaces at both ends count."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    properties = FontProperties(family="DejaVu Sans", size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(text.replace("$", r"\$"), properties, False)
    return float(width) / 72


def svg(drawing: Drawing) -> bytes:
    """The figure as SVG; letters are outlines, so that it looks the same everywhere."""
    return _print(drawing, "svg", {"Date": None, "Creator": None})


def pdf(drawing: Drawing) -> bytes:
    """The figure as PDF with its fonts inside."""
    return _print(drawing, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})


def save(drawing: Drawing, folder: Path) -> bytes:
    """Write NAME.svg and NAME.pdf; returns the SVG."""
    drawn = svg(drawing)
    (folder / f"{drawing.name}.svg").write_bytes(drawn)
    (folder / f"{drawing.name}.pdf").write_bytes(pdf(drawing))
    return drawn


def _print(drawing: Drawing, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with look():
        drawing.figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
