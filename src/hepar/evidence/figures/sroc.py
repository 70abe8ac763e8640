"""ROC space: the summary point with both regions and the curve, and the studies as crosshairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepar.evidence import quantities as q
from hepar.evidence.figures.draw import ACCENT, BAND, INK, LINE, SECOND, SOFT, Drawing, look, sheet
from hepar.evidence.figures.forest import exact_interval
from hepar.evidence.result import Region, Result
from hepar.evidence.small_study import both_sides

CROWD = 40
"""More studies than this are a crowd."""


def sroc(result: Result) -> Drawing:
    """Studies sized by their number of people, HSROC curve over the observed range (thin beyond), both regions."""
    table = both_sides(result.table)
    size = (table.n1 + table.n0).astype(np.float64)
    with look():
        figure, ax = _space()
        _curve(ax, result)
        _region(ax, result.regions.prediction, "95 % prediction region", SECOND, (0, (4, 3)))
        _region(ax, result.regions.confidence, "95 % confidence region", SECOND, "-")
        ax.scatter(
            table.fp / table.n0, table.tp / table.n1, s=14 + 150 * size / size.max(), facecolor=BAND, edgecolor=ACCENT,
            linewidth=0.7, alpha=0.75, label="study, area by number of people", zorder=2, clip_on=False,
        )  # fmt: skip
        _summary_point(ax, result)
        _legend(figure, ax)
    return Drawing(
        "sroc", "Summary ROC",
        "Each circle is a study, its area rising with its size. Square: summary point. Solid outline: where the summary"
        " point lies; dashed: where the true accuracy of a new study lies. The curve is thin beyond the studies.",
        figure,
    )  # fmt: skip


def crosshair(result: Result) -> Drawing:
    """Studies with exact intervals in both directions. Source: Phillips 2010, Evid Based Med 15:9."""
    table = both_sides(result.table)
    with look():
        figure, ax = _space()
        low1, high1 = exact_interval(table.tp, table.n1)
        low0, high0 = exact_interval(table.fp, table.n0)
        x, y = table.fp / table.n0, table.tp / table.n1
        # many crosses are drawn paler, so that the points stay to be seen
        pale = 0.55 if table.k <= CROWD else 0.3
        ax.hlines(y, low0, high0, color=ACCENT, linewidth=0.6, alpha=pale)
        ax.vlines(x, low1, high1, color=ACCENT, linewidth=0.6, alpha=pale)
        ax.plot(x, y, "o", markersize=2.4, color=ACCENT, label="study with exact 95 % intervals", clip_on=False)
        _region(ax, result.regions.confidence, "95 % confidence region", SECOND, "-")
        _summary_point(ax, result)
        _legend(figure, ax)
    return Drawing(
        "crosshair", "Crosshair plot", "Each study with its exact 95 % intervals in both directions.", figure
    )


def _space() -> tuple[Any, Any]:
    figure = sheet(5.6, 6.5)
    ax = figure.add_axes((0.11, 0.235, 0.86, 0.741))
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.01)
    ax.set_aspect("equal")
    ax.set_xlabel("1 \u2212 specificity")
    ax.set_ylabel("Sensitivity")
    ax.plot([0, 1], [0, 1], color=LINE, linewidth=0.7, zorder=0)
    return figure, ax


def _curve(ax: Any, result: Result) -> None:
    theta = result.fit.theta
    intercept, slope = q.hsroc_line(theta) if result.fit.boundary != "var=0" else (float(theta[0] + theta[1]), 1.0)
    area = result.summary.auc
    assert area.estimate is not None
    label = f"HSROC curve, AUC {area.estimate:.2f}"
    if area.low is not None and area.high is not None:
        label += f" ({area.low:.2f}\u2013{area.high:.2f})"
    logits = np.linspace(-9, 9, 400)
    ax.plot(q.expit(logits), q.expit(intercept + slope * logits), color=INK, linewidth=0.5)
    table = both_sides(result.table)
    rates = table.fp / table.n0
    ends = np.clip([rates.min(), rates.max()], 1e-4, 1 - 1e-4)
    first, last = np.log(ends / (1 - ends))
    inside = np.linspace(first, last, 200)
    ax.plot(q.expit(inside), q.expit(intercept + slope * inside), color=INK, linewidth=1.4, label=label)


def _region(ax: Any, region: Region, label: str, colour: str, style: Any) -> None:
    x, y = 1 - region.specificity, region.sensitivity
    ax.plot(x, y, color=colour, linewidth=1.0, linestyle=style, label=label, zorder=3)


def _summary_point(ax: Any, result: Result) -> None:
    one, two = result.summary.sensitivity, result.summary.specificity
    assert one.estimate is not None
    assert two.estimate is not None
    label = f"summary: sensitivity {one.estimate:.2f}, specificity {two.estimate:.2f}"
    ax.plot(
        [1 - two.estimate], [one.estimate], "s", markersize=5.5, color=SECOND, markeredgecolor="white",
        markeredgewidth=0.6, linestyle="none", label=label, zorder=4,
    )  # fmt: skip


def _legend(figure: Any, ax: Any) -> None:
    figure.legend(*ax.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.09, 0.175), labelcolor=SOFT)
