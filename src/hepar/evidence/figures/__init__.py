"""Figures of a meta-analysis, as a journal would take them: SVG and PDF, the same bytes for the same result."""

from hepar.evidence.figures.draw import Drawing, save
from hepar.evidence.figures.fagan import fagan_nomogram
from hepar.evidence.figures.forest import paired_forest
from hepar.evidence.figures.influence import influence_plot
from hepar.evidence.figures.small_study import deeks_funnel, doi_plot
from hepar.evidence.figures.sroc import crosshair, sroc

__all__ = [
    "Drawing", "crosshair", "deeks_funnel", "doi_plot", "fagan_nomogram", "influence_plot", "paired_forest", "save",
    "sroc",
]  # fmt: skip
