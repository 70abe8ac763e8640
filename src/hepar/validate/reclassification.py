"""What a new risk changes against an old one: NRI and IDI.

Both reward a badly calibrated new model and can be large for a useless one (Hilden and Gerds 2014; Pepe 2015): read
them beside the change in AUC, calibration and net benefit, never alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats, Ints, quantile, risks, two_sided

WARNING = (
    "NRI and IDI can be positive for a marker that adds nothing, and favour a new model that is badly calibrated; read "
    "them beside the change in AUC, calibration and net benefit."
)


@dataclass(frozen=True, eq=False)
class Reclassification:
    """nri: events' plus non-events'. se_null: under no change (Pencina 2008); the interval uses the other. tables:
    old category (row) by new (column), events and non-events; None for the continuous NRI."""

    nri: Estimate
    nri_events: Estimate
    nri_nonevents: Estimate
    z: float | None
    p: float | None
    se_null: float
    table_events: Ints | None = None
    table_nonevents: Ints | None = None
    warning: str = WARNING


def nri(
    truth: ArrayLike, old: ArrayLike, new: ArrayLike, *, cutoffs: Sequence[float] | None = None, level: float = 0.95
) -> Reclassification:
    """Net reclassification: continuous (any change counts; z as Hmisc's improveProb), or between the categories that
    `cutoffs` make (a risk at a cutoff belongs to the higher; z with the null variance of Pencina 2008)."""
    positive, a, b = _both(truth, old, new)
    if cutoffs is None:
        one, other = a, b
    else:
        edges = np.asarray(cutoffs, dtype=np.float64)
        one, other = np.digitize(a, edges).astype(np.float64), np.digitize(b, edges).astype(np.float64)
    parts, null = [], 0.0
    for who, sign in ((positive, 1.0), (~positive, -1.0)):
        move = np.sign(other[who] - one[who])
        n, up, down = move.size, float((move > 0).mean()), float((move < 0).mean())
        net = sign * (up - down)
        parts.append((net, (up + down - net * net) / n))
        null += (up + down) / n
    total, variance = sum(net for net, _ in parts), sum(v for _, v in parts)
    spread = np.sqrt(null if cutoffs is not None else variance)
    z = float(total / spread) if spread > 0 else None
    tables = (
        [None, None] if cutoffs is None else [_table(one[w], other[w], len(cutoffs) + 1) for w in (positive, ~positive)]
    )
    return Reclassification(
        _wald(total, variance, level),
        _wald(*parts[0], level),
        _wald(*parts[1], level),
        z,
        None if z is None else two_sided(z),
        float(np.sqrt(null)),
        tables[0],
        tables[1],
    )


@dataclass(frozen=True)
class Improvement:
    """idi: gain of the mean risk of events plus fall of that of non-events; z and p of no change."""

    idi: Estimate
    events: float
    nonevents: float
    z: float | None
    p: float | None
    warning: str = WARNING


def idi(truth: ArrayLike, old: ArrayLike, new: ArrayLike, *, level: float = 0.95) -> Improvement:
    """Integrated discrimination improvement (Pencina 2008), as Hmisc's improveProb."""
    positive, a, b = _both(truth, old, new)
    change = b - a
    events, nonevents = change[positive], -change[~positive]
    total = float(events.mean() + nonevents.mean())
    variance = sum(float(v.var(ddof=1)) / v.size if v.size > 1 else 0.0 for v in (events, nonevents))
    z = total / float(np.sqrt(variance)) if variance > 0 else None
    p = None if z is None else two_sided(z)
    return Improvement(_wald(total, variance, level), float(events.mean()), float(nonevents.mean()), z, p)


def _both(truth: ArrayLike, old: ArrayLike, new: ArrayLike) -> tuple[Bools, Floats, Floats]:
    positive, a = risks(truth, old)
    _, b = risks(truth, new)
    if positive.all() or not positive.any():
        raise WrongCall("all cases are of one class; needed: events and non-events")
    return positive, a, b


def _table(old: Floats, new: Floats, k: int) -> Ints:
    joint = np.bincount((old * k + new).astype(np.int64), minlength=k * k)
    return joint.reshape(k, k)


def _wald(value: float, variance: float, level: float) -> Estimate:
    half = quantile(level) * float(np.sqrt(variance))
    return Estimate(value, value - half, value + half, level, "wald")
