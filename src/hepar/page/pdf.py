"""A page as PDF (A4, portrait), with the fonts inside and no trace of the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from hepar.page.blocks import Cell, Facts, Figures, Notes, Page, Table, Text, Tiles
from hepar.page.paper import BAND, BOTTOM_MM, INK, LINE, MARGIN_MM, SOFT, WIDTH_MM, Colour, Paper, line_height

ACCENT, NOTE, NOTE_LINE, NOTE_INK = (11, 90, 107), (255, 245, 220), (214, 154, 28), (77, 51, 0)
HEADING_MM = 12.5
MOST_LINES = 60
"""A table row of more lines is parted, so that it fits on a page under the table's head."""
_Row: TypeAlias = list[list[tuple[str, float, str, Colour]]]


def pdf(page: Page) -> bytes:
    """The page as PDF. The same page gives the same bytes.

    A character that the font lacks (Chinese, for one) is shown as a white box; the HTML has it.
    """
    return _Writer(page).write()


class _Writer(Paper):
    """Draws each kind of block."""

    def __init__(self, page: Page) -> None:
        super().__init__(page.title, self.footer)
        self.page = page

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
            self.hold(HEADING_MM, partial(self.heading, section.title))
            for block, after in zip(section.blocks, (*section.blocks[1:], None), strict=True):
                if isinstance(block, Text) and after is not None and not isinstance(after, Text):
                    self.hold(self.paragraph_height(block), partial(self.paragraph, block))
                else:
                    draw[type(block)](block)
        return bytes(self.sheet.output())

    def footer(self) -> None:
        y = BOTTOM_MM + 3
        self.rule(y - 1)
        number = f"{self.sheet.page_no()}"
        line = self.lines(self.page.footer, WIDTH_MM - 12, 6.5)[:2]
        self.put(line, MARGIN_MM, y, WIDTH_MM - 12, 6.5, colour=SOFT)
        self.put([number], MARGIN_MM, y, WIDTH_MM, 6.5, colour=SOFT, right=True)

    def heading(self, title: str) -> None:
        self.space(4.5)
        self.text(title, 11.5, style="B", colour=ACCENT)
        self.rule(self.sheet.get_y() + 0.5, LINE, 0.3)
        self.space(2.2)

    def band(self, text: str) -> None:
        lines = self.lines(text, WIDTH_MM - 6, 9, "B")
        height = len(lines) * line_height(9) + 2
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

    def paragraph_look(self, block: Text) -> tuple[float, Colour]:
        return (11.0, INK) if block.strong else (7.5, SOFT) if block.muted else (9.0, INK)

    def paragraph_height(self, block: Text) -> float:
        size = self.paragraph_look(block)[0]
        return len(self.lines(block.text, WIDTH_MM, size)) * line_height(size) + 1.2

    def paragraph(self, block: Text) -> None:
        size, colour = self.paragraph_look(block)
        self.room(min(self.paragraph_height(block), 25.0))
        self.text(block.text, size, colour=colour)
        self.space(1.2)

    def notes(self, block: Notes) -> None:
        """The title in a column of its own, the text beside it; a long one runs on over the page's end."""
        size, title_width = 8.5, 44.0
        step = line_height(size)
        for note in block.items:
            titles = self.lines(note.title, title_width - 3, size, "B")
            lines = self.lines(note.text, WIDTH_MM - title_width - 6, size)
            while titles or lines:
                self.room(min(max(len(titles), len(lines)), 4) * step + 2.2)
                fit = max(1, int((BOTTOM_MM - self.sheet.get_y() - 2.2) / step))
                head, titles, part, lines = titles[:fit], titles[fit:], lines[:fit], lines[fit:]
                y = self.sheet.get_y()
                height = max(len(head), len(part)) * step + 2.2
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
            sum(len(lines) * line_height(size) for lines, size in zip(part[:3], sizes, strict=True)) for part in parts
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
        step = line_height(8)
        for name, value in block.rows:
            left, right = self.lines(name, 40, 8), self.lines(value, WIDTH_MM - 44, 8)
            while left or right:
                self.room(min(max(len(left), len(right)), 6) * step + 1)
                fit = max(1, int((BOTTOM_MM - self.sheet.get_y() - 1) / step))
                head, left, part, right = left[:fit], left[fit:], right[:fit], right[fit:]
                y = self.sheet.get_y()
                height = max(len(head), len(part)) * step + 1
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
            return 2 + max(sum(line_height(size) for _, size, _, _ in cell) for cell in row)

        def draw(row: _Row, colour: Colour | None = None) -> None:
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
            words = 1.5 + max(len(a) * line_height(7.5) + len(b) * line_height(7) for a, b in texts)
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
