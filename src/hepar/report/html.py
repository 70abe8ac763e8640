"""report.html: self-contained, readable offline and on paper."""

from __future__ import annotations

from pathlib import Path

from hepar.page import Page
from hepar.page.html import html


def write_html(content: Page, path: Path) -> None:
    """Write the report as one HTML file; the same content gives the same bytes."""
    path.write_bytes(html(content).encode("utf-8"))
