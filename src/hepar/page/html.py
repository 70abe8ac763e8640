"""A page as one HTML file that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hepar.page.blocks import Figure, Page, Stroke

if TYPE_CHECKING:
    from jinja2 import Template


def html(page: Page) -> str:
    """The page as HTML 5, readable on screen (light and dark) and on paper. All text is escaped."""
    return _template().render(page=page) + "\n"


@cache
def _template() -> Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hepar.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(kind=_kind, picture=_picture, path=_path)
    return environment.get_template("page.html.j2")


def _kind(block: Any) -> str:
    return type(block).__name__


def _picture(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(grey_png(figure.pixels)).decode("ascii")


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 (row, column) as PNG without any metadata."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()


def _path(stroke: Stroke) -> str:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in stroke.points)
    return f"M{points}{'Z' if stroke.closed else ''}"
