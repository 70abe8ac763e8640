"""2x2 tables from what a paper reports: every integer table that fits, rounding taken seriously.

A printed 0.81 stands for any number from 0.805 to 0.815 (both ends count, as papers round halves either way). An AUC
says nothing about a single table and is not used.
"""

from __future__ import annotations

import csv
import io
import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.evidence.misprints import Proposal, proposals
from hepar.evidence.table import COUNTS, MISSING, rows_of

Ints = NDArray[np.int64]
METRICS = (
    "sensitivity", "specificity", "ppv", "npv", "accuracy", "f1", "lr_positive", "lr_negative", "dor", "prevalence",
)  # fmt: skip
SIZES = ("n", "n_pos", "n_neg")
NAMES = {
    "sens": "sensitivity", "recall": "sensitivity", "spec": "specificity", "precision": "ppv", "acc": "accuracy",
    "lr+": "lr_positive", "lrpos": "lr_positive", "lr-": "lr_negative", "lrneg": "lr_negative", "f1_score": "f1",
    "n+": "n_pos", "n-": "n_neg", "total": "n", "n_total": "n", "n_diseased": "n_pos", "n_nondiseased": "n_neg",
}  # fmt: skip
"""Other spellings of the columns."""
SHARES = frozenset(METRICS) - {"lr_positive", "lr_negative", "dor"}
MOST_TABLES = 20_000_000
"""More candidate tables than this are not searched."""


@dataclass(frozen=True)
class Reported:
    """What a paper says of one study, as printed: numbers are texts, so that their decimals are known."""

    study: str
    values: dict[str, str]


@dataclass(frozen=True, eq=False)
class Solution:
    """tables: (solution, 4) of TP, FP, FN, TN, all that fit. best: the row closest to the unrounded numbers.

    why: what is impossible, in a sentence, where there is none; notices: what looks like a typing error.
    proposals: single numbers that, read otherwise, would make tables fit; never applied.
    """

    study: str
    tables: Ints
    best: int
    why: str
    notices: tuple[str, ...]
    proposals: tuple[Proposal, ...] = ()


def read_reported(path: Path) -> list[Reported]:
    """Read a CSV of reported numbers: study, any of n, n_pos, n_neg, TP, FP, FN, TN, and any of `METRICS`.

    Numbers may be written as 0.81 or as 81 %. Raises WrongCall for a missing file, Refused for another column layout.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError:
        raise WrongCall(f"{path} cannot be read; give the path of a CSV table") from None
    except UnicodeDecodeError:
        raise Refused("the table is not text in UTF-8; save it as CSV (UTF-8) and try again") from None
    rows = rows_of(text)
    header = [NAMES.get(name.strip().lower(), name.strip().lower()) for name in rows[0][1]]
    known = {*METRICS, *SIZES, *(name.lower() for name in COUNTS)}
    if not known & set(header):
        raise Refused(f"none of the columns is known; needed are some of {', '.join([*SIZES, *COUNTS, *METRICS])}")
    found = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise Refused(f"row {number} has {len(row)} fields and the header {len(header)}; correct it")
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        values = {name: cell for name, cell in cells.items() if name in known and cell.lower() not in MISSING}
        found.append(Reported(cells.get("study") or f"row {number}", values))
    return found


def solve(reported: Reported) -> Solution:
    """All tables that give the reported numbers, or why there is none and what may have been meant.

    Raises Refused for what is not a number.
    """
    found = _solve(reported)
    if len(found.tables):
        return found

    def fitting(values: dict[str, str]) -> int:
        try:
            return len(_solve(Reported(reported.study, values)).tables)
        except Refused:
            return 0

    return replace(found, proposals=proposals(reported.values, fitting))


def _solve(reported: Reported) -> Solution:
    sizes = {name: _whole(reported, name) for name in (*SIZES, *(c.lower() for c in COUNTS)) if name in reported.values}
    bounds = {name: _bounds(reported, name) for name in METRICS if name in reported.values}
    notices = _suspicions(reported, sizes)
    conflict = _conflict(sizes)
    if conflict:
        return _none(reported, conflict, notices)
    pairs = _groups(sizes, bounds)
    if not pairs:
        return _none(reported, "the numbers of people with and without the disease, or their sum, are needed", notices)
    if "n" in sizes and len(pairs) > 1 and len(bounds) < 2:
        return _none(reported, "with only the total known, at least two measures of accuracy are needed", notices)
    tables = _search(pairs, sizes, bounds)
    if len(tables):
        return Solution(reported.study, tables, _closest(tables, bounds), "", tuple(notices))
    return _none(reported, _explain(pairs, sizes, bounds, reported), notices)


def reconstructed_csv(solutions: list[Solution]) -> str:
    """A table for `pool`: the closest table of each study, how many fit, and what is impossible or suspicious."""
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n")
    out.writerow(["study", *COUNTS, "solutions", "note", "proposal"])
    for one in solutions:
        counts = [str(x) for x in one.tables[one.best]] if len(one.tables) else ["NA"] * 4
        note = "; ".join([*([one.why] if one.why else []), *one.notices])
        out.writerow([one.study, *counts, len(one.tables), note, "; ".join(p.words for p in one.proposals[:3])])
    return buffer.getvalue()


def solutions_csv(solutions: list[Solution]) -> str:
    """Every table that fits, one a row."""
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n")
    out.writerow(["study", "solution", *COUNTS])
    for one in solutions:
        out.writerows([one.study, i + 1, *row] for i, row in enumerate(one.tables.tolist()))
    return buffer.getvalue()


def measures(tables: Ints) -> dict[str, NDArray[np.float64]]:
    """Every metric of (table, 4) counts; NaN or infinity where a denominator is 0."""
    tp, fp, fn, tn = tables.T.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "sensitivity": sensitivity, "specificity": specificity, "ppv": tp / (tp + fp), "npv": tn / (tn + fn),
            "accuracy": (tp + tn) / (tp + fp + fn + tn), "f1": 2 * tp / (2 * tp + fp + fn),
            "lr_positive": sensitivity / (1 - specificity), "lr_negative": (1 - sensitivity) / specificity,
            "dor": tp * tn / (fp * fn), "prevalence": (tp + fn) / (tp + fp + fn + tn),
        }  # fmt: skip


def _whole(reported: Reported, name: str) -> int:
    text = reported.values[name]
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value < 0 or value != int(value):
        raise Refused(f"{reported.study}: {name} is {text!r}; numbers of people are whole; correct the table")
    return int(value)


def _bounds(reported: Reported, name: str) -> tuple[float, float]:
    """What a printed number may stand for."""
    text = reported.values[name].replace(" ", "")
    percent = text.endswith("%")
    digits = text.removesuffix("%")
    try:
        value = float(digits)
    except ValueError:
        raise Refused(f"{reported.study}: {name} is {text!r}, which is not a number; correct the table") from None
    half = 0.5 * 10.0 ** -len(digits.partition(".")[2])
    if percent or (name in SHARES and value > 1):
        value, half = value / 100, half / 100
    if value < 0 or (name in SHARES and value > 1):
        raise Refused(f"{reported.study}: {name} is {text!r}; it lies between 0 and 1 (0 and 100 %); correct the table")
    return value - half - 1e-12, value + half + 1e-12


def _suspicions(reported: Reported, sizes: dict[str, int]) -> list[str]:
    found = []
    for name in sizes:
        text = reported.values[name]
        if len(text) > 1 and text.startswith("0"):
            found.append(f"{name} is printed {text!r}; a digit before it may be lost")
    return found


def _conflict(sizes: dict[str, int]) -> str:
    get = sizes.get
    checks = (
        ("n_pos", ("tp", "fn")), ("n_neg", ("fp", "tn")), ("n", ("n_pos", "n_neg")), ("n", ("tp", "fp", "fn", "tn")),
    )  # fmt: skip
    for whole, parts in checks:
        total = get(whole)
        known = [sizes[part] for part in parts if part in sizes]
        if total is None:
            continue
        if sum(known) > total:
            return f"{' and '.join(p for p in parts if p in sizes)} sum to {sum(known)}, more than {whole} of {total}"
        if len(known) == len(parts) and sum(known) != total:
            return f"{' and '.join(parts)} sum to {sum(known)}, but {whole} is {total}"
    return ""


def _groups(sizes: dict[str, int], bounds: dict[str, tuple[float, float]]) -> list[tuple[int, int]]:
    """Possible numbers with and without the disease."""
    n, positive, negative = sizes.get("n"), sizes.get("n_pos"), sizes.get("n_neg")
    if positive is None and "tp" in sizes and "fn" in sizes:
        positive = sizes["tp"] + sizes["fn"]
    if negative is None and "fp" in sizes and "tn" in sizes:
        negative = sizes["fp"] + sizes["tn"]
    if positive is None and n is not None and negative is not None:
        positive = n - negative
    if negative is None and n is not None and positive is not None:
        negative = n - positive
    if positive is not None and negative is not None:
        return [(positive, negative)]
    if n is None:
        return []
    low, high = bounds.get("prevalence", (0.0, 1.0))
    return [(p, n - p) for p in range(1, n) if low <= p / n <= high]


def _search(pairs: list[tuple[int, int]], sizes: dict[str, int], bounds: dict[str, tuple[float, float]]) -> Ints:
    """Every table within all bounds."""
    found = []
    budget = MOST_TABLES
    for positive, negative in pairs:
        tp = _candidates(positive, bounds.get("sensitivity"), sizes.get("tp"), sizes.get("fn"))
        tn = _candidates(negative, bounds.get("specificity"), sizes.get("tn"), sizes.get("fp"))
        budget -= len(tp) * len(tn)
        if budget < 0:
            raise Refused("too little is reported to search all tables; give sensitivity or specificity, or the sizes")
        if not len(tp) or not len(tn):
            continue
        a, d = (grid.ravel() for grid in np.meshgrid(tp, tn, indexing="ij"))
        tables = np.stack([a, negative - d, positive - a, d], axis=1)
        values = measures(tables)
        keep = np.ones(len(tables), dtype=bool)
        for name, (low, high) in bounds.items():
            with np.errstate(invalid="ignore"):
                keep &= (values[name] >= low) & (values[name] <= high)
        found.append(tables[keep])
    return np.concatenate(found) if found else np.empty((0, 4), dtype=np.int64)


def _candidates(n: int, bound: tuple[float, float] | None, hits: int | None, misses: int | None) -> Ints:
    """Counts out of n that give a share within the bound."""
    x = np.arange(n + 1, dtype=np.int64)
    keep = np.ones(n + 1, dtype=bool)
    if hits is not None:
        keep &= x == hits
    if misses is not None:
        keep &= n - x == misses
    if bound is not None and n:
        keep &= (x / n >= bound[0]) & (x / n <= bound[1])
    return x[keep]


def _closest(tables: Ints, bounds: dict[str, tuple[float, float]]) -> int:
    """The solution nearest to the middle of all bounds, in their widths; the middle one of equals."""
    values = measures(tables)
    distance = np.zeros(len(tables))
    for name, (low, high) in bounds.items():
        distance += ((values[name] - (low + high) / 2) / (high - low)) ** 2
    best = np.flatnonzero(distance <= distance.min() + 1e-12)
    return int(best[len(best) // 2])


def _explain(
    pairs: list[tuple[int, int]], sizes: dict[str, int], bounds: dict[str, tuple[float, float]], reported: Reported
) -> str:
    """Why nothing fits: a share that its denominator cannot give, or the fewest numbers that contradict each other."""
    if len(pairs) == 1:
        for name, n, who in (
            ("sensitivity", pairs[0][0], "cases"), ("specificity", pairs[0][1], "people without the disease")
        ):  # fmt: skip
            if name in bounds and n and not len(_candidates(n, bounds[name], None, None)):
                middle = sum(bounds[name]) / 2
                below = int(np.floor(middle * n))
                near = f"{below}/{n} is {below / n:.4f} and {below + 1}/{n} is {(below + 1) / n:.4f}"
                return f"{name} {reported.values[name]} cannot come from {n} {who}: {near}"
    for size in (1, 2, 3):
        for names in itertools.combinations(bounds, size):
            if not len(_search(pairs, sizes, {name: bounds[name] for name in names})):
                told = ", ".join(f"{name} {reported.values[name]}" for name in names)
                return f"no table of these sizes gives {told}" + (" together" if size > 1 else "")
    return "no table gives all reported numbers together"


def _none(reported: Reported, why: str, notices: list[str]) -> Solution:
    return Solution(reported.study, np.empty((0, 4), dtype=np.int64), -1, why, tuple(notices))
