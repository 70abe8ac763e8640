"""A table of scores, judged: everything that `hepar validate scores` tells, from columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from hepar.errors import WrongCall
from hepar.validate.inputs import Bools
from hepar.validate.place_report import PlaceSettings, add_place
from hepar.validate.results import Results
from hepar.validate.score_after import after_test, recalibrated
from hepar.validate.score_groups import by_group, drops, internal_of, over_sites
from hepar.validate.score_parts import calibration_part, can_be_calibrated, discrimination, usefulness
from hepar.validate.score_size import size_part
from hepar.validate.score_table import ScoreSettings, ScoreTable, read_columns, settings_of
from hepar.validate.thresholds import choose_threshold

Chosen = Literal["given", "other cases", "same cases"]
__all__ = ["ScoreSettings", "ScoreTable", "judge_scores", "read_columns", "settings_of"]


def judge_scores(
    columns: Mapping[str, Sequence[str]], settings: ScoreSettings, place: PlaceSettings | None = None
) -> Results:
    """Everything that can be said of a table of scores. place: hold it against published models, too."""
    results = Results("scores", "How good is the score?")
    table = read_columns(columns, settings, results)
    threshold, fitted = _threshold(table, settings, results)
    risk = _is_risk(table, settings)
    judged = table.where(~fitted) if fitted.any() else table
    if fitted.any():
        results.notes.append(f"The threshold was chosen on the split {settings.fit_split} ({int(fitted.sum())} cases); "
                             "every measure below is of the other cases.")  # fmt: skip
    _warn(judged, results)
    discrimination(judged, results, threshold)
    if threshold is not None and settings.prevalence and judged.both_classes:
        after_test(judged, results, threshold, settings.prevalence)
    if risk:
        calibration_part(judged, results)
        usefulness(judged, results)
    else:
        results.notes.append("The score is no probability (or was said to be none), so calibration and net benefit "
                             "cannot be judged; recalibrate it into a risk first.")  # fmt: skip
    if fitted.any():
        recalibrated(table.where(fitted), judged, results, split=str(settings.fit_split), risk=risk)
    if place is not None:
        chosen: Chosen = "given" if settings.threshold is not None else "other cases" if fitted.any() else "same cases"
        patients, splits = (judged.columns[name] if name else None for name in (settings.patient, settings.split))
        add_place(results, place, judged.positive, judged.score, threshold, chosen, patients, splits)
    size_part(judged, table.where(fitted) if fitted.any() else table, results, settings, risk)
    _elsewhere(table, judged, results, settings, threshold, risk and can_be_calibrated(judged))
    return results


def _elsewhere(
    table: ScoreTable, judged: ScoreTable, results: Results, settings: ScoreSettings, threshold: float | None,
    risk: bool,
) -> None:  # fmt: skip
    """By split, by site and by subgroup; the drop from inside to outside; pooled over sites."""
    if settings.split:
        by_group(settings.split, judged, results, threshold, risk)
        internal = internal_of(settings.split, settings.internal, table, results)
        if internal is not None:
            own = table if internal == settings.fit_split else judged
            drops(settings.split, internal, own, results, threshold, risk)
            if internal == settings.fit_split:
                results.notes.append(f"The split {internal} chose the threshold, so its sensitivity and specificity, "
                                     "and the drop from it, look larger than they are.")  # fmt: skip
    if settings.site and settings.site != settings.split:
        by_group(settings.site, judged, results, threshold, risk)
    if settings.site:
        over_sites(settings.site, judged, results, threshold, risk)
    done = {settings.split, settings.site}
    for name in dict.fromkeys(settings.by):
        column = name if name in judged.columns else name.rpartition(":")[0]
        if column not in done:
            by_group(column, judged, results, threshold, risk)


def _is_risk(table: ScoreTable, settings: ScoreSettings) -> bool:
    low, high = float(table.score.min()), float(table.score.max())
    if settings.risk and (low < 0 or high > 1):
        raise WrongCall(f"the score runs from {low:g} to {high:g}; needed for a risk: 0 to 1")
    return settings.risk if settings.risk is not None else low >= 0 and high <= 1


def _warn(table: ScoreTable, results: Results) -> None:
    if not table.both_classes:
        results.notes.append(f"All {table.positive.size} cases are of one class: nothing that needs both can be told.")
    if np.unique(table.score).size == 1:
        results.notes.append(f"All scores are {table.score[0]:g}: the score tells nobody apart.")
    if table.cluster is not None:
        names, times = np.unique(table.cluster, return_counts=True)
        results.notes.append(f"{int((times > 1).sum())} of {names.size} patients have several rows; the intervals take "
                             "their rows as belonging together, not as independent cases.")  # fmt: skip


def _threshold(table: ScoreTable, settings: ScoreSettings, results: Results) -> tuple[float | None, Bools]:
    """The threshold, and the rows that chose it and are judged no more."""
    fitted: Bools = np.zeros(table.score.size, dtype=np.bool_)
    if settings.fit_split is not None:
        if not settings.split:
            raise WrongCall("a split to choose the threshold on was named, but no column of splits; name that too")
        fitted = np.asarray(table.columns[settings.split] == settings.fit_split, dtype=np.bool_)
        if not fitted.any() or fitted.all():
            raise WrongCall(f"the split {settings.fit_split!r} holds {int(fitted.sum())} of {fitted.size} rows; needed:"
                            " some to choose the threshold on and some to judge")  # fmt: skip
    if settings.threshold is not None:
        return settings.threshold, fitted
    part = table.where(fitted) if fitted.any() else table
    if fitted.any():
        return choose_threshold(part.positive, part.score), fitted
    if not table.both_classes or np.unique(table.score).size < 2:
        return None, fitted
    results.notes.append("The threshold was chosen on the same cases that judge it (Youden), so sensitivity and "
                         "specificity look better than they will be on new cases.")  # fmt: skip
    return choose_threshold(part.positive, part.score), fitted
