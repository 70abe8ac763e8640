"""A sheet of paper to write and draw on: fonts, lines of text, boxes, pictures, and where a page ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hepar.page.blocks import Figure
from hepar.page.wrap import wrap

FONT = "DejaVuSans"
"""Covers Latin, Greek, Cyrillic, Arabic and mathematical signs; comes with matplotlib."""
MARGIN_MM = 14.0
WIDTH_MM = 210.0 - 2 * MARGIN_MM
BOTTOM_MM = 297.0 - 16.0
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""The date that every PDF carries, so that a repeated run gives the same bytes."""
PT = 25.4 / 72.0
"""Millimetres in a point."""

Colour = tuple[int, int, int]
INK, SOFT, LINE, BAND = (28, 35, 41), (90, 102, 112), (205, 212, 218), (244, 246, 248)


def line_height(size: float) -> float:
    """Millimetres from one line of this size (points) to the next."""
    return size * PT * 1.32


class Paper:
    """Writes from the top down and breaks pages. All lengths in millimetres, sizes of type in points.

    title: the file's own. footer: drawn at the foot of each page.
    """

    def __init__(self, title: str, footer: Callable[[], None]) -> None:
        from fpdf import FPDF

        class Sheet(FPDF):  # type: ignore[misc]
            def footer(self) -> None:
                footer()

        self.held: list[tuple[float, Callable[[], None]]] = []
        self.widths: dict[tuple[str, float], dict[str, float]] = {}
        self.sheet: Any = Sheet(unit="mm", format="A4")
        self.sheet.set_creation_date(EPOCH)
        self.sheet.set_lang("en")
        self.sheet.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
        self.sheet.set_auto_page_break(False)
        self.sheet.c_margin = 0.0
        for style, name in (("", FONT), ("B", f"{FONT}-Bold"), ("I", f"{FONT}-Oblique")):
            self.sheet.add_font(FONT, style, str(_font_folder() / f"{name}.ttf"))
        self.glyphs = frozenset(self.sheet.fonts[FONT.lower()].cmap)
        self.sheet.set_title(self.printable(title))

    def printable(self, text: str) -> str:
        """The text with a box for each character that the font lacks."""
        return "".join(
            char if char == "\n" or ord(char) in self.glyphs else "\u25a1"
            for char in text
            if char == "\n" or char.isprintable()
        )

    def hold(self, height: float, draw: Callable[[], None]) -> None:
        """Keep something back that must stand on the same page as what comes next."""
        self.held.append((height, draw))

    def room(self, height: float) -> bool:
        """Start a new page unless this much fits, with what was held back; tells whether it did."""
        held, self.held = self.held, []
        full: bool = self.sheet.get_y() + height + sum(one for one, _ in held) > BOTTOM_MM
        if full:
            self.sheet.add_page()
        for _, draw in held:
            draw()
        return full

    def space(self, height: float) -> None:
        """Go down."""
        self.sheet.set_y(self.sheet.get_y() + height)

    def font(self, size: float, style: str = "", colour: Colour = INK) -> float:
        """Set the font; returns the height of a line."""
        self.sheet.set_font(FONT, style, size)
        self.sheet.set_text_color(*colour)
        return line_height(size)

    def lines(self, text: str, width: float, size: float, style: str = "") -> list[str]:
        """The text broken into lines of at most this width."""
        self.font(size, style)
        widths = self.widths.setdefault((style, size), {})

        def measure(piece: str) -> float:
            if piece not in widths:
                widths[piece] = float(self.sheet.get_string_width(piece))
            return widths[piece]

        return wrap(self.printable(text), width, measure)

    def put(
        self, lines: Sequence[str], x: float, y: float, width: float, size: float, *,
        style: str = "", colour: Colour = INK, right: bool = False,
    ) -> float:  # fmt: skip
        """Lines that were broken before, at a place; returns the y below them."""
        height = self.font(size, style, colour)
        for line in lines:
            self.sheet.set_xy(x, y)
            self.sheet.cell(width, height, line, align="R" if right else "L")
            y += height
        return y

    def text(self, text: str, size: float, *, style: str = "", colour: Colour = INK, indent: float = 0.0) -> None:
        """A paragraph across the page, from here down, on as many pages as it takes."""
        height = line_height(size)
        for line in self.lines(text, WIDTH_MM - indent, size, style):
            self.room(height)
            y = self.put([line], MARGIN_MM + indent, self.sheet.get_y(), WIDTH_MM, size, style=style, colour=colour)
            self.sheet.set_y(y)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.sheet.set_fill_color(*colour)
        self.sheet.rect(x, y, width, height, style="F")

    def rule(self, y: float, colour: Colour = LINE, width: float = 0.2) -> None:
        """A line across the page."""
        self.sheet.set_draw_color(*colour)
        self.sheet.set_line_width(width)
        self.sheet.set_dash_pattern()
        self.sheet.line(MARGIN_MM, y, MARGIN_MM + WIDTH_MM, y)

    def figure(self, figure: Figure, x: float, y: float, width: float) -> None:
        """A figure this wide, its lines and words inside its frame."""
        from PIL import Image

        scale = width / figure.width
        height = figure.height * scale
        with self.sheet.rect_clip(x, y, width, height):
            self.sheet.image(Image.fromarray(figure.pixels), x, y, width, height, alt_text=self.printable(figure.alt))
            for stroke in figure.strokes:
                self.sheet.set_draw_color(stroke.colour)
                self.sheet.set_line_width(stroke.width_px * 0.2)
                self.sheet.set_dash_pattern(*((0.9, 0.7) if stroke.dashed else ()))
                points = [(x + a * scale, y + b * scale) for a, b in stroke.points]
                self.sheet.polyline(points, polygon=stroke.closed)
            self.sheet.set_dash_pattern()
            for label in figure.labels:
                self.label(label.text, x + label.x * scale, y + label.y * scale, label.colour, label.anchor)

    def label(self, text: str, x: float, y: float, colour: str, anchor: str = "middle") -> None:
        """A word with a dark rim, so that it is read on bright tissue too."""
        self.font(6)
        rim = 0.1
        before, align = {"start": (0.0, "L"), "end": (20.0, "R")}.get(anchor, (10.0, "C"))
        for dx, dy in ((-rim, -rim), (-rim, rim), (rim, -rim), (rim, rim), (0.0, 0.0)):
            self.sheet.set_text_color(colour if dx == 0 else "#000000")
            self.sheet.set_xy(x - before + dx, y - 1.5 + dy)
            self.sheet.cell(20, 3, self.printable(text), align=align)


def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
