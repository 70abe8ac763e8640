"""Three-way tables: some results can be called neither positive nor negative.

The pool of the usual 2x2 tables describes people with a readable result. What the test does for everyone who takes it
depends on how the rest is counted; each way is pooled by itself, and how many results are readable is pooled too.
Sources: Schuetz, Schlattmann, Dewey 2012, BMJ 345:e6717 (intention to diagnose); Shinkins 2013, BMJ 346:f2778.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.evidence.fit import Fit, fit
from hepar.evidence.intervals import named, quantile, wald
from hepar.evidence.likelihood import bivariate
from hepar.evidence.quantities import delta, expit, log_ratios
from hepar.evidence.result import Data
from hepar.evidence.table import MISSING, Excluded, Table, check_poolable
from hepar.record.estimate import Estimate

Ints = NDArray[np.int64]
WITH = ("nep", "ne_pos", "nonevaluable_pos", "non_evaluable_positive", "nonevaluable_diseased")
WITHOUT = ("nen", "ne_neg", "nonevaluable_neg", "non_evaluable_negative", "nonevaluable_nondiseased")
"""Column names (any case) of non-evaluable results of people with and without the disease."""
VIEWS = {
    "excluded": ("only people with an evaluable result", (0, 0)),
    "intention to diagnose": ("non-evaluable counts against the test: missed in the diseased, false alarm in the"
                              " others", (-1, -1)),
    "as positive": ("a non-evaluable result is acted on like a positive one", (1, -1)),
    "as negative": ("a non-evaluable result is acted on like a negative one", (-1, 1)),
    "best case": ("non-evaluable counts for the test: an upper bound, not a description", (1, 1)),
}  # fmt: skip
"""Name -> words, and whether non-evaluable results with and without the disease are right (1), wrong (-1), out (0)."""


@dataclass(frozen=True)
class View:
    """One way to count; or `missing`: why it cannot be pooled."""

    name: str
    words: str
    sensitivity: Estimate
    specificity: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    dor: Estimate
    loglik: float | None
    boundary: str
    missing: str = ""


@dataclass(frozen=True)
class NonEvaluable:
    """views: in the order of `VIEWS`. evaluable_*: pooled share of people with an evaluable result; None of them in
    any study gives no estimate but the plain reason.
    """

    data: Data
    nonevaluable_diseased: int
    nonevaluable_nondiseased: int
    views: tuple[View, ...]
    evaluable_diseased: Estimate
    evaluable_nondiseased: Estimate
    evaluable_correlation: Estimate
    notices: tuple[str, ...]


def non_evaluable(table: Table, *, interval: str = "t") -> NonEvaluable:
    """Pool a table with columns NEP and NEN each way of `VIEWS`, and the share of evaluable results.

    interval: "t" or "z". Rows without NEP or NEN are left out and listed. Raises WrongCall where the columns are not
    there, Refused for a table that cannot be pooled.
    """
    if interval not in ("t", "z"):
        raise WrongCall(f"there is no interval {interval!r} for non-evaluable results; choose t or z")
    positive, negative = _column(table, WITH, "NEP"), _column(table, WITHOUT, "NEN")
    full, excluded = [], list(table.excluded)
    for i, cells in enumerate(zip(positive, negative, strict=True)):
        gaps = [name for name, cell in zip(("NEP", "NEN"), cells, strict=True) if cell.lower() in MISSING]
        if gaps:
            excluded.append(Excluded(table.rows[i], table.study[i], f"no {', '.join(gaps)}"))
        else:
            full.append(i)
    known = table.take(full)
    nep = np.array([_count(positive[i], "NEP", table.study[i]) for i in full], dtype=np.int64)
    nen = np.array([_count(negative[i], "NEN", table.study[i]) for i in full], dtype=np.int64)
    check_poolable(known)
    views = tuple(_view(known, nep, nen, name, words, side, interval) for name, (words, side) in VIEWS.items())
    one, two, rho = _evaluable(known, nep, nen, interval)
    n1, n0 = int((known.n1 + nep).sum()), int((known.n0 + nen).sum())
    data = Data(known.k, known.k, None, n1, n0, tuple(excluded), table.notices)
    notices = []
    if len(excluded) > len(table.excluded):
        notices.append(f"{len(excluded) - len(table.excluded)} rows without NEP or NEN were left out; see the list.")
    return NonEvaluable(data, int(nep.sum()), int(nen.sum()), views, one, two, rho, tuple(notices))


def has_columns(table: Table) -> bool:
    """Whether the table has both columns of non-evaluable results."""
    own = {name.lower() for name in table.covariates}
    return bool(own & set(WITH)) and bool(own & set(WITHOUT))


def _column(table: Table, names: tuple[str, ...], shown: str) -> tuple[str, ...]:
    for name, values in table.covariates.items():
        if name.lower() in names:
            return values
    raise WrongCall(
        f"the table has no column {shown}; non-evaluable results stand in NEP (people with the disease) and NEN"
        " (without)"
    )


def _count(cell: str, name: str, study: str) -> int:
    try:
        number = float(cell)
    except ValueError:
        number = -1.0
    if not np.isfinite(number) or number < 0 or number != int(number):
        raise Refused(f"{study}: {name} is {cell!r}; counts are whole numbers of at least 0; correct the table")
    return int(number)


def _view(table: Table, nep: Ints, nen: Ints, name: str, words: str, side: tuple[int, int], interval: str) -> View:
    tp, fn = table.tp + nep * (side[0] == 1), table.fn + nep * (side[0] == -1)
    tn, fp = table.tn + nen * (side[1] == 1), table.fp + nen * (side[1] == -1)
    counted = replace(table, tp=tp, fp=fp, fn=fn, tn=tn, covariates={})
    try:
        check_poolable(counted)
    except Refused as error:
        none = Estimate.cannot_tell(str(error))
        return View(name, words, none, none, none, none, none, None, "", str(error))
    found = fit(bivariate(counted.tp, counted.n1, counted.tn, counted.n0))
    k = table.k
    wide = quantile(interval, k)
    one, two = _shares(found, k, interval)
    logs, spread = delta(found, log_ratios)
    ratios = [
        wald(float(value), float(np.sqrt(variance)), wide, lambda x: float(np.exp(x)), named(interval, k, "log"))
        for value, variance in zip(logs, np.diag(spread), strict=True)
    ]
    return View(name, words, one, two, ratios[0], ratios[1], ratios[2], found.loglik, found.boundary)


def _shares(found: Fit, k: int, interval: str) -> tuple[Estimate, Estimate]:
    one, two = (
        wald(
            float(found.theta[i]), float(np.sqrt(found.covariance[i, i])), quantile(interval, k),
            lambda x: float(expit(x)), named(interval, k, "logit"),
        )
        for i in (0, 1)
    )  # fmt: skip
    return one, two


def _evaluable(table: Table, nep: Ints, nen: Ints, interval: str) -> tuple[Estimate, Estimate, Estimate]:
    """Shares of evaluable results with and without the disease, and their correlation between studies."""
    none = [
        "every result was evaluable" if not missing.any() else "no result was evaluable" if not read.any() else ""
        for missing, read in ((nep, table.n1), (nen, table.n0))
    ]
    if any(none):
        # one side at its limit has no finite logit, and the other then has no partner: its plain share is told
        shares = []
        for missing, read in ((nep, table.n1), (nen, table.n0)):
            shares.append(Estimate(float(read.sum() / (read.sum() + missing.sum()))))
        return shares[0], shares[1], Estimate.cannot_tell(next(reason for reason in none if reason))
    found = fit(bivariate(table.n1, table.n1 + nep, table.n0, table.n0 + nen))
    psi = found.between()
    scale = float(np.sqrt(psi[0, 0] * psi[1, 1]))
    rho = (
        Estimate(float(np.clip(psi[0, 1] / scale, -1, 1))) if scale > 1e-8
        else Estimate.cannot_tell("a between-study variance is 0")
    )  # fmt: skip
    return *_shares(found, table.k, interval), rho
