"""A label that the user gave."""

from __future__ import annotations

from dataclasses import replace

from hepar.record import UNKNOWN_PHASE, PhaseGuess, PhaseLabel


def user_guess(label: PhaseLabel) -> PhaseGuess:
    """Certain, with "user" as its source."""
    if label == "unknown":
        return replace(UNKNOWN_PHASE, source="user")
    order = ("native", "arterial", "portal_venous", "delayed")
    a, b, c, d = (1.0 if name == label else 0.0 for name in order)
    return PhaseGuess(label, "unknown", 1.0, "user", (a, b, c, d))
