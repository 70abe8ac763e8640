"""A share of cases and its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Floats, classes, quantile, same_length

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
    if method in ("wilson", "clopper-pearson"):
        low, high = _ends(x, n, method, level)
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


def _ends(x: float, n: float, method: str, level: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    z, tail, p = quantile(level), (1.0 - level) / 2.0, x / n
    if method == "wilson":
        centre, half = (x + z * z / 2) / (n + z * z), z * np.sqrt(n * p * (1 - p) + z * z / 4) / (n + z * z)
        return (0.0 if x == 0 else float(centre - half)), (1.0 if x == n else float(centre + half))
    low = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, tail))
    return low, 1.0 if x == n else float(betaincinv(x + 1, n - x, 1 - tail))


def clustered(
    hit: ArrayLike, cluster: ArrayLike, *, method: str = "wilson", level: float = 0.95, why_none: str = "no case"
) -> Estimate:
    """The share of hits among cases of which several belong to one patient, with an interval that knows it.

    hit: bool or 0 and 1 per case. cluster: its patient. The variance of the share as a ratio of sums over patients
    gives an effective number of cases, shortened for few patients by the ratio of Student's to normal quantile, and the
    interval of that number is taken: "wilson", or "clopper-pearson" (Korn and Graubard 1998, as R's survey::svyciprop
    with "beta"). Sensitivity: pass the positive cases only. All or none hit: every patient counts as one case. One
    patient: no interval. Source: Rao and Scott, Biometrics 1992.
    """
    from scipy.special import stdtrit

    hits: Floats = classes(hit).astype(np.float64)
    names, code = np.unique(np.asarray(cluster), return_inverse=True)
    if method not in ("wilson", "clopper-pearson"):
        raise WrongCall(f"method {method!r}; needed: wilson or clopper-pearson")
    if hits.size == 0:
        return Estimate.cannot_tell(why_none)
    same_length(hits.size, code.size, "the hits", "the cluster")
    n, k, p = hits.size, names.size, float(hits.mean())
    if k < 2:
        return Estimate(p)
    tail = 0.5 + level / 2.0
    residual = np.bincount(code, weights=hits - p)
    variance = float(residual @ residual) * k / (k - 1) / n**2
    if p in (0.0, 1.0):
        effective = float(k)
    elif variance > 0.0:
        effective = p * (1 - p) / variance * float(stdtrit(n - 1, tail) / stdtrit(k - 1, tail)) ** 2
    else:
        effective = float(n)  # every patient has the same share
    low, high = _ends(p * effective, effective, method, level)
    return Estimate(p, low, high, level, f"{method}, clustered ({k} patients)")


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
