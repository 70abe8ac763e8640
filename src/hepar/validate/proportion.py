"""A share of cases and its interval."""

from __future__ import annotations

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import quantile

METHODS = ("wilson", "clopper-pearson", "agresti-coull", "jeffreys", "wald", "wilson-cc")


def proportion(x: int, n: int, *, method: str = "wilson", level: float = 0.95, why_none: str = "no case") -> Estimate:
    """x of n with an interval.

    method: "wilson" (prop.test without correction), "clopper-pearson" (binom.test), "agresti-coull", "jeffreys"
    (equal tails, closed at 0 and n), "wald", "wilson-cc". Agresti-Coull and Wald may leave 0..1, as published.
    n = 0 gives no number, for the reason `why_none`.
    """
    from scipy.special import betaincinv

    if n == 0:
        return Estimate.cannot_tell(why_none)
    if not 0 <= x <= n:
        raise WrongCall(f"{x} of {n} is no share; needed: 0 to {n}")
    z, p, tail = quantile(level), x / n, (1.0 - level) / 2.0
    if method == "wilson":
        centre, half = (x + z * z / 2) / (n + z * z), z * np.sqrt(n * p * (1 - p) + z * z / 4) / (n + z * z)
        low, high = (0.0 if x == 0 else centre - half), (1.0 if x == n else centre + half)
    elif method == "clopper-pearson":
        low = 0.0 if x == 0 else betaincinv(x, n - x + 1, tail)
        high = 1.0 if x == n else betaincinv(x + 1, n - x, 1 - tail)
    elif method == "jeffreys":
        low = 0.0 if x == 0 else betaincinv(x + 0.5, n - x + 0.5, tail)
        high = 1.0 if x == n else betaincinv(x + 0.5, n - x + 0.5, 1 - tail)
    elif method == "agresti-coull":
        centre = (x + z * z / 2) / (n + z * z)
        half = z * np.sqrt(centre * (1 - centre) / (n + z * z))
        low, high = centre - half, centre + half
    elif method == "wald":
        half = z * np.sqrt(p * (1 - p) / n)
        low, high = p - half, p + half
    elif method == "wilson-cc":
        yates = min(0.5, abs(x - n / 2.0))
        up, down = p + yates / n, p - yates / n
        width = z * z / n
        high = (up + width / 2 + z * np.sqrt(up * (1 - up) / n + width / (4 * n))) / (1 + width) if up < 1 else 1.0
        low = (
            (down + width / 2 - z * np.sqrt(down * (1 - down) / n + width / (4 * n))) / (1 + width) if down > 0 else 0.0
        )
    else:
        raise WrongCall(f"method {method!r} is not known; needed: one of {', '.join(METHODS)}")
    return Estimate(p, float(low), float(high), level, method)


def difference(x: int, m: int, y: int, n: int, *, level: float = 0.95) -> Estimate:
    """x/m - y/n of two independent groups with Newcombe's hybrid score interval (1998, method 10)."""
    one, other = proportion(x, m, level=level), proportion(y, n, level=level)
    if one.estimate is None or other.estimate is None:
        return Estimate.cannot_tell("one group is empty")
    gap = one.estimate - other.estimate
    assert one.low is not None
    assert one.high is not None
    assert other.low is not None
    assert other.high is not None
    low = gap - float(np.hypot(one.estimate - one.low, other.high - other.estimate))
    high = gap + float(np.hypot(one.high - one.estimate, other.estimate - other.low))
    return Estimate(gap, low, high, level, "newcombe")
