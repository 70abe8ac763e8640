"""Everything that `paper` leaves in a folder: results.json, report.html, CSVs and figures."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

from hepar.evidence.document import head, plain, write_json
from hepar.evidence.figures.draw import save
from hepar.evidence.paper_report import paper_page
from hepar.evidence.paper_review import Paper
from hepar.evidence.paper_table1 import TABLE1
from hepar.evidence.paper_table2 import Again, Row
from hepar.evidence.report import with_figures
from hepar.page.html import html
from hepar.validate.place_table import POOLED


def paper_document(found: Paper) -> dict[str, Any]:
    """The document of kind "paper"; its input hash is that of both shipped tables."""
    document = plain(found)
    document["studies"] = [
        {**one, "external": study.external} for one, study in zip(document["studies"], found.studies, strict=True)
    ]
    document["flow"]["parts"] = {
        box: [{"name": name, "n": n} for name, n in parts] for box, parts in found.flow.parts.items()
    }
    digest = hashlib.sha256(TABLE1.read_bytes() + POOLED.read_bytes()).hexdigest()
    return {**head("paper", digest), **document}


def write_paper(found: Paper, folder: Path) -> dict[str, Any]:
    """results.json, report.html, table1.csv, table2.csv, contrasts.csv, checks.csv, to_fill.csv and figures; returns
    the document. folder: must exist."""
    from hepar.evidence.figures.paper import auc_plot, contrast_plot, subgroups
    from hepar.evidence.figures.prisma import flow_diagram

    document = paper_document(found)
    write_json(document, folder / "results.json")
    place = folder / "figures"
    place.mkdir()
    drawn = (subgroups(found.table2), auc_plot(found.table2), contrast_plot(found.contrasts), flow_diagram(found.flow))
    drawings = {one.name: (one, save(one, place)) for one in drawn}
    (folder / "report.html").write_text(with_figures(html(paper_page(found)), drawings), encoding="utf-8")
    for name, rows in _tables(found).items():
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(rows)
        (folder / name).write_text(buffer.getvalue(), encoding="utf-8")
    return document


def _tables(found: Paper) -> dict[str, list[list[Any]]]:
    table1: list[list[Any]] = [["row", "study", "source", "modality", "group", "segmentation", "n_mvi", "n_total",
                                "n_mvi_train", "n_train", "validation", "set", "n_mvi_set", "n_set", "n_set_printed",
                                "external_set"]]  # fmt: skip
    fill: list[list[Any]] = [
        ["study", "paper", "modality", "external", "n", "n_pos", "n_printed", "sensitivity", "specificity"]
    ]
    for study in found.studies:
        own = [study.row, study.name, study.source, study.modality, study.group, study.segmentation, study.n_mvi,
               study.n_total, study.n_mvi_train, study.n_train, study.validation]  # fmt: skip
        for one in study.sets:
            kind = "yes" if one.external else "no"
            table1.append([*own, one.name.rpartition(" ")[2], one.n_mvi, one.n, one.printed, kind])
            fill.append([one.name, study.name, study.group, kind, one.n, one.n_mvi, one.printed, "", ""])
        if not study.sets:
            table1.append([*own, "", "", "", "", ""])
    table2: list[list[Any]] = [["subgroup", "sets", "number", "printed", "computed", "low", "high", "agrees"]]
    for row in found.table2:
        for name, again in _numbers(row):
            table2.append([row.subgroup, row.tables, name, again.printed, f"{again.computed:.6f}", f"{again.low:.6f}",
                           f"{again.high:.6f}", "yes" if again.agrees else "no"])  # fmt: skip
    contrasts: list[list[Any]] = [["first", "second", "number", "log_ratio", "se", "p", "p_low", "p_high"]]
    for pair in found.contrasts:
        for name, side in (("sensitivity", pair.sensitivity), ("specificity", pair.specificity), ("dor", pair.dor)):
            contrasts.append([pair.first, pair.second, name, *(f"{x:.6f}" for x in (
                side.difference, side.se, side.p, side.p_low, side.p_high))])  # fmt: skip
        contrasts.append([pair.first, pair.second, "both sides at once", "", "", f"{pair.joint_p:.6f}",
                          f"{pair.joint_p_low:.6f}", f"{pair.joint_p_high:.6f}"])  # fmt: skip
    checks: list[list[Any]] = [["place", "kind", "statement", "printed", "computed", "agrees", "words"]]
    checks += [[c.place, "check", c.statement, c.printed, c.computed, "yes" if c.agrees else "no", c.words]
               for c in found.checks]  # fmt: skip
    checks += [[d.place, d.kind, d.words, "", "", "", ""] for d in found.doubts]
    return {"table1.csv": table1, "table2.csv": table2, "contrasts.csv": contrasts, "checks.csv": checks,
            "to_fill.csv": fill}  # fmt: skip


def _numbers(row: Row) -> list[tuple[str, Again]]:
    all_ = (
        ("LR+", row.lr_positive), ("LR-", row.lr_negative), ("DOR", row.dor_again), ("DOR as LR+ / LR-",
         row.dor_of_ratios), ("AUC, symmetric curve", row.auc), ("% after a positive result", row.post_positive),
        ("% after a negative result", row.post_negative), ("% squared correlation", row.threshold_share),
    )  # fmt: skip
    return [(name, one) for name, one in all_ if one is not None]
