"""report.pdf: the same content as report.html."""

from __future__ import annotations

from pathlib import Path

from hepar.page import Page
from hepar.page.pdf import pdf


def write_pdf(content: Page, path: Path) -> None:
    """Write the report as PDF; the same content gives the same bytes."""
    path.write_bytes(pdf(content))
