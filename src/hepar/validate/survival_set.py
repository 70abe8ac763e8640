"""A table of times to an event, judged: how well a score tells who has it sooner, and how true a risk by a time is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.record import Estimate
from hepar.validate.bands import in_order
from hepar.validate.cox import cox, proportional_hazards
from hepar.validate.inputs import Bools, Floats, quantile
from hepar.validate.results import Chart, Results, series
from hepar.validate.score_groups import SMALLEST_GROUP, section_of
from hepar.validate.score_table import EMPTY, Texts, as_numbers, is_positive, others_of, refuse_leaks, require, texts
from hepar.validate.survival import at_time, concordance, kaplan_meier, log_rank
from hepar.validate.utility import net_benefit_survival

ORDER, AT, GROUPS, HAZARD = ("Who has the event sooner?", "By a given time", "Curves by risk group", "Hazard ratios")


@dataclass(frozen=True)
class SurvivalSettings:
    """Which columns mean what. score: higher means the event comes sooner. at: times to judge at, in the table's unit;
    none takes the quartiles of the times of events. risk: the score is the probability of the event by the one time of
    `at`. groups: risk groups of equal size, cut on `fit_split` where named. adjust: numeric columns beside the score in
    a second Cox regression. by, patient, study, split: as in `ScoreSettings`."""

    time: str
    event: str
    score: str = "score"
    at: tuple[float, ...] = ()
    groups: int = 3
    adjust: tuple[str, ...] = ()
    risk: bool = False
    patient: str | None = None
    study: str | None = None
    split: str | None = None
    fit_split: str | None = None
    by: tuple[str, ...] = ()
    positive: str | None = None

    def __post_init__(self) -> None:
        if self.groups < 2 or any(value <= 0 for value in self.at):
            raise WrongCall(f"{self.groups} risk groups, times {self.at}; needed: two groups at least, times above 0")
        if self.risk and len(self.at) != 1:
            raise WrongCall("a risk holds for one time; needed: that time, once, with --at")
        if self.fit_split is not None and not self.split:
            raise WrongCall("a split to cut the risk groups on was named, but no column of splits; name that too")


@dataclass(frozen=True, eq=False)
class SurvivalTable:
    """time: under observation. event: whether it ended with the event."""

    time: Floats
    event: Bools
    score: Floats
    columns: dict[str, Texts]

    def where(self, keep: Bools) -> SurvivalTable:
        """Some of the rows."""
        own = {name: column[keep] for name, column in self.columns.items()}
        return SurvivalTable(self.time[keep], self.event[keep], self.score[keep], own)


def judge_survival(columns: Mapping[str, Sequence[str]], settings: SurvivalSettings) -> Results:
    """Everything that can be said of a score of survival."""
    results = Results("scores", "How well does the score tell who has the event sooner?")
    table = _read(columns, settings, results)
    cuts, table = _cuts(table, settings, results)
    _warn(table, settings, results)
    times = settings.at or tuple(float(v) for v in np.quantile(table.time[table.event], (0.25, 0.5, 0.75)).round(6))
    if not settings.at:
        results.notes.append("No time was named with --at; the quartiles of the times of events are taken.")
    last = float(table.time.max())
    late = [one for one in times if one >= last]
    if late:
        raise WrongCall(f"the time {late[0]:g} is not within the longest in the table, {last:g}; name an earlier one")
    _order(table, results, max(times))
    _at(table, results, times, risk=settings.risk)
    _groups(table, results, cuts, times)
    _hazard(table, results, cuts, settings)
    for name in settings.by:
        _by(name if name in table.columns else name.rpartition(":")[0], table, results)
    return results


def _read(columns: Mapping[str, Sequence[str]], settings: SurvivalSettings, results: Results) -> SurvivalTable:
    require(columns, [settings.time, settings.event, settings.score])
    named = [name for name in (settings.patient, settings.study, settings.split, *settings.adjust) if name]
    others, bands = others_of(columns, named, settings.by)
    refuse_leaks(others, settings)
    event = texts(columns[settings.event])
    results.given = event.size
    time, score = as_numbers(columns[settings.time])[0], as_numbers(columns[settings.score])[0]
    keep: Bools = np.ones(event.size, dtype=np.bool_)
    checks = [
        (np.isin(event, EMPTY), f"no event told in column {settings.event}"),
        (~np.isfinite(time), f"the time in column {settings.time} is missing or no number"),
        (time < 0, f"the time in column {settings.time} is below 0"),
        (~np.isfinite(score), f"the score in column {settings.score} is missing or no finite number"),
    ]
    for name in settings.adjust:
        checks.append((~np.isfinite(as_numbers(columns[name])[0]), f"the column {name} is missing or no number"))
    for bad, why in checks:
        results.leave_out(why, int((bad & keep).sum()))
        keep &= ~bad
    if not keep.any():
        raise Refused("no row of the table has a time, an event and a score; nothing can be judged")
    results.used = int(keep.sum())
    results.notes += bands
    had = is_positive(event, keep, settings.positive)
    if not had.any():
        raise Refused("no case of the table had the event; nothing can be judged")
    return SurvivalTable(time, had, score, others).where(keep)


def _cuts(table: SurvivalTable, settings: SurvivalSettings, results: Results) -> tuple[Floats, SurvivalTable]:
    """Where the risk groups part, and the rows that are judged."""
    fitted: Bools = np.zeros(table.time.size, dtype=np.bool_)
    if settings.fit_split is not None and settings.split is not None:
        fitted = np.asarray(table.columns[settings.split] == settings.fit_split, dtype=np.bool_)
        if not fitted.any() or fitted.all():
            raise WrongCall(f"the split {settings.fit_split!r} holds {int(fitted.sum())} of {fitted.size} rows; needed:"
                            " some to cut the risk groups on and some to judge")  # fmt: skip
        results.notes.append(f"The risk groups were cut on the split {settings.fit_split} ({int(fitted.sum())} cases); "
                             "every measure below is of the other cases.")  # fmt: skip
    own = table.score[fitted] if fitted.any() else table.score
    cuts = np.unique(np.quantile(own, np.arange(1, settings.groups) / settings.groups))
    return cuts, table.where(~fitted) if fitted.any() else table


def _warn(table: SurvivalTable, settings: SurvivalSettings, results: Results) -> None:
    events = int(table.event.sum())
    if events == 0:
        raise Refused("no case that is judged had the event; nothing can be told")
    if events < 100:
        results.notes.append(f"{events} events: below about 100, an external validation is too small for firm "
                             "conclusions (Collins 2016).")  # fmt: skip
    if np.unique(table.score).size == 1:
        raise Refused(f"all scores are {table.score[0]:g}: the score tells nobody apart")
    if settings.patient is not None:
        names = table.columns[settings.patient].astype(str)
        if np.unique(names[names != ""]).size < (names != "").sum():
            results.notes.append("Some patients have several rows; the intervals of survival take rows as independent "
                                 "and are too narrow.")  # fmt: skip


def _order(table: SurvivalTable, results: Results, until: float) -> None:
    n = table.time.size
    results.add(ORDER, "", "events", float(table.event.sum()), n)
    results.add(ORDER, "", "C-index (Harrell)", concordance(table.time, table.event, table.score).c, n,
                "0.5 is blind, 1 perfect; depends on the follow-up")  # fmt: skip
    value = concordance(table.time, table.event, table.score, weights="uno", until=until).c
    results.add(ORDER, "", "C-index (Uno)", value, n, f"events before {until:g}; corrected for the follow-up")
    # the reverse curve: being still followed
    follow = kaplan_meier(table.time, ~table.event)
    results.add(ORDER, "", "median follow-up", follow.median(), n, "reverse Kaplan-Meier")


def _at(table: SurvivalTable, results: Results, times: Sequence[float], *, risk: bool) -> None:
    n = table.time.size
    whole = kaplan_meier(table.time, table.event)
    for when in times:
        own = table.score if risk else None
        found = at_time(table.time, table.event, table.score, when, risk=own)
        group = f"by {when:g}"
        results.add(AT, group, "AUC", found.auc, n, "event by then against free of it then")
        free = whole.estimate_at(when)
        results.add(AT, group, "free of the event", free, n, "Kaplan-Meier, all cases")
        if risk:
            results.add(AT, group, "Brier score", found.brier, n, "0 is best")
            results.add(AT, group, "Brier score without a model", found.brier_null, n, "Kaplan-Meier for everybody")
            _risk_by(table, results, when, free)


def _risk_by(table: SurvivalTable, results: Results, when: float, free: Estimate) -> None:
    """Is the risk true: observed over expected, groups by risk, and a decision curve."""
    n, group, risk = table.time.size, f"by {when:g}", table.score
    if float(risk.min()) < 0 or float(risk.max()) > 1:
        raise WrongCall(f"the score runs from {risk.min():g} to {risk.max():g}; needed for a risk: 0 to 1")
    expected = float(risk.mean())
    if free.estimate is not None and free.low is not None and free.high is not None and expected > 0:
        value = Estimate((1 - free.estimate) / expected, (1 - free.high) / expected, (1 - free.low) / expected, 0.95,
                         "greenwood, log; risks taken as fixed")  # fmt: skip
        results.add(AT, group, "observed / expected", value, n, "1 is right; above: risks too low")
    edges = np.unique(np.quantile(risk, np.arange(1, 5) / 5))
    place = np.digitize(risk, edges)
    points = []
    for one in np.unique(place):
        who = place == one
        if float(table.time[who].max()) >= when:
            points.append((float(risk[who].mean()), 1 - kaplan_meier(table.time[who], table.event[who]).at(when)))
    results.charts.append(Chart(AT, "Calibration", "Fifths of the cases by risk; on the diagonal, predicted and "
                                "observed risk agree.", f"predicted risk by {when:g}", "observed share (Kaplan-Meier)",
                                (series("fifths", "points", [x for x, _ in points], [y for _, y in points]),
                                 series("perfect", "dashed", [0, 1], [0, 1]))))  # fmt: skip
    cuts = np.arange(1, 100) / 100.0
    cuts = cuts[cuts <= max(0.2, min(0.95, 2.5 * (1 - (free.estimate or 0.0))))]
    curve = net_benefit_survival(table.time, table.event, risk, cuts, at=when)
    floor = -0.1 * (1 - (free.estimate or 0.0))
    shown = [np.where(line < floor, np.nan, line) for line in (curve.model, curve.treat_all)]
    results.charts.append(Chart(AT, "Decision curve", "Net benefit per patient; the highest line is best.",
                                "risk from which one acts", "net benefit",
                                (series("act on the score", "line", cuts, shown[0]),
                                 series("treat all", "dashed", cuts, shown[1]),
                                 series("treat nobody", "dashed", cuts, np.zeros(cuts.size)))))  # fmt: skip


def group_names(number: int) -> list[str]:
    """Names of the risk groups, from low to high."""
    if number <= 3:
        return {1: ["all"], 2: ["low risk", "high risk"], 3: ["low risk", "middle risk", "high risk"]}[number]
    return [f"risk group {i + 1} of {number}" for i in range(number)]


def _groups(table: SurvivalTable, results: Results, cuts: Floats, times: Sequence[float]) -> None:
    place, names = np.digitize(table.score, cuts), group_names(cuts.size + 1)
    lines = []
    for i, name in enumerate(names):
        who = place == i
        n = int(who.sum())
        if not n:
            results.add(GROUPS, name, "cases", 0.0, 0)
            continue
        curve = kaplan_meier(table.time[who], table.event[who])
        results.add(GROUPS, name, "cases", float(n), n)
        results.add(GROUPS, name, "events", float(table.event[who].sum()), n)
        results.add(GROUPS, name, "median time", curve.median(), n)
        for when in times:
            inside = float(table.time[who].max()) >= when
            value = curve.estimate_at(when) if inside else Estimate.cannot_tell("nobody is followed as long")
            results.add(GROUPS, name, f"free of the event at {when:g}", value, n)
            results.add(GROUPS, name, f"still followed at {when:g}", float((table.time[who] >= when).sum()), n)
        x = np.repeat(np.concatenate(([0.0], curve.times)), 2)[1:]
        y = np.repeat(np.concatenate(([1.0], curve.survival)), 2)[:-1]
        lines.append(series(name, "line", x, y, most=2000))
    if np.unique(place).size > 1:
        found = log_rank(table.time, table.event, place)
        results.add(GROUPS, "all groups", "p of no difference (log-rank)", found.p, table.time.size)
    results.charts.append(Chart(GROUPS, "Kaplan-Meier curves", "Share of each risk group that is free of the event.",
                                "time (unit of the table)", "free of the event", tuple(lines)))  # fmt: skip


def _hazard(table: SurvivalTable, results: Results, cuts: Floats, settings: SurvivalSettings) -> None:
    n, spread = table.time.size, float(table.score.std(ddof=1))
    standard = ((table.score - table.score.mean()) / spread)[:, None]
    try:
        found = cox(table.time, table.event, standard, ["score"])
        results.add(HAZARD, "score, per standard deviation", "hazard ratio", found.hazard_ratios[0], n)
        results.add(HAZARD, "score, per standard deviation", "p of no effect", found.p[0], n)
        steady = proportional_hazards(table.time, table.event, standard, ["score"])[0]
        results.add(HAZARD, "score, per standard deviation", "p of proportional hazards", steady.p, n,
                    "small: the effect changes with time")  # fmt: skip
        if steady.p < 0.05:
            results.notes.append(f"The hazards are not proportional (p = {steady.p:.2g}): the effect of the score "
                                 "changes with time, and one hazard ratio is a mean over the follow-up.")  # fmt: skip
        _hazard_of_groups(table, results, cuts)
        if settings.adjust:
            _adjusted(table, results, settings, standard)
    except (WrongCall, np.linalg.LinAlgError) as error:
        results.notes.append(f"A hazard ratio cannot be computed: {error}.")


def _hazard_of_groups(table: SurvivalTable, results: Results, cuts: Floats) -> None:
    place, names = np.digitize(table.score, cuts), group_names(cuts.size + 1)
    seen = np.unique(place)
    if seen.size < 2 or any(not table.event[place == i].any() for i in seen):
        results.notes.append("A risk group has no event, so the groups have no hazard ratio.")
        return
    terms = (place[:, None] == seen[1:]).astype(np.float64)
    found = cox(table.time, table.event, terms, [names[i] for i in seen[1:]])
    for i, which in enumerate(seen[1:]):
        group = f"{names[which]} against {names[seen[0]]}"
        results.add(HAZARD, group, "hazard ratio", found.hazard_ratios[i], table.time.size)
        results.add(HAZARD, group, "p of no effect", found.p[i], table.time.size)


def _adjusted(table: SurvivalTable, results: Results, settings: SurvivalSettings, standard: Floats) -> None:
    others = [as_numbers(table.columns[name].tolist())[0] for name in settings.adjust]
    terms = np.column_stack([standard[:, 0], *others])
    found = cox(table.time, table.event, terms, ["score", *settings.adjust])
    names = ["score, per standard deviation, adjusted"]
    names += [f"{name}, per unit, beside the score" for name in settings.adjust]
    for name, ratio, p in zip(names, found.hazard_ratios, found.p, strict=True):
        results.add(HAZARD, name, "hazard ratio", ratio, table.time.size)
        results.add(HAZARD, name, "p of no effect", p, table.time.size)
    per = float(table.event.sum()) / len(names)
    if per < 10:
        results.notes.append(f"{per:.1f} events per term of the adjusted regression: below 10 it is not to be trusted "
                             "(Peduzzi 1995).")  # fmt: skip


def _by(name: str, table: SurvivalTable, results: Results) -> None:
    section, column = section_of(name), table.columns[name]
    judged: dict[str, tuple[float, float, int]] = {}
    for group in in_order(column):
        part = table.where(np.asarray(column == group, dtype=np.bool_))
        events, n = int(part.event.sum()), part.time.size
        value = Estimate.cannot_tell(f"too small to judge: {events} events, {SMALLEST_GROUP} needed")
        if events >= SMALLEST_GROUP:
            found = concordance(part.time, part.event, part.score)
            value = found.c
            if value.estimate is not None:
                judged[group] = (value.estimate, found.standard_error, n)
        results.add(section, group or "not stated", "C-index (Harrell)", value, n)
    if len(judged) > 1:
        pairs = len(judged) * (len(judged) - 1) // 2
        most, least = max(judged, key=lambda k: judged[k][0]), min(judged, key=lambda k: judged[k][0])
        (a, error_a, n_a), (b, error_b, n_b) = judged[most], judged[least]
        half = quantile(1.0 - 0.05 / pairs) * float(np.hypot(error_a, error_b))
        how = "wald" if pairs == 1 else f"wald, Bonferroni over {pairs} pairs"
        results.add(f"{section}: largest gaps", f"C-index (Harrell): {most} less {least}", "gap",
                    Estimate(a - b, a - b - half, a - b + half, 0.95, how), n_a + n_b)  # fmt: skip
