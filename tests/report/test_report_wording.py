"""Numbers as a reader sees them."""

from __future__ import annotations

import pytest

from hepar.report.wording import MINUS, number


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.33, "score", "0.33"),
        (0.994, "score", "0.99"),
        (0.996, "score", ">0.99"),  # no certainty that is none
        (1.0, "score", "1.00"),
        (0.004, "score", "<0.01"),
        (0.0, "score", "0.00"),
        (9.994, "ml", "9.99"),
        (9.996, "ml", "10.0"),
        (99.96, "ml", "100"),
        (12.34, "mm", "12.3"),
        (-0.4, "HU", "0"),
        (-17.6, "HU", f"{MINUS}18"),
    ],
)
def test_digits_by_unit(value: float, unit: str, text: str) -> None:
    """As many as a reader of the unit needs."""
    assert number(value, unit) == text
