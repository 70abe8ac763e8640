"""Breaking text into lines."""

from __future__ import annotations

from collections.abc import Callable


def wrap(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Lines of at most `width`, broken at spaces, and inside a word only when it is wider than a line.

    measure: the width of a piece of text, in the unit of `width`. A newline always breaks. Empty text gives no line;
    a line holds at least one character.
    """
    lines: list[str] = []
    space = measure(" ")
    for paragraph in text.split("\n") if text else []:
        line, used = "", 0.0
        for word in paragraph.split(" "):
            size = measure(word)
            if line and used + space + size <= width:
                line, used = f"{line} {word}", used + space + size
                continue
            if line:
                lines.append(line)
            while size > width and len(word) > 1:
                fit = _head(word, width, measure)
                lines.append(word[:fit])
                word = word[fit:]
                size = measure(word)
            line, used = word, size
        lines.append(line)
    return lines


def _head(word: str, width: float, measure: Callable[[str], float]) -> int:
    """How many characters of a word fit; at least one."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(word[:middle]) <= width else (low, middle - 1)
    return low
