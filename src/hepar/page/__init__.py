"""Self-contained pages from plain blocks: one `Page`, written as HTML or as PDF. Knows no medicine."""

from hepar.page.blocks import (
    Cell,
    Column,
    Facts,
    Figure,
    Figures,
    Label,
    Note,
    Notes,
    Page,
    Section,
    Stroke,
    Table,
    Text,
    Tile,
    Tiles,
)

__all__ = [
    "Cell", "Column", "Facts", "Figure", "Figures", "Label", "Note", "Notes", "Page", "Section", "Stroke", "Table",
    "Text", "Tile", "Tiles",
]  # fmt: skip
