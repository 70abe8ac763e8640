"""Figures of a pool with 4, 20 and 68 studies and long names: nothing leaves the paper, no name runs into numbers."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from evidence.evidence_reference import table_of
from hepar.evidence import figures, pool
from hepar.evidence.table import Table

NAMES = (
    "Zhang 2022", "Papadopoulou-Konstantinidis, van den Bergh-Schmidt and colleagues, prospective cohort 2023b",
    "Xiao et al., validation set 2.1 (multicentre)", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW 2020",
    "O'Brien $x$ 2021 & S\u00f6derstr\u00f6m <b>",
)  # fmt: skip


@pytest.fixture(scope="module", params=["sim_k4_small", "sim_k20", "sim_mvi68"])
def drawn(request):
    table = table_of(request.param)
    names = tuple(f"{NAMES[i % len(NAMES)]} {i}" for i in range(table.k))
    result = pool(Table(names, table.tp, table.fp, table.fn, table.tn))
    return [
        figures.paired_forest(result), figures.sroc(result), figures.crosshair(result), figures.deeks_funnel(result),
        figures.doi_plot(result), figures.fagan_nomogram(result), figures.influence_plot(result),
    ]  # fmt: skip


def extents(drawing):
    """(text, box) of everything written, in pixels."""
    figure = drawing.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = []
    for ax in figure.axes:
        texts += [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
            low, high = sorted(axis.get_view_interval())
            # matplotlib keeps labels of ticks outside the axis, which it does not draw
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    texts += [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    return [(text, text.get_window_extent(renderer)) for text in texts if text.get_text() and text.get_visible()]


def test_nothing_written_leaves_the_paper(drawn):
    for drawing in drawn:
        wide, tall = drawing.figure.get_size_inches() * drawing.figure.dpi
        for text, box in extents(drawing):
            inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= wide and box.y1 <= tall
            assert inside, (drawing.name, text.get_text())


def test_names_end_before_the_numbers(drawn):
    forest, influence = drawn[0], drawn[-1]
    words = extents(forest)
    (head,) = [box.x0 for text, box in words if text.get_text() == "TP"]
    names = [box.x1 for text, box in words if any(text.get_text().startswith(name[:6]) for name in NAMES)]
    assert len(names) >= 4
    assert max(names) < head - 25
    first = influence.figure.axes[0].get_window_extent().x0
    assert max(box.x1 for text, box in extents(influence) if text.get_text()[:6] in ("Papado", "WWWWWW")) < first


def test_studies_are_all_inside_the_funnel_and_the_doi_plot(drawn):
    for drawing in drawn[3:5]:
        ax = drawing.figure.axes[0]
        points = [np.asarray(one.get_offsets()) for one in ax.collections if len(one.get_offsets())]
        points += [np.asarray(line.get_xydata()) for line in ax.lines if line.get_marker() == "o"]
        (low, high), ends = ax.get_xlim(), sorted(ax.get_ylim())
        for x, y in np.concatenate(points):
            assert low <= x <= high
            assert ends[0] <= y <= ends[1]
