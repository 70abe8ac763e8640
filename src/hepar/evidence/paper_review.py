"""The MVI review of 2026 as an example: its checkable tables computed again, its errors named.

Feng W, Qu B, Han S, J Med Internet Res 28:e82000 (2026), doi:10.2196/82000, CC BY 4.0. Works from what hepar ships.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hepar.evidence.paper_contrasts import Dependent, PrintedContrast, contrasts, dependence
from hepar.evidence.paper_table1 import Check, Doubt, Study, check_table1, doubts_of, read_table1, sets_of
from hepar.evidence.paper_table2 import Row, Tally, read_table2, tally
from hepar.evidence.prisma import Flow, flow_of
from hepar.evidence.reconstruct import Reported, solve

CITATION = (
    "Feng W, Qu B, Han S. Accuracy of Medical Image-Based Deep Learning for Detecting Microvascular Invasion in"
    " Hepatocellular Carcinoma: Systematic Review and Meta-Analysis. J Med Internet Res 2026;28:e82000."
)
DOI, LICENCE = "10.2196/82000", "CC BY 4.0"
FLOW = {
    "identified": 11266, "after_duplicates": 7539, "full_text": 62,
    "full_text_excluded": {"not deep learning": 2, "no 2x2 table to be had": 3, "segmentation only": 5},
    "included": 52, "tables": 68,
}  # fmt: skip
"""As printed under Study selection and Overall."""


@dataclass(frozen=True)
class Source:
    """What was computed again."""

    citation: str
    doi: str
    licence: str


@dataclass(frozen=True)
class Recovery:
    """2x2 tables behind Table 1. fewest, median, most: tables that fit one set's sizes, which are all that is printed.

    unique, ambiguous_most: what two printed decimals of each set's sensitivity and specificity would have left (at
    0.80 and 0.82): sets with one table only, and the most tables of a set. pooled: whether pooling was possible.
    """

    sets: int
    fewest: int
    median: float
    most: int
    unique: int
    ambiguous_most: int
    pooled: bool
    words: str


@dataclass(frozen=True)
class Paper:
    """Everything that was found. conclusions: in sentences, the most important first."""

    source: Source
    studies: tuple[Study, ...]
    table2: tuple[Row, ...]
    tally: tuple[Tally, ...]
    checks: tuple[Check, ...]
    doubts: tuple[Doubt, ...]
    contrasts: tuple[PrintedContrast, ...]
    dependence: tuple[Dependent, ...]
    recovery: Recovery
    flow: Flow
    conclusions: tuple[str, ...]


def paper() -> Paper:
    """Read both tables and check them."""
    studies, rows = read_table1(), read_table2()
    checks, doubts, pairs, depends = check_table1(studies), doubts_of(studies), contrasts(rows), dependence(rows)
    counted, recovery = tally(rows), recover(studies)
    return Paper(
        Source(CITATION, DOI, LICENCE), studies, rows, counted, checks, doubts, pairs, depends, recovery, flow_of(FLOW),
        _conclusions(rows, counted, checks, pairs, depends, recovery),
    )  # fmt: skip


def recover(studies: tuple[Study, ...]) -> Recovery:
    """What 2x2 tables Table 1 leaves possible, by `reconstruct`."""
    sets = sets_of(studies)
    sizes = [{"n": str(one.n), "n_pos": str(one.n_mvi)} for one in sets]
    alone = [len(solve(Reported(one.name, size)).tables) for one, size in zip(sets, sizes, strict=True)]
    two = []
    for one, size in zip(sets, sizes, strict=True):
        hits, rests = round(0.80 * one.n_mvi), round(0.82 * (one.n - one.n_mvi))
        shares = {"sensitivity": f"{hits / one.n_mvi:.2f}", "specificity": f"{rests / (one.n - one.n_mvi):.2f}"}
        two.append(len(solve(Reported(one.name, {**size, **shares})).tables))
    middle = float(np.median(alone))
    words = (
        "No 2x2 table of a single set can be recovered: Table 1 gives the numbers of people with and without MVI, and"
        " neither tables nor text give the sensitivity or specificity of any one set (they stand only in the image of"
        f" Figure 3). Between {min(alone):,} and {max(alone):,} tables fit each set (median {middle:,.0f}), all"
        " accuracies from 0 to 1 among them, so that multiple imputation over them would pool noise; hepar does not."
        f" Two decimals for each set would do: {two.count(1)} of {len(sets)} sets would then have one table, the others"
        f" at most {max(two)}, which pool_imputed carries into the pool. to_fill.csv has the sizes of all sets, ready"
        " for sensitivity and specificity from the papers, for hepar evidence tables."
    )
    return Recovery(len(sets), min(alone), middle, max(alone), two.count(1), max(two), False, words)


def _conclusions(
    rows: tuple[Row, ...], counted: tuple[Tally, ...], checks: tuple[Check, ...], pairs: tuple[PrintedContrast, ...],
    depends: tuple[Dependent, ...], recovery: Recovery,
) -> tuple[str, ...]:  # fmt: skip
    first, half = pairs[0], depends[-1]
    reversed_ = [row for row in rows if row.auc_interval.kind == "reversed"]
    sizes = [
        f"{row.auc_interval.n_low:.0f} to {row.auc_interval.n_high:.0f}" for row in rows
        if row.auc_interval.n_low is not None and row.auc_interval.n_high is not None
    ]  # fmt: skip
    positive = [row for row in rows if row.correlation is not None and row.correlation >= 0.2]
    negative = [row for row in rows if row.correlation is not None and row.correlation <= -0.2]
    ratios, odds = counted[:2], counted[2]
    after = counted[4:6]
    wrong = [check for check in checks if not check.agrees]
    return (
        f"The arithmetic of Table 2 holds: LR+ {ratios[0].agree} of {ratios[0].of}, LR- {ratios[1].agree} of"
        f" {ratios[1].of}, DOR {odds.agree} of {odds.of} rows and {sum(one.agree for one in after)} of"
        f" {sum(one.of for one in after)} probabilities after the test follow from the printed sensitivity and"
        " specificity within rounding.",
        "The key finding, that accuracy falls in external validation, was not tested in the paper. From the printed"
        f" intervals: sensitivity p = {first.sensitivity.p:.2f}, specificity p = {first.specificity.p:.2f}, both at"
        f" once p = {first.joint_p:.2f}, DOR p = {first.dor.p:.3f} ({first.holm_dor:.2f} after correction for the"
        f" {len(pairs)} contrasts the conclusions draw); {_times(first)}. The AUCs cannot be compared, since their"
        " intervals are void. Studies with sets of both kinds tie the two estimates together: were these correlated by"
        f" {half.correlation:g}, both sides at once would give p = {half.joint_p:.2f}. Only the counts of each set can"
        " decide: hepar evidence compare TABLE.csv --by external --study paper.",
        f"{len(reversed_)} of {len(rows)} intervals of the AUC are printed 1.00-0.00 and cannot be intervals; the"
        f" other {len(rows) - len(reversed_)} are Wilson intervals of samples of {', '.join(sizes)} people, whatever"
        " the number of patients. Stata's midas 2.00 explains both (inferred; the paper names no program): its interval"
        " of the AUC is Wilson's with the number of integration points (500) for n, kept in a scalar N; Stata reads a"
        " data variable abbreviated N instead where there is one, and where its first value is missing, min() and"
        " max() skip it and leave the limits 1 and 0. The authors ascribe the width to heterogeneity, which is not the"
        " cause. Even as meant, the interval does not depend on the data. The ends of the DOR's own intervals give"
        f" usable ones for a symmetric curve, overall {rows[0].auc_interval.implied_low:.2f} to"
        f" {rows[0].auc_interval.implied_high:.2f}.",
        f"What the paper calls Spearman's correlation is the model's: its square gives the printed shares"
        f" {counted[6].agree} of {counted[6].of} times. Only a negative correlation of sensitivity and specificity"
        f" speaks for a threshold effect; {', '.join(f'{row.correlation:+.2f} ({row.subgroup})' for row in positive)}"
        f" cannot be one and {', '.join(f'{row.correlation:+.2f} ({row.subgroup})' for row in negative)} may be; the"
        " paper calls the first and all but the last alike a minimal threshold effect.",
        f"{len(wrong)} of {len(checks)} statements on the studies do not agree with Table 1, among them a validation"
        ' set of "02" people that must be 102, and 19,531 patients where the rows sum to 19,534; Table 2\'s subgroups'
        " cannot be rebuilt from Table 1.",
        recovery.words,
    )


def _times(one: PrintedContrast) -> str:
    """What rounding does to the p value of the DOR."""
    return f"rounding alone lets the p of the DOR lie between {one.dor.p_low:.3f} and {one.dor.p_high:.3f}"
