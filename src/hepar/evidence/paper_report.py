"""The page of the MVI review computed again."""

from __future__ import annotations

from hepar.evidence.document import versions
from hepar.evidence.paper_contrasts import Side
from hepar.evidence.paper_review import Paper
from hepar.evidence.paper_table2 import Again
from hepar.evidence.report import FOOT, figure_place
from hepar.page import Cell, Column, Note, Notes, Page, Section, Table, Text, Tile, Tiles


def paper_page(found: Paper) -> Page:
    """All tables; figures are filled in afterwards."""
    facts = (("Paper", found.source.citation), ("doi", found.source.doi), ("Licence", found.source.licence))
    labels = (
        "LR+", "LR\u2212", "DOR", "DOR = LR+ / LR\u2212", "After positive", "After negative", "Squared correlation",
        "AUC, symmetric curve",
    )  # fmt: skip
    tiles = Tiles(
        tuple(Tile(name, f"{one.agree} of {one.of}") for name, one in zip(labels, found.tally, strict=True))
    )  # fmt: skip
    used = versions()
    sections = (
        Section("What comes out", (
            *(Text(text, strong=i == 0) for i, text in enumerate(found.conclusions)), tiles,
            Text("Printed numbers that follow from others within rounding.", muted=True),
        )),
        Section("Table 2 computed again", (figure_place("subgroups"), _table2(found), _after(found))),
        Section("Intervals of the AUC", (figure_place("auc_intervals"), _auc(found))),
        Section("Internal against external, and other contrasts", (
            figure_place("contrasts"), _contrasts(found), _dependence(found),
        )),
        Section("Table 1: what does not agree", (
            Notes(tuple(Note(d.place, d.words) for d in found.doubts)), _checks(found),
        )),
        Section("Flow of the review", (figure_place("flow"),)),
        Section("How it was done", (Text(
            "A printed number stands for all numbers that round to it; two agree where these ranges meet. Standard"
            " errors of contrasts are those of the printed 95 % intervals on the logit or log scale; the covariance of"
            " logit sensitivity and logit specificity follows from the interval of the DOR. What rounding does to a p"
            " value is the central 95 % of 4,000 draws from all numbers that round to the printed ones (seed 1). Table"
            " 1 was read from the paper's plain text; how is told in the package's evidence/data/README.md."
        ), Text(f"Computed with hepar {used['hepar']} (numpy {used['numpy']}, scipy {used['scipy']})."))),
    )  # fmt: skip
    banner = "Research use. A published review, checked against its own numbers."
    title = "A meta-analysis computed again: deep learning for microvascular invasion"
    return Page(title, banner, facts, sections, FOOT)


def _right(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, right=True) for name in names)


def _again(one: Again | None, form: str) -> Cell:
    if one is None:
        return Cell("\u2013", missing=True)
    text = f"{one.printed:{form}}"
    return Cell(text, f"{one.computed:.{max(2, int(form[1]) + 1)}f}" + ("" if one.agrees else ": differs"))


def _table2(found: Paper) -> Table:
    columns = (Column("Subgroup", share=2.0), *_right("Sets", "Sensitivity", "Specificity", "LR+", "LR\u2212", "DOR",
                                                      "AUC"))  # fmt: skip
    rows = tuple(
        (Cell(r.subgroup), Cell(str(r.tables)), *(Cell(f"{x[0]:.2f}", f"{x[1]:.2f} to {x[2]:.2f}") for x in (
            r.sensitivity, r.specificity)), _again(r.lr_positive, ".1f"), _again(r.lr_negative, ".2f"),
         _again(r.dor_again, ".0f"), _again(r.auc, ".2f"))
        for r in found.table2
    )  # fmt: skip
    return Table(columns, rows, "Above: as printed. Below: computed from sensitivity and specificity; the AUC from the"
                                " DOR, for a symmetric curve (real curves need not be).")  # fmt: skip


def _after(found: Paper) -> Table:
    columns = (Column("Subgroup", share=2.0), *_right("Before (%)", "After positive (%)", "After negative (%)",
                                                      "Correlation", "Its square (%)"))  # fmt: skip
    rows = tuple(
        (Cell(r.subgroup), Cell("\u2013" if r.prior_percent is None else f"{r.prior_percent:.0f}"),
         _again(r.post_positive, ".0f"), _again(r.post_negative, ".0f"),
         Cell("\u2013" if r.correlation is None else f"{r.correlation:+.2f}"), _again(r.threshold_share, ".0f"))
        for r in found.table2 if r.prior_percent is not None or r.correlation is not None
    )  # fmt: skip
    return Table(columns, rows, "Above: as printed. Below: from the printed likelihood ratios and correlation.")


def _auc(found: Paper) -> Table:
    heads = ("AUC", "Interval as printed", "Wilson with n of", "midas, as meant", "From the DOR's interval")
    columns = (Column("Subgroup", share=2.0), *_right(*heads))
    rows = []
    for r in found.table2:
        one = r.auc_interval
        n = "\u2013" if one.n_low is None or one.n_high is None else f"{one.n_low:.1f} to {one.n_high:.1f}"
        rows.append((
            Cell(r.subgroup), Cell(f"{r.auc.printed:.2f}"), Cell(f"{one.printed_low:.2f} to {one.printed_high:.2f}"),
            Cell(n), Cell(f"{one.midas_low:.2f} to {one.midas_high:.2f}"),
            Cell(f"{one.implied_low:.2f} to {one.implied_high:.2f}"),
        ))  # fmt: skip
    return Table(columns, tuple(rows), "midas, as meant: Wilson's interval of the AUC with n = 500, its number of"
                                       " integration points; it is no interval of these data either.")  # fmt: skip


def _side(one: Side) -> Cell:
    low, high = one.p_low, one.p_high
    return Cell(f"{one.difference:+.2f} \u00b1 {one.se:.2f}", f"p {one.p:.3f} (rounding: {low:.3f} to {high:.3f})")


def _contrasts(found: Paper) -> Table:
    columns = (Column("First against second", share=1.9), *_right("Logit sensitivity", "Logit specificity", "Log DOR",
                                                                  "Both at once", "DOR, Holm"))  # fmt: skip
    rows = tuple(
        (Cell(f"{p.first} against {p.second}"), _side(p.sensitivity), _side(p.specificity), _side(p.dor),
         Cell(f"p {p.joint_p:.3f}", f"rounding: {p.joint_p_low:.3f} to {p.joint_p_high:.3f}"),
         Cell(f"p {p.holm_dor:.3f}"))
        for p in found.contrasts
    )  # fmt: skip
    return Table(columns, rows, "Differences \u00b1 standard errors, taking subgroups as independent.")


def _dependence(found: Paper) -> Table:
    columns = (Column("Were internal and external estimates correlated by", share=1.8),
               *_right("Sensitivity", "Specificity", "DOR", "Both at once"))  # fmt: skip
    rows = tuple(
        (Cell(f"{d.correlation:g}"),
         *(Cell(f"p {p:.3f}") for p in (d.sensitivity_p, d.specificity_p, d.dor_p, d.joint_p)))
        for d in found.dependence
    )  # fmt: skip
    note = "The true correlation cannot be told from the paper; zero is what its own subgroups assume."
    return Table(columns, rows, note)


def _checks(found: Paper) -> Table:
    columns = (
        Column("Place"), Column("Statement", share=1.8), *_right("Printed", "From Table 1"), Column("", share=1.8)
    )  # fmt: skip
    rows = tuple(
        (Cell(c.place), Cell(c.statement), Cell(c.printed), Cell(c.computed),
         Cell("agrees" if c.agrees else "differs", c.words))
        for c in sorted(found.checks, key=lambda one: one.agrees)
    )  # fmt: skip
    return Table(columns, rows)
