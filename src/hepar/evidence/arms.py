"""Several tests compared at once, some of them in the same studies: the arm-based network model.

Each table is an arm: one test in one study. Arms of a study share its effects, each test in it has effects of its own
(Nyaga, Aerts, Arbyn 2018, Stat Methods Med Res 27:2554), here by the exact likelihood. Studies of a single test
contribute too; whether they are comparable with the others is a question to the review, not to the model.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.evidence.comparison import LeftOut, Lrt, numeric
from hepar.evidence.intervals import LEVEL, named, quantile, wald
from hepar.evidence.likelihood import Array, Problem
from hepar.evidence.nested import NestedFit, common, fit_nested
from hepar.evidence.quantities import expit
from hepar.evidence.table import FEWEST_STUDIES, MISSING, Table, check_poolable, clusters_of
from hepar.record.estimate import Estimate

MOST_TESTS = 12
DRAWS = 20_000
"""Draws of the means from their large-sample distribution, for the probabilities of being best."""


@dataclass(frozen=True)
class Arm:
    """One test. tables: its tables; paired: how many of them share a study with another test.

    best_*: probability that no other test has a higher value, from the large-sample distribution of the means.
    """

    test: str
    tables: int
    paired: int
    sensitivity: Estimate
    specificity: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    dor: Estimate
    best_sensitivity: float
    best_specificity: float
    best_dor: float


@dataclass(frozen=True)
class Pair:
    """A test against another: ratios (test over reference). head_to_head: studies with both. p: Wald z, two-sided."""

    test: str
    reference: str
    head_to_head: int
    sensitivity: Estimate
    sensitivity_p: float
    specificity: Estimate
    specificity_p: float
    dor: Estimate
    dor_p: float


@dataclass(frozen=True)
class Variances:
    """Between studies (with the correlation of both logits) and between the tests of one study."""

    study_logit_sensitivity: float
    study_logit_specificity: float
    study_correlation: Estimate
    test_logit_sensitivity: float
    test_logit_specificity: float


@dataclass(frozen=True, eq=False)
class Network:
    """lrt: of all tests having the same sensitivity and specificity. connected: every test is linked to every other
    through studies with several tests. boundary: in words, "" for none.
    """

    by: str
    clustered_by: str
    tables: int
    studies: int
    reference: str
    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]
    variances: Variances
    lrt: Lrt
    loglik: float
    converged: bool
    gradient_norm: float
    node_difference: float
    boundary: str
    connected: bool
    draws: int
    seed: int
    left_out: tuple[LeftOut, ...]
    notices: tuple[str, ...]
    fit: NestedFit = field(repr=False)


def network(table: Table, by: str, *, study: str = "study", reference: str | None = None, seed: int = 1) -> Network:
    """Compare all levels of the column `by`, one arm a row; `study` tells which rows belong together.

    reference: the test that the pairs are read against; default: the one with most tables. seed: of the draws behind
    the probabilities of being best. Raises WrongCall for unknown names, Refused for tables that cannot be pooled.
    """
    values = table.covariate(by)
    name = next((own for own in table.covariates if own.lower() == by.strip().lower()), by)
    keep = [i for i, value in enumerate(values) if value.lower() not in MISSING]
    left: list[LeftOut] = []
    if len(keep) < table.k:
        left.append(LeftOut(name, f"{table.k - len(keep)} rows name no test and are left out"))
        table = table.take(keep)
        values = table.covariate(by)
    check_poolable(table)
    tests = tuple(dict.fromkeys(sorted(values)))
    if numeric(values) is not None and len(tests) > MOST_TESTS:
        raise Refused(f"{name} holds {len(tests)} different numbers, not tests; `compare` takes it as a slope")
    bad = _without_event(table, values, tests)
    if bad:
        left += [LeftOut(name, reason) for reason in bad.values()]
        table = table.take([i for i, value in enumerate(values) if value not in bad])
        values = table.covariate(by)
        tests = tuple(test for test in tests if test not in bad)
    if len(tests) < 2:
        raise Refused(f"{name} holds {len(tests)} usable test; a network needs at least two; use `pool`")
    if len(tests) > MOST_TESTS:
        raise Refused(f"{name} holds {len(tests)} tests; more than {MOST_TESTS} are not compared; join some")
    counts = Counter(values)
    chosen = reference if reference is not None else max(tests, key=lambda test: counts[test])
    if chosen not in tests:
        raise WrongCall(f"{name} has no test {chosen!r}; its tests are {', '.join(tests)}")

    order, index = clusters_of(table, table.covariate(study))
    studies = int(index.max()) + 1
    if studies < FEWEST_STUDIES:
        raise Refused(f"the tables come from {studies} studies; the model needs at least {FEWEST_STUDIES}")
    table = table.take(order)
    values = table.covariate(by)
    design = np.array([[float(value == test) for test in tests] for value in values])
    counted = [column.astype(np.float64) for column in (table.tp, table.n1, table.tn, table.n0)]
    problem = Problem(
        counted[0], counted[1], counted[2], counted[3], design, design, index, np.zeros(studies, dtype=np.intp)
    )
    found = fit_nested(problem)
    null = fit_nested(common(problem))
    from scipy.stats import chi2

    df = 2 * (len(tests) - 1)
    statistic = max(0.0, 2 * (found.loglik - null.loglik))
    members = [{value for value, at in zip(values, index, strict=True) if at == i} for i in range(studies)]
    notices = [notice for notice in table.notices if "more than one table" not in notice]
    joined = _connected(tests, members)
    if not joined:
        notices.append(
            "Not every test is linked to the others by studies with several tests; those comparisons rest on different"
            " studies alone."
        )
    doubled = sum(
        Counter(zip(index.tolist(), values, strict=True))[pair] > 1 for pair in set(zip(index, values, strict=True))
    )
    if doubled:
        notices.append(f"{doubled} studies have several tables of one test; each table has effects of its own.")
    best = _best(found, len(tests), seed)
    arms = tuple(
        _arm(found, i, test, counts[test], sum(test in m and len(m) > 1 for m in members), studies, best[:, i])
        for i, test in enumerate(tests)
    )
    at = tests.index(chosen)
    others = [*((i, at) for i in range(len(tests)) if i != at),
              *((j, i) for i, j in combinations(range(len(tests)), 2) if at not in (i, j))]  # fmt: skip
    pairs = tuple(
        _pair(found, one, two, tests, sum({tests[one], tests[two]} <= m for m in members), studies)
        for one, two in others
    )
    return Network(
        name, study, table.k, studies, chosen, arms, pairs, _variances(found),
        Lrt(statistic, df, float(chi2.sf(statistic, df))), found.loglik, found.converged, found.gradient_norm,
        found.node_difference, found.boundary, joined, DRAWS, seed, tuple(left), tuple(notices), found,
    )  # fmt: skip


def _without_event(table: Table, values: tuple[str, ...], tests: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for test in tests:
        rows = table.take([i for i, value in enumerate(values) if value == test])
        for cell, column in (("TP", rows.tp), ("FP", rows.fp), ("FN", rows.fn), ("TN", rows.tn)):
            if not column.any():
                found[test] = f"{test}: every {cell} is 0, so that one side has no finite logit there"
                break
    return found


def _connected(tests: tuple[str, ...], members: list[set[str]]) -> bool:
    reached, grew = {tests[0]}, True
    while grew:
        more = set().union(*(m for m in members if m & reached), reached)
        grew, reached = more != reached, more
    return reached >= set(tests)


def _rows(count: int, size: int, test: int) -> Array:
    """(2, parameter): logit sensitivity and logit specificity of a test."""
    rows = np.zeros((2, size))
    rows[0, test], rows[1, count + test] = 1.0, 1.0
    return rows


def _best(found: NestedFit, count: int, seed: int) -> Array:
    """(3, test): share of draws in which a test has the highest sensitivity, specificity and DOR."""
    generator = np.random.default_rng(seed)
    size = 2 * count
    values, vectors = np.linalg.eigh(found.covariance[:size, :size])
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = found.theta[:size] + generator.standard_normal((DRAWS, size)) @ factor.T
    sides = draws[:, :count], draws[:, count:], draws[:, :count] + draws[:, count:]
    return np.array([np.bincount(side.argmax(axis=1), minlength=count) / DRAWS for side in sides])


def _number(x: float) -> float:
    return float(np.exp(x))


def _arm(found: NestedFit, i: int, test: str, tables: int, paired: int, k: int, best: Array) -> Arm:
    rows = _rows((len(found.theta) - 5) // 2, len(found.theta), i)
    means, spread = rows @ found.theta, rows @ found.covariance @ rows.T
    se, sp = (float(x) for x in expit(means))
    wide = quantile("t", k)
    one, two = (
        wald(float(means[s]), float(np.sqrt(spread[s, s])), wide, lambda x: float(expit(x)), named("t", k, "logit"))
        for s in (0, 1)
    )
    ratios = []
    for value, slope in (
        (np.log(se / (1 - sp)), (1 - se, sp)), (np.log((1 - se) / sp), (-se, -(1 - sp))), (means.sum(), (1.0, 1.0)),
    ):  # fmt: skip
        error = float(np.sqrt(np.array(slope) @ spread @ np.array(slope)))
        ratios.append(wald(float(value), error, wide, _number, named("t", k, "log")))
    return Arm(
        test, tables, paired, one, two, ratios[0], ratios[1], ratios[2], float(best[0]), float(best[1]), float(best[2])
    )


def _pair(found: NestedFit, one: int, two: int, tests: tuple[str, ...], both: int, k: int) -> Pair:
    from scipy.stats import t

    count, size = (len(found.theta) - 5) // 2, len(found.theta)
    here, there = _rows(count, size, one), _rows(count, size, two)
    a, b = expit(here @ found.theta), expit(there @ found.theta)
    out: list[Estimate | float] = []
    for value, slope in (
        *((float(np.log(a[i] / b[i])), (1 - a[i]) * here[i] - (1 - b[i]) * there[i]) for i in (0, 1)),
        (float((here - there).sum(axis=0) @ found.theta), (here - there).sum(axis=0)),
    ):
        error = float(np.sqrt(slope @ found.covariance @ slope))
        out.append(wald(value, error, quantile("t", k), _number, named("t", k, "log")))
        out.append(float(2 * t.sf(abs(value) / error, k - 2)) if error > 0 else 1.0)
    se, se_p, sp, sp_p, dor, dor_p = out
    assert isinstance(se, Estimate)
    assert isinstance(sp, Estimate)
    assert isinstance(dor, Estimate)
    return Pair(tests[one], tests[two], both, se, float(_p(se_p)), sp, float(_p(sp_p)), dor, float(_p(dor_p)))


def _p(value: Estimate | float) -> float:
    assert isinstance(value, float)
    return value


def _variances(found: NestedFit) -> Variances:
    psi = found.between
    scale = float(np.sqrt(psi[0, 0] * psi[1, 1]))
    rho = (
        Estimate(float(np.clip(psi[0, 1] / scale, -1, 1))) if scale > 1e-8
        else Estimate.cannot_tell("a between-study variance is 0")
    )  # fmt: skip
    return Variances(float(psi[0, 0]), float(psi[1, 1]), rho, float(found.theta[-2] ** 2), float(found.theta[-1] ** 2))


__all__ = ["LEVEL", "Arm", "Network", "Pair", "Variances", "network"]
