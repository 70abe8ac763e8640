"""Subgroups of the MVI review, their contrasts and the intervals of their AUC."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepar.evidence.figures.draw import ACCENT, INK, LINE, SECOND, SOFT, Drawing, look, sheet
from hepar.evidence.paper_contrasts import PrintedContrast
from hepar.evidence.paper_table2 import Row

_ROW_INCH = 0.215


def subgroups(rows: tuple[Row, ...]) -> Drawing:
    """Sensitivity, specificity and DOR of every row of Table 2 as printed, and the DOR computed again."""
    height = _ROW_INCH * len(rows) + 1.05
    with look():
        figure, (words, *panels) = _sheet(len(rows), height, (0.46, 0.64, 0.82), 0.155)
        y = np.arange(len(rows))
        _names(words, [(row.subgroup, str(row.tables)) for row in rows], "Subgroup", "Sets")
        for ax, title, key in zip(panels, ("Sensitivity", "Specificity", "DOR (log scale)"),
                                  ("sensitivity", "specificity", "dor"), strict=True):  # fmt: skip
            values = np.array([getattr(row, key) for row in rows])
            ax.hlines(y, values[:, 1], values[:, 2], color=SOFT, linewidth=1.0)
            ax.plot(values[:, 0], y, "s", color=ACCENT, markersize=4)
            ax.axvline(values[0, 0], color=LINE, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
            ax.set_title(title, loc="left", fontsize=8.5)
        for ax in panels[:2]:
            ax.set_xlim(0.5, 1.0)
            ax.set_xticks([0.5, 0.75, 1.0], ["0.5", "0.75", "1"])
        panels[2].set_xscale("log")
        panels[2].set_xticks([5, 20, 100, 400], ["5", "20", "100", "400"])
        panels[2].minorticks_off()
        again = [row.dor_again.computed for row in rows]
        panels[2].plot(again, y, "|", color=SECOND, markersize=9, markeredgewidth=1.3)
        figure.text(0.82, 0.12 / height, "orange: computed from sensitivity, specificity", fontsize=6.4, color=SECOND,
                    ha="center")  # fmt: skip
    return Drawing(
        "subgroups", "Table 2 of the review",
        "Pooled sensitivity, specificity and diagnostic odds ratio of each subgroup with 95 % intervals as printed;"
        " orange: the odds ratio that follows from sensitivity and specificity.", figure,
    )  # fmt: skip


def contrast_plot(pairs: tuple[PrintedContrast, ...]) -> Drawing:
    """Ratios of odds between subgroups, from the printed intervals."""
    height = _ROW_INCH * 1.4 * len(pairs) + 1.05
    with look():
        figure, (words, *panels) = _sheet(len(pairs), height, (0.475, 0.655, 0.835), 0.155)
        _names(words, [(f"{_short(one.first)} / {_short(one.second)}", "") for one in pairs], "First / second", "")
        y = np.arange(len(pairs))
        for ax, title, key in zip(panels, ("Odds of sensitivity", "Odds of specificity", "DOR"),
                                  ("sensitivity", "specificity", "dor"), strict=True):  # fmt: skip
            sides = [getattr(one, key) for one in pairs]
            middle = np.array([one.difference for one in sides])
            half = 1.959963984540054 * np.array([one.se for one in sides])
            ax.hlines(y, np.exp(middle - half), np.exp(middle + half), color=SOFT, linewidth=1.0)
            ax.plot(np.exp(middle), y, "s", color=ACCENT, markersize=4)
            for at, one in enumerate(sides):
                ax.text(1.0, at - 0.38, f"p {one.p:.2f}" if one.p >= 0.01 else f"p {one.p:.3f}", fontsize=6.4,
                        color=SECOND if one.p < 0.05 else SOFT, ha="right", va="center",
                        transform=ax.get_yaxis_transform())  # fmt: skip
            ax.axvline(1, color=LINE, linewidth=0.8, zorder=0)
            ax.set_xscale("log")
            ax.set_xlim(0.3, 7)
            ax.set_xticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
            ax.minorticks_off()
            ax.set_title(title, loc="left", fontsize=8.5)
    return Drawing(
        "contrasts", "Contrasts between subgroups",
        "Ratio of the first subgroup's odds to the second's, with 95 % intervals derived from the printed ones, taking"
        " subgroups as independent; p values uncorrected (orange below 0.05).", figure,
    )  # fmt: skip


def auc_plot(rows: tuple[Row, ...]) -> Drawing:
    """Printed AUCs with their printed intervals where these are any, and what the DOR's interval gives."""
    height = _ROW_INCH * len(rows) + 1.15
    with look():
        figure, (words, ax) = _sheet(len(rows), height, (0.46,), 0.50)
        _names(words, [(row.subgroup, str(row.tables)) for row in rows], "Subgroup", "Sets")
        for at, row in enumerate(rows):
            one = row.auc_interval
            if one.kind == "wilson":
                ax.plot([one.printed_low, one.printed_high], [at - 0.14] * 2, color=SECOND, linewidth=1.2)
            else:
                ax.text(0.562, at, "printed 1.00\u20130.00", color=SECOND, fontsize=6.6, va="center")
            ax.plot([one.implied_low, one.implied_high], [at + 0.14] * 2, color=ACCENT, linewidth=1.6)
            ax.plot([row.auc.printed], [at], "s", color=INK, markersize=3.8)
        ax.set_xlim(0.55, 1.0)
        ax.set_xlabel("Area under the summary ROC curve")
        words_of = ((0.012, SECOND, "as printed"), (0.10, ACCENT, "from the DOR\u2019s interval, symmetric curve"))
        for x, colour, text in words_of:
            figure.text(x, 0.12 / height, text, color=colour, fontsize=7)
    return Drawing(
        "auc_intervals", "Intervals of the AUC",
        "Squares: printed areas. Orange: printed intervals; where 1.00-0.00 is printed there is none. Blue: the areas"
        " that the ends of the printed interval of the DOR give.", figure,
    )  # fmt: skip


def _sheet(rows: int, height: float, lefts: tuple[float, ...], wide: float) -> tuple[Any, list[Any]]:
    """A page with words to the left and panels of rows."""
    figure = sheet(8.6, height)
    below, tall = 0.55 / height, 1 - 0.95 / height
    words = figure.add_axes((0.0, below, 1.0, tall))
    words.set_axis_off()
    words.set_xlim(0, 1)
    axes = [words]
    for left in lefts:
        ax = figure.add_axes((left, below, wide, tall))
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="x", labelsize=7)
        axes.append(ax)
    for ax in axes:
        ax.set_ylim(rows - 0.5, -0.6)
    return figure, axes


def _names(words: Any, names: list[tuple[str, str]], first: str, second: str) -> None:
    top = -1.15
    words.text(0.012, top, first, weight="bold", va="center", fontsize=8.5)
    words.text(0.43, top, second, weight="bold", va="center", ha="right", fontsize=8.5)
    for at, (name, more) in enumerate(names):
        words.text(0.012, at, name, va="center", fontsize=7.8)
        words.text(0.43, at, more, va="center", ha="right", fontsize=7.8)


def _short(name: str) -> str:
    return name.replace(" validation", "")
