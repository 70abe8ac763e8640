"""Breaking text into lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hepar.page.wrap import wrap


def test_words_go_on_a_line_while_they_fit() -> None:
    """Ten characters a line, each one wide."""
    assert wrap("the quick brown fox", 10, len) == ["the quick", "brown fox"]


def test_a_word_wider_than_a_line_is_broken() -> None:
    """A UID has no spaces."""
    assert wrap("uid 1234567890123", 5, len) == ["uid", "12345", "67890", "123"]


def test_newlines_break_and_nothing_gives_nothing() -> None:
    """Two small lines in one cell; an empty cell."""
    assert wrap("+57\n+55 to +59", 20, len) == ["+57", "+55 to +59"]
    assert wrap("", 20, len) == []


@given(st.text(alphabet="ab 1.", max_size=60), st.integers(1, 12))
def test_no_line_is_too_wide_and_no_character_is_lost(text: str, width: int) -> None:
    """For any text and width."""
    lines = wrap(text, width, len)
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
