"""Reporting checklists, filled as far as a run answers them: TRIPOD+AI and CLAIM.

The items are tables in data/: number, section, what it asks in our own words, the rule that answers it, what is left
for a person where the rule answers in part, and the clause. The rules stand in `checklist_cases` and
`checklist_measures`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hepar.errors import WrongCall
from hepar.validate import checklist_cases as of_cases
from hepar.validate import checklist_measures as of_measures
from hepar.validate.checklist_run import ANSWERED, PARTLY, Run, Told

DATA = Path(__file__).parent / "data"
PERSON = "to be answered by a person"
STATUSES = (ANSWERED, PARTLY, PERSON)
OF_KIND = {"masks": ("CLAIM",), "scores": ("TRIPOD+AI", "CLAIM"), "compare": ("TRIPOD+AI", "CLAIM")}
"""Which checklists a run of each kind is held against: TRIPOD+AI is about predictions, not outlines."""


RULES: Mapping[str, Callable[[Run], Told]] = {
    rule.__name__: rule
    for rule in (
        of_cases.analyses, of_cases.checks, of_cases.disjoint, of_cases.flow, of_cases.goal, of_cases.interpretation,
        of_cases.limitations, of_cases.missing, of_cases.partitions, of_cases.size, of_cases.software, of_cases.who,
        of_measures.clusters, of_measures.clusters_result, of_measures.diagnostic, of_measures.failures,
        of_measures.fairness, of_measures.inside, of_measures.measures, of_measures.output, of_measures.outside,
        of_measures.performance, of_measures.performance_by_group, of_measures.robustness, of_measures.uncertainty,
        of_measures.updating, of_measures.updating_result,
    )
}  # fmt: skip
"""The rules that the tables of items name."""


@dataclass(frozen=True)
class Item:
    """One item. applies: "D" making a model, "E" judging it, "D;E" both, "" where the checklist does not say."""

    number: str
    section: str
    applies: str
    asks: str
    rule: str
    left: str
    clause: str


@dataclass(frozen=True)
class Checklist:
    """A checklist: name, the file of its items, how many main items it has, and where it was published."""

    name: str
    file: str
    main_items: int
    source: str

    @property
    def items(self) -> tuple[Item, ...]:
        """The items, in the order of the checklist."""
        return _items(self.file)


CHECKLISTS = {
    "TRIPOD+AI": Checklist(
        "TRIPOD+AI", "checklist_tripod_ai.csv", 27,
        "Collins GS and others, TRIPOD+AI statement, BMJ 2024;385:e078378, doi:10.1136/bmj-2023-078378",
    ),
    "CLAIM": Checklist(
        "CLAIM", "checklist_claim.csv", 44,
        "Tejani AS and others, CLAIM: 2024 update, Radiol Artif Intell 2024;6(4):e240300, doi:10.1148/ryai.240300",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """An item and how far the run answers it. told: what the run says, in lines; left: what a person must
    still say."""

    item: Item
    status: str
    told: str
    left: str


def prefill(made: Mapping[str, Any], name: str) -> tuple[Answer, ...]:
    """Every item of a checklist, answered as far as a results document (results.json) goes.

    name: "TRIPOD+AI" or "CLAIM". An answer only says what the document holds. Raises WrongCall for another name.
    """
    if name not in CHECKLISTS:
        raise WrongCall(f"checklist {name!r}; needed: one of {', '.join(CHECKLISTS)}")
    run = Run(made)
    return tuple(_answer(item, run) for item in CHECKLISTS[name].items)


def _answer(item: Item, run: Run) -> Answer:
    found = RULES[item.rule](run) if item.rule else None
    if found is None:
        return Answer(item, PERSON, "", item.left if item.applies == "D" else "")
    status, told = found
    return Answer(item, status, told, "" if status == ANSWERED else item.left)


@cache
def _items(file: str) -> tuple[Item, ...]:
    with (DATA / file).open(encoding="utf-8", newline="") as opened:
        return tuple(Item(**row) for row in csv.DictReader(opened))


def which(made: Mapping[str, Any]) -> tuple[str, ...]:
    """The checklists that apply to a run, by its kind."""
    return OF_KIND.get(made["kind"], tuple(CHECKLISTS))


def count(answers: Sequence[Answer]) -> dict[str, int]:
    """How many items have each status."""
    return {status: sum(one.status == status for one in answers) for status in STATUSES}


def checklist_files(made: Mapping[str, Any]) -> dict[str, str]:
    """The checklists of a run as CSV, by file name: checklist-tripod-ai.csv, checklist-claim.csv."""
    files = {}
    for name in which(made):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["item", "section", "applies", "asks", "status", "told by this run", "left to tell", "source"])
        for one in prefill(made, name):
            item = one.item
            told, source = one.told.replace("\n", " "), f"{CHECKLISTS[name].source}, {item.clause}"
            writer.writerow([item.number, item.section, item.applies, item.asks, one.status, told, one.left, source])
        files[f"checklist-{name.lower().replace('+', '-')}.csv"] = buffer.getvalue()
    return files
