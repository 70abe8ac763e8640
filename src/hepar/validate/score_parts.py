"""The parts of a report on a score: telling apart, calibration, usefulness. Each adds its measures and figures."""

from __future__ import annotations

import numpy as np

from hepar.record import Estimate
from hepar.validate.calibration import calibration_curve, grouped
from hepar.validate.inputs import Floats, quantile
from hepar.validate.precision import average_precision_interval
from hepar.validate.proportion import clustered, proportion
from hepar.validate.pulls import CALIBRATION, SHARES, UNITS, Pull, estimate, pull, variance
from hepar.validate.results import Chart, Results, Series, series
from hepar.validate.roc import precision_recall_curve, roc_curve
from hepar.validate.score_table import ScoreTable
from hepar.validate.thresholds import at_threshold
from hepar.validate.utility import net_benefit

TELLING = "Telling positive from negative"
CALIBRATED = "Is a risk of 30 % really 30 in 100?"
USEFUL = "Does acting on it do good?"
DRAWS, DRAWN_UP_TO = 300, 20_000
"""Draws for the band of the calibration curve, and the rows from which there is none: it is narrow then, and slow."""


def discrimination(table: ScoreTable, results: Results, threshold: float | None) -> None:
    """Prevalence, AUC, average precision and the measures at the threshold; ROC and precision-recall curves."""
    n = table.score.size
    results.add(TELLING, "", "prevalence", _prevalence(table), n, "share of positive cases")
    area = estimate("AUC", table.positive, table.score, cluster=table.cluster)
    results.add(TELLING, "", "AUC", area, n, UNITS["AUC"])
    if not table.both_classes:
        return
    area = average_precision_interval(table.positive, table.score, patients=table.cluster)
    results.add(TELLING, "", "average precision", area, n, "a blind score has the prevalence")
    if threshold is not None:
        results.add(TELLING, "", "threshold", threshold, n, "called positive from this score on")
        for name in SHARES:
            value = estimate(name, table.positive, table.score, threshold, cluster=table.cluster)
            results.add(TELLING, "", name, value, n, UNITS[name])
        for name, ratio in likelihood_ratios(table, threshold).items():
            results.add(TELLING, "", name, ratio, n, "1 tells nothing; multiplies the odds")
    roc, pr = roc_curve(table.positive, table.score), precision_recall_curve(table.positive, table.score)
    lines = [series("score", "line", roc.x, roc.y), series("blind guess", "dashed", [0, 1], [0, 1])]
    precise = [series("score", "line", pr.x, pr.y)]
    share = float(table.positive.mean())
    precise.append(series("blind guess", "dashed", [0, 1], [share, share]))
    if threshold is not None:
        found = at_threshold(table.positive, table.score, threshold)
        sens, spec, ppv = (one.estimate for one in (found.sensitivity, found.specificity, found.ppv))
        if sens is not None and spec is not None:
            lines.append(series(f"the threshold, {threshold:.3g}", "points", [1 - spec], [sens]))
        if sens is not None and ppv is not None:
            precise.append(series(f"the threshold, {threshold:.3g}", "points", [sens], [ppv]))
    results.charts.append(Chart(TELLING, "ROC curve", "The further above the diagonal, the better.", "1 - specificity",
                                "sensitivity", tuple(lines)))  # fmt: skip
    results.charts.append(Chart(TELLING, "Precision and recall", "The dashed line is a blind guess at this prevalence.",
                                "recall (sensitivity)", "precision (positive predictive value)",
                                tuple(precise)))  # fmt: skip


def _prevalence(table: ScoreTable) -> Estimate:
    if table.cluster is None:
        return proportion(int(table.positive.sum()), table.positive.size)
    return clustered(table.positive, table.cluster)


def likelihood_ratios(table: ScoreTable, threshold: float) -> dict[str, Estimate]:
    """Of a positive and of a negative test; intervals on the log scale, after the pulls where patients repeat."""
    found = at_threshold(table.positive, table.score, threshold)
    names = ("likelihood ratio of a positive", "likelihood ratio of a negative")
    if table.cluster is None or min(found.tp, found.fp, found.fn, found.tn) == 0:
        return dict(zip(names, (found.lr_positive, found.lr_negative), strict=True))
    sens, spec = (pull(name, table.positive, table.score, threshold) for name in SHARES[:2])
    assert isinstance(sens, Pull)
    assert isinstance(spec, Pull)
    made = {}
    for name, top, bottom, up, down in (
        (names[0], sens.value, 1 - spec.value, sens.pull, -spec.pull),
        (names[1], 1 - sens.value, spec.value, -sens.pull, spec.pull),
    ):
        spread = variance(sens, table.cluster, pulls=up / top - down / bottom)
        half, value = quantile(0.95) * float(np.sqrt(spread)), top / bottom
        made[name] = Estimate(value, value * float(np.exp(-half)), value * float(np.exp(half)), 0.95,
                              "log, wald, clustered by patient")  # fmt: skip
    return made


def can_be_calibrated(table: ScoreTable) -> bool:
    """Both classes and different risks are needed."""
    return table.both_classes and np.unique(table.score).size > 1


def calibrated(table: ScoreTable, results: Results, *, section: str = CALIBRATED, group: str = "") -> list[Series]:
    """Slope, in the large, observed / expected, Brier, ICI; returns the lines of the calibration figure."""
    n = table.score.size
    for name in (*CALIBRATION, "Brier score"):
        value = estimate(name, table.positive, table.score, cluster=table.cluster)
        results.add(section, group, name, value, n, UNITS[name])
    rate = float(table.positive.mean())
    brier = float(((table.score - table.positive) ** 2).mean())
    results.add(section, group, "Brier score, scaled", 1 - brier / (rate * (1 - rate)), n,
                "1 is best, 0 no better than the prevalence")  # fmt: skip
    lines = []
    if np.unique(table.score).size >= 10:
        draws = DRAWS if n <= DRAWN_UP_TO else 0
        curve = calibration_curve(table.positive, table.score, smoother="rcs3", draws=draws, patients=table.cluster)
        results.add(section, group, "ICI", _ranged(curve.ici, curve.ici_range), n,
                    "mean distance from perfect; spline, 3 knots")  # fmt: skip
        results.add(section, group, "E50", _ranged(curve.e50, curve.e50_range), n, "median of that distance")
        results.add(section, group, "E90", _ranged(curve.e90, curve.e90_range), n, "90th percentile of that distance")
        lines.append(series("smooth curve (spline, 3 knots)", "line", curve.predicted, curve.observed))
        if curve.low is not None and curve.high is not None:
            lines.append(series("its 95 % band", "thin", curve.predicted, curve.low))
            lines.append(series("its 95 % band", "thin", curve.predicted, curve.high))
    return lines


def _ranged(value: float, ends: tuple[float, float] | None) -> Estimate:
    if ends is None:
        return Estimate(value)
    return Estimate(value, min(ends[0], value), max(ends[1], value), 0.95, f"bootstrap, {DRAWS} draws")


def calibration_part(table: ScoreTable, results: Results) -> None:
    """Measures and figure of calibration."""
    if not can_be_calibrated(table):
        return
    lines = calibrated(table, results)
    groups = grouped(table.positive, table.score, groups=min(10, max(2, table.score.size // 20)))
    lines.append(series("groups of equal size", "points", groups.predicted, groups.observed))
    lines.append(series("perfect", "dashed", [0, 1], [0, 1]))
    results.charts.append(Chart(CALIBRATED, "Calibration", "On the diagonal, predicted and observed risk agree.",
                                "predicted risk", "observed share", tuple(lines)))  # fmt: skip


def cuts_for(share: float) -> Floats:
    """Thresholds of a decision curve: from 1 % to about two and a half times the prevalence."""
    cuts = np.arange(1, 100) / 100.0
    return np.asarray(cuts[cuts <= max(0.2, min(0.95, 2.5 * share)) + 1e-9])


def usefulness(table: ScoreTable, results: Results) -> None:
    """Decision curve with its band, interventions avoided, and the thresholds at which the score helps."""
    if not table.both_classes:
        return
    n, share = table.score.size, float(table.positive.mean())
    cuts = cuts_for(share)
    curve = net_benefit(table.positive, table.score, cuts)
    low, high = _band(table, cuts)
    for cut in (0.05, 0.1, 0.2, 0.3, 0.5):
        i = int(np.argmin(np.abs(cuts - cut)))
        if abs(float(cuts[i]) - cut) < 1e-9:
            group = f"acting from {cut:.0%}"
            how = "wald" if table.cluster is None else "wald, clustered by patient"
            value = Estimate(float(curve.model[i]), float(low[i]), float(high[i]), 0.95, how)
            results.add(USEFUL, group, "net benefit of the model", value, n, "per patient")
            results.add(USEFUL, group, "net benefit of treating all", float(curve.treat_all[i]), n, "per patient")
            ends = _band(table, cuts[i : i + 1], over_all=True)
            scale = 100 * (1 - cut) / cut
            value = Estimate(100 * float(curve.interventions_avoided[i]), scale * float(ends[0][0]),
                             scale * float(ends[1][0]), 0.95, how)  # fmt: skip
            results.add(USEFUL, group, "interventions avoided", value, n, "per 100 patients, against treating all")
    ranges = ", ".join(f"{a:.0%} to {b:.0%}" for a, b in curve.helps())
    results.notes.append(f"Acting on the score beats treating all and treating nobody at thresholds of {ranges}."
                         if ranges else "At no threshold shown does acting on the score beat both treating all and "
                         "treating nobody.")  # fmt: skip
    floor = -0.1 * share  # lines end where they leave the figure
    shown = [np.where(line < floor, np.nan, line) for line in (curve.model, low, high, curve.treat_all)]
    results.charts.append(Chart(USEFUL, "Decision curve", "Net benefit per patient; the highest line is best.",
                                "risk from which one acts", "net benefit",
                                (series("act on the score", "line", cuts, shown[0]),
                                 series("its 95 % band", "thin", cuts, shown[1]),
                                 series("its 95 % band", "thin", cuts, shown[2]),
                                 series("treat all", "dashed", cuts, shown[3]),
                                 series("treat nobody", "dashed", cuts, curve.treat_none))))  # fmt: skip
    results.charts.append(Chart(USEFUL, "Interventions avoided", "Against treating all, with no more disease missed; "
                                "below 0 the score costs interventions.", "risk from which one acts",
                                "avoided per 100 patients",
                                (series("act on the score", "line", cuts, 100 * curve.interventions_avoided),
                                 series("none", "dashed", [cuts[0], cuts[-1]], [0.0, 0.0]))))  # fmt: skip


def _band(table: ScoreTable, cuts: Floats, *, over_all: bool = False) -> tuple[Floats, Floats]:
    """Interval of the net benefit at each threshold, or of its gain over treating all."""
    low, high, n = np.empty(cuts.size), np.empty(cuts.size), table.score.size
    for i, cut in enumerate(cuts):
        worth = np.where(table.positive, 1.0, -cut / (1 - cut))
        each = worth * (table.score >= cut) - (worth if over_all else 0.0)
        mean = float(each.mean())
        found = Pull(mean, (each - mean) / n, variance=float(each.var(ddof=1)) / n if n > 1 else 0.0)
        spread = variance(found, table.cluster)
        half = quantile(0.95) * float(np.sqrt(spread)) if np.isfinite(spread) else 0.0
        low[i], high[i] = mean - half, mean + half
    return low, high
