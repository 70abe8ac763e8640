"""The place of a model among those published, as measures, a figure, a part of results.json and of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.inputs import Bools, Floats
from hepar.validate.place import VALIDATIONS, Circumstances, Place, place
from hepar.validate.place_table import POOLED, Pooled, PooledTable, named, pooled_table
from hepar.validate.results import Chart, Results, Series, series
from hepar.validate.roc import roc_curve
from hepar.validate.thresholds import at_threshold

if TYPE_CHECKING:
    from hepar.page.blocks import Block

SECTION = "Beside published models"
SOURCE = "Pooled figures: Feng W, Qu B, Han S, J Med Internet Res 2026;28, doi:10.2196/82000, Table 2 (CC BY 4.0)."


@dataclass(frozen=True)
class PlaceSettings:
    """modality and validation as in `place`; target: what the truth says; table: None for the published one."""

    modality: str
    validation: str
    target: str | None = None
    table: PooledTable | None = None


def asked_place(
    modality: str | None, validation: str | None, target: str | None, table: Path | None
) -> PlaceSettings | None:
    """The settings from the words of a caller; None where no place is asked for. Raises WrongCall for half of them or a
    name that is not there, before anything is computed."""
    if validation is not None and validation not in VALIDATIONS:
        raise WrongCall(f"--validation {validation}; needed: internal (cases like those the model was made on) or "
                        "external (another place or time)")  # fmt: skip
    if modality is None:
        if target is not None or table is not None:
            raise WrongCall("--target and --place-table say how to place the model, but --place is not given; add "
                            "--place with a modality")  # fmt: skip
        return None
    if validation is None:
        raise WrongCall(
            "--place needs --validation internal or --validation external: published models are pooled apart"
        )
    pooled = pooled_table(table or POOLED)
    return PlaceSettings(named(pooled, modality), validation, target, pooled)


def place_settings(asked: PlaceSettings) -> dict[str, Any]:
    """The settings as plain values; a table of the user is told by its hash."""
    table = asked.table or pooled_table()
    return {"modality": asked.modality, "validation": asked.validation, "target": asked.target,
            "table_sha256": table.sha256}  # fmt: skip


def add_place(
    results: Results,
    asked: PlaceSettings,
    positive: Bools,
    score: Floats,
    threshold: float | None,
    chosen: Literal["given", "other cases", "same cases"],
    patients: NDArray[Any] | None,
    splits: NDArray[Any] | None = None,
) -> None:
    """Place the score at its threshold and add all that is told of it to `results`.

    chosen: on what the threshold was chosen; patients, splits: one name per row, None where the table has none. Cases
    of one class cannot be placed: a note says so.
    """
    if threshold is None or positive.all() or not positive.any():
        results.notes.append("The model is not placed beside published ones: that needs a threshold and cases of both "
                             "classes.")  # fmt: skip
        return
    found = at_threshold(positive, score, threshold)
    rows: Literal["one", "several"] | None = None
    if patients is not None:
        rows = "one" if np.unique(patients.astype(str)).size == patients.size else "several"
    other = VALIDATIONS[1 - VALIDATIONS.index(asked.validation)]
    mixed = splits is not None and other in {str(one).lower() for one in splits}
    known = Circumstances(asked.target, int(positive.sum()), int((~positive).sum()), chosen, rows, mixed)
    made = place(
        _told(results, "sensitivity", found.sensitivity), _told(results, "specificity", found.specificity),
        modality=asked.modality, validation=asked.validation, circumstances=known, table=asked.table,
    )  # fmt: skip
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    rows_of = f"pooled, {made.pooled.subgroup} ({made.pooled.n_tables} sets)"
    results.add(SECTION, "this model", "sensitivity", made.sensitivity, n_pos)
    results.add(SECTION, "this model", "specificity", made.specificity, n_neg)
    results.add(SECTION, rows_of, "sensitivity", made.pooled.sensitivity, made.pooled.n_tables)
    results.add(SECTION, rows_of, "specificity", made.pooled.specificity, made.pooled.n_tables)
    results.add(SECTION, "difference", "sensitivity", made.sensitivity_gap, n_pos)
    results.add(SECTION, "difference", "specificity", made.specificity_gap, n_neg)
    curve = roc_curve(positive, score)
    results.charts.append(place_chart(made, series("this model, other thresholds", "dashed", curve.x, curve.y)))
    results.place = place_document(made)


def _told(results: Results, name: str, otherwise: Estimate) -> Estimate:
    """The measure as the report tells it for all cases: its interval may respect patients with several rows."""
    return next((one.value for one in results.measures if one.name == name and not one.group), otherwise)


def place_chart(made: Place, curve: Series | None = None) -> Chart:
    """Model and pooled rows in the plane of the ROC curve, each a cross of its two intervals. curve: drawn beneath."""
    lines = [_cross("this model", made.sensitivity, made.specificity), _row_cross(made.pooled)]
    if made.beside is not None:
        lines.append(_row_cross(made.beside))
    if curve is not None:
        lines.append(curve)
    return Chart(
        SECTION, "This model and those published",
        "Each cross is sensitivity and specificity with their intervals; nearer to the upper left corner is better.",
        "1 - specificity", "sensitivity", tuple(lines),
    )  # fmt: skip


def _row_cross(row: Pooled) -> Series:
    return _cross(f"pooled, {row.subgroup} ({row.n_tables} sets)", row.sensitivity, row.specificity)


def _cross(name: str, sensitivity: Estimate, specificity: Estimate) -> Series:
    """Both intervals as one stroke through the point; only the point where an interval is missing."""
    if sensitivity.estimate is None or specificity.estimate is None:
        return Series(name, "points", (), ())
    x, y = 1.0 - specificity.estimate, sensitivity.estimate
    if sensitivity.low is None or sensitivity.high is None or specificity.low is None or specificity.high is None:
        return Series(name, "points", (x,), (y,))
    return Series(name, "line", (1.0 - specificity.high, 1.0 - specificity.low, x, x, x),
                  (y, y, y, sensitivity.low, sensitivity.high))  # fmt: skip


def place_document(made: Place) -> dict[str, Any]:
    """The part `place` of results.json."""
    return {
        "modality": made.modality,
        "validation": made.validation,
        "subgroup": made.pooled.subgroup,
        "own_subgroup": made.exact,
        "published_sets": made.pooled.n_tables,
        "sensitivity": _statistic(made.sensitivity),
        "specificity": _statistic(made.specificity),
        "pooled_sensitivity": _statistic(made.pooled.sensitivity),
        "pooled_specificity": _statistic(made.pooled.specificity),
        "sensitivity_difference": _statistic(made.sensitivity_gap),
        "specificity_difference": _statistic(made.specificity_gap),
        "sentence": made.sentence,
        "verdict": made.verdict,
        "fairness": made.fairness,
        "points": [{"name": one.name, "weight": one.weight, "text": one.text} for one in made.points],
        "table_sha256": made.table_sha256,
    }


def _statistic(value: Estimate) -> dict[str, Any]:
    def short(number: float | None) -> float | None:
        return None if number is None else float(f"{number:.10g}")

    return {"estimate": short(value.estimate), "low": short(value.low), "high": short(value.high), "level": value.level,
            "method": value.method, "missing": value.missing}  # fmt: skip


WEIGHTS = {
    "good": "speaks for it",
    "doubt": "speaks against it",
    "breaks": "forbids it",
    "note": "holds for every model",
}


def place_blocks(made: Mapping[str, Any]) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """What stands above and below the figure and the numbers in the report, from the content of results.json."""
    from hepar.page.blocks import Cell, Column, Table, Text

    own = made.get("place")
    if not own:
        return (), ()
    above = (Text(own["sentence"], strong=True), Text(own["fairness"]))
    rows = tuple(
        (Cell(one["name"]), Cell(WEIGHTS[one["weight"]]), Cell(one["text"][:1].upper() + one["text"][1:] + "."))
        for one in own["points"]
    )
    columns = (Column("Is the comparison fair?", share=1.2), Column("", share=1.0), Column("Why", share=4.0))
    source = SOURCE if own["table_sha256"] == pooled_table().sha256 else "Pooled figures: a table given by the user."
    return above, (Table(columns, rows, note=f"{source} Its n counts validation sets."),)
