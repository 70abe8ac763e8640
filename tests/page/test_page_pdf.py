"""A page as PDF."""

from __future__ import annotations

import shutil
import subprocess
import time

import page_examples as ex
import pytest

from hepar.page.pdf import pdf

needs_pdftotext = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext (poppler-utils)")


def text_of(made: bytes) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True)
    return done.stdout.decode()


def test_the_same_page_gives_the_same_bytes_a_second_later() -> None:
    """No clock in dates, identifiers or fonts."""
    first = pdf(ex.page())
    time.sleep(1.1)
    assert pdf(ex.page()) == first
    assert first.count(b"/CreationDate (D:20000101000000") == 1


@needs_pdftotext
def test_every_word_is_there() -> None:
    """What stands on the page can be found and copied."""
    made = text_of(pdf(ex.page()))
    for word in ("A title", "mind this", "2024-03-05", "First part", "42", "row-2", "a note below", "Picture two",
                 "below it", "foot line"):  # fmt: skip
        assert word in made, word


@needs_pdftotext
def test_a_long_table_repeats_its_head_and_loses_no_row() -> None:
    """200 rows over several pages, each page with the column's name."""
    sheets = text_of(pdf(ex.page(rows=200))).split("\f")
    for number in range(200):
        assert f"row-{number} " in " ".join(sheets).replace("\n", " ")
    full = [sheet for sheet in sheets if sheet.count("row-") > 5]
    assert len(full) > 3
    assert all("Value" in sheet for sheet in full)


@needs_pdftotext
def test_a_text_longer_than_a_page_runs_on() -> None:
    """Paragraph, note, fact, and the small print in a cell: the last word of all four arrives."""
    made = text_of(pdf(ex.page("word " * 1500 + "END", rows=1)))
    assert made.count("END") == 4
    assert made.count("word") == 4 * 1500


@needs_pdftotext
def test_a_character_without_a_glyph_becomes_a_box() -> None:
    """DejaVu has no Chinese; the reader sees that something is missing, and no log is written."""
    made = text_of(pdf(ex.page("é ü Ω Δ 肝")))
    assert "éüΩΔ□" in made.replace(" ", "")
