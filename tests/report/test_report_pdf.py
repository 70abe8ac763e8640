"""report.pdf: the same content as report.html."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import report_examples as ex

from hepar.page import Page, Table, Tiles
from hepar.report import write_pdf

needs_pdftotext = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext (poppler-utils)")


def text_of(content: Page, folder: Path) -> str:
    write_pdf(content, folder / "report.pdf")
    done = subprocess.run(
        ["pdftotext", "-layout", str(folder / "report.pdf"), "-"], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


@needs_pdftotext
@pytest.mark.parametrize(("lesions", "phases"), [(0, 1), (1, 4), (30, 4), (3, 7)])
def test_the_pdf_has_every_number_of_the_content(lesions: int, phases: int, tmp_path: Path) -> None:
    """Each figure of each table and tile, as the HTML shows it."""
    content = ex.report(lesions, phases=phases)[1]
    made = "".join(text_of(content, tmp_path).split())
    blocks = [block for section in content.sections for block in section.blocks]
    words = [tile.value for block in blocks if isinstance(block, Tiles) for tile in block.items]
    words += [cell.text for block in blocks if isinstance(block, Table) for row in block.rows for cell in row]
    words += [section.title for section in content.sections] + [content.banner]
    assert len(words) > 20
    for word in words:
        assert "".join(word.split()) in made, word


@needs_pdftotext
def test_a_lesion_is_one_line_of_the_pdf(tmp_path: Path) -> None:
    """Volume, axes, diameter, confidence, slice, and HU in four phases stand side by side."""
    lines = [line.split() for line in text_of(ex.report()[1], tmp_path).splitlines()]
    assert ["1", "24.4", "36.1", "32.0", "37.5", "0.93", "16", "48", "125", "84", "70"] in lines
    assert ["2", "12.2", "30.1", "26.0", "31.5", "0.87", "21", "48", "125", "84", "70"] in lines


@needs_pdftotext
def test_no_identity_without_being_asked(tmp_path: Path) -> None:
    """Neither in the text nor in the file's own data."""
    assert "SECRET" not in text_of(ex.report()[1], tmp_path)
    assert b"SECRET" not in (tmp_path / "report.pdf").read_bytes()
    assert "SECRET, NAME" in text_of(ex.report(with_identity=True)[1], tmp_path)


def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    """Made twice from the start; pictures and fonts included."""
    for name in ("a.pdf", "b.pdf"):
        write_pdf(ex.report()[1], tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
