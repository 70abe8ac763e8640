"""What follows from a score elsewhere: the chance of disease at the local prevalence, and the score recalibrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hepar.errors import WrongCall
from hepar.validate.calibration import as_risk, recalibration
from hepar.validate.inputs import Floats
from hepar.validate.results import Chart, Results, series
from hepar.validate.score_parts import calibrated, can_be_calibrated, likelihood_ratios
from hepar.validate.score_table import ScoreTable
from hepar.validate.utility import post_test

AFTER = "The chance of disease after the test"


def after_test(table: ScoreTable, results: Results, threshold: float, prevalence: Sequence[float]) -> None:
    """Fagan: the chance after a positive and a negative test at each prevalence named; as a figure over all of them."""
    ratios, n = likelihood_ratios(table, threshold), table.score.size
    up, down = ratios.values()
    for prior in prevalence:
        found = post_test(prior, up, down)
        group = f"{prior:.3g} before the test"
        results.add(AFTER, group, "after a positive test", found.after_positive, n)
        results.add(AFTER, group, "after a negative test", found.after_negative, n)
    if up.estimate is None or down.estimate is None:
        return
    before = np.linspace(0.0, 1.0, 101)

    def after(ratio: float | None) -> Floats:
        odds = (1.0 if ratio is None else ratio) * before
        return np.asarray(odds / (odds + 1.0 - before))

    lines = []
    for name, ratio in (("positive", up), ("negative", down)):
        lines.append(series(f"after a {name} test", "line", before, after(ratio.estimate)))
        lines += [series("its 95 % band", "thin", before, after(end)) for end in (ratio.low, ratio.high)]
    lines.append(series("no test", "dashed", [0, 1], [0, 1]))
    marks = [(p, p * ratio / (p * ratio + 1.0 - p)) for p in prevalence for ratio in (up.estimate, down.estimate)]
    lines.append(series("at the prevalence named", "points", [x for x, _ in marks], [y for _, y in marks]))
    results.charts.append(Chart(AFTER, "Before and after the test",
                                "What a result changes at each prevalence (Fagan's nomogram as curves).",
                                "chance before the test", "chance after the test", tuple(lines)))  # fmt: skip
    results.notes.append("The chances after the test hold if sensitivity and specificity are the same where the test "
                         "is used; they differ where patients do.")  # fmt: skip


def recalibrated(fitted: ScoreTable, table: ScoreTable, results: Results, *, split: str, risk: bool) -> None:
    """Calibration of the other rows as given and after each way of recalibrating on the fitted split."""
    section = f"{'Recalibrated' if risk else 'Made a risk'} on {split}, judged on the others"
    if not fitted.both_classes or not can_be_calibrated(table):
        results.notes.append(f"No recalibration: the split {split} or the others hold one class only.")
        return
    lines = []
    if risk:
        made = calibrated(table, results, section=section, group="as given")
        lines += [replace(line, name="as given") for line in made[:1]]
    for method in ("intercept", "logistic", "isotonic") if risk else ("logistic",):
        try:
            turn = recalibration(fitted.positive, fitted.score, method=method) if risk else as_risk(
                fitted.positive, fitted.score)  # fmt: skip
        except WrongCall as error:
            results.notes.append(f"No recalibration ({method}): {error}.")
            continue
        # isotonic steps of 0 and 1 have no log odds: they are moved in by half a case of those fitted
        edge = 0.5 / (fitted.score.size + 1) if method == "isotonic" else 0.0
        moved = ScoreTable(table.positive, np.clip(turn(table.score), edge, 1.0 - edge), table.columns, table.cluster)
        made = calibrated(moved, results, section=section, group=f"after {method}")
        lines += [replace(line, name=f"after {method}") for line in made[:1]]
    lines.append(series("perfect", "dashed", [0, 1], [0, 1]))
    results.charts.append(Chart(section, "Calibration before and after", "On the diagonal, predicted and observed risk "
                                "agree.", "predicted risk", "observed share", tuple(lines)))  # fmt: skip
