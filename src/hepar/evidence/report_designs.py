"""Pages and sections of the further designs, of the posterior and of other programs' numbers."""

from __future__ import annotations

from hepar.evidence.arms import Network
from hepar.evidence.compatibility import Compat
from hepar.evidence.cutoffs import AtThreshold, Thresholds
from hepar.evidence.document import versions
from hepar.evidence.further import Further
from hepar.evidence.imperfect import Imperfect
from hepar.evidence.nonevaluable import NonEvaluable
from hepar.evidence.posterior import Bayes
from hepar.page import Cell, Column, Facts, Note, Notes, Page, Section, Table, Text, Tile, Tiles
from hepar.page.html import html
from hepar.record.estimate import Estimate
from hepar.record.provenance import DISCLAIMER

_BANNER = "Research use. Numbers are as good as the tables they come from."
_FOOT = "Made by hepar. " + DISCLAIMER
MOST_ROWS = 60
"""Thresholds shown in the report; all stand in results.json."""
_BAYES = {
    "sensitivity": "Sensitivity", "specificity": "Specificity", "lr_positive": "LR+", "lr_negative": "LR\u2212",
    "dor": "DOR", "mu1": "Mean logit sensitivity", "mu2": "Mean logit specificity",
    "sd1": "Between-study sd, sensitivity",
    "sd2": "Between-study sd, specificity", "rho": "Correlation of both logits",
}  # fmt: skip


def further_sections(further: Further) -> list[Section]:
    """Sections of `pool`'s report for what was asked for beside the pool."""
    found = []
    if further.non_evaluable is not None:
        found.append(_non_evaluable(further.non_evaluable))
    if further.imperfect_reference is not None:
        found.append(_imperfect(further.imperfect_reference))
    if further.bayes is not None:
        found.append(_bayes(further.bayes))
    return found + [_compat(one) for one in further.compat]


def thresholds_report(found: Thresholds) -> str:
    """The page of a multiple-thresholds model."""
    best, unit = found.optimal, "logarithm of the threshold" if found.log_scale else "threshold"
    assert best.sensitivity.estimate is not None
    assert best.specificity.estimate is not None
    assert found.auc.estimate is not None
    tiles = Tiles((
        Tile("Best threshold", f"{best.threshold:.4g}", f"weight of sensitivity {found.weight:g}"),
        Tile("Sensitivity there", f"{best.sensitivity.estimate:.2f}", _range(best.sensitivity)),
        Tile("Specificity there", f"{best.specificity.estimate:.2f}", _range(best.specificity)),
        Tile("AUC", f"{found.auc.estimate:.2f}", _range(found.auc)),
    ))  # fmt: skip
    columns = (Column("Threshold", right=True, share=0.6), Column("Tables", right=True, share=0.5),
               Column("Sensitivity", right=True), Column("Specificity", right=True), Column("LR+", right=True),
               Column("LR\u2212", right=True))  # fmt: skip
    shown = found.at[:: -(-len(found.at) // MOST_ROWS)]
    note = (
        "" if len(shown) == len(found.at) else f"{len(shown)} of {len(found.at)} thresholds; all are in results.json."
    )
    lines = tuple(
        (f"{who} the disease", f"mean {_ci(line.mean, '.3f')}, sd {_ci(line.sd, '.3f')} ({unit})")
        for who, line in (("Without", found.nondiseased), ("With", found.diseased))
    )
    direction = "higher" if found.higher_is_positive else "lower"
    methods = (
        "Accuracy at several thresholds was modelled after Steinhauser, Schumacher and Ruecker (2016): the"
        f" {found.distribution} distribution functions of the marker with and without the disease are linear in the"
        f" {unit}, with random effects of study after model {found.model} (REML, inverse-variance weights, 0.5 added to"
        f" all cells). A {direction} value counts as positive. Computed with hepar {versions()['hepar']}."
    )
    sections = (
        Section("Summary", (*_notes(found.notices), tiles)),
        Section("Accuracy at each threshold", (Table(columns, tuple(_row(one) for one in shown), note),)),
        Section("Distributions", (Facts((
            *lines, ("Model", f"{found.model}, restricted log likelihood {found.loglik:.4f}, AIC {found.aic:.1f}"),
            ("AUC within the band of sensitivity", _range(found.auc_band_sensitivity)),
            ("AUC within the band of specificity", _range(found.auc_band_specificity)),
        )),)),
        Section("Methods, ready for a paper", (Text(methods),)),
    )  # fmt: skip
    facts = (("Tables", str(found.tables)), ("Studies", str(found.studies)), ("Thresholds", str(len(found.at))),
             ("Positive", f"{direction} values"))  # fmt: skip
    return html(Page("Meta-analysis of several thresholds", _BANNER, facts, sections, _FOOT))


def network_report(found: Network) -> str:
    """The page of a network comparison."""
    arm_heads = (
        Column(found.by),
        Column("Tables", right=True, share=0.5),
        Column("Sensitivity", right=True),
        Column("Specificity", right=True),
        Column("DOR", right=True),
        Column("Best", "se / sp / DOR", right=True),
    )
    arms = tuple(
        (Cell(a.test), Cell(str(a.tables), f"{a.paired} paired"), Cell(_ci(a.sensitivity)), Cell(_ci(a.specificity)),
         Cell(_ci(a.dor, ".1f")),
         Cell(" / ".join(_percent(x) for x in (a.best_sensitivity, a.best_specificity, a.best_dor))))
        for a in found.arms
    )  # fmt: skip
    pair_heads = (
        Column("Pair"),
        Column("Head to head", right=True, share=0.6),
        Column("Sensitivity", "ratio", right=True),
        Column("Specificity", "ratio", right=True),
        Column("DOR", "ratio", right=True),
    )
    pairs = tuple(
        (Cell(f"{p.test} against {p.reference}"), Cell(str(p.head_to_head)),
         Cell(_ci(p.sensitivity), f"p {_p(p.sensitivity_p)}"), Cell(_ci(p.specificity), f"p {_p(p.specificity_p)}"),
         Cell(_ci(p.dor), f"p {_p(p.dor_p)}"))
        for p in found.pairs
    )  # fmt: skip
    v = found.variances
    rho = "\u2013" if v.study_correlation.estimate is None else f"{v.study_correlation.estimate:.2f}"
    facts = Facts((
        ("Any difference between tests", f"chi\u00b2 {found.lrt.chi2:.2f}, df {found.lrt.df}, p {_p(found.lrt.p)}"),
        ("Between studies (variance of logits)", f"sensitivity {v.study_logit_sensitivity:.3f}, specificity"
         f" {v.study_logit_specificity:.3f}, correlation {rho}"),
        ("Between tests of one study", f"sensitivity {v.test_logit_sensitivity:.3f}, specificity"
         f" {v.test_logit_specificity:.3f}"),
        ("Boundary", found.boundary or "none"),
        ("Log likelihood", f"{found.loglik:.4f}; it changes by {found.node_difference:.1g} with more points"),
    ))  # fmt: skip
    methods = (
        "Tests were compared in an arm-based network model with the exact binomial likelihood: tables of one study"
        f" (column {found.clustered_by}) share correlated random effects of logit sensitivity and logit specificity,"
        " and each test within a study has independent effects of its own (Nyaga 2018). Intervals are Wald intervals"
        f" with a t distribution ({found.studies} studies minus 2). The probabilities of being best come from"
        f" {found.draws} draws of the means' large-sample distribution (seed {found.seed}) and say nothing about the"
        f" size of a difference. Computed with hepar {versions()['hepar']}."
    )
    notes = (*found.notices, *(f"{one.covariate} left out: {one.reason}." for one in found.left_out))
    sections = (
        Section("Tests", (*_notes(notes), Table(arm_heads, arms))), Section("Pairs", (Table(pair_heads, pairs),)),
        Section("Model", (facts,)), Section("Methods, ready for a paper", (Text(methods),)),
    )  # fmt: skip
    head = (("Tables", str(found.tables)), ("Studies", str(found.studies)), ("Tests", str(len(found.arms))),
            ("Reference", found.reference))  # fmt: skip
    return html(Page("Network comparison of diagnostic accuracy", _BANNER, head, sections, _FOOT))


def _non_evaluable(found: NonEvaluable) -> Section:
    columns = (Column("Non-evaluable results", share=1.8), Column("Sensitivity", right=True),
               Column("Specificity", right=True), Column("DOR", right=True))  # fmt: skip
    rows = tuple(
        (Cell(one.name, one.words if not one.missing else one.missing), Cell(_ci(one.sensitivity)),
         Cell(_ci(one.specificity)), Cell(_ci(one.dor, ".1f")))
        for one in found.views
    )  # fmt: skip
    text = (
        f"{found.nonevaluable_diseased} of {found.data.n_diseased} people with the disease and"
        f" {found.nonevaluable_nondiseased} of {found.data.n_nondiseased} without it had a result that could not be"
        f" read. Pooled share with a readable result: {_ci(found.evaluable_diseased)} with and"
        f" {_ci(found.evaluable_nondiseased)} without the disease."
    )
    return Section("Non-evaluable results", (*_notes(found.notices), Text(text), Table(columns, rows)))


def _imperfect(found: Imperfect) -> Section:
    columns = (Column("Reference standard", share=1.6), Column("Sensitivity", right=True),
               Column("Specificity", right=True))  # fmt: skip
    rows = (
        (Cell("taken as perfect"), Cell(_ci(found.naive_sensitivity)), Cell(_ci(found.naive_specificity))),
        (Cell(f"sensitivity {found.reference_sensitivity:g}, specificity {found.reference_specificity:g}", "as given"),
         Cell(_ci(found.sensitivity)), Cell(_ci(found.specificity))),
    )  # fmt: skip
    note = f"Prevalence of the median study: {_ci(found.prevalence)}."
    return Section("If the reference standard errs", (*_notes(found.notices), Table(columns, rows, note)))


def _bayes(found: Bayes) -> Section:
    columns = (Column("", share=1.6), Column("Median", "95 % credible", right=True), Column("Mean", right=True),
               Column("sd", right=True))  # fmt: skip
    rows = tuple(
        (Cell(label), Cell(_ci(found.quantities[name].interval, ".3f")), Cell(f"{found.quantities[name].mean:.3f}"),
         Cell(f"{found.quantities[name].sd:.3f}"))
        for name, label in _BAYES.items()
    )  # fmt: skip
    p = found.priors
    note = (
        f"Priors: logit means normal about 0 with sd {p.mean_sd:g}; between-study standard deviations uniform from"
        f" {p.sd_low:g} to {p.sd_high:g}; correlation uniform from {-p.rho:g} to {p.rho:g}. Importance sampling,"
        f" {found.draws} draws worth {found.effective:.0f} independent ones, seed {found.seed}."
    )
    return Section("Bayesian fit", (Table(columns, rows, note),))


def _compat(found: Compat) -> Section:
    columns = (Column("Printed as"), Column("Printed", right=True, share=0.6), Column("Right", right=True, share=0.6),
               Column("What is wrong", share=3.0))  # fmt: skip
    rows = tuple(
        (Cell(one.name), Cell(_number(one.printed)), Cell("\u2013" if one.right is None else _number(one.right)),
         Cell(one.what))
        for one in found.defects
    )  # fmt: skip
    heads = (Column("Number", share=1.4), Column(f"As {found.program} prints it", right=True))
    numbers = tuple((Cell(name), Cell(_number(value))) for name, value in found.numbers.items())
    return Section(f"As {found.program} sees it", (
        Text("For comparison with published reviews; the results above are the ones to report."),
        Table(columns, rows), Table(heads, numbers),
    ))  # fmt: skip


def _row(one: AtThreshold) -> tuple[Cell, ...]:
    return (
        Cell(f"{one.threshold:g}"), Cell(str(one.tables)), Cell(_ci(one.sensitivity)), Cell(_ci(one.specificity)),
        Cell(_ci(one.lr_positive)), Cell(_ci(one.lr_negative)),
    )  # fmt: skip


def _notes(notices: tuple[str, ...]) -> tuple[Notes, ...]:
    return (Notes(tuple(Note("Note", text) for text in notices)),) if notices else ()


def _ci(one: Estimate, form: str = ".2f") -> str:
    if one.estimate is None:
        return "\u2013"
    text = format(one.estimate, form)
    return text if one.low is None or one.high is None else f"{text} ({one.low:{form}} to {one.high:{form}})"


def _range(one: Estimate) -> str:
    return "\u2013" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _number(value: float) -> str:
    return "\u2013" if value != value else f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
