"""Where a model stands among those published: on the pooled result of its own modality and kind of validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.place_table import Pooled, PooledTable, named, pooled_table

FEW_TABLES = 10
"""Studies below which a pooled result is called weak."""
FEW_CASES = 100
"""Cases of each class below which the model's own figures are called imprecise (Collins 2016)."""
FAR_SHARE = 0.10
"""Difference in the share of positive cases from which the patients are called other ones; a choice of ours."""
VALIDATIONS = ("internal", "external")

Weight = Literal["good", "doubt", "breaks", "note"]


@dataclass(frozen=True)
class Circumstances:
    """How the model's own figures came about; None where that is not known.

    target: what the truth says, for instance "mvi". threshold: "given" before, chosen on "other cases" or on the "same
    cases". rows: "one" or "several" rows per patient. positive, negative: cases of each class. mixed: some of them are
    of the other kind of validation.
    """

    target: str | None = None
    positive: int | None = None
    negative: int | None = None
    threshold: Literal["given", "other cases", "same cases"] | None = None
    rows: Literal["one", "several"] | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Point:
    """One thing that makes the comparison fair or not. weight: "good" speaks for it, "doubt" against, "breaks" forbids
    it, "note" holds for every model on this table. text: a clause without full stop."""

    name: str
    weight: Weight
    text: str


@dataclass(frozen=True)
class Place:
    """What a model is held against, and how it stands to it.

    pooled: the row; exact: whether that row is of its own modality and kind of validation; beside: the row of the other
    kind of validation, where there is one. sensitivity_gap and specificity_gap: model less pooled. sentence: the
    comparison in words. verdict: "fair", "with care" or "not fair"; fairness: the verdict in words; points: why.
    """

    modality: str
    validation: str
    pooled: Pooled
    exact: bool
    beside: Pooled | None
    sensitivity: Estimate
    specificity: Estimate
    sensitivity_gap: Estimate
    specificity_gap: Estimate
    sentence: str
    verdict: str
    fairness: str
    points: tuple[Point, ...]
    table_sha256: str


def place(
    sensitivity: Estimate,
    specificity: Estimate,
    *,
    modality: str,
    validation: str,
    circumstances: Circumstances | None = None,
    table: PooledTable | None = None,
) -> Place:
    """Hold a model's sensitivity and specificity against the pooled result of its modality and kind of validation.

    modality: a name of the table in any case ("cect", "CEMRI", "overall"; "ct" is CECT); validation: "internal" or
    "external". Where the table has no row for both together, the row of the modality is taken and the points say so.
    Raises WrongCall for a name that the table does not have.
    """
    table = table or pooled_table()
    if validation not in VALIDATIONS:
        raise WrongCall(f"validation {validation!r}; needed: internal (cases like those it was made on) or external "
                        "(another place or time)")  # fmt: skip
    name = named(table, modality)
    pooled, exact = row_for(table, name, validation)
    other = VALIDATIONS[1 - VALIDATIONS.index(validation)]
    beside, there = row_for(table, name, other)
    gaps = difference(sensitivity, pooled.sensitivity), difference(specificity, pooled.specificity)
    words = (
        _against("sensitivity", sensitivity, pooled.sensitivity, gaps[0]),
        _against("specificity", specificity, pooled.specificity, gaps[1]),
    )
    sets = "1 published validation set" if pooled.n_tables == 1 else f"{pooled.n_tables} published validation sets"
    points = _points(name, validation, pooled, exact, circumstances or Circumstances(), table)
    verdict, fairness = _verdict(points)
    return Place(
        name, validation, pooled, exact, beside if there and exact else None, sensitivity, specificity, *gaps,
        f"Against {sets} ({pooled.subgroup}): {'; '.join(words)}.", verdict, fairness, points, table.sha256,
    )  # fmt: skip


def row_for(table: PooledTable, name: str, validation: str) -> tuple[Pooled, bool]:
    """The row of a modality and a kind of validation, and whether it is of both."""
    own = f"{validation.capitalize()} validation" if name == "Overall" else f"{name} {validation} validation"
    return (table.rows[own], True) if own in table.rows else (table.rows[name], False)


def difference(one: Estimate, other: Estimate) -> Estimate:
    """One less the other, of independent cases, with the interval that follows from both intervals.

    Two Wilson intervals give Newcombe's interval (his method 10). Source: Zou and Donner, Stat Med 2008;27:1693.
    """
    if one.estimate is None or other.estimate is None:
        return Estimate.cannot_tell(one.missing or other.missing)
    gap = one.estimate - other.estimate
    if one.low is None or one.high is None or other.low is None or other.high is None or one.level != other.level:
        return Estimate(gap)
    down = float(np.hypot(one.estimate - one.low, other.high - other.estimate))
    up = float(np.hypot(one.high - one.estimate, other.estimate - other.low))
    return Estimate(gap, gap - down, gap + up, one.level, "from both intervals (MOVER)")


def _span(value: Estimate) -> str:
    return "" if value.low is None or value.high is None else f" ({value.low:.2f} to {value.high:.2f})"


def _against(name: str, value: Estimate, pooled: Estimate, gap: Estimate) -> str:
    held = f"pooled {pooled.estimate:.2f}{_span(pooled)}"
    if value.estimate is None or gap.estimate is None:
        return f"{name} cannot be told ({value.missing}), {held}"
    words = f"{name} {value.estimate:.2f}{_span(value)}, {held}"
    if gap.low is None or gap.high is None:
        return f"{words}; without an interval nothing more can be said"
    side = "higher" if gap.estimate > 0 else "lower"
    if gap.low > 0 or gap.high < 0:
        low, high = sorted((abs(gap.low), abs(gap.high)))
        return f"{words}: {side} by {abs(gap.estimate):.2f} ({low:.2f} to {high:.2f})"
    return f"{words}: no difference shown ({gap.low:+.2f} to {gap.high:+.2f})"


def _points(
    name: str, validation: str, pooled: Pooled, exact: bool, known: Circumstances, table: PooledTable
) -> tuple[Point, ...]:
    found = [_target(known, table)]
    if name == "Overall":
        found.append(Point("modality", "doubt", "all modalities are mixed in what it is held against"))
    else:
        found.append(Point("modality", "good", f"it is held against models of its own modality ({name})"))
    if not exact:
        found.append(Point("kind of validation", "doubt", f"the table has no row for {name} with {validation} "
                           "validation, so it is held against internal and external sets mixed"))  # fmt: skip
    elif validation == "internal":
        found.append(Point("kind of validation", "doubt", "both sides are of internal validation, which flatters every "
                           "model, this one and those pooled"))  # fmt: skip
    else:
        found.append(Point("kind of validation", "good", "both sides are of external validation"))
    if known.mixed:
        other = VALIDATIONS[1 - VALIDATIONS.index(validation)]
        found.append(Point("own cases", "doubt", f"some of the model's cases are of a split called {other}"))
    found += [_threshold(known), _rows(known), _size(known), _share(known, pooled)]
    if pooled.n_tables < FEW_TABLES:
        found.append(Point("published sets", "doubt", f"only {pooled.n_tables} sets were pooled"))
    else:
        found.append(Point("published sets", "good", f"{pooled.n_tables} sets were pooled"))
    spread = ""
    if pooled.i2_sensitivity is not None and pooled.i2_specificity is not None:
        spread = (f"; of the differences between them, {pooled.i2_sensitivity:.0f} % in sensitivity and "
                  f"{pooled.i2_specificity:.0f} % in specificity are more than chance (I2)")  # fmt: skip
    found.append(Point("pooled interval", "note", "it holds the mean of the published sets, not the range of single "
                       f"models, which is wider{spread}"))  # fmt: skip
    found.append(Point("indirect", "note", "patients, scanners and thresholds are others than in the published sets; "
                       "only two models on the same cases can be compared directly"))  # fmt: skip
    found += [Point("known of the table", "note", text) for text in table.known]
    return tuple(found)


def _target(known: Circumstances, table: PooledTable) -> Point:
    what = "what is predicted"
    if not table.target:
        return Point(what, "doubt", "the table does not say what its studies predict")
    if known.target is None:
        return Point(what, "doubt", f"the table is about {table.target}; this run was not told what its truth says, "
                     "and for anything else the comparison means nothing")  # fmt: skip
    if known.target.strip().lower() in (table.target.lower(), *table.short):
        return Point(what, "good", f"both are about {table.target}")
    return Point(
        what, "breaks", f"the table is about {table.target}, the truth of this run about {known.target.strip()}"
    )


def _threshold(known: Circumstances) -> Point:
    what = "threshold"
    if known.threshold == "same cases":
        return Point(what, "doubt", "the model's threshold was chosen on the same cases, so its figures look better "
                     "than they will be")  # fmt: skip
    if known.threshold == "other cases":
        return Point(what, "good", "the model's threshold was chosen on other cases")
    if known.threshold == "given":
        return Point(what, "good", "the model's threshold was given to the run (fair only if it was fixed before these "
                     "cases were seen)")  # fmt: skip
    return Point(what, "doubt", "how the model's threshold was chosen is not known")


def _rows(known: Circumstances) -> Point:
    what = "patients or lesions"
    if known.rows == "one":
        return Point(what, "good", "one row per patient, as in the published sets")
    if known.rows == "several":
        return Point(what, "doubt", "some patients have several rows, the published sets count patients")
    return Point(what, "doubt", "whether a row is a patient or a lesion is not known (no column of patients was "
                 "named); the published sets count patients")  # fmt: skip


def _size(known: Circumstances) -> Point:
    if known.positive is None or known.negative is None:
        return Point("number of cases", "doubt", "the number of cases behind the model's figures is not known")
    counts = f"{known.positive} positive and {known.negative} negative cases"
    if min(known.positive, known.negative) < FEW_CASES:
        return Point(
            "number of cases", "doubt", f"{counts}, below {FEW_CASES} of each: the model's own place is imprecise"
        )
    return Point("number of cases", "good", counts)


def _share(known: Circumstances, pooled: Pooled) -> Point:
    what = "share of positive cases"
    if known.positive is None or known.negative is None or known.positive + known.negative == 0:
        return Point(what, "doubt", "the share of positive cases is not known")
    own = known.positive / (known.positive + known.negative)
    if pooled.share_positive is None:
        return Point(
            what, "doubt", f"{own:.0%} of the cases are positive; of those published the table does not say it"
        )
    both = f"{own:.0%} of the cases are positive, among those published about {pooled.share_positive:.0%}"
    if abs(own - pooled.share_positive) > FAR_SHARE:
        return Point(what, "doubt", f"{both}: other patients, in whom sensitivity and specificity may be others too")
    return Point(what, "good", both)


def _verdict(points: tuple[Point, ...]) -> tuple[str, str]:
    breaks = [one.text for one in points if one.weight == "breaks"]
    doubts = [one.text for one in points if one.weight == "doubt"]
    if breaks:
        return "not fair", f"The comparison is not fair: {'; '.join(breaks)}."
    if doubts:
        return "with care", f"Read the comparison with care: {'; '.join(doubts)}."
    return "fair", "The comparison is fair as far as this run can tell; it stays an indirect one, of other patients."
