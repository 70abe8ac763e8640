"""What a page is made of. Frozen, valid once built; every renderer takes exactly these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Fault


@dataclass(frozen=True)
class Text:
    """One paragraph. strong: set larger, for the sentence that matters most. muted: small and grey."""

    text: str
    strong: bool = False
    muted: bool = False


@dataclass(frozen=True)
class Note:
    """Something to be read before the rest: a short title and one or two sentences."""

    title: str
    text: str


@dataclass(frozen=True)
class Notes:
    """Notes that stand out from the page."""

    items: tuple[Note, ...]


@dataclass(frozen=True)
class Tile:
    """One figure that is read at a glance, what it is, and a small line below."""

    label: str
    value: str
    small: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Tiles:
    """A row of tiles."""

    items: tuple[Tile, ...]


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair a line."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Column:
    """A table's column. share: its width against the other columns'. right: numbers, set to the right."""

    title: str
    small: str = ""
    share: float = 1.0
    right: bool = False


@dataclass(frozen=True)
class Cell:
    """One field of a table: a main line and a small one below. missing: stands for a value that is not there."""

    text: str
    small: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns. Raises Fault for a row of another length."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise Fault(f"a table of {len(self.columns)} columns got a row of {len(row)}")


@dataclass(frozen=True)
class Stroke:
    """A line over a picture. points: (n, 2) as (x, y) in the picture's units from its upper left corner."""

    points: NDArray[np.float64]
    colour: str
    width_px: float = 1.2
    closed: bool = False
    dashed: bool = False


@dataclass(frozen=True)
class Label:
    """A word over a picture, its middle at (x, y). anchor: "start" or "end" puts that side of it at x."""

    x: float
    y: float
    text: str
    colour: str = "#ffffff"
    anchor: str = "middle"


@dataclass(frozen=True, eq=False)
class Figure:
    """A grey picture with lines and words over it, in the picture's own units (width x height).

    pixels: uint8 (row, column). alt: what is to be seen, for those who do not see it. text_share: height of the words
    as a share of the width.
    """

    pixels: NDArray[np.uint8]
    width: float
    height: float
    title: str
    caption: str
    alt: str
    strokes: tuple[Stroke, ...] = ()
    labels: tuple[Label, ...] = ()
    text_share: float = 0.045

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 2 or min(self.width, self.height) <= 0:
            raise Fault(f"a figure needs grey uint8 pixels and a size, got {self.pixels.dtype} {self.pixels.shape}")


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures side by side, `columns` in a row, under a small heading."""

    title: str
    items: tuple[Figure, ...]
    columns: int = 4


Block: TypeAlias = Text | Notes | Tiles | Facts | Table | Figures


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Page:
    """A document: its head, its sections, and the line at its foot.

    banner: one line that nobody may miss. facts: short pairs beside the title.
    """

    title: str
    banner: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    footer: str
