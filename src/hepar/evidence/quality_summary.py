"""Risk of bias and applicability (QUADAS-2, QUADAS-AI): what is judged, by how many, and where two reviewers differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.evidence.prisma import Flow
from hepar.evidence.quality_table import ANSWERS, CONSENSUS, DOMAINS, JUDGEMENTS, Assessments, label
from hepar.record.estimate import Estimate
from hepar.validate.kappa import kappa_of_table
from hepar.validate.proportion import proportion

TOOLS = {"quadas-2": "QUADAS-2", "quadas-ai": "QUADAS-AI"}
TO_SETTLE = "to settle"
"""Two reviewers differ and no consensus is given."""


@dataclass(frozen=True)
class Agreement:
    """Of two reviewers on one column. n: studies that both judged.

    table: counts, first reviewer down, second across, in the order of `classes`. observed: share of equal judgements,
    Wilson interval. kappa: Cohen's, unweighted; weighted: with linear weights, low < unclear < high (or yes < unclear <
    no); intervals after Fleiss, Cohen and Everitt 1969, none where the agreement is full. pabak: prevalence- and
    bias-adjusted kappa.
    """

    column: str
    n: int
    classes: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    observed: Estimate
    kappa: Estimate
    weighted: Estimate
    pabak: float | None


@dataclass(frozen=True)
class Disagreement:
    """settled: the consensus; "" where it is missing, which leaves it to be settled."""

    study: str
    column: str
    first: str
    second: str
    settled: str


@dataclass(frozen=True)
class Counts:
    """Of one column over the studies."""

    column: str
    low: int
    unclear: int
    high: int
    to_settle: int
    missing: int


@dataclass(frozen=True)
class Judged:
    """judgements: in the order of `columns`; "to settle" where reviewers differ, "" where nobody judged."""

    study: str
    judgements: tuple[str, ...]


@dataclass(frozen=True)
class Quality:
    """low_in_all_domains: studies of low risk of bias in all four domains, the only ones that QUADAS-2 calls of low
    risk of bias; None unless all four are judged. items: counts of yes, unclear, no stand as low, unclear, high."""

    tool: str
    columns: tuple[str, ...]
    studies: tuple[Judged, ...]
    counts: tuple[Counts, ...]
    low_in_all_domains: int | None
    reviewers: tuple[str, ...]
    agreement: tuple[Agreement, ...]
    disagreements: tuple[Disagreement, ...]
    flow: Flow | None
    notices: tuple[str, ...]


def quality(assessments: Assessments | None, *, tool: str = "quadas-2", flow: Flow | None = None) -> Quality:
    """Judge a table of judgements, a PRISMA flow, or both. Raises WrongCall for neither and for an unknown tool."""
    if tool not in TOOLS:
        raise WrongCall(f"the tool {tool!r} is not known; needed: one of {', '.join(TOOLS)}")
    if assessments is None:
        if flow is None:
            raise WrongCall("neither judgements nor a flow were given; give a table of judgements, --flow, or both")
        return Quality(TOOLS[tool], (), (), (), None, (), (), (), flow, ())
    studies = tuple(Judged(name, _settled(assessments, name)) for name in assessments.studies)
    counts = tuple(_count(column, [s.judgements[at] for s in studies]) for at, column in enumerate(assessments.columns))
    bias = [at for at, column in enumerate(assessments.columns) if column.startswith("bias.")]
    agreement: tuple[Agreement, ...] = ()
    differ: tuple[Disagreement, ...] = ()
    if len(assessments.reviewers) == 2:
        agreement = tuple(_agreement(assessments, at) for at in range(len(assessments.columns)))
        differ = tuple(_disagreements(assessments))
    return Quality(
        TOOLS[tool], assessments.columns, studies, counts,
        sum(all(s.judgements[at] == "low" for at in bias) for s in studies) if len(bias) == len(DOMAINS) else None,
        assessments.reviewers, agreement, differ, flow, (*assessments.notices, *_notices(assessments, counts, flow)),
    )  # fmt: skip


def _given(assessments: Assessments, study: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...] | None]:
    """Judgements by reviewer, and those of the consensus."""
    own = {reviewer: values for name, reviewer, values in assessments.rows if name == study}
    agreed = [own.pop(reviewer) for reviewer in list(own) if reviewer.lower() in CONSENSUS]
    if len(agreed) > 1:
        raise Refused(f"{study} has two rows of a consensus; keep one")
    return own, agreed[0] if agreed else None


def _settled(assessments: Assessments, study: str) -> tuple[str, ...]:
    own, agreed = _given(assessments, study)
    found = []
    for at in range(len(assessments.columns)):
        said = list(dict.fromkeys(values[at] for values in own.values() if values[at]))
        settled = agreed[at] if agreed else ""
        found.append(settled or (said[0] if len(said) == 1 else TO_SETTLE if said else ""))
    return tuple(found)


def _count(column: str, values: list[str]) -> Counts:
    good, middle, bad = ANSWERS if column.startswith("item.") else JUDGEMENTS
    return Counts(
        column, values.count(good), values.count(middle), values.count(bad), values.count(TO_SETTLE), values.count("")
    )


def _agreement(assessments: Assessments, at: int) -> Agreement:
    column = assessments.columns[at]
    classes = ANSWERS if column.startswith("item.") else JUDGEMENTS
    table = np.zeros((3, 3), dtype=np.int64)
    for one, two in _pairs(assessments, at):
        table[classes.index(one), classes.index(two)] += 1
    n = int(table.sum())
    cells = tuple(tuple(int(x) for x in row) for row in table)
    none = "no study was judged by both reviewers"
    observed = proportion(int(np.trace(table)), n, why_none=none)
    if n == 0:
        missing = Estimate.cannot_tell(none)
        return Agreement(column, n, classes, cells, observed, missing, missing, None)
    if min((table.sum(axis=0) > 0).sum(), (table.sum(axis=1) > 0).sum()) < 2:
        # kappa is then 0 or 0/0 whatever they agreed on
        missing = Estimate.cannot_tell("a reviewer gave one and the same judgement throughout; kappa says nothing then")
        return Agreement(column, n, classes, cells, observed, missing, missing, _pabak(table))
    plain, weighted = (kappa_of_table(table, weights=weights) for weights in ("none", "linear"))
    return Agreement(
        column, n, classes, cells, observed, _inside(plain.kappa), _inside(weighted.kappa), _pabak(table)
    )  # fmt: skip


def _pabak(table: np.ndarray) -> float:
    return float((3 * np.trace(table) / table.sum() - 1) / 2)


def _inside(one: Estimate) -> Estimate:
    """Limits beyond -1 and 1 are none of kappa's values. Full agreement has no interval."""
    if one.low is None or one.high is None:
        return one
    return Estimate(one.estimate, max(one.low, -1.0), min(one.high, 1.0), one.level, one.method)


def _pairs(assessments: Assessments, at: int) -> list[tuple[str, str]]:
    first, second = assessments.reviewers
    found = []
    for study in assessments.studies:
        own, _ = _given(assessments, study)
        if first in own and second in own and own[first][at] and own[second][at]:
            found.append((own[first][at], own[second][at]))
    return found


def _disagreements(assessments: Assessments) -> list[Disagreement]:
    first, second = assessments.reviewers
    found = []
    for study in assessments.studies:
        own, agreed = _given(assessments, study)
        if first not in own or second not in own:
            continue
        for at, column in enumerate(assessments.columns):
            one, two = own[first][at], own[second][at]
            if one and two and one != two:
                found.append(Disagreement(study, column, one, two, agreed[at] if agreed else ""))
    return found


def _notices(assessments: Assessments, counts: tuple[Counts, ...], flow: Flow | None) -> list[str]:
    found = []
    if len(assessments.reviewers) == 1:
        found.append("One reviewer only; agreement cannot be told.")
    elif len(assessments.reviewers) == 2:
        for reviewer in assessments.reviewers:
            seen = {study for study, name, _ in assessments.rows if name == reviewer}
            absent = [study for study in assessments.studies if study not in seen]
            if absent:
                found.append(f"Not judged by {reviewer}: {', '.join(absent)}.")
    left = sum(one.to_settle for one in counts)
    if left:
        found.append(f"{left} judgement{'s are' if left > 1 else ' is'} still to be settled between the reviewers.")
    gaps = [f"{label(one.column)} ({one.missing})" for one in counts if one.missing]
    if gaps:
        found.append(f"Studies without a judgement: {', '.join(gaps)}.")
    included = flow.included if flow is not None else None
    if included is not None and included != len(assessments.studies):
        found.append(f"Studies in the flow: {included}; studies judged: {len(assessments.studies)}.")
    return found
