"""A page as one HTML file."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import page_examples as ex
import pytest

from hepar.errors import Fault
from hepar.page import Cell, Column, Table
from hepar.page.html import grey_png, html

VOID = {"meta", "image", "path", "br", "link", "img"}


class Balance(HTMLParser):
    """Raises when a tag is closed that was not opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_is_fetched_and_nothing_runs() -> None:
    """No address, no script, no style sheet from elsewhere; the browser is told so as well."""
    made = html(ex.page())
    assert "://" not in made
    assert "<script" not in made
    assert "<link" not in made
    assert "default-src 'none'" in made
    assert set(re.findall(r'href="([^"]{5})', made)) == {"data:"}


def test_text_is_escaped_everywhere() -> None:
    """A text that looks like HTML stays text, in every kind of block."""
    made = html(ex.page('<script>alert("x")</script> & more'))
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 6


def test_tags_are_balanced_and_every_word_is_there() -> None:
    """A parser that is strict about closing gets through."""
    made = html(ex.page())
    balance = Balance()
    balance.feed(made)
    assert balance.open == []
    for word in ("A title", "mind this", "2024-03-05", "First part", "42", "row-2", "a note below", "Picture two",
                 "below it", "foot line", 'aria-label="what is seen"'):  # fmt: skip
        assert word in made


def test_the_picture_in_the_file_is_the_picture() -> None:
    """PNG without loss and without any text chunk."""
    from PIL import Image

    found = re.findall(r'href="data:image/png;base64,([^"]+)"', html(ex.page()))
    assert len(found) == 2
    image = Image.open(io.BytesIO(base64.b64decode(found[0])))
    assert np.array_equal(np.asarray(image), ex.PIXELS)
    assert image.info == {}
    assert grey_png(ex.PIXELS) == base64.b64decode(found[0])


def test_the_same_page_gives_the_same_bytes() -> None:
    """No clock, no random names."""
    assert html(ex.page()) == html(ex.page())


def test_a_row_of_another_length_is_our_fault() -> None:
    """A table is valid once built."""
    with pytest.raises(Fault, match="2 columns got a row of 1"):
        Table((Column("a"), Column("b")), ((Cell("1"),),))
