"""A table of several classes, judged: one score column per class, each class against the rest and all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.record import Estimate
from hepar.validate.bands import in_order
from hepar.validate.bootstrap import of_sums
from hepar.validate.calibration import calibration_curve
from hepar.validate.inputs import Bools, Floats, Ints
from hepar.validate.multiclass import hand_till
from hepar.validate.precision import average_precision_interval
from hepar.validate.pulls import OF_A_RISK, SHARES, UNITS, estimate
from hepar.validate.results import Chart, Results, series
from hepar.validate.roc import roc_curve
from hepar.validate.score_groups import SMALLEST_GROUP, section_of
from hepar.validate.score_table import EMPTY, Texts, as_numbers, clusters, others_of, refuse_leaks, require, texts

APART, EACH, TABLE = "Telling the classes apart", "Each class against the rest", "Which class is called which"
CALIBRATED = "Is a probability of 30 % really 30 in 100?"


@dataclass(frozen=True)
class ClassSettings:
    """Which columns mean what. classes: "HCC=p_hcc", a class of the truth and the column of its score; the class with
    the highest score is the one called. by, patient, study, split: as in `ScoreSettings`."""

    classes: tuple[str, ...]
    truth: str = "truth"
    patient: str | None = None
    study: str | None = None
    split: str | None = None
    by: tuple[str, ...] = ()

    def pairs(self) -> dict[str, str]:
        """Class to column. Raises WrongCall for fewer than two, or one named twice."""
        found: dict[str, str] = {}
        for text in self.classes:
            name, equals, column = (part.strip() for part in text.partition("="))
            if not name or (equals and not column) or name in found:
                raise WrongCall(f"class {text!r}; needed: CLASS=COLUMN, or CLASS where the column has its name, each "
                                "class once")  # fmt: skip
            found[name] = column or name
        if len(found) < 2:
            raise WrongCall(f"{len(found)} class is named; needed: two at least, one score column for each")
        return found


@dataclass(frozen=True, eq=False)
class ClassTable:
    """truth: number of the class per row. scores: rows x classes. cluster: rows of one patient, None without."""

    names: tuple[str, ...]
    truth: Ints
    scores: Floats
    columns: dict[str, Texts]
    cluster: Ints | None

    def where(self, keep: Bools) -> ClassTable:
        """Some of the rows."""
        cluster = None if self.cluster is None else self.cluster[keep]
        own = {name: column[keep] for name, column in self.columns.items()}
        return ClassTable(self.names, self.truth[keep], self.scores[keep], own, cluster)

    @property
    def called(self) -> Ints:
        """The class with the highest score, the first of equals."""
        return np.asarray(self.scores.argmax(axis=1))


def judge_classes(columns: Mapping[str, Sequence[str]], settings: ClassSettings) -> Results:
    """Everything that can be said of a table of several classes."""
    results = Results("scores", "How good are the classes?")
    table = _read(columns, settings, results)
    if table.cluster is not None:
        results.notes.append("Some patients have several rows; intervals take their rows as belonging together, but "
                             "for the AUC of all classes, whose interval takes rows as independent.")  # fmt: skip
    ties = int((np.sort(table.scores, axis=1)[:, -1] == np.sort(table.scores, axis=1)[:, -2]).sum())
    if ties:
        results.notes.append(f"{ties} cases have two highest scores; the class that was named first is called.")
    _apart(table, results)
    _each(table, results)
    _confusion(table, results)
    if float(table.scores.min()) >= 0 and float(np.abs(table.scores.sum(axis=1) - 1).max()) < 0.01:
        _calibration(table, results)
    else:
        results.notes.append("The scores of a case don't sum up to 1, so they are no probabilities and calibration "
                             "cannot be judged.")  # fmt: skip
    named = [name for name in (settings.split, *settings.by) if name]
    for name in dict.fromkeys(named):
        _by(name if name in table.columns else name.rpartition(":")[0], table, results)
    return results


def _read(columns: Mapping[str, Sequence[str]], settings: ClassSettings, results: Results) -> ClassTable:
    pairs = settings.pairs()
    require(columns, [settings.truth, *pairs.values()])
    named = [name for name in (settings.patient, settings.study, settings.split) if name]
    others, bands = others_of(columns, named, settings.by)
    refuse_leaks(others, settings)
    truth = texts(columns[settings.truth])
    results.given = truth.size
    scores = np.column_stack([as_numbers(columns[column])[0] for column in pairs.values()])
    empty, bad = np.isin(truth, EMPTY), ~np.isfinite(scores).all(axis=1)
    results.leave_out(f"no truth in column {settings.truth}", int(empty.sum()))
    results.leave_out("a score is missing or no finite number", int((bad & ~empty).sum()))
    keep: Bools = ~empty & ~bad
    names = tuple(pairs)
    strange = sorted({str(value) for value in truth[keep]} - set(names))
    if strange:
        raise WrongCall(f"the truth holds {strange[0]!r}, which is none of the classes named ({', '.join(names)}); "
                        "name it with its score column")  # fmt: skip
    if not keep.any():
        raise Refused("no row of the table has both a truth and all scores; nothing can be judged")
    code = np.array([names.index(value) if value in names else -1 for value in truth])
    results.used = int(keep.sum())
    results.notes += bands
    table = ClassTable(names, code, scores, others, clusters(others, settings.patient)).where(keep)
    absent = [name for i, name in enumerate(names) if not (table.truth == i).any()]
    if absent:
        results.notes.append(f"No case is {', '.join(absent)}: what needs that class cannot be told.")
    if table.cluster is not None and np.unique(table.cluster).size == table.cluster.size:
        return ClassTable(names, table.truth, table.scores, table.columns, None)
    return table


def _apart(table: ClassTable, results: Results, *, section: str = APART, group: str = "") -> None:
    n, k = table.truth.size, len(table.names)
    area = hand_till(table.truth, table.scores, list(range(k)))
    results.add(section, group, "AUC of all classes (Hand and Till)", area, n, "mean over pairs; 0.5 is blind")
    # one column per cell of the confusion table, so that every figure of it comes from sums over rows
    cells = np.zeros((n, k * k))
    cells[np.arange(n), table.truth * k + table.called] = 1.0

    def accuracy(sums: Floats) -> Floats:
        counts = sums.reshape(*sums.shape[:-1], k, k)
        return np.asarray(np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1)))

    def recall(sums: Floats) -> Floats:
        counts = sums.reshape(*sums.shape[:-1], k, k)
        return np.asarray((np.diagonal(counts, axis1=-2, axis2=-1) / counts.sum(axis=-1)).mean(axis=-1))

    def f1(sums: Floats) -> Floats:
        counts = sums.reshape(*sums.shape[:-1], k, k)
        both = counts.sum(axis=-1) + counts.sum(axis=-2)
        return np.asarray((2 * np.diagonal(counts, axis1=-2, axis2=-1) / both).mean(axis=-1))

    for name, figure, unit in (
        ("accuracy", accuracy, "right of all cases"),
        ("balanced accuracy (mean sensitivity)", recall, "each class counts the same"),
        ("macro F1", f1, "mean of the classes' F1"),
    ):
        value = of_sums(cells, figure, why_none="a class has no case", patients=table.cluster)
        results.add(section, group, name, value, n, unit)


def _each(table: ClassTable, results: Results) -> None:
    n, lines = table.truth.size, []
    for i, name in enumerate(table.names):
        own: Bools = table.truth == i
        called = np.where(table.called == i, 1.0, 0.0)
        results.add(EACH, name, "cases", float(own.sum()), n)
        results.add(EACH, name, "AUC", estimate("AUC", own, table.scores[:, i], cluster=table.cluster), n)
        results.add(EACH, name, "average precision",
                    average_precision_interval(own, table.scores[:, i], patients=table.cluster), n)  # fmt: skip
        for share in SHARES:
            results.add(EACH, name, share, estimate(share, own, called, 0.5, cluster=table.cluster), n)
        if own.any() and not own.all():
            curve = roc_curve(own, table.scores[:, i])
            lines.append(series(name, "line", curve.x, curve.y))
    lines.append(series("blind guess", "dashed", [0, 1], [0, 1]))
    results.charts.append(Chart(EACH, "ROC curves, each class against the rest", "The further above the diagonal, the "
                                "better.", "1 - specificity", "sensitivity", tuple(lines)))  # fmt: skip


def _confusion(table: ClassTable, results: Results) -> None:
    for i, name in enumerate(table.names):
        own = table.truth == i
        for j, other in enumerate(table.names):
            results.add(TABLE, f"truly {name}", f"called {other}", float((own & (table.called == j)).sum()),
                        int(own.sum()))  # fmt: skip


def _calibration(table: ClassTable, results: Results) -> None:
    n, lines = table.truth.size, []
    truth = np.eye(len(table.names))[table.truth]
    whole = ((table.scores - truth) ** 2).sum(axis=1)
    columns = np.column_stack([whole, np.ones(n)])
    brier = of_sums(columns, lambda s: np.asarray(s[..., 0] / s[..., 1]), why_none="no case", patients=table.cluster)
    for i, name in enumerate(table.names):
        own, risk = np.asarray(table.truth == i, dtype=np.bool_), np.clip(table.scores[:, i], 0.0, 1.0)
        for one in OF_A_RISK:
            results.add(CALIBRATED, name, one, estimate(one, own, risk, cluster=table.cluster), n, UNITS[one])
        if own.any() and not own.all() and np.unique(risk).size >= 10:
            curve = calibration_curve(own, risk, smoother="rcs3")
            lines.append(series(name, "line", curve.predicted, curve.observed))
    results.add(CALIBRATED, "all classes", "Brier score", brier, n, UNITS["Brier score"])
    lines.append(series("perfect", "dashed", [0, 1], [0, 1]))
    results.charts.append(Chart(CALIBRATED, "Calibration, each class against the rest", "On the diagonal, predicted "
                                "and observed share agree; splines with 3 knots.", "predicted probability",
                                "observed share", tuple(lines)))  # fmt: skip


def _by(name: str, table: ClassTable, results: Results) -> None:
    section, column = section_of(name), table.columns[name]
    for group in in_order(column):
        part = table.where(np.asarray(column == group, dtype=np.bool_))
        counts = np.bincount(part.truth, minlength=len(table.names))
        if counts.min() < SMALLEST_GROUP:
            why = f"too small to judge: {counts.min()} of the rarest class, {SMALLEST_GROUP} needed"
            results.add(section, group or "not stated", "accuracy", Estimate.cannot_tell(why), part.truth.size)
            continue
        _apart(part, results, section=section, group=group or "not stated")
