"""A table of scores, judged: everything that `hepar validate scores` tells, from columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hepar.errors import Refused, WrongCall
from hepar.record import Estimate
from hepar.validate.calibration import calibration, calibration_curve, grouped
from hepar.validate.discrimination import auc, compare_unpaired
from hepar.validate.inputs import Bools, Floats
from hepar.validate.proportion import proportion
from hepar.validate.results import Chart, Results, series
from hepar.validate.roc import average_precision, precision_recall_curve, roc_curve
from hepar.validate.sites import leave_one_site_out, pooled_auc
from hepar.validate.thresholds import at_threshold, choose_threshold
from hepar.validate.utility import net_benefit

SMALLEST_GROUP = 10
"""Cases of each class below which a group is not judged."""
FEW_EVENTS = 100
"""Cases of each class from which external validation is thought precise enough (Collins 2016)."""


@dataclass(frozen=True)
class ScoreSettings:
    """Which columns mean what, and how to read the score.

    threshold: positive from here on; None chooses Youden's, on `fit_split` where named. by: columns of subgroups.
    risk: whether the score is a probability; None decides by its range.
    """

    truth: str = "truth"
    score: str = "score"
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    fit_split: str | None = None
    by: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float | None = None
    risk: bool | None = None


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Rows that can be used: truth, score and every other column as text."""

    positive: Bools
    score: Floats
    columns: dict[str, NDArray[Any]]

    def where(self, keep: Bools) -> ScoreTable:
        """Some of the rows."""
        return ScoreTable(self.positive[keep], self.score[keep], {k: v[keep] for k, v in self.columns.items()})


YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})


def read_columns(columns: Mapping[str, Sequence[str]], settings: ScoreSettings, results: Results) -> ScoreTable:
    """Text columns to truth and score. Rows without either are left out and counted. Raises WrongCall for a column that
    is not there or a truth that cannot be read, Refused for a leak between splits."""
    wanted = [settings.truth, settings.score, *settings.by]
    wanted += [name for name in (settings.patient, settings.site, settings.split) if name]
    for name in wanted:
        if name not in columns:
            raise WrongCall(f"the table has no column {name!r}; it has: {', '.join(columns)}; name the right one")
    truth = np.array([value.strip() for value in columns[settings.truth]], dtype=object)
    results.given = truth.size
    score = np.array([_number(value) for value in columns[settings.score]])
    empty = np.array([value in ("", "NA", "NaN", "nan") for value in truth], dtype=bool)
    bad = ~np.isfinite(score) & ~empty
    results.leave_out(f"no truth in column {settings.truth}", int(empty.sum()))
    results.leave_out(f"the score in column {settings.score} is missing or no finite number", int(bad.sum()))
    keep = ~(empty | bad)
    positive = np.zeros(truth.size, dtype=bool)
    for i in np.flatnonzero(keep):
        low = str(truth[i]).lower()
        if settings.positive is not None:
            positive[i] = truth[i] == settings.positive
        elif low in YES or low in NO:
            positive[i] = low in YES
        else:
            raise WrongCall(f"the truth holds {truth[i]!r}; needed: 0 or 1, no or yes, false or true; else say which "
                            "value is positive")  # fmt: skip
    if not keep.any():
        raise Refused("no row of the table has both a truth and a score; nothing can be judged")
    others = {name: np.array([value.strip() for value in columns[name]], dtype=object) for name in wanted}
    table = ScoreTable(positive, score, others).where(keep)
    results.used = int(keep.sum())
    check_leak(table, settings)
    return table


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def check_leak(table: ScoreTable, settings: ScoreSettings) -> None:
    """Raise Refused when a patient stands in two splits."""
    if not (settings.patient and settings.split):
        return
    seen: dict[str, set[str]] = {}
    for who, part in zip(table.columns[settings.patient], table.columns[settings.split], strict=True):
        seen.setdefault(str(who), set()).add(str(part))
    both = sum(len(parts) > 1 for parts in seen.values())
    if both:
        raise Refused(f"{both} of {len(seen)} patients stand in more than one split, so the splits are not independent;"
                      " a measure on them would flatter the model; put each patient in one split only")  # fmt: skip


def judge_scores(columns: Mapping[str, Sequence[str]], settings: ScoreSettings) -> Results:
    """Everything that can be said of a table of scores."""
    results = Results("scores", "How good is the score?")
    table = read_columns(columns, settings, results)
    _warn(table, settings, results)
    threshold, fitted = _threshold(table, settings, results)
    risk = settings.risk if settings.risk is not None else bool(table.score.min() >= 0 and table.score.max() <= 1)
    if risk and (table.score.min() < 0 or table.score.max() > 1):
        raise WrongCall(
            f"the score runs from {table.score.min():g} to {table.score.max():g}; needed for a risk: 0 to 1"
        )
    judged = table.where(~fitted) if fitted.any() else table
    if fitted.any():
        results.notes.append(f"The threshold was chosen on the split {settings.fit_split} ({int(fitted.sum())} cases); "
                             "every measure below is of the other cases.")  # fmt: skip
    _discrimination(judged, results, threshold)
    if risk:
        _calibration(judged, results)
        _usefulness(judged, results)
    else:
        results.notes.append("The score is no probability (or was said to be none), so calibration and net benefit "
                             "cannot be judged; recalibrate it into a risk first.")  # fmt: skip
    named = [name for name in (settings.split, settings.site, *settings.by) if name]
    for name in dict.fromkeys(named):
        _by(name, judged, results, threshold, risk)
    if settings.site:
        _over_sites(settings.site, judged, results)
    return results


def _over_sites(name: str, table: ScoreTable, results: Results) -> None:
    """AUC pooled over sites with the range for a new one, and without each site in turn."""
    sites, section, n = table.columns[name].astype(str), f"By {name}", table.score.size
    try:
        found, out = pooled_auc(table.positive, table.score, sites, smallest=SMALLEST_GROUP)
    except WrongCall:
        results.notes.append(f"Fewer than two values of {name} have {SMALLEST_GROUP} cases of each class: no pooling.")
        return
    results.add(section, f"mean over {name}, random effects", "AUC", found.mean, n)
    if found.prediction is not None and found.mean.estimate is not None:
        low, high = found.prediction
        expected = Estimate(found.mean.estimate, low, high, 0.95, "prediction interval")
        results.add(section, f"expected at a new {name}", "AUC", expected, n)
    results.notes += [f"Left out of the pooling over {name}: {reason}." for reason in out]
    for one, value in leave_one_site_out(table.positive, table.score, sites).items():
        results.add(section, f"all but {one}", "AUC", value, int((sites != one).sum()))


def _warn(table: ScoreTable, settings: ScoreSettings, results: Results) -> None:
    n_pos = int(table.positive.sum())
    n_neg = table.positive.size - n_pos
    if min(n_pos, n_neg) == 0:
        results.notes.append(f"All {table.positive.size} cases are of one class: nothing that needs both can be told.")
    elif min(n_pos, n_neg) < FEW_EVENTS:
        results.notes.append(f"{n_pos} positive and {n_neg} negative cases: below about {FEW_EVENTS} of each, a "
                             "validation is too small for firm conclusions on calibration (Collins 2016).")  # fmt: skip
    if np.unique(table.score).size == 1:
        results.notes.append(f"All scores are {table.score[0]:g}: the score tells nobody apart.")
    if settings.patient:
        names, times = np.unique(table.columns[settings.patient].astype(str), return_counts=True)
        if names.size < table.score.size:
            results.notes.append(f"{int((times > 1).sum())} of {names.size} patients have several rows; intervals take "
                                 "rows as independent and are too narrow.")  # fmt: skip


def _threshold(table: ScoreTable, settings: ScoreSettings, results: Results) -> tuple[float | None, Bools]:
    none = np.zeros(table.score.size, dtype=bool)
    if settings.threshold is not None:
        return settings.threshold, none
    both = table.positive.any() and not table.positive.all() and np.unique(table.score).size > 1
    if settings.fit_split is not None:
        if not settings.split:
            raise WrongCall("a split to choose the threshold on was named, but no column of splits; name that too")
        fitted: Bools = table.columns[settings.split] == settings.fit_split
        if not fitted.any() or fitted.all():
            raise WrongCall(f"the split {settings.fit_split!r} holds {int(fitted.sum())} of {fitted.size} rows; needed:"
                            " some to choose the threshold on and some to judge")  # fmt: skip
        part = table.where(fitted)
        return choose_threshold(part.positive, part.score), fitted
    if not both:
        return None, none
    results.notes.append("The threshold was chosen on the same cases that judge it (Youden), so sensitivity and "
                         "specificity look better than they will be on new cases.")  # fmt: skip
    return choose_threshold(table.positive, table.score), none


def _discrimination(table: ScoreTable, results: Results, threshold: float | None) -> None:
    section, n = "Telling positive from negative", table.score.size
    results.add(section, "", "prevalence", proportion(int(table.positive.sum()), n), n)
    results.add(section, "", "AUC", auc(table.positive, table.score), n)
    if not table.positive.any() or table.positive.all():
        return
    results.add(section, "", "average precision", average_precision(table.positive, table.score), n)
    if threshold is not None:
        _at(table, results, section, "", threshold)
    roc, pr = roc_curve(table.positive, table.score), precision_recall_curve(table.positive, table.score)
    results.charts.append(Chart(section, "ROC curve", "The further above the diagonal, the better.", "1 - specificity",
                                "sensitivity", (series("score", "line", roc.x, roc.y),
                                                series("blind guess", "dashed", [0, 1], [0, 1]))))  # fmt: skip
    share = float(table.positive.mean())
    results.charts.append(Chart(section, "Precision and recall", "The dashed line is a blind guess at this prevalence.",
                                "recall (sensitivity)", "precision",
                                (series("score", "line", pr.x, pr.y),
                                 series("blind guess", "dashed", [0, 1], [share, share]))))  # fmt: skip


def _at(table: ScoreTable, results: Results, section: str, group: str, threshold: float) -> None:
    found, n = at_threshold(table.positive, table.score, threshold), table.score.size
    results.add(section, group, "threshold", threshold, n)
    for name, value in (("sensitivity", found.sensitivity), ("specificity", found.specificity),
                        ("positive predictive value", found.ppv), ("negative predictive value", found.npv),
                        ("likelihood ratio of a positive", found.lr_positive),
                        ("likelihood ratio of a negative", found.lr_negative)):  # fmt: skip
        results.add(section, group, name, value, n)


def _calibration(table: ScoreTable, results: Results) -> None:
    section, n = "Is a risk of 30 % really 30 in 100?", table.score.size
    if not table.positive.any() or table.positive.all() or np.unique(table.score).size < 2:
        return
    found = calibration(table.positive, table.score)
    results.add(section, "", "calibration slope", found.slope, n, "1 is right; below: risks too extreme")
    results.add(section, "", "calibration in the large", found.offset_intercept, n, "0 is right; above: risks too low")
    results.add(section, "", "observed / expected", found.observed_expected, n)
    results.add(section, "", "Brier score", found.brier, n, "0 is best")
    results.add(section, "", "Brier score, scaled", found.brier_scaled, n, "1 is best, 0 no better than the prevalence")
    lines = [series("perfect", "dashed", [0, 1], [0, 1])]
    if np.unique(table.score).size >= 10:
        curve = calibration_curve(table.positive, table.score, smoother="rcs3")
        results.add(section, "", "ICI", curve.ici, n, "mean distance from perfect; spline, 3 knots")
        results.add(section, "", "E90", curve.e90, n, "90th percentile of that distance")
        lines.append(series("smooth curve (spline, 3 knots)", "line", curve.predicted, curve.observed))
    groups = grouped(table.positive, table.score, groups=min(10, max(2, n // 20)))
    lines.append(series("groups of equal size", "points", groups.predicted, groups.observed))
    results.charts.append(Chart(section, "Calibration", "On the diagonal, predicted and observed risk agree.",
                                "predicted risk", "observed share", tuple(lines)))  # fmt: skip


def _usefulness(table: ScoreTable, results: Results) -> None:
    section, n = "Does acting on it do good?", table.score.size
    if not table.positive.any() or table.positive.all():
        return
    share = float(table.positive.mean())
    cuts = np.arange(1, 100) / 100.0
    cuts = cuts[cuts <= max(0.2, min(0.95, 2.5 * share))]
    curve = net_benefit(table.positive, table.score, cuts)
    for cut in (0.1, 0.2, 0.3, 0.5):
        i = int(np.argmin(np.abs(curve.thresholds - cut)))
        if abs(float(curve.thresholds[i]) - cut) < 1e-9:
            value = Estimate(float(curve.model[i]), float(curve.model_low[i]), float(curve.model_high[i]), 0.95, "wald")
            group = f"acting from {cut:.0%}"
            results.add(section, group, "net benefit of the model", value, n, "per patient")
            results.add(section, group, "net benefit of treating all", float(curve.treat_all[i]), n, "per patient")
            results.add(section, group, "interventions avoided", 100 * float(curve.interventions_avoided[i]), n,
                        "per 100 patients")  # fmt: skip
    ranges = ", ".join(f"{a:.0%} to {b:.0%}" for a, b in curve.helps())
    results.notes.append(f"Acting on the score beats treating all and treating nobody at thresholds of {ranges}."
                         if ranges else "At no threshold shown does acting on the score beat both treating all and "
                         "treating nobody.")  # fmt: skip
    floor = -0.1 * share  # lines end where they leave the figure
    lines = [np.where(line < floor, np.nan, line) for line in (curve.model, curve.treat_all)]
    results.charts.append(Chart(section, "Decision curve", "Net benefit per patient; the highest line is best.",
                                "risk from which one acts", "net benefit",
                                (series("act on the score", "line", curve.thresholds, lines[0]),
                                 series("treat all", "dashed", curve.thresholds, lines[1]),
                                 series("treat nobody", "dashed", curve.thresholds, curve.treat_none))))  # fmt: skip


def _by(name: str, table: ScoreTable, results: Results, threshold: float | None, risk: bool) -> None:
    section = f"By {name}"
    judged: dict[str, ScoreTable] = {}
    for value in sorted(set(table.columns[name].tolist())):
        part = table.where(table.columns[name] == value)
        n, n_pos = part.score.size, int(part.positive.sum())
        group = str(value) or "not stated"
        if min(n_pos, n - n_pos) < SMALLEST_GROUP:
            why = f"too small to judge: {n_pos} positive, {n - n_pos} negative, {SMALLEST_GROUP} of each needed"
            results.add(section, group, "AUC", Estimate.cannot_tell(why), n)
            continue
        judged[group] = part
        results.add(section, group, "AUC", auc(part.positive, part.score), n)
        if threshold is not None:
            found = at_threshold(part.positive, part.score, threshold)
            results.add(section, group, "sensitivity", found.sensitivity, n)
            results.add(section, group, "specificity", found.specificity, n)
        if risk and np.unique(part.score).size > 1:
            results.add(
                section, group, "calibration in the large", calibration(part.positive, part.score).offset_intercept, n
            )
    if len(judged) > 1:
        areas = {group: auc(part.positive, part.score).estimate or 0.0 for group, part in judged.items()}
        best, worst = max(areas, key=areas.__getitem__), min(areas, key=areas.__getitem__)
        one, other = judged[best], judged[worst]
        gap = compare_unpaired(one.positive, one.score, other.positive, other.score).difference
        results.add(section, f"largest gap: {best} less {worst}", "AUC", gap, one.score.size + other.score.size)


def settings_of(settings: ScoreSettings) -> dict[str, Any]:
    """The settings as plain values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}
