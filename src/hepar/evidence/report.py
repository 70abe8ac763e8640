"""report.html and studies.csv."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping
from html import escape

from hepar.evidence.comparison import Compared
from hepar.evidence.figures.draw import Drawing
from hepar.evidence.figures.forest import exact_interval
from hepar.evidence.further import Further
from hepar.evidence.methods import compare_methods, pool_methods
from hepar.evidence.report_designs import further_sections
from hepar.evidence.result import Coefficient, Result
from hepar.page import Cell, Column, Facts, Note, Notes, Page, Section, Table, Text, Tile, Tiles
from hepar.page.html import html
from hepar.record.estimate import Estimate
from hepar.record.provenance import DISCLAIMER

BANNER = "Research use. Numbers are as good as the tables they come from."
FOOT = "Made by hepar. " + DISCLAIMER


def pool_report(result: Result, drawings: Mapping[str, tuple[Drawing, bytes]], further: Further | None = None) -> str:
    """The page of one meta-analysis. drawings: by name, with their SVG, which the page carries inside."""
    s, h = result.summary, result.heterogeneity
    notes = [Note("Note", text) for text in result.data.notices]
    if result.model.boundary != "none":
        notes.append(Note("At the edge of the model", result.model.words))
    if not result.model.converged:
        notes.append(Note("Not converged", "The fit did not meet its gradient tolerance; do not use these numbers."))
    tiles = Tiles((
        _tile("Sensitivity", s.sensitivity), _tile("Specificity", s.specificity), _tile("AUC", s.auc),
        _tile("LR+", s.lr_positive), _tile("LR\u2212", s.lr_negative), _tile("DOR", s.dor, ".1f"),
    ))  # fmt: skip
    sections = [
        Section("Summary", (*((Notes(tuple(notes)),) if notes else ()), tiles, figure_place("forest"))),
        Section("ROC space", (figure_place("sroc"), figure_place("crosshair"))),
        Section("Heterogeneity", (_heterogeneity(result),)),
        Section("Parameters", (_parameters(result), _simpler(result))),
        Section("Clinical reading", (_fagan(result), figure_place("fagan"))),
        Section("Small-study effects", _small_study(result)),
        Section("Influence", (_influence(result), figure_place("influence"))),
    ]
    sections += further_sections(further or Further())
    sections.append(Section("Methods, ready for a paper", tuple(Text(text) for text in pool_methods(result))))
    if result.data.excluded:
        rows = tuple((Cell(str(one.row)), Cell(one.study), Cell(one.reason)) for one in result.data.excluded)
        columns = (Column("Row", share=0.3), Column("Study"), Column("Why"))
        sections.insert(1, Section("Rows left out", (Table(columns, rows),)))
    facts = (
        ("Tables", str(result.data.k)), ("With the disease", str(result.data.n_diseased)),
        ("Without", str(result.data.n_nondiseased)), ("I\u00b2 (bivariate)", _percent(h.i2_bivariate)),
    )  # fmt: skip
    page = Page("Meta-analysis of diagnostic accuracy", BANNER, facts, tuple(sections), FOOT)
    return with_figures(html(page), drawings)


def compare_report(compared: Compared) -> str:
    """The page of a comparison."""
    sections = []
    notes = [Note("Note", text) for text in compared.notices]
    notes += [Note(f"{one.covariate} left out", one.reason + ".") for one in compared.left_out]
    if notes:
        sections.append(Section("To be known first", (Notes(tuple(notes)),)))
    if compared.lrt is not None:
        tests = (("any difference", compared.lrt.joint), ("sensitivity", compared.lrt.sensitivity),
                 ("specificity", compared.lrt.specificity))  # fmt: skip
        heads = (Column("Likelihood-ratio test of"), Column("chi\u00b2", right=True), Column("df", right=True),
                 Column("p", right=True))  # fmt: skip
        rows = tuple((Cell(n), Cell(f"{t.chi2:.2f}"), Cell(str(t.df)), Cell(_p(t.p))) for n, t in tests)
        sections.append(Section("Tests", (Table(heads, rows),)))
        level_heads = (Column("Level"), Column("Tables", right=True, share=0.5), Column("Sensitivity", right=True),
                       Column("Specificity", right=True), Column("DOR", right=True))  # fmt: skip
        levels = tuple(
            (Cell(one.level), Cell(str(one.tables)), Cell(_ci(one.sensitivity)), Cell(_ci(one.specificity)),
             Cell(_ci(one.dor, ".1f")))
            for one in compared.levels
        )  # fmt: skip
        sections.append(Section("Levels", (Table(level_heads, levels),)))
        contrast_heads = (
            Column("Contrast"), Column("Sensitivity", "difference", right=True), Column("", "ratio", right=True),
            Column("Specificity", "difference", right=True), Column("", "ratio", right=True),
            Column("DOR", "ratio", right=True),
        )  # fmt: skip
        contrasts = []
        for one in compared.contrasts:
            side = (one.sensitivity, one.specificity)
            cells = [Cell(f"{one.level} against {one.reference}")]
            for part in side:
                cells += [Cell(_ci(part.difference), f"p {_p(part.p)}"), Cell(_ci(part.ratio))]
            contrasts.append((*cells, Cell(_ci(one.dor.ratio), f"p {_p(one.dor.p)}")))
        sections.append(Section("Contrasts", (Table(contrast_heads, tuple(contrasts)),)))
    sections.append(Section("Methods, ready for a paper", tuple(Text(text) for text in compare_methods(compared))))
    facts = (("Covariate", compared.covariate), ("Tables", str(compared.tables)), ("Studies", str(compared.studies)),
             ("Clustered by", compared.clustered_by or "nothing: each table is a study of its own"))  # fmt: skip
    return html(Page("Comparison of diagnostic accuracy", BANNER, facts, tuple(sections), FOOT))


def studies_csv(result: Result) -> str:
    """The tables used, with each study's sensitivity and specificity, exact intervals, and its influence."""
    table = result.table
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n")
    names = list(table.covariates)
    out.writerow(["study", "TP", "FP", "FN", "TN", "sensitivity", "sensitivity_low", "sensitivity_high", "specificity",
                  "specificity_low", "specificity_high", "cook", "outlier", *names])  # fmt: skip
    low1, high1 = exact_interval(table.tp, table.n1)
    low0, high0 = exact_interval(table.tn, table.n0)
    cluster = result.fit.problem.study
    for i in range(table.k):
        own = result.influence[cluster[i]]
        one = [table.tp[i] / table.n1[i], low1[i], high1[i]] if table.n1[i] else []
        two = [table.tn[i] / table.n0[i], low0[i], high0[i]] if table.n0[i] else []
        cells = [f"{x:.6f}" for x in one] or [""] * 3
        cells += [f"{x:.6f}" for x in two] or [""] * 3
        cells += [f"{own.cook:.6f}", "yes" if own.outlier else "no"]
        cells += [cell_text(table.covariates[name][i]) for name in names]
        out.writerow([cell_text(table.study[i]), table.tp[i], table.fp[i], table.fn[i], table.tn[i], *cells])
    return buffer.getvalue()


def cell_text(cell: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + cell if cell[:1] in ("=", "+", "@", "\t") else cell


def _ci(one: Estimate | Coefficient, form: str = ".2f") -> str:
    if one.estimate is None:
        return "\u2013"
    text = format(one.estimate, form)
    return text if one.low is None or one.high is None else f"{text} ({one.low:{form}} to {one.high:{form}})"


def _percent(one: Estimate) -> str:
    if one.estimate is None:
        return "\u2013"
    text = f"{one.estimate:.0f} %"
    return text if one.low is None or one.high is None else f"{text} ({one.low:.0f} to {one.high:.0f})"


def _p(p: float | None) -> str:
    return "\u2013" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _tile(label: str, one: Estimate, form: str = ".2f") -> Tile:
    assert one.estimate is not None
    small = "" if one.low is None or one.high is None else f"{one.low:{form}} to {one.high:{form}}"
    return Tile(label, format(one.estimate, form), small)


def _heterogeneity(result: Result) -> Table:
    h = result.heterogeneity
    columns = (Column("", share=1.6), Column("Sensitivity", right=True), Column("Specificity", right=True))
    b = result.between_study
    rows = (
        (Cell("Between-study variance (logit)"), Cell(_ci(b.var_logit_sensitivity)),
         Cell(_ci(b.var_logit_specificity))),
        (Cell("I\u00b2 (Zhou and Dendukuri)"), Cell(_percent(h.i2_sensitivity)), Cell(_percent(h.i2_specificity))),
        (Cell("95 % prediction interval for a new study"), Cell(_range(h.prediction_sensitivity)),
         Cell(_range(h.prediction_specificity))),
        (Cell("Cochran\u2019s Q of the logits, I\u00b2 (univariate)"), *(
            Cell(f"{u.q:.1f} ({u.df} df, p {_p(u.p)}), {u.i2:.0f} %")
            for u in (h.univariate["logit_sensitivity"], h.univariate["logit_specificity"])
        )),
    )  # fmt: skip
    t = result.threshold
    note = (
        f"Correlation of logit sensitivity and logit specificity between studies {_ci(b.correlation)}; only a negative"
        f" one speaks for a threshold effect. Its square is {_percent(t.share)} (what midas prints as the share due to"
        f" a threshold effect). Spearman\u2019s correlation of logit TPR and logit FPR: {_ci(t.spearman)}, p {_p(t.p)}."
        f" Bivariate I\u00b2 {_percent(h.i2_bivariate)}."
    )
    if h.normality is not None:
        note += (
            f" Mardia\u2019s tests of bivariate normality: skewness p {_p(h.normality.skewness_p)}, kurtosis p"
            f" {_p(h.normality.kurtosis_p)}."
        )
    return Table(columns, rows, note)


def _range(one: Estimate) -> str:
    return "\u2013" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"


def _parameters(result: Result) -> Facts:
    m, o, g = result.model, result.logit, result.hsroc
    return Facts((
        ("Log likelihood", f"{m.loglik:.4f} (AIC {m.aic:.1f}, BIC {m.bic:.1f})"),
        ("Quadrature", f"{m.quadrature_points} x {m.quadrature_points} points; with more, the log likelihood changes"
                       f" by {m.node_difference:.1g}"),
        ("Gradient", f"{m.gradient_norm:.1g} at the maximum"), ("Boundary", m.words),
        ("Logit sensitivity", _ci(o.sensitivity, ".4f")), ("Logit specificity", _ci(o.specificity, ".4f")),
        ("HSROC", f"Lambda {_ci(g.lambda_)}; Theta {_ci(g.theta)}; beta {_ci(g.beta)}; s\u00b2 alpha {_ci(g.s2_alpha)};"
                  f" s\u00b2 theta {_ci(g.s2_theta)}"),
        ("Normal approximation", "REML, for comparison with mada: "
         + " / ".join(f"{1 / (1 + 2.718281828459045 ** -x):.3f}" for x in result.comparison.reitsma_reml.means)),
    ))  # fmt: skip


def _simpler(result: Result) -> Table:
    columns = (Column("Simpler model", share=1.8), Column("Log likelihood", right=True), Column("AIC", right=True),
               Column("Sensitivity", right=True), Column("Specificity", right=True))  # fmt: skip
    rows = tuple(
        (Cell(one.name, one.words), Cell(f"{one.loglik:.2f}"), Cell(f"{one.aic:.1f}"), Cell(_ci(one.sensitivity)),
         Cell(_ci(one.specificity)))
        for one in result.model.simpler
    )  # fmt: skip
    return Table(columns, rows, "They stand beside the full model and never replace it.")


def _fagan(result: Result) -> Table:
    columns = (Column("Before the test", right=True), Column("After a positive result", right=True),
               Column("After a negative result", right=True))  # fmt: skip

    def percent(one: Estimate) -> str:
        assert one.estimate is not None
        text = f"{100 * one.estimate:.1f} %"
        return text if one.low is None or one.high is None else f"{text} ({100 * one.low:.1f} to {100 * one.high:.1f})"

    rows = tuple(
        (Cell(f"{100 * one.prior:.1f} %", "in these tables" if one.pooled_prevalence else ""),
         Cell(percent(one.post_positive)), Cell(percent(one.post_negative)))
        for one in result.fagan
    )  # fmt: skip
    return Table(columns, rows, "Intervals carry the uncertainty of the likelihood ratio, not that of the prior.")


def _small_study(result: Result) -> tuple[Text, ...]:
    found = []
    test, index = result.small_study.deeks, result.small_study.lfk
    if test is None:
        found.append(Text("Deeks\u2019 test cannot be computed: the studies are of one size."))
    else:
        text = f"Deeks\u2019 test: slope {_ci(test.slope)}, p {_p(test.p)} (asymmetry is commonly called at p < 0.10;"
        found += [Text(text + " the test has little power when studies differ much)."), figure_place("deeks")]
    if index is not None:
        found += [Text(f"LFK index {index.index:.2f}: {index.reading}. {index.warning}"), figure_place("doi")]
    return tuple(found)


def _influence(result: Result) -> Text:
    odd = [one.study for one in result.influence if one.outlier]
    most = max(result.influence, key=lambda one: one.cook)
    text = f"The largest Cook\u2019s distance is {most.cook:.2f} ({most.study}). "
    return Text(text + (f"Far from the rest (deleted residual, p < 0.01): {', '.join(odd)}." if odd else
                        "No study lies far from the rest (deleted residual, p < 0.01)."))  # fmt: skip


def figure_place(name: str) -> Text:
    """The place of a figure, filled in once the page is written."""
    return Text(f"[[figure {name}]]")


def with_figures(page: str, drawings: Mapping[str, tuple[Drawing, bytes]]) -> str:
    for name, (drawing, svg) in drawings.items():
        picture = base64.b64encode(svg).decode("ascii")
        page = page.replace(
            f"<p>[[figure {name}]]</p>",
            f'<figure><img style="max-width: 100%; height: auto" alt="{escape(drawing.title)}"'
            f' src="data:image/svg+xml;base64,{picture}"><figcaption><b>{escape(drawing.title)}.</b>'
            f" {escape(drawing.caption)}</figcaption></figure>",
        )
    return page
