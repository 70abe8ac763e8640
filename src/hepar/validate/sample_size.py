"""Are there enough cases: for an external validation, and for the variables a model was built from."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.validate.inputs import Bools, numbers
from hepar.validate.smooth import logit

FEW_EVENTS = 100
"""Cases of each class from which external validation is thought precise enough (Collins 2016; Vergouwe 2005)."""
EPV_BARE, EPV_GOOD = 10, 20
"""Events per variable: below the first a model is overfitted (Peduzzi 1996), above the second mostly not (Ogundimu
2016). Rules of thumb: what is needed depends on prevalence and strength of the model (van Smeden 2016; Riley 2019)."""
_Z = 1.96  # as published, not 1.959964


@dataclass(frozen=True)
class Needed:
    """Cases that an external validation needs so that each interval gets no wider than asked.

    observed_expected, slope, c_statistic: cases for each; slope is None without the risks. widths: what was asked.
    """

    observed_expected: int
    slope: int | None
    c_statistic: int
    widths: tuple[float, float, float]

    @property
    def all_three(self) -> int:
        """The largest of them."""
        return max(self.observed_expected, self.slope or 0, self.c_statistic)


def needed(
    prevalence: float, c_statistic: float, *, risk: ArrayLike | None = None,
    widths: tuple[float, float, float] = (0.2, 0.2, 0.1),
) -> Needed:  # fmt: skip
    """The smallest external validation, for a model that is calibrated.

    prevalence and c_statistic: those expected. risk: predicted risks of such cases (their spread drives the slope).
    widths: of the 95 % intervals of observed / expected (around 1), calibration slope and C statistic.
    Source: Riley 2021 (Stat Med 40:4230); the formulas and default widths of R's pmvalsampsize 0.1.0.
    """
    if not 0.0 < prevalence < 1.0 or not 0.0 < c_statistic < 1.0 or min(widths) <= 0.0:
        raise WrongCall(f"the prevalence is {prevalence:g}, the C statistic {c_statistic:g} and a width "
                        f"{min(widths):g}; needed: both inside 0 to 1, and widths above 0")  # fmt: skip
    # exp(1.96 se) - exp(-1.96 se) = width
    error = float(np.arcsinh(widths[0] / 2)) / _Z
    ratio = ceil((1 - prevalence) / (prevalence * error**2))
    slope = None if risk is None else _slope(risk, widths[1])
    return Needed(ratio, slope, _area(prevalence, c_statistic, widths[2]), widths)


def _slope(risk: ArrayLike, width: float) -> int | None:
    x = logit(numbers(risk, "the risk"))
    p = 1 / (1 + np.exp(-x))
    weight = p * (1 - p)
    a, b, c = float(weight.mean()), float((weight * x).mean()), float((weight * x * x).mean())
    left = a * c - b * b
    return ceil(a / ((width / (2 * _Z)) ** 2 * left)) if left > 1e-15 else None


def c_error(n: int, c: float, prevalence: float) -> float:
    """Standard error of a C statistic of n cases (Newcombe 2006, method 4, as Riley 2021)."""
    grow = 1 + (n / 2 - 1) * ((1 - c) / (2 - c) + c / (1 + c))
    return float(np.sqrt(c * (1 - c) * grow / (n * n * prevalence * (1 - prevalence))))


def _area(prevalence: float, c: float, width: float) -> int:
    low, high = 2, 2
    while 2 * _Z * c_error(high, c, prevalence) > width:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if 2 * _Z * c_error(middle, c, prevalence) <= width:
            high = middle
        else:
            low = middle + 1
    return high


def needed_to_develop(variables: int, cox_snell_r2: float, *, shrinkage: float = 0.9) -> int:
    """Cases from which a model of that many variables is expected to shrink to no less than `shrinkage`.

    Source: Riley 2019 (Stat Med 38:1276), first criterion; R's pmsampsize.
    """
    if variables < 1 or not 0.0 < cox_snell_r2 < 1.0 or not cox_snell_r2 < shrinkage < 1.0:
        raise WrongCall(f"{variables} variables, R2 {cox_snell_r2:g}, shrinkage {shrinkage:g}; needed: one variable at "
                        "least, R2 inside 0 to 1 and below the shrinkage")  # fmt: skip
    return ceil(variables / ((shrinkage - 1) * float(np.log(1 - cox_snell_r2 / shrinkage))))


def events_per_variable(positive: Bools, variables: int) -> float:
    """Cases of the rarer class per candidate variable."""
    return min(int(positive.sum()), int((~positive).sum())) / variables
