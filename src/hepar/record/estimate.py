"""A number with its interval: a number never travels alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hepar.errors import Fault


@dataclass(frozen=True)
class Estimate:
    """A number, its interval and how the interval was made; or no number and the reason.

    estimate, low, high: in the unit of the field that holds them; None where there is none.
    level: coverage of the interval (0.95), None without interval.
    method: how the interval was made, in a few words; "" without interval.
    missing: why there is no number; "" when there is one.
    Raises Fault for a number that is not finite, for low > high, and for a missing number without a reason.
    """

    estimate: float | None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        for value in (self.estimate, self.low, self.high):
            if value is not None and not math.isfinite(value):
                raise Fault(f"an estimate must be finite, got {self}")
        if (self.estimate is None) != bool(self.missing):
            raise Fault(f"an estimate has either a number or a reason why not, got {self}")
        if (self.low is None) != (self.high is None):
            raise Fault(f"an interval has two ends, got {self}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Fault(f"an interval runs from low to high, got {self}")

    @classmethod
    def cannot_tell(cls, reason: str) -> Estimate:
        """No number, and why."""
        return cls(None, missing=reason)
