"""Differences between subgroups of Table 2 of the MVI review, tested as far as printed intervals allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.evidence.paper_table2 import Row

PAIRS = (
    ("Internal validation", "External validation"),
    ("<100", "\u2265100"),
    ("CECT internal validation", "CECT external validation"),
    ("CEMRI internal validation", "CEMRI external validation"),
    ("Multimodal internal validation", "Multimodal external validation"), ("CECT", "CEMRI"), ("CECT", "CEUS"),
    ("CECT", "Multimodal"),
)  # fmt: skip
"""What the paper's conclusions compare."""
DRAWS, SEED = 4000, 1
"""Numbers drawn evenly from all that round to the printed ones, to see what rounding does to p."""
DEPENDENCE = (0.0, 0.25, 0.5)
"""Correlations between both subgroups' estimates that are tried; studies with both kinds of sets make them positive."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """difference: of the logits, or of log DOR, first less second; se: from the printed interval; p: two-sided.

    p_low, p_high: 95 % of the p values that unrounded numbers may give. dor ratios: exp(difference).
    """

    difference: float
    se: float
    p: float
    p_low: float
    p_high: float


@dataclass(frozen=True)
class PrintedContrast:
    """Two rows of Table 2 against each other, taken as independent.

    joint_p: Wald test of both logits at once (2 df); their covariance follows from the interval of the DOR. holm_dor:
    p of the DOR after Holm's correction for all contrasts.
    """

    first: str
    second: str
    sensitivity: Side
    specificity: Side
    dor: Side
    joint_chi2: float
    joint_p: float
    joint_p_low: float
    joint_p_high: float
    holm_dor: float


@dataclass(frozen=True)
class Dependent:
    """The first contrast, were the two subgroups' estimates correlated by `correlation`."""

    correlation: float
    sensitivity_p: float
    specificity_p: float
    dor_p: float
    joint_p: float


def contrasts(rows: tuple[Row, ...]) -> tuple[PrintedContrast, ...]:
    """All of `PAIRS`."""
    by_name = {row.subgroup: row for row in rows}
    found = [_contrast(by_name[one], by_name[two]) for one, two in PAIRS]
    order = np.argsort([one.dor.p for one in found], kind="stable")
    adjusted = np.empty(len(found))
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(found) - place) * found[i].dor.p))
        adjusted[i] = highest
    return tuple(
        PrintedContrast(
            one.first, one.second, one.sensitivity, one.specificity, one.dor, one.joint_chi2, one.joint_p,
            one.joint_p_low, one.joint_p_high, float(holm),
        )
        for one, holm in zip(found, adjusted, strict=True)
    )  # fmt: skip


def dependence(rows: tuple[Row, ...]) -> tuple[Dependent, ...]:
    """The contrast of internal and external validation under `DEPENDENCE`."""
    by_name = {row.subgroup: row for row in rows}
    one, two = (_numbers(by_name[name])[:, :1] for name in PAIRS[0])
    return tuple(Dependent(r, *(float(p[0]) for p in _test(one, two, r)[1])) for r in DEPENDENCE)


def _numbers(row: Row, generator: np.random.Generator | None = None) -> Floats:
    """(9, draw): logit sensitivity, logit specificity, log DOR, each with both ends; as printed, or drawn."""
    printed = np.array([*row.sensitivity, *row.specificity, *row.dor])[:, None]
    half = np.array([0.005] * 6 + [0.5] * 3)[:, None]
    if generator is not None:
        printed = printed + half * generator.uniform(-1, 1, (9, DRAWS))
    values = np.empty_like(printed)
    values[:6] = np.log(printed[:6] / (1 - printed[:6]))
    values[6:] = np.log(printed[6:])
    return values


def _test(one: Floats, two: Floats, r: float = 0.0) -> tuple[Floats, list[Floats]]:
    """(difference and se of the three sides; chi2) and p of sensitivity, specificity, DOR and both at once."""
    from scipy.stats import chi2, norm

    z = 2 * float(norm.ppf(0.975))
    spread = [(side[[2, 5, 8]] - side[[1, 4, 7]]) / z for side in (one, two)]
    difference = one[[0, 3, 6]] - two[[0, 3, 6]]
    error = np.sqrt(spread[0] ** 2 + spread[1] ** 2 - 2 * r * spread[0] * spread[1])
    v1, v2 = error[0] ** 2, error[1] ** 2
    # var(log DOR) = v1 + v2 + 2 cov; rounding may take the covariance out of its range
    limit = 0.999 * error[0] * error[1]
    shared = np.clip((error[2] ** 2 - v1 - v2) / 2, -limit, limit)
    d1, d2 = difference[0], difference[1]
    statistic = (v2 * d1**2 - 2 * shared * d1 * d2 + v1 * d2**2) / (v1 * v2 - shared**2)
    p = [2 * norm.sf(np.abs(difference[i]) / error[i]) for i in range(3)]
    return np.concatenate([difference, error, statistic[None]]), [*p, chi2.sf(statistic, 2)]


def _contrast(first: Row, second: Row) -> PrintedContrast:
    values, p = _test(_numbers(first), _numbers(second))
    generator = np.random.default_rng(SEED)
    _, drawn = _test(_numbers(first, generator), _numbers(second, generator))
    ends = [tuple(float(x) for x in np.quantile(one, (0.025, 0.975))) for one in drawn]
    sides = [
        Side(float(values[i, 0]), float(values[3 + i, 0]), float(p[i][0]), ends[i][0], ends[i][1]) for i in range(3)
    ]
    return PrintedContrast(
        first.subgroup, second.subgroup, sides[0], sides[1], sides[2], float(values[6, 0]), float(p[3][0]),
        ends[3][0], ends[3][1], math.nan,
    )  # fmt: skip
