"""Fagan's nomogram: from the probability before the test to the one after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from hepar.evidence.figures.draw import ACCENT, INK, SECOND, SOFT, Drawing, look, sheet
from hepar.evidence.result import Fagan, Result
from hepar.record.estimate import Estimate

_PERCENT = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9)
_RATIOS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_LIMIT = float(np.log(999))


def fagan_nomogram(result: Result) -> Drawing:
    """At the pooled prevalence, with bands for the intervals of both likelihood ratios."""
    (chosen,) = (one for one in result.fagan if one.pooled_prevalence)
    with look():
        figure = sheet(5.6, 6.8)
        ax = figure.add_axes((0.14, 0.11, 0.72, 0.83))
        ax.set_axis_off()
        ax.set_xlim(0, 2)
        ax.set_ylim(-_LIMIT * 1.04, _LIMIT * 1.04)
        _scales(ax)
        before = -float(np.log(chosen.prior / (1 - chosen.prior)))
        for after, colour in ((chosen.post_positive, SECOND), (chosen.post_negative, ACCENT)):
            _band(ax, before, after, colour)
        figure.text(0.5, 0.045, _words(chosen), ha="center", va="center", color=INK, fontsize=8, linespacing=1.6)
    return Drawing(
        "fagan", "Fagan nomogram",
        "From the share of diseased people in the studies to the probability after a positive (orange) and a negative"
        " (blue) result; bands: 95 % intervals.", figure,
    )  # fmt: skip


def _words(chosen: Fagan) -> str:
    def percent(one: Estimate) -> str:
        assert one.estimate is not None
        text = f"{100 * one.estimate:.0f} %"
        if one.low is not None and one.high is not None:
            text += f" ({100 * one.low:.0f}\u2013{100 * one.high:.0f})"
        return text

    return (
        f"Before: {100 * chosen.prior:.0f} %.   After a positive result: {percent(chosen.post_positive)}\n"
        f"After a negative result: {percent(chosen.post_negative)}"
    )


def _scales(ax: Any) -> None:
    for x, sign, side, title in ((0, -1, "right", "Before the test (%)"), (2, 1, "left", "After the test (%)")):
        ax.plot([x, x], [-_LIMIT, _LIMIT], color=SOFT, linewidth=0.8)
        ax.text(x, _LIMIT * 1.09, title, ha="center", weight="bold")
        for percent in _PERCENT:
            y = sign * float(np.log(percent / (100 - percent)))
            step = -0.03 if side == "right" else 0.03
            ax.plot([x, x + step], [y, y], color=SOFT, linewidth=0.7, clip_on=False)
            ax.text(x + 1.8 * step, y, f"{percent:g}", ha=side, va="center", fontsize=7)
    ax.plot([1, 1], [np.log(_RATIOS[0]) / 2, np.log(_RATIOS[-1]) / 2], color=SOFT, linewidth=0.8)
    ax.text(1, _LIMIT * 1.09, "Likelihood ratio", ha="center", weight="bold")
    for ratio in _RATIOS:
        y = float(np.log(ratio)) / 2
        ax.plot([1, 1.03], [y, y], color=SOFT, linewidth=0.7)
        # above the lines, on white, so that every number stays readable
        under = {"facecolor": "white", "edgecolor": "none", "pad": 0.4}
        ax.text(1.05, y, f"{ratio:g}", ha="left", va="center", fontsize=7, bbox=under, zorder=5)


def _band(ax: Any, before: float, after: Estimate, colour: str) -> None:
    def height(p: float) -> float:
        # kept on the paper; a probability of 0 or 1 has no logit
        p = min(max(p, 1e-4), 1 - 1e-4)
        return float(np.clip(np.log(p / (1 - p)), -_LIMIT, _LIMIT))

    assert after.estimate is not None
    if after.low is not None and after.high is not None:
        ax.fill([0, 2, 2], [before, height(after.low), height(after.high)], color=colour, alpha=0.16, linewidth=0)
    ax.plot([0, 2], [before, height(after.estimate)], color=colour, linewidth=1.3)
