"""A page with every kind of block."""

from __future__ import annotations

import numpy as np

from hepar.page import (
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

PIXELS = (np.arange(60 * 80) % 251).reshape(60, 80).astype(np.uint8)


def figure(title: str = "Picture one") -> Figure:
    ring = np.array([[10.0, 10.0], [30.0, 10.0], [20.0, 25.0]])
    return Figure(
        PIXELS, 40.0, 30.0, title, "below it", "what is seen",
        (Stroke(ring, "#ffd21f", closed=True), Stroke(ring[:2], "#ffffff", dashed=True)), (Label(5, 5, "L"),),
    )  # fmt: skip


def page(text: str = "A sentence.", *, rows: int = 3) -> Page:
    table = Table(
        (Column("Name"), Column("Value", "mm", right=True)),
        tuple((Cell(f"row-{n}", text), Cell(f"{n}.5", missing=n == 1)) for n in range(rows)),
        "a note below",
    )
    blocks = (
        Text(text, strong=True), Notes((Note("Mind", text),)), Tiles((Tile("Count", "42", "a small line"),)),
        Facts((("key", text),)), table, Text("legend", muted=True), Figures("Two", (figure(), figure("Picture two"))),
    )  # fmt: skip
    return Page("A title", "mind this", (("Date", "2024-03-05"),), (Section("First part", blocks),), "foot line")
