"""Whether the table is large enough, said in measures and in sentences."""

from __future__ import annotations

import numpy as np

from hepar.validate.pulls import estimate
from hepar.validate.results import Results
from hepar.validate.sample_size import EPV_BARE, EPV_GOOD, FEW_EVENTS, events_per_variable, needed, needed_to_develop
from hepar.validate.score_table import ScoreSettings, ScoreTable

SECTION = "Are there enough cases?"


def size_part(judged: ScoreTable, developed: ScoreTable, results: Results, settings: ScoreSettings, risk: bool) -> None:
    """Cases here against those needed, and events per variable of the rows the model was made from."""
    n, n_pos = judged.score.size, int(judged.positive.sum())
    few = min(n_pos, n - n_pos)
    results.add(SECTION, "", "positive cases", float(n_pos), n)
    results.add(SECTION, "", "negative cases", float(n - n_pos), n)
    if 0 < few < FEW_EVENTS:
        results.notes.append(f"{n_pos} positive and {n - n_pos} negative cases: below about {FEW_EVENTS} of each, a "
                             "validation is too small for firm conclusions on calibration (Collins 2016).")  # fmt: skip
    area = estimate("AUC", judged.positive, judged.score).estimate
    if few and area is not None and 0.5 < area < 1.0:
        _external(judged, results, risk, area)
    if settings.variables is not None:
        _variables(developed, results, settings)


def _external(judged: ScoreTable, results: Results, risk: bool, area: float) -> None:
    n, share = judged.score.size, float(judged.positive.mean())
    found = needed(share, area, risk=judged.score if risk else None)
    wanted: list[tuple[str, int | None, int]] = [("AUC", found.c_statistic, 2)]
    if risk:
        wanted += [("observed / expected", found.observed_expected, 0), ("calibration slope", found.slope, 1)]
    short = []
    for name, cases, i in wanted:
        if cases is None:
            continue
        results.add(SECTION, "", f"cases needed: {name}", float(cases), n,
                    f"for a 95 % interval {found.widths[i]:g} wide (Riley 2021)")  # fmt: skip
        if cases > n:
            short.append(f"{name} ({cases})")
    if short:
        results.notes.append(f"{n} cases are fewer than a precise external validation of this model needs for "
                             f"{', '.join(short)}; the intervals show how little is known (Riley 2021).")  # fmt: skip


def _variables(developed: ScoreTable, results: Results, settings: ScoreSettings) -> None:
    assert settings.variables is not None
    n = developed.score.size
    per = events_per_variable(developed.positive, settings.variables)
    where = f"on the split {settings.fit_split}" if settings.fit_split else "in this table"
    results.add(SECTION, "", "events per variable", per, n, f"{settings.variables} variables; {where}")
    if settings.fit_split is None:
        results.notes.append("Events per variable are counted in this table, as no split was named that the model was "
                             "made on; if it was made on other cases, count them there.")  # fmt: skip
    if per < EPV_BARE:
        results.notes.append(f"{per:.1f} events per variable: below {EPV_BARE} a model is likely to be overfitted and "
                             "to fall off elsewhere (Peduzzi 1996).")  # fmt: skip
    elif per < EPV_GOOD:
        results.notes.append(f"{per:.1f} events per variable: below {EPV_GOOD} a model may still be overfitted; look "
                             "at the calibration slope on other cases.")  # fmt: skip
    r2 = _cox_snell(developed)
    if r2 is not None and 0.0 < r2 < 0.9:
        cases = float(needed_to_develop(settings.variables, r2))
        results.add(SECTION, "", "cases needed to make such a model", cases, n,
                    "for a shrinkage of 0.9 at the strength seen here (Riley 2019)")  # fmt: skip


def _cox_snell(table: ScoreTable) -> float | None:
    """Cox and Snell's R2 of a risk as it stands; None where it is none or says less than the prevalence."""
    y, p = table.positive.astype(np.float64), table.score
    if not table.both_classes or float(p.min()) <= 0 or float(p.max()) >= 1:
        return None
    rate = float(y.mean())
    gain = float((y * np.log(p / rate) + (1 - y) * np.log((1 - p) / (1 - rate))).sum())
    return 1.0 - float(np.exp(-2.0 * gain / y.size)) if gain > 0 else None
