"""Where a model for microvascular invasion stands among those published: on the pooled result of its own kind."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from hepar.errors import WrongCall
from hepar.record import Estimate

POOLED = Path(__file__).parent / "data" / "mvi_pooled_table2.csv"
"""Table 2 of the meta-analysis; its source and licence stand in data/README.md."""
MODALITIES = ("CECT", "CEMRI", "MRI", "CEUS", "Multimodal", "Pathological Sections")
FEW_TABLES = 10
"""Studies below which a pooled result is called weak."""


@dataclass(frozen=True)
class Pooled:
    """One row of the pooled table: sensitivity and specificity of `n_tables` validation sets."""

    subgroup: str
    n_tables: int
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True)
class Place:
    """pooled: what the model is held against. exact: whether that row is of its own modality and kind of validation.

    sentence: the comparison in words; fairness: whether it is fair, and why not.
    """

    pooled: Pooled
    exact: bool
    sentence: str
    fairness: str


def pooled_table(path: Path = POOLED) -> dict[str, Pooled]:
    """Rows by subgroup. Raises WrongCall for a table without the columns of the published one."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    needed = {"subgroup", "n_tables", "sens", "sens_lo", "sens_hi", "spec", "spec_lo", "spec_hi"}
    if not rows or not needed <= rows[0].keys():
        lacking = ", ".join(sorted(needed - (rows[0].keys() if rows else set())))
        raise WrongCall(f"the pooled table lacks {lacking}; needed: the columns of mvi_pooled_table2.csv")

    def share(row: dict[str, str], key: str) -> Estimate:
        return Estimate(float(row[key]), float(row[f"{key}_lo"]), float(row[f"{key}_hi"]), 0.95, "bivariate, published")

    return {
        row["subgroup"]: Pooled(row["subgroup"], int(row["n_tables"]), share(row, "sens"), share(row, "spec"))
        for row in rows
    }


def place(
    sensitivity: Estimate, specificity: Estimate, *, modality: str, validation: str, table: Path = POOLED
) -> Place:
    """Hold a model's sensitivity and specificity against the pooled result of its modality and kind of validation.

    modality: one of MODALITIES; validation: "internal" or "external". Where the table has no row for both together, the
    row of the modality is taken and the sentence says so.
    """
    if modality not in MODALITIES or validation not in ("internal", "external"):
        raise WrongCall(f"modality {modality!r} and validation {validation!r}; needed: one of {', '.join(MODALITIES)}, "
                        "and internal or external")  # fmt: skip
    rows = pooled_table(table)
    own = f"{modality} {validation} validation"
    exact = own in rows
    pooled = rows[own if exact else modality]
    words = (
        _against("sensitivity", sensitivity, pooled.sensitivity),
        _against("specificity", specificity, pooled.specificity),
    )
    sentence = f"Against {pooled.n_tables} published validation sets ({pooled.subgroup}): {'; '.join(words)}."
    doubts = []
    if not exact:
        doubts.append(f"the table has no row for {modality} with {validation} validation, so internal and external "
                      "sets are mixed in what it is held against")  # fmt: skip
    if pooled.n_tables < FEW_TABLES:
        doubts.append(f"only {pooled.n_tables} sets were pooled")
    if validation == "internal":
        doubts.append("internal validation flatters every model, this one and those pooled")
    fairness = "The comparison is fair in modality and kind of validation, not in patients or thresholds."
    if doubts:
        fairness = f"Read it with care: {'; '.join(doubts)}; patients and thresholds differ too."
    return Place(pooled, exact, sentence, fairness)


def _against(name: str, value: Estimate, pooled: Estimate) -> str:
    assert pooled.low is not None
    assert pooled.high is not None
    span = f"{pooled.estimate:.2f} ({pooled.low:.2f} to {pooled.high:.2f})"
    if value.estimate is None:
        return f"{name} cannot be told, pooled {span}"
    if value.low is None or value.high is None:
        return f"{name} {value.estimate:.2f}, pooled {span}"
    verdict = "the intervals overlap"
    if value.low > pooled.high:
        verdict = "above the pooled interval"
    elif value.high < pooled.low:
        verdict = "below the pooled interval"
    return f"{name} {value.estimate:.2f} ({value.low:.2f} to {value.high:.2f}), pooled {span}: {verdict}"
