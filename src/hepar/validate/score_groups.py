"""Every measure by subgroup, by site and by split: each with its interval, and the gaps between them."""

from __future__ import annotations

import numpy as np

from hepar.errors import WrongCall
from hepar.record import Estimate
from hepar.validate.bands import in_order
from hepar.validate.inputs import Bools
from hepar.validate.pulls import UNITS, estimate, gap, names
from hepar.validate.results import Results
from hepar.validate.score_table import ScoreTable
from hepar.validate.sites import leave_one_site_out, pooled

SMALLEST_GROUP = 10
"""Cases of each class below which a group is not judged."""
NO_GAP = ("observed / expected",)
"""Its gap is that of the calibration in the large."""


def section_of(name: str) -> str:
    """The heading under which a column's groups stand."""
    return f"By {name}"


def by_group(name: str, table: ScoreTable, results: Results, threshold: float | None, risk: bool) -> None:
    """Every measure in every group of a column, and the largest gap of each measure."""
    section, column = section_of(name), table.columns[name]
    judged: dict[str, Bools] = {}
    for group in in_order(column):
        keep: Bools = column == group
        n, n_pos = int(keep.sum()), int(table.positive[keep].sum())
        shown = group or "not stated"
        if min(n_pos, n - n_pos) < SMALLEST_GROUP:
            why = f"too small to judge: {n_pos} positive, {n - n_pos} negative, {SMALLEST_GROUP} of each needed"
            results.add(section, shown, "AUC", Estimate.cannot_tell(why), n)
            continue
        judged[shown] = keep
        part = table.where(keep)
        for one in names(threshold=threshold, risk=risk):
            value = estimate(one, part.positive, part.score, threshold, cluster=part.cluster)
            results.add(section, shown, one, value, n, UNITS.get(one, ""))
    if len(judged) > 1:
        _gaps(section, table, judged, results, threshold, risk)


def _gaps(
    section: str, table: ScoreTable, judged: dict[str, Bools], results: Results, threshold: float | None, risk: bool
) -> None:
    """The largest gap of each measure. Which two groups are furthest apart was not known beforehand, so its interval is
    widened to hold for all pairs at once (Bonferroni)."""
    pairs = len(judged) * (len(judged) - 1) // 2
    level = 1.0 - 0.05 / pairs
    for one in names(threshold=threshold, risk=risk):
        if one in NO_GAP:
            continue
        found = {
            group: estimate(one, table.positive[keep], table.score[keep], threshold).estimate
            for group, keep in judged.items()
        }
        values = {group: value for group, value in found.items() if value is not None}
        if len(values) < 2:
            continue
        most, least = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
        if most == least:
            most, least = list(values)[:2]
        keep, other = judged[most], judged[least]
        value = gap(one, table.positive, table.score, keep, other, threshold, cluster=table.cluster, level=level)
        n = int((keep | other).sum())
        if value.low is not None and pairs > 1:
            how = f"{value.method}, Bonferroni over {pairs} pairs"
            value = Estimate(value.estimate, value.low, value.high, 0.95, how)
        results.add(f"{section}: largest gaps", f"{one}: {most} less {least}", "gap", value, n)


def over_sites(name: str, table: ScoreTable, results: Results, threshold: float | None, risk: bool) -> None:
    """Every measure pooled over sites, the range for a new site, and each measure without each site in turn."""
    sites, n = table.columns[name].astype(str), table.score.size
    section = f"Over {name}: pooled, and without each in turn"
    reasons: dict[str, None] = {}
    for one in names(threshold=threshold, risk=risk):
        try:
            found, out = pooled(one, table.positive, table.score, sites, threshold=threshold, cluster=table.cluster,
                                smallest=SMALLEST_GROUP)  # fmt: skip
        except WrongCall:
            if one == "AUC":
                results.notes.append(
                    f"Fewer than two values of {name} have {SMALLEST_GROUP} cases of each class: no pooling."
                )
                return
            continue
        unit = UNITS.get(one, "")
        results.add(section, f"mean over {name}, random effects", one, found.mean, n, unit)
        if found.prediction is not None:
            expected = Estimate(found.mean.estimate, *found.prediction, 0.95, "prediction interval")
            results.add(section, f"expected at a new {name}", one, expected, n, unit)
        results.add(section, "share of the spread that is between sites (I2, %)", one, found.i2_percent, n, unit)
        reasons |= dict.fromkeys(out)
        without = leave_one_site_out(
            table.positive, table.score, sites, name=one, threshold=threshold, cluster=table.cluster
        )
        for left_out, value in without.items():
            results.add(section, f"all but {left_out}", one, value, int((sites != left_out).sum()), unit)
    results.notes += [f"Left out of the pooling over {name}: {reason}." for reason in reasons]


def drops(name: str, internal: str, table: ScoreTable, results: Results, threshold: float | None, risk: bool) -> None:
    """The internal split less each other one, in every measure; for AUC and shares, above 0 is a loss outside."""
    column = table.columns[name]
    inside: Bools = column == internal
    section = f"Drop from {internal} to elsewhere"
    for other in in_order(column):
        outside: Bools = column == other
        if other == internal:
            continue
        n, n_pos = int(outside.sum()), int(table.positive[outside].sum())
        if min(n_pos, n - n_pos) < SMALLEST_GROUP:
            why = f"too small to judge: {n_pos} positive, {n - n_pos} negative, {SMALLEST_GROUP} of each needed"
            results.add(section, f"{internal} less {other}", "AUC", Estimate.cannot_tell(why), n)
            continue
        for one in names(threshold=threshold, risk=risk):
            if one not in NO_GAP:
                value = gap(one, table.positive, table.score, inside, outside, threshold, cluster=table.cluster)
                results.add(section, f"{internal} less {other}", one, value, int((inside | outside).sum()))


def internal_of(name: str, given: str | None, table: ScoreTable, results: Results) -> str | None:
    """The split to hold the others against: the one named, else "internal" where there is one."""
    splits = sorted({str(value) for value in np.unique(table.columns[name].astype(str))})
    if given is not None and given not in splits:
        raise WrongCall(f"no row of the column {name!r} holds {given!r}, which was named as internal; it holds: "
                        f"{', '.join(splits[:8])}")  # fmt: skip
    found = given or next((one for one in splits if one.lower() == "internal"), None)
    if found is None and len(splits) > 1:
        results.notes.append(f"No value of {name} was named as internal, so no drop from inside to outside is shown; "
                             "name it to see it.")  # fmt: skip
    return found
