"""The checklists as sections of the report: what the run answers, and what is left for a person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hepar.page import Cell, Column, Section, Table, Text
from hepar.page.blocks import Block
from hepar.validate.checklist import CHECKLISTS, PERSON, Answer, count, prefill, which
from hepar.validate.checklist_run import ANSWERED, PARTLY


def checklist_sections(made: Mapping[str, Any]) -> tuple[Section, ...]:
    """One section for each checklist of the run's kind, from the content of results.json."""
    return tuple(_section(name, prefill(made, name)) for name in which(made))


def _section(name: str, answers: tuple[Answer, ...]) -> Section:
    counts = count(answers)
    told = tuple(
        (Cell(one.item.number), Cell(one.item.asks, small=one.item.section),
         _told(one))
        for one in answers if one.status != PERSON
    )  # fmt: skip
    left = tuple(
        (Cell(one.item.number), Cell(one.item.asks, small=one.left), Cell(one.item.section))
        for one in answers if one.status == PERSON
    )  # fmt: skip
    blocks: list[Block] = [
        Text(f"Of {len(answers)} items, {counts[ANSWERED]} are answered by this run, {counts[PARTLY]} in part, and "
             f"{counts[PERSON]} are left to a person. A prefilled item is not a checked one: read it before use."),
        Table((Column("Item", share=0.4), Column("What it asks", share=2.0), Column("What this run says", share=4.0)),
              told),
        Text("Left to a person"),
        Table((Column("Item", share=0.4), Column("What it asks", share=4.0), Column("Section", share=2.0)), left,
              note=f"Items in our words; the checklist itself: {CHECKLISTS[name].source}."),
    ]  # fmt: skip
    return Section(f"Reporting checklist: {name}", tuple(blocks))


def _told(one: Answer) -> Cell:
    first, *rest = one.told.split("\n")
    return Cell(first, small="\n".join([*rest, *([f"Still to tell: {one.left}"] if one.left else [])]))
