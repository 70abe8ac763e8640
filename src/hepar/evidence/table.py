"""A table of studies: TP, FP, FN, TN and covariates, read from CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall

COUNTS = ("TP", "FP", "FN", "TN")
MISSING = frozenset({"", "na", "n/a", "nan", "nr", "null", "none", ".", "-"})
"""What counts as no entry, in lower case."""
FEWEST_STUDIES = 4
"""Below this the five parameters of the bivariate model cannot be told apart (metandi's limit too)."""


@dataclass(frozen=True)
class Excluded:
    """A row that could not be used. row: its number, the header being row 1."""

    row: int
    study: str
    reason: str


@dataclass(frozen=True, eq=False)
class Table:
    """2x2 tables, one a row. Counts are int64 arrays of equal length; covariates hold the text of the cells.

    excluded: rows left out, with the reason. notices: what a reader should know, in sentences. rows: their numbers in
    the file, the header being row 1; by default counted on from 2.
    """

    study: tuple[str, ...]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]
    covariates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    notices: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows:
            object.__setattr__(self, "rows", tuple(range(2, len(self.study) + 2)))
        for name, column in zip(COUNTS, (self.tp, self.fp, self.fn, self.tn), strict=True):
            if len(column) != len(self.study):
                raise WrongCall(f"a table of {len(self.study)} studies got {len(column)} values of {name}")
            if len(column) and column.min() < 0:
                raise Refused(f"{name} is {column.min()}; counts are whole numbers of at least 0; correct the table")
        for name, values in self.covariates.items():
            if len(values) != len(self.study):
                raise WrongCall(f"a table of {len(self.study)} studies got {len(values)} values of {name}")

    @property
    def k(self) -> int:
        """Number of tables."""
        return len(self.study)

    @property
    def n1(self) -> NDArray[np.int64]:
        """With the disease: TP + FN."""
        return self.tp + self.fn

    @property
    def n0(self) -> NDArray[np.int64]:
        """Without the disease: FP + TN."""
        return self.fp + self.tn

    def take(self, rows: NDArray[np.intp] | list[int]) -> Table:
        """The table of these rows alone; excluded rows and notices stay behind."""
        index = np.asarray(rows, dtype=np.intp)
        return Table(
            tuple(self.study[i] for i in index), self.tp[index], self.fp[index], self.fn[index], self.tn[index],
            {name: tuple(values[i] for i in index) for name, values in self.covariates.items()},
            rows=tuple(self.rows[i] for i in index),
        )  # fmt: skip

    def covariate(self, name: str) -> tuple[str, ...]:
        """A covariate's values, its name written in any case. Raises WrongCall where there is none."""
        wanted = name.strip().lower()
        if wanted == "study":
            return self.study
        for own, values in self.covariates.items():
            if own.lower() == wanted:
                return values
        known = ", ".join(self.covariates) or "none"
        raise WrongCall(f"the table has no column {name!r}; its other columns are: {known}")


def read_table(path: Path) -> Table:
    """Read a CSV of studies: columns TP, FP, FN, TN (any case, any order), `study` if there is one, and covariates.

    The separator may be a comma, a semicolon or a tab. Rows whose counts are empty or NA go to `excluded`. Raises
    WrongCall where the file cannot be read, Refused for what is not a table of counts.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise WrongCall(f"there is no file {path}; give the path of a CSV table") from None
    except IsADirectoryError:
        raise WrongCall(f"{path} is a folder; give the path of a CSV table") from None
    except PermissionError:
        raise WrongCall(f"{path} may not be read; check its permissions") from None
    except UnicodeDecodeError:
        raise Refused("the table is not text in UTF-8; save it as CSV (UTF-8) and try again") from None
    return parse_table(text)


def parse_table(text: str) -> Table:
    """`read_table` from text."""
    rows = rows_of(text)
    header = [name.strip() for name in rows[0][1]]
    lower = [name.lower() for name in header]
    doubled = [name for name, times in Counter(lower).items() if times > 1 and name]
    if doubled:
        raise Refused(f"the table has two columns named {doubled[0]!r}; rename one of them")
    lacking = [name for name in COUNTS if name.lower() not in lower]
    if lacking:
        raise Refused(
            f"the table lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; its columns are"
            f" {', '.join(name or '(no name)' for name in header)}; needed are TP, FP, FN and TN"
        )
    where = {name: lower.index(name.lower()) for name in COUNTS}
    study_at = lower.index("study") if "study" in lower else None
    others = [i for i, name in enumerate(header) if i not in where.values() and i != study_at and name]

    studies: list[str] = []
    numbers: list[int] = []
    counts: list[list[int]] = []
    values: list[list[str]] = []
    excluded: list[Excluded] = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise Refused(f"row {number} of the table has {len(row)} fields and the header {len(header)}; correct it")
        cells = [cell.strip() for cell in row]
        study = cells[study_at] if study_at is not None and cells[study_at] else f"row {number}"
        gaps = [name for name in COUNTS if cells[where[name]].lower() in MISSING]
        if gaps:
            excluded.append(Excluded(number, study, f"no {', '.join(gaps)}"))
            continue
        four = [_count(cells[where[name]], name, number, study) for name in COUNTS]
        if sum(four) == 0:
            excluded.append(Excluded(number, study, "all four counts are 0"))
            continue
        studies.append(study)
        numbers.append(number)
        counts.append(four)
        values.append([cells[i] for i in others])
    array = np.array(counts, dtype=np.int64).reshape(-1, 4)
    return Table(
        tuple(studies), array[:, 0], array[:, 1], array[:, 2], array[:, 3],
        {header[i]: tuple(row[at] for row in values) for at, i in enumerate(others)},
        tuple(excluded), tuple(_notices(studies, array, excluded)), tuple(numbers),
    )  # fmt: skip


def check_poolable(table: Table) -> None:
    """Raise Refused where the model cannot be fitted: too few studies, a side without data or at its limit."""
    if table.k < FEWEST_STUDIES:
        raise Refused(
            f"{table.k} usable stud{'y' if table.k == 1 else 'ies'} in the table; the bivariate model needs at least"
            f" {FEWEST_STUDIES}; describe them one by one instead"
        )
    sides = (
        ("with the disease (TP + FN)", "sensitivity", table.n1, ("TP", table.tp), ("FN", table.fn)),
        ("without the disease (FP + TN)", "specificity", table.n0, ("FP", table.fp), ("TN", table.tn)),
    )
    for who, what, n, *columns in sides:
        if not n.any():
            raise Refused(f"no study has anyone {who}; {what} cannot be estimated; check the columns")
        if (n > 0).sum() < FEWEST_STUDIES:
            raise Refused(f"only {(n > 0).sum()} studies have anyone {who}; the model needs at least {FEWEST_STUDIES}")
        for name, column in columns:
            if not column.any():
                raise Refused(
                    f"{name} is 0 in every study; pooled {what} is then at its limit and has no finite logit;"
                    " check the columns, or report the counts without a model"
                )


def clusters_of(table: Table, clusters: tuple[str, ...] | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row order that puts the tables of a study together, and the number of each row's study in that order."""
    if clusters is None:
        return np.arange(table.k), np.arange(table.k)
    # a table without a study name stands alone
    keys = [value if value.lower() not in MISSING else f"\0{i}" for i, value in enumerate(clusters)]
    place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    number = np.array([place[key] for key in keys], dtype=np.intp)
    order = np.argsort(number, kind="stable")
    return order, number[order]


def rows_of(text: str) -> list[tuple[int, list[str]]]:
    """Rows of a CSV with their line numbers, empty rows left out; the separator is found from the header."""
    if "\x00" in text:
        raise Refused("the table holds binary data; save it as CSV (UTF-8) and try again")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        read = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
        rows = [(read.line_num, row) for row in read]
    except csv.Error as error:
        raise Refused(f"the table is not a well-formed CSV ({error}); check its quotes and separators") from None
    rows = [(number, row) for number, row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise Refused("the table is empty; needed is a header with TP, FP, FN, TN and one row per study")
    return rows


def _count(cell: str, name: str, row: int, study: str) -> int:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number != int(number) or number < 0:
        raise Refused(
            f"row {row} ({study}): {name} is {cell!r}; counts are whole numbers of at least 0; correct the table,"
            " or leave the cell empty to exclude the row"
        )
    if number > 1e9:
        raise Refused(f"row {row} ({study}): {name} is {cell}; more than a billion people; correct the table")
    return int(number)


def _notices(studies: list[str], counts: NDArray[np.int64], excluded: list[Excluded]) -> list[str]:
    notices = []
    if excluded:
        notices.append(f"{len(excluded)} row{'s were' if len(excluded) > 1 else ' was'} left out; see the list.")
    repeated = [name for name, times in Counter(studies).items() if times > 1]
    if repeated:
        shown = ", ".join(repeated[:5]) + (" and more" if len(repeated) > 5 else "")
        notices.append(
            f"Some studies give more than one table ({shown}); each row is treated as its own study unless a column"
            " is named that tells which tables belong together."
        )
    for who, at in (("with", (0, 2)), ("without", (1, 3))):
        none = int((counts[:, at].sum(axis=1) == 0).sum()) if len(counts) else 0
        if none:
            tables = f"{none} tables have" if none > 1 else "1 table has"
            notices.append(f"{tables} nobody {who} the disease and can inform one side only.")
    return notices
