"""The paired forest plot: sensitivity and specificity of each study side by side, and their summary."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepar.evidence.figures.draw import ACCENT, INK, LINE, SECOND, SOFT, Drawing, look, sheet, short
from hepar.evidence.intervals import LEVEL
from hepar.evidence.likelihood import Array, Counts
from hepar.evidence.result import Result
from hepar.record.estimate import Estimate

ROW_INCH = 0.185


def exact_interval(x: Counts, n: Counts) -> tuple[Array, Array]:
    """Clopper-Pearson limits; 0 and 1 where there is nobody."""
    from scipy.stats import beta

    low = np.where(x > 0, beta.ppf((1 - LEVEL) / 2, np.maximum(x, 1e-9), n - x + 1), 0.0)
    high = np.where(x < n, beta.ppf((1 + LEVEL) / 2, x + 1, np.maximum(n - x, 1e-9)), 1.0)
    return low, high


def paired_forest(result: Result) -> Drawing:
    """Studies in the order of the table."""
    table = result.table
    rows = table.k + 3
    height = rows * ROW_INCH + 0.95
    with look():
        figure = sheet(11.0, height)
        bottom, tall = 0.55 / height, rows * ROW_INCH / height
        words = figure.add_axes((0.0, bottom, 1.0, tall))
        words.set_axis_off()
        words.set_xlim(0, 1)
        words.set_ylim(rows - 0.5, -0.5)
        for x, title in ((0.012, "Study"), (0.69, "Sensitivity (95 % CI)"), (0.985, "Specificity (95 % CI)")):
            words.text(x, -0.15, title, weight="bold", ha="left" if x < 0.1 else "right", va="center")
        for x, title in zip((0.305, 0.34, 0.375, 0.41), ("TP", "FP", "FN", "TN"), strict=True):
            words.text(x, -0.15, title, weight="bold", ha="right", va="center")
        for i in range(table.k):
            words.text(0.012, i + 1, short(table.study[i]), va="center", fontsize=7.5)
            for x, column in zip((0.305, 0.34, 0.375, 0.41), (table.tp, table.fp, table.fn, table.tn), strict=True):
                words.text(x, i + 1, str(column[i]), ha="right", va="center", fontsize=7.5)
        words.text(0.012, rows - 1.85, f"Summary ({table.k} tables)", va="center", weight="bold")
        words.text(0.012, rows - 0.95, "Prediction interval", va="center", color=SOFT)
        sides = (
            (table.tp, table.n1, result.summary.sensitivity, result.heterogeneity.prediction_sensitivity, 0.43, 0.69),
            (table.tn, table.n0, result.summary.specificity, result.heterogeneity.prediction_specificity, 0.72, 0.985),
        )
        for events, n, pooled, prediction, left, right in sides:
            ax = figure.add_axes((left, bottom, 0.145, tall))
            _side(ax, words, events, n, pooled, prediction, right, rows)
    return Drawing(
        "forest", "Paired forest plot",
        "Sensitivity and specificity of each study with exact 95 % intervals; diamonds: summary with its interval; bar"
        " below: prediction interval for a new study.", figure,
    )  # fmt: skip


def _side(
    ax: Any, words: Any, x: Counts, n: Counts, pooled: Estimate, prediction: Estimate, right: float, rows: int
) -> None:
    ax.set_ylim(rows - 0.5, -0.5)
    ax.patch.set_visible(False)
    ax.set_xlim(-0.02, 1.02)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=7.5)
    low, high = exact_interval(x, n)
    for i in np.flatnonzero(n > 0):
        p = x[i] / n[i]
        ax.plot([low[i], high[i]], [i + 1, i + 1], color=SOFT, linewidth=0.9, solid_capstyle="butt")
        ax.plot([p], [i + 1], marker="s", markersize=3.6, color=ACCENT)
        words.text(right, i + 1, f"{p:.2f} ({low[i]:.2f}\u2013{high[i]:.2f})", ha="right", va="center", fontsize=7.5)
    assert pooled.estimate is not None
    middle = rows - 1.85
    ends = (pooled.low, pooled.high) if pooled.low is not None and pooled.high is not None else (pooled.estimate,) * 2
    ax.fill(
        [ends[0], pooled.estimate, ends[1], pooled.estimate], [middle, middle - 0.32, middle, middle + 0.32],
        facecolor=SECOND, edgecolor=SECOND, linewidth=0.5,
    )  # fmt: skip
    ax.axvline(pooled.estimate, color=LINE, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    text = f"{pooled.estimate:.2f} ({ends[0]:.2f}\u2013{ends[1]:.2f})"
    words.text(right, middle, text, ha="right", va="center", weight="bold", color=INK)
    if prediction.low is not None and prediction.high is not None:
        ends, low_row = (prediction.low, prediction.high), rows - 0.95
        ax.plot(ends, [low_row] * 2, color=SECOND, linewidth=2.2, solid_capstyle="butt")
        words.text(right, low_row, f"({ends[0]:.2f}\u2013{ends[1]:.2f})", ha="right", va="center", color=SOFT)
