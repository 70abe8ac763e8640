"""Two models on the same cases, or readers with and without help: everything `hepar validate compare` tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from hepar.errors import Refused, WrongCall
from hepar.record import Estimate
from hepar.validate.discrimination import auc, compare_paired
from hepar.validate.inputs import Bools, Floats, Ints, quantile
from hepar.validate.mrmc import mrmc
from hepar.validate.proportion import clustered, proportion
from hepar.validate.pulls import CALIBRATION, UNITS, Pull, estimate, paired_gap, variance
from hepar.validate.reclassification import WARNING, idi, nri
from hepar.validate.results import Chart, Results, series
from hepar.validate.roc import roc_curve
from hepar.validate.score_table import ScoreSettings, clusters, read_columns, require
from hepar.validate.thresholds import mcnemar
from hepar.validate.utility import net_benefit

Key = tuple[str, str]


@dataclass(frozen=True)
class CompareSettings:
    """Columns of both tables. reader: None for models; else both tables hold every reader's score of every case.

    patient: who the cases belong to, where one has several. categories: risks that part categories, for the NRI.
    """

    case: str = "case"
    truth: str = "truth"
    score: str = "score"
    reader: str | None = None
    positive: str | None = None
    threshold: float | None = None
    patient: str | None = None
    categories: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        rising = all(0.0 < a < b < 1.0 for a, b in pairwise((*self.categories, 1.0 - 1e-12)))
        if self.categories and not rising:
            raise WrongCall(f"the categories {self.categories}; needed: rising risks inside 0 to 1, as 0.1, 0.3")
        if self.reader is not None and self.patient is not None:
            raise WrongCall("patients with several cases are not taken into account for readers; leave --patient out")


def judge_comparison(
    first: Mapping[str, Sequence[str]], second: Mapping[str, Sequence[str]], settings: CompareSettings
) -> Results:
    """First less second, on the cases that both tables hold. Raises Refused when truths differ or no case is shared."""
    results = Results("compare", "Which is better, the first or the second?")
    (one, all_one), (other, all_other) = tables = [_rows(columns, settings) for columns in (first, second)]
    shared = sorted(one.keys() & other.keys())
    results.given = len(all_one | all_other)
    results.leave_out("only in the first table", len(all_one - all_other))
    results.leave_out("only in the second table", len(all_other - all_one))
    both = all_one & all_other
    results.leave_out("no truth or no finite score in the first table", len(both - one.keys()))
    results.leave_out("no truth or no finite score in the second table", len((both & one.keys()) - other.keys()))
    if not shared:
        raise Refused("the two tables share no case; name the column that tells the cases apart in both")
    differ = sum(one[key][0] != other[key][0] for key in shared)
    if differ:
        raise Refused(
            f"{differ} of {len(shared)} cases have another truth in the second table; needed: one truth per case"
        )
    results.used = len(shared)
    truth = np.array([one[key][0] for key in shared])
    if truth.all() or not truth.any():
        raise Refused(f"all {truth.size} shared cases are of one class; needed: both, for a comparison")
    a, b = (np.array([table[key][1] for key in shared]) for table, _ in tables)
    if settings.reader is not None:
        _readers(shared, truth, a, b, results)
    else:
        _models(truth, a, b, settings, results, _patients(first, shared, settings, results))
    return results


def _patients(
    columns: Mapping[str, Sequence[str]], shared: Sequence[Key], settings: CompareSettings, results: Results
) -> Ints | None:
    """A number per shared case, the same for cases of one patient of the first table; None where each has one."""
    if settings.patient is None:
        return None
    require(columns, [settings.patient])
    of = dict(zip(_keys(columns, settings), (name.strip() for name in columns[settings.patient]), strict=True))
    found = clusters({"patient": np.array([of[key] for key in shared], dtype=object)}, "patient")
    if found is None or np.unique(found).size == found.size:
        return None
    results.notes.append("Some patients have several cases; the intervals take them as belonging together, but for "
                         "McNemar's test, NRI and IDI, which take them as independent.")  # fmt: skip
    return found


def _rows(
    columns: Mapping[str, Sequence[str]], settings: CompareSettings
) -> tuple[dict[Key, tuple[bool, float]], set[Key]]:
    """Truth and score of every usable row, and the keys of all rows."""
    by = tuple(name for name in (settings.case, settings.reader) if name)
    wanted = ScoreSettings(settings.truth, settings.score, positive=settings.positive)
    table = read_columns(columns, wanted, Results("compare", "rows"), also=by)
    keys = _keys(table.columns, settings)
    every = _keys(columns, settings)
    if len(set(every)) < len(every):
        what = "the same reader and case" if settings.reader else "the same case"
        raise Refused(f"{len(every) - len(set(every))} rows repeat {what}; needed: one row each; remove the repeats")
    rows = {key: (bool(y), float(s)) for key, y, s in zip(keys, table.positive, table.score, strict=True)}
    return rows, set(every)


def _keys(columns: Mapping[str, Any], settings: CompareSettings) -> list[Key]:
    cases = [str(value).strip() for value in columns[settings.case]]
    readers = [str(value).strip() for value in columns[settings.reader]] if settings.reader else [""] * len(cases)
    return list(zip(cases, readers, strict=True))


def _models(
    truth: Bools, a: Floats, b: Floats, settings: CompareSettings, results: Results, patients: Ints | None
) -> None:
    section, n = "Telling positive from negative", truth.size
    if min(int(truth.sum()), int((~truth).sum())) < 2:
        raise Refused("fewer than two cases of one class; a comparison needs at least two of each")
    if patients is None:
        found = compare_paired(truth, a, b)
        one, other, gap, p = found.first, found.second, found.difference, found.p
    else:
        one, other = (auc(truth, score, cluster=patients) for score in (a, b))
        gap, p = paired_gap("AUC", truth, a, b, cluster=patients)
    results.add(section, "first", "AUC", one, n)
    results.add(section, "second", "AUC", other, n)
    results.add(section, "first less second", "AUC", gap, n)
    results.add(section, "first less second", "p of no difference", p, n)
    curves = [roc_curve(truth, score) for score in (a, b)]
    results.charts.append(Chart(section, "ROC curves", "The further above the diagonal, the better.", "1 - specificity",
                                "sensitivity", (series("first", "line", curves[0].x, curves[0].y),
                                                series("second", "line", curves[1].x, curves[1].y),
                                                series("blind guess", "dashed", [0, 1], [0, 1]))))  # fmt: skip
    if settings.threshold is not None:
        section = f"At the threshold {settings.threshold:g}"
        for who, name in ((truth, "sensitivity"), (~truth, "specificity")):
            right = [(score[who] >= settings.threshold) == truth[who] for score in (a, b)]
            for group, mark in zip(("first", "second"), right, strict=True):
                share = proportion(int(mark.sum()), mark.size) if patients is None else clustered(mark, patients[who])
                results.add(section, group, name, share, mark.size)
            score_gap, _ = paired_gap(name, truth, a, b, settings.threshold, cluster=patients)
            results.add(section, "first less second", name, score_gap, int(who.sum()))
            test = mcnemar(truth[who], a[who] >= settings.threshold, b[who] >= settings.threshold)
            results.add(section, "p of no difference (McNemar, exact)", name, test.p_exact, int(who.sum()))
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1:
        results.notes.append("A score is no probability, so reclassification and net benefit cannot be compared.")
        return
    section = "Calibration of both"
    for name in (*CALIBRATION, "Brier score"):
        for group, score in (("first", a), ("second", b)):
            results.add(section, group, name, estimate(name, truth, score, cluster=patients), n, UNITS[name])
        if name != "observed / expected":
            results.add(section, "first less second", name, paired_gap(name, truth, a, b, cluster=patients)[0], n)
    _reclassified(truth, a, b, settings, results)
    cuts = np.arange(1, 100) / 100.0
    cuts = cuts[cuts <= max(0.2, min(0.95, 2.5 * float(truth.mean())))]
    ours, theirs = net_benefit(truth, a, cuts), net_benefit(truth, b, cuts)
    section = "Does acting on it do good?"
    for cut in (0.1, 0.2, 0.3):
        i = int(np.argmin(np.abs(cuts - cut)))
        if abs(cuts[i] - cut) < 1e-9:
            weight = np.where(truth, 1.0, -cut / (1 - cut))
            weighed = weight * ((a >= cut).astype(float) - (b >= cut))
            value, how = float(weighed.mean()), "wald" if patients is None else "wald, clustered by patient"
            spread = variance(Pull(value, (weighed - value) / n, variance=float(weighed.var(ddof=1)) / n), patients)
            half = quantile(0.95) * float(np.sqrt(spread))
            results.add(section, f"acting from {cut:.0%}", "net benefit, first less second",
                        Estimate(value, value - half, value + half, 0.95, how), n, "per patient")  # fmt: skip
    floor = -0.1 * float(truth.mean())
    lines = [np.where(v < floor, np.nan, v) for v in (ours.model, theirs.model, ours.treat_all)]
    results.charts.append(Chart(section, "Decision curves", "Net benefit per patient; the highest line is best.",
                                "risk from which one acts", "net benefit",
                                (series("first", "line", cuts, lines[0]), series("second", "line", cuts, lines[1]),
                                 series("treat all", "dashed", cuts, lines[2]),
                                 series("treat nobody", "dashed", cuts, ours.treat_none))))  # fmt: skip


def _reclassified(truth: Bools, a: Floats, b: Floats, settings: CompareSettings, results: Results) -> None:
    """NRI and IDI with their warning; with categories the tables of who moved where."""
    section, n = "Reclassification, from second to first", truth.size
    results.notes.append(WARNING)
    found = nri(truth, b, a)
    results.add(section, "", "NRI, continuous", found.nri, n, "read it beside AUC, calibration and net benefit")
    results.add(section, "", "of it, events", found.nri_events, int(truth.sum()))
    results.add(section, "", "of it, non-events", found.nri_nonevents, int((~truth).sum()))
    results.add(section, "", "IDI", idi(truth, b, a).idi, n, "read it beside AUC, calibration and net benefit")
    if not settings.categories:
        return
    found = nri(truth, b, a, cutoffs=settings.categories)
    cuts = [f"{cut:.3g}" for cut in settings.categories]
    names = [f"below {cuts[0]}", *(f"{x} to below {y}" for x, y in pairwise(cuts)), f"{cuts[-1]} and over"]
    results.add(section, "", "NRI, categories", found.nri, n, f"parted at {', '.join(cuts)}")
    for what, table in (("events", found.table_events), ("non-events", found.table_nonevents)):
        if table is not None:
            for i, row in enumerate(names):
                for j, column in enumerate(names):
                    results.add(f"{section}: {what}", f"second {row}", f"first {column}", float(table[i, j]), n)


def _readers(keys: Sequence[Key], truth: Bools, a: Floats, b: Floats, results: Results) -> None:
    cases, readers = sorted({case for case, _ in keys}), sorted({reader for _, reader in keys})
    if len(readers) < 2 or len(keys) != len(cases) * len(readers):
        raise WrongCall(f"{len(readers)} readers and {len(cases)} cases give {len(keys)} shared rows; needed: two "
                        "readers at least, and every reader's score of every case in both tables")  # fmt: skip
    ratings, positive = np.empty((2, len(readers), len(cases))), np.zeros(len(cases), dtype=bool)
    for (case, reader), y, first, second in zip(keys, truth, a, b, strict=True):
        i, j = cases.index(case), readers.index(reader)
        positive[i] = y
        ratings[:, j, i] = first, second
    found = mrmc(positive, ratings)
    section, n = "Readers", len(cases)
    for j in range(len(readers)):
        results.add(section, f"reader {j + 1}", "AUC, first", float(found.aucs[0, j]), n)
        results.add(section, f"reader {j + 1}", "AUC, second", float(found.aucs[1, j]), n)
    results.add(section, "mean of readers", "AUC, first", float(found.means[0]), n)
    results.add(section, "mean of readers", "AUC, second", float(found.means[1]), n)
    section = "Difference of the readers' mean AUC, first less second"
    for one in (found.random_readers_random_cases, found.fixed_readers_random_cases, found.random_readers_fixed_cases):
        results.add(section, f"holds for {one.generalises_to}", "difference", one.difference, n)
        results.add(section, f"holds for {one.generalises_to}", "p of no difference", one.p, n)
