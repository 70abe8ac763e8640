"""Everything that `pool` and `compare` leave in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hepar.evidence.arms import Network
from hepar.evidence.comparison import Compared
from hepar.evidence.cutoffs import Thresholds
from hepar.evidence.document import (
    comparison_document,
    network_document,
    results_document,
    thresholds_document,
    write_json,
)
from hepar.evidence.further import Further
from hepar.evidence.result import Result

OWN_FILES = frozenset({"results.json", "report.html"})
"""What tells a folder as one of ours."""


def write_results(
    result: Result, folder: Path, input_sha256: str | None = None, further: Further | None = None
) -> dict[str, Any]:
    """results.json, report.html, studies.csv and each figure as SVG and PDF; returns the document.

    folder: must exist. further: what was computed beside the pool. The same result gives the same bytes.
    """
    from hepar.evidence import figures
    from hepar.evidence.report import pool_report, studies_csv

    document = results_document(result, input_sha256, further)
    write_json(document, folder / "results.json")
    drawn = (
        figures.paired_forest(result), figures.sroc(result), figures.crosshair(result), figures.deeks_funnel(result),
        figures.doi_plot(result), figures.fagan_nomogram(result), figures.influence_plot(result),
    )  # fmt: skip
    place = folder / "figures"
    place.mkdir()
    drawings = {one.name: (one, figures.save(one, place)) for one in drawn if one is not None}
    (folder / "report.html").write_text(pool_report(result, drawings, further), encoding="utf-8")
    (folder / "studies.csv").write_text(studies_csv(result), encoding="utf-8")
    return document


def write_comparison(compared: Compared, folder: Path, input_sha256: str | None = None) -> dict[str, Any]:
    """results.json and report.html of a comparison; returns the document."""
    from hepar.evidence.report import compare_report

    document = comparison_document(compared, input_sha256)
    write_json(document, folder / "results.json")
    (folder / "report.html").write_text(compare_report(compared), encoding="utf-8")
    return document


def write_thresholds(found: Thresholds, folder: Path, input_sha256: str | None = None) -> dict[str, Any]:
    """results.json and report.html of a multiple-thresholds model; returns the document."""
    from hepar.evidence.report_designs import thresholds_report

    document = thresholds_document(found, input_sha256)
    write_json(document, folder / "results.json")
    (folder / "report.html").write_text(thresholds_report(found), encoding="utf-8")
    return document


def write_network(found: Network, folder: Path, input_sha256: str | None = None) -> dict[str, Any]:
    """results.json and report.html of a network comparison; returns the document."""
    from hepar.evidence.report_designs import network_report

    document = network_document(found, input_sha256)
    write_json(document, folder / "results.json")
    (folder / "report.html").write_text(network_report(found), encoding="utf-8")
    return document
