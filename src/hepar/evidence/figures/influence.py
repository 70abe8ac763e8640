"""What the summary is without each study."""

from __future__ import annotations

import numpy as np

from hepar.evidence.figures.draw import ACCENT, LINE, SECOND, SOFT, Drawing, look, sheet, short
from hepar.evidence.figures.forest import ROW_INCH
from hepar.evidence.result import Result


def influence_plot(result: Result) -> Drawing:
    """Sensitivity, specificity and Cook's distance, leaving out one study at a time; outliers in another colour."""
    rows = len(result.influence)
    height = rows * ROW_INCH + 1.2
    with look():
        figure = sheet(9.0, height)
        bottom, tall = 0.5 / height, rows * ROW_INCH / height
        panels = (
            ("Sensitivity without it", [one.sensitivity for one in result.influence], result.summary.sensitivity),
            ("Specificity without it", [one.specificity for one in result.influence], result.summary.specificity),
            ("Cook\u2019s distance", [one.cook for one in result.influence], None),
        )
        colours = [SECOND if one.outlier else ACCENT for one in result.influence]
        y = np.arange(rows)
        for number, (title, values, whole) in enumerate(panels):
            ax = figure.add_axes((0.335 + number * 0.225, bottom, 0.195, tall))
            ax.set_ylim(rows - 0.5, -0.5)
            ax.set_yticks([])
            ax.set_title(title, loc="left", fontsize=8.5)
            ax.tick_params(axis="x", labelsize=7)
            start = whole.estimate if whole is not None else 0.0
            ax.hlines(y, start, values, color=colours, linewidth=0.9)
            ax.scatter(values, y, s=11, color=colours, zorder=3)
            ax.axvline(start, color=LINE, linewidth=0.9, zorder=0)
            if whole is None:
                ax.set_xlim(0, max(max(values) * 1.1, 1e-3))
            ax.locator_params(axis="x", nbins=4)
            if number == 0:
                for i, one in enumerate(result.influence):
                    ax.text(
                        -1.656, i, short(one.study), transform=ax.get_yaxis_transform(), va="center", fontsize=7.5,
                        color=SECOND if one.outlier else "black",
                    )  # fmt: skip
        figure.text(0.012, 1 - 0.58 / height, "Left-out study", weight="bold", va="center", fontsize=8.5)
        figure.text(0.012, 0.16 / height, "orange: deleted residual p < 0.01", color=SOFT, va="center", fontsize=7.5)
    return Drawing(
        "influence", "Influence of each study",
        "The summary when one study is left out, and how far it moves both logit means (Cook\u2019s distance).", figure,
    )  # fmt: skip
