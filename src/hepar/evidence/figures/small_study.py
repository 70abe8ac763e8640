"""Deeks' funnel and the Doi plot."""

from __future__ import annotations

import numpy as np

from hepar.evidence.figures.draw import ACCENT, BAND, INK, LINE, SECOND, SOFT, Drawing, look, sheet
from hepar.evidence.result import Result


def deeks_funnel(result: Result) -> Drawing | None:
    """Diagnostic odds ratio against 1/sqrt(effective sample size), with the regression line. None without a test."""
    test = result.small_study.deeks
    if test is None:
        return None
    with look():
        figure = sheet(5.6, 4.6)
        ax = figure.add_axes((0.13, 0.13, 0.84, 0.78))
        ax.scatter(np.exp(test.y), test.x, s=22, facecolor=BAND, edgecolor=ACCENT, linewidth=0.7, zorder=2)
        x = np.linspace(0, test.x.max() * 1.06, 50)
        assert test.intercept.estimate is not None
        assert test.slope.estimate is not None
        ax.plot(np.exp(test.intercept.estimate + test.slope.estimate * x), x, color=SECOND, linewidth=1.2)
        ax.set_xscale("log")
        # the line of a few studies may leave for odds ratios of millions; the studies set the frame
        margin = 0.08 * float(np.ptp(test.y)) + 0.15
        ax.set_xlim(np.exp(test.y.min() - margin), np.exp(test.y.max() + margin))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(lambda x, _: f"{x:g}" if np.ptp(test.y) < 3 and f"{x:.0e}"[0] in "25" else "")
        ax.set_ylim(test.x.max() * 1.08, 0)
        ax.set_xlabel("Diagnostic odds ratio (log scale)")
        ax.set_ylabel("1 / \u221aeffective sample size")
        title = f"Deeks\u2019 test: slope {test.slope.estimate:.2f}, p = {test.p:.3f}"
        ax.set_title(title, loc="left", weight="normal")
    return Drawing(
        "deeks", "Deeks\u2019 funnel plot",
        "Large studies are at the top. A line that leans means that small studies report another accuracy.", figure,
    )  # fmt: skip


def doi_plot(result: Result) -> Drawing | None:
    """Effects against the absolute z of their ranks. None where there is no index."""
    index = result.small_study.lfk
    if index is None:
        return None
    with look():
        figure = sheet(5.6, 4.6)
        ax = figure.add_axes((0.11, 0.13, 0.86, 0.78))
        depth = np.abs(index.z)
        ax.axvline(index.effect[np.argmin(depth)], color=LINE, linewidth=0.8)
        ax.plot(index.effect, depth, "-", color=SOFT, linewidth=0.8)
        ax.plot(index.effect, depth, "o", markersize=4, color=ACCENT, markeredgecolor="white", markeredgewidth=0.5)
        ax.set_ylim(max(depth.max() * 1.08, 0.1), -0.05)
        ax.set_xlabel("ln diagnostic odds ratio")
        ax.set_ylabel("|z|")
        title = f"LFK index {index.index:.2f} ({index.reading}); not a valid test, see text"
        ax.set_title(title, loc="left", weight="normal", color=INK)
    return Drawing("doi", "Doi plot", "Two limbs of equal spread stand for symmetry. " + index.warning, figure)
