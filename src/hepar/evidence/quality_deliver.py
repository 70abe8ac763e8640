"""Everything that `quality` leaves in a folder: results.json, report.html, CSVs and figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hepar.evidence.document import head, plain, versions, write_json
from hepar.evidence.figures.draw import Drawing, save
from hepar.evidence.prisma import Flow
from hepar.evidence.quality_summary import Quality
from hepar.evidence.quality_table import label
from hepar.evidence.report import FOOT, cell_text, figure_place, with_figures
from hepar.page import Cell, Column, Facts, Note, Notes, Page, Section, Table, Text
from hepar.page.html import html
from hepar.record.estimate import Estimate


def quality_document(found: Quality, input_sha256: str | None = None) -> dict[str, Any]:
    """The document of kind "quality". input_sha256: of the judgements' file, or of both files, where there are any."""
    document = plain(found)
    if found.flow is not None:
        document["flow"]["parts"] = {
            box: [{"name": name, "n": n} for name, n in parts] for box, parts in found.flow.parts.items()
        }
        document["flow"]["included"] = found.flow.included
    return {**head("quality", input_sha256), **document}


def write_quality(found: Quality, folder: Path, input_sha256: str | None = None) -> dict[str, Any]:
    """results.json, report.html, judgements.csv, agreement.csv, disagreements.csv (with two reviewers), flow.csv and
    each figure as SVG and PDF, as far as the input has them; returns the document.

    folder: must exist. The same input gives the same bytes.
    """
    from hepar.evidence.figures.prisma import flow_diagram
    from hepar.evidence.figures.quality import bars, item_light, traffic_light

    document = quality_document(found, input_sha256)
    write_json(document, folder / "results.json")
    drawn: list[Drawing | None] = []
    if any(not column.startswith("item.") for column in found.columns):
        drawn += [traffic_light(found), bars(found)]
    drawn.append(item_light(found))
    if found.flow is not None:
        drawn.append(flow_diagram(found.flow))
    place = folder / "figures"
    place.mkdir()
    drawings = {one.name: (one, save(one, place)) for one in drawn if one is not None}
    (folder / "report.html").write_text(with_figures(html(_page(found, set(drawings))), drawings), encoding="utf-8")
    for name, text in _tables(found).items():
        (folder / name).write_text(text, encoding="utf-8")
    return document


def _column(column: str) -> str:
    """In words that tell bias from applicability."""
    kind = column.partition(".")[0]
    return {"bias": "Risk of bias: ", "applicability": "Applicability: "}.get(kind, "") + label(column)


def _tables(found: Quality) -> dict[str, str]:
    tables: dict[str, list[list[Any]]] = {}
    if found.studies:
        tables["judgements.csv"] = [
            ["study", *(cell_text(_column(column)) for column in found.columns)],
            *([cell_text(one.study), *one.judgements] for one in found.studies),
        ]
    if found.agreement:
        tables["agreement.csv"] = [
            ["column", "studies", "observed", "observed_low", "observed_high", "kappa", "kappa_low", "kappa_high",
             "weighted", "weighted_low", "weighted_high", "pabak", "note"],
            *([cell_text(_column(a.column)), a.n, *_three(a.observed), *_three(a.kappa), *_three(a.weighted),
               "" if a.pabak is None else f"{a.pabak:.6f}", a.kappa.missing] for a in found.agreement),
        ]  # fmt: skip
        tables["disagreements.csv"] = [
            ["study", "column", *(cell_text(name) for name in found.reviewers), "settled"],
            *([cell_text(d.study), cell_text(_column(d.column)), d.first, d.second, d.settled]
              for d in found.disagreements),
        ]  # fmt: skip
    if found.flow is not None:
        rows: list[list[Any]] = [["box", "reason", "n"]]
        for box, n in found.flow.counts.items():
            rows += [[box, cell_text(name), part] for name, part in found.flow.parts.get(box, ())]
            rows.append([box, "", n])
        tables["flow.csv"] = rows
    texts = {}
    for name, lines in tables.items():
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(lines)
        texts[name] = buffer.getvalue()
    return texts


def _three(one: Estimate) -> list[str]:
    return ["" if x is None else f"{x:.6f}" for x in (one.estimate, one.low, one.high)]


def _ci(one: Estimate) -> str:
    if one.estimate is None:
        return "\u2013"
    if one.low is None or one.high is None:
        return f"{one.estimate:.2f}"
    return f"{one.estimate:.2f} ({one.low:.2f} to {one.high:.2f})"


def _page(found: Quality, drawn: set[str]) -> Page:
    sections = []
    if found.notices:
        sections.append(Section("To be known first", (Notes(tuple(Note("Note", text) for text in found.notices)),)))
    if found.studies:
        blocks = [_counts(found)] + [figure_place(name) for name in ("bars", "traffic_light", "items") if name in drawn]
        if found.low_in_all_domains is not None:
            text = (
                f"{found.low_in_all_domains} of {len(found.studies)} studies are of low risk of bias in all four"
                " domains; QUADAS-2 calls only these of low risk of bias, and advises against a score."
            )
            blocks.insert(0, Text(text, strong=True))
        sections.append(Section("Risk of bias and applicability", tuple(blocks)))
    if found.agreement:
        sections.append(Section("Agreement of the reviewers", (_agreement(found), *_differ(found))))
    if found.flow is not None:
        sections.append(Section("Flow of the review", (figure_place("flow"), _flow(found.flow))))
    sections.append(Section("Methods, ready for a paper", tuple(Text(text) for text in methods(found))))
    facts = [("Tool", found.tool), ("Studies", str(len(found.studies)))] if found.studies else []
    if found.reviewers:
        facts.append(("Reviewers", ", ".join(found.reviewers)))
    if found.flow is not None:
        facts.append(("Flow", found.flow.form))
    return Page("Quality of the studies and flow of the review", _BANNER, tuple(facts), tuple(sections), FOOT)


_BANNER = "Research use. Judgements are those of the reviewers; hepar only counts and draws them."


def _counts(found: Quality) -> Table:
    numbers = (("Low", "or yes"), ("Unclear", ""), ("High", "or no"), ("To settle", ""), ("Not judged", ""))
    columns = (Column("Column", share=2.2), *(Column(name, small, right=True) for name, small in numbers))
    rows = tuple(
        (Cell(_column(one.column)), *(Cell(str(n)) for n in (one.low, one.unclear, one.high, one.to_settle,
                                                             one.missing)))
        for one in found.counts
    )  # fmt: skip
    return Table(columns, rows)


def _agreement(found: Quality) -> Table:
    heads = ("Studies", "Same judgement", "Kappa", "Kappa, linear weights", "PABAK")
    columns = (Column("Column", share=2.0), *(Column(name, right=True) for name in heads))
    rows = tuple(
        (Cell(_column(a.column), a.kappa.missing), Cell(str(a.n)), Cell(_ci(a.observed)), Cell(_ci(a.kappa)),
         Cell(_ci(a.weighted)), Cell("\u2013" if a.pabak is None else f"{a.pabak:.2f}"))
        for a in found.agreement
    )  # fmt: skip
    note = (
        "Intervals: 95 %, Wilson for the share of same judgements, Fleiss, Cohen and Everitt 1969 for kappa. Weights"
        " take low, unclear and high as steps of a ladder. Where nearly all judgements are the same, kappa is low"
        " however well reviewers agree; the share and the prevalence- and bias-adjusted kappa (PABAK) then say more."
    )
    return Table(columns, rows, note)


def _differ(found: Quality) -> tuple[Text | Table, ...]:
    if not found.disagreements:
        return (Text("The reviewers agree throughout."),)
    first, second = found.reviewers
    names = (("Study", 1.6), ("Column", 1.6), (first, 1.0), (second, 1.0), ("Settled", 1.0))
    columns = tuple(Column(name, share=share) for name, share in names)
    rows = tuple(
        (Cell(d.study), Cell(_column(d.column)), Cell(d.first), Cell(d.second),
         Cell(d.settled) if d.settled else Cell("to settle", missing=True))
        for d in found.disagreements
    )  # fmt: skip
    left = sum(not d.settled for d in found.disagreements)
    return (Text(f"{len(found.disagreements)} judgements differ; {left} of them are still to be settled."),
            Table(columns, rows))  # fmt: skip


def _flow(flow: Flow) -> Facts:
    rows = []
    for box, n in flow.counts.items():
        words = f"{n:,}" + (" (computed from the others)" if box in flow.computed else "")
        parts = "; ".join(f"{name} {part:,}" for name, part in flow.parts.get(box, ()))
        rows.append((box.replace("_", " ").capitalize(), f"{words}: {parts}" if parts else words))
    return Facts(tuple(rows))


def methods(found: Quality) -> tuple[str, ...]:
    """Paragraphs for the methods section of a review."""
    texts = []
    if found.studies:
        source = (
            "QUADAS-2 (Whiting 2011)" if found.tool == "QUADAS-2" else
            "the domains of QUADAS-2 (Whiting 2011), read for studies of artificial intelligence as QUADAS-AI proposes"
            " (Sounderajah 2021)"
        )  # fmt: skip
        text = f"Risk of bias and concerns regarding applicability were judged with {source}"
        if len(found.reviewers) == 2:
            settled = sum(bool(d.settled) for d in found.disagreements)
            text += (
                " by two reviewers independently; agreement is described by the share of same judgements (Wilson"
                " interval) and by Cohen's kappa, unweighted and with linear weights, with the interval of Fleiss,"
                f" Cohen and Everitt (1969). Of {len(found.disagreements)} differing judgements, {settled} were settled"
            )
        texts.append(text + ".")
    if found.flow is not None:
        source = "PRISMA 2020 (Page 2021)" + (" and PRISMA-DTA (McInnes 2018)" * (found.flow.form == "PRISMA-DTA"))
        texts.append(f"The flow of the review follows {source}; its numbers were checked against each other.")
    used = versions()
    texts.append(f"Counted and drawn with hepar {used['hepar']} (numpy {used['numpy']}, scipy {used['scipy']}).")
    return tuple(texts)
