"""Table 2 of the MVI review computed again from its own sensitivity and specificity, and its AUC intervals explained.

A printed number stands for all numbers that round to it; two numbers agree where those ranges meet.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hepar.validate.place_table import POOLED

Range = tuple[float, float]
Floats = NDArray[np.float64]
MIDAS_POINTS = 500
"""Integration points of midas, which it takes for the sample size of its interval of the AUC."""


@dataclass(frozen=True)
class Again:
    """One printed number computed again. low, high: what the numbers it follows from may stand for."""

    printed: float
    computed: float
    low: float
    high: float
    agrees: bool


@dataclass(frozen=True)
class AucInterval:
    """The printed interval of one AUC. kind: "reversed" (1.00-0.00) or "wilson", Wilson's interval of a sample of
    `n_low` to `n_high` people (rounding taken into account), which no row's own number of tables explains.

    midas_low, midas_high: what midas means to print, Wilson's interval with n = 500 integration points. implied_low,
    implied_high: the areas that the ends of the DOR's printed interval give under a symmetric curve.
    """

    kind: str
    printed_low: float
    printed_high: float
    n_low: float | None
    n_high: float | None
    midas_low: float
    midas_high: float
    implied_low: float
    implied_high: float


@dataclass(frozen=True)
class Row:
    """One row of Table 2; numbers as printed, each with its interval. dor_of_ratios: DOR as LR+ / LR-.

    auc: that of the symmetric curve through the printed DOR. post_positive, post_negative, threshold_share: None where
    the paper prints none. threshold_share: the square of the printed correlation in percent.
    """

    group: str
    subgroup: str
    tables: int
    sensitivity: tuple[float, float, float]
    specificity: tuple[float, float, float]
    dor: tuple[float, float, float]
    lr_positive: Again
    lr_negative: Again
    dor_again: Again
    dor_of_ratios: Again
    auc: Again
    auc_interval: AucInterval
    prior_percent: float | None
    post_positive: Again | None
    post_negative: Again | None
    correlation: float | None
    threshold_share: Again | None


@dataclass(frozen=True)
class Tally:
    """How many printed numbers of one kind come out."""

    what: str
    agree: int
    of: int


def read_table2() -> tuple[Row, ...]:
    """All 17 rows, each number computed again."""
    with POOLED.open(encoding="utf-8", newline="") as file:
        return tuple(_row(line) for line in csv.DictReader(file))


def tally(rows: tuple[Row, ...]) -> tuple[Tally, ...]:
    """Counts of what agrees, by kind."""
    kinds: tuple[tuple[str, list[Again | None]], ...] = (
        ("LR+ from sensitivity and specificity", [row.lr_positive for row in rows]),
        ("LR- from sensitivity and specificity", [row.lr_negative for row in rows]),
        ("DOR from sensitivity and specificity", [row.dor_again for row in rows]),
        ("DOR as LR+ / LR-", [row.dor_of_ratios for row in rows]),
        ("probability after a positive result", [row.post_positive for row in rows]),
        ("probability after a negative result", [row.post_negative for row in rows]),
        ("share due to a threshold effect as squared correlation", [row.threshold_share for row in rows]),
        ("AUC of the symmetric curve with the printed DOR", [row.auc for row in rows]),
    )
    found = []
    for what, all_ in kinds:
        there = [one for one in all_ if one is not None]
        found.append(Tally(what, sum(one.agrees for one in there), len(there)))
    return tuple(found)


def symmetric_auc(dor: float) -> float:
    """Area under the symmetric summary curve of one odds ratio. Source: Walter 2002, Stat Med 21:1237."""
    return 0.5 if dor == 1 else dor * (dor - 1 - math.log(dor)) / (dor - 1) ** 2


def wilson(p: Floats | float, n: Floats | float) -> tuple[Floats, Floats]:
    """Wilson's score interval at 95 %; n need not be whole."""
    z = 1.959963984540054
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.asarray((centre - half) / (1 + z * z / n)), np.asarray((centre + half) / (1 + z * z / n))


def rounded(text: str) -> Range:
    """All numbers that round to a printed one: "0.80" stands for 0.795 to 0.805."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text) + half


def _row(line: dict[str, str]) -> Row:
    # the file drops closing zeros; the paper prints shares and LR- with two decimals, LR+ with one, DOR with none
    def two(key: str) -> Range:
        return rounded(f"{float(line[key]):.2f}")

    se, sp = two("sens"), two("spec")
    plr, nlr, dor = rounded(f"{float(line['plr']):.1f}"), two("nlr"), rounded(f"{float(line['dor']):.0f}")
    one, zero = float(line["sens"]), float(line["spec"])
    positive = (se[0] / (1 - sp[0]), se[1] / (1 - sp[1]))
    negative = ((1 - se[1]) / sp[1], (1 - se[0]) / sp[0])
    odds = (se[0] * sp[0] / ((1 - se[0]) * (1 - sp[0])), se[1] * sp[1] / ((1 - se[1]) * (1 - sp[1])))
    areas = (symmetric_auc(dor[0]), symmetric_auc(dor[1]))
    prior = float(line["fagan_prior_pct"]) if line["fagan_prior_pct"] else None
    after: list[Again | None] = [None, None]
    if prior is not None:
        for i, (ratio, name, key) in enumerate(
            ((plr, "plr", "fagan_post_pos_pct"), (nlr, "nlr", "fagan_post_neg_pct"))
        ):  # fmt: skip
            ends = (_after(prior - 0.5, ratio[0]), _after(prior + 0.5, ratio[1]))
            after[i] = _again(float(line[key]), _after(prior, float(line[name])), ends, 0.5)
    share = None
    correlation = float(line["spearman_as_printed"]) if line["spearman_as_printed"] else None
    if correlation is not None:
        low, high = max(0.0, abs(correlation) - 0.005), abs(correlation) + 0.005
        share = _again(
            float(line["threshold_pct_as_printed"]), 100 * correlation**2, (100 * low**2, 100 * high**2), 0.5
        )  # fmt: skip

    def three(key: str) -> tuple[float, float, float]:
        return float(line[key]), float(line[f"{key}_lo"]), float(line[f"{key}_hi"])

    return Row(
        line["group"], line["subgroup"], int(line["n_tables"]), three("sens"), three("spec"), three("dor"),
        _again(float(line["plr"]), one / (1 - zero), positive, 0.05),
        _again(float(line["nlr"]), (1 - one) / zero, negative, 0.005),
        _again(float(line["dor"]), one * zero / ((1 - one) * (1 - zero)), odds, 0.5),
        _again(float(line["dor"]), float(line["plr"]) / float(line["nlr"]), (plr[0] / nlr[1], plr[1] / nlr[0]), 0.5),
        _again(float(line["sroc"]), symmetric_auc(float(line["dor"])), areas, 0.005),
        _interval(three("sroc"), three("dor")), prior, after[0], after[1], correlation, share,
    )  # fmt: skip


def _after(prior_percent: float, ratio: float) -> float:
    odds = prior_percent / (100 - prior_percent) * ratio
    return 100 * odds / (1 + odds)


def _again(printed: float, computed: float, ends: Range, half: float) -> Again:
    low, high = min(*ends, computed), max(*ends, computed)
    # rounding of the ends themselves must not decide
    return Again(printed, computed, low, high, low <= printed + half + 1e-9 and printed - half - 1e-9 <= high)


def _interval(auc: tuple[float, float, float], dor: tuple[float, float, float]) -> AucInterval:
    estimate, low, high = auc
    n_low = n_high = None
    if low < high:
        # every area that rounds to the printed one, every n in steps of 0.1
        n, p = np.meshgrid(np.arange(1.0, 600.0, 0.1), np.linspace(estimate - 0.005, estimate + 0.005, 11))
        ends = wilson(p, n)
        fits = n[(np.abs(ends[0] - low) <= 0.005) & (np.abs(ends[1] - high) <= 0.005)]
        if len(fits):
            n_low, n_high = round(float(fits.min()), 1), round(float(fits.max()), 1)
    midas = wilson(estimate, MIDAS_POINTS)
    return AucInterval(
        "wilson" if low < high else "reversed", low, high, n_low, n_high, float(midas[0]), float(midas[1]),
        symmetric_auc(dor[1]), symmetric_auc(dor[2]),
    )  # fmt: skip
