"""Agreement of two raters beyond chance: Cohen's kappa, plain and weighted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import quantile, two_sided

WEIGHTS = ("none", "linear", "quadratic")


@dataclass(frozen=True)
class Kappa:
    """kappa with Fleiss, Cohen and Everitt's interval (1969, as R's vcd); z and p of no agreement (null variance, as
    R's irr); pabak: prevalence- and bias-adjusted kappa of plain agreement."""

    kappa: Estimate
    standard_error: float
    z: float
    p: float
    agreement: float
    pabak: float


def cohen_kappa(
    first: ArrayLike, second: ArrayLike, *, weights: str = "none", method: str = "vcd", level: float = 0.95
) -> Kappa:
    """Kappa of two raters' classes of the same cases. Weights need classes in order: numbers, sorted."""
    one: NDArray[Any] = np.asarray(first)
    other: NDArray[Any] = np.asarray(second)
    if one.shape != other.shape or one.ndim != 1 or one.size == 0:
        raise WrongCall(
            f"the raters have the shapes {one.shape} and {other.shape}; needed: one class per case from both"
        )
    if weights != "none" and one.dtype.kind not in "biuf":
        raise WrongCall("weights need classes in order; needed: numbers, not names")
    labels, code = np.unique(np.concatenate((one, other)), return_inverse=True)
    n = labels.size
    joint = np.bincount(code[: one.size] * n + code[one.size :], minlength=n * n).reshape(n, n)
    return kappa_of_table(joint, weights=weights, method=method, level=level)


def kappa_of_table(table: ArrayLike, *, weights: str = "none", method: str = "vcd", level: float = 0.95) -> Kappa:
    """As `cohen_kappa`, from the square table of counts. Linear and quadratic weights go by the place of the class.

    method: of the interval. "vcd": Fleiss, Cohen and Everitt's variance, Wald. With 30 cases it is too short (it holds
    a quadratic kappa of 0.57 in 0.89); "fisher-z", the same variance on Fisher's z scale with Student's t, in 0.93.
    "psych" is there to compare with that R package, whose interval of weighted kappa takes each row's sum of weights
    where the formula has the mean weight of the other rater's classes.
    No variance (full agreement; one rater used one class only): no interval; in the latter case z 0 and p 1.
    """
    from scipy.special import stdtrit

    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.sum() <= 0:
        raise WrongCall(f"the table has the shape {counts.shape}; needed: a square of counts with at least one case")
    if weights not in WEIGHTS:
        raise WrongCall(f"weights {weights!r}; needed: one of {', '.join(WEIGHTS)}")
    k, n = counts.shape[0], counts.sum()
    if method not in ("vcd", "fisher-z", "psych"):
        raise WrongCall(f"method {method!r}; needed: vcd, fisher-z or psych")
    if k < 2:
        raise WrongCall("both raters used one and the same class only; agreement beyond chance cannot be told")
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / (k - 1.0)
    weight = {"none": (apart == 0).astype(np.float64), "linear": 1.0 - apart, "quadratic": 1.0 - apart**2}[weights]
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    seen, chance = float((weight * p).sum()), float(rows @ weight @ columns)
    if chance >= 1.0:
        raise WrongCall("both raters used one and the same class only; agreement beyond chance cannot be told")
    value = (seen - chance) / (1.0 - chance)
    mean = (weight @ columns)[:, None] + (rows @ weight)[None, :]
    used = mean if method != "psych" or weights == "none" else (weight @ columns)[:, None] + rows * weight.sum(axis=1)
    own = (p * (weight - used * (1.0 - value)) ** 2).sum() - (value - chance * (1.0 - value)) ** 2
    null = (np.outer(rows, columns) * (weight - mean) ** 2).sum() - chance**2
    error, error_null = (float(np.sqrt(max(v, 0.0) / n)) / (1.0 - chance) for v in (own, null))
    half = quantile(level) * error
    z = value / error_null if error_null > 0 else 0.0
    plain = float(np.trace(p))
    pabak = (plain - 1.0 / k) / (1.0 - 1.0 / k)
    how = "Fleiss, Cohen and Everitt 1969" + (", as psych" if method == "psych" else "")
    estimate = Estimate(value, value - half, value + half, level, how) if half > 0 else Estimate(value)
    if method == "fisher-z" and half > 0 and n > 1:
        width = float(stdtrit(n - 1, 0.5 + level / 2.0)) * error / (1.0 - value**2)
        low, high = (float(np.tanh(np.arctanh(value) + sign * width)) for sign in (-1.0, 1.0))
        estimate = Estimate(value, low, high, level, f"{how}, Fisher's z, t")
    return Kappa(estimate, error, z, two_sided(z), plain, pabak)
