"""A table of scores: which columns mean what, which rows can be used, and who belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.validate.bands import banded
from hepar.validate.inputs import Bools, Floats, Ints
from hepar.validate.leaks import refuse_shared
from hepar.validate.results import Results

Texts = NDArray[Any]


@dataclass(frozen=True)
class ScoreSettings:
    """Which columns mean what, and how to read the score.

    threshold: positive from here on; None chooses Youden's, on `fit_split` where named. by: columns of subgroups, a
    numeric one with its cuts as "age:50,65". risk: whether the score is a probability; None decides by its range.
    study: column of the study UID, for the leak check. internal: the split that the others are held against.
    variables: candidate predictors of the model. prevalence: local ones, for the chance of disease after the test.
    """

    truth: str = "truth"
    score: str = "score"
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    fit_split: str | None = None
    by: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float | None = None
    risk: bool | None = None
    study: str | None = None
    internal: str | None = None
    variables: int | None = None
    prevalence: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for value in self.prevalence:
            if not 0.0 < value < 1.0:
                raise WrongCall(f"the prevalence is {value:g}; needed: between 0 and 1, for example 0.2")
        if self.variables is not None and self.variables < 1:
            raise WrongCall(f"the model has {self.variables} variables; needed: one at least")


def settings_of(settings: Any) -> dict[str, Any]:
    """The settings as plain values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Rows that can be used: truth, score, every other column as text, and who the rows belong to.

    cluster: a number per row, the same for rows of one patient; None where every row is another patient.
    """

    positive: Bools
    score: Floats
    columns: dict[str, Texts]
    cluster: Ints | None = None

    def where(self, keep: Bools) -> ScoreTable:
        """Some of the rows."""
        cluster = None if self.cluster is None else self.cluster[keep]
        return ScoreTable(self.positive[keep], self.score[keep], {k: v[keep] for k, v in self.columns.items()}, cluster)

    @property
    def both_classes(self) -> bool:
        """Is there a positive and a negative row?"""
        return bool(self.positive.any()) and not bool(self.positive.all())


YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
EMPTY = ("", "NA", "N/A", "NaN", "nan", "null", "None")


def read_columns(
    columns: Mapping[str, Sequence[str]], settings: ScoreSettings, results: Results, *, also: Sequence[str] = ()
) -> ScoreTable:
    """Text columns to truth and score. Rows without either are left out and counted. also: further columns to keep.

    Raises WrongCall for a column that is not there or a truth that cannot be read, Refused for a leak between splits.
    """
    named = [settings.patient, settings.site, settings.split, settings.study, *also]
    others, bands = others_of(columns, [name for name in named if name], settings.by)
    require(columns, [settings.truth, settings.score])
    refuse_leaks(others, settings)
    truth = texts(columns[settings.truth])
    results.given = truth.size
    score, gaps = as_numbers(columns[settings.score])
    empty = np.isin(truth, EMPTY)
    no_number = ~np.isfinite(score) & ~gaps & ~empty
    results.leave_out(f"no truth in column {settings.truth}", int(empty.sum()))
    results.leave_out(f"the score in column {settings.score} is missing", int((gaps & ~empty).sum()))
    results.leave_out(f"the score in column {settings.score} is no finite number", int(no_number.sum()))
    keep: Bools = ~empty & np.isfinite(score)
    if not keep.any():
        raise Refused("no row of the table has both a truth and a score; nothing can be judged")
    positive = is_positive(truth, keep, settings.positive)
    results.used = int(keep.sum())
    results.notes += bands
    table = ScoreTable(positive, score, others, clusters(others, settings.patient))
    return one_row_each(table.where(keep))


def one_row_each(table: ScoreTable) -> ScoreTable:
    """The table without clusters where no patient has two rows."""
    if table.cluster is not None and np.unique(table.cluster).size == table.cluster.size:
        return ScoreTable(table.positive, table.score, table.columns)
    return table


def others_of(
    columns: Mapping[str, Sequence[str]], named: Sequence[str], by: Sequence[str]
) -> tuple[dict[str, Texts], list[str]]:
    """Columns beside truth and score, those of subgroups cut into bands where asked, and what is to be said of that."""
    found, notes = {}, []
    for name in by:
        column, _, cuts = (name, "", "") if name in columns else name.rpartition(":")
        require(columns, [column or name])
        found[column or name], note = banded(column, texts(columns[column]), cuts)
        notes += note
    require(columns, named)
    for name in named:
        found.setdefault(name, texts(columns[name]))
    return found, notes


def require(columns: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    """Raise WrongCall for a column that is not there."""
    for name in names:
        if name not in columns:
            raise WrongCall(f"the table has no column {name!r}; it has: {', '.join(columns)}; name the right one")


def texts(values: Sequence[str]) -> Texts:
    """A column without the blanks around its words."""
    return np.array([value.strip() for value in values], dtype=object)


def as_numbers(values: Sequence[str]) -> tuple[Floats, Bools]:
    """A column as numbers, NaN for what is none; and where nothing (or NA, NaN) stands."""
    words = texts(values)
    numbers = np.full(words.size, np.nan)
    gaps: Bools = np.isin(words, EMPTY)
    for i in np.flatnonzero(~gaps):
        try:
            numbers[i] = float(words[i])
        except ValueError:
            continue
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers, gaps


def is_positive(truth: Texts, keep: Bools, positive: str | None) -> Bools:
    """Which rows are positive: those with the value named, else 1, yes or true against 0, no or false."""
    if positive is not None:
        found: Bools = (truth == positive) & keep
        if not found.any():
            seen = ", ".join(sorted({str(value) for value in truth[keep]})[:5])
            raise WrongCall(f"no row has the truth {positive!r}, which was named as positive; the column holds: {seen}")
        return found
    low = np.array([str(value).lower() for value in truth], dtype=object)
    yes, known = np.isin(low, list(YES)), np.isin(low, list(YES | NO))
    strange = truth[keep & ~known]
    if strange.size:
        raise WrongCall(f"the truth holds {strange[0]!r}; needed: 0 or 1, no or yes, false or true; else say which "
                        "value is positive")  # fmt: skip
    return np.asarray(yes & keep)


def clusters(columns: Mapping[str, Texts], patient: str | None) -> Ints | None:
    """A number per row, the same for rows of one patient; a row without a name is a patient of its own."""
    if patient is None:
        return None
    names = np.array([str(v) or f"\0{i}" for i, v in enumerate(columns[patient])])
    code: Ints = np.unique(names, return_inverse=True)[1]
    return code


def refuse_leaks(columns: Mapping[str, Texts], settings: Any) -> None:
    """Raise Refused when a patient or a study stands in two splits, over all rows, used or not."""
    if settings.split is None:
        return
    for name, what in ((settings.patient, "patients"), (settings.study, "studies")):
        if name is not None:
            refuse_shared(columns[name], columns[settings.split], what)
