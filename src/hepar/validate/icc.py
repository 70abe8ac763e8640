"""Agreement of raters on a quantity: intraclass correlation after Shrout and Fleiss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hepar.errors import WrongCall
from hepar.record import Estimate

FORMS = ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")


@dataclass(frozen=True)
class Icc:
    """icc with its F interval; f, df1, df2, p of the test that it is 0."""

    form: str
    icc: Estimate
    f: float
    df1: float
    df2: float
    p: float


def icc(ratings: ArrayLike, *, form: str = "2,1", method: str = "psych", level: float = 0.95) -> Icc:
    """Intraclass correlation of subjects x raters.

    form: first figure 1 (each subject its own raters), 2 (these raters stand for others: absolute agreement) or 3
    (only these raters: consistency); second 1 (one rater's value) or k (the mean of all).
    method: "psych" (the interval of a mean follows from that of the single form by Spearman and Brown) or "irr". They
    differ in form 2 only: irr tests with Satterthwaite's degrees of freedom, and takes them from the mean's own
    correlation in form 2,k. Raters that agree in everything: 1 (form 2: less, if one is always above), no interval; nor
    for the mean of k where the single form's lower end is -1 / (k - 1) or less, since Spearman and Brown end there.
    Source: Shrout and Fleiss 1979; McGraw and Wong 1996.
    """
    from scipy.stats import f as fisher

    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise WrongCall(
            f"the ratings have the shape {x.shape} or a gap; needed: subjects x raters, two of each at least"
        )
    if form not in FORMS:
        raise WrongCall(f"form {form!r}; needed: one of {'; '.join(FORMS)}")
    if method not in ("psych", "irr"):
        raise WrongCall(f"method {method!r}; needed: psych or irr")
    n, k = x.shape
    mean = x.mean()
    between = k * ((x.mean(axis=1) - mean) ** 2).sum() / (n - 1)
    raters = n * ((x.mean(axis=0) - mean) ** 2).sum() / (k - 1)
    within = ((x - x.mean(axis=1, keepdims=True)) ** 2).sum() / (n * (k - 1))
    rest = (within * n * (k - 1) - raters * (k - 1)) / ((n - 1) * (k - 1))
    error = within if form[0] == "1" else rest
    if between <= 1e-14 * float(np.abs(x).max()) ** 2:
        raise WrongCall("the subjects do not differ at all; the correlation cannot be told")
    df1, df2 = float(n - 1), float(n * (k - 1) if form[0] == "1" else (n - 1) * (k - 1))
    if error <= 1e-12 * between:
        value = 1.0 if form[0] in "13" else between / (between + raters * (k / n if form[2] == "1" else 1.0 / n))
        return Icc(form, Estimate(float(value)), float("inf"), df1, df2, 0.0)
    ratio, high = between / error, 0.5 + level / 2.0
    if form[0] in "13":
        value = (ratio - 1.0) / (ratio + k - 1.0)
        ends = [
            (v - 1.0) / (v + k - 1.0) for v in (ratio / fisher.ppf(high, df1, df2), ratio * fisher.ppf(high, df2, df1))
        ]
    else:
        value = (between - rest) / (between + (k - 1) * rest + k * (raters - rest) / n)
        if form == "2,k" and method == "irr":
            value = k * value / (1.0 + (k - 1) * value)
        share = k * value / (n * (1.0 - value))
        one, other = share * raters, (1.0 + share * (n - 1)) * rest
        v = (one + other) ** 2 / (one**2 / (k - 1) + other**2 / ((n - 1) * (k - 1)))
        up, down = fisher.ppf(high, n - 1, v), fisher.ppf(high, v, n - 1)
        base = k * raters + (k * n - k - n) * rest
        ends = [
            n * (between - up * rest) / (up * base + n * between),
            n * (down * between - rest) / (base + n * down * between),
        ]
        if method == "irr":
            df2 = float(v)
    if form[2] == "k":
        value = value if form == "2,k" and method == "irr" else k * value / (1.0 + (k - 1) * value)
        if min(ends) <= -1.0 / (k - 1):
            return Icc(form, Estimate(float(value)), float(ratio), df1, df2, float(fisher.sf(ratio, df1, df2)))
        ends = [k * v / (1.0 + (k - 1) * v) for v in ends]
    low, top = (float(v) for v in ends)
    estimate = Estimate(float(value), min(low, float(value)), max(top, float(value)), level, "F")
    return Icc(form, estimate, float(ratio), df1, df2, float(fisher.sf(ratio, df1, df2)))
