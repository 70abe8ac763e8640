"""A page as PDF (A4, portrait), with the fonts inside and no trace of the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from hepar.page.blocks import Cell, Facts, Figure, Figures, Notes, Page, Table, Text, Tiles
from hepar.page.wrap import wrap

FONT = "DejaVuSans"
"""Covers Latin, Greek, Cyrillic, Arabic and mathematical signs; comes with matplotlib."""
MARGIN_MM = 14.0
WIDTH_MM = 210.0 - 2 * MARGIN_MM
BOTTOM_MM = 297.0 - 16.0
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""The date that every PDF carries, so that a repeated run gives the same bytes."""

INK, SOFT, LINE, BAND = (28, 35, 41), (90, 102, 112), (205, 212, 218), (244, 246, 248)
ACCENT, NOTE, NOTE_LINE, NOTE_INK = (11, 90, 107), (255, 245, 220), (214, 154, 28), (77, 51, 0)
PT = 25.4 / 72.0
MOST_LINES = 60
"""A table row of more lines is parted, so that it fits on a page under the table's head."""
_Row: TypeAlias = list[list[tuple[str, float, str, tuple[int, int, int]]]]


def pdf(page: Page) -> bytes:
    """The page as PDF. The same page gives the same bytes.

    A character that the font lacks (Chinese, for one) is shown as a white box; the HTML has it.
    """
    return _Paper(page).write()


class _Paper:
    """Draws blocks from the top down and breaks pages. All lengths in millimetres."""

    def __init__(self, page: Page) -> None:
        from fpdf import FPDF

        paper = self

        class Sheet(FPDF):  # type: ignore[misc]
            def footer(self) -> None:
                paper.footer()

        self.page = page
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
        self.sheet.set_title(self.printable(page.title))

    def write(self) -> bytes:
        self.sheet.add_page()
        self.text(self.page.title, 17, style="B")
        self.space(1)
        self.band(self.page.banner)
        self.head(self.page.facts)
        draw: dict[type, Callable[[Any], None]] = {
            Text: self.paragraph, Notes: self.notes, Tiles: self.tiles, Facts: self.facts, Table: self.table,
            Figures: self.figures,
        }  # fmt: skip
        for section in self.page.sections:
            self.hold(27 * PT, partial(self.heading, section.title))
            for block, after in zip(section.blocks, (*section.blocks[1:], None), strict=True):
                if isinstance(block, Text) and after is not None and not isinstance(after, Text):
                    self.hold(self.paragraph_height(block), partial(self.paragraph, block))
                else:
                    draw[type(block)](block)
        return bytes(self.sheet.output())

    # -- plain pieces ---------------------------------------------------------------------------------------------

    def printable(self, text: str) -> str:
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
        self.sheet.set_y(self.sheet.get_y() + height)

    def font(self, size: float, style: str = "", colour: tuple[int, int, int] = INK) -> float:
        """Set the font; returns the height of a line."""
        self.sheet.set_font(FONT, style, size)
        self.sheet.set_text_color(*colour)
        return size * PT * 1.32

    def lines(self, text: str, width: float, size: float, style: str = "") -> list[str]:
        self.font(size, style)
        widths = self.widths.setdefault((style, size), {})

        def measure(piece: str) -> float:
            if piece not in widths:
                widths[piece] = float(self.sheet.get_string_width(piece))
            return widths[piece]

        return wrap(self.printable(text), width, measure)

    def put(
        self, lines: Sequence[str], x: float, y: float, width: float, size: float, *,
        style: str = "", colour: tuple[int, int, int] = INK, right: bool = False,
    ) -> float:  # fmt: skip
        """Lines that were broken before, at a place; returns the y below them."""
        height = self.font(size, style, colour)
        for line in lines:
            self.sheet.set_xy(x, y)
            self.sheet.cell(width, height, line, align="R" if right else "L")
            y += height
        return y

    def text(
        self, text: str, size: float, *, style: str = "", colour: tuple[int, int, int] = INK, indent: float = 0.0
    ) -> None:
        height = size * PT * 1.32
        for line in self.lines(text, WIDTH_MM - indent, size, style):
            self.room(height)
            y = self.put([line], MARGIN_MM + indent, self.sheet.get_y(), WIDTH_MM, size, style=style, colour=colour)
            self.sheet.set_y(y)

    def box(self, x: float, y: float, width: float, height: float, colour: tuple[int, int, int]) -> None:
        self.sheet.set_fill_color(*colour)
        self.sheet.rect(x, y, width, height, style="F")

    def rule(self, y: float, colour: tuple[int, int, int] = LINE, width: float = 0.2) -> None:
        self.sheet.set_draw_color(*colour)
        self.sheet.set_line_width(width)
        self.sheet.set_dash_pattern()
        self.sheet.line(MARGIN_MM, y, MARGIN_MM + WIDTH_MM, y)

    def footer(self) -> None:
        y = BOTTOM_MM + 3
        self.rule(y - 1)
        number = f"{self.sheet.page_no()}"
        line = self.lines(self.page.footer, WIDTH_MM - 12, 6.5)[:2]
        self.put(line, MARGIN_MM, y, WIDTH_MM - 12, 6.5, colour=SOFT)
        self.put([number], MARGIN_MM, y, WIDTH_MM, 6.5, colour=SOFT, right=True)

    # -- blocks ---------------------------------------------------------------------------------------------------

    def heading(self, title: str) -> None:
        self.space(4.5)
        self.text(title, 11.5, style="B", colour=ACCENT)
        self.rule(self.sheet.get_y() + 0.5, LINE, 0.3)
        self.space(2.2)

    def band(self, text: str) -> None:
        lines = self.lines(text, WIDTH_MM - 6, 9, "B")
        height = len(lines) * 9 * PT * 1.32 + 2
        width = max(self.sheet.get_string_width(line) for line in lines) + 6
        y = self.sheet.get_y()
        self.sheet.set_fill_color(*NOTE)
        self.sheet.set_draw_color(*NOTE_LINE)
        self.sheet.set_line_width(0.25)
        self.sheet.rect(MARGIN_MM, y, width, height, style="DF")
        self.put(lines, MARGIN_MM + 3, y + 1, width - 6, 9, style="B", colour=NOTE_INK)
        self.sheet.set_y(y + height + 2)

    def head(self, facts: Sequence[tuple[str, str]]) -> None:
        """Short pairs side by side, wrapped into rows."""
        x, gap = MARGIN_MM, 7.0
        for name, value in facts:
            self.font(8.5)
            width = max(self.sheet.get_string_width(self.printable(one)) for one in (name, value)) + 0.5
            if x > MARGIN_MM and x + width > MARGIN_MM + WIDTH_MM:
                x = MARGIN_MM
                self.space(8.6)
            y = self.sheet.get_y()
            low = self.put([self.printable(name)], x, y, width, 7, colour=SOFT)
            rest = self.lines(value, WIDTH_MM, 8.5)
            self.put(rest, x, low, width, 8.5)
            self.sheet.set_y(y + max(0, len(rest) - 1) * 4)
            x += width + gap
        self.space(8)

    def paragraph_look(self, block: Text) -> tuple[float, tuple[int, int, int]]:
        return (11.0, INK) if block.strong else (7.5, SOFT) if block.muted else (9.0, INK)

    def paragraph_height(self, block: Text) -> float:
        size = self.paragraph_look(block)[0]
        return len(self.lines(block.text, WIDTH_MM, size)) * size * PT * 1.32 + 1.2

    def paragraph(self, block: Text) -> None:
        size, colour = self.paragraph_look(block)
        self.room(min(self.paragraph_height(block), 25.0))
        self.text(block.text, size, colour=colour)
        self.space(1.2)

    def notes(self, block: Notes) -> None:
        """The title in a column of its own, the text beside it; a long one runs on over the page's end."""
        size, title_width = 8.5, 44.0
        line_height = size * PT * 1.32
        for note in block.items:
            titles = self.lines(note.title, title_width - 3, size, "B")
            lines = self.lines(note.text, WIDTH_MM - title_width - 6, size)
            while titles or lines:
                self.room(min(max(len(titles), len(lines)), 4) * line_height + 2.2)
                fit = max(1, int((BOTTOM_MM - self.sheet.get_y() - 2.2) / line_height))
                head, titles, part, lines = titles[:fit], titles[fit:], lines[:fit], lines[fit:]
                y = self.sheet.get_y()
                height = max(len(head), len(part)) * line_height + 2.2
                self.box(MARGIN_MM, y, WIDTH_MM, height, NOTE)
                self.box(MARGIN_MM, y, 1.1, height, NOTE_LINE)
                self.put(head, MARGIN_MM + 3.5, y + 1.1, title_width, size, style="B", colour=NOTE_INK)
                self.put(part, MARGIN_MM + 3.5 + title_width, y + 1.1, WIDTH_MM, size, colour=NOTE_INK)
                self.sheet.set_y(y + height + 1.0)

    def tiles(self, block: Tiles) -> None:
        gap = 2.5
        width = (WIDTH_MM - gap * (len(block.items) - 1)) / len(block.items)
        parts = [
            (self.lines(t.label, width - 5, 7.5), self.lines(t.value, width - 5, 13, "B"),
             self.lines(t.small, width - 5, 7), t.missing)
            for t in block.items
        ]  # fmt: skip
        sizes = (7.5, 13.0, 7.0)
        height = 4 + max(
            sum(len(lines) * size * PT * 1.32 for lines, size in zip(part[:3], sizes, strict=True)) for part in parts
        )
        self.room(height + 1)
        self.space(1)
        y = self.sheet.get_y()
        for number, (label, value, small, missing) in enumerate(parts):
            x = MARGIN_MM + number * (width + gap)
            self.box(x, y, width, height, BAND)
            low = self.put(label, x + 2.5, y + 2, width - 5, 7.5, colour=SOFT)
            low = self.put(value, x + 2.5, low, width - 5, 13, style="" if missing else "B", colour=INK)
            self.put(small, x + 2.5, low, width - 5, 7, colour=SOFT)
        self.sheet.set_y(y + height + 2)

    def facts(self, block: Facts) -> None:
        line_height = 8 * PT * 1.32
        for name, value in block.rows:
            left, right = self.lines(name, 40, 8), self.lines(value, WIDTH_MM - 44, 8)
            while left or right:
                self.room(min(max(len(left), len(right)), 6) * line_height + 1)
                fit = max(1, int((BOTTOM_MM - self.sheet.get_y() - 1) / line_height))
                head, left, part, right = left[:fit], left[fit:], right[:fit], right[fit:]
                y = self.sheet.get_y()
                height = max(len(head), len(part)) * line_height + 1
                self.put(head, MARGIN_MM, y + 0.5, 40, 8, colour=SOFT)
                self.put(part, MARGIN_MM + 44, y + 0.5, WIDTH_MM - 44, 8)
                self.rule(y + height)
                self.sheet.set_y(y + height)
        self.space(1.5)

    def table(self, block: Table) -> None:
        total = sum(column.share for column in block.columns)
        widths = [WIDTH_MM * column.share / total for column in block.columns]
        rights = [column.right for column in block.columns]

        def rows_of(row: Sequence[Cell], size: float, style: str) -> list[_Row]:
            """A row as lines; a row taller than the page as several."""
            cells = []
            for cell, width in zip(row, widths, strict=True):
                look = ("I", SOFT) if cell.missing else (style, INK)
                main = [(line, size, *look) for line in self.lines(cell.text, width - 2.4, size, look[0])]
                cells.append(main + [(line, 6.5, "", SOFT) for line in self.lines(cell.small, width - 2.4, 6.5)])
            pages = range(0, max(1, *(len(cell) for cell in cells)), MOST_LINES)
            return [[cell[first : first + MOST_LINES] for cell in cells] for first in pages]

        def height_of(row: _Row) -> float:
            return 2 + max(sum(size for _, size, _, _ in cell) for cell in row) * PT * 1.32

        def draw(row: _Row, colour: tuple[int, int, int] | None = None) -> None:
            y, x, height = self.sheet.get_y(), MARGIN_MM, height_of(row)
            if colour:
                self.box(MARGIN_MM, y, WIDTH_MM, height, colour)
            for cell, width, right in zip(row, widths, rights, strict=True):
                low = y + 1
                for line, size, style, ink in cell:
                    low = self.put([line], x + 1.2, low, width - 2.4, size, right=right, colour=ink, style=style)
                x += width
            self.rule(y + height)
            self.sheet.set_y(y + height)

        (header,) = rows_of([Cell(column.title, column.small) for column in block.columns], 7.5, "B")
        rows = [part for row in block.rows for part in rows_of(row, 8, "")]
        top = height_of(header)
        together = top + sum(height_of(row) for row in rows)
        self.room(together if together < 0.6 * BOTTOM_MM else top + sum(height_of(row) for row in rows[:1]))
        draw(header, BAND)
        for row in rows:
            if self.room(height_of(row)):
                draw(header, BAND)
            draw(row)
        self.space(1 if block.note else 3)
        if block.note:
            self.paragraph(Text(block.note, muted=True))

    def figures(self, block: Figures) -> None:
        gap = 2.5
        width = (WIDTH_MM - gap * (block.columns - 1)) / block.columns
        rows = []
        for first in range(0, len(block.items), block.columns):
            row = block.items[first : first + block.columns]
            texts = [(self.lines(f.title, width, 7.5, "B"), self.lines(f.caption, width, 7)) for f in row]
            picture = max(width * f.height / f.width for f in row)
            words = 1.5 + max((len(a) * 7.5 + len(b) * 7) * PT * 1.32 for a, b in texts)
            rows.append((row, texts, picture, words))
        together = sum(picture + words + 1 for _, _, picture, words in rows)
        if together < 0.6 * BOTTOM_MM:
            self.room(together + 6)
        for number, (row, texts, picture, words) in enumerate(rows):
            self.room(picture + words + (6 if block.title and not number else 0))
            if block.title and not number:
                self.space(1.2)
                self.text(block.title, 9, style="B")
                self.space(0.8)
            y = self.sheet.get_y()
            for place, (figure, (title, caption)) in enumerate(zip(row, texts, strict=True)):
                x = MARGIN_MM + place * (width + gap)
                self.figure(figure, x, y, width)
                low = self.put(title, x, y + picture + 0.8, width, 7.5, style="B")
                self.put(caption, x, low, width, 7, colour=SOFT)
            self.sheet.set_y(y + picture + words + 1)

    def figure(self, figure: Figure, x: float, y: float, width: float) -> None:
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
                self.label(label.text, x + label.x * scale, y + label.y * scale, label.colour)

    def label(self, text: str, x: float, y: float, colour: str) -> None:
        """A word with a dark rim, so that it is read on bright tissue too."""
        self.font(6)
        rim = 0.1
        for dx, dy in ((-rim, -rim), (-rim, rim), (rim, -rim), (rim, rim), (0.0, 0.0)):
            self.sheet.set_text_color(colour if dx == 0 else "#000000")
            self.sheet.set_xy(x - 10 + dx, y - 1.5 + dy)
            self.sheet.cell(20, 3, self.printable(text), align="C")


def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
